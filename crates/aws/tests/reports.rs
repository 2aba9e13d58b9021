//! Customers' roles and reports against a strict AWS of the test's own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use costlens_aws::testing::aws::{ASSUMER, ExternalIds, Failure, FakeAws, assumer};
use costlens_aws::{ReportError, Reports};
use costlens_domain::aws::{AwsAccountId, ExternalId, Refusal, ReportPlace, RoleArn, permissions};
use costlens_domain::ports::{Clock, Entropy};

#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (to, from) in bytes.iter_mut().zip(n.iter().cycle()) {
            *to = *from;
        }
    }
}

fn place() -> ReportPlace {
    let account: AwsAccountId = "111122223333".parse().unwrap();
    ReportPlace {
        role: RoleArn::of_template(&account),
        account,
        external_id: ExternalId::new([7; 20]),
        bucket: "acme-billing".parse().unwrap(),
        prefix: "exports".parse().unwrap(),
        report: "costlens".parse().unwrap(),
    }
}

/// An account with a role as the template makes it, and seven files, in an AWS of this clock.
fn account(clock: &Arc<Moved>) -> FakeAws {
    let fake = FakeAws::start_by(Arc::clone(clock) as Arc<dyn Clock>);
    let place = place();
    let mut state = fake.state();
    let policy = permissions(&place, None);
    state.put_role(place.role.as_str(), ASSUMER, Some(place.external_id.as_str()), policy);
    state.put_bucket("acme-billing", "111122223333", "eu-west-1");
    for n in 0..7 {
        state.put("acme-billing", &format!("exports/costlens/data/{n}"), vec![n; 40]);
    }
    state.put("acme-billing", "secrets/payroll.csv", "1,2");
    drop(state);
    fake
}

async fn reports(fake: &FakeAws, place: ReportPlace, clock: &Arc<Moved>) -> Reports {
    let assumer = assumer(fake, Arc::clone(clock) as Arc<dyn Clock>, Arc::new(Counted::default())).await;
    assumer.open(place, None, "costlens-test")
}

fn clock() -> Arc<Moved> {
    Arc::new(Moved(Mutex::new("2026-11-20T20:00:00Z".parse().unwrap())))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ReportError>, as_: Refusal) {
    match answer {
        Err(ReportError::Refused { refusal, .. }) if refusal == as_ => {}
        other => panic!("{other:?} instead of {as_:?}"),
    }
}

#[tokio::test]
async fn a_role_of_the_template_lets_us_read_its_reports() {
    let clock = clock();
    let fake = account(&clock);
    let reports = reports(&fake, place(), &clock).await;
    reports.verify().await.unwrap();
    assert_eq!(reports.find().await.unwrap().as_str(), "eu-west-1");
    let listed = reports.list("exports/costlens/data/").await.unwrap();
    assert_eq!(listed.len(), 7, "all pages");
    assert_eq!(reports.head("exports/costlens/data/3").await.unwrap().as_ref(), listed.get(3));
    assert_eq!(reports.head("exports/costlens/none").await.unwrap(), None);
    let (part, bytes) = reports.get("exports/costlens/data/3", 100).await.unwrap();
    assert_eq!((part.bytes, bytes), (40, vec![3; 40]));
    refused(reports.get("exports/costlens/data/3", 39).await, Refusal::TooLarge);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy");
    let came = AtomicU64::new(0);
    let hear = |bytes| {
        came.fetch_add(bytes, Ordering::Relaxed);
    };
    reports.download(&part, &path, &hear).await.unwrap();
    assert_eq!((std::fs::read(&path).unwrap(), came.into_inner()), (vec![3; 40], 40));
    // One session for all of it, besides the two that must not be let in.
    let assumed = fake.calls().into_iter().filter(|call| call.action == "sts:AssumeRole");
    assert_eq!(assumed.map(|call| call.status).collect::<Vec<_>>(), [200, 403, 403]);
    assert_eq!(fake.longest_seconds(), 3_600);
}

#[tokio::test]
async fn a_role_that_lets_in_whoever_comes_is_refused_by_name() {
    let clock = clock();
    let fake = account(&clock);
    let place = place();
    let policy = permissions(&place, None);
    fake.state().put_role(place.role.as_str(), ASSUMER, None, policy);
    let reports = reports(&fake, place, &clock).await;
    refused(reports.verify().await, Refusal::RoleWithoutExternalId);
}

#[tokio::test]
async fn a_role_that_takes_any_external_id_is_refused_by_name() {
    let clock = clock();
    let fake = account(&clock);
    fake.state().take_external_ids(place().role.as_str(), ExternalIds::Any);
    let reports = reports(&fake, place(), &clock).await;
    refused(reports.verify().await, Refusal::RoleWithoutExternalId);
    // It is closed to whoever names none: the wrong one found it out.
    let assumed: Vec<u16> = fake.calls().into_iter().map(|call| call.status).collect();
    assert_eq!(assumed, [200, 403, 200]);
}

#[tokio::test]
async fn what_cannot_be_proven_is_not_taken_for_proven() {
    let clock = clock();
    let fake = account(&clock);
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    // The probes get no answer.
    fake.fail("sts:AssumeRole", "", Failure::Status(500), 100);
    assert!(matches!(reports.verify().await, Err(ReportError::Away(_))));
}

#[tokio::test]
async fn a_role_that_is_not_there_or_wants_another_external_id_is_told_as_one() {
    let clock = clock();
    let fake = account(&clock);
    let other = ReportPlace { external_id: ExternalId::new([8; 20]), ..place() };
    refused(reports(&fake, other, &clock).await.verify().await, Refusal::RoleNotAssumable);
    fake.state().delete_role(place().role.as_str());
    refused(reports(&fake, place(), &clock).await.verify().await, Refusal::RoleNotAssumable);
}

#[tokio::test]
async fn a_session_reads_nothing_but_the_prefix_whatever_the_role_may() {
    let clock = clock();
    let fake = account(&clock);
    let all = serde_json::json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let place = place();
    fake.state().put_role(place.role.as_str(), ASSUMER, Some(place.external_id.as_str()), all);
    let reports = reports(&fake, place, &clock).await;
    reports.find().await.unwrap();
    refused(reports.get("secrets/payroll.csv", 100).await, Refusal::AccessDenied);
    refused(reports.list("secrets/").await, Refusal::AccessDenied);
}

#[tokio::test]
async fn a_deleted_role_ends_the_session_at_the_next_call() {
    let clock = clock();
    let fake = account(&clock);
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    fake.state().delete_role(place().role.as_str());
    drop(fake.calls());
    refused(reports.get("exports/costlens/data/3", 100).await, Refusal::RoleNotAssumable);
    // The session that was denied is gone: the next call begins with the role.
    refused(reports.get("exports/costlens/data/3", 100).await, Refusal::RoleNotAssumable);
    let calls: Vec<String> = fake.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(calls, ["s3:GetObject", "sts:AssumeRole", "sts:AssumeRole"]);
}

#[tokio::test]
async fn a_session_is_renewed_five_minutes_before_its_end_and_once_for_all() {
    let clock = clock();
    let fake = account(&clock);
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    drop(fake.calls());
    *clock.0.lock().unwrap() = "2026-11-20T20:54:00Z".parse().unwrap();
    reports.head("exports/costlens/data/1").await.unwrap();
    assert_eq!(fake.calls().len(), 1, "the session is good for a minute more");
    *clock.0.lock().unwrap() = "2026-11-20T20:56:00Z".parse().unwrap();
    let all = ["exports/costlens/data/1", "exports/costlens/data/2"].map(|key| reports.head(key));
    for answer in futures_util::future::join_all(all).await {
        answer.unwrap().unwrap();
    }
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|call| call.action == "sts:AssumeRole").count(), 1);
    assert!(calls.iter().all(|call| call.status == 200), "{calls:?}");
}

/// Actions and how they were answered.
fn answers(fake: &FakeAws) -> Vec<(String, u16)> {
    fake.calls().into_iter().map(|call| (call.action, call.status)).collect()
}

fn answer(action: &str, status: u16) -> (String, u16) {
    (action.to_owned(), status)
}

#[tokio::test]
async fn a_session_that_is_over_before_we_know_is_renewed() {
    // Our clock stands still while AWS' goes on.
    let (clock, theirs) = (clock(), clock());
    let fake = account(&theirs);
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    drop(fake.calls());
    *theirs.0.lock().unwrap() = "2026-11-20T20:59:59Z".parse().unwrap();
    reports.get("exports/costlens/data/3", 100).await.unwrap();
    assert_eq!(answers(&fake), [answer("s3:GetObject", 200)]);
    *theirs.0.lock().unwrap() = "2026-11-20T21:00:00Z".parse().unwrap();
    reports.get("exports/costlens/data/3", 100).await.unwrap();
    let renewed = [answer("s3:GetObject", 400), answer("sts:AssumeRole", 200), answer("s3:GetObject", 200)];
    assert_eq!(answers(&fake), renewed);
}

#[tokio::test]
async fn credentials_that_expire_in_mid_download_are_renewed_and_the_copy_is_whole() {
    const KEY: &str = "exports/costlens/data/large";
    let clock = clock();
    let fake = account(&clock);
    // Two pieces.
    let mut bytes: Vec<u8> = vec![1; 16 * 1024 * 1024];
    bytes.extend([2; 1024]);
    fake.state().put("acme-billing", KEY, bytes.clone());
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    let part = reports.head(KEY).await.unwrap().unwrap();
    drop(fake.calls());
    fake.before("s3:GetObject", KEY, |_| ());
    fake.before("s3:GetObject", KEY, |state| state.end_sessions(place().role.as_str()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy");
    reports.download(&part, &path, &|_| ()).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes, "the copy is another file");
    let expected = [
        answer("s3:GetObject", 206),
        answer("s3:GetObject", 400),
        answer("sts:AssumeRole", 200),
        answer("s3:GetObject", 206),
    ];
    assert_eq!(answers(&fake), expected);
}

#[tokio::test]
async fn where_the_bucket_is_and_whose_is_told_by_name() {
    let clock = clock();
    let fake = account(&clock);
    let elsewhere = ReportPlace { bucket: "no-such-bucket".parse().unwrap(), ..place() };
    let policy = permissions(&elsewhere, None);
    let id = place().external_id;
    fake.state().put_role(place().role.as_str(), ASSUMER, Some(id.as_str()), policy);
    refused(reports(&fake, elsewhere, &clock).await.find().await, Refusal::BucketNotFound);

    // Somebody took the bucket's name over, and lets everybody in.
    let fake = account(&clock);
    fake.state().put_bucket("acme-billing", "666655554444", "eu-west-1");
    fake.state().put("acme-billing", "shared-with-everybody", "");
    fake.state().put("acme-billing", "exports/costlens/x", "forged");
    let stranger = reports(&fake, place(), &clock).await;
    refused(stranger.find().await, Refusal::BucketNotYours);
    refused(stranger.get("exports/costlens/x", 100).await, Refusal::AccessDenied);

    let fake = account(&clock);
    let assumer = assumer(&fake, clock as Arc<dyn Clock>, Arc::new(Counted::default())).await;
    let stated = assumer.open(place(), Some("us-west-2".parse().unwrap()), "costlens-test");
    refused(stated.find().await, Refusal::WrongRegion);
}

#[tokio::test]
async fn a_file_that_moves_while_it_is_read_is_found_out() {
    let clock = clock();
    let fake = account(&clock);
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    let part = reports.head("exports/costlens/data/3").await.unwrap().unwrap();
    fake.state().put("acme-billing", "exports/costlens/data/3", vec![9; 40]);
    let dir = tempfile::tempdir().unwrap();
    let moved = reports.download(&part, &dir.path().join("one"), &|_| ()).await;
    assert!(matches!(moved, Err(ReportError::Moved { .. })), "{moved:?}");
    fake.state().remove("acme-billing", "exports/costlens/data/3");
    let gone = reports.download(&part, &dir.path().join("other"), &|_| ()).await;
    assert!(matches!(gone, Err(ReportError::Missing { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_bucket_that_is_busy_and_a_line_that_breaks_cost_no_byte_of_the_copy() {
    const KEY: &str = "exports/costlens/data/large";
    let clock = clock();
    let fake = account(&clock);
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(9_000).collect();
    fake.state().put("acme-billing", KEY, bytes.clone());
    let reports = reports(&fake, place(), &clock).await;
    reports.find().await.unwrap();
    let part = reports.head(KEY).await.unwrap().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (name, failure) in [("busy", Failure::Status(503)), ("cut", Failure::CutInHalf)] {
        fake.fail("s3:GetObject", KEY, failure, 2);
        let came = AtomicU64::new(0);
        let path = dir.path().join(name);
        let hear = |bytes| _ = came.fetch_add(bytes, Ordering::Relaxed);
        reports.download(&part, &path, &hear).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}: the copy is another file");
        assert_eq!(came.into_inner(), 9_000, "{name}");
    }
    // What never comes whole is given up, and named as nothing that the customer did.
    fake.fail("s3:GetObject", KEY, Failure::CutInHalf, u32::MAX);
    let given_up = reports.download(&part, &dir.path().join("never"), &|_| ()).await;
    assert!(matches!(given_up, Err(ReportError::Away(_))), "{given_up:?}");
    let small = reports.get(KEY, 10_000).await;
    assert!(matches!(small, Err(ReportError::Away(_))), "{small:?}");
}

#[tokio::test]
async fn a_role_in_another_account_than_was_stated_is_refused_by_name() {
    let clock = clock();
    let fake = account(&clock);
    let stated = ReportPlace { account: "444455556666".parse().unwrap(), ..place() };
    let reports = reports(&fake, stated, &clock).await;
    refused(reports.verify().await, Refusal::WrongAccount);
    refused(reports.get("exports/costlens/data/3", 100).await, Refusal::WrongAccount);
}
