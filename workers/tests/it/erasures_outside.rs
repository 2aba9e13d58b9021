//! What an erased account had at a service outside: taken away there whatever dies meanwhile, never a reason to keep
//! what is here, and never certified while it is not known to be gone.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ErasureId;
use costlens_domain::outer::OuterFact;
use costlens_queue::NewJob;
use costlens_queue::ops::State;
use costlens_queue::testing::{Side, WireTap};
use costlens_store::{ERASED_TABLES, ErasureState};
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::account::{Account, ISSUER};
use super::children::{ToldClock, Worker};
use super::erasures::{request, rows, state, svix_name};
use super::notifications::tell;
use super::outside::{CLERK_ORGANIZATIONS, Outside, clerk, svix};
use super::{Office, PATIENCE};

fn start() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// An account that Svix knows, and whose end was asked for.
async fn leaver(office: &Office, outside: &Outside) -> (Account, ErasureId) {
    let acme = Account::open(office, outside, "Acme").await;
    tell(office, &acme).await;
    office.quiet().await;
    assert_eq!(outside.svix_has(), [acme.tenant.to_string()]);
    assert_eq!(rows(office, "held_outside", &acme).await, 1);
    let asked = request(office, &acme).await;
    (acme, asked.id)
}

/// The steps of an erasure write down what they did in this order.
const WRITES_EVIDENCE: fn(&str) -> bool =
    |sql| sql.starts_with("UPDATE erasure SET evidence") || sql.starts_with("SELECT erase_data_keys");

#[derive(Clone, Copy, Debug)]
enum Killed {
    /// At the n-th note of what a step did: that of the keys is the first, that of the service outside the second.
    At(u64, Side),
    /// While Svix, which has done it, does not answer.
    WhileItThinks,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn svix_deletes_an_application_once_though_the_worker_is_killed_around_it() {
    // How often Svix is asked: once more where the answer was not written down.
    let rounds = [
        (Killed::At(1, Side::After), 1),
        (Killed::At(2, Side::Before), 2),
        (Killed::At(2, Side::After), 1),
        (Killed::WhileItThinks, 2),
    ];
    for (killed, calls) in rounds {
        let outside = Outside::open().await;
        let mut office = Office::open_with_svix(&outside, start()).await;
        let (acme, id) = leaver(&office, &outside).await;
        office.stop_work().await;
        office.wake_schedules().await;
        let now = start() + TimeDelta::days(8);
        office.set_clock(now);
        office.ask(NewJob::raw("erasure-sweep.v1", json!({}))).await;
        let url = office.db.runtime_url();
        let tap = WireTap::start(url).await.unwrap();
        let mut worker = Worker::start(&office, &outside, &tap.url(url), ToldClock::Stands(now));
        let pid = worker.pid();
        let begun = Instant::now();
        match killed {
            Killed::At(n, side) => {
                tap.start_counting(WRITES_EVIDENCE);
                tap.kill_at(n, side, move || {
                    let _gone = kill_process(pid, Signal::KILL);
                });
            }
            Killed::WhileItThinks => {
                outside.silence_svix(true);
                while outside.svix_deleted().is_empty() {
                    assert!(begun.elapsed() < PATIENCE, "{killed:?}: Svix was never asked");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                worker.send(Signal::KILL);
                outside.silence_svix(false);
            }
        }
        while !worker.has_ended() {
            assert!(begun.elapsed() < PATIENCE, "{killed:?}: {:#?}", office.unfinished().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let worker = Worker::start(&office, &outside, url, ToldClock::Stands(now));
        while state(&office, id).await.state != ErasureState::Certified {
            assert!(begun.elapsed() < PATIENCE, "{killed:?}: {:#?}", office.unfinished().await);
            office.wake_all().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(worker);
        assert_eq!(outside.svix_deleted(), [acme.tenant.to_string()], "{killed:?}");
        assert_eq!(outside.svix_calls("DELETE /api/v1/app").len(), calls, "{killed:?}");
        let certificate = state(&office, id).await.certificate.unwrap();
        assert!(certificate["steps"]["outside"][svix_name(&outside)].is_string(), "{certificate}");
    }
}

#[tokio::test]
async fn a_service_outside_that_is_away_keeps_nothing_here_and_no_certificate_says_it_is_gone() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, start()).await;
    let (acme, id) = leaver(&office, &outside).await;
    acme.upload(&office, "october.csv", "bill 2026-10 3").await;
    outside.answer("/api/v1/app", 503);
    for days in [8, 14, 20, 25] {
        office.set_clock(start() + TimeDelta::days(days));
        office.run("erasure-sweep.v1").await;
        office.settled("erasure.v1").await;
        let erasure = state(&office, id).await;
        assert_eq!(erasure.state, ErasureState::Erasing, "{erasure:?}");
        assert_eq!(erasure.alarmed_day, Some(u32::try_from(days).unwrap()).filter(|day| *day > 8));
    }
    for table in ERASED_TABLES.concat() {
        let left = i64::from(table == "held_outside");
        assert_eq!(rows(&office, table, &acme).await, left, "{table} waited for Svix");
    }
    assert_eq!(office.parts.objects.count_prefix(acme.tenant).await.unwrap(), 0);
    let waits = office.jobs("erasure.v1").await;
    let waits: Vec<_> = waits.iter().filter(|job| job.state == State::Retrying).collect();
    assert!(!waits.is_empty());
    for job in waits {
        assert_eq!(job.code.as_deref(), Some("outside_left"));
        assert!(job.error.as_ref().unwrap().contains("svix http://127.0.0.1"), "{job:?}");
    }
    // The last word was said once, and says how it is.
    let letters = outside.letters();
    let last: Vec<_> = letters.iter().filter(|letter| letter.contains(&id.to_string())).collect();
    assert_eq!(last.len(), 1, "{letters:?}");
    assert!(last[0].contains("has not confirmed yet"), "{}", last[0]);

    outside.answer("/api/v1/app", 204);
    office.wake("erasure.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    assert!(done.certificate.unwrap()["steps"]["outside"][svix_name(&outside)].is_string());
    office.wake_all().await;
    office.end().await;
}

#[tokio::test]
async fn a_service_that_is_configured_no_more_is_remembered_and_nothing_is_certified_without_it() {
    let (outside, elsewhere) = (Outside::open().await, Outside::open().await);
    let mut office = Office::open_with_svix(&outside, start()).await;
    let (acme, id) = leaver(&office, &outside).await;
    let configured = office.parts.svix.clone();
    office.set_clock(start() + TimeDelta::days(8));
    // Without a Svix, and with another one than it was.
    for wrong in [None, Some(svix(elsewhere.http_port))] {
        office.stop_work().await;
        office.parts.svix = wrong;
        office.work().await;
        office.run("erasure-sweep.v1").await;
        office.settled("erasure.v1").await;
        office.wake("erasure.v1").await;
        office.settled("erasure.v1").await;
        let erasure = state(&office, id).await;
        assert_eq!(
            erasure.state,
            ErasureState::Erasing,
            "it was certified, and Svix has {:?}",
            outside.svix_has()
        );
        let jobs = office.jobs("erasure.v1").await;
        let told = jobs.iter().filter_map(|job| job.error.as_deref()).any(|error| {
            error.contains(&format!("http://127.0.0.1:{}", outside.http_port))
                && error.contains("not configured")
        });
        assert!(told, "{jobs:?}");
    }
    assert_eq!(outside.svix_has(), [acme.tenant.to_string()]);
    assert_eq!(
        elsewhere.svix_calls("DELETE /api/v1/app").len(),
        1,
        "whatever may be there goes, too, and once"
    );

    office.stop_work().await;
    office.parts.svix = configured;
    office.work().await;
    office.wake("erasure.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    assert_eq!(outside.svix_deleted(), [acme.tenant.to_string()]);
    let gone = done.certificate.unwrap()["steps"]["outside"].clone();
    assert!(gone[svix_name(&outside)].is_string() && gone[svix_name(&elsewhere)].is_string(), "{gone}");
    office.wake_all().await;
    office.end().await;
}

/// Workers whose people Clerk keeps, and an account that is an organisation there: with a person of its own, one that
/// belongs to another account, too, and one that left. Clerk told of all of them.
async fn kept_by_clerk(outside: &Outside) -> (Office, Account) {
    let mut office = Office::open_with_svix(outside, start()).await;
    let acme = Account::open(&office, outside, "Acme").await;
    let other = Account::open(&office, outside, "Other").await;
    office.quiet().await;
    office.stop_work().await;
    office.parts.clerk = Some(clerk(&office, outside.http_port));
    office.work().await;
    let (acme_id, other_id) = (acme.tenant.uuid(), other.tenant.uuid());
    let told = format!(
        r#"INSERT INTO outer_organization VALUES
             ('{acme_id}', '{ISSUER}', 'org_acme', now()), ('{other_id}', '{ISSUER}', 'org_other', now());
           INSERT INTO user_account (id, name, email, wrapped_key, created_at)
             SELECT gen_random_uuid(), name, name || '@people.example', '\x01', now()
             FROM unnest(ARRAY['own', 'shared', 'left']) AS name;
           INSERT INTO user_identity SELECT '{ISSUER}', 'user_' || name, id, now() FROM user_account;
           INSERT INTO member SELECT '{acme_id}', id, 'member', now() FROM user_account WHERE name <> 'left';
           INSERT INTO member SELECT '{other_id}', id, 'member', now() FROM user_account WHERE name = 'shared';
           INSERT INTO outer_object (issuer, kind, id, version, gone, organization, person, role, seen_at) VALUES
             ('{ISSUER}', 'organization', 'org_acme', 1, false, NULL, NULL, NULL, now()),
             ('{ISSUER}', 'organization', 'org_other', 1, false, NULL, NULL, NULL, now()),
             ('{ISSUER}', 'user', 'user_own', 1, false, NULL, NULL, NULL, now()),
             ('{ISSUER}', 'user', 'user_shared', 1, false, NULL, NULL, NULL, now()),
             ('{ISSUER}', 'user', 'user_left', 1, false, NULL, NULL, NULL, now()),
             ('{ISSUER}', 'membership', 'orgmem_1', 1, false, 'org_acme', 'user_own', 'member', now()),
             ('{ISSUER}', 'membership', 'orgmem_2', 1, false, 'org_acme', 'user_shared', 'member', now()),
             ('{ISSUER}', 'membership', 'orgmem_3', 1, false, 'org_other', 'user_shared', 'member', now()),
             ('{ISSUER}', 'membership', 'orgmem_4', 1, true, 'org_acme', 'user_left', NULL, now());
           INSERT INTO inbox_event (source, message_id, kind, payload, state, received_at) VALUES
             ('clerk', 'msg_1', 'a test', '{{"id": "orgmem_1", "organization": "org_acme", "person": "user_own"}}', 'done', now()),
             ('clerk', 'msg_2', 'a test', '{{"id": "orgmem_3", "organization": "org_other", "person": "user_shared"}}', 'done', now()),
             ('clerk', 'msg_3', 'a test', '{{"id": "user_own"}}', 'done', now()),
             ('clerk', 'msg_4', 'a test', '{{"id": "user_shared"}}', 'done', now()),
             ('clerk', 'msg_5', 'a test', 'null', 'ignored', now());"#
    );
    office.sql(&told).await;
    (office, acme)
}

#[derive(diesel::QueryableByName)]
struct Names {
    #[diesel(sql_type = Text)]
    names: String,
}

async fn names(office: &Office, column: &str, table: &str) -> String {
    let sql =
        format!("SELECT string_agg({column}, ' ' ORDER BY {column} COLLATE \"C\") AS names FROM {table}");
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let found: Names = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    found.names
}

/// What evidence calls the Clerk of a world outside.
fn clerk_name() -> String {
    format!("clerk {ISSUER}")
}

#[tokio::test]
async fn an_organisation_at_clerk_goes_with_its_account_and_nothing_is_certified_before_it() {
    let outside = Outside::open().await;
    let (mut office, acme) = kept_by_clerk(&outside).await;
    outside.put_into_clerk("org_acme");
    outside.put_into_clerk("org_other");
    let id = request(&office, &acme).await.id;
    outside.answer(CLERK_ORGANIZATIONS, 503);
    office.set_clock(start() + TimeDelta::days(8));
    office.run("erasure-sweep.v1").await;
    office.settled("erasure.v1").await;
    assert_eq!(state(&office, id).await.state, ErasureState::Erasing, "Clerk has {:?}", outside.clerk_has());
    assert_eq!(rows(&office, "outer_organization", &acme).await, 1, "nobody knows any more what Clerk has");
    assert_eq!(rows(&office, "member", &acme).await, 0, "what is here waited for Clerk");
    // Nor by a process that has no Clerk.
    office.stop_work().await;
    let configured = office.parts.clerk.take();
    office.work().await;
    office.wake("erasure.v1").await;
    office.settled("erasure.v1").await;
    assert_eq!(state(&office, id).await.state, ErasureState::Erasing);
    let jobs = office.jobs("erasure.v1").await;
    let is_told = |error: &str| error.contains(&clerk_name()) && error.contains("not configured");
    assert!(jobs.iter().filter_map(|job| job.error.as_deref()).any(is_told), "{jobs:?}");

    office.stop_work().await;
    office.parts.clerk = configured;
    office.work().await;
    outside.answer(CLERK_ORGANIZATIONS, 200);
    office.wake("erasure.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    assert_eq!(outside.clerk_has(), ["org_other"]);
    assert_eq!(outside.clerk_calls(), ["DELETE /v1/organizations/org_acme"]);
    let certificate = done.certificate.unwrap();
    let steps = &certificate["steps"];
    assert!(steps["outside"][clerk_name()].is_string(), "{certificate}");
    assert!(!certificate.to_string().contains("org_acme"), "{certificate}");
    // Of what Clerk told, that of others is left.
    assert_eq!(names(&office, "id", "outer_object").await, "org_other orgmem_3 user_shared");
    assert_eq!(names(&office, "message_id", "inbox_event").await, "msg_2 msg_4 msg_5");
    assert_eq!((steps["rows:outer_object"].as_u64(), steps["rows:inbox_event"].as_u64()), (Some(6), Some(2)));
    // Nor are people left who were of this account alone, whether they were its members at the end or not.
    assert_eq!(names(&office, "name", "user_account").await, "shared");
    assert_eq!(steps["rows:user_account"].as_u64(), Some(2));
    office.wake_all().await;
    office.end().await;
}

#[tokio::test]
async fn nobody_is_left_behind_where_clerk_tells_of_an_organisations_end_before_its_members_are_erased() {
    let outside = Outside::open().await;
    let (office, acme) = kept_by_clerk(&outside).await;
    outside.put_into_clerk("org_acme");
    let id = request(&office, &acme).await.id;
    let at = start() + TimeDelta::days(8);
    let mut tx = office.parts.store.system().await.unwrap().begin().await.unwrap();
    let system = tx.system().unwrap();
    let hash = costlens_vault::TokenHash::of(&acme.tenant.to_string()).0;
    assert!(system.begin_erasure(id, &hash, at).await.unwrap());
    let gone = OuterFact::Organization { id: "org_acme".to_owned(), version: 2, name: None, gone: true };
    system.learn(ISSUER, &gone, at).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows(&office, "member", &acme).await, 2);
    office.set_clock(at);
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    assert_eq!(names(&office, "name", "user_account").await, "shared");
    office.wake_all().await;
    office.end().await;
}

#[tokio::test]
async fn an_organisation_that_clerk_does_not_have_any_more_keeps_no_account_open() {
    let outside = Outside::open().await;
    let (office, acme) = kept_by_clerk(&outside).await;
    let id = request(&office, &acme).await.id;
    office.set_clock(start() + TimeDelta::days(8));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    assert_eq!(outside.clerk_calls(), ["DELETE /v1/organizations/org_acme"]);
    assert!(done.certificate.unwrap()["steps"]["outside"][clerk_name()].is_string());
    office.end().await;
}
