//! From the engine's columns to the cells of [`crate::engine`].

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type};

use crate::BillError;
use crate::engine::{Cell, OnRow};
use crate::lines::amounts::decimal;

/// How many texts are remembered. A query may tell of millions of resources by name, and what is forgotten is only shared anew.
const MOST_SHARED: usize = 16 * 1024;

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
            DataType::Int64 => {
                Cell::Count(u64::try_from(column.as_primitive::<Int64Type>().value(at)).unwrap_or(0))
            }
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).unwrap_or(0);
                Cell::Amount(decimal(column.as_primitive::<Decimal128Type>().value(at), scale)?)
            }
            DataType::Null => Cell::Null,
            other => return Err(BillError::Engine { message: format!("a result column is {other}") }),
        })
    }

    fn text(&mut self, text: &str) -> Cell {
        if let Some(known) = self.texts.get(text) {
            return Cell::Text(Arc::clone(known));
        }
        if self.texts.len() >= MOST_SHARED {
            self.texts.clear();
        }
        let shared: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&shared));
        Cell::Text(shared)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn of_however_many_texts_few_are_remembered() {
        let mut reader = RowReader::default();
        let mut rows = 0_usize;
        for part in 0..4 {
            let names: StringArray = (0..10_000).map(|n| Some(format!("{part}-{n}"))).collect();
            let column: ArrayRef = Arc::new(names);
            let batch = RecordBatch::try_from_iter([("name", column)]).unwrap();
            reader
                .read(&batch, &mut |cells| {
                    assert!(matches!(cells, [Cell::Text(text)] if text.starts_with(&format!("{part}-"))));
                    rows += 1;
                    Ok(())
                })
                .unwrap();
            assert!(reader.texts.len() <= MOST_SHARED);
        }
        assert_eq!(rows, 40_000);
    }
}
