//! The price catalogue from a real server to the ledger: fetched, checked, published; calls without a price get one,
//! and calls whose price was corrected another, each once. Sums are counted again by SQL.

mod corrections;
mod documents;
mod settled;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use costlens_domain::pricing::{Catalogue, PriceBundle, PriceEntry, RateEntry, price_fact};
use costlens_domain::request::RequestFact;
use costlens_domain::{Tokens, Usage};
use costlens_egress::{Egress, EgressConfig, Policy};
use costlens_queue::ops::State;
use costlens_workers::PricesUrl;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::Value;

use super::Office;
use super::account::Account;
use super::catalogue_server::CatalogueServer;
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

/// The build's own prices, read once: reading them takes longer than pricing a thousand calls.
static PRICES: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

/// A call as the proxy prices it with the build's own prices.
fn call(account: &Account, at: DateTime<Utc>, model: &str, output: u64) -> RequestFact {
    let mut fact = RequestFact {
        usage: Usage { fresh_input: Tokens(1_000), output: Tokens(output), ..Usage::default() },
        ..account.call(at, model, "0")
    };
    price_fact(&mut fact, &PRICES, None);
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
pub(super) async fn sums_agree(office: &Office, story: &str) {
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
