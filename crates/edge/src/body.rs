//! The request's body under its rule.
//!
//! The limit counts the bytes that pass, because a chunked body announces nothing. The deadline's timer is only
//! armed when a body makes us wait, so that a small request pays nothing for it. A handler sees a refusal as an
//! I/O error; the edge remembers it and turns whatever error the handler makes of it into the right problem.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::config::BodyRule;
use crate::connection::ConnectionState;

/// Why a body is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefused {
    /// It is larger than allowed.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {deadline:?}")]
    TooSlow {
        /// The time it had.
        deadline: Duration,
    },
}

/// The refusal inside an error that came from reading a body; `None` for any other error.
pub fn body_refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BodyRefused> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<BodyRefused>() {
            return Some(refused);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Remembers, beside the handler, how its body was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal(Arc<AtomicU8>);

impl Refusal {
    fn set(&self, refused: BodyRefused) {
        let mark = match refused {
            BodyRefused::TooLarge { .. } => 1,
            BodyRefused::TooSlow { .. } => 2,
        };
        self.0.store(mark, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, rule: BodyRule) -> Option<BodyRefused> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(BodyRefused::TooLarge { max_bytes: rule.max_bytes }),
            2 => Some(BodyRefused::TooSlow { deadline: rule.deadline }),
            _ => None,
        }
    }
}

/// A request's body that ends in an error where its rule says so.
pub(crate) struct GuardedBody {
    inner: Incoming,
    left: u64,
    rule: BodyRule,
    due: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    refusal: Refusal,
    ended: bool,
    connection: Arc<ConnectionState>,
}

impl GuardedBody {
    pub(crate) fn new(
        inner: Incoming,
        rule: BodyRule,
        refusal: Refusal,
        connection: Arc<ConnectionState>,
    ) -> Self {
        let due = Instant::now() + rule.deadline;
        Self { inner, left: rule.max_bytes, rule, due, timer: None, refusal, ended: false, connection }
    }

    fn refuse(&mut self, refused: BodyRefused) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.refusal.set(refused);
        self.left = 0;
        Poll::Ready(Some(Err(io::Error::other(refused))))
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        // A length that was declared too large is refused before a byte of it is read, and by whoever reads it:
        // an endpoint knows in which words its clients hear of it.
        if this.inner.size_hint().lower() > this.left {
            return this.refuse(BodyRefused::TooLarge { max_bytes: this.rule.max_bytes });
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.checked_sub(length) {
                    Some(left) => this.left = left,
                    None => return this.refuse(BodyRefused::TooLarge { max_bytes: this.rule.max_bytes }),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let due = this.due;
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
                if timer.as_mut().poll(cx).is_ready() {
                    return this.refuse(BodyRefused::TooSlow { deadline: this.rule.deadline });
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if !self.ended && !self.inner.is_end_stream() {
            self.connection.leave_unread();
        }
    }
}
