//! The prices that hold now, in the hands of everybody who prices.
//!
//! A call takes them once and is priced by the same ones from its intent to its completion; new ones are put in
//! their place as one pointer, and nobody waits for that.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

use super::catalogue::{Catalogue, CatalogueError};

/// One version of the catalogue. It never changes.
#[derive(Debug)]
pub struct PriceVersion {
    /// Which; 0 for the prices that came with the build.
    pub n: u64,
    /// When it was published; `None` for the prices that came with the build.
    pub published_at: Option<DateTime<Utc>>,
    /// The prices.
    pub catalogue: Catalogue,
}

/// The version in force. Clones share it.
#[derive(Clone, Debug)]
pub struct PricesInForce(Arc<RwLock<Arc<PriceVersion>>>);

impl PricesInForce {
    /// The prices that came with this build.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Ok(Self::of(PriceVersion { n: 0, published_at: None, catalogue: Catalogue::embedded()? }))
    }

    /// This version.
    #[must_use]
    pub fn of(version: PriceVersion) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(version))))
    }

    /// The version in force now.
    #[must_use]
    pub fn now(&self) -> Arc<PriceVersion> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a newer version in force. An older one changes nothing; says whether it did.
    pub fn put(&self, version: PriceVersion) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let newer = version.n > held.n;
        if newer {
            *held = Arc::new(version);
        }
        newer
    }
}
