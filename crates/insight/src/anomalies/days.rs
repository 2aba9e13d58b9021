//! Days of many overlapping series: each is judged alone, and what several of them say of one day is told once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use costlens_domain::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::explain::{Explanation, Use, explain};
use super::{Class, DayRule, Kind, Verdict, day_at, place, weekday};
use crate::statistics::days::{DayFinding, scan};

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "name")]
pub enum Scope {
    /// Everything.
    Total,
    /// An account.
    Account(String),
    /// A service, such as `bedrock`.
    Service(String),
    /// A kind of use within a service, such as `sagemaker/training`.
    Category(String),
    /// A model.
    Model(String),
    /// A principal of the bill.
    Principal(String),
    /// A key of the proxy.
    Key(String),
}

impl Scope {
    /// The narrower, the more.
    const fn narrowness(&self) -> u8 {
        match self {
            Self::Total => 0,
            Self::Account(_) => 1,
            Self::Service(_) => 2,
            Self::Category(_) => 3,
            Self::Model(_) => 4,
            Self::Principal(_) | Self::Key(_) => 5,
        }
    }

    /// The stable name of what it is by.
    #[must_use]
    pub const fn by(&self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Account(_) => "account",
            Self::Service(_) => "service",
            Self::Category(_) => "category",
            Self::Model(_) => "model",
            Self::Principal(_) => "principal",
            Self::Key(_) => "key",
        }
    }

    /// The name of what it is of; empty for everything.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Total => "",
            Self::Account(name)
            | Self::Service(name)
            | Self::Category(name)
            | Self::Model(name)
            | Self::Principal(name)
            | Self::Key(name) => name,
        }
    }
}

/// A surprising day and what made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayAnomaly {
    /// The UTC day; of a new level, its third.
    pub day: NaiveDate,
    /// What the amounts count.
    pub currency: Currency,
    /// The narrowest series that holds the most of it.
    pub scope: Scope,
    /// The other series that show it, too.
    pub also: Vec<Scope>,
    /// How the series behaves.
    pub class: Class,
    /// What was expected, and what it was.
    pub verdict: Verdict,
    /// What made the difference.
    pub explanation: Explanation,
}

/// What was used on a day, and the series that it belongs to.
pub(super) struct Row {
    pub(super) day: NaiveDate,
    pub(super) currency: Currency,
    pub(super) scopes: Vec<Scope>,
    pub(super) used: Use,
}

/// The share of an excess that two series must have in common to tell the same, and that a narrower series must hold of
/// a wider one's to say it better.
const MOST: Decimal = Decimal::from_parts(6, 0, 0, false, 1);
/// For so many days what overlaps is the same event.
const SAME_EVENT: u64 = 7;

/// Goes through the days before `until`.
pub(super) fn find(rows: &[Row], until: NaiveDate, rule: &DayRule) -> Vec<DayAnomaly> {
    let currencies: BTreeSet<Currency> = rows.iter().map(|row| row.currency).collect();
    let mut found: Vec<DayAnomaly> =
        currencies.into_iter().flat_map(|currency| Stream::new(rows, currency, until).find(rule)).collect();
    found.sort_by(|a, b| a.day.cmp(&b.day).then_with(|| a.scope.cmp(&b.scope)));
    found
}

/// The rows of one currency.
struct Stream<'a> {
    currency: Currency,
    first: NaiveDate,
    by_day: BTreeMap<NaiveDate, Vec<&'a Row>>,
    series: BTreeMap<&'a Scope, Vec<Decimal>>,
}

/// A finding of one series.
struct Found<'a> {
    scope: &'a Scope,
    day: NaiveDate,
    finding: DayFinding,
}

impl Found<'_> {
    fn difference(&self) -> Decimal {
        self.finding.actual - self.finding.expected
    }
}

/// An event that is going on.
struct Event {
    scope: Scope,
    above: bool,
    began: NaiveDate,
    is_level: bool,
}

impl<'a> Stream<'a> {
    fn new(rows: &'a [Row], currency: Currency, until: NaiveDate) -> Self {
        let mut by_day: BTreeMap<NaiveDate, Vec<&Row>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.currency == currency && row.day < until) {
            by_day.entry(row.day).or_default().push(row);
        }
        let first = by_day.keys().next().copied().unwrap_or(until);
        let days = by_day.keys().next_back().and_then(|last| place(first, *last)).map_or(0, |last| last + 1);
        let mut series: BTreeMap<&Scope, Vec<Decimal>> = BTreeMap::new();
        for row in by_day.values().flatten() {
            for scope in &row.scopes {
                let costs = series.entry(scope).or_insert_with(|| vec![Decimal::ZERO; days]);
                if let Some(cost) = place(first, row.day).and_then(|at| costs.get_mut(at)) {
                    *cost += row.used.cost;
                }
            }
        }
        Self { currency, first, by_day, series }
    }

    fn find(&self, rule: &DayRule) -> Vec<DayAnomaly> {
        let mut by_day: BTreeMap<NaiveDate, Vec<Found<'_>>> = BTreeMap::new();
        for (scope, costs) in &self.series {
            for finding in scan(costs, weekday(self.first), rule) {
                let day = day_at(self.first, finding.at);
                by_day.entry(day).or_default().push(Found { scope, day, finding });
            }
        }
        let mut events: Vec<Event> = Vec::new();
        let mut told = Vec::new();
        for (day, found) in by_day {
            events.retain(|event| event.began + Days::new(SAME_EVENT) >= day);
            for group in self.grouped(found) {
                told.extend(self.tell(group, &mut events));
            }
        }
        told
    }

    /// Findings of one day, those together that tell the same.
    fn grouped<'b>(&self, found: Vec<Found<'b>>) -> Vec<Vec<Found<'b>>> {
        let mut groups: Vec<Vec<Found<'b>>> = Vec::new();
        for one in found {
            let (alike, mut others): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| group.iter().any(|other| self.same(&one, other)));
            let mut joined = vec![one];
            joined.extend(alike.into_iter().flatten());
            others.push(joined);
            groups = others;
        }
        groups
    }

    fn same(&self, one: &Found<'_>, other: &Found<'_>) -> bool {
        let (a, b) = (one.difference(), other.difference());
        a.is_sign_negative() == b.is_sign_negative()
            && self.common(one, other.scope).abs() >= a.abs().min(b.abs()) * MOST
    }

    /// How much of a finding's difference lies in another series, too; nothing where it has the other sign.
    fn common(&self, found: &Found<'_>, other: &Scope) -> Decimal {
        let cost = |day: NaiveDate| -> Decimal {
            let both = |row: &&&Row| row.scopes.contains(found.scope) && row.scopes.contains(other);
            self.by_day.get(&day).into_iter().flatten().filter(both).map(|row| row.used.cost).sum()
        };
        let days = found.finding.reference.len();
        let before: Decimal = found.finding.reference.iter().map(|at| cost(day_at(self.first, *at))).sum();
        let before = before.checked_div(Decimal::from(days)).unwrap_or_default();
        let common = cost(found.day) - before;
        if common.is_sign_negative() == found.difference().is_sign_negative() {
            common
        } else {
            Decimal::ZERO
        }
    }

    /// Tells a group once, by its narrowest series that holds the most of it, unless it is an event that was told.
    fn tell(&self, mut group: Vec<Found<'_>>, events: &mut Vec<Event>) -> Option<DayAnomaly> {
        let most = group.iter().map(|one| one.difference().abs()).max()?;
        group.sort_by(|a, b| {
            let holds = |one: &Found<'_>| one.difference().abs() >= most * MOST;
            holds(b)
                .cmp(&holds(a))
                .then(b.scope.narrowness().cmp(&a.scope.narrowness()))
                .then(b.difference().abs().cmp(&a.difference().abs()))
        });
        let (first, others) = group.split_first()?;
        let above = !first.difference().is_sign_negative();
        let is_level = first.finding.kind == Kind::NewLevel;
        let known = events.iter_mut().find(|event| {
            event.above == above
                && group.iter().any(|one| {
                    one.scope == &event.scope
                        || self.common(one, &event.scope).abs() >= one.difference().abs() * MOST
                })
        });
        match known {
            // The event goes on; that it lasts is told once.
            Some(event) if event.is_level || !is_level => return None,
            Some(event) => event.is_level = true,
            None => {
                events.push(Event { scope: first.scope.clone(), above, began: first.day, is_level });
            }
        }
        let finding = &first.finding;
        Some(DayAnomaly {
            day: first.day,
            currency: self.currency,
            scope: first.scope.clone(),
            also: others.iter().map(|one| one.scope.clone()).collect(),
            class: finding.class,
            verdict: Verdict {
                kind: finding.kind,
                expected: finding.expected,
                actual: finding.actual,
                score: finding.score,
            },
            explanation: self.explain(first),
        })
    }

    fn explain(&self, found: &Found<'_>) -> Explanation {
        let used = |day: NaiveDate| {
            let rows = self.by_day.get(&day).into_iter().flatten();
            rows.filter(|row| row.scopes.contains(found.scope)).map(|row| row.used.clone())
        };
        let before: Vec<Use> =
            found.finding.reference.iter().flat_map(|at| used(day_at(self.first, *at))).collect();
        let after: Vec<Use> = used(found.day).collect();
        explain(&before, &after, found.finding.expected)
    }
}
