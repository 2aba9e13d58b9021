//! What the next days may cost: a level with a weekly pattern, a trend that fades, and what is not known of them.
//!
//! Series with four weeks of regular use go on from their level, weekday by weekday. All others go on at the rate of
//! their days so far. What a band leaves out is a fifth of what happens, a tenth above and a tenth below; how well it
//! does so is tested over many series.

use rust_decimal::Decimal;

use super::days::{DayRule, Settled, settle};
use super::{amount, count, mean, median, slope, spread, weekday_effects};

/// An estimate and what holds four of five outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) low: Decimal,
    pub(crate) middle: Decimal,
    pub(crate) high: Decimal,
}

/// The days ahead, each alone and all of them so far together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) days: Vec<Estimate>,
    pub(crate) totals: Vec<Estimate>,
}

impl Outlook {
    /// Nothing will be used.
    pub(crate) fn nothing(ahead: usize) -> Self {
        let nothing = Estimate { low: Decimal::ZERO, middle: Decimal::ZERO, high: Decimal::ZERO };
        Self { days: vec![nothing; ahead], totals: vec![nothing; ahead] }
    }
}

/// A tenth of a normal distribution lies beyond so many deviations.
const TENTH: f64 = 1.2816;
/// Fewer days than this say nothing of the next.
const LEAST_DAYS: usize = 4;
/// Days of the present level from which its pattern is told.
const LONG: usize = 28;

/// The next `ahead` days of a series whose first value is of the weekday `first`; `None` where it is too short.
pub(crate) fn outlook(costs: &[Decimal], first: usize, ahead: usize) -> Option<Outlook> {
    let settled = settle(costs, first, &DayRule::default());
    let begins = costs.iter().position(|cost| *cost > Decimal::ZERO)?;
    if costs.len() - begins < LEAST_DAYS {
        return None;
    }
    let long = settled.clean.len() - settled.level_begins >= LONG;
    if settled.regular && long { pattern(&settled, first, ahead) } else { rate(&settled, begins, ahead) }
}

/// What is believed of the days ahead, on logarithms.
struct Belief {
    /// The middle of each day.
    middles: Vec<f64>,
    /// The variance of a day around its middle.
    noise: f64,
    /// The variance of the level today, what each day adds to it, and the variance of the slope.
    level: f64,
    drift: f64,
    slope: f64,
}

fn pattern(settled: &Settled, first: usize, ahead: usize) -> Option<Outlook> {
    let n = settled.clean.len();
    let from = settled.level_begins.max(n.saturating_sub(91));
    let days = settled.clean.get(from..)?;
    let usual = median(&days.iter().copied().filter(|cost| *cost > 0.0).collect::<Vec<_>>())?;
    let least = usual / 50.0;
    let logs: Vec<f64> = days.iter().map(|cost| (cost + least).ln()).collect();
    let effects = weekday_effects(&logs, (first + from) % 7);
    let effect = |day: usize| effects.get((first + day) % 7).copied().unwrap_or_default();
    let flat: Vec<f64> = (from..).zip(&logs).map(|(day, log)| log - effect(day)).collect();
    // Weeks hold every weekday once: their means say how the level moved.
    let weeks: Vec<f64> = flat.rchunks_exact(7).rev().filter_map(mean).collect();
    let steps: Vec<f64> = weeks.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let within: Vec<f64> = flat
        .rchunks_exact(7)
        .filter_map(|week| mean(week).map(|middle| week.iter().map(move |log| log - middle)))
        .flatten()
        .collect();
    // A week's own mean takes a seventh of the variance out; the weekdays' effects, which are fitted, take some more.
    let robust = spread(&within)?.powi(2);
    let plain = mean(&within.iter().map(|apart| apart * apart).collect::<Vec<_>>())?;
    let noise = f64::midpoint(robust, plain) * 7.0 / 6.0 * FITTED;
    let trend = median(&steps).unwrap_or_default() / 7.0;
    let trend = f64::midpoint(trend, slope(&flat)).clamp(-0.03, 0.03);
    let moved = mean(&steps.iter().map(|step| (step - 7.0 * trend).powi(2)).collect::<Vec<_>>())?;
    let drift = ((moved - 2.0 * noise / 7.0) / 7.0 * DRIFT_BELIEVED).max(noise * LEAST_DRIFT);
    let level = smooth(&flat, trend, gain(noise, drift));
    let spread_of_slope =
        (noise * 12.0 / count(flat.len()).powi(3) + drift / count(flat.len())) * SLOPE_DOUBT;
    let mut climbed = 0.0;
    let mut step = trend;
    let middles = (0..ahead)
        .map(|day| {
            climbed += step;
            step *= FADE;
            level + climbed + effect(n + day)
        })
        .collect();
    let gain = gain(noise, drift);
    let belief = Belief { middles, noise, level: noise * gain, drift, slope: spread_of_slope };
    Some(belief.outlook(least))
}

/// How much more the noise is than it looks around what was fitted to it.
const FITTED: f64 = 1.08;
/// How much more drift is believed than was seen; the drift that is always believed, as a share of the noise.
const DRIFT_BELIEVED: f64 = 1.6;
const LEAST_DRIFT: f64 = 0.003;
/// How much of a trend is left from each day to the next, and how much more than its own error it is doubted.
const FADE: f64 = 0.985;
const SLOPE_DOUBT: f64 = 2.5;

/// How much of what a new day says goes into the level (the steady gain of a Kalman filter for a level that walks).
fn gain(noise: f64, drift: f64) -> f64 {
    let ratio = if noise > 0.0 { drift / noise } else { 1.0 };
    ((ratio * ratio + 4.0 * ratio).sqrt() - ratio) / 2.0
}

/// The level after the last day.
fn smooth(flat: &[f64], trend: f64, gain: f64) -> f64 {
    let mut level = flat.get(..7).and_then(median).or_else(|| flat.first().copied()).unwrap_or_default();
    for log in flat {
        level += trend;
        level += gain * (log - level);
    }
    level
}

impl Belief {
    /// Of the level's error `days` and `other` days ahead.
    fn common(&self, days: usize, other: usize) -> f64 {
        let (near, far) = (count(days.min(other)) + 1.0, count(days.max(other)) + 1.0);
        self.level + self.drift * near + self.slope * near * far
    }

    fn outlook(&self, least: f64) -> Outlook {
        let means: Vec<f64> = self.middles.iter().map(|middle| (middle + self.noise / 2.0).exp()).collect();
        let own = self.noise.exp_m1();
        let days = means.iter().enumerate().map(|(day, mean)| {
            let deviation = (self.noise + self.common(day, day)).sqrt();
            let middle = mean.ln() - self.noise / 2.0;
            let at = |deviations: f64| amount((middle + deviations * deviation).exp() - least);
            Estimate { low: at(-TENTH), middle: amount(mean - least), high: at(TENTH) }
        });
        let mut variance = 0.0;
        let mut total = 0.0;
        let mut totals = Vec::with_capacity(means.len());
        for (day, mean) in means.iter().enumerate() {
            let with_earlier: f64 = means
                .iter()
                .take(day)
                .enumerate()
                .map(|(other, earlier)| earlier * self.common(day, other))
                .sum();
            variance += mean * mean * (own + self.common(day, day)) + 2.0 * mean * with_earlier;
            total += mean;
            totals.push(log_normal(total, variance, least * (count(day) + 1.0)));
        }
        Outlook { days: days.collect(), totals }
    }
}

/// The days so far go on; what varied goes on varying, and the fewer they are the less is known of their mean.
fn rate(settled: &Settled, begins: usize, ahead: usize) -> Option<Outlook> {
    let n = settled.clean.len();
    // A new level is believed once it has a week; until then the days before it count, too.
    let from = if n - settled.level_begins >= 7 { settled.level_begins } else { begins };
    let days = settled.clean.get(from.max(n.saturating_sub(56))..)?;
    let n = count(days.len());
    let mean = mean(days)?;
    let variance = days.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    // Of a few days nobody knows how they vary: a twentieth of the mean is believed at least, and the tails are longer.
    let variance = variance.max((0.05 * mean).powi(2)) * (1.0 + 1.0 / (n - 1.0).max(1.0));
    // A part of what varies is the week's own and comes back with it; use now and then varies more than it showed.
    let variance = variance * if settled.regular { 0.65 } else { 1.2 };
    let estimate = |ahead: f64| log_normal(mean * ahead, variance * (ahead + ahead * ahead / n), 0.0);
    let totals = (1..=ahead).map(|days| estimate(count(days))).collect();
    // Any day is like one of those before it, of which a tenth is left out at each end.
    let mut sorted = days.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let out = (sorted.len() - 1) / 10;
    let at = |from: usize| sorted.get(from).copied().map(amount).unwrap_or_default();
    let day = Estimate { low: at(out), middle: amount(mean), high: at(sorted.len() - 1 - out) };
    Some(Outlook { days: vec![day; ahead], totals })
}

/// A total of this mean and variance, from which a constant is taken again.
fn log_normal(mean: f64, variance: f64, less: f64) -> Estimate {
    if mean <= 0.0 {
        return Estimate { low: Decimal::ZERO, middle: Decimal::ZERO, high: Decimal::ZERO };
    }
    let square = (variance / (mean * mean)).ln_1p();
    let at = |deviations: f64| amount(mean * (deviations * square.sqrt() - square / 2.0).exp() - less);
    Estimate { low: at(-TENTH), middle: amount(mean - less), high: at(TENTH) }
}
