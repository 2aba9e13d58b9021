//! Keys, envelopes, hashes and constant-time checks. No other crate names a cipher.
//!
//! * [`secret_token`]: API keys and one-time codes: shown once, kept as a SHA-256.
//! * [`master_key`]: the key that seals; from the operator, or a local file of a single machine.
//! * [`seal`]: AES-256-GCM, each sealed text bound to the row it belongs to: what all formats share, and the first.
//! * [`keyring`]: the master key and its predecessors: wraps data keys, tags links and pseudonyms.
//! * [`link_token`]: tokens in the links of mails.
//! * [`tenant_keys`]: a tenant's data keys, unwrapped: seals and opens what is the tenant's.
//! * [`service`]: a key service outside, which wraps data keys instead of a master key.
//! * [`seal_counts`]: how often each data key sealed something.
//! * [`subject_keys`]: the keys of those whose prompts and answers are kept, each opening nobody else's.
//! * [`entropy`]: the operating system's randomness behind the domain's port.

mod cipher;
mod derive;
pub mod entropy;
pub mod keyring;
pub mod link_token;
pub mod master_key;
pub mod seal;
pub mod seal_counts;
pub mod secret_token;
pub mod service;
pub mod subject_keys;
pub mod tenant_keys;

pub use entropy::OsEntropy;
pub use keyring::{Keyring, WrappedKey};
pub use link_token::{
    KnownBrowser, LinkPurpose, PersonalPurpose, known_browser_token, link_token, personal_token,
    read_known_browser_token, read_link_token, read_personal_token,
};
pub use master_key::{KeySource, MasterKey, MasterKeyError};
pub use seal::{SealError, SealedFor, Sealer};
pub use seal_counts::SealCount;
pub use secret_token::{SecretToken, TokenHash, sha256};
pub use service::{KeyContext, KeyService, ServiceError, ServiceState, TagsKey};
pub use subject_keys::SubjectKeys;
pub use tenant_keys::TenantKeys;

/// What secrets are sealed with, for people.
pub const CIPHER: &str = "AES-256-GCM, bound to tenant, table, column and row";
/// What a tenant's data keys are wrapped under where a master key does it, for people.
pub const WRAPPING: &str = "HMAC-SHA256 of the master key over tenant and version, and AES-256-GCM";
/// The same where a key service wraps them.
pub const WRAPPING_BY_SERVICE: &str =
    "a key of the key service that never leaves it, with tenant and version as encryption context";

#[cfg(test)]
mod tests;
