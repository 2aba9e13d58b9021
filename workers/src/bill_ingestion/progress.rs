//! How far a reading is, from the engine's threads to the rows that people look at: once a second at most.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use costlens_domain::aws::Month;
use costlens_domain::{AwsConnectionId, BillUploadId, TenantId};
use costlens_queue::JobContext;
use costlens_store::{StoreError, UploadProgress};

use super::HearProgress;
use crate::WorkerParts;

/// How often progress is written.
const EVERY: Duration = Duration::from_secs(1);

/// Whose reading it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    /// An upload's.
    Upload(BillUploadId),
    /// That of a month of a connected account.
    Month(AwsConnectionId, Month),
}

/// The latest word of the engine.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<Option<UploadProgress>>);

impl HearProgress for Latest {
    fn hear(&self, step: &str, permille: u16) {
        let told = UploadProgress { step: step.to_owned(), permille: permille.min(1000) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }
}

impl Latest {
    fn take(&self) -> Option<UploadProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Writes what is new to the row and to its job, for ever. That it cannot be written stops no reading.
    pub(crate) async fn write(
        &self,
        parts: &WorkerParts,
        context: &JobContext,
        tenant: TenantId,
        read: Read,
    ) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(progress) = self.take() else { continue };
            let written = async {
                let mut conn = parts.store.tenant(tenant).await?;
                let now = parts.clock.now();
                match read {
                    Read::Upload(upload) => conn.note_bill_progress(upload, &progress, now).await?,
                    Read::Month(connection, month) => {
                        conn.note_month_progress(connection, month, &progress, now).await?;
                    }
                }
                conn.commit().await?;
                Ok::<_, StoreError>(())
            };
            if let Err(error) = written.await {
                tracing::debug!(?read, %error, "progress was not written");
            }
            if let Err(error) = context.progress(&progress).await {
                tracing::debug!(?read, %error, "progress was not written");
            }
        }
    }
}
