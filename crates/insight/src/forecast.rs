//! What the rest of the month and the next thirty days will cost, with a band that holds four of five outcomes.
//!
//! What is committed goes on to the digit and has no band: use whose cost was the very same on each of the last seven
//! whole days. Everything else is forecast from its days: with four weeks of regular use by level, weekday and a trend
//! that fades, otherwise at the rate of the days so far. Taxes, credits and fees are not forecast: they come when the
//! calendar says so.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, Days, Months, NaiveDate};
use costlens_domain::bill::DailyFact;
use costlens_domain::export::HourlySpend;
use costlens_domain::{Currency, Usd};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::anomalies::bill::{UNFINISHED_DAYS, is_of_its_day};
use crate::anomalies::{day_at, place, weekday};
use crate::statistics::horizon;

/// An estimate and what holds four of five outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// One of ten outcomes is below.
    pub low: Decimal,
    /// What is expected.
    pub middle: Decimal,
    /// One of ten outcomes is above.
    pub high: Decimal,
}

impl Estimate {
    /// With an amount that is certain.
    fn plus(self, certain: Decimal) -> Self {
        Self { low: self.low + certain, middle: self.middle + certain, high: self.high + certain }
    }
}

impl From<horizon::Estimate> for Estimate {
    fn from(of: horizon::Estimate) -> Self {
        Self { low: of.low, middle: of.middle, high: of.high }
    }
}

/// Costs by day, as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// The first day.
    pub first: NaiveDate,
    /// What each day cost beyond what is committed.
    pub variable: Vec<Decimal>,
    /// What each day cost of what is committed.
    pub committed: Vec<Decimal>,
    /// What a day ahead costs of what is committed.
    pub committed_a_day: Decimal,
}

/// A stretch of days that is partly over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first day.
    pub from: NaiveDate,
    /// The day after its last.
    pub to: NaiveDate,
    /// What its days before the forecast cost, exactly.
    pub so_far: Decimal,
    /// The part of what is ahead that is committed.
    pub committed: Decimal,
    /// What all of it will cost, the days so far included.
    pub estimate: Estimate,
}

/// A forecast of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The first day that is forecast.
    pub from: NaiveDate,
    /// The days ahead, each alone.
    pub days: Vec<(NaiveDate, Estimate)>,
    /// The month that the first day lies in.
    pub month: Stretch,
    /// Thirty days from the first.
    pub thirty_days: Stretch,
    /// By so many days of history.
    pub history_days: u32,
}

/// How likely a sum is to be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    /// Less than one of ten outcomes crosses it.
    Unlikely,
    /// Some outcomes cross it.
    Possible,
    /// What is expected crosses it.
    Likely,
    /// Nine of ten outcomes cross it.
    NearlySure,
}

/// Whether a stretch will cost as much as this.
#[must_use]
pub fn crossing(amount: Decimal, stretch: &Stretch) -> Crossing {
    let Estimate { low, middle, high } = stretch.estimate;
    if low >= amount {
        Crossing::NearlySure
    } else if middle >= amount {
        Crossing::Likely
    } else if high >= amount {
        Crossing::Possible
    } else {
        Crossing::Unlikely
    }
}

/// How many days are forecast.
const AHEAD: usize = 31;

/// The days after the last one of `costs`; `None` where they are too few to say anything.
#[must_use]
pub fn forecast(costs: &Costs) -> Option<Forecast> {
    let from = day_at(costs.first, costs.variable.len());
    let outlook = match horizon::outlook(&costs.variable, weekday(costs.first), AHEAD) {
        Some(outlook) => outlook,
        // Nothing but what is committed.
        None if !costs.committed_a_day.is_zero() && costs.variable.iter().all(Decimal::is_zero) => {
            horizon::Outlook::nothing(AHEAD)
        }
        None => return None,
    };
    let committed = |days: usize| costs.committed_a_day * Decimal::from(days);
    let stretch = |first: NaiveDate, to: NaiveDate| -> Option<Stretch> {
        let past = |days: &[Decimal]| -> Decimal {
            let of = (0..days.len()).filter(|at| day_at(costs.first, *at) >= first);
            of.filter_map(|at| days.get(at)).sum()
        };
        let so_far = past(&costs.variable) + past(&costs.committed);
        let ahead = place(from, to)?;
        let total = outlook.totals.get(ahead.checked_sub(1)?).copied()?;
        let committed = committed(ahead);
        let estimate = Estimate::from(total).plus(so_far + committed);
        Some(Stretch { from: first, to, so_far, committed, estimate })
    };
    let month = from.with_day(1)?;
    Some(Forecast {
        from,
        days: (0..30)
            .filter_map(|at| {
                let estimate = Estimate::from(*outlook.days.get(at)?);
                Some((day_at(from, at), estimate.plus(costs.committed_a_day)))
            })
            .collect(),
        month: stretch(month, month.checked_add_months(Months::new(1))?)?,
        thirty_days: stretch(from, from + Days::new(30))?,
        history_days: u32::try_from(costs.variable.len()).unwrap_or(u32::MAX),
    })
}

/// An account's use of one kind, by whom.
type Cell<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A payer whose bills end so long before the newest is no part of a forecast: it may be billed no more, or its bills come by
/// the month, and days that they do not have yet cost not nothing.
const SILENT: Days = Days::new(7);

/// How far bills tell what use cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The first day that the bills of some payer have not to its end: from there on costs are forecast.
    pub until: NaiveDate,
    /// The payers whose bills end too long before that of the others.
    pub left_out: BTreeSet<String>,
}

/// How far the bills of those payers tell that are billed to about the same day; `None` without any. Days ahead of `today`, to
/// which a fee may be dated, say nothing of it.
#[must_use]
pub fn bills_are_whole_until(facts: &[DailyFact], today: NaiveDate) -> Option<Known> {
    let mut last_days: BTreeMap<&str, NaiveDate> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.day <= today) {
        let last = last_days.entry(&fact.billing_account).or_insert(fact.day);
        *last = fact.day.max(*last);
    }
    let newest = last_days.values().max().copied()?;
    let is_silent = |last: NaiveDate| last + SILENT < newest;
    let last = last_days.values().copied().filter(|last| !is_silent(*last)).min()?;
    Some(Known {
        until: last + Days::new(1) - Days::new(UNFINISHED_DAYS),
        left_out: last_days
            .into_iter()
            .filter(|(_, last)| is_silent(*last))
            .map(|(payer, _)| payer.to_owned())
            .collect(),
    })
}

/// The use of bills by day, net amortised (amortised where that is unknown), currency by currency; the days from `until` on are not whole and left out.
#[must_use]
pub fn costs_of_bills(facts: &[DailyFact], until: NaiveDate) -> BTreeMap<Currency, Costs> {
    let mut cells: BTreeMap<Currency, BTreeMap<Cell<'_>, BTreeMap<NaiveDate, Decimal>>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| is_of_its_day(fact) && fact.day < until) {
        let cell = (&*fact.usage_account, &*fact.region, &*fact.usage_type, &*fact.principal);
        let days = cells.entry(fact.currency).or_default().entry(cell).or_default();
        *days.entry(fact.day).or_default() += fact.spread_cost();
    }
    cells
        .into_iter()
        .filter_map(|(currency, cells)| {
            let first = cells.values().filter_map(|days| days.keys().next()).min().copied()?;
            let length = place(first, until)?;
            let mut costs = Costs {
                first,
                variable: vec![Decimal::ZERO; length],
                committed: vec![Decimal::ZERO; length],
                committed_a_day: Decimal::ZERO,
            };
            for days in cells.values() {
                let committed = committed(days, until);
                costs.committed_a_day += committed.unwrap_or_default();
                let to = if committed.is_some() { &mut costs.committed } else { &mut costs.variable };
                for (day, cost) in days {
                    if let Some(sum) = place(first, *day).and_then(|at| to.get_mut(at)) {
                        *sum += cost;
                    }
                }
            }
            Some((currency, costs))
        })
        .collect()
}

/// What use costs a day that cost the very same on each of the last seven days.
fn committed(days: &BTreeMap<NaiveDate, Decimal>, until: NaiveDate) -> Option<Decimal> {
    let of = |back: u64| days.get(&(until - Days::new(back))).copied();
    let last = of(1).filter(|cost| !cost.is_zero())?;
    (2..=7).all(|back| of(back) == Some(last)).then_some(last)
}

impl Costs {
    /// Costs of which nothing is committed; the days from `until` on are not whole and left out.
    #[must_use]
    pub fn of_days(
        days: impl Iterator<Item = (NaiveDate, Decimal)> + Clone,
        until: NaiveDate,
    ) -> Option<Self> {
        let first = days.clone().map(|(day, _)| day).min()?;
        let length = place(first, until)?;
        let mut variable = vec![Decimal::ZERO; length];
        for (day, cost) in days {
            if let Some(sum) = place(first, day).and_then(|at| variable.get_mut(at)) {
                *sum += cost;
            }
        }
        let committed = vec![Decimal::ZERO; length];
        Some(Self { first, variable, committed, committed_a_day: Decimal::ZERO })
    }
}

/// The calls' cost by day. Calls without a price are no part of it.
#[must_use]
pub fn costs_of_calls(rows: &[HourlySpend], until: NaiveDate) -> Option<Costs> {
    let cost = |row: &HourlySpend| row.cost.map(Usd::decimal).unwrap_or_default();
    Costs::of_days(rows.iter().map(|row| (row.hour.date_naive(), cost(row))), until)
}
