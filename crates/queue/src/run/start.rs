//! Starting runs and acting on them from outside.

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Flow, job_of};
use crate::enqueue::IdRow;
use crate::job::{new_id, readable};
use crate::{Enqueued, QueueError, enqueue, ops};

/// A run to be started.
#[derive(Clone, Debug)]
#[must_use = "a new run does nothing until it is started"]
pub struct NewRun<F: Flow> {
    input: F::Input,
    key: Option<String>,
    tenant: Option<Uuid>,
    deadline_at: Option<DateTime<Utc>>,
    start_at: Option<DateTime<Utc>>,
    trace: Option<String>,
}

impl<F: Flow> NewRun<F> {
    /// A run with this input.
    pub const fn of(input: F::Input) -> Self {
        Self { input, key: None, tenant: None, deadline_at: None, start_at: None, trace: None }
    }

    /// At most one run of the flow, in whatever version, has this key for as long as its row exists.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Whom it is done for.
    pub const fn tenant(mut self, tenant: Uuid) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// When it should be done. Nothing happens then by itself: [`overdue`] lists it, for somebody to see to.
    pub const fn deadline_at(mut self, at: DateTime<Utc>) -> Self {
        self.deadline_at = Some(at);
        self
    }

    /// When it begins.
    pub const fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.start_at = Some(at);
        self
    }

    /// The id of the request that it follows from.
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.trace = Some(trace.into());
        self
    }
}

/// Starts a run, in the caller's transaction if there is one.
pub async fn start<F: Flow>(conn: &mut AsyncPgConnection, run: NewRun<F>) -> Result<Enqueued, QueueError> {
    let id = new_id();
    let input = serde_json::to_value(&run.input)?;
    readable(&input)?;
    let mut job = job_of::<F>(id)?;
    job.tenant = run.tenant;
    job.run_at = run.start_at;
    job.trace.clone_from(&run.trace);
    let work = async |tx: &mut AsyncPgConnection| {
        let sql = "INSERT INTO queue.run (id, flow, version, tenant, key, input, deadline_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) \
            ON CONFLICT (flow, key) WHERE key IS NOT NULL DO NOTHING RETURNING id";
        let written: Option<IdRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(id)
            .bind::<Text, _>(F::NAME)
            .bind::<Integer, _>(i32::try_from(F::VERSION).unwrap_or(i32::MAX))
            .bind::<Nullable<SqlUuid>, _>(run.tenant)
            .bind::<Nullable<Text>, _>(run.key.as_deref())
            .bind::<Jsonb, _>(input)
            .bind::<Nullable<Timestamptz>, _>(run.deadline_at)
            .get_result(tx)
            .await
            .optional()?;
        if written.is_none() {
            return Ok(Enqueued::AlreadyThere);
        }
        enqueue(tx, &[job]).await?;
        Ok::<_, QueueError>(Enqueued::New(id))
    };
    conn.transaction(work).await
}

#[derive(diesel::QueryableByName)]
struct SentRow {
    #[diesel(sql_type = Bool)]
    sent: bool,
}

/// Sends a run (of the tenant's, where one is given) a signal, in the caller's transaction if there is one. The first of
/// a name counts. Whether the run is there to hear it.
pub async fn signal<T: Serialize + Sync>(
    conn: &mut AsyncPgConnection,
    run: Uuid,
    name: &str,
    payload: &T,
    tenant: Option<Uuid>,
) -> Result<bool, QueueError> {
    let payload = serde_json::to_value(payload)?;
    readable(&payload)?;
    let row: SentRow = diesel::sql_query("SELECT queue.send_signal($1, $2, $3, $4) AS sent")
        .bind::<SqlUuid, _>(run)
        .bind::<Text, _>(name)
        .bind::<Jsonb, _>(payload)
        .bind::<Nullable<SqlUuid>, _>(tenant)
        .get_result(conn)
        .await?;
    Ok(row.sent)
}

/// Cancels a run: at once where it waits, between two steps where it runs.
pub async fn cancel(
    conn: &mut AsyncPgConnection,
    run: Uuid,
    tenant: Option<Uuid>,
) -> Result<ops::Cancelled, QueueError> {
    let sql = "SELECT id FROM queue.job WHERE run = $1 ORDER BY id DESC LIMIT 1";
    let job: Option<IdRow> =
        diesel::sql_query(sql).bind::<SqlUuid, _>(run).get_result(conn).await.optional()?;
    match job {
        Some(job) => ops::cancel(conn, job.id, tenant).await,
        None => Ok(ops::Cancelled::Unknown),
    }
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, diesel::QueryableByName)]
pub struct RunRow {
    /// Its id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// Its flow.
    #[diesel(sql_type = Text)]
    pub flow: String,
    /// The flow's version.
    #[diesel(sql_type = Integer)]
    pub version: i32,
    /// Whom it is done for.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub tenant: Option<Uuid>,
    /// Its unique key.
    #[diesel(sql_type = Nullable<Text>)]
    pub key: Option<String>,
    /// `running` (which includes waiting), `done`, `failed` or `cancelled`.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// What it began with.
    #[diesel(sql_type = Jsonb)]
    pub input: Value,
    /// The steps that are done, in order.
    #[diesel(sql_type = diesel::sql_types::Array<Text>)]
    pub steps: Vec<String>,
    /// When it should be done.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub deadline_at: Option<DateTime<Utc>>,
    /// When it was started.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    /// When it ended.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub done_at: Option<DateTime<Utc>>,
}

const STEPS: &str =
    "ARRAY (SELECT s.name FROM queue.step AS s WHERE s.run = r.id ORDER BY s.done_at, s.name) AS steps";

/// A run, if it exists (and is the tenant's, where one is given).
pub async fn show(
    conn: &mut AsyncPgConnection,
    run: Uuid,
    tenant: Option<Uuid>,
) -> Result<Option<RunRow>, QueueError> {
    let sql = format!(
        "SELECT r.*, {STEPS} FROM queue.run AS r WHERE r.id = $1 AND ($2::uuid IS NULL OR r.tenant = $2)"
    );
    let row = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(run)
        .bind::<Nullable<SqlUuid>, _>(tenant)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row)
}

/// Runs that are not done although their deadline is before `now` (a failed one is not done either), the most overdue
/// first. `now` is the business' own clock, and may lie ahead to warn in time.
pub async fn overdue(
    conn: &mut AsyncPgConnection,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<RunRow>, QueueError> {
    let sql = format!(
        "SELECT r.*, {STEPS} FROM queue.run AS r WHERE r.state IN ('running', 'failed') AND r.deadline_at < $1 \
         ORDER BY r.deadline_at LIMIT $2"
    );
    let rows = diesel::sql_query(sql)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(i64::from(limit))
        .load(conn)
        .await?;
    Ok(rows)
}
