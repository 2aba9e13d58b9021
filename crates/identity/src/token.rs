//! JSON web tokens that somebody else signed: RS256 and nothing else (RFC 7515, RFC 7519, RFC 8725).
//!
//! The header says which key; it never says which algorithm to use, and a token that names another is refused before
//! anything of it is looked at. What the claims must say besides their times is for the caller, who knows whose they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far another's clock may be from ours, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;
/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed by another algorithm, or wants something that we do not know.
    #[error("the token is not signed by RS256")]
    Algorithm,
    /// Nobody we trust has its key.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The keys cannot be had now.
    #[error("the keys to check the token with cannot be had")]
    KeysUnavailable,
    /// Somebody changed it, or made it up.
    #[error("the token's signature is not right")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is another's, for another, or lacks what it must say: the claim's name.
    #[error("the token's {0} is not right")]
    Claim(&'static str),
}

/// A public key that tokens are checked with.
#[derive(Clone)]
pub struct PublicKey(RsaPublicKeyComponents<Vec<u8>>);

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicKey(RSA)")
    }
}

impl PublicKey {
    /// From modulus and exponent, big-endian. `None` for keys of less than 2048 bits.
    #[must_use]
    pub fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<Self> {
        let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
        let exponent_fits = matches!(exponent.len(), 1..=8) && exponent.iter().any(|byte| *byte != 0);
        (significant >= 256 && exponent_fits)
            .then_some(Self(RsaPublicKeyComponents { n: modulus, e: exponent }))
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}

/// A token that was taken apart, and not yet checked.
#[derive(Debug)]
pub struct Unchecked<'a> {
    /// Which key it says it is signed with.
    pub key_id: String,
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// What a token says, once its signature and its times are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims(pub Map<String, Value>);

impl<'a> Unchecked<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        let header: Header = read(header)?;
        if header.alg != "RS256" || header.crit.is_some() {
            return Err(TokenError::Algorithm);
        }
        let key_id =
            header.kid.filter(|kid| !kid.is_empty() && kid.len() <= 256).ok_or(TokenError::UnknownKey)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        Ok(Self { key_id, signed, claims, signature })
    }

    /// Checks signature and times, in seconds since 1970. A token without an end is refused.
    pub fn check(&self, key: &PublicKey, now: i64) -> Result<Claims, TokenError> {
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(TokenError::Signature);
        }
        let claims = Claims(read(self.claims)?);
        let end = claims.seconds("exp").ok_or(TokenError::Claim("exp"))?;
        if now >= end.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenError::Expired);
        }
        for begin in ["nbf", "iat"] {
            if claims.0.contains_key(begin) {
                let begin_at = claims.seconds(begin).ok_or(TokenError::Claim(begin))?;
                if begin_at > now.saturating_add(LEEWAY_SECONDS) {
                    return Err(TokenError::NotYet);
                }
            }
        }
        Ok(claims)
    }
}

impl Claims {
    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a moment, in whole seconds since 1970 (RFC 7519, section 2, `NumericDate`). A fraction is cut off;
    /// what no clock shows is none (`1.5e30`).
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let text = self.0.get(name)?.as_number()?.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let is_plain = fraction.bytes().all(|digit| digit.is_ascii_digit());
        whole.parse().ok().filter(|_| is_plain)
    }

    /// Whether the audience names this one, alone or among others.
    #[must_use]
    pub fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
#[path = "tests/token.rs"]
mod tests;
