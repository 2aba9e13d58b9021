//! Empty jobs, from the first claim to the last outcome in the database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use costlens_queue::ops::{self, Filter, State};
use costlens_queue::{Job, JobContext, NewJob, Queue, Settings, Workers, enqueue};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use uuid::Uuid;

use crate::Outcome;

/// How many handlers run at once.
pub(crate) const CONCURRENCY: usize = 100;
/// How many tenants the jobs belong to.
pub(crate) const TENANTS: u128 = 20;

#[derive(Serialize, Deserialize)]
struct Noop {}

impl Job for Noop {
    const QUEUE: &'static str = "noop.v1";
}

/// How long our queue takes.
pub(crate) async fn ours(queue: &Queue, jobs: usize) -> Outcome<Duration> {
    let before = done(queue).await?;
    let mut conn = queue.conn().await?;
    let all: Vec<usize> = (0..jobs).collect();
    for some in all.chunks(500) {
        let new = some.iter().map(|at| Ok(NewJob::of(&Noop {})?.tenant(tenant(*at))));
        enqueue(&mut conn, &new.collect::<Outcome<Vec<_>>>()?).await?;
    }
    drop(conn);
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let workers = Workers::new(queue.clone(), "bench").job(
        Settings::default(),
        CONCURRENCY,
        move |_: Noop, _: JobContext| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        },
    );
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let started = Instant::now();
    let working = tokio::spawn(workers.run_until(async { drop(stopped.await) }));
    while ran.load(Ordering::Relaxed) < jobs {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    while done(queue).await? < before + jobs {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed();
    drop(stop);
    working.await??;
    if ran.load(Ordering::Relaxed) == jobs { Ok(took) } else { Err("some jobs ran twice".into()) }
}

/// One of the tenants.
fn tenant(at: usize) -> Uuid {
    Uuid::from_u128(1 + at as u128 % TENANTS)
}

async fn done(queue: &Queue) -> Outcome<usize> {
    let filter = Filter { queue: Some(Noop::QUEUE.to_owned()), ..Filter::default() };
    let mut conn = queue.conn().await?;
    let counts = ops::count_by_state(&mut conn, &filter).await?;
    let done = counts.iter().find(|count| count.state == State::Done);
    Ok(done.map_or(0, |count| usize::try_from(count.jobs).unwrap_or_default()))
}

/// How graphile-worker claims and completes.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Each job by itself.
    Plain,
    /// Many at once.
    Batched,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Batched => "batched",
        }
    }
}

/// How long graphile-worker takes, by its own clock.
pub(crate) async fn graphile(folder: &Path, url: &str, jobs: usize, mode: Mode) -> Outcome<Duration> {
    let mut command = Command::new("node");
    command
        .arg("drain.mjs")
        .args([url, &jobs.to_string(), &CONCURRENCY.to_string(), mode.name()])
        .current_dir(folder);
    theirs(command).await
}

/// How long apalis-postgres takes, by its own clock, if it claims so many at a time.
pub(crate) async fn apalis(program: &Path, url: &str, jobs: usize, batch: usize) -> Outcome<Duration> {
    let mut command = Command::new(program);
    command.args([url, &jobs.to_string(), &CONCURRENCY.to_string(), &batch.to_string()]);
    theirs(command).await
}

/// The milliseconds that a program prints.
async fn theirs(mut command: Command) -> Outcome<Duration> {
    let output = command.output().await?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Duration::from_millis(String::from_utf8(output.stdout)?.trim().parse()?))
}
