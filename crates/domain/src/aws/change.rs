//! What a newer delivery of a month changed, and how final a month is.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Month;
use crate::bill::{ControlTotal, Text};
use crate::money::Currency;

/// How final a delivery's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The month runs: more is to come.
    Open,
    /// The month is over, and AWS still adds to it: for two weeks or so (Data Exports user guide).
    Closing,
    /// AWS has invoiced it.
    Invoiced,
    /// AWS changed it after that.
    Restated,
}

impl Finality {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Invoiced => "invoiced",
            Self::Restated => "restated",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Closing, Self::Invoiced, Self::Restated]
            .into_iter()
            .find(|finality| finality.as_str() == name)
    }

    /// How final the newest delivery of a month is on a later day, on which no other has come. Nothing is written when a
    /// month closes, so whoever tells of it asks this.
    ///
    /// Days make no bill final that ends while its month ran: what came after is missing in it.
    #[must_use]
    pub fn as_of(self, month: Month, today: NaiveDate) -> Self {
        match (self, by_calendar(month, today)) {
            (Self::Open, Self::Closing | Self::Invoiced) => Self::Closing,
            (Self::Closing, Self::Invoiced) => Self::Invoiced,
            (as_it_was, _) => as_it_was,
        }
    }
}

/// For how many days after a month AWS still works at it. The lines' invoice number is the better sign; a bill that has none
/// is taken for invoiced from then on.
const CLOSING_DAYS: u64 = 15;

/// How final a delivery is that arrived on this day, after one of that finality; `differs` where its amounts are others, and
/// `has_invoices` where all of its lines with a cost name an invoice. A delivery that says what the one before said, such as one
/// that newer rules read again, restates nothing.
#[must_use]
pub fn finality(
    month: Month,
    arrived: NaiveDate,
    before: Option<Finality>,
    differs: bool,
    has_invoices: bool,
) -> Finality {
    let by_calendar = match by_calendar(month, arrived) {
        // A seller's own invoice may come while the month runs.
        Finality::Open => return Finality::Open,
        _ if has_invoices => Finality::Invoiced,
        by_calendar => by_calendar,
    };
    match before.map(|before| before.as_of(month, arrived)) {
        Some(Finality::Restated) => Finality::Restated,
        Some(Finality::Invoiced) if differs => Finality::Restated,
        // Also where the report no longer says so.
        Some(Finality::Invoiced) => Finality::Invoiced,
        _ => by_calendar,
    }
}

/// How final a month is by the days since its end alone.
fn by_calendar(month: Month, day: NaiveDate) -> Finality {
    let closed = month.end().checked_add_days(chrono::Days::new(CLOSING_DAYS)).unwrap_or(month.end());
    if day < month.end() {
        Finality::Open
    } else if day < closed {
        Finality::Closing
    } else {
        Finality::Invoiced
    }
}

/// What a newer delivery says of one line-item type, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The line-item type, as the bill writes it.
    pub line_item_type: Text,
    /// What the amounts count.
    pub currency: Currency,
    /// The older delivery's sum.
    pub before: Decimal,
    /// The newer one's.
    pub after: Decimal,
}

impl Change {
    /// How much more the newer one says.
    #[must_use]
    pub fn by(&self) -> Decimal {
        self.after - self.before
    }
}

/// What changed between two deliveries, type by type; what stayed is left out.
#[must_use]
pub fn changes(before: &[ControlTotal], after: &[ControlTotal]) -> Vec<Change> {
    let mut sums: BTreeMap<(Currency, Text), (Decimal, Decimal)> = BTreeMap::new();
    for total in before {
        sums.entry((total.currency, total.line_item_type.clone())).or_default().0 += total.unblended;
    }
    for total in after {
        sums.entry((total.currency, total.line_item_type.clone())).or_default().1 += total.unblended;
    }
    let one =
        |((currency, line_item_type), (before, after))| Change { line_item_type, currency, before, after };
    sums.into_iter().map(one).filter(|change| change.before != change.after).collect()
}

/// The changes in a sentence, currency by currency; `None` where nothing changed.
#[must_use]
pub fn change(month: Month, changes: &[Change]) -> Option<String> {
    let mut by_currency: BTreeMap<Currency, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_currency.entry(change.currency).or_default().push(change);
    }
    let told: Vec<String> = by_currency
        .into_iter()
        .map(|(currency, changes)| {
            let sum: Decimal = changes.iter().map(|change| change.by()).sum();
            format!("by {}, {}", amount(currency, sum), cause(&changes, sum))
        })
        .collect();
    (!told.is_empty()).then(|| format!("AWS changed {} {}", month.title(), told.join(", and ")))
}

/// What weighs most of what went the sum's way.
fn cause(changes: &[&Change], sum: Decimal) -> &'static str {
    let along = changes
        .iter()
        .filter(|change| sum.is_zero() || change.by().is_sign_negative() == sum.is_sign_negative());
    let largest = along.max_by_key(|change| change.by().abs());
    match largest.map(|change| &*change.line_item_type) {
        Some("Credit") => "a credit",
        Some("Refund") => "a refund",
        Some("Tax") => "a tax",
        Some("Fee" | "RIFee" | "SavingsPlanUpfrontFee" | "SavingsPlanRecurringFee" | "Purchase") => "a fee",
        Some("Usage" | "DiscountedUsage" | "SavingsPlanCoveredUsage") => "usage",
        Some(kind) if kind.ends_with("Discount") => "a discount",
        _ => "other lines",
    }
}

/// Two digits behind the point, for people.
fn amount(currency: Currency, sum: Decimal) -> String {
    let figure = format!("{:.2}", sum.abs().round_dp(2));
    let sign = if sum.is_sign_negative() { "-" } else { "+" };
    match currency.to_string().as_str() {
        "USD" => format!("{sign}${figure}"),
        code => format!("{sign}{figure} {code}"),
    }
}
