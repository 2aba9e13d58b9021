//! The secret that a webhook's calls are signed with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use costlens_domain::ports::Entropy;
use zeroize::Zeroizing;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret may have, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is no secret to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// A symmetric signing secret. Printed by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Thirty-two random bytes.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// A secret as it is shown and stored: `whsec_<base64>`.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadSecret)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| BadSecret)?);
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(BadSecret) }
    }

    /// The secret's text, for the one answer that shows it and for sealing.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(self.0.as_slice())))
    }

    /// `v1,<base64>` over id, time in seconds and body.
    pub(crate) fn sign(&self, id: &str, at: i64, body: &[u8]) -> Result<String, BadSecret> {
        let signer = standardwebhooks::Webhook::from_bytes(self.0.to_vec()).map_err(|_| BadSecret)?;
        signer.sign(id, at, body).map_err(|_| BadSecret)
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}
