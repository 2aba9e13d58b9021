//! AES-256-GCM (NIST SP 800-38D) with a nonce of 96 bits and a tag of 128: the one place that names the cipher's calls.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use costlens_domain::ports::Entropy;
use zeroize::Zeroizing;

use crate::SealError;

/// What every sealed text begins with: its format, four bytes that name its key, its nonce.
pub(crate) const HEADER_BYTES: usize = 1 + 4 + 12;

/// A sealed text, taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) format: u8,
    pub(crate) key: [u8; 4],
    nonce: [u8; 12],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// [`SealError::Format`] for what is too short to be one.
    pub(crate) fn of(sealed: &'a [u8]) -> Result<Self, SealError> {
        let (header, body) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(SealError::Format)?;
        let [format, k0, k1, k2, k3, nonce @ ..] = *header;
        Ok(Self { format, key: [k0, k1, k2, k3], nonce, body })
    }

    /// The text, if nothing of it and of its associated data was changed.
    pub(crate) fn open(&self, cipher: &Aes256Gcm, aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(cipher, self.nonce, aad, self.body)
    }
}

/// A sealed text under a random nonce, with its header.
///
/// # Panics
/// On a text of 64 GiB and more.
pub(crate) fn seal_with_header(
    (format, key): (u8, [u8; 4]),
    cipher: &Aes256Gcm,
    aad: &[u8],
    text: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let mut nonce = [0_u8; 12];
    entropy.fill(&mut nonce);
    let sealed = seal(cipher, nonce, aad, text);
    let mut out = Vec::with_capacity(HEADER_BYTES + sealed.len());
    out.push(format);
    out.extend(key);
    out.extend(nonce);
    out.extend(sealed);
    out
}

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
