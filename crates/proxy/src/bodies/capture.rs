//! What passes of one call, while it passes.

use std::sync::Arc;

use bytes::Bytes;
use costlens_domain::RequestId;
use costlens_domain::privacy::BodyState;
use http::header::{CONTENT_ENCODING, HeaderMap};

use super::worker::Job;
use super::{Bodies, LONGEST_BODY, Place};
use crate::keys::Keeping;

/// Where personal data is taken out, somewhat more is captured than is kept: the end of it may cut a number in two.
pub(super) const OVERLAP: usize = 4 << 10;

/// A request, and as much of its answer as came.
#[derive(Debug)]
pub(crate) struct Capture {
    bodies: Bodies,
    pub(super) keeping: Arc<Keeping>,
    pub(super) request: Bytes,
    /// How many bytes of the request passed.
    pub(super) request_bytes: usize,
    pub(super) response: Vec<u8>,
    /// How many bytes of the answer passed.
    pub(super) response_bytes: usize,
    /// Whether the answer is a stream of events.
    pub(super) streams: bool,
    /// What it holds of the memory for all.
    held: usize,
    lost: bool,
}

impl Capture {
    pub(crate) fn new(bodies: &Bodies, keeping: Arc<Keeping>, request: &Bytes) -> Self {
        let request_bytes = request.len();
        let most = LONGEST_BODY + OVERLAP;
        let mut capture = Self {
            bodies: bodies.clone(),
            keeping,
            request: Bytes::new(),
            request_bytes,
            response: Vec::new(),
            response_bytes: 0,
            streams: false,
            held: 0,
            lost: false,
        };
        if capture.hold(request_bytes.min(most)) {
            // A part of long bytes would hold on to all of them.
            capture.request = match request.get(..most) {
                Some(beginning) => Bytes::copy_from_slice(beginning),
                None => request.clone(),
            };
        }
        capture
    }

    /// The head of the answer is here. One that is compressed cannot be looked into, so nothing of it is kept where
    /// personal data is to be taken out.
    pub(crate) fn answer_begins(&mut self, streams: bool, headers: &HeaderMap) {
        self.streams = streams;
        let readable = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(|encoding| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
        if self.keeping.redact && !readable {
            self.lose();
        }
    }

    /// The next bytes of the answer.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        self.response_bytes = self.response_bytes.saturating_add(bytes.len());
        let room = (LONGEST_BODY + OVERLAP).saturating_sub(self.response.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        if self.lost || kept.is_empty() || !self.hold(kept.len()) {
            return;
        }
        self.response.extend_from_slice(kept);
    }

    /// Hands over what passed, to be sealed when there is time. Says what the row is to say.
    pub(crate) fn keep(self: Box<Self>, id: RequestId) -> BodyState {
        if self.lost {
            return BodyState::Unavailable;
        }
        let truncated = self.request_bytes > LONGEST_BODY || self.response_bytes > LONGEST_BODY;
        let bodies = self.bodies.clone();
        // Known before the completion is written: whoever ships it waits.
        bodies.shared.lock().known.insert(id, Place::Pending);
        if bodies.jobs.send(Job { id, capture: self }).is_err() {
            bodies.shared.lock().known.remove(&id);
            return BodyState::Unavailable;
        }
        if truncated { BodyState::Truncated } else { BodyState::Sealed }
    }

    fn hold(&mut self, bytes: usize) -> bool {
        if self.bodies.shared.hold(bytes) {
            self.held += bytes;
            return true;
        }
        self.lose();
        false
    }

    fn lose(&mut self) {
        self.lost = true;
        (self.request, self.response) = (Bytes::new(), Vec::new());
        self.bodies.shared.let_go(std::mem::take(&mut self.held));
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.bodies.shared.let_go(self.held);
    }
}
