//! When spending is worth a word: budgets that are crossed, and hours that their own past does not explain.
//!
//! Exact arithmetic throughout: whether somebody is woken must not depend on how a number was rounded.

use rust_decimal::Decimal;

use crate::Usd;
use crate::calendar::Period;

/// What a budget counts: everything, or one key, provider or model; narrowed by all that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetScope {
    /// Calls made with this key.
    pub api_key_id: Option<crate::ApiKeyId>,
    /// Calls to this provider.
    pub provider: Option<String>,
    /// Calls served by this model.
    pub model: Option<String>,
}

/// A sum that spending is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRule {
    /// What counts.
    pub scope: BudgetScope,
    /// Over which stretch of the tenant's calendar.
    pub period: Period,
    /// How much there is for it.
    pub amount: Usd,
    /// Percents of the amount, ascending, at which a word is said.
    pub thresholds: Vec<u32>,
}

impl BudgetRule {
    /// The thresholds that so much has reached, ascending. Reached is enough: 100 % is told at the last cent.
    #[must_use]
    pub fn reached(&self, spent: Usd) -> Vec<u32> {
        let spent = spent.decimal().checked_mul(Decimal::ONE_HUNDRED);
        let is_reached =
            |threshold: &&u32| match (spent, self.amount.decimal().checked_mul(Decimal::from(**threshold))) {
                (Some(spent), Some(mark)) => spent >= mark,
                // Sums too large to be compared are past any budget.
                _ => true,
            };
        self.thresholds.iter().filter(is_reached).copied().collect()
    }

    /// How many percent of the amount so much is, to one place; `None` where that has no number.
    #[must_use]
    pub fn percent(&self, spent: Usd) -> Option<Decimal> {
        let share = spent.decimal().checked_mul(Decimal::ONE_HUNDRED)?.checked_div(self.amount.decimal())?;
        Some(share.round_dp(1))
    }
}

/// What an hour was expected to cost, where it cost surprisingly more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The median of the hours that it was held against.
    pub expected: Usd,
    /// What it cost.
    pub actual: Usd,
}

/// How an hour's cost is judged.
///
/// The rule is the median and the median absolute deviation of the same time of day on the days before: neither is
/// moved by a few outliers, so that yesterday's spike does not hide today's. An hour is a surprise when it is more than
/// `spread` deviations above the median, where the deviation counts as at least a `least_spread`th of the median (a
/// perfectly regular past is no reason to report cents), and at least `least_excess` above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRule {
    /// How many deviations above the median are too many.
    pub spread: Decimal,
    /// The smallest deviation, as a share of the median.
    pub least_spread: Decimal,
    /// The smallest excess over the median that is worth a word.
    pub least_excess: Usd,
    /// With fewer hours than this nothing is judged: what is new is no anomaly.
    pub least_hours: usize,
}

impl Default for HourRule {
    /// Six deviations (1.4826 of the median absolute deviation, as of a normal distribution), at least a tenth of the
    /// median, at least one dollar, and a week of the hour with its neighbours.
    fn default() -> Self {
        Self {
            spread: Decimal::from(6),
            least_spread: Decimal::new(1, 1),
            least_excess: Usd::from(Decimal::ONE),
            least_hours: 21,
        }
    }
}

impl HourRule {
    /// The name under which findings of this rule are kept.
    pub const DETECTOR: &'static str = "median-hour/1";

    /// What an hour was expected to cost, if it is a surprise beside these hours of its past.
    #[must_use]
    pub fn judge(&self, past: &[Usd], actual: Usd) -> Option<Surprise> {
        if past.len() < self.least_hours {
            return None;
        }
        let expected = median(past.iter().map(|cost| cost.decimal()).collect())?;
        let apart = past.iter().map(|cost| (cost.decimal() - expected).abs()).collect();
        // 1.4826: from the median absolute deviation to the standard deviation of a normal distribution.
        let deviation = median(apart)?.checked_mul(Decimal::new(14_826, 4))?;
        let deviation = deviation.max(expected.checked_mul(self.least_spread)?);
        let excess = actual.decimal().checked_sub(expected)?;
        // A past that is mostly idle has no spread: then only what is higher than any hour of it is news.
        let highest = past.iter().map(|cost| cost.decimal()).max()?;
        if expected.is_zero() && actual.decimal() <= highest {
            return None;
        }
        let surprising =
            excess > deviation.checked_mul(self.spread)? && excess >= self.least_excess.decimal();
        surprising.then_some(Surprise { expected: expected.into(), actual })
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<Decimal>) -> Option<Decimal> {
    values.sort_unstable();
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(middle.checked_sub(1)?)?;
    lower.checked_add(upper)?.checked_div(Decimal::TWO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn budget(amount: &str) -> BudgetRule {
        let scope = BudgetScope::default();
        BudgetRule { scope, period: Period::Month, amount: usd(amount), thresholds: vec![50, 80, 100] }
    }

    #[test]
    fn a_threshold_is_reached_at_the_very_cent() {
        let budget = budget("0.30");
        assert_eq!(budget.reached(usd("0.1499999999")), Vec::<u32>::new());
        assert_eq!(budget.reached(usd("0.15")), [50]);
        assert_eq!(budget.reached(usd("0.2999999999")), [50, 80]);
        assert_eq!(budget.reached(usd("0.30")), [50, 80, 100]);
        assert_eq!(budget.percent(usd("0.1")), Some("33.3".parse().unwrap()));
    }

    #[test]
    fn an_hour_far_above_its_past_is_a_surprise_and_one_like_it_is_not() {
        let past: Vec<Usd> = (0..28).map(|n| usd(&format!("{}.{n:02}", 10 + n % 3))).collect();
        let rule = HourRule::default();
        assert_eq!(rule.judge(&past, usd("13")), None);
        let surprise = rule.judge(&past, usd("100")).unwrap();
        assert!(surprise.expected > usd("10") && surprise.expected < usd("13"), "{surprise:?}");
        assert_eq!(surprise.actual, usd("100"));
    }

    #[test]
    fn a_spike_of_yesterday_does_not_hide_one_of_today() {
        let mut past = vec![usd("10"); 40];
        past.extend([usd("500"), usd("700")]);
        assert!(HourRule::default().judge(&past, usd("400")).is_some());
    }

    #[test]
    fn an_hour_of_a_past_that_is_mostly_idle_is_news_only_above_all_of_it() {
        let mut past = vec![Usd::ZERO; 30];
        past.extend([usd("5"), usd("7")]);
        let rule = HourRule::default();
        assert_eq!(rule.judge(&past, usd("6.50")), None);
        assert!(rule.judge(&past, usd("7.01")).is_some());
    }

    #[test]
    fn cents_and_short_pasts_are_no_news() {
        let rule = HourRule::default();
        assert_eq!(rule.judge(&[usd("0.01"); 42], usd("0.90")), None);
        assert!(rule.judge(&[Usd::ZERO; 42], usd("1.00")).is_some());
        assert_eq!(rule.judge(&[Usd::ZERO; 20], usd("1000")), None);
    }
}
