//! What a file is, by its first bytes and its columns.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use costlens_domain::bill::ReportFormat;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use flate2::read::MultiGzDecoder;

use super::{Encoding, SourceFile};
use crate::BillError;
use crate::columns::{Columns, Kind};
use crate::csv_table::json_lines::is_first_line;
use crate::lines::google_fields;

/// What a look at a file found.
pub(super) enum Looked {
    Bill(Box<SourceFile>),
    /// No bill; what was seen instead.
    Other(String),
}

/// The longest header line that is read before a file is called no bill. The widest real one has 60 KB.
const MAX_HEADER: u64 = 4 * 1024 * 1024;
/// The most columns that a bill may have: a line costs memory for each, said or not. A real one has some hundreds, and one
/// more for each tag.
const MOST_COLUMNS: usize = 8_000;

/// Opens a file far enough to say what it is.
pub(super) fn look(path: &Path, name: String) -> Result<Looked, BillError> {
    let failed = |source| BillError::Open { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(failed)?;
    let size_bytes = file.metadata().map_err(failed)?.len();
    let mut magic = [0_u8; 4];
    let filled = read_up_to(&mut file, &mut magic).map_err(failed)?;
    let parquet_name = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("parquet"));
    match magic.get(..filled).unwrap_or_default() {
        [] => Ok(Looked::Other("the file is empty".to_owned())),
        b"PAR1" => parquet(path, name, size_bytes),
        _ if parquet_name => {
            let reason = "it does not begin as Parquet does".to_owned();
            Err(BillError::Corrupt { file: name, place: "in its first bytes".to_owned(), reason })
        }
        [0x50, 0x4b, 0x03, 0x04] => Ok(Looked::Other(
            "a zip archive; unpack it, or have the report compressed as GZIP or written as Parquet"
                .to_owned(),
        )),
        [0x1f, 0x8b, ..] => csv(path, name, size_bytes, true),
        _ => csv(path, name, size_bytes, false),
    }
}

/// A reader of a CSV file's text, which counts the bytes of the file that were read.
pub(crate) fn csv_reader(
    path: &Path,
    gzip: bool,
    bytes_read: Arc<AtomicU64>,
) -> std::io::Result<Box<dyn BufRead + Send>> {
    let file = CountingBytes { inner: File::open(path)?, bytes_read };
    Ok(if gzip {
        let unpacked = MultiGzDecoder::new(BufReader::with_capacity(256 * 1024, file));
        Box::new(BufReader::with_capacity(256 * 1024, unpacked))
    } else {
        Box::new(BufReader::with_capacity(256 * 1024, file))
    })
}

struct CountingBytes {
    inner: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for CountingBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes_read.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8; 4]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn csv(path: &Path, name: String, size_bytes: u64, gzip: bool) -> Result<Looked, BillError> {
    let reader = csv_reader(path, gzip, Arc::default())
        .map_err(|source| BillError::Open { path: path.to_path_buf(), source })?;
    let mut header = Vec::new();
    let read = reader.take(MAX_HEADER).read_until(b'\n', &mut header);
    if let Err(error) = read {
        let place = "in its header line".to_owned();
        return Err(BillError::Corrupt { file: name, place, reason: error.to_string() });
    }
    let Ok(text) = std::str::from_utf8(&header) else {
        return Ok(Looked::Other("neither text nor Parquet".to_owned()));
    };
    let text = text.trim_start_matches('\u{feff}');
    if text.starts_with('{') {
        if let Err(seen) = is_first_line(text) {
            return Ok(Looked::Other(seen));
        }
        let (encoding, format) = (Encoding::JsonLines { gzip }, ReportFormat::GoogleCosts);
        let columns = Columns::new(google_fields().map(|name| (name.to_owned(), Kind::Text)));
        let path = path.to_path_buf();
        return Ok(Looked::Bill(Box::new(SourceFile { path, name, size_bytes, encoding, columns, format })));
    }
    let names = header_names(text);
    if names.len() > MOST_COLUMNS {
        return Ok(Looked::Other(format!("more than {MOST_COLUMNS} columns")));
    }
    let encoding = Encoding::Csv { gzip, width: names.len() };
    let columns = Columns::new(names.into_iter().map(|name| (name, Kind::Text)));
    Ok(recognise(path, name, size_bytes, encoding, columns))
}

/// The names in a CSV header, quoted or not; of too many, as many as tell that.
fn header_names(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    for c in line.trim_end_matches(['\r', '\n']).chars() {
        if names.len() > MOST_COLUMNS {
            return names;
        }
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            _ => name.push(c),
        }
    }
    names.push(name);
    names
}

fn parquet(path: &Path, name: String, size_bytes: u64) -> Result<Looked, BillError> {
    let file = File::open(path).map_err(|source| BillError::Open { path: path.to_path_buf(), source })?;
    let footer = match ParquetRecordBatchReaderBuilder::try_new(file) {
        Ok(footer) => footer,
        Err(error) => {
            let place = "in its footer".to_owned();
            return Err(BillError::Corrupt { file: name, place, reason: error.to_string() });
        }
    };
    let row_groups = footer.metadata().num_row_groups();
    let schema = footer.schema().clone();
    let columns = Columns::new(kinds(&schema));
    Ok(recognise(path, name, size_bytes, Encoding::Parquet { schema, row_groups }, columns))
}

fn kinds(schema: &Schema) -> Vec<(String, Kind)> {
    schema.fields().iter().map(|field| (field.name().clone(), kind(field.data_type()))).collect()
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, value) => kind(value),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Kind::Decimal,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => Kind::Integer,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Kind::Time,
        DataType::Map(..) => Kind::Map,
        _ => Kind::Other,
    }
}

fn recognise(path: &Path, name: String, size_bytes: u64, encoding: Encoding, columns: Columns) -> Looked {
    match format(&columns) {
        Some(ReportFormat::GoogleCosts) if matches!(encoding, Encoding::Parquet { .. }) => Looked::Other(
            "Google's rows as Parquet, whose lists of credits are not read; export them as CSV or lines of JSON"
                .to_owned(),
        ),
        Some(format) => Looked::Bill(Box::new(SourceFile {
            path: path.to_path_buf(),
            name,
            size_bytes,
            encoding,
            columns,
            format,
        })),
        None if columns.is_empty() => Looked::Other("no columns".to_owned()),
        None => Looked::Other(format!("its columns are {}", columns.sample())),
    }
}

/// The format that these columns belong to.
fn format(columns: &Columns) -> Option<ReportFormat> {
    const FOCUS: [&str; 8] = [
        "BilledCost",
        "EffectiveCost",
        "ChargeCategory",
        "BillingAccountId",
        "ChargePeriodStart",
        "BillingCurrency",
        "ServiceCategory",
        "SubAccountId",
    ];
    const CUR: [&str; 7] = [
        "line_item_unblended_cost",
        "line_item_usage_account_id",
        "line_item_line_item_type",
        "line_item_product_code",
        "line_item_usage_type",
        "line_item_usage_start_date",
        "bill_payer_account_id",
    ];
    if columns.count(&FOCUS) >= 3 {
        return Some(ReportFormat::Focus);
    }
    if columns.count(&CUR) < 3 {
        return other_cloud(columns);
    }
    let is_map = |name| columns.find(name).is_some_and(|found| found.kind == Kind::Map);
    let cur2 = columns.has("bill_payer_account_name") || is_map("product") || is_map("resource_tags");
    Some(if cur2 { ReportFormat::Cur2 } else { ReportFormat::LegacyCur })
}

/// The format of another cloud that these columns belong to. Whether Azure's costs are amortised only the lines say.
fn other_cloud(columns: &Columns) -> Option<ReportFormat> {
    const AZURE: [&str; 10] = [
        "MeterCategory",
        "MeterSubCategory",
        "MeterName",
        "MeterId",
        "UnitOfMeasure",
        "ConsumedService",
        "ChargeType",
        "CostInBillingCurrency",
        "PreTaxCost",
        "SubscriptionId",
    ];
    const GOOGLE: [&str; 8] = [
        "billing_account_id",
        "service.description",
        "sku.description",
        "sku.id",
        "usage_start_time",
        "cost_type",
        "invoice.month",
        "usage.amount",
    ];
    if columns.count(&AZURE) >= 4 {
        Some(ReportFormat::AzureCosts)
    } else {
        (columns.count(&GOOGLE) >= 4).then_some(ReportFormat::GoogleCosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_comma_does_not_split_a_name() {
        assert_eq!(header_names("\"a\",\"b,c\",d\r\n"), ["a", "b,c", "d"]);
    }

    #[test]
    fn a_header_of_millions_of_commas_is_given_up_early() {
        assert_eq!(header_names(&",".repeat(MOST_COLUMNS - 1)).len(), MOST_COLUMNS, "still a bill");
        assert_eq!(header_names(&",".repeat(4_000_000)).len(), MOST_COLUMNS + 1);
    }
}
