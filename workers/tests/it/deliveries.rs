//! Webhook deliveries that lost their job, or their endpoint's URL while it was called: none is lost, and none is called
//! in another's name.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::EventId;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{JobRow, State};
use costlens_store::{Delivery, DeliveryState, WebhookEndpoint};

use super::Office;
use super::account::{Account, seal};
use super::notifications::tell;
use super::outside::Outside;

fn monday() -> DateTime<Utc> {
    "2026-11-23T14:00:00Z".parse().unwrap()
}

async fn delivery(office: &Office, acme: &Account, event: EventId) -> Delivery {
    office.parts.store.tenant(acme.tenant).await.unwrap().delivery(event, acme.endpoint).await.unwrap()
}

async fn endpoint(office: &Office, acme: &Account) -> WebhookEndpoint {
    office.parts.store.tenant(acme.tenant).await.unwrap().webhook_endpoint(acme.endpoint).await.unwrap()
}

/// Gives the endpoint another URL, as the API does.
async fn move_endpoint(office: &Office, acme: &Account, url: &str) {
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let there = tx.lock_webhook_endpoint(acme.endpoint).await.unwrap();
    let place = ("webhook_endpoint", "sealed_url", acme.endpoint.uuid());
    let sealed_url = seal(&office.parts, &mut tx, place, url).await;
    tx.replace_webhook_endpoint(&WebhookEndpoint { sealed_url, ..there }).await.unwrap();
    tx.commit().await.unwrap();
}

/// A delivery whose first two attempts failed, and that waits some minutes for its third.
async fn failed_twice(office: &Office, outside: &Outside, acme: &Account) -> EventId {
    outside.answer("/hook", 500);
    let event = tell(office, acme).await;
    let waits = |jobs: &[JobRow]| jobs.iter().any(|job| job.state == State::Retrying);
    office.until("webhook.v1", waits).await;
    let begun = office.parts.clock.now();
    office.set_clock(begun + TimeDelta::seconds(5));
    while delivery(office, acme, event).await.attempts < 2 {
        office.wake("webhook.v1").await;
        office.settled("webhook.v1").await;
    }
    office.until("webhook.v1", waits).await;
    office.set_clock(begun);
    event
}

#[tokio::test]
async fn a_delivery_whose_job_is_gone_is_made_by_another_one_and_one_whose_job_lives_is_left_to_it() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let event = failed_twice(&office, &outside, &acme).await;
    outside.answer("/hook", 200);
    // Overdue, and its job lives.
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("webhook-sweep.v1").await;
    assert_eq!((office.jobs("webhook.v1").await.len(), outside.posts("/hook").len()), (1, 2));
    // Gone, as if an operator had deleted it; ended without the delivery's end; dead by crashes.
    let gone = [
        "DELETE FROM queue.job WHERE queue = 'webhook.v1'",
        "UPDATE queue.job SET status = 'done', done_at = now() WHERE queue = 'webhook.v1'",
        "UPDATE queue.job SET status = 'dead', done_at = now(), error_class = 'transient' WHERE queue = 'webhook.v1'",
    ];
    let mut events = vec![event];
    for (hours, bring_about) in (2..).zip(gone) {
        if events.is_empty() {
            events.push(failed_twice(&office, &outside, &acme).await);
            outside.answer("/hook", 200);
        }
        office.set_clock(monday() + TimeDelta::hours(hours));
        office.sql(bring_about).await;
        let before = outside.posts("/hook").len();
        // A second sweep finds that it has a job.
        for _ in 0..2 {
            office.run("webhook-sweep.v1").await;
        }
        office.quiet().await;
        let made = delivery(&office, &acme, events.remove(0)).await;
        assert_eq!((made.state, made.attempts), (DeliveryState::Delivered, 3), "{bring_about}");
        assert_eq!(outside.posts("/hook").len(), before + 1, "{bring_about}");
    }
    office.close().await;
}

#[tokio::test]
async fn a_job_that_was_thought_lost_and_comes_back_makes_no_second_call() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let event = failed_twice(&office, &outside, &acme).await;
    outside.answer("/hook", 200);
    // The sweeper saw no job, and gave the delivery to another.
    office.sql("UPDATE webhook_delivery SET job_id = '00000000-0000-7000-8000-000000000001'").await;
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("webhook-sweep.v1").await;
    office.wake("webhook.v1").await;
    office.quiet().await;
    assert_eq!(outside.posts("/hook").len(), 3, "two attempts, and one of two jobs");
    assert_eq!(delivery(&office, &acme, event).await.state, DeliveryState::Delivered);
    office.end().await;
}

#[tokio::test]
async fn a_delivery_that_somebody_has_to_mend_ends_in_words_and_says_nothing_of_its_endpoint() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    // The operator closed the way to a private address after it was registered: no call is made.
    move_endpoint(&office, &acme, "http://127.0.0.1:9/hook").await;
    let refused = tell(&office, &acme).await;
    let jobs = office.until("webhook.v1", |jobs| jobs.iter().any(|job| job.state == State::Dead)).await;
    assert_eq!(jobs[0].class, Some(ErrorClass::CustomerAction));
    let cancelled = tell(&office, &acme).await;
    office.until("webhook.v1", |jobs| jobs.iter().filter(|job| job.state == State::Dead).count() == 2).await;
    office
        .sql(&format!("UPDATE queue.job SET status = 'cancelled' WHERE args->>'event' = '{cancelled}'"))
        .await;
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("webhook-sweep.v1").await;
    office.quiet().await;
    for (event, code) in [(refused, "endpoint_refused"), (cancelled, "cancelled")] {
        let ended = delivery(&office, &acme, event).await;
        assert_eq!((ended.state, ended.last_code.as_deref()), (DeliveryState::Stopped, Some(code)));
        assert_eq!((ended.attempts, ended.last_at), (0, None), "nothing was called");
    }
    assert_eq!(endpoint(&office, &acme).await.failing_since, None, "nothing was called");
    assert_eq!(outside.posts("/hook").len(), 0);
    office.close().await;
}

#[tokio::test]
async fn an_endpoint_that_moves_while_it_is_called_gets_the_delivery_at_its_new_url() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    // The old URL answers that it is gone, and by then the endpoint has another.
    outside.answer("/hook", 410);
    outside.hold("/hook", true);
    let event = tell(&office, &acme).await;
    office.until("webhook.v1", |_| outside.posts("/hook").len() == 1).await;
    move_endpoint(&office, &acme, &outside.hook_url("/new")).await;
    outside.hold("/hook", false);
    office.until("webhook.v1", |_| outside.posts("/new").len() == 1).await;
    office.quiet().await;
    let made = delivery(&office, &acme, event).await;
    assert_eq!((made.state, made.attempts), (DeliveryState::Delivered, 1));
    let there = endpoint(&office, &acme).await;
    assert_eq!((there.stopped_at, there.failing_since), (None, None), "the new URL did nothing wrong");
    assert_eq!((outside.posts("/hook").len(), outside.letters().len()), (1, 0));
    assert_eq!(outside.posts("/new")[0].headers["webhook-id"], event.to_string());
    office.end().await;
}

#[tokio::test]
async fn an_endpoint_fails_since_the_first_call_of_its_own_url_that_failed() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    failed_twice(&office, &outside, &acme).await;
    assert_eq!(endpoint(&office, &acme).await.failing_since, Some(monday()));
    // Sealed anew, as a rotation does: the same URL.
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let place = ("webhook_endpoint", "sealed_url", acme.endpoint.uuid());
    let sealed = seal(&office.parts, &mut tx, place, &outside.hook_url("/hook")).await;
    drop(tx);
    outside.hold("/hook", true);
    office.set_clock(monday() + TimeDelta::days(6));
    office.wake("webhook.v1").await;
    office.until("webhook.v1", |_| outside.posts("/hook").len() == 3).await;
    office.sql(&format!("UPDATE webhook_endpoint SET sealed_url = '\\x{}'", hex(&sealed))).await;
    outside.hold("/hook", false);
    office.quiet().await;
    let stopped = endpoint(&office, &acme).await;
    assert!(stopped.stop_reason.is_some_and(|why| why.contains("five days")), "the same URL, sealed anew");
    office.end().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
