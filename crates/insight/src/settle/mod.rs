//! Settlement: estimates of proxied calls become what the bill charged, and every difference has a named reason.
//!
//! What is promised, to the last unit and for every input:
//!
//! ```text
//! estimates of the calls + what applies to them, by code = settled costs of the calls
//! settled costs of the calls + what stands outside, by code = the bill
//! ```
//!
//! First tokens are matched ([`balance`]), then prices are compared ([`prices`]), and only then is money handed out
//! ([`ledger`]): each difference gets its code before anything is spread over calls, and what nobody used (or nobody has
//! been billed for yet) is never spread over them. ADR 0022 says why.

mod atto;
mod balance;
mod billed;
mod code;
mod lanes;
mod ledger;
mod meter;
mod names;
mod outcome;
mod places;
mod presence;
mod prices;
mod searches;
mod sku;

pub use atto::Atto;
pub use billed::{Apart, Billed, BilledRow};
pub use code::{ByCode, Code};
pub use ledger::settle;
pub use meter::{Bundle, BundleId, BundleKey, Certainty, Hint, Meter, MeteredCall, Place};
pub use names::{Name, Names};
pub use outcome::{
    Coverage, DayTotals, MatchConfidence, Payout, Residual, SettledBundle, Settlement, Side, State, Totals,
};
pub use prices::{ImpliedPrice, PriceFinding, Prices};
pub use sku::{Kind, PerKind, Quantities, Sku, Variant};

use chrono::NaiveDate;

/// What a settlement has to know beside its two sides.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The last day that the bill has to its end. What is missing on later days is late, not lost.
    pub complete_through: NaiveDate,
    /// How far a line's charge may be off by its own rounding.
    pub rounding_per_line: Atto,
}

impl Terms {
    /// Lines are rounded to ten places; a ten-millionth leaves room for what was added up elsewhere.
    pub const ROUNDING_PER_LINE: Atto = Atto(100_000_000_000);
}
