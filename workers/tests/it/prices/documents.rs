//! Documents that are published, wrong, or looked at by a person first.

use chrono::TimeDelta;
use costlens_domain::pricing::{Estimate, price_fact};
use costlens_domain::request::CostBasis;
use costlens_domain::{PriceReviewId, Usd};
use costlens_queue::ops::State;
use costlens_store::PriceReviewState;
use serde_json::json;

use super::{NEW_MODEL, bundle, call, entry, novel, office_of, one, refresh, sums_agree, versions};
use crate::Office;
use crate::account::Account;
use crate::catalogue_server::{CatalogueServer, Has};
use crate::outside::Outside;
use crate::upkeep::now;

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
