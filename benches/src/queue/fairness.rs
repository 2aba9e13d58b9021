//! What a thousand tenants with a job each feel of one with twenty thousand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use costlens_queue::{Job, JobContext, NewJob, Queue, Settings, Workers, enqueue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Outcome, median};

const QUIET: u128 = 1_000;
const NOISE: usize = 20_000;
/// The noisy one.
const NOISY: Uuid = Uuid::from_u128(1);

#[derive(Serialize, Deserialize)]
struct Short {}

impl Job for Short {
    const QUEUE: &'static str = "short.v1";
}

/// The median wait of the quiet ones, alone and beside the noisy one.
pub(crate) async fn waits(queue: &Queue) -> Outcome<(Duration, Duration)> {
    Ok((wait(queue, 0).await?, wait(queue, NOISE).await?))
}

async fn wait(queue: &Queue, noise: usize) -> Outcome<Duration> {
    let mut conn = queue.conn().await?;
    let noisy = std::iter::repeat_n(NOISY, noise);
    let tenants: Vec<Uuid> = noisy.chain((0..QUIET).map(|at| Uuid::from_u128(100 + at))).collect();
    for some in tenants.chunks(500) {
        let new = some.iter().map(|tenant| Ok(NewJob::of(&Short {})?.tenant(*tenant)));
        enqueue(&mut conn, &new.collect::<Outcome<Vec<_>>>()?).await?;
    }
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&waits);
    let begun = Instant::now();
    let short = move |_: Short, context: JobContext| {
        if context.tenant() != Some(NOISY) {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(begun.elapsed());
        }
        async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        }
    };
    let workers = Workers::new(queue.clone(), "bench").job(Settings::default(), 20, short);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(workers.run_until(async { drop(stopped.await) }));
    let mut heard = loop {
        let heard = waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if heard.len() as u128 == QUIET {
            break heard;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    drop(stop);
    working.await??;
    Ok(median(&mut heard))
}
