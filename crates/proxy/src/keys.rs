//! Who calls: API keys and their tenants' connections, kept in memory for a moment.
//!
//! A key is looked up by the SHA-256 of what was presented. It is served from memory while fresh, and, if the
//! database cannot be reached, until it is `key_stale` old; a key that memory does not hold is then refused:
//! authentication fails closed. A change of any key or connection empties the memory at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_domain::keys::KeyScope;
use costlens_store::{ApiKey, Connection, FoundKey, Store, StoreError};
use costlens_vault::{Keyring, SealedFor, TenantKeys, TokenHash};
use zeroize::Zeroizing;

use crate::config::ProxyConfig;
use crate::route::{Target, known_provider};

/// A caller that is let in: its key, and where it can go.
#[derive(Debug)]
pub struct Caller {
    /// The key's record.
    pub key: ApiKey,
    /// From when on it is refused, however fresh memory is.
    pub valid_until: Option<DateTime<Utc>>,
    /// The tenant's enabled connections, oldest first.
    pub targets: Vec<Target>,
}

impl Caller {
    /// Whether a connection's secret waits for the key service.
    fn is_locked(&self) -> bool {
        self.targets.iter().any(|target| target.locked.is_some())
    }
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    /// No key has this secret.
    #[error("the key is not known")]
    Unknown,
    /// The key was revoked.
    #[error("the key has been revoked")]
    Revoked,
    /// It is past its end, or the secret is one from before it was rolled.
    #[error("the key has expired")]
    Expired,
    /// It may not be used for calls.
    #[error("the key may not be used for calls")]
    Scope,
    /// Its account is being closed.
    #[error("the account is being closed")]
    Closing,
    /// The database cannot say.
    #[error("the key cannot be checked")]
    Unavailable(#[source] StoreError),
}

struct Kept {
    caller: Arc<Caller>,
    loaded: Instant,
    /// When the database was last asked again, in milliseconds after `loaded`.
    asked: AtomicU64,
}

impl Kept {
    fn new(caller: Arc<Caller>) -> Self {
        Self { caller, loaded: Instant::now(), asked: AtomicU64::new(0) }
    }

    /// True for one caller a second.
    fn may_ask(&self) -> bool {
        let now = u64::try_from(self.loaded.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.asked.load(Ordering::Relaxed);
        now.saturating_sub(last) >= ASK_EVERY_MS
            && self.asked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The longest wait for news of a key that memory still vouches for.
const ASK_WITHIN: Duration = Duration::from_millis(100);

/// How often such news is asked for.
const ASK_EVERY_MS: u64 = 1_000;

/// The pause before listening for changes again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// More keys than this are never kept; past it the memory starts anew.
const KEPT_KEYS: usize = 100_000;

/// The keys in memory, over the store.
pub struct KeyRing {
    store: Store,
    keyring: Arc<Keyring>,
    fresh: Duration,
    stale: Duration,
    overrides: HashMap<String, costlens_egress::EndpointUrl>,
    policy: costlens_egress::Policy,
    kept: RwLock<HashMap<TokenHash, Arc<Kept>>>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

impl KeyRing {
    /// A ring over this store; connections are opened with this keyring and checked against this policy.
    #[must_use]
    pub fn new(
        store: Store,
        keyring: Arc<Keyring>,
        policy: costlens_egress::Policy,
        config: &ProxyConfig,
    ) -> Self {
        Self {
            store,
            keyring,
            fresh: config.key_fresh,
            stale: config.key_stale,
            overrides: config.provider_base_urls.clone(),
            policy,
            kept: RwLock::default(),
        }
    }

    /// The caller behind a secret that is presented now.
    pub async fn caller(&self, presented: &str, now: DateTime<Utc>) -> Result<Arc<Caller>, KeyRefusal> {
        let caller = self.known(presented).await?;
        if caller.valid_until.is_some_and(|end| end <= now) {
            return Err(KeyRefusal::Expired);
        }
        Ok(caller)
    }

    async fn known(&self, presented: &str) -> Result<Arc<Caller>, KeyRefusal> {
        let hash = TokenHash::of(presented);
        let kept = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            kept.get(&hash).cloned()
        };
        let Some(kept) = kept else { return self.look_up(hash).await };
        let age = kept.loaded.elapsed();
        if age < self.fresh {
            return Ok(Arc::clone(&kept.caller));
        }
        if age >= self.stale {
            return self.look_up(hash).await;
        }
        // Not fresh, and still good if the database is away. One call at a time asks, and does not wait for long:
        // an outage must not slow down every call by the time it takes to notice it.
        if kept.may_ask() {
            match tokio::time::timeout(ASK_WITHIN, self.look_up(hash)).await {
                Ok(Err(KeyRefusal::Unavailable(_))) | Err(_) => {}
                Ok(answer) => return answer,
            }
        }
        Ok(Arc::clone(&kept.caller))
    }

    /// Asks the database, and remembers.
    async fn look_up(&self, hash: TokenHash) -> Result<Arc<Caller>, KeyRefusal> {
        match self.load(&hash).await {
            Ok(caller) => {
                let caller = Arc::new(caller);
                let mut all = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                // What memory still vouches for is better than what cannot be opened now.
                if caller.is_locked()
                    && let Some(kept) = all.get(&hash)
                    && kept.loaded.elapsed() < self.stale
                    && !kept.caller.is_locked()
                {
                    return Ok(Arc::clone(&kept.caller));
                }
                if all.len() >= KEPT_KEYS {
                    all.clear();
                }
                all.insert(hash, Arc::new(Kept::new(Arc::clone(&caller))));
                Ok(caller)
            }
            Err(refusal) => {
                if !matches!(refusal, KeyRefusal::Unavailable(_)) {
                    self.kept.write().unwrap_or_else(PoisonError::into_inner).remove(&hash);
                }
                Err(refusal)
            }
        }
    }

    /// Forgets everything: some key or connection changed.
    pub fn forget(&self) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets on every change that the database tells of, for as long as this is polled. Whenever the listener
    /// was away, something may have changed unheard: then everything is forgotten, too.
    pub async fn follow_changes(&self) {
        loop {
            if let Ok(mut changes) = self.store.key_changes().await {
                self.forget();
                while changes.next().await.is_ok() {
                    self.forget();
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn load(&self, hash: &TokenHash) -> Result<Caller, KeyRefusal> {
        let mut conn = self.store.system().await.map_err(KeyRefusal::Unavailable)?;
        let key = conn.key_by_hash(&hash.0).await.map_err(KeyRefusal::Unavailable)?;
        let FoundKey { key, valid_until, closing } = key.ok_or(KeyRefusal::Unknown)?;
        if key.revoked_at.is_some() {
            return Err(KeyRefusal::Revoked);
        }
        if !key.scopes.has(KeyScope::Proxy) {
            return Err(KeyRefusal::Scope);
        }
        if closing {
            return Err(KeyRefusal::Closing);
        }
        let connections = conn.connections_of(key.tenant_id).await.map_err(KeyRefusal::Unavailable)?;
        // After the connections: the key of a sealed text is there no later than the text.
        let keys = conn.data_keys_of(key.tenant_id).await.map_err(KeyRefusal::Unavailable)?;
        let keys: Vec<_> = keys.into_iter().map(|key| (key.version, key.wrapped)).collect();
        // No connection is held while a key service thinks. What it does not open is told by whoever needs it.
        drop(conn);
        let _told_by_whoever_needs_it = self.keyring.ready(key.tenant_id, &keys).await;
        let keys = self.keyring.tenant(key.tenant_id, &keys);
        let targets = connections.into_iter().filter_map(|connection| self.open(&keys, connection)).collect();
        Ok(Caller { key, valid_until, targets })
    }

    /// A connection ready to be called. One that cannot be is left out and said so: the others still work.
    fn open(&self, keys: &TenantKeys<'_>, connection: Connection) -> Option<Target> {
        let (id, tenant) = (connection.id, connection.tenant_id);
        let skip = |why: &str| {
            tracing::error!(connection.id = %id, tenant.id = %tenant, why, "a connection cannot be used");
        };
        let Some(provider) = known_provider(&connection.provider) else {
            skip("its provider is not known to this release");
            return None;
        };
        let endpoint = match (&connection.base_url, self.overrides.get(provider.name), provider.base_url) {
            (Some(own), _, _) => costlens_egress::EndpointUrl::parse(own, &self.policy),
            (None, Some(operators), _) => Ok(operators.clone()),
            (None, None, Some(public)) => costlens_egress::EndpointUrl::parse(public, &self.policy),
            (None, None, None) => {
                skip("it has no address");
                return None;
            }
        };
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(refused) => {
                skip(&refused.to_string());
                return None;
            }
        };
        let place = SealedFor { tenant, table: "connection", column: "sealed_secret", row: id.uuid() };
        let secret = match connection.sealed_secret.map(|sealed| keys.open(&place, &sealed)).transpose() {
            Ok(secret) => secret,
            // Its calls are refused for as long as the key service does not answer; others go on.
            Err(error) if error.is_passing() => {
                let (name, models) = (connection.name, connection.models);
                return Some(Target {
                    id,
                    name,
                    provider,
                    endpoint,
                    secret: None,
                    locked: Some(error),
                    models,
                });
            }
            Err(error) => {
                skip(&error.to_string());
                return None;
            }
        };
        let text = secret.map(|bytes| std::str::from_utf8(&bytes).map(str::to_owned)).transpose();
        let Ok(secret) = text.map(|text| text.map(Zeroizing::new)) else {
            skip("its secret is not text");
            return None;
        };
        Some(Target {
            id,
            name: connection.name,
            provider,
            endpoint,
            secret,
            locked: None,
            models: connection.models,
        })
    }
}
