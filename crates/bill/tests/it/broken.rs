//! Files that are truncated, corrupt, foreign or without a cost: each is an error that names the place.

use costlens_bill::BillError;

use super::generator::{self, Format};
use super::{read, read_text};

const HEADER: &str = "lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/CurrencyCode,lineItem/UnblendedCost";

#[tokio::test]
async fn a_truncated_file_of_any_format_is_refused() {
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format.file_name());
        generator::write(&generator::rows(7, 400), format, &path);
        let whole = std::fs::read(&path).unwrap();
        // A plain CSV may be cut between two lines without anybody noticing; here it is cut within one.
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = read(path).await.expect_err(format.file_name());
        assert!(
            matches!(&error, BillError::Corrupt { file, .. } if file == format.file_name()),
            "{format:?}: {error}"
        );
    }
}

#[tokio::test]
async fn flipped_bytes_in_parquet_name_the_row_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    generator::write(&generator::rows(7, 400), Format::Cur2Parquet, &path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 2000].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let error = read(path).await.expect_err("corrupt");
    let BillError::Corrupt { file, place, .. } = &error else { panic!("{error}") };
    assert_eq!(file, "bill.parquet");
    assert!(place.starts_with("in row group "), "{place}");
}

#[tokio::test]
async fn a_cell_that_is_no_amount_names_its_line() {
    let text = format!(
        "{HEADER}\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD,1.5\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD,oops\n"
    );
    let error = read_text("bill.csv", &text).await.expect_err("no amount");
    assert!(matches!(&error, BillError::Corrupt { place, .. } if place == "in line 3"), "{error}");
}

/// Lines of 2^63 units each, or of 2^63 dollars.
fn immense(lines: usize, units: &str, cost: &str) -> String {
    let line =
        format!("1,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,USD,{cost},{units}\n");
    format!("{HEADER},lineItem/UsageAmount\n{}", line.repeat(lines))
}

#[tokio::test]
async fn sums_that_no_bill_has_are_the_files_fault() {
    const IMMENSE: &str = "9223372036854775808";
    let report = read_text("bill.csv", &immense(18, IMMENSE, "1")).await.unwrap();
    assert_eq!(report.facts[0].usage_quantity.to_string(), "166020696663385964544", "strange, and a number");
    for (units, cost) in [(IMMENSE, "1"), ("1", IMMENSE)] {
        let error = read_text("bill.csv", &immense(19, units, cost)).await.expect_err("out of range");
        let BillError::Corrupt { file, reason, .. } = &error else { panic!("{error}") };
        assert_eq!((file.as_str(), reason.as_str()), ("bill.csv", "a sum is out of range"));
        // Each of two files is fine, and both are one bill: which is wrong depends on which comes first.
        let folder = tempfile::tempdir().unwrap();
        for name in ["one.csv", "two.csv"] {
            std::fs::write(folder.path().join(name), immense(10, units, cost)).unwrap();
        }
        let error = read(folder.path().to_owned()).await.expect_err("out of range");
        assert!(matches!(error, BillError::Corrupt { .. } | BillError::OutOfRange { .. }), "{error}");
    }
}

#[tokio::test]
async fn lines_of_days_to_come_are_read() {
    let text = format!(
        "{HEADER}\n1,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,USD,1\n\
         1,Usage,2999-12-31T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,USD,2\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    assert_eq!(report.last_day, chrono::NaiveDate::from_ymd_opt(2999, 12, 31));
    assert_eq!(report.facts.iter().map(|fact| fact.lines).sum::<u64>(), 2);
}

#[tokio::test]
async fn a_line_with_too_few_cells_is_refused() {
    let text = format!("{HEADER}\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD,1.5\n1,Usage\n");
    let error = read_text("bill.csv", &text).await.expect_err("a short line");
    assert!(matches!(&error, BillError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn what_would_fill_the_memory_is_refused_instead() {
    // A few kilobytes, packed, that would be given room for a hundred gigabytes.
    let header = format!("{HEADER}{}\n", ",".repeat(100_000));
    let error = read_text("bill.csv", &header).await.expect_err("too wide");
    let BillError::UnknownFormat { seen, .. } = &error else { panic!("{error}") };
    assert_eq!(seen, "more than 8000 columns");
    // A cell that never ends.
    let text = format!("{HEADER}\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,\"{}", "x".repeat(80 << 20));
    let error = read_text("bill.csv", &text).await.expect_err("too long");
    let BillError::Corrupt { place, reason, .. } = &error else { panic!("{error}") };
    assert!(place == "near line 2" && reason.contains("too long"), "{error}");
}

#[tokio::test]
async fn a_bill_without_a_cost_says_so() {
    let header = HEADER.replace(",lineItem/UnblendedCost", "");
    let text = format!("{header}\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD\n");
    let error = read_text("bill.csv", &text).await.expect_err("no column");
    assert!(matches!(&error, BillError::NoCost { reason, .. } if reason.contains("no column")), "{error}");

    let text = format!(
        "{HEADER}\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD,\n1,Usage,2026-10-01T00:00:00Z,AmazonS3,x,USD,NULL\n"
    );
    let error = read_text("bill.csv", &text).await.expect_err("no cost");
    assert!(matches!(&error, BillError::NoCost { reason, .. } if reason.contains("all 2 cells")), "{error}");
}

#[tokio::test]
async fn what_is_no_bill_is_named_by_what_was_seen() {
    for (name, text, seen) in [
        ("people.csv", "name,age\nx,1\n", "name, age"),
        ("empty.csv", "", "empty"),
        ("bill.zip", "PK\u{3}\u{4}rest", "zip"),
    ] {
        let error = read_text(name, text).await.expect_err(name);
        assert!(error.to_string().contains(seen), "{error}");
        assert!(matches!(error, BillError::UnknownFormat { .. }));
    }
    let error = read_text("bill.parquet", "hello").await.expect_err("no Parquet");
    assert!(matches!(error, BillError::Corrupt { .. }), "{error}");
}
