//! Somebody who signs tokens, for tests: real RSA keys, made by the system's OpenSSL, as no crate of ours makes any.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::token::PublicKey;

/// A signer.
#[derive(Debug)]
pub struct Signer {
    kid: String,
    pair: RsaKeyPair,
}

/// A part of a token.
#[must_use]
pub fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

#[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
impl Signer {
    /// A signer with a fresh key of 2048 bits under this name.
    #[must_use]
    pub fn new(kid: &str) -> Self {
        let der = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"])
            .stderr(std::process::Stdio::null())
            .output()
            .unwrap();
        // Which of the two forms it writes depends on its version.
        let pair =
            RsaKeyPair::from_der(&der.stdout).or_else(|_| RsaKeyPair::from_pkcs8(&der.stdout)).unwrap();
        Self { kid: kid.to_owned(), pair }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let public = self.components();
        PublicKey::rsa(public.n, public.e).unwrap()
    }

    /// The public half as an entry of a JWKS document.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let public = self.components();
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
        })
    }

    fn components(&self) -> RsaPublicKeyComponents<Vec<u8>> {
        self.pair.public().into()
    }

    /// A token that says this.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "RS256", "typ": "JWT", "kid": self.kid}), claims)
    }

    /// A token under a header of one's own.
    #[must_use]
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A signature over anything.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// The signature of a webhook's message by the Standard Webhooks specification, made without the library that checks
/// it: `v1,<base64>` of HMAC-SHA256 over id, seconds and body.
#[must_use]
pub fn webhook_signature(secret: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, &signed)))
}
