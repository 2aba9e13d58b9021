//! Where rows go that the ledger refuses for good: a file of JSON lines beside the segments, for a person to read.
//!
//! A row is set aside only after the line is on the disk, so that nothing is ever in neither place. A line is kept for
//! thirty days at most: an account that is erased meanwhile leaves nothing here for longer.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// The file's name in the spool's directory.
pub(super) const NAME: &str = "rejected.jsonl";

/// What is younger than thirty days is written to here before it takes the file's place.
const FRESH: &str = "rejected.new";

/// How long a line is kept.
const KEPT: TimeDelta = TimeDelta::days(30);

/// A look at the file comes no later than this after the one before, so a line goes at a look when it would be too old
/// by the next.
pub(super) const BETWEEN_LOOKS: TimeDelta = TimeDelta::days(1);

/// What a line begins with, before its time: see [`Line`].
const BEGINNING: &[u8] = b"{\"rejected_at\":\"";

/// The most bytes of a line that are looked at for its time.
const TIME_BYTES: u64 = 128;

#[derive(Serialize)]
struct Line<'a> {
    /// First, so that a line says when it was written though its end is missing.
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

/// Removes the lines that are too old, or will be before the next look; says whether there were any. Lines stand in the
/// order in which they were written, so that a file without old ones costs a look at its first line, and one with some
/// is copied once, from the first young line on. A line that says no time goes with those before it.
pub(super) fn purge(dir: &Path, now: DateTime<Utc>) -> io::Result<bool> {
    // A copy that was not finished holds what the file holds.
    remove(&dir.join(FRESH))?;
    let mut old = match File::open(dir.join(NAME)) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let before = now - (KEPT - BETWEEN_LOOKS);
    let mut young = 0;
    loop {
        let mut head = Vec::new();
        let read = old.by_ref().take(TIME_BYTES).read_until(b'\n', &mut head)?;
        if read == 0 {
            // Whatever is there is old, or says no time.
            remove(&dir.join(NAME))?;
            File::open(dir)?.sync_all()?;
            return Ok(true);
        }
        if written_at(&head).is_some_and(|at| at >= before) {
            break;
        }
        if head.last() != Some(&b'\n') {
            pass_line(&mut old)?;
        }
        young = old.stream_position()?;
    }
    if young == 0 {
        return Ok(false);
    }
    let mut old = old.into_inner();
    old.seek(SeekFrom::Start(young))?;
    let mut fresh = OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(FRESH))?;
    io::copy(&mut old, &mut fresh)?;
    fresh.sync_all()?;
    std::fs::rename(dir.join(FRESH), dir.join(NAME))?;
    File::open(dir)?.sync_all()?;
    Ok(true)
}

/// When a line was written, by its beginning.
fn written_at(head: &[u8]) -> Option<DateTime<Utc>> {
    let rest = head.strip_prefix(BEGINNING)?;
    let time = rest.split(|byte| *byte == b'"').next()?;
    DateTime::parse_from_rfc3339(std::str::from_utf8(time).ok()?).ok().map(|at| at.with_timezone(&Utc))
}

/// Passes what is left of a line, without holding it.
fn pass_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let passed = end.map_or(bytes.len(), |end| end + 1);
        file.consume(passed);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    /// A file with a line of each of these ages in days.
    fn aside(dir: &Path, ages: &[i64]) {
        for days in ages {
            let payload = format!("{{\"n\":{days},\"text\":\"{}\"}}", "x".repeat(20_000));
            set_aside(dir, now() - TimeDelta::days(*days), "req_1", "refused", payload.as_bytes()).unwrap();
        }
    }

    fn text(dir: &Path) -> String {
        std::fs::read_to_string(dir.join(NAME)).unwrap()
    }

    fn ages(dir: &Path) -> Vec<i64> {
        let age = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (now() - line["rejected_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap()).num_days()
        };
        text(dir).lines().map(age).collect()
    }

    #[test]
    fn a_line_is_kept_for_thirty_days_at_most_and_no_younger_one_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!purge(dir.path(), now()).unwrap(), "there is no file yet");
        aside(dir.path(), &[45, 31, 30, 28, 2, 0]);
        let before = text(dir.path());
        // What an attempt that was killed left, with what should be gone.
        std::fs::write(dir.path().join(FRESH), &before).unwrap();
        assert!(purge(dir.path(), now()).unwrap());
        assert_eq!(ages(dir.path()), [28, 2, 0]);
        assert!(before.ends_with(&text(dir.path())), "what stays is as it was");
        assert!(!dir.path().join(FRESH).exists());
        assert!(!purge(dir.path(), now()).unwrap());
        // The file goes on.
        aside(dir.path(), &[0]);
        assert_eq!(ages(dir.path()), [28, 2, 0, 0]);
        assert!(purge(dir.path(), now() + TimeDelta::days(30)).unwrap());
        assert!(!dir.path().join(NAME).exists(), "nothing is left");
    }

    #[test]
    fn a_line_that_was_cut_has_the_time_of_its_beginning_and_one_without_goes_with_those_before_it() {
        let dir = tempfile::tempdir().unwrap();
        aside(dir.path(), &[40]);
        let whole = text(dir.path());
        let (cut, _) = whole.split_at(60);
        let young =
            cut.replacen(&(now() - TimeDelta::days(40)).format("%Y-%m-%d").to_string(), "2026-11-20", 1);
        std::fs::write(dir.path().join(NAME), format!("{whole}nonsense\n{cut}{whole}{young}{whole}"))
            .unwrap();
        assert!(purge(dir.path(), now()).unwrap());
        assert_eq!(text(dir.path()), format!("{young}{whole}"));
        assert!(!purge(dir.path(), now()).unwrap());
    }
}
