//! What commitments and private discounts do to findings: use that is paid ahead is neither free nor at another price.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{LineKey, classify};
use costlens_insight::anomalies::{self, DayRule};
use costlens_insight::basis::by_one_cost;
use costlens_insight::events::{self, Kind as EventKind};
use costlens_insight::forecast;
use costlens_insight::recommend::{self, Kind};
use rust_decimal::Decimal;

fn day(n: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).unwrap() + Days::new(n)
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A day of one instance, as billed and by what it really costs.
fn instance(day: NaiveDate, usage_type: &str, billed: &str, effective: &str) -> DailyFact {
    let key = LineKey {
        product_code: if usage_type.contains("Host") { "AmazonSageMaker" } else { "AmazonEC2" },
        usage_type,
        pricing_unit: "Hrs",
        billing_entity: "AWS",
        line_item_type: "Usage",
        ..LineKey::default()
    };
    DailyFact {
        day,
        billing_account: "1".into(),
        usage_account: "2".into(),
        region: "us-east-1".into(),
        billing_entity: "AWS".into(),
        product_code: key.product_code.into(),
        product_name: "".into(),
        usage_type: usage_type.into(),
        operation: "".into(),
        principal: "".into(),
        line_item_type: "Usage".into(),
        currency: Currency::USD,
        class: Arc::new(classify(&key)),
        pricing_unit: "Hrs".into(),
        usage_quantity: Decimal::from(24),
        tokens: None,
        unblended: amount(billed),
        net_unblended: amount(billed),
        amortised: Some(amount(effective)),
        net_amortised: Some(amount(effective)),
        list: None,
        lines: 24,
    }
}

const GPU: &str = "USE1-BoxUsage:p5.48xlarge";
const ENDPOINT: &str = "USE1-Host:ml.g5.xlarge";

fn month(usage_type: &str, of: impl Fn(u64) -> (&'static str, &'static str)) -> Vec<DailyFact> {
    let fact = |n| {
        let (billed, effective) = of(n);
        instance(day(n), usage_type, billed, effective)
    };
    (0..30).map(fact).collect()
}

fn changes(facts: &[DailyFact]) -> usize {
    let events = events::find(facts, &[], day(30), None);
    events.iter().filter(|event| event.kind == EventKind::PriceChanged).count()
}

#[test]
fn a_commitment_that_begins_is_no_other_price() {
    // From the fifteenth day on a plan covers all of it: FOCUS bills nothing, and has an effective cost.
    let covered = month(ENDPOINT, |n| if n < 15 { ("33", "33") } else { ("0", "24") });
    assert_eq!(changes(&covered), 0);
    // Or a part of it, so that something is billed on the day.
    let in_part = month(ENDPOINT, |n| if n < 15 { ("33", "33") } else { ("16.5", "28.5") });
    assert_eq!(changes(&in_part), 0);
    // A price that falls is told all the same.
    let cheaper = month(ENDPOINT, |n| if n < 15 { ("33", "33") } else { ("28.5", "28.5") });
    assert_eq!(changes(&cheaper), 1);
}

#[test]
fn a_capacity_block_that_is_paid_on_one_day_for_days_to_come_is_no_spike_and_no_trend() {
    let mut facts = month(GPU, |_| ("1320", "1320"));
    let of = |facts: &[DailyFact]| {
        let costs = forecast::costs_of_bills(facts, day(30)).remove(&Currency::USD).unwrap();
        let spikes = anomalies::bill::find(facts, &DayRule::default(), None).len();
        (spikes, format!("{:?}", forecast::forecast(&costs)))
    };
    let without = of(&facts);
    assert_eq!(without.0, 0);
    facts.push(instance(day(25), "USE1-CapacityBlockFee:p5.48xlarge", "30000", "30000"));
    assert!(facts.last().unwrap().class.accelerator.is_some());
    assert_eq!(of(&facts), without);
    // The first one is news all the same.
    let other =
        DailyFact { day: day(25), ..instance(day(25), "USE1-CapacityBlockFee:p6-b200.48xlarge", "1", "1") };
    let news = events::find(&[facts.as_slice(), &[other]].concat(), &[], day(30), None);
    assert!(news.iter().any(|event| event.kind == EventKind::NewAccelerator), "{news:?}");
    // The same amount of use is one.
    facts.push(instance(day(25), GPU, "30000", "30000"));
    assert!(of(&facts).0 > 0);
}

#[test]
fn what_a_plan_of_sagemaker_leaves_unused_is_told() {
    let kind = "SavingsPlanRecurringFee";
    let key = LineKey {
        product_code: "MachineLearningSavingsPlans",
        usage_type: "SageMakerSP:1yrNoUpfront",
        billing_entity: "AWS",
        line_item_type: kind,
        ..LineKey::default()
    };
    let class = Arc::new(classify(&key));
    assert_eq!(&*class.service, "sagemaker");
    // Five dollars a day, of which four dollars and twenty cents covered something.
    let fee = |n| DailyFact {
        product_code: key.product_code.into(),
        usage_type: key.usage_type.into(),
        line_item_type: kind.into(),
        class: Arc::clone(&class),
        usage_quantity: Decimal::ZERO,
        ..instance(day(n), ENDPOINT, "5", "0.8")
    };
    let facts: Vec<DailyFact> = (0..30).map(fee).collect();
    let found = recommend::find(&facts, &[], day(30));
    let told: Vec<_> = found.iter().map(|one| (one.kind, one.monthly_saving)).collect();
    assert_eq!(told, [(Kind::UnusedCommitment, amount("24"))]);
}

#[test]
fn instances_that_a_commitment_covers_need_no_other_one() {
    let kinds = |facts: &[DailyFact]| -> Vec<Kind> {
        recommend::find(facts, &[], day(30)).into_iter().map(|one| one.kind).collect()
    };
    assert_eq!(kinds(&month(GPU, |_| ("1320", "1320"))), [Kind::CommitToGpu]);
    assert_eq!(kinds(&month(GPU, |_| ("0", "900"))), []);
}

#[test]
fn findings_go_by_what_is_left_after_private_discounts_and_by_what_was_before_where_that_is_unknown() {
    let costs = |facts: &[DailyFact]| {
        recommend::find(facts, &[], day(30)).iter().map(|one| one.monthly_cost).collect::<Vec<_>>()
    };
    let mut facts = month(GPU, |_| ("1320", "1320"));
    for fact in &mut facts {
        fact.net_amortised = Some(amount("1000"));
    }
    assert_eq!(costs(&facts), [amount("30000")]);
    let forecast = |facts: &[DailyFact]| {
        let costs = forecast::costs_of_bills(facts, day(30)).remove(&Currency::USD).unwrap();
        forecast::forecast(&costs).map(|forecast| format!("{forecast:?}"))
    };
    let net = forecast(&facts);
    // One old bill among them: the whole past goes by one cost, and makes no step.
    facts[3].net_amortised = None;
    let mut others = facts.clone();
    by_one_cost(&mut others);
    assert!(others.iter().all(|fact| fact.spread_cost() == amount("1320")));
    assert_eq!(costs(&others), [amount("39600")]);
    assert_ne!(forecast(&others), net);
    // Another payer's bills are none of its business.
    facts[3].billing_account = "9".into();
    by_one_cost(&mut facts);
    assert_eq!(facts.iter().filter(|fact| fact.spread_cost() == amount("1000")).count(), 29);
}
