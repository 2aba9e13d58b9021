//! The cost measures of one line. Amortised cost follows the rules that AWS's own public dashboards apply per
//! line-item type (the `summary_view` of its Cloud Intelligence Dashboards); where a commitment's column is missing the
//! cost as billed stands in. Net amortised cost is the same by the columns of what is left after private discounts, and
//! each of those that is missing, or empty on a line, is stood in for by its column before discounts.

use crate::BillError;
use crate::lines::amounts::{Amount, out_of_range};
use crate::lines::{COMMITMENT_AMOUNTS, PLAIN_AMOUNTS};

/// How the amortised costs of a line are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// As billed.
    AsBilled,
    /// What a Savings Plan covers costs what the plan says.
    PlanCovered,
    /// Of a plan's recurring fee, what nothing used.
    PlanFee,
    /// Takes back what a plan covers, which has been charged at the list price on a line of its own.
    Negation,
    /// Spread over what it pays for, so nothing here.
    Spread,
    /// What a reservation covers costs what the reservation says.
    Reserved,
    /// Of a reservation's fee, what nothing used.
    ReservationFee,
    /// A fee: spread if it belongs to a reservation.
    Fee,
}

impl Rule {
    pub(super) fn of(line_type: &str, product_code: &str, description: &str) -> Self {
        match line_type {
            "SavingsPlanCoveredUsage" => Self::PlanCovered,
            "SavingsPlanRecurringFee" => Self::PlanFee,
            "SavingsPlanNegation" => Self::Negation,
            "SavingsPlanUpfrontFee" => Self::Spread,
            "DiscountedUsage" => Self::Reserved,
            "RIFee" => Self::ReservationFee,
            "Fee" => Self::Fee,
            "Refund"
                if matches!(product_code, "ComputeSavingsPlans" | "MachineLearningSavingsPlans")
                    && description.starts_with("Refund for one-time fee for Savings Plan ID") =>
            {
                Self::Spread
            }
            _ => Self::AsBilled,
        }
    }

    /// Whether lines of this type need [`COMMITMENT_AMOUNTS`] or the reservation's name.
    pub(super) fn is_of_commitment(line_type: &str) -> bool {
        let rule = Self::of(line_type, "", "");
        matches!(rule, Self::PlanCovered | Self::PlanFee | Self::Reserved | Self::ReservationFee | Self::Fee)
    }
}

/// The amounts of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    pub(super) cost: Amount,
    /// Those of [`PLAIN_AMOUNTS`] and [`COMMITMENT_AMOUNTS`].
    pub(super) rest: [Amount; PLAIN_AMOUNTS.len() + COMMITMENT_AMOUNTS.len()],
    /// The line names a reservation.
    pub(super) is_reserved: bool,
    /// The file has a column of list prices.
    pub(super) says_list: bool,
}

/// Sums of one fact, in whole numbers of 10⁻¹⁸.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) usage_quantity: i128,
    pub(super) unblended: i128,
    pub(super) net_unblended: i128,
    pub(super) amortised: i128,
    pub(super) net_amortised: i128,
    /// `None` once a line does not say it.
    pub(super) list: Amount,
    pub(super) lines: u64,
}

impl Default for Sums {
    /// The sums of no lines, which are zero and known.
    fn default() -> Self {
        Self {
            usage_quantity: 0,
            unblended: 0,
            net_unblended: 0,
            amortised: 0,
            net_amortised: 0,
            list: Some(0),
            lines: 0,
        }
    }
}

impl Measures {
    /// What the line adds to its fact.
    pub(super) fn sums(self, rule: Rule, counts_usage: bool) -> Result<Sums, BillError> {
        let [
            usage,
            net,
            list,
            effective,
            plan,
            net_plan,
            plan_total,
            plan_used,
            reserved,
            net_reserved,
            upfront,
            net_upfront,
            recurring,
            net_recurring,
        ] = self.rest;
        let (ruled, net_ruled) = match rule {
            Rule::AsBilled => (None, None),
            Rule::PlanCovered => (plan, net_plan.or(plan)),
            // A report has no net columns of these two.
            Rule::PlanFee => {
                let unused = difference(plan_total, plan_used)?;
                (unused, unused)
            }
            Rule::Negation | Rule::Spread => (Some(0), Some(0)),
            Rule::Reserved => (reserved, net_reserved.or(reserved)),
            Rule::ReservationFee => {
                (sum_of(upfront, recurring)?, sum_of(net_upfront.or(upfront), net_recurring.or(recurring))?)
            }
            Rule::Fee => {
                let spread = self.is_reserved.then_some(0);
                (spread, spread)
            }
        };
        let net_cost = net.or(self.cost);
        Ok(Sums {
            usage_quantity: usage.filter(|_| counts_usage).unwrap_or(0),
            unblended: self.cost.unwrap_or(0),
            net_unblended: net_cost.unwrap_or(0),
            // FOCUS says what the others only imply: its effective cost is after all discounts.
            amortised: effective.or(ruled).or(self.cost).unwrap_or(0),
            net_amortised: effective.or(net_ruled).or(net_cost).unwrap_or(0),
            list: self.list(list, rule, counts_usage),
            lines: 1,
        })
    }

    /// The cost by the public list. Of a bill with such a column, use without an amount in it is unknown; what is no use
    /// (taxes, credits, fees) has no list price, and adds what the column says or nothing.
    fn list(&self, list: Amount, rule: Rule, counts_usage: bool) -> Amount {
        match rule {
            _ if !self.says_list => None,
            Rule::Negation => Some(0),
            _ if counts_usage => list,
            _ => list.or(Some(0)),
        }
    }
}

/// What is left of one amount after the other; nothing is known where one of them is not.
fn difference(whole: Amount, part: Amount) -> Result<Amount, BillError> {
    whole.zip(part).map(|(whole, part)| whole.checked_sub(part).ok_or_else(out_of_range)).transpose()
}

/// The sum of the amounts that are said.
fn sum_of(one: Amount, other: Amount) -> Result<Amount, BillError> {
    match (one, other) {
        (Some(one), Some(other)) => one.checked_add(other).map(Some).ok_or_else(out_of_range),
        (one, other) => Ok(one.or(other)),
    }
}

impl Sums {
    pub(super) fn add(&mut self, other: Self) -> Result<(), BillError> {
        let sum = |a: i128, b: i128| a.checked_add(b).ok_or_else(out_of_range);
        self.usage_quantity = sum(self.usage_quantity, other.usage_quantity)?;
        self.unblended = sum(self.unblended, other.unblended)?;
        self.net_unblended = sum(self.net_unblended, other.net_unblended)?;
        self.amortised = sum(self.amortised, other.amortised)?;
        self.net_amortised = sum(self.net_amortised, other.net_amortised)?;
        self.list = match (self.list, other.list) {
            (Some(a), Some(b)) => Some(sum(a, b)?),
            _ => None,
        };
        self.lines += other.lines;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [Amount; PLAIN_AMOUNTS.len() + COMMITMENT_AMOUNTS.len()] =
        [None; PLAIN_AMOUNTS.len() + COMMITMENT_AMOUNTS.len()];

    /// A line that says everything, at a cost of 100.
    fn whole() -> Measures {
        let amounts = [2, 80, 110, 0, 70, 63, 90, 60, 30, 27, 4, 3, 5, 2];
        let mut rest = amounts.map(Some);
        // Only FOCUS has an effective cost.
        rest[3] = None;
        Measures { cost: Some(100), rest, is_reserved: false, says_list: true }
    }

    fn sums(measures: &Measures, line_type: &str, counts_usage: bool) -> Sums {
        measures.sums(Rule::of(line_type, "ComputeSavingsPlans", ""), counts_usage).unwrap()
    }

    /// Unblended, net, amortised, net amortised and list.
    fn five(measures: &Measures, line_type: &str) -> (i128, i128, i128, i128, Amount) {
        let counts_usage = costlens_domain::classify::is_usage(line_type);
        let of = sums(measures, line_type, counts_usage);
        (of.unblended, of.net_unblended, of.amortised, of.net_amortised, of.list)
    }

    #[test]
    fn each_line_type_has_its_rule() {
        let spread = (100, 80, 0, 0, Some(110));
        for (line_type, wanted) in [
            ("Usage", (100, 80, 100, 80, Some(110))),
            ("Tax", (100, 80, 100, 80, Some(110))),
            ("GreenSurcharge", (100, 80, 100, 80, Some(110))),
            ("SavingsPlanCoveredUsage", (100, 80, 70, 63, Some(110))),
            ("SavingsPlanRecurringFee", (100, 80, 30, 30, Some(110))),
            // It takes back what was charged at the list price: by the list there is nothing to take back.
            ("SavingsPlanNegation", (100, 80, 0, 0, Some(0))),
            ("SavingsPlanUpfrontFee", spread),
            ("DiscountedUsage", (100, 80, 30, 27, Some(110))),
            ("RIFee", (100, 80, 9, 5, Some(110))),
            ("Fee", (100, 80, 100, 80, Some(110))),
        ] {
            assert_eq!(five(&whole(), line_type), wanted, "{line_type}");
        }
        assert_eq!(five(&Measures { is_reserved: true, ..whole() }, "Fee"), spread);
    }

    #[test]
    fn a_bill_with_nothing_but_costs_has_one_cost_and_no_list_price() {
        let bare = Measures { cost: Some(100), rest: NONE, is_reserved: false, says_list: false };
        for line_type in
            ["Usage", "SavingsPlanCoveredUsage", "SavingsPlanRecurringFee", "DiscountedUsage", "RIFee"]
        {
            assert_eq!(five(&bare, line_type), (100, 100, 100, 100, None), "{line_type}");
        }
        assert_eq!(five(&bare, "SavingsPlanNegation"), (100, 100, 0, 0, None));
    }

    #[test]
    fn each_net_column_that_says_nothing_is_stood_in_for_by_its_own_column() {
        let without = |places: &[usize]| {
            let mut measures = whole();
            for at in places {
                measures.rest[*at] = None;
            }
            measures
        };
        // The net cost, of the plan, of the reservation, and each of the two unused fees.
        assert_eq!(five(&without(&[1]), "Usage"), (100, 100, 100, 100, Some(110)));
        assert_eq!(five(&without(&[5]), "SavingsPlanCoveredUsage"), (100, 80, 70, 70, Some(110)));
        assert_eq!(five(&without(&[9]), "DiscountedUsage"), (100, 80, 30, 30, Some(110)));
        assert_eq!(five(&without(&[11]), "RIFee"), (100, 80, 9, 6, Some(110)));
        assert_eq!(five(&without(&[13]), "RIFee"), (100, 80, 9, 8, Some(110)));
        // Without any column of the plan the line costs what it was billed at, net or not.
        assert_eq!(five(&without(&[4, 5]), "SavingsPlanCoveredUsage"), (100, 80, 100, 80, Some(110)));
        // A net column alone is the better of the two.
        assert_eq!(five(&without(&[4]), "SavingsPlanCoveredUsage"), (100, 80, 100, 63, Some(110)));
    }

    #[test]
    fn the_effective_cost_of_focus_is_both_amortised_costs() {
        let mut measures = Measures { cost: Some(0), rest: NONE, is_reserved: false, says_list: true };
        (measures.rest[2], measures.rest[3]) = (Some(10), Some(7));
        assert_eq!(five(&measures, "Usage"), (0, 0, 7, 7, Some(10)));
        // A commitment that was bought, and is spread over what it covers.
        (measures.cost, measures.rest[3]) = (Some(500), Some(0));
        assert_eq!(five(&measures, "Purchase"), (500, 500, 0, 0, Some(10)));
    }

    #[test]
    fn use_without_a_list_price_is_unknown_and_so_is_every_sum_with_it() {
        let mut silent = whole();
        silent.rest[2] = None;
        assert_eq!(sums(&silent, "Usage", true).list, None);
        // A tax has no list price, which is no gap.
        assert_eq!(sums(&silent, "Tax", false).list, Some(0));
        let mut sum = Sums::default();
        sum.add(sums(&whole(), "Usage", true)).unwrap();
        assert_eq!((sum.list, sum.lines), (Some(110), 1));
        sum.add(sums(&silent, "Usage", true)).unwrap();
        sum.add(sums(&whole(), "Usage", true)).unwrap();
        assert_eq!((sum.list, sum.unblended, sum.net_amortised), (None, 300, 240));
    }

    #[test]
    fn only_lines_of_commitments_need_their_columns() {
        for line_type in
            ["SavingsPlanCoveredUsage", "SavingsPlanRecurringFee", "DiscountedUsage", "RIFee", "Fee"]
        {
            assert!(Rule::is_of_commitment(line_type), "{line_type}");
        }
        for line_type in
            ["Usage", "SavingsPlanNegation", "SavingsPlanUpfrontFee", "Refund", "Tax", "Purchase"]
        {
            let rule = Rule::of(line_type, "", "");
            let mut plain = Measures { rest: NONE, ..whole() };
            plain.rest[1] = Some(80);
            let (plain, all) = (plain.sums(rule, true).unwrap(), whole().sums(rule, true).unwrap());
            assert_eq!(
                (plain.amortised, plain.net_amortised),
                (all.amortised, all.net_amortised),
                "{line_type}"
            );
            assert!(!Rule::is_of_commitment(line_type), "{line_type}");
        }
    }

    #[test]
    fn only_a_refund_of_a_plan_is_spread() {
        for plans in ["ComputeSavingsPlans", "MachineLearningSavingsPlans"] {
            let of = |description| Rule::of("Refund", plans, description);
            assert_eq!(of("Refund for one-time fee for Savings Plan ID: 1"), Rule::Spread);
            assert_eq!(of("Refund for something else"), Rule::AsBilled);
        }
        let other = Rule::of("Refund", "AmazonSageMaker", "Refund for one-time fee for Savings Plan ID: 1");
        assert_eq!(other, Rule::AsBilled);
    }
}
