//! The cost measures of one line. Amortised cost follows the rules that AWS's own public dashboards apply per
//! line-item type; where a commitment's column is missing the cost as billed stands in.

use crate::BillError;
use crate::lines::REST_AMOUNTS;
use crate::lines::amounts::{Amount, out_of_range};

/// How the amortised cost of a line is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// As billed.
    AsBilled,
    /// What a Savings Plan covers costs what the plan says.
    PlanCovered,
    /// Of a plan's recurring fee, what nothing used.
    PlanFee,
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
            "SavingsPlanNegation" | "SavingsPlanUpfrontFee" => Self::Spread,
            "DiscountedUsage" => Self::Reserved,
            "RIFee" => Self::ReservationFee,
            "Fee" => Self::Fee,
            "Refund"
                if product_code == "ComputeSavingsPlans"
                    && description.starts_with("Refund for one-time fee for Savings Plan ID") =>
            {
                Self::Spread
            }
            _ => Self::AsBilled,
        }
    }
}

/// The amounts of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    pub(super) cost: Amount,
    /// Those of [`REST_AMOUNTS`].
    pub(super) rest: [Amount; REST_AMOUNTS.len()],
    /// The line names a reservation.
    pub(super) is_reserved: bool,
}

/// Sums of one fact, in whole numbers of 10⁻¹⁸.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) usage_quantity: i128,
    pub(super) unblended: i128,
    pub(super) net_unblended: i128,
    pub(super) amortised: i128,
    pub(super) lines: u64,
}

impl Measures {
    /// What the line adds to its fact.
    pub(super) fn sums(self, rule: Rule, counts_usage: bool) -> Result<Sums, BillError> {
        let [usage, net, plan, plan_total, plan_used, reserved, upfront, recurring, effective] = self.rest;
        let both = |a: Amount, b: Amount| a.zip(b);
        let ruled = match rule {
            Rule::AsBilled => None,
            Rule::PlanCovered => plan,
            Rule::PlanFee => both(plan_total, plan_used)
                .map(|(total, used)| total.checked_sub(used).ok_or_else(out_of_range))
                .transpose()?,
            Rule::Spread => Some(0),
            Rule::Reserved => reserved,
            Rule::ReservationFee => both(upfront, recurring)
                .map(|(upfront, recurring)| upfront.checked_add(recurring).ok_or_else(out_of_range))
                .transpose()?
                .or(upfront)
                .or(recurring),
            Rule::Fee => self.is_reserved.then_some(0),
        };
        Ok(Sums {
            usage_quantity: usage.filter(|_| counts_usage).unwrap_or(0),
            unblended: self.cost.unwrap_or(0),
            net_unblended: net.or(self.cost).unwrap_or(0),
            // FOCUS says what the others only imply.
            amortised: effective.or(ruled).or(self.cost).unwrap_or(0),
            lines: 1,
        })
    }
}

impl Sums {
    pub(super) fn add(&mut self, other: Self) -> Result<(), BillError> {
        let sum = |a: i128, b: i128| a.checked_add(b).ok_or_else(out_of_range);
        self.usage_quantity = sum(self.usage_quantity, other.usage_quantity)?;
        self.unblended = sum(self.unblended, other.unblended)?;
        self.net_unblended = sum(self.net_unblended, other.net_unblended)?;
        self.amortised = sum(self.amortised, other.amortised)?;
        self.lines += other.lines;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amortised(line_type: &str, rest: &[Amount; REST_AMOUNTS.len()], is_reserved: bool) -> Option<i128> {
        let measures = Measures { cost: Some(100), rest: *rest, is_reserved };
        let sums = measures.sums(Rule::of(line_type, "ComputeSavingsPlans", ""), true);
        sums.ok().map(|sums| sums.amortised)
    }

    #[test]
    fn each_line_type_has_its_rule() {
        const NONE: [Amount; REST_AMOUNTS.len()] = [None; REST_AMOUNTS.len()];
        let plan = [None, None, Some(7), Some(90), Some(60), Some(3), Some(4), Some(5), None];
        assert_eq!(amortised("Usage", &plan, false), Some(100));
        assert_eq!(amortised("SavingsPlanCoveredUsage", &plan, false), Some(7));
        assert_eq!(amortised("SavingsPlanCoveredUsage", &NONE, false), Some(100));
        assert_eq!(amortised("SavingsPlanRecurringFee", &plan, false), Some(30));
        assert_eq!(amortised("SavingsPlanNegation", &plan, false), Some(0));
        assert_eq!(amortised("DiscountedUsage", &plan, false), Some(3));
        assert_eq!(amortised("RIFee", &plan, false), Some(9));
        assert_eq!(amortised("RIFee", &NONE, false), Some(100));
        assert_eq!(amortised("Fee", &plan, true), Some(0));
        assert_eq!(amortised("Fee", &plan, false), Some(100));
    }

    #[test]
    fn only_a_refund_of_a_plan_is_spread() {
        let of = |description| Rule::of("Refund", "ComputeSavingsPlans", description);
        assert_eq!(of("Refund for one-time fee for Savings Plan ID: 1"), Rule::Spread);
        assert_eq!(of("Refund for something else"), Rule::AsBilled);
    }
}
