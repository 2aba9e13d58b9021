//! Uploaded bills become bills: read as a whole, kept in one transaction, or refused with the reason.
//!
//! The upload's row is the truth and ends once; the job only moves it. Nothing partial is ever to be seen: until the
//! transaction that publishes it commits, the earlier bill of the month counts. The file goes after the row has ended,
//! so a crash leaves a file too many, which [`sweep`] removes, and never a row without its file.

mod ingest;
mod notices;
pub(crate) mod progress;
pub(crate) mod stored;
mod sweep;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use costlens_domain::bill::BillReport;
use costlens_jobs::bills::IngestBill;
use costlens_objects::ObjectsError;
use costlens_queue::{JobContext, JobError, Settings, Workers};

use crate::WorkerParts;

pub(crate) use sweep::{SweepUploads, sweep_uploads};

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_mins(20);

/// Reads a bill from a file. The binary fills this port with the bill engine, so that nobody here carries it.
#[async_trait]
pub trait ReadBill: Send + Sync + std::fmt::Debug {
    /// The bill in this file, or in the files of this folder, whole. Dropping the future stops the reading.
    async fn read(&self, path: &Path, progress: &dyn HearProgress) -> Result<BillReport, BillRefused>;
}

/// Is told how far a reading is.
pub trait HearProgress: Send + Sync {
    /// What is being done now, and the share of the whole that is done, in thousandths. Cheap; may be called often.
    fn hear(&self, step: &str, permille: u16);
}

/// Why a file is no bill that can be taken, in words for its owner: the file's place where it breaks.
#[derive(Debug, thiserror::Error)]
pub enum BillRefused {
    /// The file is at fault.
    #[error("{0}")]
    Unreadable(String),
    /// It carries no cost: a column is missing, or empty.
    #[error("{0}")]
    NoCost(String),
    /// It takes more memory than reading one may.
    #[error("{0}")]
    TooLarge(String),
    /// We are.
    #[error("the bill engine failed: {0}")]
    Engine(String),
}

/// The worker: one bill at a time in a process, because reading one takes all the processors that there are.
pub(crate) fn add(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings = Settings { batch: 1, timeout: Some(TIMEOUT), ..Settings::default() };
    workers.job(settings, 1, move |job: IngestBill, context: JobContext| {
        ingest::ingest_bill(job, context, parts.clone())
    })
}

/// Files fail as disks do: in passing, or because somebody has to look. Both are tried again.
fn file_failure(error: ObjectsError) -> JobError {
    let code = if matches!(error, ObjectsError::Missing { .. }) { "object_missing" } else { "objects" };
    JobError::retry(error).code(code)
}
