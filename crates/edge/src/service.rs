//! One request: admit it, let the endpoint answer, and see the answer out with all it must carry.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use costlens_domain::ids::RequestId;
use costlens_domain::problem::{Problem, ProblemCode};
use futures_util::FutureExt;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Version};
use http_body::Body as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Body, Endpoint, IntoResponse, RequestParts, Response};
use tracing::Instrument;

use crate::answer::{self, AnswerBody, problem_response};
use crate::arrival::Arrival;
use crate::body::{GuardedBody, Refusal};
use crate::config::{BodyRule, EdgeConfig};
use crate::connection::ConnectionState;
use crate::headers::{REQUEST_ID, harden};

/// What every connection of a listener shares.
pub(crate) struct Shared<E> {
    pub(crate) endpoint: E,
    pub(crate) config: EdgeConfig,
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Answers one request. Never fails: what goes wrong is an answer, too.
pub(crate) async fn answer<E: Endpoint>(
    shared: Arc<Shared<E>>,
    connection: Arc<ConnectionState>,
    ends: Ends,
    request: Request<Incoming>,
) -> http::Response<AnswerBody> {
    let config = &shared.config;
    let http2 = request.version() == Version::HTTP_2;
    let open = connection.begin(http2);
    let at = config.clock.now();
    let request_id = RequestId::new(at, config.entropy.for_id());
    let client_addr = config.trusted_proxies.client(ends.peer.ip(), request.headers());
    let arrival = Arrival { request_id, at, client_addr, https: config.https };
    let span = tracing::debug_span!("request", request.id = %request_id, method = %request.method());

    let rule = config.body_rule(request.uri().path());
    let refusal = Refusal::default();
    let mut response = match admit(&request, config) {
        Ok(()) => {
            let request = for_poem(request, ends, arrival, rule, &refusal, &connection);
            let called =
                AssertUnwindSafe(shared.endpoint.call(request)).catch_unwind().instrument(span).await;
            match called {
                Ok(Ok(output)) => output.into_response(),
                Ok(Err(error)) => tell(error, request_id),
                Err(panic) => tell_panic(&*panic, request_id),
            }
        }
        Err(problem) => {
            if !request.body().is_end_stream() {
                connection.leave_unread();
            }
            refuse(*problem, request_id, http2)
        }
    };
    if let Some(refused) = refusal.get(rule) {
        let problem = answer::refused(refused);
        let status = response.status();
        if !status.is_success() && status.as_u16() != problem.status {
            response = problem_response(&problem.instance(request_id.to_string()));
        }
        close_after(&mut response, http2);
    }
    harden(response.headers_mut(), config.https);
    if let Ok(id) = HeaderValue::try_from(request_id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let response: http::Response<BoxBody<_, _>> = response.into();
    response.map(|body| AnswerBody::new(body, open))
}

/// Refuses what no endpoint needs to see.
fn admit(request: &Request<Incoming>, config: &EdgeConfig) -> Result<(), Box<Problem>> {
    // As on the wire: each field with its colon, blank and line end.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let start = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if fields.sum::<usize>() + start > config.max_header_bytes as usize {
        return Err(Problem::new(ProblemCode::HeadersTooLarge, "The request's headers are too large.").into());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    let missing = host.is_none() && request.version() == Version::HTTP_11;
    if missing || hosts.next().is_some() || host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return Err(Problem::new(
            ProblemCode::InvalidRequest,
            "The request needs exactly one Host header, with a host and perhaps a port.",
        )
        .into());
    }
    Ok(())
}

/// Nothing in it that another parser would take for the end of the host.
fn is_authority(host: &[u8]) -> bool {
    host.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

fn for_poem(
    request: Request<Incoming>,
    ends: Ends,
    arrival: Arrival,
    rule: BodyRule,
    refusal: &Refusal,
    connection: &Arc<ConnectionState>,
) -> poem::Request {
    let (parts, body) = request.into_parts();
    let scheme = if arrival.https { Scheme::HTTPS } else { Scheme::HTTP };
    let local = LocalAddr(Addr::SocketAddr(ends.local));
    let peer = RemoteAddr(Addr::SocketAddr(ends.peer));
    let mut parts = RequestParts::from((parts, local, peer, scheme));
    parts.extensions.insert(arrival);
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        let guarded = GuardedBody::new(body, rule, refusal.clone(), Arc::clone(connection));
        Body::from(BoxBody::new(guarded))
    };
    poem::Request::from_parts(parts, body)
}

fn refuse(problem: Problem, request_id: RequestId, http2: bool) -> Response {
    let mut response = problem_response(&problem.instance(request_id.to_string()));
    close_after(&mut response, http2);
    response
}

/// What is left of the body would be taken for the next request.
fn close_after(response: &mut Response, http2: bool) {
    if !http2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// What an endpoint's error tells the client: an answer that the endpoint made passes as it is.
fn tell(error: poem::Error, request_id: RequestId) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let problem = answer::problem_of(&error);
    if problem.status >= 500 {
        tracing::error!(request.id = %request_id, %error, "an endpoint failed");
    } else {
        tracing::debug!(request.id = %request_id, %error, "a request was refused");
    }
    problem_response(&problem.instance(request_id.to_string()))
}

fn tell_panic(panic: &(dyn Any + Send), request_id: RequestId) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(request.id = %request_id, panic = words, "an endpoint panicked");
    let problem = Problem::new(ProblemCode::Internal, "The request id leads to the cause in the logs.");
    problem_response(&problem.instance(request_id.to_string()))
}
