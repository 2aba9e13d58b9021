//! Uploads of bills: the file is kept, and what becomes of it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{BillId, BillUploadId, Problem, ProblemCode, TenantId};
use costlens_jobs::bills::{AREA, IngestBill, ask_to_ingest};
use costlens_objects::{ObjectKey, ObjectsError, Stored};
use costlens_store::{BillUpload, NewBillUpload, UploadState};
use futures_util::TryStreamExt as _;
use poem::Body;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use super::default_limit;
use serde_json::json;

use crate::audit::By;
use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::Page;
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How many uploads of an account may wait to be read, how many of them may be taken at once by a process, and how many
/// times the largest bill all that wait may have together. So what one account can fill the disk with is bounded.
const MOST_UNFINISHED: u64 = 8;
const MOST_ARRIVING: u32 = 2;
const MOST_BILLS: u64 = 2;

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BillUploadState", rename_all = "snake_case", remote = "UploadState")]
pub enum UploadStateView {
    /// The file is kept and waits to be read.
    Received,
    /// It is being read.
    Reading,
    /// It became a bill: `bill_id`.
    Published,
    /// It became none: `problem` says why. Nothing was kept.
    Failed,
    /// Its content made a bill before, which counts: `bill_id`. Nothing was kept a second time.
    Duplicate,
}

/// How far the reading is.
#[derive(Object)]
#[oai(rename = "BillUploadProgress")]
pub struct UploadProgressView {
    /// What is being done now.
    pub step: String,
    /// The share of the whole that is done, in thousandths.
    pub permille: u16,
}

/// Why an upload became no bill.
#[derive(Object)]
#[oai(rename = "BillUploadProblem")]
pub struct UploadProblemView {
    /// A stable name: `bill_unreadable`, `body_too_large`, `bill_overlaps`, `cancelled` or `internal`.
    pub code: String,
    /// What happened, with the file's place where it breaks.
    pub detail: String,
}

/// A bill's file on its way to become a bill.
#[derive(Object)]
#[oai(rename = "BillUpload")]
pub struct BillUploadView {
    /// The upload.
    pub id: Wire<BillUploadId>,
    /// The file's name.
    pub name: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// How far it is.
    pub state: UploadStateView,
    /// How far the reading is; null until there is something to tell.
    #[oai(nullable)]
    pub progress: Option<UploadProgressView>,
    /// Why it became no bill; null unless it failed.
    #[oai(nullable)]
    pub problem: Option<UploadProblemView>,
    /// The bill that it became or repeats; null before.
    #[oai(nullable)]
    pub bill_id: Option<Wire<BillId>>,
    /// When it arrived.
    pub created_at: DateTime<Utc>,
    /// When it ended; null before.
    #[oai(nullable)]
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<BillUpload> for BillUploadView {
    fn from(upload: BillUpload) -> Self {
        let progress = |told: costlens_store::UploadProgress| UploadProgressView {
            step: told.step,
            permille: told.permille,
        };
        let problem =
            |told: costlens_store::UploadProblem| UploadProblemView { code: told.code, detail: told.detail };
        Self {
            id: Wire(upload.id),
            name: upload.name,
            size_bytes: upload.bytes,
            state: upload.state.into(),
            progress: upload.progress.map(progress),
            problem: upload.problem.map(problem),
            bill_id: upload.bill_id.map(Wire),
            created_at: upload.created_at,
            finished_at: upload.finished_at,
        }
    }
}

/// A file was taken.
#[derive(ApiResponse)]
pub enum BillAccepted {
    /// It is kept and will be read.
    #[oai(status = 202)]
    Accepted(
        Json<BillUploadView>,
        /// Where the upload tells what becomes of it.
        #[oai(header = "Location")]
        String,
    ),
}

impl BillAccepted {
    fn of(view: BillUploadView) -> Self {
        let location = format!("/api/v1/bills/uploads/{}", view.id.0);
        Self::Accepted(Json(view), location)
    }
}

pub(crate) struct BillUploadsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl BillUploadsApi {
    /// List uploads of bills
    ///
    /// Newest first. What became of an upload is told for 90 days.
    #[oai(path = "/bills/uploads", method = "get", operation_id = "list_bill_uploads")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<BillUploadId>>>,
    ) -> Result<Json<Page<BillUploadView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let uploads = conn.list_bill_uploads(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(uploads, limit.0, |upload| upload.id.to_string(), Into::into)))
    }

    /// Get one upload of a bill
    ///
    /// Ask again until `state` is `published`, `failed` or `duplicate`.
    #[oai(path = "/bills/uploads/:id", method = "get", operation_id = "get_bill_upload")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Wire<BillUploadId>>,
    ) -> Result<Json<BillUploadView>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let upload = self.0.store.tenant(tenant).await?.bill_upload(id.0.0).await?;
        Ok(Json(upload.into()))
    }
}

/// The uploads that a process takes right now, by account.
#[derive(Clone, Debug, Default)]
pub struct Arriving(Arc<Mutex<HashMap<TenantId, u32>>>);

impl Arriving {
    /// A place for one more; `None` where the account has none left.
    pub(crate) fn enter(&self, tenant: TenantId) -> Option<Arrival> {
        self.enter_one_of(MOST_ARRIVING, tenant)
    }

    /// The same where an account has so many places.
    pub(crate) fn enter_one_of(&self, most: u32, tenant: TenantId) -> Option<Arrival> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(tenant).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Arrival { all: self.clone(), tenant })
    }
}

/// A place that is free again when this goes.
pub(crate) struct Arrival {
    all: Arriving,
    tenant: TenantId,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.tenant);
            }
        }
    }
}

/// Refuses a file for which there will be no room, before it is taken. A call that was answered before is let through:
/// it gets its answer again.
async fn check_room(parts: &ApiParts, tenant: TenantId, key: Option<&String>) -> Result<(), ApiError> {
    let mut conn = parts.store.tenant(tenant).await?;
    if let Some(key) = key
        && conn.knows_idempotency_key("create_bill", key).await?
    {
        return Ok(());
    }
    let waiting = conn.unfinished_bill_uploads().await?;
    has_room(parts, waiting.uploads.saturating_add(1), waiting.bytes)
}

fn has_room(parts: &ApiParts, uploads: u64, bytes: u64) -> Result<(), ApiError> {
    if uploads > MOST_UNFINISHED {
        let detail =
            format!("at most {MOST_UNFINISHED} uploads of an account wait to be read; wait for one to end");
        return Err(ApiError::new(ProblemCode::LimitReached, detail));
    }
    let most = parts.max_bill_bytes.saturating_mul(MOST_BILLS);
    if bytes > most {
        let detail = format!(
            "the uploads of an account that wait to be read have at most {most} bytes together; wait for one to end"
        );
        return Err(ApiError::new(ProblemCode::LimitReached, detail));
    }
    Ok(())
}

/// Keeps the file, then the upload. A file whose upload is not kept goes again.
pub(super) async fn create(
    parts: &ApiParts,
    (tenant, by): (TenantId, By),
    name: String,
    idempotency_key: Option<&String>,
    body: Body,
) -> Result<BillAccepted, ApiError> {
    let Some(_arrival) = parts.arriving.enter(tenant) else {
        let detail =
            format!("at most {MOST_ARRIVING} uploads of an account arrive at once; send one after the other");
        return Err(ApiError::new(ProblemCode::LimitReached, detail));
    };
    check_room(parts, tenant, idempotency_key).await?;
    let id = BillUploadId::new(parts.clock.now(), parts.entropy.for_id());
    let key = ObjectKey::new(tenant, AREA, &id.to_string()).map_err(|error| internal(&error))?;
    let stored = keep(parts, body, key.clone()).await?;
    let new = NewBillUpload {
        id,
        name,
        object_key: key.to_string(),
        bytes: stored.bytes,
        sha256: stored.sha256,
        created_at: parts.clock.now(),
    };
    let taken = take(parts, (tenant, by), &new, idempotency_key).await;
    if !matches!(taken, Ok(Taken { wants_file: true, .. }) | Err(Refused { maybe_kept: true, .. }))
        && let Err(error) = parts.objects.delete(&key).await
    {
        // The sweeper of uploads finds it.
        tracing::warn!(error = &error as &dyn std::error::Error, "a file that is not wanted stays");
    }
    match taken {
        Ok(taken) => Ok(BillAccepted::of(taken.view)),
        Err(refused) => Err(refused.error),
    }
}

/// An upload that was written, or found written.
struct Taken {
    view: BillUploadView,
    wants_file: bool,
}

/// Why it was not.
struct Refused {
    error: ApiError,
    /// Nobody knows: the answer to the commit was lost. The file stays, and the sweeper decides.
    maybe_kept: bool,
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), maybe_kept: false }
    }
}

/// Keeps the body as it comes, so that a bill of gigabytes needs no memory.
async fn keep(parts: &ApiParts, body: Body, key: ObjectKey) -> Result<Stored, ApiError> {
    let mut put = parts.objects.put(key, parts.max_bill_bytes).await.map_err(|error| internal(&error))?;
    let mut chunks = body.into_bytes_stream();
    loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) => put.write(&chunk).await.map_err(|error| refused(&error))?,
            Ok(None) => return put.finish().await.map_err(|error| refused(&error)),
            Err(error) => {
                return Err(match costlens_edge::body_refusal(&error) {
                    Some(refused @ costlens_edge::BodyRefused::TooLarge { .. }) => {
                        Problem::new(ProblemCode::BodyTooLarge, refused.to_string()).into()
                    }
                    Some(refused) => Problem::new(ProblemCode::RequestTimeout, refused.to_string()).into(),
                    None => ApiError::new(ProblemCode::InvalidRequest, "the upload broke off"),
                });
            }
        }
    }
}

/// Writes the upload and asks for its reading, in one transaction.
async fn take(
    parts: &ApiParts,
    (tenant, by): (TenantId, By),
    new: &NewBillUpload,
    key: Option<&String>,
) -> Result<Taken, Refused> {
    let mut conn = parts.store.tenant(tenant).await?;
    let call = format!("{} {}", hex::encode(new.sha256), new.name);
    let claim =
        match idempotent::claim((&mut conn, &parts.keyring), "create_bill", key, &call, new.created_at)
            .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(answer) => {
                return Ok(Taken { view: idempotent::again(&answer)?, wants_file: false });
            }
        };
    let upload = conn.create_bill_upload(new).await?;
    let wants_file = !upload.state.is_ended();
    if wants_file {
        let waiting = conn.unfinished_bill_uploads_alone().await?;
        has_room(parts, waiting.uploads, waiting.bytes)?;
        let job = IngestBill { upload: upload.id, ask: 0 };
        ask_to_ingest(&mut conn, job, new.created_at).await?;
    }
    let change = json!({ "size_bytes": upload.bytes, "sha256": hex::encode(new.sha256) });
    by.did(parts, &mut conn, (Action::BillUploaded, Some(upload.id.to_string())), change).await?;
    let view = BillUploadView::from(upload);
    claim.finish_as(202, &mut conn, &view).await?;
    match conn.commit().await {
        Ok(()) => Ok(Taken { view, wants_file }),
        Err(error) => Err(Refused { error: error.into(), maybe_kept: true }),
    }
}

fn refused(error: &ObjectsError) -> ApiError {
    match error {
        ObjectsError::TooLarge { .. } => ApiError::new(ProblemCode::BodyTooLarge, error.to_string()),
        _ => internal(error),
    }
}

fn internal(error: &(dyn std::error::Error + 'static)) -> ApiError {
    tracing::error!(error, "a bill could not be taken");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
