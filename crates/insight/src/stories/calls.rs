//! The tenant's calls: each key with its model, its hours and its weekdays.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use costlens_domain::export::HourlySpend;
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::{CostBasis, Outcome};
use costlens_domain::{ApiKeyId, Tokens, Usage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::random::Random;
use super::{CACHE, DAYS, Key, PRICE_DROP, SPIKE, hour_of, midnight};

pub(super) const SUPPORT: &str = "support-bot";
pub(super) const CHECKOUT: &str = "checkout-assistant";
pub(super) const SEARCH: &str = "search";
pub(super) const ENRICH: &str = "catalogue-enrichment";
const DIGEST: &str = "nightly-digest";
const TRIALS: &str = "trials";

pub(super) const NOVA: &str = "nova-pro";
pub(super) const NOVA_CALLED: &str = "amazon.nova-pro-v1:0";
pub(super) const SONNET_CALLED: &str = "global.anthropic.claude-sonnet-4-6-20260217-v1:0";

/// When a key calls.
#[derive(Clone, Copy)]
enum Hours {
    /// By day, on working days mostly.
    People,
    /// At all times.
    Machine,
    /// For six hours every night.
    Night,
    /// For an hour, now and then.
    Rarely,
}

/// A key's habits: calls a day, tokens a call.
struct Habit {
    name: &'static str,
    provider: &'static str,
    model: &'static str,
    hours: Hours,
    calls: u64,
    input: u64,
    output: u64,
}

const HABITS: [Habit; 6] = [
    Habit {
        name: SUPPORT,
        provider: "anthropic",
        model: "claude-sonnet-4-6",
        hours: Hours::People,
        calls: 6_000,
        input: 4_000,
        output: 300,
    },
    Habit {
        name: CHECKOUT,
        provider: "openai",
        model: "gpt-4.1",
        hours: Hours::People,
        calls: 5_000,
        input: 3_000,
        output: 400,
    },
    Habit {
        name: SEARCH,
        provider: BEDROCK,
        model: SONNET_CALLED,
        hours: Hours::People,
        calls: 7_000,
        input: 2_500,
        output: 350,
    },
    Habit {
        name: ENRICH,
        provider: BEDROCK,
        model: NOVA_CALLED,
        hours: Hours::Machine,
        calls: 45_000,
        input: 3_000,
        output: 400,
    },
    Habit {
        name: DIGEST,
        provider: "openai",
        model: "gpt-4.1",
        hours: Hours::Night,
        calls: 1_500,
        input: 5_000,
        output: 500,
    },
    Habit {
        name: TRIALS,
        provider: "openai",
        model: "gpt-4.1",
        hours: Hours::Rarely,
        calls: 40,
        input: 2_000,
        output: 500,
    },
];

/// Dollars for a million tokens: input, from the cache, into the cache, output.
pub(super) fn price(model: &str, day: u64) -> [Decimal; 4] {
    let [input, read, write, output] = match model {
        "gpt-4.1" => [200, 50, 200, 800],
        NOVA_CALLED if day < PRICE_DROP => [80, 20, 80, 320],
        NOVA_CALLED => [48, 12, 48, 192],
        _ => [300, 30, 375, 1_500],
    };
    [Decimal::new(input, 2), Decimal::new(read, 2), Decimal::new(write, 2), Decimal::new(output, 2)]
}

pub(super) fn keys(random: &mut Random, start: NaiveDate) -> Vec<Key> {
    let made = midnight(start) - chrono::TimeDelta::days(30);
    HABITS
        .iter()
        .map(|habit| {
            let mut bytes = [0_u8; 10];
            for (to, from) in bytes.iter_mut().zip(random.next().to_be_bytes()) {
                *to = from;
            }
            Key { id: ApiKeyId::new(made, bytes), name: habit.name }
        })
        .collect()
}

/// The first hour of the spike: in the afternoon of a working day.
pub(super) fn spike(start: NaiveDate) -> DateTime<Utc> {
    let mut day = start + Days::new(SPIKE);
    while day.weekday().num_days_from_monday() > 4 {
        day = day + Days::new(1);
    }
    hour_of(day, 14)
}

pub(super) fn make(random: &mut Random, keys: &[Key], start: NaiveDate) -> Vec<HourlySpend> {
    let mut rows = Vec::new();
    for day in 0..DAYS {
        let date = start + Days::new(day);
        for (habit, key) in HABITS.iter().zip(keys) {
            let day_factor = random.around(70) * weekday(habit.hours, date);
            let rare = random.below(24);
            let rests = random.below(100) < 55;
            for hour in 0..24 {
                let share = match habit.hours {
                    Hours::Rarely if rests || rare != hour => 0,
                    Hours::Rarely => 1_000,
                    hours => share_of(hours, hour),
                };
                let at = hour_of(date, i64::try_from(hour).unwrap_or_default());
                let mut calls =
                    Decimal::from(habit.calls) * Decimal::new(share, 3) * day_factor * random.around(110);
                if habit.name == CHECKOUT
                    && (0..4).contains(&(at - spike(start)).num_hours())
                    && at >= spike(start)
                {
                    calls *= Decimal::from(9);
                }
                let calls = calls.round().to_u64().unwrap_or_default();
                if calls > 0 {
                    rows.push(row(random, habit, key.id, (day, at), calls));
                }
            }
        }
    }
    rows.sort_by_key(|row| (row.hour, row.api_key_id));
    rows
}

fn row(
    random: &mut Random,
    habit: &Habit,
    key: ApiKeyId,
    (day, hour): (u64, DateTime<Utc>),
    calls: u64,
) -> HourlySpend {
    let each = |random: &mut Random, tokens: u64| {
        let tokens = Decimal::from(calls * tokens) * random.around(30);
        tokens.round().to_u64().unwrap_or_default()
    };
    let (input, output) = (each(random, habit.input), each(random, habit.output));
    let caches = habit.name == SUPPORT && day >= CACHE;
    // From then on most of each prompt is read from the cache.
    let (read, written) = if caches { (input * 7 / 10, input / 20) } else { (0, 0) };
    let fresh = input - read - written;
    let usage = Usage {
        fresh_input: Tokens(fresh),
        cache_read: Tokens(read),
        cache_write_5m: Tokens(written),
        output: Tokens(output),
        ..Usage::default()
    };
    let [for_input, for_read, for_write, for_output] = price(habit.model, day);
    let cost = (Decimal::from(fresh) * for_input
        + Decimal::from(read) * for_read
        + Decimal::from(written) * for_write
        + Decimal::from(output) * for_output)
        / Decimal::from(1_000_000);
    HourlySpend {
        hour,
        api_key_id: key,
        provider: habit.provider.to_owned(),
        model: habit.model.to_owned(),
        outcome: Outcome::Completed,
        cost_basis: CostBasis::Exact,
        requests: calls,
        usage,
        cost: Some(cost.into()),
    }
}

/// Of a working day's calls, in hundredths, by the weekday.
fn weekday(hours: Hours, day: NaiveDate) -> Decimal {
    let by_day = match hours {
        Hours::People => [100, 105, 107, 103, 95, 35, 30],
        Hours::Machine => [100, 100, 101, 100, 99, 96, 95],
        Hours::Night | Hours::Rarely => [100; 7],
    };
    let at = usize::try_from(day.weekday().num_days_from_monday()).unwrap_or_default();
    Decimal::new(by_day.get(at).copied().unwrap_or(100), 2)
}

/// Of a day's calls, in thousandths, by the hour.
fn share_of(hours: Hours, hour: u64) -> i64 {
    match (hours, hour) {
        (Hours::Machine, _) => 42,
        (Hours::Night, 0..=5) => 166,
        (Hours::People, 8..=17) => 80,
        (Hours::People, 6 | 7 | 18..=21) => 24,
        (Hours::People, _) => 7,
        _ => 0,
    }
}
