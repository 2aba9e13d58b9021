//! Keys, envelopes, hashes and constant-time checks. No other crate names a cipher.
//!
//! * [`secret_token`]: API keys and one-time codes: shown once, kept as a SHA-256.
//! * [`master_key`]: the key that seals; from the operator, or a local file of a single machine.
//! * [`seal`]: AES-256-GCM, each sealed text bound to the row it belongs to.
//! * [`entropy`]: the operating system's randomness behind the domain's port.

pub mod entropy;
pub mod master_key;
pub mod seal;
pub mod secret_token;

pub use entropy::OsEntropy;
pub use master_key::{KeySource, MasterKey, MasterKeyError};
pub use seal::{SealError, SealedFor, Sealer};
pub use secret_token::{SecretToken, TokenHash};
