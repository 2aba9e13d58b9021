//! One export, from the asking to the file.

use std::time::Duration;

use chrono::Days;
use costlens_domain::events::EventKind;
use costlens_domain::{ExportId, TenantId};
use costlens_jobs::events::happened;
use costlens_jobs::exports::{AREA, KEPT_DAYS, WriteExport};
use costlens_objects::{ObjectKey, ObjectsError, Put, Stored};
use costlens_queue::{ErrorClass, JobContext, JobError, ops};
use costlens_store::{Export, ExportFile, ExportProblem, StoreError};
use serde_json::json;
use tokio::time::Instant;

use super::file_failure;
use super::pages::{Next, Reader};
use super::squeeze::Squeeze;
use crate::{WorkerParts, store_failure};

/// How often progress is written at most.
const EVERY: Duration = Duration::from_secs(1);

/// How writing a file ended, but for what is tried again.
enum Written {
    /// All of it is on the disk.
    Whole { stored: Stored, rows: u64 },
    /// Nobody wants it any more.
    Unwanted,
    /// It is larger than a file may be.
    TooLarge { max_bytes: u64 },
}

/// Safe to run twice, at once, and to be killed anywhere: every attempt writes a file of its own, and one of them ends
/// the export.
pub(super) async fn write_export(
    job: WriteExport,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(tenant) = context.tenant().map(TenantId::from) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_tenant", "an export is written for nobody"));
    };
    let work = Writing { parts: &parts, context: &context, tenant };
    let Some(export) = work.begin(job.export).await? else { return Ok(()) };
    let now = parts.clock.now();
    let name = format!("{}_{}", export.id, ExportId::new(now, parts.entropy.for_id()).uuid().simple());
    let key = ObjectKey::new(tenant, AREA, &name)
        .map_err(|error| JobError::give_up(ErrorClass::Bug, "object_key", error))?;
    let put = parts.objects.put(key.clone(), parts.max_export_bytes).await.map_err(file_failure)?;
    match work.write(&export, put).await? {
        Written::Whole { stored, rows } => {
            if work.is_cancelled().await? {
                parts.objects.delete(&key).await.map_err(file_failure)?;
                return work.cancel(export.id).await;
            }
            work.finish(&export, &key, stored, rows).await
        }
        // A cancellation of the row, or an account that is being closed.
        Written::Unwanted => work.end(export.id, None).await,
        Written::TooLarge { max_bytes } => {
            let detail = format!(
                "the file would have more than the {max_bytes} bytes that it may have; ask for a shorter period"
            );
            let problem = ExportProblem { code: "export_too_large".to_owned(), detail };
            work.end(export.id, Some(&problem)).await?;
            Err(JobError::give_up(ErrorClass::CustomerAction, problem.code, problem.detail))
        }
    }
}

struct Writing<'a> {
    parts: &'a WorkerParts,
    context: &'a JobContext,
    tenant: TenantId,
}

impl Writing<'_> {
    /// The export, marked as being written; `None` for one that has ended, or whose row is past its time.
    async fn begin(&self, id: ExportId) -> Result<Option<Export>, JobError> {
        let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        match conn.begin_export(id, self.parts.clock.now()).await {
            Ok(export) => {
                conn.commit().await.map_err(store_failure)?;
                Ok(Some(export).filter(|export| export.state.is_open()))
            }
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(store_failure(error)),
        }
    }

    async fn write(&self, export: &Export, mut put: Put) -> Result<Written, JobError> {
        let mut reader = Reader::of(export);
        let mut squeeze =
            Squeeze::begin(export.what, export.format, &*self.parts.parquet).map_err(JobError::retry)?;
        let (mut rows, mut told) = (0_u64, Instant::now());
        loop {
            if self.context.is_cancelled() {
                if self.is_cancelled().await? {
                    self.end(export.id, None).await?;
                }
                return Err(JobError::cancelled());
            }
            let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
            let next = reader.next(&mut conn, export).await.map_err(store_failure)?;
            drop(conn);
            let page = match next {
                Next::Page(page) => page,
                Next::Unwanted => return Ok(Written::Unwanted),
                Next::Moved => {
                    return Err(JobError::retry(
                        "a bill was replaced, or a month settled, while it was written",
                    ));
                }
            };
            let len = page.len();
            if len == 0 {
                let rest = squeeze.end().map_err(JobError::retry)?;
                return match put.write(&rest).await {
                    Ok(()) => match put.finish().await {
                        Ok(stored) => Ok(Written::Whole { stored, rows }),
                        Err(error) => too_large(error),
                    },
                    Err(error) => too_large(error),
                };
            }
            // Some milliseconds of computing, for which no call is to wait.
            let squeezed = tokio::task::spawn_blocking(move || {
                let bytes = squeeze.add(&page);
                (squeeze, bytes)
            });
            let (given_back, bytes) = squeezed.await.map_err(JobError::retry)?;
            squeeze = given_back;
            if let Err(error) = put.write(&bytes.map_err(JobError::retry)?).await {
                return too_large(error);
            }
            rows += u64::try_from(len).unwrap_or_default();
            if told.elapsed() >= EVERY {
                told = Instant::now();
                self.tell(export.id, rows, reader.permille()).await?;
            }
        }
    }

    /// Tells how far the writing is. That it cannot be told stops nothing.
    async fn tell(&self, id: ExportId, rows: u64, permille: u16) -> Result<(), JobError> {
        let written = async {
            let mut conn = self.parts.store.tenant(self.tenant).await?;
            conn.note_export_progress(id, (rows, permille), self.parts.clock.now()).await?;
            conn.commit().await
        };
        if let Err(error) = written.await {
            tracing::debug!(export = %id, %error, "progress was not written");
        }
        self.context.progress(&json!({ "rows": rows, "permille": permille })).await?;
        Ok(())
    }

    /// The export's end and what is said of it, in one transaction. The file is on the disk. If another attempt was
    /// quicker, or somebody cancelled, this file is nobody's.
    async fn finish(
        &self,
        export: &Export,
        key: &ObjectKey,
        stored: Stored,
        rows: u64,
    ) -> Result<(), JobError> {
        let now = self.parts.clock.now();
        let file = ExportFile {
            object_key: key.to_string(),
            bytes: stored.bytes,
            sha256: stored.sha256,
            rows,
            expires_at: now.checked_add_days(Days::new(KEPT_DAYS)).unwrap_or(now),
        };
        let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        if !conn.finish_export(export.id, &file, now).await.map_err(store_failure)? {
            drop(conn);
            return self.parts.objects.delete(key).await.map_err(file_failure);
        }
        let payload = json!({
            "export_id": export.id,
            "what": export.what,
            "format": export.format,
            "rows": rows,
            "size_bytes": file.bytes,
            "sha256": hex::encode(file.sha256),
            "expires_at": file.expires_at,
        });
        happened(&mut conn, EventKind::ExportDone, payload, now, &*self.parts.entropy)
            .await
            .map_err(store_failure)?;
        conn.commit().await.map_err(store_failure)?;
        tracing::info!(export.id = %export.id, rows, size_bytes = file.bytes, "an export was written");
        Ok(())
    }

    /// Whether somebody cancelled the job. A job that is lost to another worker was not.
    async fn is_cancelled(&self) -> Result<bool, JobError> {
        let mut conn = self.context.queue().conn().await?;
        let job = ops::show(&mut conn, self.context.id(), None).await?;
        Ok(job.is_some_and(|job| job.job.cancel_requested))
    }

    async fn cancel(&self, id: ExportId) -> Result<(), JobError> {
        self.end(id, None).await?;
        Err(JobError::cancelled())
    }

    async fn end(&self, id: ExportId, problem: Option<&ExportProblem>) -> Result<(), JobError> {
        let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        conn.end_export(id, problem, self.parts.clock.now()).await.map_err(store_failure)?;
        conn.commit().await.map_err(store_failure)
    }
}

fn too_large(error: ObjectsError) -> Result<Written, JobError> {
    match error {
        ObjectsError::TooLarge { max_bytes } => Ok(Written::TooLarge { max_bytes }),
        other => Err(file_failure(other)),
    }
}
