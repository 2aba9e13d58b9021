//! Looks into a request without rebuilding it, and changes only the bytes that must change.
//!
//! The vendor gets what the client wrote: order, spacing and unknown members included, so that prompt caches
//! keep hitting. Two edits are ever made: the model's routing prefix goes, and a stream is asked for its usage.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a body is no LLM call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// Not JSON at all.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Malformed {
        /// Where it breaks, counted from 1.
        line: usize,
        /// Where in the line, counted from 1.
        column: usize,
    },
    /// JSON, with a member of the wrong kind.
    #[error("`{field}` must be {expected}")]
    Field {
        /// Which member.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// What the proxy needs to know of a request.
#[derive(Debug)]
pub struct Peek<'a> {
    /// The model as the client named it.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    body: &'a [u8],
    model_at: Range<usize>,
    stream_options: Option<&'a str>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream_options: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default)]
    include_usage: Option<&'a RawValue>,
}

/// One replacement in the body.
struct Edit {
    at: Range<usize>,
    with: String,
}

impl<'a> Peek<'a> {
    /// Reads the members that matter.
    pub fn new(body: &'a [u8]) -> Result<Self, PeekError> {
        // Serde would take an array for an object whose members stand in order.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(PeekError::Field { field: "", expected: "a JSON object" });
        }
        let call: Call<'a> = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => PeekError::Field { field: "", expected: "a JSON object" },
            _ => PeekError::Malformed { line: error.line(), column: error.column() },
        })?;
        let text = PeekError::Field { field: "model", expected: "a non-empty string" };
        let raw = call.model.ok_or_else(|| text.clone())?;
        let model: Cow<'a, str> = match serde_json::from_str::<Text<'a>>(raw.get()) {
            Ok(Text(model)) if !model.is_empty() && model.len() <= MODEL_BYTES => model,
            _ => return Err(text),
        };
        let stream = match call.stream.map(RawValue::get) {
            None | Some("false" | "null") => false,
            Some("true") => true,
            Some(_) => return Err(PeekError::Field { field: "stream", expected: "true or false" }),
        };
        let stream_options = call.stream_options.map(RawValue::get);
        Ok(Self { model, stream, body, model_at: range_of(body, raw.get()), stream_options })
    }

    /// Whether the stream will tell its usage as the request stands.
    fn asks_for_usage(&self) -> bool {
        let options =
            self.stream_options.and_then(|text| serde_json::from_str::<StreamOptions<'_>>(text).ok());
        options.and_then(|options| options.include_usage).is_some_and(|value| value.get() == "true")
    }

    /// The body for the vendor, and whether usage was asked for on the client's behalf.
    ///
    /// `upstream_model` is the name the vendor knows; `ask_for_usage` adds `stream_options.include_usage` to an
    /// OpenAI stream that lacks it. Without an edit the very same bytes come back.
    #[must_use]
    pub fn for_upstream(&self, original: &Bytes, upstream_model: &str, ask_for_usage: bool) -> (Bytes, bool) {
        let mut edits = Vec::new();
        if upstream_model != self.model {
            let with = serde_json::Value::from(upstream_model).to_string();
            edits.push(Edit { at: self.model_at.clone(), with });
        }
        let asked = ask_for_usage && self.stream && !self.asks_for_usage();
        if asked {
            edits.extend(self.usage_edit());
        }
        if edits.is_empty() {
            return (original.clone(), false);
        }
        edits.sort_by_key(|edit| edit.at.start);
        let mut out = Vec::with_capacity(self.body.len() + 64);
        let mut copied = 0;
        for edit in &edits {
            out.extend_from_slice(self.body.get(copied..edit.at.start).unwrap_or_default());
            out.extend_from_slice(edit.with.as_bytes());
            copied = edit.at.end;
        }
        out.extend_from_slice(self.body.get(copied..).unwrap_or_default());
        (out.into(), asked)
    }

    fn usage_edit(&self) -> Option<Edit> {
        let Some(options) = self.stream_options else {
            // The object has a model, so a member always follows the one put in front.
            let at = self.body.iter().position(|byte| *byte == b'{')? + 1;
            return Some(Edit { at: at..at, with: r#""stream_options":{"include_usage":true},"#.to_owned() });
        };
        let at = range_of(self.body, options);
        let Ok(parsed) = serde_json::from_str::<StreamOptions<'_>>(options) else {
            return Some(Edit { at, with: r#"{"include_usage":true}"#.to_owned() });
        };
        if let Some(value) = parsed.include_usage {
            return Some(Edit { at: range_of(self.body, value.get()), with: "true".to_owned() });
        }
        let inside = options.get(1..)?.trim_start();
        let comma = if inside.starts_with('}') { "" } else { "," };
        Some(Edit { at: at.start + 1..at.start + 1, with: format!(r#""include_usage":true{comma}"#) })
    }
}

/// A model's name is an identifier, not a document.
const MODEL_BYTES: usize = 256;

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Where a part, borrowed from the whole, lies in it.
fn range_of(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, model: &str) -> (String, bool) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let peek = Peek::new(body.as_bytes()).unwrap();
        let (out, asked) = peek.for_upstream(&bytes, model, true);
        (String::from_utf8(out.to_vec()).unwrap(), asked)
    }

    #[test]
    fn a_call_that_needs_no_edit_keeps_its_very_bytes() {
        let body = Bytes::from_static(b" {\"model\" : \"gpt-4o\",\n \"x\":[1, 2.50e1] , \"stream\":false} ");
        let peek = Peek::new(&body).unwrap();
        let (out, asked) = peek.for_upstream(&body, "gpt-4o", true);
        assert_eq!((out.as_ptr(), out.len(), asked), (body.as_ptr(), body.len(), false));
    }

    #[test]
    fn a_stream_is_asked_for_its_usage_in_every_spelling() {
        for (body, expected) in [
            (
                r#"{"model":"m","stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{}}"#,
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{"x":1}}"#,
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#,
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            assert_eq!(edited(body, "m"), (expected.to_owned(), true));
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
        }
        let asks = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(edited(asks, "m"), (asks.to_owned(), false));
        let null = r#"{"model":"m","stream":true,"stream_options":null}"#;
        assert!(edited(null, "m").0.contains(r#""include_usage":true"#));
    }

    #[test]
    fn a_routing_prefix_is_taken_out_of_the_model_alone() {
        let body = r#"{"messages":[{"content":"openai/gpt-4o"}],"model":"openai/gpt-4o"}"#;
        let expected = r#"{"messages":[{"content":"openai/gpt-4o"}],"model":"gpt-4o"}"#;
        assert_eq!(edited(body, "gpt-4o"), (expected.to_owned(), false));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for body in ["", "{", "nonsense", "{\"model\":\"m\",}", "{\"model\":\"m\",\"model\":\"n\"}"] {
            assert!(Peek::new(body.as_bytes()).is_err(), "{body}");
        }
        for body in
            ["[]", r#"["m"]"#, "{}", r#"{"model":1}"#, r#"{"model":""}"#, r#"{"model":"m","stream":1}"#]
        {
            assert!(matches!(Peek::new(body.as_bytes()), Err(PeekError::Field { .. })), "{body}");
        }
        assert!(Peek::new(b"{\"model\":\"\xff\"}").is_err());
    }
}
