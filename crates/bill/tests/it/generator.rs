//! A small bill from a seed, written in every format, with sums taken from the seed's own figures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use costlens_domain::bill::{BillReport, ReportFormat};
use datafusion::arrow::array::{
    ArrayRef, Float64Array, MapBuilder, RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray,
};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_decimal::Decimal;

/// The formats that a bill may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    LegacyCsv,
    LegacyCsvGz,
    LegacyParquet,
    Cur2Parquet,
    Cur2CsvGz,
    FocusCsv,
    FocusCsvGz,
    FocusParquet,
}

impl Format {
    pub(crate) const ALL: [Self; 8] = [
        Self::LegacyCsv,
        Self::LegacyCsvGz,
        Self::LegacyParquet,
        Self::Cur2Parquet,
        Self::Cur2CsvGz,
        Self::FocusCsv,
        Self::FocusCsvGz,
        Self::FocusParquet,
    ];

    pub(crate) const fn report(self) -> ReportFormat {
        match self {
            Self::LegacyCsv | Self::LegacyCsvGz | Self::LegacyParquet => ReportFormat::LegacyCur,
            Self::Cur2Parquet | Self::Cur2CsvGz => ReportFormat::Cur2,
            Self::FocusCsv | Self::FocusCsvGz | Self::FocusParquet => ReportFormat::Focus,
        }
    }

    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::LegacyCsv | Self::FocusCsv => "bill.csv",
            Self::LegacyCsvGz | Self::Cur2CsvGz | Self::FocusCsvGz => "bill.csv.gz",
            Self::LegacyParquet | Self::Cur2Parquet | Self::FocusParquet => "bill.parquet",
        }
    }
}

/// A line, in the words of CUR.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    kind: &'static str,
    currency: &'static str,
    entity: &'static str,
    code: &'static str,
    name: &'static str,
    usage_type: &'static str,
    unit: &'static str,
    account: String,
    day: u32,
    /// The cost as the file writes it, perhaps in E-notation.
    cost: String,
    usage: u32,
    service: &'static str,
    tokens_per_unit: u32,
}

/// Kinds of lines: entity, code, name, usage type, unit, AI service (or none), tokens per unit.
const KINDS: [(&str, &str, &str, &str, &str, &str, u32); 9] = [
    ("AWS", "AmazonBedrock", "Amazon Bedrock", "USE1-NovaPro-input-tokens", "1K tokens", "bedrock", 1000),
    (
        "AWS",
        "AmazonBedrock",
        "Amazon Bedrock",
        "USE1-gpt-oss-120b-output-tokens-flex",
        "1K tokens",
        "bedrock",
        1000,
    ),
    (
        "AWS Marketplace",
        "7zgyu5r4aaaaaaaaaaaaaaaaa",
        "Claude Sonnet 4.6 (Amazon Bedrock Edition)",
        "USE1-MP:USE1_MillionBatchInputTokens-Units",
        "Units",
        "bedrock",
        1_000_000,
    ),
    ("AWS", "AmazonSageMaker", "Amazon SageMaker", "USE1-Host:ml.g5.xlarge", "Hrs", "sagemaker", 0),
    ("AWS", "comprehend", "Amazon Comprehend", "USE1-DetectPiiEntities", "Units", "comprehend", 0),
    ("AWS", "AmazonEC2", "Amazon Elastic Compute Cloud", "USE1-BoxUsage:m5.large", "Hrs", "", 0),
    ("AWS", "AmazonEC2", "Amazon Elastic Compute Cloud", "USE1-BoxUsage:p5.48xlarge", "Hrs", "", 0),
    ("AWS", "AmazonS3", "Amazon Simple Storage Service", "USE1-TimedStorage-ByteHrs", "GB-Mo", "", 0),
    ("AWS Marketplace", "3p0saas0000000000000000aa", "Somebody's Database", "MP:Seats", "Units", "", 0),
];

/// Line types that CUR and FOCUS share, so that one bill can be written in both.
const TYPES: [&str; 8] = ["Usage", "Usage", "Usage", "Usage", "Usage", "Credit", "Tax", "Adjustment"];

/// The lines of a seed (xorshift64*, Vigna 2016).
pub(crate) fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |bound: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    };
    (0..count)
        .map(|at| {
            let (entity, code, name, usage_type, unit, service, tokens_per_unit) =
                KINDS[usize::try_from(next(9)).unwrap()];
            let kind = TYPES[usize::try_from(next(8)).unwrap()];
            let figure = next(10_000_000);
            let sign = if kind == "Credit" { "-" } else { "" };
            let cost = match at % 4 {
                0 => format!("{sign}{figure}E-8"),
                1 => format!("{sign}{}.{:010}", figure % 90, figure),
                2 => format!("{sign}0.{figure:07}"),
                _ => format!("{sign}{}", figure % 50),
            };
            Row {
                kind,
                currency: if next(10) == 0 { "EUR" } else { "USD" },
                entity,
                code,
                name,
                usage_type,
                unit,
                account: format!("{:012}", 1 + next(5)),
                day: u32::try_from(1 + next(28)).unwrap(),
                cost,
                usage: u32::try_from(next(1000)).unwrap(),
                service,
                tokens_per_unit,
            }
        })
        .collect()
}

impl Row {
    fn amount(&self) -> Decimal {
        let cost = self.cost.as_str();
        if cost.contains('E') { Decimal::from_scientific(cost).unwrap() } else { cost.parse().unwrap() }
    }

    fn start(&self) -> String {
        format!("2026-10-{:02}T05:00:00Z", self.day)
    }
}

/// Holds the report's control totals against sums of the seed's own figures.
pub(crate) fn assert_totals(report: &BillReport, rows: &[Row]) {
    let mut expected: BTreeMap<(String, String), (Decimal, u64)> = BTreeMap::new();
    for row in rows {
        let sum = expected.entry((row.kind.to_owned(), row.currency.to_owned())).or_default();
        sum.0 += row.amount();
        sum.1 += 1;
    }
    let found: BTreeMap<(String, String), (Decimal, u64)> = report
        .totals
        .iter()
        .map(|total| {
            ((total.line_item_type.to_string(), total.currency.to_string()), (total.unblended, total.lines))
        })
        .collect();
    assert_eq!(found, expected, "{:?}", report.format);
}

pub(crate) fn expected_services(rows: &[Row]) -> BTreeMap<(String, String), Decimal> {
    let mut expected: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.service.is_empty()) {
        *expected.entry((row.service.to_owned(), row.currency.to_owned())).or_default() += row.amount();
    }
    expected.into_iter().map(|(key, sum)| (key, sum.normalize())).collect()
}

pub(crate) fn expected_tokens(rows: &[Row]) -> Decimal {
    let used = rows.iter().filter(|row| row.kind == "Usage");
    used.map(|row| Decimal::from(row.usage) * Decimal::from(row.tokens_per_unit)).sum::<Decimal>().normalize()
}

/// Writes the lines in a format.
pub(crate) fn write(rows: &[Row], format: Format, path: &Path) {
    match format {
        Format::LegacyCsv | Format::FocusCsv => std::fs::write(path, csv(rows, format)).unwrap(),
        Format::LegacyCsvGz | Format::Cur2CsvGz | Format::FocusCsvGz => {
            let mut out = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
            out.write_all(csv(rows, format).as_bytes()).unwrap();
            out.finish().unwrap();
        }
        Format::LegacyParquet | Format::Cur2Parquet | Format::FocusParquet => parquet(rows, format, path),
    }
}

/// A column of text: its name per format (empty: not there) and its value.
type TextColumn = ([&'static str; 3], fn(&Row) -> String);

/// Names for legacy CSV, for snake case (Parquet and CUR 2.0), for FOCUS.
const TEXTS: [TextColumn; 11] = [
    (["identity/LineItemId", "identity_line_item_id", ""], |_| "same-on-every-line".to_owned()),
    (["bill/InvoiceId", "bill_invoice_id", "InvoiceId"], |_| String::new()),
    (["bill/BillingEntity", "bill_billing_entity", "PublisherName"], |row| {
        if row.entity == "AWS" { "AWS".to_owned() } else { "AWS Marketplace".to_owned() }
    }),
    (["bill/PayerAccountId", "bill_payer_account_id", "BillingAccountId"], |_| "100000000000".to_owned()),
    (["lineItem/UsageAccountId", "line_item_usage_account_id", "SubAccountId"], |row| row.account.clone()),
    (["lineItem/LineItemType", "line_item_line_item_type", "ChargeCategory"], |row| row.kind.to_owned()),
    (["lineItem/ProductCode", "line_item_product_code", "x_ServiceCode"], |row| row.code.to_owned()),
    (["lineItem/UsageType", "line_item_usage_type", "x_UsageType"], |row| row.usage_type.to_owned()),
    (["lineItem/CurrencyCode", "line_item_currency_code", "BillingCurrency"], |row| row.currency.to_owned()),
    (["pricing/unit", "pricing_unit", "PricingUnit"], |row| row.unit.to_owned()),
    (["product/ProductName", "product_product_name", "ServiceName"], |row| row.name.to_owned()),
];

const TIME: [&str; 3] = ["lineItem/UsageStartDate", "line_item_usage_start_date", "ChargePeriodStart"];
const USAGE: [&str; 3] = ["lineItem/UsageAmount", "line_item_usage_amount", "PricingQuantity"];
const COST: [&str; 3] = ["lineItem/UnblendedCost", "line_item_unblended_cost", "BilledCost"];

const fn names(format: Format) -> usize {
    match format {
        Format::LegacyCsv | Format::LegacyCsvGz => 0,
        Format::LegacyParquet | Format::Cur2Parquet | Format::Cur2CsvGz => 1,
        Format::FocusCsv | Format::FocusCsvGz | Format::FocusParquet => 2,
    }
}

/// CUR 2.0 has the product's name in a map alone.
fn columns(format: Format) -> impl Iterator<Item = (&'static str, fn(&Row) -> String)> {
    let cur2 = format.report() == ReportFormat::Cur2;
    TEXTS
        .iter()
        .map(move |(spelled, value)| (spelled[names(format)], *value))
        .filter(move |(name, _)| !(name.is_empty() || cur2 && *name == "product_product_name"))
}

fn csv(rows: &[Row], format: Format) -> String {
    let cur2 = format.report() == ReportFormat::Cur2;
    // FOCUS exports write the word NULL, and quote; others leave nothing.
    let cell = |text: String| match (text.is_empty(), format.report()) {
        (true, ReportFormat::Focus) => "NULL".to_owned(),
        (true, _) => String::new(),
        (false, _) => format!("\"{}\"", text.replace('"', "\"\"")),
    };
    let mut header: Vec<&str> = columns(format).map(|(name, _)| name).collect();
    header.extend([TIME, USAGE, COST].map(|spelled| spelled[names(format)]));
    if cur2 {
        header.extend(["bill_payer_account_name", "product", "resource_tags"]);
    }
    let mut out = header.join(",");
    for row in rows {
        let mut cells: Vec<String> = columns(format).map(|(_, value)| cell(value(row))).collect();
        cells.extend([row.start(), row.usage.to_string(), row.cost.clone()]);
        if cur2 {
            cells.push("payer".to_owned());
            cells.push(cell(format!("{{\"product_name\":\"{}\",\"region\":\"us-east-1\"}}", row.name)));
            cells.push(cell("{\"user_team\":\"a, b\"}".to_owned()));
        }
        out.push('\n');
        out.push_str(&cells.join(","));
    }
    out.push('\n');
    out
}

#[expect(clippy::disallowed_types, reason = "Parquet exports carry amounts as binary numbers")]
fn parquet(rows: &[Row], format: Format, path: &Path) {
    let at = names(format);
    let mut all: Vec<(&str, ArrayRef)> = columns(format)
        .map(|(name, value)| {
            let texts: StringArray =
                rows.iter().map(|row| Some(value(row)).filter(|text| !text.is_empty())).collect();
            (name, Arc::new(texts) as ArrayRef)
        })
        .collect();
    let millis = |row: &Row| 1_790_812_800_000 + i64::from(row.day - 1) * 86_400_000 + 18_000_000;
    let times: TimestampMillisecondArray = rows.iter().map(|row| Some(millis(row))).collect();
    let usage: Float64Array = rows.iter().map(|row| Some(f64::from(row.usage))).collect();
    let cost: Float64Array = rows.iter().map(|row| row.cost.parse::<f64>().ok()).collect();
    all.push((TIME[at], Arc::new(times)));
    all.push((USAGE[at], Arc::new(usage)));
    all.push((COST[at], Arc::new(cost)));
    if format == Format::Cur2Parquet {
        let mut product = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in rows {
            for (key, value) in [("product_name", row.name), ("region", "us-east-1")] {
                product.keys().append_value(key);
                product.values().append_value(value);
            }
            product.append(true).unwrap();
        }
        all.push(("product", Arc::new(product.finish())));
        all.push(("bill_payer_account_name", Arc::new(StringArray::from(vec!["payer"; rows.len()]))));
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(all.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(150)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
