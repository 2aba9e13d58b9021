//! Forgetting a tenant: every row that names it or was made for it.

use diesel::sql_types::{BigInt, Integer, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::QueueError;

/// What is left of a tenant after a step of erasing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Jobs and runs that were removed.
    pub rows: usize,
    /// Jobs that run just now and stay until they end: call again.
    pub running: usize,
    /// Whether a step was full, so that there may be more.
    pub more: bool,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Deletes one step (at most so many rows of a kind) of what the queue holds of a tenant: its jobs, whatever their
/// state, but for those that a worker has; its runs with their steps, signals and effects; its schedules and its turn.
pub async fn erase_tenant(
    conn: &mut AsyncPgConnection,
    tenant: Uuid,
    most: u32,
) -> Result<Erased, QueueError> {
    let statements = [
        "DELETE FROM queue.job WHERE id IN (SELECT id FROM queue.job WHERE tenant = $1 AND status <> 'running' \
         LIMIT $2 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM queue.run WHERE id IN (SELECT r.id FROM queue.run AS r WHERE r.tenant = $1 \
         AND NOT EXISTS (SELECT FROM queue.job AS j WHERE j.run = r.id) LIMIT $2)",
        "DELETE FROM queue.schedule WHERE name IN (SELECT name FROM queue.schedule WHERE tenant = $1 LIMIT $2)",
        "DELETE FROM queue.turn WHERE lane = $1 AND $2 > 0",
    ];
    let mut erased = Erased::default();
    let step = usize::try_from(most).unwrap_or(usize::MAX);
    for sql in statements {
        let rows = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Integer, _>(i32::try_from(most).unwrap_or(i32::MAX))
            .execute(conn)
            .await?;
        erased.rows += rows;
        erased.more |= rows >= step;
    }
    let running: Count = diesel::sql_query("SELECT count(*) AS rows FROM queue.job WHERE tenant = $1")
        .bind::<SqlUuid, _>(tenant)
        .get_result(conn)
        .await?;
    erased.running = usize::try_from(running.rows).unwrap_or_default();
    Ok(erased)
}
