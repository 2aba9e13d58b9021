//! A body of the Python SDK (1.45, `fixtures/spans.pb`), the same told in JSON, and what strangers send.

use chrono::DateTime;
use costlens_domain::Tokens;
use costlens_domain::imports::Work;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Half a day after the spans.
fn now() -> DateTime<Utc> {
    "2026-11-26T14:00:00Z".parse().unwrap()
}

fn spans() -> Bytes {
    Bytes::from_static(include_bytes!("fixtures/spans.pb"))
}

/// What is said in the fixture, and must be in nothing that comes out.
const CANARY: &str = "Canary-Zeisig";

#[test]
fn what_an_sdk_sends_is_read_without_anything_that_was_said() {
    assert!(spans().windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes()));
    let read = read(&spans(), Encoding::Protobuf, now()).unwrap();
    assert!(!format!("{read:?}").contains(CANARY), "{read:?}");
    assert_eq!((read.calls.len(), read.others), (3, 2), "an agent's span and a web request are no calls");
    assert_eq!(read.refused.named, [(6, Refusal::NoTokens)]);

    let [chat, claude, failed] = read.calls.as_slice() else { panic!("{read:?}") };
    assert_eq!((chat.provider.as_str(), chat.model_requested.as_str()), ("openai", "gpt-4o-mini"));
    assert_eq!(chat.model_served.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    assert_eq!(chat.response_id.as_deref(), Some("chatcmpl-otlp-1"));
    let usage = Usage1 { fresh: 600, cached: 400, output: 50 };
    assert_eq!(usage_of(chat.work), usage);
    assert_eq!((chat.ended_at - chat.started_at).num_milliseconds(), 812);
    assert_eq!(chat.attribution.user.as_deref(), Some("u-7"));
    assert_eq!(chat.attribution.service.as_deref(), Some("shop-assistant"));
    assert_eq!(chat.attribution.tags, ["environment:production", "namespace:shop"]);

    assert_eq!((claude.provider.as_str(), claude.region.as_deref()), ("bedrock", Some("eu-west-1")));
    assert_eq!(claude.response_id, None);
    assert!(claude.source_id.len() == 49 && claude.source_id != chat.source_id, "{}", claude.source_id);
    let Work::Answered(usage) = claude.work else { panic!("{claude:?}") };
    assert_eq!((usage.fresh_input, usage.cache_write_5m), (Tokens(1_700), Tokens(300)));

    assert_eq!(failed.work, Work::Failed(costlens_domain::Usage::default()));
    assert_eq!(failed.error_code.as_deref(), Some("RateLimitError"));
}

#[derive(Debug, PartialEq, Eq)]
struct Usage1 {
    fresh: u64,
    cached: u64,
    output: u64,
}

fn usage_of(work: Work) -> Usage1 {
    let (Work::Answered(usage) | Work::Failed(usage)) = work else { panic!("{work:?}") };
    Usage1 { fresh: usage.fresh_input.0, cached: usage.cache_read.0, output: usage.output.0 }
}

/// One span in JSON with these attributes, texts as texts and numbers as numbers.
fn json_body(attributes: &serde_json::Value, start: &serde_json::Value) -> Bytes {
    let attributes: Vec<_> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| match value {
            serde_json::Value::String(text) => json!({"key": key, "value": {"stringValue": text}}),
            serde_json::Value::Number(count) => json!({"key": key, "value": {"intValue": count.to_string()}}),
            other => json!({"key": key, "value": other}),
        })
        .collect();
    let span = json!({
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "",
        "name": "chat", "kind": 3, "startTimeUnixNano": start, "endTimeUnixNano": start,
        "attributes": attributes, "status": {},
        "events": [{"name": "gen_ai.content.prompt", "attributes": [{"key": "x", "value": {"stringValue": CANARY}}]}],
    });
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "x"}, "spans": [span]}],
    }]})
    .to_string()
    .into()
}

const START: &str = "1795658400000000000";

#[test]
fn json_says_the_same_as_protobuf() {
    let attributes = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.response.id": "chatcmpl-otlp-1",
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 400, "server.address": "api.openai.com", "user.id": "u-7",
        "gen_ai.input.messages": CANARY, "gen_ai.output.messages": {"arrayValue": {"values": [7, {"odd": CANARY}]}},
    });
    let told = read(&json_body(&attributes, &json!(START)), Encoding::Json, now()).unwrap();
    assert!(!format!("{told:?}").contains(CANARY));
    let [call] = told.calls.as_slice() else { panic!("{told:?}") };
    let told_in_protobuf = read(&spans(), Encoding::Protobuf, now()).unwrap().calls.remove(0);
    assert_eq!(call.source_id, "5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174");
    assert_eq!((call.work, call.started_at), (told_in_protobuf.work, told_in_protobuf.started_at));
    assert_eq!(call.model_served, told_in_protobuf.model_served);
    let with_number =
        read(&json_body(&attributes, &json!(1_795_658_400_000_000_000_u64)), Encoding::Json, now());
    assert_eq!(with_number.unwrap().calls, told.calls, "64 bits may be a number");
}

#[test]
fn a_span_that_cannot_be_a_row_is_refused_with_its_reason() {
    let of = |attributes: serde_json::Value, start: serde_json::Value| {
        let told = read(&json_body(&attributes, &start), Encoding::Json, now()).unwrap();
        assert!(told.calls.is_empty(), "{told:?}");
        told.refused.named.first().map(|(_, why)| *why)
    };
    let chat = |model: &str, tokens: serde_json::Value| {
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": tokens,
        })
    };
    assert_eq!(of(chat("gpt-4o", json!(1)), json!("0")), Some(Refusal::NoTime));
    assert_eq!(of(chat("gpt-4o", json!(1)), json!("soon")), Some(Refusal::NoTime));
    assert_eq!(of(chat("gpt-4o", json!(1)), json!("1895658400000000000")), Some(Refusal::Future));
    assert_eq!(of(chat("gpt-4o", json!(1)), json!("1695658400000000000")), Some(Refusal::Old));
    assert_eq!(of(chat("gpt-4o", json!(-1)), json!(START)), Some(Refusal::Tokens));
    assert_eq!(of(chat("gpt-4o", json!("many")), json!(START)), Some(Refusal::Tokens));
    assert_eq!(of(chat("gpt-4o", json!(0)), json!(START)), Some(Refusal::NoTokens));
    assert_eq!(of(chat(" ", json!(1)), json!(START)), Some(Refusal::NoModel));
    // Nobody's calls.
    assert_eq!(of(json!({"http.method": "GET"}), json!(START)), None);
    assert_eq!(of(json!({"gen_ai.system": "openai"}), json!(START)), None);
    assert_eq!(
        of(json!({"gen_ai.system": "openai", "gen_ai.operation.name": "execute_tool"}), json!(START)),
        None
    );
}

#[test]
fn a_failed_span_without_tokens_is_nothing_only_where_the_provider_refused() {
    let work = |failure: &[(&str, serde_json::Value)]| {
        let mut attributes = json!({
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
        });
        for (name, value) in failure {
            attributes[*name] = value.clone();
        }
        let mut told = read(&json_body(&attributes, &json!(START)), Encoding::Json, now()).unwrap();
        assert_eq!((told.calls.len(), told.refused.count), (1, 0), "{told:?}");
        told.calls.remove(0).work
    };
    let refused = Work::Failed(costlens_domain::Usage::default());
    assert_eq!(work(&[("error.type", json!("429"))]), refused);
    assert_eq!(work(&[("error.type", json!("openai.RateLimitError"))]), refused);
    let told = [("error.type", json!("_OTHER")), ("http.response.status_code", json!(503))];
    assert_eq!(work(&told), refused);
    for error in ["timeout", "_OTHER", "openai.APIConnectionError", "ReadError"] {
        assert_eq!(work(&[("error.type", json!(error))]), Work::Broken, "{error}");
    }
    let streamed = [("error.type", json!("_OTHER")), ("http.response.status_code", json!(200))];
    assert_eq!(work(&streamed), Work::Broken);
    // The stream had begun, and an error came in the middle of it.
    let overloaded = ("error.type", json!("OverloadedError"));
    assert_eq!(work(std::slice::from_ref(&overloaded)), refused);
    for begun in [
        ("gen_ai.response.id", json!("msg_1")),
        ("gen_ai.response.model", json!("gpt-4o-2024-11-20")),
        ("http.response.status_code", json!(200)),
    ] {
        assert_eq!(work(&[overloaded.clone(), begun.clone()]), Work::Broken, "{begun:?}");
    }
    let counted = work(&[("error.type", json!("timeout")), ("gen_ai.usage.input_tokens", json!(7))]);
    assert_eq!(usage_of(counted).fresh, 7);
}

#[test]
fn too_many_spans_are_refused_before_any_is_read() {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": vec![json!({}); MOST_SPANS + 1]}]}]});
    let refused = read(&body.to_string().into(), Encoding::Json, now());
    assert!(matches!(refused, Err(NoTraces::TooMany)), "{refused:?}");
    // Empty messages, two bytes each: 12 00 within a scope within a resource.
    let spans = [0x12, 0x00].repeat(MOST_SPANS + 1);
    let nested = |inner: &[u8], tag: u8| {
        let mut outer = vec![tag];
        let mut length = inner.len();
        while length >= 0x80 {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        outer.extend_from_slice(inner);
        outer
    };
    let body = nested(&nested(&spans, 0x12), 0x0a);
    let refused = read(&body.into(), Encoding::Protobuf, now());
    assert!(matches!(refused, Err(NoTraces::TooMany)), "{refused:?}");
}

#[test]
fn the_answer_says_what_was_rejected_and_nothing_where_nothing_was() {
    assert_eq!(answer(Encoding::Json, 0, ""), b"{}");
    assert_eq!(answer(Encoding::Protobuf, 0, ""), b"");
    let told: serde_json::Value = serde_json::from_slice(&answer(Encoding::Json, 2, "why")).unwrap();
    assert_eq!(told, json!({"partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}}));
    assert_eq!(answer(Encoding::Protobuf, 2, "why"), b"\x0a\x07\x08\x02\x12\x03why");
    assert_eq!(failure("no"), b"\x12\x02no");
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let body = Bytes::from(bytes);
        let _any = read(&body, Encoding::Protobuf, now());
        let _any = read(&body, Encoding::Json, now());
    }

    #[test]
    fn a_body_that_is_damaged_anywhere_breaks_nothing(place in 0..2_373_usize, byte in any::<u8>()) {
        let mut body = spans().to_vec();
        if let Some(there) = body.get_mut(place) {
            *there = byte;
        }
        let _any = read(&body.into(), Encoding::Protobuf, now());
    }
}
