//! Workflows from outside: a job goes in, the database is looked at afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod account;
mod audit;
mod aws_accounts;
mod bills;
mod bodies;
mod catalogue_server;
mod chargeback;
mod children;
mod clerk;
mod crashes;
mod deliveries;
mod doors;
mod erasure_counts;
mod erasures;
mod erasures_outside;
mod exports;
mod insight;
mod invoices;
mod key_rotation;
mod leavers;
mod notifications;
mod outside;
mod prices;
mod replicas;
mod settlement;
mod single_sign_on;
mod status;
mod svix;
mod sweeps;
mod upkeep;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;
use costlens_egress::{Egress, EgressConfig, Policy};
use costlens_notify::{Mailer, MailerConfig};
use costlens_objects::Objects;
use costlens_queue::ops::{self, Filter, JobDetails, JobRow, State};
use costlens_queue::{Enqueued, NewJob, Queue, QueueConfig, QueueError};
use costlens_store::Store;
use costlens_store::testing::{ACQUIRE_TIMEOUT, TestDb, patient};
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use costlens_workers::{Links, StatusTargets, WorkerParts};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The master key of every test that does not bring its own.
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// How long a test waits for what must come, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_mins(4);

/// A clock that the test moves.
#[derive(Debug)]
struct ManualClock(Mutex<DateTime<Utc>>);

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A database with the queue's schema, and workers that run on it.
struct Office {
    db: TestDb,
    queue: Queue,
    parts: WorkerParts,
    clock: Arc<ManualClock>,
    reader: Arc<bills::TinyReader>,
    files: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    working: Option<tokio::task::JoinHandle<()>>,
}

impl Office {
    /// Workers whose clock stands at this moment.
    async fn open(now: DateTime<Utc>) -> Self {
        let mut office = Self::closed(now).await;
        office.work().await;
        office
    }

    /// Workers that may call these fakes, and them alone of what is private.
    async fn open_to(outside: &outside::Outside, now: DateTime<Utc>) -> Self {
        Self::open_in(TestDb::new().await, outside, now).await
    }

    /// The same, and the operator has the Svix out there.
    async fn open_with_svix(outside: &outside::Outside, now: DateTime<Utc>) -> Self {
        let mut office = Self::closed(now).await;
        office.parts.egress = egress(&[format!("127.0.0.1:{}", outside.http_port)]);
        office.parts.mailer = Some(mailer(&outside.smtp_url()));
        office.parts.svix = Some(outside::svix(outside.http_port));
        office.work().await;
        office
    }

    /// The same in a database that is there.
    async fn open_in(db: TestDb, outside: &outside::Outside, now: DateTime<Utc>) -> Self {
        let mut office = Self::closed_in(db, now).await;
        office.parts.egress = egress(&[format!("127.0.0.1:{}", outside.http_port)]);
        office.parts.mailer = Some(mailer(&outside.smtp_url()));
        office.work().await;
        office
    }

    fn set_clock(&self, now: DateTime<Utc>) {
        *self.clock.0.lock().unwrap() = now;
    }

    /// The jobs of a queue.
    async fn jobs(&self, queue: &str) -> Vec<JobRow> {
        let mut conn = self.queue.conn().await.unwrap();
        let filter = Filter { queue: Some(queue.to_owned()), ..Filter::default() };
        ops::list(&mut conn, &filter, None, 500).await.unwrap().items
    }

    /// Waits until the jobs of a queue are so.
    async fn until(&self, queue: &str, so: impl Fn(&[JobRow]) -> bool) -> Vec<JobRow> {
        let begun = Instant::now();
        loop {
            let jobs = self.jobs(queue).await;
            if so(&jobs) {
                return jobs;
            }
            assert!(begun.elapsed() < PATIENCE, "the jobs of {queue} never were so: {jobs:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until no job of a queue is due or runs.
    async fn settled(&self, queue: &str) {
        let busy = |job: &JobRow| matches!(job.state, State::Ready | State::Running);
        self.until(queue, |jobs| !jobs.iter().any(busy)).await;
    }

    /// Waits until nothing is due or runs at all, which one job that asks for another does not feign: each push is
    /// committed before its pusher is done.
    async fn quiet(&self) {
        let begun = Instant::now();
        while !self.is_quiet().await {
            assert!(begun.elapsed() < PATIENCE, "there is always something to do");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Has every job of a queue that waits for its time run now.
    async fn wake(&self, queue: &str) {
        for job in self.jobs(queue).await {
            if matches!(job.state, State::Retrying | State::Scheduled) {
                let mut conn = self.queue.conn().await.unwrap();
                ops::retry_now(&mut conn, job.id, None).await.unwrap();
            }
        }
    }

    /// Nothing is left over: no job that waits, none that died but by the customer's own doing.
    async fn nothing_is_left(&self, story: &str) {
        let left = self.unfinished().await;
        assert!(left.is_empty(), "{story}: left over: {left:#?}");
    }

    /// The jobs that are not done, but for those that only the customer can mend.
    async fn unfinished(&self) -> Vec<JobRow> {
        self.look_for_unfinished().await.unwrap()
    }

    /// The same of a database that may be away.
    async fn look_for_unfinished(&self) -> Result<Vec<JobRow>, QueueError> {
        let mut conn = self.queue.conn().await?;
        let all = ops::list(&mut conn, &Filter::default(), None, 500).await?.items;
        let customers_own = |job: &JobRow| job.class == Some(costlens_queue::ErrorClass::CustomerAction);
        Ok(all.into_iter().filter(|job| job.state != State::Done && !customers_own(job)).collect())
    }

    /// New connections, after the database was away.
    fn reconnect(&mut self) {
        self.queue = queue(self.db.runtime_url());
        self.parts.store = Store::connect(&patient(self.db.runtime_url())).unwrap();
    }

    async fn is_quiet(&self) -> bool {
        !self.unfinished().await.iter().any(|job| matches!(job.state, State::Ready | State::Running))
    }

    /// Has every job that waits for its time run now.
    async fn wake_all(&self) {
        for job in self.unfinished().await {
            if matches!(job.state, State::Retrying | State::Scheduled) {
                let mut conn = self.queue.conn().await.unwrap();
                ops::retry_now(&mut conn, job.id, None).await.unwrap();
            }
        }
    }

    async fn end(self) {
        self.quiet().await;
        self.nothing_is_left("at the end").await;
        self.close().await;
    }

    async fn stop_work(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.working.take().unwrap().await.unwrap();
    }

    /// Starts workers. Their schedules rest: a test says what runs when, and one that ticked because the clock was moved
    /// would take that from it, or not, as the machine is quick or slow.
    async fn work(&mut self) {
        costlens_workers::prepare(&self.queue, &self.parts).await.unwrap();
        self.sql("UPDATE queue.schedule SET paused = true").await;
        let (stop, stopped) = oneshot::channel::<()>();
        let workers = costlens_workers::workers(self.queue.clone(), "test", &self.parts);
        let until = async { drop(stopped.await) };
        self.working = Some(tokio::spawn(async { workers.run_until(until).await.unwrap() }));
        self.stop = Some(stop);
    }

    /// Whoever works from now on ticks the schedules, too.
    async fn wake_schedules(&self) {
        self.sql("UPDATE queue.schedule SET paused = false").await;
    }

    /// Ends the workers as a process does that is killed.
    async fn die(&mut self) {
        let working = self.working.take().unwrap();
        working.abort();
        assert!(working.await.unwrap_err().is_cancelled());
    }

    /// The same before anybody works.
    async fn closed(now: DateTime<Utc>) -> Self {
        Self::closed_in(TestDb::new().await, now).await
    }

    async fn closed_in(db: TestDb, now: DateTime<Utc>) -> Self {
        db.add(vec![costlens_workers::schema()]).await;
        let queue = queue(db.runtime_url());
        let clock = Arc::new(ManualClock(Mutex::new(now)));
        let business = Arc::clone(&clock) as Arc<dyn Clock>;
        let keyring = Arc::new(Keyring::new(MasterKey::parse(MASTER_KEY).unwrap()));
        let files = tempfile::tempdir().unwrap();
        let reader = Arc::<bills::TinyReader>::default();
        let parts = WorkerParts {
            store: db.store().clone(),
            clock: business,
            clocks_apart: None,
            keyring,
            entropy: Arc::new(OsEntropy),
            objects: Objects::local(files.path()).unwrap(),
            max_export_bytes: 1 << 20,
            aws: None,
            scratch: costlens_workers::aws_accounts::ScratchDir::below(&files.path().join("scratch")),
            max_bill_bytes: 1 << 20,
            invoices: costlens_workers::InvoiceHosts::new(&[], &costlens_egress::Policy::default()).unwrap(),
            bills: Arc::clone(&reader) as _,
            parquet: Arc::new(exports::Lines),
            egress: egress(&[]),
            mailer: None,
            svix: None,
            links: Links::below("https://costlens.example"),
            clerk: None,
            status: StatusTargets::default(),
            prices_url: None,
            forever_body_days: None,
        };
        Self { db, queue, parts, clock, reader, files, stop: None, working: None }
    }

    /// Runs statements as the database's owner.
    async fn sql(&self, statements: &str) {
        let mut owner = AsyncPgConnection::establish(self.db.owner_url()).await.unwrap();
        owner.batch_execute(statements).await.unwrap();
    }

    async fn enqueue(&self, queue: &str) -> Uuid {
        self.ask(NewJob::raw(queue, json!({}))).await
    }

    /// Enqueues a job.
    async fn ask(&self, job: NewJob) -> Uuid {
        let mut conn = self.queue.conn().await.unwrap();
        match costlens_queue::enqueue(&mut conn, &[job]).await.unwrap().as_slice() {
            [Enqueued::New(id)] => *id,
            other => panic!("{other:?}"),
        }
    }

    /// Runs a job of this queue to its end.
    async fn run(&self, queue: &str) -> JobDetails {
        let id = self.enqueue(queue).await;
        self.ended(queue, id).await
    }

    /// Waits for a job's end.
    async fn ended(&self, queue: &str, id: Uuid) -> JobDetails {
        let begun = Instant::now();
        loop {
            let mut conn = self.queue.conn().await.unwrap();
            let job = ops::show(&mut conn, id, None).await.unwrap().unwrap();
            if matches!(job.job.state, State::Done | State::Dead | State::Cancelled) {
                return job;
            }
            assert!(begun.elapsed() < PATIENCE, "the job of {queue} did not end: {job:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn close(mut self) {
        self.stop_work().await;
    }
}

/// The product's queue in this database, for a busy machine.
fn queue(runtime_url: &str) -> Queue {
    let url = costlens_store::worker_url(runtime_url).unwrap();
    Queue::new(&QueueConfig { acquire_timeout: ACQUIRE_TIMEOUT, ..QueueConfig::new(url) }).unwrap()
}

fn mailer(url: &str) -> Mailer {
    let config = MailerConfig {
        url: url.to_owned(),
        from: "Costlens <costlens@example.com>".to_owned(),
        timeout: Duration::from_secs(30),
        extra_roots: Vec::new(),
    };
    Mailer::new(&config).unwrap()
}

/// The way out, to public addresses and these hosts.
fn egress(private: &[String]) -> Egress {
    let allow_private = private.iter().map(|host| host.parse().unwrap()).collect();
    Egress::new(EgressConfig { policy: Policy { allow_private }, ..EgressConfig::default() }).unwrap()
}
