//! Months that may still change are settled again every night: calls may reach the ledger after their bill did, out of
//! a spool that waited for the database or from somewhere else.

use chrono::Datelike as _;
use costlens_domain::TenantId;
use costlens_jobs::settlement::{NIGHTS_REACH, SettleMonth};
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// Asks for the last months of everybody who has bills to be settled again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindSettlements {}

impl Job for FindSettlements {
    const QUEUE: &'static str = "settlement-nights.v1";
    const MAX_ATTEMPTS: u32 = 5;
}

pub(crate) async fn find_settlements(
    _job: FindSettlements,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let tenants = system.tenants_with_bills().await.map_err(store_failure)?;
    drop(system);
    for tenant in tenants {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        ask(&parts, tenant).await.map_err(store_failure)?;
    }
    Ok(())
}

async fn ask(parts: &WorkerParts, tenant: TenantId) -> Result<(), StoreError> {
    let night = parts.clock.now().date_naive();
    let since = night.with_day(1).and_then(|first| first.checked_sub_months(NIGHTS_REACH)).unwrap_or(night);
    let mut tx = parts.store.tenant(tenant).await?;
    for (month, bill) in tx.settled_months(since).await? {
        costlens_jobs::ask(&mut tx, &SettleMonth { month, bill, night: Some(night) }).await?;
    }
    tx.commit().await
}
