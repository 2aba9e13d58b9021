//! Jobs and workers as the tests use them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt, WorkerError};
use apalis_core::error::BoxDynError;
use costlens_queue::{Backoff, Enqueued, Job, JobContext, JobError, NewJob, Queue, Settings, enqueue};
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::postgres::{Db, PATIENCE};

/// A job that says its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) n: i32,
}

impl Job for Probe {
    const QUEUE: &'static str = "probe.v1";
}

/// Settings under which a test need not wait long.
pub(crate) fn quick() -> Settings {
    Settings {
        heartbeat: Duration::from_millis(200),
        grace: Duration::from_millis(700),
        silence: Duration::from_secs(20),
        poll: Duration::from_secs(5),
        backoff: Backoff::fixed(Duration::from_millis(50)),
        ..Settings::default()
    }
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn probe(n: i32) -> NewJob {
    NewJob::of(&Probe { n }).unwrap()
}

/// Enqueues and commits.
pub(crate) async fn put(db: &Db, jobs: Vec<NewJob>) -> Vec<Uuid> {
    let written = enqueue(&mut db.conn().await, &jobs).await.unwrap();
    let id = |written| match written {
        Enqueued::New(id) => id,
        Enqueued::AlreadyThere => panic!("a job is there already"),
    };
    written.into_iter().map(id).collect()
}

/// Writes down that a job is in a phase.
pub(crate) async fn note(queue: &Queue, n: i32, phase: &str, worker: &str) -> Result<(), JobError> {
    let mut conn = queue.conn().await?;
    diesel::sql_query("INSERT INTO ran (n, phase, worker) VALUES ($1, $2, $3)")
        .bind::<Integer, _>(n)
        .bind::<Text, _>(phase)
        .bind::<Text, _>(worker)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// A handler whose effect and outcome are one transaction.
pub(crate) async fn effect_with_outcome(job: &Probe, ctx: &JobContext) -> Result<(), JobError> {
    let mut conn = ctx.queue().conn().await?;
    conn.transaction(async |tx| {
        diesel::sql_query("INSERT INTO effect VALUES ($1)").bind::<Integer, _>(job.n).execute(tx).await?;
        ctx.complete_in(tx).await?;
        Ok(())
    })
    .await
}

/// Where handlers wait until the test lets them go on.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        let mut opened = self.0.subscribe();
        drop(opened.wait_for(|open| *open).await);
    }
}

/// A worker that runs in the test's process.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Drains it.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker drains").unwrap().unwrap();
    }
}

/// Starts a worker whose handler is a closure.
pub(crate) fn worker<H, Fut>(
    db: &Db,
    name: &str,
    settings: Settings,
    concurrency: usize,
    handler: H,
) -> Running
where
    H: Fn(Probe, JobContext) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxDynError>> + Send + 'static,
{
    running(&db.queue(), name, settings, concurrency, handler)
}

/// The same for a queue of the caller's own.
pub(crate) fn running<H, Fut>(
    queue: &Queue,
    name: &str,
    settings: Settings,
    concurrency: usize,
    handler: H,
) -> Running
where
    H: Fn(Probe, JobContext) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxDynError>> + Send + 'static,
{
    let backend = queue.backend::<Probe>(settings);
    let worker = WorkerBuilder::new(name)
        .backend(backend)
        .concurrency(concurrency)
        .build(move |job: Probe, ctx: JobContext| handler(job, ctx));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        worker
            .run_until(async move {
                let _dropped = stopped.await;
                Ok::<(), WorkerError>(())
            })
            .await
    });
    Running { stop, task }
}

/// A worker that notes `ran` for each job and succeeds.
pub(crate) fn noting_worker(db: &Db, name: &'static str, settings: Settings) -> Running {
    worker(db, name, settings, 4, move |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", name).await?;
        Ok(())
    })
}
