//! Google's rows as lines of JSON, one object each, as BigQuery exports them.
//!
//! BigQuery leaves out fields that say nothing, so the first line does not tell which there are: those that are wanted are
//! looked for in every line. Numbers are taken as they are written, never as binary ones.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use serde_json::value::RawValue;

use super::{BATCH, CsvFile, CsvLines, distinct};
use crate::BillError;
use crate::lines::google_fields;
use crate::source::csv_reader;

/// The longest line, in bytes. A real one has some thousands; labels make it longer.
const MAX_LINE: usize = 1024 * 1024;
/// How many bytes of lines are held at once, beside the last one.
const MOST_HELD: usize = 16 << 20;
/// Without these a row is no charge.
const NEEDED: [&str; 3] = ["cost", "currency", "usage_start_time"];
/// Of these a row has several.
const TYPICAL: [&str; 6] = ["billing_account_id", "service", "sku", "usage_start_time", "cost", "currency"];

/// The fields of an object.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// The names of a line's fields; `None` where it is no object.
fn names(line: &str) -> Option<Vec<String>> {
    let row: Object<'_> = serde_json::from_str(line).ok()?;
    Some(row.into_keys().collect())
}

/// Is this the first line of a billing export? Otherwise what it is.
pub(crate) fn is_first_line(line: &str) -> Result<(), String> {
    let Some(names) = names(line) else {
        return Err("neither CSV nor an object of JSON in each line".to_owned());
    };
    let typical = names.iter().filter(|name| TYPICAL.iter().any(|typical| name.starts_with(typical))).count();
    if typical >= 4 {
        return Ok(());
    }
    let some: Vec<&str> = names.iter().take(6).map(String::as_str).collect();
    Err(format!("an object of JSON with {}", some.join(", ")))
}

/// Reads one file until it ends or `send` says stop, as [`CsvLines::read`] does.
pub(super) fn read(
    lines: &CsvLines,
    file: &CsvFile,
    send: &mut dyn FnMut(RecordBatch, u64) -> bool,
) -> Result<(), BillError> {
    let corrupt = |line: u64, reason: String| BillError::Corrupt {
        file: file.name.clone(),
        place: format!("in line {line}"),
        reason,
    };
    let bytes_read = Arc::new(AtomicU64::new(0));
    let mut reader = csv_reader(&file.path, file.gzip, Arc::clone(&bytes_read))
        .map_err(|source| BillError::Open { path: file.path.clone(), source })?;
    let indices: Vec<usize> = lines.wanted.iter().map(|column| column.found.index).collect();
    let places = distinct(&indices);
    let fields: Vec<&'static str> = google_fields().collect();
    let paths: Vec<&'static str> = places.iter().filter_map(|place| fields.get(*place)).copied().collect();
    let mut text = Vec::new();
    let mut line = 0;
    let mut rows = Rows::new(&paths);
    let mut held = 0;
    loop {
        text.clear();
        let read = reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut text);
        let read = read.map_err(|error| corrupt(line + 1, error.to_string()))?;
        line += 1;
        if read > MAX_LINE {
            return Err(corrupt(line, format!("it is longer than {MAX_LINE} bytes")));
        }
        if read > 0 {
            let said = std::str::from_utf8(&text).map_err(|error| corrupt(line, error.to_string()))?;
            // Some programs begin a file with a byte-order mark.
            let said = if line == 1 { said.trim_start_matches('\u{feff}') } else { said };
            if !said.trim().is_empty() {
                held += said.len();
                rows.add(said, line).map_err(|reason| corrupt(line, reason))?;
            }
        }
        if rows.lines.len() == BATCH || held >= MOST_HELD || (read == 0 && !rows.lines.is_empty()) {
            held = 0;
            let (batch, of_lines) = rows.take()?;
            let batch = lines.convert(&batch, &places).map_err(|bad| {
                let at = usize::try_from(bad.row).ok().and_then(|row| of_lines.get(row)).copied();
                corrupt(at.unwrap_or(line), bad.reason)
            })?;
            if !send(batch, bytes_read.load(Ordering::Relaxed)) {
                return Ok(());
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Cells of some lines, as texts.
struct Rows {
    /// Each wanted field, and its name where whoever made the file flattened it.
    paths: Vec<(&'static str, String)>,
    columns: Vec<StringBuilder>,
    /// In which line each row stands.
    lines: Vec<u64>,
}

impl Rows {
    fn new(paths: &[&'static str]) -> Self {
        let flat = |path: &&'static str| (*path, path.replace('.', "_"));
        Self {
            paths: paths.iter().map(flat).collect(),
            columns: paths.iter().map(|_| StringBuilder::new()).collect(),
            lines: Vec::new(),
        }
    }

    fn add(&mut self, line: &str, number: u64) -> Result<(), String> {
        let row: Object<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
        // Fields of one object stand together.
        let mut open: Option<(&str, Object<'_>)> = None;
        for ((path, flat), column) in self.paths.iter().zip(&mut self.columns) {
            let mut value = row.get(flat.as_str()).copied();
            if let Some((parent, child)) = path.split_once('.').filter(|_| value.is_none()) {
                if open.as_ref().is_none_or(|(name, _)| *name != parent) {
                    open = Some((parent, object(row.get(parent).copied())?));
                }
                value = open.as_ref().and_then(|(_, fields)| fields.get(child)).copied();
            }
            let text = value.map(text).transpose()?.flatten();
            if text.is_none() && NEEDED.contains(path) {
                return Err(format!("it has no {path}"));
            }
            column.append_option(text);
        }
        self.lines.push(number);
        Ok(())
    }

    /// What was added, as a batch, and the lines of its rows.
    fn take(&mut self) -> Result<(RecordBatch, Vec<u64>), BillError> {
        let lines = std::mem::take(&mut self.lines);
        let columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let field = |(path, _): &(&'static str, String)| Field::new(*path, DataType::Utf8, true);
        let schema = Arc::new(Schema::new(self.paths.iter().map(field).collect::<Vec<Field>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|error| BillError::Engine { message: error.to_string() })?;
        Ok((batch, lines))
    }
}

fn object(value: Option<&RawValue>) -> Result<Object<'_>, String> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(Object::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
    }
}

/// The text of a value: of a string what it says, of anything else how it is written.
fn text(value: &RawValue) -> Result<Option<String>, String> {
    match value.get() {
        "null" => Ok(None),
        quoted if quoted.starts_with('"') => {
            serde_json::from_str(quoted).map(Some).map_err(|error| error.to_string())
        }
        written => Ok(Some(written.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_it_is() {
        assert_eq!(
            is_first_line(r#"{"billing_account_id":"0","service":{},"sku":{},"cost":1,"currency":"USD"}"#),
            Ok(())
        );
        let seen = is_first_line(r#"{"name":"x","age":1}"#).unwrap_err();
        assert!(seen.contains("age, name"), "{seen}");
        assert!(is_first_line("{").unwrap_err().contains("neither"));
    }

    #[test]
    fn a_number_is_taken_as_it_is_written() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(text(&raw("0.1000000000000000055")).unwrap().as_deref(), Some("0.1000000000000000055"));
        assert_eq!(text(&raw(r#""a\u0062""#)).unwrap().as_deref(), Some("ab"));
        assert_eq!(text(&raw("null")).unwrap(), None);
    }
}
