//! What the bills make of a surprise that was found among calls.
//!
//! Calls are watched by their estimates, within the hour; what they cost is known days later. A surprise stands if its
//! bills show at least half of it. What was expected is held against them at the rate at which the same calls were
//! billed before, so that a discount, which is no news, makes no surprise smaller.

use costlens_domain::alerts::{BillVerdict, Surprise};
use rust_decimal::Decimal;

/// Of so much of what its calls are estimated to cost the bills must have spoken, before anything is said: nine tenths.
const ENOUGH: Decimal = Decimal::from_parts(9, 0, 0, false, 1);

/// What the bills say of a surprise's calls, in dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnBills {
    /// What is estimated for all of them now: prices may have been corrected since it was found.
    pub estimate: Decimal,
    /// What is estimated for calls that are settled for good.
    pub settled_estimate: Decimal,
    /// What those cost. Calls without an estimate are no part of it: they were none of the surprise.
    pub billed: Decimal,
    /// What is estimated for calls of which the bills, whole for their day, know nothing.
    pub absent_estimate: Decimal,
    /// What is estimated for calls of the same series in the weeks before, as far as the bills have those.
    pub estimate_before: Decimal,
    /// What those cost.
    pub billed_before: Decimal,
}

impl OnBills {
    /// What a dollar of estimates was billed at before; one dollar where nothing was billed.
    fn rate_before(&self) -> Decimal {
        let rate = self.billed_before.checked_div(self.estimate_before).unwrap_or(Decimal::ONE);
        if rate > Decimal::ZERO { rate } else { Decimal::ONE }
    }
}

/// The bills' verdict; `None` as long as they have not spoken of most of it.
#[must_use]
pub fn verdict(surprise: &Surprise, on: &OnBills) -> Option<BillVerdict> {
    let known = on.settled_estimate + on.absent_estimate;
    if on.estimate <= Decimal::ZERO || known < on.estimate * ENOUGH {
        return None;
    }
    if on.billed.is_zero() {
        return Some(BillVerdict::Absent);
    }
    let rate = on.rate_before();
    let unknown = on.estimate - known;
    let shown = on.billed + (unknown - surprise.expected) * rate;
    let half = (surprise.actual - surprise.expected) * rate / Decimal::TWO;
    let stands = if half.is_sign_negative() { shown <= half } else { shown >= half };
    Some(if stands { BillVerdict::Confirmed } else { BillVerdict::Lower })
}

#[cfg(test)]
mod tests {
    use costlens_domain::Currency;

    use super::*;

    fn amount(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn of(expected: &str, actual: &str) -> Surprise {
        Surprise { expected: amount(expected), actual: amount(actual), currency: Currency::USD }
    }

    /// What is estimated for all, settled of it, what that cost, and what is absent.
    fn on([estimate, settled, billed, absent]: [&str; 4]) -> OnBills {
        OnBills {
            estimate: amount(estimate),
            settled_estimate: amount(settled),
            billed: amount(billed),
            absent_estimate: amount(absent),
            ..OnBills::default()
        }
    }

    #[test]
    fn a_surprise_stands_if_the_bills_show_half_of_it() {
        let spike = of("10", "50");
        for (bills, told) in [
            (on(["50", "50", "50", "0"]), Some(BillVerdict::Confirmed)),
            (on(["50", "50", "80", "0"]), Some(BillVerdict::Confirmed)),
            (on(["50", "50", "30", "0"]), Some(BillVerdict::Confirmed)),
            (on(["50", "50", "29.99", "0"]), Some(BillVerdict::Lower)),
            // A bill that has the model, and none of these tokens, has none of the calls.
            (on(["50", "50", "0", "0"]), Some(BillVerdict::Absent)),
            (on(["50", "0", "0", "50"]), Some(BillVerdict::Absent)),
            // The most of it was somebody else's, or nobody's.
            (on(["50", "20", "20", "30"]), Some(BillVerdict::Lower)),
            (on(["50", "0", "0", "0"]), None),
            (on(["50", "44.99", "44.99", "0"]), None),
            // The rest is taken for what it is estimated at.
            (on(["50", "45", "45", "0"]), Some(BillVerdict::Confirmed)),
        ] {
            assert_eq!(verdict(&spike, &bills), told, "{bills:?}");
        }
    }

    #[test]
    fn a_new_level_below_the_old_one_stands_if_the_bills_fell_by_half_as_much() {
        let fall = of("50", "10");
        assert_eq!(verdict(&fall, &on(["10", "10", "10", "0"])), Some(BillVerdict::Confirmed));
        assert_eq!(verdict(&fall, &on(["10", "10", "30", "0"])), Some(BillVerdict::Confirmed));
        assert_eq!(verdict(&fall, &on(["10", "10", "30.01", "0"])), Some(BillVerdict::Lower));
        let nothing = on(["0", "0", "0", "0"]);
        assert_eq!(verdict(&of("50", "0"), &nothing), None, "there is nothing to be billed");
    }

    #[test]
    fn a_discount_that_was_always_there_makes_no_surprise_smaller() {
        let spike = of("40", "50");
        let discounted = OnBills {
            estimate_before: amount("1000"),
            billed_before: amount("600"),
            ..on(["50", "50", "30", "0"])
        };
        assert_eq!(verdict(&spike, &discounted), Some(BillVerdict::Confirmed));
        // What was billed in full before is found to have been no surprise.
        let in_full = OnBills { billed_before: amount("1000"), ..discounted };
        assert_eq!(verdict(&spike, &in_full), Some(BillVerdict::Lower));
    }

    #[test]
    fn calls_that_no_bill_ever_had_are_no_part_of_what_was_expected() {
        // Forty a day, half of them another's; the billed half doubled.
        let bills = OnBills {
            estimate_before: amount("1120"),
            billed_before: amount("560"),
            ..on(["60", "40", "40", "20"])
        };
        assert_eq!(verdict(&of("40", "60"), &bills), Some(BillVerdict::Confirmed));
    }

    #[test]
    fn a_price_that_was_corrected_leaves_the_surprise_in_the_estimates() {
        // Ten dollars as ever, and a model at ten times its price.
        assert_eq!(verdict(&of("10", "50"), &on(["14", "14", "14", "0"])), Some(BillVerdict::Lower));
    }
}
