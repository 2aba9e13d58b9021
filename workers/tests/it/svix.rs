//! What the operator's Svix has of endpoints follows their rows, and an event reaches whoever is to hear it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_aws::testing::{FakeKms, KEY_ARN};
use costlens_domain::WebhookEndpointId;
use costlens_domain::events::EventKind;
use costlens_domain::ports::Clock;
use costlens_jobs::events::{ask_to_mirror, happened};
use costlens_notify::webhooks::WebhookSecret;
use costlens_queue::ops::{JobRow, State};
use costlens_store::WebhookEndpoint;
use costlens_store::testing::unlike_bytes;
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use serde_json::json;

use super::account::{Account, seal};
use super::notifications::tell;
use super::outside::{Outside, svix};
use super::{MASTER_KEY, Office, egress, mailer};

const SPREADS: &str = "event.v1";
const MIRRORS: &str = "webhook-mirror.v1";

fn monday() -> DateTime<Utc> {
    "2026-11-23T14:00:00Z".parse().unwrap()
}

/// Another endpoint of an account, which wants these kinds.
async fn another(office: &Office, acme: &Account, url: &str, kinds: &[EventKind]) -> WebhookEndpointId {
    let (parts, now) = (&office.parts, office.parts.clock.now());
    let id = WebhookEndpointId::new(now, unlike_bytes());
    let mut tx = parts.store.tenant(acme.tenant).await.unwrap();
    let place = |column| ("webhook_endpoint", column, id.uuid());
    let secret = WebhookSecret::generate(&*parts.entropy);
    let new = WebhookEndpoint {
        id,
        name: "another".to_owned(),
        host: "127.0.0.1".to_owned(),
        sealed_url: seal(parts, &mut tx, place("sealed_url"), url).await,
        sealed_secret: seal(parts, &mut tx, place("sealed_secret"), &secret.reveal()).await,
        kinds: kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        created_at: now,
        failing_since: None,
        stopped_at: None,
        stop_reason: None,
    };
    tx.create_webhook_endpoint(&new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Gives the account's endpoint another URL, as the API does.
async fn move_endpoint(office: &Office, acme: &Account, url: &str) {
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let there = tx.lock_webhook_endpoint(acme.endpoint).await.unwrap();
    let place = ("webhook_endpoint", "sealed_url", acme.endpoint.uuid());
    let sealed_url = seal(&office.parts, &mut tx, place, url).await;
    tx.replace_webhook_endpoint(&WebhookEndpoint { sealed_url, ..there }).await.unwrap();
    ask_to_mirror(&mut tx, acme.endpoint).await.unwrap();
    tx.commit().await.unwrap();
}

/// Removes an endpoint, as the API does.
async fn remove_endpoint(office: &Office, acme: &Account) {
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    tx.delete_webhook_endpoint(acme.endpoint).await.unwrap();
    ask_to_mirror(&mut tx, acme.endpoint).await.unwrap();
    tx.commit().await.unwrap();
}

/// Tells one endpoint a test, as the API does.
async fn test(office: &Office, acme: &Account, endpoint: WebhookEndpointId) {
    let now = office.parts.clock.now();
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let named = json!({ "endpoint_id": endpoint });
    happened(&mut tx, EventKind::WebhookTest, named, now, &*office.parts.entropy).await.unwrap();
    tx.commit().await.unwrap();
}

fn waits(jobs: &[JobRow]) -> bool {
    !jobs.is_empty() && jobs.iter().all(|job| job.state == State::Retrying)
}

#[tokio::test]
async fn an_event_waits_for_the_key_service_and_then_reaches_every_endpoint() {
    let outside = Outside::open().await;
    let mut office = Office::closed(monday()).await;
    office.parts.egress = egress(&[format!("127.0.0.1:{}", outside.http_port)]);
    office.parts.mailer = Some(mailer(&outside.smtp_url()));
    office.parts.svix = Some(svix(outside.http_port));
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = another(&office, &acme, &outside.hook_url("/other"), &[]).await;
    // The key lies with a key service, and this process has not asked for it yet.
    let kms = FakeKms::start();
    let clock: Arc<dyn Clock> = office.clock.clone();
    let ring = async || {
        let ring = Keyring::new(MasterKey::parse(MASTER_KEY).unwrap());
        ring.with_services(vec![Arc::new(kms.client(KEY_ARN).await)], true, &clock)
    };
    let mut system = office.parts.store.system().await.unwrap();
    let key = system.data_keys_of(acme.tenant).await.unwrap().remove(0);
    let wrapped = ring().await.rewrap(acme.tenant, key.version, &key.wrapped, &OsEntropy).await.unwrap();
    let hex = hex::encode(&wrapped.0);
    office.sql(&format!("UPDATE tenant_key SET wrapped = '\\x{hex}'")).await;
    office.parts.keyring = Arc::new(ring().await);
    kms.disable(KEY_ARN, true);
    office.work().await;
    tell(&office, &acme).await;
    office.until(SPREADS, waits).await;
    assert_eq!(outside.svix_heard(), []);
    kms.disable(KEY_ARN, false);
    office.set_clock(monday() + TimeDelta::minutes(1));
    office.wake(SPREADS).await;
    office.quiet().await;
    let (kind, mut heard) = outside.svix_heard().remove(0);
    heard.sort();
    let mut both = [acme.endpoint.to_string(), other.to_string()];
    both.sort();
    assert_eq!((kind.as_str(), heard.as_slice()), ("key.created", both.as_slice()));
    office.end().await;
}

#[tokio::test]
async fn an_endpoint_that_svix_refuses_is_stopped_and_told_of_and_the_others_hear_the_event() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = another(&office, &acme, &outside.hook_url("/other"), &[]).await;
    outside.refuse_in_svix(&outside.hook_url("/hook"));
    tell(&office, &acme).await;
    office.quiet().await;
    assert_eq!(outside.svix_heard(), [("key.created".to_owned(), vec![other.to_string()])]);
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let refused = tx.webhook_endpoint(acme.endpoint).await.unwrap();
    assert!(refused.stop_reason.is_some_and(|why| why.contains("422")));
    assert!(tx.webhook_endpoint(other).await.unwrap().stopped_at.is_none());
    let told = outside.letters();
    assert!(told.len() == 1 && told[0].contains("ops"), "{told:#?}");
    // Its people mend it, and it hears of things again.
    move_endpoint(&office, &acme, &outside.hook_url("/mended")).await;
    office.quiet().await;
    tell(&office, &acme).await;
    office.quiet().await;
    assert_eq!(outside.svix_heard()[1].1.len(), 2);
    office.end().await;
}

#[tokio::test]
async fn what_svix_has_of_an_endpoint_follows_its_row_without_an_event() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let known = |endpoint| outside.svix_endpoint(acme.tenant, endpoint);
    // Before the first event there is nothing to bring to anything.
    move_endpoint(&office, &acme, &outside.hook_url("/first")).await;
    office.quiet().await;
    assert_eq!(outside.svix_has(), [""; 0]);
    tell(&office, &acme).await;
    office.quiet().await;
    assert_eq!(known(acme.endpoint).unwrap()["url"], outside.hook_url("/first"));
    move_endpoint(&office, &acme, &outside.hook_url("/second")).await;
    office.quiet().await;
    assert_eq!(known(acme.endpoint).unwrap()["url"], outside.hook_url("/second"));

    // Removed while an event is being handed over: Svix is told of it once more, and does not keep it.
    let calls = format!("/api/v1/app/{}/endpoint", acme.tenant);
    outside.hold(&calls, true);
    let before = outside.svix_calls(&format!("POST {calls}")).len();
    tell(&office, &acme).await;
    office.until(SPREADS, |_| outside.svix_calls(&format!("POST {calls}")).len() > before).await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    tx.delete_webhook_endpoint(acme.endpoint).await.unwrap();
    tx.commit().await.unwrap();
    outside.hold(&calls, false);
    office.quiet().await;
    assert_eq!(known(acme.endpoint), None);
    office.end().await;
}

#[tokio::test]
async fn an_endpoint_that_was_removed_is_taken_from_svix_twice_and_as_soon_as_there_is_one() {
    let outside = Outside::open().await;
    let mut office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    tell(&office, &acme).await;
    office.quiet().await;
    let there = outside.svix_endpoint(acme.tenant, acme.endpoint).unwrap();
    office.stop_work().await;
    let configured = office.parts.svix.take();
    office.work().await;
    remove_endpoint(&office, &acme).await;
    let waiting = office.until(MIRRORS, waits).await;
    assert_eq!(waiting[0].code.as_deref(), Some("svix_left"));
    assert_eq!(outside.svix_endpoint(acme.tenant, acme.endpoint), Some(there));
    office.stop_work().await;
    office.parts.svix = configured;
    office.work().await;
    office.wake(MIRRORS).await;
    office.quiet().await;
    assert_eq!(outside.svix_endpoint(acme.tenant, acme.endpoint), None);
    // A second look, for whoever told Svix of it at the same time and died before it looked again.
    office.wake(MIRRORS).await;
    office.quiet().await;
    let deleted = outside.svix_calls(&format!("DELETE /api/v1/app/{}/endpoint", acme.tenant));
    assert!(deleted.len() >= 2, "{deleted:?}");
    office.end().await;
}

#[tokio::test]
async fn a_test_reaches_the_endpoint_that_it_names_alone() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = another(&office, &acme, &outside.hook_url("/other"), &[EventKind::BillPublished]).await;
    test(&office, &acme, acme.endpoint).await;
    office.quiet().await;
    test(&office, &acme, other).await;
    office.quiet().await;
    tell(&office, &acme).await;
    office.quiet().await;
    let heard: Vec<_> = outside.svix_heard().into_iter().map(|(_, heard)| heard).collect();
    assert_eq!(
        heard,
        [vec![acme.endpoint.to_string()], vec![other.to_string()], vec![acme.endpoint.to_string()]]
    );
    office.end().await;
}

#[tokio::test]
async fn an_event_whose_job_ran_out_of_attempts_is_handed_over_when_svix_is_back() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.answer("/api/v1/app", 503);
    tell(&office, &acme).await;
    office.until(SPREADS, waits).await;
    office.sql("UPDATE queue.job SET max_attempts = attempts + 1 WHERE queue = 'event.v1'").await;
    office.wake(SPREADS).await;
    office.until(SPREADS, |jobs| jobs.iter().all(|job| job.state == State::Dead)).await;
    outside.answer("/api/v1/app", 201);
    office.run("webhook-sweep.v1").await;
    office.until(SPREADS, |jobs| jobs.iter().all(|job| job.state == State::Done)).await;
    assert_eq!(outside.svix_calls("POST /api/v1/app").last().map(|call| call.ends_with("/msg")), Some(true));
    office.end().await;
}

#[tokio::test]
async fn an_event_whose_workers_died_or_were_lost_is_handed_over_and_one_that_is_ours_to_mend_is_not() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    for (code, is_brought_back) in [("worker_died", true), ("worker_lost", true), ("internal", false)] {
        tell(&office, &acme).await;
        office.quiet().await;
        office
            .sql(&format!(
                "UPDATE queue.job SET status = 'dead', error_class = 'bug', error_code = '{code}' \
                 WHERE id = (SELECT id FROM queue.job WHERE queue = 'event.v1' ORDER BY id DESC LIMIT 1)"
            ))
            .await;
        office.run("webhook-sweep.v1").await;
        if is_brought_back {
            office.until(SPREADS, |jobs| jobs.iter().all(|job| job.state == State::Done)).await;
        } else {
            office.settled(SPREADS).await;
            let dead = office.jobs(SPREADS).await.iter().filter(|job| job.state == State::Dead).count();
            assert_eq!(dead, 1, "{code}");
        }
    }
    // One that goes on killing its workers is not brought back for ever.
    office.sql("DELETE FROM queue.job WHERE queue = 'event.v1'").await;
    tell(&office, &acme).await;
    for tries in 0..4 {
        office.until(SPREADS, |jobs| jobs.len() == 1 && jobs[0].state == State::Done).await;
        office
            .sql(
                "UPDATE queue.job SET status = 'dead', error_class = 'bug', error_code = 'worker_died' \
                 WHERE queue = 'event.v1'",
            )
            .await;
        office.run("webhook-sweep.v1").await;
        if tries == 3 {
            office.settled(SPREADS).await;
            assert_eq!(office.jobs(SPREADS).await[0].state, State::Dead);
        }
    }
    office.close().await;
}
