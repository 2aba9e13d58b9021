//! Exactly once: what the shipper's insert promises.

use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{ApiKeyId, RequestId, Tokens, Usd};
use diesel::sql_types::{BigInt, Nullable, Numeric};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::support::{Actor, actor, at, fact, owner, ship, unpriced};
use crate::RequestFilter;
use crate::db::Db;
use crate::testing::TestDb;

#[derive(diesel::QueryableByName, Debug, PartialEq, Eq)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    input: i64,
    #[diesel(sql_type = Nullable<Numeric>)]
    cost: Option<Db<Usd>>,
}

async fn sums(db: &TestDb, from: &str) -> Sums {
    diesel::sql_query(from).get_result(&mut owner(db).await).await.unwrap()
}

async fn row_sums(db: &TestDb) -> Sums {
    sums(db, "SELECT count(*) AS requests, coalesce(sum(fresh_input), 0)::bigint AS input, sum(cost) AS cost FROM request").await
}

async fn rollup_sums(db: &TestDb) -> Sums {
    let sql = "SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(fresh_input), 0)::bigint AS input, \
               sum(cost) AS cost FROM spend_hourly";
    sums(db, sql).await
}

async fn read(db: &TestDb, actor: &Actor, id: RequestId) -> RequestFact {
    db.store().tenant(actor.tenant).await.unwrap().request(id).await.unwrap()
}

#[tokio::test]
async fn a_fact_is_read_back_as_it_was_shipped() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let first = fact(&acme, at(0));
    let second = unpriced(fact(&acme, at(1)));
    let shipped = ship(db.store(), &[first.clone(), second.clone()]).await;
    assert_eq!((shipped.inserted, shipped.duplicates, shipped.refused.len()), (2, 0, 0));
    assert_eq!(read(&db, &acme, first.id).await, first);
    assert_eq!(read(&db, &acme, second.id).await, second);
}

#[tokio::test]
async fn a_replayed_batch_changes_nothing() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut facts: Vec<_> = (0..50).map(|n| fact(&acme, at(n * 3_000))).collect();
    facts.push(facts[0].clone());
    let first = ship(db.store(), &facts).await;
    assert_eq!((first.inserted, first.duplicates), (50, 1));
    let before = (row_sums(&db).await, rollup_sums(&db).await);
    facts.push(fact(&acme, at(7)));
    let again = ship(db.store(), &facts).await;
    assert_eq!((again.inserted, again.duplicates), (1, 51));
    assert_eq!(before.0, before.1);
    let after = (row_sums(&db).await, rollup_sums(&db).await);
    assert_eq!(after.0, after.1);
    assert_eq!(after.0.requests, 51);
    assert_eq!(after.0.cost.unwrap().0.to_string(), "0.0510000000000051");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_shippers_of_the_same_facts_store_and_count_each_once() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await, actor(&db, "globex").await);
    let mut facts: Vec<_> =
        (0..600).map(|n| fact(if n % 2 == 0 { &acme } else { &globex }, at(n * 400))).collect();
    for (n, fact) in facts.iter_mut().enumerate() {
        fact.cost = format!("0.{n:012}1").parse().ok();
        if n % 7 == 0 {
            *fact = unpriced(fact.clone());
        }
    }
    let mut shippers = tokio::task::JoinSet::new();
    for shipper in 0..8 {
        let (store, mut mine) = (db.store().clone(), facts.clone());
        mine.rotate_left(shipper * 75);
        shippers.spawn(async move {
            let mut inserted = 0;
            for batch in mine.chunks(64 + shipper) {
                inserted += ship(&store, batch).await.inserted;
            }
            inserted
        });
    }
    let inserted: usize = shippers.join_all().await.into_iter().sum();
    assert_eq!(inserted, facts.len());
    let rows = row_sums(&db).await;
    assert_eq!(rows, rollup_sums(&db).await);
    let expected =
        facts.iter().filter_map(|fact| fact.cost).fold(Usd::ZERO, |sum, cost| sum.checked_add(cost).unwrap());
    assert_eq!(rows, Sums { requests: 600, input: 600_000, cost: Some(Db(expected)) });
}

#[tokio::test]
async fn a_stray_fact_is_refused_and_its_batch_is_not() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let good = fact(&acme, at(0));
    let unknown_key = RequestFact { api_key_id: ApiKeyId::new(at(0), [9; 10]), ..fact(&acme, at(0)) };
    let far_future = RequestFact { id: RequestId::new(at(4_000_000_000), [1; 10]), ..fact(&acme, at(0)) };
    let no_time = RequestFact { id: uuid::Uuid::nil().into(), ..fact(&acme, at(0)) };
    let mut absurd = fact(&acme, at(0));
    absurd.usage.output = Tokens(u64::MAX);
    let strays = [unknown_key, far_future, no_time, absurd];
    let shipped = ship(db.store(), &[strays.as_slice(), std::slice::from_ref(&good)].concat()).await;
    assert_eq!(shipped.inserted, 1);
    assert_eq!(shipped.duplicates, 0);
    let mut refused = shipped.refused;
    let mut expected: Vec<_> = strays.iter().map(|fact| fact.id).collect();
    refused.sort();
    expected.sort();
    assert_eq!(refused, expected);
    assert_eq!(read(&db, &acme, good.id).await, good);
}

#[tokio::test]
async fn what_a_client_or_provider_said_never_stops_a_batch() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut hostile = fact(&acme, at(0));
    hostile.model_served = Some(format!("a\0{}", "é".repeat(9_000)));
    hostile.caller_request_id = Some("x".repeat(100_000));
    hostile.provider_request_id = Some("\0".to_owned());
    hostile.price.note = Some("zero \0 here".to_owned());
    let mut contradictory = fact(&acme, at(0));
    contradictory.cost = None;
    let shipped = ship(db.store(), &[hostile.clone(), contradictory.clone()]).await;
    assert_eq!(shipped.inserted, 2);
    let kept = read(&db, &acme, hostile.id).await;
    assert_eq!(kept.price.note.as_deref(), Some("zero \u{fffd} here"));
    assert!(kept.model_served.unwrap().starts_with("a\u{fffd}é"));
    let kept = read(&db, &acme, contradictory.id).await;
    assert_eq!((kept.cost_basis, kept.cost), (CostBasis::Unpriced, None));
}

#[tokio::test]
async fn a_call_just_before_midnight_lies_in_the_day_of_its_id() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let midnight =
        chrono::NaiveDate::from_ymd_opt(2025, 12, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let last = fact(&acme, midnight - chrono::Duration::milliseconds(1));
    let first = fact(&acme, midnight);
    ship(db.store(), &[last.clone(), first.clone()]).await;
    ship(db.store(), &[last.clone(), first.clone()]).await;
    let partitions = sums(
        &db,
        "SELECT count(*) AS requests, 0::bigint AS input, NULL::numeric AS cost FROM pg_inherits \
                                WHERE inhparent = 'request'::regclass",
    )
    .await;
    assert_eq!(partitions.requests, 2);
    assert_eq!(row_sums(&db).await.requests, 2);
    assert_eq!(read(&db, &acme, last.id).await, last);
}

#[tokio::test]
async fn a_partition_that_was_dropped_is_made_again() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    ship(db.store(), &[fact(&acme, at(0))]).await;
    owner(&db).await.batch_execute("DROP TABLE request_20251122").await.unwrap();
    let shipped = ship(db.store(), &[fact(&acme, at(1))]).await;
    assert_eq!((shipped.inserted, shipped.refused), (1, Vec::new()));
}

#[tokio::test]
async fn pages_go_back_in_time_and_meet_every_call_once() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut facts: Vec<_> = (0..25).map(|n| fact(&acme, at(n * 20_000))).collect();
    facts[3].provider = "anthropic".to_owned();
    facts[4].model_served = None;
    ship(db.store(), &facts).await;
    facts.reverse();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    for _ in 0..10 {
        let page = conn.list_requests(&RequestFilter::default(), cursor, 7).await.unwrap();
        seen.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, facts);
    let only = |filter: RequestFilter| RequestFilter { from: Some(at(0)), to: Some(at(100_000)), ..filter };
    let by_provider =
        only(RequestFilter { provider: Some("anthropic".to_owned()), ..RequestFilter::default() });
    assert_eq!(conn.list_requests(&by_provider, None, 50).await.unwrap().items.len(), 1);
    let by_model =
        |model: &str| only(RequestFilter { model: Some(model.to_owned()), ..RequestFilter::default() });
    assert_eq!(conn.list_requests(&by_model("gpt-4o"), None, 50).await.unwrap().items.len(), 5);
    assert_eq!(conn.list_requests(&by_model("gpt-4o-2024-08-06"), None, 50).await.unwrap().items.len(), 4);
}
