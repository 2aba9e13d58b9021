//! What is JSON, and what only looks like it.

use super::*;

/// What no kept text may hold.
const SECRETS: [&str; 8] = ["@", "6789", "1111", "0187", "10.0.0", "203.0.113", "0958", "example"];

#[test]
fn what_looks_like_json_and_is_none_is_searched_whole() {
    for text in [
        "[10:04] Jane: bob@x.com, SSN 123-45-6789, 10.0.0.1",
        "[INFO] 2026-11-22 10:15:30 login of jane@example.com from 203.0.113.7",
        "[INST] My card is 4111 1111 1111 1111, call +1 212 555 0187 [/INST]",
        "[write to Jane](mailto:jane@example.com)",
        "{'mail': 'jane@example.com', 'ip': '10.0.0.1', 'card': 4111111111111111}",
        "{\"a\":1} and write to jane@example.com",
        "{\"a\":1}\n{\"ip\":\"10.0.0.1\"}\nfrom 203.0.113.7",
        "{name} lives at 10.0.0.1",
        "[1] 4111 1111 1111 1111",
        "[1, 2] 020 7946 0958",
        "[\"a\", jane@example.com]",
        "[10.0.0.1]",
        "[10.0.0.1, 10.0.0.2",
        "{{jane@example.com}}",
        "\"Hello\" is for jane@example.com",
        "\"a\" \"b\" 4111111111111111",
    ] {
        let said = json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
        let clean: Value = serde_json::from_str(&redacted(&said, Shape::Json)).unwrap();
        let (head, tail) = text.split_at(text.len() / 2);
        let stream = redacted(&openai(&[head, tail]), Shape::Events);
        let streamed = joined(&stream, |event| event["choices"][0]["delta"]["content"].as_str());
        for clean in [
            clean["messages"][0]["content"].as_str().unwrap(),
            &streamed,
            &redacted(text, Shape::Json),
            &redacted(&format!("data: {}\n\n", text.replace('\n', " ")), Shape::Events),
            &redacted(&format!("{}\n", text.replace('\n', " ")), Shape::Events),
        ] {
            for secret in SECRETS {
                assert!(!clean.contains(secret), "{text}: {clean}");
            }
        }
    }
    // A datum that is no document at all.
    assert_eq!(redacted("data: jane@example.com\n\n", Shape::Events), "data: [EMAIL]\n\n");
}

#[test]
fn json_in_a_string_that_was_cut_keeps_its_form_to_its_cut() {
    for (inner, clean) in [
        (r#"{"card": 4111111111111111, "to": "bob@x.com, 10.0."#, r#"{"card": 0, "to": "[EMAIL], 10.0."#),
        (r#"[{"card": 4111111111111111"#, r#"[{"card": 0"#),
        (r#"{"ok": true, "card":4111111111111111 , "x": fal"#, r#"{"ok": true, "card":0 , "x": fal"#),
        (r#"{"cards": [-4111111111111111, 5555555555554444]}"#, r#"{"cards": [-0, 0]}"#),
        (r#"{"card": 41111111.11111111}"#, r#"{"card": 0}"#),
        // The quote that opens the string is not the one that opens a quoted name.
        (r#"{"to":"Jane \"@example.com"}"#, r#"{"to":"[EMAIL]"}"#),
        (r#"{"jane@example.com":"10.0.0.1"}"#, r#"{"[EMAIL]":"[IPV4]"}"#),
    ] {
        let text = json!({ "arguments": inner }).to_string();
        let clean_text: Value = serde_json::from_str(&redacted(&text, Shape::Json)).unwrap();
        assert_eq!(clean_text["arguments"], clean);
        let stream = redacted(&openai(&[inner]), Shape::Events);
        assert_eq!(joined(&stream, |event| event["choices"][0]["delta"]["content"].as_str()), clean);
    }
}

/// How serde_json takes a text: JSON or its beginning, or neither.
fn is_json(text: &str) -> bool {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}

/// JSON with numbers that are personal data, in what tools are given.
pub(super) fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        words().prop_map(Value::from),
        Just(json!(4_111_111_111_111_111_u64)),
        Just(json!(-4_111_111_111_111_111_i64)),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name = prop_oneof![Just("phone".to_owned()), words(), "[a-z]{0,3}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_and_its_beginnings_are_told_from_the_rest(
        text in "[\\[{\"]([\\[\\]{}\",:0-9eE.+\\- \\\\u]|true|false|null|\"a\":|\\\\u00e9){0,12}",
        value in arguments(),
    ) {
        prop_assert_eq!(syntax::is_json(&text), is_json(&text), "{}", text);
        let document = json!([value]).to_string();
        for (cut, _) in document.char_indices() {
            prop_assert!(syntax::is_json(&document[..cut]), "{} of {}", cut, document);
        }
        prop_assert!(syntax::is_json(&document));
        let more = format!("{document}x");
        prop_assert!(!syntax::is_json(&more));
    }

    #[test]
    fn arguments_stay_json_and_a_second_time_changes_nothing(value in arguments(), cut in any::<proptest::sample::Index>()) {
        let inner = json!([value]).to_string();
        let text = json!({ "arguments": inner }).to_string();
        let once = redacted(&text, Shape::Json);
        let clean: Value = serde_json::from_str(&once).unwrap();
        let arguments = clean["arguments"].as_str().unwrap();
        prop_assert!(serde_json::from_str::<Value>(arguments).is_ok(), "{}", arguments);
        prop_assert_eq!(&redacted(&once, Shape::Json), &once);
        let inner: String = inner.chars().take(cut.index(inner.chars().count() + 1)).collect();
        let cut = redacted(&json!({ "arguments": inner }).to_string(), Shape::Json);
        let clean: Value = serde_json::from_str(&cut).unwrap();
        prop_assert!(syntax::is_json(clean["arguments"].as_str().unwrap()), "{} of {}", clean, inner);
        prop_assert_eq!(redacted(&cut, Shape::Json), cut);
    }

    #[test]
    fn what_looks_like_json_is_cleaned_once_and_for_all(begin in "[\\[{\"]{1,2}|\\[x\\] |\\{'|\\[1, |\\{\"a\":", text in words()) {
        let text = format!("{begin}{text}");
        for (text, shape) in [
            (text.clone(), Shape::Json),
            (json!({ "content": text }).to_string(), Shape::Json),
            (openai(&[&text]), Shape::Events),
            (format!("data: {}\n\n", text.replace('\n', " ")), Shape::Events),
        ] {
            let once = redact(text.as_bytes(), shape);
            prop_assert_eq!(redact(&once, shape), once);
        }
    }
}
