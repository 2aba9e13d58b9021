//! Looking at a tenant's facts: what is surprising by days, what happened, what could be saved.

use chrono::NaiveDate;
use costlens_domain::{BillId, TenantId};
use costlens_queue::Job;
use serde::{Deserialize, Serialize};

use crate::TenantJob;

/// Why the facts are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// This bill was stored.
    Bill(BillId),
    /// This day began.
    Day(NaiveDate),
}

/// Looks at one tenant's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAtFacts {
    /// Whose.
    pub tenant: TenantId,
    /// Why.
    pub occasion: Occasion,
}

impl Job for LookAtFacts {
    const QUEUE: &'static str = "insight.v1";
    const MAX_ATTEMPTS: u32 = 5;
}

impl TenantJob for LookAtFacts {
    fn key(&self) -> Option<String> {
        Some(match self.occasion {
            Occasion::Bill(bill) => format!("{}:{bill}", self.tenant),
            Occasion::Day(day) => format!("{}:{day}", self.tenant),
        })
    }
}
