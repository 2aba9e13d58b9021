//! Bills come back as they were read, add up as the report's own sums, and replace their older versions.

use std::sync::Arc;

use chrono::NaiveDate;
use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, Dimension, Measure, OtherCosts, ReportFile, ReportFormat, breakdown,
};
use costlens_domain::classify::{LineKey, RULES_VERSION, Verdict, classify};
use costlens_domain::money::parse_decimal;
use costlens_domain::{BillId, Currency};
use rust_decimal::Decimal;

use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{BillFilter, NewBill, StoreError};

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, day).unwrap()
}

fn amount(text: &str) -> Decimal {
    parse_decimal(text).unwrap()
}

pub(super) fn fact(n: u32, cost: &str, currency: Currency) -> DailyFact {
    let key = LineKey {
        product_code: "AmazonBedrock",
        usage_type: "USE1-Claude4.5Sonnet-input-tokens",
        pricing_unit: "1K tokens",
        line_item_type: "Usage",
        billing_entity: "AWS",
        ..LineKey::default()
    };
    DailyFact {
        day: day(1 + n % 3),
        billing_account: "111111111111".into(),
        usage_account: format!("22222222222{}", n % 4).into(),
        region: if n.is_multiple_of(2) { "us-east-1" } else { "eu-central-1" }.into(),
        billing_entity: "AWS".into(),
        product_code: "AmazonBedrock".into(),
        product_name: "Amazon Bedrock".into(),
        usage_type: key.usage_type.into(),
        operation: "InvokeModelInference".into(),
        principal: "".into(),
        line_item_type: "Usage".into(),
        currency,
        class: Arc::new(classify(&key)),
        pricing_unit: "1K tokens".into(),
        usage_quantity: amount("1.5"),
        tokens: (!n.is_multiple_of(5)).then(|| amount("1500")),
        unblended: amount(cost),
        net_unblended: amount(cost) - amount("0.0001"),
        amortised: Some(amount(cost) + amount("0.0002")),
        net_amortised: Some(amount(cost) + amount("0.00015")),
        // A few lines do not say it.
        list: (n % 700 != 699).then(|| amount(cost) + amount("0.5")),
        lines: 3,
    }
}

/// An hour of an instance, for so many dollars.
pub(super) fn on_instance(instance: &str, cost: &str) -> DailyFact {
    let usage_type = format!("USE1-BoxUsage:{instance}");
    let key = LineKey {
        product_code: "AmazonEC2",
        usage_type: &usage_type,
        pricing_unit: "Hrs",
        line_item_type: "Usage",
        billing_entity: "AWS",
        ..LineKey::default()
    };
    DailyFact { class: Arc::new(classify(&key)), tokens: None, ..fact(1, cost, Currency::USD) }
}

pub(super) fn report(facts: Vec<DailyFact>) -> BillReport {
    let total = |currency, unblended: &str| ControlTotal {
        line_item_type: "Usage".into(),
        currency,
        lines: 7,
        lines_without_cost: 1,
        unblended: amount(unblended),
        split_cost: amount("0"),
        ai: amount("1.25"),
        candidate: amount("-0.5"),
        ai_costs: OtherCosts {
            net_unblended: Some(amount("1.2")),
            amortised: Some(amount("1.15")),
            net_amortised: Some(amount("1.1000000001")),
            list: None,
        },
        candidate_costs: OtherCosts { list: Some(amount("0.25")), ..OtherCosts::UNKNOWN },
    };
    BillReport {
        format: ReportFormat::Cur2,
        files: vec![ReportFile { name: "a.parquet".to_owned(), size_bytes: 12 }],
        lines: 14,
        first_day: Some(day(1)),
        last_day: Some(day(3)),
        months: Some((day(1), day(1))),
        has_invoices: false,
        rules_version: RULES_VERSION,
        totals: vec![total("EUR".parse().unwrap(), "9.00000001"), total(Currency::USD, "1.81E-8")],
        facts,
        resources: Vec::new(),
        unknown_line_types: vec!["Odd".into()],
        skipped: vec!["notes.txt".to_owned()],
    }
}

pub(super) const PAYER: &str = "111111111111";

/// October with a dollar amount of each of these accounts and their payers.
pub(super) fn october_of(lines: &[(&str, &str, &str)]) -> BillReport {
    let facts = lines.iter().map(|(payer, account, cost)| DailyFact {
        billing_account: (*payer).into(),
        usage_account: (*account).into(),
        ..fact(1, cost, Currency::USD)
    });
    report(facts.collect())
}

/// October with one fact of so many dollars.
pub(super) fn usd_report(cost: &str) -> BillReport {
    report(vec![fact(0, cost, Currency::USD)])
}

pub(super) fn new_bill(name: &str, second: i64) -> NewBill {
    NewBill { id: BillId::new(at(second), unlike_bytes()), name: name.to_owned(), created_at: at(second) }
}

#[tokio::test]
async fn a_bill_comes_back_and_adds_up_as_the_report_did() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let euro: Currency = "EUR".parse().unwrap();
    let facts: Vec<_> = (0..2_500)
        .map(|n| fact(n, &format!("{}.{n:09}", n % 17), if n % 3 == 0 { euro } else { Currency::USD }))
        .collect();
    let report = report(facts);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let new = new_bill("october", 0);
    let bill = conn.import_bill(&new, &report).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!((bill.format, bill.lines, bill.superseded_at), (ReportFormat::Cur2, 14, None));
    assert_eq!((bill.files, bill.unknown_line_types), (report.files.clone(), vec!["Odd".to_owned()]));

    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill_totals(new.id).await.unwrap(), report.totals);
    let of_bill = BillFilter { bill_id: Some(new.id), ..BillFilter::default() };
    let dimensions = [
        Dimension::Service,
        Dimension::Category,
        Dimension::Model,
        Dimension::Meter,
        Dimension::Account,
        Dimension::Region,
        Dimension::Principal,
        Dimension::Tier,
        Dimension::Routing,
        Dimension::InstanceType,
        Dimension::Accelerator,
        Dimension::Day,
    ];
    for dimension in dimensions {
        for measure in Measure::ALL {
            let sums = conn.bill_breakdown(&of_bill, dimension, measure, 100).await.unwrap();
            assert_eq!(sums, breakdown(&report.facts, dimension, measure), "{dimension:?} {measure:?}");
        }
    }
    let capped = conn.bill_breakdown(&of_bill, Dimension::Account, Measure::Unblended, 1).await.unwrap();
    assert_eq!(capped.iter().map(|slice| slice.currency).collect::<Vec<_>>(), [euro, Currency::USD]);
    let one_day = BillFilter { from: Some(day(2)), to: Some(day(3)), verdict: Some(Verdict::Ai), ..of_bill };
    let points = conn.bill_series(&one_day, None, Measure::Unblended).await.unwrap();
    assert!(points.iter().all(|point| point.day == day(2) && point.group.is_none()), "{points:?}");
    let expected: Decimal =
        report.facts.iter().filter(|fact| fact.day == day(2)).map(|fact| fact.unblended).sum();
    assert_eq!(points.iter().map(|point| point.cost.unwrap()).sum::<Decimal>(), expected);
    let none = BillFilter { verdict: Some(Verdict::Candidate), ..of_bill };
    assert_eq!(conn.bill_series(&none, Some(Dimension::Model), Measure::Unblended).await.unwrap(), []);
}

#[tokio::test]
async fn accelerated_instances_add_up_by_type_and_by_what_is_in_them() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    // Two sizes of one accelerator, one that is shared, one that no table knows, and what is no instance at all.
    let instances = ["p5.48xlarge", "p5.48xlarge", "p5.4xlarge", "g6f.xlarge", "p9.48xlarge"];
    let on = |instance: &str| on_instance(instance, "10");
    let mut facts: Vec<DailyFact> = instances.into_iter().map(on).collect();
    facts.push(fact(0, "3", Currency::USD));
    let report = report(facts);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let new = new_bill("october", 0);
    conn.import_bill(&new, &report).await.unwrap();
    let candidates =
        BillFilter { bill_id: Some(new.id), verdict: Some(Verdict::Candidate), ..BillFilter::default() };
    for (dimension, expected) in [
        (
            Dimension::InstanceType,
            [("p5.48xlarge", 20), ("g6f.xlarge", 10), ("p5.4xlarge", 10), ("p9.48xlarge", 10)],
        ),
        (Dimension::Accelerator, [("8 × H100", 20), ("", 10), ("1 × H100", 10), ("L4 (shared)", 10)]),
    ] {
        let sums = conn.bill_breakdown(&candidates, dimension, Measure::Unblended, 10).await.unwrap();
        let found: Vec<_> = sums.iter().map(|slice| (slice.key.as_str(), slice.cost.unwrap())).collect();
        let expected = expected.map(|(key, dollars)| (key, Decimal::from(dollars)));
        assert_eq!(found, expected, "{dimension:?}");
        let of_facts = report.facts.iter().filter(|fact| fact.class.verdict == Verdict::Candidate);
        assert_eq!(sums, breakdown(of_facts, dimension, Measure::Unblended), "{dimension:?}");
    }
}

#[tokio::test]
async fn a_sum_with_a_part_that_nobody_knows_is_unknown_and_stands_last() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    // As a fact that was kept before a measure was read, or of a commitment whose worth no line tells; and beside it some of
    // another account.
    let old = DailyFact { amortised: None, net_amortised: None, list: None, ..fact(0, "100", Currency::USD) };
    let report = report(vec![old, fact(1, "7", Currency::USD), fact(5, "2", Currency::USD)]);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let new = new_bill("october", 0);
    conn.import_bill(&new, &report).await.unwrap();
    let of_bill = BillFilter { bill_id: Some(new.id), ..BillFilter::default() };
    for (measure, other) in
        [(Measure::Amortised, "9.0004"), (Measure::NetAmortised, "9.0003"), (Measure::List, "10")]
    {
        let slices = conn.bill_breakdown(&of_bill, Dimension::Account, measure, 10).await.unwrap();
        let told: Vec<_> = slices.iter().map(|slice| (slice.key.as_str(), slice.cost)).collect();
        assert_eq!(told, [("222222222221", Some(amount(other))), ("222222222220", None)], "{measure}");
        // The unknown one has no tokens, so nothing that is billed by tokens is unknown.
        assert_eq!(slices[1].token_cost, Some(Decimal::ZERO));
        let days = conn.bill_series(&of_bill, None, measure).await.unwrap();
        let known: Vec<_> = days.iter().map(|point| (point.day, point.cost.is_some())).collect();
        assert_eq!(known, [(day(1), false), (day(2), true), (day(3), true)], "{measure}");
        let whole = conn.bill_breakdown(&of_bill, Dimension::Service, measure, 10).await.unwrap();
        assert_eq!((whole.len(), whole[0].cost), (1, None), "{measure}");
    }
    let facts = conn.bill_facts(Some(new.id), day(1), 10).await.unwrap();
    let costs = |facts: &[DailyFact]| -> Vec<_> {
        facts.iter().map(|fact| (fact.amortised, fact.net_amortised, fact.list)).collect()
    };
    assert_eq!(costs(&facts), costs(&report.facts));
}

#[tokio::test]
async fn the_months_of_a_bill_are_those_of_its_lines_and_of_very_many_the_latest() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let days = ["2019-03-31", "2026-09-30", "2026-10-01", "2026-10-31"];
    let facts = days.map(|day| DailyFact { day: day.parse().unwrap(), ..fact(0, "1", Currency::USD) });
    let new = new_bill("long", 0);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.import_bill(&new, &report(facts.to_vec())).await.unwrap();
    let months = conn.months_of_bill(new.id, 9).await.unwrap();
    let told: Vec<String> = months.iter().map(NaiveDate::to_string).collect();
    assert_eq!(told, ["2019-03-01", "2026-09-01", "2026-10-01"]);
    let latest = conn.months_of_bill(new.id, 1).await.unwrap();
    assert_eq!(latest.into_iter().collect::<Vec<_>>(), [NaiveDate::from_ymd_opt(2026, 10, 1).unwrap()]);
}

#[tokio::test]
async fn a_newer_delivery_of_a_month_counts_in_the_place_of_the_older() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await, actor(&db, "globex").await);
    let (old, new, other) = (new_bill("first", 0), new_bill("second", 1), new_bill("november", 2));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.import_bill(&old, &report(vec![fact(0, "1", Currency::USD)])).await.unwrap();
    conn.import_bill(&new, &report(vec![fact(0, "2", Currency::USD)])).await.unwrap();
    let november = BillReport {
        months: NaiveDate::from_ymd_opt(2026, 11, 1).map(|month| (month, month)),
        ..report(vec![fact(1, "4", Currency::USD)])
    };
    conn.import_bill(&other, &november).await.unwrap();
    conn.commit().await.unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let bills = conn.list_bills(None, 50).await.unwrap();
    let shown: Vec<_> = bills.iter().map(|bill| (bill.id, bill.superseded_at)).collect();
    assert_eq!(shown, [(other.id, None), (new.id, None), (old.id, Some(at(1)))]);
    assert_eq!(conn.list_bills(Some(other.id), 1).await.unwrap().len(), 1);
    let sum = async |conn: &mut crate::TenantConn, filter: BillFilter| {
        let points = conn.bill_series(&filter, None, Measure::Unblended).await.unwrap();
        points.iter().map(|point| point.cost.unwrap()).sum::<Decimal>()
    };
    assert_eq!(sum(&mut conn, BillFilter::default()).await, amount("6"));
    assert_eq!(
        sum(&mut conn, BillFilter { bill_id: Some(old.id), ..BillFilter::default() }).await,
        amount("1")
    );
    let mut theirs = db.store().tenant(globex.tenant).await.unwrap();
    assert!(matches!(theirs.bill(new.id).await, Err(StoreError::NotFound)));
    assert_eq!(theirs.bill_totals(new.id).await.unwrap(), []);
    assert_eq!(
        sum(&mut theirs, BillFilter { bill_id: Some(new.id), ..BillFilter::default() }).await,
        Decimal::ZERO
    );
}
