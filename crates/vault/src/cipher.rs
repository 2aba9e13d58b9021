//! AES-256-GCM (NIST SP 800-38D) with a nonce of 96 bits and a tag of 128: the one place that names the cipher's calls.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use crate::SealError;

/// Ciphertext and tag.
///
/// # Panics
/// On a text of 64 GiB and more.
pub(crate) fn seal(cipher: &Aes256Gcm, nonce: [u8; 12], aad: &[u8], text: &[u8]) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "AES-GCM refuses only texts of 64 GiB and more")]
    cipher.encrypt(&Nonce::from(nonce), Payload { msg: text, aad }).expect("the text is small")
}

/// The text, if nothing of ciphertext, tag, nonce and associated data was changed.
pub(crate) fn open(
    cipher: &Aes256Gcm,
    nonce: [u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let opened = cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad });
    opened.map(Zeroizing::new).map_err(|_| SealError::Rejected)
}

#[cfg(test)]
#[path = "tests/vectors.rs"]
mod tests;
