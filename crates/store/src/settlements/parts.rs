//! What a settlement is made of, and what is asked of it.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::{DailyFact, Measure};
use costlens_domain::request::Origin;
use costlens_domain::settlement::{
    Issuer, MatchConfidence, PriceFinding, ResidualCode, ResidualSide, SettlementState,
};
use costlens_domain::{ApiKeyId, BillId, ConnectionId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Which settlement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementKey {
    /// Whose bills.
    pub issuer: Issuer,
    /// The month's first day.
    pub month: NaiveDate,
    /// Which of the bills' costs.
    pub measure: Measure,
}

/// A settled month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which one.
    pub key: SettlementKey,
    /// The newest of its bills.
    pub version: BillId,
    /// The bills.
    pub bill_ids: Vec<BillId>,
    /// The last day that the bills have to its end.
    pub complete_through: NaiveDate,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
    /// Currencies of the bills that estimates in dollars say nothing about.
    pub other_currencies: Vec<String>,
    /// The AI on the bills.
    pub billed: Decimal,
    /// What the calls were estimated to cost.
    pub estimated: Decimal,
    /// What they cost.
    pub settled: Decimal,
    /// What no code explains, without signs.
    pub unknown: Decimal,
    /// What was charged by the token.
    pub billed_for_tokens: Decimal,
    /// The part of it that calls cost.
    pub covered: Decimal,
    /// Tokens on the bills.
    pub billed_tokens: u64,
    /// The part of them that calls used.
    pub covered_tokens: u64,
    /// How many calls.
    pub calls: u64,
    /// The estimates of calls that the bills know nothing of.
    pub absent: Decimal,
    /// How many those are.
    pub absent_calls: u64,
}

impl Settlement {
    /// Whether more than one part in a hundred of the bill is unexplained.
    #[must_use]
    pub fn is_amber(&self) -> bool {
        self.unknown * Decimal::ONE_HUNDRED > self.billed.abs()
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementResidual {
    /// The day.
    pub day: NaiveDate,
    /// The account that the bill names.
    pub account: String,
    /// The region.
    pub region: String,
    /// The principal.
    pub principal: String,
    /// The model in the common spelling.
    pub model: String,
    /// Why.
    pub code: ResidualCode,
    /// Whose.
    pub side: ResidualSide,
    /// How much.
    pub amount: Decimal,
    /// How many tokens it is about.
    pub tokens: u64,
}

/// The sum of one code's differences on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidualSum {
    /// Why.
    pub code: ResidualCode,
    /// Whose.
    pub side: ResidualSide,
    /// How much.
    pub amount: Decimal,
    /// How many tokens it is about.
    pub tokens: u64,
}

/// What of a principal's use of a model went through the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementCoverage {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The principal.
    pub principal: String,
    /// The model.
    pub model: String,
    /// Tokens on the bill.
    pub billed_tokens: u64,
    /// The part of them that calls used.
    pub covered_tokens: u64,
    /// The charge.
    pub billed: Decimal,
    /// The part of it that calls cost.
    pub covered: Decimal,
}

/// What one kind of a cell's tokens cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledPart {
    /// The kind, as a bill's meter.
    pub kind: String,
    /// How many.
    pub quantity: u64,
    /// What they cost together.
    pub cost: Decimal,
}

/// What calls have in common that nothing on a bill tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SettlementCellKey {
    /// The day.
    pub day: NaiveDate,
    /// The key that made them.
    pub api_key_id: ApiKeyId,
    /// The connection that they went through; `None` for calls that were imported.
    pub connection_id: Option<ConnectionId>,
    /// Who saw them.
    pub origin: Origin,
    /// The region that imported calls say they went to; empty where they do not, and for proxied ones.
    pub region: String,
    /// The provider.
    pub provider: String,
    /// The model that served, or was asked for.
    pub model: String,
    /// The tier that served; empty where nobody said.
    pub service_tier: String,
    /// `exact`, `output_estimated` or `estimated`.
    pub certainty: String,
    /// Whether each had more than 200,000 tokens of input.
    pub long_prompt: bool,
}

/// A cell of calls and what they used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementCalls {
    /// What they have in common.
    pub key: SettlementCellKey,
    /// How many.
    pub calls: u64,
    /// How many of them had no price.
    pub unpriced_calls: u64,
    /// What they were estimated to cost.
    pub estimated: Decimal,
    /// What they used.
    pub usage: costlens_domain::Usage,
}

/// A settled cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementCell {
    /// What the calls have in common.
    pub key: SettlementCellKey,
    /// How far they are settled.
    pub state: SettlementState,
    /// How sure the match is.
    pub confidence: MatchConfidence,
    /// How many.
    pub calls: u64,
    /// How many of them had no price.
    pub unpriced_calls: u64,
    /// What they were estimated to cost.
    pub estimated: Decimal,
    /// What they cost.
    pub settled: Decimal,
    /// The part of it that they share evenly.
    pub even: Decimal,
    /// The rest, by kind.
    pub parts: Vec<SettledPart>,
}

/// A unit price by the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementPrice {
    /// The model.
    pub model: String,
    /// What is counted, as a bill's meter.
    pub kind: String,
    /// The tier.
    pub tier: String,
    /// The route.
    pub routing: String,
    /// Whether it is the price of long prompts.
    pub long_context: bool,
    /// The first day on which the bill shows it.
    pub first_day: NaiveDate,
    /// The last one.
    pub last_day: NaiveDate,
    /// How many of the bill's rows agree.
    pub rows: u64,
    /// How much was bought.
    pub quantity: u64,
    /// For how much.
    pub charged: Decimal,
    /// For how much by the catalogue; `None` where it has no such price.
    pub listed: Option<Decimal>,
    /// What that says.
    pub finding: PriceFinding,
}

/// How near the estimates of a day came, by one version of its bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementDay {
    /// The day.
    pub day: NaiveDate,
    /// The version.
    pub version: BillId,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
    /// Settled calls.
    pub calls: u64,
    /// What was estimated for them.
    pub estimated: Decimal,
    /// What they cost.
    pub settled: Decimal,
    /// The cells' differences without signs.
    pub missed: Decimal,
    /// What is on the bill of the day.
    pub billed: Decimal,
    /// What no code explains, without signs.
    pub unknown: Decimal,
}

/// Everything that settling a month says.
#[derive(Clone, Debug)]
pub struct NewSettlement {
    /// The sums.
    pub head: Settlement,
    /// Every difference.
    pub residuals: Vec<SettlementResidual>,
    /// Who used what, and how much of it went through the proxy.
    pub coverage: Vec<SettlementCoverage>,
    /// Every cell of calls.
    pub cells: Vec<SettlementCell>,
    /// Unit prices.
    pub prices: Vec<SettlementPrice>,
    /// How near the estimates came.
    pub days: Vec<SettlementDay>,
}

/// A bill that a month is settled by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementBill {
    /// The bill.
    pub id: BillId,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When its issuer last said that this is it: when it was stored, or when a vendor's month was read again and nothing
    /// of it had changed.
    pub told_at: DateTime<Utc>,
    /// The latest day of any of its lines.
    pub last_day: Option<NaiveDate>,
    /// The first and the last month that it is a bill of, by their first days; `None` where it has no dates. A line of a
    /// neighbouring month makes it none of that.
    pub months: Option<(NaiveDate, NaiveDate)>,
    /// Whether its issuer handed it over itself, so that it is as new as `told_at`. An upload may be of any age.
    pub is_delivered: bool,
}

/// What a month's bills say.
#[derive(Clone, Debug, Default)]
pub struct SettlementBills {
    /// The bills that count and have lines in the month.
    pub bills: Vec<SettlementBill>,
    /// Their AI lines of the month.
    pub facts: Vec<DailyFact>,
}

/// What settled costs are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementGroup {
    /// The key, by its id.
    Key,
    /// The model.
    Model,
    /// The connection, by its id; imported calls by their origin's name.
    Connection,
    /// The day.
    Day,
    /// Who saw the calls.
    Origin,
}

impl SettlementGroup {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Connection => "connection",
            Self::Day => "day",
            Self::Origin => "origin",
        }
    }
}

/// Settled costs of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementSlice {
    /// The group.
    pub group: String,
    /// How many calls.
    pub calls: u64,
    /// What they were estimated to cost.
    pub estimated: Decimal,
    /// What they cost.
    pub settled: Decimal,
    /// The part of `settled` that may still change with the next delivery.
    pub provisional: Decimal,
}

/// What one call cost by the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledCall {
    /// The month that settled it.
    pub month: NaiveDate,
    /// How far it is settled.
    pub state: SettlementState,
    /// How sure the match is.
    pub confidence: MatchConfidence,
    /// The cost, to 18 places.
    pub cost: Decimal,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_part_in_a_hundred_unknown_is_amber() {
        let month = NaiveDate::default();
        let settled = |unknown: &str, billed: &str| Settlement {
            key: SettlementKey { issuer: Issuer::Aws, month, measure: Measure::NetUnblended },
            version: BillId::from(uuid::Uuid::nil()),
            bill_ids: Vec::new(),
            complete_through: month,
            settled_at: DateTime::UNIX_EPOCH,
            other_currencies: Vec::new(),
            billed: billed.parse().unwrap(),
            estimated: Decimal::ZERO,
            settled: Decimal::ZERO,
            unknown: unknown.parse().unwrap(),
            billed_for_tokens: Decimal::ZERO,
            covered: Decimal::ZERO,
            billed_tokens: 0,
            covered_tokens: 0,
            calls: 0,
            absent: Decimal::ZERO,
            absent_calls: 0,
        };
        for (unknown, billed, is_amber) in [
            ("1", "100", false),
            ("1.000000000000000001", "100", true),
            ("1", "99.999999999999999999", true),
            ("1", "-100", false),
            ("1.01", "-100", true),
            ("0", "0", false),
            ("0.01", "0", true),
        ] {
            assert_eq!(settled(unknown, billed).is_amber(), is_amber, "{unknown} of {billed}");
        }
    }
}
