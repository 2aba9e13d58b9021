//! Words about money while it is spent: budgets every few minutes, surprising hours once they are over.
//!
//! What was told stands in the domain's own rows, whose keys make each alert one alert, in the transaction of the
//! messages about it. A check that is lost is made up for by the next one.

pub(crate) mod anomalies;
mod budgets;
mod outlook;

use chrono::TimeDelta;
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

/// How many are looked at in one step.
const STEP: u32 = 200;

/// Judges each whole hour since the last that was noted, and that one again, because calls of its last minutes may have
/// reached the ledger after the hour's own check. Of an outage the last two days are made up for.
///
/// What is to be judged is written down first, and taken away in the transaction that judges it. So the newest hour can
/// be the first, however much is to be made up for, and an hour of a tenant that cannot be judged waits by itself.
pub(crate) async fn find_anomalies(
    _job: FindAnomalies,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let judged = system.watched_upto(JUDGED).await.map_err(store_failure)?;
    for hour in anomalies::hours_over(now, judged) {
        system.owe_judgement(hour).await.map_err(store_failure)?;
        system.note_watched(JUDGED, hour).await.map_err(store_failure)?;
    }
    let late = system.forget_unjudged_hours(now - anomalies::CATCH_UP - TimeDelta::hours(1)).await;
    let late = late.map_err(store_failure)?;
    if late > 0 {
        tracing::error!(hours = late, "hours of calls were never judged");
    }
    drop(system);
    let mut turns = Turns::default();
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let hours = system.unjudged_hours(after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some(last) = hours.last() else { return turns.end() };
        after = Some(*last);
        for (hour, tenant) in hours {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            turns.note(tenant, anomalies::find(&parts, tenant, hour).await);
        }
    }
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
