//! A key service (AWS KMS): wraps data keys with a key that never leaves it, so that no master key stands in any
//! environment. What is here is ours of it: what a wrapped key is bound to, for how long an unwrapped one is kept, and
//! what happens when the service is away or refuses.
//!
//! An unwrapped data key stays in memory for a quarter of an hour at most and is overwritten when it goes. While the
//! service is away, keys in memory go on; others fail closed with [`SealError::Away`], and where it refuses (the key
//! is disabled, access was taken away) with [`SealError::Refused`]. After a failure nobody asks for a while, so that an
//! outage costs the service a few questions and nobody a wait.
//!
//! Layout of a wrapped key: `0x02 ‖ service key id (4) ‖ the service's ciphertext ‖ commitment (32)`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::TenantId;
use costlens_domain::ports::Clock;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::keyring::{DataKey, Owner};
use crate::{MasterKey, SealError, WrappedKey};

pub(crate) const FORMAT: u8 = 2;
/// For how long an unwrapped data key is kept.
const KEEP: TimeDelta = TimeDelta::minutes(15);
/// For how long a ciphertext that the service does not take is not shown to it again.
const KEEP_REJECTED: TimeDelta = TimeDelta::minutes(1);
/// More than this is never kept; past it the memory starts anew.
const KEPT_KEYS: usize = 100_000;
/// The pause after a first failure, doubled with each that follows…
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
/// …up to this.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// What a wrapped key is bound to: the service refuses to unwrap it for anything else, and writes it into its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyContext {
    /// Whose key; `None` for the installation's own.
    pub tenant: Option<TenantId>,
    /// Which subject's of the tenant; `None` for the tenant's own.
    pub subject: Option<Uuid>,
    /// What it is for.
    pub purpose: &'static str,
    /// Which of the tenant's keys.
    pub version: u32,
}

impl KeyContext {
    const fn of(owner: &Owner) -> Self {
        let purpose = if owner.subject.is_some() { "bodies" } else { "data" };
        Self { tenant: Some(owner.tenant), subject: owner.subject, purpose, version: owner.version }
    }

    /// The installation's master key for tags.
    const TAGS: Self = Self { tenant: None, subject: None, purpose: "tags", version: 1 };

    /// Names and values, as a service takes them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let tenant = self.tenant.map(|tenant| ("tenant", tenant.to_string()));
        let rest = [("purpose", self.purpose.to_owned()), ("version", self.version.to_string())];
        let subject = self.subject.map(|subject| ("subject", subject.to_string()));
        tenant.into_iter().chain(subject).chain(rest).collect()
    }
}

/// Why a service did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It cannot be reached, does not answer in time, or says that it cannot now. Trying again later may help.
    #[error("the key service is away: {0}")]
    Away(String),
    /// It will not: the key is disabled, pending deletion or unknown, or we may not use it. Somebody must act.
    #[error("the key service refuses: {0}")]
    Refused(String),
    /// It does not know the ciphertext, or not in this context.
    #[error("the key service does not open this ciphertext")]
    Ciphertext,
}

/// A key in a service outside, by which others are wrapped.
#[async_trait]
pub trait KeyService: Send + Sync + fmt::Debug {
    /// The key's name, the same for ever: its ARN.
    fn id(&self) -> &str;
    /// A fresh key of 32 bytes, and its ciphertext.
    async fn generate(&self, context: &KeyContext) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), ServiceError>;
    /// The ciphertext of a key that is there already.
    async fn encrypt(&self, key: &[u8; 32], context: &KeyContext) -> Result<Vec<u8>, ServiceError>;
    /// The key of a ciphertext.
    async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: &KeyContext,
    ) -> Result<Zeroizing<[u8; 32]>, ServiceError>;
}

/// How a service's key fares, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// It answered last time, or was not asked yet.
    Fine,
    /// See [`ServiceError::Away`].
    Away(String),
    /// See [`ServiceError::Refused`].
    Refused(String),
}

struct Kept {
    key: Result<DataKey, SealError>,
    since: DateTime<Utc>,
}

/// The breaker: since when and for how long nobody asks.
struct Pause {
    error: ServiceError,
    from: DateTime<Utc>,
    length: TimeDelta,
}

/// A service, what it told lately, and how it fares.
#[expect(clippy::struct_field_names, reason = "the service that is asked, and what is known of it")]
pub(crate) struct Service {
    service: Arc<dyn KeyService>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<[u8; 32], Kept>>,
    /// One question for a key at a time; who comes meanwhile finds the answer.
    asking: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<()>>>>,
    pause: Mutex<Option<Pause>>,
}

impl Service {
    pub(crate) fn new(service: Arc<dyn KeyService>, clock: Arc<dyn Clock>) -> Self {
        Self { service, clock, kept: Mutex::default(), asking: Mutex::default(), pause: Mutex::default() }
    }

    pub(crate) fn header(&self) -> [u8; 5] {
        header(&*self.service)
    }

    pub(crate) fn state(&self) -> ServiceState {
        match lock(&self.pause).as_ref().map(|pause| &pause.error) {
            None | Some(ServiceError::Ciphertext) => ServiceState::Fine,
            Some(ServiceError::Away(why)) => ServiceState::Away(why.clone()),
            Some(ServiceError::Refused(why)) => ServiceState::Refused(why.clone()),
        }
    }

    /// A fresh data key, wrapped, and kept unwrapped.
    pub(crate) async fn generate(&self, owner: &Owner) -> Result<WrappedKey, SealError> {
        let context = KeyContext::of(owner);
        let (key, ciphertext) = self.ask(self.service.generate(&context)).await?;
        Ok(self.keep_wrapped(owner, DataKey::new(key), &ciphertext))
    }

    /// A data key that is there already, wrapped.
    pub(crate) async fn wrap(&self, key: &DataKey, owner: &Owner) -> Result<WrappedKey, SealError> {
        let context = KeyContext::of(owner);
        let ciphertext = self.ask(self.service.encrypt(key.bytes(), &context)).await?;
        Ok(self.keep_wrapped(owner, key.clone(), &ciphertext))
    }

    /// The data key, if it is in memory; why not, if that is known.
    pub(crate) fn at_hand(&self, owner: &Owner, wrapped: &[u8]) -> Result<DataKey, SealError> {
        self.look_up(&name(owner, wrapped))
            .unwrap_or_else(|| Err(self.paused().err().unwrap_or(SealError::Away)))
    }

    /// Brings a data key into memory, if it is not there.
    pub(crate) async fn fetch(&self, owner: &Owner, wrapped: &[u8]) -> Result<DataKey, SealError> {
        let name = name(owner, wrapped);
        if let Some(known) = self.look_up(&name) {
            return known;
        }
        let turn = Arc::clone(lock(&self.asking).entry(name).or_default());
        let held = turn.lock().await;
        let answer = match self.look_up(&name) {
            Some(known) => known,
            None => self.unwrap(name, owner, wrapped).await,
        };
        drop(held);
        lock(&self.asking).remove(&name);
        answer
    }

    async fn unwrap(&self, name: [u8; 32], owner: &Owner, wrapped: &[u8]) -> Result<DataKey, SealError> {
        let (ciphertext, commitment) = parts(wrapped)?;
        let context = KeyContext::of(owner);
        let answer = self.ask(self.service.decrypt(ciphertext, &context)).await;
        let key = answer.map(DataKey::new).and_then(|key| key.committed_to(commitment));
        if matches!(key, Ok(_) | Err(SealError::Rejected)) {
            self.keep(name, key.clone());
        }
        key
    }

    /// Overwrites what was kept long enough.
    pub(crate) fn forget_expired(&self) {
        let now = self.clock.now();
        lock(&self.kept).retain(|_, kept| kept.is_good(now));
        // Left by whoever gave up asking.
        lock(&self.asking).retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        lock(&self.kept).len()
    }

    fn keep_wrapped(&self, owner: &Owner, key: DataKey, ciphertext: &[u8]) -> WrappedKey {
        let wrapped = joined(&*self.service, ciphertext, &key.commitment());
        self.keep(name(owner, &wrapped.0), Ok(key));
        wrapped
    }

    fn keep(&self, name: [u8; 32], key: Result<DataKey, SealError>) {
        let since = self.clock.now();
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT_KEYS {
            kept.clear();
        }
        kept.insert(name, Kept { key, since });
    }

    fn look_up(&self, name: &[u8; 32]) -> Option<Result<DataKey, SealError>> {
        let now = self.clock.now();
        let mut kept = lock(&self.kept);
        let found = kept.get(name)?;
        if found.is_good(now) {
            return Some(found.key.clone());
        }
        kept.remove(name);
        None
    }

    /// Asks, unless it failed a moment ago, and remembers whether it answered.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, ServiceError>>) -> Result<T, SealError> {
        self.paused()?;
        let answer = question.await;
        let Err(error) = answer else {
            if lock(&self.pause).take().is_some() {
                tracing::info!(key = self.service.id(), "the key service answers again");
            }
            return answer.map_err(|error| seal_error(&error));
        };
        let reason = seal_error(&error);
        if error != ServiceError::Ciphertext {
            self.pause_after(error);
        }
        Err(reason)
    }

    /// The reason not to ask now.
    fn paused(&self) -> Result<(), SealError> {
        let now = self.clock.now();
        match &*lock(&self.pause) {
            // A clock that was set back ends a pause.
            Some(pause) if now >= pause.from && now < pause.from + pause.length => {
                Err(seal_error(&pause.error))
            }
            _ => Ok(()),
        }
    }

    fn pause_after(&self, error: ServiceError) {
        let mut pause = lock(&self.pause);
        let (told, length) = match &*pause {
            Some(before) => {
                let same = std::mem::discriminant(&before.error) == std::mem::discriminant(&error);
                (same, (before.length * 2).min(LONGEST_PAUSE))
            }
            None => (false, FIRST_PAUSE),
        };
        if !told {
            tracing::error!(
                key = self.service.id(),
                error = &error as &dyn std::error::Error,
                "keys in memory go on for a quarter of an hour; others do not open until the key service answers"
            );
        }
        *pause = Some(Pause { error, from: self.clock.now(), length });
    }
}

impl Kept {
    /// A clock that was set back keeps nothing longer.
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        let keep = if self.key.is_ok() { KEEP } else { KEEP_REJECTED };
        now >= self.since && now - self.since < keep
    }
}

const fn seal_error(error: &ServiceError) -> SealError {
    match error {
        ServiceError::Away(_) => SealError::Away,
        ServiceError::Refused(_) => SealError::Refused,
        ServiceError::Ciphertext => SealError::Rejected,
    }
}

/// What a key is kept under: everything that it is bound to.
fn name(owner: &Owner, wrapped: &[u8]) -> [u8; 32] {
    let tenant = owner.tenant.uuid();
    // A tenant's own key is nobody's of these: no API key has this id.
    let subject = owner.subject.unwrap_or(Uuid::nil());
    Sha256::new()
        .chain_update(tenant.as_bytes())
        .chain_update(subject.as_bytes())
        .chain_update(owner.version.to_be_bytes())
        .chain_update(wrapped)
        .finalize()
        .into()
}

/// What every key begins with that this service's key wrapped.
pub(crate) fn header(service: &dyn KeyService) -> [u8; 5] {
    let digest =
        Sha256::new().chain_update(b"costlens/service-key-id/1").chain_update(service.id()).finalize();
    let mut header = [FORMAT; 5];
    header.iter_mut().skip(1).zip(digest).for_each(|(to, from)| *to = from);
    header
}

fn joined(service: &dyn KeyService, ciphertext: &[u8], commitment: &[u8; 32]) -> WrappedKey {
    WrappedKey([&header(service)[..], ciphertext, commitment].concat())
}

/// Ciphertext and commitment.
fn parts(wrapped: &[u8]) -> Result<(&[u8], &[u8; 32]), SealError> {
    let (_, rest) = wrapped.split_first_chunk::<5>().ok_or(SealError::Format)?;
    rest.split_last_chunk::<32>().filter(|(ciphertext, _)| !ciphertext.is_empty()).ok_or(SealError::Format)
}

/// The master key for tags of an installation whose data keys a service wraps: made once, stored wrapped, and in
/// memory while the process lives. It wraps no data key that the service could.
#[derive(Debug)]
pub struct TagsKey;

impl TagsKey {
    /// A new one, wrapped.
    pub async fn make(service: &dyn KeyService) -> Result<WrappedKey, ServiceError> {
        let (key, ciphertext) = service.generate(&KeyContext::TAGS).await?;
        Ok(joined(service, &ciphertext, &DataKey::new(key).commitment()))
    }

    /// The same, wrapped by another service's key.
    pub async fn wrap(service: &dyn KeyService, key: &MasterKey) -> Result<WrappedKey, ServiceError> {
        let ciphertext = service.encrypt(key.bytes(), &KeyContext::TAGS).await?;
        let key = DataKey::new(Zeroizing::new(*key.bytes()));
        Ok(joined(service, &ciphertext, &key.commitment()))
    }

    /// The key, and whether the first of the services wrapped it. [`ServiceError::Ciphertext`] where none of them did.
    pub async fn open(
        services: &[Arc<dyn KeyService>],
        wrapped: &[u8],
    ) -> Result<(MasterKey, bool), ServiceError> {
        let named =
            services.iter().enumerate().find(|(_, service)| wrapped.starts_with(&header(&***service)));
        let (index, service) = named.ok_or(ServiceError::Ciphertext)?;
        let (ciphertext, commitment) = parts(wrapped).map_err(|_| ServiceError::Ciphertext)?;
        let key = DataKey::new(service.decrypt(ciphertext, &KeyContext::TAGS).await?);
        let key = key.committed_to(commitment).map_err(|_| ServiceError::Ciphertext)?;
        Ok((MasterKey::from_bytes(*key.bytes()), index == 0))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "tests/service.rs"]
mod tests;
