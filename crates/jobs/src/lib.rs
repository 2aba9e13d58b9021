//! What can be asked to happen later, and the one way to ask for it.
//!
//! A job's type (its queue, its payload, its key) is known to whoever asks for it: the API, or another workflow. Its
//! handler is known to `workers` alone. [`ask`] writes the job in the tenant's transaction, beside the effect that it
//! follows from, so that neither is there without the other.

pub mod aws;
pub mod bills;
pub mod candidates;
pub mod closures;
pub mod events;
pub mod exports;
pub mod inbox;
pub mod insight;
pub mod invoices;
pub mod messages;
pub mod people;
pub mod prices;
mod rotation;
pub mod settlement;

use costlens_queue::{Enqueued, Job, NewJob, QueueError};
use costlens_store::{StoreError, SystemTx, TenantConn};

pub use rotation::{RotateSubjectKeys, RotateTenantKey};

/// A job that is done for a tenant.
pub trait TenantJob: Job {
    /// What tells it from others of its queue: a second one with the same key is not written. `None` where every ask
    /// is meant.
    fn key(&self) -> Option<String>;
}

/// A job in the making, for what [`ask`] does not say: when it runs, until when it is of use.
pub fn job<J: TenantJob>(payload: &J) -> Result<NewJob, StoreError> {
    let job = NewJob::of(payload).map_err(failed)?;
    Ok(match payload.key() {
        Some(key) => job.key(key),
        None => job,
    })
}

/// Asks for a job in the tenant's transaction. It is there when the transaction is committed, and never if it is not.
pub async fn ask<J: TenantJob>(tx: &mut TenantConn, payload: &J) -> Result<Enqueued, StoreError> {
    ask_for(tx, job(payload)?).await
}

/// Asks for a job made by [`job`].
pub async fn ask_for(tx: &mut TenantConn, job: NewJob) -> Result<Enqueued, StoreError> {
    let jobs = [job.tenant(tx.tenant_id().uuid())];
    let asked = costlens_queue::enqueue(tx.transaction()?, &jobs).await.map_err(failed)?;
    asked.first().copied().ok_or_else(|| StoreError::Bug("a job was written and not told".into()))
}

/// Asks for a job that is nobody's in a transaction that crosses tenants; a second one with the same key is not written.
pub async fn ask_system<J: Job>(tx: &mut SystemTx, payload: &J, key: &str) -> Result<(), StoreError> {
    let jobs = [NewJob::of(payload).map_err(failed)?.key(key)];
    costlens_queue::enqueue(tx.transaction()?, &jobs).await.map(drop).map_err(failed)
}

/// The queue shares the store's database, and fails as the store does.
fn failed(error: QueueError) -> StoreError {
    match error {
        QueueError::Database(error) => error.into(),
        QueueError::Unreachable(error) => StoreError::Unavailable(error),
        other => StoreError::Bug(Box::new(other)),
    }
}
