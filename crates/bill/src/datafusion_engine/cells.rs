//! From the engine's columns to the cells of [`crate::engine`].

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type};
use rust_decimal::Decimal;

use crate::BillError;
use crate::engine::{Cell, OnRow};

/// Reads rows; texts that repeat are shared.
#[derive(Default)]
pub(super) struct RowReader {
    texts: HashSet<Arc<str>>,
}

impl RowReader {
    pub(super) fn read(&mut self, batch: &RecordBatch, on_row: &mut OnRow<'_>) -> Result<(), BillError> {
        let mut row = Vec::with_capacity(batch.num_columns());
        for at in 0..batch.num_rows() {
            row.clear();
            for column in batch.columns() {
                row.push(self.cell(column.as_ref(), at)?);
            }
            on_row(&row)?;
        }
        Ok(())
    }

    fn cell(&mut self, column: &dyn Array, at: usize) -> Result<Cell, BillError> {
        if column.is_null(at) {
            return Ok(Cell::Null);
        }
        Ok(match column.data_type() {
            DataType::Utf8 => self.text(column.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => self.text(column.as_string::<i64>().value(at)),
            DataType::Utf8View => self.text(column.as_string_view().value(at)),
            DataType::Date32 => Cell::Day(date(column.as_primitive::<Date32Type>().value(at))?),
            DataType::Int64 => {
                Cell::Count(u64::try_from(column.as_primitive::<Int64Type>().value(at)).unwrap_or(0))
            }
            DataType::Boolean => Cell::Flag(column.as_boolean().value(at)),
            DataType::Decimal128(_, scale) => {
                Cell::Amount(exact(column.as_primitive::<Decimal128Type>().value(at), *scale)?)
            }
            DataType::Null => Cell::Null,
            other => return Err(BillError::Engine { message: format!("a result column is {other}") }),
        })
    }

    fn text(&mut self, text: &str) -> Cell {
        if let Some(known) = self.texts.get(text) {
            return Cell::Text(Arc::clone(known));
        }
        let shared: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&shared));
        Cell::Text(shared)
    }
}

fn date(days: i32) -> Result<NaiveDate, BillError> {
    let epoch = NaiveDate::default();
    let count = Days::new(u64::from(days.unsigned_abs()));
    let date = if days < 0 { epoch.checked_sub_days(count) } else { epoch.checked_add_days(count) };
    date.ok_or_else(|| BillError::Engine { message: "a day is out of range".to_owned() })
}

/// The engine's 38 digits as our 28. Trailing zeros go first; only a sum of more than 28 significant digits,
/// which no bill has, would then lose its last ones.
fn exact(digits: i128, scale: i8) -> Result<Decimal, BillError> {
    let mut digits = digits;
    let mut scale = u32::try_from(scale).unwrap_or(0);
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    loop {
        match Decimal::try_from_i128_with_scale(digits, scale) {
            Ok(amount) => return Ok(amount),
            Err(_) if scale > 0 => {
                digits /= 10;
                scale -= 1;
            }
            Err(_) => return Err(BillError::Engine { message: "a sum is out of range".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_out_digit_by_digit() {
        let show = |digits, scale| exact(digits, scale).map(|amount| amount.to_string()).unwrap_or_default();
        assert_eq!(show(100_000_000_000_000_000, 18), "0.1");
        assert_eq!(show(-1_250, 2), "-12.5");
        assert_eq!(show(0, 18), "0");
        assert_eq!(show(123_456_789_012_345_678_901_234_567_890, 18), "123456789012.34567890123456789");
    }

    #[test]
    fn days_before_1970_exist() {
        assert_eq!(date(-1).ok().map(|day| day.to_string()).as_deref(), Some("1969-12-31"));
    }
}
