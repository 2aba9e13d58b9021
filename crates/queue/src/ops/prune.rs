//! Forgetting what has ended long ago, in steps that are over soon.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::QueueError;
use crate::enqueue::millis;

/// How long rows are kept after they ended. A key can be used again once its row is gone.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Jobs that succeeded.
    pub done: Duration,
    /// Jobs that were cancelled or discarded.
    pub cancelled: Duration,
    /// Dead letters.
    pub dead: Duration,
    /// Runs that ended, with their steps, signals and effects.
    pub runs: Duration,
    /// The most rows of a kind in one call.
    pub step: u32,
}

impl Default for Retention {
    /// A week for what is done or cancelled, ninety days for dead letters and runs, five thousand rows a step.
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { done: days(7), cancelled: days(7), dead: days(90), runs: days(90), step: 5_000 }
    }
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Jobs.
    pub jobs: usize,
    /// Runs.
    pub runs: usize,
    /// Whether a step was full, so that there may be more.
    pub more: bool,
}

/// Deletes one step of what is older than it need be. Call it again while there is [`Pruned::more`].
pub async fn prune(conn: &mut AsyncPgConnection, retention: &Retention) -> Result<Pruned, QueueError> {
    let mut pruned = Pruned::default();
    let step = usize::try_from(retention.step).unwrap_or(usize::MAX);
    let kinds = [("done", retention.done), ("cancelled", retention.cancelled), ("dead", retention.dead)];
    for (status, age) in kinds {
        let sql = "DELETE FROM queue.job WHERE id IN (SELECT id FROM queue.job WHERE status = $1 \
            AND done_at < clock_timestamp() - $2 * interval '1 millisecond' \
            ORDER BY done_at LIMIT $3 FOR UPDATE SKIP LOCKED)";
        let deleted = diesel::sql_query(sql)
            .bind::<Text, _>(status)
            .bind::<BigInt, _>(millis(age))
            .bind::<BigInt, _>(i64::from(retention.step))
            .execute(conn)
            .await?;
        pruned.jobs += deleted;
        pruned.more |= deleted >= step;
    }
    // A run whose job is a dead letter may still be redriven.
    let sql = "DELETE FROM queue.run WHERE id IN (SELECT r.id FROM queue.run AS r WHERE r.state <> 'running' \
        AND r.done_at < clock_timestamp() - $1 * interval '1 millisecond' \
        AND NOT EXISTS (SELECT FROM queue.job AS j WHERE j.run = r.id) \
        ORDER BY r.done_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    pruned.runs = diesel::sql_query(sql)
        .bind::<BigInt, _>(millis(retention.runs))
        .bind::<BigInt, _>(i64::from(retention.step))
        .execute(conn)
        .await?;
    pruned.more |= pruned.runs >= step;
    Ok(pruned)
}
