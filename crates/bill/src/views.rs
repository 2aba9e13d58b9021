//! The view `lines` for SQL: the few columns that its queries use, over every format.
//!
//! A missing text is NULL, and so is a missing cost.

use costlens_domain::bill::ReportFormat;

use crate::columns::{Columns, Kind};
use crate::lines::{FLOAT_SCALE, SCALE, Wanted, What, sources};

/// The columns of the view.
const COLUMNS: [&str; 8] =
    ["resource_id", "usage_account", "currency", "product_code", "usage_type", "sku", "operation", "cost"];

/// How a table below the view types its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// Already as the view wants them (our CSV reader).
    Exact,
    /// As the Parquet file has them.
    AsFound,
}

/// The SELECT that makes `lines` of one table, and the columns that it needs of that table.
pub(crate) fn select(
    format: ReportFormat,
    columns: &Columns,
    typing: Typing,
    table: &str,
) -> (String, Vec<Wanted>) {
    let amount = amount_type(format, columns, typing);
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut outs = Vec::new();
    for out in COLUMNS {
        let found = sources(format, columns, out);
        let expressions: Vec<String> =
            found.iter().map(|column| expression(column, typing, &amount)).collect();
        let expression = match expressions.as_slice() {
            [] if out == "cost" => format!("CAST(NULL AS {amount})"),
            [] => "CAST(NULL AS VARCHAR)".to_owned(),
            [one] => one.clone(),
            several if out == "cost" => format!("COALESCE({})", several.join(", ")),
            // An empty text says nothing; the next source may.
            several => {
                let said: Vec<String> = several.iter().map(|each| format!("NULLIF({each}, '')")).collect();
                format!("COALESCE({})", said.join(", "))
            }
        };
        outs.push(format!("{expression} AS {out}"));
        for column in found {
            if !wanted.contains(&column) {
                wanted.push(column);
            }
        }
    }
    (format!("SELECT {} FROM {table}", outs.join(", ")), wanted)
}

/// All amounts of one table have one type: exact where the file is exact.
fn amount_type(format: ReportFormat, columns: &Columns, typing: Typing) -> String {
    let costs = sources(format, columns, "cost");
    let binary = costs.iter().any(|cost| matches!(cost.found.kind, Kind::Float | Kind::Text));
    let scale = if typing == Typing::AsFound && binary { FLOAT_SCALE } else { SCALE };
    format!("DECIMAL(38, {scale})")
}

/// The SQL that reads one column.
fn expression(column: &Wanted, typing: Typing, amount: &str) -> String {
    let name = quoted(&column.found.name);
    match (typing, column.what, column.found.kind) {
        (Typing::Exact, ..) | (_, What::Text, Kind::Text) => name,
        (_, What::Amount, Kind::Text) => format!("CAST(CAST(NULLIF({name}, '') AS DOUBLE) AS {amount})"),
        (_, What::Amount | What::AddedTo(_), _) => format!("CAST({name} AS {amount})"),
        (_, What::Text | What::Entry(_) | What::Day, _) => format!("CAST({name} AS VARCHAR)"),
    }
}

/// A name as SQL writes one that may hold anything.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
