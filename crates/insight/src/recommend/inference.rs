//! The same calls at another price: cached elsewhere, routed, batched, in another tier, or of another model.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Timelike as _;
use costlens_domain::classify::models::{canonical, vendor_of};
use costlens_domain::classify::{Category, Meter, Routing, Tier};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::Outcome;
use costlens_domain::{ApiKeyId, Usd};
use rust_decimal::Decimal;

use super::{Confidence, Kind, Priced, Recommendation, Sum, Window};

/// What a region's price is of the global one.
const REGIONAL: Decimal = Decimal::from_parts(11, 0, 0, false, 1);

/// Models that Bedrock has a cheaper global profile of, by its price list. Those before have none, or one at the same price.
const GLOBALLY_CHEAPER: [&str; 15] = [
    "claude-fable-5",
    "claude-fable-5-1",
    "claude-haiku-4-5",
    "claude-haiku-5-5",
    "claude-opus-4-5",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "nova-2-lite",
];

/// Sums by model of what could be bought otherwise, with what it would cost there.
#[derive(Default)]
struct Otherwise {
    now: Sum,
    then: Decimal,
    is_assumed: bool,
}

/// On Bedrock a region's price is a tenth above that of global routing. Where the bill shows both prices of the same tokens, the
/// saving is exact; where it shows the regional one alone, only models are named that have a cheaper global profile by the
/// price list. Who sells models directly has no such choice.
pub(super) fn global_routing(window: &Window<'_>) -> Vec<Recommendation> {
    let sums = window.by_price();
    let mut models: BTreeMap<String, Otherwise> = BTreeMap::new();
    for (priced, sum) in &sums {
        let global = Priced { routing: Routing::Global, ..priced.clone() };
        let is_on_demand = priced.tier == Tier::Standard && !priced.custom_model;
        let offers = GLOBALLY_CHEAPER.contains(&priced.model.as_str());
        let seen = sums.get(&global).and_then(Sum::rate);
        let is_bedrock = priced.service == "bedrock";
        if !is_bedrock || priced.routing == Routing::Global || !is_on_demand || (seen.is_none() && !offers) {
            continue;
        }
        let Some(then) = seen.map_or_else(|| sum.cost.checked_div(REGIONAL), |rate| Some(rate * sum.tokens))
        else {
            continue;
        };
        let of = models.entry(priced.model.clone()).or_default();
        of.now.cost += sum.cost;
        of.now.tokens += sum.tokens;
        of.is_assumed |= seen.is_none();
        of.then += then;
    }
    models
        .into_iter()
        .map(|(model, of)| {
            let filter = [("model", model.clone()), ("routing", "regional".to_owned())];
            let figures = [("tokens", of.now.tokens), ("cost", of.now.cost), ("cost_global", of.then)];
            let (confidence, assumption) = if of.is_assumed {
                (Confidence::Medium, "data may be processed in any region, and a region costs a tenth more")
            } else {
                (Confidence::High, "data may be processed in any region")
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

/// How many more tokens another model may count in the same text: those of one vendor differ by up to three tenths.
const MORE_TOKENS: Decimal = Decimal::from_parts(13, 0, 0, false, 1);

/// Words in names of models that do other work than answering texts: they speak, listen, search or judge.
const OTHER_WORK: [&str; 10] =
    ["sonic", "realtime", "audio", "transcribe", "tts", "live", "safeguard", "guard", "search", "embed"];

fn does_other_work(model: &str) -> bool {
    model.split('-').any(|word| OTHER_WORK.contains(&word))
}

/// What is priced apart of one model.
type Lane = (Meter, Routing, bool);

/// The next cheaper model of the same vendor that the bill has a price of for all that the dearer one is used for. That it does
/// as well is for people to try; the bill proves the price alone.
pub(super) fn cheaper_model(window: &Window<'_>) -> Vec<Recommendation> {
    let mut models: BTreeMap<(String, String), BTreeMap<Lane, Sum>> = BTreeMap::new();
    // A model that hears or speaks, or draws, in whichever tier, is another one than its name may say.
    let mut media: BTreeSet<(String, String)> = BTreeSet::new();
    for (priced, sum) in window.by_price() {
        if matches!(priced.meter, Meter::AudioInput | Meter::AudioOutput | Meter::ImageOutput) {
            media.insert((priced.service.clone(), priced.model.clone()));
        }
        if priced.tier == Tier::Standard && !priced.custom_model && sum.rate().is_some() {
            let lane = (priced.meter, priced.routing, priced.long_context);
            models.entry((priced.service, priced.model)).or_default().insert(lane, sum);
        }
    }
    let mut found = Vec::new();
    models.retain(|of, _| !media.contains(of) && !does_other_work(&of.1));
    for ((service, model), lanes) in &models {
        // What answers nothing, such as an embedding, has no other model that does the same.
        let (Some(vendor), true) =
            (vendor_of(model), lanes.keys().any(|(meter, ..)| *meter == Meter::Output))
        else {
            continue;
        };
        let now: Decimal = lanes.values().map(|sum| sum.cost).sum();
        let tokens: Decimal = lanes.values().map(|sum| sum.tokens).sum();
        let at_prices_of = |other: &BTreeMap<Lane, Sum>| -> Option<Decimal> {
            let costs = lanes.iter().map(|(lane, sum)| {
                // What was free, as in a preview, has no price yet.
                let rate = other.get(lane)?.rate().filter(|rate| *rate > Decimal::ZERO)?;
                Some(rate * sum.tokens * MORE_TOKENS)
            });
            costs.sum()
        };
        let others = models.iter().filter(|((by, name), _)| by == service && vendor_of(name) == Some(vendor));
        let cheaper = others.filter_map(|((_, name), other)| Some((at_prices_of(other)?, name)));
        let Some((then, name)) = cheaper.filter(|(then, _)| *then < now).max() else { continue };
        let filter = [
            ("service", service.clone()),
            ("model", model.clone()),
            ("tier", "standard".to_owned()),
            ("custom_model", "false".to_owned()),
        ];
        let figures = [("tokens", tokens), ("cost", now), ("cost_cheaper", then)];
        let assumption = "the cheaper model does as well, and counts three tenths more tokens";
        let evidence = window.evidence(filter, figures, Some(assumption));
        let subject = format!("{name} in place of {model}");
        found.push(window.recommend(
            Kind::CheaperModel,
            subject,
            (now - then, now),
            Confidence::Low,
            evidence,
        ));
    }
    found
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use costlens_domain::classify::models::sold_by_bedrock;

    use super::GLOBALLY_CHEAPER;

    #[test]
    fn models_with_a_cheaper_global_profile_are_those_of_the_price_list() {
        let list = include_str!("../../../../prices/bedrock.json");
        let ids = list.lines().filter_map(|line| line.trim().strip_prefix("\"id\": \"global."));
        let ids = ids.filter(|id| id.starts_with("anthropic.") || id.starts_with("amazon."));
        let mut sold: BTreeSet<String> =
            ids.filter_map(|id| sold_by_bedrock(id.trim_end_matches("\","))).collect();
        // The same price everywhere.
        assert!(sold.remove("claude-sonnet-4"), "{sold:?}");
        assert_eq!(sold.iter().map(String::as_str).collect::<Vec<_>>(), GLOBALLY_CHEAPER);
    }
}
