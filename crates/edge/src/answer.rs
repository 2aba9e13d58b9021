//! Answers that no endpoint wrote: problems, and what becomes of the framework's errors.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use costlens_domain::problem::{Problem, ProblemCode};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use poem::Response;

use crate::body::BodyRefused;
use crate::connection::OpenRequest;
use crate::taking::{LEAST_TAKEN, Taking};

/// The answer that tells a problem.
#[must_use]
pub fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::from((status, problem_json(problem)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// A problem has only texts and numbers in it, so that writing it cannot fail; an empty object if it did.
pub(crate) fn problem_json(problem: &Problem) -> Vec<u8> {
    serde_json::to_vec(problem).unwrap_or_else(|_| b"{}".to_vec())
}

/// The problem for a refused body.
pub(crate) fn refused(refused: BodyRefused) -> Problem {
    let code = match refused {
        BodyRefused::TooLarge { .. } => ProblemCode::BodyTooLarge,
        BodyRefused::TooSlow { .. } => ProblemCode::RequestTimeout,
    };
    Problem::new(code, refused.to_string())
}

/// The problem for an error of the framework's own: its status, without its text, which speaks of types and
/// fields that are nobody's business.
pub(crate) fn problem_of(error: &poem::Error) -> Problem {
    let (code, detail) = match error.status().as_u16() {
        401 => (ProblemCode::CredentialMissing, "The request carries no credential."),
        403 => (ProblemCode::Forbidden, "The caller may not do this."),
        404 => (ProblemCode::NotFound, "Nothing answers at this path."),
        405 => (ProblemCode::MethodNotAllowed, "The path does not answer to this method."),
        408 => (ProblemCode::RequestTimeout, "The request took too long to arrive."),
        409 => (ProblemCode::Conflict, "The request conflicts with the present state."),
        413 => (ProblemCode::BodyTooLarge, "The body is larger than allowed."),
        415 => (ProblemCode::UnsupportedMediaType, "The content type is not supported here."),
        429 => (ProblemCode::TooManyRequests, "Too many requests; try again later."),
        431 => (ProblemCode::HeadersTooLarge, "The request's headers are too large."),
        503 => (ProblemCode::Unavailable, "The service cannot take this request now."),
        400..=499 => (ProblemCode::InvalidRequest, "The request is not one that this path understands."),
        _ => (ProblemCode::Internal, "The request id leads to the cause in the logs."),
    };
    Problem::new(code, detail)
}

/// An answer's body, holding its request open until the last byte was taken.
pub(crate) struct AnswerBody {
    inner: BoxBody<Bytes, io::Error>,
    /// What is left of a frame that is larger than a piece.
    rest: Bytes,
    open: OpenRequest,
    taking: Option<Arc<Taking>>,
}

impl AnswerBody {
    pub(crate) fn new(inner: BoxBody<Bytes, io::Error>, open: OpenRequest) -> Self {
        let taking = open.connection().watch_taking();
        Self { inner, rest: Bytes::new(), open, taking }
    }

    /// The next piece of what is left.
    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(LEAST_TAKEN);
        Frame::data(self.rest.split_to(length))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(data) if data.len() > LEAST_TAKEN => self.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(taking) = &this.taking {
            taking.taken();
        }
        let poll = this.poll_piece(cx);
        if let (Some(taking), Poll::Ready(Some(Ok(_)))) = (&this.taking, &poll) {
            taking.handed_out(this.open.connection().now());
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint() + SizeHint::with_exact(self.rest.len() as u64)
    }
}
