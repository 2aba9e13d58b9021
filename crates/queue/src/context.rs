//! What a handler knows about its job, and what it may do with it besides returning.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::task::Task;
use apalis_core::task::from_request::FromRequest;
use diesel::sql_types::{BigInt, Jsonb, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

use crate::lease::{Held, Stop};
use crate::outcome::{self, Outcome, Settled};
use crate::{NewJob, Queue, QueueError};

/// How often a handler's progress is written at most; the last one is written with the outcome.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The job that a handler runs. A handler asks for it as a parameter: `async fn run(job: Digest, ctx: JobContext)`.
#[derive(Clone)]
pub struct JobContext {
    pub(crate) held: Arc<Held>,
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext").field("id", &self.id()).field("attempt", &self.attempt()).finish()
    }
}

impl<Args: Sync> FromRequest<Task<Args>> for JobContext {
    type Error = QueueError;

    async fn from_request(task: &Task<Args>) -> Result<Self, QueueError> {
        let held = task.data().get::<Arc<Held>>().cloned();
        held.map(|held| Self { held }).ok_or(QueueError::NoContext)
    }
}

impl JobContext {
    /// The job's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.held.row.id
    }

    /// The job's queue.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        &self.held.row.queue
    }

    /// The queue's tables.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.held.queue
    }

    /// Which attempt this is; the first is 1. A worker's crash counts as one.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.held.row.attempts).unwrap_or_default()
    }

    /// Whether a failure of this attempt sends the job to the dead letters.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.held.row.attempts >= self.held.row.max_attempts
    }

    /// Whom it is done for.
    #[must_use]
    pub fn tenant(&self) -> Option<Uuid> {
        self.held.row.tenant
    }

    /// The job's unique key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.held.row.key.as_deref()
    }

    /// The id of the request that it follows from.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.held.row.trace.as_deref()
    }

    /// The job that pushed it.
    #[must_use]
    pub fn parent(&self) -> Option<Uuid> {
        self.held.row.parent
    }

    /// Whether the handler should stop: somebody cancelled the job (return [`crate::JobError::cancelled`]), or the
    /// lease is lost and nothing that it does will count.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.held.told() != Stop::Not
    }

    /// Waits until the handler should stop.
    pub async fn cancelled(&self) {
        let mut stop = self.held.listen();
        let stopped = stop.wait_for(|stop| *stop != Stop::Not).await.is_ok();
        if !stopped {
            std::future::pending::<()>().await;
        }
    }

    /// Tells how far the job is, for those who watch it. Written at most once a second, the last one with the
    /// outcome; a failure to write it is not the handler's business.
    pub async fn progress<T: Serialize + Sync>(&self, progress: &T) -> Result<(), QueueError> {
        let value = serde_json::to_value(progress)?;
        if !self.held.note_progress(value.clone(), PROGRESS_EVERY) {
            return Ok(());
        }
        let row = &self.held.row;
        let written = async {
            let mut conn = self.held.queue.conn().await?;
            diesel::sql_query(
                "UPDATE queue.job SET progress = $1 \
                 WHERE id = $2 AND session = $3 AND epoch = $4 AND status = 'running'",
            )
            .bind::<Jsonb, _>(value)
            .bind::<SqlUuid, _>(row.id)
            .bind::<SqlUuid, _>(row.session)
            .bind::<BigInt, _>(row.epoch)
            .execute(&mut *conn)
            .await?;
            Ok::<_, QueueError>(())
        };
        if let Err(error) = written.await {
            tracing::debug!(job.id = %row.id, %error, "progress was not written");
        }
        Ok(())
    }

    /// Pushes a job that exists if this one succeeds, and only then: it is written with the outcome. Call it before
    /// the handler returns. It inherits the tenant and the trace.
    ///
    /// In a run: what is pushed inside of a step is written with the step. Outside of one it is written when the run
    /// ends, and not when it sleeps or waits, because its handler then comes by here again.
    pub fn enqueue(&self, job: NewJob) {
        self.held.collect(job);
    }

    /// Writes the job's success, and what it pushed so far, in the handler's own transaction: with the effect, or not
    /// at all. Call it last, commit, and return `Ok`. [`QueueError::LeaseLost`] means that another worker has the
    /// job: roll back. The connection's role must be one that may work, see [`crate::grants`].
    pub async fn complete_in(&self, tx: &mut AsyncPgConnection) -> Result<(), QueueError> {
        let batch = [(Arc::clone(&self.held), Outcome::Done)];
        let settled = outcome::write_in(tx, &batch).await?;
        if settled == [Settled::Written] { Ok(()) } else { Err(QueueError::LeaseLost) }
    }
}
