//! Looking at jobs.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::bury::UNKNOWN;
use super::{Filter, MATCHES, State, bind_filter};
use crate::lease::Payload;
use crate::{ErrorClass, QueueError};

/// The most rows of one page.
const MOST: i64 = 500;

/// The codes of attempts that ended because the worker died or was lost, see [`JobRow::ended_unheard`].
pub const CRASHES: [&str; 2] = ["worker_died", "worker_lost"];

/// A job as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobRow {
    /// Its id, which is also the cursor.
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// Whom it is done for.
    pub tenant: Option<Uuid>,
    /// Its state now.
    pub state: State,
    /// Attempts that have begun.
    pub attempts: i32,
    /// Attempts that it has.
    pub max_attempts: i32,
    /// How often its worker's process died while it ran, since it last got on.
    pub crashes: i32,
    /// When it is, or was, due.
    pub run_at: DateTime<Utc>,
    /// Higher ones go first.
    pub priority: i32,
    /// Its unique key.
    pub key: Option<String>,
    /// What was last wrong.
    pub error: Option<String>,
    /// Whose fault that was.
    pub class: Option<ErrorClass>,
    /// The code of it.
    pub code: Option<String>,
    /// How far it says it is.
    pub progress: Option<Value>,
    /// The signal that it waits for.
    pub waits_for: Option<String>,
    /// Whether it was asked to stop.
    pub cancel_requested: bool,
    /// The run that it carries.
    pub run: Option<Uuid>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was last claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub done_at: Option<DateTime<Utc>>,
}

impl JobRow {
    /// Whether it is a dead letter of which its handler said nothing, whatever class that has: its workers died with it or
    /// were lost, or nobody had a worker for it.
    #[must_use]
    pub fn ended_unheard(&self) -> bool {
        let is_unheard = |code: &str| code == UNKNOWN || CRASHES.contains(&code);
        self.state == State::Dead && self.code.as_deref().is_some_and(is_unheard)
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows, the newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Uuid>,
}

/// An attempt that did not succeed, or something that was done to the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Which attempt it was.
    #[serde(default)]
    pub attempt: Option<i32>,
    /// How long it ran.
    #[serde(default)]
    pub ran_ms: Option<i64>,
    /// Who ran it.
    #[serde(default)]
    pub worker: Option<String>,
    /// Whose fault it was.
    #[serde(default)]
    pub class: Option<ErrorClass>,
    /// Its code.
    #[serde(default)]
    pub code: Option<String>,
    /// What was wrong, or why it was done.
    #[serde(default)]
    pub error: Option<String>,
}

/// A job with everything about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobDetails {
    /// What the list shows.
    pub job: JobRow,
    /// Its payload; where it cannot be read, a text that says why.
    pub args: Value,
    /// The request that it follows from.
    pub trace: Option<String>,
    /// The job that pushed it.
    pub parent: Option<Uuid>,
    /// After which moment it would not have been run any more.
    pub expires_at: Option<DateTime<Utc>>,
    /// The first and the latest of its failures, oldest first.
    pub story: Vec<Attempt>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    tenant: Option<Uuid>,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Integer)]
    max_attempts: i32,
    #[diesel(sql_type = Integer)]
    crashes: i32,
    #[diesel(sql_type = Timestamptz)]
    run_at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    priority: i32,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    error: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    error_class: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    error_code: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    progress: Option<Value>,
    #[diesel(sql_type = Nullable<Text>)]
    waits_for: Option<String>,
    #[diesel(sql_type = Bool)]
    cancel_requested: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    run: Option<Uuid>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    started_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    done_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct DetailsRow {
    #[diesel(embed)]
    job: Row,
    #[diesel(sql_type = Jsonb)]
    args: Payload,
    #[diesel(sql_type = Nullable<Text>)]
    trace: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    parent: Option<Uuid>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Jsonb)]
    story: Value,
}

impl From<Row> for JobRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            queue: row.queue,
            tenant: row.tenant,
            state: State::parse(&row.state),
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            crashes: row.crashes,
            run_at: row.run_at,
            priority: row.priority,
            key: row.key,
            error: row.error,
            class: row.error_class.as_deref().and_then(ErrorClass::parse),
            code: row.error_code,
            progress: row.progress,
            waits_for: row.waits_for,
            cancel_requested: row.cancel_requested,
            run: row.run,
            created_at: row.created_at,
            started_at: row.started_at,
            done_at: row.done_at,
        }
    }
}

const STATE: &str = "queue.state_of(j.status, j.waits_for, j.run_at, j.attempts) AS state";

/// The newest jobs that match, `limit` at most (500 in any case), older than `before`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Page<JobRow>, QueueError> {
    let limit = i64::from(limit).clamp(1, MOST);
    let sql = format!(
        "SELECT j.*, {STATE} FROM queue.job AS j WHERE {MATCHES} AND ($7::uuid IS NULL OR j.id < $7) \
         ORDER BY j.id DESC LIMIT $8"
    );
    let rows: Vec<Row> = bind_filter!(sql, filter)
        .bind::<Nullable<SqlUuid>, _>(before)
        .bind::<BigInt, _>(limit + 1)
        .load(conn)
        .await?;
    let mut items: Vec<JobRow> = rows.into_iter().map(JobRow::from).collect();
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > keep;
    items.truncate(keep);
    let next = items.last().filter(|_| more).map(|last| last.id);
    Ok(Page { items, next })
}

/// A job with its story, if it exists (and is the tenant's, where one is given).
pub async fn show(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    tenant: Option<Uuid>,
) -> Result<Option<JobDetails>, QueueError> {
    let sql = format!(
        "SELECT j.*, {STATE} FROM queue.job AS j WHERE j.id = $1 AND ($2::uuid IS NULL OR j.tenant = $2)"
    );
    let row: Option<DetailsRow> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<SqlUuid>, _>(tenant)
        .get_result(conn)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let story = serde_json::from_value(row.story)?;
    // A dead letter that nobody can read must still be seen.
    let args = row.args.0.unwrap_or_else(|error| Value::String(format!("cannot be read: {error}")));
    let (trace, parent, expires_at) = (row.trace, row.parent, row.expires_at);
    Ok(Some(JobDetails { job: row.job.into(), args, trace, parent, expires_at, story }))
}

/// How many jobs are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The state.
    pub state: State,
    /// How many.
    pub jobs: i64,
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    jobs: i64,
}

/// How many matching jobs are in each state; states without any are left out.
pub async fn count_by_state(conn: &mut AsyncPgConnection, filter: &Filter) -> Result<Vec<Count>, QueueError> {
    let sql =
        format!("SELECT {STATE}, count(*) AS jobs FROM queue.job AS j WHERE {MATCHES} GROUP BY 1 ORDER BY 1");
    let rows: Vec<CountRow> = bind_filter!(sql, filter).load(conn).await?;
    Ok(rows.into_iter().map(|row| Count { state: State::parse(&row.state), jobs: row.jobs }).collect())
}

/// A queue at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, QueryableByName)]
pub struct QueueStats {
    /// The queue.
    #[diesel(sql_type = Text)]
    pub queue: String,
    /// Due and not claimed.
    #[diesel(sql_type = BigInt)]
    pub ready: i64,
    /// Due later, tried or not.
    #[diesel(sql_type = BigInt)]
    pub scheduled: i64,
    /// Parked until a signal comes.
    #[diesel(sql_type = BigInt)]
    pub waiting: i64,
    /// In a worker's hands.
    #[diesel(sql_type = BigInt)]
    pub running: i64,
    /// Dead letters.
    #[diesel(sql_type = BigInt)]
    pub dead: i64,
    /// For how many milliseconds the oldest ready job has been due.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub oldest_ready_ms: Option<i64>,
}

/// Every queue that has unfinished jobs or dead letters.
pub async fn stats(conn: &mut AsyncPgConnection) -> Result<Vec<QueueStats>, QueueError> {
    let sql = "SELECT queue, \
        count(*) FILTER (WHERE status = 'pending' AND waits_for IS NULL AND run_at <= clock_timestamp()) AS ready, \
        count(*) FILTER (WHERE status = 'pending' AND waits_for IS NULL AND run_at > clock_timestamp()) AS scheduled, \
        count(*) FILTER (WHERE status = 'pending' AND waits_for IS NOT NULL) AS waiting, \
        count(*) FILTER (WHERE status = 'running') AS running, \
        count(*) FILTER (WHERE status = 'dead') AS dead, \
        (extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE status = 'pending' \
            AND waits_for IS NULL AND run_at <= clock_timestamp())) * 1000)::bigint AS oldest_ready_ms \
        FROM queue.job WHERE status IN ('pending', 'running', 'dead') GROUP BY queue ORDER BY queue";
    Ok(diesel::sql_query(sql).load(conn).await?)
}
