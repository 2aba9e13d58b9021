//! An hour against the hours of the same time of day before it, where the level of the last three days asks for it
//! raised to that level. It is never lowered: the first day after a quiet week is no surprise.
//!
//! A series that costs something in most of those hours is judged on logarithms, by median and median absolute
//! deviation: neither is moved by a few outliers, so that yesterday's spike does not hide today's. An hour at which the
//! series mostly rests is news only where it is far above everything that the series did at any hour.

use rust_decimal::Decimal;

use super::{amount, float, median, score, spread};

/// When an hour is a surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRule {
    /// The smallest excess that is worth a word, in dollars.
    pub least: Decimal,
    /// With fewer hours than this nothing is judged: what is new is no anomaly.
    pub least_hours: usize,
}

impl Default for HourRule {
    /// A dollar, and a week of the hour with its neighbours.
    fn default() -> Self {
        Self { least: Decimal::ONE, least_hours: 21 }
    }
}

/// What is said of a surprising hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HourFinding {
    pub(crate) expected: Decimal,
    pub(crate) score: Decimal,
    /// Hours that show what was expected: how many hours back, nearest first.
    pub(crate) reference: Vec<usize>,
}

/// Deviations that are too many, and the smallest deviation on logarithms: together nothing below 1.6 times the
/// expected is a surprise.
const SPREAD: f64 = 5.0;
const LEAST_SPREAD: f64 = 0.095;
/// How far the level of three days must be above the usual one before hours are held against it.
const OTHER_LEVEL: f64 = 1.3;

/// Judges the last hour of a series of hours; `weekend` tells whether the hour so many hours back was on one. Of an
/// hour that is `None` nobody knows the cost: it is no part of the past.
pub(crate) fn judge(
    costs: &[Option<Decimal>],
    weekend: impl Fn(usize) -> bool,
    rule: &HourRule,
) -> Option<HourFinding> {
    let actual = float(costs.last().copied().flatten()?);
    let back = |hours: usize| -> Option<f64> {
        let at = costs.len().checked_sub(hours + 1)?;
        costs.get(at).copied().flatten().map(float)
    };
    let alike = |same_days: bool| -> Vec<(usize, f64)> {
        (1..=costs.len() / 24 + 1)
            .flat_map(|days| [24 * days - 1, 24 * days, 24 * days + 1])
            .filter(|hours| !same_days || weekend(*hours) == weekend(0))
            .filter_map(|hours| back(hours).map(|cost| (hours, cost)))
            .collect()
    };
    let mut past = alike(true);
    if past.len() < rule.least_hours {
        past = alike(false);
    }
    if past.len() < rule.least_hours {
        return None;
    }
    let active: Vec<f64> = past.iter().map(|(_, cost)| *cost).filter(|cost| *cost > 0.0).collect();
    let (expected, deviations) = if active.len() * 10 >= past.len() * 6 {
        busy(&active, level(costs, &weekend), actual)?
    } else {
        idle(costs, &past, actual)
    };
    let is_surprise = deviations > SPREAD && actual - expected >= float(rule.least);
    let reference = past.iter().filter(|(_, cost)| *cost > 0.0).map(|(hours, _)| *hours).take(9).collect();
    is_surprise.then(|| HourFinding { expected: amount(expected), score: score(deviations), reference })
}

fn busy(active: &[f64], level: f64, actual: f64) -> Option<(f64, f64)> {
    let logs: Vec<f64> = active.iter().map(|cost| cost.ln()).collect();
    let expected = median(&logs)? + level.ln();
    let deviation = spread(&logs)?.max(LEAST_SPREAD);
    let deviations = if actual > 0.0 { (actual.ln() - expected) / deviation } else { 0.0 };
    Some((expected.exp(), deviations))
}

/// An hour of rest: it may cost what other hours cost.
fn idle(costs: &[Option<Decimal>], past: &[(usize, f64)], actual: f64) -> (f64, f64) {
    let before = costs.get(..costs.len().saturating_sub(1)).unwrap_or_default();
    let mut known: Vec<f64> =
        before.iter().flatten().map(|cost| float(*cost)).filter(|cost| *cost > 0.0).collect();
    known.sort_unstable_by(f64::total_cmp);
    // One outlier of the past hides no other.
    let high = known.get((known.len() * 99 / 100).min(known.len().saturating_sub(2))).copied();
    let costs: Vec<f64> = past.iter().map(|(_, cost)| *cost).collect();
    let expected = median(&costs).unwrap_or_default();
    let is_far = high.is_none_or(|high| actual > 2.0 * high);
    (expected, if is_far { 2.0 * SPREAD } else { 0.0 })
}

/// How far the last three days are above the days before them, like days by like; 1 where they are not.
fn level(costs: &[Option<Decimal>], weekend: &impl Fn(usize) -> bool) -> f64 {
    let before = costs.get(..costs.len().saturating_sub(1)).unwrap_or_default();
    let days: Vec<(bool, f64)> = before
        .rchunks(24)
        .enumerate()
        .filter(|(_, day)| day.len() == 24 && day.iter().all(Option::is_some))
        .map(|(at, day)| {
            let middle = weekend(24 * at + 12);
            (middle, day.iter().flatten().map(|cost| float(*cost)).sum())
        })
        .collect();
    let (Some(last), Some(earlier)) = (days.get(..3), days.get(3..)) else { return 1.0 };
    let usual = |weekend: bool| {
        let alike: Vec<f64> = earlier.iter().filter(|day| day.0 == weekend).map(|day| day.1).collect();
        (alike.len() >= 2).then(|| median(&alike)).flatten()
    };
    let ratios: Option<Vec<f64>> = last
        .iter()
        .map(|(weekend, cost)| usual(*weekend).filter(|usual| *usual > 0.0).map(|usual| cost / usual))
        .collect();
    let ratio = ratios.as_deref().and_then(median).unwrap_or(1.0);
    if ratio > OTHER_LEVEL { ratio } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn judged(past: impl Fn(usize) -> Option<Decimal>, hours: usize, actual: &str) -> Option<Decimal> {
        let mut costs: Vec<Option<Decimal>> = (0..hours).map(past).collect();
        costs.push(Some(usd(actual)));
        judge(&costs, |_| false, &HourRule::default()).map(|found| found.expected)
    }

    #[test]
    fn an_hour_far_above_its_past_is_a_surprise_and_one_like_it_is_not() {
        let past = |hour: usize| Some(usd(&format!("{}.{:02}", 10 + hour % 3, hour % 50)));
        assert_eq!(judged(past, 14 * 24, "15"), None);
        let expected = judged(past, 14 * 24, "100").unwrap();
        assert!(expected > usd("9") && expected < usd("13"), "{expected}");
    }

    #[test]
    fn a_spike_of_yesterday_does_not_hide_one_of_today() {
        let past = |hour: usize| Some(usd(if hour > 13 * 24 && hour < 13 * 24 + 3 { "700" } else { "10" }));
        assert!(judged(past, 14 * 24, "400").is_some());
    }

    #[test]
    fn an_hour_of_rest_may_cost_what_other_hours_cost() {
        let past = |hour: usize| Some(usd(if hour % 24 == 3 { "7" } else { "0" }));
        assert_eq!(judged(past, 14 * 24 + 12, "9"), None);
        assert!(judged(past, 14 * 24 + 12, "15").is_some());
    }

    #[test]
    fn cents_short_pasts_and_hours_of_unknown_cost_are_no_news() {
        assert_eq!(judged(|_| Some(usd("0.01")), 14 * 24, "0.90"), None);
        assert_eq!(judged(|_| Some(usd("1")), 6 * 24, "1000"), None);
        let unknown = |hour: usize| if hour.is_multiple_of(3) { Some(usd("40")) } else { None };
        assert_eq!(judged(unknown, 28 * 24, "41"), None);
        assert!(judged(unknown, 28 * 24, "900").is_some());
    }

    #[test]
    fn three_days_of_another_level_are_what_the_next_hours_are_held_against() {
        let past = |hour: usize| Some(usd(if hour >= 17 * 24 { "30" } else { "10" }));
        assert!(judged(past, 17 * 24, "30").is_some());
        assert_eq!(judged(past, 21 * 24, "30"), None);
        assert!(judged(past, 21 * 24, "90").is_some());
    }
}
