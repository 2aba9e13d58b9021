//! Digests, alerts and webhooks, at fakes of the world outside: once, to whom it concerns, and through every failure.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope};
use costlens_domain::calendar::{Period, Zone};
use costlens_domain::events::EventKind;
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{BudgetId, TenantId};
use costlens_jobs::events::happened;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{Budget, DeliveryState, Message, MessageState, TenantSettings};
use serde_json::{Value, json};

use super::Office;
use super::account::Account;
use super::outside::{MailFault, Outside, Post};

/// A Monday, nine o'clock in New York (14:00 UTC).
fn monday() -> DateTime<Utc> {
    "2026-11-23T14:00:00Z".parse().unwrap()
}

async fn messages(office: &Office, tenant: TenantId) -> Vec<Message> {
    office.parts.store.tenant(tenant).await.unwrap().list_messages(None, 100).await.unwrap()
}

fn state_of(messages: &[Message], kind: &str, channel: &str) -> Vec<MessageState> {
    let is_mail = |message: &Message| matches!(message.target, costlens_store::MessageTarget::Recipient(_));
    let of =
        messages.iter().filter(|message| message.kind == kind && is_mail(message) == (channel == "email"));
    of.map(|message| message.state).collect()
}

#[tokio::test]
async fn a_digest_goes_out_once_a_week_at_the_tenants_own_hour() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() - TimeDelta::minutes(30)).await;
    let acme = Account::open(&office, &outside, "Acme Rockets").await;
    acme.spend_two_weeks(&office).await;
    office.run("digest.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0, "it is half past eight in New York");

    office.set_clock(monday() + TimeDelta::minutes(1));
    for _ in 0..2 {
        assert_eq!(office.run("digest.v1").await.job.state, State::Done);
    }
    office.quiet().await;
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    for words in ["Acme Rockets", "To: cfo@acme-rockets.example", "gpt-4o-mini", "List-Unsubscribe-Post"] {
        assert!(letter.contains(words), "{words} is not in {letter}");
    }
    // Seven days of three calls at 2.50 each, the week before at 1.00.
    assert!(letter.contains("$52.50") && letter.contains("$21.00"), "{letter}");
    let posts = outside.posts("/services");
    assert_eq!(posts.len(), 1);
    assert!(posts[0].body.contains("$52.50"), "{}", posts[0].body);
    let sent = messages(&office, acme.tenant).await;
    assert!(sent.iter().all(|message| message.state == MessageState::Sent), "{sent:?}");

    office.set_clock(monday() + TimeDelta::days(7) + TimeDelta::minutes(1));
    office.run("digest.v1").await;
    office.quiet().await;
    assert_eq!((outside.letters().len(), outside.posts("/services").len()), (2, 2));
    office.end().await;
}

#[tokio::test]
async fn a_digest_that_is_a_day_late_is_left_out_and_the_next_one_comes() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() - TimeDelta::days(1)).await;
    Account::open(&office, &outside, "Acme").await;
    office.set_clock(monday() + TimeDelta::hours(25));
    office.run("digest.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0);
    office.set_clock(monday() + TimeDelta::days(7));
    office.run("digest.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 1);
    office.end().await;
}

#[tokio::test]
async fn a_letter_that_may_have_arrived_is_not_sent_again() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.fail_mail(Some(MailFault::CutAfterLetter));
    office.sql("UPDATE tenant_settings SET next_digest_at = '2026-11-23T14:00:00Z'").await;
    office.run("digest.v1").await;
    office.quiet().await;
    outside.fail_mail(None);
    office.set_clock(monday() + TimeDelta::hours(1));
    office.run("message-sweep.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 1);
    let messages = messages(&office, acme.tenant).await;
    assert_eq!(state_of(&messages, "weekly_digest", "email"), [MessageState::Unknown]);
    assert_eq!(state_of(&messages, "weekly_digest", "slack"), [MessageState::Sent]);
    office.end().await;
}

#[tokio::test]
async fn a_mail_server_without_time_is_asked_again_and_a_lost_job_is_made_up_for() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.fail_mail(Some(MailFault::Busy));
    office.sql("UPDATE tenant_settings SET next_digest_at = '2026-11-23T14:00:00Z'").await;
    office.run("digest.v1").await;
    let waits = office.until("message.v1", |jobs| jobs.iter().any(|job| job.state == State::Retrying)).await;
    assert_eq!(waits.iter().filter(|job| job.state == State::Retrying).count(), 1);
    // A job that lives is left to it, however long it takes.
    office.set_clock(monday() + TimeDelta::minutes(31));
    let jobs = office.jobs("message.v1").await.len();
    office.run("message-sweep.v1").await;
    assert_eq!(office.jobs("message.v1").await.len(), jobs);
    let told: Vec<_> = office.jobs("message.v1").await.into_iter().filter_map(|job| job.error).collect();
    assert!(told.iter().all(|error| !error.contains("cfo@")), "{told:?}");
    outside.fail_mail(None);
    // The job is gone, as if an operator had deleted it.
    office.sql("DELETE FROM queue.job WHERE queue = 'message.v1' AND status = 'pending'").await;
    office.run("message-sweep.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 1);
    let messages = messages(&office, acme.tenant).await;
    assert_eq!(state_of(&messages, "weekly_digest", "email"), [MessageState::Sent]);
    office.end().await;
}

#[tokio::test]
async fn an_address_that_bounces_is_suppressed_and_a_slack_channel_that_is_gone_is_stopped() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    outside.answer("/services", 404);
    office.sql("UPDATE tenant_settings SET next_digest_at = '2026-11-23T14:00:00Z'").await;
    office.run("digest.v1").await;
    office.quiet().await;
    let letters = outside.letters();
    // The digest, and the word that Slack is gone.
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().any(|letter| letter.contains("#finops")));
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert!(tx.slack_channel(acme.slack).await.unwrap().stopped_at.is_some());
    drop(tx);

    outside.fail_mail(Some(MailFault::NoSuchAddress));
    office.set_clock(monday() + TimeDelta::days(7));
    office.run("digest.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let recipient = tx.recipient(acme.recipient).await.unwrap();
    assert_eq!(recipient.stop_reason.as_deref(), Some("bounced"));
    drop(tx);
    outside.fail_mail(None);
    office.set_clock(monday() + TimeDelta::days(14));
    office.run("digest.v1").await;
    office.quiet().await;
    assert_eq!((outside.letters().len(), outside.posts("/services").len()), (2, 1), "nobody is left to tell");
    office.end().await;
}

pub(crate) async fn budget(office: &Office, tenant: TenantId, amount: &str) {
    let now = office.parts.clock.now();
    let budget = Budget {
        id: BudgetId::new(now, unlike_bytes()),
        name: "All of it".to_owned(),
        rule: BudgetRule {
            scope: BudgetScope::default(),
            period: Period::Day,
            amount: amount.parse().unwrap(),
            thresholds: vec![50, 80, 100],
        },
        created_at: now,
        ended_at: None,
    };
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    tx.create_budget(&budget).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_budget_that_was_reached_in_its_last_minutes_is_told_in_the_next_period() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    budget(&office, acme.tenant, "10.00").await;
    // Monday ends at 05:00 UTC in New York; the call is of 04:55, and reached the ledger late.
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(895), "gpt-4o", "11.00")]).await;
    office.set_clock(monday() + TimeDelta::minutes(910));
    for _ in 0..2 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    assert_eq!(outside.letters().len(), 1);
    let told = events(&outside.posts("/hook"), "budget.reached");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["period_start"], "2026-11-23T05:00:00Z");
    office.end().await;
}

#[tokio::test]
async fn in_a_zone_of_half_hours_no_hour_counts_for_two_days() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    office.sql("UPDATE tenant_settings SET time_zone = 'Asia/Kolkata'").await;
    budget(&office, acme.tenant, "10.00").await;
    // Midnight in India is 18:30 UTC: the hour of 18:00 belongs to the day that it begins in.
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(250), "gpt-4o", "6.00")]).await;
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(310), "gpt-4o", "6.00")]).await;
    office.set_clock(monday() + TimeDelta::minutes(320));
    office.run("budgets.v1").await;
    office.quiet().await;
    let told = events(&outside.posts("/hook"), "budget.reached");
    let spent: Vec<_> = told.iter().map(|event| event["data"]["spent"].clone()).collect();
    assert_eq!(spent, ["6", "6"], "{told:?}");
    office.end().await;
}

fn events(posts: &[Post], kind: &str) -> Vec<Value> {
    let bodies = posts.iter().map(|post| serde_json::from_str::<Value>(&post.body).unwrap());
    bodies.filter(|body| body["type"] == kind).collect()
}

#[tokio::test]
async fn a_budget_says_each_threshold_once_a_period() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    budget(&office, acme.tenant, "10.00").await;
    acme.spend(&office, &[acme.call(monday() - TimeDelta::hours(1), "gpt-4o", "4.99")]).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0);
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(5), "gpt-4o", "3.02")]).await;
    for _ in 0..3 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    // Half and four fifths are reached at once: the higher one is told.
    assert_eq!(outside.letters().len(), 1);
    assert!(outside.letters()[0].contains("80%") && outside.letters()[0].contains("$8.01"));
    let told = events(&outside.posts("/hook"), "budget.reached");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["data"]["spent"], &told[0]["data"]["threshold_percent"]),
        (&json!("8.01"), &json!(80))
    );

    // The next day in New York begins anew.
    office.set_clock(monday() + TimeDelta::hours(16));
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(930), "gpt-4o", "10.00")]).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 2);
    assert!(outside.letters()[1].contains("100%"), "{}", outside.letters()[1]);
    office.end().await;
}

#[tokio::test]
async fn an_hour_that_its_past_does_not_explain_is_told_once_with_what_made_it() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let mut calls = Vec::new();
    for day in 1..=14 {
        for hour in -3..=3 {
            let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
            calls.push(acme.call(at, "gpt-4o-mini", if day % 2 == 0 { "1.00" } else { "1.20" }));
        }
    }
    calls.push(acme.call(monday() - TimeDelta::minutes(50), "gpt-4o-mini", "1.10"));
    acme.spend(&office, &calls).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0, "an hour like any other");
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(40), "o3", "60.00")]).await;
    for _ in 0..2 {
        office.run("anomalies.v1").await;
    }
    office.quiet().await;
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("$61.10") && letters[0].contains("o3"), "{}", letters[0]);
    assert_eq!(events(&outside.posts("/hook"), "anomaly.found").len(), 1);
    // The hour after, the earlier one is looked at again and not told again.
    office.set_clock(monday() + TimeDelta::minutes(80));
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(5), "o3", "60.00")]).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    // What lasts is written down, and is no news within a day.
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.list_anomalies(None, 10).await.unwrap().len(), 2);
    drop(tx);
    assert_eq!(outside.letters().len(), 1);
    office.end().await;
}

/// Calls of no known price.
fn unpriced(call: RequestFact) -> RequestFact {
    RequestFact { cost_basis: CostBasis::Unpriced, cost: None, ..call }
}

#[tokio::test]
async fn hours_without_any_price_are_no_part_of_a_past_and_an_outage_is_made_up_for() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let mut calls = Vec::new();
    for day in 1..=14 {
        for hour in -4..=3 {
            let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
            // In most hours of the past nobody knows what was spent; counted as nothing they would be its median.
            let call = acme.call(at, "gpt-4o-mini", "40.00");
            calls.push(if day % 3 == 0 || hour == 0 { call } else { unpriced(call) });
        }
    }
    calls.push(acme.call(monday() - TimeDelta::minutes(50), "gpt-4o-mini", "41.00"));
    acme.spend(&office, &calls).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.list_anomalies(None, 10).await.unwrap(), [], "an hour like those whose price is known");
    drop(tx);

    // Nobody looks for thirty hours and then for five days; each time dear hours lie in between.
    for (away, dear, told) in [(30, 20, 0), (120, 47, 0), (121, 1, 1)] {
        let now = monday() + TimeDelta::hours(away) + TimeDelta::minutes(20);
        office.set_clock(now);
        let hour = now - TimeDelta::minutes(20) - TimeDelta::hours(dear);
        acme.spend(&office, &[acme.call(hour + TimeDelta::minutes(5), "o3", "900.00")]).await;
        let letters = outside.letters().len();
        for _ in 0..2 {
            office.run("anomalies.v1").await;
        }
        office.quiet().await;
        let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
        let found = tx.list_anomalies(None, 50).await.unwrap();
        assert_eq!(found.iter().filter(|anomaly| anomaly.hour == hour).count(), 1, "{away}: {found:?}");
        // What happened half a day ago or longer is written down and wakes nobody.
        assert_eq!(outside.letters().len() - letters, told, "{away}");
    }
    office.end().await;
}

#[tokio::test]
async fn an_hour_that_cannot_be_judged_waits_by_itself_and_holds_nobody_up() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let (acme, other) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Other").await);
    for account in [&acme, &other] {
        let past = (1..=14).flat_map(|day| (-3..=9).map(move |hour| (day, hour)));
        let mut calls: Vec<_> = past
            .map(|(day, hour)| {
                let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
                account.call(at, "gpt-4o-mini", if day % 2 == 0 { "1.00" } else { "1.20" })
            })
            .collect();
        calls.push(account.call(monday() - TimeDelta::minutes(40), "o3", "60.00"));
        account.spend(&office, &calls).await;
    }
    office
        .sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN IF NEW.tenant_id = ''{}'' THEN RAISE EXCEPTION ''held''; END IF; RETURN NEW; END'; \
             CREATE TRIGGER held BEFORE INSERT ON anomaly FOR EACH ROW EXECUTE FUNCTION refuse()",
            acme.tenant.uuid()
        ))
        .await;
    let found = async |account: &Account| {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        tx.list_anomalies(None, 10).await.unwrap().into_iter().map(|anomaly| anomaly.hour).collect::<Vec<_>>()
    };
    let fails = async || {
        let id = office.enqueue("anomalies.v1").await;
        office.until("anomalies.v1", |jobs| jobs.iter().any(|job| job.id == id && job.error.is_some())).await;
        office
            .sql("UPDATE queue.job SET status = 'cancelled', done_at = now() WHERE queue = 'anomalies.v1'")
            .await;
    };
    fails().await;
    let hour = monday() - TimeDelta::hours(1);
    assert_eq!((found(&acme).await, found(&other).await), (vec![], vec![hour]));
    // Others' hours go on, the newest first, and what is judged is looked at no more.
    office.set_clock(monday() + TimeDelta::hours(6) + TimeDelta::minutes(20));
    other.spend(&office, &[other.call(monday() + TimeDelta::minutes(330), "o3", "60.00")]).await;
    fails().await;
    assert_eq!(found(&other).await.len(), 2);
    let mut system = office.parts.store.system().await.unwrap();
    assert_eq!(system.watched_upto("anomalies").await.unwrap(), Some(monday() + TimeDelta::hours(5)));
    assert_eq!(system.unjudged_hours(None, 10).await.unwrap(), [(hour, acme.tenant)]);
    drop(system);
    // Far behind the mark it is found, as soon as it can be.
    office.sql("DROP TRIGGER held ON anomaly").await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    assert_eq!(found(&acme).await, [hour]);
    assert_eq!(outside.letters().len(), 2, "each has heard of it once: {:?}", outside.letters());
    office.close().await;
}

#[tokio::test]
async fn another_time_zone_tells_no_threshold_again_and_a_digest_says_what_has_no_price() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() - TimeDelta::minutes(30)).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    budget(&office, acme.tenant, "10.00").await;
    let before = office.parts.clock.now();
    acme.spend(&office, &[acme.call(before - TimeDelta::minutes(5), "gpt-4o", "8.00")]).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    let told = outside.letters().len();
    assert_eq!(told, 1);
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let zone = Zone::parse("America/Los_Angeles").unwrap();
    let settings = tx.settings().await.unwrap().unwrap();
    tx.put_settings(&TenantSettings { zone, ..settings }).await.unwrap();
    tx.commit().await.unwrap();
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), told, "the same day by another zone is another day");

    // Half of what last Sunday cost is not known; the digest does not call that nothing.
    let sunday = monday() - TimeDelta::hours(20);
    let half = [acme.call(sunday, "gpt-4o", "3.00"), unpriced(acme.call(sunday, "o9", "0"))];
    acme.spend(&office, &half).await;
    office.set_clock(monday() + TimeDelta::hours(4));
    office.run("digest.v1").await;
    office.quiet().await;
    let letters = outside.letters();
    let digest = letters.last().unwrap();
    assert!(digest.contains("$3.00 and 1 request without a known price"), "{digest}");
    office.end().await;
}

pub(crate) async fn tell(office: &Office, acme: &Account) -> costlens_domain::EventId {
    let now = office.parts.clock.now();
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let payload = json!({ "name": "ci" });
    let id = happened(&mut tx, EventKind::KeyCreated, payload, now, &*office.parts.entropy).await.unwrap();
    tx.commit().await.unwrap();
    id
}

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

/// A budget of a month that says a word at all of it.
async fn monthly(office: &Office, tenant: TenantId, amount: &str) {
    let now = office.parts.clock.now();
    let budget = Budget {
        id: BudgetId::new(now, unlike_bytes()),
        name: "The month".to_owned(),
        rule: BudgetRule {
            scope: BudgetScope::default(),
            period: Period::Month,
            amount: amount.parse().unwrap(),
            thresholds: vec![100],
        },
        created_at: now,
        ended_at: None,
    };
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    tx.create_budget(&budget).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_month_that_is_expected_to_cross_its_budget_is_told_of_once_with_the_day() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = Account::open(&office, &outside, "Other").await;
    monthly(&office, acme.tenant, "129.00").await;
    // Nobody expects it to be crossed.
    monthly(&office, other.tenant, "1300.00").await;
    for account in [&acme, &other] {
        // Five dollars a day, from the second of November on.
        let calls: Vec<RequestFact> =
            (1..=21_i64).map(|day| account.call(monday() - TimeDelta::days(day), "gpt-4o", "5.00")).collect();
        account.spend(&office, &calls).await;
    }
    for _ in 0..3 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let told = events(&outside.posts("/hook"), "budget.forecast");
    assert_eq!(told.len(), 1, "{told:?}");
    // $105 in 21 days; the fifth day from the twenty-third on makes $130, more than there is.
    let data = &told[0]["data"];
    assert_eq!((&data["expected_on"], &data["spent"]), (&json!("2026-11-27"), &json!("105")), "{data}");
    assert_eq!(events(&outside.posts("/hook"), "budget.reached").len(), 0);

    // Once it is crossed that is told, and nothing is expected of the month any more.
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(5), "gpt-4o", "40.00")]).await;
    for _ in 0..2 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    assert_eq!(events(&outside.posts("/hook"), "budget.reached").len(), 1);
    assert_eq!(events(&outside.posts("/hook"), "budget.forecast").len(), 1);
    office.end().await;
}
