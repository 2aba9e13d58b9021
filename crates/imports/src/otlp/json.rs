//! The same in JSON: names in lowerCamelCase, ids in hexadecimal, and numbers of 64 bits as text or as numbers (OTLP
//! specification, "JSON Protobuf Encoding").

use bytes::Bytes;
use costlens_domain::imports::Refusal;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::spans::{Attributes, Span, Value};
use super::{MOST_SPANS, NoTraces, Reading};
use crate::bounded::{Cell, Few, is_too_long};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_spans: Few<'a, MOST_SPANS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow, default)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    scope_spans: Few<'a, MOST_SPANS>,
}

#[derive(Default, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Few<'a, MOST_SPANS>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Few<'a, MOST_SPANS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSpan<'a> {
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    span_id: String,
    #[serde(default)]
    start_time_unix_nano: Cell,
    #[serde(default)]
    end_time_unix_nano: Cell,
    #[serde(borrow, default)]
    attributes: Few<'a, MOST_SPANS>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: Cell,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    key: String,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// Of the kinds of values, those that are read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue {
    string_value: Option<String>,
    int_value: Cell,
}

fn no_traces(error: serde_json::Error) -> NoTraces {
    if is_too_long(&error) { NoTraces::TooMany } else { NoTraces::Json(error) }
}

pub(super) fn read(body: &Bytes, reading: &mut Reading) -> Result<(), NoTraces> {
    let request: Request<'_> = serde_json::from_slice(body).map_err(no_traces)?;
    let mut spans = 0;
    for resource in request.resource_spans.0 {
        let ResourceSpans { resource, scope_spans } =
            serde_json::from_str(resource.get()).map_err(no_traces)?;
        let resource = attributes(&resource.unwrap_or_default().attributes.0).map_err(no_traces)?;
        for scope in scope_spans.0 {
            let scope: ScopeSpans<'_> = serde_json::from_str(scope.get()).map_err(no_traces)?;
            spans += scope.spans.0.len();
            if spans > MOST_SPANS {
                return Err(NoTraces::TooMany);
            }
            for span in scope.spans.0 {
                reading.take(&resource, self::span(span).map_err(|_| Refusal::NoRow));
            }
        }
    }
    Ok(())
}

fn span(span: &RawValue) -> Result<Span, serde_json::Error> {
    let span: WireSpan<'_> = serde_json::from_str(span.get())?;
    let is_error = span.status.is_some_and(|status| {
        count(&status.code) == Some(2) || status.code.as_str() == Some("STATUS_CODE_ERROR")
    });
    let nanos = |told: &serde_json::Value| count(told).and_then(|nanos| u64::try_from(nanos).ok());
    Ok(Span {
        trace_id: span.trace_id.to_ascii_lowercase(),
        id: span.span_id.to_ascii_lowercase(),
        start: nanos(&span.start_time_unix_nano).unwrap_or_default(),
        end: nanos(&span.end_time_unix_nano).unwrap_or_default(),
        is_error,
        attributes: attributes(&span.attributes.0)?,
    })
}

fn attributes(told: &[&RawValue]) -> Result<Attributes, serde_json::Error> {
    let mut attributes = Attributes::default();
    for attribute in told {
        let KeyValue { key, value } = serde_json::from_str(attribute.get())?;
        // Whatever is not read may be of any shape.
        let Some(value) = value.filter(|_| Attributes::wants(&key)) else { continue };
        let value: AnyValue = serde_json::from_str(value.get())?;
        match (value.string_value, count(&value.int_value)) {
            (Some(text), _) => attributes.put(&key, Value::Text(text)),
            (None, Some(count)) => attributes.put(&key, Value::Count(count)),
            (None, None) => {}
        }
    }
    Ok(attributes)
}

/// A number of 64 bits, as text or as it is.
fn count(told: &serde_json::Value) -> Option<i64> {
    match told {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

pub(super) fn answer(rejected: u64, message: &str) -> Vec<u8> {
    let answer = if rejected > 0 {
        // 64 bits are text in protobuf's JSON.
        json!({ "partialSuccess": { "rejectedSpans": rejected.to_string(), "errorMessage": message } })
    } else {
        json!({})
    };
    answer.to_string().into_bytes()
}
