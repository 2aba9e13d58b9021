//! LiteLLM's spend logs: rows of its table `LiteLLM_SpendLogs` or answers of its `/spend/logs`, as JSON, as JSON lines or
//! as CSV (docs.litellm.ai, "Spend Tracking", 2026-11).
//!
//! A row that cannot be read is refused by its line, and the others are taken. The columns `messages`, `response` and
//! `proxy_server_request` are not read.

mod row;
mod times;
mod usage;

use chrono::{DateTime, Utc};
use costlens_domain::imports::{Refusal, ReportedCall};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Refused;
use crate::bounded::{Few, is_too_long};
use row::Row;

/// The most rows of one file.
pub const MOST_ROWS: u64 = 100_000;
/// The same, as the bound of a list.
const MOST_IN_A_LIST: usize = 100_000;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The calls that can be rows of the ledger.
    pub calls: Vec<ReportedCall>,
    /// The others, by line; in a JSON array, by their number.
    pub refused: Refused,
}

/// Why a file is no spend log at all.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the words say it")]
pub enum NotALog {
    #[error("the file is empty")]
    Empty,
    #[error("the file is no JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error(
        "the file is neither JSON nor CSV with the columns request_id, model and startTime in its first line"
    )]
    Columns,
    #[error("the file has more than {MOST_ROWS} rows; divide it")]
    TooManyRows,
}

/// The answer of LiteLLM's own console, page by page.
#[derive(Deserialize)]
struct Paged<'a> {
    #[serde(borrow)]
    data: Few<'a, MOST_IN_A_LIST>,
}

/// Reads a file, as of a moment.
pub fn read(bytes: &[u8], now: DateTime<Utc>) -> Result<Read, NotALog> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reading = Reading { read: Read::default(), rows: 0, now };
    match bytes.trim_ascii_start().first() {
        None => return Err(NotALog::Empty),
        Some(b'[') => {
            let too_many = |error: serde_json::Error| {
                if is_too_long(&error) { NotALog::TooManyRows } else { NotALog::Json(error) }
            };
            let rows: Few<'_, MOST_IN_A_LIST> = serde_json::from_slice(bytes).map_err(too_many)?;
            reading.take_array(&rows.0)?;
        }
        Some(b'{') => match serde_json::from_slice::<Paged<'_>>(bytes) {
            Ok(Paged { data }) => reading.take_array(&data.0)?,
            Err(error) if is_too_long(&error) => return Err(NotALog::TooManyRows),
            Err(_) => reading.take_lines(bytes)?,
        },
        Some(_) => reading.take_csv(bytes)?,
    }
    Ok(reading.read)
}

struct Reading {
    read: Read,
    rows: u64,
    now: DateTime<Utc>,
}

impl Reading {
    fn take_array(&mut self, rows: &[&RawValue]) -> Result<(), NotALog> {
        for (place, row) in (1..).zip(rows) {
            self.take(place, serde_json::from_str(row.get()).map_err(|_| Refusal::NoRow))?;
        }
        Ok(())
    }

    fn take_lines(&mut self, bytes: &[u8]) -> Result<(), NotALog> {
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if !text.trim_ascii().is_empty() {
                self.take(line, serde_json::from_slice(text).map_err(|_| Refusal::NoRow))?;
            }
        }
        Ok(())
    }

    fn take_csv(&mut self, bytes: &[u8]) -> Result<(), NotALog> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let head = reader.headers().map_err(|_| NotALog::Columns)?.clone();
        let has = |name: &str| head.iter().any(|column| column == name);
        if !(has("request_id") && has("model") && has("startTime")) {
            return Err(NotALog::Columns);
        }
        let mut record = csv::StringRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let line = record.position().map_or(line, csv::Position::line);
                    // A row that is cut says something else than it did.
                    let row = if record.len() == head.len() {
                        Ok(Row::of_cells(head.iter().zip(record.iter())))
                    } else {
                        Err(Refusal::NoRow)
                    };
                    self.take(line, row)?;
                }
                Err(_) => self.take(line, Err(Refusal::NoRow))?,
            }
        }
    }

    fn take(&mut self, place: u64, row: Result<Row, Refusal>) -> Result<(), NotALog> {
        self.rows += 1;
        if self.rows > MOST_ROWS {
            return Err(NotALog::TooManyRows);
        }
        let call = row.and_then(Row::call).and_then(|call| call.check(self.now).map(|()| call));
        match call {
            Ok(call) => self.read.calls.push(call),
            Err(why) => self.read.refused.push(place, why),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
