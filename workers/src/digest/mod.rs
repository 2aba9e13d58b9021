//! The weekly digest: on the tenant's own Monday at nine, the figures of its week, to whoever wants them.
//!
//! When a digest is due stands in the tenant's settings. Moving that moment on, freezing the figures and writing the
//! messages is one transaction: of any number of replicas, and of any number of tries, one sends.

mod figures;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::TenantId;
use costlens_domain::calendar::{iso_week, monday_of};
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// A digest that is later than this is of no more use; the next one comes in its time.
const LATE: TimeDelta = TimeDelta::hours(24);
/// How many tenants are looked at together.
const AT_ONCE: u32 = 500;

/// Writes the digests that are due.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteDigests {}

impl Job for WriteDigests {
    const QUEUE: &'static str = "digest.v1";
    /// The next tick looks again.
    const MAX_ATTEMPTS: u32 = 3;
}

/// Goes through the tenants whose digest is due. One that fails does not keep the others from theirs.
pub(crate) async fn write_digests(
    _job: WriteDigests,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut failed = None;
    let mut written = 0_usize;
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let due = system.digests_due(parts.clock.now(), AT_ONCE).await.map_err(store_failure)?;
        drop(system);
        let mut moved = 0;
        for (tenant, at) in due {
            match write_digest(&parts, tenant, at).await {
                Ok(true) => {
                    moved += 1;
                    written += 1;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(
                        tenant.id = %tenant, error = &error as &dyn std::error::Error,
                        "a digest could not be written"
                    );
                    failed = Some(error);
                }
            }
        }
        context.progress(&serde_json::json!({ "written": written })).await?;
        // Those that failed are due still, and would come again and again.
        if moved == 0 {
            return match failed {
                Some(error) => Err(store_failure(error)),
                None => Ok(()),
            };
        }
    }
}

/// Writes one tenant's digest. False where somebody else did.
async fn write_digest(parts: &WorkerParts, tenant: TenantId, due: DateTime<Utc>) -> Result<bool, StoreError> {
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(tenant).await?;
    let Some(settings) = tx.settings().await? else { return Ok(false) };
    if !tx.move_digest(due, settings.after(now).next_digest_at).await? {
        return Ok(false);
    }
    if now - due < LATE {
        let monday = monday_of(settings.zone.local(due).date());
        let digest = figures::of_week_before(&mut tx, parts, &settings, monday).await?;
        let week = iso_week(digest.from);
        let telling = Telling {
            about: &format!("digest:{week}"),
            kind: Kind::WeeklyDigest.as_str(),
            figures: serde_json::to_value(&digest).map_err(|error| StoreError::Bug(Box::new(error)))?,
            audience: Audience::Digest,
            at: now,
            expires_at: due + LATE,
        };
        tell(&mut tx, &telling, &*parts.entropy).await?;
    }
    tx.commit().await?;
    Ok(true)
}
