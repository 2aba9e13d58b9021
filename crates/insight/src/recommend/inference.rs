//! The same model at another price: routing, tiers, batches.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Timelike as _;
use costlens_domain::classify::models::{canonical, vendor_of};
use costlens_domain::classify::{Category, Routing, Tier};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::Outcome;
use costlens_domain::{ApiKeyId, Usd};
use rust_decimal::Decimal;

use super::{Confidence, Kind, Priced, Recommendation, Sum, Window};

/// A tenth, by which the global profile is cheaper where both were seen.
const TENTH: Decimal = Decimal::from_parts(1, 0, 0, false, 1);

/// Sums by model of what could be bought otherwise, with what it would cost there.
#[derive(Default)]
struct Otherwise {
    now: Sum,
    then: Decimal,
    seen: bool,
}

/// Global routing costs about a tenth less. Where the bill shows both prices of the same tokens, the saving is exact;
/// where it shows the regional one alone, only models of vendors with global profiles are named.
pub(super) fn global_routing(window: &Window<'_>) -> Vec<Recommendation> {
    let sums = window.by_price();
    let mut models: BTreeMap<String, Otherwise> = BTreeMap::new();
    for (priced, sum) in &sums {
        let global = Priced { routing: Routing::Global, ..priced.clone() };
        let is_on_demand = priced.tier == Tier::Standard && !priced.custom_model;
        let offers = matches!(vendor_of(&priced.model), Some("anthropic"));
        let seen = sums.get(&global).and_then(Sum::rate);
        if priced.routing == Routing::Global || !is_on_demand || (seen.is_none() && !offers) {
            continue;
        }
        let of = models.entry(priced.model.clone()).or_default();
        of.now.cost += sum.cost;
        of.now.tokens += sum.tokens;
        of.seen |= seen.is_some();
        of.then += seen.map_or(sum.cost * (Decimal::ONE - TENTH), |rate| rate * sum.tokens);
    }
    models
        .into_iter()
        .map(|(model, of)| {
            let filter = [("model", model.clone()), ("routing", "regional".to_owned())];
            let figures = [("tokens", of.now.tokens), ("cost", of.now.cost), ("cost_global", of.then)];
            let (confidence, assumption) = if of.seen {
                (Confidence::High, "data may be processed in any region")
            } else {
                (Confidence::Medium, "data may be processed in any region, at a tenth less")
            };
            let evidence = window.evidence(filter, figures, Some(assumption));
            let amounts = (of.now.cost - of.then, of.now.cost);
            window.recommend(Kind::GlobalRouting, model, amounts, confidence, evidence)
        })
        .collect()
}

/// Priority costs more for the same tokens; the standard price is the bill's own.
pub(super) fn priority(window: &Window<'_>) -> Vec<Recommendation> {
    let sums = window.by_price();
    let mut models: BTreeMap<String, Otherwise> = BTreeMap::new();
    for (priced, sum) in &sums {
        let standard = Priced { tier: Tier::Standard, ..priced.clone() };
        let Some(rate) = sums.get(&standard).and_then(Sum::rate).filter(|_| priced.tier == Tier::Priority)
        else {
            continue;
        };
        let of = models.entry(priced.model.clone()).or_default();
        of.now.cost += sum.cost;
        of.now.tokens += sum.tokens;
        of.then += rate * sum.tokens;
    }
    models
        .into_iter()
        .map(|(model, of)| {
            let filter = [("model", model.clone()), ("tier", "priority".to_owned())];
            let figures = [("tokens", of.now.tokens), ("cost", of.now.cost), ("cost_standard", of.then)];
            let evidence = window.evidence(filter, figures, Some("these calls can wait for others"));
            let amounts = (of.now.cost - of.then, of.now.cost);
            window.recommend(Kind::LeavePriority, model, amounts, Confidence::Medium, evidence)
        })
        .collect()
}

/// Days on which a key must have been used, and the hours of the day beyond which its calls are no fixed run.
const RUNS: usize = 10;
const HOURS_OF_A_RUN: usize = 4;

/// When a key calls a model, and what that costs.
#[derive(Default)]
struct Run {
    days: BTreeSet<chrono::NaiveDate>,
    hours: BTreeSet<u32>,
    cost: Usd,
    requests: u64,
}

/// A key whose calls of many days all fall into the same few hours runs by a timetable, and what runs by a timetable can
/// mostly wait for a batch, at half the price.
pub(super) fn batch(window: &Window<'_>) -> Vec<Recommendation> {
    if window.currency != costlens_domain::Currency::USD {
        return Vec::new();
    }
    let mut runs: BTreeMap<(ApiKeyId, String), Run> = BTreeMap::new();
    for row in &window.calls {
        let offers = canonical(&row.model).as_deref().and_then(vendor_of);
        if !matches!(offers, Some("anthropic" | "openai" | "amazon" | "google")) {
            continue;
        }
        let run = runs.entry((row.api_key_id, row.model.clone())).or_default();
        run.days.insert(row.hour.date_naive());
        run.hours.insert(row.hour.hour());
        run.cost = run.cost.checked_add(row.cost.unwrap_or_default()).unwrap_or(run.cost);
        run.requests += row.requests;
    }
    runs.retain(|_, run| {
        run.days.len() >= RUNS && run.hours.len() <= HOURS_OF_A_RUN && run.requests >= 1_000
    });
    runs.into_iter()
        .map(|((key, model), run)| {
            let hours: Vec<String> = run.hours.iter().map(ToString::to_string).collect();
            let filter =
                [("api_key_id", key.to_string()), ("model", model.clone()), ("hours_utc", hours.join(","))];
            let cost = run.cost.decimal();
            let figures = [
                ("requests", Decimal::from(run.requests)),
                ("days", Decimal::from(run.days.len())),
                ("cost", cost),
            ];
            let assumption = "nobody waits for these answers, and the vendor's batch costs half";
            let evidence = window.evidence(filter, figures, Some(assumption));
            let subject = format!("{model} by {key}");
            window.recommend(Kind::UseBatch, subject, (cost / Decimal::TWO, cost), Confidence::Low, evidence)
        })
        .collect()
}

/// How many days after its window's first the proxy may have carried the first call to Bedrock: a long weekend. Where there
/// was none for longer, it may not have carried them yet, or not under this name.
const QUIET: i64 = 4;

/// What the calls of a model to Bedrock cost on demand, by the ledger of the proxy; `None` where nobody knows: it carried
/// none at all, or none of the window's first days, some have no price, or some name what they call by an ARN of the customer's own, as calls of bought
/// throughput do. Those have no price on demand, and which model they used is not told.
pub(super) fn on_demand(window: &Window<'_>, model: &str) -> Option<Decimal> {
    let carried = window.calls.iter().filter(|row| row.provider == BEDROCK);
    let first = carried.clone().map(|row| row.hour.date_naive()).min()?;
    if (first - window.from).num_days() >= QUIET {
        return None;
    }
    let mut cost = Decimal::ZERO;
    for row in carried {
        match called(&row.model) {
            Some(name) if name == model => match row.cost {
                Some(each) => cost += each.decimal(),
                None if row.outcome == Outcome::Failed => {}
                None => return None,
            },
            Some(name) if vendor_of(&name).is_some() => {}
            _ => return None,
        }
    }
    Some(cost)
}

/// Paths of ARNs behind which the model's own name stands.
const NAMED: [&str; 2] = [":foundation-model/", ":inference-profile/"];

/// The model that a call names; `None` where its name is one that a customer's account gave.
fn called(name: &str) -> Option<String> {
    let after = |path: &&str| name.rsplit_once(*path).map(|(_, model)| model);
    let name = NAMED.iter().find_map(after).unwrap_or(name);
    if name.starts_with("arn:") { None } else { canonical(name) }
}

/// Whether a fact is capacity of Bedrock bought ahead: what calls would cost without it is known of Bedrock alone.
pub(super) fn is_provisioned(fact: &costlens_domain::bill::DailyFact) -> bool {
    fact.class.category == Category::Provisioned && fact.class.service == "bedrock"
}
