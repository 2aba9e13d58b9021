//! The prices in force follow what is published, without a restart and beside the calls.
//!
//! News comes by notification, and whenever the listener was away, or every half a minute, the newest version is looked
//! for. Whatever cannot be read leaves the last good prices in force.

use std::time::Duration;

use costlens_domain::pricing::{Catalogue, PriceVersion, PricesInForce};
use costlens_store::{Store, StoreError};

/// How often is looked without news: a notification may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The pause before listening again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Puts every version that is published into force, for as long as this is polled.
pub async fn follow_prices(store: &Store, prices: &PricesInForce) {
    loop {
        if let Ok(mut news) = store.price_changes().await {
            // After the listening has begun, so that nothing falls between.
            while take_newest(store, prices).await.is_ok() {
                match tokio::time::timeout(LOOK_EVERY, news.next()).await {
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(_)) => break,
                }
            }
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// Puts the newest version into force, if it is another one. A version that this program cannot read is told and
/// changes nothing.
pub async fn take_newest(store: &Store, prices: &PricesInForce) -> Result<(), StoreError> {
    let mut system = store.system().await?;
    let n = system.newest_prices().await?;
    if n <= prices.now().n {
        return Ok(());
    }
    let (document, published_at) = system.price_document(n).await?;
    drop(system);
    // Some milliseconds of reading, on a thread that no call waits for.
    let read = tokio::task::spawn_blocking(move || Catalogue::from_bundle(document.as_bytes())).await;
    match read {
        Ok(Ok(catalogue)) => {
            if prices.put(PriceVersion { n, published_at: Some(published_at), catalogue }) {
                tracing::info!(price.version = n, "new prices are in force");
            }
        }
        Ok(Err(fault)) => {
            tracing::error!(
                price.version = n,
                error = &fault as &dyn std::error::Error,
                "published prices cannot be read; the last good ones stay"
            );
        }
        Err(cut) => tracing::error!(
            price.version = n,
            error = &cut as &dyn std::error::Error,
            "published prices were not read"
        ),
    }
    Ok(())
}
