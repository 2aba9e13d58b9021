//! What happened, told by rules without statistics: something is there for the first time, a price is another one, a
//! cache is used, somebody goes round the proxy, a month was delivered anew.
//!
//! Each rule says what it needs to have seen before. In the first two weeks of a tenant's facts everything is new and
//! nothing is told.

pub(crate) mod first;
mod restated;
mod seam;
mod shadow;
mod turned;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use restated::restated;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A service of the bill is used for the first time.
    NewService,
    /// An account is.
    NewAccount,
    /// A region is.
    NewRegion,
    /// A model is.
    NewModel,
    /// A principal uses models for the first time.
    NewPrincipal,
    /// Calls go to a provider for the first time.
    NewProvider,
    /// Throughput is bought ahead for the first time.
    FirstProvisionedThroughput,
    /// An endpoint is kept running for the first time.
    FirstEndpoint,
    /// A type of accelerated instance is used for the first time.
    NewAccelerator,
    /// The same use has another price.
    PriceChanged,
    /// A prompt cache is used where none was.
    CacheTurnedOn,
    /// A prompt cache is not used any more.
    CacheTurnedOff,
    /// A principal uses models that the proxy carries, and not through the proxy.
    ShadowUse,
    /// A month's bill was delivered again and says something else.
    MonthRestated,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::NewService,
        Self::NewAccount,
        Self::NewRegion,
        Self::NewModel,
        Self::NewPrincipal,
        Self::NewProvider,
        Self::FirstProvisionedThroughput,
        Self::FirstEndpoint,
        Self::NewAccelerator,
        Self::PriceChanged,
        Self::CacheTurnedOn,
        Self::CacheTurnedOff,
        Self::ShadowUse,
        Self::MonthRestated,
    ];

    /// The stable name, as in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewService => "new_service",
            Self::NewAccount => "new_account",
            Self::NewRegion => "new_region",
            Self::NewModel => "new_model",
            Self::NewPrincipal => "new_principal",
            Self::NewProvider => "new_provider",
            Self::FirstProvisionedThroughput => "first_provisioned_throughput",
            Self::FirstEndpoint => "first_endpoint",
            Self::NewAccelerator => "new_accelerator",
            Self::PriceChanged => "price_changed",
            Self::CacheTurnedOn => "cache_turned_on",
            Self::CacheTurnedOff => "cache_turned_off",
            Self::ShadowUse => "shadow_use",
            Self::MonthRestated => "month_restated",
        }
    }
}

impl Kind {
    /// Whether it is told once of its subject, whatever the day: a first time, or that somebody goes round the proxy.
    #[must_use]
    pub const fn is_once(self) -> bool {
        self.is_first() || matches!(self, Self::ShadowUse)
    }

    /// Whether it says that something is there for the first time.
    const fn is_first(self) -> bool {
        match self {
            Self::NewService
            | Self::NewAccount
            | Self::NewRegion
            | Self::NewModel
            | Self::NewPrincipal
            | Self::NewProvider
            | Self::FirstProvisionedThroughput
            | Self::FirstEndpoint
            | Self::NewAccelerator => true,
            Self::PriceChanged
            | Self::CacheTurnedOn
            | Self::CacheTurnedOff
            | Self::ShadowUse
            | Self::MonthRestated => false,
        }
    }
}

/// For so long a first time is news where not all of the past is looked at.
const FRESH_DAYS: u64 = 14;

/// Where the facts that were looked at are not all that there are, what is first among them may have been there before, the
/// likelier the nearer to their beginning it is. Only what is first in the last days is left.
pub fn forget_old_firsts(events: &mut Vec<Event>, today: NaiveDate) {
    events.retain(|event| !event.kind.is_first() || event.day + Days::new(FRESH_DAYS) >= today);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What kind of thing.
    pub kind: Kind,
    /// The UTC day; of a restated month, its first.
    pub day: NaiveDate,
    /// What it happened to.
    pub subject: String,
    /// What the amount counts.
    pub currency: Currency,
    /// The money that goes with it: what was used cost on its first day, what a price makes of a day, what went round
    /// the proxy, by how much a month changed.
    pub amount: Decimal,
    /// Figures and names beside it, by stable names.
    pub detail: BTreeMap<String, String>,
}

/// In the first days of a tenant's facts everything is new.
pub const LEARNING_DAYS: u64 = 14;

/// What the facts of current bills and the calls beside them tell, oldest first. `until` is the first day that is not
/// whole. `named_since` is the first day whose facts the newest rules of classification read, where older ones read those
/// before; `None` where all were read by the same.
#[must_use]
pub fn find(
    facts: &[DailyFact],
    calls: &[HourlySpend],
    until: NaiveDate,
    named_since: Option<NaiveDate>,
) -> Vec<Event> {
    let facts: Vec<&DailyFact> = facts.iter().filter(|fact| fact.day < until).collect();
    let mut events = first::of_bills(&facts, named_since);
    events.extend(turned::prices(&facts));
    events.extend(turned::caches_of_bills(&facts));
    let shadows = shadow::find(&facts, calls);
    // That somebody new goes round the proxy says that somebody is new.
    events.retain(|event| {
        event.kind != Kind::NewPrincipal || !shadows.iter().any(|shadow| shadow.subject == event.subject)
    });
    events.extend(shadows);
    events.sort_by(|a, b| (a.day, a.kind, &a.subject).cmp(&(b.day, b.kind, &b.subject)));
    events
}

/// What the calls alone tell, oldest first. The days from `until` on are not whole.
#[must_use]
pub fn of_calls(calls: &[HourlySpend], until: NaiveDate) -> Vec<Event> {
    let calls: Vec<&HourlySpend> = calls.iter().filter(|row| row.hour.date_naive() < until).collect();
    let mut events = first::of_calls(&calls);
    events.extend(turned::caches_of_calls(&calls));
    events.sort_by(|a, b| (a.day, a.kind, &a.subject).cmp(&(b.day, b.kind, &b.subject)));
    events
}

/// The first day that is no day of learning any more.
fn learned(first: NaiveDate) -> NaiveDate {
    first + Days::new(LEARNING_DAYS)
}

fn detail<const N: usize>(of: [(&str, String); N]) -> BTreeMap<String, String> {
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
