//! The measures of what a line cost, and sums that may be unknown.
//!
//! The same line has several costs: what the invoice says, what is left after private discounts, what it costs once
//! commitments are spread over what they cover, and what it would cost by the public list. A measure that a bill does
//! not tell is unknown, and so is every sum that it would be a part of: unknown is never zero.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::DailyFact;

/// Which of a fact's costs is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// As billed on the day (FOCUS: `BilledCost`).
    #[default]
    Unblended,
    /// As billed, after private discounts.
    NetUnblended,
    /// Commitments spread over what they cover (FOCUS: `EffectiveCost`).
    Amortised,
    /// The same after private discounts: what use really costs its payer (FOCUS: `EffectiveCost`).
    NetAmortised,
    /// By the public list price, without any discount or commitment (FOCUS: `ListCost`).
    List,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Unblended, Self::NetUnblended, Self::Amortised, Self::NetAmortised, Self::List];

    /// The stable name, as in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unblended => "unblended",
            Self::NetUnblended => "net_unblended",
            Self::Amortised => "amortised",
            Self::NetAmortised => "net_amortised",
            Self::List => "list",
        }
    }

    /// What a person reads.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unblended => "as billed",
            Self::NetUnblended => "net",
            Self::Amortised => "amortised",
            Self::NetAmortised => "net amortised",
            Self::List => "list price",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Adds to a sum, which is unknown as soon as a part of it is.
pub(crate) fn add_known(sum: &mut Option<Decimal>, part: Option<Decimal>) {
    *sum = sum.zip(part).map(|(sum, part)| sum + part);
}

/// What some facts cost by the measures beside the unblended one; `None` where it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherCosts {
    /// By [`Measure::NetUnblended`].
    pub net_unblended: Option<Decimal>,
    /// By [`Measure::Amortised`].
    pub amortised: Option<Decimal>,
    /// By [`Measure::NetAmortised`].
    pub net_amortised: Option<Decimal>,
    /// By [`Measure::List`].
    pub list: Option<Decimal>,
}

impl OtherCosts {
    /// Of a bill that was read before these sums were kept.
    pub const UNKNOWN: Self = Self { net_unblended: None, amortised: None, net_amortised: None, list: None };

    /// Adds a fact's.
    pub fn add_fact(&mut self, fact: &DailyFact) {
        self.add(Self {
            net_unblended: Some(fact.net_unblended),
            amortised: fact.amortised,
            net_amortised: fact.net_amortised,
            list: fact.list,
        });
    }

    /// Adds others'; a sum is unknown as soon as a part of it is.
    pub fn add(&mut self, other: Self) {
        add_known(&mut self.net_unblended, other.net_unblended);
        add_known(&mut self.amortised, other.amortised);
        add_known(&mut self.net_amortised, other.net_amortised);
        add_known(&mut self.list, other.list);
    }
}

impl Default for OtherCosts {
    /// The sums of no facts, which are zero and known.
    fn default() -> Self {
        let nothing = Some(Decimal::ZERO);
        Self { net_unblended: nothing, amortised: nothing, net_amortised: nothing, list: nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown_and_one_of_nothing_is_zero() {
        let some = |amount: i64| Some(Decimal::from(amount));
        let mut sum = OtherCosts::default();
        assert_eq!(sum.list, Some(Decimal::ZERO));
        sum.add(OtherCosts {
            net_unblended: some(1),
            amortised: some(2),
            net_amortised: some(3),
            list: None,
        });
        sum.add(OtherCosts {
            net_unblended: some(4),
            amortised: some(5),
            net_amortised: some(6),
            list: some(7),
        });
        let wanted =
            OtherCosts { net_unblended: some(5), amortised: some(7), net_amortised: some(9), list: None };
        assert_eq!(sum, wanted);
    }

    #[test]
    fn the_stable_names_are_those_of_json() {
        for measure in Measure::ALL {
            let json = serde_json::to_value(measure).unwrap();
            assert_eq!(json.as_str(), Some(measure.as_str()));
        }
    }
}
