//! One cost for the whole of a payer's past.
//!
//! Facts are looked at by what they really cost: net amortised, or amortised where that is unknown. A series of which one
//! part is after private discounts and another before them would have a step that nobody's use made.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use costlens_domain::bill::{DailyFact, Text};

/// Lets the facts of each paying account count by one cost: where the net amortised one is unknown for any of them, all of
/// them go by the amortised one (and what has none by what was billed).
pub fn by_one_cost(facts: &mut [DailyFact]) {
    let unknown: BTreeSet<Text> = facts
        .iter()
        .filter(|fact| fact.net_amortised.is_none())
        .map(|fact| fact.billing_account.clone())
        .collect();
    for fact in facts.iter_mut().filter(|fact| unknown.contains(&fact.billing_account)) {
        fact.net_amortised = None;
    }
}

/// The first day of the newer half of a past that is more than can be held; `None` where a day is all that is left.
#[must_use]
pub fn newer_half(from: NaiveDate, today: NaiveDate) -> Option<NaiveDate> {
    let half = u64::try_from((today - from).num_days() / 2).ok().filter(|days| *days > 0)?;
    Some(today - Days::new(half))
}
