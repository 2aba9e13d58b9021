//! Words about money while it is spent: budgets every few minutes, surprising hours once they are over.
//!
//! What was told stands in the domain's own rows, whose keys make each alert one alert, in the transaction of the
//! messages about it. A check that is lost is made up for by the next one.

mod anomalies;
mod budgets;

use costlens_domain::TenantId;
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// Holds every budget against what was spent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CheckBudgets {}

impl Job for CheckBudgets {
    const QUEUE: &'static str = "budgets.v1";
    /// The next tick looks again.
    const MAX_ATTEMPTS: u32 = 3;
}

/// Judges the hour that is over, for every tenant that had calls in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindAnomalies {}

impl Job for FindAnomalies {
    const QUEUE: &'static str = "anomalies.v1";
    /// The next tick looks at this hour once more, too.
    const MAX_ATTEMPTS: u32 = 3;
}

/// Goes through the tenants with budgets.
pub(crate) async fn check_budgets(
    _job: CheckBudgets,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let tenants = system.tenants_with_budgets().await.map_err(store_failure)?;
    drop(system);
    let mut turns = Turns::default();
    for tenant in tenants {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        turns.note(tenant, budgets::check(&parts, tenant).await);
    }
    turns.end()
}

/// How the hours that were judged are noted.
const JUDGED: &str = "anomalies";

/// Goes through the tenants with calls in each whole hour since the last that was judged, and in that one again,
/// because calls of its last minutes may have reached the ledger after the hour's own check. Of an outage the last two
/// days are made up for. A tenant whose hour cannot be judged keeps the mark where it is.
pub(crate) async fn find_anomalies(
    _job: FindAnomalies,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut turns = Turns::default();
    let judged = parts.store.system().await.map_err(store_failure)?.watched_upto(JUDGED).await;
    for hour in anomalies::hours_over(parts.clock.now(), judged.map_err(store_failure)?) {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let tenants = system.tenants_with_calls(hour).await.map_err(store_failure)?;
        drop(system);
        for tenant in tenants {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            turns.note(tenant, anomalies::find(&parts, tenant, hour).await);
        }
        if turns.failed.is_none() {
            let mut system = parts.store.system().await.map_err(store_failure)?;
            system.note_watched(JUDGED, hour).await.map_err(store_failure)?;
        }
    }
    turns.end()
}

/// Every tenant has its turn: one that fails keeps no other from it, and is told at the end.
#[derive(Default)]
struct Turns {
    failed: Option<StoreError>,
}

impl Turns {
    fn note(&mut self, tenant: TenantId, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::error!(
                tenant.id = %tenant, error = &error as &dyn std::error::Error,
                "spend could not be watched"
            );
            self.failed = Some(error);
        }
    }

    fn end(self) -> Result<(), JobError> {
        match self.failed {
            Some(error) => Err(store_failure(error)),
            None => Ok(()),
        }
    }
}
