//! A tenant's people said which candidates are AI: what their bills say of them is decided again, and their months are
//! settled by that.

use costlens_domain::TenantId;
use costlens_jobs::candidates::DecideCandidates;
use costlens_jobs::settlement::ask_to_settle_again;
use costlens_queue::{ErrorClass, JobContext, JobError};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// Safe to run twice, at once, and to be killed anywhere: one transaction, and what is decided already changes nothing.
pub(crate) async fn decide_candidates(
    _job: DecideCandidates,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(tenant) = context.tenant().map(TenantId::from) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_tenant", "candidates are decided for nobody"));
    };
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let months = tx.decide_candidates().await.map_err(store_failure)?;
    let made = (parts.clock.now(), parts.entropy.for_id());
    ask_to_settle_again(&mut tx, &months, made).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)?;
    Ok(context.progress(&json!({ "months": months.len() })).await?)
}
