//! What was left lying: uploads whose job is gone, and files that nobody wants.
//!
//! A lost job may delay a bill, never lose it. A job that ended without its upload's end, because the process died with
//! it too often or somebody cancelled it before it began, ends the upload in words.

use std::collections::HashSet;

use chrono::Duration;
use costlens_domain::{BillUploadId, ProblemCode};
use costlens_jobs::bills::{AREA, IngestBill, ask_to_ingest};
use costlens_objects::Listed;
use costlens_queue::ops::{self, State};
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::{UnfinishedUpload, UploadProblem};
use serde::{Deserialize, Serialize};

use super::{file_failure, notices};
use crate::{WorkerParts, store_failure};

/// How long an upload may lie still before its job is looked for.
const STILL: Duration = Duration::minutes(5);
/// How old a file without a row must be: longer than a body may take to arrive.
const ORPHANED: Duration = Duration::hours(1);
/// How many are looked at in one step.
const STEP: u32 = 200;
/// And how many files.
const FILES: usize = 1_000;

/// Looks after uploads and kept files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SweepUploads {}

impl Job for SweepUploads {
    const QUEUE: &'static str = "bill-uploads.v1";
}

/// What a sweep did.
#[derive(Debug, Default, Serialize)]
struct Swept {
    asked: u32,
    ended: u32,
    files: u32,
}

pub(crate) async fn sweep_uploads(
    _job: SweepUploads,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut swept = Swept::default();
    let before = parts.clock.now() - STILL;
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let still = system.unfinished_bill_uploads(before, after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some(last) = still.last() else { break };
        after = Some(last.id);
        for upload in still {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            look_after(&parts, &context, upload, &mut swept).await?;
        }
        context.progress(&swept).await?;
    }
    remove_unwanted_files(&parts, &context, &mut swept).await?;
    context.progress(&swept).await?;
    Ok(())
}

async fn look_after(
    parts: &WorkerParts,
    context: &JobContext,
    upload: UnfinishedUpload,
    swept: &mut Swept,
) -> Result<(), JobError> {
    let job = match upload.job_id {
        None => None,
        Some(id) => {
            let mut conn = context.queue().conn().await?;
            ops::show(&mut conn, id, None).await?
        }
    };
    let now = parts.clock.now();
    let end = match job.map(|job| job.job.state) {
        Some(State::Scheduled | State::Ready | State::Running | State::Retrying | State::Waiting) => {
            return Ok(());
        }
        Some(State::Cancelled) => Some(cancelled()),
        Some(State::Dead) => Some(UploadProblem {
            code: ProblemCode::Internal.as_str().to_owned(),
            detail: "it could not be read for reasons of ours, which have been logged; nothing was kept"
                .to_owned(),
        }),
        Some(State::Done) | None => None,
    };
    let mut conn = parts.store.tenant(upload.tenant_id).await.map_err(store_failure)?;
    if let Some(problem) = end {
        let ended = conn.fail_bill_upload(upload.id, &problem, now).await.map_err(store_failure)?;
        if ended && problem.code == ProblemCode::Internal.as_str() {
            let failed = conn.bill_upload(upload.id).await.map_err(store_failure)?;
            notices::of_failed(&mut conn, parts, &failed, &problem).await?;
        }
        swept.ended += u32::from(ended);
    } else {
        let job = IngestBill { upload: upload.id, ask: upload.asks.saturating_add(1) };
        let asked = ask_to_ingest(&mut conn, job, now).await.map_err(store_failure)?;
        swept.asked += u32::from(asked);
    }
    conn.commit().await.map_err(store_failure)
}

/// The words for an upload whose reading somebody cancelled.
pub(super) fn cancelled() -> UploadProblem {
    UploadProblem {
        code: "cancelled".to_owned(),
        detail: "the reading was cancelled; nothing was kept".to_owned(),
    }
}

/// Files that were kept and whose row was never written, or has ended, or that never arrived as a whole.
async fn remove_unwanted_files(
    parts: &WorkerParts,
    context: &JobContext,
    swept: &mut Swept,
) -> Result<(), JobError> {
    let before = parts.clock.now() - ORPHANED;
    let old = |file: Listed| {
        let upload: BillUploadId = file.key.name().parse().ok()?;
        upload.time().is_some_and(|at| at < before).then_some((upload, file.key))
    };
    let mut walk = parts.objects.walk(None);
    loop {
        let listed = walk.next(FILES).await.map_err(file_failure)?;
        if listed.is_empty() {
            return Ok(());
        }
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let files: Vec<_> = listed.into_iter().filter_map(old).collect();
        let ids: Vec<BillUploadId> = files.iter().map(|(upload, _)| *upload).collect();
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let wanted = system.wanted_bill_uploads(&ids).await.map_err(store_failure)?;
        let wanted: HashSet<BillUploadId> = wanted.into_iter().collect();
        for (_, key) in files.iter().filter(|(upload, key)| key.area() != AREA || !wanted.contains(upload)) {
            parts.objects.delete(key).await.map_err(file_failure)?;
            swept.files += 1;
        }
    }
}
