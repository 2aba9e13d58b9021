//! A file of text, batch by batch.

use std::sync::atomic::Ordering;

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;

use super::Work;
use crate::BillError;
use crate::csv_table::{CsvFile, CsvLines};
use crate::lines::{Arrival, Layout};
use crate::rollup::{ALL, BatchReader, Rollup};
use crate::source::SourceFile;

/// Adds up one file.
pub(super) fn read(source: &SourceFile, rollup: &mut Rollup, work: &Work) -> Result<(), BillError> {
    let Some((file, width)) = CsvFile::of(source) else {
        return Err(BillError::Engine { message: "a file that is not CSV was read as such".to_owned() });
    };
    let layout = Layout::new(source.format, &source.columns, Arrival::Wanted, ALL);
    let lines = CsvLines::new(width, layout.wanted.clone());
    let (mut first, mut rest) = BatchReader::split(layout);
    let mut passed = 0;
    let mut failure = None;
    lines.read(&file, &mut |batch, bytes_read| {
        work.done_bytes.fetch_add(bytes_read - passed, Ordering::Relaxed);
        passed = bytes_read;
        let added = add(rollup, &mut first, &mut rest, batch.columns(), batch.num_rows(), &source.name);
        failure = added.err();
        failure.is_none() && !work.is_stopped()
    })?;
    failure.map_or(Ok(()), Err)
}

fn add(
    rollup: &mut Rollup,
    first: &mut BatchReader,
    rest: &mut BatchReader,
    columns: &[ArrayRef],
    rows: usize,
    name: &str,
) -> Result<(), BillError> {
    let place = || "in its lines".to_owned();
    let picks = rollup.look(first, columns, rows).map_err(|failed| failed.at(name, place))?;
    if picks.is_empty() {
        return Ok(());
    }
    let chosen: UInt32Array = picks.iter().map(|pick| u32::try_from(pick.row).ok()).collect();
    let columns: Result<Vec<ArrayRef>, _> =
        columns.iter().map(|column| take(column, &chosen, None)).collect();
    let columns = columns.map_err(|error| BillError::Engine { message: error.to_string() })?;
    rollup.add(rest, &columns, &picks).map_err(|failed| failed.at(name, place))
}
