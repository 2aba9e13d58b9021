//! Webhooks of others by the Standard Webhooks specification, under its headers' names or Svix': whether one is from who
//! knows a secret, is as it was sent, and was sent just now. What came before is for the caller to know by its id.

use super::WebhookSecret;

/// How far the sender's clock may be from ours, in seconds; also how long a copy of a message can be sent again.
pub const WINDOW_SECONDS: i64 = 300;
/// The longest id of a message.
const LONGEST_ID: usize = 128;
/// How many signatures of one message are looked at: one for each secret of the sender's.
const MOST_SIGNATURES: usize = 16;

/// What a message says of itself in its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `webhook-id`, which stays the same over all attempts.
    pub id: &'a str,
    /// `webhook-timestamp`, in seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: `v1,<base64>`, several apart by blanks.
    pub signature: &'a str,
}

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header is missing or cannot be read.
    #[error("a header is missing, or cannot be read")]
    Malformed,
    /// It was sent too long ago, or in the future.
    #[error("it was sent too long ago, or is from the future")]
    Stale,
    /// No signature is by any of the secrets.
    #[error("no signature is right")]
    Signature,
}

impl<'a> Signed<'a> {
    /// Reads the headers under either family of names; both in one message are no message.
    pub fn of(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Unverified> {
        let family = |prefix: &str| {
            let name = |part: &str| header(&format!("{prefix}-{part}"));
            Some(Self { id: name("id")?, timestamp: name("timestamp")?, signature: name("signature")? })
        };
        match (family("webhook"), family("svix")) {
            (Some(signed), None) | (None, Some(signed)) => Ok(signed),
            (Some(one), Some(other)) if one == other => Ok(one),
            _ => Err(Unverified::Malformed),
        }
    }

    /// Checks the message over the bytes of its body, as they came. `now` is in seconds since 1970. All secrets are
    /// tried, however early one fits.
    pub fn check(&self, secrets: &[WebhookSecret], body: &[u8], now: i64) -> Result<(), Unverified> {
        let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
        if self.id.is_empty() || self.id.len() > LONGEST_ID || !plain(self.id) {
            return Err(Unverified::Malformed);
        }
        let digits = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let sent: i64 = self.timestamp.parse().map_err(|_| Unverified::Malformed)?;
        // What is signed is the number, in the one way that it is written.
        if !digits || sent.to_string() != self.timestamp {
            return Err(Unverified::Malformed);
        }
        if now.abs_diff(sent) > WINDOW_SECONDS.unsigned_abs() {
            return Err(Unverified::Stale);
        }
        let mut fits = false;
        for secret in secrets {
            let Ok(expected) = secret.sign(self.id, sent, body) else { continue };
            for signature in self.signature.split(' ').take(MOST_SIGNATURES) {
                fits |= is_same(signature.as_bytes(), expected.as_bytes());
            }
        }
        if fits { Ok(()) } else { Err(Unverified::Signature) }
    }
}

/// Compares in a time that depends on the lengths alone.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
#[path = "tests/inbound.rs"]
mod tests;
