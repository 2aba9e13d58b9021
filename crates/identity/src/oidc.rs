//! Somebody who vouches for people by OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0,
//! section 3.1; RFC 7636; RFC 9700).

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::members::normal_email;
use costlens_domain::ports::Clock;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use crate::fetch::{Fetch, FetchError};
use crate::jwks::Jwks;
use crate::token::{Claims, TokenError};
use crate::vouching::{Challenge, Vouched};

/// How long what a provider says of itself is believed.
const FRESH: TimeDelta = TimeDelta::hours(24);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nobody was vouched for.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// It cannot be asked now.
    #[error("whoever vouches cannot be asked")]
    Unreachable(#[source] FetchError),
    /// It does not know the code, or refuses it.
    #[error("whoever vouches refused the code")]
    Refused,
    /// What it says of itself is not right: the member's name.
    #[error("whoever vouches describes itself wrongly: {0}")]
    Description(&'static str),
    /// What it says of the person does not hold.
    #[error("what was said of the person does not hold")]
    Token(#[source] TokenError),
}

/// Who we are there.
#[derive(Clone)]
pub struct Client {
    /// Our name there.
    pub id: String,
    /// Our password there.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// For whom a provider vouches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anybody, as Google does: an address counts only where it says that it checked it.
    Anybody,
    /// Its own people, in domains that are proven to be theirs: an address counts unless it says that it did not check it,
    /// as many such providers do not say.
    OwnPeople,
}

/// A provider.
pub struct Oidc {
    issuer: String,
    reach: Reach,
    client: Client,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<(DateTime<Utc>, Arc<Description>)>>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug)]
struct Description {
    authorization_endpoint: Url,
    token_endpoint: String,
    jwks: Jwks,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

impl Oidc {
    /// A provider by its issuer, to the last character. Nothing is asked before somebody wants to sign in.
    #[must_use]
    pub fn new(
        (issuer, reach): (impl Into<String>, Reach),
        client: Client,
        fetch: Fetch,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { issuer: issuer.into(), reach, client, fetch, clock, known: Mutex::default() }
    }

    /// By what name it vouches.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether it can be asked, and describes itself rightly.
    pub async fn introduce(&self) -> Result<(), VouchError> {
        self.known().await.map(drop)
    }

    /// Where a browser is sent.
    pub async fn authorize_url(&self, challenge: &Challenge<'_>) -> Result<String, VouchError> {
        let known = self.known().await?;
        let mut url = known.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.id)
            .append_pair("redirect_uri", challenge.redirect_uri)
            .append_pair("scope", "openid email profile")
            .append_pair("state", challenge.state)
            .append_pair("nonce", challenge.nonce)
            .append_pair("code_challenge", &challenge.pkce_challenge())
            .append_pair("code_challenge_method", "S256");
        if challenge.anew {
            // OpenID Connect Core 1.0, section 3.1.2.1. What is asked for here can be taken out on its way through the
            // browser; `auth_time` tells whether it was done.
            let asked: &[_] = match self.reach {
                // Google refuses `login` and overlooks `max_age`: the person is shown its accounts, and no more.
                Reach::Anybody => &[("prompt", "select_account")],
                Reach::OwnPeople => &[("prompt", "login"), ("max_age", "0")],
            };
            url.query_pairs_mut().extend_pairs(asked);
        }
        Ok(url.into())
    }

    /// Whom the code that came back is for.
    pub async fn redeem(&self, code: &str, challenge: &Challenge<'_>) -> Result<Vouched, VouchError> {
        let known = self.known().await?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", challenge.redirect_uri),
            ("client_id", &self.client.id),
            ("client_secret", &self.client.secret),
            ("code_verifier", challenge.verifier),
        ];
        let tokens: Tokens = match self.fetch.post_form(&known.token_endpoint, &form, PATIENCE).await {
            Ok(tokens) => tokens,
            Err(FetchError::Status(400 | 401 | 403)) => return Err(VouchError::Refused),
            Err(error) => return Err(VouchError::Unreachable(error)),
        };
        let token = tokens.id_token.ok_or(VouchError::Token(TokenError::Malformed))?;
        let claims = known.jwks.check(&token).await.map_err(VouchError::Token)?;
        self.vouched(&claims, challenge.nonce).map_err(VouchError::Token)
    }

    /// OpenID Connect Core 1.0, section 3.1.3.7.
    fn vouched(&self, claims: &Claims, nonce: &str) -> Result<Vouched, TokenError> {
        if claims.text("iss") != Some(&self.issuer) {
            return Err(TokenError::Claim("iss"));
        }
        if !claims.is_for(&self.client.id) {
            return Err(TokenError::Claim("aud"));
        }
        if claims.text("azp").is_some_and(|azp| azp != self.client.id) {
            return Err(TokenError::Claim("azp"));
        }
        if claims.text("nonce") != Some(nonce) {
            return Err(TokenError::Claim("nonce"));
        }
        let subject = claims.text("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255);
        let subject = subject.ok_or(TokenError::Claim("sub"))?.to_owned();
        // Some say it as a text.
        let believed = match (claims.0.get("email_verified"), self.reach) {
            (Some(Value::Bool(checked)), _) => *checked,
            (Some(Value::String(checked)), _) => checked == "true",
            (None, Reach::OwnPeople) => true,
            _ => false,
        };
        let email = claims.text("email").filter(|_| believed).and_then(normal_email);
        let name = claims.text("name").map(str::to_owned);
        let authenticated_at = match claims.0.get("auth_time") {
            None | Some(Value::Null) => None,
            Some(_) => {
                let at = claims.seconds("auth_time").and_then(|seconds| DateTime::from_timestamp(seconds, 0));
                Some(at.ok_or(TokenError::Claim("auth_time"))?)
            }
        };
        Ok(Vouched { issuer: self.issuer.clone(), subject, email, name, authenticated_at })
    }

    async fn known(&self) -> Result<Arc<Description>, VouchError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some((at, description)) = &*known
            && now - *at < FRESH
        {
            return Ok(Arc::clone(description));
        }
        // OpenID Connect Discovery 1.0, section 4.
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document: Document =
            self.fetch.get_json(&url, None, PATIENCE).await.map_err(VouchError::Unreachable)?;
        if document.issuer != self.issuer {
            return Err(VouchError::Description("issuer"));
        }
        // A browser is sent to the first of them: to a page by https, and not to a script.
        for (endpoint, name) in [
            (&document.authorization_endpoint, "authorization_endpoint"),
            (&document.token_endpoint, "token_endpoint"),
            (&document.jwks_uri, "jwks_uri"),
        ] {
            self.fetch.judge(endpoint).map_err(|_| VouchError::Description(name))?;
        }
        let authorization_endpoint = Url::parse(&document.authorization_endpoint)
            .map_err(|_| VouchError::Description("authorization_endpoint"))?;
        let description = Arc::new(Description {
            authorization_endpoint,
            token_endpoint: document.token_endpoint,
            jwks: Jwks::at(document.jwks_uri, self.fetch.clone(), Arc::clone(&self.clock)),
        });
        *known = Some((now, Arc::clone(&description)));
        Ok(description)
    }
}
