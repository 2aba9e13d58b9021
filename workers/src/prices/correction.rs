//! Asks for a walk over every tenant that a correction concerns: first one that counts, and after the operator's word
//! one that changes.

use costlens_domain::RepricingId;
use costlens_jobs::prices::{RepriceTenant, SpreadCorrection};
use costlens_queue::{JobContext, JobError};
use costlens_store::{CorrectionState, RepricingKind, StoreError};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How many tenants are looked at with one query.
const PAGE: u32 = 500;

pub(crate) async fn spread_correction(
    job: SpreadCorrection,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let id = job.correction;
    let now = parts.clock.now();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let correction = match system.price_correction(id).await {
        Ok(correction) => correction,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    let calls = correction.calls;
    let kind = match correction.state {
        CorrectionState::Previewing => RepricingKind::Preview(calls.clone()),
        CorrectionState::Running => RepricingKind::Correction(calls.clone()),
        _ => return Ok(()),
    };
    let key = id.to_string();
    let (mut after, mut asked) = (None, 0_u64);
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let page = system.tenants_with_calls_of(&calls, after, PAGE).await.map_err(store_failure)?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for tenant in page {
            let mut tx = parts.store.tenant(tenant.into()).await.map_err(store_failure)?;
            let walk = RepricingId::new(now, parts.entropy.for_id());
            if tx
                .begin_repricing(walk, (&kind, &key), correction.version, now)
                .await
                .map_err(store_failure)?
            {
                let job = RepriceTenant { tenant: tenant.into(), repricing: walk, part: 0, ask: 0 };
                costlens_jobs::ask(&mut tx, &job).await.map_err(store_failure)?;
                asked += 1;
            }
            tx.commit().await.map_err(store_failure)?;
        }
    }
    system.spread_price_correction(id, correction.state).await.map_err(store_failure)?;
    system.settle_price_correction(id, now).await.map_err(store_failure)?;
    Ok(context.progress(&json!({"phase": kind.as_str(), "tenants": asked})).await?)
}
