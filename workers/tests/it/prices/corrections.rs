//! Corrections and walks: each call is priced once, whoever dies, and never outside of them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::{PriceCorrectionId, Usd};
use costlens_jobs::prices::SpreadCorrection;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{CorrectedCalls, Correction, CorrectionState};
use serde_json::json;

use super::{NEW_MODEL, bundle, call, entry, novel, office_of, one, refresh, sums_agree, versions};
use crate::Office;
use crate::account::Account;
use crate::catalogue_server::CatalogueServer;
use crate::outside::Outside;
use crate::upkeep::now;

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
             $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$; \
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
