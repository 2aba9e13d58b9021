//! One cost for the whole of a payer's past.
//!
//! Facts are looked at by what they really cost: net amortised, or amortised where that is unknown. A series of which one
//! part is after private discounts and another before them would have a step that nobody's use made.

use std::collections::BTreeSet;

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
