//! Uploads become bills: once, whole, and through crashes of all kinds.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use costlens_domain::bill::{BillReport, ReportFile, ReportFormat};
use costlens_domain::{BillId, BillUploadId, TenantId};
use costlens_jobs::bills::{AREA, IngestBill, ask_to_ingest};
use costlens_objects::ObjectKey;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, Filter, JobRow, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{BillUpload, NewBill, NewBillUpload, UploadState};
use costlens_workers::bill_ingestion::{BillRefused, HearProgress, ReadBill};

use super::Office;
use super::upkeep::now;

/// What the next reading does, instead of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Hangs,
    /// It reads once the test lets it.
    Waits,
    Panics,
    Fails,
    /// It takes too much memory.
    Swells,
}

/// A reader of a format made up for these tests: `bill <month> <lines>`; everything else is no bill. It can be told to
/// stumble.
#[derive(Debug, Default)]
pub(super) struct TinyReader {
    moods: Mutex<Vec<Mood>>,
    reads: Mutex<u32>,
    go_on: tokio::sync::Notify,
}

impl TinyReader {
    fn next(&self, moods: &[Mood]) {
        self.moods.lock().unwrap().extend(moods.iter().rev());
    }

    fn reads(&self) -> u32 {
        *self.reads.lock().unwrap()
    }
}

#[async_trait]
impl ReadBill for TinyReader {
    async fn read(&self, path: &Path, progress: &dyn HearProgress) -> Result<BillReport, BillRefused> {
        *self.reads.lock().unwrap() += 1;
        progress.hear("reading", 500);
        let mood = self.moods.lock().unwrap().pop();
        match mood {
            Some(Mood::Hangs) => std::future::pending::<()>().await,
            Some(Mood::Waits) => self.go_on.notified().await,
            Some(Mood::Panics) => panic!("told to"),
            Some(Mood::Fails) => return Err(BillRefused::Engine("told to".to_owned())),
            Some(Mood::Swells) => return Err(BillRefused::TooLarge("it needs more memory".to_owned())),
            None => {}
        }
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let ["bill", month, lines] = words.as_slice() else {
            return Err(BillRefused::Unreadable(format!("{name} is corrupt in line 1: no bill")));
        };
        let first_day = format!("{month}-01").parse().unwrap();
        Ok(BillReport {
            format: ReportFormat::Cur2,
            files: vec![ReportFile { name: name.to_owned(), size_bytes: 1 }],
            lines: lines.parse().unwrap(),
            first_day: Some(first_day),
            last_day: Some(first_day),
            months: Some((first_day, first_day)),
            has_invoices: false,
            rules_version: costlens_domain::classify::RULES_VERSION,
            totals: Vec::new(),
            facts: Vec::new(),
            resources: Vec::new(),
            unknown_line_types: Vec::new(),
            skipped: Vec::new(),
        })
    }
}

/// Listens to nothing.
struct Nobody;

impl HearProgress for Nobody {
    fn hear(&self, _: &str, _: u16) {}
}

/// A tenant that uploads.
struct Customer<'a> {
    office: &'a Office,
    tenant: TenantId,
}

impl<'a> Customer<'a> {
    async fn of(office: &'a Office) -> Self {
        Self { office, tenant: office.db.create_tenant("acme").await }
    }

    fn key(&self, id: BillUploadId) -> ObjectKey {
        ObjectKey::new(self.tenant, AREA, &id.to_string()).unwrap()
    }

    /// Keeps a file as of so many hours ago, without a row.
    async fn keep(&self, hours_ago: i64, text: &str) -> (BillUploadId, costlens_objects::Stored) {
        let id = BillUploadId::new(now() - chrono::Duration::hours(hours_ago), unlike_bytes());
        let mut put = self.office.parts.objects.put(self.key(id), 1_000).await.unwrap();
        put.write(text.as_bytes()).await.unwrap();
        (id, put.finish().await.unwrap())
    }

    /// Uploads a file as the API does so many hours ago, and asks for its reading if so told.
    async fn upload_of(&self, hours_ago: i64, text: &str, ask: bool) -> BillUploadId {
        let (id, stored) = self.keep(hours_ago, text).await;
        let new = NewBillUpload {
            id,
            name: "october.csv".to_owned(),
            object_key: self.key(id).to_string(),
            bytes: stored.bytes,
            sha256: stored.sha256,
            created_at: now() - chrono::Duration::minutes(10),
        };
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        conn.create_bill_upload(&new).await.unwrap();
        if ask {
            let job = IngestBill { upload: id, ask: 0 };
            assert!(ask_to_ingest(&mut conn, job, new.created_at).await.unwrap());
        }
        conn.commit().await.unwrap();
        id
    }

    async fn upload(&self, text: &str) -> BillUploadId {
        self.upload_of(0, text, true).await
    }

    async fn look(&self, id: BillUploadId) -> BillUpload {
        self.office.parts.store.tenant(self.tenant).await.unwrap().bill_upload(id).await.unwrap()
    }

    /// The lines of the bills that count, newest first.
    async fn bills(&self) -> Vec<u64> {
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        let bills = conn.list_bills(None, 50).await.unwrap();
        bills.into_iter().filter(|bill| bill.superseded_at.is_none()).map(|bill| bill.lines).collect()
    }

    async fn files(&self) -> usize {
        self.office.parts.objects.count_prefix(self.tenant).await.unwrap()
    }

    async fn jobs(&self) -> Vec<JobRow> {
        let mut conn = self.office.queue.conn().await.unwrap();
        let filter = Filter {
            queue: Some("bill-ingestion.v1".to_owned()),
            tenant: Some(self.tenant.uuid()),
            ..Filter::default()
        };
        ops::list(&mut conn, &filter, None, 50).await.unwrap().items
    }

    /// Waits until something is so.
    async fn until(&self, what: &str, mut so: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self).await {
            assert!(begun.elapsed() < crate::PATIENCE, "there was no {what}: {:?}", self.jobs().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The upload once it has ended and none of its jobs is under way.
    async fn ended(&self, id: BillUploadId) -> BillUpload {
        self.until("end of the upload", async |this| {
            let over = |job: &JobRow| matches!(job.state, State::Done | State::Dead | State::Cancelled);
            this.look(id).await.state.is_ended() && this.jobs().await.iter().all(over)
        })
        .await;
        self.look(id).await
    }

    async fn is_read(&self, times: u32) {
        self.until("reading", async |this| this.office.reader.reads() >= times).await;
    }
}

#[tokio::test]
async fn a_bill_is_published_once_though_its_job_runs_twice() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    let id = acme.upload("bill 2026-10 3").await;
    let upload = acme.ended(id).await;
    assert_eq!((upload.state, upload.problem), (UploadState::Published, None));
    assert_eq!((acme.bills().await, acme.files().await), (vec![3], 0));

    let mut conn = office.parts.store.tenant(acme.tenant).await.unwrap();
    costlens_jobs::ask(&mut conn, &IngestBill { upload: id, ask: 1 }).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(acme.ended(id).await.bill_id, upload.bill_id);
    let states: Vec<State> = acme.jobs().await.iter().map(|job| job.state).collect();
    assert_eq!((states, acme.bills().await), (vec![State::Done, State::Done], vec![3]));
    office.close().await;
}

#[tokio::test]
async fn a_worker_that_dies_between_reading_and_publishing_delays_a_bill_and_no_more() {
    let mut office = Office::open(now()).await;
    office.reader.next(&[Mood::Hangs]);
    let acme = Customer::of(&office).await;
    let (id, tenant) = (acme.upload("bill 2026-10 3").await, acme.tenant);
    acme.is_read(1).await;
    assert_eq!(acme.look(id).await.state, UploadState::Reading);
    assert_eq!((acme.bills().await, acme.files().await), (vec![], 1));
    office.die().await;
    office.work().await;
    let acme = Customer { office: &office, tenant };
    assert_eq!(acme.ended(id).await.state, UploadState::Published);
    assert_eq!((acme.bills().await, acme.files().await), (vec![3], 0));
    let [job] = &acme.jobs().await[..] else { panic!("one job") };
    assert_eq!((job.state, job.attempts, office.reader.reads()), (State::Done, 2, 2));
    office.close().await;
}

#[tokio::test]
async fn a_crash_after_the_commit_leaves_a_file_that_the_next_run_removes() {
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office).await;
    let (id, tenant) = (acme.upload("bill 2026-10 3").await, acme.tenant);
    // What a worker does until its commit.
    let key = acme.key(id);
    let copy = office.parts.objects.fetch(&key).await.unwrap();
    let report = office.reader.read(copy.path(), &Nobody).await.unwrap();
    let mut conn = office.parts.store.tenant(tenant).await.unwrap();
    conn.begin_reading_bill(id, now()).await.unwrap();
    let new =
        NewBill { id: BillId::new(now(), unlike_bytes()), name: "october.csv".to_owned(), created_at: now() };
    conn.publish_bill_upload(id, &new, &report).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(acme.files().await, 1);

    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    office.work().await;
    let acme = Customer { office: &office, tenant };
    assert_eq!(acme.ended(id).await.bill_id, Some(new.id));
    assert_eq!((acme.bills().await, acme.files().await, office.reader.reads()), (vec![3], 0, 1));
    office.close().await;
}

#[tokio::test]
async fn a_file_that_takes_too_much_memory_is_too_large_and_is_not_tried_again() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    office.reader.next(&[Mood::Swells]);
    let large = acme.upload("bill 2026-10 3").await;
    let upload = acme.ended(large).await;
    let problem = upload.problem.unwrap();
    assert_eq!(upload.state, UploadState::Failed);
    assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("body_too_large", "it needs more memory"));
    let job = &acme.jobs().await[0];
    assert_eq!(
        (job.state, job.class, job.attempts, office.reader.reads()),
        (State::Dead, Some(ErrorClass::CustomerAction), 1, 1)
    );
    assert_eq!((acme.bills().await.len(), acme.files().await), (0, 0));
    office.close().await;
}

#[tokio::test]
async fn a_bad_file_fails_in_its_owners_words_and_the_earlier_bill_stays() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    let good = acme.upload("bill 2026-10 3").await;
    acme.ended(good).await;
    let bad = acme.upload("no bill at all").await;
    let upload = acme.ended(bad).await;
    let problem = upload.problem.unwrap();
    assert_eq!(upload.state, UploadState::Failed);
    assert_eq!(
        (problem.code.as_str(), problem.detail.as_str()),
        ("bill_unreadable", "october.csv is corrupt in line 1: no bill")
    );
    assert_eq!((acme.bills().await, acme.files().await), (vec![3], 0));
    let job = &acme.jobs().await[0];
    assert_eq!(
        (job.state, job.class, job.code.as_deref(), job.attempts),
        (State::Dead, Some(ErrorClass::CustomerAction), Some("bill_unreadable"), 1)
    );
    assert_eq!(job.error.as_deref(), Some(problem.detail.as_str()));
    office.close().await;
}

#[tokio::test]
async fn an_engine_that_fails_or_panics_is_tried_again() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    office.reader.next(&[Mood::Fails, Mood::Panics]);
    let id = acme.upload("bill 2026-10 3").await;
    for (attempt, code) in [(1, "bill_engine"), (2, "panic")] {
        acme.until("failed attempt", async |this| {
            let [job] = &this.jobs().await[..] else { return false };
            job.state == State::Retrying && job.attempts == attempt
        })
        .await;
        let job = acme.jobs().await.remove(0);
        assert_eq!(job.code.as_deref(), Some(code));
        assert_eq!((acme.look(id).await.state, acme.files().await), (UploadState::Reading, 1));
        let mut conn = office.queue.conn().await.unwrap();
        assert!(ops::retry_now(&mut conn, job.id, None).await.unwrap());
    }
    assert_eq!(acme.ended(id).await.state, UploadState::Published);
    assert_eq!(acme.bills().await, [3]);
    office.close().await;
}

#[tokio::test]
async fn the_same_content_again_is_a_duplicate_that_nobody_reads() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    let first = acme.upload("bill 2026-10 3").await;
    let first = acme.ended(first).await;
    let again = acme.upload_of(0, "bill 2026-10 3", false).await;
    let upload = acme.look(again).await;
    assert_eq!((upload.state, upload.bill_id), (UploadState::Duplicate, first.bill_id));
    assert_eq!((acme.bills().await, office.reader.reads()), (vec![3], 1));
    // Two of a content at once: the second one to be published finds the first one's bill.
    let (one, other) = (acme.upload("bill 2026-10 4").await, acme.upload("bill 2026-10 4").await);
    let (one, other) = (acme.ended(one).await, acme.ended(other).await);
    assert_eq!(one.bill_id, other.bill_id);
    let states = [one.state, other.state];
    assert!(
        states.contains(&UploadState::Published) && states.contains(&UploadState::Duplicate),
        "{states:?}"
    );
    assert_eq!((acme.bills().await, acme.files().await), (vec![4], 1));
    office.close().await;
}

#[tokio::test]
async fn the_sweeper_asks_again_for_what_has_no_job_whatever_became_of_the_last_one() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    // Nobody asked; and somebody did, but the job ended or is gone without the upload's end.
    let never = acme.upload_of(0, "bill 2026-08 8", false).await;
    office.reader.next(&[Mood::Fails]);
    let lost = acme.upload("bill 2026-09 9").await;
    acme.until("failed attempt", async |this| {
        this.jobs().await.iter().any(|job| job.state == State::Retrying)
    })
    .await;
    let swept = office.run("bill-uploads.v1").await;
    let expected = serde_json::json!({"asked": 1, "ended": 0, "files": 0});
    assert_eq!(swept.job.progress, Some(expected), "a job that waits for its next attempt is one");
    acme.until("bill", async |this| this.look(never).await.state == UploadState::Published).await;
    for bring_about in [
        "UPDATE queue.job SET status = 'done', done_at = now() WHERE queue = 'bill-ingestion.v1'",
        "DELETE FROM queue.job WHERE queue = 'bill-ingestion.v1'",
    ] {
        office.reader.next(&[Mood::Fails]);
        office.sql(bring_about).await;
        office.sql("UPDATE bill_upload SET updated_at = updated_at - interval '1 hour'").await;
        let reads = office.reader.reads();
        let swept = office.run("bill-uploads.v1").await;
        assert_eq!(swept.job.progress, Some(serde_json::json!({"asked": 1, "ended": 0, "files": 0})));
        acme.is_read(reads + 1).await;
    }
    let upload = acme.look(lost).await;
    assert_eq!((upload.state, upload.asks), (UploadState::Reading, 2));
    acme.until("failed attempt", async |this| {
        this.jobs().await.iter().any(|job| job.state == State::Retrying)
    })
    .await;
    office.sql("UPDATE queue.job SET run_at = now() WHERE status = 'pending'; NOTIFY queue_wake, 'bill-ingestion.v1'").await;
    assert_eq!(acme.ended(lost).await.state, UploadState::Published);
    // Both were made at the same moment of the test's clock.
    let mut bills = acme.bills().await;
    bills.sort_unstable();
    assert_eq!((bills, acme.files().await), (vec![8, 9], 0));
    office.close().await;
}

#[tokio::test]
async fn a_job_that_died_or_was_cancelled_before_it_began_ends_its_upload() {
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office).await;
    let (dead, cancelled) = (acme.upload("bill 2026-08 8").await, acme.upload("bill 2026-09 9").await);
    for job in acme.jobs().await {
        if job.key.as_deref() == Some(cancelled.to_string().as_str()) {
            let mut conn = office.queue.conn().await.unwrap();
            assert_eq!(ops::cancel(&mut conn, job.id, None).await.unwrap(), ops::Cancelled::Now);
        }
    }
    office.sql("UPDATE queue.job SET status = 'dead', done_at = now() WHERE status = 'pending'").await;
    let tenant = acme.tenant;
    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    office.work().await;
    let swept = office.run("bill-uploads.v1").await;
    assert_eq!(swept.job.progress, Some(serde_json::json!({"asked": 0, "ended": 2, "files": 0})));
    let acme = Customer { office: &office, tenant };
    for (id, code) in [(dead, "internal"), (cancelled, "cancelled")] {
        let upload = acme.look(id).await;
        assert_eq!((upload.state, upload.problem.unwrap().code.as_str()), (UploadState::Failed, code));
    }
    // Their files are an hour old at some time.
    assert_eq!((acme.bills().await, acme.files().await), (vec![], 2));
    office.close().await;
}

#[tokio::test]
async fn files_that_nobody_wants_go_after_an_hour_and_no_others() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    acme.keep(2, "bill 2026-08 8").await;
    let (young, _) = acme.keep(0, "bill 2026-08 8").await;
    // One that never arrived as a whole, because its process was killed.
    let id = BillUploadId::new(now() - chrono::Duration::hours(2), unlike_bytes());
    let mut half = office.parts.objects.put(acme.key(id), 1_000).await.unwrap();
    half.write(b"bil").await.unwrap();
    std::mem::forget(half);
    // An old one that is still to be read.
    office.reader.next(&[Mood::Fails]);
    let kept = acme.upload_of(2, "bill 2026-09 9", true).await;
    assert_eq!(acme.files().await, 4);
    for files in [2, 0] {
        let swept = office.run("bill-uploads.v1").await;
        assert_eq!(swept.job.progress.unwrap()["files"], files);
        assert_eq!(acme.files().await, 2);
    }
    assert!(office.parts.objects.fetch(&acme.key(young)).await.is_ok());
    assert!(office.parts.objects.fetch(&acme.key(kept)).await.is_ok());
    office.close().await;
}

#[tokio::test]
async fn a_reading_that_is_cancelled_publishes_nothing() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    office.reader.next(&[Mood::Hangs]);
    let id = acme.upload("bill 2026-10 3").await;
    acme.is_read(1).await;
    acme.until("progress", async |this| this.look(id).await.progress.is_some()).await;
    let progress = acme.look(id).await.progress.unwrap();
    assert_eq!((progress.step.as_str(), progress.permille), ("reading", 500));
    let job = acme.jobs().await.remove(0);
    assert_eq!(job.progress, Some(serde_json::json!({"step": "reading", "permille": 500})));
    let mut conn = office.queue.conn().await.unwrap();
    assert_eq!(ops::cancel(&mut conn, job.id, None).await.unwrap(), ops::Cancelled::Asked);
    let upload = acme.ended(id).await;
    assert_eq!(upload.problem.unwrap().code, "cancelled");
    assert_eq!(acme.jobs().await[0].state, State::Cancelled);
    assert_eq!((acme.bills().await, acme.files().await), (vec![], 0));
    office.close().await;
}

#[tokio::test]
async fn a_cancellation_that_the_reading_did_not_hear_of_is_honoured_before_the_bill_is_published() {
    let office = Office::open(now()).await;
    let acme = Customer::of(&office).await;
    office.reader.next(&[Mood::Waits]);
    let id = acme.upload("bill 2026-10 3").await;
    acme.is_read(1).await;
    // As an operator's request does, but for the word to the workers.
    office.sql("UPDATE queue.job SET cancel_requested = true WHERE queue = 'bill-ingestion.v1'").await;
    office.reader.go_on.notify_one();
    assert_eq!(acme.ended(id).await.problem.unwrap().code, "cancelled");
    assert_eq!((acme.bills().await, acme.files().await), (vec![], 0));
    office.close().await;
}
