//! CSV reports as a table of exact decimals.
//!
//! The engine's own CSV reader would take amounts for binary numbers, knows neither E-notation in decimals nor
//! maps written as JSON, and cannot say in which line a file breaks off. This one reads the wanted columns as
//! text, and turns them into what they are.

pub(crate) mod cells;
pub(crate) mod json_lines;

use std::fmt;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::BillError;
use crate::lines::{SCALE, Wanted, What, google_fields};
use crate::source::{Encoding, SourceFile, csv_reader};

/// Lines per batch at most: a line of 120 columns has about 2 KB.
const BATCH: usize = 4096;
/// And cells: room is made for all of a batch's before any is read.
const CELLS: usize = 256 * 1024;
/// How many bytes of a file may pass between two batches; all of them are held. That is 16 KB for each line of a full batch,
/// and more for those with many columns.
const MOST_HELD: u64 = 64 * 1024 * 1024;

/// One CSV file, or one of lines of JSON.
#[derive(Clone, Debug)]
pub(crate) struct CsvFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) gzip: bool,
    /// Lines of JSON.
    pub(crate) json: bool,
}

impl CsvFile {
    /// The file and how many columns it has, if it is one of text.
    pub(crate) fn of(source: &SourceFile) -> Option<(Self, usize)> {
        let (gzip, json, width) = match source.encoding {
            Encoding::Csv { gzip, width } => (gzip, false, width),
            Encoding::JsonLines { gzip } => (gzip, true, google_fields().count()),
            Encoding::Parquet { .. } => return None,
        };
        Some((Self { path: source.path.clone(), name: source.name.clone(), gzip, json }, width))
    }
}

/// What is read of the lines of CSV files with the same header.
#[derive(Clone, Debug)]
pub(crate) struct CsvLines {
    /// Every column of the header, so that a short or long line is noticed.
    header: SchemaRef,
    wanted: Vec<Wanted>,
    schema: SchemaRef,
}

/// CSV files with the same header, as one table.
pub(crate) struct CsvTable {
    files: Vec<CsvFile>,
    lines: CsvLines,
    partitions: usize,
    lines_read: Arc<AtomicU64>,
}

impl CsvTable {
    pub(crate) fn new(
        files: Vec<CsvFile>,
        lines: CsvLines,
        partitions: usize,
        lines_read: Arc<AtomicU64>,
    ) -> Self {
        Self { files, lines, partitions: partitions.max(1), lines_read }
    }
}

impl fmt::Debug for CsvTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvTable").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

fn data_type(what: What) -> DataType {
    match what {
        What::Text | What::Entry(_) => DataType::Utf8,
        What::Amount | What::AddedTo(_) => DataType::Decimal128(38, SCALE.cast_signed()),
        What::Day => DataType::Date32,
    }
}

#[async_trait]
impl TableProvider for CsvTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.lines.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.lines.wanted.len()).collect();
        let lines = self.lines.project(projection.unwrap_or(&all))?;
        let schema = Arc::clone(&lines.schema);
        let shares = self.partitions.min(self.files.len());
        let partitions = (0..shares)
            .map(|share| {
                Arc::new(CsvPartition {
                    files: self.files.iter().skip(share).step_by(shares).cloned().collect(),
                    lines: lines.clone(),
                    lines_read: Arc::clone(&self.lines_read),
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        let plan = StreamingTableExec::try_new(schema, partitions, None, std::iter::empty(), false, None)?;
        Ok(Arc::new(plan))
    }
}

/// The files that one thread reads, one after the other.
#[derive(Clone, Debug)]
struct CsvPartition {
    files: Vec<CsvFile>,
    lines: CsvLines,
    lines_read: Arc<AtomicU64>,
}

impl PartitionStream for CsvPartition {
    fn schema(&self) -> &SchemaRef {
        &self.lines.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.lines.schema), 2);
        let sender = stream.tx();
        let work = self.clone();
        stream.spawn_blocking(move || {
            for file in &work.files {
                // A closed channel means that the query ended early: nobody is waiting for the rest.
                let mut send = |batch: RecordBatch, _| {
                    work.lines_read
                        .fetch_add(u64::try_from(batch.num_rows()).unwrap_or(0), Ordering::Relaxed);
                    sender.blocking_send(Ok(batch)).is_ok()
                };
                work.lines
                    .read(file, &mut send)
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
            }
            Ok(())
        });
        stream.build()
    }
}

impl CsvLines {
    pub(crate) fn new(width: usize, wanted: Vec<Wanted>) -> Self {
        // Names do not matter to the reader, and a header may repeat one.
        let header: Vec<Field> =
            (0..width).map(|at| Field::new(format!("c{at}"), DataType::Utf8, true)).collect();
        let field = |column: &Wanted| Field::new(&column.found.name, data_type(column.what), true);
        let fields: Vec<Field> = wanted.iter().map(field).collect();
        Self { header: Arc::new(Schema::new(header)), wanted, schema: Arc::new(Schema::new(fields)) }
    }

    fn project(&self, places: &[usize]) -> Result<Self> {
        let wanted = places.iter().filter_map(|at| self.wanted.get(*at)).cloned().collect();
        let schema = Arc::new(self.schema.project(places)?);
        Ok(Self { header: Arc::clone(&self.header), wanted, schema })
    }

    /// Reads one file until it ends or `send` says stop. Handed over are a column for each wanted one and how many
    /// bytes of the file were read so far.
    pub(crate) fn read(
        &self,
        file: &CsvFile,
        send: &mut dyn FnMut(RecordBatch, u64) -> bool,
    ) -> Result<(), BillError> {
        if file.json {
            return json_lines::read(self, file, send);
        }
        let corrupt = |lines: u64, reason: String| BillError::Corrupt {
            file: file.name.clone(),
            place: format!("near line {lines}"),
            reason,
        };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let reader = csv_reader(&file.path, file.gzip, Arc::clone(&bytes_read))
            .map_err(|source| BillError::Open { path: file.path.clone(), source })?;
        let passed = Arc::new(AtomicU64::new(1));
        let held = Arc::new(AtomicU64::new(0));
        let reader = CountingLines { inner: reader, passed: Arc::clone(&passed), held: Arc::clone(&held) };
        let indices: Vec<usize> = self.wanted.iter().map(|column| column.found.index).collect();
        let rows = ReaderBuilder::new(Arc::clone(&self.header))
            .with_header(true)
            .with_batch_size(batch_of(self.header.fields().len()))
            .with_projection(distinct(&indices))
            .build_buffered(reader)
            .map_err(|error| corrupt(1, error.to_string()))?;
        let places = distinct(&indices);
        let mut lines: u64 = 0;
        for rows in rows {
            held.store(0, Ordering::Relaxed);
            let rows =
                rows.map_err(|error| corrupt(passed.load(Ordering::Relaxed), plain(&error.to_string())))?;
            let batch = self.convert(&rows, &places).map_err(|bad| BillError::Corrupt {
                file: file.name.clone(),
                place: format!("in line {}", lines + 2 + bad.row),
                reason: bad.reason,
            })?;
            lines += u64::try_from(rows.num_rows()).unwrap_or(0);
            if !send(batch, bytes_read.load(Ordering::Relaxed)) {
                break;
            }
        }
        Ok(())
    }

    fn convert(&self, rows: &RecordBatch, places: &[usize]) -> Result<RecordBatch, cells::BadCell> {
        let mut maps = cells::Maps::default();
        let texts_of = |index: usize| {
            let place = places.iter().position(|place| *place == index);
            let column = place.and_then(|at| rows.columns().get(at));
            column.and_then(|column| column.as_any().downcast_ref::<StringArray>())
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            let Some(texts) = texts_of(wanted.found.index) else {
                let reason = format!("column {} is missing", wanted.found.name);
                return Err(cells::BadCell { row: 0, reason });
            };
            if let What::AddedTo(name) = wanted.what {
                let is_base = |one: &&Wanted| {
                    one.what == What::Amount && one.found.name.trim().eq_ignore_ascii_case(name)
                };
                let base = self.wanted.iter().find(is_base);
                columns.push(cells::sums(texts, wanted, base.and_then(|base| texts_of(base.found.index)))?);
                continue;
            }
            columns.push(cells::convert(texts, wanted, &mut maps)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| cells::BadCell { row: 0, reason: error.to_string() })
    }
}

/// How many lines of so many columns are read at once.
fn batch_of(columns: usize) -> usize {
    (CELLS / columns.max(1)).clamp(1, BATCH)
}

/// Counts the lines that were read, so that an error can say where it was; and the bytes since the last batch, so that a cell
/// without an end does not fill the memory.
struct CountingLines {
    inner: Box<dyn BufRead + Send>,
    passed: Arc<AtomicU64>,
    held: Arc<AtomicU64>,
}

impl Read for CountingLines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl BufRead for CountingLines {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.held.load(Ordering::Relaxed) > MOST_HELD {
            let why = format!(
                "its cells are too long: lines that are read at once have more than {MOST_HELD} bytes"
            );
            return Err(std::io::Error::other(why));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed stands in the buffer already, so looking at it again reads nothing.
        let lines = self.inner.fill_buf().ok().and_then(|buffer| buffer.get(..amount)).map_or(0, count_lines);
        self.passed.fetch_add(lines, Ordering::Relaxed);
        self.held.fetch_add(u64::try_from(amount).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.inner.consume(amount);
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(0)
}

fn distinct(indices: &[usize]) -> Vec<usize> {
    let mut distinct = indices.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// The engine's messages begin with the kind of error, which says nothing to a reader.
fn plain(message: &str) -> String {
    message.split_once(": ").map_or(message, |(_, rest)| rest).to_owned()
}
