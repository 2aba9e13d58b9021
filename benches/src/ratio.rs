//! Ratios in hundredths: exact enough to judge, and no float in sight.

use std::fmt;

/// A ratio of two like quantities, in hundredths, rounded up so that a missed goal is never rounded into a met one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u128);

impl Ratio {
    /// How many times `floor` goes into `value`; `None` where the floor is zero and nothing can be said.
    pub fn of(value: u128, floor: u128) -> Option<Self> {
        (floor > 0).then(|| Self((value * 100).div_ceil(floor)))
    }

    /// A goal, in hundredths.
    pub const fn hundredths(hundredths: u128) -> Self {
        Self(hundredths)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_round_against_us_and_read_as_decimals() {
        assert_eq!(Ratio::of(44, 22), Some(Ratio::hundredths(200)));
        assert!(Ratio::of(440_001, 220_000).unwrap() > Ratio::hundredths(200));
        assert_eq!(Ratio::of(1, 0), None);
        assert_eq!(Ratio::hundredths(205).to_string(), "2.05");
        assert_eq!(format!("{:>6}", Ratio::hundredths(7)), "  0.07");
    }
}
