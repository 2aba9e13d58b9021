//! What runs the SQL: the one seam between rules about bills and a query engine.
//!
//! The SQL that crosses it is portable (one view named `lines`, plain aggregates, no engine's own functions), so
//! that another engine, or a cluster of them, can stand behind the same trait.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
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
    /// A day.
    Day(NaiveDate),
    /// An exact amount.
    Amount(Decimal),
    /// A count.
    Count(u64),
    /// Yes or no.
    Flag(bool),
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

/// Runs queries over the view `lines`.
#[async_trait]
pub trait RollupEngine: Send + Sync {
    /// Runs one query and hands over each row of its result.
    async fn query(&self, sql: &str, step: Step<'_>, on_row: &mut OnRow<'_>) -> Result<(), BillError>;
}
