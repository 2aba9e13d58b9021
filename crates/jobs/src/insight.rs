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
    /// The bill that was withdrawn on this day, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<BillId>,
}

impl LookAtFacts {
    /// After this bill was stored.
    #[must_use]
    pub const fn after_bill(tenant: TenantId, bill: BillId) -> Self {
        Self { tenant, occasion: Occasion::Bill(bill), withdrawn: None }
    }

    /// After this bill was withdrawn, on this day.
    #[must_use]
    pub const fn without_bill(tenant: TenantId, bill: BillId, day: NaiveDate) -> Self {
        Self { tenant, occasion: Occasion::Day(day), withdrawn: Some(bill) }
    }
}

impl Job for LookAtFacts {
    const QUEUE: &'static str = "insight.v1";
    const MAX_ATTEMPTS: u32 = 5;
}

impl TenantJob for LookAtFacts {
    fn key(&self) -> Option<String> {
        Some(match (self.withdrawn, self.occasion) {
            (Some(bill), _) => format!("{}:without {bill}", self.tenant),
            (None, Occasion::Bill(bill)) => format!("{}:{bill}", self.tenant),
            (None, Occasion::Day(day)) => format!("{}:{day}", self.tenant),
        })
    }
}
