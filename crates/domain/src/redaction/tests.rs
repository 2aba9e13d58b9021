use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod looks;
mod shipped;
mod tools;

/// The corpus, by the kind that a file's cases are of.
const CORPUS: [(&str, Option<Kind>); 7] = [
    (include_str!("corpus/email.txt"), Some(Kind::Email)),
    (include_str!("corpus/phone.txt"), Some(Kind::Phone)),
    (include_str!("corpus/ssn.txt"), Some(Kind::Ssn)),
    (include_str!("corpus/card.txt"), Some(Kind::Card)),
    (include_str!("corpus/ipv4.txt"), Some(Kind::Ipv4)),
    (include_str!("corpus/keep.txt"), None),
    (include_str!("corpus/hard.txt"), None),
];

/// A case: the text, and from where to where personal data stands in it.
fn cases(file: &str) -> Vec<(String, Vec<(usize, usize)>)> {
    let mut cases = Vec::new();
    for line in file.lines().filter(|line| !line.starts_with("# ")) {
        let line = line.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
        let (mut text, mut spans, mut open) = (String::new(), Vec::new(), 0);
        for c in line.chars() {
            match c {
                '⟦' => open = text.chars().count(),
                '⟧' => spans.push((open, text.chars().count())),
                c => text.push(c),
            }
        }
        cases.push((text, spans));
    }
    cases
}

fn found(text: &str) -> Vec<Span> {
    let chars: Vec<char> = text.chars().map(view::plain).collect();
    find(&chars, "")
}

#[derive(Clone, Copy, Default)]
struct Score {
    hit: u32,
    missed: u32,
    wrong: u32,
}

fn per_thousand(part: u32, whole: u32) -> u32 {
    (part * 1_000).checked_div(whole).unwrap_or(1_000)
}

/// What `docs/trust.md` says of recall and precision is what this prints.
#[test]
fn the_corpus_is_found_and_what_must_stay_stays() {
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let (mut all, mut count, mut controls, mut story) = (Score::default(), 0, 0, String::new());
    for (file, kind) in CORPUS {
        for (text, wanted) in cases(file) {
            count += 1;
            controls += u32::from(wanted.is_empty());
            let spans = found(&text);
            let name = kind.map_or("others", Kind::token);
            let score = scores.entry(name).or_default();
            let mut tally = |field: fn(&mut Score) -> &mut u32, what: &str| {
                *field(score) += 1;
                *field(&mut all) += 1;
                if !what.is_empty() {
                    writeln!(story, "{what}: {text:?} {spans:?}").unwrap();
                }
            };
            for (from, to) in &wanted {
                let covers = |span: &&Span| {
                    span.from <= *from && *to <= span.to && kind.is_none_or(|kind| span.kind == kind)
                };
                match spans.iter().find(covers) {
                    Some(_) => tally(|score| &mut score.hit, ""),
                    None => tally(|score| &mut score.missed, "missed"),
                }
            }
            for span in &spans {
                if !wanted.iter().any(|(from, to)| span.from < *to && *from < span.to) {
                    tally(|score| &mut score.wrong, "wrong");
                }
            }
        }
    }
    println!("{story}");
    for (name, Score { hit, missed, wrong }) in
        scores.iter().map(|(name, score)| (*name, *score)).chain([("all", all)])
    {
        println!(
            "{name}: found {hit} of {}, recall {} ‰, taken wrongly {wrong}, precision {} ‰",
            hit + missed,
            per_thousand(hit, hit + missed),
            per_thousand(hit, hit + wrong),
        );
    }
    println!("{count} cases, {controls} of them with nothing to find");
    assert!(count >= 400 && controls >= 150, "{count} cases, {controls} controls");
    assert!(per_thousand(all.hit, all.hit + all.missed) >= 990, "recall\n{story}");
    assert!(per_thousand(all.hit, all.hit + all.wrong) >= 980, "precision\n{story}");
}

fn redacted(text: &str, shape: Shape) -> String {
    String::from_utf8(redact(text.as_bytes(), shape)).unwrap()
}

#[test]
fn strings_are_looked_into_through_their_escapes_and_the_rest_stays_byte_for_byte() {
    let text = r#"{ "model":"gpt-4o" ,"n": 4111111111111111, "messages":[{"role":"user","content":"I am jane\u0040example.com,\ncard 4111\u00201111 1111 1111\tand C:\\new 10.0.0.1"}],"seed":1763800000123}"#;
    let expected = r#"{ "model":"gpt-4o" ,"n": 4111111111111111, "messages":[{"role":"user","content":"I am [EMAIL],\ncard [CARD]\tand C:\\new [IPV4]"}],"seed":1763800000123}"#;
    assert_eq!(redacted(text, Shape::Json), expected);
    // The name of a member tells what its digits are.
    assert_eq!(
        redacted(r#"{"phone":"2125550187","id":"2125550187"}"#, Shape::Json),
        r#"{"phone":"[PHONE]","id":"2125550187"}"#
    );
    // What was cut is read to its cut, and what is no JSON as it is.
    assert_eq!(
        redacted(r#"{"content":"mail jane@example.com or cal"#, Shape::Json),
        r#"{"content":"mail [EMAIL] or cal"#
    );
    assert_eq!(redacted("upstream said: jane@example.com", Shape::Json), "upstream said: [EMAIL]");
    assert_eq!(redacted("\u{feff}", Shape::Json), "\u{feff}");
}

#[test]
fn a_version_is_told_by_the_word_before_it_and_by_no_part_of_another() {
    for (text, clean) in [
        (r#"{"server":"10.0.0.1"}"#, r#"{"server":"[IPV4]"}"#),
        (r#"{"version":"10.0.0.1"}"#, r#"{"version":"10.0.0.1"}"#),
        (r#"{"osVersion":"10.0.0.1"}"#, r#"{"osVersion":"10.0.0.1"}"#),
        (r#"{"build_host":"10.0.0.1"}"#, r#"{"build_host":"[IPV4]"}"#),
        (r#"{"version":"on 10.0.0.1"}"#, r#"{"version":"on [IPV4]"}"#),
        (
            r#"{"x":"server 10.1.2.3, failover to 203.0.113.7"}"#,
            r#"{"x":"server [IPV4], failover to [IPV4]"}"#,
        ),
    ] {
        assert_eq!(redacted(text, Shape::Json), clean);
    }
}

#[test]
fn arguments_of_tools_are_json_in_a_string_and_stay_it() {
    let inner = json!({ "card": 4_111_111_111_111_111_u64, "mail": "jane@example.com", "note": "line\n4111 1111 1111 1111", "n": 12, "deep": json!({"tel": "+1 212 555 0187"}).to_string() });
    let body = json!({ "choices": [{ "message": { "tool_calls": [{ "function": { "name": "pay", "arguments": inner.to_string() } }] } }] });
    let clean: Value = serde_json::from_str(&redacted(&body.to_string(), Shape::Json)).unwrap();
    let arguments =
        clean["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments["card"], 0);
    assert_eq!(arguments["mail"], "[EMAIL]");
    assert_eq!(arguments["note"], "line\n[CARD]");
    assert_eq!(arguments["n"], 12);
    let deep: Value = serde_json::from_str(arguments["deep"].as_str().unwrap()).unwrap();
    assert_eq!(deep["tel"], "[PHONE]");
}

/// The deltas of a stream as one text.
fn joined(stream: &str, text: impl Fn(&Value) -> Option<&str>) -> String {
    let events =
        stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    events.filter_map(|data| text(&serde_json::from_str(data).unwrap()).map(str::to_owned)).collect()
}

fn openai(parts: &[&str]) -> String {
    let event = |part: &&str| {
        let event = json!({ "id": "chatcmpl-1", "created": 1_763_800_000, "choices": [{ "delta": { "content": part }, "index": 0, "finish_reason": null }] });
        format!("data: {event}\n\n")
    };
    parts.iter().map(event).chain(["data: [DONE]\n\n".to_owned()]).collect()
}

#[test]
fn a_card_that_is_cut_over_deltas_of_openai_is_found() {
    let stream = openai(&["Pay with 41", "11 11", "11 1111 ", "1111", ", please: jane@", "example", ".com"]);
    let clean = redacted(&stream, Shape::Events);
    assert_eq!(
        joined(&clean, |event| event["choices"][0]["delta"]["content"].as_str()),
        "Pay with [CARD], please: [EMAIL]"
    );
    assert_eq!(clean.matches("chatcmpl-1").count(), 7, "nothing else is touched");
    assert!(clean.ends_with("data: [DONE]\n\n"));
}

#[test]
fn deltas_of_several_choices_and_calls_are_told_apart() {
    let chunk = |choice: u64, call: u64, arguments: &str| {
        let event = json!({ "choices": [{ "index": choice, "delta": { "tool_calls": [{ "index": call, "function": { "arguments": arguments } }] } }] });
        format!("data: {event}\r\n\r\n")
    };
    // Each is half a card, and together they would be one.
    let apart = [chunk(0, 0, "\"4111 1111 "), chunk(1, 0, "1111 1111\""), chunk(0, 1, "1111 1111")].concat();
    assert_eq!(redacted(&apart, Shape::Events), apart);
    let together = [
        chunk(0, 0, "{\"card\": 41111111"),
        chunk(0, 1, "{\"to\":\"jane\\u00"),
        chunk(0, 0, "11111111}"),
        chunk(0, 1, "40example.com\"}"),
    ]
    .concat();
    let clean = redacted(&together, Shape::Events);
    let call = |number: u64| {
        joined(&clean, |event| {
            let call = &event["choices"][0]["delta"]["tool_calls"][0];
            (call["index"] == number).then(|| call["function"]["arguments"].as_str()).flatten()
        })
    };
    assert_eq!((call(0).as_str(), call(1).as_str()), ("{\"card\": 0}", "{\"to\":\"[EMAIL]\"}"));
}

#[test]
fn a_card_that_is_cut_over_deltas_of_anthropic_is_found() {
    let delta = |index: u64, delta: Value| {
        let event = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        format!("event: content_block_delta\ndata: {event}\n\n")
    };
    let stream = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n"
            .to_owned(),
        delta(0, json!({ "type": "text_delta", "text": "SSN 123-4" })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "{\"card\":\"4111-1111-11" })),
        delta(0, json!({ "type": "text_delta", "text": "5-6789 and" })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "11-1111\"}" })),
    ]
    .concat();
    let clean = redacted(&stream, Shape::Events);
    assert_eq!(joined(&clean, |event| event["delta"]["text"].as_str()), "SSN [SSN] and");
    assert_eq!(joined(&clean, |event| event["delta"]["partial_json"].as_str()), "{\"card\":\"[CARD]\"}");
    assert!(clean.starts_with("event: message_start\ndata: {\"type\":\"message_start\""));
}

#[test]
fn rules_that_could_be_slow_look_no_further_than_they_need() {
    // Quadratic work on so many characters would take hours.
    for unit in [
        "@",
        "a@",
        "1",
        "1-",
        "1 ",
        "4111 ",
        "a.",
        "\\",
        "\\\\u00",
        "{\"a\":",
        "[",
        "\"",
        "+1",
        "(2",
        "0.",
        "@a.",
        "%40",
        "\"logprobs\":[",
        "\"logprobs\":1,",
        "{\"input\":",
        "[1,",
        "4111111111111111,",
        "\"a\",",
    ] {
        let text = unit.repeat((1 << 17) / unit.len());
        assert!(!redact(text.as_bytes(), Shape::Json).is_empty());
        assert!(!redact(format!("data: {text}\n\n").as_bytes(), Shape::Events).is_empty());
        assert!(
            !redact(openai(&[&text[..text.len() / 2], &text[text.len() / 2..]]).as_bytes(), Shape::Events)
                .is_empty()
        );
    }
}

/// Words and numbers, and what the rules live on, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("jane@example.com".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("123-45-6789".to_owned()),
        Just("+1 212 555 0187".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just("phone".to_owned()),
        Just("ssn".to_owned()),
        "[-0-9 .+()@/%,:\\\\n\"a-c_]{0,12}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        words().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        words().prop_map(|text| json!({ "x": text }).to_string().into()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A document's form: everything but what its strings say.
fn form(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(form).collect::<String>()),
        Value::Object(members) => format!("{{{}}}", members.values().map(form).collect::<String>()),
        Value::String(_) => "s".to_owned(),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn doing_it_again_changes_nothing(text in words(), value in json_values()) {
        for (text, shape) in [
            (text.clone(), Shape::Json),
            (value.to_string(), Shape::Json),
            (format!("data: {value}\n\n"), Shape::Events),
        ] {
            let once = redact(text.as_bytes(), shape);
            prop_assert_eq!(redact(&once, shape), once);
        }
    }

    #[test]
    fn valid_json_stays_valid_and_keeps_its_form(value in json_values()) {
        let clean: Value = serde_json::from_slice(&redact(value.to_string().as_bytes(), Shape::Json)).unwrap();
        prop_assert_eq!(form(&clean), form(&value));
    }

    #[test]
    fn a_text_is_cleaned_alike_however_a_stream_cuts_it(text in words(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6)) {
        let chars: Vec<char> = text.chars().collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(chars.len() + 1)).collect();
        places.extend([0, chars.len()]);
        places.sort_unstable();
        let parts: Vec<String> = places.windows(2).map(|pair| chars[pair[0]..pair[1]].iter().collect()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let content = |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
        let text_of = |stream: String| -> String {
            let clean = redacted(&stream, Shape::Events);
            let events = clean.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
            events.filter_map(|data| content(&serde_json::from_str(data).unwrap())).collect()
        };
        prop_assert_eq!(text_of(openai(&parts)), text_of(openai(&[&text])));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for shape in [Shape::Json, Shape::Events] {
            let clean = redact(&bytes, shape);
            prop_assert!(std::str::from_utf8(&clean).is_ok());
        }
    }
}

#[test]
fn an_answer_that_repeats_itself_token_by_token_repeats_nothing_of_it() {
    let tokens: Vec<Value> = ["411", "1", " ", "111", "1 1111", " 1111", "}]"]
        .iter()
        .map(|token| json!({"token": token, "logprob": -0.1, "bytes": token.as_bytes(), "top_logprobs": []}))
        .collect();
    let choice =
        |name: &str| json!({"index": 0, name: {"content": "hello"}, "logprobs": {"content": tokens}});
    let whole = json!({"choices": [choice("message"), choice("message")], "usage": {"total_tokens": 7}});
    let clean: Value = serde_json::from_slice(&redact(whole.to_string().as_bytes(), Shape::Json)).unwrap();
    let gone = json!({"index": 0, "message": {"content": "hello"}, "logprobs": null});
    assert_eq!(clean, json!({"choices": [gone, gone], "usage": {"total_tokens": 7}}));
    let stream = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        json!({"choices": [choice("delta")]}),
        json!({"id": "x"})
    );
    let clean = String::from_utf8(redact(stream.as_bytes(), Shape::Events)).unwrap();
    assert!(!clean.contains("411") && clean.contains(r#""logprobs":null"#), "{clean}");
    assert!(clean.ends_with("data: {\"id\":\"x\"}\n\ndata: [DONE]\n\n"), "{clean}");
    // One that was cut goes to its cut.
    let cut = whole.to_string();
    let cut = cut.split_at(cut.find("1 1111").unwrap()).0;
    let clean = String::from_utf8(redact(cut.as_bytes(), Shape::Json)).unwrap();
    assert!(!clean.contains("411") && clean.ends_with(r#""logprobs":null"#), "{clean}");
    // What only has the name stays.
    for kept in [
        r#"{"logprobs": true, "top_logprobs": 2}"#,
        r#"{"properties": {"logprobs": {"type": "boolean"}}}"#,
        r#"{"x": ["logprobs", {"token": 1}], "y": "\"logprobs\": {token"}"#,
    ] {
        assert_eq!(String::from_utf8(redact(kept.as_bytes(), Shape::Json)).unwrap(), kept);
    }
}

#[test]
fn what_is_spoken_in_many_deltas_is_read_as_one_text() {
    let delta = |text: &str| {
        let choice = json!({"index": 0, "delta": {"audio": {"id": "a", "transcript": text}}});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let stream = ["write to ann", "@exam", "ple.com today"].map(delta).concat();
    let clean = String::from_utf8(redact(stream.as_bytes(), Shape::Events)).unwrap();
    assert!(clean.contains("[EMAIL]") && !clean.contains("@exam") && !clean.contains("ple.com"), "{clean}");
}
