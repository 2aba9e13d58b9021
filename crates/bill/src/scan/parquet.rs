//! A Parquet file, row group by row group: a first look at every line, then the rest of those that may be AI.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelectionPolicy,
};
use datafusion::parquet::file::metadata::RowGroupMetaData;

use crate::BillError;
use crate::lines::{Arrival, Layout};
use crate::rollup::{BatchReader, FIRST, PLAIN_FIRST, PLAIN_REST, Pick, REST, Rollup};
use crate::source::{Encoding, SourceFile};

/// Lines per batch.
const BATCH: usize = 16_384;
/// How many lines the reader may unpack to find a batch of picked ones.
const SPAN: usize = 4 * BATCH;
/// Batches do not become smaller than this; where picked lines are rarer, the others are skipped run by run.
const SMALLEST_BATCH: usize = 256;

/// A file that is being read.
pub(super) struct Open {
    name: String,
    file: File,
    footer: ArrowReaderMetadata,
    row_groups: usize,
    size_bytes: u64,
    first: BatchReader,
    /// For row groups of which nobody asks whether they name invoices.
    plain_first: BatchReader,
    rest: BatchReader,
    /// For row groups without commitments, whose columns are left where they are.
    plain_rest: BatchReader,
}

impl Open {
    pub(super) fn new(source: &SourceFile) -> Result<Self, BillError> {
        let file = File::open(&source.path)
            .map_err(|error| BillError::Open { path: source.path.clone(), source: error })?;
        let layout = |of| Layout::new(source.format, &source.columns, Arrival::Whole, of);
        let Encoding::Parquet { schema, row_groups, .. } = &source.encoding else {
            return Err(BillError::Engine {
                message: "a file that is not Parquet was read as such".to_owned(),
            });
        };
        let rest = layout(REST);
        let resource = rest.resource_columns();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(with_dictionaries(schema, &resource)));
        let footer = ArrowReaderMetadata::load(&file, options).map_err(|error| BillError::Corrupt {
            file: source.name.clone(),
            place: "in its footer".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            name: source.name.clone(),
            file,
            footer,
            row_groups: *row_groups,
            size_bytes: source.size_bytes,
            first: BatchReader::new(layout(FIRST)),
            plain_first: BatchReader::new(layout(PLAIN_FIRST)),
            rest: BatchReader::new(rest),
            plain_rest: BatchReader::new(layout(PLAIN_REST)),
        })
    }

    pub(super) fn bytes_per_group(&self) -> u64 {
        self.size_bytes / u64::try_from(self.row_groups.max(1)).unwrap_or(1)
    }

    /// Adds up one row group.
    pub(super) fn read(&mut self, group: usize, rollup: &mut Rollup) -> Result<(), BillError> {
        let mut picks: Vec<Pick> = Vec::new();
        let mut rows = 0;
        let is_plain = !rollup.wants_invoices();
        let first = if is_plain { &self.plain_first } else { &self.first };
        for batch in self.batches(group, &first.layout().roots(), None, BATCH)? {
            let batch = self.sound(batch, group)?;
            let from = rows;
            rows += batch.num_rows();
            let first = if is_plain { &mut self.plain_first } else { &mut self.first };
            let found = rollup.look(first, batch.columns(), batch.num_rows());
            let found = found.map_err(|failed| failed.at(&self.name, || self.place(group)))?;
            picks.extend(found.into_iter().map(|pick| pick.moved_by(from)));
        }
        let promised = self.footer.metadata().row_groups().get(group).map(RowGroupMetaData::num_rows);
        if promised.and_then(|promised| usize::try_from(promised).ok()) != Some(rows) {
            return Err(self.corrupt(group, "it has fewer lines than its footer promises".to_owned()));
        }
        if picks.is_empty() {
            return Ok(());
        }
        let selection = RowSelection::from_consecutive_ranges(runs(&picks), rows);
        let batch = batch_within_span(&picks);
        let is_plain = !rollup.any_of_commitment(&picks);
        let rest = if is_plain { &self.plain_rest } else { &self.rest };
        let roots = rest.layout().roots();
        let mut left = picks.as_slice();
        for batch in self.batches(group, &roots, Some(selection), batch)? {
            let batch = self.sound(batch, group)?;
            let (now, later) = left.split_at_checked(batch.num_rows()).unwrap_or((left, &[]));
            left = later;
            let rest = if is_plain { &mut self.plain_rest } else { &mut self.rest };
            let added = rollup.add(rest, batch.columns(), now);
            added.map_err(|failed| failed.at(&self.name, || self.place(group)))?;
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(self.corrupt(group, "its columns differ in length".to_owned()))
        }
    }

    fn batches(
        &self,
        group: usize,
        roots: &[usize],
        selection: Option<RowSelection>,
        batch: usize,
    ) -> Result<ParquetRecordBatchReader, BillError> {
        let corrupt = |error: &dyn std::error::Error| self.corrupt(group, error.to_string());
        let file = self.file.try_clone().map_err(|error| corrupt(&error))?;
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.footer.clone());
        let mask = ProjectionMask::roots(reader.parquet_schema(), roots.iter().copied());
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        if batch < SMALLEST_BATCH {
            reader = reader.with_row_selection_policy(RowSelectionPolicy::Selectors);
        }
        // One row group a reader, so that no batch has two dictionaries.
        reader
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(batch.max(SMALLEST_BATCH))
            .build()
            .map_err(|error| corrupt(&error))
    }

    fn sound<E: ToString>(
        &self,
        batch: Result<RecordBatch, E>,
        group: usize,
    ) -> Result<RecordBatch, BillError> {
        batch.map_err(|error| self.corrupt(group, error.to_string()))
    }

    pub(super) fn corrupt(&self, group: usize, reason: String) -> BillError {
        BillError::Corrupt { file: self.name.clone(), place: self.place(group), reason }
    }

    fn place(&self, group: usize) -> String {
        format!("in row group {} of {}", group + 1, self.row_groups)
    }
}

/// The schema with all texts as dictionaries, as most files have them, those in maps, too; but not those of these columns, of
/// which hardly any repeats itself.
fn with_dictionaries(schema: &Schema, apart: &[usize]) -> Schema {
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let data_type = match field.data_type() {
            of if is_text(of) && apart.contains(&at) => DataType::Utf8View,
            DataType::Map(entries, sorted) => match entries.data_type() {
                DataType::Struct(pair) => {
                    let pair = pair.iter().map(|field| with_type(field, as_dictionary(field.data_type())));
                    let pair = DataType::Struct(pair.collect());
                    DataType::Map(Arc::new(with_type(entries, pair)), *sorted)
                }
                _ => field.data_type().clone(),
            },
            of => as_dictionary(of),
        };
        with_type(field, data_type)
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

fn with_type(field: &Field, data_type: DataType) -> Field {
    field.clone().with_data_type(data_type)
}

fn as_dictionary(of: &DataType) -> DataType {
    if is_text(of) {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    } else {
        of.clone()
    }
}

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, value) => is_text(value),
        of => matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// How many picked lines to ask for at once: the reader unpacks all lines between the first and the last of them
/// before it throws the others away. Less than [`SMALLEST_BATCH`] where even so many stand too far apart.
fn batch_within_span(picks: &[Pick]) -> usize {
    let span = |some: &[Pick]| match some {
        [first, .., last] => last.row - first.row + 1,
        _ => 1,
    };
    let mut batch = BATCH;
    while batch >= SMALLEST_BATCH && picks.chunks(batch).any(|some| span(some) > SPAN) {
        batch /= 2;
    }
    batch
}

/// The runs of neighbouring rows.
fn runs(picks: &[Pick]) -> impl Iterator<Item = Range<usize>> {
    picks
        .chunk_by(|pick, next| pick.row + 1 == next.row)
        .filter_map(|run| Some(run.first()?.row..run.last()?.row + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(step: usize) -> Vec<Pick> {
        (0..1_000_000).step_by(step).map(|row| Pick::default().moved_by(row)).collect()
    }

    #[test]
    fn rare_lines_are_asked_for_a_few_at_a_time() {
        assert_eq!(batch_within_span(&every(1)), BATCH);
        assert_eq!(batch_within_span(&every(8)), BATCH / 2);
        assert_eq!(batch_within_span(&every(100)), 512);
        assert!(batch_within_span(&every(1000)) < SMALLEST_BATCH, "skipped run by run");
    }

    #[test]
    fn neighbours_are_one_run() {
        let picks = [3, 4, 5, 9].map(|row| Pick::default().moved_by(row));
        assert_eq!(runs(&picks).collect::<Vec<_>>(), [3..6, 9..10]);
    }
}
