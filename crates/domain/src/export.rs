//! Exports: which columns there are, what stands in them, and how a row is written as CSV or JSON.
//!
//! The columns are one table for both formats, for the API's stream and for kept files; the book's page of columns is
//! held against it by a test. A name never changes its meaning, and new columns come last.

mod cells;
mod columns;
mod focus;
mod settled;
#[cfg(test)]
mod tests;

use crate::request::text_enum;

pub use cells::Cell;
pub use columns::{
    CHARGEBACK_COLUMNS, Column, ColumnKind, FOCUS_COLUMNS, HourlySpend, REQUEST_COLUMNS, SPEND_COLUMNS,
    request_cells, spend_cells,
};
pub use focus::{focus_of_fact, focus_of_hour};
pub use settled::{SettledCharge, SettledKind, focus_of_settled};

text_enum! {
    /// What is exported.
    ExportWhat {
        /// Proxied calls, one a row.
        Requests = "requests",
        /// Spend by hour, key, provider, model, outcome and basis of the cost.
        HourlySpend = "hourly_spend",
        /// Every AI charge of the bills and every hour of calls, in the columns of FOCUS 1.2.
        Focus = "focus",
        /// The same with calls at what they cost by their bill, and of the bills what calls did not cost: each dollar once.
        FocusSettled = "focus_settled",
    }
}

text_enum! {
    /// How a row is written.
    ExportFormat {
        /// RFC 4180 with a header line.
        Csv = "csv",
        /// One JSON object a line.
        Jsonl = "jsonl",
        /// Apache Parquet, of FOCUS alone: amounts are decimals, times are UTC. Who writes it knows its columns' kinds.
        Parquet = "parquet",
    }
}

impl ExportWhat {
    /// Its columns, in order.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Requests => &REQUEST_COLUMNS,
            Self::HourlySpend => &SPEND_COLUMNS,
            Self::Focus | Self::FocusSettled => &FOCUS_COLUMNS,
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
            Self::Jsonl | Self::Parquet => String::new(),
        }
    }

    /// Appends a row. Parquet has no rows of text, and nothing is appended.
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
            Self::Parquet => {}
        }
    }
}
