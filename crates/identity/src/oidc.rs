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

/// A provider.
pub struct Oidc {
    issuer: String,
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
    /// A provider by its issuer. Nothing is asked before somebody wants to sign in.
    #[must_use]
    pub fn new(issuer: impl Into<String>, client: Client, fetch: Fetch, clock: Arc<dyn Clock>) -> Self {
        let issuer = issuer.into().trim_end_matches('/').to_owned();
        Self { issuer, client, fetch, clock, known: Mutex::default() }
    }

    /// By what name it vouches.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
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
        let issuer = claims.text("iss").ok_or(TokenError::Claim("iss"))?;
        if issuer.trim_end_matches('/') != self.issuer {
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
        let verified = matches!(claims.0.get("email_verified"), Some(Value::Bool(true)))
            || claims.text("email_verified") == Some("true");
        let email = claims.text("email").filter(|_| verified).and_then(normal_email);
        let name = claims.text("name").map(str::to_owned);
        Ok(Vouched { issuer: self.issuer.clone(), subject, email, name })
    }

    async fn known(&self) -> Result<Arc<Description>, VouchError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some((at, description)) = &*known
            && now - *at < FRESH
        {
            return Ok(Arc::clone(description));
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let document: Document =
            self.fetch.get_json(&url, None, PATIENCE).await.map_err(VouchError::Unreachable)?;
        if document.issuer.trim_end_matches('/') != self.issuer {
            return Err(VouchError::Description("issuer"));
        }
        let authorization_endpoint = Url::parse(&document.authorization_endpoint)
            .map_err(|_| VouchError::Description("authorization_endpoint"))?;
        // A browser is sent there: to a page, and not to a script.
        if !matches!(authorization_endpoint.scheme(), "https" | "http") {
            return Err(VouchError::Description("authorization_endpoint"));
        }
        let description = Arc::new(Description {
            authorization_endpoint,
            token_endpoint: document.token_endpoint,
            jwks: Jwks::at(document.jwks_uri, self.fetch.clone(), Arc::clone(&self.clock)),
        });
        *known = Some((now, Arc::clone(&description)));
        Ok(description)
    }
}
