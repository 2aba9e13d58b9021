//! First uses, where other rules of classification read a part of the past.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, Cloud, LineKey, classify};
use costlens_domain::export::HourlySpend;
use costlens_domain::request::{CostBasis, Outcome};
use costlens_domain::{ApiKeyId, Currency, Tokens, Usage};
use costlens_insight::events::{self, Kind};
use rust_decimal::Decimal;

/// The first day that today's rules read.
const SINCE: u64 = 60;

fn day(n: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 1).unwrap() + Days::new(n)
}

fn bedrock(usage_type: &str) -> LineKey<'_> {
    LineKey {
        product_code: "AmazonBedrock",
        product_name: "Amazon Bedrock",
        usage_type,
        pricing_unit: "1K tokens",
        billing_entity: "AWS",
        line_item_type: "Usage",
        ..LineKey::default()
    }
}

fn endpoint(usage_type: &str) -> LineKey<'_> {
    LineKey {
        product_code: "AmazonSageMaker",
        product_name: "Amazon SageMaker",
        pricing_unit: "Hrs",
        ..bedrock(usage_type)
    }
}

/// What an account used on each of these days, in Virginia where nobody says otherwise.
fn used(days: std::ops::Range<u64>, key: &LineKey<'_>, account: &str) -> Vec<DailyFact> {
    let of_day = |n| DailyFact {
        day: day(n),
        billing_account: "1".into(),
        usage_account: account.into(),
        region: "us-east-1".into(),
        billing_entity: key.billing_entity.into(),
        product_code: key.product_code.into(),
        product_name: key.product_name.into(),
        usage_type: key.usage_type.into(),
        operation: "".into(),
        principal: "".into(),
        line_item_type: key.line_item_type.into(),
        currency: Currency::USD,
        class: Arc::new(classify(key)),
        pricing_unit: key.pricing_unit.into(),
        usage_quantity: Decimal::ONE,
        tokens: None,
        unblended: Decimal::TWO,
        net_unblended: Decimal::TWO,
        amortised: Some(Decimal::TWO),
        net_amortised: Some(Decimal::TWO),
        list: None,
        lines: 1,
    };
    days.map(of_day).collect()
}

/// What is told as first of these kinds, by name and day.
fn firsts(facts: &[DailyFact], kinds: &[Kind]) -> Vec<(Kind, String, NaiveDate)> {
    let events = events::find(facts, &[], day(100), Some(day(SINCE)));
    let of_kinds = events.into_iter().filter(|event| kinds.contains(&event.kind));
    of_kinds.map(|event| (event.kind, event.subject, event.day)).collect()
}

#[test]
fn names_that_the_bill_itself_gives_are_news_whatever_the_rules_are() {
    let pro = bedrock("USE1-NovaPro-input-tokens");
    // Nobody knows whether this was there before the rules that know it.
    let oss = bedrock("USE1-gpt-oss-120b-input-tokens");
    let mut facts = [
        used(0..100, &pro, "2"),
        used(30..100, &pro, "3"),
        used(60..100, &oss, "5"),
        used(70..100, &pro, "5"),
        used(80..100, &oss, "6"),
    ]
    .concat();
    for fact in used(65..100, &bedrock("EUC1-NovaPro-input-tokens"), "4") {
        facts.push(DailyFact { region: "eu-central-1".into(), principal: "arn:new".into(), ..fact });
    }
    let told = firsts(&facts, &[Kind::NewAccount, Kind::NewRegion, Kind::NewPrincipal]);
    let wanted = [
        (Kind::NewAccount, "3", 30),
        (Kind::NewAccount, "4", 65),
        (Kind::NewRegion, "eu-central-1", 65),
        (Kind::NewPrincipal, "arn:new", 65),
        (Kind::NewAccount, "6", 80),
    ];
    assert_eq!(told, wanted.map(|(kind, name, n)| (kind, name.to_owned(), day(n))));
}

#[test]
fn another_account_s_endpoint_of_a_known_type_is_a_first_one() {
    let endpoint = endpoint("USE1-Host:ml.g5.xlarge");
    let mut facts = [
        used(0..100, &bedrock("USE1-NovaPro-input-tokens"), "2"),
        used(10..12, &endpoint, "2"),
        used(80..100, &endpoint, "3"),
        used(85..100, &endpoint, "2"),
    ]
    .concat();
    // Rules of before did not know it for an endpoint.
    for fact in facts.iter_mut().filter(|fact| fact.day < day(SINCE)) {
        let mut class = (*fact.class).clone();
        class.category = Category::Other;
        fact.class = Arc::new(class);
    }
    let told = firsts(&facts, &[Kind::FirstEndpoint]);
    assert_eq!(told, [(Kind::FirstEndpoint, "g5.xlarge in us-east-1 of 3".to_owned(), day(80))]);
}

#[test]
fn a_product_whose_every_usage_type_has_another_name_has_no_new_models() {
    let vertex = |usage_type| LineKey {
        cloud: Cloud::Google,
        product_code: "Vertex AI",
        product_name: "Vertex AI",
        pricing_unit: "count",
        billing_entity: "Google",
        ..bedrock(usage_type)
    };
    let (requests, flash, pro) = (
        vertex("Requests"),
        vertex("Gemini 2.5 Flash GA Text Input - Predictions"),
        vertex("Gemini 2.5 Pro GA Text Input - Predictions"),
    );
    let (lite, oss) = (bedrock("USE1-NovaLite-input-tokens"), bedrock("USE1-gpt-oss-120b-input-tokens"));
    assert_eq!(classify(&requests).model, None);
    assert!(classify(&pro).model.is_some());
    let facts = [
        used(0..60, &requests, "2"),
        used(60..100, &flash, "2"),
        used(66..100, &flash, "3"),
        // Used now and then: nobody knows whether it was before.
        used(80..82, &pro, "2"),
        // Of this product everything had its name before, so that another one is another model.
        used(0..60, &lite, "2"),
        used(80..100, &oss, "2"),
    ]
    .concat();
    let new = classify(&oss).model.unwrap();
    let told = firsts(&facts, &[Kind::NewModel, Kind::NewAccount]);
    // Who uses the product is the bill's own name.
    let wanted = [(Kind::NewAccount, "3".to_owned(), day(66)), (Kind::NewModel, new, day(80))];
    assert_eq!(told, wanted);
}

#[test]
fn of_a_past_that_goes_on_before_what_is_looked_at_only_the_last_days_firsts_are_news() {
    let (pro, oss) = (bedrock("USE1-NovaPro-input-tokens"), bedrock("USE1-gpt-oss-120b-input-tokens"));
    let facts = [
        used(0..100, &pro, "2"),
        // Somebody may have used it long before.
        used(70..72, &oss, "3"),
        used(90..100, &pro, "4"),
    ]
    .concat();
    let mut events = events::find(&facts, &[], day(100), None);
    let named = |events: &[events::Event]| {
        events.iter().map(|event| (event.kind, event.subject.clone())).collect::<Vec<_>>()
    };
    let model = classify(&oss).model.unwrap();
    let [old, new] = ["3", "4"].map(|account| (Kind::NewAccount, account.to_owned()));
    assert_eq!(named(&events), [old, (Kind::NewModel, model), new.clone()]);
    events::forget_old_firsts(&mut events, day(101));
    assert_eq!(named(&events), [new]);
}

#[test]
fn a_first_service_throughput_and_accelerator_are_told_with_what_their_day_cost() {
    let pro = bedrock("USE1-NovaPro-input-tokens");
    let ahead = LineKey {
        pricing_unit: "hours",
        ..bedrock("USE1-Qwen3-32B-ProvisionedThroughput-NoCommit-ModelUnits")
    };
    let training = endpoint("USE1-Train:ml.p5.48xlarge");
    assert_eq!(classify(&ahead).category, Category::Provisioned);
    let facts = [used(0..100, &pro, "2"), used(70..100, &ahead, "2"), used(80..100, &training, "2")].concat();
    let kinds =
        [Kind::NewService, Kind::FirstProvisionedThroughput, Kind::NewAccelerator, Kind::FirstEndpoint];
    let events = events::find(&facts, &[], day(100), None);
    let told: Vec<_> = events
        .into_iter()
        .filter(|event| kinds.contains(&event.kind))
        .map(|event| (event.kind, event.subject, event.day, event.amount))
        .collect();
    let mut wanted = [
        (Kind::FirstProvisionedThroughput, "qwen-3-32b", 70),
        (Kind::NewService, "sagemaker", 80),
        (Kind::NewAccelerator, "p5.48xlarge", 80),
    ]
    .map(|(kind, subject, n)| (kind, subject.to_owned(), day(n), Decimal::TWO))
    .to_vec();
    let mut told = told;
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}

/// An hour of a key's calls to a model.
fn call(n: u64, provider: &str, input: u64, cached: u64) -> HourlySpend {
    HourlySpend {
        hour: day(n).and_hms_opt(9, 0, 0).unwrap().and_utc(),
        api_key_id: ApiKeyId::new(chrono::DateTime::UNIX_EPOCH, [1; 10]),
        provider: provider.to_owned(),
        model: format!("{provider}-model"),
        outcome: Outcome::Completed,
        cost_basis: CostBasis::Exact,
        requests: 1,
        usage: Usage { fresh_input: Tokens(input), cache_read: Tokens(cached), ..Usage::default() },
        cost: "2".parse().ok(),
    }
}

#[test]
fn a_first_provider_and_a_cache_that_is_used_no_more_are_told_once() {
    let calls: Vec<HourlySpend> = (0..60)
        .map(|n| if n < 40 { call(n, "openai", 1_000, 3_000) } else { call(n, "openai", 4_000, 0) })
        .chain((30..60).map(|n| call(n, "mistral", 1_000, 0)))
        .collect();
    let events = events::of_calls(&calls, day(60));
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.day)).collect();
    assert_eq!(told, [(Kind::NewProvider, day(30)), (Kind::CacheTurnedOff, day(40))]);
    assert_eq!(events[0].subject, "mistral");
    assert_eq!((&*events[1].detail["share_before"], &*events[1].detail["share_after"]), ("0.75", "0"));
}
