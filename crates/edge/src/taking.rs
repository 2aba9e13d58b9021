//! Whether clients of HTTP/2 take their answers.
//!
//! There a client refuses an answer without ever blocking the socket: it gives the answer's stream no window, and
//! answers pings. Hyper then holds a frame and waits for room without end, and with it waits whatever makes the
//! answer. So each answer tells since when a frame of it waits. What nobody takes ends its own stream alone: a proxy
//! in front may have many clients' streams on the connection. A maker that pauses is no reason: then no frame waits.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::{AbortHandle, abortable};
use hyper::rt::Executor;

/// The least that a client has to take within the write timeout. Answers are handed to hyper in pieces of this size,
/// so that a client that is slow and moves is seen to move.
pub(crate) const LEAST_TAKEN: usize = 16 * 1024;

tokio::task_local! {
    /// Ends the stream that is being answered.
    static STREAM: AbortHandle;
}

/// Runs the streams of HTTP/2, each so that it can be ended by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let (stream, end) = abortable(stream);
        tokio::spawn(STREAM.scope(end, stream));
    }
}

/// One answer over HTTP/2, and since when a frame of it waits for the client.
#[derive(Debug)]
pub(crate) struct Taking {
    /// In the connection's milliseconds; 0 while none waits.
    since: AtomicU64,
    stream: AbortHandle,
}

impl Taking {
    /// A frame was handed out now.
    pub(crate) fn handed_out(&self, now: u64) {
        self.since.store(now.max(1), Relaxed);
    }

    /// Somebody asks for the next frame, so the last one was taken.
    pub(crate) fn taken(&self) {
        self.since.store(0, Relaxed);
    }
}

/// A connection's answers over HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Vec<Weak<Taking>>>);

impl Answers {
    /// Adds the answer of the stream in whose task this is called; `None` over HTTP/1, where the socket tells all.
    pub(crate) fn add(&self) -> Option<Arc<Taking>> {
        let stream = STREAM.try_with(AbortHandle::clone).ok()?;
        let taking = Arc::new(Taking { since: AtomicU64::new(0), stream });
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&taking));
        Some(taking)
    }

    /// Ends the streams of which a frame waits since that moment or longer, and says how many they are.
    pub(crate) fn end_untaken(&self, since: u64) -> usize {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let untaken = answers.iter().filter_map(Weak::upgrade).filter(|answer| {
            let waits = answer.since.load(Relaxed);
            waits != 0 && waits <= since
        });
        untaken.inspect(|answer| answer.stream.abort()).count()
    }
}
