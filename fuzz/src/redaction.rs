//! Prompts and answers that are to be kept without personal data, as a document, as a stream, and as a stream that cuts
//! its text somewhere.

use costlens_domain::redaction::{Shape, redact};
use serde_json::{Value, json};

pub(crate) fn check(input: &[u8]) {
    for shape in [Shape::Json, Shape::Events] {
        let once = redact(input, shape);
        assert!(std::str::from_utf8(&once).is_ok(), "no text comes out");
        assert_eq!(redact(&once, shape), once, "doing it again changes something");
    }
    if serde_json::from_slice::<Value>(input).is_ok() {
        let redacted = redact(input, Shape::Json);
        assert!(serde_json::from_slice::<Value>(&redacted).is_ok(), "valid JSON became invalid");
    }
    let text = String::from_utf8_lossy(input);
    let whole = said(&redact(stream([&*text]).as_bytes(), Shape::Events));
    let cut = input.first().map_or(0, |first| usize::from(*first) % (text.chars().count() + 1));
    let at = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
    let (head, tail) = text.split_at(at);
    let cut = said(&redact(stream([head, tail]).as_bytes(), Shape::Events));
    assert_eq!(cut, whole, "what a stream cuts is redacted otherwise than the whole");
}

/// The pieces as OpenAI streams them.
fn stream<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let event =
        |piece| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": piece}}]}));
    pieces.into_iter().map(event).collect()
}

/// What a stream says.
fn said(stream: &[u8]) -> String {
    let stream = std::str::from_utf8(stream).unwrap();
    let events = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let piece = |event| serde_json::from_str::<Value>(event).unwrap();
    events.map(|event| piece(event)["choices"][0]["delta"]["content"].as_str().unwrap().to_owned()).collect()
}
