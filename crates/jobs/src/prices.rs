//! Calls get a price later: those that had none when a price appears, and others when theirs was corrected.

use costlens_domain::{PriceCorrectionId, RepricingId, TenantId};
use costlens_queue::Job;
use serde::{Deserialize, Serialize};

use crate::TenantJob;

/// Asks for a walk over every tenant that has calls without a price, by the newest prices. Nothing to say: both follow
/// from the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceUnpriced {}

impl Job for PriceUnpriced {
    const QUEUE: &'static str = "price_unpriced.v1";
}

/// Asks for a walk over every tenant that a correction concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadCorrection {
    /// The correction. Whether its preview or the correction itself is due stands in its row.
    pub correction: PriceCorrectionId,
}

impl Job for SpreadCorrection {
    const QUEUE: &'static str = "spread_correction.v1";
}

/// One walk over one tenant's calls, in chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepriceTenant {
    /// Whose calls.
    pub tenant: TenantId,
    /// The walk, which says what it is and how far.
    pub repricing: RepricingId,
    /// How many jobs have carried it before this one.
    pub part: u32,
    /// The number of the day on which it was asked for anew, because its jobs ended before it did; 0 with the walk itself.
    #[serde(default)]
    pub ask: i64,
}

impl Job for RepriceTenant {
    const QUEUE: &'static str = "reprice_tenant.v1";
}

impl TenantJob for RepriceTenant {
    fn key(&self) -> Option<String> {
        Some(match self.ask {
            0 => format!("{}:{}", self.repricing, self.part),
            ask => format!("{}:{}:{ask}", self.repricing, self.part),
        })
    }
}
