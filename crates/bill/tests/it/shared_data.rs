//! Real and generated bills that lie beside the checkout on some machines; skipped where they do not.
//!
//! `scripts/check-bills` holds the same files against DuckDB and Python, line-item type by line-item type.

use std::path::PathBuf;

use costlens_bill::BillError;
use rust_decimal::Decimal;

use super::read;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not on this machine", path.display());
    None
}

async fn totals(path: PathBuf) -> Vec<(String, u64, Decimal)> {
    let report = read(path).await.unwrap();
    report
        .totals
        .iter()
        .map(|total| (total.line_item_type.to_string(), total.lines, total.unblended))
        .collect()
}

fn told(figures: &[(&str, u64, &str)]) -> Vec<(String, u64, Decimal)> {
    figures.iter().map(|(kind, lines, sum)| ((*kind).to_owned(), *lines, sum.parse().unwrap())).collect()
}

/// The sums are DuckDB's, of the same files, as exact decimals.
#[tokio::test]
async fn the_shared_bills_agree_with_an_independent_sum() {
    if let Some(path) = data("legacy-cur/focus_converters_aws_cur_anon.csv.gz") {
        assert_eq!(totals(path).await, told(&[("Tax", 12, "0.08"), ("Usage", 1269, "1.6023086974")]));
    }
    if let Some(path) = data("focus/focus_1.0_sample.csv.gz") {
        let wanted = [("Adjustment", 2, "0.272"), ("Credit", 1, "-2.6137"), ("Usage", 997, "22.86192672899")];
        assert_eq!(totals(path).await, told(&wanted));
    }
    if let Some(path) = data("cur2/costlens-cur2") {
        let wanted = [
            ("Credit", 20, "-18.3761471929"),
            ("DiscountedUsage", 1932, "13448.0113889276"),
            ("Refund", 10, "-144.3454137734"),
            ("SavingsPlanCoveredUsage", 8771, "85098.6237472613"),
            ("Tax", 45, "31.4134733444"),
            ("Usage", 49222, "129389.4339498518"),
        ];
        assert_eq!(totals(path).await, told(&wanted));
    }
}

#[tokio::test]
async fn the_shared_bill_without_costs_says_so() {
    if let Some(path) = data("legacy-cur/fivetran_aws_cost_report.csv") {
        let error = read(path).await.expect_err("no cost");
        assert!(matches!(error, BillError::NoCost { .. }), "{error}");
    }
}
