//! Exports: asked for, looked at, cancelled, downloaded. Who writes their files is told in the workers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::{ApiKeyId, ConnectionId, ExportId, ProblemCode};
use costlens_jobs::exports::{WriteExport, ask_to_write};
use costlens_objects::ObjectKey;
use costlens_queue::ops;
use costlens_store::{Export, ExportState, NewExport, RequestFilter, StoreError, TenantConn};
use poem::Body;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, ResponseContent};
use serde_json::json;

use crate::dates;
use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::requests::OutcomeView;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How many exports of an account may be under way, and how many may have a file.
const MOST_OPEN: u64 = 3;
const MOST_KEPT: u64 = 20;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ExportWhat", rename_all = "snake_case", remote = "ExportWhat")]
pub enum ExportWhatView {
    /// Proxied calls, one a row.
    Requests,
    /// Spend by hour, key, provider, model, outcome and basis of the cost.
    HourlySpend,
    /// The AI charges of every bill that counts and every hour of calls, in the columns of FOCUS 1.2. The period alone
    /// narrows it.
    Focus,
    /// The same with calls at what they cost by their bill, and of the bills what calls did not cost: each dollar once. Days
    /// are whole, and the period alone narrows it.
    FocusSettled,
}

/// How an export's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ExportFileFormat", rename_all = "snake_case", remote = "ExportFormat")]
pub enum ExportFileFormatView {
    /// RFC 4180 with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, of FOCUS alone.
    Parquet,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ExportState", rename_all = "snake_case", remote = "ExportState")]
pub enum ExportStateView {
    /// It waits for a worker.
    Queued,
    /// It is being written.
    Running,
    /// Its file can be downloaded, until `expires_at`.
    Done,
    /// It has no file: `problem` says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its file is gone: its time was over, or somebody removed it.
    Expired,
}

/// An export to be made. What is absent narrows nothing.
#[derive(Object)]
pub struct CreateExport {
    /// What is exported.
    pub what: ExportWhatView,
    /// How its rows are written; text is compressed with gzip.
    pub format: ExportFileFormatView,
    /// At or after this moment; of hours, the one that it falls into counts.
    #[oai(default, skip_serializing_if_is_none)]
    pub from: Option<DateTime<Utc>>,
    /// Before this moment, at most now; now without it.
    #[oai(default, skip_serializing_if_is_none)]
    pub to: Option<DateTime<Utc>>,
    /// Made with this key.
    #[oai(default, skip_serializing_if_is_none)]
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// Sent through this connection. Calls alone: hours are not told apart by it.
    #[oai(default, skip_serializing_if_is_none)]
    pub connection_id: Option<Wire<ConnectionId>>,
    /// Sent to this provider.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub provider: Option<String>,
    /// Asked for this model, or served by it; of hours, as they are counted.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub model: Option<String>,
    /// Ended like this.
    #[oai(default, skip_serializing_if_is_none)]
    pub outcome: Option<OutcomeView>,
}

/// Why an export has no file.
#[derive(Object)]
#[oai(rename = "ExportProblem")]
pub struct ExportProblemView {
    /// A stable name: `export_too_large` or `internal`.
    pub code: String,
    /// What happened, and what to do.
    pub detail: String,
}

/// Which rows an export has; null narrows nothing.
#[derive(Object)]
#[oai(rename = "ExportFilter", nullable_all)]
pub struct ExportFilterView {
    /// At or after this moment.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
    /// Made with this key.
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// Sent through this connection.
    pub connection_id: Option<Wire<ConnectionId>>,
    /// Sent to this provider.
    pub provider: Option<String>,
    /// Asked for this model, or served by it.
    pub model: Option<String>,
    /// Ended like this.
    pub outcome: Option<OutcomeView>,
}

/// An export.
#[derive(Object)]
#[oai(rename = "Export")]
pub struct ExportView {
    /// The export.
    pub id: Wire<ExportId>,
    /// What is exported.
    pub what: ExportWhatView,
    /// How its rows are written.
    pub format: ExportFileFormatView,
    /// Which rows.
    pub filter: ExportFilterView,
    /// How far it is.
    pub state: ExportStateView,
    /// How many rows were written.
    pub rows: u64,
    /// The share of the period that was written, in thousandths.
    pub permille: u16,
    /// What its file is called.
    pub file_name: String,
    /// How many bytes its file has, or had; null where there was none.
    #[oai(nullable)]
    pub size_bytes: Option<u64>,
    /// The SHA-256 of its file, as hexadecimal digits.
    #[oai(nullable)]
    pub sha256: Option<String>,
    /// Why it has no file; null unless it failed.
    #[oai(nullable)]
    pub problem: Option<ExportProblemView>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it ended; null before.
    #[oai(nullable)]
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when its file is kept; null where there was none.
    #[oai(nullable)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        let file_name = file_name(&export);
        let filter = export.filter;
        let problem =
            |told: costlens_store::ExportProblem| ExportProblemView { code: told.code, detail: told.detail };
        Self {
            id: Wire(export.id),
            what: export.what.into(),
            format: export.format.into(),
            filter: ExportFilterView {
                from: filter.from,
                to: filter.to,
                api_key_id: filter.api_key_id.map(Wire),
                connection_id: filter.connection_id.map(Wire),
                provider: filter.provider,
                model: filter.model,
                outcome: filter.outcome.map(Into::into),
            },
            state: export.state.into(),
            rows: export.rows,
            permille: export.permille,
            file_name,
            size_bytes: export.bytes,
            sha256: export.sha256.map(hex::encode),
            problem: export.problem.map(problem),
            created_at: export.created_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
        }
    }
}

/// Two exports of a day have different names.
fn file_name(export: &Export) -> String {
    let id = export.id.uuid().simple().to_string();
    let tail = id.get(24..).unwrap_or_default();
    let day = export.created_at.format("%Y%m%d");
    let what = export.what.as_str().replace('_', "-");
    // Parquet is compressed by itself.
    let packed = if export.format == ExportFormat::Parquet { "" } else { ".gz" };
    format!("costlens-{what}-{day}-{tail}.{}{packed}", export.format)
}

/// An export was asked for.
#[derive(ApiResponse)]
pub enum ExportAccepted {
    /// It will be written.
    #[oai(status = 202)]
    Accepted(
        Json<ExportView>,
        /// Where the export tells how far it is.
        #[oai(header = "Location")]
        String,
    ),
}

impl ExportAccepted {
    fn of(view: ExportView) -> Self {
        let location = format!("/api/v1/exports/{}", view.id.0);
        Self::Accepted(Json(view), location)
    }
}

/// An export was taken back.
#[derive(ApiResponse)]
pub enum ExportDeleted {
    /// It is cancelled, or its file is gone.
    #[oai(status = 204)]
    Gone,
}

/// A file, by how its rows are written.
#[derive(ResponseContent)]
pub enum ExportContent {
    /// Compressed text.
    #[oai(content_type = "application/gzip")]
    Gzip(Binary<Body>),
    /// Parquet.
    #[oai(content_type = "application/vnd.apache.parquet")]
    Parquet(Binary<Body>),
}

/// An export's file.
#[derive(ApiResponse)]
pub enum ExportDownload {
    /// The file, streamed.
    #[oai(status = 200)]
    File(
        ExportContent,
        /// What a browser saves it as.
        #[oai(header = "Content-Disposition")]
        String,
        /// How many bytes it has.
        #[oai(header = "Content-Length")]
        u64,
    ),
}

pub(crate) struct ExportsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Exports")]
impl ExportsApi {
    /// List exports
    ///
    /// Newest first. What became of an export is told for 90 days.
    #[oai(path = "/exports", method = "get", operation_id = "list_exports")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<ExportId>>>,
    ) -> Result<Json<Page<ExportView>>, ApiError> {
        let tenant = caller.require(Permission::ExportsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let exports = conn.list_exports(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(exports, limit.0, |export| export.id.to_string(), Into::into)))
    }

    /// Ask for an export
    ///
    /// A worker writes it, and it can be downloaded for seven days. An account has three exports under way at most, and
    /// twenty with a file.
    #[oai(path = "/exports", method = "post", operation_id = "create_export")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateExport>,
    ) -> Result<ExportAccepted, ApiError> {
        let tenant = caller.require(Permission::ExportsWrite)?;
        let now = self.0.clock.now();
        let filter = filter(&body.0, now)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim = match idempotent::claim((&mut conn, &self.0.keyring), "create_export", key, &body.0, now)
            .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(json) => return Ok(ExportAccepted::of(idempotent::again(&json)?)),
        };
        check_things(&mut conn, &filter).await?;
        let count = conn.count_exports_alone().await?;
        if count.open >= MOST_OPEN {
            let detail = format!(
                "an account has at most {MOST_OPEN} exports under way; wait until one is done, or cancel one"
            );
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        }
        if count.open + count.kept >= MOST_KEPT {
            let detail = format!("an account keeps at most {MOST_KEPT} exports; remove one first");
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        }
        let new = NewExport {
            id: ExportId::new(now, self.0.entropy.for_id()),
            what: body.0.what.into(),
            format: body.0.format.into(),
            filter,
            created_at: now,
        };
        let export = conn.create_export(&new).await?;
        ask_to_write(&mut conn, WriteExport { export: new.id, ask: 0 }, now).await?;
        let change = json!({ "what": new.what, "format": new.format, "filter": new.filter });
        let target = (Action::ExportCreated, Some(new.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let view = ExportView::from(export);
        claim.finish_as(202, &mut conn, &view).await?;
        conn.commit().await?;
        Ok(ExportAccepted::of(view))
    }

    /// Get one export
    ///
    /// Ask again until `state` is neither `queued` nor `running`.
    #[oai(path = "/exports/:id", method = "get", operation_id = "get_export")]
    async fn get(&self, caller: Caller, id: Path<Wire<ExportId>>) -> Result<Json<ExportView>, ApiError> {
        let tenant = caller.require(Permission::ExportsRead)?;
        let export = self.0.store.tenant(tenant).await?.export(id.0.0).await?;
        Ok(Json(export.into()))
    }

    /// Cancel an export, or remove its file
    ///
    /// One that is under way is cancelled and leaves no file; one that is done loses its file. Doing it again changes
    /// nothing.
    #[oai(path = "/exports/:id", method = "delete", operation_id = "delete_export")]
    async fn delete(&self, caller: Caller, id: Path<Wire<ExportId>>) -> Result<ExportDeleted, ApiError> {
        let tenant = caller.require(Permission::ExportsWrite)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let export = conn.export(id.0.0).await?;
        let cancelled = conn.end_export(export.id, None, now).await?;
        // Between the two looks it may have become done.
        let export = conn.export(export.id).await?;
        let expired = conn.expire_export(export.id, now).await?;
        if !cancelled && !expired {
            return Ok(ExportDeleted::Gone);
        }
        let action = if cancelled { Action::ExportCancelled } else { Action::ExportRemoved };
        let target = (action, Some(export.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        // What follows is done anyhow, by the worker that looks at the row and by the sweeper: here it is only sooner.
        if let Some(Ok(key)) = export.object_key.as_deref().map(str::parse::<ObjectKey>)
            && let Err(error) = self.0.objects.delete(&key).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "a file that is not wanted stays");
        }
        if let Some(job) = export.job_id
            && cancelled
        {
            let mut conn = self.0.queue.conn().await?;
            ops::cancel(&mut conn, job, Some(tenant.uuid())).await?;
        }
        Ok(ExportDeleted::Gone)
    }

    /// Download an export's file
    ///
    /// A gzip file, or Parquet, as a browser saves it. Its SHA-256 stands in the export.
    #[oai(path = "/exports/:id/file", method = "get", operation_id = "download_export")]
    async fn download(&self, caller: Caller, id: Path<Wire<ExportId>>) -> Result<ExportDownload, ApiError> {
        let tenant = caller.require(Permission::ExportsRead)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let export = conn.export(id.0.0).await?;
        let has_file = export.state == ExportState::Done && export.expires_at.is_some_and(|at| now < at);
        let (Some(key), Some(bytes), true) = (&export.object_key, export.bytes, has_file) else {
            let state = if export.state == ExportState::Done { ExportState::Expired } else { export.state };
            let detail = format!("the export has no file: it is {}", state.as_str());
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        };
        let file = self.open(key).await?;
        let target = (Action::ExportDownloaded, Some(export.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({ "size_bytes": bytes })).await?;
        conn.commit().await?;
        let disposition = format!("attachment; filename=\"{}\"", file_name(&export));
        let body = Binary(Body::from_async_read(file));
        let content = match export.format {
            ExportFormat::Parquet => ExportContent::Parquet(body),
            ExportFormat::Csv | ExportFormat::Jsonl => ExportContent::Gzip(body),
        };
        Ok(ExportDownload::File(content, disposition, bytes))
    }
}

impl ExportsApi {
    /// The file, held open: that it is removed meanwhile breaks no download.
    async fn open(&self, key: &str) -> Result<tokio::fs::File, ApiError> {
        let key: ObjectKey = key.parse().map_err(|error| broken(&error))?;
        let copy = self.0.objects.fetch(&key).await.map_err(|error| broken(&error))?;
        tokio::fs::File::open(copy.path()).await.map_err(|error| broken(&error))
    }
}

/// The rows that are asked for. What is to come is in no export, so the period ends now at the latest.
fn filter(body: &CreateExport, now: DateTime<Utc>) -> Result<RequestFilter, ApiError> {
    let (from, to) = (dates::moment("from", body.from)?, dates::moment("to", body.to)?);
    let to = to.map_or(now, |to| to.min(now));
    if from.is_some_and(|from| from >= to) {
        return Err(ApiError::field("from", "must be before the period's end and in the past"));
    }
    if body.what == ExportWhatView::HourlySpend && body.connection_id.is_some() {
        return Err(ApiError::field("connection_id", "hourly spend is not told apart by connections"));
    }
    let narrowed = [
        ("api_key_id", body.api_key_id.is_some()),
        ("connection_id", body.connection_id.is_some()),
        ("provider", body.provider.is_some()),
        ("model", body.model.is_some()),
        ("outcome", body.outcome.is_some()),
    ];
    let is_focus = matches!(body.what, ExportWhatView::Focus | ExportWhatView::FocusSettled);
    if body.format == ExportFileFormatView::Parquet && !is_focus {
        return Err(ApiError::field("format", "is for FOCUS alone"));
    }
    if is_focus && let Some((field, _)) = narrowed.into_iter().find(|(_, is_given)| *is_given) {
        return Err(ApiError::field(field, "the period alone narrows a FOCUS export"));
    }
    Ok(RequestFilter {
        api_key_id: body.api_key_id.map(|id| id.0),
        connection_id: body.connection_id.map(|id| id.0),
        provider: body.provider.clone(),
        model: body.model.clone(),
        outcome: body.outcome.map(Into::into),
        origin: None,
        from,
        to: Some(to),
    })
}

/// A mistyped id would make an empty export.
async fn check_things(conn: &mut TenantConn, filter: &RequestFilter) -> Result<(), ApiError> {
    let unknown = |field: &'static str, what: &'static str| {
        move |error| match error {
            StoreError::NotFound => ApiError::field(field, what),
            other => other.into(),
        }
    };
    if let Some(key) = filter.api_key_id {
        conn.key(key).await.map_err(unknown("api_key_id", "is no key of this account"))?;
    }
    if let Some(connection) = filter.connection_id {
        let unknown = unknown("connection_id", "is no connection of this account");
        conn.connection(connection).await.map_err(unknown)?;
    }
    Ok(())
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ApiError {
    tracing::error!(error, "an export's file cannot be read");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
