//! GitHub, which vouches by OAuth 2.0 without tokens that name the person: it is asked who the access token is for
//! (docs.github.com, "Authorizing OAuth apps" and "REST API endpoints for emails", read in November 2026).

use std::time::Duration;

use costlens_domain::members::normal_email;
use serde::Deserialize;
use url::Url;

use crate::fetch::{Fetch, FetchError};
use crate::oidc::{Client, VouchError};
use crate::token::TokenError;
use crate::vouching::{Challenge, Vouched};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// GitHub, or a GitHub Enterprise server.
#[derive(Debug)]
pub struct Github {
    url: Url,
    api: String,
    client: Client,
    fetch: Fetch,
}

#[derive(Deserialize)]
struct Token {
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    #[serde(rename = "email")]
    address: String,
    primary: bool,
    verified: bool,
}

impl Github {
    /// The server's pages (`https://github.com`) and its API (`https://api.github.com`). `None` for what is no URL.
    #[must_use]
    pub fn new(url: &str, api: &str, client: Client, fetch: Fetch) -> Option<Self> {
        let url = Url::parse(url).ok().filter(Url::has_host)?;
        Some(Self { url, api: api.trim_end_matches('/').to_owned(), client, fetch })
    }

    /// By what name it vouches.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Where a browser is sent.
    #[must_use]
    pub fn authorize_url(&self, challenge: &Challenge<'_>) -> String {
        let mut url = self.url.clone();
        url.set_path("/login/oauth/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &self.client.id)
            .append_pair("redirect_uri", challenge.redirect_uri)
            .append_pair("scope", "read:user user:email")
            .append_pair("state", challenge.state)
            .append_pair("code_challenge", &challenge.pkce_challenge())
            .append_pair("code_challenge_method", "S256");
        if challenge.anew {
            // It can show the person its accounts, and asks for nothing more.
            url.query_pairs_mut().append_pair("prompt", "select_account");
        }
        url.into()
    }

    /// Whom the code that came back is for.
    pub async fn redeem(&self, code: &str, challenge: &Challenge<'_>) -> Result<Vouched, VouchError> {
        let form = [
            ("client_id", self.client.id.as_str()),
            ("client_secret", &self.client.secret),
            ("code", code),
            ("redirect_uri", challenge.redirect_uri),
            ("code_verifier", challenge.verifier),
        ];
        let url = format!("{}/login/oauth/access_token", self.issuer());
        // A refused code is answered with status 200 and no token.
        let token: Token = match self.fetch.post_form(&url, &form, PATIENCE).await {
            Ok(token) => token,
            Err(FetchError::Status(400..=403)) => return Err(VouchError::Refused),
            Err(error) => return Err(VouchError::Unreachable(error)),
        };
        let token = token.access_token.ok_or(VouchError::Refused)?;
        let user: User = self.get("/user", &token).await?;
        if user.id == 0 {
            return Err(VouchError::Token(TokenError::Claim("id")));
        }
        let emails: Vec<Email> = self.get("/user/emails", &token).await?;
        let primary = emails.into_iter().find(|email| email.primary && email.verified);
        Ok(Vouched {
            issuer: self.issuer(),
            subject: user.id.to_string(),
            email: primary.and_then(|email| normal_email(&email.address)),
            name: Some(user.name.filter(|name| !name.trim().is_empty()).unwrap_or(user.login)),
            authenticated_at: None,
        })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, VouchError> {
        let url = format!("{}{path}", self.api);
        self.fetch.get_json(&url, Some(token), PATIENCE).await.map_err(VouchError::Unreachable)
    }
}
