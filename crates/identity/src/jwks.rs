//! The keys of somebody who signs tokens (RFC 7517), fetched when first wanted and kept.
//!
//! A token that names a key we do not know is the sign of a rotation, or an attack: the keys are fetched anew, at most
//! once a minute however many such tokens come. While they cannot be fetched, the last good ones are used for a day, and
//! then nobody gets in by them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ports::Clock;
use serde::Deserialize;

use crate::fetch::{Fetch, FetchError};
use crate::token::{Claims, PublicKey, TokenError, Unchecked};

/// How often keys are fetched at most.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// How long keys are used without being fetched anew, where that works.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// How long keys are used while they cannot be fetched.
const LAST_GOOD: TimeDelta = TimeDelta::hours(24);
/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody's keys. Cheap to clone; clones share what was fetched.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    url: String,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    state: std::sync::Mutex<State>,
    /// Held by the one that fetches.
    fetching: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Jwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwks").field("url", &self.0.url).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    keys: HashMap<String, PublicKey>,
    fetched_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwks {
    /// The keys at this address. Nothing is fetched before the first token.
    #[must_use]
    pub fn at(url: impl Into<String>, fetch: Fetch, clock: Arc<dyn Clock>) -> Self {
        let (state, fetching) = Default::default();
        Self(Arc::new(Shared { url: url.into(), fetch, clock, state, fetching }))
    }

    /// Checks a token's signature and times. A token under a known key waits for nobody.
    pub async fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let token = Unchecked::parse(token)?;
        let key = self.key(&token.key_id).await?;
        token.check(&key, self.0.clock.now().timestamp())
    }

    async fn key(&self, id: &str) -> Result<PublicKey, TokenError> {
        let found = self.0.look(id);
        match found {
            Found::Known(key) => Ok(key),
            Found::Stale(key) => {
                let shared = Arc::clone(&self.0);
                tokio::spawn(async move { shared.refresh().await });
                Ok(key)
            }
            Found::Missing => {
                self.0.refresh().await;
                match self.0.look(id) {
                    Found::Known(key) | Found::Stale(key) => Ok(key),
                    Found::Missing if self.0.has_keys() => Err(TokenError::UnknownKey),
                    Found::Missing => Err(TokenError::KeysUnavailable),
                }
            }
        }
    }
}

enum Found {
    Known(PublicKey),
    /// Usable, and due to be fetched anew.
    Stale(PublicKey),
    Missing,
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn look(&self, id: &str) -> Found {
        let state = self.state();
        let age = state.fetched_at.map(|at| self.clock.now() - at);
        match (state.keys.get(id), age) {
            (Some(key), Some(age)) if age < FRESH => Found::Known(key.clone()),
            (Some(key), Some(age)) if age < LAST_GOOD => Found::Stale(key.clone()),
            _ => Found::Missing,
        }
    }

    fn has_keys(&self) -> bool {
        self.state().fetched_at.is_some_and(|at| self.clock.now() - at < LAST_GOOD)
    }

    /// Fetches the keys, unless that was tried within the last minute. Of several at once one does.
    async fn refresh(&self) {
        let _one = self.fetching.lock().await;
        let now = self.clock.now();
        {
            let mut state = self.state();
            if state.tried_at.is_some_and(|at| now - at < PAUSE) {
                return;
            }
            state.tried_at = Some(now);
        }
        match self.load().await {
            Ok(keys) => {
                let mut state = self.state();
                state.keys = keys;
                state.fetched_at = Some(now);
            }
            Err(error) => {
                tracing::warn!(
                    url = self.url,
                    error = &error as &dyn std::error::Error,
                    "keys cannot be fetched"
                );
            }
        }
    }

    async fn load(&self) -> Result<HashMap<String, PublicKey>, FetchError> {
        let document: Document = self.fetch.get_json(&self.url, None, PATIENCE).await?;
        let keys: HashMap<_, _> = document.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() { Err(FetchError::Shape) } else { Ok(keys) }
    }
}

/// A key that signs by RS256; others are passed over.
fn key(entry: Entry) -> Option<(String, PublicKey)> {
    let signs = entry.purpose.is_none_or(|purpose| purpose == "sig");
    let by_rs256 = entry.alg.is_none_or(|alg| alg == "RS256");
    if entry.kty != "RSA" || !signs || !by_rs256 {
        return None;
    }
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    Some((entry.kid?, PublicKey::rsa(bytes(entry.n)?, bytes(entry.e)?)?))
}

#[cfg(test)]
#[path = "tests/jwks.rs"]
mod tests;
