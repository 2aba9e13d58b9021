//! Who calls: API keys and their tenants' connections, kept in memory for a moment.
//!
//! A key is looked up by the SHA-256 of what was presented. It is served from memory while fresh, and, if the
//! database cannot be reached, until it is `key_stale` old; a key that memory does not hold is then refused:
//! authentication fails closed. A change of a tenant's keys or connections empties the memory of that tenant at once;
//! where changes may have gone unheard all of it is doubted, and each key is asked about again as soon as the database
//! answers. What is older than `key_stale` leaves memory within a minute: it holds secrets in the clear.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_domain::charging::place_apart;
use costlens_domain::keys::KeyScope;
use costlens_domain::ports::{Clock, Entropy};
use costlens_domain::privacy::{BodyClass, BodyDecision};
use costlens_domain::{ApiKeyId, TenantId};
use costlens_store::{ApiKey, Connection, FoundKey, Store, StoreError, SubjectKey, SystemConn};
use costlens_vault::{Keyring, SealError, SealedFor, SubjectKeys, TenantKeys, TokenHash};
use zeroize::Zeroizing;

use crate::config::ProxyConfig;
use crate::kept::{Kept, KeptCallers, drop_stale};
use crate::route::{Target, charging, known_provider};

/// A caller that is let in: its key, and where it can go.
#[derive(Debug)]
pub struct Caller {
    /// The key's record.
    pub key: ApiKey,
    /// From when on it is refused, however fresh memory is.
    pub valid_until: Option<DateTime<Utc>>,
    /// The tenant's enabled connections, oldest first.
    pub targets: Vec<Target>,
    /// What becomes of its prompts and answers.
    pub bodies: BodyRule,
    /// When the database said all this.
    pub loaded: Instant,
}

/// What becomes of a caller's prompts and answers.
#[derive(Debug)]
pub enum BodyRule {
    /// Nobody asked for them.
    Ignore,
    /// Zero Data Retention: they may not be kept.
    Drop,
    /// They are to be kept, and sealed for this caller.
    Keep(Arc<Keeping>),
    /// They are to be kept, and nothing can seal them.
    Unavailable,
}

/// How a caller's prompts and answers are kept.
#[derive(Debug)]
pub struct Keeping {
    /// Whose.
    pub tenant: TenantId,
    /// Whose key seals them.
    pub subject: ApiKeyId,
    /// Without personal data.
    pub redact: bool,
    /// For how long.
    pub class: BodyClass,
    /// The subject's keys.
    pub keys: SubjectKeys,
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

/// What the store says of a key's prompts and answers, and the key's own data keys where there is something to keep.
type BodyWish = (BodyDecision, Vec<SubjectKey>);

async fn body_wish(conn: &mut SystemConn, key: &ApiKey) -> Result<BodyWish, StoreError> {
    let decision = conn.privacy_of(key.tenant_id).await?.decide(key.zero_retention);
    let keys = match decision {
        BodyDecision::Keep { .. } => conn.subject_keys_of(key.tenant_id, key.id).await?,
        BodyDecision::Ignore | BodyDecision::Drop => Vec::new(),
    };
    Ok((decision, keys))
}

/// Why prompts and answers that are to be kept are not.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The longest wait for news of a key that memory still vouches for.
const ASK_WITHIN: Duration = Duration::from_millis(100);

/// The longest wait for news of a key that may have changed while nobody listened.
const DOUBT_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// The longest wait for the database's word on a key that memory does not know: a database that hangs refuses nothing by
/// itself.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// For so long it is known that a tenant's keys were forgotten: longer than anybody waits for the database's answer.
const FORGOTTEN_FOR: Duration = Duration::from_mins(10);

/// After so long without a change the listening connection is asked whether it is still there, and has as long to say
/// so: a change is heard, or known to go unheard, within a second.
const QUIET: Duration = Duration::from_millis(400);

/// The pause before listening for changes again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How often memory is rid of what is too old to be used.
const TIDY_EVERY: Duration = Duration::from_mins(1);

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
    kept: KeptCallers,
    /// When the tenants' keys were forgotten, of those that may still be asked about.
    forgotten: Mutex<HashMap<TenantId, Instant>>,
    /// Whether changes are heard of as they happen.
    hears: AtomicBool,
    /// What was loaded before this moment may have changed unheard.
    doubted_before: RwLock<Instant>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
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
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        Self {
            store,
            keyring,
            fresh: config.key_fresh,
            stale: config.key_stale,
            overrides: config.provider_base_urls.clone(),
            policy,
            kept: RwLock::default(),
            forgotten: Mutex::default(),
            hears: AtomicBool::new(false),
            doubted_before: RwLock::new(Instant::now()),
            clock,
            entropy,
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
        let age = kept.caller.loaded.elapsed();
        // Where changes may have gone unheard, memory is trusted for less than the second in which they must hold.
        let is_heard_of = self.is_heard_of(&kept.caller);
        let fresh = if is_heard_of { self.fresh } else { self.fresh.min(QUIET) };
        if age < fresh {
            return Ok(Arc::clone(&kept.caller));
        }
        if age >= self.stale {
            return self.look_up(hash).await;
        }
        // The database was there a moment ago: its word is worth a wait, which ends when it is known to be away.
        if !is_heard_of && self.hears.load(Ordering::Acquire) {
            return match tokio::time::timeout(DOUBT_ENDS_WITHIN, self.look_up(hash)).await {
                Ok(Err(KeyRefusal::Unavailable(_))) | Err(_) => Ok(Arc::clone(&kept.caller)),
                Ok(answer) => answer,
            };
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
        let loaded = match tokio::time::timeout(ANSWERS_WITHIN, self.load(&hash)).await {
            Ok(loaded) => loaded,
            Err(late) => Err(KeyRefusal::Unavailable(StoreError::Unavailable(late.into()))),
        };
        match loaded {
            Ok(caller) => {
                let caller = Arc::new(caller);
                let mut all = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                // What memory still vouches for is better than what cannot be opened now.
                if caller.is_locked()
                    && let Some(kept) = all.get(&hash)
                    && kept.caller.loaded.elapsed() < self.stale
                    && !kept.caller.is_locked()
                {
                    return Ok(Arc::clone(&kept.caller));
                }
                if all.len() >= KEPT_KEYS {
                    all.clear();
                }
                // What changed while the database was being asked may be missing in its answer.
                let forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
                if forgotten.get(&caller.key.tenant_id).is_none_or(|at| *at < caller.loaded) {
                    all.insert(hash, Arc::new(Kept::new(Arc::clone(&caller))));
                }
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

    /// Forgets a tenant's keys: one of them or a connection changed. Everybody else's are remembered, so that nobody makes
    /// other tenants' calls wait for the database.
    pub fn forget(&self, tenant: TenantId) {
        let mut all = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for an answer of the database for so long.
        forgotten.retain(|_, at| at.elapsed() < FORGOTTEN_FOR);
        forgotten.insert(tenant, Instant::now());
        all.retain(|_, kept| kept.caller.key.tenant_id != tenant);
    }

    /// Whether a caller's wish that prompts and answers be kept is surely still its wish: changes are heard of as they
    /// happen, and the wish is no older than a key that counts as fresh. While it may have changed unheard, none are.
    pub fn may_keep(&self, caller: &Caller) -> bool {
        self.is_heard_of(caller) && caller.loaded.elapsed() <= self.fresh + ASK_WITHIN
    }

    /// Whether every change since a caller was loaded has been heard of.
    fn is_heard_of(&self, caller: &Caller) -> bool {
        let doubted = *self.doubted_before.read().unwrap_or_else(PoisonError::into_inner);
        self.hears.load(Ordering::Acquire) && caller.loaded > doubted
    }

    /// Doubts everything: something may have changed unheard. Forgetting it instead would refuse known keys if the
    /// database went away in this moment.
    fn doubt(&self) {
        *self.doubted_before.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Forgets on every change that the database tells of, and what is too old to be used, for as long as this is
    /// polled. Whenever the listener was away, something may have changed unheard: then everything is doubted.
    pub async fn follow_changes(&self) {
        tokio::join!(self.hear_changes(), self.tidy());
    }

    async fn tidy(&self) {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            while drop_stale(&self.kept, self.stale, Instant::now()) {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn hear_changes(&self) {
        loop {
            if let Ok(mut changes) = self.store.key_changes().await {
                self.doubt();
                self.hears.store(true, Ordering::Release);
                loop {
                    match tokio::time::timeout(QUIET, changes.next()).await {
                        Ok(Ok(change)) => self.forget(change.tenant_id),
                        Ok(Err(_)) => break,
                        Err(_quiet) => {
                            let alive = tokio::time::timeout(QUIET, changes.ask_for_life()).await;
                            if !matches!(alive, Ok(Ok(()))) {
                                break;
                            }
                        }
                    }
                }
                self.hears.store(false, Ordering::Release);
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn load(&self, hash: &TokenHash) -> Result<Caller, KeyRefusal> {
        let loaded = Instant::now();
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
        let wish = body_wish(&mut conn, &key).await;
        // No connection is held while a key service thinks. What it does not open is told by whoever needs it.
        drop(conn);
        let _told_by_whoever_needs_it = self.keyring.ready(key.tenant_id, &keys).await;
        let keys = self.keyring.tenant(key.tenant_id, &keys);
        let targets = connections.into_iter().filter_map(|connection| self.open(&keys, connection)).collect();
        let bodies = self.body_rule(&key, wish).await;
        Ok(Caller { key, valid_until, targets, bodies, loaded })
    }

    /// What becomes of a key's prompts and answers. Where that cannot be said, or nothing can seal them, they are not
    /// kept, and the calls go on.
    async fn body_rule(&self, key: &ApiKey, wish: Result<BodyWish, StoreError>) -> BodyRule {
        let keeping = async {
            let (decision, found) = wish?;
            let (redact, class) = match decision {
                BodyDecision::Ignore => return Ok(BodyRule::Ignore),
                BodyDecision::Drop => return Ok(BodyRule::Drop),
                BodyDecision::Keep { redact, class } => (redact, class),
            };
            let keys = self.subject_keys(key, found).await?;
            keys.newest()?;
            let (tenant, subject) = (key.tenant_id, key.id);
            Ok(BodyRule::Keep(Arc::new(Keeping { tenant, subject, redact, class, keys })))
        };
        match keeping.await {
            Ok(rule) => rule,
            // Who watches the key service has been told.
            Err(NotKept::Seal(error)) if error.is_passing() => BodyRule::Unavailable,
            Err(error) => {
                tracing::error!(
                    tenant.id = %key.tenant_id, key.id = %key.id, error = &error as &dyn std::error::Error,
                    "prompts and answers of this key cannot be kept now"
                );
                BodyRule::Unavailable
            }
        }
    }

    /// A key's own data keys. Its first one is made here, and so is the next one after all were destroyed.
    async fn subject_keys(&self, key: &ApiKey, mut found: Vec<SubjectKey>) -> Result<SubjectKeys, NotKept> {
        let (tenant, subject) = (key.tenant_id, key.id);
        let whose = (tenant, subject.uuid());
        if found.last().is_none_or(|newest| newest.wrapped.is_none()) {
            let version = found.last().map_or(1, |newest| newest.version.saturating_add(1));
            let new = self.keyring.make_subject_key(whose, version, &*self.entropy).await?;
            let mut conn = self.store.system().await?;
            conn.add_subject_key(tenant, subject, version, &new.0, self.clock.now()).await?;
            // Read again: of two who come first at once, one wins.
            found = conn.subject_keys_of(tenant, subject).await?;
        }
        // To seal, the newest is enough.
        let newest = found.into_iter().next_back();
        let newest: Vec<_> = newest.and_then(|key| Some((key.version, key.wrapped?))).into_iter().collect();
        self.keyring.ready_subject(whose, &newest).await?;
        Ok(self.keyring.subject(tenant, subject.uuid(), &newest))
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
        let charging = charging(provider, connection.base_url.as_deref());
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
        let apart = place_apart(charging, endpoint.as_str());
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
                    charging,
                    place: apart,
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
            charging,
            place: apart,
            endpoint,
            secret,
            locked: None,
            models: connection.models,
        })
    }
}
