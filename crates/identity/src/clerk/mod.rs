//! Clerk, which keeps people and organisations for us where the operator wants it (ADR 0019; clerk.com/docs, "Session
//! tokens", "Manual JWT verification", "Backend API" and "Webhooks", read in November 2026).
//!
//! * [`Clerk::verify`]: a session token, checked without asking anybody. It lives for a minute.
//! * [`backend`]: what a token cannot know, asked for at sign-in, at most an hour apart, and by the nightly sweep.
//! * [`events`]: what its webhooks tell, as facts.

pub mod backend;
pub mod events;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::Role;
use costlens_domain::ports::Clock;
use serde_json::Value;

use crate::fetch::Fetch;
use crate::jwks::Jwks;
use crate::token::{Claims, TokenError};
use backend::{Backend, is_id};

/// No token counts that lives for longer than this: Clerk's own live for a minute.
const LONGEST_LIFE: TimeDelta = TimeDelta::hours(1);

/// How Clerk is reached, and what is expected of it.
#[derive(Clone)]
pub struct ClerkConfig {
    /// The instance's Frontend API, which signs: `https://clerk.example.com`. No slash at its end.
    pub issuer: String,
    /// The Backend API: `https://api.clerk.com`.
    pub api_url: String,
    /// The key to the Backend API.
    pub secret_key: zeroize::Zeroizing<String>,
    /// The origins that tokens may be made for.
    pub authorized_parties: Vec<String>,
    /// The instance whose messages are meant.
    pub instance_id: String,
    /// Where browsers sign in.
    pub sign_in_url: String,
}

impl std::fmt::Debug for ClerkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClerkConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// One instance of Clerk.
#[derive(Debug)]
pub struct Clerk {
    config: ClerkConfig,
    jwks: Jwks,
    backend: Backend,
    clock: Arc<dyn Clock>,
}

/// What a session token says, once all of it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClerkToken {
    /// The person, `user_…`.
    pub person: String,
    /// Its session there, `sess_…`.
    pub session: String,
    /// The organisation that the person looks at, `org_…`, and as what; `None` where it looks at what is its own.
    pub organization: Option<(String, Role)>,
    /// When the person last proved its first factor, and its second; `None` for one that it never did.
    pub proofs: [Option<DateTime<Utc>>; 2],
    /// Who else acts in the person's name, if somebody does; empty where that is not said.
    pub impersonator: Option<String>,
}

impl Clerk {
    /// An instance. Nothing is asked before the first token.
    #[must_use]
    pub fn new(config: ClerkConfig, fetch: Fetch, clock: Arc<dyn Clock>) -> Self {
        let keys = format!("{}/.well-known/jwks.json", config.issuer);
        let jwks = Jwks::at(keys, fetch.clone(), Arc::clone(&clock));
        let backend = Backend::new(config.api_url.clone(), config.secret_key.clone(), fetch);
        Self { config, jwks, backend, clock }
    }

    /// By what name it vouches.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The instance whose messages are meant.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.config.instance_id
    }

    /// Where browsers sign in.
    #[must_use]
    pub fn sign_in_url(&self) -> &str {
        &self.config.sign_in_url
    }

    /// What a token cannot know.
    #[must_use]
    pub const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Checks a session token: signature and times, then whose it is, whom it is for and that it is whole.
    pub async fn verify(&self, token: &str) -> Result<ClerkToken, TokenError> {
        let claims = self.jwks.check(token).await?;
        read(&claims, &self.config, self.clock.now())
    }
}

fn read(claims: &Claims, config: &ClerkConfig, now: DateTime<Utc>) -> Result<ClerkToken, TokenError> {
    if claims.text("iss") != Some(&config.issuer) {
        return Err(TokenError::Claim("iss"));
    }
    // Tokens that were made outside of a browser name no origin.
    if let Some(party) = claims.0.get("azp")
        && !party.as_str().is_some_and(|party| config.authorized_parties.iter().any(|known| known == party))
    {
        return Err(TokenError::Claim("azp"));
    }
    if claims.0.get("sts").is_some_and(|status| status != "active") {
        return Err(TokenError::Claim("sts"));
    }
    // Organisations were told in another way before, which would be taken for none.
    if claims.seconds("v") != Some(2) {
        return Err(TokenError::Claim("v"));
    }
    let (issued, ends) = (claims.seconds("iat"), claims.seconds("exp"));
    let lives = issued.zip(ends).and_then(|(issued, ends)| ends.checked_sub(issued));
    if !lives.is_some_and(|lives| (0..=LONGEST_LIFE.num_seconds()).contains(&lives)) {
        return Err(TokenError::Claim("exp"));
    }
    let id = |name: &'static str| {
        claims.text(name).filter(|id| is_id(id)).map(str::to_owned).ok_or(TokenError::Claim(name))
    };
    let organization = match claims.0.get("o") {
        None | Some(Value::Null) => None,
        Some(of) => {
            let text = |name: &str| of.get(name).and_then(Value::as_str);
            let organization = text("id").filter(|id| is_id(id)).ok_or(TokenError::Claim("o"))?;
            Some((organization.to_owned(), role(text("rol").unwrap_or_default())))
        }
    };
    Ok(ClerkToken {
        person: id("sub")?,
        session: id("sid")?,
        organization,
        proofs: proofs(claims.0.get("fva"), now),
        impersonator: claims.0.get("act").filter(|act| !act.is_null()).map(|act| {
            let who = act.get("sub").and_then(Value::as_str).filter(|id| is_id(id));
            who.unwrap_or_default().to_owned()
        }),
    })
}

/// When each factor was proven, from the minutes since then; -1 and whatever is no such number is never.
fn proofs(ages: Option<&Value>, now: DateTime<Utc>) -> [Option<DateTime<Utc>>; 2] {
    let age = |index| {
        let minutes = ages?.get(index)?.as_i64().filter(|minutes| *minutes >= 0)?;
        now.checked_sub_signed(TimeDelta::try_minutes(minutes)?)
    };
    [age(0), age(1)]
}

/// As what a member over there belongs here. A role that is not known here may do the least.
#[must_use]
pub fn role(name: &str) -> Role {
    match name.strip_prefix("org:").unwrap_or(name) {
        "admin" | "owner" => Role::Owner,
        "manager" => Role::Admin,
        "analyst" => Role::Analyst,
        "member" | "basic_member" => Role::Member,
        _ => Role::Viewer,
    }
}

#[cfg(test)]
#[path = "../tests/clerk.rs"]
mod tests;
