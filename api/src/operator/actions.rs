//! What an operator does about jobs and schedules. Each act has a reason and a record, see [`super::record`].

use std::sync::Arc;

use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, TenantId};
use costlens_queue::ops::{self, Cancelled, Filter};
use costlens_queue::schedule;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::{Value, json};
use uuid::Uuid;

use super::record::{Deed, operator, recorded};
use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::workflows::ErrorClassView;
use crate::{ApiParts, Tag};

/// Why something is done.
#[derive(Object)]
pub struct OperatorReason {
    /// In words; stays with the record.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// Which dead letters. What is absent does not matter.
#[derive(Object, Clone)]
pub struct DeadLetters {
    /// Of this queue.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub queue: Option<String>,
    /// Of this tenant.
    #[oai(default, skip_serializing_if_is_none)]
    pub tenant_id: Option<Wire<TenantId>>,
    /// Whose last failure was of this class.
    #[oai(default, skip_serializing_if_is_none)]
    pub error_class: Option<ErrorClassView>,
    /// Whose last failure had this stable name.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub error_code: Option<String>,
}

impl DeadLetters {
    fn filter(&self) -> Filter {
        Filter {
            queue: self.queue.clone(),
            tenant: self.tenant_id.map(|id| id.0.uuid()),
            state: None,
            class: self.error_class.map(Into::into),
            code: self.error_code.clone(),
        }
    }

    fn told(&self) -> Value {
        let class: Option<costlens_queue::ErrorClass> = self.error_class.map(Into::into);
        json!({
            "queue": self.queue,
            // Whose is not said: an erasure would not find it here.
            "of_one_tenant": self.tenant_id.is_some(),
            "error_class": class,
            "error_code": self.error_code,
        })
    }
}

/// Dead letters to be brought back.
#[derive(Object)]
pub struct RedriveDeadLetters {
    /// Which.
    pub which: DeadLetters,
    /// How many of them are due in each second, so that what failed together does not return together.
    #[oai(default = "usual_rate", validator(minimum(value = "1"), maximum(value = "1000")))]
    pub per_second: u32,
    /// How many at most, the oldest first.
    #[oai(default = "usual_most", validator(minimum(value = "1"), maximum(value = "10000")))]
    pub most: u32,
    /// Why; stays with the record.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// Dead letters to be put away for good.
#[derive(Object)]
pub struct DiscardDeadLetters {
    /// Which.
    pub which: DeadLetters,
    /// How many at most, the oldest first.
    #[oai(default = "usual_most", validator(minimum(value = "1"), maximum(value = "10000")))]
    pub most: u32,
    /// Why; stays with the record and with each of them.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// A number of jobs.
#[derive(Object)]
pub struct JobCount {
    /// How many.
    pub jobs: u64,
}

/// What cancelling a job did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// It had not begun and never will.
    Cancelled,
    /// It runs, and was asked to stop.
    Asked,
}

/// A job was cancelled, or asked to stop.
#[derive(Object)]
pub struct CancelledJob {
    /// Which of the two.
    pub outcome: CancelOutcome,
}

/// It was done.
#[derive(ApiResponse)]
pub enum OperatorDone {
    /// It was done.
    #[oai(status = 204)]
    Done,
}

pub(crate) struct OperatorActionsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1/operator", tag = "Tag::Operator")]
impl OperatorActionsApi {
    /// Run one job now
    ///
    /// A dead letter comes back with all its attempts; a job that waits for its time or its next attempt is due at once.
    #[oai(path = "/jobs/:id/retry", method = "post", operation_id = "retry_operator_job")]
    async fn retry(
        &self,
        caller: Caller,
        id: Path<Wire<Uuid>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(&caller)?;
        let deed = self.deed(Action::WorkflowRetried, id.0.0, &body.0.reason).await?;
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            if ops::retry_now(&mut conn, id.0.0, None).await? {
                Ok(OperatorDone::Done)
            } else {
                let detail = "the job is running, done, or waits for a signal";
                Err(ApiError::new(ProblemCode::Conflict, detail))
            }
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Cancel one job
    ///
    /// At once if it has not begun, else its handler is asked to stop.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "cancel_operator_job")]
    async fn cancel(
        &self,
        caller: Caller,
        id: Path<Wire<Uuid>>,
        body: Json<OperatorReason>,
    ) -> Result<Json<CancelledJob>, ApiError> {
        let by = operator(&caller)?;
        let deed = self.deed(Action::WorkflowCancelled, id.0.0, &body.0.reason).await?;
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            let outcome = match ops::cancel(&mut conn, id.0.0, None).await? {
                Cancelled::Now => CancelOutcome::Cancelled,
                Cancelled::Asked => CancelOutcome::Asked,
                Cancelled::TooLate => {
                    return Err(ApiError::new(ProblemCode::Conflict, "the job has ended already"));
                }
                Cancelled::Unknown => return Err(ApiError::not_found()),
            };
            Ok(Json(CancelledJob { outcome }))
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Put one dead letter away for good
    #[oai(path = "/jobs/:id/discard", method = "post", operation_id = "discard_operator_job")]
    async fn discard(
        &self,
        caller: Caller,
        id: Path<Wire<Uuid>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(&caller)?;
        let deed = self.deed(Action::WorkflowDiscarded, id.0.0, &body.0.reason).await?;
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            if ops::discard_one(&mut conn, id.0.0, &body.0.reason).await? {
                Ok(OperatorDone::Done)
            } else {
                Err(ApiError::new(ProblemCode::Conflict, "the job is no dead letter"))
            }
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Count the dead letters that a redrive would bring back
    #[oai(path = "/redrive/preview", method = "post", operation_id = "preview_redrive")]
    async fn preview(&self, caller: Caller, body: Json<DeadLetters>) -> Result<Json<JobCount>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.queue.conn().await?;
        let jobs = ops::redrive_preview(&mut conn, &body.0.filter()).await?;
        Ok(Json(JobCount { jobs: u64::try_from(jobs).unwrap_or_default() }))
    }

    /// Bring dead letters back
    ///
    /// With all their attempts, spread over time.
    #[oai(path = "/redrive", method = "post", operation_id = "redrive_dead_letters")]
    async fn redrive(
        &self,
        caller: Caller,
        body: Json<RedriveDeadLetters>,
    ) -> Result<Json<JobCount>, ApiError> {
        let by = operator(&caller)?;
        let RedriveDeadLetters { which, per_second, most, reason } = body.0;
        let change = json!({
            "which": which.told(), "per_second": per_second, "most": most, "reason": reason,
        });
        let deed = Deed {
            action: Action::WorkflowsRedriven,
            target: None,
            change,
            tenant: self.tenant(which.tenant_id).await?,
        };
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            let jobs = ops::redrive(&mut conn, &which.filter(), per_second, most).await?;
            Ok(Json(JobCount { jobs: u64::try_from(jobs).unwrap_or(u64::MAX) }))
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Put dead letters away for good
    #[oai(path = "/discard", method = "post", operation_id = "discard_dead_letters")]
    async fn discard_many(
        &self,
        caller: Caller,
        body: Json<DiscardDeadLetters>,
    ) -> Result<Json<JobCount>, ApiError> {
        let by = operator(&caller)?;
        let DiscardDeadLetters { which, most, reason } = body.0;
        let change = json!({ "which": which.told(), "most": most, "reason": reason });
        let deed = Deed {
            action: Action::WorkflowsDiscarded,
            target: None,
            change,
            tenant: self.tenant(which.tenant_id).await?,
        };
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            let jobs = ops::discard(&mut conn, &which.filter(), &reason, most).await?;
            Ok(Json(JobCount { jobs: u64::try_from(jobs).unwrap_or(u64::MAX) }))
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Let a schedule rest
    ///
    /// Ticks of the rest are not missed: they do not exist.
    #[oai(path = "/schedules/:name/pause", method = "post", operation_id = "pause_schedule")]
    async fn pause(
        &self,
        caller: Caller,
        /// The schedule's name.
        name: Path<String>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        self.set_paused(&caller, (Action::SchedulePaused, true), name.0, body.0.reason).await
    }

    /// Let a schedule go on
    #[oai(path = "/schedules/:name/resume", method = "post", operation_id = "resume_schedule")]
    async fn resume(
        &self,
        caller: Caller,
        /// The schedule's name.
        name: Path<String>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        self.set_paused(&caller, (Action::ScheduleResumed, false), name.0, body.0.reason).await
    }
}

impl OperatorActionsApi {
    /// What is about to be done to one job, which exists.
    async fn deed(&self, action: Action, id: Uuid, reason: &str) -> Result<Deed, ApiError> {
        let job = ops::show(&mut *self.0.queue.conn().await?, id, None).await?;
        let job = job.ok_or_else(ApiError::not_found)?.job;
        Ok(Deed {
            action,
            target: Some(id.to_string()),
            change: json!({ "queue": job.queue, "reason": reason }),
            tenant: job.tenant.map(TenantId::from),
        })
    }

    /// A tenant that exists, where one is named.
    async fn tenant(&self, id: Option<Wire<TenantId>>) -> Result<Option<TenantId>, ApiError> {
        let Some(Wire(id)) = id else { return Ok(None) };
        match self.0.store.tenant(id).await?.tenant().await {
            Ok(tenant) => Ok(Some(tenant.id)),
            Err(costlens_store::StoreError::NotFound) => {
                Err(ApiError::field("which/tenant_id", "is no tenant"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn set_paused(
        &self,
        caller: &Caller,
        (action, paused): (Action, bool),
        name: String,
        reason: String,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(caller)?;
        let now = self.0.clock.now();
        let known = schedule::list(&mut *self.0.queue.conn().await?, now).await?;
        if !known.iter().any(|schedule| schedule.name == name) {
            return Err(ApiError::not_found());
        }
        let change = json!({ "reason": reason });
        let deed = Deed { action, target: Some(name.clone()), change, tenant: None };
        let act = async {
            let mut conn = self.0.queue.conn().await?;
            if schedule::set_paused(&mut conn, &name, paused, now).await? {
                Ok(OperatorDone::Done)
            } else {
                Err(ApiError::not_found())
            }
        };
        recorded(&self.0, by, deed, act).await
    }
}

const fn usual_rate() -> u32 {
    10
}

const fn usual_most() -> u32 {
    1000
}
