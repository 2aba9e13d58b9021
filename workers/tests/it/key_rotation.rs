//! Data keys grow old while calls go on: whatever a rotation does and wherever it is killed, what is sealed can be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, TimeDelta, Utc};
use costlens_aws::testing::{FakeKms, KEY_ARN};
use costlens_domain::ports::Clock;
use costlens_domain::{ConnectionId, TenantId};
use costlens_jobs::RotateTenantKey;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{JobDetails, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{DataKey, Destroy, NewConnection, Store};
use costlens_vault::seal_counts::ROTATE_AT;
use costlens_vault::{Keyring, MasterKey, OsEntropy, SealError, SealedFor, Sealer};
use costlens_workers::WorkerParts;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use uuid::Uuid;

use super::upkeep::now;
use super::{MASTER_KEY, Office, PATIENCE};

const NEWER_MASTER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn days_ago(days: u64) -> DateTime<Utc> {
    now().checked_sub_days(Days::new(days)).unwrap()
}

fn place(tenant: TenantId, row: Uuid) -> SealedFor<'static> {
    SealedFor { tenant, table: "connection", column: "sealed_secret", row }
}

fn pairs(keys: Vec<DataKey>) -> Vec<(u32, Vec<u8>)> {
    keys.into_iter().map(|key| (key.version, key.wrapped)).collect()
}

/// A tenant whose first data key is so many days old.
async fn tenant(office: &Office, age: u64) -> TenantId {
    let tenant = office.db.create_tenant("acme").await;
    let mut conn = office.parts.store.tenant(tenant).await.unwrap();
    let key = office.parts.keyring.new_data_key(tenant, 1, &OsEntropy);
    assert!(conn.add_data_key(1, &key.0, days_ago(age)).await.unwrap());
    conn.commit().await.unwrap();
    tenant
}

/// Connections whose secrets are sealed under the tenant's newest key; each secret is the row's id.
async fn connect(parts: &WorkerParts, tenant: TenantId, count: u32) -> Vec<ConnectionId> {
    let mut conn = parts.store.tenant(tenant).await.unwrap();
    let keys = pairs(conn.data_keys().await.unwrap());
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = ConnectionId::new(now(), unlike_bytes());
        let secret = id.to_string();
        let keys = parts.keyring.tenant(tenant, &keys);
        let sealed = keys.seal(&place(tenant, id.uuid()), secret.as_bytes(), &OsEntropy).unwrap();
        store_sealed(&mut conn, id, sealed).await;
        ids.push(id);
    }
    conn.commit().await.unwrap();
    ids
}

async fn store_sealed(conn: &mut costlens_store::TenantConn, id: ConnectionId, sealed: Vec<u8>) {
    let new = NewConnection {
        id,
        provider: "openai".to_owned(),
        name: id.to_string(),
        base_url: None,
        sealed_secret: Some(sealed),
        models: Vec::new(),
        created_at: now(),
    };
    conn.create_connection(&new).await.unwrap();
}

/// What the proxy does: connections, then keys, then every secret opened. How many of each version there are.
async fn read_all(store: &Store, keyring: &Keyring, tenant: TenantId) -> Vec<(u8, u32, usize)> {
    let mut system = store.system().await.unwrap();
    let connections = system.connections_of(tenant).await.unwrap();
    let keys = pairs(system.data_keys_of(tenant).await.unwrap());
    let keys = keyring.tenant(tenant, &keys);
    let mut versions = std::collections::BTreeMap::new();
    for connection in connections {
        let sealed = connection.sealed_secret.unwrap();
        let secret = keys.open(&place(tenant, connection.id.uuid()), &sealed).unwrap();
        assert!(secret.ends_with(connection.id.to_string().as_bytes()), "another connection's secret");
        let [format, version @ ..] = sealed.first_chunk::<5>().unwrap();
        let version = if *format == 1 { 0 } else { u32::from_be_bytes(*version) };
        *versions.entry((*format, version)).or_insert(0) += 1;
    }
    versions.into_iter().map(|((format, version), count)| (format, version, count)).collect()
}

async fn versions(office: &Office, tenant: TenantId) -> Vec<u32> {
    let keys = office.parts.store.system().await.unwrap().data_keys_of(tenant).await.unwrap();
    keys.iter().map(|key| key.version).collect()
}

fn job(tenant: TenantId, version: u32) -> costlens_queue::NewJob {
    let job = RotateTenantKey { tenant: tenant.uuid(), version, asked_on: now().date_naive() };
    costlens_queue::NewJob::of(&job).unwrap().tenant(tenant.uuid())
}

async fn rotate(office: &Office, tenant: TenantId, version: u32) -> JobDetails {
    let id = office.ask(job(tenant, version)).await;
    office.ended("rotate_tenant_key.v1", id).await
}

/// Reads all the time, as a proxy that serves does; the returned flag stops it, the task gives how often it read.
fn keep_reading(office: &Office, tenant: TenantId) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, store) = (Arc::clone(&stop), office.parts.store.clone());
    let keyring = Arc::clone(&office.parts.keyring);
    let reads = AtomicU64::new(0);
    let task = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            read_all(&store, &keyring, tenant).await;
            reads.fetch_add(1, Ordering::Relaxed);
        }
        reads.into_inner()
    });
    (stop, task)
}

/// Holds a connection's row, so that a rotation waits there.
async fn hold(office: &Office, id: ConnectionId) -> AsyncPgConnection {
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let sql = format!("BEGIN; UPDATE connection SET name = name WHERE id = '{}'", id.uuid());
    owner.batch_execute(&sql).await.unwrap();
    owner
}

async fn until_sealed_anew(office: &Office, tenant: TenantId, version: u32, count: usize) {
    let begun = Instant::now();
    loop {
        let found = read_all(&office.parts.store, &office.parts.keyring, tenant).await;
        if found.contains(&(2, version, count)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{count} texts were not sealed anew in time: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_key_of_ninety_days_gets_a_successor_once_and_all_is_sealed_anew() {
    let office = Office::open(now()).await;
    let (old, young) = (tenant(&office, 90).await, tenant(&office, 89).await);
    connect(&office.parts, old, 150).await;
    connect(&office.parts, young, 1).await;
    let (stop, reading) = keep_reading(&office, old);
    for _ in 0..2 {
        let asked = office.run("key-rotation.v1").await;
        assert_eq!(asked.job.state, State::Done, "{asked:?}");
    }
    until_sealed_anew(&office, old, 2, 150).await;
    let again = rotate(&office, old, 2).await;
    assert_eq!(again.job.state, State::Done, "{again:?}");
    let progress = again.job.progress.unwrap();
    assert_eq!((&progress["keys_made"], &progress["texts_sealed"]), (&0.into(), &0.into()));
    stop.store(true, Ordering::Relaxed);
    assert!(reading.await.unwrap() > 0);
    // The old key stays for those that have not heard of the new one.
    assert_eq!(versions(&office, old).await, [1, 2]);
    assert_eq!(versions(&office, young).await, [1]);
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, young).await, [(2, 1, 1)]);
    office.close().await;
}

#[tokio::test]
async fn a_superseded_key_goes_after_thirty_days() {
    let office = Office::open(now()).await;
    let acme = tenant(&office, 200).await;
    connect(&office.parts, acme, 3).await;
    for (age, left) in [(29, vec![1, 2]), (30, vec![2])] {
        let mut conn = office.parts.store.tenant(acme).await.unwrap();
        let key = office.parts.keyring.new_data_key(acme, 2, &OsEntropy);
        conn.add_data_key(2, &key.0, days_ago(age)).await.unwrap();
        conn.commit().await.unwrap();
        let made = days_ago(age).format("%Y-%m-%d %H:%M:%S+00");
        office.sql(&format!("UPDATE tenant_key SET created_at = '{made}' WHERE version = 2")).await;
        assert_eq!(rotate(&office, acme, 2).await.job.state, State::Done);
        assert_eq!(versions(&office, acme).await, left, "{age} days");
        assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(2, 2, 3)]);
    }
    office.close().await;
}

#[tokio::test]
async fn a_rotation_that_is_killed_between_chunks_goes_on_where_it_was() {
    let mut office = Office::open(now()).await;
    let acme = tenant(&office, 90).await;
    let mut ids = connect(&office.parts, acme, 250).await;
    ids.sort_by_key(|id| id.uuid());
    let (stop, reading) = keep_reading(&office, acme);
    let held = hold(&office, ids[170]).await;
    let id = office.ask(job(acme, 2)).await;
    until_sealed_anew(&office, acme, 2, 100).await;
    // Killed in its second chunk, of which nothing is kept.
    let killed = office.working.take().unwrap();
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    drop(held);
    let between = read_all(&office.parts.store, &office.parts.keyring, acme).await;
    assert_eq!(between, [(2, 1, 150), (2, 2, 100)]);

    office.work().await;
    let ended = office.ended("rotate_tenant_key.v1", id).await;
    // What keeps the leases lives a moment longer than the workers that are torn off here. On a slow machine it takes the job,
    // which nobody has in hand, for one whose claim was never answered, and gives it back uncounted.
    assert!(ended.job.state == State::Done && (1..=2).contains(&ended.job.attempts), "{ended:?}");
    assert_eq!(ended.job.progress.unwrap()["texts_sealed"], 150);
    stop.store(true, Ordering::Relaxed);
    assert!(reading.await.unwrap() > 0);
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(2, 2, 250)]);
    office.close().await;
}

#[tokio::test]
async fn a_secret_that_is_replaced_during_a_rotation_is_the_writers() {
    let office = Office::open(now()).await;
    let acme = tenant(&office, 90).await;
    let ids = connect(&office.parts, acme, 5).await;
    // A writer that read the keys before there was a second one.
    let mut writer = office.parts.store.tenant(acme).await.unwrap();
    let keys = pairs(writer.data_keys().await.unwrap());
    let sealed = office.parts.keyring.tenant(acme, &keys);
    let sealed = sealed.seal(&place(acme, ids[2].uuid()), format!("new {}", ids[2]).as_bytes(), &OsEntropy);
    writer.replace_connection_secret(ids[2], &sealed.unwrap()).await.unwrap();
    let id = office.ask(job(acme, 2)).await;
    let begun = Instant::now();
    while versions(&office, acme).await != [1, 2] {
        assert!(begun.elapsed() < PATIENCE, "there is no second key");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    writer.commit().await.unwrap();
    assert_eq!(office.ended("rotate_tenant_key.v1", id).await.job.state, State::Done);
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(2, 2, 5)]);
    let mut conn = office.parts.store.tenant(acme).await.unwrap();
    let text = conn.connection(ids[2]).await.unwrap().sealed_secret.unwrap();
    let keys = pairs(conn.data_keys().await.unwrap());
    let secret = office.parts.keyring.tenant(acme, &keys).open(&place(acme, ids[2].uuid()), &text).unwrap();
    assert!(secret.starts_with(b"new "));
    office.close().await;
}

#[tokio::test]
async fn what_an_earlier_release_sealed_gets_a_key_of_the_tenants_own() {
    let office = Office::open(now()).await;
    let (acme, idle) = (office.db.create_tenant("acme").await, office.db.create_tenant("idle").await);
    let sealer = Sealer::new(&MasterKey::parse(MASTER_KEY).unwrap());
    let mut conn = office.parts.store.tenant(acme).await.unwrap();
    let id = ConnectionId::new(now(), unlike_bytes());
    let sealed = sealer.seal(&place(acme, id.uuid()), id.to_string().as_bytes(), &OsEntropy);
    store_sealed(&mut conn, id, sealed).await;
    conn.commit().await.unwrap();
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(1, 0, 1)]);
    office.run("key-rotation.v1").await;
    until_sealed_anew(&office, acme, 1, 1).await;
    assert_eq!(versions(&office, acme).await, [1]);
    // And beside a key that was made since, which is not due.
    let mut conn = office.parts.store.tenant(acme).await.unwrap();
    let id = ConnectionId::new(now(), unlike_bytes());
    let sealed = sealer.seal(&place(acme, id.uuid()), id.to_string().as_bytes(), &OsEntropy);
    store_sealed(&mut conn, id, sealed).await;
    conn.commit().await.unwrap();
    let id = office.ask(job(acme, 1).key("later")).await;
    assert_eq!(office.ended("rotate_tenant_key.v1", id).await.job.state, State::Done);
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(2, 1, 2)]);
    assert_eq!(rotate(&office, idle, 1).await.job.state, State::Done);
    assert_eq!(versions(&office, idle).await, Vec::<u32>::new());
    office.close().await;
}

#[tokio::test]
async fn keys_of_an_older_master_key_are_wrapped_anew_and_then_open_without_it() {
    let mut office = Office::closed(now()).await;
    let acme = tenant(&office, 1).await;
    connect(&office.parts, acme, 2).await;
    let newer = || Keyring::new(MasterKey::parse(NEWER_MASTER_KEY).unwrap());
    let older = MasterKey::parse(MASTER_KEY).unwrap();
    office.parts.keyring = Arc::new(newer().with_older(vec![older]));
    office.work().await;
    assert_eq!(office.run("key-rotation.v1").await.job.state, State::Done);
    let begun = Instant::now();
    loop {
        let keys = office.parts.store.system().await.unwrap().data_keys_of(acme).await.unwrap();
        if keys.iter().all(|key| newer().is_current(&key.wrapped)) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the keys were not wrapped anew in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(read_all(&office.parts.store, &newer(), acme).await, [(2, 1, 2)]);
    office.close().await;
}

#[tokio::test]
async fn a_key_that_sealed_a_billion_texts_gets_a_successor_and_one_text_less_does_not() {
    let office = Office::open(now()).await;
    let (busy, calm) = (tenant(&office, 1).await, tenant(&office, 1).await);
    connect(&office.parts, busy, 2).await;
    let sealed = office.parts.keyring.seals_to_count();
    assert_eq!(sealed.iter().map(|count| (count.tenant, count.seals)).collect::<Vec<_>>(), [(busy, 2)]);
    let mut system = office.parts.store.system().await.unwrap();
    system.count_seals(&[(busy, 1, ROTATE_AT - 2), (calm, 1, ROTATE_AT - 1)]).await.unwrap();
    office.run("key-rotation.v1").await;
    office.quiet().await;
    assert_eq!(versions(&office, busy).await, [1]);
    system.count_seals(&[(busy, 1, sealed[0].seals)]).await.unwrap();
    office.parts.keyring.seals_were_counted(&sealed);
    for _ in 0..2 {
        office.run("key-rotation.v1").await;
        until_sealed_anew(&office, busy, 2, 2).await;
    }
    // The successor begins at nothing.
    assert_eq!(versions(&office, busy).await, [1, 2]);
    assert_eq!(versions(&office, calm).await, [1]);
    office.close().await;
}

/// A ring whose data keys the key service wraps, and the master keys before it.
async fn kms_ring(office: &Office, kms: &FakeKms, older: Vec<MasterKey>) -> Keyring {
    let clock: Arc<dyn Clock> = office.clock.clone();
    let ring = Keyring::new(MasterKey::parse(NEWER_MASTER_KEY).unwrap()).with_older(older);
    ring.with_services(vec![Arc::new(kms.client(KEY_ARN).await)], true, &clock)
}

#[tokio::test]
async fn keys_move_from_a_master_key_to_kms_and_rotate_there_and_then_nothing_opens_without_it() {
    let mut office = Office::closed(now()).await;
    let kms = FakeKms::start();
    let acme = tenant(&office, 1).await;
    connect(&office.parts, acme, 3).await;
    let older = MasterKey::parse(MASTER_KEY).unwrap();
    office.parts.keyring = Arc::new(kms_ring(&office, &kms, vec![older]).await);
    office.work().await;
    assert_eq!(office.run("key-rotation.v1").await.job.state, State::Done);
    office.quiet().await;
    let mut system = office.parts.store.system().await.unwrap();
    let keys = pairs(system.data_keys_of(acme).await.unwrap());
    assert!(keys.iter().all(|(_, wrapped)| office.parts.keyring.is_current(wrapped)), "not wrapped by KMS");

    // The master key is not needed any more, and does not open them either.
    let alone = kms_ring(&office, &kms, Vec::new()).await;
    alone.ready(acme, &keys).await.unwrap();
    assert_eq!(read_all(&office.parts.store, &alone, acme).await, [(2, 1, 3)]);
    let before = Keyring::new(MasterKey::parse(MASTER_KEY).unwrap());
    let mut conn = office.parts.store.tenant(acme).await.unwrap();
    let one = conn.list_connections(None, 1).await.unwrap().remove(0);
    let opened = before.tenant(acme, &keys).open(&place(acme, one.id.uuid()), &one.sealed_secret.unwrap());
    assert_eq!(opened, Err(SealError::OtherKey));
    drop(conn);

    // A rotation by age makes the successor there, too.
    office.sql("UPDATE tenant_key SET created_at = created_at - interval '90 days'").await;
    assert_eq!(rotate(&office, acme, 2).await.job.state, State::Done);
    let keys = pairs(system.data_keys_of(acme).await.unwrap());
    assert_eq!(keys.len(), 2);
    let fresh = kms_ring(&office, &kms, Vec::new()).await;
    fresh.ready(acme, &keys).await.unwrap();
    assert_eq!(read_all(&office.parts.store, &fresh, acme).await, [(2, 2, 3)]);
    let context = |version: u32| {
        let pairs =
            [("tenant", acme.to_string()), ("purpose", "data".to_owned()), ("version", version.to_string())];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let calls = kms.calls();
    assert!(calls.contains(&("Encrypt".to_owned(), context(1))), "{calls:?}");
    assert!(calls.contains(&("GenerateDataKey".to_owned(), context(2))), "{calls:?}");
    office.close().await;
}

#[tokio::test]
async fn a_rotation_waits_for_kms_and_loses_nothing() {
    let mut office = Office::closed(now()).await;
    let kms = FakeKms::start();
    let acme = tenant(&office, 1).await;
    connect(&office.parts, acme, 2).await;
    let older = MasterKey::parse(MASTER_KEY).unwrap();
    office.parts.keyring = Arc::new(kms_ring(&office, &kms, vec![older]).await);
    kms.disable(KEY_ARN, true);
    office.work().await;
    let id = office.ask(job(acme, 1)).await;
    let waiting = |jobs: &[costlens_queue::ops::JobRow]| jobs.iter().all(|job| job.state == State::Retrying);
    office.until("rotate_tenant_key.v1", waiting).await;
    assert_eq!(read_all(&office.parts.store, &office.parts.keyring, acme).await, [(2, 1, 2)]);
    kms.disable(KEY_ARN, false);
    office.set_clock(now() + TimeDelta::minutes(1));
    office.wake("rotate_tenant_key.v1").await;
    assert_eq!(office.ended("rotate_tenant_key.v1", id).await.job.state, State::Done);
    let mut system = office.parts.store.system().await.unwrap();
    let keys = pairs(system.data_keys_of(acme).await.unwrap());
    assert!(keys.iter().all(|(_, wrapped)| office.parts.keyring.is_current(wrapped)));
    office.close().await;
}

#[tokio::test]
async fn a_text_that_does_not_open_keeps_its_key_and_is_a_dead_letter() {
    let office = Office::open(now()).await;
    let acme = tenant(&office, 200).await;
    let ids = connect(&office.parts, acme, 3).await;
    let damaged = ids[1].uuid();
    office
        .sql(&format!(
            "UPDATE connection SET sealed_secret = set_byte(sealed_secret, 20, 255 - get_byte(sealed_secret, 20)) \
             WHERE id = '{damaged}'"
        ))
        .await;
    let job = rotate(&office, acme, 2).await.job;
    assert_eq!(
        (job.state, job.class, job.code.as_deref()),
        (State::Dead, Some(ErrorClass::Bug), Some("not_opened"))
    );
    assert_eq!(versions(&office, acme).await, [1, 2]);
    assert_eq!(job.progress.unwrap()["texts_sealed"], 2, "the others are sealed anew");
    office.close().await;
}

#[tokio::test]
async fn destroyed_keys_take_every_copy_of_what_they_sealed_with_them() {
    let office = Office::open(now()).await;
    let (acme, globex) = (tenant(&office, 90).await, tenant(&office, 1).await);
    let ids = connect(&office.parts, acme, 3).await;
    connect(&office.parts, globex, 2).await;
    let store = &office.parts.store;
    let copies = store.system().await.unwrap().connections_of(acme).await.unwrap();
    let theirs = pairs(store.system().await.unwrap().data_keys_of(globex).await.unwrap());

    let mut conn = store.tenant(acme).await.unwrap();
    assert_eq!(conn.destroy_data_keys(Destroy::All).await.unwrap(), 1);
    conn.commit().await.unwrap();
    assert_eq!(copies.len(), ids.len());
    // The master key is at hand, and so are another tenant's keys and a new one of the tenant's.
    let keyring = &office.parts.keyring;
    let again = [(1, keyring.new_data_key(acme, 1, &OsEntropy).0)];
    for copy in copies {
        let (place, sealed) = (place(acme, copy.id.uuid()), copy.sealed_secret.unwrap());
        assert_eq!(keyring.tenant::<Vec<u8>>(acme, &[]).open(&place, &sealed), Err(SealError::NoKey));
        assert_eq!(keyring.tenant(acme, &again).open(&place, &sealed), Err(SealError::Rejected));
        assert_eq!(keyring.tenant(acme, &theirs).open(&place, &sealed), Err(SealError::Rejected));
        let sealer = Sealer::new(&MasterKey::parse(MASTER_KEY).unwrap());
        assert_eq!(sealer.open(&place, &sealed), Err(SealError::Format));
    }
    // A rotation that was asked for before brings nothing back, and another tenant is untouched.
    assert_eq!(rotate(&office, acme, 2).await.job.state, State::Done);
    assert_eq!(versions(&office, acme).await, Vec::<u32>::new());
    assert_eq!(read_all(store, keyring, globex).await, [(2, 1, 2)]);
    office.close().await;
}
