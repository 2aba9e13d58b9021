//! Outgoing webhooks by the Standard Webhooks specification
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, read in November
//! 2026): each call carries an id that stays the same over all attempts, the attempt's time, and a signature over both
//! and the body.
//!
//! A receiver drops what it has seen by the id, so an attempt whose answer is missing may be repeated. One attempt is
//! made here; [`SCHEDULE`] says when the next is due.

pub mod inbound;
pub mod secret;
pub mod svix;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use costlens_egress::{Egress, EndpointUrl, Policy, RefusedUrl};
use http::{Method, Request, Uri, header};
use serde_json::Value;

pub use secret::{BadSecret, WebhookSecret};

use crate::answer::{ask, body};

/// How long each of the eight attempts waits for the one before it; the first goes out at once. Svix' own schedule
/// (<https://docs.svix.com/retries>, read in November 2026), so that both ways of delivery behave alike.
pub const SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// How much of an answer is kept.
const EXCERPT_BYTES: usize = 1024;
/// The longest query of an endpoint's URL.
const QUERY_BYTES: usize = 2000;

/// An endpoint's URL, as a tenant registered it. Unlike a provider's it may have a query, in which some receivers
/// carry their own token; so it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    endpoint: EndpointUrl,
    query: Option<String>,
}

impl WebhookUrl {
    /// Judges a URL as [`EndpointUrl::parse`] does, its query aside.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedUrl> {
        let (base, query) = match text.split_once('?') {
            Some((base, query)) => (base, Some(query)),
            None => (text, None),
        };
        let plain = |query: &str| {
            query.len() <= QUERY_BYTES && query.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        };
        if query.is_some_and(|query| !plain(query)) {
            return Err(RefusedUrl::Malformed("the query is too long or needs percent-encoding"));
        }
        let url = Self { endpoint: EndpointUrl::parse(base, policy)?, query: query.map(ToOwned::to_owned) };
        url.uri().ok_or(RefusedUrl::Malformed("it does not parse"))?;
        Ok(url)
    }

    /// The whole URL, to be stored.
    #[must_use]
    pub fn reveal(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.endpoint.as_str()),
            None => self.endpoint.as_str().to_owned(),
        }
    }

    /// What may be shown to whoever did not register it, and logged.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}{}", self.endpoint.as_str(), if self.query.is_some() { "?…" } else { "" })
    }

    fn uri(&self) -> Option<Uri> {
        self.reveal().parse().ok()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({})", self.shown())
    }
}

/// An id that could not stand in a header or would blur what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook message's id has 1 to 128 letters, digits, hyphens and underscores")]
pub struct BadMessageId;

/// One attempt's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookMessage {
    id: String,
    at: DateTime<Utc>,
    body: Bytes,
}

impl WebhookMessage {
    /// `id` stays the same over all attempts; `at` is the time of this one, which receivers compare with theirs.
    pub fn new(id: &str, at: DateTime<Utc>, body: &Value) -> Result<Self, BadMessageId> {
        let fits = (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !fits {
            return Err(BadMessageId);
        }
        Ok(Self { id: id.to_owned(), at, body: body.to_string().into() })
    }

    /// The `webhook-signature` header: one signature for each secret, in the order given.
    pub fn signatures(&self, secrets: &[WebhookSecret]) -> Result<String, BadSecret> {
        let signatures: Result<Vec<String>, BadSecret> =
            secrets.iter().map(|secret| secret.sign(&self.id, self.at.timestamp(), &self.body)).collect();
        Ok(signatures?.join(" "))
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with a status from 200 to 299.
    Delivered,
    /// To be tried again by the schedule, and not before this long has passed.
    Retry {
        /// What the receiver asked for with 429 or 503.
        after: Option<Duration>,
    },
    /// The receiver answered 410: the endpoint wants nothing more.
    Gone,
}

/// One attempt, as the delivery log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What it came to.
    pub outcome: Outcome,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// A stable name: `delivered`, `gone`, `redirect`, `status`, `timeout`, `unsigned`, or of a failed call.
    pub code: &'static str,
    /// How long it took.
    pub millis: u64,
    /// The beginning of the answer, or what happened instead.
    pub answer_excerpt: String,
}

/// Makes one attempt. Follows no redirect, reads no more than it keeps, and ends within `limit` (15 to 30 seconds by
/// the specification's advice).
pub async fn deliver(
    egress: &Egress,
    endpoint: &WebhookUrl,
    secrets: &[WebhookSecret],
    message: &WebhookMessage,
    limit: Duration,
) -> Attempt {
    let began = tokio::time::Instant::now();
    let failed = |code, text: String| Attempt {
        outcome: Outcome::Retry { after: None },
        status: None,
        code,
        millis: millis(began),
        answer_excerpt: text,
    };
    let signatures = match message.signatures(secrets) {
        Ok(signatures) if !signatures.is_empty() => signatures,
        // An unsigned call teaches receivers to take unsigned calls.
        _ => return failed("unsigned", "the endpoint has no secret to sign with".to_owned()),
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.uri().unwrap_or_default())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "Costlens-Webhooks/1.0")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", message.at.timestamp())
        .header("webhook-signature", signatures)
        .body(body(message.body.clone()));
    let Ok(request) = request else {
        return failed("endpoint_refused", "the endpoint's URL makes no request".to_owned());
    };
    let answer = match ask(egress, request, limit, EXCERPT_BYTES).await {
        Ok(answer) => answer,
        Err(none) => return failed(none.code(), none.text()),
    };
    let (outcome, code) = match answer.status {
        200..=299 => (Outcome::Delivered, "delivered"),
        410 => (Outcome::Gone, "gone"),
        429 | 503 => (Outcome::Retry { after: answer.retry_after }, "status"),
        300..=399 => (Outcome::Retry { after: None }, "redirect"),
        _ => (Outcome::Retry { after: None }, "status"),
    };
    let answer_excerpt = excerpt(&answer.body);
    Attempt { outcome, status: Some(answer.status), code, millis: millis(began), answer_excerpt }
}

fn millis(began: tokio::time::Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// At most [`EXCERPT_BYTES`], and without control characters, one of which PostgreSQL cannot store.
fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }) {
        if out.len() + c.len_utf8() > EXCERPT_BYTES {
            break;
        }
        out.push(c);
    }
    out
}
