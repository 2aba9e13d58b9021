//! The dearest resources, and that it does not matter whether memory holds all of them.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use costlens_bill::{Progress, ReadOptions, read_bill};
use costlens_domain::bill::{BillReport, ResourceCost};
use costlens_domain::classify::Verdict;
use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;

/// Too little for the resources of [`many`], and enough for a query over them that spills.
const LITTLE: usize = 24 << 20;

const HEADER: &str = "bill_payer_account_id,line_item_usage_account_id,line_item_line_item_type,line_item_usage_start_date,\
     line_item_product_code,line_item_usage_type,line_item_operation,line_item_line_item_description,\
     line_item_currency_code,line_item_unblended_cost,line_item_usage_amount,line_item_resource_id,product_region_code\n";

fn line(out: &mut String, product: &str, usage_type: &str, currency: &str, cost: &str, resource: &str) {
    writeln!(
        out,
        "111122223333,444455556666,Usage,2026-10-03T00:00:00Z,{product},{usage_type},RunInstances,as used,{currency},{cost},1,\
         {resource},us-east-1"
    )
    .unwrap();
}

/// Endpoints with a long name each, dearer ones first; and what must not be among them.
fn many(endpoints: u32) -> String {
    let mut out = HEADER.to_owned();
    let host = |out: &mut String, n: u32, cost: &str| {
        let name = format!("arn:aws:sagemaker:us-east-1:444455556666:endpoint/{n:0>300}");
        line(out, "AmazonSageMaker", "USE1-Host:ml.g5.xlarge", "USD", cost, &name);
    };
    for n in 0..endpoints {
        host(&mut out, n, &format!("{}.25", endpoints - n));
    }
    // Of the dearest there is a second line, which makes the third the second.
    host(&mut out, 2, "1.5");
    host(&mut out, endpoints, "");
    line(&mut out, "AmazonEC2", "BoxUsage:p5.48xlarge", "USD", "70000", "i-gpu");
    line(&mut out, "AmazonEC2", "BoxUsage:m5.large", "USD", "90000", "i-plain");
    line(&mut out, "AmazonS3", "TimedStorage-ByteHrs", "USD", "90000", "a-bucket");
    line(&mut out, "AmazonEC2", "BoxUsage:p5.48xlarge", "EUR", "3", "i-gpu");
    out
}

/// Whether a query was needed.
#[derive(Default)]
struct Queried(AtomicBool);

impl Progress for Queried {
    fn advance(&self, step: &str, _permille: u16) {
        self.0.fetch_or(step == "finding the dearest resources", Ordering::Relaxed);
    }
}

/// The same lines as AWS' Parquet has them: amounts as binary numbers, and nothing where nothing is said.
fn as_parquet(text: &str, path: &Path) {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let columns = header.iter().enumerate().map(|(at, name)| {
        let cells = rows.iter().map(|row| Some(row[at]).filter(|cell| !cell.is_empty()));
        let is_amount = name.ends_with("_cost") || name.ends_with("_amount");
        let column: ArrayRef = if is_amount {
            Arc::new(cells.map(|cell| cell.map(|cell| cell.parse().unwrap())).collect::<Float64Array>())
        } else {
            Arc::new(cells.collect::<StringArray>())
        };
        (*name, column, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(20_000)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn read_and_tell(path: &Path, memory_bytes: usize) -> (BillReport, bool) {
    let options = ReadOptions { memory_bytes, top_resources: 4, ..ReadOptions::default() };
    let queried = Queried::default();
    let report = read_bill(&[path.to_owned()], &options, &queried).await.unwrap();
    (report, queried.0.into_inner())
}

fn told(resource: &ResourceCost) -> (&str, String, &str, u64) {
    let name = resource.resource_id.trim_start_matches("arn:aws:sagemaker:us-east-1:444455556666:endpoint/");
    let name = name.trim_start_matches('0');
    (name, format!("{} {}", resource.unblended, resource.currency), &resource.service, resource.lines)
}

#[tokio::test]
async fn the_dearest_are_the_same_whether_memory_holds_all_of_them_or_not() {
    let bill = many(50_000);
    let [held, queried] = held_and_queried(&bill).await;
    let said: Vec<_> = held.resources.iter().map(told).collect();
    assert_eq!(
        said,
        [
            ("i-gpu", "3 EUR".to_owned(), "ec2", 1),
            ("i-gpu", "70000 USD".to_owned(), "ec2", 1),
            ("", "50000.25 USD".to_owned(), "sagemaker", 1),
            ("2", "49999.75 USD".to_owned(), "sagemaker", 2),
            ("1", "49999.25 USD".to_owned(), "sagemaker", 1),
        ]
    );
    for resource in &held.resources {
        let may_be = &*resource.service == "ec2";
        assert_eq!(resource.verdict, if may_be { Verdict::Candidate } else { Verdict::Ai }, "{resource:?}");
    }
    assert_eq!(queried.resources, held.resources);
    assert_eq!(queried.facts, held.facts);
}

/// Reads it with room for all resources and without, as CSV; as Parquet it must say the same of them either way.
async fn held_and_queried(bill: &str) -> [BillReport; 2] {
    let folder = tempfile::tempdir().unwrap();
    let [csv, parquet] = ["bill.csv", "bill.parquet"].map(|name| folder.path().join(name));
    std::fs::write(&csv, bill).unwrap();
    let [held, queried] = both(&csv).await;
    as_parquet(bill, &parquet);
    for report in both(&parquet).await {
        assert_eq!(report.resources, held.resources);
    }
    [held, queried]
}

async fn both(path: &Path) -> [BillReport; 2] {
    let (held, was_queried) = read_and_tell(path, ReadOptions::default().memory_bytes).await;
    assert!(!was_queried, "memory did not hold them");
    let (queried, was_queried) = read_and_tell(path, LITTLE).await;
    assert!(was_queried, "memory held them all");
    [held, queried]
}

#[tokio::test]
async fn what_names_no_product_code_or_writes_its_currency_otherwise_is_found_all_the_same() {
    let mut bill = many(50_000);
    for (currency, cost) in [("GBP", "5"), ("gbp", "6"), ("GBP ", "7"), ("", "8")] {
        line(&mut bill, "AmazonTextract", "USE1-PagesforAnalyzeDocForms", currency, cost, "pages");
    }
    // FOCUS and some writers of CUR name the product alone.
    let named = bill.replace(",product_region_code\n", ",product_region_code,product_product_name\n");
    let named = named.replace(",us-east-1\n", ",us-east-1,\n")
        + "111122223333,444455556666,Usage,2026-10-03T00:00:00Z,,USE1-NovaPro-input-tokens,RunInstances,as used,USD,60000,1,nova,\
           us-east-1,Amazon Bedrock\n";
    let [held, queried] = held_and_queried(&named).await;
    let of = |report: &BillReport, name: &str| -> Vec<(String, u64)> {
        let found = report.resources.iter().filter(|one| &*one.resource_id == name);
        found.map(|one| (format!("{} {}", one.unblended, one.currency), one.lines)).collect()
    };
    assert_eq!(of(&held, "pages"), [("18 GBP".to_owned(), 3), ("8 XXX".to_owned(), 1)]);
    assert_eq!(of(&held, "nova"), [("60000 USD".to_owned(), 1)]);
    assert_eq!(queried.resources, held.resources);
}

#[tokio::test]
async fn of_many_currencies_those_of_most_lines_have_resources() {
    let mut bill = many(50_000);
    let code =
        |n: u32| -> String { [n / 26, n % 26].map(|n| char::from_u32(65 + n).unwrap()).iter().collect() };
    for n in 0..40 {
        for _ in 0..=n {
            let currency = format!("Q{}", code(n));
            line(&mut bill, "AmazonTextract", "USE1-PagesforAnalyzeDocForms", &currency, "1", "pages");
        }
    }
    let [held, queried] = held_and_queried(&bill).await;
    let currencies: std::collections::BTreeSet<_> = held.resources.iter().map(|one| one.currency).collect();
    assert_eq!(currencies.len(), 16);
    assert!(held.resources.iter().any(|one| one.currency.as_str() == "USD"), "which has nearly all lines");
    assert_eq!(queried.resources, held.resources);
}

#[tokio::test]
async fn a_made_up_bill_of_thousands_of_products_names_no_resources_beyond_what_memory_holds() {
    let mut bill = HEADER.replace(",product_region_code\n", ",product_region_code,product_product_name\n");
    for n in 0..12_000 {
        let name = format!("arn:aws:bedrock:us-east-1:444455556666:application-inference-profile/{n:0>1200}");
        let mut one = String::new();
        line(&mut one, &format!("seller{n}"), "USE1-MP:USE1_InputTokenCount-Units", "USD", "1", &name);
        bill.push_str(
            &one.replace(",us-east-1\n", ",us-east-1,Claude Sonnet 4.6 (Amazon Bedrock Edition)\n"),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv");
    std::fs::write(&path, bill).unwrap();
    let [held, queried] = both(&path).await;
    assert_eq!((held.resources.len(), queried.resources.len()), (4, 0));
    assert_eq!(queried.facts, held.facts);
}

#[tokio::test]
async fn services_that_share_a_product_code_are_told_apart() {
    let mut bill = "SubscriptionId,Date,ChargeType,MeterCategory,MeterSubCategory,MeterName,ProductName,PublisherName,Quantity,\
                    UnitOfMeasure,CostInBillingCurrency,BillingCurrency,ResourceId,ResourceLocation\n"
        .to_owned();
    let mut line = |category: &str, sub: &str, meter: &str, cost: u32, resource: &str| {
        writeln!(
            bill,
            "sub-1,10/03/2026,Usage,{category},{sub},{meter},{meter},Microsoft,1,1K,{cost},USD,{resource},eastus"
        )
        .unwrap();
    };
    for n in 0..50_000 {
        let name = format!("/subscriptions/1/{n:0>330}");
        line("Cognitive Services", "Azure OpenAI", "gpt-4o 0513 Input global Tokens", 50_000 - n, &name);
    }
    line("Cognitive Services", "Speech", "S1 Speech To Text", 70_000, "/subscriptions/1/speech");
    let [held, queried] = held_and_queried(&bill).await;
    let services: Vec<&str> = held.resources.iter().map(|one| &*one.service).collect();
    assert_eq!(services[0], "azure_speech", "{services:?}");
    assert_ne!(services[1], "azure_speech");
    assert_eq!(queried.resources, held.resources);
}

#[tokio::test]
async fn a_resource_of_several_products_of_a_service_is_one() {
    let mut bill = HEADER.to_owned();
    let (one, other) = ("5prodffvjxvh4ltq64aaaaaaa", "7zgyu5r4aaaaaaaaaaaaaaaaa");
    for (product, cost) in [(one, "1"), (other, "2"), ("AmazonBedrock", "4")] {
        let usage_type = if product == "AmazonBedrock" {
            "USE1-NovaPro-input-tokens"
        } else {
            "USE1-MP:USE1_InputTokenCount-Units"
        };
        line(
            &mut bill,
            product,
            usage_type,
            "USD",
            cost,
            "arn:aws:bedrock:us-east-1:444455556666:application-inference-profile/a",
        );
    }
    let report = crate::read_text("bill.csv", &bill).await.unwrap();
    let kept: Decimal =
        report.facts.iter().filter(|fact| fact.class.service == "bedrock").map(|fact| fact.unblended).sum();
    let sums: Vec<_> = report.resources.iter().filter(|one| &*one.service == "bedrock").collect();
    assert_eq!(sums.len(), 1, "{sums:?}");
    assert_eq!(sums[0].unblended, kept);
}
