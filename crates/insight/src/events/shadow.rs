//! Who uses models past the proxy.
//!
//! The bill counts every token by principal, the proxy those that it carried. Which principals are the proxy's own is
//! not asked but found: those whose tokens together come nearest, day by day and model by model, to what the proxy
//! carried. What all others use, the proxy never saw.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::models::sold_by_bedrock;
use costlens_domain::export::HourlySpend;
use costlens_domain::imports::vendors::BEDROCK;
use rust_decimal::Decimal;

use super::{Event, Kind, detail};
use crate::anomalies::bill::is_use;

/// Tokens of a model on a day.
type Tokens = BTreeMap<(NaiveDate, String), Decimal>;

/// The least that somebody must spend past the proxy to be told of, in the bill's currency.
const LEAST: Decimal = Decimal::TEN;
/// The proxy's principals must explain what it carried to this share; otherwise nobody can be told apart.
const UNEXPLAINED: Decimal = Decimal::from_parts(5, 0, 0, false, 2);

pub(super) fn find(facts: &[&DailyFact], calls: &[HourlySpend]) -> Vec<Event> {
    let mut carried = Tokens::new();
    for row in calls.iter().filter(|row| row.provider == BEDROCK) {
        if let Some(model) = sold_by_bedrock(&row.model) {
            let usage = &row.usage;
            let tokens = usage.total_input().plus(usage.output).plus(usage.audio_output);
            *carried.entry((row.hour.date_naive(), model)).or_default() += Decimal::from(tokens.0);
        }
    }
    let Some(since) = carried.keys().map(|(day, _)| *day).min() else { return Vec::new() };
    let mut principals: BTreeMap<&str, Tokens> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| is_use(fact) && fact.day >= since && !fact.principal.is_empty()) {
        if let (Some(model), Some(tokens)) = (&fact.class.model, fact.tokens) {
            let of = principals.entry(&fact.principal).or_default();
            *of.entry((fact.day, model.clone())).or_default() += tokens;
        }
    }
    // The bill may end before the calls do.
    let last = principals.values().flat_map(BTreeMap::keys).map(|(day, _)| *day).max();
    carried.retain(|(day, _), _| last.is_some_and(|last| *day <= last));
    let Some(own) = own(&carried, &principals) else { return Vec::new() };
    principals
        .keys()
        .filter(|principal| !own.contains(*principal))
        .filter_map(|principal| told(principal, facts, since))
        .collect()
}

/// The principals that the proxy calls as; `None` where they do not explain what it carried.
fn own<'a>(carried: &Tokens, principals: &BTreeMap<&'a str, Tokens>) -> Option<BTreeSet<&'a str>> {
    let total: Decimal = carried.values().sum();
    let mut left = carried.clone();
    let mut own = BTreeSet::new();
    let distance = |of: &Tokens| -> Decimal { of.values().map(Decimal::abs).sum() };
    let without = |left: &Tokens, tokens: &Tokens| {
        let mut left = left.clone();
        for (cell, tokens) in tokens {
            *left.entry(cell.clone()).or_default() -= tokens;
        }
        left
    };
    loop {
        let now = distance(&left);
        let nearest = principals
            .iter()
            .filter(|(name, _)| !own.contains(*name))
            .map(|(name, tokens)| (*name, without(&left, tokens)))
            .min_by_key(|(_, left)| distance(left))
            .filter(|(_, left)| distance(left) < now);
        match nearest {
            Some((name, rest)) => {
                own.insert(name);
                left = rest;
            }
            None => break,
        }
    }
    (distance(&left) <= total * UNEXPLAINED && !own.is_empty()).then_some(own)
}

fn told(principal: &str, facts: &[&DailyFact], since: NaiveDate) -> Option<Event> {
    let of: Vec<&&DailyFact> = facts
        .iter()
        .filter(|fact| {
            &*fact.principal == principal && fact.day >= since && is_use(fact) && fact.tokens.is_some()
        })
        .collect();
    let first = of.iter().map(|fact| fact.day).min()?;
    let currency = of.first()?.currency;
    let amount: Decimal =
        of.iter().filter(|fact| fact.currency == currency).map(|fact| fact.spread_cost()).sum();
    let tokens: Decimal = of.iter().filter_map(|fact| fact.tokens).sum();
    let models: BTreeSet<&str> = of.iter().filter_map(|fact| fact.class.model.as_deref()).collect();
    let models: Vec<&str> = models.into_iter().collect();
    (amount >= LEAST).then(|| Event {
        kind: Kind::ShadowUse,
        day: first,
        subject: principal.to_owned(),
        currency,
        amount,
        detail: detail([("tokens", tokens.normalize().to_string()), ("models", models.join(", "))]),
    })
}
