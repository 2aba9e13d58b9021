//! Dead letters of what nobody will ever run: a queue that no build has a worker for any more; and back, where one has.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::QueueError;
use crate::enqueue::millis;

/// What stands in a buried job's row and story.
const WHY: &str = "no worker knows this queue any more, or none does yet";

/// The code of a job that was buried.
pub const UNKNOWN: &str = "unknown_version";

/// A queue whose jobs were buried, or brought back.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Buried {
    /// The queue.
    #[diesel(sql_type = Text)]
    pub queue: String,
    /// How many of its jobs that happened to.
    #[diesel(sql_type = BigInt)]
    pub jobs: i64,
}

/// Makes dead letters of jobs whose queue is not among `registered` and that nobody has begun though they have been due
/// for `due_for`: of class `bug` and code [`UNKNOWN`], until [`unbury`] brings them back where there is a worker again.
/// At most `most` of them; call it again until it answers nothing. A queue that a living worker of another build works
/// on, as in a rolling deploy, is left to it. A run comes back to life with its job.
pub async fn bury_unknown(
    conn: &mut AsyncPgConnection,
    registered: &[&str],
    due_for: Duration,
    most: u32,
) -> Result<Vec<Buried>, QueueError> {
    // A time that a job was given may lie long before it was enqueued.
    let sql = "WITH locked AS (SELECT j.id FROM queue.job AS j \
            WHERE j.status = 'pending' AND j.queue <> ALL ($1) \
              AND greatest(j.run_at, j.created_at) < clock_timestamp() - $2 * interval '1 millisecond' \
              AND NOT EXISTS (SELECT FROM queue.session AS s WHERE s.queue = j.queue AND NOT s.given_up \
                  AND s.last_seen >= clock_timestamp() - s.silence \
                  AND (s.suspect_since IS NULL OR s.suspect_since >= clock_timestamp() - s.grace)) \
            ORDER BY j.id LIMIT $3 FOR NO KEY UPDATE OF j SKIP LOCKED), \
        buried AS (UPDATE queue.job AS j SET status = 'dead', done_at = clock_timestamp(), waits_for = NULL, \
                error = $4, error_class = 'bug', error_code = $5, \
                story = queue.told(j.story, jsonb_build_object('at', clock_timestamp(), 'class', 'bug', \
                    'code', $5::text, 'error', $4::text)) \
            FROM locked WHERE locked.id = j.id RETURNING j.queue) \
        SELECT queue, count(*) AS jobs FROM buried GROUP BY queue ORDER BY queue";
    let buried: Vec<Buried> = diesel::sql_query(sql)
        .bind::<Array<Text>, _>(registered)
        .bind::<BigInt, _>(millis(due_for))
        .bind::<BigInt, _>(i64::from(most))
        .bind::<Text, _>(WHY)
        .bind::<Text, _>(UNKNOWN)
        .load(conn)
        .await?;
    Ok(buried)
}

/// Brings back with all their attempts, and due now, what was buried of queues that there are workers for: after a
/// rollback, the next build does what its predecessor did not know. At most `most` of them; call it again until it
/// answers nothing.
pub async fn unbury(
    conn: &mut AsyncPgConnection,
    registered: &[&str],
    most: u32,
) -> Result<Vec<Buried>, QueueError> {
    let sql = "WITH locked AS (SELECT j.id FROM queue.job AS j \
            WHERE j.status = 'dead' AND j.error_code = $2 AND j.queue = ANY ($1) \
            ORDER BY j.id LIMIT $3 FOR NO KEY UPDATE OF j SKIP LOCKED), \
        raised AS (UPDATE queue.job AS j SET status = 'pending', attempts = 0, run_at = clock_timestamp(), \
                done_at = NULL, cancel_requested = false, story = queue.told(j.story, \
                    jsonb_build_object('at', clock_timestamp(), 'code', 'redriven')) \
            FROM locked WHERE locked.id = j.id RETURNING j.queue) \
        SELECT queue, count(*) AS jobs FROM raised GROUP BY queue ORDER BY queue";
    let raised: Vec<Buried> = diesel::sql_query(sql)
        .bind::<Array<Text>, _>(registered)
        .bind::<Text, _>(UNKNOWN)
        .bind::<BigInt, _>(i64::from(most))
        .load(conn)
        .await?;
    for Buried { queue, .. } in &raised {
        diesel::sql_query("SELECT pg_notify('queue_wake', $1)").bind::<Text, _>(queue).execute(conn).await?;
    }
    Ok(raised)
}
