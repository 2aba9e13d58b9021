//! Every kind of recommendation by the smallest bill that proves it: what would be saved to the cent, what shows it, how
//! sure that is; and what is nearly the same and proves nothing.

mod cases;

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{LineKey, classify};
use costlens_domain::export::HourlySpend;
use costlens_domain::request::{CostBasis, Outcome};
use costlens_domain::{ApiKeyId, Currency, Usage};
use costlens_insight::recommend::{self, Kind, Recommendation};
use rust_decimal::Decimal;

use cases::capacity::unused_commitment;
use cases::{CLAUDE, CLAUDE_GLOBAL, global_routing, unknown, use_batch};

/// The first of October 2026 is a Thursday.
fn day(n: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).unwrap() + Days::new(n)
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A line's product, usage type, unit and type, of one day: how much, and at what cost by every measure.
fn fact(n: u64, key: &LineKey<'_>, quantity: &str, cost: &str) -> DailyFact {
    let class = classify(&LineKey { billing_entity: "AWS", ..*key });
    let (quantity, cost) = (amount(quantity), amount(cost));
    DailyFact {
        day: day(n),
        billing_account: "1".into(),
        usage_account: "2".into(),
        region: "us-east-1".into(),
        billing_entity: "AWS".into(),
        product_code: key.product_code.into(),
        product_name: "".into(),
        usage_type: key.usage_type.into(),
        operation: "".into(),
        principal: "".into(),
        line_item_type: key.line_item_type.into(),
        currency: Currency::USD,
        tokens: class.tokens_per_unit.map(|each| quantity * Decimal::from(each)),
        class: Arc::new(class),
        pricing_unit: key.pricing_unit.into(),
        usage_quantity: quantity,
        unblended: cost,
        net_unblended: cost,
        amortised: Some(cost),
        net_amortised: Some(cost),
        list: None,
        lines: 1,
    }
}

/// Thousands of tokens of Bedrock on the first day.
fn tokens(usage_type: &str, thousands: &str, cost: &str) -> DailyFact {
    let key = LineKey {
        product_code: "AmazonBedrock",
        usage_type,
        pricing_unit: "1K tokens",
        line_item_type: "Usage",
        ..LineKey::default()
    };
    fact(0, &key, thousands, cost)
}

fn by(principal: &str, mut fact: DailyFact) -> DailyFact {
    fact.principal = principal.into();
    fact
}

/// Hours, or gigabytes, of something on a day.
fn hours(n: u64, product_code: &str, usage_type: &str, hours: &str, cost: &str) -> DailyFact {
    let key = LineKey {
        product_code,
        usage_type,
        pricing_unit: "Hrs",
        line_item_type: "Usage",
        ..LineKey::default()
    };
    fact(n, &key, hours, cost)
}

fn key() -> ApiKeyId {
    ApiKeyId::new(DateTime::UNIX_EPOCH, [1; 10])
}

/// Calls of one hour.
fn calls(n: u64, provider: &str, model: &str, requests: u64, cost: Option<&str>) -> HourlySpend {
    let midnight: DateTime<Utc> = day(n).and_time(NaiveTime::MIN).and_utc();
    HourlySpend {
        hour: midnight + chrono::TimeDelta::hours(2),
        api_key_id: key(),
        provider: provider.to_owned(),
        model: model.to_owned(),
        outcome: Outcome::Completed,
        cost_basis: if cost.is_some() { CostBasis::Exact } else { CostBasis::Unpriced },
        requests,
        usage: Usage::default(),
        cost: cost.map(|cost| amount(cost).into()),
    }
}

/// A bill and what the proxy carried, of so many days.
#[derive(Clone)]
struct Month {
    days: u64,
    facts: Vec<DailyFact>,
    calls: Vec<HourlySpend>,
}

impl Month {
    fn of(days: u64, facts: Vec<DailyFact>) -> Self {
        Self { days, facts, calls: Vec::new() }
    }

    fn found(&self, kind: Kind) -> Vec<Recommendation> {
        let mut found = recommend::find(&self.facts, &self.calls, day(self.days));
        found.retain(|one| one.kind == kind);
        found
    }
}

#[test]
fn each_kind_is_found_by_the_smallest_proof_to_the_cent_and_by_no_near_miss() {
    let cases = cases::all();
    for kind in Kind::ALL {
        assert!(cases.iter().any(|case| case.kind == kind), "{kind:?} has no proof");
    }
    for case in cases {
        assert_eq!(case.proof.found(case.kind), [case.expected()], "{:?}", case.kind);
        assert!(!case.near_misses.is_empty());
        for (why, near) in &case.near_misses {
            assert_eq!(near.found(case.kind), [], "{:?} although {why}", case.kind);
        }
    }
}

#[test]
fn a_week_of_whole_days_is_the_least_that_proves_anything() {
    let proof = unused_commitment().proof;
    let found = |days| Month { days, ..proof.clone() }.found(Kind::UnusedCommitment).len();
    assert_eq!((found(6), found(7)), (0, 1));
}

#[test]
fn only_notebooks_that_never_stop_are_idle_at_night() {
    // One runs through ten days, and on five of them five more for eight hours.
    let of = |n| {
        let (hours_of, cost) = if n % 2 == 0 { ("64", "64") } else { ("24", "24") };
        hours(n, "AmazonSageMaker", "USE1-Notebk:ml.m5.xlarge", hours_of, cost)
    };
    let found = Month::of(10, (0..10).map(of).collect()).found(Kind::AlwaysOnNotebook);
    let told: Vec<_> = found.iter().map(|one| (one.monthly_saving, one.monthly_cost)).collect();
    // $240 of $440 are the one's; 118 hours of each of its weeks of 168 nobody needs it.
    assert_eq!(told, [(amount("505.71"), amount("1320.00"))]);
}

#[test]
fn a_seat_is_told_alike_whether_it_is_billed_by_the_day_or_by_the_month() {
    let seat =
        |n: u64, who: &str, cost: &str| by(who, hours(n, "Kiro", "USE1-KiroEnterprise-Pro", "1", cost));
    let told = |days: u64, facts: Vec<DailyFact>| -> Vec<Decimal> {
        // Somebody else's credits on every third day show that the bill tells them.
        let used = (0..days).step_by(3).map(|n| hours(n, "Kiro", "USE1-KiroEnterprise-Credits", "9", "0"));
        let others = used.chain([seat(0, "", "0"), seat(31, "", "0")]).map(|fact| by("ada", fact));
        let found = Month::of(days, facts.into_iter().chain(others).collect()).found(Kind::IdleSeats);
        // The evidence says what was billed.
        for one in &found {
            assert_eq!(one.evidence.figures["cost_idle"], one.monthly_saving);
        }
        found.iter().map(|one| one.monthly_saving).collect()
    };
    assert_eq!(told(30, (0..30).map(|n| seat(n, "bob", "0.667")).collect()), [amount("20.01")]);
    // What began twenty days ago has one fee for all of them.
    assert_eq!(told(20, vec![seat(0, "bob", "20")]), [amount("20")]);
    // October's fee was before the thirty days, and November's has the say.
    assert_eq!(told(34, vec![seat(0, "bob", "20"), seat(31, "bob", "25")]), [amount("25")]);
    assert_eq!(told(34, vec![seat(31, "bob", "25")]), [], "it is new");
    assert_eq!(told(40, vec![seat(0, "bob", "20")]), [], "it has ended");
}

#[test]
fn what_cost_something_and_tells_no_tokens_is_in_no_price_of_a_token() {
    let month = Month::of(
        10,
        vec![
            tokens(CLAUDE, "100000", "330"),
            unknown(tokens(CLAUDE, "1", "9000")),
            tokens(CLAUDE_GLOBAL, "10000", "30"),
            unknown(tokens(CLAUDE_GLOBAL, "1", "7")),
        ],
    );
    assert_eq!(month.found(Kind::GlobalRouting), [global_routing().expected()]);
}

#[test]
fn two_payers_of_one_model_are_told_apart_and_what_only_calls_show_is_told_once() {
    let routing = global_routing().proof;
    let mut other = routing.clone();
    for fact in &mut other.facts {
        fact.unblended *= Decimal::TWO;
        fact.net_amortised = fact.net_amortised.map(|cost| cost * Decimal::TWO);
    }
    let calls = use_batch().proof.calls;
    let found = |month: &Month| recommend::find(&month.facts, &calls, day(10));
    let told = |found: Vec<(String, Vec<Recommendation>)>| {
        let mut told: Vec<(Kind, String, String, Option<String>)> = recommend::of_all_payers(found)
            .into_iter()
            .map(|one| {
                let payer = one.evidence.filter.get("billing_account").cloned();
                (one.kind, one.subject, one.monthly_saving.normalize().to_string(), payer)
            })
            .collect();
        told.sort();
        told
    };
    let batch = (Kind::UseBatch, format!("gpt-4.1 by {}", key()), "30".to_owned(), None);
    let one = (Kind::GlobalRouting, "claude-sonnet-4".to_owned(), "90".to_owned(), None);
    assert_eq!(told(vec![("1".to_owned(), found(&routing))]), [one, batch.clone()]);
    let of = |payer: &str, saving: &str| {
        let subject = format!("claude-sonnet-4, billed to {payer}");
        (Kind::GlobalRouting, subject, saving.to_owned(), Some(payer.to_owned()))
    };
    let both = vec![("1".to_owned(), found(&routing)), ("2".to_owned(), found(&other))];
    assert_eq!(told(both), [of("1", "90"), of("2", "180"), batch]);
}
