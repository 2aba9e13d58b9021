//! What the vendors' pages become. The pages are written here, by the vendors' documents.

use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;
use crate::bill::DailyFact;
use crate::classify::{Category, Meter, Tier};
use crate::money::Currency;

fn october() -> Month {
    "2026-10".parse().unwrap()
}

fn anthropic(costs: &[Value], usage: &[Value]) -> Result<BillReport, BadPage> {
    of(InvoiceVendor::Anthropic, costs, usage)
}

fn of(vendor: InvoiceVendor, costs: &[Value], usage: &[Value]) -> Result<BillReport, BadPage> {
    let texts = |pages: &[Value]| pages.iter().map(Value::to_string).collect::<Vec<_>>();
    let (costs, usage) = (texts(costs), texts(usage));
    read(vendor, october(), "ivs_1", Pages { costs: &costs, usage: &usage })
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, day).unwrap()
}

fn page(buckets: &[Value]) -> Value {
    json!({ "data": buckets, "has_more": false, "next_page": null })
}

fn bucket(day: u32, results: &[Value]) -> Value {
    json!({
        "starting_at": format!("2026-10-{day:02}T00:00:00Z"),
        "ending_at": format!("2026-10-{:02}T00:00:00Z", day + 1),
        "results": results,
    })
}

fn cost(amount: &str, token_type: &str) -> Value {
    json!({
        "amount": amount, "currency": "USD", "cost_type": "tokens", "context_window": "0-200k",
        "description": format!("Claude Sonnet 4.6 Usage - {token_type}"), "model": "claude-sonnet-4-6",
        "service_tier": "standard", "token_type": token_type, "inference_geo": "global", "workspace_id": null,
        "a_field_of_tomorrow": [1],
    })
}

fn usage(model: &str, tier: &str) -> Value {
    json!({
        "uncached_input_tokens": 1_000, "cache_read_input_tokens": 200, "output_tokens": 50,
        "cache_creation": { "ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 0 },
        "server_tool_use": { "web_search_requests": 3 }, "model": model, "service_tier": tier,
        "context_window": "0-200k", "workspace_id": null, "api_key_id": null,
    })
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field).unwrap();
    value
}

fn only(report: &BillReport) -> &DailyFact {
    assert_eq!(report.facts.len(), 1, "{:#?}", report.facts);
    &report.facts[0]
}

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn a_result_of_anthropic_is_a_fact_with_the_tokens_that_were_used() {
    let costs = [page(&[bucket(3, &[cost("123.45", "uncached_input_tokens")])])];
    let used = [page(&[bucket(3, &[usage("claude-sonnet-4-6", "standard")])])];
    let report = anthropic(&costs, &used).unwrap();
    let fact = only(&report);
    assert_eq!(fact.unblended, usd("1.2345"), "amounts count cents");
    assert_eq!((fact.day, fact.tokens), (day(3), Some(1_000.into())));
    assert_eq!(
        (&*fact.billing_entity, &*fact.usage_account, &*fact.billing_account),
        ("Anthropic", "default", "ivs_1")
    );
    assert_eq!(
        (fact.class.meter, fact.class.tier, fact.class.long_context),
        (Meter::FreshInput, Tier::Standard, false)
    );
    assert_eq!(fact.class.model.as_deref(), Some("claude-sonnet-4-6"));
    assert!(fact.class.understood && fact.is_ai());
    assert_eq!(report.totals.len(), 1);
    assert_eq!(
        (report.totals[0].unblended, report.totals[0].ai, report.totals[0].lines),
        (usd("1.2345"), usd("1.2345"), 1)
    );
    assert_eq!((report.first_day, report.last_day), (Some(day(3)), Some(day(3))));
}

#[test]
fn each_kind_of_token_tier_window_workspace_and_currency_stands_apart() {
    let input = || cost("10", "uncached_input_tokens");
    let results = [
        input(),
        cost("20", "cache_creation.ephemeral_1h_input_tokens"),
        with(input(), "service_tier", json!("batch")),
        with(input(), "context_window", json!("200k-1M")),
        with(input(), "workspace_id", json!("wrkspc_1")),
        with(input(), "currency", json!("EUR")),
    ];
    let report = anthropic(
        &[page(&[bucket(1, &results)])],
        &[page(&[bucket(1, &[usage("claude-sonnet-4-6", "standard")])])],
    );
    let report = report.unwrap();
    assert_eq!(report.facts.len(), 6);
    assert_eq!(report.totals.len(), 2, "one total for each currency");
    let of = |wanted: &dyn Fn(&DailyFact) -> bool| report.facts.iter().find(|fact| wanted(fact)).unwrap();
    let euro: Currency = "EUR".parse().unwrap();
    assert_eq!(of(&|fact| fact.class.meter == Meter::CacheWrite1h).tokens, Some(7.into()));
    assert_eq!(
        of(&|fact| fact.class.tier == Tier::Batch).tokens,
        None,
        "no batch was used by the usage report"
    );
    assert!(of(&|fact| fact.class.long_context).tokens.is_none());
    assert_eq!(of(&|fact| &*fact.usage_account == "wrkspc_1").tokens, None);
    assert_eq!(of(&|fact| fact.currency == euro).tokens, None, "two prices for the same tokens");
}

#[test]
fn what_no_rule_knows_stays_and_is_not_understood() {
    let input = || cost("10", "uncached_input_tokens");
    for odd in [
        with(input(), "token_type", json!("cache_creation.ephemeral_1d_input_tokens")),
        with(input(), "cost_type", json!("session_usage")),
        with(input(), "cost_type", Value::Null),
        with(input(), "service_tier", json!("hyper")),
        with(input(), "context_window", json!("1M-10M")),
        with(input(), "model", Value::Null),
    ] {
        let report = anthropic(&[page(&[bucket(1, std::slice::from_ref(&odd))])], &[page(&[])]).unwrap();
        let fact = only(&report);
        assert!(fact.is_ai() && !fact.class.understood && fact.tokens.is_none(), "{odd}");
        assert_eq!(fact.unblended, usd("0.1"));
        assert_eq!(report.unclassified().count(), 1);
    }
}

fn search(amount: &str) -> Value {
    json!({
        "amount": amount, "currency": "USD", "cost_type": "web_search", "context_window": null, "description": "Web Search Usage",
        "model": null, "service_tier": null, "token_type": null, "inference_geo": null, "workspace_id": null,
    })
}

#[test]
fn searches_are_counted_by_the_usage_report_whatever_model_asked() {
    let used = [
        usage("claude-sonnet-4-6", "standard"),
        usage("claude-opus-5", "batch"),
        with(usage("claude-opus-5", "a tier of tomorrow"), "server_tool_use", Value::Null),
        with(usage("claude-opus-5", "standard"), "workspace_id", json!("wrkspc_1")),
    ];
    let of = |used: &[Value]| {
        anthropic(&[page(&[bucket(1, &[search("6")])])], &[page(&[bucket(1, used)])]).unwrap()
    };
    let report = of(&used);
    let fact = only(&report);
    assert_eq!(
        (fact.class.category, fact.class.meter, fact.class.understood),
        (Category::Retrieval, Meter::Searches, true)
    );
    assert_eq!((&*fact.usage_type, &*fact.pricing_unit), ("Web Search Usage", "Searches"));
    assert_eq!((fact.usage_quantity, fact.tokens, fact.unblended), (6.into(), None, usd("0.06")));
    // Nothing counted is no count.
    let report = of(&[]);
    assert_eq!((only(&report).usage_quantity, &*only(&report).pricing_unit), (Decimal::ZERO, ""));
    let other = with(search("6"), "currency", json!("EUR"));
    let report =
        anthropic(&[page(&[bucket(1, &[search("6"), other])])], &[page(&[bucket(1, &used)])]).unwrap();
    assert!(
        report.facts.iter().all(|fact| fact.usage_quantity.is_zero()),
        "two charges for the same searches"
    );
}

#[test]
fn a_negative_amount_stays_negative_and_usage_without_a_cost_is_named() {
    let results = [cost("-250", "output_tokens")];
    let used = [usage("claude-sonnet-4-6", "standard"), usage("claude-opus-5", "priority")];
    let report = anthropic(&[page(&[bucket(1, &results)])], &[page(&[bucket(1, &used)])]).unwrap();
    assert_eq!(only(&report).unblended, usd("-2.5"));
    assert_eq!(report.totals[0].unblended, usd("-2.5"));
    assert_eq!(report.skipped.len(), 1, "{:?}", report.skipped);
    assert!(report.skipped[0].contains("tier priority on 1 days"), "{}", report.skipped[0]);
}

#[test]
fn a_day_counts_once_and_only_in_its_month() {
    let one = bucket(1, &[cost("1", "output_tokens")]);
    let twice =
        anthropic(&[page(std::slice::from_ref(&one)), page(std::slice::from_ref(&one))], &[page(&[])])
            .unwrap_err();
    assert_eq!(twice, BadPage::Twice { report: Report::Costs, day: day(1) });
    for start in ["2026-11-01T00:00:00Z", "2026-10-02T01:00:00Z", "2026-09-30T00:00:00Z"] {
        let other = with(one.clone(), "starting_at", json!(start));
        let refused = anthropic(&[page(&[other])], &[page(&[])]).unwrap_err();
        assert!(matches!(refused, BadPage::NotOfMonth { .. }), "{refused}");
    }
    let usage = page(&[bucket(1, &[]), bucket(1, &[])]);
    assert!(matches!(
        anthropic(&[page(&[one])], &[usage]),
        Err(BadPage::Twice { report: Report::Usage, .. })
    ));
}

#[test]
fn a_missing_field_is_named_with_its_page() {
    let whole = cost("1", "output_tokens");
    for field in ["amount", "currency", "cost_type", "model", "service_tier", "token_type", "workspace_id"] {
        let pages = [page(&[]), page(&[bucket(1, &[without(whole.clone(), field)])])];
        let told = anthropic(&pages, &[page(&[])]).unwrap_err().to_string();
        assert!(told.contains(field) && told.contains("page 2 of the cost report"), "{told}");
    }
    let told =
        anthropic(&[page(&[])], &[page(&[bucket(1, &[without(usage("m", "standard"), "output_tokens")])])]);
    assert!(told.unwrap_err().to_string().contains("output_tokens"));
    let told = anthropic(&[json!({ "error": { "type": "overloaded" } })], &[]).unwrap_err().to_string();
    assert!(told.contains("data"), "{told}");
    for amount in ["1,5", "", "NaN", "1e40", "1000000000000"] {
        let refused = anthropic(&[page(&[bucket(1, &[cost(amount, "output_tokens")])])], &[]);
        assert!(matches!(refused, Err(BadPage::Amount { .. })), "{amount}: {refused:?}");
    }
    let refused = anthropic(&[page(&[bucket(1, &[with(whole, "currency", json!("dollars"))])])], &[]);
    assert!(matches!(refused, Err(BadPage::Currency { .. })));
}

fn openai_bucket(day: u32, results: &str) -> String {
    let start = 1_790_812_800 + i64::from(day - 1) * 86_400;
    let end = start + 86_400;
    format!(r#"{{"object":"bucket","start_time":{start},"end_time":{end},"results":[{results}]}}"#)
}

fn openai_page(buckets: &[String]) -> String {
    format!(r#"{{"object":"page","data":[{}],"has_more":false,"next_page":null}}"#, buckets.join(","))
}

fn openai_cost(value: &str, item: &str, project: &str) -> String {
    format!(
        r#"{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},"line_item":{item},"project_id":{project}}}"#
    )
}

fn openai_usage(input: u64, cached: u64, output: u64, batch: bool) -> String {
    format!(
        r#"{{"object":"organization.usage.completions.result","input_tokens":{input},"input_cached_tokens":{cached},"output_tokens":{output},"input_audio_tokens":0,"output_audio_tokens":0,"num_model_requests":5,"project_id":"proj_1","model":"gpt-4o-2024-08-06","batch":{batch}}}"#
    )
}

fn openai(costs: &[String], usage: &[String]) -> Result<BillReport, BadPage> {
    let costs = [openai_page(&[openai_bucket(1, &costs.join(","))])];
    let usage = [openai_page(&[openai_bucket(1, &usage.join(","))])];
    read(InvoiceVendor::OpenAi, october(), "ivs_1", Pages { costs: &costs, usage: &usage })
}

#[test]
fn a_line_item_of_openai_is_a_model_and_a_kind_of_token() {
    let item = |words: &str| {
        openai_cost("0.25", &json!(format!("gpt-4o-2024-08-06, {words}")).to_string(), "\"proj_1\"")
    };
    let report =
        openai(&[item("input"), item("cached input"), item("output")], &[openai_usage(900, 300, 40, false)])
            .unwrap();
    let tokens = |meter: Meter| report.facts.iter().find(|fact| fact.class.meter == meter).unwrap().tokens;
    assert_eq!(tokens(Meter::FreshInput), Some(600.into()), "input_tokens includes the cached ones");
    assert_eq!(tokens(Meter::CacheRead), Some(300.into()));
    assert_eq!(tokens(Meter::Output), Some(40.into()));
    assert_eq!(report.totals[0].unblended, usd("0.75"));
    let fact = &report.facts[0];
    assert_eq!(
        (&*fact.billing_entity, &*fact.usage_account, fact.currency),
        ("OpenAI", "proj_1", Currency::USD)
    );
    assert_eq!(fact.class.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert!(report.facts.iter().all(|fact| fact.class.understood));
}

#[test]
fn tokens_of_two_tiers_that_the_costs_do_not_tell_apart_are_unknown() {
    let item = |words: &str| {
        openai_cost("0.25", &json!(format!("gpt-4o-2024-08-06, {words}")).to_string(), "\"proj_1\"")
    };
    let both = [openai_usage(900, 300, 40, false), openai_usage(80, 0, 4, true)];
    let report = openai(&[item("input")], &both).unwrap();
    assert_eq!(only(&report).tokens, None);
    let report = openai(&[item("input"), item("batch input")], &both).unwrap();
    let tokens: Vec<_> = report.facts.iter().map(|fact| (fact.class.tier, fact.tokens)).collect();
    assert!(
        tokens.contains(&(Tier::Batch, Some(80.into())))
            && tokens.contains(&(Tier::Standard, Some(600.into())))
    );
    let audio =
        openai_usage(900, 300, 40, false).replace("\"input_audio_tokens\":0", "\"input_audio_tokens\":9");
    assert_eq!(only(&openai(&[item("input")], &[audio]).unwrap()).tokens, None);
    let refused = openai(&[item("input")], &[openai_usage(1, 2, 3, false)]);
    assert!(matches!(refused, Err(BadPage::Tokens { .. })));
}

#[test]
fn other_line_items_stay_and_say_whether_they_are_understood() {
    for (item, understood) in [
        (r#""web search tool calls""#, true),
        (r#""Code Interpreter sessions""#, true),
        (r#""ft:gpt-4o-mini-2024-07-18:acme::A1b2, output""#, true),
        (r#""gpt-4o-2024-08-06, output, of tomorrow""#, false),
        (r#""some service, input""#, false),
        (r#""image models""#, false),
        ("null", false),
    ] {
        let report = openai(&[openai_cost("1", item, "null")], &[]).unwrap();
        let fact = only(&report);
        assert_eq!(
            (fact.class.understood, fact.is_ai(), &*fact.usage_account),
            (understood, true, "default"),
            "{item}"
        );
    }
}

#[test]
fn the_digits_of_a_number_are_kept() {
    for (value, wanted) in [
        ("0.8958740000000000", "0.895874"),
        ("0.1", "0.1"),
        ("1e-05", "0.00001"),
        ("\"0.06\"", "0.06"),
        ("12345.678901234567", "12345.678901234567"),
        ("0.30000000000000004441", "0.300000000000000044"),
        ("1.2345678901234567e-15", "0.000000000000001235"),
        ("1.2345678901234567e-30", "0"),
        ("-3", "-3"),
    ] {
        let report = openai(&[openai_cost(value, "null", "null")], &[]).unwrap();
        assert_eq!(only(&report).unblended, usd(wanted), "{value}");
    }
    for value in ["null", "{}", "\"\"", "true", "1e300", "2000000000"] {
        assert!(
            matches!(openai(&[openai_cost(value, "null", "null")], &[]), Err(BadPage::Amount { .. })),
            "{value}"
        );
    }
}

#[test]
fn a_page_says_whether_another_follows() {
    let next = |text: &str| next_page(Report::Costs, 1, text);
    assert_eq!(next(r#"{"data":[],"has_more":false,"next_page":null}"#), Ok(None));
    assert_eq!(
        next(r#"{"data":[],"has_more":true,"next_page":"page_a=="}"#),
        Ok(Some("page_a==".to_owned()))
    );
    assert!(
        next(r#"{"data":[],"has_more":true,"next_page":null}"#).is_err(),
        "a report that breaks off is none"
    );
    assert!(next(r#"{"data":[]}"#).unwrap_err().to_string().contains("has_more"));
}

#[test]
fn a_vendor_is_asked_for_the_days_that_there_are() {
    let today = NaiveDate::from_ymd_opt(2026, 11, 26).unwrap();
    let month = |text: &str| text.parse::<Month>().unwrap();
    assert_eq!(
        path(InvoiceVendor::Anthropic, Report::Costs, month("2026-10"), today, None),
        "/v1/organizations/cost_report?starting_at=2026-10-01T00:00:00Z&ending_at=2026-11-01T00:00:00Z&bucket_width=1d\
         &group_by%5B%5D=workspace_id&group_by%5B%5D=description&limit=31"
    );
    let usage = path(InvoiceVendor::Anthropic, Report::Usage, month("2026-11"), today, Some("page_a+b=="));
    assert!(
        usage.contains("ending_at=2026-11-27T00:00:00Z")
            && usage.ends_with("&limit=31&page=page_a%2Bb%3D%3D"),
        "{usage}"
    );
    assert_eq!(
        path(InvoiceVendor::OpenAi, Report::Usage, month("2026-10"), today, None),
        "/v1/organization/usage/completions?start_time=1790812800&end_time=1793491200&bucket_width=1d&group_by=project_id\
         &group_by=model&group_by=batch&limit=31"
    );
}

#[test]
fn only_an_admin_key_of_the_vendor_is_taken() {
    let parse = |vendor, text| AdminKey::parse(vendor, text);
    let key = parse(InvoiceVendor::Anthropic, " sk-ant-admin01-abcdefghijklmnop ").unwrap();
    assert_eq!((key.reveal(), key.hint()), ("sk-ant-admin01-abcdefghijklmnop", "mnop"));
    assert_eq!(format!("{key:?}"), "AdminKey(…)");
    for (vendor, text) in [
        (InvoiceVendor::Anthropic, "sk-ant-api03-abcdefghijklmnop"),
        (InvoiceVendor::OpenAi, "sk-proj-abcdefghijklmnopqrst"),
    ] {
        let refused = parse(vendor, text).unwrap_err();
        assert!(
            matches!(refused, BadAdminKey::ForCalls { .. }) && !refused.to_string().contains("mnop"),
            "{refused}"
        );
    }
    let other = parse(InvoiceVendor::OpenAi, "sk-ant-admin01-abcdefghijklmnop");
    assert!(matches!(other, Err(BadAdminKey::OfAnother { of: "Anthropic", .. })));
    for text in [
        "",
        "sk-admin-",
        "sk-admin-äbcdefghijklmnopqrst",
        "sk-admin-abc\ndefghijklmnopqrst",
        "AKIAABCDEFGHIJKLMNOP",
    ] {
        assert!(matches!(parse(InvoiceVendor::OpenAi, text), Err(BadAdminKey::Shape { .. })), "{text:?}");
    }
}

fn money() -> impl Strategy<Value = Decimal> {
    (-9_999_999_i64..9_999_999, 0_u32..10).prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn facts_totals_and_results_add_up_to_the_same_whatever_page_they_are_on(
        results in prop::collection::vec((1_u32..29, money(), 0_usize..5, 0_usize..4), 0..60),
        per_page in 1_usize..9,
        turn in 0_usize..9,
    ) {
        let models = ["\"claude-a\"", "\"gpt-4o-2024-08-06, input\"", "\"gpt-4o-2024-08-06, output\"", "\"something\"", "null"];
        let projects = ["null", "\"proj_1\"", "\"proj_2\"", "\"\""];
        let mut days = std::collections::BTreeMap::<u32, Vec<(Decimal, usize, usize)>>::new();
        for (day, amount, model, project) in &results {
            days.entry(*day).or_default().push((*amount, *model, *project));
        }
        let openai: Vec<String> = days.iter().map(|(day, lines)| {
            let lines: Vec<String> = lines.iter()
                .map(|(amount, model, project)| openai_cost(&amount.to_string(), models[*model], projects[*project])).collect();
            openai_bucket(*day, &lines.join(","))
        }).collect();
        let mut pages: Vec<String> = openai.chunks(per_page).map(openai_page).collect();
        let report = read(InvoiceVendor::OpenAi, october(), "a", Pages { costs: &pages, usage: &[] }).unwrap();
        let whole: Decimal = results.iter().map(|(_, amount, ..)| *amount).sum();
        let of_facts: Decimal = report.facts.iter().map(|fact| fact.unblended).sum();
        let of_totals: Decimal = report.totals.iter().map(|total| total.unblended).sum();
        prop_assert_eq!((of_facts, of_totals), (whole, whole));
        prop_assert_eq!(report.facts.iter().map(|fact| fact.lines).sum::<u64>(), report.lines);
        prop_assert_eq!(report.lines, u64::try_from(results.len()).unwrap());

        let turn = if pages.is_empty() { 0 } else { turn % pages.len() };
        pages.rotate_left(turn);
        let turned = read(InvoiceVendor::OpenAi, october(), "a", Pages { costs: &pages, usage: &[] }).unwrap();
        prop_assert_eq!((turned.facts, turned.totals), (report.facts, report.totals));

        // The same as Anthropic's, whose amounts count hundredths.
        let anthropic: Vec<Value> = days.iter().map(|(day, lines)| {
            let lines: Vec<Value> = lines.iter().map(|(amount, model, _)| {
                let cents = *amount * Decimal::ONE_HUNDRED;
                cost(&cents.to_string(), ["output_tokens", "uncached_input_tokens"][model % 2])
            }).collect();
            bucket(*day, &lines)
        }).collect();
        let report = super::tests::anthropic(&[page(&anthropic)], &[page(&[])]).unwrap();
        prop_assert_eq!(report.facts.iter().map(|fact| fact.unblended).sum::<Decimal>(), whole);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let pages = [text];
        for vendor in InvoiceVendor::ALL {
            let read = read(vendor, october(), "a", Pages { costs: &pages, usage: &pages });
            prop_assert!(read.is_err());
        }
    }
}
