//! Webhooks to programs: every event to every endpoint that wants it, at least once, by a schedule of eight attempts.
//!
//! The delivery's own row counts the attempts and says when the next is due; the job only carries it. A receiver knows
//! a second delivery by its `webhook-id`. Where the operator has Svix, it signs, retries and keeps the log.

mod svix;
mod sweep;

pub(crate) use svix::{SERVICE as SVIX, mirror_endpoint};
pub(crate) use sweep::{FindDeliveries, find_deliveries};

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::events::EventKind;
use costlens_jobs::ask_for;
use costlens_jobs::events::{DeliverWebhook, SpreadEvent};
use costlens_notify::webhooks::{
    Attempt, Outcome, SCHEDULE, WebhookMessage, WebhookSecret, WebhookUrl, deliver,
};
use costlens_notify::words::Medium;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{
    Called, Delivery, DeliveryAttempt, DeliveryState, Event, StoreError, TenantConn, WebhookEndpoint,
};
use serde_json::{Value, json};

use crate::{ChannelNews, WorkerParts, sealing, store_failure, tell_of_channel};

/// The longest wait for an endpoint's answer.
const LIMIT: Duration = Duration::from_secs(15);
/// An endpoint that takes nothing for this long is told nothing more, as with Svix.
const FAILS_FOR: TimeDelta = TimeDelta::days(5);

/// An event as a webhook's body, by the Standard Webhooks specification's recommendation.
fn body(event: &Event) -> Value {
    json!({
        "type": event.kind,
        "timestamp": event.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "data": event.payload,
    })
}

/// Writes a delivery for every endpoint that wants the event, with the jobs that make them, in one transaction.
pub(crate) async fn spread_event(
    job: SpreadEvent,
    _context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let event = match tx.event(job.event).await {
        Ok(event) => event,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    let tenant = tx.tenant().await.map_err(store_failure)?;
    if tenant.closing_at.is_some() {
        return Ok(());
    }
    let endpoints = tx.list_webhook_endpoints().await.map_err(store_failure)?;
    let (wanting, others): (Vec<_>, Vec<_>) =
        endpoints.into_iter().partition(|endpoint| is_for(endpoint, &event));
    if wanting.is_empty() {
        return Ok(());
    }
    if let Some(svix) = &parts.svix {
        // Svix tells one endpoint's test from the others' only where it knows them by their channels.
        let known = if is_test(&event) { [wanting, others].concat() } else { wanting };
        return svix::hand_over(svix, &parts, tx, (&tenant, &event), &known).await;
    }
    let now = parts.clock.now();
    for endpoint in wanting {
        let deliver = DeliverWebhook { tenant: job.tenant, event: event.id, endpoint: endpoint.id, ask: 0 };
        let deliver = costlens_jobs::job(&deliver).map_err(store_failure)?;
        if tx.create_delivery(event.id, endpoint.id, deliver.id(), now).await.map_err(store_failure)? {
            ask_for(&mut tx, deliver).await.map_err(store_failure)?;
        }
    }
    tx.commit().await.map_err(store_failure)
}

fn is_test(event: &Event) -> bool {
    event.kind == EventKind::WebhookTest.as_str()
}

/// A test goes to the one endpoint that it names.
fn is_for(endpoint: &WebhookEndpoint, event: &Event) -> bool {
    if is_test(event) {
        let named = event.payload.get("endpoint_id").and_then(Value::as_str);
        return endpoint.stopped_at.is_none() && named == Some(endpoint.id.to_string().as_str());
    }
    endpoint.wants(&event.kind)
}

/// Makes one attempt, writes it down, and comes again when the schedule says so.
pub(crate) async fn deliver_webhook(
    job: DeliverWebhook,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    // Where it does not work, opening says so, if it comes to that.
    let _said_by_whoever_opens = sealing::ready(&parts, job.tenant).await;
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let delivery = match tx.delivery(job.event, job.endpoint).await {
        Ok(delivery) => delivery,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    // Settled, or given to another job: somebody had it sent again, or this one was thought lost.
    let is_anothers = delivery.job_id.is_some_and(|one| one != context.id());
    if delivery.state != DeliveryState::Pending || is_anothers {
        return Ok(());
    }
    let now = parts.clock.now();
    if let Some(due) = delivery.next_at.filter(|due| *due > now) {
        // Woken early: a retry after a crash, or another clock.
        return Err(come_again(now, due));
    }
    let event = tx.event(job.event).await.map_err(store_failure)?;
    let endpoint = tx.webhook_endpoint(job.endpoint).await.map_err(store_failure)?;
    let closing = tx.tenant().await.map_err(store_failure)?.closing_at.is_some();
    if endpoint.stopped_at.is_some() || closing {
        return note(tx, &delivery, stopped(&delivery, None, now)).await.map(|_| ());
    }
    let (url, secret) = open(&mut tx, &parts, &endpoint).await?;
    // No transaction is held while the endpoint thinks.
    drop(tx);
    let message = WebhookMessage::new(&event.id.to_string(), now, &body(&event))
        .map_err(|bad| JobError::give_up(ErrorClass::Bug, "event_id", bad))?;
    let attempt = deliver(&parts.egress, &url, &[secret], &message, LIMIT).await;
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let now_there = match tx.lock_webhook_endpoint(job.endpoint).await {
        Ok(endpoint) => endpoint,
        // Removed meanwhile, and its deliveries with it.
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    // A rotated key seals the same URL anew.
    let is_its_url = now_there.sealed_url == endpoint.sealed_url
        || open(&mut tx, &parts, &now_there).await.is_ok_and(|(its_url, _)| its_url == url);
    if !is_its_url && attempt.outcome != Outcome::Delivered {
        return begin_again(tx, &parts, &delivery, &attempt).await;
    }
    let called = if is_its_url { Called::ItsUrl } else { Called::AnotherUrl };
    settle(tx, &parts, (&delivery, &now_there, called), attempt).await
}

/// The endpoint got another URL while its old one was called and did not take it: the schedule begins again, with the
/// new one.
async fn begin_again(
    tx: TenantConn,
    parts: &WorkerParts,
    delivery: &Delivery,
    attempt: &Attempt,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let noted = DeliveryAttempt {
        state: DeliveryState::Pending,
        called: Called::AnotherUrl,
        attempts: 0,
        at: now,
        next_at: Some(now),
        status: attempt.status,
        code: Some("url_changed".to_owned()),
        millis: attempt.millis,
        answer: Some(attempt.answer_excerpt.clone()),
    };
    match note(tx, delivery, noted).await? {
        Some(due) => Err(come_again(now, due)),
        None => Ok(()),
    }
}

async fn open(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    endpoint: &WebhookEndpoint,
) -> Result<(WebhookUrl, WebhookSecret), JobError> {
    let row = endpoint.id.uuid();
    let place = |column| ("webhook_endpoint", column, row);
    let url = sealing::open(&parts.keyring, tx, place("sealed_url"), &endpoint.sealed_url).await?;
    let secret = sealing::open(&parts.keyring, tx, place("sealed_secret"), &endpoint.sealed_secret).await?;
    let url = WebhookUrl::parse(&url, parts.egress.policy())
        .map_err(|refused| JobError::give_up(ErrorClass::CustomerAction, "endpoint_refused", refused))?;
    let secret =
        WebhookSecret::parse(&secret).map_err(|bad| JobError::give_up(ErrorClass::Bug, "secret", bad))?;
    Ok((url, secret))
}

/// What an attempt means for the delivery and its endpoint.
async fn settle(
    mut tx: TenantConn,
    parts: &WorkerParts,
    (delivery, endpoint, called): (&Delivery, &WebhookEndpoint, Called),
    attempt: Attempt,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let attempts = delivery.attempts.saturating_add(1);
    let (state, next_at) = match attempt.outcome {
        Outcome::Delivered => (DeliveryState::Delivered, None),
        Outcome::Gone => (DeliveryState::Stopped, None),
        Outcome::Retry { after } => {
            match usize::try_from(attempts).ok().and_then(|tried| SCHEDULE.get(tried)) {
                Some(wait) => (DeliveryState::Pending, Some(now + (*wait).max(after.unwrap_or_default()))),
                None => (DeliveryState::Exhausted, None),
            }
        }
    };
    let noted = DeliveryAttempt {
        state,
        called,
        attempts,
        at: now,
        next_at,
        status: attempt.status,
        code: Some(attempt.code.to_owned()),
        millis: attempt.millis,
        answer: Some(attempt.answer_excerpt.clone()),
    };
    let fails_long = endpoint.failing_since.is_some_and(|since| now - since >= FAILS_FOR);
    let why = match attempt.outcome {
        Outcome::Gone => Some("the endpoint answered 410: it wants nothing more".to_owned()),
        Outcome::Retry { .. } if fails_long => {
            Some(format!("it has taken nothing for five days; the last answer was {}", said(&attempt)))
        }
        _ => None,
    };
    if let Some(why) = &why {
        stop(&mut tx, parts, endpoint, why).await?;
    } else if state == DeliveryState::Exhausted && called == Called::ItsUrl {
        let why = format!("the last answer was {}", said(&attempt));
        tell(&mut tx, parts, endpoint, (&why, Some(endpoint.failing_since.unwrap_or(now)))).await?;
    }
    let noted = if why.is_some() && state == DeliveryState::Pending {
        DeliveryAttempt { state: DeliveryState::Stopped, next_at: None, ..noted }
    } else {
        noted
    };
    match note(tx, delivery, noted).await? {
        Some(due) => Err(come_again(now, due)),
        None => Ok(()),
    }
}

/// The status that an attempt was answered with, or why there was none.
fn said(attempt: &Attempt) -> String {
    attempt.status.map_or_else(|| attempt.code.to_owned(), |status| status.to_string())
}

/// The endpoint is told nothing more, if it still has the URL that was called, and its people hear of that.
async fn stop(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    endpoint: &WebhookEndpoint,
    why: &str,
) -> Result<(), JobError> {
    if tx.stop_webhook_endpoint(endpoint, why, parts.clock.now()).await.map_err(store_failure)? {
        tell(tx, parts, endpoint, (why, None)).await?;
    }
    Ok(())
}

/// Tells the people of an endpoint that is stopped, or since this moment takes nothing.
async fn tell(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    endpoint: &WebhookEndpoint,
    (why, fails_since): (&str, Option<DateTime<Utc>>),
) -> Result<(), JobError> {
    let (medium, id) = (Medium::Webhook, endpoint.id.to_string());
    let news = ChannelNews { medium, id: &id, name: &endpoint.name, why, fails_since };
    tell_of_channel(tx, parts, &news).await
}

/// Writes an attempt down. When the next is due, unless there is none, or another worker made one meanwhile.
async fn note(
    mut tx: TenantConn,
    delivery: &Delivery,
    attempt: DeliveryAttempt,
) -> Result<Option<DateTime<Utc>>, JobError> {
    let noted = tx.note_attempt(delivery, &attempt).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)?;
    Ok(attempt.next_at.filter(|_| noted))
}

/// The end of a delivery without a call.
fn stopped(delivery: &Delivery, code: Option<&str>, at: DateTime<Utc>) -> DeliveryAttempt {
    DeliveryAttempt {
        state: DeliveryState::Stopped,
        called: Called::Nothing,
        attempts: delivery.attempts,
        at,
        next_at: None,
        status: None,
        code: code.map(str::to_owned),
        millis: 0,
        answer: None,
    }
}

fn come_again(now: DateTime<Utc>, due: DateTime<Utc>) -> JobError {
    let wait = (due - now).to_std().unwrap_or_default();
    JobError::retry_after(wait, "the next attempt of the schedule").code("webhook_retry")
}
