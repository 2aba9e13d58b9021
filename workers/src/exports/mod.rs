//! Exports become files: written in bounded memory, whole or not at all, and gone when their time is over.
//!
//! The export's row is the truth and ends once; the job only moves it. Rows are read page by page after the last one
//! that was written, each page in a short transaction of the tenant's own, so that no snapshot is held for an hour. Every
//! attempt begins anew and writes a file of its own; the row names the one that counts once it is on the disk. So a
//! crash leaves a file too many, which [`sweep`] removes, and never a row without its file.

mod pages;
pub mod parquet;
mod squeeze;
mod sweep;
mod write;

use std::time::Duration;

use costlens_jobs::exports::WriteExport;
use costlens_objects::ObjectsError;
use costlens_queue::{JobContext, JobError, Settings, Workers};

use crate::WorkerParts;

pub(crate) use sweep::{SweepExports, sweep_exports};

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_hours(2);

/// The worker: two exports at a time in a process, and one of a tenant everywhere, because each reads as fast as the
/// database can.
pub(crate) fn add(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings = Settings { batch: 1, timeout: Some(TIMEOUT), per_tenant: Some(1), ..Settings::default() };
    workers.job(settings, 2, move |job: WriteExport, context: JobContext| {
        write::write_export(job, context, parts.clone())
    })
}

/// Files fail as disks do: in passing, or because somebody has to look. Both are tried again.
fn file_failure(error: ObjectsError) -> JobError {
    JobError::retry(error).code("objects")
}
