//! What people and programs read for a small bill.

use super::{json, text};
use costlens_bill::{NoProgress, ReadOptions, read_bill};
use costlens_domain::bill::{BillReport, Measure};

const BILL: &str = "\
identity/LineItemId,bill/BillingEntity,bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/LineItemDescription,product/regionCode,pricing/unit
a,AWS,1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,5000,USD,4.00,x,us-east-1,1K tokens
b,AWS,1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-Zebra9-input-tokens,1,USD,0.50,x,us-east-1,1K tokens
c,AWS,1,3,Usage,2026-10-02T00:00:00Z,AmazonEC2,USE1-BoxUsage:p5.48xlarge,1,USD,55,x,us-east-1,Hrs
d,AWS,1,3,Usage,2026-10-02T00:00:00Z,AmazonEC2,USE1-BoxUsage:m5.large,1,USD,40.50,x,us-east-1,Hrs
e,AWS,1,3,Usage,2026-10-02T00:00:00Z,AmazonBedrock,USE1-NovaPro-output-tokens,1000,EUR,3,x,eu-west-1,1K tokens
";

async fn report() -> BillReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv");
    std::fs::write(&path, BILL).unwrap();
    read_bill(&[path], &ReadOptions::default(), &NoProgress).await.unwrap()
}

#[tokio::test]
async fn a_person_reads_shares_rates_and_what_is_unclear() {
    let report = report().await;
    let mut out = Vec::new();
    text::write(&report, Measure::Unblended, 10, text::Style { bold: false }, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let has = |wanted: &[&str]| {
        let found =
            out.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == wanted.join(" "));
        assert!(found, "{wanted:?} is not in\n{out}");
    };
    has(&["AI $4.50 4.5 % of the bill"]);
    has(&["may be AI $55.00 55.0 % shown apart below"]);
    has(&["whole bill $100.00"]);
    has(&["nova-pro $4.00 88.9 % 5.00 M $0.80"]);
    has(&["AmazonBedrock USE1-Zebra9-input-tokens $0.50 1 lines"]);
    has(&["ec2 p5.48xlarge (8 × H100) $55.00 1.00 h"]);
    has(&["nova-pro EUR 3.00 100.0 % 1.00 M EUR 3.00"]);
    assert!(out.contains("2 currencies; they are never added up"));
    assert!(!out.contains('\u{1b}'), "a pipe carries no control codes");
}

#[tokio::test]
async fn a_program_reads_exact_amounts_as_text() {
    let report = report().await;
    let mut out = Vec::new();
    json::write(&report, Measure::Unblended, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["format"], "legacy_cur");
    assert_eq!(json["totals"].as_array().unwrap().len(), 2);
    let amount = json["currencies"][1]["total"].as_str().unwrap();
    assert_eq!(amount.parse::<rust_decimal::Decimal>().unwrap(), "100".parse().unwrap());
    assert_eq!(json["could_not_be_classified"][0]["usage_type"], "USE1-Zebra9-input-tokens");
}
