//! When spending is worth a word: budgets that are crossed, and surprises (which the crate `insight` finds).
//!
//! Exact arithmetic throughout: whether somebody is woken must not depend on how a number was rounded.

use rust_decimal::Decimal;

use crate::calendar::Period;
use crate::request::text_enum;
use crate::{Currency, Usd};

/// What a budget counts: everything, or one key, provider or model; narrowed by all that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetScope {
    /// Calls made with this key.
    pub api_key_id: Option<crate::ApiKeyId>,
    /// Calls to this provider.
    pub provider: Option<String>,
    /// Calls served by this model.
    pub model: Option<String>,
    /// What is billed and no call through the proxy used counts, too; with nothing narrowed alone.
    pub unproxied: bool,
}

/// A sum that spending is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRule {
    /// What counts.
    pub scope: BudgetScope,
    /// Over which stretch of the tenant's calendar.
    pub period: Period,
    /// How much there is for it.
    pub amount: Usd,
    /// Percents of the amount, ascending, at which a word is said.
    pub thresholds: Vec<u32>,
}

impl BudgetRule {
    /// The thresholds that so much has reached, ascending. Reached is enough: 100 % is told at the last cent.
    #[must_use]
    pub fn reached(&self, spent: Usd) -> Vec<u32> {
        let spent = spent.decimal().checked_mul(Decimal::ONE_HUNDRED);
        let is_reached =
            |threshold: &&u32| match (spent, self.amount.decimal().checked_mul(Decimal::from(**threshold))) {
                (Some(spent), Some(mark)) => spent >= mark,
                // Sums too large to be compared are past any budget.
                _ => true,
            };
        self.thresholds.iter().filter(is_reached).copied().collect()
    }

    /// How many percent of the amount so much is, to one place; `None` where that has no number.
    #[must_use]
    pub fn percent(&self, spent: Usd) -> Option<Decimal> {
        let share = spent.decimal().checked_mul(Decimal::ONE_HUNDRED)?.checked_div(self.amount.decimal())?;
        Some(share.round_dp(1))
    }
}

/// What was expected, where it cost surprisingly much more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// What was expected.
    pub expected: Decimal,
    /// What it cost.
    pub actual: Decimal,
    /// What both amounts count.
    pub currency: Currency,
}

text_enum! {
    /// What the bills make of a surprise that was found among calls.
    BillVerdict {
        /// They show it, too.
        Confirmed = "confirmed",
        /// They show less than half of it: it lay in the estimates, or in calls that they do not have.
        Lower = "lower",
        /// They have none of the calls.
        Absent = "absent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn budget(amount: &str) -> BudgetRule {
        let scope = BudgetScope::default();
        BudgetRule { scope, period: Period::Month, amount: usd(amount), thresholds: vec![50, 80, 100] }
    }

    #[test]
    fn a_threshold_is_reached_at_the_very_cent() {
        let budget = budget("0.30");
        assert_eq!(budget.reached(usd("0.1499999999")), Vec::<u32>::new());
        assert_eq!(budget.reached(usd("0.15")), [50]);
        assert_eq!(budget.reached(usd("0.2999999999")), [50, 80]);
        assert_eq!(budget.reached(usd("0.30")), [50, 80, 100]);
        assert_eq!(budget.percent(usd("0.1")), Some("33.3".parse().unwrap()));
    }
}
