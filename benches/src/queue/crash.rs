//! A worker that is killed in the middle of a job, and how soon another one begins it again, with default settings.

use std::process::Stdio;
use std::time::{Duration, Instant};

use costlens_queue::{Job, JobContext, NewJob, Queue, QueueConfig, Settings, Workers, enqueue};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Outcome;

#[derive(Serialize, Deserialize)]
struct Endless {}

impl Job for Endless {
    const QUEUE: &'static str = "endless.v1";
}

/// Takes one job, says so, and never ends it.
pub(crate) async fn sleeper(url: &str) -> Outcome<()> {
    let queue = Queue::new(&QueueConfig::new(url))?;
    let endless = |_: Endless, _: JobContext| async {
        println!("started");
        std::future::pending().await
    };
    Workers::new(queue, "sleeper")
        .job(Settings::default(), 1, endless)
        .run_until(std::future::pending())
        .await?;
    Ok(())
}

/// From the kill to the second beginning.
pub(crate) async fn restart(queue: &Queue, url: &str) -> Outcome<Duration> {
    let mut conn = queue.conn().await?;
    enqueue(&mut conn, &[NewJob::of(&Endless {})?]).await?;
    let mut first = start(url)?;
    begun(&mut first).await?;
    let mut second = start(url)?;
    // It has to be up, or its start would be measured.
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.kill().await?;
    let killed = Instant::now();
    begun(&mut second).await?;
    let took = killed.elapsed();
    second.kill().await?;
    Ok(took)
}

fn start(url: &str) -> Outcome<Child> {
    let child = Command::new(std::env::current_exe()?)
        .args(["sleeper", url])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

async fn begun(child: &mut Child) -> Outcome<()> {
    let out = child.stdout.take().ok_or("no standard output")?;
    let mut lines = BufReader::new(out).lines();
    let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await;
    line??.map(drop).ok_or_else(|| "the worker ended".into())
}
