//! What tools are given and give, where it is JSON and not a string with JSON in it.

use super::*;

fn clean(body: &Value) -> Value {
    let document = redacted(&body.to_string(), Shape::Json);
    let stream = redacted(&format!("data: {body}\n\n"), Shape::Events);
    assert_eq!(stream, format!("data: {document}\n\n"), "a stream holds the same");
    assert_eq!(redacted(&document, Shape::Json), document, "doing it again changes nothing");
    serde_json::from_str(&document).unwrap()
}

#[test]
fn numbers_that_tools_are_given_and_give_are_looked_at_and_others_stay() {
    let given = json!({ "card": 4_111_111_111_111_111_u64, "phone": 2_125_550_187_u64, "ssn": 123_456_789, "n": 12,
        "id": 2_125_550_187_u64, "at": 1_763_800_000, "deep": [{ "phones": [2_125_550_187_u64, 4_155_552_671_u64] }],
        "seen_ms": 1_763_800_000_123_u64, "x": -4_111_111_111_111_111_i64, "ok": true });
    let gone = json!({ "card": 0, "phone": 0, "ssn": 0, "n": 12, "id": 2_125_550_187_u64, "at": 1_763_800_000,
        "deep": [{ "phones": [0, 0] }], "seen_ms": 1_763_800_000_123_u64, "x": 0, "ok": true });
    let seed = 4_111_111_111_111_111_u64;
    let usage = json!({ "input_tokens": seed, "phone": 2_125_550_187_u64 });
    // Anthropic's answer, and the same in the next question.
    let use_ = |input: &Value| json!({ "type": "tool_use", "id": "toolu_1", "name": "pay", "input": input });
    let result = |given: &Value| json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "json": given }] });
    for (dirty, tidy) in [
        (
            json!({ "content": [use_(&given)], "usage": usage }),
            json!({ "content": [use_(&gone)], "usage": usage }),
        ),
        (use_(&given), use_(&gone)),
        (result(&given), result(&gone)),
        // OpenAI-like servers whose arguments are no string, and Gemini.
        (
            json!({ "function": { "arguments": given }, "seed": seed }),
            json!({ "function": { "arguments": gone }, "seed": seed }),
        ),
        (
            json!({ "functionCall": { "args": given }, "seed": seed }),
            json!({ "functionCall": { "args": gone }, "seed": seed }),
        ),
        (
            json!({ "input": [seed, { "a": null }, seed], "seed": seed }),
            json!({ "input": [0, { "a": null }, 0], "seed": seed }),
        ),
        (
            json!({ "input": null, "x": seed, "metadata": given }),
            json!({ "input": null, "x": seed, "metadata": given }),
        ),
        (
            json!([{ "input": seed }, { "z": seed }, [seed], seed]),
            json!([{ "input": 0 }, { "z": seed }, [seed], seed]),
        ),
    ] {
        // `-0` is 0, but another number to serde_json.
        let found = serde_json::from_str::<Value>(&clean(&dirty).to_string().replace("-0.0", "0")).unwrap();
        assert_eq!(found, tidy);
    }
    // One that was cut.
    assert_eq!(redacted(r#"{"input": {"card": 4111111111111111"#, Shape::Json), r#"{"input": {"card": 0"#);
    // What is written stays as it is written.
    assert_eq!(
        redacted("{ \"input\" :\n{ \"card\":\t4111111111111111 , \"r\": 1.50e+3 } }", Shape::Json),
        "{ \"input\" :\n{ \"card\":\t0 , \"r\": 1.50e+3 } }"
    );
}

#[test]
fn a_list_is_told_by_its_name_in_a_stream_too() {
    let body = json!({ "phones": ["2125550187", "4155552671"], "ids": ["2125550187"] });
    assert_eq!(clean(&body), json!({ "phones": ["[PHONE]", "[PHONE]"], "ids": ["2125550187"] }));
}

proptest! {
    #[test]
    fn what_tools_are_given_stays_json(value in looks::arguments()) {
        for name in ["input", "arguments", "args", "content", "other"] {
            let body = json!({ "a": [{ name: value }], "seed": 4_111_111_111_111_111_u64 });
            let clean = clean(&body);
            prop_assert_eq!(&clean["seed"], &body["seed"]);
            prop_assert!(name == "other" || !clean["a"].to_string().contains(":4111111111111111"), "{}", clean);
        }
    }
}
