//! How often the forecast's band holds what comes: it says four times of five.
//!
//! The doubts in it were chosen on the seeds 1 to 40 of a copy of this generator with another source of chance, and are
//! judged on the seeds 1001 to 1050.
#![expect(clippy::disallowed_types, reason = "noise and figures of a test are no money")]

use chrono::{Datelike, Days, NaiveDate};
use costlens_insight::forecast::{Costs, forecast};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::noise::Noise;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    Weekly,
    Trending,
    Walking,
    Intermittent,
    Short,
}

const HABITS: [Habit; 5] =
    [Habit::Weekly, Habit::Trending, Habit::Walking, Habit::Intermittent, Habit::Short];

/// A series of days and the thirty that come after it.
fn series(habit: Habit, noise: &mut Noise) -> (Vec<Decimal>, Vec<Decimal>) {
    let days = match habit {
        Habit::Short => 8 + usize::try_from(noise.below(18)).unwrap(),
        _ => 42 + usize::try_from(noise.below(70)).unwrap(),
    };
    let base = 20.0 + 400.0 * noise.even();
    let sigma = 0.07 + 0.18 * noise.even();
    let weekend = 0.3 + 0.6 * noise.even();
    let trend = if habit == Habit::Trending { 0.002 + 0.008 * noise.even() } else { 0.0 };
    let walk = match habit {
        Habit::Walking => 0.02,
        Habit::Intermittent => 0.0,
        _ => 0.005,
    };
    let runs = 0.15 + 0.35 * noise.even();
    let mut level = 0.0;
    let all: Vec<Decimal> = (0..days + 30)
        .map(|day| {
            let date = monday() + Days::new(u64::try_from(day).unwrap());
            level += trend + walk * noise.normal();
            let is_weekend = date.weekday().num_days_from_monday() >= 5;
            let mut cost = base * (level + sigma * noise.normal()).exp();
            match habit {
                Habit::Intermittent if noise.even() > runs => cost = 0.0,
                Habit::Intermittent => {}
                _ if is_weekend => cost *= weekend,
                _ => {}
            }
            Decimal::from_f64(cost).unwrap().round_dp(6)
        })
        .collect();
    let (known, ahead) = all.split_at(days);
    (known.to_vec(), ahead.to_vec())
}

fn monday() -> NaiveDate {
    "2026-02-02".parse().unwrap()
}

/// The share of outcomes within the band, of thirty days together and of single days, and the mean width of the band as a
/// share of its middle.
fn held(habit: Habit, seeds: std::ops::RangeInclusive<u64>, each: usize) -> (f64, f64, f64) {
    let (mut all, mut within, mut days, mut days_within, mut width) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for seed in seeds {
        let mut noise = Noise::new(seed * 31 + habit as u64);
        for _ in 0..each {
            let (known, ahead) = series(habit, &mut noise);
            let committed = vec![Decimal::ZERO; known.len()];
            let costs = Costs { first: monday(), variable: known, committed, committed_a_day: Decimal::ZERO };
            let Some(forecast) = forecast(&costs) else { continue };
            let band = forecast.thirty_days.estimate;
            let outcome: Decimal = ahead.iter().sum::<Decimal>() + forecast.thirty_days.so_far;
            all += 1.0;
            within += f64::from(u8::from(outcome >= band.low && outcome <= band.high));
            let middle = band.middle - forecast.thirty_days.so_far;
            if middle > Decimal::ZERO {
                let share = (band.high - band.low) / middle;
                width += rust_decimal::prelude::ToPrimitive::to_f64(&share).unwrap();
            }
            for ((_, band), cost) in forecast.days.iter().zip(&ahead) {
                days += 1.0;
                days_within += f64::from(u8::from(*cost >= band.low && *cost <= band.high));
            }
        }
    }
    (within / all, days_within / days, width / all)
}

fn print(habit: Habit, (total, day, width): (f64, f64, f64)) {
    println!("{habit:?}: thirty days {total:.3}, single days {day:.3}, band {width:.2} of the middle wide");
}

#[test]
fn a_band_holds_four_of_five_outcomes_on_seeds_that_nobody_tuned_on() {
    let mut sum = 0.0;
    for habit in HABITS {
        let held = held(habit, 1001..=1050, 8);
        print(habit, held);
        assert!((0.70..=0.90).contains(&held.0), "{habit:?} {held:?}");
        sum += held.0;
    }
    let mean = sum / HABITS.len() as f64;
    println!("all: {mean:.3}");
    assert!((0.75..=0.85).contains(&mean), "{mean}");
}

#[test]
#[ignore = "prints figures for choosing doubts"]
fn figures_on_the_seeds_of_tuning() {
    for habit in HABITS {
        print(habit, held(habit, 1..=40, 8));
    }
}

#[test]
fn what_is_committed_goes_on_to_the_digit() {
    let first = monday();
    let costs = Costs {
        first,
        variable: vec![Decimal::ZERO; 20],
        committed: vec![Decimal::new(33_792, 3); 20],
        committed_a_day: Decimal::new(33_792, 3),
    };
    let forecast = forecast(&costs).unwrap();
    // 2 to 21 February are over, eight days are ahead.
    let month = Decimal::new(33_792, 3) * Decimal::from(28);
    assert_eq!(forecast.month.estimate.low, forecast.month.estimate.high);
    assert_eq!(forecast.month.estimate.middle, month - Decimal::new(33_792, 3));
    assert_eq!(forecast.thirty_days.estimate.middle, Decimal::new(33_792, 3) * Decimal::from(30));
}
