//! Empty jobs through apalis-postgres, one handler a job.
//!
//! Usage: `bench-apalis URL JOBS CONCURRENCY BATCH`; prints the milliseconds from the start to the last completion in
//! the database. It claims BATCH jobs at a time: 10 is its default; with 1 a healthy worker whose jobs are slow cannot
//! be taken for a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Claimed more often than it can be, so that its own pace is measured and not a pause between two claims.
const POLL: Duration = Duration::from_millis(1);

#[derive(Serialize, Deserialize)]
struct Noop {}

async fn noop(_: Noop, ran: Data<Arc<AtomicUsize>>) {
    ran.fetch_add(1, Ordering::Relaxed);
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, jobs, concurrency, batch] = args.as_slice() else {
        return Err("URL JOBS CONCURRENCY BATCH".into());
    };
    let (jobs, concurrency, batch) = (jobs.parse()?, concurrency.parse()?, batch.parse()?);
    let pool = PgPool::connect(url).await?;
    PostgresStorage::setup(&pool).await?;
    // A name of its own each time: jobs of an earlier run are no part of this one.
    let queue = format!("noop-{}", std::process::id());
    let mut storage =
        PostgresStorage::new(&pool).with_config(Config::default().queue(&queue).batch_size(batch));
    for at in (0..jobs).step_by(500) {
        storage.push_bulk((at..jobs.min(at + 500)).map(|_| Noop {}).collect()).await?;
    }
    let ran = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let worker = WorkerBuilder::new(queue.clone())
        .backend(storage.poll_with_interval(POLL))
        .concurrency(concurrency)
        .data(Arc::clone(&ran))
        .build(noop);
    let working = tokio::spawn(worker.run());
    while ran.load(Ordering::Relaxed) < jobs {
        still(&working)?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    while done(&pool, &queue).await? < jobs {
        still(&working)?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed();
    working.abort();
    let ran = ran.load(Ordering::Relaxed);
    if ran != jobs {
        return Err(format!("{jobs} jobs ran {ran} times").into());
    }
    println!("{}", took.as_millis());
    Ok(())
}

fn still<T>(working: &tokio::task::JoinHandle<T>) -> Outcome<()> {
    if working.is_finished() { Err("the worker ended".into()) } else { Ok(()) }
}

async fn done(pool: &PgPool, queue: &str) -> Outcome<usize> {
    let count = "SELECT count(*) FROM apalis.jobs WHERE job_type = $1 AND status = 'Done'";
    let done: i64 = sqlx::query_scalar(count).bind(queue).fetch_one(pool).await?;
    Ok(usize::try_from(done)?)
}
