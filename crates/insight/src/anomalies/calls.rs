//! The hours of proxied calls: every key and all calls together, each against its own past.
//!
//! That all calls together are surprising is told only where no key says it better and no single key made it, and where
//! one key alone is the tenant it is told by the key's name.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc, Weekday};
use costlens_domain::ApiKeyId;
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::days::{self, DayAnomaly, Scope};
use super::explain::{Explanation, Use, explain};
use super::{DayRule, HourRule, Kind, Verdict};
use crate::statistics::hours;

/// The name under which findings of the hourly rule are kept.
pub const HOURLY: &str = "log-level-hour/1";
/// The name under which findings of the daily rule over calls are kept.
pub const DAILY: &str = "log-level-day/1";
/// How far back an hour's past goes.
pub const PAST: TimeDelta = TimeDelta::days(28);
/// For so long after a surprise the same series is the same event.
pub const QUIET: TimeDelta = TimeDelta::hours(24);
/// The share of an excess from which on a narrower series says it better.
const MOST: Decimal = Decimal::from_parts(6, 0, 0, false, 1);

/// What each hour cost: `None` where all of its calls have no price. Hours that are absent had no calls.
pub type Hours = BTreeMap<DateTime<Utc>, Option<Decimal>>;

/// A surprising hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The key; `None` for all calls together.
    pub key: Option<ApiKeyId>,
    /// The UTC hour.
    pub hour: DateTime<Utc>,
    /// What it was held against, and what it was.
    pub verdict: Verdict,
    /// Hours that show what was expected.
    pub reference: Vec<DateTime<Utc>>,
}

/// A surprising hour and what made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnomaly {
    /// The key; `None` for all calls together.
    pub key: Option<ApiKeyId>,
    /// The first hour.
    pub hour: DateTime<Utc>,
    /// What it was held against, and what it was.
    pub verdict: Verdict,
    /// What made the difference.
    pub explanation: Explanation,
}

/// The series that are watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    keys: BTreeMap<ApiKeyId, Hours>,
    all: Hours,
}

impl Watched {
    /// Every key's hours, and all of them together.
    #[must_use]
    pub fn new(keys: BTreeMap<ApiKeyId, Hours>) -> Self {
        Self { all: together(&keys), keys }
    }
}

/// Which series are surprising in one hour, keys before all calls together.
#[must_use]
pub fn surprises(watched: &Watched, hour: DateTime<Utc>, rule: &HourRule) -> Vec<Surprise> {
    let mut found: Vec<Surprise> =
        watched.keys.iter().filter_map(|(key, hours)| judge(Some(*key), hours, hour, rule)).collect();
    if watched.keys.len() > 1
        && let Some(all) = judge(None, &watched.all, hour, rule)
    {
        let by_keys: Decimal = found.iter().map(|one| one.verdict.difference()).sum();
        let most = all.verdict.difference() * MOST;
        if by_keys < most && !watched.keys.values().any(|hours| is_usual(hours, &all, most)) {
            found.push(all);
        }
    }
    found
}

/// Whether one key with a past of its own holds the most of what is surprising of all calls: then that past decides, and
/// it found nothing (a job that runs now and then is no surprise for all calls either).
fn is_usual(hours: &Hours, all: &Surprise, most: Decimal) -> bool {
    let has_past = hours.keys().next().is_some_and(|first| *first <= all.hour - TimeDelta::days(7));
    let cost = |hour: &DateTime<Utc>| hours.get(hour).copied().flatten().unwrap_or_default();
    let before: Decimal = all.reference.iter().map(cost).sum();
    let before = before.checked_div(Decimal::from(all.reference.len())).unwrap_or_default();
    has_past && cost(&all.hour) - before >= most
}

fn judge(key: Option<ApiKeyId>, hours: &Hours, hour: DateTime<Utc>, rule: &HourRule) -> Option<Surprise> {
    let actual = hours.get(&hour).copied().flatten()?;
    let first = hours.keys().next().copied()?.max(hour - PAST);
    let back = |hours: usize| hour - TimeDelta::hours(i64::try_from(hours).unwrap_or(i64::MAX / 4_000_000));
    if actual < rule.least {
        return None;
    }
    // Hours without calls cost nothing, from the series' first call on.
    let place = |at: DateTime<Utc>| usize::try_from((at - first).num_hours()).ok();
    let mut costs = vec![Some(Decimal::ZERO); place(hour)? + 1];
    for (at, cost) in hours.range(first..=hour) {
        if let Some(to) = place(*at).and_then(|at| costs.get_mut(at)) {
            *to = *cost;
        }
    }
    let weekend = |hours: usize| matches!(back(hours).weekday(), Weekday::Sat | Weekday::Sun);
    let found = hours::judge(&costs, weekend, rule)?;
    let verdict = Verdict { kind: Kind::Spike, expected: found.expected, actual, score: found.score };
    Some(Surprise { key, hour, verdict, reference: found.reference.into_iter().map(back).collect() })
}

/// All keys' hours as one series; an hour's unknown part does not make its known part unknown.
fn together(series: &BTreeMap<ApiKeyId, Hours>) -> Hours {
    let mut all = Hours::new();
    for (hour, cost) in series.values().flatten() {
        let sum = all.entry(*hour).or_default();
        *sum = match (*sum, *cost) {
            (Some(sum), Some(cost)) => Some(sum + cost),
            (one, other) => one.or(other),
        };
    }
    all
}

/// The hours of every key.
#[must_use]
pub fn hours_of(rows: &[HourlySpend]) -> BTreeMap<ApiKeyId, Hours> {
    let mut series: BTreeMap<ApiKeyId, Hours> = BTreeMap::new();
    for row in rows {
        let sum = series.entry(row.api_key_id).or_default().entry(row.hour).or_default();
        *sum = match (*sum, row.cost) {
            (Some(sum), Some(cost)) => Some(sum + cost.decimal()),
            (one, other) => one.or(other.map(costlens_domain::Usd::decimal)),
        };
    }
    series
}

/// What made a surprise: `rows` hold its hour and the hours of its reference, and may hold more.
#[must_use]
pub fn explain_hour(surprise: &Surprise, rows: &[HourlySpend]) -> Explanation {
    let of_series = |row: &&HourlySpend| surprise.key.is_none_or(|key| key == row.api_key_id);
    let used = |wanted: &dyn Fn(&HourlySpend) -> bool| -> Vec<Use> {
        rows.iter().filter(of_series).filter(|row| wanted(row)).filter_map(used).collect()
    };
    let before = used(&|row| surprise.reference.contains(&row.hour));
    let after = used(&|row| row.hour == surprise.hour);
    explain(&before, &after, surprise.verdict.expected)
}

/// A row of the rollup as use; `None` for calls without a price, whose cost nobody knows.
fn used(row: &HourlySpend) -> Option<Use> {
    let usage = &row.usage;
    let tokens = usage.total_input().plus(usage.output).plus(usage.audio_output);
    Some(Use {
        who: row.api_key_id.to_string(),
        model: row.model.clone(),
        unit: "tokens".to_owned(),
        cell: format!("{}/{}", row.provider, row.model),
        requests: Some(row.requests.into()),
        quantity: tokens.0.into(),
        cost: row.cost?.decimal(),
    })
}

/// All surprises of a stretch of hours, explained; of hours that follow each other within a day only the first.
#[must_use]
pub fn find(rows: &[HourlySpend], from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<CallAnomaly> {
    let watched = Watched::new(hours_of(rows));
    let mut last: BTreeMap<Option<ApiKeyId>, DateTime<Utc>> = BTreeMap::new();
    let mut found = Vec::new();
    let mut hour = from;
    while hour < to {
        for surprise in surprises(&watched, hour, &HourRule::default()) {
            let before = last.insert(surprise.key, hour);
            if before.is_none_or(|before| hour - before > QUIET) {
                let explanation = explain_hour(&surprise, rows);
                let Surprise { key, hour, verdict, .. } = surprise;
                found.push(CallAnomaly { key, hour, verdict, explanation });
            }
        }
        hour += TimeDelta::hours(1);
    }
    found
}

/// The new levels of keys and models by whole days, which no hour tells: until the day of `until`, which is not judged
/// any more.
#[must_use]
pub fn levels(rows: &[HourlySpend], until: chrono::NaiveDate) -> Vec<DayAnomaly> {
    let rows: Vec<days::Row> = rows
        .iter()
        .filter(|row| row.hour.date_naive() < until)
        .filter_map(|row| {
            Some(days::Row {
                day: row.hour.date_naive(),
                currency: costlens_domain::Currency::USD,
                scopes: vec![
                    Scope::Key(row.api_key_id.to_string()),
                    Scope::Model(row.model.clone()),
                    Scope::Total,
                ],
                used: used(row)?,
            })
        })
        .collect();
    let mut found = days::find(&rows, until, &DayRule::default());
    found.retain(|one| one.verdict.kind == Kind::NewLevel);
    found
}
