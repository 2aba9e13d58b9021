//! Prompts and answers in the database: with their row or not at all, dropped when their time is over, and written down.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use costlens_domain::privacy::{BodyClass, BodyState, PrivacySettings};
use costlens_domain::request::RequestFact;
use costlens_domain::{AuditEventId, RequestId, SupportGrantId};
use diesel_async::SimpleAsyncConnection;

use super::support::{Actor, actor, at, fact, owner};
use crate::testing::{TestDb, unlike_bytes};
use crate::{BodyDay, Destroy, NewSupportGrant, SealedBody, Shipped, Store};

fn body(of: &Actor, class: BodyClass) -> SealedBody {
    SealedBody {
        class,
        subject: of.key.id,
        key_version: 1,
        redacted: false,
        request_bytes: 7,
        response_bytes: 9,
        sealed_request: vec![3, 0, 0, 0, 1, 7],
        sealed_response: vec![3, 0, 0, 0, 1, 9],
    }
}

fn promised(of: &Actor, started_at: DateTime<Utc>) -> RequestFact {
    RequestFact { body: BodyState::Sealed, ..fact(of, started_at) }
}

async fn ship(store: &Store, facts: &[RequestFact], bodies: &BTreeMap<RequestId, SealedBody>) -> Shipped {
    store.writer().await.unwrap().insert_calls(facts, bodies).await.unwrap()
}

/// One call of this moment with a body of this class.
async fn keep(store: &Store, of: &Actor, started_at: DateTime<Utc>, class: BodyClass) -> RequestId {
    let call = promised(of, started_at);
    let bodies = BTreeMap::from([(call.id, body(of, class))]);
    assert_eq!(ship(store, std::slice::from_ref(&call), &bodies).await.inserted, 1);
    call.id
}

async fn is_there(store: &Store, of: &Actor, id: RequestId) -> bool {
    store.tenant(of.tenant).await.unwrap().request_body(id).await.unwrap().is_some()
}

async fn state(store: &Store, of: &Actor, id: RequestId) -> BodyState {
    store.tenant(of.tenant).await.unwrap().request(id).await.unwrap().body
}

#[tokio::test]
async fn a_body_comes_with_its_row_once_and_a_row_without_its_body_says_so() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    let (with, without) = (promised(&acme, at(0)), promised(&acme, at(1)));
    let plain = RequestFact { body: BodyState::DroppedZdr, ..fact(&acme, at(2)) };
    let calls = [with.clone(), without.clone(), plain.clone()];
    // A body of a call that may have none is not kept, whoever sends it.
    let bodies =
        BTreeMap::from([(with.id, body(&acme, BodyClass::Month)), (plain.id, body(&acme, BodyClass::Month))]);
    assert_eq!(ship(store, &calls, &bodies).await.inserted, 3);
    let again =
        BTreeMap::from([(with.id, body(&acme, BodyClass::Year)), (without.id, body(&acme, BodyClass::Year))]);
    assert_eq!(ship(store, &calls, &again).await, Shipped { duplicates: 3, ..Shipped::default() });

    let stored = store.tenant(acme.tenant).await.unwrap().request_body(with.id).await.unwrap().unwrap();
    assert_eq!((stored.sealed, stored.started_at), (body(&acme, BodyClass::Month), with.started_at));
    assert_eq!(state(store, &acme, with.id).await, BodyState::Sealed);
    assert_eq!(state(store, &acme, without.id).await, BodyState::Unavailable);
    assert_eq!(state(store, &acme, plain.id).await, BodyState::DroppedZdr);
    for id in [without.id, plain.id] {
        assert!(!is_there(store, &acme, id).await);
    }
    let other = actor(&db, "other").await;
    assert!(!is_there(store, &other, with.id).await, "another tenant's");
}

#[tokio::test]
async fn a_database_that_takes_no_bodies_takes_the_calls() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    keep(store, &acme, at(0), BodyClass::Week).await;
    let full = "ALTER TABLE request_body ADD CONSTRAINT full_disk CHECK (false) NOT VALID";
    owner(&db).await.batch_execute(full).await.unwrap();
    let (one, other) = (promised(&acme, at(1)), fact(&acme, at(2)));
    let bodies = BTreeMap::from([(one.id, body(&acme, BodyClass::Week))]);
    assert_eq!(ship(store, &[one.clone(), other.clone()], &bodies).await.inserted, 2);
    assert_eq!(state(store, &acme, one.id).await, BodyState::Unavailable);
    assert_eq!(state(store, &acme, other.id).await, BodyState::None);
}

/// The days that are dropped at a moment, and how many bodies with them.
async fn purge(store: &Store, now: DateTime<Utc>, cap: Option<u32>) -> Vec<(BodyDay, u64)> {
    let mut system = store.system().await.unwrap();
    let mut gone = Vec::new();
    for day in system.expired_body_days(now, cap).await.unwrap() {
        let seen = system.tenants_of_body_day(day).await.unwrap().into_iter();
        let seen: Vec<_> = seen.map(|tenant| (tenant, AuditEventId::new(now, unlike_bytes()))).collect();
        gone.push((day, system.drop_body_day(day, now, cap, &seen).await.unwrap()));
    }
    gone
}

#[tokio::test]
async fn each_class_goes_when_its_last_call_is_past_it_and_not_a_second_before() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    // The last second of a day before a leap day, and of one.
    for day in ["2028-02-28", "2028-02-29"] {
        let day: NaiveDate = day.parse().unwrap();
        let last = day.and_hms_opt(23, 59, 59).unwrap().and_utc();
        let midnight = day.and_hms_opt(0, 0, 0).unwrap().and_utc();
        let cases = [
            (BodyClass::Week, 7),
            (BodyClass::Month, 30),
            (BodyClass::Quarter, 90),
            (BodyClass::Year, 365),
            (BodyClass::Forever, 45),
        ];
        for (class, days) in cases {
            let (first, second) =
                (keep(store, &acme, midnight, class).await, keep(store, &acme, last, class).await);
            let end = midnight + Days::new(days + 1);
            assert_eq!(purge(store, end - chrono::Duration::seconds(1), Some(45)).await, [], "{class}");
            assert!(is_there(store, &acme, first).await && is_there(store, &acme, second).await);
            assert_eq!(purge(store, end, Some(45)).await, [(BodyDay { class, day }, 2)]);
            assert!(!is_there(store, &acme, first).await && !is_there(store, &acme, second).await);
            // The calls themselves stay, and say that there was something.
            assert_eq!(state(store, &acme, second).await, BodyState::Sealed);
            assert_eq!(purge(store, end, Some(45)).await, [], "again there is nothing to do");
        }
    }
}

#[tokio::test]
async fn what_is_kept_for_ever_stays_without_a_cap_and_at_least_thirty_days_with_one() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    let day = at(0).date_naive();
    let id = keep(store, &acme, at(0), BodyClass::Forever).await;
    assert_eq!(purge(store, at(0) + Days::new(40_000), None).await, []);
    // A cap below the floor is the floor.
    assert_eq!(purge(store, at(0) + Days::new(30), Some(1)).await, []);
    assert!(is_there(store, &acme, id).await);
    let of = BodyDay { class: BodyClass::Forever, day };
    let refused = store.system().await.unwrap().drop_body_day(of, at(0) + Days::new(29), Some(1), &[]).await;
    assert_eq!(refused.unwrap_err().constraint(), Some("body_day_expired"));
    assert_eq!(purge(store, at(0) + Days::new(32), Some(1)).await, [(of, 1)]);
}

#[tokio::test]
async fn what_went_stands_in_each_tenants_audit_or_nothing_goes() {
    let db = TestDb::new().await;
    let store = db.store();
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    for of in [&acme, &acme, &other] {
        keep(store, of, at(0), BodyClass::Week).await;
    }
    let of = BodyDay { class: BodyClass::Week, day: at(0).date_naive() };
    let now = at(0) + Days::new(9);
    let mut system = store.system().await.unwrap();
    // Somebody whose bodies came after the look: nobody's go without a record.
    let some = [(acme.tenant, AuditEventId::new(now, unlike_bytes()))];
    let refused = system.drop_body_day(of, now, None, &some).await.unwrap_err();
    assert_eq!(refused.constraint(), Some("body_day_seen"));
    assert_eq!(purge(store, now, None).await, [(of, 3)]);
    for (of, bodies) in [(&acme, 2), (&other, 1)] {
        let events = store.tenant(of.tenant).await.unwrap().list_audit_events(None, 9).await.unwrap();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((event.action.as_str(), event.actor.as_str()), ("bodies.purged", "schedule"));
        assert_eq!((&event.change["bodies"], &event.change["class"]), (&bodies.into(), &"7d".into()));
    }
}

#[tokio::test]
async fn a_tenant_that_keeps_for_a_shorter_time_is_found_with_what_goes() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    for days in [1, 8, 20] {
        keep(store, &acme, at(0) - Days::new(days), BodyClass::Year).await;
    }
    keep(store, &acme, at(0) - Days::new(5), BodyClass::Week).await;
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    let week = PrivacySettings { body_class: BodyClass::Week, ..PrivacySettings::INITIAL };
    conn.put_privacy(&week, at(0)).await.unwrap();
    conn.commit().await.unwrap();
    let found = store.system().await.unwrap().tenants_with_longer_bodies(None, 9).await.unwrap();
    assert_eq!(found, [(acme.tenant, BodyClass::Week)]);
    let before = at(0).date_naive() - Days::new(7);
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    let longer = BodyClass::Week.longer_ones();
    let count = conn.count_bodies_before(longer, before).await.unwrap();
    assert_eq!((count.bodies, count.oldest), (2, Some(at(0).date_naive() - Days::new(20))));
    assert_eq!(conn.delete_bodies_before(longer, before, 1).await.unwrap(), 1);
    assert_eq!(conn.delete_bodies_before(longer, before, 9).await.unwrap(), 1);
    assert_eq!(conn.delete_bodies_before(longer, before, 9).await.unwrap(), 0);
    conn.commit().await.unwrap();
    // One of a day ago is kept under the longer class, and not past its time under the shorter one.
    let found = store.system().await.unwrap().tenants_with_longer_bodies(None, 9).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_destroyed_key_leaves_its_version_and_nothing_else_and_a_tenants_end_takes_all() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    let key = acme.key.id;
    let mut system = store.system().await.unwrap();
    assert!(system.add_subject_key(acme.tenant, key, 1, b"wrapped", at(0)).await.unwrap());
    assert!(!system.add_subject_key(acme.tenant, key, 1, b"another", at(0)).await.unwrap());
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.destroy_subject_keys(key, at(1)).await.unwrap(), 1);
    assert_eq!(conn.destroy_subject_keys(key, at(2)).await.unwrap(), 0);
    conn.commit().await.unwrap();
    assert!(system.add_subject_key(acme.tenant, key, 2, b"next", at(3)).await.unwrap());
    let keys = system.subject_keys_of(acme.tenant, key).await.unwrap();
    let told: Vec<_> =
        keys.iter().map(|key| (key.version, key.wrapped.as_deref(), key.destroyed_at)).collect();
    assert_eq!(told, [(1, None, Some(at(1))), (2, Some(b"next".as_slice()), None)]);
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    conn.destroy_data_keys(Destroy::All).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(system.subject_keys_of(acme.tenant, key).await.unwrap(), []);
}

#[tokio::test]
async fn a_superseded_key_goes_only_when_no_body_names_it() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    let key = acme.key.id;
    let mut system = store.system().await.unwrap();
    for version in [1, 2] {
        system.add_subject_key(acme.tenant, key, version, b"01234wrapped", at(0)).await.unwrap();
    }
    keep(store, &acme, at(0), BodyClass::Week).await;
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.destroy_unused_subject_keys(key, 2, at(1)).await.unwrap(), 0);
    conn.commit().await.unwrap();
    assert_eq!(purge(store, at(0) + Days::new(9), None).await.len(), 1);
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    // Two living keys of a subject: it is looked at until the older one is gone.
    assert_eq!(conn.subjects_to_rotate(b"01234", at(-1), None, 9).await.unwrap(), [key]);
    assert_eq!(conn.destroy_unused_subject_keys(key, 2, at(1)).await.unwrap(), 1);
    assert_eq!(conn.subjects_to_rotate(b"01234", at(-1), None, 9).await.unwrap(), []);
    assert_eq!(conn.subjects_to_rotate(b"other", at(-1), None, 9).await.unwrap(), [key]);
    assert_eq!(conn.subjects_to_rotate(b"01234", at(0), None, 9).await.unwrap(), [key]);
    let tenants = system.tenants_with_subjects_to_rotate(b"other", at(-1), None, 9).await.unwrap();
    assert_eq!(tenants, [acme.tenant]);
}

#[tokio::test]
async fn leave_holds_for_its_time_and_not_after_it_is_taken_back() {
    let db = TestDb::new().await;
    let store = db.store();
    let acme = actor(&db, "acme").await;
    let grant = |hours: i64| NewSupportGrant {
        id: SupportGrantId::new(at(0), unlike_bytes()),
        reason: "a stuck export".to_owned(),
        granted_at: at(0),
        expires_at: at(hours * 3_600),
    };
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert!(conn.create_support_grant(&grant(73)).await.is_err(), "longer than anybody may");
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    let made = conn.create_support_grant(&grant(2)).await.unwrap();
    conn.commit().await.unwrap();
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.holding_support_grant(at(7_199)).await.unwrap(), Some(made.clone()));
    assert_eq!(conn.holding_support_grant(at(7_200)).await.unwrap(), None);
    assert_eq!(conn.holding_support_grant(at(-1)).await.unwrap(), None);
    drop(conn);
    let held = store.system().await.unwrap().holding_support_grants(at(5), 9).await.unwrap();
    assert_eq!(held, [(acme.tenant, made.clone())]);
    let other = actor(&db, "other").await;
    let mut theirs = store.tenant(other.tenant).await.unwrap();
    assert_eq!(theirs.holding_support_grant(at(5)).await.unwrap(), None);
    assert!(!theirs.revoke_support_grant(made.id, at(5)).await.unwrap());
    drop(theirs);
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert!(conn.revoke_support_grant(made.id, at(5)).await.unwrap());
    assert!(!conn.revoke_support_grant(made.id, at(6)).await.unwrap());
    assert_eq!(conn.holding_support_grant(at(5)).await.unwrap(), None);
}
