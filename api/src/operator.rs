//! Running the service: every tenant's jobs, schedules and erasures, for whoever is signed in as operator.
//!
//! Whoever is not learns nothing of it, not even that it is there. What an operator does is in [`actions`].

pub mod actions;
pub mod prices;
pub(crate) mod record;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::{AuditEventId, ErasureId, TenantId};
use costlens_queue::ops::{self, Filter, JobRow, QueueStats};
use costlens_queue::schedule::{self, ScheduleRow};
use costlens_store::Erasure;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;
use uuid::Uuid;

use crate::audit::AuditEventView;
use crate::audit::export::{AuditExported, Source, export};
use crate::audit::verification::{self, AuditHeadView, AuditVerification};
use crate::closure::ErasureStateView;
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::workflows::{ErrorClassView, JobStateView, WorkflowDetailsView, WorkflowView};
use crate::{ApiParts, Tag};

pub(crate) use actions::OperatorActionsApi;
pub(crate) use prices::OperatorPricesApi;

/// The most open erasures that are listed.
const ERASURES: u32 = 500;

/// A job, and whose it is.
#[derive(Object)]
pub struct OperatorJob {
    /// The job.
    pub job: WorkflowView,
    /// Whom it is done for; null for the service's own work.
    #[oai(nullable)]
    pub tenant_id: Option<Wire<TenantId>>,
    /// How often its worker's process died while it ran, since it last got on.
    pub crashes: u32,
    /// Higher ones go first.
    pub priority: i32,
}

impl From<JobRow> for OperatorJob {
    fn from(job: JobRow) -> Self {
        Self {
            tenant_id: job.tenant.map(|id| Wire(TenantId::from(id))),
            crashes: u32::try_from(job.crashes).unwrap_or_default(),
            priority: job.priority,
            job: job.into(),
        }
    }
}

/// A job with its story, and whose it is.
#[derive(Object)]
pub struct OperatorJobDetails {
    /// The job.
    pub details: WorkflowDetailsView,
    /// Whom it is done for; null for the service's own work.
    #[oai(nullable)]
    pub tenant_id: Option<Wire<TenantId>>,
    /// How often its worker's process died while it ran, since it last got on.
    pub crashes: u32,
}

/// A queue at a glance.
#[derive(Object)]
#[oai(rename = "QueueStats")]
pub struct QueueStatsView {
    /// The queue.
    pub queue: String,
    /// Due and not begun.
    pub ready: i64,
    /// Due later, tried or not.
    pub scheduled: i64,
    /// Parked until a signal comes.
    pub waiting: i64,
    /// In a worker's hands.
    pub running: i64,
    /// Dead letters.
    pub dead: i64,
    /// For how many milliseconds the oldest ready job has been due; null where none is.
    #[oai(nullable)]
    pub oldest_ready_ms: Option<i64>,
}

impl From<QueueStats> for QueueStatsView {
    fn from(stats: QueueStats) -> Self {
        let QueueStats { queue, ready, scheduled, waiting, running, dead, oldest_ready_ms } = stats;
        Self { queue, ready, scheduled, waiting, running, dead, oldest_ready_ms }
    }
}

/// Every queue at a glance.
#[derive(Object)]
pub struct OperatorStats {
    /// The queues with unfinished jobs or dead letters, by name.
    pub queues: Vec<QueueStatsView>,
}

/// A schedule.
#[derive(Object)]
#[oai(rename = "Schedule")]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// Where its jobs go.
    pub queue: String,
    /// The cron expression.
    pub cron: String,
    /// The time zone that it is read in.
    pub time_zone: String,
    /// Whether it rests.
    pub paused: bool,
    /// The last tick that was dealt with.
    pub last_tick_at: DateTime<Utc>,
    /// The next tick; null while it rests.
    #[oai(nullable)]
    pub next_tick_at: Option<DateTime<Utc>>,
}

impl From<ScheduleRow> for ScheduleView {
    fn from(row: ScheduleRow) -> Self {
        Self {
            name: row.name,
            queue: row.queue,
            cron: row.cron,
            time_zone: row.tz,
            paused: row.paused,
            last_tick_at: row.last_tick,
            next_tick_at: row.next,
        }
    }
}

/// All schedules.
#[derive(Object)]
pub struct Schedules {
    /// The schedules, by name.
    pub items: Vec<ScheduleView>,
}

/// An erasure that is not done.
#[derive(Object)]
pub struct OpenErasure {
    /// The erasure. It does not say whose.
    pub id: Wire<ErasureId>,
    /// How far it is.
    pub state: ErasureStateView,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When erasing begins.
    pub erase_at: DateTime<Utc>,
    /// By when nothing may be left.
    pub deadline_at: DateTime<Utc>,
    /// When the erasing began.
    #[oai(nullable)]
    pub begun_at: Option<DateTime<Utc>>,
    /// The last day after the request on which the operator was told that it is not done.
    #[oai(nullable)]
    pub alarmed_day: Option<u32>,
    /// What was done, step by step, as an object.
    pub evidence: Value,
}

impl From<Erasure> for OpenErasure {
    fn from(erasure: Erasure) -> Self {
        Self {
            id: Wire(erasure.id),
            state: erasure.state.into(),
            requested_at: erasure.requested_at,
            erase_at: erasure.erase_at,
            deadline_at: erasure.deadline_at,
            begun_at: erasure.begun_at,
            alarmed_day: erasure.alarmed_day,
            evidence: erasure.evidence,
        }
    }
}

/// The erasures that are not done.
#[derive(Object)]
pub struct OpenErasures {
    /// Longest overdue first, 500 at most.
    pub items: Vec<OpenErasure>,
}

pub(crate) struct OperatorApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1/operator", tag = "Tag::Operator")]
impl OperatorApi {
    /// List every tenant's jobs
    ///
    /// Newest first.
    #[oai(path = "/jobs", method = "get", operation_id = "list_operator_jobs")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter of the contract")]
    async fn jobs(
        &self,
        caller: Caller,
        /// In this state alone.
        state: Query<Option<JobStateView>>,
        /// Of this queue alone.
        #[oai(validator(max_length = 200))]
        queue: Query<Option<String>>,
        /// Of this tenant alone.
        tenant_id: Query<Option<Wire<TenantId>>>,
        /// Whose last failure was of this class alone.
        error_class: Query<Option<ErrorClassView>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<Uuid>>>,
    ) -> Result<Json<Page<OperatorJob>>, ApiError> {
        caller.require(Permission::Operate)?;
        let filter = Filter {
            queue: queue.0,
            tenant: tenant_id.0.map(|id| id.0.uuid()),
            state: state.0.map(Into::into),
            class: error_class.0.map(Into::into),
            code: None,
        };
        let mut conn = self.0.queue.conn().await?;
        let page = ops::list(&mut conn, &filter, cursor.0.map(|id| id.0), limit.0).await?;
        let items = page.items.into_iter().map(Into::into).collect();
        Ok(Json(Page { items, next_cursor: page.next.map(|id| id.to_string()) }))
    }

    /// Get one job of any tenant
    ///
    /// With its attempts. What it works on is told by the names of its fields alone.
    #[oai(path = "/jobs/:id", method = "get", operation_id = "get_operator_job")]
    async fn job(&self, caller: Caller, id: Path<Wire<Uuid>>) -> Result<Json<OperatorJobDetails>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.queue.conn().await?;
        let job = ops::show(&mut conn, id.0.0, None).await?.ok_or_else(ApiError::not_found)?;
        Ok(Json(OperatorJobDetails {
            tenant_id: job.job.tenant.map(|id| Wire(TenantId::from(id))),
            crashes: u32::try_from(job.job.crashes).unwrap_or_default(),
            details: job.into(),
        }))
    }

    /// See every queue at a glance
    #[oai(path = "/stats", method = "get", operation_id = "get_operator_stats")]
    async fn stats(&self, caller: Caller) -> Result<Json<OperatorStats>, ApiError> {
        caller.require(Permission::Operate)?;
        let stats = ops::stats(&mut *self.0.queue.conn().await?).await?;
        Ok(Json(OperatorStats { queues: stats.into_iter().map(Into::into).collect() }))
    }

    /// List the schedules
    #[oai(path = "/schedules", method = "get", operation_id = "list_schedules")]
    async fn schedules(&self, caller: Caller) -> Result<Json<Schedules>, ApiError> {
        caller.require(Permission::Operate)?;
        let rows = schedule::list(&mut *self.0.queue.conn().await?, self.0.clock.now()).await?;
        Ok(Json(Schedules { items: rows.into_iter().map(Into::into).collect() }))
    }

    /// List what operators did, and must look at
    ///
    /// Newest first. Each act is written down before it is done; one that failed has a second event that says so.
    #[oai(path = "/events", method = "get", operation_id = "list_operator_events")]
    async fn events(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<AuditEventId>>>,
    ) -> Result<Json<Page<AuditEventView>>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let events = conn.list_operator_events(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(events, limit.0, |event| event.id.to_string(), Into::into)))
    }

    /// Where the operators' chain of events ends
    #[oai(path = "/events/head", method = "get", operation_id = "get_operator_events_head")]
    async fn events_head(&self, caller: Caller) -> Result<Json<AuditHeadView>, ApiError> {
        caller.require(Permission::Operate)?;
        Ok(Json(verification::head(&self.0.store, Source::Operator).await?))
    }

    /// Verify the operators' chain of events
    #[oai(path = "/events/verification", method = "get", operation_id = "verify_operator_events")]
    async fn verify_events(
        &self,
        caller: Caller,
        /// The `next_after` of the call before.
        after: Query<Option<u64>>,
    ) -> Result<Json<AuditVerification>, ApiError> {
        caller.require(Permission::Operate)?;
        Ok(Json(verification::verify(&self.0.store, Source::Operator, after.0).await?))
    }

    /// Export what operators did, and must look at
    ///
    /// As an account's audit is exported, and verified by the same command.
    #[oai(path = "/events/export", method = "get", operation_id = "export_operator_events")]
    async fn export_events(
        &self,
        caller: Caller,
        /// The number of the event after which to go on.
        after: Query<Option<u64>>,
        /// `gzip` packs the lines.
        #[oai(name = "Accept-Encoding")]
        accepted: Header<Option<String>>,
    ) -> Result<AuditExported, ApiError> {
        caller.require(Permission::Operate)?;
        export(&self.0.store, Source::Operator, after.0, accepted.0.as_deref()).await
    }

    /// List the erasures that are not done
    #[oai(path = "/erasures", method = "get", operation_id = "list_erasures")]
    async fn erasures(&self, caller: Caller) -> Result<Json<OpenErasures>, ApiError> {
        caller.require(Permission::Operate)?;
        let open = self.0.store.system().await?.open_erasures(ERASURES).await?;
        Ok(Json(OpenErasures { items: open.into_iter().map(Into::into).collect() }))
    }
}
