//! Doing something about jobs.

use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

use super::{Filter, MATCHES, State, bind_filter};
use crate::QueueError;

/// What cancelling a job did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// It had not begun and never will.
    Now,
    /// Its handler was asked to stop; it is cancelled when the handler says so or fails.
    Asked,
    /// It had ended before.
    TooLate,
    /// There is no such job.
    Unknown,
}

#[derive(diesel::QueryableByName)]
struct StatusRow {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Text)]
    queue: String,
}

/// Cancels a job that waits, or asks a running one to stop.
pub async fn cancel(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    tenant: Option<Uuid>,
) -> Result<Cancelled, QueueError> {
    let sql = "SELECT status, queue FROM queue.job WHERE id = $1 AND ($2::uuid IS NULL OR tenant = $2)";
    let found: Option<StatusRow> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<SqlUuid>, _>(tenant)
        .get_result(conn)
        .await
        .optional()?;
    if found.is_none() {
        return Ok(Cancelled::Unknown);
    }
    let sql = "UPDATE queue.job SET cancel_requested = true, waits_for = NULL, \
        status = CASE status WHEN 'pending' THEN 'cancelled' ELSE status END, \
        done_at = CASE status WHEN 'pending' THEN clock_timestamp() END \
        WHERE id = $1 AND status IN ('pending', 'running') RETURNING status, queue";
    let now: Option<StatusRow> =
        diesel::sql_query(sql).bind::<SqlUuid, _>(id).get_result(conn).await.optional()?;
    match now {
        None => Ok(Cancelled::TooLate),
        Some(row) if row.status == "cancelled" => Ok(Cancelled::Now),
        Some(row) => {
            let sql = "SELECT pg_notify('queue_cancel', $1)";
            diesel::sql_query(sql).bind::<Text, _>(row.queue).execute(conn).await?;
            Ok(Cancelled::Asked)
        }
    }
}

#[derive(diesel::QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    jobs: i64,
}

/// Dead letters only, whatever else the filter says.
fn dead(filter: &Filter) -> Filter {
    Filter { state: Some(State::Dead), ..filter.clone() }
}

/// How many dead letters [`redrive`] would bring back.
pub async fn redrive_preview(conn: &mut AsyncPgConnection, filter: &Filter) -> Result<i64, QueueError> {
    let sql = format!("SELECT count(*) AS jobs FROM queue.job AS j WHERE {MATCHES}");
    let row: CountRow = bind_filter!(sql, &dead(filter)).get_result(conn).await?;
    Ok(row.jobs)
}

#[derive(diesel::QueryableByName)]
struct QueueRow {
    #[diesel(sql_type = Text)]
    queue: String,
}

/// Brings matching dead letters back with all their attempts, the oldest first and `most` at most, due `per_second` of
/// them a second from now on, so that what failed together does not return together. Answers how many.
pub async fn redrive(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    per_second: u32,
    most: u32,
) -> Result<usize, QueueError> {
    let sql = format!(
        "WITH locked AS (SELECT j.id FROM queue.job AS j WHERE {MATCHES} ORDER BY j.id LIMIT $8 \
                         FOR NO KEY UPDATE SKIP LOCKED), \
         numbered AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM locked) \
         UPDATE queue.job AS j SET status = 'pending', attempts = 0, crashes = 0, crashed_under = NULL, done_at = NULL, \
             cancel_requested = false, \
             run_at = statement_timestamp() + numbered.n * interval '1 second' / $7, \
             story = queue.told(j.story, jsonb_build_object('at', clock_timestamp(), 'code', 'redriven')) \
         FROM numbered WHERE numbered.id = j.id RETURNING j.queue"
    );
    let rows: Vec<QueueRow> = bind_filter!(sql, &dead(filter))
        .bind::<Integer, _>(i32::try_from(per_second.max(1)).unwrap_or(i32::MAX))
        .bind::<BigInt, _>(i64::from(most))
        .load(conn)
        .await?;
    let count = rows.len();
    let mut queues: Vec<String> = rows.into_iter().map(|row| row.queue).collect();
    queues.sort_unstable();
    queues.dedup();
    for queue in queues {
        diesel::sql_query("SELECT pg_notify('queue_wake', $1)").bind::<Text, _>(queue).execute(conn).await?;
    }
    Ok(count)
}

/// Brings one dead letter back, or makes a job that waits for its next attempt or its time due now. Whether there was
/// one.
pub async fn retry_now(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    tenant: Option<Uuid>,
) -> Result<bool, QueueError> {
    let sql = "UPDATE queue.job AS j SET status = 'pending', run_at = clock_timestamp(), done_at = NULL, \
            attempts = CASE j.status WHEN 'dead' THEN 0 ELSE j.attempts END, \
            crashes = CASE j.status WHEN 'dead' THEN 0 ELSE j.crashes END, \
            crashed_under = CASE j.status WHEN 'dead' THEN NULL ELSE j.crashed_under END, \
            cancel_requested = j.cancel_requested AND j.status <> 'dead', \
            story = CASE j.status WHEN 'dead' THEN queue.told(j.story, \
                jsonb_build_object('at', clock_timestamp(), 'code', 'redriven')) ELSE j.story END \
        WHERE j.id = $1 AND ($2::uuid IS NULL OR j.tenant = $2) \
          AND (j.status = 'dead' OR (j.status = 'pending' AND j.waits_for IS NULL)) RETURNING j.queue";
    let row: Option<QueueRow> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<SqlUuid>, _>(tenant)
        .get_result(conn)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(false) };
    diesel::sql_query("SELECT pg_notify('queue_wake', $1)").bind::<Text, _>(row.queue).execute(conn).await?;
    Ok(true)
}

/// Puts matching dead letters away for good, `most` at most, with the reason in their story. Answers how many.
pub async fn discard(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    reason: &str,
    most: u32,
) -> Result<usize, QueueError> {
    let sql = format!(
        "WITH locked AS (SELECT j.id FROM queue.job AS j WHERE {MATCHES} ORDER BY j.id LIMIT $8 \
                         FOR NO KEY UPDATE SKIP LOCKED) \
         UPDATE queue.job AS j SET status = 'cancelled', done_at = clock_timestamp(), \
             story = queue.told(j.story, jsonb_build_object( \
                 'at', clock_timestamp(), 'code', 'discarded', 'error', $7::text)) \
         FROM locked WHERE locked.id = j.id"
    );
    let discarded = bind_filter!(sql, &dead(filter))
        .bind::<Text, _>(crate::fault::clean(reason))
        .bind::<BigInt, _>(i64::from(most))
        .execute(conn)
        .await?;
    Ok(discarded)
}

/// Puts one dead letter away for good, with the reason in its story. Whether there was one.
pub async fn discard_one(conn: &mut AsyncPgConnection, id: Uuid, reason: &str) -> Result<bool, QueueError> {
    let sql = "UPDATE queue.job AS j SET status = 'cancelled', done_at = clock_timestamp(), \
            story = queue.told(j.story, jsonb_build_object( \
                'at', clock_timestamp(), 'code', 'discarded', 'error', $2::text)) \
        WHERE j.id = $1 AND j.status = 'dead'";
    let discarded = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(crate::fault::clean(reason))
        .execute(conn)
        .await?;
    Ok(discarded > 0)
}
