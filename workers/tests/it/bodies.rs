//! Prompts and answers that are kept: they go when their time is over and what went is written down; the keys that seal
//! them grow old, and are destroyed with all they sealed.

use std::sync::Arc;

use chrono::{DateTime, Days, Utc};
use costlens_domain::RequestId;
use costlens_domain::privacy::{BodyClass, PrivacySettings};
use costlens_queue::ops::State;
use costlens_store::{Destroy, SubjectKey};
use costlens_vault::{Keyring, MasterKey, SealError, SealedFor};
use serde_json::json;

use super::account::{Account, CANARY};
use super::outside::Outside;
use super::upkeep::now;
use super::{MASTER_KEY, Office};

const NEWER_MASTER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn days_ago(days: u64) -> DateTime<Utc> {
    now().checked_sub_days(Days::new(days)).unwrap()
}

/// What is kept of a call, opened with the keys that are there; `None` where nothing is kept.
async fn read(office: &Office, of: &Account, id: RequestId) -> Option<Result<String, SealError>> {
    let mut tx = office.parts.store.tenant(of.tenant).await.unwrap();
    let body = tx.request_body(id).await.unwrap()?.sealed;
    let keys = tx.subject_keys(of.key).await.unwrap();
    let keys: Vec<_> = keys.into_iter().filter_map(|key| Some((key.version, key.wrapped?))).collect();
    let place =
        SealedFor { tenant: of.tenant, table: "request_body", column: "sealed_request", row: id.uuid() };
    let opened =
        office.parts.keyring.subject(of.tenant, of.key.uuid(), &keys).open(&place, &body.sealed_request);
    Some(opened.map(|text| String::from_utf8(text.to_vec()).unwrap()))
}

async fn wants(office: &Office, of: &Account, class: BodyClass) {
    let mut tx = office.parts.store.tenant(of.tenant).await.unwrap();
    tx.put_privacy(&PrivacySettings { body_class: class, ..PrivacySettings::INITIAL }, now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn purged(office: &Office, of: &Account) -> Vec<serde_json::Value> {
    let mut tx = office.parts.store.tenant(of.tenant).await.unwrap();
    let events = tx.list_audit_events(None, 99).await.unwrap();
    events.into_iter().filter(|event| event.action == "bodies.purged").map(|event| event.change).collect()
}

async fn keys(office: &Office, of: &Account) -> Vec<SubjectKey> {
    office.parts.store.system().await.unwrap().subject_keys_of(of.tenant, of.key).await.unwrap()
}

#[tokio::test]
async fn a_night_takes_the_bodies_that_are_past_their_time_and_writes_it_down_once() {
    let outside = Outside::open().await;
    let office = Office::open(now()).await;
    let (acme, other) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Other").await);
    let mut stay = Vec::new();
    let mut go = Vec::new();
    for (class, days) in
        [(BodyClass::Week, 7), (BodyClass::Month, 30), (BodyClass::Quarter, 90), (BodyClass::Year, 365)]
    {
        stay.push(acme.keep(&office, days_ago(days), class).await);
        go.push(acme.keep(&office, days_ago(days + 1), class).await);
    }
    stay.push(acme.keep(&office, days_ago(2_000), BodyClass::Forever).await);
    let others = other.keep(&office, days_ago(8), BodyClass::Week).await;

    let night = office.run("retention.v1").await;
    assert_eq!(
        (night.job.state, &night.job.progress.as_ref().unwrap()["request_body"]),
        (State::Done, &json!(5))
    );
    for id in &stay {
        assert_eq!(read(&office, &acme, *id).await.unwrap().as_deref(), Ok(CANARY));
    }
    for id in &go {
        assert_eq!(read(&office, &acme, *id).await, None);
        // The call itself is in the ledger for ever.
        office.parts.store.tenant(acme.tenant).await.unwrap().request(*id).await.unwrap();
    }
    assert_eq!(read(&office, &other, others).await, None);
    assert_eq!((purged(&office, &acme).await.len(), purged(&office, &other).await.len()), (4, 1));
    assert!(purged(&office, &acme).await.iter().all(|change| change["partition_dropped"] == true));

    let again = office.run("retention.v1").await;
    assert_eq!(again.job.progress.unwrap()["request_body"], 0);
    assert_eq!(purged(&office, &acme).await.len(), 4);
    office.close().await;
}

#[tokio::test]
async fn a_shorter_time_ends_what_was_kept_for_longer_at_the_next_night() {
    let outside = Outside::open().await;
    let office = Office::open(now()).await;
    let (acme, other) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Other").await);
    let (fresh, old) = (
        acme.keep(&office, days_ago(7), BodyClass::Year).await,
        acme.keep(&office, days_ago(9), BodyClass::Year).await,
    );
    let others = other.keep(&office, days_ago(9), BodyClass::Year).await;
    wants(&office, &acme, BodyClass::Week).await;
    wants(&office, &other, BodyClass::Forever).await;
    assert_eq!(office.run("retention.v1").await.job.progress.unwrap()["request_body"], 1);
    assert!(read(&office, &acme, fresh).await.is_some() && read(&office, &other, others).await.is_some());
    assert_eq!(read(&office, &acme, old).await, None);
    let told = purged(&office, &acme).await;
    assert_eq!((told.len(), &told[0]["bodies"], &told[0]["class"]), (1, &json!(1), &json!("7d")));
    assert_eq!(office.run("retention.v1").await.job.progress.unwrap()["request_body"], 0);
    assert_eq!(purged(&office, &acme).await.len(), 1);
    office.close().await;
}

#[tokio::test]
async fn what_is_kept_for_ever_is_let_go_of_by_the_operators_cap_and_not_before_thirty_days() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    office.parts.forever_body_days = Some(1);
    office.work().await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let (stays, goes) = (
        acme.keep(&office, days_ago(30), BodyClass::Forever).await,
        acme.keep(&office, days_ago(31), BodyClass::Forever).await,
    );
    assert_eq!(office.run("retention.v1").await.job.progress.unwrap()["request_body"], 1);
    assert!(read(&office, &acme, stays).await.is_some());
    assert_eq!(read(&office, &acme, goes).await, None);
    office.close().await;
}

#[tokio::test]
async fn a_subjects_key_gets_a_successor_and_goes_with_the_last_body_that_needs_it() {
    let outside = Outside::open().await;
    let office = Office::open(now()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let id = acme.keep(&office, days_ago(0), BodyClass::Forever).await;
    office.run("key-rotation.v1").await;
    office.settled("rotate_subject_keys.v1").await;
    assert_eq!(keys(&office, &acme).await.len(), 1, "it is young");

    let later = |days| now().checked_add_days(Days::new(days)).unwrap();
    office.set_clock(later(90));
    // Run twice, it makes one successor.
    for _ in 0..2 {
        office.run("key-rotation.v1").await;
        office.settled("rotate_subject_keys.v1").await;
    }
    let made = keys(&office, &acme).await;
    assert_eq!(
        made.iter().map(|key| (key.version, key.wrapped.is_some())).collect::<Vec<_>>(),
        [(1, true), (2, true)]
    );
    assert_eq!(read(&office, &acme, id).await.unwrap().as_deref(), Ok(CANARY));
    // Past its thirty days, and a body still names it.
    office.set_clock(later(90 + 30));
    office.run("key-rotation.v1").await;
    office.settled("rotate_subject_keys.v1").await;
    assert!(keys(&office, &acme).await[0].wrapped.is_some());
    office.sql("DELETE FROM request_body").await;
    office.set_clock(later(90 + 31));
    office.run("key-rotation.v1").await;
    office.settled("rotate_subject_keys.v1").await;
    let left = keys(&office, &acme).await;
    assert_eq!(
        left.iter().map(|key| (key.version, key.wrapped.is_some())).collect::<Vec<_>>(),
        [(1, false), (2, true)]
    );
    office.close().await;
}

#[tokio::test]
async fn subjects_keys_of_an_older_master_key_are_wrapped_anew_and_open_without_it() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let id = acme.keep(&office, days_ago(1), BodyClass::Quarter).await;
    let newer = || Keyring::new(MasterKey::parse(NEWER_MASTER_KEY).unwrap());
    office.parts.keyring = Arc::new(newer().with_older(vec![MasterKey::parse(MASTER_KEY).unwrap()]));
    office.work().await;
    for _ in 0..2 {
        office.run("key-rotation.v1").await;
        office.settled("rotate_subject_keys.v1").await;
        office.settled("rotate_tenant_key.v1").await;
    }
    let keyring = &office.parts.keyring;
    let keys = keys(&office, &acme).await;
    assert!(keys.iter().all(|key| key.wrapped.as_ref().is_some_and(|wrapped| keyring.is_current(wrapped))));
    office.parts.keyring = Arc::new(newer());
    assert_eq!(read(&office, &acme, id).await.unwrap().as_deref(), Ok(CANARY));
    office.close().await;
}

#[tokio::test]
async fn destroyed_keys_of_a_subject_or_a_tenant_take_what_they_sealed_with_them() {
    let outside = Outside::open().await;
    let office = Office::open(now()).await;
    let (acme, other) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Other").await);
    let (of_acme, of_other) = (
        acme.keep(&office, days_ago(1), BodyClass::Year).await,
        other.keep(&office, days_ago(1), BodyClass::Year).await,
    );
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.destroy_subject_keys(acme.key, now()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(read(&office, &acme, of_acme).await, Some(Err(SealError::NoKey)));
    assert_eq!(read(&office, &other, of_other).await.unwrap().as_deref(), Ok(CANARY));
    let mut tx = office.parts.store.tenant(other.tenant).await.unwrap();
    tx.destroy_data_keys(Destroy::All).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(read(&office, &other, of_other).await, Some(Err(SealError::NoKey)));
    office.close().await;
}
