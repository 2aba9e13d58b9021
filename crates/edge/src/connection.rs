//! What one connection is doing, told by its socket and its requests, judged by its watchdog.
//!
//! Hyper's own header timer costs an allocation and a timer registration per request and cannot tell a resting
//! connection from one whose head trickles in. These few counters tell, and one coarse timer per connection looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::config::EdgeConfig;
use crate::taking::{Answers, LEAST_TAKEN, Taking};

/// Why the watchdog ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It rested too long between requests.
    Idle,
    /// A head did not arrive in time.
    Headers,
    /// The client does not take its answer.
    Write,
}

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    opened: Instant,
    /// Requests whose answer is not finished.
    open_requests: AtomicU32,
    /// Whether any request came yet, and whether they come by HTTP/2.
    any_request: AtomicBool,
    http2: AtomicBool,
    /// Whether bytes of a head came since the last request.
    head_begun: AtomicBool,
    /// Milliseconds after `opened` when the present phase began.
    phase_since: AtomicU64,
    /// Milliseconds after `opened` when the socket stopped taking bytes; 0 when it takes them.
    blocked_since: AtomicU64,
    /// Bytes that it took since then.
    taken: AtomicUsize,
    /// The answers over HTTP/2, where a socket that takes bytes says nothing of a single answer.
    answers: Answers,
    /// Whether a body was given up before its end, so that closing at once would reset the client.
    unread: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            open_requests: AtomicU32::new(0),
            any_request: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            head_begun: AtomicBool::new(false),
            phase_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            answers: Answers::default(),
            unread: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the connection was opened.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A request's head is complete. The guard goes when its answer is.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> OpenRequest {
        if !self.any_request.load(Relaxed) {
            self.any_request.store(true, Relaxed);
            self.http2.store(http2, Relaxed);
        }
        self.open_requests.fetch_add(1, Relaxed);
        self.head_begun.store(false, Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Bytes came in.
    pub(crate) fn received(&self) {
        if self.is_resting() && !self.head_begun.swap(true, Relaxed) {
            self.phase_since.store(self.now(), Relaxed);
        }
    }

    /// The socket takes nothing now.
    pub(crate) fn blocked(&self) {
        if self.blocked_since.load(Relaxed) == 0 {
            self.taken.store(0, Relaxed);
            self.blocked_since.store(self.now().max(1), Relaxed);
        }
    }

    /// The socket took bytes. A few of them are no reason to wait as long again: whoever takes one at a time would
    /// hold an answer for ever.
    pub(crate) fn took(&self, bytes: usize) {
        if self.blocked_since.load(Relaxed) != 0
            && self.taken.fetch_add(bytes, Relaxed).saturating_add(bytes) >= LEAST_TAKEN
        {
            self.blocked_since.store(0, Relaxed);
        }
    }

    /// The socket took all that there was.
    pub(crate) fn took_all(&self) {
        if self.blocked_since.load(Relaxed) != 0 {
            self.blocked_since.store(0, Relaxed);
        }
    }

    /// Watches an answer that goes out over HTTP/2.
    pub(crate) fn watch_taking(&self) -> Option<Arc<Taking>> {
        self.answers.add()
    }

    /// Whether no request is being answered.
    pub(crate) fn is_resting(&self) -> bool {
        self.open_requests.load(Relaxed) == 0
    }

    /// A body was given up before its end.
    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether something the client sent is still unread.
    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Whether the connection has to end, and why. Ends streams that have to, where others go on.
    pub(crate) fn overdue(&self, config: &EdgeConfig) -> Option<Overdue> {
        let now = self.now();
        let longer = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let blocked = self.blocked_since.load(Relaxed);
        if blocked != 0 && longer(blocked, config.write_timeout) {
            return Some(Overdue::Write);
        }
        if !self.is_resting() {
            return self.all_untaken(now, config.write_timeout).then_some(Overdue::Write);
        }
        if !self.any_request.load(Relaxed) {
            return longer(0, config.header_timeout).then_some(Overdue::Headers);
        }
        let since = self.phase_since.load(Relaxed);
        // HTTP/2 has frames between requests that are no head; there only the rest as a whole is limited.
        if self.head_begun.load(Relaxed) && !self.http2.load(Relaxed) {
            return longer(since, config.header_timeout).then_some(Overdue::Headers);
        }
        longer(since, config.idle_timeout).then_some(Overdue::Idle)
    }

    /// Ends the streams whose answers the client does not take. True if there are no others.
    fn all_untaken(&self, now: u64, limit: Duration) -> bool {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let Some(since) = now.checked_sub(limit) else { return false };
        let untaken = self.answers.end_untaken(since);
        let open = usize::try_from(self.open_requests.load(Relaxed)).unwrap_or(usize::MAX);
        untaken > 0 && untaken >= open
    }
}

/// Counts a request as open until its answer was handed over or given up.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<ConnectionState>);

impl OpenRequest {
    pub(crate) fn connection(&self) -> &ConnectionState {
        &self.0
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.open_requests.fetch_sub(1, Relaxed) == 1 {
            self.0.phase_since.store(self.0.now(), Relaxed);
            self.0.head_begun.store(false, Relaxed);
        }
    }
}
