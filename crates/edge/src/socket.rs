//! The socket under one connection.
//!
//! It tells [`ConnectionState`] what passes, and mends two things that lie below the reach of a request's answer:
//! hyper answers what it cannot parse with a bare status line, which leaves here as a problem with the hardening
//! headers; and a connection that ends while the client still sends lingers, because a close with unread bytes
//! makes the kernel reset it and the client would never read its 413.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use costlens_domain::ids::RequestId;
use costlens_domain::problem::{Problem, ProblemCode};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::answer::problem_json;
use crate::config::EdgeConfig;
use crate::connection::ConnectionState;
use crate::headers::{REQUEST_ID, harden};

/// How long a closing connection waits for the client to stop sending.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes it takes from the client meanwhile.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// The socket under one connection.
pub(crate) struct Socket {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    config: Arc<EdgeConfig>,
    /// What goes out instead of hyper's bare answer.
    replacement: Option<Bytes>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream, state: Arc<ConnectionState>, config: Arc<EdgeConfig>) -> Self {
        Self { stream, state, config, replacement: None, linger: None }
    }

    /// Writes the replacement to its end, then says that hyper's answer went out.
    fn poll_replacement(&mut self, cx: &mut Context<'_>, instead_of: usize) -> Poll<io::Result<usize>> {
        while let Some(left) = self.replacement.as_mut().filter(|left| !left.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            left.advance(written);
        }
        self.replacement = None;
        Poll::Ready(Ok(instead_of))
    }

    /// Whether these bytes are hyper's own answer to something that it could not parse.
    fn is_bare(&self, bytes: &[u8]) -> bool {
        bytes.len() < 256
            && bytes.starts_with(b"HTTP/1.1 4")
            && bytes.ends_with(b"\r\n\r\n")
            && self.state.is_resting()
            && {
                let head = bytes.to_ascii_lowercase();
                let has = |needle: &[u8]| head.windows(needle.len()).any(|window| window == needle);
                has(b"content-length: 0\r\n") && !has(b"x-request-id")
            }
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.replacement.is_none() {
            if !self.is_bare(bytes) {
                return None;
            }
            self.state.leave_unread();
            self.replacement = Some(problem_instead_of(bytes, &self.config));
        }
        Some(self.poll_replacement(cx, bytes.len()))
    }

    fn note(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &poll {
            Poll::Pending => self.state.blocked(),
            Poll::Ready(Ok(taken)) => self.state.took(*taken),
            Poll::Ready(Err(_)) => {}
        }
        poll
    }
}

/// The whole answer that stands for hyper's bare one.
fn problem_instead_of(bare: &[u8], config: &EdgeConfig) -> Bytes {
    let (line, problem) = match bare.get(9..12) {
        Some(b"431") => (
            "431 Request Header Fields Too Large",
            Problem::new(ProblemCode::HeadersTooLarge, "The request's headers are too large."),
        ),
        Some(b"414") => (
            "431 Request Header Fields Too Large",
            Problem::new(ProblemCode::HeadersTooLarge, "The request's URI is too long."),
        ),
        _ => ("400 Bad Request", Problem::new(ProblemCode::InvalidRequest, "The request is not valid HTTP.")),
    };
    whole_answer(line, problem, config)
}

/// The whole answer to a connection beyond the limit.
pub(crate) fn unavailable(config: &EdgeConfig) -> Bytes {
    let problem = Problem::new(ProblemCode::Unavailable, "Too many connections are open; try again later.");
    whole_answer("503 Service Unavailable\r\nretry-after: 1", problem, config)
}

/// An answer as bytes, for where no HTTP layer stands above the socket.
fn whole_answer(status_line: &str, problem: Problem, config: &EdgeConfig) -> Bytes {
    let id = RequestId::new(config.clock.now(), config.entropy.for_id()).to_string();
    let body = problem_json(&problem.instance(id.as_str()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    harden(&mut headers, config.https);
    let length = body.len();
    let mut out =
        format!("HTTP/1.1 {status_line}\r\nconnection: close\r\ncontent-length: {length}\r\n").into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    Bytes::from(out)
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.state.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(instead) = self.poll_instead(cx, bytes) {
            return instead;
        }
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices
            && let Some(instead) = self.poll_instead(cx, only)
        {
            return instead;
        }
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Hyper and h2 flush when nothing is left to be written.
        self.state.took_all();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.state.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let (timer, left) =
            this.linger.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES));
        let mut scratch = [0; 4096];
        loop {
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer))?;
            let taken = buffer.filled().len();
            *left = left.saturating_sub(taken);
            if taken == 0 || *left == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
