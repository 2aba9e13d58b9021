//! People who belong to no tenant any more. For thirty days they may be asked back as who they were, with their password
//! and their second factor; then nobody needs them, and they go with all that hangs on them.
//!
//! Whom Clerk keeps goes when Clerk says so: the nightly look there asks.

use chrono::{DateTime, Utc};
use costlens_queue::{JobContext, JobError};
use costlens_store::SystemConn;

use super::STEP;
use crate::{WorkerParts, store_failure};

/// The table, as the retention's rule calls it.
pub(super) const TABLE: &str = "user_account";

/// Since when each belongs to none is what the first night says that finds it so.
pub(super) async fn note(
    context: &JobContext,
    system: &mut SystemConn,
    now: DateTime<Utc>,
) -> Result<(), JobError> {
    while system.note_memberless(now, STEP).await.map_err(store_failure)? > 0 {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
    }
    Ok(())
}

/// Some of those who have belonged to none since this moment; how many.
pub(super) async fn purge(
    parts: &WorkerParts,
    system: &mut SystemConn,
    before: DateTime<Utc>,
) -> Result<usize, JobError> {
    let kept_by = parts.clerk.as_ref().map(|clerk| clerk.issuer());
    let gone = system.forget_memberless(before, kept_by, STEP).await.map_err(store_failure)?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
