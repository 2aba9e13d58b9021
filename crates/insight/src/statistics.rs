//! The one place of this crate where binary floats are allowed: whether an amount is surprising, and what the next ones
//! may be, are judgements on logarithms and not sums of money.
//!
//! Amounts come in as exact decimals and leave through [`amount`], which names its rounding. No sum that is shown is
//! added up here.
#![expect(
    clippy::disallowed_types,
    reason = "a logarithm has no exact decimal; amounts leave rounded by `amount`"
)]

pub(crate) mod days;
pub(crate) mod horizon;
pub(crate) mod hours;

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive as _, ToPrimitive as _};

/// An amount as a float; what does not fit is none.
fn float(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or_default()
}

/// An estimated amount as a decimal: half to even at the fourth place, a hundredth of a cent. Estimates below nothing
/// and those that are no number are nothing.
fn amount(estimate: f64) -> Decimal {
    let amount = Decimal::from_f64(estimate).unwrap_or_default();
    amount.round_dp(4).max(Decimal::ZERO)
}

/// How many deviations, to one place; a number to sort by.
fn score(deviations: f64) -> Decimal {
    Decimal::from_f64(deviations.clamp(-999.0, 999.0)).unwrap_or_default().round_dp(1)
}

/// A count as a float.
fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The middle value; of an even number, the mean of the two in the middle; `None` of nothing.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper))
}

/// The standard deviation that the median absolute deviation stands for in a normal distribution.
fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let apart: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&apart).map(|apart| 1.4826 * apart)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// The median of the slopes between all pairs of points a day apart or more (Theil and Sen): outliers move it little.
fn slope(values: &[f64]) -> f64 {
    let mut slopes = Vec::new();
    for (at, first) in values.iter().enumerate() {
        for (ahead, second) in values.iter().skip(at + 1).enumerate() {
            slopes.push((second - first) / (count(ahead) + 1.0));
        }
    }
    median(&slopes).unwrap_or_default()
}

/// The effect of each weekday on logarithms: the median distance of its days from the mean of the week around them,
/// adding up to nothing. The first value is of the weekday `first`.
fn weekday_effects(logs: &[f64], first: usize) -> [f64; 7] {
    let mut apart: [Vec<f64>; 7] = Default::default();
    for (at, week) in logs.windows(7).enumerate() {
        let (Some(mean), Some(middle)) = (mean(week), week.get(3)) else { continue };
        if let Some(of_day) = apart.get_mut((first + at + 3) % 7) {
            of_day.push(middle - mean);
        }
    }
    // A weekday that was seen once says as much about that day as about the weekday.
    if apart.iter().any(|of_day| of_day.len() < 2) {
        return [0.0; 7];
    }
    let mut effects = [0.0; 7];
    for (effect, of_day) in effects.iter_mut().zip(&apart) {
        *effect = median(of_day).unwrap_or_default();
    }
    let middle = effects.iter().sum::<f64>() / 7.0;
    effects.map(|effect| effect - middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_moved_by_no_outlier() {
        assert_eq!(median(&[3.0, 1.0, 900.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 900.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        let even = spread(&[1.0, 2.0, 3.0, 4.0, 500.0]).unwrap();
        assert!((even - 1.4826).abs() < 1e-9, "{even}");
    }

    #[test]
    fn an_amount_leaves_with_four_places_and_never_below_nothing() {
        assert_eq!(amount(1.234_56).to_string(), "1.2346");
        assert_eq!(amount(-3.0), Decimal::ZERO);
        assert_eq!(amount(f64::NAN), Decimal::ZERO);
    }

    #[test]
    fn weekdays_are_told_apart_on_a_slope() {
        let logs: Vec<f64> =
            (0..42).map(|day| count(day) * 0.01 - if day % 7 == 2 { 1.4 } else { 0.0 }).collect();
        let effects = weekday_effects(&logs, 0);
        assert!((effects[2] - -1.2).abs() < 1e-6 && (effects[3] - 0.2).abs() < 1e-6, "{effects:?}");
        assert!((slope(&logs) - 0.01).abs() < 0.002, "{}", slope(&logs));
    }
}
