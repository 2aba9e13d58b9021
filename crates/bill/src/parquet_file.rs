//! Rows as a Parquet file: amounts as decimals, times in UTC, texts as they are.
//!
//! Written a group of rows at a time, so that memory stays bounded; the bytes are taken by whoever wants them. An amount
//! that the decimals cannot hold to its last digit is an error and never rounded.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use costlens_domain::export::{Cell, Column, ColumnKind};
use datafusion::arrow::array::{
    ArrayRef, Decimal128Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;

/// Digits of an amount, and how many of them stand behind the point.
pub const PRECISION: u8 = 38;
/// See [`PRECISION`].
pub const SCALE: u32 = 24;

/// The most rows of a group: what is held in memory at once.
const GROUP_ROWS: usize = 20_000;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFault {
    /// An amount has more digits than the file's decimals.
    #[error("the column {column} has an amount that 38 digits, 24 behind the point, cannot hold")]
    TooFine {
        /// The column.
        column: &'static str,
    },
    /// A cell is not of its column's kind.
    #[error("the column {column} has a cell of another kind")]
    OtherKind {
        /// The column.
        column: &'static str,
    },
    /// A row has not as many cells as there are columns.
    #[error("a row has {cells} cells and not {columns}")]
    OtherLength {
        /// How many it has.
        cells: usize,
        /// How many there are.
        columns: usize,
    },
    /// The columns cannot be put together.
    #[error("the columns cannot be put together")]
    Columns(#[from] ArrowError),
    /// The writer fails.
    #[error("the writer fails")]
    Writer(#[from] ParquetError),
}

/// Bytes that the writer gave and nobody took yet.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file in the making.
pub struct ParquetRows {
    columns: &'static [Column],
    schema: SchemaRef,
    writer: ArrowWriter<Taken>,
    taken: Taken,
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

impl ParquetRows {
    /// A file with these columns.
    ///
    /// # Errors
    /// [`ParquetFault::Writer`] where it cannot be begun.
    pub fn begin(columns: &'static [Column]) -> Result<Self, ParquetFault> {
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(column.name, data_type(column.kind()), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by("costlens".to_owned())
            .build();
        let taken = Taken::default();
        let writer = ArrowWriter::try_new(taken.clone(), Arc::clone(&schema), Some(properties))?;
        Ok(Self { columns, schema, writer, taken })
    }

    /// Adds rows, and gives the bytes that came out since the last time.
    ///
    /// # Errors
    /// See [`ParquetFault`].
    pub fn add(&mut self, rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, ParquetFault> {
        if let Some(row) = rows.iter().find(|row| row.len() != self.columns.len()) {
            return Err(ParquetFault::OtherLength { cells: row.len(), columns: self.columns.len() });
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let cells = rows.iter().filter_map(|row| row.get(at));
            arrays.push(array(column, cells)?);
        }
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)?;
        Ok(self.taken.take())
    }

    /// The rest of the file.
    ///
    /// # Errors
    /// [`ParquetFault::Writer`] where it cannot be ended.
    pub fn end(self) -> Result<Vec<u8>, ParquetFault> {
        self.writer.close()?;
        Ok(self.taken.take())
    }
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Amount => DataType::Decimal128(PRECISION, SCALE.try_into().unwrap_or(i8::MAX)),
        ColumnKind::Moment => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnKind::Count => DataType::UInt64,
    }
}

/// The cells of a column.
fn array<'r, 'c: 'r>(
    column: &Column,
    cells: impl Iterator<Item = &'r Cell<'c>>,
) -> Result<ArrayRef, ParquetFault> {
    let name = column.name;
    let other = || ParquetFault::OtherKind { column: name };
    match column.kind() {
        ColumnKind::Text => {
            let mut builder = StringBuilder::new();
            for cell in cells {
                match cell {
                    Cell::Empty => builder.append_null(),
                    Cell::Own(word) => builder.append_value(word),
                    Cell::Text(text) => builder.append_value(text),
                    Cell::Flag(flag) => builder.append_value(if *flag { "true" } else { "false" }),
                    Cell::Count(count) => builder.append_value(count.to_string()),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        ColumnKind::Amount => {
            let mut builder = Decimal128Builder::new().with_data_type(data_type(ColumnKind::Amount));
            for cell in cells {
                let amount = match cell {
                    Cell::Empty => None,
                    Cell::Count(count) => Some(Decimal::from(*count)),
                    Cell::Own(word) => {
                        Some(costlens_domain::money::parse_decimal(word).map_err(|_| other())?)
                    }
                    Cell::Flag(_) | Cell::Text(_) => return Err(other()),
                };
                match amount {
                    None => builder.append_null(),
                    Some(amount) => {
                        builder.append_value(units(amount).ok_or(ParquetFault::TooFine { column: name })?);
                    }
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        ColumnKind::Moment => {
            let mut builder = TimestampMillisecondBuilder::new().with_timezone("UTC");
            for cell in cells {
                match cell {
                    Cell::Empty => builder.append_null(),
                    Cell::Own(word) => {
                        let at = DateTime::parse_from_rfc3339(word).map_err(|_| other())?;
                        builder.append_value(at.timestamp_millis());
                    }
                    _ => return Err(other()),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        ColumnKind::Count => {
            let mut builder = UInt64Builder::new();
            for cell in cells {
                match cell {
                    Cell::Empty => builder.append_null(),
                    Cell::Count(count) => builder.append_value(*count),
                    _ => return Err(other()),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
    }
}

/// An amount in units of the last digit; `None` where it would have to be rounded, or is too large.
fn units(amount: Decimal) -> Option<i128> {
    let amount = amount.normalize();
    let missing = SCALE.checked_sub(amount.scale())?;
    let units = amount.mantissa().checked_mul(10_i128.checked_pow(missing)?)?;
    // 38 digits.
    (units.unsigned_abs() < 10_u128.pow(u32::from(PRECISION))).then_some(units)
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, SecondsFormat, Utc};
    use costlens_domain::export::{
        ExportFormat, FOCUS_COLUMNS, SettledCharge, SettledKind, focus_of_settled,
    };
    use costlens_domain::settlement::{Issuer, ResidualCode};
    use datafusion::arrow::array::{Decimal128Array, StringArray, TimestampMillisecondArray, UInt64Array};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn charges(count: u32) -> Vec<SettledCharge> {
        let amount = |n: u32, text: &str| Decimal::from(n) + text.parse::<Decimal>().unwrap();
        (0..count)
            .map(|n| SettledCharge {
                kind: if n % 3 == 0 { SettledKind::BesideCalls } else { SettledKind::Settled },
                day: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
                issuer: Some(Issuer::Aws),
                code: (n % 3 == 0).then_some(ResidualCode::Unproxied),
                api_key_id: None,
                origin: None,
                provider: "openai".to_owned(),
                model: format!("model \"{n}\", or so"),
                service_tier: String::new(),
                account: String::new(),
                region: String::new(),
                principal: "=cmd".to_owned(),
                calls: n.into(),
                tokens: Some(1_000),
                list: None,
                contracted: Some(amount(n, "0.000000000000000001")),
                billed: Some(-amount(n, "0.12")),
                effective: Some(Decimal::ZERO),
            })
            .collect()
    }

    /// A cell of a file that was read back, as CSV writes it.
    fn as_csv(array: &dyn datafusion::arrow::array::Array, at: usize) -> String {
        if array.is_null(at) {
            return String::new();
        }
        let any = array.as_any();
        if let Some(texts) = any.downcast_ref::<StringArray>() {
            let mut line = String::new();
            let cell = [Cell::Text(texts.value(at).into())];
            ExportFormat::Csv.put_row(&FOCUS_COLUMNS[..1], &cell, &mut line);
            return line.trim_end_matches("\r\n").to_owned();
        }
        if let Some(amounts) = any.downcast_ref::<Decimal128Array>() {
            return Decimal::from_i128_with_scale(amounts.value(at), SCALE).normalize().to_string();
        }
        if let Some(moments) = any.downcast_ref::<TimestampMillisecondArray>() {
            let at = DateTime::<Utc>::from_timestamp_millis(moments.value(at)).unwrap();
            return at.to_rfc3339_opts(SecondsFormat::Secs, true);
        }
        any.downcast_ref::<UInt64Array>().unwrap().value(at).to_string()
    }

    #[test]
    fn a_file_that_is_read_back_says_what_the_csv_says_to_the_last_digit() {
        let charges = charges(45_000);
        let mut file = ParquetRows::begin(&FOCUS_COLUMNS).unwrap();
        let mut bytes = Vec::new();
        for page in charges.chunks(1_000) {
            let rows: Vec<Vec<Cell<'_>>> =
                page.iter().map(|charge| focus_of_settled(charge).into()).collect();
            bytes.extend(file.add(&rows).unwrap());
        }
        assert!(!bytes.is_empty(), "whole groups are given out before the end");
        bytes.extend(file.end().unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap();
        let schema = Arc::clone(reader.schema());
        assert_eq!(schema.field_with_name("BilledCost").unwrap().data_type(), &DataType::Decimal128(38, 24));
        let mut told = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            for at in 0..batch.num_rows() {
                told.push(
                    batch
                        .columns()
                        .iter()
                        .map(|array| as_csv(array.as_ref(), at))
                        .collect::<Vec<_>>()
                        .join(","),
                );
            }
        }
        let csv: Vec<String> = charges
            .iter()
            .map(|charge| {
                let mut line = String::new();
                ExportFormat::Csv.put_row(&FOCUS_COLUMNS, &focus_of_settled(charge), &mut line);
                line.trim_end_matches("\r\n").to_owned()
            })
            .collect();
        assert_eq!(told.len(), csv.len());
        for (one, other) in told.iter().zip(&csv) {
            assert_eq!(one, other);
        }
    }

    #[test]
    fn what_would_have_to_be_rounded_is_refused() {
        let row = |amount: &str| {
            let mut row = vec![Cell::Empty; FOCUS_COLUMNS.len()];
            row[1] = Cell::Own(amount.to_owned());
            vec![row]
        };
        let mut file = ParquetRows::begin(&FOCUS_COLUMNS).unwrap();
        assert!(file.add(&row("0.000000000000000000000001")).is_ok());
        let fault = file.add(&row("0.0000000000000000000000001"));
        assert!(matches!(fault, Err(ParquetFault::TooFine { column: "BilledCost" })), "{fault:?}");
        let fault = file.add(&row("some"));
        assert!(matches!(fault, Err(ParquetFault::OtherKind { column: "BilledCost" })), "{fault:?}");
        assert!(matches!(file.add(&[vec![Cell::Empty]]), Err(ParquetFault::OtherLength { .. })));
    }
}
