//! Days of calls to come have their partition before the first call of the day waits for it.

use costlens_queue::{Job, JobContext, JobError};
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// How many days are made, today's included. The writer makes a missing one itself; this keeps calls from waiting.
const DAYS: u32 = 8;

/// Makes what is missing. Nothing to say: the days follow from the clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EnsurePartitions {}

impl Job for EnsurePartitions {
    const QUEUE: &'static str = "partitions.v1";
}

pub(crate) async fn ensure_partitions(
    _job: EnsurePartitions,
    _context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let today = parts.clock.now().date_naive();
    let mut writer = parts.store.writer().await.map_err(store_failure)?;
    writer.ensure_partitions(today, DAYS).await.map_err(store_failure)
}
