//! What a later delivery of a month says that an earlier one did not.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use rust_decimal::Decimal;

use super::{Event, Kind, detail};

/// The least difference that is told, in the bill's currency: less is rounding.
const LEAST: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// By how much a month changed, currency by currency. Only days that the earlier delivery had finished are compared: that
/// a month went on is no restatement.
#[must_use]
pub fn restated(before: &[DailyFact], after: &[DailyFact]) -> Vec<Event> {
    let Some(last) = before.iter().map(|fact| fact.day).max() else { return Vec::new() };
    let Some(first) = before.iter().map(|fact| fact.day).min() else { return Vec::new() };
    let ends = after.iter().map(|fact| fact.day).max().unwrap_or(last);
    // Of a month that went on, the last two days of the earlier delivery were not whole.
    let until = if ends > last { last - chrono::Days::new(1) } else { last + chrono::Days::new(1) };
    let (old, new) = (sums(before, until), sums(after, until));
    let currencies: BTreeSet<Currency> =
        old.keys().chain(new.keys()).map(|(currency, _)| *currency).collect();
    currencies.into_iter().filter_map(|currency| told(currency, first, &old, &new)).collect()
}

/// What each service and type of line cost.
type Sums = BTreeMap<(Currency, (String, String)), Decimal>;

fn sums(facts: &[DailyFact], until: NaiveDate) -> Sums {
    let mut sums = Sums::new();
    for fact in facts.iter().filter(|fact| fact.day < until) {
        let part = (fact.class.service.to_string(), fact.line_item_type.to_string());
        *sums.entry((fact.currency, part)).or_default() += fact.unblended;
    }
    sums
}

fn told(currency: Currency, month: NaiveDate, old: &Sums, new: &Sums) -> Option<Event> {
    let total = |of: &Sums| -> Decimal {
        of.iter().filter(|((of, _), _)| *of == currency).map(|(_, cost)| *cost).sum()
    };
    let (before, after) = (total(old), total(new));
    let parts: BTreeSet<&(String, String)> =
        old.keys().chain(new.keys()).filter(|(of, _)| *of == currency).map(|(_, part)| part).collect();
    let cost =
        |of: &Sums, part: &(String, String)| of.get(&(currency, part.clone())).copied().unwrap_or_default();
    let mut moved: Vec<(Decimal, &(String, String))> = parts
        .into_iter()
        .map(|part| (cost(new, part) - cost(old, part), part))
        .filter(|(difference, _)| difference.abs() >= LEAST)
        .collect();
    moved.sort_by(|a, b| b.0.abs().cmp(&a.0.abs()).then(a.1.cmp(b.1)));
    let (difference, (service, line_item_type)) = moved.first()?;
    let text = |amount: Decimal| amount.normalize().to_string();
    Some(Event {
        kind: Kind::MonthRestated,
        day: month,
        subject: month.format("%Y-%m").to_string(),
        currency,
        amount: after - before,
        detail: detail([
            ("before", text(before)),
            ("after", text(after)),
            ("service", service.clone()),
            ("line_item_type", line_item_type.clone()),
            ("of_that", text(*difference)),
        ]),
    })
}
