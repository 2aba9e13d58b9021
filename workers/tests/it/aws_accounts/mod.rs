//! Connected AWS accounts over days and months, which no clock on a wall goes through.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]

mod troubles;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_aws::testing::aws::{ASSUMER, FakeAws, assumer};
use costlens_aws::{Assumer, ReportError, Reports};
use costlens_domain::aws::{ExternalId, Layout, Month, Part, Region, ReportPlace, RoleArn, permissions};
use costlens_domain::bill::{BillReport, DailyFact, ReportFormat};
use costlens_domain::{AwsConnectionId, TenantId};
use costlens_jobs::aws::ask_to_check;
use costlens_queue::ops::{JobRow, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{AwsConnection, AwsConnectionState, BillMonth, NewAwsConnection};
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
