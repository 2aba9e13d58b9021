//! How facts add up: slices by one dimension, always apart by currency, and the AI share of the whole bill.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::measure::add_known;
use super::{ControlTotal, DailyFact, Measure, OtherCosts};
use crate::money::Currency;

/// What a breakdown groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The service, such as `bedrock`.
    Service,
    /// The kind of use within a service, such as `training`.
    Category,
    /// The model.
    Model,
    /// What is counted: a token class, images, hours.
    Meter,
    /// The account that used it.
    Account,
    /// The region.
    Region,
    /// The IAM principal.
    Principal,
    /// The service tier.
    Tier,
    /// How inference was routed.
    Routing,
    /// The instance type, such as `p5.48xlarge`.
    InstanceType,
    /// The accelerators in an instance, such as `8 × H100`.
    Accelerator,
    /// The UTC day.
    Day,
}

impl Dimension {
    /// The value that a fact has in this dimension; empty where it has none.
    #[must_use]
    pub fn of(self, fact: &DailyFact) -> String {
        let class = &fact.class;
        match self {
            Self::Service => class.service.to_string(),
            Self::Category => class.category.as_str().to_owned(),
            Self::Model => class.model.as_deref().unwrap_or_default().to_owned(),
            Self::Meter => class.meter.as_str().to_owned(),
            Self::Account => fact.usage_account.to_string(),
            Self::Region => fact.region.to_string(),
            Self::Principal => fact.principal.to_string(),
            Self::Tier => class.tier.as_str().to_owned(),
            Self::Routing => class.routing.as_str().to_owned(),
            Self::InstanceType => class.instance_type.clone().unwrap_or_default(),
            Self::Accelerator => class.accelerators(),
            Self::Day => fact.day.to_string(),
        }
    }
}

/// One row of a breakdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The value of the dimension; empty for "none".
    pub key: String,
    /// What the amount counts.
    pub currency: Currency,
    /// The sum of the chosen cost; `None` where it is unknown for any part.
    pub cost: Option<Decimal>,
    /// The tokens behind the part of the cost that is billed by tokens.
    pub tokens: Decimal,
    /// The part of `cost` that is billed by tokens: divide it by `tokens` for the unit rate. `None` where it is unknown
    /// for any part.
    pub token_cost: Option<Decimal>,
    /// How many bill lines were added up.
    pub lines: u64,
}

impl Slice {
    /// The average price of a million tokens; `None` where nothing was billed by tokens, or the cost of it is
    /// unknown.
    #[must_use]
    pub fn rate_per_million(&self) -> Option<Decimal> {
        if self.tokens <= Decimal::ZERO {
            return None;
        }
        self.token_cost?.checked_mul(Decimal::from(1_000_000))?.checked_div(self.tokens)
    }
}

/// Adds facts up by one dimension and by currency, dearest first, and last what is unknown.
pub fn breakdown<'a>(
    facts: impl IntoIterator<Item = &'a DailyFact>,
    dimension: Dimension,
    measure: Measure,
) -> Vec<Slice> {
    let mut slices: BTreeMap<(String, Currency), Slice> = BTreeMap::new();
    for fact in facts {
        let key = dimension.of(fact);
        let slice = slices.entry((key, fact.currency)).or_insert_with_key(|(key, currency)| Slice {
            key: key.clone(),
            currency: *currency,
            cost: Some(Decimal::ZERO),
            tokens: Decimal::ZERO,
            token_cost: Some(Decimal::ZERO),
            lines: 0,
        });
        let cost = fact.cost(measure);
        add_known(&mut slice.cost, cost);
        slice.lines += fact.lines;
        if let Some(tokens) = fact.tokens {
            slice.tokens += tokens;
            add_known(&mut slice.token_cost, cost);
        }
    }
    let mut slices: Vec<Slice> = slices.into_values().collect();
    slices.sort_by(|a, b| a.currency.cmp(&b.currency).then(b.cost.cmp(&a.cost)).then(a.key.cmp(&b.key)));
    slices
}

/// The whole bill of one currency and the AI part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// All lines, container split-cost rows left out (they repeat what the instance's line says).
    pub total: Decimal,
    /// What is AI.
    pub ai: Decimal,
    /// What may be AI.
    pub candidate: Decimal,
    /// What the AI costs by the other measures.
    pub ai_costs: OtherCosts,
    /// How many lines there are.
    pub lines: u64,
}

impl Share {
    /// The AI part in percent; `None` where the whole is not positive, so that no share can be told.
    #[must_use]
    pub fn ai_percent(&self) -> Option<Decimal> {
        if self.total <= Decimal::ZERO {
            return None;
        }
        self.ai.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(self.total)
    }

    /// The AI part by a measure; `None` where it is unknown.
    #[must_use]
    pub const fn ai_by(&self, measure: Measure) -> Option<Decimal> {
        match measure {
            Measure::Unblended => Some(self.ai),
            Measure::NetUnblended => self.ai_costs.net_unblended,
            Measure::Amortised => self.ai_costs.amortised,
            Measure::NetAmortised => self.ai_costs.net_amortised,
            Measure::List => self.ai_costs.list,
        }
    }
}

/// The whole and the AI part, currency by currency.
pub fn shares<'a>(totals: impl IntoIterator<Item = &'a ControlTotal>) -> BTreeMap<Currency, Share> {
    let mut shares: BTreeMap<Currency, Share> = BTreeMap::new();
    for total in totals {
        let share = shares.entry(total.currency).or_default();
        share.total += total.unblended - total.split_cost;
        share.ai += total.ai;
        share.candidate += total.candidate;
        share.ai_costs.add(total.ai_costs);
        share.lines += total.lines;
    }
    shares
}
