//! The sweepers of messages and deliveries: none is lost behind many that only wait, and a worker's death is nobody's
//! refusal.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_queue::ops::{JobRow, State};
use costlens_store::{DeliveryState, Message, MessageState};
use uuid::Uuid;

use super::Office;
use super::account::Account;
use super::notifications::tell;
use super::outside::{MailFault, Outside};

fn monday() -> DateTime<Utc> {
    "2026-11-23T14:00:00Z".parse().unwrap()
}

/// An account with a digest by mail that waits, because the mail server has no time.
async fn waiting(outside: &Outside) -> (Office, Account, Message) {
    let office = Office::open_to(outside, monday()).await;
    let acme = Account::open(&office, outside, "Acme").await;
    outside.fail_mail(Some(MailFault::Busy));
    office.sql("UPDATE tenant_settings SET next_digest_at = '2026-11-23T14:00:00Z'").await;
    office.run("digest.v1").await;
    office.until("message.v1", |jobs| jobs.iter().any(|job| job.state == State::Retrying)).await;
    office.settled("message.v1").await;
    outside.fail_mail(None);
    let queued = of_state(&office, &acme, MessageState::Queued).await;
    (office, acme, queued)
}

async fn of_state(office: &Office, acme: &Account, state: MessageState) -> Message {
    let messages =
        office.parts.store.tenant(acme.tenant).await.unwrap().list_messages(None, 100).await.unwrap();
    let found = messages.iter().find(|message| message.state == state);
    found.unwrap_or_else(|| panic!("no message is {state:?}: {messages:#?}")).clone()
}

/// Ends the job of a message or delivery as one whose workers died with it.
async fn kill(office: &Office, job: Uuid, code: &str) {
    let dies = format!(
        "UPDATE queue.job SET status = 'dead', error_class = 'bug', error_code = '{code}', done_at = now() \
         WHERE id = '{job}'"
    );
    office.sql(&dies).await;
}

#[tokio::test]
async fn a_message_whose_workers_died_is_sent_if_it_was_not_and_unknown_if_it_may_have_been() {
    for code in ["worker_died", "worker_lost", "unknown_version"] {
        let outside = Outside::open().await;
        let (office, acme, queued) = waiting(&outside).await;
        kill(&office, queued.job_id, code).await;
        office.set_clock(monday() + TimeDelta::minutes(31));
        office.run("message-sweep.v1").await;
        office.quiet().await;
        let sent = of_state(&office, &acme, MessageState::Sent).await;
        assert_eq!((sent.kind.as_str(), outside.letters().len()), ("weekly_digest", 1));
        office.close().await;

        // The same, and the letter was being handed over when they died.
        let outside = Outside::open().await;
        let (office, acme, queued) = waiting(&outside).await;
        office.sql(&format!("UPDATE message SET state = 'sending' WHERE id = '{}'", queued.id.uuid())).await;
        kill(&office, queued.job_id, code).await;
        office.set_clock(monday() + TimeDelta::minutes(31));
        office.run("message-sweep.v1").await;
        office.quiet().await;
        assert_eq!(of_state(&office, &acme, MessageState::Unknown).await.id, queued.id);
        assert_eq!(outside.letters().len(), 0);

        // What must arrive is sent all the same.
        let must = "UPDATE message SET state = 'sending', kind = 'channel_disabled', settled_at = NULL, \
            figures = '{\"tenant\": \"Acme\", \"medium\": \"webhook\", \"channel\": \"ops\", \"reason\": \"gone\", \
            \"at\": \"2026-11-23T14:00:00Z\", \"zone\": \"UTC\", \"console\": \"https://costlens.example/notifications\", \
            \"preferences\": \"https://costlens.example/notifications\"}'";
        office.sql(&format!("{must} WHERE id = '{}'", queued.id.uuid())).await;
        let again = of_state(&office, &acme, MessageState::Sending).await;
        kill(&office, again.job_id, code).await;
        office.set_clock(monday() + TimeDelta::minutes(33));
        office.run("message-sweep.v1").await;
        office.quiet().await;
        assert_eq!(outside.letters().len(), 1, "{:?}", office.parts.clock);
        office.close().await;
    }
}

#[tokio::test]
async fn a_delivery_whose_workers_died_is_made() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.answer("/hook", 500);
    let event = tell(&office, &acme).await;
    let jobs = office.until("webhook.v1", |jobs| jobs.iter().any(|job| job.state == State::Retrying)).await;
    outside.answer("/hook", 200);
    for job in &jobs {
        kill(&office, job.id, "worker_died").await;
    }
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("webhook-sweep.v1").await;
    office.quiet().await;
    let made =
        office.parts.store.tenant(acme.tenant).await.unwrap().delivery(event, acme.endpoint).await.unwrap();
    assert_eq!((made.state, outside.posts("/hook").len()), (DeliveryState::Delivered, 2));
    office.close().await;
}

#[tokio::test]
async fn what_is_lost_is_found_behind_hundreds_that_wait_for_jobs_that_live() {
    let outside = Outside::open().await;
    let (office, acme, queued) = waiting(&outside).await;
    outside.answer("/hook", 500);
    let event = tell(&office, &acme).await;
    let waits = |jobs: &[JobRow]| jobs.iter().any(|job| job.state == State::Retrying);
    office.until("webhook.v1", waits).await;
    outside.answer("/hook", 200);
    // Each of the copies has the living job of what it is a copy of, which has long to wait, and is looked at before it.
    let copies = format!(
        "UPDATE queue.job SET run_at = run_at + interval '1 day' WHERE status = 'pending'; \
         INSERT INTO message (tenant_id, id, key, kind, channel, target_id, figures, state, created_at, expires_at, \
             attempts, job_id, doubts) \
         SELECT tenant_id, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'copy ' || n, kind, channel, \
             target_id, figures, state, created_at - interval '1 day', expires_at, attempts, job_id, doubts \
         FROM message, generate_series(1, 600) AS n WHERE id = '{message}'; \
         UPDATE message SET job_id = gen_random_uuid() WHERE id = '{message}'; \
         INSERT INTO event (tenant_id, id, kind, at, payload) \
         SELECT tenant_id, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, kind, at, payload \
         FROM event, generate_series(1, 600) AS n WHERE id = '{event}'; \
         INSERT INTO webhook_delivery (tenant_id, event_id, endpoint_id, state, attempts, created_at, next_at, job_id) \
         SELECT d.tenant_id, e.id, d.endpoint_id, d.state, d.attempts, d.created_at, d.next_at - interval '1 day', \
             d.job_id \
         FROM webhook_delivery AS d, event AS e WHERE d.event_id = '{event}' AND e.id < '{event}'; \
         UPDATE webhook_delivery SET job_id = gen_random_uuid() WHERE event_id = '{event}'",
        message = queued.id.uuid(),
        event = event.uuid(),
    );
    office.sql(&copies).await;
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("message-sweep.v1").await;
    office.run("webhook-sweep.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.message(queued.id).await.unwrap().state, MessageState::Sent);
    assert_eq!(tx.delivery(event, acme.endpoint).await.unwrap().state, DeliveryState::Delivered);
    assert_eq!((outside.letters().len(), outside.posts("/hook").len()), (1, 2), "and none of the copies");
    drop(tx);
    office.close().await;
}
