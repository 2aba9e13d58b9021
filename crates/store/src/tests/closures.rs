//! Closing an account: what is frozen at once, what can be erased when, and that nothing is forgotten.

use std::collections::BTreeSet;

use chrono::Duration;
use costlens_domain::request::RequestFact;
use costlens_domain::{ApiKeyId, ErasureId, RequestId, SessionId};
use diesel::sql_types::{Binary, Text};
use diesel_async::RunQueryDsl;

use super::support::{Actor, actor, at, fact, owner, ship};
use crate::testing::{TestDb, unlike_bytes};
use crate::{ERASED_TABLES, Erasure, ErasureState, NewSession, NewSignInLink, Store};

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(diesel::QueryableByName)]
struct Hash {
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
}

async fn request(store: &Store, of: &Actor) -> Erasure {
    let mut tx = store.tenant(of.tenant).await.unwrap();
    let id = ErasureId::new(at(0), unlike_bytes());
    let asked = tx.request_closure(
        id,
        ("a test", None),
        at(0),
        at(0) + Duration::days(7),
        at(0) + Duration::days(30),
    );
    let asked = asked.await.unwrap();
    tx.commit().await.unwrap();
    asked
}

#[tokio::test]
async fn every_tenant_table_is_erased() {
    let db = TestDb::new().await;
    // By the catalogue, not by the list.
    let sql = "SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND a.attname = 'tenant_id'";
    let live: Vec<Name> = diesel::sql_query(sql).load(&mut owner(&db).await).await.unwrap();
    // Those two go with the account itself.
    let last = ["closure", "audit_head"];
    let live: BTreeSet<String> =
        live.into_iter().map(|table| table.name).filter(|name| !last.contains(&name.as_str())).collect();
    let erased: BTreeSet<String> = ERASED_TABLES.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(erased, live, "a table that an erasure forgets, or knows and does not exist");
}

#[tokio::test]
async fn a_closing_account_is_frozen_at_once_and_a_kept_one_is_as_before() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let mut system = db.store().system().await.unwrap();
    let hash = |of: &Actor| {
        let mut hash = [0; 32];
        let name = if of.tenant == acme.tenant { "acme" } else { "other" };
        hash.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        hash
    };
    let link = |n| NewSignInLink {
        tenant_id: acme.tenant,
        hash: [n; 32],
        created_at: at(0),
        expires_at: at(1_800),
        operator: false,
    };
    system.create_sign_in_link(&link(7)).await.unwrap();
    system.create_sign_in_link(&link(8)).await.unwrap();
    let session =
        NewSession { id: SessionId::new(at(0), unlike_bytes()), hash: [1; 32], expires_at: at(3_600) };
    system.redeem_sign_in_link(&[7; 32], &session, at(1)).await.unwrap().unwrap();

    let asked = request(db.store(), &acme).await;
    assert_eq!(asked.state, ErasureState::Grace);
    assert!(system.key_by_hash(&hash(&acme)).await.unwrap().unwrap().closing);
    assert!(!system.key_by_hash(&hash(&other)).await.unwrap().unwrap().closing);
    let (ended, closing) = system.session_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert!(closing && ended.ended_at == Some(at(0)));
    assert_eq!(system.redeem_sign_in_link(&[8; 32], &session, at(2)).await.unwrap(), None);
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let again = tx.request_closure(asked.id, ("a test", None), at(1), at(2), at(3)).await.unwrap_err();
    assert_eq!(again.constraint(), Some("closure_pkey"));
    drop(tx);
    // Nobody else sees it.
    assert_eq!(db.store().tenant(other.tenant).await.unwrap().closure().await.unwrap(), None);

    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.cancel_closure(at(60)).await.unwrap().state, ErasureState::Cancelled);
    tx.commit().await.unwrap();
    assert!(!system.key_by_hash(&hash(&acme)).await.unwrap().unwrap().closing);
    assert_eq!(system.open_erasures(10).await.unwrap(), []);
    assert!(!system.begin_erasure(asked.id, &[0; 32], at(0) + Duration::days(8)).await.unwrap());
}

#[tokio::test]
async fn a_tenants_transaction_begins_no_erasure_and_cuts_none_loose() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let asked = request(db.store(), &acme).await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    for state in ["erasing", "certified"] {
        let sql = format!("UPDATE erasure SET state = '{state}'");
        assert!(diesel::sql_query(sql).execute(tx.transaction().unwrap()).await.is_err(), "{state}");
        tx = db.store().tenant(acme.tenant).await.unwrap();
    }
    assert!(diesel::sql_query("DELETE FROM closure").execute(tx.transaction().unwrap()).await.is_err());
    drop(tx);
    let mut system = db.store().system().await.unwrap();
    assert!(system.begin_erasure(asked.id, &[0; 32], at(0) + Duration::days(7)).await.unwrap());
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let taken_back = diesel::sql_query("UPDATE erasure SET state = 'cancelled'");
    assert_eq!(taken_back.execute(tx.transaction().unwrap()).await.unwrap(), 0);
    assert!(diesel::sql_query("DELETE FROM closure").execute(tx.transaction().unwrap()).await.is_err());
}

/// The hash by which an erasure is known for this tenant's, as a worker makes it.
async fn shown_hash(db: &TestDb, of: &Actor) -> [u8; 32] {
    let sql = format!("SELECT sha256('{}'::bytea) AS hash", of.tenant);
    let hash: Hash = diesel::sql_query(sql).get_result(&mut owner(db).await).await.unwrap();
    hash.hash.try_into().unwrap()
}

#[tokio::test]
async fn a_late_call_of_an_erased_account_is_dropped_and_a_stray_one_of_another_is_refused() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let asked = request(db.store(), &acme).await;
    let stray = |of: &Actor| RequestFact { api_key_id: ApiKeyId::new(at(0), [9; 10]), ..fact(of, at(0)) };
    // In its days of grace it is a customer like any other.
    let (mine, others) = (stray(&acme), stray(&other));
    let shipped = ship(db.store(), &[mine.clone(), others.clone()]).await;
    assert_eq!((shipped.refused.len(), shipped.erased), (2, 0));

    let mut system = db.store().system().await.unwrap();
    let hash = shown_hash(&db, &acme).await;
    assert!(system.begin_erasure(asked.id, &hash, at(0) + Duration::days(7)).await.unwrap());
    for table in ERASED_TABLES.concat() {
        while system.erase_rows(asked.id, table, 100).await.unwrap() > 0 {}
    }
    let late = fact(&acme, at(0));
    let absurd = RequestFact { id: RequestId::new(at(4_000_000_000), [1; 10]), ..fact(&acme, at(0)) };
    let good = fact(&other, at(0));
    let batch = [late.clone(), absurd, mine, others.clone(), good, late.clone()];
    let shipped = ship(db.store(), &batch).await;
    assert_eq!((shipped.inserted, shipped.duplicates, shipped.erased), (1, 1, 3));
    assert_eq!(shipped.refused, [others.id]);
    // Nor is it known any less when all that is left of the account is the certificate.
    system.certify_erasure(asked.id, &serde_json::json!({}), at(9)).await.unwrap();
    let shipped = ship(db.store(), &[late]).await;
    assert_eq!((shipped.refused.len(), shipped.erased), (0, 1));
}

#[tokio::test]
async fn nothing_is_erased_before_its_time_or_of_anybody_else() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    ship(db.store(), &[fact(&acme, at(0)), fact(&acme, at(86_400)), fact(&other, at(0))]).await;
    let asked = request(db.store(), &acme).await;
    let mut system = db.store().system().await.unwrap();
    let early = system.erase_rows(asked.id, "request", 10).await.unwrap_err();
    assert_eq!(early.constraint(), Some("erasure_under_way"));
    assert!(!system.begin_erasure(asked.id, &[0; 32], at(0) + Duration::days(6)).await.unwrap());
    assert!(system.begin_erasure(asked.id, &[0; 32], at(0) + Duration::days(7)).await.unwrap());
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert!(tx.cancel_closure(at(0)).await.is_err(), "it cannot be kept any more");
    drop(tx);

    for not_one in ["closure", "audit_head", "tenant", "erasure", "pg_class", "retention"] {
        let refused = system.erase_rows(asked.id, not_one, 10).await.unwrap_err();
        assert_eq!(refused.constraint(), Some("erasure_table"), "{not_one}");
    }
    // Of two partitions, one row at a time: a row's place in one is another's in the other.
    assert_eq!(system.erase_rows(asked.id, "request", 1).await.unwrap(), 1);
    assert_eq!(system.erase_rows(asked.id, "request", 10).await.unwrap(), 1);
    // Each was counted with its going.
    assert_eq!(system.erasure(asked.id).await.unwrap().0.evidence["rows:request"], 2);
    let left = system.count_tenant_rows(asked.id).await.unwrap();
    let of = |name: &str| left.iter().find(|(table, _)| table == name).map(|(_, rows)| *rows);
    assert_eq!((of("request"), of("api_key"), of("spend_hourly")), (Some(0), Some(1), Some(2)));
    // Files that an attempt found which died are not counted again by the next.
    for (found, erased) in [(5, None), (2, Some(2)), (1, Some(1)), (0, Some(0))] {
        system.note_found(asked.id, "files", found).await.unwrap();
        if let Some(erased) = erased {
            system.settle_found(asked.id, "files", erased).await.unwrap();
        }
    }
    let evidence = system.erasure(asked.id).await.unwrap().0.evidence;
    assert_eq!((evidence["files"].as_u64(), evidence.get("files_found")), (Some(6), None));
    let too_early = system.certify_erasure(asked.id, &serde_json::json!({}), at(9)).await;
    assert!(too_early.is_err(), "an account with rows left is not certified");

    for table in ERASED_TABLES.concat() {
        while system.erase_rows(asked.id, table, 100).await.unwrap() > 0 {}
    }
    system.certify_erasure(asked.id, &serde_json::json!({"number": 1}), at(9)).await.unwrap();
    let (done, tenant) = system.erasure(asked.id).await.unwrap();
    assert_eq!((done.state, tenant), (ErasureState::Certified, None));
    let tenants = system.list_tenants().await.unwrap();
    assert_eq!(tenants.iter().map(|tenant| tenant.id).collect::<Vec<_>>(), [other.tenant]);
    assert!(system.count_tenant_rows(asked.id).await.is_err(), "nothing leads back to the account");
}
