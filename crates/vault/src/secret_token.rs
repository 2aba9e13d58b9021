//! Secrets that are shown once and kept only as a hash: API keys, sign-in links, sessions.
//!
//! A plain SHA-256 is right here, and a slow password hash is not: the secret has 256 random bits, so nothing
//! can be guessed, and the hash is computed on every proxied call.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_domain::ports::Entropy;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What an API key begins with, so that secret scanners know it.
pub const API_KEY_PREFIX: &str = "acl_";
/// What a session's token begins with.
pub const SESSION_PREFIX: &str = "acs_";
/// What a sign-in link's token begins with.
pub const SIGN_IN_PREFIX: &str = "acw_";

/// What a token begins with that continues a sign-in.
pub const REFRESH_PREFIX: &str = "acr_";
/// What a code begins with that stands in for a second factor once.
pub const RECOVERY_PREFIX: &str = "acb_";
/// What a code begins with that a browser trades for a session.
pub const EXCHANGE_PREFIX: &str = "acx_";

/// The SHA-256 of a secret's full text, prefix included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of what a caller presented.
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }
}

/// SHA-256 of any bytes, for what is no secret.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A fresh secret in the clear. Printed by nothing: it has no `Debug` that tells it.
pub struct SecretToken(Zeroizing<String>);

impl SecretToken {
    /// Thirty-two random bytes behind a prefix, in URL-safe base64 (RFC 4648, section 5).
    #[must_use]
    pub fn generate(prefix: &str, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        entropy.fill(bytes.as_mut_slice());
        Self(Zeroizing::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// The secret itself, for the one answer that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The last four characters, by which a person tells keys apart: 24 of 256 bits.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }
}

impl std::fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    #[test]
    fn a_key_carries_32_random_bytes_and_tells_nothing_of_itself() {
        let key = SecretToken::generate(API_KEY_PREFIX, &OsEntropy);
        let bytes = URL_SAFE_NO_PAD.decode(key.reveal().strip_prefix("acl_").unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
        assert!(!format!("{key:?}").contains(key.hint()));
        assert_ne!(key.reveal(), SecretToken::generate(API_KEY_PREFIX, &OsEntropy).reveal());
        assert_eq!(key.hash(), TokenHash::of(key.reveal()));
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-4 example: "abc".
        assert_eq!(
            hex::encode(TokenHash::of("abc").0),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
