//! What cost more than its own past explains, and what made the difference.
//!
//! Two streams are watched: the hours of proxied calls ([`calls`]), which are known within the hour, and the days of
//! bills ([`bill`]), which come a day late and see everything. In both a surprise is told once: of series that overlap
//! the narrowest that holds the most of it is named, and the others are named beside it. Every surprise is taken apart
//! into parts that add up to the difference, to the last digit ([`explain`]).

pub mod bill;
pub mod calls;
pub mod confirm;
mod days;
pub mod explain;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use crate::statistics::days::{Class, DayRule, Kind};
pub use crate::statistics::hours::HourRule;
pub use days::{DayAnomaly, Scope};
pub use explain::{By, Cause, Contributor, Explanation, Part};

/// The Monday-based number of a day's weekday.
pub(crate) fn weekday(day: chrono::NaiveDate) -> usize {
    use chrono::Datelike as _;
    usize::try_from(day.weekday().num_days_from_monday()).unwrap_or_default()
}

/// The place of a day in a series that begins with `first`.
pub(crate) fn place(first: chrono::NaiveDate, day: chrono::NaiveDate) -> Option<usize> {
    usize::try_from((day - first).num_days()).ok()
}

/// The day at a place of a series that begins with `first`.
pub(crate) fn day_at(first: chrono::NaiveDate, at: usize) -> chrono::NaiveDate {
    first + chrono::Days::new(u64::try_from(at).unwrap_or_default())
}

/// What was expected, what it was, and how sure that is a surprise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What kind of surprise it is.
    pub kind: Kind,
    /// What was expected: an estimate, rounded to four places.
    pub expected: Decimal,
    /// What it was, exactly.
    pub actual: Decimal,
    /// How many deviations apart they are; a number to sort by.
    pub score: Decimal,
}

impl Verdict {
    /// By how much it was more than expected; negative where it was less.
    #[must_use]
    pub fn difference(&self) -> Decimal {
        self.actual - self.expected
    }
}
