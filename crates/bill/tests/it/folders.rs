//! Folders: deliveries of several files, other files beside them, two formats, two deliveries.

use std::fs;

use costlens_bill::BillError;

use super::generator::{self, Format};
use super::read;

#[tokio::test]
async fn a_delivery_of_several_files_is_one_bill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("export/data/BILLING_PERIOD=2026-10");
    let other = folder.path().join("export/data/BILLING_PERIOD=2026-11");
    let notes = folder.path().join("export/metadata/BILLING_PERIOD=2026-10");
    for each in [&data, &other, &notes] {
        fs::create_dir_all(each).unwrap();
    }
    let (a, b, c) = (generator::rows(1, 90), generator::rows(2, 70), generator::rows(3, 40));
    generator::write(&a, Format::Cur2Parquet, &data.join("export-00001.snappy.parquet"));
    generator::write(&b, Format::Cur2Parquet, &data.join("export-00002.snappy.parquet"));
    generator::write(&c, Format::Cur2CsvGz, &other.join("export-00001.csv.gz"));
    fs::write(notes.join("export-Manifest.json"), "{}").unwrap();
    fs::write(folder.path().join("README.txt"), "notes").unwrap();
    let report = read(folder.path().to_path_buf()).await.unwrap();
    let all: Vec<_> = [a, b, c].concat();
    assert_eq!(report.files.len(), 3);
    assert_eq!(report.skipped, ["README.txt"]);
    generator::assert_totals(&report, &all);
}

#[tokio::test]
async fn names_that_look_like_patterns_or_urls_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let rows = generator::rows(4, 30);
    for name in ["a b*?[1].parquet", "50%25 (copy).parquet", "file:x.parquet"] {
        let path = folder.path().join(name);
        generator::write(&rows, Format::Cur2Parquet, &path);
        generator::assert_totals(&read(path).await.unwrap(), &rows);
    }
}

#[tokio::test]
async fn two_formats_and_two_deliveries_are_not_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let rows = generator::rows(5, 20);
    generator::write(&rows, Format::Cur2Parquet, &folder.path().join("a.parquet"));
    generator::write(&rows, Format::FocusCsv, &folder.path().join("b.csv"));
    let error = read(folder.path().to_path_buf()).await.expect_err("two formats");
    assert!(matches!(error, BillError::MixedFormats { .. }), "{error}");

    let folder = tempfile::tempdir().unwrap();
    for assembly in ["one", "two"] {
        let below = folder.path().join("report/20261001-20261101").join(assembly);
        fs::create_dir_all(&below).unwrap();
        generator::write(&rows, Format::LegacyCsvGz, &below.join("report-1.csv.gz"));
    }
    let error = read(folder.path().to_path_buf()).await.expect_err("two deliveries");
    assert!(matches!(error, BillError::TwoDeliveries { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_folder_and_a_missing_file_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path().to_path_buf()).await.expect_err("empty");
    assert!(matches!(error, BillError::NothingFound { .. }), "{error}");
    let error = read(folder.path().join("none.csv")).await.expect_err("missing");
    assert!(matches!(error, BillError::Open { .. }), "{error}");
}
