//! What people and programs read for a small bill.

use super::{csv, html, json, text};
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

/// Walks over a page's tags: every one that opens is closed, and no attribute and no style names a place outside.
fn check_page(page: &str) -> Vec<String> {
    const ALONE: [&str; 4] = ["meta", "!doctype", "rect", "line"];
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').expect("a tag that is closed");
        let name = tag.split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
        assert!(
            !["script", "link", "img", "iframe", "object", "base", "form", "a"].contains(&name.as_str()),
            "{tag}"
        );
        for attribute in ["src=", "href=", "srcset=", "action=", " on", "style="] {
            assert!(!tag.contains(attribute), "{tag}");
        }
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "{tag}"),
            None if tag.ends_with('/') || (ALONE.contains(&name.as_str()) && name != "rect") => {}
            None => open.push(name.clone()),
        }
        seen.push(name);
        rest = after;
    }
    assert!(open.is_empty(), "{open:?}");
    for outside in ["://", "url(", "@import", "javascript:"] {
        assert!(!page.contains(outside), "{outside}");
    }
    seen
}

#[tokio::test]
async fn a_page_stands_alone_and_shows_what_the_bill_says_and_proves() {
    let mut report = report().await;
    // A bill may carry anything, and a page says what it carries instead of doing it.
    let mut evil = report.facts[0].clone();
    let hostile = "</td><script src=https://evil.example/x.js></script><img src=x onerror=\"alert('1')\">";
    evil.principal = hostile.replace("://", ":").into();
    report.facts.push(evil);
    let mut out = Vec::new();
    html::write(&report, Measure::Unblended, 10, &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    let tags = check_page(&page);
    assert!(tags.iter().filter(|tag| *tag == "svg").count() >= 4, "{tags:?}");
    assert!(page.contains("&lt;script src=https:evil.example/x.js&gt;"), "{page}");
    for said in ["nova-pro", "$100.00", "EUR 3.00", "What could be saved", "default-src 'none'"] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
}

#[tokio::test]
async fn a_page_recommends_what_its_bill_proves() {
    let mut report = report().await;
    let day = |n: u32| chrono::NaiveDate::from_ymd_opt(2026, 10, n).unwrap();
    let gpu = report.facts.iter().find(|fact| fact.class.instance_type.is_some()).unwrap().clone();
    report.facts.clear();
    for n in 1..=31 {
        let mut fact = gpu.clone();
        fact.day = day(n);
        fact.usage_quantity = 24.into();
        (fact.unblended, fact.amortised) = (1500.into(), Some(1500.into()));
        // What could be saved is told of what is left after private discounts.
        fact.net_amortised = Some(1320.into());
        report.facts.push(fact);
    }
    report.last_day = Some(day(31));
    let mut out = Vec::new();
    html::write(&report, Measure::Unblended, 10, &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    check_page(&page);
    assert!(page.contains("Commit to what of these instances is used every day."), "{page}");
    // A quarter of thirty days at 1,320 dollars.
    assert!(page.contains("$9,900.00 in thirty days"), "{page}");
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

/// The same bill with a private discount, a Savings Plan and list prices.
const COMMITTED: &str = "\
bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/NetUnblendedCost,pricing/publicOnDemandCost,savingsPlan/SavingsPlanEffectiveCost,savingsPlan/NetSavingsPlanEffectiveCost,pricing/unit
1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,1000,USD,8,7.2,10,,,1K tokens
1,2,SavingsPlanCoveredUsage,2026-10-02T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,24,USD,20,20,20,14,12.6,Hrs
1,2,SavingsPlanNegation,2026-10-02T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,24,USD,-20,-20,,,,Hrs
";

async fn committed() -> BillReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv");
    std::fs::write(&path, COMMITTED).unwrap();
    read_bill(&[path], &ReadOptions::default(), &NoProgress).await.unwrap()
}

fn text_of(report: &BillReport, measure: Measure) -> Vec<String> {
    let mut out = Vec::new();
    text::write(report, measure, 10, text::Style { bold: false }, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn each_cost_is_told_and_the_chosen_one_is_what_adds_up_below() {
    let report = committed().await;
    let told = text_of(&report, Measure::NetAmortised);
    for line in [
        "AI, net $7.20",
        "AI, amortised $22.00",
        "AI, net amortised $19.80 what the breakdowns below add up",
        "AI, list price $30.00",
        "sagemaker $12.60 63.6 %",
        "bedrock $7.20 36.4 % 1.00 M $7.20",
    ] {
        assert!(told.iter().any(|one| one == line), "{line:?} is not in {told:#?}");
    }
    let mut page = Vec::new();
    html::write(&report, Measure::List, 10, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    check_page(&page);
    let said = "as billed $8.00, net $7.20, amortised $22.00, net amortised $19.80, list price $30.00.";
    assert!(page.contains(said) && page.contains("$20.00"), "{page}");
    let mut cells = Vec::new();
    csv::write(&report.facts, &mut cells).unwrap();
    let cells = String::from_utf8(cells).unwrap();
    let ends: Vec<&str> = cells.lines().map(|line| line.splitn(27, ',').last().unwrap()).collect();
    assert_eq!(ends[0], "unblended,net_unblended,amortised,net_amortised,list,lines");
    assert!(ends.contains(&"20,20,14,12.6,20,1") && ends.contains(&"-20,-20,0,0,0,1"), "{ends:?}");
}

#[tokio::test]
async fn what_a_bill_does_not_tell_is_called_unknown_everywhere() {
    let report = report().await;
    let told = text_of(&report, Measure::List);
    assert!(
        told.iter().any(|one| one == "AI, list price unknown what the breakdowns below add up"),
        "{told:#?}"
    );
    assert!(told.iter().any(|one| one == "bedrock unknown – 5.00 M"), "{told:#?}");
    let mut page = Vec::new();
    html::write(&report, Measure::List, 10, &mut page).unwrap();
    assert!(String::from_utf8(page).unwrap().contains("list price unknown"));
    let mut out = Vec::new();
    json::write(&report, Measure::List, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&json["cost"], &json["by_service"][0]["cost"]), (&"list".into(), &serde_json::Value::Null));
    assert_eq!(json["currencies"][1]["ai_costs"]["list"], serde_json::Value::Null);
    let net = json["currencies"][1]["ai_costs"]["net_amortised"].as_str().unwrap();
    assert_eq!(net.parse::<rust_decimal::Decimal>().unwrap(), "4.5".parse().unwrap());
    let mut cells = Vec::new();
    csv::write(&report.facts, &mut cells).unwrap();
    let cells = String::from_utf8(cells).unwrap();
    assert!(cells.lines().any(|line| line.ends_with("4,4,4,4,,1")), "{cells}");
}
