//! Which connections are to be looked at, each minute.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::{AwsConnectionId, TenantId};
use costlens_jobs::aws::ask_to_check;
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// How many are found in one step.
const STEP: u32 = 200;
/// How long a look may be due before it is asked for anew: its job is lost, or a dead letter.
const LOST: TimeDelta = TimeDelta::minutes(10);

/// Finds what is to be looked at.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindAwsChecks {}

impl Job for FindAwsChecks {
    const QUEUE: &'static str = "aws-checks.v1";
}

pub(crate) async fn find_aws_checks(
    _job: FindAwsChecks,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    if parts.aws.is_none() {
        return Ok(());
    }
    let now = parts.clock.now();
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let due = system.due_aws_connections(now, after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some((_, last)) = due.last() else { return Ok(()) };
        after = Some(*last);
        for (tenant, connection) in due {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            ask(&parts, tenant, connection, now).await.map_err(store_failure)?;
        }
    }
}

/// One look for each moment that was set for one.
async fn ask(
    parts: &WorkerParts,
    tenant: TenantId,
    connection: AwsConnectionId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut conn = parts.store.tenant(tenant).await?;
    let next = match conn.aws_connection(connection).await {
        Ok(found) => found.next_check_at,
        Err(StoreError::NotFound) => None,
        Err(error) => return Err(error),
    };
    let Some(due) = next.filter(|due| *due <= now) else { return Ok(()) };
    let is_lost = due < now - LOST;
    // The ten minutes' number: a lost look is asked for once in them.
    let at =
        if is_lost { DateTime::from_timestamp(now.timestamp() / 600 * 600, 0).unwrap_or(now) } else { due };
    ask_to_check(&mut conn, connection, at, false).await?;
    conn.commit().await
}
