//! Who vouches for people here, and what a sign-in by them is made of.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use crate::github::Github;
use crate::oidc::{Oidc, VouchError};

/// Somebody who vouches for people everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Voucher {
    /// Google.
    Google,
    /// GitHub, or a GitHub Enterprise server.
    Github,
}

impl Voucher {
    /// The stable name, as it stands in addresses and as a session's method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Github => "github",
        }
    }

    /// By its stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Google, Self::Github].into_iter().find(|voucher| voucher.as_str() == name)
    }
}

/// What one sign-in is made of, from the browser's departure to its return.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// What must come back with it.
    pub state: &'a str,
    /// What the token must name.
    pub nonce: &'a str,
    /// What only we can show for the code (RFC 7636): 43 to 128 characters.
    pub verifier: &'a str,
    /// Whether the person is to prove who it is though it is signed in there.
    pub anew: bool,
}

impl Challenge<'_> {
    /// What the browser carries of the verifier: its SHA-256.
    #[must_use]
    pub fn pkce_challenge(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.verifier.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }
}

/// A person, as somebody vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Who vouches.
    pub issuer: String,
    /// The person's name there, which never changes hands.
    pub subject: String,
    /// The person's address, if they checked that it reads it; in lower case.
    pub email: Option<String>,
    /// What it calls itself there.
    pub name: Option<String>,
    /// When it proved there who it is, where they tell: a sign-in there may be days old, and nobody was asked now.
    pub authenticated_at: Option<DateTime<Utc>>,
}

/// Everybody who vouches here.
#[derive(Debug, Default)]
pub struct Vouchers {
    /// Google, if the operator set it up.
    pub google: Option<Oidc>,
    /// GitHub, if the operator set it up.
    pub github: Option<Github>,
}

impl Vouchers {
    /// Those that are set up.
    pub fn offered(&self) -> impl Iterator<Item = Voucher> {
        let google = self.google.as_ref().map(|_| Voucher::Google);
        google.into_iter().chain(self.github.as_ref().map(|_| Voucher::Github))
    }

    /// Where a browser is sent; `None` where that one is not set up.
    pub async fn authorize_url(
        &self,
        voucher: Voucher,
        challenge: &Challenge<'_>,
    ) -> Option<Result<String, VouchError>> {
        match voucher {
            Voucher::Google => Some(self.google.as_ref()?.authorize_url(challenge).await),
            Voucher::Github => Some(Ok(self.github.as_ref()?.authorize_url(challenge))),
        }
    }

    /// Whom the code that came back is for.
    pub async fn redeem(
        &self,
        voucher: Voucher,
        code: &str,
        challenge: &Challenge<'_>,
    ) -> Option<Result<Vouched, VouchError>> {
        match voucher {
            Voucher::Google => Some(self.google.as_ref()?.redeem(code, challenge).await),
            Voucher::Github => Some(self.github.as_ref()?.redeem(code, challenge).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let challenge = Challenge {
            redirect_uri: "",
            state: "",
            nonce: "",
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            anew: false,
        };
        assert_eq!(challenge.pkce_challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
