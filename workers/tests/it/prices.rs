//! The price catalogue from a real server to the ledger: fetched, checked, published; calls without a price get one,
//! and calls whose price was corrected another, each once. Sums are counted again by SQL.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::pricing::{Estimate, PriceBundle, PriceEntry, RateEntry, price_fact};
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{PriceCorrectionId, PriceReviewId, TenantId, Tokens, Usage, Usd};
use costlens_egress::{Egress, EgressConfig, Policy};
use costlens_jobs::prices::{PriceUnpriced, SpreadCorrection};
use costlens_queue::NewJob;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{CorrectedCalls, Correction, CorrectionState, PriceReviewState, StoreError};
use costlens_workers::PricesUrl;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::{Value, json};

use super::Office;
use super::account::Account;
use super::catalogue_server::{CatalogueServer, Has};
use super::outside::Outside;
use super::upkeep::now;

const NEW_MODEL: &str = "gpt-99-novel";

/// An office that fetches its prices from this server, and nobody works yet.
async fn office_of(server: &CatalogueServer) -> Office {
    let mut office = Office::closed(now()).await;
    fetch_from(&mut office, server);
    office
}

fn fetch_from(office: &mut Office, server: &CatalogueServer) {
    let policy = Policy { allow_private: vec![server.host().parse().unwrap()] };
    office.parts.prices_url = Some(PricesUrl::parse(&server.url(), &policy).unwrap());
    let config = EgressConfig { policy, extra_roots: vec![server.root.clone()], ..EgressConfig::default() };
    office.parts.egress = Egress::new(config).unwrap();
}

/// The build's own prices, changed.
fn bundle(change: impl FnOnce(&mut PriceBundle)) -> String {
    let mut bundle = PriceBundle::embedded().unwrap();
    change(&mut bundle);
    bundle.to_text().unwrap()
}

fn entry<'a>(bundle: &'a mut PriceBundle, provider: &str, id: &str) -> &'a mut PriceEntry {
    let file = bundle.files.iter_mut().find(|file| file.provider == provider).unwrap();
    file.models.iter_mut().find(|model| model.id == id).unwrap()
}

/// A model that nobody priced before: two dollars in, eight out.
fn novel(bundle: &mut PriceBundle) {
    let rates = vec![RateEntry {
        fresh_input: Some("2".to_owned()),
        output: Some("8.000000000001".to_owned()),
        ..RateEntry::default()
    }];
    let new = PriceEntry {
        id: NEW_MODEL.to_owned(),
        names: vec![],
        versions: vec![],
        prefixes: vec![],
        region: None,
        source: Some("the vendor's page".to_owned()),
        checked: now().date_naive(),
        note: None,
        charged_apart: vec![],
        rates,
    };
    bundle.files.iter_mut().find(|file| file.provider == "openai").unwrap().models.push(new);
}

/// A call as the proxy prices it with the build's own prices.
fn call(account: &Account, at: DateTime<Utc>, model: &str, output: u64) -> RequestFact {
    let mut fact = RequestFact {
        usage: Usage { fresh_input: Tokens(1_000), output: Tokens(output), ..Usage::default() },
        ..account.call(at, model, "0")
    };
    price_fact(&mut fact, &costlens_domain::pricing::Catalogue::embedded().unwrap(), None);
    fact
}

#[derive(diesel::QueryableByName, Debug, PartialEq, Eq)]
struct Text1 {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// One value, as text.
async fn one(office: &Office, sql: &str) -> String {
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let sql = format!("SELECT ({sql})::text AS value");
    let row: Text1 = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    row.value.unwrap_or_default()
}

#[derive(diesel::QueryableByName)]
struct Rows {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// The rollup is what a recount of the calls says, group by group, to the last digit.
async fn sums_agree(office: &Office, story: &str) {
    let recount = "SELECT tenant_id, date_trunc('hour', started_at, 'UTC') AS hour, api_key_id, provider, \
            COALESCE(model_served, model_requested) AS model, outcome, cost_basis, count(*) AS requests, \
            sum(fresh_input)::bigint, sum(cache_read)::bigint, sum(cache_write_5m)::bigint, sum(cache_write_1h)::bigint, \
            sum(output)::bigint, sum(reasoning)::bigint, sum(audio_input)::bigint, sum(audio_output)::bigint, \
            sum(web_searches)::bigint, sum(cost) FROM request GROUP BY 1, 2, 3, 4, 5, 6, 7";
    let sql = format!(
        "SELECT count(*) AS rows FROM ((TABLE spend_hourly EXCEPT ALL ({recount})) \
         UNION ALL (({recount}) EXCEPT ALL TABLE spend_hourly)) AS differences"
    );
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let different: Rows = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    assert_eq!(different.rows, 0, "{story}: the rollup is not the sum of its calls");
}

/// Runs the fetching, and says what came of it.
async fn refresh(office: &Office) -> Value {
    let job = office.run("prices.v1").await;
    assert_eq!(job.job.state, State::Done, "{job:?}");
    office.quiet().await;
    job.job.progress.unwrap()
}

async fn versions(office: &Office) -> u64 {
    office.parts.store.system().await.unwrap().newest_prices().await.unwrap()
}

#[tokio::test]
async fn a_published_document_prices_the_calls_that_had_no_price_and_once_only() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let (acme, zeta) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Zeta").await);
    let mut calls = Vec::new();
    for account in [&acme, &zeta] {
        for n in 0..7_i64 {
            calls.push(call(account, now() - TimeDelta::hours(n), NEW_MODEL, 100 + n.unsigned_abs()));
        }
        calls.push(call(account, now(), "gpt-4o", 10));
        calls.push(call(account, now(), "gpt-nobody-knows", 10));
    }
    // The provider did not count: what is priced later is an estimate still.
    let mut guessed = call(&acme, now(), NEW_MODEL, 500);
    price_fact(
        &mut guessed,
        &costlens_domain::pricing::Catalogue::embedded().unwrap(),
        Some(Estimate::Whole),
    );
    assert_eq!(guessed.cost_basis, CostBasis::Unpriced);
    calls.push(guessed.clone());
    acme.spend(&office, &calls).await;
    sums_agree(&office, "before").await;
    let priced_before = one(&office, "SELECT sum(cost) FROM request").await;

    server.serve(&bundle(novel));
    assert_eq!(refresh(&office).await, json!({"outcome": "published", "version": 1}));
    office.quiet().await;

    sums_agree(&office, "priced").await;
    // 7 calls of 1000 in and 100 to 106 out, for two; and the estimate.
    let expected = "0.028 + 15 * 0.002 - 0.028 + 8.000000000001 * (2 * 721 + 500) / 1000000";
    let novel_cost = format!("SELECT sum(cost) FROM request WHERE model_requested = '{NEW_MODEL}'");
    assert_eq!(
        one(&office, &format!("({novel_cost}) = {expected}")).await,
        "true",
        "{}",
        one(&office, &novel_cost).await
    );
    let unpriced = "SELECT count(*) FROM request WHERE cost_basis = 'unpriced'";
    assert_eq!(one(&office, unpriced).await, "2", "the models that nobody prices");
    let kept = format!("SELECT sum(cost) FROM request WHERE model_requested <> '{NEW_MODEL}'");
    assert_eq!(one(&office, &kept).await, priced_before, "a call with a price keeps it");

    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let later = tx.request(guessed.id).await.unwrap();
    assert_eq!(later.cost_basis, CostBasis::Estimated);
    assert_eq!(later.price.source.as_deref(), Some("the vendor's page"));
    assert_eq!(later.price.note.as_deref(), Some(Estimate::Whole.note()));
    let earlier = tx.earlier_prices(guessed.id).await.unwrap();
    let [earlier] = earlier.as_slice() else { panic!("{earlier:?}") };
    assert_eq!((earlier.version, earlier.old_cost, earlier.old_basis), (1, None, CostBasis::Unpriced));
    assert_eq!(earlier.old_price, guessed.price, "what stood there before is kept");
    assert_eq!(Some(earlier.new_cost), later.cost);
    let walks = tx.list_repricings(None, 10).await.unwrap();
    let [walk] = walks.as_slice() else { panic!("{walks:?}") };
    assert_eq!((walk.changed, walk.old_cost), (8, Usd::ZERO));
    let told = tx.list_audit_events(None, 10).await.unwrap();
    assert!(told.iter().any(|event| event.action == "requests.repriced"), "{told:?}");
    drop(tx);

    // Again, and again by hand: the document is the same, and nothing is priced twice.
    let ledger = one(&office, "SELECT md5(string_agg(r::text, '' ORDER BY id)) FROM request r").await;
    assert_eq!(refresh(&office).await, json!({"outcome": "unchanged"}));
    office.run("price_unpriced.v1").await;
    office.quiet().await;
    assert_eq!(one(&office, "SELECT md5(string_agg(r::text, '' ORDER BY id)) FROM request r").await, ledger);
    sums_agree(&office, "again").await;
    assert_eq!(versions(&office).await, 1);
    let asked = server.asked();
    assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match"), "{asked:?}");
    office.close().await;
}
