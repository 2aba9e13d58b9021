//! Workflows from outside: a job goes in, the database is looked at afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod doors;
mod upkeep;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;
use costlens_queue::ops::{self, JobDetails, State};
use costlens_queue::{Enqueued, NewJob, Queue};
use costlens_store::testing::TestDb;
use costlens_workers::WorkerParts;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

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
    stop: Option<oneshot::Sender<()>>,
    working: Option<tokio::task::JoinHandle<()>>,
}

impl Office {
    /// Workers whose clock stands at this moment.
    async fn open(now: DateTime<Utc>) -> Self {
        let mut office = Self::closed(now).await;
        costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let workers = costlens_workers::workers(office.queue.clone(), "test", &office.parts);
        let until = async { drop(stopped.await) };
        office.working = Some(tokio::spawn(async { workers.run_until(until).await.unwrap() }));
        office.stop = Some(stop);
        office
    }

    /// The same before anybody works.
    async fn closed(now: DateTime<Utc>) -> Self {
        let db = TestDb::new().await;
        db.add(vec![costlens_workers::schema()]).await;
        let queue = costlens_workers::queue(db.runtime_url()).unwrap();
        let clock = Arc::new(ManualClock(Mutex::new(now)));
        let parts = WorkerParts { store: db.store().clone(), clock };
        Self { db, queue, parts, stop: None, working: None }
    }

    /// Runs statements as the database's owner.
    async fn sql(&self, statements: &str) {
        let mut owner = AsyncPgConnection::establish(self.db.owner_url()).await.unwrap();
        owner.batch_execute(statements).await.unwrap();
    }

    async fn enqueue(&self, queue: &str) -> Uuid {
        let mut conn = self.queue.conn().await.unwrap();
        let job = [NewJob::raw(queue, json!({}))];
        match costlens_queue::enqueue(&mut conn, &job).await.unwrap().as_slice() {
            [Enqueued::New(id)] => *id,
            other => panic!("{other:?}"),
        }
    }

    /// Runs a job of this queue to its end.
    async fn run(&self, queue: &str) -> JobDetails {
        let id = self.enqueue(queue).await;
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
