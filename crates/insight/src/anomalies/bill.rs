//! The days of bills: services, accounts, kinds of use, models and principals, each against its own past.
//!
//! Only use is watched: taxes, credits and fees come when the calendar says so. Commitments count as what they cover, after
//! private discounts (net amortised, or amortised where that is unknown), so that what is paid ahead is no spike. The last two days of a bill are not whole yet and are left alone; so is what is only ever billed on the
//! first of a month.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, Days, NaiveDate};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, is_usage, without_region};

use super::DayRule;
use super::days::{self, DayAnomaly, Row, Scope};
use super::explain::Use;

/// The name under which findings of this rule are kept.
pub const DETECTOR: &str = "log-level-day/1";
/// The last days of a bill, which are not whole yet.
pub const UNFINISHED_DAYS: u64 = 2;

/// All surprises in the facts of a tenant's current bills. A bill that ends with its month is whole when `closed` says
/// that its last day is.
#[must_use]
pub fn find(facts: &[DailyFact], rule: &DayRule, closed: Option<NaiveDate>) -> Vec<DayAnomaly> {
    let Some(last) = facts.iter().map(|fact| fact.day).max() else { return Vec::new() };
    let unfinished = last + Days::new(1) - Days::new(UNFINISHED_DAYS);
    let until =
        closed.map_or(unfinished, |closed| unfinished.max((closed + Days::new(1)).min(last + Days::new(1))));
    let fees = monthly(facts);
    let rows: Vec<Row> = facts
        .iter()
        .filter(|fact| is_of_its_day(fact) && !fees.contains(&product(fact)))
        .map(|fact| Row { day: fact.day, currency: fact.currency, scopes: scopes(fact), used: used(fact) })
        .collect();
    days::find(&rows, until, rule)
}

/// Whether a fact is use.
pub(crate) fn is_use(fact: &DailyFact) -> bool {
    is_usage(&fact.line_item_type) && !matches!(fact.class.category, Category::Seats | Category::Adjustment)
}

/// Whether it is use that happens on its day. The fee of a capacity block is paid on one day for days to come, and the bill does not
/// tell for which.
pub(crate) fn is_of_its_day(fact: &DailyFact) -> bool {
    is_use(fact) && !without_region(&fact.usage_type).starts_with("CapacityBlockFee")
}

fn product(fact: &DailyFact) -> (&str, &str, &str) {
    (&fact.usage_account, &fact.product_code, &fact.usage_type)
}

/// What is only ever billed on the first of a month, and not on the days after it.
fn monthly(facts: &[DailyFact]) -> BTreeSet<(&str, &str, &str)> {
    let mut days: BTreeMap<(&str, &str, &str), bool> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| is_use(fact)) {
        *days.entry(product(fact)).or_insert(true) &= fact.day.day() == 1;
    }
    days.into_iter().filter(|(_, monthly)| *monthly).map(|(product, _)| product).collect()
}

fn scopes(fact: &DailyFact) -> Vec<Scope> {
    let class = &fact.class;
    let mut scopes = vec![
        Scope::Total,
        Scope::Account(fact.usage_account.to_string()),
        Scope::Service(class.service.to_string()),
        Scope::Category(format!("{}/{}", class.service, class.category)),
    ];
    if let Some(model) = &class.model {
        scopes.push(Scope::Model(model.clone()));
    }
    if !fact.principal.is_empty() {
        scopes.push(Scope::Principal(fact.principal.to_string()));
    }
    scopes
}

fn used(fact: &DailyFact) -> Use {
    let class = &fact.class;
    let who = if fact.principal.is_empty() { &fact.usage_account } else { &fact.principal };
    let model = class.model.as_deref().or(class.instance_type.as_deref()).unwrap_or_default();
    let (unit, quantity) = match fact.tokens {
        Some(tokens) => ("tokens".to_owned(), tokens),
        None => (format!("{} {}", class.meter, fact.pricing_unit), fact.usage_quantity),
    };
    Use {
        who: who.to_string(),
        model: model.to_owned(),
        unit,
        cell: format!(
            "{model} {} {} {} {} {}",
            class.meter, class.tier, class.routing, class.long_context, fact.region
        ),
        requests: None,
        quantity,
        cost: fact.spread_cost(),
    }
}
