//! The fingerprint of a public text. What is secret has a type of its own, see [`crate::secret_token`].

use sha2::{Digest, Sha256};

/// The SHA-256 of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
