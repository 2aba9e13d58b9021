//! A series of days against its own past.
//!
//! A series is routed by its class. *Regular* ones are judged on logarithms: the level of the last week, the effect of
//! the weekday, and the spread of the errors that the same rule made before. *Intermittent* ones are held against the
//! amounts of their active days alone. *Small* ones say nothing until an amount is worth a word, and is far above
//! anything before. What was surprising is no part of the past that the next day is held against, until it lasts: the
//! third such day in a row is a new level, told once, and from then on the past.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{amount, count, float, mean, median, score, slope, spread, weekday_effects};

/// How a series behaves, and so which rule judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Costs something on most days, or on the same weekdays.
    Regular,
    /// Costs something now and then.
    Intermittent,
    /// Costs so little that its pattern is nobody's concern.
    Small,
}

/// What kind of surprise it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// More than the past explains.
    Spike,
    /// The third day in a row above or below what the past explains: from now on it is what is expected.
    NewLevel,
}

/// When a day is a surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRule {
    /// The smallest difference that is worth a word, in the currency of the series.
    pub least: Decimal,
    /// The smallest difference as a share of what was expected.
    pub least_share: Decimal,
    /// A series whose active days cost less than this, in the middle, is small.
    pub small: Decimal,
}

impl Default for DayRule {
    fn default() -> Self {
        Self { least: Decimal::from(20), least_share: Decimal::new(1, 1), small: Decimal::from(5) }
    }
}

/// A surprising day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DayFinding {
    /// Its place in the series.
    pub(crate) at: usize,
    pub(crate) kind: Kind,
    pub(crate) class: Class,
    pub(crate) expected: Decimal,
    pub(crate) actual: Decimal,
    pub(crate) score: Decimal,
    /// Days that show what was expected, latest first: never surprising ones, the same weekday where that matters.
    pub(crate) reference: Vec<usize>,
}

/// Days of a series before which nothing is judged: what is new has no past.
const YOUNG: usize = 14;
/// Days of a regular series before which it is not judged: each weekday must have been seen three times.
const YOUNG_REGULAR: usize = 21;
/// How far back classes are told from.
const RECENT: usize = 28;
/// How far back weekdays and spreads are told from.
const PAST: usize = 56;
/// Deviations that are too many.
const REGULAR_SPREAD: f64 = 4.0;
const INTERMITTENT_SPREAD: f64 = 4.0;
/// A spread is at least this, on logarithms: a past without any is no reason to report a few percent.
const LEAST_SPREAD: f64 = 0.07;
const LEAST_INTERMITTENT_SPREAD: f64 = 0.27;
/// The part of the errors' mean square root that counts as their spread, where that is more.
const BURSTS: f64 = 0.8;
/// How many surprising days in a row are a new level.
const LASTING: usize = 3;

/// Goes through a series from its first day; the first value is of the weekday `first`, Monday being 0.
pub(crate) fn scan(costs: &[Decimal], first: usize, rule: &DayRule) -> Vec<DayFinding> {
    let mut past = Past::new(costs, first, rule);
    costs.iter().filter_map(|cost| past.judge(*cost)).collect()
}

/// What of a series says how it goes on.
pub(super) struct Settled {
    /// The days, surprising ones replaced by what was expected.
    pub(super) clean: Vec<f64>,
    /// The first day of the present level.
    pub(super) level_begins: usize,
    /// Whether it costs something on most days, or on the same weekdays.
    pub(super) regular: bool,
}

/// Goes through a series, for what it leaves behind.
pub(super) fn settle(costs: &[Decimal], first: usize, rule: &DayRule) -> Settled {
    let mut past = Past::new(costs, first, rule);
    for cost in costs {
        past.judge(*cost);
    }
    let regular = past.is_regular(costs.len());
    Settled { level_begins: past.level_begins.max(past.begins), clean: past.clean, regular }
}

impl<'a> Past<'a> {
    fn new(costs: &[Decimal], first: usize, rule: &'a DayRule) -> Self {
        Self {
            first,
            rule,
            actual: Vec::with_capacity(costs.len()),
            clean: Vec::with_capacity(costs.len()),
            surprising: Vec::with_capacity(costs.len()),
            errors: Vec::new(),
            begins: costs.iter().position(|cost| *cost > Decimal::ZERO).unwrap_or(costs.len()),
            level_begins: 0,
            streak: (0, true),
        }
    }
}

/// What is known before a day.
struct Past<'a> {
    first: usize,
    rule: &'a DayRule,
    actual: Vec<f64>,
    /// The days so far; in place of surprising ones, what was expected.
    clean: Vec<f64>,
    surprising: Vec<bool>,
    /// By how much the rule for regular series was wrong on the days before.
    errors: Vec<f64>,
    /// The first day that cost anything.
    begins: usize,
    /// The first day of the present level.
    level_begins: usize,
    /// Surprising days in a row, and whether they are above.
    streak: (usize, bool),
}

/// What a rule says of a day.
struct Opinion {
    class: Class,
    expected: f64,
    deviations: f64,
    above: bool,
}

impl Past<'_> {
    fn judge(&mut self, cost: Decimal) -> Option<DayFinding> {
        let at = self.actual.len();
        let value = float(cost).max(0.0);
        let opinion = self.opinion(value);
        self.actual.push(value);
        let Some(Opinion { class, expected, deviations, above }) = opinion else {
            self.streak = (0, true);
            self.clean.push(value);
            self.surprising.push(false);
            return None;
        };
        let reference = self.reference(class, at, expected);
        let run = if self.streak.1 == above { self.streak.0 + 1 } else { 1 };
        self.streak = (run, above);
        self.clean.push(expected);
        self.surprising.push(true);
        let kind = match run {
            // That a day cost less is no news; that it stays so is.
            1 if above => Kind::Spike,
            LASTING => {
                self.begin_level();
                Kind::NewLevel
            }
            _ => return None,
        };
        let (expected, score) = (amount(expected), score(deviations));
        Some(DayFinding { at, kind, class, expected, actual: cost, score, reference })
    }

    /// The days of the streak are what is expected from now on.
    fn begin_level(&mut self) {
        let from = self.actual.len().saturating_sub(LASTING);
        self.level_begins = from;
        self.streak = (0, true);
        for at in from..self.actual.len() {
            if let (Some(clean), Some(actual), Some(surprising)) =
                (self.clean.get_mut(at), self.actual.get(at), self.surprising.get_mut(at))
            {
                *clean = *actual;
                *surprising = false;
            }
        }
    }

    /// What the rule of its class says against the next day; `None` where it is no surprise or has too little past.
    fn opinion(&mut self, value: f64) -> Option<Opinion> {
        let at = self.clean.len();
        let age = at.checked_sub(self.begins)?;
        let recent = self.clean.get(at.saturating_sub(RECENT).max(self.begins)..)?;
        let active: Vec<f64> = recent.iter().copied().filter(|cost| *cost > 0.0).collect();
        let usual = median(&active)?;
        let opinion = if usual < float(self.rule.small) {
            small(recent, value)
        } else {
            let regular = if self.is_regular(at) { self.regular(usual, value) } else { None };
            match self.bursts(at) {
                // Something small that always runs under something large that does now and then.
                Some(bursts) => held_against(&bursts, value)?,
                None if self.is_regular(at) => regular?,
                None => self.intermittent(value)?,
            }
        };
        let difference = value - opinion.expected;
        let least = float(self.rule.least).max(opinion.expected * float(self.rule.least_share));
        let surprising = difference.abs() >= least && opinion.deviations.abs() > opinion.class.spread();
        (age >= YOUNG && surprising && opinion.above == (difference > 0.0)).then_some(opinion)
    }

    /// On most days, or always on the same weekdays.
    fn is_regular(&self, at: usize) -> bool {
        let from = at.saturating_sub(RECENT).max(self.begins);
        let Some(recent) = self.clean.get(from..at) else { return false };
        let active = recent.iter().filter(|cost| **cost > 0.0).count();
        if count(active) >= 0.85 * count(recent.len()) {
            return true;
        }
        let mut by_weekday = [(0_usize, 0_usize); 7];
        for (day, cost) in (from..).zip(recent) {
            if let Some((days, active)) = by_weekday.get_mut((self.first + day) % 7) {
                *days += 1;
                *active += usize::from(*cost > 0.0);
            }
        }
        let sure = by_weekday
            .iter()
            .filter(|(days, active)| *days >= 2 && (*active == 0 || count(*active) >= 0.75 * count(*days)));
        sure.count() == 7 && active * 2 >= recent.len()
    }

    fn regular(&mut self, usual: f64, value: f64) -> Option<Opinion> {
        // Days without use have no logarithm: a fiftieth of the usual day stands for nothing.
        let least = usual / 50.0;
        let at = self.clean.len();
        let from = at.saturating_sub(PAST).max(self.begins);
        let logs: Vec<f64> = self.clean.get(from..)?.iter().map(|cost| (cost + least).ln()).collect();
        let effects = weekday_effects(&logs, (self.first + from) % 7);
        let effect = |day: usize| effects.get((self.first + day) % 7).copied().unwrap_or_default();
        let flat: Vec<f64> = (from..).zip(&logs).map(|(day, log)| log - effect(day)).collect();
        let of_level = flat.get(self.level_begins.saturating_sub(from)..)?;
        let week = of_level.get(of_level.len().saturating_sub(7)..)?;
        let mut level = median(week)?;
        if of_level.len() >= YOUNG {
            // The middle of the last week lies four days back.
            let recent = of_level.get(of_level.len().saturating_sub(RECENT)..)?;
            level += 4.0 * slope(recent).clamp(-0.03, 0.03);
        }
        let known = self.errors.get(self.errors.len().saturating_sub(42)..)?;
        let usual_error = if known.len() >= 10 {
            // The median says nothing of rare bursts that belong to the series; the square does.
            let squares: Vec<f64> = known.iter().map(|error| error * error).collect();
            spread(known).zip(mean(&squares)).map(|(spread, square)| spread.max(BURSTS * square.sqrt()))
        } else {
            spread(&flat).map(|spread| 1.25 * spread)
        };
        let expected = level + effect(at);
        let error = (value + least).ln() - expected;
        // The level itself is known the less well the fewer days it is the median of.
        let deviation = usual_error?.max(LEAST_SPREAD) * (1.0 + 1.57 / count(week.len())).sqrt();
        let deviations = error / deviation;
        // However wrong a day was, it counts as no more than the first surprise.
        let most = Class::Regular.spread() * deviation;
        self.errors.push(error.clamp(-most, most));
        if at - self.begins < YOUNG_REGULAR {
            return None;
        }
        let expected = (expected.exp() - least).max(0.0);
        Some(Opinion { class: Class::Regular, expected, deviations, above: error > 0.0 })
    }

    fn intermittent(&self, value: f64) -> Option<Opinion> {
        let active: Vec<f64> = self
            .clean
            .get(self.level_begins..)?
            .iter()
            .rev()
            .filter(|cost| **cost > 0.0)
            .take(20)
            .copied()
            .collect();
        if active.len() < 5 { None } else { held_against(&active, value) }
    }

    /// The days of the present level that cost more than twice the usual, where there are several of late: such a series
    /// costs something every day and its bursts are what it is held against.
    fn bursts(&self, at: usize) -> Option<Vec<f64>> {
        let since = |days: usize| at.saturating_sub(days).max(self.begins).max(self.level_begins);
        let recent = self.actual.get(since(RECENT)..at).filter(|days| days.len() >= YOUNG)?;
        let high = 2.0 * median(recent)?;
        let burst = |cost: &&f64| high > 0.0 && **cost > high;
        if recent.iter().filter(burst).count() < 3 {
            return None;
        }
        Some(self.actual.get(since(PAST)..at)?.iter().filter(burst).copied().collect())
    }

    /// Days that show what was expected, latest first.
    fn reference(&self, class: Class, at: usize, expected: f64) -> Vec<usize> {
        let usable = |day: &usize| {
            let is_active = self.clean.get(*day).is_some_and(|cost| *cost > 0.0);
            !self.surprising.get(*day).copied().unwrap_or(true)
                && (class == Class::Small || is_active)
                && *day >= self.begins
        };
        let days = (0..at).rev().filter(usable);
        match class {
            Class::Regular => {
                let alike: Vec<usize> =
                    days.clone().filter(|day| (at - day).is_multiple_of(7)).take(3).collect();
                // Before a level has a weekday of its own, the last days tell its composition better.
                let since = alike.iter().all(|day| *day >= self.level_begins);
                if alike.is_empty() || !since { days.take(7).collect() } else { alike }
            }
            // Days on which it ran, where something else always does.
            Class::Intermittent => {
                let ran = |day: &usize| self.clean.get(*day).is_some_and(|cost| *cost >= expected / 3.0);
                days.filter(ran).take(5).collect()
            }
            Class::Small => days.take(14).collect(),
        }
    }
}

/// A day against the amounts of those on which something ran.
fn held_against(active: &[f64], value: f64) -> Option<Opinion> {
    let highest = active.iter().copied().fold(0.0, f64::max);
    let logs: Vec<f64> = active.iter().map(|cost| cost.ln()).collect();
    let middle = median(&logs)?;
    let deviation = spread(&logs)?.max(LEAST_INTERMITTENT_SPREAD);
    let deviations = if value > 1.3 * highest { (value.ln() - middle) / deviation } else { 0.0 };
    Some(Opinion { class: Class::Intermittent, expected: middle.exp(), deviations, above: true })
}

fn small(recent: &[f64], value: f64) -> Opinion {
    let highest = recent.iter().copied().fold(0.0, f64::max);
    let expected = mean(recent).unwrap_or_default();
    // Only what is far above everything before is news; how far is then a number of its own kind.
    let deviations = if value > 3.0 * highest { value / highest.max(0.01) } else { 0.0 };
    Opinion { class: Class::Small, expected, deviations, above: true }
}

impl Class {
    /// How many deviations are too many.
    const fn spread(self) -> f64 {
        match self {
            Self::Regular => REGULAR_SPREAD,
            Self::Intermittent => INTERMITTENT_SPREAD,
            Self::Small => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(of: impl Fn(usize) -> i64, days: usize) -> Vec<Decimal> {
        (0..days).map(|day| Decimal::from(of(day))).collect()
    }

    fn found(costs: &[Decimal]) -> Vec<(usize, Kind, Class)> {
        scan(costs, 0, &DayRule::default()).iter().map(|found| (found.at, found.kind, found.class)).collect()
    }

    #[test]
    fn a_weekly_pattern_is_no_surprise_and_a_busy_sunday_is() {
        let week = [100, 120, 110, 130, 90, 0, 0];
        let mut days = costs(|day| week[day % 7] + i64::try_from(day % 5).unwrap(), 70);
        assert_eq!(found(&days), []);
        days[62] = Decimal::from(115);
        assert_eq!(found(&days), [(62, Kind::Spike, Class::Regular)]);
    }

    #[test]
    fn what_lasts_is_told_once_as_a_new_level() {
        let days = costs(|day| if day < 40 { 100 } else { 300 }, 90);
        assert_eq!(found(&days), [(40, Kind::Spike, Class::Regular), (42, Kind::NewLevel, Class::Regular)]);
        let days = costs(|day| if day < 40 { 300 } else { 100 }, 90);
        assert_eq!(found(&days), [(42, Kind::NewLevel, Class::Regular)]);
    }

    #[test]
    fn a_job_that_runs_now_and_then_is_held_against_its_own_runs() {
        let run = |day: usize| if [0, 3, 4, 10, 11, 12, 19, 23].contains(&(day % 25)) { 80 } else { 0 };
        let mut days = costs(run, 100);
        assert_eq!(found(&days), []);
        days[79] = Decimal::from(400);
        assert_eq!(found(&days), [(79, Kind::Spike, Class::Intermittent)]);
    }

    #[test]
    fn cents_are_no_news_until_they_are_money() {
        let mut days = costs(|day| i64::from(day % 3 == 0), 60);
        days[30] = Decimal::from(12);
        days[50] = Decimal::from(60);
        assert_eq!(found(&days), [(50, Kind::Spike, Class::Small)]);
    }

    #[test]
    fn bursts_over_something_that_always_runs_are_held_against_each_other() {
        let run = |day: usize| 6 + if [0, 3, 4, 10, 12, 17, 19, 23].contains(&(day % 25)) { 50 } else { 0 };
        let mut days = costs(run, 100);
        assert_eq!(found(&days), []);
        days[79] = Decimal::from(400);
        assert_eq!(found(&days), [(79, Kind::Spike, Class::Intermittent)]);
    }

    #[test]
    fn what_is_new_has_no_past_to_be_surprised_by() {
        let days = costs(|day| if day < 40 { 0 } else { 100 + 80 * i64::from(day == 45) }, 60);
        assert_eq!(found(&days), []);
    }
}
