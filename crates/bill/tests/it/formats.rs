//! One generated bill in every format: the same sums, exactly, and the same AI.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use costlens_domain::bill::{Dimension, Measure, breakdown};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use rust_decimal::Decimal;

use super::generator::{self, Format};
use super::{read, read_text};

#[tokio::test]
async fn every_format_agrees_with_an_independent_sum() {
    let rows = generator::rows(1, 700);
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        // The name says nothing: the format is told from the content.
        let path = folder.path().join("bill");
        generator::write(&rows, format, &path);
        let report = read(path).await.unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(report.format, format.report(), "{format:?}");
        generator::assert_totals(&report, &rows);
    }
}

#[tokio::test]
async fn every_format_finds_the_same_ai() {
    let rows = generator::rows(3, 700);
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format.file_name());
        generator::write(&rows, format, &path);
        let report = read(path).await.unwrap();
        let found: BTreeMap<(String, String), Decimal> = breakdown(
            report.facts.iter().filter(|fact| fact.is_ai()),
            Dimension::Service,
            Measure::Unblended,
        )
        .into_iter()
        .map(|slice| ((slice.key, slice.currency.to_string()), slice.cost.unwrap().normalize()))
        .collect();
        assert_eq!(found, generator::expected_services(&rows), "{format:?}");
        let tokens: Decimal = report.facts.iter().filter_map(|fact| fact.tokens).sum();
        assert_eq!(tokens.normalize(), generator::expected_tokens(&rows), "{format:?}");
    }
}

#[tokio::test]
async fn whose_a_line_is_says_iam_s_principal_or_the_directory_s_user() {
    const COLUMNS: [&str; 9] = [
        "bill_payer_account_id",
        "line_item_line_item_type",
        "line_item_usage_start_date",
        "line_item_product_code",
        "line_item_usage_type",
        "line_item_unblended_cost",
        "line_item_iam_principal",
        "line_item_user_identifier",
        "line_item_resource_id",
    ];
    // The three that may say it, and who it is.
    let lines = [
        ("Kiro", "USE1-KiroEnterprise-Pro", ["", "user-1", "arn:aws:identitystore:::user/1"], "user-1"),
        (
            "Kiro",
            "USE1-KiroEnterprise-Credits",
            ["", "", "arn:aws:identitystore:::user/2"],
            "arn:aws:identitystore:::user/2",
        ),
        ("AmazonTextract", "USE1-PagesforOCR", ["", "", "arn:aws:textract:us-east-1:1:adapter/a"], ""),
        (
            "AmazonBedrock",
            "USE1-NovaPro-input-tokens",
            ["arn:aws:iam::1:role/app", "", "arn:aws:identitystore:::user/3"],
            "arn:aws:iam::1:role/app",
        ),
    ];
    let rows = lines.map(|(code, usage_type, [principal, user, resource], _)| {
        ["1", "Usage", "2026-10-01T00:00:00Z", code, usage_type, "1.5", principal, user, resource]
    });
    let expected: BTreeSet<(&str, &str)> =
        lines.iter().map(|(_, usage_type, _, who)| (*usage_type, *who)).collect();

    let text = std::iter::once(COLUMNS).chain(rows).map(|row| row.join(",") + "\n").collect::<String>();
    let csv = read_text("bill.csv", &text).await.unwrap();

    let columns = COLUMNS.iter().enumerate().map(|(at, name)| {
        let texts: StringArray =
            rows.iter().map(|row| Some(row[at]).filter(|text| !text.is_empty())).collect();
        (*name, Arc::new(texts) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let parquet = read(path).await.unwrap();

    for report in [csv, parquet] {
        let found: BTreeSet<(&str, &str)> =
            report.facts.iter().map(|fact| (&*fact.usage_type, &*fact.principal)).collect();
        assert_eq!(found, expected, "{:?}", report.format);
    }
}
