//! A run as its handler holds it: steps, sleeps and signals.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, TransactionManager};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{Flow, RunJob};
use crate::fault::Park;
use crate::job::readable;
use crate::lease::Held;
use crate::{ErrorClass, InTx, JobContext, JobError, QueueError};

/// A run that its handler has opened.
pub struct Run<F: Flow> {
    pub(super) id: Uuid,
    pub(super) ctx: JobContext,
    input: F::Input,
    deadline_at: Option<DateTime<Utc>>,
    flow: PhantomData<F>,
}

impl<F: Flow> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).field("flow", &F::queue()).finish_non_exhaustive()
    }
}

#[derive(diesel::QueryableByName)]
struct OpenRow {
    #[diesel(sql_type = Jsonb)]
    input: Value,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    deadline_at: Option<DateTime<Utc>>,
}

#[derive(diesel::QueryableByName)]
struct ValueRow {
    #[diesel(sql_type = Jsonb)]
    value: Value,
}

#[derive(diesel::QueryableByName)]
struct WakeRow {
    #[diesel(sql_type = Bool)]
    reached: bool,
    #[diesel(sql_type = Timestamptz)]
    until: DateTime<Utc>,
}

impl<F: Flow> Run<F> {
    /// Opens the run that a job carries. An input that this version cannot read goes to the dead letters.
    pub async fn open(job: &RunJob, ctx: JobContext) -> Result<Self, JobError> {
        let mut conn = ctx.queue().conn().await?;
        let row: Option<OpenRow> =
            diesel::sql_query("SELECT input, deadline_at FROM queue.run WHERE id = $1")
                .bind::<SqlUuid, _>(job.run)
                .get_result(&mut *conn)
                .await
                .optional()?;
        drop(conn);
        let Some(row) = row else {
            return Err(JobError::give_up(ErrorClass::Bug, "no_run", "there is no such run"));
        };
        let input = serde_json::from_value(row.input)?;
        Ok(Self { id: job.run, ctx, input, deadline_at: row.deadline_at, flow: PhantomData })
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What it began with.
    #[must_use]
    pub const fn input(&self) -> &F::Input {
        &self.input
    }

    /// When it should be done.
    #[must_use]
    pub const fn deadline_at(&self) -> Option<DateTime<Utc>> {
        self.deadline_at
    }

    /// The job that carries it.
    #[must_use]
    pub const fn job(&self) -> &JobContext {
        &self.ctx
    }

    /// Stops here if somebody cancelled the run. Every step asks this before it begins.
    pub fn check_cancelled(&self) -> Result<(), JobError> {
        if self.ctx.is_cancelled() { Err(JobError::cancelled()) } else { Ok(()) }
    }

    /// Does a step once: its effect, what it answers and the fact that it is done are one transaction on a connection
    /// of the queue's own, with what is pushed meanwhile ([`JobContext::enqueue`], in this task). A step that is done
    /// gives the stored answer. Names that begin with `sleep:`, `wait:` and
    /// `wait-end:` are the run's own.
    pub async fn step<T, W>(&self, name: &str, work: W) -> Result<T, JobError>
    where
        T: Serialize + DeserializeOwned + Send,
        W: for<'tx> AsyncFnOnce(&'tx mut AsyncPgConnection) -> Result<T, JobError>
            + for<'tx> InTx<'tx, Result<T, JobError>, Work: Send>
            + Send,
    {
        let mut conn = self.ctx.queue().conn().await?;
        self.step_in(&mut conn, name, work).await
    }

    /// The same on a connection of the caller's, whose role must be one that may work.
    pub async fn step_in<T, W>(
        &self,
        conn: &mut AsyncPgConnection,
        name: &str,
        work: W,
    ) -> Result<T, JobError>
    where
        T: Serialize + DeserializeOwned + Send,
        W: for<'tx> AsyncFnOnce(&'tx mut AsyncPgConnection) -> Result<T, JobError>
            + for<'tx> InTx<'tx, Result<T, JobError>, Work: Send>
            + Send,
    {
        self.check_cancelled()?;
        if let Some(value) = self.stored(conn, name).await? {
            return Ok(serde_json::from_value(value)?);
        }
        AnsiTransactionManager::begin_transaction(&mut *conn).await?;
        match self.checkpointed(&mut *conn, name, work).await {
            Ok(value) => {
                AnsiTransactionManager::commit_transaction(&mut *conn).await?;
                Ok(value)
            }
            Err(error) => {
                if let Err(rollback) = AnsiTransactionManager::rollback_transaction(&mut *conn).await {
                    tracing::debug!(error = %rollback, "a step's transaction was gone before it was rolled back");
                }
                Err(error)
            }
        }
    }

    async fn checkpointed<T, W>(&self, tx: &mut AsyncPgConnection, name: &str, work: W) -> Result<T, JobError>
    where
        T: Serialize + DeserializeOwned + Send,
        W: for<'tx> InTx<'tx, Result<T, JobError>, Work: Send> + Send,
    {
        self.fence(tx).await?;
        // Written first: a second worker that believes to have the run waits here until the first is done or gone.
        let claimed =
            diesel::sql_query("INSERT INTO queue.step (run, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind::<SqlUuid, _>(self.id)
                .bind::<Text, _>(name)
                .execute(tx)
                .await?;
        if claimed == 0 {
            let stored = self.stored(tx, name).await?.unwrap_or(Value::Null);
            return Ok(serde_json::from_value(stored)?);
        }
        let (value, pushes) = Held::in_step(work(&mut *tx)).await;
        let value = value?;
        crate::enqueue(tx, &pushes).await?;
        let result = serde_json::to_value(&value)?;
        readable(&result)?;
        diesel::sql_query(
            "UPDATE queue.step SET result = $3, done_at = clock_timestamp() WHERE run = $1 AND name = $2",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Text, _>(name)
        .bind::<Jsonb, _>(result)
        .execute(tx)
        .await?;
        Ok(value)
    }

    /// Fails where the lease is lost.
    pub(super) async fn fence(&self, tx: &mut AsyncPgConnection) -> Result<(), JobError> {
        let row = &self.ctx.held.row;
        let sql =
            "SELECT FROM queue.job WHERE id = $1 AND session = $2 AND epoch = $3 AND status = 'running'";
        let held = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(row.id)
            .bind::<SqlUuid, _>(row.session)
            .bind::<BigInt, _>(row.epoch)
            .execute(tx)
            .await?;
        if held == 0 { Err(QueueError::LeaseLost.into()) } else { Ok(()) }
    }

    async fn stored(&self, conn: &mut AsyncPgConnection, name: &str) -> Result<Option<Value>, JobError> {
        let sql = "SELECT result AS value FROM queue.step WHERE run = $1 AND name = $2";
        let row: Option<ValueRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.id)
            .bind::<Text, _>(name)
            .get_result(conn)
            .await
            .optional()?;
        Ok(row.map(|row| row.value))
    }

    /// Ends the job here until this time, then goes on. No slot and no attempt is used up meanwhile.
    pub async fn sleep_until(&self, until: DateTime<Utc>) -> Result<(), JobError> {
        self.check_cancelled()?;
        let mut conn = self.ctx.queue().conn().await?;
        let reached = is_reached(&mut conn, until).await?;
        if reached { Ok(()) } else { Err(JobError::park(Park::Until(until))) }
    }

    /// Sleeps this long, counted from when this named sleep was first reached.
    pub async fn sleep(&self, name: &str, duration: Duration) -> Result<(), JobError> {
        let until = self.end_of(&format!("sleep:{name}"), duration).await?;
        self.sleep_until(until).await
    }

    /// When something ends that lasts this long from its first time here on.
    async fn end_of(&self, step: &str, duration: Duration) -> Result<DateTime<Utc>, JobError> {
        let millis = crate::enqueue::millis(duration);
        let begun = async |tx: &mut AsyncPgConnection| {
            let sql = "SELECT false AS reached, clock_timestamp() + $1 * interval '1 millisecond' AS until";
            let row: WakeRow = diesel::sql_query(sql).bind::<BigInt, _>(millis).get_result(tx).await?;
            Ok(row.until)
        };
        self.step(step, begun).await
    }

    /// Ends the job here until the signal comes, then goes on with what it carries.
    pub async fn wait<T: DeserializeOwned>(&self, signal: &str) -> Result<T, JobError> {
        match self.signal(signal).await? {
            Some(value) => Ok(value),
            None => Err(JobError::park(Park::Signal { name: signal.to_owned(), until: None })),
        }
    }

    /// The same, but goes on with `None` where the signal has not come by then. Which of the two it was is decided
    /// once, as a step `wait:<signal>`: a signal that comes later does not change what the run has done since, and a
    /// second limited wait for the same signal gives the same answer. What is to be waited for in several rounds,
    /// such as with a reminder in between, has a signal's name for each.
    pub async fn wait_until<T: DeserializeOwned>(
        &self,
        signal: &str,
        until: DateTime<Utc>,
    ) -> Result<Option<T>, JobError> {
        let run = self.id;
        let decide = async |tx: &mut AsyncPgConnection| {
            let payload = sent(tx, run, signal).await?;
            if payload.is_none() && !is_reached(tx, until).await? {
                // Undecided: the step is rolled back.
                return Err(JobError::park(Park::Signal { name: signal.to_owned(), until: Some(until) }));
            }
            Ok(Waited { came: payload.is_some(), payload: payload.unwrap_or(Value::Null) })
        };
        let waited: Waited = self.step(&format!("wait:{signal}"), decide).await?;
        if waited.came { Ok(Some(serde_json::from_value(waited.payload)?)) } else { Ok(None) }
    }

    /// Waits this long at most, counted from when the wait was first reached. See [`Run::wait_until`].
    pub async fn wait_for<T: DeserializeOwned>(
        &self,
        signal: &str,
        duration: Duration,
    ) -> Result<Option<T>, JobError> {
        let until = self.end_of(&format!("wait-end:{signal}"), duration).await?;
        self.wait_until(signal, until).await
    }

    /// The signal, if it has come by now. That is not written down: a handler that is called again may get another
    /// answer, so what differs by it belongs inside a step, or behind a wait.
    pub async fn signal<T: DeserializeOwned>(&self, signal: &str) -> Result<Option<T>, JobError> {
        self.check_cancelled()?;
        let mut conn = self.ctx.queue().conn().await?;
        let payload = sent(&mut conn, self.id, signal).await?;
        Ok(payload.map(serde_json::from_value).transpose()?)
    }
}

/// How a wait with a limit ended.
#[derive(Serialize, serde::Deserialize)]
struct Waited {
    came: bool,
    payload: Value,
}

async fn sent(conn: &mut AsyncPgConnection, run: Uuid, signal: &str) -> Result<Option<Value>, JobError> {
    let sql = "SELECT payload AS value FROM queue.signal WHERE run = $1 AND name = $2";
    let row: Option<ValueRow> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(run)
        .bind::<Text, _>(signal)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(|row| row.value))
}

async fn is_reached(conn: &mut AsyncPgConnection, until: DateTime<Utc>) -> Result<bool, JobError> {
    let sql = "SELECT $1 <= clock_timestamp() AS reached, $1 AS until";
    let row: WakeRow = diesel::sql_query(sql).bind::<Timestamptz, _>(until).get_result(conn).await?;
    Ok(row.reached)
}
