//! What is another one from some day on: prices, and the use of prompt caches.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::Meter;
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;

use super::{Event, Kind, detail, learned};
use crate::anomalies::bill::is_use;

/// Days of use before and after a change: fewer may be a discount's step, or a day's mistake.
const BEFORE: usize = 5;
const AFTER: usize = 3;
/// Two prices are the same within this share, and others beyond the next.
const SAME: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
const OTHER: Decimal = Decimal::from_parts(2, 0, 0, false, 2);
/// The least cost of a day whose price is worth computing: below it, rounding is part of the price.
const LEAST_COST: Decimal = Decimal::ONE;

/// What is one price in a bill.
type Cell<'a> = (Currency, &'a str, &'a str, &'a str, &'a str);
/// What was used of it on each day, and what that cost.
type Days = BTreeMap<NaiveDate, (Decimal, Decimal)>;

/// Prices that changed and stayed so, those of a model on one day together.
pub(super) fn prices(facts: &[&DailyFact]) -> Vec<Event> {
    let mut cells: BTreeMap<Cell<'_>, (String, Days)> = BTreeMap::new();
    // Managed services by the page or the minute have volume tiers under one usage type, which begin anew each month.
    let has_one_price =
        |fact: &&DailyFact| fact.class.meter.counts_tokens() || fact.class.instance_type.is_some();
    // What a commitment pays is billed as nothing or in part, which is no other price.
    let is_priced = |fact: &&DailyFact| is_use(fact) && has_one_price(fact) && !fact.is_paid_by_commitment();
    for fact in facts.iter().copied().filter(is_priced) {
        let cell: Cell<'_> =
            (fact.currency, &fact.product_code, &fact.region, &fact.usage_type, &fact.pricing_unit);
        let subject = || fact.class.model.clone().unwrap_or_else(|| fact.usage_type.to_string());
        let day =
            cells.entry(cell).or_insert_with(|| (subject(), BTreeMap::new())).1.entry(fact.day).or_default();
        day.0 += fact.usage_quantity;
        day.1 += fact.unblended;
    }
    let mut changes: BTreeMap<(NaiveDate, String, Currency), Vec<Change>> = BTreeMap::new();
    for ((currency, _, _, usage_type, _), (subject, days)) in cells {
        for (day, change) in changes_of(usage_type, &days) {
            changes.entry((day, subject.clone(), currency)).or_default().push(change);
        }
    }
    changes
        .into_iter()
        .map(|((day, subject, currency), changes)| {
            let amount: Decimal = changes.iter().map(|change| change.a_day).sum();
            let largest = changes.iter().max_by_key(|change| change.a_day.abs());
            let told = largest.map_or_else(BTreeMap::new, |change| {
                detail([
                    ("usage_type", change.usage_type.clone()),
                    ("before", change.before.round_dp(10).normalize().to_string()),
                    ("after", change.after.round_dp(10).normalize().to_string()),
                    ("usage_types", changes.len().to_string()),
                ])
            });
            Event { kind: Kind::PriceChanged, day, subject, currency, amount, detail: told }
        })
        .collect()
}

struct Change {
    usage_type: String,
    before: Decimal,
    after: Decimal,
    /// What the other price makes of the day's use.
    a_day: Decimal,
}

fn changes_of(usage_type: &str, days: &BTreeMap<NaiveDate, (Decimal, Decimal)>) -> Vec<(NaiveDate, Change)> {
    let rates: Vec<(NaiveDate, Decimal, Decimal)> = days
        .iter()
        .filter(|(_, (_, cost))| *cost >= LEAST_COST)
        .filter_map(|(day, (quantity, cost))| Some((*day, *quantity, cost.checked_div(*quantity)?)))
        .collect();
    let within = |one: Decimal, other: Decimal, share: Decimal| (one - other).abs() <= other.abs() * share;
    let mut found = Vec::new();
    for window in rates.windows(BEFORE + AFTER) {
        let (before, after) = window.split_at(BEFORE);
        let (Some(last), Some(first)) = (before.last(), after.first()) else { continue };
        let steady = before.iter().all(|day| within(day.2, last.2, SAME))
            && after.iter().all(|day| within(day.2, first.2, SAME));
        if steady && !within(first.2, last.2, OTHER) {
            let a_day = (first.2 - last.2) * first.1;
            let usage_type = usage_type.to_owned();
            found.push((first.0, Change { usage_type, before: last.2, after: first.2, a_day }));
        }
    }
    found
}

/// What of a day's input came from a cache.
#[derive(Default)]
struct Input {
    all: Decimal,
    cached: Decimal,
    cost: Decimal,
}

/// Who uses which model, and how much of the input of each day came from a cache.
type Inputs = BTreeMap<(String, String, Currency), BTreeMap<NaiveDate, Input>>;

pub(super) fn caches_of_bills(facts: &[&DailyFact]) -> Vec<Event> {
    let mut inputs = Inputs::new();
    for fact in facts.iter().filter(|fact| is_use(fact)) {
        let (Some(model), Some(tokens)) = (&fact.class.model, fact.tokens) else { continue };
        let who = if fact.principal.is_empty() { &fact.usage_account } else { &fact.principal };
        let day = (who.to_string(), model.clone(), fact.currency);
        let input = inputs.entry(day).or_default().entry(fact.day).or_default();
        input.cost += fact.spread_cost();
        match fact.class.meter {
            Meter::FreshInput | Meter::CacheWrite5m | Meter::CacheWrite30m | Meter::CacheWrite1h => {
                input.all += tokens;
            }
            Meter::CacheRead => {
                input.all += tokens;
                input.cached += tokens;
            }
            _ => {}
        }
    }
    turned(inputs)
}

pub(super) fn caches_of_calls(calls: &[&HourlySpend]) -> Vec<Event> {
    let mut inputs = Inputs::new();
    for row in calls {
        let of = (row.api_key_id.to_string(), row.model.clone(), Currency::USD);
        let input = inputs.entry(of).or_default().entry(row.hour.date_naive()).or_default();
        input.all += Decimal::from(row.usage.total_input().0);
        input.cached += Decimal::from(row.usage.cache_read.0);
        input.cost += row.cost.unwrap_or_default().decimal();
    }
    turned(inputs)
}

/// The least part of the input that a cache in use serves, and what a part is nothing.
const IN_USE: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
const UNUSED: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

fn turned(inputs: Inputs) -> Vec<Event> {
    let begins: BTreeSet<NaiveDate> = inputs.values().flat_map(|days| days.keys().copied()).collect();
    let Some(begin) = begins.first() else { return Vec::new() };
    let mut events = Vec::new();
    for ((who, model, currency), days) in inputs {
        let used: Vec<(NaiveDate, Decimal, Decimal)> = days
            .iter()
            .filter(|(_, input)| input.cost >= LEAST_COST)
            .filter_map(|(day, input)| Some((*day, input.cached.checked_div(input.all)?, input.cost)))
            .collect();
        for window in used.windows(BEFORE + AFTER) {
            let (before, after) = window.split_at(BEFORE);
            let (Some(last), Some(first)) = (before.last(), after.first()) else { continue };
            let on = |days: &[(NaiveDate, Decimal, Decimal)]| days.iter().all(|day| day.1 >= IN_USE);
            let off = |days: &[(NaiveDate, Decimal, Decimal)]| days.iter().all(|day| day.1 < UNUSED);
            let kind = if off(before) && on(after) {
                Kind::CacheTurnedOn
            } else if on(before) && off(after) {
                Kind::CacheTurnedOff
            } else {
                continue;
            };
            if first.0 < learned(*begin) {
                continue;
            }
            let share = |of: Decimal| of.round_dp(4).normalize().to_string();
            events.push(Event {
                kind,
                day: first.0,
                subject: who.clone(),
                currency,
                amount: first.2,
                detail: detail([
                    ("model", model.clone()),
                    ("share_before", share(last.1)),
                    ("share_after", share(first.1)),
                ]),
            });
        }
    }
    events
}
