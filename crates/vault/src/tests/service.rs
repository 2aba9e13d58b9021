use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::tests::{KEY, NEWER, master, now, place, tenant};
use crate::{Keyring, OsEntropy};

/// A clock that stands until it is moved.
#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Moved {
    fn by(&self, delta: TimeDelta) {
        *lock(&self.0) += delta;
    }
}

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *lock(&self.0)
    }
}

/// A service whose ciphertext is the number under which it remembers key and context.
#[derive(Debug)]
struct Remembers {
    id: &'static str,
    known: Mutex<Vec<([u8; 32], KeyContext)>>,
    fails: Mutex<Option<ServiceError>>,
    asked: AtomicU32,
    /// Lets others run before it answers; wants a runtime.
    slow: std::sync::atomic::AtomicBool,
}

impl Remembers {
    fn new(id: &'static str) -> Arc<Self> {
        Arc::new(Self {
            id,
            known: Mutex::default(),
            fails: Mutex::default(),
            asked: AtomicU32::new(0),
            slow: false.into(),
        })
    }

    fn fail(&self, with: Option<ServiceError>) {
        *lock(&self.fails) = with;
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    fn question(&self) -> Result<(), ServiceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        lock(&self.fails).clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl KeyService for Remembers {
    fn id(&self) -> &str {
        self.id
    }

    async fn generate(&self, context: &KeyContext) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), ServiceError> {
        let mut key = [0; 32];
        costlens_domain::ports::Entropy::fill(&OsEntropy, &mut key);
        Ok((Zeroizing::new(key), self.encrypt(&key, context).await?))
    }

    async fn encrypt(&self, key: &[u8; 32], context: &KeyContext) -> Result<Vec<u8>, ServiceError> {
        self.question()?;
        let mut known = lock(&self.known);
        known.push((*key, *context));
        Ok(format!("{} {:0150}", self.id, known.len() - 1).into_bytes())
    }

    async fn decrypt(
        &self,
        sealed: &[u8],
        context: &KeyContext,
    ) -> Result<Zeroizing<[u8; 32]>, ServiceError> {
        self.question()?;
        if self.slow.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let text = std::str::from_utf8(sealed).map_err(|_| ServiceError::Ciphertext)?;
        let index = text.strip_prefix(self.id).and_then(|index| index.trim().parse::<usize>().ok());
        let known = lock(&self.known);
        let found = index.and_then(|index| known.get(index)).filter(|(_, bound)| bound == context);
        found.map(|(key, _)| Zeroizing::new(*key)).ok_or(ServiceError::Ciphertext)
    }
}

/// A ring whose keys these services wrap, and the clock by which it forgets.
fn ring(services: &[&Arc<Remembers>], wrap: bool) -> (Keyring, Arc<Moved>) {
    let clock = Arc::new(Moved(Mutex::new("2026-11-26T12:00:00Z".parse().unwrap())));
    let services = services.iter().map(|service| Arc::clone(service) as Arc<dyn KeyService>).collect();
    let as_clock: Arc<dyn Clock> = clock.clone();
    (Keyring::new(master(NEWER)).with_services(services, wrap, &as_clock), clock)
}

#[expect(clippy::unnecessary_wraps, reason = "what a service is told to answer with, which may be nothing")]
fn away() -> Option<ServiceError> {
    Some(ServiceError::Away("no route".to_owned()))
}

#[test]
fn a_data_key_is_fetched_once_used_from_memory_and_forgotten_after_a_quarter_of_an_hour() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let wrapped = now(ring.make_data_key(tenant(1), 3, &OsEntropy)).unwrap();
    assert!(ring.is_current(&wrapped.0));
    let keys = [(3, &wrapped.0)];
    let sealed = ring.tenant(tenant(1), &keys).seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    assert_eq!(service.asked(), 1, "a key that was made is in memory");
    clock.by(TimeDelta::minutes(15) - TimeDelta::milliseconds(1));
    assert_eq!(now(ring.ready(tenant(1), &keys)), Ok(()));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
    assert_eq!(service.asked(), 0);

    clock.by(TimeDelta::milliseconds(1));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(2), &sealed), Err(SealError::Away));
    assert_eq!(now(ring.ready(tenant(1), &keys)), Ok(()));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
    assert_eq!(service.asked(), 1);
    // A clock that is set back keeps nothing for longer.
    clock.by(TimeDelta::minutes(-1));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(2), &sealed), Err(SealError::Away));
}

#[test]
fn what_nobody_asks_for_is_overwritten_too() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    for version in 1..=10 {
        now(ring.make_data_key(tenant(1), version, &OsEntropy)).unwrap();
    }
    ring.forget_expired();
    assert_eq!(ring.kept_by_services(), 10);
    clock.by(TimeDelta::minutes(15));
    ring.forget_expired();
    assert_eq!(ring.kept_by_services(), 0);
}

#[test]
fn while_the_service_is_away_keys_in_memory_go_on_and_it_is_asked_rarely() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let known = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap();
    let sealed = ring.tenant(tenant(1), &[(1, &known.0)]).seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    clock.by(TimeDelta::minutes(10));
    let other = now(ring.make_data_key(tenant(1), 2, &OsEntropy)).unwrap();
    clock.by(TimeDelta::minutes(6));
    // The first is forgotten, the second is in memory; then the service goes away.
    service.fail(away());
    service.asked();
    let both = [(1, &known.0), (2, &other.0)];
    assert_eq!(now(ring.ready(tenant(1), &both)), Err(SealError::Away));
    assert_eq!(ring.service_state(), Some(ServiceState::Away("no route".to_owned())));
    let keys = ring.tenant(tenant(1), &both);
    assert_eq!(keys.open(&place(2), &sealed), Err(SealError::Away));
    assert!(keys.seal(&place(2), b"sk-live", &OsEntropy).is_ok());
    drop(keys);
    assert_eq!(service.asked(), 1);
    // Asked at 1, 3, 7, 15, 31 seconds, and then every half minute.
    for _ in 0..600 {
        clock.by(TimeDelta::milliseconds(100));
        assert_eq!(now(ring.ready(tenant(1), &both)), Err(SealError::Away));
    }
    assert_eq!(service.asked(), 5, "60 seconds of an outage");
    service.fail(None);
    clock.by(TimeDelta::seconds(30));
    assert_eq!(now(ring.ready(tenant(1), &both)), Ok(()));
    assert_eq!(ring.service_state(), Some(ServiceState::Fine));
    assert_eq!(ring.tenant(tenant(1), &both).open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
}

#[test]
fn a_refusal_is_a_state_with_a_name_and_no_storm() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let wrapped = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap();
    clock.by(TimeDelta::minutes(15));
    service.fail(Some(ServiceError::Refused("DisabledException".to_owned())));
    service.asked();
    for _ in 0..1000 {
        assert_eq!(now(ring.ready(tenant(1), &[(1, &wrapped.0)])), Err(SealError::Refused));
    }
    assert_eq!(service.asked(), 1);
    assert_eq!(ring.service_state(), Some(ServiceState::Refused("DisabledException".to_owned())));
    let keys = [(1, &wrapped.0)];
    let refused = ring.tenant(tenant(1), &keys).seal(&place(2), b"sk-live", &OsEntropy);
    assert_eq!(refused, Err(SealError::Refused));
    assert_eq!(now(ring.make_data_key(tenant(2), 1, &OsEntropy)), Err(SealError::Refused));
}

#[test]
fn a_wrapped_key_opens_for_its_own_tenant_and_version_only_and_any_change_is_noticed() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let wrapped = now(ring.make_data_key(tenant(1), 3, &OsEntropy)).unwrap().0;
    clock.by(TimeDelta::minutes(15));
    assert_eq!(now(ring.ready(tenant(2), &[(3, &wrapped)])), Err(SealError::Rejected));
    assert_eq!(now(ring.ready(tenant(1), &[(4, &wrapped)])), Err(SealError::Rejected));
    for index in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[index] ^= 1;
        let keys = [(3, &changed)];
        let fetched = now(ring.ready(tenant(1), &keys));
        let used = ring.tenant(tenant(1), &keys).seal(&place(2), b"x", &OsEntropy);
        // Another header is no key of this service; it is found out when it is used.
        assert!(used.is_err() && (index < 5 || fetched == Err(SealError::Rejected)), "byte {index}");
    }
    // What was rejected is not shown to the service again at once.
    service.asked();
    for _ in 0..100 {
        assert_eq!(now(ring.ready(tenant(2), &[(3, &wrapped)])), Err(SealError::Rejected));
    }
    assert_eq!(service.asked(), 0);
    assert_eq!(now(ring.ready(tenant(1), &[(3, &wrapped)])), Ok(()));
}

#[test]
fn a_subjects_key_is_wrapped_by_the_service_for_that_subject_alone() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let (anna, bert) = (Uuid::from_u128(0xa), Uuid::from_u128(0xb));
    let wrapped = now(ring.make_subject_key((tenant(1), anna), 1, &OsEntropy)).unwrap().0;
    assert!(ring.is_current(&wrapped));
    let keys = [(1, &wrapped)];
    let sealed = ring.subject(tenant(1), anna, &keys).seal(&place(2), b"a prompt", &OsEntropy).unwrap();
    // In memory it is hers and nobody else's, and not the tenant's own.
    assert_eq!(ring.subject(tenant(1), bert, &keys).newest(), Err(SealError::Away));
    assert!(ring.tenant(tenant(1), &keys).seal(&place(2), b"x", &OsEntropy).is_err());
    clock.by(TimeDelta::minutes(15));
    assert_eq!(ring.subject(tenant(1), anna, &keys).newest(), Err(SealError::Away));
    assert_eq!(now(ring.ready_subject((tenant(1), bert), &keys)), Err(SealError::Rejected));
    assert_eq!(now(ring.ready_subject((tenant(2), anna), &keys)), Err(SealError::Rejected));
    assert_eq!(now(ring.ready(tenant(1), &keys)), Err(SealError::Rejected));
    assert_eq!(now(ring.ready_subject((tenant(1), anna), &keys)), Ok(()));
    let opened = ring.subject(tenant(1), anna, &keys).open(&place(2), &sealed);
    assert_eq!(opened.unwrap().as_slice(), b"a prompt");
}

#[test]
fn another_keys_commitment_is_refused() {
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let mut one = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap().0;
    let two = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap().0;
    clock.by(TimeDelta::minutes(15));
    let start = one.len() - 32;
    one[start..].copy_from_slice(&two[start..]);
    assert_eq!(now(ring.ready(tenant(1), &[(1, &one)])), Err(SealError::Rejected));
}

#[test]
fn keys_move_from_a_master_key_to_a_service_to_another_and_back() {
    let (first, second) = (Remembers::new("first"), Remembers::new("second"));
    let before = Keyring::new(master(KEY));
    let mut wrapped = before.new_data_key(tenant(1), 1, &OsEntropy).0;
    let sealed = before.tenant(tenant(1), &[(1, &wrapped)]).seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    let rings = [
        ring(&[&first], true).0.with_older(vec![master(KEY)]),
        ring(&[&second, &first], true).0,
        ring(&[&second], false).0,
        ring(&[], false).0,
    ];
    for (step, ring) in rings.iter().enumerate() {
        if step < 3 {
            assert!(!ring.is_current(&wrapped), "step {step}");
            wrapped = now(ring.rewrap(tenant(1), 1, &wrapped, &OsEntropy)).unwrap().0;
        }
        assert!(ring.is_current(&wrapped) && wrapped.starts_with(&ring.wrapped_header()), "step {step}");
        assert_eq!(now(ring.ready(tenant(1), &[(1, &wrapped)])), Ok(()));
        let opened = ring.tenant(tenant(1), &[(1, &wrapped)]).open(&place(2), &sealed);
        assert_eq!(opened.unwrap().as_slice(), b"sk-live", "step {step}");
    }
    // Without the service nothing of its opens.
    let theirs = now(rings[0].make_data_key(tenant(1), 2, &OsEntropy)).unwrap();
    let other = rings[3].tenant(tenant(1), &[(2, &theirs.0)]).seal(&place(2), b"x", &OsEntropy);
    assert_eq!(other, Err(SealError::OtherKey));
}

#[test]
fn the_tags_key_is_made_once_and_moves_between_services() {
    let (first, second) = (Remembers::new("first"), Remembers::new("second"));
    let services: [Arc<dyn KeyService>; 2] = [second.clone(), first.clone()];
    let wrapped = now(TagsKey::make(&*first)).unwrap();
    let (key, newest) = now(TagsKey::open(&services, &wrapped.0)).unwrap();
    assert!(!newest);
    let again = now(TagsKey::wrap(&*second, &key)).unwrap();
    let (same, newest) = now(TagsKey::open(&services[..1], &again.0)).unwrap();
    assert!(newest && same.bytes() == key.bytes());
    assert!(now(TagsKey::open(&services[1..], &again.0)).is_err());
    // A tenant's key is not taken for it, nor it for a tenant's.
    let (ring, _) = ring(&[&first], true);
    let data = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap();
    assert!(now(TagsKey::open(&services, &data.0)).is_err());
    assert_eq!(now(ring.ready(tenant(1), &[(1, &wrapped.0)])), Err(SealError::Rejected));
}

#[test]
fn of_many_who_ask_at_once_one_asks_the_service() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let service = Remembers::new("kms");
    let (ring, clock) = ring(&[&service], true);
    let wrapped = now(ring.make_data_key(tenant(1), 1, &OsEntropy)).unwrap();
    clock.by(TimeDelta::minutes(15));
    service.asked();
    service.slow.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        let ring = Arc::new(ring);
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (ring, wrapped) = (Arc::clone(&ring), wrapped.0.clone());
                tokio::spawn(async move { ring.ready(tenant(1), &[(1, wrapped)]).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
    });
    assert_eq!(service.asked(), 1);
}
