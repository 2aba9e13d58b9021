//! Folders: deliveries of several files, other files beside them, two formats, two deliveries.

use std::fs;

use costlens_bill::BillError;

use super::generator::{self, Format};
use super::{read, read_all};

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
async fn two_deliveries_are_noticed_in_the_period_s_own_folder_and_as_two_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let rows = generator::rows(6, 20);
    let period = folder.path().join("data/BILLING_PERIOD=2026-10");
    let assemblies = ["one", "two"].map(|assembly| period.join(assembly));
    for below in &assemblies {
        fs::create_dir_all(below).unwrap();
        generator::write(&rows, Format::Cur2Parquet, &below.join("export-00001.snappy.parquet"));
    }
    let error = read(period).await.expect_err("two deliveries");
    assert!(matches!(error, BillError::TwoDeliveries { .. }), "{error}");
    let error = read_all(&assemblies).await.expect_err("two deliveries");
    assert!(matches!(error, BillError::TwoDeliveries { .. }), "{error}");
}

#[tokio::test]
async fn two_exports_of_one_period_are_not_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let rows = generator::rows(8, 20);
    for export in ["hourly", "daily"] {
        let below = folder.path().join(export).join("data/BILLING_PERIOD=2026-10");
        fs::create_dir_all(&below).unwrap();
        generator::write(&rows, Format::Cur2Parquet, &below.join("export-00001.snappy.parquet"));
    }
    let error = read(folder.path().to_path_buf()).await.expect_err("two exports");
    assert!(matches!(error, BillError::TwoDeliveries { .. }), "{error}");
    generator::assert_totals(&read(folder.path().join("daily")).await.unwrap(), &rows);
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_not_left_out() {
    let rows = generator::rows(7, 40);
    for (name, bytes) in [
        ("export-00002.csv.gz", &[0x1e, 0x8b, 8, 0, 0xff, 0xfe][..]),
        ("export-00002.csv.gz", &[]),
        ("export-00002.snappy.parquet", &[]),
        ("notes.csv", b"name,note\nAnn,hello\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        generator::write(&rows, Format::Cur2CsvGz, &folder.path().join("export-00001.csv.gz"));
        fs::write(folder.path().join(name), bytes).unwrap();
        let error = read(folder.path().to_path_buf()).await.expect_err(name);
        assert!(matches!(&error, BillError::UnknownFormat { file, .. } if file == name), "{error}");
    }
}

#[tokio::test]
async fn a_line_of_a_neighbouring_month_does_not_make_a_bill_one_of_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv");
    let header = "lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/CurrencyCode,lineItem/UnblendedCost";
    let line = |day: &str| format!("1,Usage,{day}T00:00:00Z,AmazonS3,x,USD,1.5\n");
    let mut text = format!("{header}\n{}", line("2026-10-31"));
    for day in 1..=30 {
        text += &line(&format!("2026-11-{day:02}")).repeat(2);
    }
    fs::write(&path, text).unwrap();
    let report = read(path).await.unwrap();
    let november = chrono::NaiveDate::from_ymd_opt(2026, 11, 1);
    assert_eq!(report.months, november.zip(november));
    assert_eq!(report.first_day, chrono::NaiveDate::from_ymd_opt(2026, 10, 31));
}

#[tokio::test]
async fn an_empty_folder_and_a_missing_file_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path().to_path_buf()).await.expect_err("empty");
    assert!(matches!(error, BillError::NothingFound { .. }), "{error}");
    let error = read(folder.path().join("none.csv")).await.expect_err("missing");
    assert!(matches!(error, BillError::Open { .. }), "{error}");
}
