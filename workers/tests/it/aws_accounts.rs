//! Connected AWS accounts over days and months, which no clock on a wall goes through.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_aws::testing::aws::{ASSUMER, AwsCall, AwsState, Failure, FakeAws, assumer};
use costlens_aws::{Assumer, ReportError, Reports};
use costlens_domain::aws::{ExternalId, Layout, Month, Part, Region, ReportPlace, RoleArn, permissions};
use costlens_domain::bill::{BillReport, DailyFact, ReportFormat};
use costlens_domain::{AwsConnectionId, TenantId};
use costlens_jobs::aws::ask_to_check;
use costlens_queue::ops::{JobRow, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{AwsConnection, AwsConnectionState, BillMonth, BillMonthState, NewAwsConnection};
use costlens_workers::aws_accounts::port::{AwsAccounts, BucketRefused, ReportBucket};
use costlens_workers::bill_ingestion::{BillRefused, HearProgress, ReadBill};
use serde_json::json;

use super::Office;
use super::settlement::line;

/// AWS behind the workers' port, as the binary puts it there.
#[derive(Debug)]
struct Accounts(Arc<Assumer>);

impl AwsAccounts for Accounts {
    fn open(&self, place: ReportPlace, region: Option<Region>, session: &str) -> Box<dyn ReportBucket> {
        Box::new(Bucket(self.0.open(place, region, session)))
    }
}

#[derive(Debug)]
struct Bucket(Reports);

fn refused(error: ReportError) -> BucketRefused {
    match error {
        ReportError::Refused { refusal, detail } => BucketRefused::Refused { refusal, detail },
        ReportError::Moved { key } => BucketRefused::Moved { key },
        ReportError::Missing { key } => BucketRefused::Missing { key },
        away => BucketRefused::Away(away.to_string()),
    }
}

#[async_trait]
impl ReportBucket for Bucket {
    async fn verify(&self) -> Result<(), BucketRefused> {
        self.0.verify().await.map_err(refused)
    }

    async fn find(&self) -> Result<Region, BucketRefused> {
        self.0.find().await.map_err(refused)
    }

    async fn head(&self, key: &str) -> Result<Option<Part>, BucketRefused> {
        self.0.head(key).await.map_err(refused)
    }

    async fn get(&self, key: &str, most: u64) -> Result<(Part, Vec<u8>), BucketRefused> {
        self.0.get(key, most).await.map_err(refused)
    }

    async fn list(&self, folder: &str) -> Result<Vec<Part>, BucketRefused> {
        self.0.list(folder).await.map_err(refused)
    }

    async fn download(
        &self,
        part: &Part,
        to: &Path,
        came: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), BucketRefused> {
        self.0.download(part, to, came).await.map_err(refused)
    }
}

/// A reader of folders whose files hold a day each; every file is a line. It can be told to come to no end, and
/// to have too little memory.
#[derive(Debug, Default)]
struct FolderReader {
    is_stuck: AtomicBool,
    is_full: AtomicBool,
    /// Each file is a dollar of its day.
    costs: AtomicBool,
}

#[async_trait]
impl ReadBill for FolderReader {
    async fn read(&self, path: &Path, _: &dyn HearProgress) -> Result<BillReport, BillRefused> {
        if self.is_stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_full.load(Ordering::SeqCst) {
            return Err(BillRefused::TooLarge("it needs more memory".to_owned()));
        }
        let files: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        let day = files[0].parse().map_err(|_| BillRefused::Unreadable("no day".to_owned()))?;
        let dollar = || DailyFact { day, ..line("", "USE1-NovaPro-input-tokens", "Usage", 1_000, "1") };
        let costs = self.costs.load(Ordering::SeqCst);
        Ok(BillReport {
            format: ReportFormat::Cur2,
            files: Vec::new(),
            lines: u64::try_from(files.len()).unwrap(),
            first_day: Some(day),
            last_day: Some(day),
            months: None,
            has_invoices: false,
            rules_version: costlens_domain::classify::RULES_VERSION,
            totals: Vec::new(),
            facts: files.iter().filter(|_| costs).map(|_| dollar()).collect(),
            resources: Vec::new(),
            unknown_line_types: Vec::new(),
            skipped: Vec::new(),
        })
    }
}

/// A customer with an account, and an office that looks at it.
struct Customer {
    office: Office,
    reader: Arc<FolderReader>,
    aws: FakeAws,
    tenant: TenantId,
    connection: AwsConnectionId,
    place: ReportPlace,
}

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

impl Customer {
    async fn connected() -> Self {
        let mut office = Office::closed(noon()).await;
        let clock = Arc::clone(&office.parts.clock);
        let aws = FakeAws::start_by(Arc::clone(&clock));
        let assumer = assumer(&aws, clock, Arc::clone(&office.parts.entropy)).await;
        office.parts.aws = Some(Arc::new(Accounts(assumer)));
        let reader = Arc::<FolderReader>::default();
        office.parts.bills = Arc::clone(&reader) as _;
        let tenant = office.db.create_tenant("acme").await;
        let account = "111122223333".parse().unwrap();
        let place = ReportPlace {
            role: RoleArn::of_template(&account),
            account,
            external_id: ExternalId::new([7; 20]),
            bucket: "acme-billing".parse().unwrap(),
            prefix: "exports".parse().unwrap(),
            report: "costlens".parse().unwrap(),
        };
        let connection = AwsConnectionId::new(noon(), unlike_bytes());
        let new = NewAwsConnection {
            id: connection,
            place: place.clone(),
            region: None,
            kms_key: None,
            created_at: noon(),
        };
        let mut conn = office.parts.store.tenant(tenant).await.unwrap();
        conn.create_aws_connection(&new).await.unwrap();
        conn.commit().await.unwrap();
        office.work().await;
        Self { office, reader, aws, tenant, connection, place }
    }

    fn make_role(&self) {
        let mut state = self.aws.state();
        let id = self.place.external_id.as_str();
        state.put_role(self.place.role.as_str(), ASSUMER, Some(id), permissions(&self.place, None));
        state.put_bucket("acme-billing", "111122223333", "eu-west-1");
    }

    fn deliver(&self, month: Month, files: usize) {
        let mut state = self.aws.state();
        let folder = Layout::Export.data(&self.place, month);
        let keys: Vec<String> = (0..files).map(|n| format!("{folder}{files}-{n}")).collect();
        for key in &keys {
            state.put("acme-billing", key, month.first_day().to_string());
        }
        let manifest = json!({"executionId": files.to_string(), "dataFiles": keys});
        state.put("acme-billing", &Layout::Export.manifest(&self.place, month), manifest.to_string());
    }

    /// The same, with files that nobody can read.
    fn spoil(&self, month: Month, files: usize) {
        self.deliver(month, files);
        let folder = Layout::Export.data(&self.place, month);
        for n in 0..files {
            self.aws.state().put("acme-billing", &format!("{folder}{files}-{n}"), "spoilt");
        }
    }

    async fn look(&self) -> AwsConnection {
        self.office
            .parts
            .store
            .tenant(self.tenant)
            .await
            .unwrap()
            .aws_connection(self.connection)
            .await
            .unwrap()
    }

    /// Moves the clock to the next look, has it done, and waits until nothing is due.
    async fn next_look(&self) -> AwsConnection {
        let before = self.look().await;
        let due = before.next_check_at.unwrap().max(self.office.parts.clock.now());
        self.check_at(due).await
    }

    async fn check_at(&self, at: DateTime<Utc>) -> AwsConnection {
        self.office.set_clock(at);
        let before = self.look().await;
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        ask_to_check(&mut conn, self.connection, at + TimeDelta::microseconds(1), false).await.unwrap();
        conn.commit().await.unwrap();
        let begun = std::time::Instant::now();
        loop {
            let now = self.look().await;
            if now.checked_at != before.checked_at && self.office.is_quiet().await {
                return self.look().await;
            }
            assert!(begun.elapsed() < crate::PATIENCE, "nobody looked: {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Has a look made at which a month is begun to be read, and ends the workers and the month's job in its middle.
    async fn read_in_vain(&mut self, at: DateTime<Utc>, state: &str) {
        self.reader.is_stuck.store(true, Ordering::SeqCst);
        self.office.set_clock(at);
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        ask_to_check(&mut conn, self.connection, at, false).await.unwrap();
        conn.commit().await.unwrap();
        let running = |jobs: &[JobRow]| jobs.iter().any(|job| job.state == State::Running);
        self.office.until("bill-month.v1", running).await;
        self.office.settled("aws-check.v1").await;
        self.office.die().await;
        let ends = format!(
            "UPDATE queue.job SET status = '{state}', session = NULL, done_at = clock_timestamp() \
             WHERE queue = 'bill-month.v1' AND status = 'running'"
        );
        self.office.sql(&ends).await;
        self.reader.is_stuck.store(false, Ordering::SeqCst);
        self.office.work().await;
    }

    async fn month(&self) -> BillMonth {
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        conn.bill_months(self.connection).await.unwrap().remove(0)
    }

    /// How many events programs are told of: each is a job.
    async fn told(&self) -> usize {
        self.office.jobs("event.v1").await.len()
    }

    async fn lines(&self) -> Vec<(Month, u64)> {
        let mut conn = self.office.parts.store.tenant(self.tenant).await.unwrap();
        let mut lines = Vec::new();
        for month in conn.bill_months(self.connection).await.unwrap() {
            let delivery = conn.bill_delivery(month.delivery.unwrap()).await.unwrap();
            lines.push((month.month, conn.bill(delivery.bill_id).await.unwrap().lines));
        }
        lines
    }
}

#[tokio::test]
async fn a_role_that_never_comes_is_looked_for_through_a_day_and_told_once() {
    let customer = Customer::connected().await;
    let mut looks = 0;
    let mut last = customer.next_look().await;
    while last.state == AwsConnectionState::Pending {
        looks += 1;
        assert!(looks < 200, "it is looked for ever and ever");
        assert_eq!(customer.told().await, 0, "nobody is told while somebody may be at it");
        last = customer.next_look().await;
    }
    assert_eq!(last.state, AwsConnectionState::Failing);
    assert_eq!(last.problem.as_ref().unwrap().code, "role_not_assumable");
    let took = last.checked_at.unwrap() - noon();
    assert!(took > TimeDelta::hours(20) && took < TimeDelta::hours(30), "{took}");
    assert_eq!(customer.told().await, 1);
    // Ever more seldom, and told no more.
    let mut pause = TimeDelta::zero();
    for _ in 0..8 {
        let next = customer.next_look().await;
        let then = next.next_check_at.unwrap() - next.checked_at.unwrap();
        assert!(then >= pause && then <= TimeDelta::hours(6));
        pause = then;
    }
    assert_eq!(customer.told().await, 1);
    customer.make_role();
    customer.deliver("2026-11".parse().unwrap(), 1);
    let found = customer.next_look().await;
    assert_eq!((found.state, found.problem), (AwsConnectionState::Active, None));
}

#[tokio::test]
async fn twelve_months_are_read_at_first_and_old_ones_looked_at_once_a_month() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    for n in 0..14 {
        customer.deliver(this.back(n), 1);
    }
    customer.next_look().await;
    let lines = customer.lines().await;
    assert_eq!(lines.len(), 12, "{lines:?}");
    assert_eq!((lines[0], lines[11]), ((this, 1), (this.back(11), 1)));
    // A refund in an old month, and a new delivery of a recent one.
    customer.deliver(this.back(8), 2);
    customer.deliver(this.back(2), 2);
    drop(customer.aws.calls());
    customer.next_look().await;
    let lines = customer.lines().await;
    assert_eq!((lines[2].1, lines[8].1), (2, 1), "{lines:?}");
    let looked =
        customer.aws.calls().into_iter().filter(|call| call.resource.ends_with("Manifest.json")).count();
    // Three months, twice (the month that was read asks for a look of its own), and the month's own reading.
    assert!(looked <= 3 + 3 + 3, "{looked}");
    let later = customer.check_at(noon() + TimeDelta::days(31)).await;
    assert_eq!(later.state, AwsConnectionState::Active);
    let lines = customer.lines().await;
    assert!(lines.contains(&(this.back(8), 2)), "{lines:?}");
}

#[tokio::test]
async fn each_delivery_that_restates_a_month_is_told_of_and_newer_rules_restate_nothing() {
    let customer = Customer::connected().await;
    customer.make_role();
    customer.reader.costs.store(true, Ordering::SeqCst);
    let this: Month = "2026-11".parse().unwrap();
    let restated = async || {
        let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
        let events = conn.list_insight_events(None, 50).await.unwrap();
        let of_month = events.iter().rev().filter(|event| event.kind == "month_restated");
        of_month.map(|event| event.amount.normalize().to_string()).collect::<Vec<_>>()
    };
    let deliver = async |files: usize| {
        customer.deliver(this, files);
        customer.next_look().await;
        assert_eq!(customer.lines().await, [(this, u64::try_from(files).unwrap())]);
    };
    deliver(1).await;
    assert!(restated().await.is_empty());
    deliver(3).await;
    assert_eq!(restated().await, ["2"]);
    // What other rules had read sorts the same dollars otherwise.
    customer.office.sql("UPDATE bill SET rules_version = rules_version - 1").await;
    deliver(4).await;
    assert_eq!(restated().await, ["2"]);
    deliver(9).await;
    assert_eq!(restated().await, ["2", "5"]);
}

#[tokio::test]
async fn an_old_month_that_cannot_be_read_hides_nothing_and_is_no_failure_of_the_connection() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.deliver(this.back(1), 1);
    customer.spoil(this.back(8), 1);
    customer.next_look().await;
    let active = customer.next_look().await;
    assert_eq!((active.state, active.problem), (AwsConnectionState::Active, None));
    let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
    let old = conn.bill_month(customer.connection, this.back(8)).await.unwrap();
    assert_eq!((old.state, old.problem.unwrap().code.as_str()), (BillMonthState::Failed, "file_unreadable"));
    drop(conn);

    let told = customer.told().await;
    customer.spoil(this.back(1), 2);
    customer.next_look().await;
    let failing = customer.next_look().await;
    let problem = failing.problem.unwrap();
    assert_eq!((failing.state, problem.code.as_str()), (AwsConnectionState::Failing, "file_unreadable"));
    assert!(problem.detail.starts_with("October 2026: "), "{problem:?}");
    assert_eq!(customer.told().await, told + 1);
    // It lets us in as before, and is not probed for its ExternalId at every look.
    drop(customer.aws.calls());
    customer.next_look().await;
    let calls = customer.aws.calls();
    assert_eq!(calls.iter().filter(|call| call.action == "sts:AssumeRole").count(), 1, "{calls:?}");

    // Then AWS stops, which October's files do not hide.
    let stale = customer.check_at(noon() + TimeDelta::hours(38)).await;
    assert_eq!(stale.problem.unwrap().code, "delivery_stale");
    assert_eq!(customer.told().await, told + 2);
}

#[tokio::test]
async fn a_report_that_is_made_in_another_way_by_now_is_found() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    assert_eq!(customer.lines().await, [(this, 1)]);
    let put = |layout: Layout, below: &str, files: usize| {
        let folder = format!("{}{below}", layout.data(&customer.place, this));
        let keys: Vec<String> = (0..files).map(|n| format!("{folder}{files}-{n}")).collect();
        let mut state = customer.aws.state();
        for key in &keys {
            state.put("acme-billing", key, this.first_day().to_string());
        }
        let manifest = json!({"executionId": files.to_string(), "dataFiles": keys});
        let key = format!("{}{below}costlens-Manifest.json", layout.manifests(&customer.place, this));
        state.put("acme-billing", &key, manifest.to_string());
    };
    // Each delivery has a folder of its own from now on; the last that was overwritten stays where it was.
    customer.office.set_clock(noon() + TimeDelta::hours(2));
    put(Layout::Export, "20261120T140000Z-e2/", 2);
    customer.check_at(noon() + TimeDelta::hours(3)).await;
    assert_eq!(customer.lines().await, [(this, 2)]);
    // And overwritten again.
    customer.office.set_clock(noon() + TimeDelta::hours(4));
    customer.deliver(this, 3);
    customer.check_at(noon() + TimeDelta::hours(5)).await;
    assert_eq!(customer.lines().await, [(this, 3)]);
    // Then the legacy report takes the export's place.
    customer.office.set_clock(noon() + TimeDelta::hours(44));
    put(Layout::Legacy, "", 4);
    let moved = customer.check_at(noon() + TimeDelta::hours(45)).await;
    assert_eq!((moved.layout, customer.lines().await), (Some(Layout::Legacy), vec![(this, 4)]));
}

#[tokio::test]
async fn two_looks_at_once_read_a_month_once() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 3);
    let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
    for n in 1..6 {
        let at = noon() + TimeDelta::seconds(n);
        ask_to_check(&mut conn, customer.connection, at, n % 2 == 0).await.unwrap();
    }
    conn.commit().await.unwrap();
    customer.next_look().await;
    assert_eq!(customer.lines().await, [(this, 3)]);
    let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
    let deliveries = conn.list_bill_deliveries(customer.connection, this, None, 10).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(conn.list_bills(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_month_that_takes_too_much_memory_is_told_as_too_large() {
    let customer = Customer::connected().await;
    customer.make_role();
    customer.reader.is_full.store(true, Ordering::SeqCst);
    customer.deliver("2026-11".parse().unwrap(), 1);
    // The month is read after the look that found it. The one that its reading asks for is of the same millisecond of
    // this clock, which stands still, and so the same job: the next is the first to see what became of the month.
    customer.next_look().await;
    let failing = customer.next_look().await;
    assert_eq!(failing.state, AwsConnectionState::Failing);
    let problem = failing.problem.unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.detail.as_str()),
        ("too_large", "November 2026: it needs more memory")
    );
}

#[tokio::test]
async fn a_session_that_expires_in_mid_download_costs_no_month_and_is_renewed_as_soon_as_it_can_be() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    assert_eq!(customer.lines().await, [(this, 1)]);
    let good = customer.month().await.delivery;

    // The hour is over between the first file and the second, and STS gives no other one.
    let role = customer.place.role.as_str().to_owned();
    // The first question about the second file is its HEAD, the next its GET.
    customer.aws.before("s3:GetObject", "2-1", |_| ());
    customer.aws.before("s3:GetObject", "2-1", move |state| {
        state.end_sessions(&role);
        state.fail("sts:AssumeRole", "", Failure::Status(400), u32::MAX);
    });
    customer.deliver(this, 2);
    drop(customer.aws.calls());
    customer.next_look().await;
    let calls = customer.aws.calls();
    let refused = |call: &&AwsCall| call.resource.ends_with("2-1") && call.status == 400;
    assert_eq!(calls.iter().filter(refused).count(), 1, "{calls:?}");
    assert_eq!(customer.lines().await, [(this, 1)]);
    assert_eq!(customer.month().await.delivery, good);

    customer.aws.fail("sts:AssumeRole", "", Failure::Status(400), 0);
    let begun = std::time::Instant::now();
    while customer.lines().await != [(this, 2)] {
        assert!(begun.elapsed() < crate::PATIENCE, "the month is not read again");
        customer.office.wake_all().await;
        customer.office.quiet().await;
    }
    assert_ne!(customer.month().await.delivery, good);
}

#[tokio::test]
async fn a_month_whose_job_died_is_told_of_once_and_tried_again_when_a_failed_month_is() {
    let mut customer = Customer::connected().await;
    customer.make_role();
    customer.deliver("2026-11".parse().unwrap(), 2);
    customer.read_in_vain(noon() + TimeDelta::minutes(1), "dead").await;
    let died = customer.next_look().await;
    assert_eq!(died.state, AwsConnectionState::Failing);
    assert_eq!(died.problem.unwrap().code, "internal");
    let failed_at = customer.month().await.updated_at;
    // Looks go on, and neither ask for another job nor tell of it again.
    while customer.office.parts.clock.now() < failed_at + TimeDelta::hours(5) {
        assert_eq!(customer.next_look().await.state, AwsConnectionState::Failing);
    }
    assert_eq!(customer.office.jobs("bill-month.v1").await.len(), 1);
    assert_eq!((customer.month().await.state, customer.told().await), (BillMonthState::Failed, 1));

    // One that was asked for again and never came to anything is asked for at the next look.
    customer.read_in_vain(failed_at + TimeDelta::hours(6), "cancelled").await;
    customer.next_look().await;
    assert_eq!(customer.lines().await, [("2026-11".parse().unwrap(), 2)]);
    assert_eq!(customer.next_look().await.state, AwsConnectionState::Active);
}

#[tokio::test]
async fn an_account_without_a_delivery_for_a_day_and_a_half_says_so_once_and_until_the_next_one() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    let fresh = customer.check_at(noon() + TimeDelta::hours(35)).await;
    assert_eq!((fresh.state, fresh.problem), (AwsConnectionState::Active, None));
    let told = customer.told().await;
    for hours in [37, 38, 60] {
        let stale = customer.check_at(noon() + TimeDelta::hours(hours)).await;
        let problem = stale.problem.unwrap();
        assert_eq!((stale.state, problem.code.as_str()), (AwsConnectionState::Failing, "delivery_stale"));
        assert!(problem.detail.contains("2026-11-20 12:"), "{problem:?}");
    }
    assert_eq!(customer.told().await, told + 1);
    customer.deliver(this, 2);
    let next = customer.check_at(noon() + TimeDelta::hours(61)).await;
    assert_eq!((next.state, next.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.lines().await, [(this, 2)]);
}

/// Writes an object anew before each question about it.
fn rewrite_for_ever(state: &mut AwsState, key: &'static str) {
    state.before("s3:GetObject", key, move |state| {
        let full = state.keys("acme-billing").into_iter().find(|one| one.ends_with(key)).unwrap();
        state.put("acme-billing", &full, "2026-11-01");
        rewrite_for_ever(state, key);
    });
}

#[tokio::test]
async fn what_moves_at_every_reading_is_told_by_name_and_read_when_it_stands_still() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    let good = customer.month().await.delivery;
    rewrite_for_ever(&mut customer.aws.state(), "2-1");
    customer.deliver(this, 2);
    customer.next_look().await;
    let code = |jobs: &[JobRow]| jobs.iter().any(|job| job.code.as_deref() == Some("changed_in_mid_read"));
    customer.office.until("bill-month.v1", code).await;
    // It has many attempts; this is the last one.
    let begun = std::time::Instant::now();
    while customer.month().await.state != BillMonthState::Failed {
        assert!(begun.elapsed() < crate::PATIENCE, "it is tried for ever");
        let last = "UPDATE queue.job SET attempts = max_attempts - 1 \
                    WHERE queue = 'bill-month.v1' AND status = 'pending' AND attempts > 0";
        customer.office.sql(last).await;
        customer.office.wake("bill-month.v1").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let month = customer.month().await;
    assert_eq!((month.state, month.delivery), (BillMonthState::Failed, good));
    assert_eq!(month.problem.unwrap().code, "changed_in_mid_read");
    let failing = customer.next_look().await;
    assert_eq!(failing.state, AwsConnectionState::Failing);
    assert_eq!(failing.problem.unwrap().code, "changed_in_mid_read");
    assert_eq!(customer.lines().await, [(this, 1)]);

    // That look had it tried again, in vain; it stands still by the next attempt.
    customer.aws.state().forget_plans();
    customer.deliver(this, 3);
    customer.office.wake("bill-month.v1").await;
    customer.office.quiet().await;
    assert_eq!(customer.lines().await, [(this, 3)]);
    assert_eq!(customer.next_look().await.problem, None);
}

#[tokio::test]
async fn a_bucket_that_is_away_costs_no_month_and_is_read_when_it_is_there_again() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    for (files, failure) in [(2, Failure::Status(503)), (3, Failure::CutInHalf)] {
        let (bill, before) = (customer.month().await.delivery, customer.lines().await);
        let file = if files == 2 { "2-1" } else { "3-1" };
        customer.aws.fail("s3:GetObject", file, failure, u32::MAX);
        customer.deliver(this, files);
        customer.next_look().await;
        let waits = |jobs: &[JobRow]| jobs.iter().any(|job| job.state == State::Retrying);
        customer.office.until("bill-month.v1", waits).await;
        assert_eq!((customer.month().await.delivery, customer.lines().await), (bill, before));
        let looked = customer.look().await;
        assert_eq!(
            (looked.state, looked.problem),
            (AwsConnectionState::Active, None),
            "it is no fault of theirs"
        );
        customer.aws.fail("s3:GetObject", file, failure, 0);
        customer.office.wake("bill-month.v1").await;
        customer.office.quiet().await;
        assert_eq!(customer.lines().await, [(this, u64::try_from(files).unwrap())]);
    }
}

#[tokio::test]
async fn an_account_that_never_delivers_says_so_after_two_days_and_one_whose_report_is_gone_at_once() {
    let customer = Customer::connected().await;
    customer.make_role();
    let early = customer.check_at(noon() + TimeDelta::hours(47)).await;
    assert_eq!((early.state, early.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.told().await, 0);
    for hours in [49, 50, 72] {
        let late = customer.check_at(noon() + TimeDelta::hours(hours)).await;
        let problem = late.problem.unwrap();
        assert_eq!((late.state, problem.code.as_str()), (AwsConnectionState::Failing, "nothing_delivered"));
        assert!(problem.detail.contains("costlens below acme-billing/exports"), "{problem:?}");
    }
    assert_eq!(customer.told().await, 1);
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    let there = customer.check_at(noon() + TimeDelta::hours(73)).await;
    assert_eq!((there.state, there.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.lines().await, [(this, 1)]);

    // Whoever empties the bucket hears of it at the next look, and what was read counts.
    customer.aws.state().empty("acme-billing");
    let emptied = customer.check_at(noon() + TimeDelta::hours(74)).await;
    assert_eq!(emptied.problem.unwrap().code, "nothing_delivered");
    assert_eq!(customer.lines().await, [(this, 1)]);
}

#[tokio::test]
async fn a_month_that_older_rules_read_is_read_again_without_another_delivery() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 2);
    customer.next_look().await;
    let first = customer.month().await.delivery;
    assert!(first.is_some());
    customer.next_look().await;
    assert_eq!(customer.month().await.delivery, first, "nothing is new");
    // As after an upgrade that brought other rules.
    customer
        .office
        .sql(
            "UPDATE bill_month SET rules_version = rules_version - 1; \
             UPDATE bill_delivery SET rules_version = rules_version - 1; \
             UPDATE bill SET rules_version = rules_version - 1",
        )
        .await;
    customer.next_look().await;
    assert_ne!(customer.month().await.delivery, first);
    assert_eq!(customer.lines().await, [(this, 2)]);
    let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
    let bills = conn.list_bills(None, 10).await.unwrap();
    assert_eq!(bills.iter().map(|bill| bill.superseded_at.is_none()).collect::<Vec<_>>(), [true, false]);
}
