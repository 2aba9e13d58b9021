//! The proxy's routes on Poem. Nothing but this file knows the framework.

use costlens_domain::ProblemCode;
use costlens_domain::providers::Dialect;
use costlens_edge::{Arrival, BodyRefused};
use futures_util::stream;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Body, Endpoint, Request, Response, Route};

use crate::exchange::Exchange;
use crate::memory::Unread;
use crate::proxy::{Answer, AnswerBody, Proxy, refuse_for_room};
use crate::refusal::Refusal;

/// The paths that the proxy serves: the vendors' own, so that an SDK needs only another base URL.
pub const ROUTES: &[&str] = &["/v1/chat/completions", "/v1/messages"];

/// Adds all routes of the data plane, [`ROUTES`], whole: a nested route would take each call's path apart twice.
#[must_use]
pub fn add_routes(route: Route, proxy: &Proxy) -> Route {
    let carry = |dialect: Dialect| Carry { proxy: proxy.clone(), dialect };
    route
        .at("/v1/chat/completions", carry(Dialect::OpenAiChat))
        .at("/v1/messages", carry(Dialect::AnthropicMessages))
}

/// One of the vendors' endpoints.
struct Carry {
    proxy: Proxy,
    dialect: Dialect,
}

impl Endpoint for Carry {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let Some(&arrival) = request.data::<Arrival>() else {
            return Err(poem::Error::from_string(
                "not served by the edge",
                StatusCode::INTERNAL_SERVER_ERROR,
            ));
        };
        if request.method() != Method::POST {
            let mut refusal = Refusal::new(ProblemCode::MethodNotAllowed, "calls of models are posted");
            refusal.problem.instance = Some(arrival.request_id.to_string());
            let mut response = problem(&refusal, self.dialect);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        let answer = match self.proxy.caller(request.headers(), arrival.at).await {
            // The body is read only for a caller that is let in.
            Ok(caller) => {
                // What holds is what held as the call came in, however long its body takes.
                let may_keep = self.proxy.may_keep(&caller);
                match self.proxy.read(request.take_body().into_bytes_stream()).await {
                    Ok(body) => {
                        let arrived = (arrival, may_keep);
                        self.proxy.carry(self.dialect, &caller, arrived, request.headers(), &body).await
                    }
                    Err(Unread::NoRoom) => Err(refuse_for_room()),
                    Err(Unread::Broken(error)) => Err(unread(&error)),
                }
            }
            Err(refusal) => Err(refusal),
        };
        Ok(match answer {
            Ok(answer) => relay(answer),
            Err(mut refusal) => {
                refusal.problem.instance = Some(arrival.request_id.to_string());
                problem(&refusal, self.dialect)
            }
        })
    }
}

/// A body that was refused on its way in.
fn unread(error: &std::io::Error) -> Refusal {
    match costlens_edge::body_refusal(error) {
        Some(refused @ BodyRefused::TooLarge { .. }) => {
            Refusal::new(ProblemCode::BodyTooLarge, refused.to_string())
        }
        Some(refused @ BodyRefused::TooSlow { .. }) => {
            Refusal::new(ProblemCode::RequestTimeout, refused.to_string())
        }
        None => Refusal::new(ProblemCode::InvalidRequest, "the body could not be read"),
    }
}

fn relay(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => Body::from_bytes(bytes),
        AnswerBody::Stream(exchange) => Body::from_bytes_stream(stream::unfold(Some(exchange), next)),
    };
    let mut response = Response::builder().status(answer.status).body(body);
    *response.headers_mut() = answer.headers;
    response
}

type Step = Option<(Result<bytes::Bytes, std::io::Error>, Option<Box<Exchange>>)>;

async fn next(exchange: Option<Box<Exchange>>) -> Step {
    let mut exchange = exchange?;
    match exchange.next().await? {
        Ok(bytes) => Some((Ok(bytes), Some(exchange))),
        Err(broken) => Some((Err(std::io::Error::other(broken)), None)),
    }
}

fn problem(refusal: &Refusal, dialect: Dialect) -> Response {
    let status = StatusCode::from_u16(refusal.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::builder()
        .status(status)
        .content_type("application/problem+json")
        .body(refusal.body(dialect));
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(status, StatusCode::GATEWAY_TIMEOUT | StatusCode::LOOP_DETECTED) {
        // SDKs would try again by themselves, and the provider may be working on the first call still; a circle stays
        // one.
        response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
    }
    response
}
