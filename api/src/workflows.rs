//! What happens later for the account: its jobs, their states, attempts and progress.
//!
//! Every question to the queue carries the tenant. What a job works on is told by the names of its fields alone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_queue::ops::{self, Attempt, Filter, JobDetails, JobRow, State};
use costlens_queue::{ErrorClass, QueueError};
use costlens_store::StoreError;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::Value;
use uuid::Uuid;

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// A job's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "JobState", rename_all = "snake_case", remote = "State")]
pub enum JobStateView {
    /// Due later, and never tried.
    Scheduled,
    /// Due, and not yet begun.
    Ready,
    /// A worker has it.
    Running,
    /// It failed, and is tried again later.
    Retrying,
    /// It waits for a signal.
    Waiting,
    /// It succeeded.
    Done,
    /// No more attempts without somebody's doing.
    Dead,
    /// Cancelled or discarded.
    Cancelled,
}

/// Whose fault a failure was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "JobErrorClass", rename_all = "snake_case", remote = "ErrorClass")]
pub enum ErrorClassView {
    /// Something that passes: a network, a restart, a lock.
    Transient,
    /// Somebody asked us to slow down.
    Throttled,
    /// Only the customer can mend it: a revoked permission, a full mailbox.
    CustomerAction,
    /// The service's to mend.
    Bug,
    /// It came too late to be of use.
    Expired,
}

/// A job.
#[derive(Object)]
#[oai(rename = "Workflow")]
pub struct WorkflowView {
    /// The job.
    pub id: Wire<Uuid>,
    /// What kind of work it is, with the version of what it works on: `message.v1`.
    pub queue: String,
    /// Its state now.
    pub state: JobStateView,
    /// What tells it from others of its queue; null where nothing does.
    #[oai(nullable)]
    pub key: Option<String>,
    /// Attempts that have begun.
    pub attempts: u32,
    /// Attempts that it has.
    pub max_attempts: u32,
    /// How far it says it is, as its kind of work tells it; null where it says nothing.
    #[oai(nullable)]
    pub progress: Option<Value>,
    /// What was last wrong, in words; null where nothing was. An account's people are told whose it is to mend; whoever
    /// runs the service is told what the program said.
    #[oai(nullable)]
    pub error: Option<String>,
    /// Whose fault that was.
    #[oai(nullable)]
    pub error_class: Option<ErrorClassView>,
    /// The stable name of what was wrong.
    #[oai(nullable)]
    pub error_code: Option<String>,
    /// Whether it was asked to stop.
    pub cancel_requested: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it is, or was, due.
    pub run_at: DateTime<Utc>,
    /// When it was last begun.
    #[oai(nullable)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[oai(nullable)]
    pub done_at: Option<DateTime<Utc>>,
}

impl From<JobRow> for WorkflowView {
    fn from(job: JobRow) -> Self {
        Self {
            id: Wire(job.id),
            queue: job.queue,
            state: job.state.into(),
            key: job.key,
            attempts: u32::try_from(job.attempts).unwrap_or_default(),
            max_attempts: u32::try_from(job.max_attempts).unwrap_or_default(),
            progress: job.progress,
            error: job.error,
            error_class: job.class.map(Into::into),
            error_code: job.code,
            cancel_requested: job.cancel_requested,
            created_at: job.created_at,
            run_at: job.run_at,
            started_at: job.started_at,
            done_at: job.done_at,
        }
    }
}

/// An attempt that did not succeed, or something that was done to the job.
#[derive(Object)]
#[oai(rename = "WorkflowAttempt")]
pub struct AttemptView {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Which attempt it was; null where something was done to the job.
    #[oai(nullable)]
    pub attempt: Option<u32>,
    /// How many milliseconds it ran.
    #[oai(nullable)]
    pub ran_ms: Option<u64>,
    /// Whose fault it was.
    #[oai(nullable)]
    pub error_class: Option<ErrorClassView>,
    /// The stable name of what was wrong, or of what was done.
    #[oai(nullable)]
    pub error_code: Option<String>,
    /// What was wrong, or why it was done; for an account's people in the words of `error_class`.
    #[oai(nullable)]
    pub error: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at,
            attempt: attempt.attempt.and_then(|attempt| attempt.try_into().ok()),
            ran_ms: attempt.ran_ms.and_then(|ran| ran.try_into().ok()),
            error_class: attempt.class.map(Into::into),
            error_code: attempt.code,
            error: attempt.error,
        }
    }
}

/// A job with its story.
#[derive(Object)]
#[oai(rename = "WorkflowDetails")]
pub struct WorkflowDetailsView {
    /// What the list shows.
    pub workflow: WorkflowView,
    /// The names of the fields of what it works on; their values are not shown.
    pub fields: Vec<String>,
    /// The first and the latest of what went wrong, oldest first.
    pub story: Vec<AttemptView>,
    /// The request that it follows from, where one was noted.
    #[oai(nullable)]
    pub trace: Option<String>,
    /// After which moment it is not begun any more.
    #[oai(nullable)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl From<JobDetails> for WorkflowDetailsView {
    fn from(job: JobDetails) -> Self {
        let fields = job.args.as_object().map(|args| args.keys().cloned().collect());
        Self {
            workflow: job.job.into(),
            fields: fields.unwrap_or_default(),
            story: job.story.into_iter().map(Into::into).collect(),
            trace: job.trace,
            expires_at: job.expires_at,
        }
    }
}

impl WorkflowView {
    /// As the account's people see it: what a program said of itself is its operator's to read.
    fn for_customer(mut self) -> Self {
        self.error = self.error.map(|_| told(self.error_class));
        self
    }
}

impl WorkflowDetailsView {
    fn for_customer(mut self) -> Self {
        self.workflow = self.workflow.for_customer();
        for attempt in &mut self.story {
            attempt.error = attempt.error.take().map(|_| told(attempt.error_class));
        }
        self
    }
}

/// What was wrong, for those who cannot look into it.
fn told(class: Option<ErrorClassView>) -> String {
    match class {
        Some(ErrorClassView::Transient) => {
            "Something was not to be reached for a moment. It is tried again by itself."
        }
        Some(ErrorClassView::Throttled) => {
            "The other side asked us to slow down. It is tried again by itself."
        }
        Some(ErrorClassView::CustomerAction) => {
            "The other side refused it for good: only you, or whoever is in charge there, can mend that."
        }
        Some(ErrorClassView::Bug) => "The fault is ours. Whoever runs the service sees it.",
        Some(ErrorClassView::Expired) => "It came too late to be of use.",
        None => "It was done by whoever runs the service.",
    }
    .to_owned()
}

/// The queue shares the store's database, and fails as the store does.
impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Database(error) => StoreError::from(error),
            QueueError::Unreachable(error) => StoreError::Unavailable(error),
            other => StoreError::Bug(Box::new(other)),
        }
        .into()
    }
}

pub(crate) struct WorkflowsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Workflows")]
impl WorkflowsApi {
    /// List workflows
    ///
    /// What happens later for the account, newest first. What is done is kept for some days.
    #[oai(path = "/workflows", method = "get", operation_id = "list_workflows")]
    async fn list(
        &self,
        caller: Caller,
        /// In this state alone.
        state: Query<Option<JobStateView>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<Uuid>>>,
    ) -> Result<Json<Page<WorkflowView>>, ApiError> {
        let tenant = caller.require(Permission::WorkflowsRead)?;
        let filter =
            Filter { tenant: Some(tenant.uuid()), state: state.0.map(Into::into), ..Filter::default() };
        let mut conn = self.0.queue.conn().await?;
        let page = ops::list(&mut conn, &filter, cursor.0.map(|id| id.0), limit.0).await?;
        let items = page.items.into_iter().map(|job| WorkflowView::from(job).for_customer()).collect();
        Ok(Json(Page { items, next_cursor: page.next.map(|id| id.to_string()) }))
    }

    /// Get one workflow
    ///
    /// With its attempts.
    #[oai(path = "/workflows/:id", method = "get", operation_id = "get_workflow")]
    async fn get(&self, caller: Caller, id: Path<Wire<Uuid>>) -> Result<Json<WorkflowDetailsView>, ApiError> {
        let tenant = caller.require(Permission::WorkflowsRead)?;
        let mut conn = self.0.queue.conn().await?;
        let job = ops::show(&mut conn, id.0.0, Some(tenant.uuid())).await?;
        job.map(|job| Json(WorkflowDetailsView::from(job).for_customer())).ok_or_else(ApiError::not_found)
    }
}
