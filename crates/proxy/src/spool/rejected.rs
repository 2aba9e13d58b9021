//! Where rows go that the ledger refuses for good: a file of JSON lines beside the segments, for a person to read.
//!
//! A row is set aside only after the line is on the disk, so that nothing is ever in neither place.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The file's name in the spool's directory.
pub(super) const NAME: &str = "rejected.jsonl";

#[derive(Serialize)]
struct Line<'a> {
    rejected_at: DateTime<Utc>,
    id: String,
    reason: &'a str,
    /// The row as JSON, or what stood in its place in the spool, with escapes for what is no ASCII.
    payload: &'a str,
}

/// Appends one row and waits for the disk.
pub(super) fn set_aside(
    dir: &Path,
    at: DateTime<Utc>,
    id: &str,
    reason: &str,
    payload: &[u8],
) -> io::Result<()> {
    let payload = match std::str::from_utf8(payload) {
        Ok(text) => text.to_owned(),
        Err(_) => payload.escape_ascii().to_string(),
    };
    let mut line =
        serde_json::to_vec(&Line { rejected_at: at, id: id.to_owned(), reason, payload: &payload })?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(NAME))?;
    file.write_all(&line)?;
    file.sync_data()
}
