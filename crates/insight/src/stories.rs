//! A tenant of ninety days, made from a seed and a first day, in which seven things happen.
//!
//! It has keys that call by day and by night, a bill that sees what went to Bedrock and more besides, a budget, and
//! exactly the stories of [`Story`]; everything else in it is noise, weekends, a fee on the first of the month. Rows come
//! out as the rollup of calls and the daily facts of bills hold them, so that whoever reads them knows nothing of how
//! they were made. The same seed and day make the same tenant.

mod bill;
mod calls;
mod random;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::bill::DailyFact;
use costlens_domain::export::HourlySpend;
use costlens_domain::{ApiKeyId, Usd};
use rust_decimal::Decimal;

use random::Random;

/// How many days a tenant has.
pub const DAYS: u64 = 90;

/// Something that happens in the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Story {
    /// One key costs many times its usual for some hours.
    Spike {
        /// The key.
        key: ApiKeyId,
        /// The first hour.
        hour: DateTime<Utc>,
    },
    /// A model becomes cheaper.
    PriceDrop {
        /// The model.
        model: &'static str,
        /// The first day of the new price.
        day: NaiveDate,
    },
    /// A key begins to use a prompt cache.
    CacheTurnedOn {
        /// The key.
        key: ApiKeyId,
        /// The first day.
        day: NaiveDate,
    },
    /// An endpoint is started that nobody ever calls.
    IdleEndpoint {
        /// Its account.
        account: &'static str,
        /// Its instance type, without `ml.`.
        instance: &'static str,
        /// Its first day.
        day: NaiveDate,
    },
    /// Somebody calls models past the proxy.
    ShadowUse {
        /// The principal.
        principal: &'static str,
        /// The first day.
        day: NaiveDate,
    },
    /// A month is delivered again with a credit in it.
    MonthRestated {
        /// Its first day.
        month: NaiveDate,
        /// By how much it changed.
        by: Decimal,
    },
    /// This month's budget has not been reached, and will be.
    BudgetAboutToCross,
}

/// A key of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: ApiKeyId,
    /// What its people call it.
    pub name: &'static str,
}

/// One delivery of a month's bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The first day of the month.
    pub month: NaiveDate,
    /// What it said.
    pub facts: Vec<DailyFact>,
}

/// A tenant, after its last day.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The first day.
    pub start: NaiveDate,
    /// The day after the last.
    pub end: NaiveDate,
    /// Its keys.
    pub keys: Vec<Key>,
    /// Its calls, as the hourly rollup holds them, oldest first.
    pub calls: Vec<HourlySpend>,
    /// Its bills, in the order in which they were delivered.
    pub deliveries: Vec<Delivery>,
    /// What there is for all calls of a calendar month.
    pub monthly_budget: Usd,
    /// What happened.
    pub stories: Vec<Story>,
}

/// Days after the first on which things happen.
const PRICE_DROP: u64 = 40;
const CACHE: u64 = 52;
const ENDPOINT: u64 = 60;
const SPIKE: u64 = 67;
const SHADOW: u64 = 71;

impl Tenant {
    /// Makes the tenant of a seed.
    #[must_use]
    pub fn new(seed: u64, start: NaiveDate) -> Self {
        let mut random = Random::new(seed);
        let keys = calls::keys(&mut random, start);
        let end = start + Days::new(DAYS);
        let calls = calls::make(&mut random, &keys, start);
        let restated = second_month(start);
        let by = -Decimal::from(300 + random.below(200));
        let deliveries = bill::make(&mut random, &calls, &keys, start, (restated, by));
        let stories = vec![
            Story::PriceDrop { model: calls::NOVA, day: start + Days::new(PRICE_DROP) },
            Story::CacheTurnedOn { key: id(&keys, calls::SUPPORT), day: start + Days::new(CACHE) },
            Story::IdleEndpoint {
                account: bill::LABORATORY,
                instance: bill::IDLE,
                day: start + Days::new(ENDPOINT),
            },
            Story::Spike { key: id(&keys, calls::CHECKOUT), hour: calls::spike(start) },
            Story::ShadowUse { principal: bill::SHADOW, day: start + Days::new(SHADOW) },
            Story::MonthRestated { month: restated, by },
            Story::BudgetAboutToCross,
        ];
        let monthly_budget = budget(&calls, end);
        Self { start, end, keys, calls, deliveries, monthly_budget, stories }
    }

    /// The facts that count: of every month, those of its last delivery.
    #[must_use]
    pub fn facts(&self) -> Vec<DailyFact> {
        let is_last = |at: usize, of: &Delivery| {
            !self.deliveries.iter().skip(at + 1).any(|later| later.month == of.month)
        };
        let current = self.deliveries.iter().enumerate().filter(|(at, of)| is_last(*at, of));
        current.flat_map(|(_, of)| of.facts.iter().cloned()).collect()
    }
}

fn id(keys: &[Key], name: &str) -> ApiKeyId {
    keys.iter()
        .find(|key| key.name == name)
        .map_or_else(|| ApiKeyId::new(DateTime::UNIX_EPOCH, [0; 10]), |key| key.id)
}

fn second_month(start: NaiveDate) -> NaiveDate {
    let mut day = start + Days::new(1);
    while day.day() != 1 {
        day = day + Days::new(1);
    }
    day
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// What this month will have cost half of its remaining days from now, at the rate of the last four weeks, in whole
/// dollars.
fn budget(calls: &[HourlySpend], end: NaiveDate) -> Usd {
    let cost = |from: NaiveDate| -> Decimal {
        let of = calls.iter().filter(|row| row.hour >= midnight(from));
        of.filter_map(|row| row.cost).map(Usd::decimal).sum()
    };
    let month = end.with_day(1).unwrap_or(end);
    let mut next = end + Days::new(1);
    while next.day() != 1 {
        next = next + Days::new(1);
    }
    let left = Decimal::from((next - end).num_days());
    let a_day = cost(end - Days::new(28)) / Decimal::from(28);
    let so_far = if month < end { cost(month) } else { Decimal::ZERO };
    (so_far + a_day * left / Decimal::TWO).round_dp(0).into()
}

/// An hour of a day.
fn hour_of(day: NaiveDate, hour: i64) -> DateTime<Utc> {
    midnight(day) + TimeDelta::hours(hour)
}
