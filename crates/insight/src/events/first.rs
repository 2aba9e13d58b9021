//! What is there for the first time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, Meter};
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;

use super::{Event, Kind, learned};
use crate::anomalies::bill::is_use;

/// First days of what facts name, with what it cost on that day.
type Firsts = BTreeMap<(Kind, String), (NaiveDate, Currency, Decimal)>;

/// `named_since` is the first day whose facts today's rules read, where others read those before: what they named first is
/// as new as everything is in a tenant's first days, and what was billed before under another name, or none, is no news.
pub(super) fn of_bills(facts: &[&DailyFact], named_since: Option<NaiveDate>) -> Vec<Event> {
    let mut firsts = Firsts::new();
    let begin = facts.iter().map(|fact| fact.day).min();
    let begin = begin.map(|begin| named_since.map_or(begin, |since| begin.max(since)));
    for fact in facts.iter().filter(|fact| is_use(fact)) {
        for (kind, subject) in named(fact) {
            note(&mut firsts, kind, subject, fact.day, fact.currency, fact.spread_cost());
        }
    }
    if let Some(since) = named_since {
        let renamed = renamed(facts, since);
        firsts.retain(|first, _| !renamed.contains(first));
    }
    told(firsts, begin)
}

/// What today's rules call something that was billed before them, by the very product and usage type.
fn renamed(facts: &[&DailyFact], since: NaiveDate) -> BTreeSet<(Kind, String)> {
    let as_billed =
        |fact: &DailyFact| (fact.product_code.clone(), fact.product_name.clone(), fact.usage_type.clone());
    let before: BTreeSet<_> =
        facts.iter().filter(|fact| fact.day < since).map(|fact| as_billed(fact)).collect();
    let known = facts.iter().filter(|fact| fact.day >= since && before.contains(&as_billed(fact)));
    known.flat_map(|fact| named(fact)).filter(|(kind, _)| is_named_by_rules(*kind)).collect()
}

/// Whether what is first is a name that the rules give, and none that the bill itself has.
const fn is_named_by_rules(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NewService
            | Kind::NewModel
            | Kind::FirstProvisionedThroughput
            | Kind::FirstEndpoint
            | Kind::NewAccelerator
    )
}

pub(super) fn of_calls(calls: &[&HourlySpend]) -> Vec<Event> {
    let mut firsts = Firsts::new();
    let begin = calls.iter().map(|row| row.hour.date_naive()).min();
    for row in calls {
        let (day, cost) = (row.hour.date_naive(), row.cost.unwrap_or_default().decimal());
        note(&mut firsts, Kind::NewProvider, row.provider.clone(), day, Currency::USD, cost);
        note(&mut firsts, Kind::NewModel, row.model.clone(), day, Currency::USD, cost);
    }
    told(firsts, begin)
}

/// What a fact would be the first of.
fn named(fact: &DailyFact) -> Vec<(Kind, String)> {
    let class = &fact.class;
    let mut named = vec![
        (Kind::NewService, class.service.to_string()),
        (Kind::NewAccount, fact.usage_account.to_string()),
        (Kind::NewRegion, fact.region.to_string()),
        (Kind::NewPrincipal, fact.principal.to_string()),
        (Kind::NewModel, class.model.clone().unwrap_or_default()),
    ];
    if class.category == Category::Provisioned {
        named.push((
            Kind::FirstProvisionedThroughput,
            class.model.clone().unwrap_or_else(|| fact.usage_type.to_string()),
        ));
    }
    let instance = class.instance_type.clone().unwrap_or_default();
    if is_endpoint(fact) {
        // One account's endpoints of one type: bills of days name no single one.
        named.push((Kind::FirstEndpoint, format!("{instance} in {} of {}", fact.region, fact.usage_account)));
    } else if class.accelerator.is_some() {
        named.push((Kind::NewAccelerator, instance));
    }
    named.retain(|(_, subject)| !subject.is_empty());
    named
}

/// Hours of an endpoint that is kept running.
pub(crate) fn is_endpoint(fact: &DailyFact) -> bool {
    let class = &fact.class;
    class.service == "sagemaker"
        && class.category == Category::Inference
        && class.meter == Meter::Hours
        && fact.usage_type.contains("Host")
}

fn note(firsts: &mut Firsts, kind: Kind, subject: String, day: NaiveDate, currency: Currency, cost: Decimal) {
    let first = firsts.entry((kind, subject)).or_insert((day, currency, Decimal::ZERO));
    if day < first.0 {
        *first = (day, currency, Decimal::ZERO);
    }
    if day == first.0 {
        first.2 += cost;
    }
}

fn told(firsts: Firsts, begin: Option<NaiveDate>) -> Vec<Event> {
    let Some(begin) = begin else { return Vec::new() };
    let known_from = learned(begin);
    let services: Vec<(String, NaiveDate)> = firsts
        .iter()
        .filter(|((kind, _), _)| *kind == Kind::NewProvider)
        .map(|((_, subject), (day, ..))| (subject.clone(), *day))
        .collect();
    firsts
        .into_iter()
        .filter(|(_, (day, ..))| *day >= known_from)
        // A new provider comes with new models: that is one piece of news.
        .filter(|((kind, _), (day, ..))| *kind != Kind::NewModel || !services.iter().any(|(_, of)| of == day))
        .map(|((kind, subject), (day, currency, amount))| Event {
            kind,
            day,
            subject,
            currency,
            amount,
            detail: BTreeMap::new(),
        })
        .collect()
}
