//! Exports: which columns there are, what stands in them, and how a row is written as CSV or JSON.
//!
//! The columns are one table for both formats, for the API's stream and for kept files; the book's page of columns is
//! held against it by a test. A name never changes its meaning, and new columns come last.

mod cells;
mod columns;
#[cfg(test)]
mod tests;

use crate::request::text_enum;

pub use cells::Cell;
pub use columns::{Column, HourlySpend, REQUEST_COLUMNS, SPEND_COLUMNS, request_cells, spend_cells};

text_enum! {
    /// What is exported.
    ExportWhat {
        /// Proxied calls, one a row.
        Requests = "requests",
        /// Spend by hour, key, provider, model, outcome and basis of the cost.
        HourlySpend = "hourly_spend",
    }
}

text_enum! {
    /// How a row is written.
    ExportFormat {
        /// RFC 4180 with a header line.
        Csv = "csv",
        /// One JSON object a line.
        Jsonl = "jsonl",
    }
}

impl ExportWhat {
    /// Its columns, in order.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Requests => &REQUEST_COLUMNS,
            Self::HourlySpend => &SPEND_COLUMNS,
        }
    }
}

impl ExportFormat {
    /// What stands before the first row.
    #[must_use]
    pub fn head(self, columns: &[Column]) -> String {
        match self {
            Self::Csv => {
                let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
                names.join(",") + "\r\n"
            }
            Self::Jsonl => String::new(),
        }
    }

    /// Appends a row.
    pub fn put_row(self, columns: &[Column], cells: &[Cell], to: &mut String) {
        match self {
            Self::Csv => {
                for (n, cell) in cells.iter().enumerate() {
                    if n > 0 {
                        to.push(',');
                    }
                    cell.put_csv(to);
                }
                to.push_str("\r\n");
            }
            Self::Jsonl => {
                to.push('{');
                for (n, (column, cell)) in columns.iter().zip(cells).enumerate() {
                    if n > 0 {
                        to.push(',');
                    }
                    to.push('"');
                    to.push_str(column.name);
                    to.push_str("\":");
                    cell.put_json(to);
                }
                to.push_str("}\n");
            }
        }
    }
}
