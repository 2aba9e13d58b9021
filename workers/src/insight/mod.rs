//! A look at a tenant's facts, every night and after each bill: surprising days, what happened, what could be saved.
//!
//! Nothing here decides what is surprising: `insight` does, over rows. What it finds is written down once, by keys of the
//! tables, so that a look may be repeated; a recommendation that is not found any more ends.

mod look;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DurationRound as _, TimeDelta};
use costlens_domain::TenantId;
use costlens_jobs::insight::{LookAtFacts, Occasion};
use costlens_queue::{Job, JobContext, JobError, Settings, Workers};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

pub(crate) use look::{facts_before, note_restatement};

/// Asks for a look at every tenant that has facts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindFacts {}

impl Job for FindFacts {
    const QUEUE: &'static str = "insight-nights.v1";
    const MAX_ATTEMPTS: u32 = 5;
}

/// The workers that look: a few tenants at a time, and one look at each, because a look holds the tenant's facts in
/// memory.
pub(crate) fn add(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings = Settings {
        batch: 1,
        timeout: Some(Duration::from_mins(10)),
        per_tenant: Some(1),
        ..Settings::default()
    };
    workers.job(settings, 1, move |job: LookAtFacts, context: JobContext| {
        look::look_at_facts(job, context, parts.clone())
    })
}

/// Tenants with bills, and those with calls in the day that is over.
pub(crate) async fn find_facts(
    _job: FindFacts,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let this_hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    let mut tenants: BTreeSet<TenantId> = BTreeSet::new();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    tenants.extend(system.tenants_with_bills().await.map_err(store_failure)?);
    for back in 1..=30 {
        let hour = this_hour - TimeDelta::hours(back);
        tenants.extend(system.tenants_with_calls(hour).await.map_err(store_failure)?);
    }
    drop(system);
    for tenant in tenants {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let look = LookAtFacts { tenant, occasion: Occasion::Day(now.date_naive()), withdrawn: None };
        ask(&parts, &look).await.map_err(store_failure)?;
    }
    Ok(())
}

async fn ask(parts: &WorkerParts, look: &LookAtFacts) -> Result<(), StoreError> {
    let mut tx = parts.store.tenant(look.tenant).await?;
    costlens_jobs::ask(&mut tx, look).await?;
    tx.commit().await
}
