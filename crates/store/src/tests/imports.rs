//! Imported calls: each once, whoever tells of it and however often, and the proxy's row before any other.

use costlens_domain::imports::{Attribution, ImportedCall};
use costlens_domain::request::{Origin, Provenance, RequestFact};
use costlens_domain::{ApiKeyId, TenantId};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::support::{Actor, actor, at, fact, owner, ship, unpriced};
use crate::testing::TestDb;
use crate::{Imported, StoreError};

fn call(
    actor: &Actor,
    seconds: i64,
    (origin, source_id): (Origin, &str),
    response: Option<&str>,
) -> ImportedCall {
    let provenance = Provenance { origin, region: None, response_id: response.map(str::to_owned) };
    ImportedCall {
        fact: RequestFact { provenance, ..fact(actor, at(seconds)) },
        source_id: source_id.to_owned(),
        imported_at: at(9_999),
        claimed_cost: "12.5".parse().ok(),
        attribution: Attribution {
            team: Some("Search".to_owned()),
            tags: vec!["a\0b".to_owned()],
            ..Attribution::default()
        },
    }
}

/// The proxy's row of an answer.
fn proxied(actor: &Actor, seconds: i64, response: &str) -> RequestFact {
    let provenance = Provenance { response_id: Some(response.to_owned()), ..Provenance::default() };
    RequestFact { provenance, ..fact(actor, at(seconds)) }
}

async fn import(db: &TestDb, tenant: TenantId, calls: &[ImportedCall]) -> Imported {
    db.store().writer().await.unwrap().import_calls(tenant, calls).await.unwrap()
}

const fn sums(taken: u64, known: u64, refused: u64) -> Imported {
    Imported { taken, known, refused }
}

#[derive(diesel::QueryableByName, Debug, PartialEq, Eq)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = Nullable<Text>)]
    cost: Option<String>,
}

/// The ledger and its rollup, which say the same.
async fn counted(db: &TestDb) -> (i64, Option<String>) {
    let mut conn = owner(db).await;
    let rows: Sums = diesel::sql_query("SELECT count(*) AS requests, sum(cost)::text AS cost FROM request")
        .get_result(&mut conn)
        .await
        .unwrap();
    let rollup: Sums = diesel::sql_query(
        "SELECT COALESCE(sum(requests), 0)::bigint AS requests, sum(cost)::text AS cost FROM spend_hourly",
    )
    .get_result(&mut conn)
    .await
    .unwrap();
    assert_eq!(rows, rollup, "the rollup is not the sum of the rows");
    (rows.requests, rows.cost)
}

#[tokio::test]
async fn a_source_s_id_counts_once_and_the_same_file_again_changes_nothing() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let log = [
        call(&acme, 0, (Origin::LiteLlm, "a"), None),
        call(&acme, 1, (Origin::LiteLlm, "b"), None),
        // The same id at another moment, in one file.
        call(&acme, 90_000, (Origin::LiteLlm, "a"), None),
        call(&acme, 2, (Origin::Otlp, "a"), None),
    ];
    assert_eq!(import(&db, acme.tenant, &log).await, sums(3, 1, 0));
    let before = counted(&db).await;
    assert_eq!(before.0, 3);
    // Again, with new ids of our own, as a file that is sent twice has; half of it was stored before.
    let again = [call(&acme, 0, (Origin::LiteLlm, "a"), None), call(&acme, 3, (Origin::LiteLlm, "c"), None)];
    assert_eq!(import(&db, acme.tenant, &again).await, sums(1, 1, 0));
    assert_eq!(import(&db, acme.tenant, &again).await, sums(0, 2, 0));
    assert_eq!(counted(&db).await.0, 4);
    // Another tenant's calls are its own; a call that says it is another's is refused.
    assert_eq!(
        import(&db, other.tenant, &[call(&other, 0, (Origin::LiteLlm, "a"), None)]).await,
        sums(1, 0, 0)
    );
    assert_eq!(
        import(&db, other.tenant, &[call(&acme, 0, (Origin::LiteLlm, "z"), None)]).await,
        sums(0, 0, 1)
    );
}

#[tokio::test]
async fn an_answer_counts_once_whichever_source_told_of_it() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let log = [
        call(&acme, 0, (Origin::LiteLlm, "chatcmpl-1"), Some("chatcmpl-1")),
        call(&acme, 1, (Origin::Otlp, "trace-1"), Some("chatcmpl-1")),
    ];
    assert_eq!(import(&db, acme.tenant, &log).await, sums(1, 1, 0));
    let span = call(&acme, 1, (Origin::Otlp, "trace-2"), Some("chatcmpl-1"));
    assert_eq!(import(&db, acme.tenant, &[span]).await, sums(0, 1, 0));
    assert_eq!(counted(&db).await.0, 1);
}

#[tokio::test]
async fn the_proxys_row_stays_whichever_came_first() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    // The proxy first.
    ship(db.store(), &[proxied(&acme, 0, "x")]).await;
    assert_eq!(
        import(&db, acme.tenant, &[call(&acme, 1, (Origin::Otlp, "s1"), Some("x"))]).await,
        sums(0, 1, 0)
    );
    // The import first: of an hour with other calls, and of one without.
    let log = [
        call(&acme, 2, (Origin::Otlp, "s2"), Some("y")),
        call(&acme, 2, (Origin::Otlp, "s3"), Some("stays")),
        ImportedCall {
            fact: unpriced(call(&acme, 7_200, (Origin::Otlp, "s4"), Some("z")).fact),
            ..call(&acme, 7_200, (Origin::Otlp, "s4"), Some("z"))
        },
    ];
    assert_eq!(import(&db, acme.tenant, &log).await, sums(3, 0, 0));
    assert_eq!(
        import(&db, other.tenant, &[call(&other, 2, (Origin::Otlp, "s2"), Some("y"))]).await,
        sums(1, 0, 0)
    );
    let calls = [proxied(&acme, 3, "y"), proxied(&acme, 7_201, "z")];
    ship(db.store(), &calls).await;
    assert_eq!(counted(&db).await.0, 5, "x, y, z and `stays` of the one, and the other's own");
    // A batch that is sent again finds nothing more, and what was superseded does not come back.
    ship(db.store(), &calls).await;
    assert_eq!(import(&db, acme.tenant, &log).await, sums(0, 3, 0));
    assert_eq!(counted(&db).await.0, 5);
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    for gone in [&log[0], &log[2]] {
        assert!(matches!(tx.request(gone.fact.id).await, Err(StoreError::NotFound)));
    }
    tx.request(log[1].fact.id).await.unwrap();
}

#[tokio::test]
async fn both_sides_of_a_call_at_once_are_one_call() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    for round in 0..20_i64 {
        let response = format!("r{round}");
        let (row, span) = (
            proxied(&acme, round, &response),
            call(&acme, round, (Origin::Otlp, response.as_str()), Some(response.as_str())),
        );
        let ships = async { ship(db.store(), std::slice::from_ref(&row)).await };
        let imports = async { import(&db, acme.tenant, std::slice::from_ref(&span)).await };
        tokio::join!(ships, imports);
        assert_eq!(counted(&db).await.0, round + 1);
    }
}

#[tokio::test]
async fn what_a_source_says_is_read_back_and_is_its_tenants_alone() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let told = call(&acme, 0, (Origin::LiteLlm, "a"), Some("a"));
    import(&db, acme.tenant, std::slice::from_ref(&told)).await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.request(told.fact.id).await.unwrap(), told.fact);
    let claim = tx.import_claim(told.fact.id).await.unwrap().unwrap();
    assert_eq!((claim.claimed_cost, claim.source_id.as_str()), (told.claimed_cost, "a"));
    assert_eq!(claim.attribution.team.as_deref(), Some("Search"));
    assert_eq!(claim.attribution.tags, ["a\u{fffd}b"]);
    drop(tx);
    let mut tx = db.store().tenant(other.tenant).await.unwrap();
    assert_eq!(tx.import_claim(told.fact.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_of_no_key_is_not_claimed_so_that_it_can_come_again() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut stray = call(&acme, 0, (Origin::Otlp, "s"), None);
    stray.fact.api_key_id = ApiKeyId::new(at(0), [9; 10]);
    let mut writer = db.store().writer().await.unwrap();
    let refused = writer.import_calls(acme.tenant, &[stray]).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    drop(writer);
    assert_eq!(import(&db, acme.tenant, &[call(&acme, 0, (Origin::Otlp, "s"), None)]).await, sums(1, 0, 0));
}
