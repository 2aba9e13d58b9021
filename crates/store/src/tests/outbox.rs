//! What goes out: written once, sent once as far as anybody can know, and nobody else's.

use chrono::Duration;
use costlens_domain::{EventId, MessageId, RecipientId, WebhookEndpointId};
use serde_json::json;
use uuid::Uuid;

use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{
    Called, DeliveryAttempt, DeliveryState, Event, MessageState, MessageTarget, NewMessage, StopReason,
    TenantSettings, WebhookEndpoint,
};

fn message(about: &str, to: RecipientId) -> NewMessage {
    NewMessage {
        id: MessageId::new(at(0), unlike_bytes()),
        about: about.to_owned(),
        kind: "weekly_digest".to_owned(),
        target: MessageTarget::Recipient(to),
        figures: json!({"spent": "1.00"}),
        created_at: at(0),
        expires_at: at(0) + Duration::days(1),
        job_id: Uuid::nil(),
    }
}

#[tokio::test]
async fn the_same_is_told_once_and_a_send_has_one_owner() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let to = RecipientId::new(at(0), unlike_bytes());
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let first = message("digest:2026-W48", to);
    assert!(tx.create_message(&first).await.unwrap());
    assert!(!tx.create_message(&message("digest:2026-W48", to)).await.unwrap());
    assert!(tx.create_message(&message("digest:2026-W49", to)).await.unwrap());
    tx.commit().await.unwrap();
    let mut tx = db.store().tenant(other.tenant).await.unwrap();
    assert!(tx.create_message(&message("digest:2026-W48", to)).await.unwrap(), "another tenant's is another");
    assert!(tx.message(first.id).await.is_err());
    assert!(!tx.begin_sending(first.id, true).await.unwrap());
    drop(tx);

    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert!(tx.begin_sending(first.id, false).await.unwrap());
    assert!(!tx.begin_sending(first.id, false).await.unwrap(), "it may be on its way");
    assert!(
        tx.begin_sending(first.id, true).await.unwrap(),
        "unless somebody wants it twice rather than never"
    );
    assert!(tx.settle_message(first.id, MessageState::Unknown, at(5), None, Some("cut off")).await.unwrap());
    assert!(!tx.settle_message(first.id, MessageState::Refused, at(6), None, None).await.unwrap());
    assert!(tx.settle_message(first.id, MessageState::Sent, at(7), Some("<1@x>"), None).await.unwrap());
    let sent = tx.message(first.id).await.unwrap();
    assert_eq!((sent.state, sent.attempts, sent.settled_at), (MessageState::Sent, 2, Some(at(7))));
    tx.commit().await.unwrap();
    let mut system = db.store().system().await.unwrap();
    let waiting = system.messages_waiting(at(1), None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(system.messages_waiting(at(1), Some(waiting[0].1), 10).await.unwrap(), []);
    assert_eq!(system.purge("message", at(1), 10).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_delivery_counts_its_attempts_once_each_and_goes_with_its_endpoint() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let (event, endpoint) =
        (EventId::new(at(0), unlike_bytes()), WebhookEndpointId::new(at(0), unlike_bytes()));
    let what =
        Event { id: event, kind: "bill.published".to_owned(), at: at(0), payload: json!({"lines": 3}) };
    tx.create_event(&what).await.unwrap();
    let new = WebhookEndpoint {
        id: endpoint,
        name: "ops".to_owned(),
        host: "hooks.example.com".to_owned(),
        sealed_url: vec![1],
        sealed_secret: vec![2],
        kinds: vec!["bill.published".to_owned()],
        created_at: at(0),
        failing_since: None,
        stopped_at: None,
        stop_reason: None,
    };
    tx.create_webhook_endpoint(&new).await.unwrap();
    assert!(new.wants("bill.published") && !new.wants("budget.reached"));
    let (job, later_job) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert!(tx.create_delivery(event, endpoint, job, at(0)).await.unwrap());
    assert!(!tx.create_delivery(event, endpoint, later_job, at(0)).await.unwrap());
    let fresh = tx.delivery(event, endpoint).await.unwrap();
    assert_eq!(fresh.job_id, Some(job));
    let attempt = |state, seconds| DeliveryAttempt {
        state,
        called: Called::ItsUrl,
        attempts: u32::try_from(seconds).unwrap(),
        at: at(seconds),
        next_at: None,
        status: Some(500),
        code: Some("status".to_owned()),
        millis: 12,
        answer: Some("no\0".to_owned()),
    };
    assert!(tx.note_attempt(&fresh, &attempt(DeliveryState::Pending, 1)).await.unwrap());
    assert!(!tx.note_attempt(&fresh, &attempt(DeliveryState::Delivered, 2)).await.unwrap(), "an old look");
    let failing = tx.webhook_endpoint(endpoint).await.unwrap().failing_since;
    assert_eq!(failing, None, "a success, whoever noted it, ends a failure");
    let tried = tx.delivery(event, endpoint).await.unwrap();
    // What happened at a URL that it had before, or without a call, says nothing of the one that it has.
    for called in [Called::AnotherUrl, Called::Nothing] {
        let elsewhere = DeliveryAttempt { called, ..attempt(DeliveryState::Pending, 1) };
        assert!(tx.note_attempt(&tried, &elsewhere).await.unwrap());
        assert_eq!(tx.webhook_endpoint(endpoint).await.unwrap().failing_since, None, "{called:?}");
    }
    assert!(tx.note_attempt(&tried, &attempt(DeliveryState::Exhausted, 3)).await.unwrap());
    assert_eq!(tx.webhook_endpoint(endpoint).await.unwrap().failing_since, Some(at(3)));
    let ended = tx.delivery(event, endpoint).await.unwrap();
    let again = tx.restart_delivery(event, endpoint, later_job, at(9)).await.unwrap();
    assert_eq!((again.state, again.attempts, again.next_at), (DeliveryState::Pending, 0, Some(at(9))));
    assert!(!tx.note_attempt(&ended, &attempt(DeliveryState::Delivered, 3)).await.unwrap(), "another job's");
    assert!(!tx.reassign_delivery(event, endpoint, Some(job), job).await.unwrap(), "it has another job");
    assert!(tx.reassign_delivery(event, endpoint, Some(later_job), job).await.unwrap());
    // What ends without a call leaves the story of the last one.
    let again = tx.delivery(event, endpoint).await.unwrap();
    let stops = DeliveryAttempt {
        called: Called::Nothing,
        attempts: again.attempts,
        status: None,
        answer: None,
        code: Some("cancelled".to_owned()),
        ..attempt(DeliveryState::Stopped, 9)
    };
    assert!(tx.note_attempt(&again, &stops).await.unwrap());
    let stopped = tx.delivery(event, endpoint).await.unwrap();
    assert_eq!((stopped.last_at, stopped.last_status), (Some(at(3)), Some(500)));
    assert_eq!((stopped.last_code.as_deref(), stopped.settled_at), (Some("cancelled"), Some(at(9))));
    assert!(!tx.reassign_delivery(event, endpoint, Some(job), later_job).await.unwrap(), "it waits no more");
    let other_url = WebhookEndpoint { sealed_url: vec![9], ..new.clone() };
    assert!(!tx.stop_webhook_endpoint(&other_url, "gone", at(10)).await.unwrap(), "it was mended meanwhile");
    assert!(tx.stop_webhook_endpoint(&new, "gone", at(10)).await.unwrap());
    assert!(!tx.stop_webhook_endpoint(&new, "gone", at(11)).await.unwrap());
    tx.delete_webhook_endpoint(endpoint).await.unwrap();
    assert!(tx.delivery(event, endpoint).await.is_err());
}

#[tokio::test]
async fn a_digest_has_one_owner_each_week() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.settings().await.unwrap(), None);
    let settings = tx.settings_or_initial(at(0)).await.unwrap();
    assert_eq!(settings, TenantSettings::initial(at(0)));
    tx.commit().await.unwrap();
    let mut system = db.store().system().await.unwrap();
    let due = settings.next_digest_at;
    assert_eq!(system.digests_due(due - Duration::seconds(1), 10).await.unwrap(), []);
    assert_eq!(system.digests_due(due, 10).await.unwrap(), [(acme.tenant, due)]);
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let next = settings.after(due).next_digest_at;
    assert!(tx.move_digest(due, next).await.unwrap());
    assert!(!tx.move_digest(due, next).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(system.digests_due(due, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_recipient_is_told_nothing_before_it_agrees_and_after_it_stopped() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let id = RecipientId::new(at(0), unlike_bytes());
    let added = tx.create_recipient(id, "cfo@example.com", (true, true), at(0)).await.unwrap();
    assert!(!added.is_active());
    assert!(tx.confirm_recipient(id, at(1)).await.unwrap().is_active());
    tx.stop_recipient(id, StopReason::Bounced, at(2)).await.unwrap();
    tx.stop_recipient(id, StopReason::Unsubscribed, at(3)).await.unwrap();
    let stopped = tx.recipient(id).await.unwrap();
    assert_eq!((stopped.is_active(), stopped.stop_reason.as_deref()), (false, Some("bounced")));
    assert!(tx.confirm_recipient(id, at(4)).await.unwrap().is_active());
    tx.commit().await.unwrap();
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let other = RecipientId::new(at(0), unlike_bytes());
    let twice = tx.create_recipient(other, "CFO@Example.com", (true, true), at(5)).await.unwrap_err();
    assert_eq!(twice.constraint(), Some("recipient_email"));
}
