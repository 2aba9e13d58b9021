//! Workflows from outside: a job goes in, the database is looked at afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod bills;
mod doors;
mod key_rotation;
mod upkeep;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use costlens_domain::ports::{Clock, Entropy};
use costlens_objects::Objects;
use costlens_queue::ops::{self, JobDetails, State};
use costlens_queue::{Enqueued, NewJob, Queue};
use costlens_store::testing::TestDb;
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use costlens_workers::WorkerParts;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The master key of every test that does not bring its own.
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A clock that the test moves.
#[derive(Debug)]
struct ManualClock(Mutex<DateTime<Utc>>);

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Bytes that no other call of this process got.
#[derive(Debug)]
struct Counting;

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(10) {
            let unlike = costlens_store::testing::unlike_bytes();
            chunk.iter_mut().zip(unlike.iter().rev()).for_each(|(to, from)| *to = *from);
        }
    }
}

/// A database with the queue's schema, and workers that run on it.
struct Office {
    db: TestDb,
    queue: Queue,
    parts: WorkerParts,
    reader: Arc<bills::TinyReader>,
    _files: tempfile::TempDir,
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

    /// Starts workers.
    async fn work(&mut self) {
        costlens_workers::prepare(&self.queue, &self.parts).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let workers = costlens_workers::workers(self.queue.clone(), "test", &self.parts);
        let until = async { drop(stopped.await) };
        self.working = Some(tokio::spawn(async { workers.run_until(until).await.unwrap() }));
        self.stop = Some(stop);
    }

    /// Ends the workers as a process does that is killed.
    async fn die(&mut self) {
        let working = self.working.take().unwrap();
        working.abort();
        assert!(working.await.unwrap_err().is_cancelled());
    }

    /// The same before anybody works.
    async fn closed(now: DateTime<Utc>) -> Self {
        let db = TestDb::new().await;
        db.add(vec![costlens_workers::schema()]).await;
        let queue = costlens_workers::queue(db.runtime_url()).unwrap();
        let clock = Arc::new(ManualClock(Mutex::new(now)));
        let keyring = Arc::new(Keyring::new(MasterKey::parse(MASTER_KEY).unwrap()));
        let files = tempfile::tempdir().unwrap();
        let reader = Arc::<bills::TinyReader>::default();
        let parts = WorkerParts {
            store: db.store().clone(),
            clock,
            keyring,
            entropy: Arc::new(OsEntropy),
            objects: Objects::local(files.path()).unwrap(),
            bills: Arc::clone(&reader) as _,
        };
        Self { db, queue, parts, reader, _files: files, stop: None, working: None }
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
        for _ in 0..300 {
            let mut conn = self.queue.conn().await.unwrap();
            let job = ops::show(&mut conn, id, None).await.unwrap().unwrap();
            if matches!(job.job.state, State::Done | State::Dead | State::Cancelled) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the job of {queue} did not end");
    }

    async fn close(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.working.take().unwrap().await.unwrap();
    }
}
