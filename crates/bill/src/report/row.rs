//! Reading a row cell by cell, in the order of its query.

use costlens_domain::bill::Text;
use rust_decimal::Decimal;

use crate::BillError;
use crate::engine::Cell;

/// A row and how far it was read.
pub(super) struct Row<'a> {
    cells: std::slice::Iter<'a, Cell>,
}

impl<'a> Row<'a> {
    pub(super) fn new(cells: &'a [Cell]) -> Self {
        Self { cells: cells.iter() }
    }

    fn next(&mut self) -> Result<&'a Cell, BillError> {
        self.cells.next().ok_or_else(|| wrong("a missing column"))
    }

    /// Text, empty for nothing.
    pub(super) fn text(&mut self) -> Result<Text, BillError> {
        match self.next()? {
            Cell::Text(text) => Ok(text.clone()),
            Cell::Null => Ok(empty()),
            _ => Err(wrong("a text that is none")),
        }
    }

    pub(super) fn texts<const N: usize>(&mut self) -> Result<[Text; N], BillError> {
        let mut out = [const { None }; N];
        for slot in &mut out {
            *slot = Some(self.text()?);
        }
        Ok(out.map(|text| text.unwrap_or_else(empty)))
    }

    pub(super) fn amount(&mut self) -> Result<Option<Decimal>, BillError> {
        match self.next()? {
            Cell::Amount(amount) => Ok(Some(*amount)),
            Cell::Null => Ok(None),
            _ => Err(wrong("an amount that is none")),
        }
    }

    pub(super) fn count(&mut self) -> Result<u64, BillError> {
        match self.next()? {
            Cell::Count(count) => Ok(*count),
            _ => Err(wrong("a count that is none")),
        }
    }
}

fn empty() -> Text {
    Text::from("")
}

fn wrong(what: &str) -> BillError {
    BillError::Engine { message: format!("the engine answered with {what}") }
}
