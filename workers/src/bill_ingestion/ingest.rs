//! One upload, from the kept file to the bill.

use costlens_domain::bill::BillReport;
use costlens_domain::{BillId, ProblemCode, TenantId};
use costlens_jobs::bills::IngestBill;
use costlens_objects::ObjectKey;
use costlens_queue::{ErrorClass, JobContext, JobError, ops};
use costlens_store::{BillInTheWay, BillUpload, NewBill, Published, StoreError, UploadProblem, UploadState};

use super::progress::{Latest, Read};
use super::{BillRefused, file_failure, notices, stored};
use crate::{WorkerParts, store_failure};

/// Safe to run twice, at once, and to be killed anywhere: every step finds out what the one before has left.
pub(super) async fn ingest_bill(
    job: IngestBill,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(tenant) = context.tenant().map(TenantId::from) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_tenant", "a bill is read for nobody"));
    };
    let Some(upload) = begin(&job, &parts, tenant).await? else { return Ok(()) };
    let key: ObjectKey =
        upload.object_key.parse().map_err(|error| JobError::give_up(ErrorClass::Bug, "object_key", error))?;
    if upload.state.is_ended() {
        return conclude(&parts, &key, &upload).await;
    }
    let report = match read(&parts, &context, tenant, &upload, &key).await? {
        Ok(report) => report,
        Err(problem) => return give_up(&parts, tenant, &upload, &key, problem).await,
    };
    if is_cancelled(&context).await? {
        return cancel(&parts, tenant, &upload, &key).await;
    }
    match publish(&parts, tenant, &upload, &report).await? {
        Some(problem) => give_up(&parts, tenant, &upload, &key, problem).await,
        None => parts.objects.delete(&key).await.map_err(file_failure),
    }
}

/// The upload; `None` for one whose row is past its time, and so its file.
async fn begin(
    job: &IngestBill,
    parts: &WorkerParts,
    tenant: TenantId,
) -> Result<Option<BillUpload>, JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    match conn.begin_reading_bill(job.upload, parts.clock.now()).await {
        Ok(upload) => {
            conn.commit().await.map_err(store_failure)?;
            Ok(Some(upload))
        }
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(store_failure(error)),
    }
}

/// What remains for an upload that has ended: its file goes, and the job tells what the row tells.
async fn conclude(parts: &WorkerParts, key: &ObjectKey, upload: &BillUpload) -> Result<(), JobError> {
    parts.objects.delete(key).await.map_err(file_failure)?;
    match (&upload.state, &upload.problem) {
        (UploadState::Failed, Some(problem)) if is_for_the_customer(problem) => Err(refused(problem)),
        _ => Ok(()),
    }
}

/// The report, or why the file is none. Stops when the job is cancelled or lost.
async fn read(
    parts: &WorkerParts,
    context: &JobContext,
    tenant: TenantId,
    upload: &BillUpload,
    key: &ObjectKey,
) -> Result<Result<BillReport, UploadProblem>, JobError> {
    let copy = parts.objects.fetch(key).await.map_err(file_failure)?;
    let latest = Latest::default();
    let read = tokio::select! {
        read = parts.bills.read(copy.path(), &latest) => read,
        () = latest.write(parts, context, tenant, Read::Upload(upload.id)) => Err(BillRefused::Engine("nobody waited".into())),
        () = context.cancelled() => {
            if is_cancelled(context).await? {
                cancel(parts, tenant, upload, key).await?;
            }
            return Err(JobError::cancelled());
        }
    };
    match read {
        Ok(report) => Ok(Ok(report)),
        Err(BillRefused::Unreadable(words) | BillRefused::NoCost(words)) => {
            let code = ProblemCode::BillUnreadable.as_str().to_owned();
            // The reader knows the file by the name we gave it; its owner knows it by another.
            Ok(Err(UploadProblem { code, detail: words.replace(key.name(), &upload.name) }))
        }
        Err(BillRefused::TooLarge(detail)) => {
            let code = ProblemCode::BodyTooLarge.as_str().to_owned();
            Ok(Err(UploadProblem { code, detail }))
        }
        Err(refused @ BillRefused::Engine(_)) => Err(JobError::retry(refused).code("bill_engine")),
    }
}

/// Whether somebody cancelled the job. A job that is lost to another worker was not.
async fn is_cancelled(context: &JobContext) -> Result<bool, JobError> {
    let mut conn = context.queue().conn().await?;
    let job = ops::show(&mut conn, context.id(), None).await?;
    Ok(job.is_some_and(|job| job.job.cancel_requested))
}

async fn cancel(
    parts: &WorkerParts,
    tenant: TenantId,
    upload: &BillUpload,
    key: &ObjectKey,
) -> Result<(), JobError> {
    fail(parts, tenant, upload, &super::sweep::cancelled()).await?;
    parts.objects.delete(key).await.map_err(file_failure)?;
    Err(JobError::cancelled())
}

/// Only the customer can mend the file, so no attempt will help.
async fn give_up(
    parts: &WorkerParts,
    tenant: TenantId,
    upload: &BillUpload,
    key: &ObjectKey,
    problem: UploadProblem,
) -> Result<(), JobError> {
    fail(parts, tenant, upload, &problem).await?;
    parts.objects.delete(key).await.map_err(file_failure)?;
    Err(refused(&problem))
}

/// Whether only the customer can mend it.
fn is_for_the_customer(problem: &UploadProblem) -> bool {
    [ProblemCode::BillUnreadable, ProblemCode::BodyTooLarge, ProblemCode::BillOverlaps]
        .iter()
        .any(|code| problem.code == code.as_str())
}

fn refused(problem: &UploadProblem) -> JobError {
    JobError::give_up(ErrorClass::CustomerAction, problem.code.clone(), problem.detail.clone())
}

async fn fail(
    parts: &WorkerParts,
    tenant: TenantId,
    upload: &BillUpload,
    problem: &UploadProblem,
) -> Result<(), JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let ended = conn.fail_bill_upload(upload.id, problem, parts.clock.now()).await.map_err(store_failure)?;
    if ended && is_for_the_customer(problem) {
        notices::of_failed(&mut conn, parts, upload, problem).await?;
    }
    conn.commit().await.map_err(store_failure)
}

/// Bill, facts, totals, the upload's end and what is said of it in one transaction. The problem where another bill keeps
/// the report's months, and nothing is stored.
async fn publish(
    parts: &WorkerParts,
    tenant: TenantId,
    upload: &BillUpload,
    report: &BillReport,
) -> Result<Option<UploadProblem>, JobError> {
    let now = parts.clock.now();
    let id = BillId::new(now, parts.entropy.for_id());
    let new = NewBill { id, name: upload.name.clone(), created_at: now };
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let published = conn.publish_bill_upload(upload.id, &new, report).await.map_err(store_failure)?;
    if let Published::InTheWay(other) = &published {
        return Ok(Some(overlaps(other)));
    }
    if let Published::Bill(bill) = &published {
        stored::bill_stored(&mut conn, parts, stored::Origin::Upload(upload.id), bill).await?;
    }
    conn.commit().await.map_err(store_failure)?;
    match published {
        Published::Bill(bill) => {
            tracing::info!(bill = %bill.id, lines = bill.lines, "a bill was published");
        }
        Published::Duplicate(bill) => tracing::info!(%bill, "an upload repeats a bill that counts"),
        Published::Ended | Published::InTheWay(_) => {}
    }
    Ok(None)
}

fn overlaps(other: &BillInTheWay) -> UploadProblem {
    UploadProblem {
        code: ProblemCode::BillOverlaps.as_str().to_owned(),
        detail: format!("\u{201c}{}\u{201d} ({}), which counts, {}", other.name, other.id, other.why.words()),
    }
}
