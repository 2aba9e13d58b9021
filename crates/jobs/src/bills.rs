//! Reading uploaded bills.

use costlens_domain::BillUploadId;
use costlens_queue::{Enqueued, Job};
use costlens_store::{StoreError, TenantConn};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, ask};

/// The area of the kept files in which uploads lie. Whatever brings a bill (a person, later a bucket) keeps its file here
/// under the upload's id, writes the row, and asks for the job in one transaction with it.
pub const AREA: &str = "bills";

/// Reads an uploaded file and makes it a bill.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct IngestBill {
    /// The upload.
    pub upload: BillUploadId,
    /// How often it was asked for before. A job that ended keeps its key for as long as its row is kept, so whoever asks
    /// again asks under the next one.
    #[serde(default)]
    pub ask: u32,
}

impl Job for IngestBill {
    const QUEUE: &'static str = "bill-ingestion.v1";
    const MAX_ATTEMPTS: u32 = 12;
}

impl TenantJob for IngestBill {
    fn key(&self) -> Option<String> {
        Some(match self.ask {
            0 => self.upload.to_string(),
            again => format!("{}.{again}", self.upload),
        })
    }
}

/// Asks for an upload to be read, in the transaction that keeps the upload, and remembers the job with it. Whether this
/// ask was the one that counts: `false` where somebody asked as much before.
pub async fn ask_to_ingest(
    tx: &mut TenantConn,
    job: IngestBill,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<bool, StoreError> {
    match ask(tx, &job).await? {
        Enqueued::New(id) => tx.note_bill_upload_job(job.upload, job.ask, id, at).await,
        Enqueued::AlreadyThere => Ok(false),
    }
}
