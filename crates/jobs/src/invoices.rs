//! Reading vendors' own cost reports.

use chrono::{DateTime, Utc};
use costlens_domain::InvoiceSourceId;
use costlens_queue::Job;
use costlens_store::{StoreError, TenantConn};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, ask};

/// Asks a vendor for the month that runs and the one before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FetchInvoices {
    /// The source.
    pub source: InvoiceSourceId,
    /// The moment for which it was asked, in milliseconds: one reading each.
    pub ask: i64,
}

impl Job for FetchInvoices {
    const QUEUE: &'static str = "invoices.v1";
    /// More than an hour of a vendor that is away; then the next moment that is set for it.
    const MAX_ATTEMPTS: u32 = 8;
}

impl TenantJob for FetchInvoices {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}", self.source, self.ask))
    }
}

/// Asks for a reading at this moment.
pub async fn ask_to_fetch(
    tx: &mut TenantConn,
    source: InvoiceSourceId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    ask(tx, &FetchInvoices { source, ask: at.timestamp_millis() }).await.map(drop)
}
