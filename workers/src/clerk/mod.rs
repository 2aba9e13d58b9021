//! People and organisations that Clerk keeps: acting on its messages, and the nightly look at what no message told of.
//!
//! A message's effect, its audit and the mark that it was acted upon are one transaction, so that it is acted upon once
//! however often its job runs. The order of messages does not matter: see `learn` in the store.

mod sweep;

use chrono::{DateTime, Utc};
use costlens_domain::AuditEventId;
use costlens_domain::audit::Actor;
use costlens_domain::outer::OuterFact;
use costlens_jobs::inbox::HeedClerk;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{NewAuditEvent, OuterChange, StoreError, SystemTx};

use crate::{WorkerParts, store_failure};

pub(crate) use sweep::{SweepClerk, sweep_clerk};

/// What it is called among the services outside.
pub(crate) const CLERK: &str = "clerk";

/// Acts on one message.
pub(crate) async fn heed_clerk(
    job: HeedClerk,
    _context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut tx = begin(&parts).await.map_err(store_failure)?;
    let system = tx.system().map_err(store_failure)?;
    let taken = system.take_inbox_event(HeedClerk::SOURCE, &job.message, now).await.map_err(store_failure)?;
    let Some(payload) = taken else { return Ok(()) };
    let fact: OuterFact = serde_json::from_value(payload)
        .map_err(|error| JobError::give_up(ErrorClass::Bug, "payload", error))?;
    learn(&parts, &mut tx, &job.issuer, &fact, now).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

/// A transaction in which something is learned.
async fn begin(parts: &WorkerParts) -> Result<SystemTx, StoreError> {
    let mut tx = parts.store.system().await?.begin().await?;
    tx.system()?.lock_outer().await?;
    Ok(tx)
}

async fn learn(
    parts: &WorkerParts,
    tx: &mut SystemTx,
    issuer: &str,
    fact: &OuterFact,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let learned = tx.system()?.learn(issuer, fact, now).await?;
    tell(parts, tx, learned.changes, now).await
}

/// Writes down what changed, in the transaction that changes it.
async fn tell(
    parts: &WorkerParts,
    tx: &mut SystemTx,
    changes: Vec<OuterChange>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for OuterChange { tenant_id, action, target, change } in changes {
        let event = NewAuditEvent {
            id: AuditEventId::new(now, parts.entropy.for_id()),
            at: now,
            actor: Actor::Clerk,
            action,
            target,
            change,
            request_id: None,
            address: None,
        };
        tx.system()?.audit_of(tenant_id, &event).await?;
    }
    Ok(())
}
