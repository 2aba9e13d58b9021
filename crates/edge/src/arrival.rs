//! What the edge knows of a request, for the endpoint that answers it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use costlens_domain::ids::RequestId;
use http::HeaderMap;

/// What the edge knows of a request; found in the request's extensions. One value, so that a request costs one
/// insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Our id of the request: also the `X-Request-Id` of the answer and the `instance` of a problem. Never the
    /// caller's, who may repeat itself.
    pub request_id: RequestId,
    /// When the head had arrived.
    pub at: DateTime<Utc>,
    /// The client's address, from trusted hops only.
    pub client_addr: IpAddr,
    /// Whether the client came by https.
    pub https: bool,
}

impl Arrival {
    /// The caller's own id of the request, if it sent one that is fit to be stored: visible ASCII, at most 128.
    pub fn caller_request_id(headers: &HeaderMap) -> Option<&str> {
        let text = headers.get("x-request-id")?.to_str().ok()?;
        let fit = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then_some(text)
    }
}
