//! Keys, envelopes, hashes and constant-time checks. No other crate names a cipher.
//!
//! * [`secret_token`]: API keys and one-time codes: shown once, kept as a SHA-256.
//! * [`master_key`]: the key that seals; from the operator, or a local file of a single machine.
//! * [`seal`]: AES-256-GCM, each sealed text bound to the row it belongs to: what all formats share, and the first.
//! * [`keyring`]: the master key and its predecessors: wraps data keys, tags links and pseudonyms.
//! * [`link_token`]: tokens in the links of mails.
//! * [`tenant_keys`]: a tenant's data keys, unwrapped: seals and opens what is the tenant's.
//! * [`subject_keys`]: the keys of those whose prompts and answers are kept, each opening nobody else's.
//! * [`entropy`]: the operating system's randomness behind the domain's port.

mod derive;
pub mod entropy;
pub mod keyring;
pub mod link_token;
pub mod master_key;
pub mod seal;
pub mod secret_token;
pub mod subject_keys;
pub mod tenant_keys;

pub use entropy::OsEntropy;
pub use keyring::{Keyring, WrappedKey};
pub use link_token::{LinkPurpose, link_token, read_link_token};
pub use master_key::{KeySource, MasterKey, MasterKeyError};
pub use seal::{SealError, SealedFor, Sealer};
pub use secret_token::{SecretToken, TokenHash};
pub use subject_keys::SubjectKeys;
pub use tenant_keys::TenantKeys;

#[cfg(test)]
mod tests;
