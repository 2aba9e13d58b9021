//! An answer over HTTP, within bounds of time and size, and what it means to whoever sent something.

use std::time::Duration;

use bytes::Bytes;
use costlens_egress::{Body, Egress, EgressError};
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;

use crate::outcome::{Retry, SendError, said};

/// The longest `Retry-After` that is honoured; what asks for more is asked again then.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// A complete answer. Its body is what was read of it within the bounds.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After` in seconds (RFC 9110, 10.2.3). A date there is passed over: no clock here to compare it with.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection in the time there was, or none that is allowed.
    Unsent(EgressError),
    /// The connection broke after the request began to go out.
    Broken(EgressError),
    /// The time was over. The request may be there.
    Timeout(Duration),
}

impl NoAnswer {
    /// A stable name, for rows and metrics.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Unsent(error) | Self::Broken(error) => error.code(),
            Self::Timeout(_) => "timeout",
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unsent(error) => said(&error.to_string()),
            Self::Broken(_) => "the connection broke before the answer".to_owned(),
            Self::Timeout(limit) => format!("no answer within {} s", limit.as_secs()),
        }
    }
}

impl From<NoAnswer> for SendError {
    fn from(failed: NoAnswer) -> Self {
        let text = failed.text();
        match failed {
            // What the policy refuses today it refuses tomorrow; what a name leads to may change.
            NoAnswer::Unsent(EgressError::RefusedUrl(_)) => {
                Self::NotSent { retry: Retry::Never, code: None, text }
            }
            NoAnswer::Unsent(_) => Self::NotSent { retry: Retry::Later, code: None, text },
            NoAnswer::Broken(_) | NoAnswer::Timeout(_) => Self::Unknown { text },
        }
    }
}

/// Sends and reads the answer. An answer whose head came counts as one even if its body stalls or breaks: the status
/// has told what happened.
pub(crate) async fn ask(
    egress: &Egress,
    request: Request<Body>,
    limit: Duration,
    body_bytes: usize,
) -> Result<Answer, NoAnswer> {
    let deadline = tokio::time::Instant::now() + limit;
    let response = match tokio::time::timeout_at(deadline, egress.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.may_have_been_sent() => return Err(NoAnswer::Broken(error)),
        Ok(Err(error)) => return Err(NoAnswer::Unsent(error)),
        Err(_) => return Err(NoAnswer::Timeout(limit)),
    };
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    let mut frames = response.into_body();
    let reading = async {
        while let Some(Ok(frame)) = frames.frame().await {
            if let Some(data) = frame.data_ref() {
                let room = body_bytes.saturating_sub(body.len());
                body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
            }
            if body.len() >= body_bytes {
                break;
            }
        }
    };
    // Ends early with what there is.
    let _ = tokio::time::timeout_at(deadline, reading).await;
    Ok(Answer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// A body of JSON to be sent.
pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Body::new(bytes.into())
}
