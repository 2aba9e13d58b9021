//! What a settlement says.

use chrono::NaiveDate;
use hashbrown::HashMap;

use super::atto::{Atto, Splitter};
use super::code::{ByCode, Code};
use super::meter::{BundleId, Place};
use super::names::Name;
use super::prices::ImpliedPrice;
use super::sku::{Kind, PerKind, Quantities};
pub use costlens_domain::settlement::{MatchConfidence, ResidualSide as Side, SettlementState as State};

/// What became of one bundle of calls.
#[derive(Clone, Copy, Debug)]
pub struct SettledBundle {
    /// How far it is settled.
    pub state: State,
    /// How sure it is whose tokens were whose.
    pub confidence: MatchConfidence,
    /// What was estimated.
    pub estimate: Atto,
    /// What it cost.
    pub settled: Atto,
    /// The part of it that each kind cost, shared by the calls in the proportion of what they used of it.
    pub parts: PerKind<Atto>,
    /// The part that the calls share evenly, because nothing they used is known.
    pub even: Atto,
    /// Why it is not the estimate.
    pub applied: ByCode,
    /// What the calls used, as metered.
    pub usage: Quantities,
    /// How many calls share it.
    pub calls: u64,
}

/// A difference with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Residual {
    /// The day.
    pub day: NaiveDate,
    /// Where, by the bill.
    pub place: Place,
    /// The model.
    pub model: Name,
    /// Why.
    pub code: Code,
    /// Whose.
    pub side: Side,
    /// How much; positive where the bill is the dearer.
    pub amount: Atto,
    /// How many tokens it is about.
    pub tokens: u64,
}

/// What of a principal's use of a model went through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Who, and where.
    pub place: Place,
    /// The model.
    pub model: Name,
    /// Tokens on the bill.
    pub billed_tokens: u64,
    /// The part of them that proxied calls used.
    pub covered_tokens: u64,
    /// The charge.
    pub billed: Atto,
    /// The part of it that proxied calls cost.
    pub covered: Atto,
}

/// How near the estimates of a day came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// Calls that are settled by the bill.
    pub calls: u64,
    /// What was estimated for them.
    pub estimated: Atto,
    /// What they cost.
    pub settled: Atto,
    /// The sum of the differences of their bundles, each without its sign: what cancels out in the sums.
    pub missed: Atto,
    /// What is on the bill of the day.
    pub billed: Atto,
    /// The part of it that no code explains, without signs.
    pub unknown: Atto,
}

/// The sums of a settlement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// The bill.
    pub billed: Atto,
    /// The estimates of the calls that take part.
    pub estimated: Atto,
    /// What they cost.
    pub settled: Atto,
    /// What leads from the one to the other.
    pub applied: ByCode,
    /// What leads from there to the bill.
    pub outside: ByCode,
    /// What stands under `unknown` on either side, without signs.
    pub unknown: Atto,
    /// Tokens on the bill.
    pub billed_tokens: u64,
    /// The part of them that proxied calls used.
    pub covered_tokens: u64,
    /// The charge for tokens.
    pub billed_for_tokens: Atto,
    /// The part of it that proxied calls cost.
    pub covered: Atto,
    /// Calls that take part.
    pub calls: u64,
    /// The estimates of calls that the bill knows nothing of; they are in no other sum.
    pub absent: Atto,
    /// How many those are.
    pub absent_calls: u64,
}

impl Totals {
    /// Whether more than one part in a hundred of the bill is unexplained.
    #[must_use]
    pub const fn is_amber(&self) -> bool {
        self.unknown.0 * 100 > self.billed.0.abs()
    }
}

/// A settled month.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// The sums.
    pub totals: Totals,
    /// What became of each bundle, by its number.
    pub bundles: Vec<SettledBundle>,
    /// Every difference, by day, place, model and code.
    pub residuals: Vec<Residual>,
    /// Who used what, and how much of it went through the proxy.
    pub coverage: Vec<Coverage>,
    /// How near the estimates came, day by day.
    pub days: Vec<(NaiveDate, DayTotals)>,
    /// Unit prices by the bill, beside the catalogue's.
    pub prices: Vec<ImpliedPrice>,
}

impl Settlement {
    /// One bundle.
    #[must_use]
    pub fn bundle(&self, id: BundleId) -> Option<&SettledBundle> {
        self.bundles.get(id.at())
    }

    /// What one call of a bundle cost, to within a unit for each kind; `None` where the bill is not its.
    #[must_use]
    pub fn cost(&self, id: BundleId, usage: &Quantities) -> Option<Atto> {
        let bundle = self.bundle(id).filter(|bundle| bundle.state != State::Absent)?;
        let by_use: Atto =
            bundle.parts.iter().map(|(kind, part)| part.share(usage.of(kind), bundle.usage.of(kind))).sum();
        Some(by_use + bundle.even.share(1, bundle.calls))
    }

    /// Hands settled costs out call by call, so that their sum is the bundles' to the last unit.
    #[must_use]
    pub fn payout(&self) -> Payout<'_> {
        Payout { settlement: self, open: HashMap::new() }
    }
}

/// See [`Settlement::payout`].
#[derive(Debug)]
pub struct Payout<'a> {
    settlement: &'a Settlement,
    open: HashMap<BundleId, (PerKind<Option<Splitter>>, Splitter)>,
}

impl Payout<'_> {
    /// The next call's cost; `None` where the bill is not its.
    pub fn next(&mut self, id: BundleId, usage: &Quantities) -> Option<Atto> {
        let bundle = self.settlement.bundle(id).filter(|bundle| bundle.state != State::Absent)?;
        let (parts, even) = self.open.entry(id).or_insert_with(|| {
            let mut parts = PerKind::default();
            for kind in Kind::ALL {
                let splitter = Splitter::new(bundle.parts.of(kind), bundle.usage.of(kind));
                parts.update(kind, |part| *part = Some(splitter));
            }
            (parts, Splitter::new(bundle.even, bundle.calls))
        });
        let mut cost = even.next(1);
        for (kind, quantity) in usage.iter().filter(|(_, quantity)| *quantity > 0) {
            parts.update(kind, |part| {
                if let Some(splitter) = part {
                    cost += splitter.next(quantity);
                }
            });
        }
        Some(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_part_in_a_hundred_unknown_is_amber() {
        for (unknown, billed, is_amber) in [
            (100, 10_000, false),
            (101, 10_000, true),
            (100, 9_999, true),
            (100, -10_000, false),
            (101, -10_000, true),
            (0, 0, false),
            // Of a bill of nothing everything is more.
            (1, 0, true),
        ] {
            let totals = Totals { unknown: Atto(unknown), billed: Atto(billed), ..Totals::default() };
            assert_eq!(totals.is_amber(), is_amber, "{unknown} of {billed}");
        }
    }
}
