//! Spans of the GenAI semantic conventions, as OTLP/HTTP brings them: `application/x-protobuf` and `application/json`
//! (opentelemetry.io, "OTLP Specification 1.9" and "Semantic conventions for generative AI systems", 2026-11).
//!
//! Each layer of a body is taken apart into slices before the next is read, so that a body of many empty messages takes
//! little more room than its bytes. Of a span's attributes only those are kept that say who was called and what was
//! used; events, where prompts and answers stand, are not read.

mod json;
mod protobuf;
mod spans;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use costlens_domain::imports::{Refusal, ReportedCall};

use crate::Refused;
use spans::{Attributes, Span};

/// The most spans of one body.
pub const MOST_SPANS: usize = 10_000;

/// How a body is written; the answer is written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Encoding {
    /// The encoding that a `Content-Type` names.
    #[must_use]
    pub fn named(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "application/x-protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }
}

/// What a body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Calls of models that can be rows of the ledger.
    pub calls: Vec<ReportedCall>,
    /// Calls of models that cannot, by the span's number in the body.
    pub refused: Refused,
    /// Spans of anything else, which are nobody's calls.
    pub others: u64,
}

/// Why a body is no request of OTLP's.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the words say it")]
pub enum NoTraces {
    #[error("the body is no ExportTraceServiceRequest in JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("the body is no ExportTraceServiceRequest in protobuf: {0}")]
    Protobuf(#[source] prost::DecodeError),
    #[error("the body has more than {MOST_SPANS} spans; send fewer at once")]
    TooMany,
}

/// Reads a body, as of a moment.
pub fn read(body: &Bytes, encoding: Encoding, now: DateTime<Utc>) -> Result<Traces, NoTraces> {
    let mut reading = Reading { traces: Traces::default(), spans: 0, now };
    match encoding {
        Encoding::Json => json::read(body, &mut reading)?,
        Encoding::Protobuf => protobuf::read(body, &mut reading)?,
    }
    Ok(reading.traces)
}

/// The answer to a body that was read: that all was taken, or how many calls were not and why.
#[must_use]
pub fn answer(encoding: Encoding, rejected: u64, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => json::answer(rejected, message),
        Encoding::Protobuf => protobuf::answer(rejected, message),
    }
}

/// A failure as protobuf tells it, `google.rpc.Status` with its message alone.
#[must_use]
pub fn failure(message: &str) -> Vec<u8> {
    protobuf::failure(message)
}

struct Reading {
    traces: Traces,
    spans: u64,
    now: DateTime<Utc>,
}

impl Reading {
    /// One more span, its resource's attributes beside it.
    fn take(&mut self, resource: &Attributes, span: Result<Span, Refusal>) {
        self.spans += 1;
        let call = span.and_then(|span| span.call(resource)).and_then(|call| match call {
            Some(call) => call.check(self.now).map(|()| Some(call)),
            None => Ok(None),
        });
        match call {
            Ok(Some(call)) => self.traces.calls.push(call),
            Ok(None) => self.traces.others += 1,
            Err(why) => self.traces.refused.push(self.spans, why),
        }
    }
}

#[cfg(test)]
mod tests;
