//! What is there for the first time.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, Meter};
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;

use super::seam::Seam;
use super::{Event, Kind, learned};
use crate::anomalies::bill::is_use;

/// What would be first: of which kind, and its name.
pub(super) type First = (Kind, String);
/// First days of what facts name, with what it cost on that day.
type Firsts = BTreeMap<First, (NaiveDate, Currency, Decimal)>;

/// `named_since` is the first day whose facts today's rules read, where others read those before.
pub(super) fn of_bills(facts: &[&DailyFact], named_since: Option<NaiveDate>) -> Vec<Event> {
    let mut firsts = Firsts::new();
    for fact in facts.iter().filter(|fact| is_use(fact)) {
        for (kind, subject) in named(fact) {
            note(&mut firsts, kind, subject, fact.day, fact.currency, fact.spread_cost());
        }
    }
    let Some(begin) = facts.iter().map(|fact| fact.day).min() else { return Vec::new() };
    let known_from = learned(begin);
    let seam = named_since.map(|since| Seam::of(facts, since));
    told(firsts, |first, day| {
        day >= known_from && seam.as_ref().is_none_or(|seam| seam.lets_through(first, day))
    })
}

pub(super) fn of_calls(calls: &[&HourlySpend]) -> Vec<Event> {
    let mut firsts = Firsts::new();
    for row in calls {
        let (day, cost) = (row.hour.date_naive(), row.cost.unwrap_or_default().decimal());
        note(&mut firsts, Kind::NewProvider, row.provider.clone(), day, Currency::USD, cost);
        note(&mut firsts, Kind::NewModel, row.model.clone(), day, Currency::USD, cost);
    }
    let Some(begin) = calls.iter().map(|row| row.hour.date_naive()).min() else { return Vec::new() };
    let known_from = learned(begin);
    told(firsts, |_, day| day >= known_from)
}

/// What a fact would be the first of.
pub(super) fn named(fact: &DailyFact) -> Vec<First> {
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

fn told(firsts: Firsts, is_news: impl Fn(&First, NaiveDate) -> bool) -> Vec<Event> {
    let services: Vec<(String, NaiveDate)> = firsts
        .iter()
        .filter(|((kind, _), _)| *kind == Kind::NewProvider)
        .map(|((_, subject), (day, ..))| (subject.clone(), *day))
        .collect();
    firsts
        .into_iter()
        .filter(|(first, (day, ..))| is_news(first, *day))
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
