//! What runs SQL over a bill: for questions whose answer may have more groups than memory holds.
//!
//! The SQL that crosses this seam is portable (one view named `lines`, plain aggregates, no engine's own
//! functions), so that another engine, or a cluster of them, can stand behind the same trait.

use std::sync::Arc;

use async_trait::async_trait;
use rust_decimal::Decimal;

use crate::BillError;
use crate::progress::Progress;

/// One value of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text, shared between rows where it repeats.
    Text(Arc<str>),
    /// An exact amount.
    Amount(Decimal),
    /// A count.
    Count(u64),
}

/// What a row is handed to.
pub type OnRow<'a> = dyn FnMut(&[Cell]) -> Result<(), BillError> + Send + 'a;

/// Which part of the whole read a query is, for whoever waits.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Who is told.
    pub progress: &'a dyn Progress,
    /// What is being done.
    pub name: &'static str,
    /// The thousandths that were done before.
    pub from: u16,
    /// The thousandths that will be done after.
    pub to: u16,
}

impl Step<'_> {
    /// Tells that `done` of `whole` is done.
    pub fn tell(self, done: u64, whole: u64) {
        let span = u64::from(self.to.saturating_sub(self.from));
        let share = done.min(whole).saturating_mul(span).checked_div(whole).unwrap_or(0);
        self.progress.advance(self.name, self.from + u16::try_from(share).unwrap_or(0));
    }
}

/// Runs queries over the view `lines`.
#[async_trait]
pub trait RollupEngine: Send + Sync {
    /// Runs one query and hands over each row of its result.
    async fn query(&self, sql: &str, step: Step<'_>, on_row: &mut OnRow<'_>) -> Result<(), BillError>;
}
