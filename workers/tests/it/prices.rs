//! The price catalogue from a real server to the ledger: fetched, checked, published; calls without a price get one,
//! and calls whose price was corrected another, each once. Sums are counted again by SQL.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::pricing::{Estimate, PriceBundle, PriceEntry, RateEntry, price_fact};
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{PriceCorrectionId, PriceReviewId, Tokens, Usage, Usd};
use costlens_egress::{Egress, EgressConfig, Policy};
use costlens_jobs::prices::SpreadCorrection;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{CorrectedCalls, Correction, CorrectionState, PriceReviewState};
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

#[tokio::test]
async fn whatever_is_wrong_with_a_document_or_its_server_changes_nothing() {
    let server = CatalogueServer::open().await;
    let mut office = office_of(&server).await;
    server.serve(&bundle(novel));
    office.work().await;
    assert_eq!(refresh(&office).await["outcome"], "published");
    let before = one(&office, "SELECT md5(string_agg(v::text, '')) FROM price_version v").await;

    let good = bundle(novel);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let bad: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("cut", good[..good.len() / 2].to_owned()),
        ("no bundle", "[]".to_owned()),
        ("another format", with("costlens-prices/1", "costlens-prices/2")),
        ("no files", json!({"format": "costlens-prices/1", "files": []}).to_string()),
        ("below zero", with("\"8.000000000001\"", "\"-8\"")),
        ("a binary number", with("\"8.000000000001\"", "8.1")),
        ("more digits than exact", with("\"8.000000000001\"", "\"8.0000000000001\"")),
        ("no source", with("\"the vendor's page\"", "\" \"")),
        ("no day", with(&format!("\"checked\": \"{}\"", now().date_naive()), "\"note\": \"x\"")),
        (
            "a day to come",
            with(&format!("\"checked\": \"{}\"", now().date_naive()), "\"checked\": \"2031-01-01\""),
        ),
        ("a word that nobody knows", with("\"files\"", "\"flies\": 1, \"files\"")),
        ("one name for two", with(NEW_MODEL, "gpt-4o")),
        ("the built-in provider", with("\"provider\": \"groq\"", "\"provider\": \"demo\"")),
        ("a provider twice", with("\"provider\": \"groq\"", "\"provider\": \"openai\"")),
    ];
    for (what, text) in bad {
        server.serve(&text);
        let outcome = refresh(&office).await;
        assert_eq!(outcome["outcome"], "failed", "{what}: {outcome}");
        let feed = office.parts.store.system().await.unwrap().price_feed().await.unwrap();
        assert_eq!(feed.outcome.as_deref(), Some("failed"), "{what}");
        assert_eq!(feed.problem.as_deref(), outcome["problem"].as_str(), "{what}");
    }
    for has in [
        Has::Status(404),
        Has::Status(500),
        Has::Status(304),
        Has::Redirect,
        Has::BreaksOff,
        Has::Endless(9 << 20),
        Has::Document { text: vec![0xff, 0xfe, b'{'], etag: None },
    ] {
        // 304 to whom named a tag is an answer; from here on the last good document has none.
        office.sql("UPDATE price_feed SET etag = NULL").await;
        server.has(has.clone());
        let id = office.enqueue("prices.v1").await;
        let tried = |jobs: &[costlens_queue::ops::JobRow]| {
            jobs.iter().any(|job| job.id == id && job.state == State::Retrying)
        };
        let jobs = office.until("prices.v1", tried).await;
        let job = jobs.iter().find(|job| job.id == id).unwrap();
        assert_eq!(job.code.as_deref(), Some("prices_unreachable"), "{has:?}: {job:?}");
        let mut conn = office.queue.conn().await.unwrap();
        costlens_queue::ops::cancel(&mut conn, id, None).await.unwrap();
    }
    assert_eq!(one(&office, "SELECT md5(string_agg(v::text, '')) FROM price_version v").await, before);
    assert_eq!(one(&office, "SELECT count(*) FROM price_review").await, "0");

    // Two days without a document that can be read: the operator is told, once a day.
    server.has(Has::Document { text: b"{}".to_vec(), etag: None });
    for (hours, told) in [(47, 0), (49, 1), (60, 1), (74, 2)] {
        office.set_clock(now() + TimeDelta::hours(hours));
        assert_eq!(refresh(&office).await["outcome"], "failed");
        let stale = "SELECT count(*) FROM operator_event WHERE action = 'prices.stale'";
        assert_eq!(one(&office, stale).await, told.to_string(), "after {hours} hours");
    }
    server.serve(&bundle(novel));
    assert_eq!(refresh(&office).await["outcome"], "unchanged", "the very document that is published");
    assert_eq!(versions(&office).await, 1);
    office.close().await;
}

/// Approves or refuses as the operator's API does.
async fn decide(office: &Office, id: PriceReviewId, publish: bool) {
    let mut tx = office.parts.store.system_tx().await.unwrap();
    let (_, document) = tx.price_review(id).await.unwrap();
    let version =
        if publish { Some(tx.publish_prices(&document, Some(id), now()).await.unwrap()) } else { None };
    assert!(tx.decide_price_review(id, version, now()).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_jumps_or_vanishes_in_use_waits_for_a_person_and_a_newer_document_takes_its_place() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let acme = Account::open(&office, &outside, "Acme").await;
    acme.spend(&office, &[call(&acme, now(), "gpt-4o", 10)]).await;
    let reviews = async || {
        let mut system = office.parts.store.system().await.unwrap();
        system.list_price_reviews(None, 10).await.unwrap()
    };
    let dearer = |times: u32| {
        bundle(|bundle| {
            let rates = &mut entry(bundle, "openai", "gpt-4o").rates;
            for rate in rates.iter_mut().filter(|rate| rate.tier.is_none()) {
                let old: rust_decimal::Decimal = rate.output.as_ref().unwrap().parse().unwrap();
                rate.output = Some((old * rust_decimal::Decimal::from(times)).to_string());
            }
        })
    };
    // Five times as dear: a jump. Told to the operator, and published by nobody.
    server.serve(&dearer(5));
    assert_eq!(refresh(&office).await["outcome"], "needs_review");
    let open = reviews().await;
    assert_eq!((open.len(), open[0].state, open[0].base), (1, PriceReviewState::NeedsReview, 0));
    assert_eq!(open[0].diff["review"][0]["why"], "jump", "{}", open[0].diff);
    assert_eq!(open[0].diff["review"][0]["class"], "output");
    assert_eq!(versions(&office).await, 0);
    assert_eq!(
        one(&office, "SELECT count(*) FROM operator_event WHERE action = 'prices.need_review'").await,
        "1"
    );
    // Fetched again it is the same one.
    office.sql("UPDATE price_feed SET etag = NULL").await;
    assert_eq!(refresh(&office).await["outcome"], "needs_review");
    assert_eq!(reviews().await.len(), 1);

    // A model in use is gone; one that nobody uses may go. Ids sort by their time, which goes on.
    office.set_clock(now() + TimeDelta::minutes(1));
    server.serve(&bundle(|bundle| {
        let file = bundle.files.iter_mut().find(|file| file.provider == "openai").unwrap();
        file.models.retain(|model| model.id != "gpt-4o");
    }));
    assert_eq!(refresh(&office).await["outcome"], "needs_review");
    let both = reviews().await;
    assert_eq!(both[1].state, PriceReviewState::Superseded);
    assert_eq!(both[0].diff["review"], json!([{"why": "vanished", "price_id": "openai/gpt-4o"}]));
    let vanished = both[0].id;
    decide(&office, vanished, false).await;
    office.sql("UPDATE price_feed SET etag = NULL").await;
    assert_eq!(refresh(&office).await["outcome"], "unchanged", "what was refused stays refused");
    assert_eq!((versions(&office).await, reviews().await.len()), (0, 2));
    let shorter = bundle(|bundle| {
        let file = bundle.files.iter_mut().find(|file| file.provider == "groq").unwrap();
        file.models.truncate(1);
    });
    server.serve(&shorter);
    assert_eq!(refresh(&office).await["outcome"], "published");

    // A document that its host took back is nobody's to publish any more.
    office.set_clock(now() + TimeDelta::minutes(2));
    server.serve(&dearer(40));
    assert_eq!(refresh(&office).await["outcome"], "needs_review");
    server.serve(&shorter);
    assert_eq!(refresh(&office).await["outcome"], "unchanged");
    assert_eq!(reviews().await[0].state, PriceReviewState::Superseded);

    // Four times as dear is news; and what a person lets pass is published.
    server.serve(&dearer(4));
    assert_eq!(refresh(&office).await["outcome"], "published");
    office.set_clock(now() + TimeDelta::minutes(3));
    server.serve(&dearer(40));
    assert_eq!(refresh(&office).await["outcome"], "needs_review");
    let open = reviews().await;
    decide(&office, open[0].id, true).await;
    assert_eq!(versions(&office).await, 3);
    assert_eq!(reviews().await[0].state, PriceReviewState::Approved);
    office.close().await;
}

/// Asks for a correction of gpt-4o's price over this period, and has it counted.
async fn preview(office: &Office, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> PriceCorrectionId {
    let at = office.parts.clock.now();
    let id = PriceCorrectionId::new(at, unlike_bytes());
    let calls = CorrectedCalls {
        correction: id,
        provider: "openai".to_owned(),
        price_id: "openai/gpt-4o".to_owned(),
        from,
        to,
    };
    let correction = Correction {
        calls,
        state: CorrectionState::Previewing,
        version: versions(office).await,
        reason: "the list was wrong".to_owned(),
        asked_by: "a test".to_owned(),
        asked_at: at,
        confirmed_at: None,
        ended_at: None,
        spread: false,
    };
    let mut tx = office.parts.store.system_tx().await.unwrap();
    tx.create_price_correction(&correction).await.unwrap();
    let job = SpreadCorrection { correction: id };
    costlens_jobs::ask_system(&mut tx, &job, &format!("{id}:preview")).await.unwrap();
    tx.commit().await.unwrap();
    office.quiet().await;
    id
}

async fn run_correction(office: &Office, id: PriceCorrectionId) -> bool {
    let mut tx = office.parts.store.system_tx().await.unwrap();
    let confirmed = tx.confirm_price_correction(id, office.parts.clock.now()).await.unwrap();
    costlens_jobs::ask_system(&mut tx, &SpreadCorrection { correction: id }, &format!("{id}:run"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    office.quiet().await;
    confirmed
}

#[tokio::test]
async fn a_correction_is_counted_first_and_then_changes_each_call_once_and_keeps_its_first_cost() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let (acme, zeta) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Zeta").await);
    let mut calls = Vec::new();
    for account in [&acme, &zeta] {
        for hours in 1..=9 {
            calls.push(call(account, now() - TimeDelta::hours(hours), "gpt-4o", 1_000));
        }
        calls.push(call(account, now() - TimeDelta::hours(2), "gpt-4o-mini", 1_000));
    }
    acme.spend(&office, &calls).await;
    let ledger = "SELECT md5(string_agg(r::text, '' ORDER BY id)) FROM request r";
    let before = one(&office, ledger).await;
    let doubled = bundle(|bundle| {
        for rate in &mut entry(bundle, "openai", "gpt-4o").rates {
            let old: rust_decimal::Decimal = rate.output.as_ref().unwrap().parse().unwrap();
            rate.output = Some((old * rust_decimal::Decimal::from(2)).to_string());
        }
    });
    server.serve(&doubled);
    assert_eq!(refresh(&office).await["outcome"], "published");
    assert_eq!(one(&office, ledger).await, before, "new prices change no call that has a price");

    // Five of the nine hours, of two tenants.
    let id = preview(&office, (now() - TimeDelta::hours(6), now() - TimeDelta::hours(1))).await;
    let mut system = office.parts.store.system().await.unwrap();
    assert_eq!(system.price_correction(id).await.unwrap().state, CorrectionState::Previewed);
    let (counted, done) = system.price_correction_sums(id).await.unwrap();
    assert_eq!((counted.tenants, counted.tenants_done, counted.changed, done.tenants), (2, 2, 10, 0));
    assert_eq!(one(&office, ledger).await, before, "counting changes nothing");
    assert!(run_correction(&office, id).await);
    assert_eq!(system.price_correction(id).await.unwrap().state, CorrectionState::Done);
    let (_, done) = system.price_correction_sums(id).await.unwrap();
    assert_eq!((done.changed, done.old_cost, done.new_cost), (10, counted.old_cost, counted.new_cost));
    sums_agree(&office, "corrected").await;
    let first =
        "SELECT sum((price -> 'repriced' ->> 'first_cost')::numeric) FROM request WHERE price ? 'repriced'";
    let same = async |sql: &str, sum: Usd| one(&office, &format!("({sql}) = {sum}")).await == "true";
    assert!(same(first, counted.old_cost).await, "each call keeps what it cost first");
    let of = "SELECT sum(cost) FROM request WHERE price ? 'repriced'";
    assert!(same(of, counted.new_cost).await);
    let mut tx = office.parts.store.tenant(zeta.tenant).await.unwrap();
    let told = tx.list_audit_events(None, 20).await.unwrap();
    let told = told.iter().find(|event| event.action == "requests.repriced").unwrap();
    assert_eq!((&told.change["requests"], &told.change["kind"]), (&json!(5), &json!("correction")));
    drop(tx);

    // Run again by whatever hand: it was done, and is done once.
    let after = one(&office, ledger).await;
    assert!(!run_correction(&office, id).await);
    office.sql("UPDATE repricing SET cursor_day = NULL, finished_at = NULL WHERE kind = 'correction'").await;
    office
        .sql("UPDATE queue.job SET status = 'pending', done_at = NULL WHERE queue = 'reprice_tenant.v1'")
        .await;
    office.quiet().await;
    assert_eq!(one(&office, ledger).await, after, "a call is corrected once by one correction");
    sums_agree(&office, "run twice").await;
    // A preview can be let be, and then not be run.
    let other = preview(&office, (now() - TimeDelta::hours(9), now())).await;
    let mut tx = office.parts.store.system_tx().await.unwrap();
    assert!(tx.cancel_price_correction(other, now()).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!run_correction(&office, other).await);
    assert_eq!(one(&office, ledger).await, after);
    office.close().await;
}

/// A correction whose walks came to nothing, each in another way, ends all the same by the daily look.
#[tokio::test]
async fn a_correction_whose_walk_died_or_whose_account_went_comes_to_its_end() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let acme = Account::open(&office, &outside, "Acme").await;
    acme.spend(&office, &[call(&acme, now() - TimeDelta::hours(2), "gpt-4o", 1_000)]).await;
    let hours = (now() - TimeDelta::hours(6), now());
    let state = async |id| {
        let mut system = office.parts.store.system().await.unwrap();
        system.price_correction(id).await.unwrap().state
    };
    let next_day = |days: i64| office.set_clock(now() + TimeDelta::days(days) + TimeDelta::hours(1));

    // The walk's job is a dead letter.
    let walk = preview(&office, hours).await;
    office
        .sql("UPDATE repricing SET finished_at = NULL; UPDATE price_correction SET state = 'previewing'")
        .await;
    office.sql("UPDATE queue.job SET status = 'dead' WHERE queue = 'reprice_tenant.v1'").await;
    office.run("price_unpriced.v1").await;
    office.quiet().await;
    assert_eq!(state(walk).await, CorrectionState::Previewing, "a walk has its time");
    next_day(1);
    office.run("price_unpriced.v1").await;
    office.quiet().await;
    assert_eq!(state(walk).await, CorrectionState::Previewed);

    // Its last job died before it told the correction, or the account is gone.
    office.sql("UPDATE price_correction SET state = 'previewing'").await;
    next_day(2);
    office.run("price_unpriced.v1").await;
    assert_eq!(state(walk).await, CorrectionState::Previewed);

    // The job that asks for the walks died.
    office
        .sql("UPDATE price_correction SET state = 'previewing', spread = false; DELETE FROM repricing")
        .await;
    office.sql("UPDATE queue.job SET status = 'dead' WHERE queue = 'spread_correction.v1'").await;
    next_day(3);
    office.run("price_unpriced.v1").await;
    office.quiet().await;
    assert_eq!(state(walk).await, CorrectionState::Previewed);
    let (counted, _) = office.parts.store.system().await.unwrap().price_correction_sums(walk).await.unwrap();
    assert_eq!((counted.tenants, counted.tenants_done), (1, 1));
    office.close().await;
}

#[tokio::test]
async fn the_database_refuses_to_change_a_price_outside_of_a_walk() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let priced = call(&acme, now(), "gpt-4o", 10);
    acme.spend(&office, std::slice::from_ref(&priced)).await;
    server.serve(&bundle(novel));
    refresh(&office).await;
    let prices = costlens_domain::pricing::PriceVersion {
        n: 1,
        published_at: None,
        catalogue: costlens_domain::pricing::Catalogue::embedded().unwrap(),
    };
    let price = costlens_domain::pricing::price_later(&priced, &prices, now()).unwrap();
    let offered = [costlens_store::RepricedCall { id: priced.id, price }];
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let unknown = costlens_domain::RepricingId::new(now(), unlike_bytes());
    let refused = tx.reprice(unknown, &offered, now()).await.unwrap_err();
    assert_eq!(refused.constraint(), Some("repricing_under_way"), "{refused:?}");
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let kind = costlens_store::RepricingKind::Unpriced { since: None };
    assert!(tx.begin_repricing(unknown, (&kind, "a test"), 1, now()).await.unwrap());
    let nothing = tx.reprice(unknown, &offered, now()).await.unwrap();
    assert_eq!(nothing.changed, 0, "a walk over calls without a price leaves one with a price alone");
    drop(tx);
    office.close().await;
}

/// Killed at each of its commits in turn, by a database that stops in the middle, a walk ends at the same sums.
#[tokio::test]
async fn a_walk_that_is_cut_between_its_chunks_prices_each_call_once() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let many: Vec<_> = (0..1_800)
        .map(|n| call(&acme, now() - TimeDelta::seconds(n * 40), NEW_MODEL, 7 + n.unsigned_abs()))
        .collect();
    for some in many.chunks(600) {
        acme.spend(&office, some).await;
    }
    // Each chunk takes its time before its commit, so that the cuts fall between them and inside of them.
    office
        .sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$; \
             CREATE TRIGGER slow AFTER UPDATE ON repricing FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    server.serve(&bundle(novel));
    let id = office.enqueue("prices.v1").await;
    office.ended("prices.v1", id).await;
    let mut cut = 0;
    for _ in 0..2_000 {
        let left: i64 =
            one(&office, "SELECT count(*) FROM request WHERE cost_basis = 'unpriced'").await.parse().unwrap();
        if left == 0 {
            break;
        }
        // A job whose worker dies a third time is a dead letter.
        if cut < 2 && left < 1_800 - 500 * cut {
            // In the middle: some chunks are done, others are not.
            office.die().await;
            cut += 1;
            sums_agree(&office, "cut").await;
            office.work().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    office.until("reprice_tenant.v1", |jobs| jobs.iter().all(|job| job.state == State::Done)).await;
    sums_agree(&office, "after the cuts").await;
    assert_eq!(one(&office, "SELECT count(*) FROM request_repricing").await, "1800");
    assert_eq!(one(&office, "SELECT changed FROM repricing").await, "1800");
    assert_eq!(
        one(&office, "SELECT (SELECT sum(cost) FROM request) = (SELECT new_cost FROM repricing)").await,
        "true"
    );
    assert!(cut > 0, "the walk was never cut");
    office.close().await;
}
