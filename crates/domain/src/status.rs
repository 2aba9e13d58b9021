//! How the service says of itself how it is: what a probe can find, and what minutes add up to.
//!
//! A minute that nobody looked at is unknown. It counts for nothing, and never as one in which all was well.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::request::text_enum;

/// How many minutes in a row, without a gap, must fail until an incident is opened, and work until it is over.
pub const IN_A_ROW: u32 = 3;

/// How many minutes a day has.
pub const DAY_MINUTES: u32 = 1_440;

text_enum! {
    /// What a probe found. In the order of how much it matters.
    ProbeOutcome {
        /// All was well.
        Ok = "ok",
        /// Nobody could say.
        Unknown = "unknown",
        /// It was slow, or a part of it failed.
        Degraded = "degraded",
        /// It did not work.
        Down = "down",
    }
}

/// What several parts come to: the worst of them. Of nothing, nothing is known.
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = ProbeOutcome>) -> ProbeOutcome {
    outcomes.into_iter().max().unwrap_or(ProbeOutcome::Unknown)
}

/// The minutes that were well among those that are known, in percent with three places, rounded down: whatever was not
/// well is never rounded away. `None` where nothing is known.
#[must_use]
pub fn uptime_percent(ok: u64, known: u64) -> Option<Decimal> {
    let percent = Decimal::from(ok).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(Decimal::from(known))?;
    Some(percent.round_dp_with_strategy(3, RoundingStrategy::ToZero))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_parts_is_told_and_what_is_unknown_is_not_well() {
        use ProbeOutcome::{Degraded, Down, Ok, Unknown};
        for (parts, whole) in [
            (vec![], Unknown),
            (vec![Ok, Ok], Ok),
            (vec![Ok, Unknown], Unknown),
            (vec![Unknown, Degraded, Ok], Degraded),
            (vec![Degraded, Down, Unknown], Down),
        ] {
            assert_eq!(worst(parts.clone()), whole, "{parts:?}");
        }
    }

    #[test]
    fn a_share_is_rounded_down_and_of_nothing_there_is_none() {
        let told = |ok, known| uptime_percent(ok, known).map(|percent| percent.normalize().to_string());
        assert_eq!(told(0, 0), None);
        assert_eq!(told(0, 7).as_deref(), Some("0"));
        assert_eq!(told(2, 3).as_deref(), Some("66.666"));
        assert_eq!(told(1_440, 1_440).as_deref(), Some("100"));
        // One minute in 90 years.
        assert_eq!(told(47_336_399, 47_336_400).as_deref(), Some("99.999"));
    }
}
