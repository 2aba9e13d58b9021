//! Finished jobs are kept for a week, dead ones for 90 days, and then removed.

use costlens_queue::ops::{self, Retention};
use costlens_queue::{Job, JobContext, JobError};
use serde::{Deserialize, Serialize};

use crate::WorkerParts;

/// Removes finished jobs of the queue itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PruneQueue {}

impl Job for PruneQueue {
    const QUEUE: &'static str = "queue-rows.v1";
}

pub(crate) async fn prune_queue(
    _job: PruneQueue,
    context: JobContext,
    _parts: WorkerParts,
) -> Result<(), JobError> {
    let (mut jobs, mut runs) = (0, 0);
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut conn = context.queue().conn().await?;
        let pruned = ops::prune(&mut conn, &Retention::default()).await?;
        jobs += pruned.jobs;
        runs += pruned.runs;
        context.progress(&serde_json::json!({"jobs": jobs, "runs": runs})).await?;
        if !pruned.more {
            return Ok(());
        }
    }
}
