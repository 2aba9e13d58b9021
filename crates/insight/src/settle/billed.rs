//! The bill's side: what was charged by the token, and what stands apart from it.

mod aws;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::atto::Atto;
use super::code::Code;
use super::meter::Place;
use super::names::Name;
use super::sku::{Kind, Sku};

/// What one day's use of one kind by one principal was charged.
#[derive(Clone, Copy, Debug)]
pub struct BilledRow {
    /// The UTC day.
    pub day: NaiveDate,
    /// Who used it, and where.
    pub place: Place,
    /// The model in the common spelling.
    pub model: Name,
    /// What was used.
    pub sku: Sku,
    /// How much; `None` where the bill does not say in which unit it counts.
    pub quantity: Option<u64>,
    /// How many of the bill's own units, where they are not known to be tokens.
    pub units: Decimal,
    /// The charge before private discounts: what a price list would make of the quantity.
    pub listed: Atto,
    /// The charge by the chosen measure, lines of discount that belong to it included.
    pub amount: Atto,
    /// How many of the bill's lines it adds up, each rounded by itself.
    pub lines: u64,
}

impl BilledRow {
    /// Searches without a word of the model that asked for them.
    pub(super) fn is_nameless_search(&self) -> bool {
        self.sku.kind == Kind::WebSearch && !self.model.is_known()
    }
}

/// A charge that is no use of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    /// The UTC day.
    pub day: NaiveDate,
    /// Whose it is.
    pub place: Place,
    /// The model, where it names one.
    pub model: Name,
    /// What it is.
    pub code: Code,
    /// How much it is.
    pub amount: Atto,
}

/// One bill, or one month of it, in one currency and by one measure.
#[derive(Clone, Debug, Default)]
pub struct Billed {
    /// What was charged by the token.
    pub rows: Vec<BilledRow>,
    /// What stands apart.
    pub apart: Vec<Apart>,
    /// What of all amounts together is finer than a unit of [`Atto`].
    pub dust: Decimal,
}

impl Billed {
    /// The sum of everything, to the last unit; [`Self::dust`] comes on top.
    #[must_use]
    pub fn total(&self) -> Atto {
        let rows: Atto = self.rows.iter().map(|row| row.amount).sum();
        rows + self.apart.iter().map(|apart| apart.amount).sum()
    }
}
