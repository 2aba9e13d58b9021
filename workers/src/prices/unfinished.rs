//! Walks and corrections that did not come to their end: a walk's job may be a dead letter, its last job may have died
//! before it told the correction, and the account that everything waited for may be gone.

use chrono::TimeDelta;
use costlens_domain::TenantId;
use costlens_jobs::prices::{RepriceTenant, SpreadCorrection};
use costlens_queue::{JobContext, JobError, NewJob};
use costlens_store::{Correction, StoreError};

use crate::{WorkerParts, store_failure};

/// How long a walk goes on before another job is asked for it. A second job beside a living one waits for it at the walk's
/// row, and finds the cursor moved.
const LONG: TimeDelta = TimeDelta::days(1);
/// How many walks are found in one step.
const STEP: u32 = 200;

/// Asks again for what is not at its end, and ends what only nobody ended.
pub(super) async fn go_on(parts: &WorkerParts, context: &JobContext) -> Result<(), JobError> {
    let now = parts.clock.now();
    // The number of the day: each is asked for once in it.
    let day = now.timestamp() / 86_400;
    let mut after = None;
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let walks = system.unfinished_repricings(now - LONG, after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some((_, last)) = walks.last() else { break };
        after = Some(*last);
        for (tenant, repricing) in walks {
            let walk = RepriceTenant { tenant, repricing, part: 0, ask: day };
            walk_on(parts, tenant, &walk).await.map_err(store_failure)?;
        }
    }
    let mut system = parts.store.system().await.map_err(store_failure)?;
    for correction in system.open_price_corrections().await.map_err(store_failure)? {
        let id = correction.calls.correction;
        if correction.spread {
            system.settle_price_correction(id, now).await.map_err(store_failure)?;
        } else if since(&correction) < now - LONG {
            let key = format!("{id}:{}:{day}", correction.state.as_str());
            context.enqueue(NewJob::of(&SpreadCorrection { correction: id })?.key(key));
        }
    }
    Ok(())
}

async fn walk_on(parts: &WorkerParts, tenant: TenantId, walk: &RepriceTenant) -> Result<(), StoreError> {
    let mut tx = parts.store.tenant(tenant).await?;
    if costlens_jobs::ask(&mut tx, walk).await?.is_new() {
        tracing::error!(walk = %walk.repricing, "a walk over calls did not come to its end; it is asked for again");
    }
    tx.commit().await
}

/// When the present phase of a correction began.
fn since(correction: &Correction) -> chrono::DateTime<chrono::Utc> {
    correction.confirmed_at.unwrap_or(correction.asked_at)
}
