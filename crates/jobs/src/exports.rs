//! Writing exports.

use costlens_domain::ExportId;
use costlens_queue::{Enqueued, Job};
use costlens_store::{StoreError, TenantConn};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, ask};

/// The area of the kept files in which exports lie. A file's name is the export's id, an underscore, and an id of its
/// own: each attempt writes another file, and the export's row says which one counts.
pub const AREA: &str = "exports";

/// For how many days a file can be downloaded.
pub const KEPT_DAYS: u64 = 7;

/// Writes an export's file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct WriteExport {
    /// The export.
    pub export: ExportId,
    /// How often it was asked for before. A job that ended keeps its key for as long as its row is kept, so whoever asks
    /// again asks under the next one.
    #[serde(default)]
    pub ask: u32,
}

impl Job for WriteExport {
    const QUEUE: &'static str = "export.v1";
    const MAX_ATTEMPTS: u32 = 10;
}

impl TenantJob for WriteExport {
    fn key(&self) -> Option<String> {
        Some(match self.ask {
            0 => self.export.to_string(),
            again => format!("{}.{again}", self.export),
        })
    }
}

/// Asks for an export to be written, in the transaction that keeps the export, and remembers the job with it. Whether
/// this ask was the one that counts: `false` where somebody asked as much before.
pub async fn ask_to_write(
    tx: &mut TenantConn,
    job: WriteExport,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<bool, StoreError> {
    match ask(tx, &job).await? {
        Enqueued::New(id) => tx.note_export_job(job.export, job.ask, id, at).await,
        Enqueued::AlreadyThere => Ok(false),
    }
}
