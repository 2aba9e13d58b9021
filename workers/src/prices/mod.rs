//! The price catalogue is fetched, checked and published; calls that had no price get one, and calls whose price was
//! corrected another.
//!
//! It promises: whatever is wrong with a document or its server, the last good prices stay; a document that looks wrong
//! waits for a person; and an amount in the ledger changes only beside a record of what it was.

mod correction;
mod fetch;
mod refresh;
mod unfinished;
mod unpriced;
mod walk;

use costlens_domain::pricing::{Catalogue, PriceBundle, PriceVersion};
use costlens_queue::{ErrorClass, JobError};
use costlens_vault::sha256;

pub(crate) use correction::spread_correction;
pub use fetch::{PricesUrl, RefusedPricesUrl};
pub(crate) use refresh::{RefreshPrices, refresh_prices};
pub(crate) use unpriced::price_unpriced;
pub(crate) use walk::reprice_tenant;

use crate::{WorkerParts, store_failure};

/// One version of the prices, as a walk uses it.
struct Prices {
    version: PriceVersion,
    /// What the prices are: a new build's own are others under the same number.
    content: String,
}

/// The prices of a version; 0 for those of this build.
async fn prices_of(parts: &WorkerParts, version: u64) -> Result<Prices, JobError> {
    let bug = |error: Box<dyn std::error::Error + Send + Sync>| {
        JobError::give_up(ErrorClass::Bug, "price_version", error)
    };
    let (text, published_at) = if version == 0 {
        let bundle = PriceBundle::embedded().map_err(|error| bug(error.into()))?;
        (bundle.to_text().map_err(|error| bug(error.into()))?, None)
    } else {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let (text, at) = system.price_document(version).await.map_err(store_failure)?;
        (text, Some(at))
    };
    let catalogue = Catalogue::from_bundle(text.as_bytes()).map_err(|error| bug(error.into()))?;
    let content = hex::encode(sha256(text.as_bytes())).chars().take(16).collect();
    Ok(Prices { version: PriceVersion { n: version, published_at, catalogue }, content })
}

/// The newest prices, for who prices nothing by them.
pub(crate) async fn newest_catalogue(parts: &WorkerParts) -> Result<Catalogue, JobError> {
    newest_prices(parts).await.map(|prices| prices.version.catalogue)
}

/// The newest prices.
async fn newest_prices(parts: &WorkerParts) -> Result<Prices, JobError> {
    let version = parts.store.system().await.map_err(store_failure)?.newest_prices().await;
    prices_of(parts, version.map_err(store_failure)?).await
}
