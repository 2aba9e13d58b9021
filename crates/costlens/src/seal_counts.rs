//! Carries into the ledger how many texts each data key sealed, and has unwrapped keys forgotten in time.

use std::sync::Arc;
use std::time::Duration;

use costlens_store::{Store, StoreError};
use costlens_vault::Keyring;
use tokio::task::JoinHandle;

/// How long counts wait: what a killed process had not carried over is not known.
const EVERY: Duration = Duration::from_secs(10);

/// Works until it is aborted; then [`carry`] once more.
pub(crate) fn start(store: Store, keyring: Arc<Keyring>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            keyring.forget_expired();
            if let Err(error) = carry(&store, &keyring).await {
                // They wait, and are carried over the next time.
                tracing::debug!(error = &error as &dyn std::error::Error, "seals are not counted");
            }
        }
    })
}

/// Carries over what waits. Where it is not known whether the store has it, it is carried over again: a key may be
/// replaced early, not late.
pub(crate) async fn carry(store: &Store, keyring: &Keyring) -> Result<(), StoreError> {
    let waiting = keyring.seals_to_count();
    if waiting.is_empty() {
        return Ok(());
    }
    let counts: Vec<_> = waiting.iter().map(|count| (count.tenant, count.version, count.seals)).collect();
    store.system().await?.count_seals(&counts).await?;
    keyring.seals_were_counted(&waiting);
    Ok(())
}
