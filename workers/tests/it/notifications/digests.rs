//! Digests, and what becomes of letters.

use chrono::TimeDelta;
use costlens_domain::calendar::Zone;
use costlens_queue::ops::State;
use costlens_store::{MessageState, TenantSettings};

use super::{budget, messages, monday, state_of, unpriced};
use crate::Office;
use crate::account::Account;
use crate::outside::{MailFault, Outside};

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
