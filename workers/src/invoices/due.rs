//! Which sources are to be asked, every ten minutes.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::{InvoiceSourceId, TenantId};
use costlens_jobs::invoices::ask_to_fetch;
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// How many are found in one step.
const STEP: u32 = 200;
/// How long a reading may be due before it is asked for anew: its job never began, or is a dead letter.
const LOST: TimeDelta = TimeDelta::hours(1);

/// Finds what is to be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindInvoiceFetches {}

impl Job for FindInvoiceFetches {
    const QUEUE: &'static str = "invoice-fetches.v1";
}

pub(crate) async fn find_invoice_fetches(
    _job: FindInvoiceFetches,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let due = system.due_invoice_sources(now, after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some((_, last)) = due.last() else { return Ok(()) };
        after = Some(*last);
        for (tenant, source) in due {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            ask(&parts, tenant, source, now).await.map_err(store_failure)?;
        }
    }
}

/// One reading for each moment that was set for one.
async fn ask(
    parts: &WorkerParts,
    tenant: TenantId,
    source: InvoiceSourceId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut conn = parts.store.tenant(tenant).await?;
    let next = match conn.invoice_source(source).await {
        Ok(found) => found.next_fetch_at,
        Err(StoreError::NotFound) => None,
        Err(error) => return Err(error),
    };
    let Some(due) = next.filter(|due| *due <= now) else { return Ok(()) };
    // The hour's number: a lost reading is asked for once in it.
    let hour = DateTime::from_timestamp(now.timestamp() / 3_600 * 3_600, 0).unwrap_or(now);
    ask_to_fetch(&mut conn, source, if due < now - LOST { hour } else { due }).await?;
    conn.commit().await
}
