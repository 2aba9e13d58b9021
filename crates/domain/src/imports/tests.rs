//! What can be a row, what it costs, and who is meant.

use chrono::DateTime;

use super::*;
use crate::pricing::{PriceVersion, price_later};
use crate::request::RepricedNote;
use crate::{ConnectionId, Tokens};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_680_000, 0).unwrap()
}

fn reported() -> ReportedCall {
    ReportedCall {
        source_id: "chatcmpl-1".to_owned(),
        response_id: Some("chatcmpl-1".to_owned()),
        started_at: now() - TimeDelta::hours(1),
        ended_at: now() - TimeDelta::hours(1) + TimeDelta::milliseconds(812),
        provider: "openai".to_owned(),
        operation: "acompletion".to_owned(),
        model_requested: "gpt-4o-mini".to_owned(),
        model_served: Some("gpt-4o-mini-2024-07-18".to_owned()),
        service_tier: None,
        region: None,
        work: Work::Answered(Usage {
            fresh_input: Tokens(900),
            cache_read: Tokens(100),
            output: Tokens(50),
            ..Usage::default()
        }),
        error_code: None,
        claimed_cost: "9.99".parse().ok(),
        attribution: Attribution::default(),
    }
}

fn taken(call: ReportedCall) -> ImportedCall {
    let whose = (Origin::LiteLlm, TenantId::new(now(), [1; 10]), ApiKeyId::new(now(), [2; 10]));
    call.into_call(whose, &Catalogue::embedded().unwrap(), (now(), [3; 10]))
}

#[test]
fn an_imported_call_costs_what_a_proxied_one_costs() {
    let call = taken(reported());
    // The proxy's row of the same call.
    let mut proxied = RequestFact {
        connection_id: Some(ConnectionId::new(now(), [4; 10])),
        endpoint: "/v1/chat/completions".to_owned(),
        provenance: Provenance::default(),
        cost: None,
        price: PriceReceipt { repriced: None::<RepricedNote>, ..PriceReceipt::default() },
        ..call.fact.clone()
    };
    price_fact(&mut proxied, &Catalogue::embedded().unwrap(), None);
    assert!(call.fact.cost.is_some_and(|cost| cost > Usd::ZERO));
    assert_eq!((call.fact.cost, &call.fact.price), (proxied.cost, &proxied.price));
    assert_eq!(call.claimed_cost, "9.99".parse().ok(), "a claim stands beside, and changes nothing");
    assert_eq!((call.fact.duration_ms, call.fact.outcome), (812, Outcome::Completed));
}

#[test]
fn an_unknown_model_has_no_price_and_never_a_price_of_nothing() {
    let unknown = taken(ReportedCall {
        model_requested: "gpt-99-of-tomorrow".to_owned(),
        model_served: None,
        ..reported()
    });
    assert_eq!((unknown.fact.cost_basis, unknown.fact.cost), (CostBasis::Unpriced, None));
    let unheard = taken(ReportedCall { provider: "azure".to_owned(), ..reported() });
    assert_eq!((unheard.fact.cost_basis, unheard.fact.cost), (CostBasis::Unpriced, None));
}

#[test]
fn what_a_cache_answered_and_what_failed_before_any_work_cost_nothing() {
    let cached = taken(ReportedCall { work: Work::Cached, ..reported() });
    assert_eq!((cached.fact.cost, cached.fact.usage), (Some(Usd::ZERO), Usage::default()));
    assert!(cached.fact.price.note.unwrap().contains("cache"));
    let failed = taken(ReportedCall { work: Work::Failed(Usage::default()), ..reported() });
    assert_eq!((failed.fact.cost, failed.fact.outcome), (Some(Usd::ZERO), Outcome::Failed));
    let usage = Usage { fresh_input: Tokens(1_000_000), ..Usage::default() };
    let partly = taken(ReportedCall { work: Work::Failed(usage), ..reported() });
    assert!(partly.fact.cost.is_some_and(|cost| cost > Usd::ZERO), "what was counted is billed");
}

#[test]
fn what_failed_when_work_may_have_begun_costs_nobody_knows_what() {
    let broken = taken(ReportedCall { work: Work::Broken, ..reported() }).fact;
    assert_eq!((broken.outcome, broken.usage), (Outcome::Failed, Usage::default()));
    assert_eq!((broken.cost_basis, broken.cost), (CostBasis::Unpriced, None), "unknown is never zero");
    assert!(broken.price.note.as_deref().is_some_and(|note| note.contains("unknown")));
    // A price that is found later finds no tokens, either.
    let prices = PriceVersion { n: 7, published_at: None, catalogue: Catalogue::embedded().unwrap() };
    assert_eq!(price_later(&broken, &prices, now()), None);
    let counted = RequestFact { usage: taken(reported()).fact.usage, ..broken };
    assert!(price_later(&counted, &prices, now()).is_some());
}

#[test]
fn a_call_that_cannot_be_a_row_is_refused_with_its_reason() {
    assert_eq!(reported().check(now()), Ok(()));
    let shifted = |by: TimeDelta| ReportedCall {
        started_at: now() + by,
        ended_at: now() + by + TimeDelta::seconds(1),
        ..reported()
    };
    assert_eq!(shifted(CLOCKS_APART).check(now()), Ok(()), "another clock may be a little ahead");
    assert_eq!(shifted(CLOCKS_APART + TimeDelta::seconds(1)).check(now()), Err(Refusal::Future));
    assert_eq!(shifted(-OLDEST).check(now()), Ok(()));
    assert_eq!(shifted(-OLDEST - TimeDelta::seconds(1)).check(now()), Err(Refusal::Old));
    let usage = |count| Usage { output: Tokens(count), ..Usage::default() };
    for (call, refusal) in [
        (ReportedCall { source_id: String::new(), ..reported() }, Refusal::NoId),
        (ReportedCall { source_id: "x".repeat(257), ..reported() }, Refusal::LongId),
        (ReportedCall { ended_at: now() - TimeDelta::hours(2), ..reported() }, Refusal::Backwards),
        (ReportedCall { provider: String::new(), ..reported() }, Refusal::NoProvider),
        (ReportedCall { model_requested: String::new(), ..reported() }, Refusal::NoModel),
        (ReportedCall { work: Work::Answered(usage(MOST_TOKENS + 1)), ..reported() }, Refusal::Tokens),
        (ReportedCall { work: Work::Answered(usage(0)), ..reported() }, Refusal::NoTokens),
    ] {
        assert_eq!(call.check(now()), Err(refusal), "{call:?}");
    }
    assert_eq!(ReportedCall { work: Work::Failed(usage(0)), ..reported() }.check(now()), Ok(()));
    assert_eq!(ReportedCall { work: Work::Broken, ..reported() }.check(now()), Ok(()));
    assert_eq!(ReportedCall { work: Work::Cached, ..reported() }.check(now()), Ok(()));
}

#[test]
fn names_and_tags_have_an_end() {
    let attribution = Attribution {
        user: Some(String::new()),
        team: Some("ü".repeat(1_000)),
        tags: (0..100).map(|n| format!("tag-{n}")).chain([String::new()]).collect(),
        ..Attribution::default()
    };
    let kept = taken(ReportedCall { attribution, ..reported() }).attribution;
    assert_eq!((kept.user, kept.team.unwrap().chars().count()), (None, LONGEST_NAME));
    assert_eq!(kept.tags.len(), MOST_TAGS);
}

#[test]
fn a_vendors_name_at_another_address_is_only_a_dialect() {
    for (name, address, ours) in [
        ("openai", None, "openai"),
        ("OpenAI", Some("https://api.openai.com/v1/"), "openai"),
        ("openai", Some("eu.api.openai.com"), "openai"),
        ("openai", Some("http://vllm.internal:8000/v1"), "openai_compatible"),
        ("openai", Some("https://api.openai.com.evil.example/v1"), "openai_compatible"),
        ("anthropic", Some("https://api.anthropic.com/v1/messages"), "anthropic"),
        ("anthropic", Some("https://claude.internal"), "anthropic_compatible"),
        ("aws.bedrock", Some("bedrock-runtime.us-east-1.amazonaws.com:443"), "bedrock"),
        ("bedrock_converse", None, "bedrock"),
        ("gcp.gemini", None, "google"),
        ("x_ai", None, "xai"),
        ("azure.ai.openai", Some("https://acme.openai.azure.com"), "azure"),
        ("cohere", Some("https://api.cohere.com"), "cohere"),
        ("", None, ""),
    ] {
        assert_eq!(vendors::provider(name, address), ours, "{name} at {address:?}");
    }
}

#[test]
fn a_models_name_is_the_providers_own() {
    for (theirs, ours, name, expected) in [
        ("openai", "openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "openai", "gpt-4o", "gpt-4o"),
        ("groq", "groq", "groq/openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("bedrock", "bedrock", "bedrock/converse/us.amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"),
        ("gemini", "google", "gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("", "", "/x", "/x"),
    ] {
        assert_eq!(vendors::model(theirs, ours, name), expected, "{name}");
    }
}

#[test]
fn an_address_of_aws_names_its_region_and_no_other_address_does() {
    let cases = [
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", Some("us-east-1")),
        ("bedrock-mantle.eu-west-1.api.aws:443", Some("eu-west-1")),
        (
            "https://vpce-0fe5b17a0707d6abc-29p57081.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
            Some("ap-southeast-2"),
        ),
        ("https://amazonaws.com.evil.example/v1", None),
        ("https://notamazonaws.com/v1", None),
        ("https://api.openai.com/v1", None),
    ];
    for (url, region) in cases {
        assert_eq!(vendors::aws_region(url).as_deref(), region, "{url}");
    }
}

#[test]
fn parts_that_are_more_than_the_whole_are_not_in_it() {
    assert_eq!(fresh_input(1_000, 400), 600);
    assert_eq!(fresh_input(100, 400), 100);
    assert_eq!(fresh_input(400, 400), 0);
}
