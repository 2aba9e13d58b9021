//! Webhooks, and what they tell of bills.

use chrono::TimeDelta;
use costlens_queue::ops::State;
use costlens_store::DeliveryState;

use super::{events, monday, tell};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;

#[tokio::test]
async fn a_webhook_is_signed_and_tried_by_the_schedule_until_it_is_exhausted() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.answer("/hook", 500);
    let event = tell(&office, &acme).await;
    let waits = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
    let mut at = monday();
    for (attempt, wait) in waits.into_iter().enumerate() {
        at += TimeDelta::seconds(wait);
        office.set_clock(at);
        office.wake("webhook.v1").await;
        office.until("webhook.v1", |_| outside.posts("/hook").len() > attempt).await;
        office.settled("webhook.v1").await;
        let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
        let delivery = tx.delivery(event, acme.endpoint).await.unwrap();
        let next = waits.get(attempt + 1).map(|next| at + TimeDelta::seconds(*next));
        assert_eq!((delivery.attempts, delivery.next_at), (u32::try_from(attempt).unwrap() + 1, next));
        assert_eq!(delivery.last_status, Some(500));
    }
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.delivery(event, acme.endpoint).await.unwrap().state, DeliveryState::Exhausted);
    drop(tx);
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("does not take what it is sent"), "{}", letters[0]);
    let posts = outside.posts("/hook");
    assert_eq!(posts.len(), 8);
    for post in &posts {
        assert_eq!(post.headers["webhook-id"], event.to_string());
        let signer = standardwebhooks::Webhook::new(&acme.secret.reveal()).unwrap();
        let id = post.headers["webhook-id"].clone();
        let stamp: i64 = post.headers["webhook-timestamp"].parse().unwrap();
        assert_eq!(signer.sign(&id, stamp, post.body.as_bytes()).unwrap(), post.headers["webhook-signature"]);
    }
    office.end().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_days_is_told_nothing_more_and_people_hear_of_it() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.answer("/hook", 410);
    tell(&office, &acme).await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let stopped = tx.webhook_endpoint(acme.endpoint).await.unwrap();
    assert!(stopped.stop_reason.unwrap().contains("410"));
    drop(tx);
    assert_eq!(outside.letters().len(), 1);
    tell(&office, &acme).await;
    office.quiet().await;
    assert_eq!(outside.posts("/hook").len(), 1);

    let other = Account::open(&office, &outside, "Other").await;
    outside.answer("/hook", 500);
    tell(&office, &other).await;
    office.until("webhook.v1", |_| outside.posts("/hook").len() == 2).await;
    office.settled("webhook.v1").await;
    office.set_clock(monday() + TimeDelta::days(5));
    office.wake("webhook.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(other.tenant).await.unwrap();
    let stopped = tx.webhook_endpoint(other.endpoint).await.unwrap();
    assert!(stopped.stop_reason.unwrap().contains("five days"));
    assert_eq!(outside.letters().len(), 2);
    drop(tx);
    office.end().await;
}

#[tokio::test]
async fn a_bill_that_we_fail_to_read_is_told_as_well_once() {
    let outside = Outside::open().await;
    let mut office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    office.stop_work().await;
    acme.upload(&office, "october.csv", "bill 2026-10 3").await;
    // Its worker died with it too often.
    office
        .sql("UPDATE queue.job SET status = 'dead', done_at = now() WHERE queue = 'bill-ingestion.v1'")
        .await;
    office.set_clock(monday() + TimeDelta::minutes(10));
    office.work().await;
    for _ in 0..2 {
        office.run("bill-uploads.v1").await;
    }
    office.quiet().await;
    let told = events(&outside.posts("/hook"), "bill.failed");
    let codes: Vec<_> = told.iter().map(|event| &event["data"]["code"]).collect();
    assert_eq!(codes, ["internal"]);
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("october.csv") && letters[0].contains("Upload the file again later"));
    assert!(outside.posts("/services")[0].body.contains("october.csv"));
    office.close().await;
}

#[tokio::test]
async fn a_bill_that_is_read_and_one_that_cannot_be_are_told() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    acme.upload(&office, "october.csv", "bill 2026-10 3").await;
    acme.upload(&office, "holiday.jpg", "no bill at all").await;
    office.until("bill-ingestion.v1", |jobs| jobs.iter().all(|job| job.state != State::Ready)).await;
    office.quiet().await;
    let posts = outside.posts("/hook");
    assert_eq!(events(&posts, "bill.published").len(), 1);
    assert_eq!(events(&posts, "bill.failed").len(), 1);
    assert!(outside.letters().iter().any(|letter| letter.contains("holiday.jpg")));
    office.end().await;
}
