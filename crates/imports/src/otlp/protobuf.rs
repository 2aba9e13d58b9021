//! The messages of OTLP that are read, declared layer by layer. Where a message holds others, they are declared as bytes,
//! which stand on the wire in the same way, and are read one after the other.

use bytes::Bytes;
use costlens_domain::imports::Refusal;
use prost::{Message, encoding};

use super::spans::{Attributes, Span, Value};
use super::{MOST_SPANS, NoTraces, Reading};

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    resource_spans: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(bytes = "bytes", optional, tag = "1")]
    resource: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    scope_spans: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    attributes: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct WireSpan {
    #[prost(bytes = "bytes", tag = "1")]
    trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    span_id: Bytes,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(bytes = "bytes", repeated, tag = "9")]
    attributes: Vec<Bytes>,
    #[prost(message, optional, tag = "15")]
    status: Option<WireStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct WireStatus {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "WireValue", tags = "1, 3")]
    value: Option<WireValue>,
}

/// Of the kinds of values, those that are read.
#[derive(Clone, PartialEq, prost::Oneof)]
enum WireValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Count(i64),
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

/// Refuses a message that repeats a field more often than anybody would: empty entries of two bytes each are sixteen times
/// as large once each has a place in a list.
fn few(mut message: &[u8], field: u32) -> Result<(), NoTraces> {
    let mut entries = 0;
    while !message.is_empty() {
        let (tag, wire) = encoding::decode_key(&mut message).map_err(NoTraces::Protobuf)?;
        entries += usize::from(tag == field);
        if entries > MOST_SPANS {
            return Err(NoTraces::TooMany);
        }
        encoding::skip_field(wire, tag, &mut message, encoding::DecodeContext::default())
            .map_err(NoTraces::Protobuf)?;
    }
    Ok(())
}

pub(super) fn read(body: &Bytes, reading: &mut Reading) -> Result<(), NoTraces> {
    few(body, 1)?;
    let request = Request::decode(body.clone()).map_err(NoTraces::Protobuf)?;
    let mut spans = 0;
    for resource in request.resource_spans {
        few(&resource, 2)?;
        let ResourceSpans { resource, scope_spans } =
            ResourceSpans::decode(resource).map_err(NoTraces::Protobuf)?;
        let resource = resource.unwrap_or_default();
        few(&resource, 1)?;
        let resource = Resource::decode(resource).map_err(NoTraces::Protobuf)?;
        let resource = attributes(resource.attributes).map_err(NoTraces::Protobuf)?;
        for scope in scope_spans {
            few(&scope, 2)?;
            let scope = ScopeSpans::decode(scope).map_err(NoTraces::Protobuf)?;
            spans += scope.spans.len();
            if spans > MOST_SPANS {
                return Err(NoTraces::TooMany);
            }
            for span in scope.spans {
                let span = few(&span, 9)
                    .map_err(|_| Refusal::NoRow)
                    .and_then(|()| self::span(span).map_err(|_| Refusal::NoRow));
                reading.take(&resource, span);
            }
        }
    }
    Ok(())
}

fn span(span: Bytes) -> Result<Span, prost::DecodeError> {
    let span = WireSpan::decode(span)?;
    Ok(Span {
        trace_id: hex::encode(&span.trace_id),
        id: hex::encode(&span.span_id),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        is_error: span.status.is_some_and(|status| status.code == 2),
        attributes: attributes(span.attributes)?,
    })
}

fn attributes(told: Vec<Bytes>) -> Result<Attributes, prost::DecodeError> {
    let mut attributes = Attributes::default();
    for attribute in told {
        let KeyValue { key, value } = KeyValue::decode(attribute)?;
        match value.and_then(|value| value.value) {
            Some(WireValue::Text(text)) => attributes.put(&key, Value::Text(text)),
            Some(WireValue::Count(count)) => attributes.put(&key, Value::Count(count)),
            None => {}
        }
    }
    Ok(attributes)
}

pub(super) fn answer(rejected: u64, message: &str) -> Vec<u8> {
    let partial = PartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: message.to_owned(),
    };
    Response { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec()
}

pub(super) fn failure(message: &str) -> Vec<u8> {
    RpcStatus { message: message.to_owned() }.encode_to_vec()
}
