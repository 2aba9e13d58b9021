//! The thread that takes out personal data, seals, and writes files: one body after the other.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc;

use costlens_domain::RequestId;
use costlens_domain::ports::Entropy;
use costlens_domain::redaction::{Shape, redact};
use costlens_store::SealedBody;
use costlens_vault::SealedFor;

use super::capture::OVERLAP;
use super::{Capture, LONGEST_BODY, Place, Shared, file};

/// A call that ended, and what passed of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: RequestId,
    pub(super) capture: Box<Capture>,
}

/// The thread's whole life: until the last [`super::Bodies`] is gone.
///
/// A job holds a sender of this very queue, so the queue ends only when no call is in flight any more either.
pub(super) fn run(shared: &Shared, jobs: &mpsc::Receiver<Job>, entropy: &dyn Entropy) {
    while let Ok(Job { id, capture }) = jobs.recv() {
        let stored = std::panic::catch_unwind(AssertUnwindSafe(|| store(shared, id, &capture, entropy)));
        drop(capture);
        let stored = stored.unwrap_or_else(|_panic| {
            tracing::error!(request.id = %id, "sealing a prompt and its answer panicked");
            None
        });
        {
            let mut state = shared.lock();
            // Its row may have gone without it: then nobody asks for its file any more.
            let is_wanted = state.known.get(&id) == Some(&Place::Pending);
            match stored {
                Some(bytes) if is_wanted => {
                    state.known.insert(id, Place::Stored(bytes));
                    state.file_bytes += bytes;
                }
                Some(_) => file::remove(shared.dir(), id),
                None => {
                    state.known.remove(&id);
                }
            }
        }
        shared.sealed.notify_waiters();
    }
}

/// Gives the size of the file that was written.
fn store(shared: &Shared, id: RequestId, capture: &Capture, entropy: &dyn Entropy) -> Option<u64> {
    let sealed = match seal(id, capture, entropy) {
        Ok(sealed) => sealed,
        Err(error) => {
            tracing::error!(request.id = %id, %error, "a prompt and its answer cannot be sealed, so they are not kept");
            return None;
        }
    };
    let bytes = file::encode(&sealed);
    let size = bytes.len() as u64;
    if shared.lock().file_bytes.saturating_add(size) > shared.config.limit_bytes {
        tracing::warn!(request.id = %id, "too many prompts and answers wait for the database; one is not kept");
        return None;
    }
    match file::write(shared.dir(), id, &bytes) {
        Ok(()) => Some(size),
        Err(error) => {
            tracing::error!(request.id = %id, %error, "a sealed prompt and its answer cannot be written, so they are not kept");
            None
        }
    }
}

fn seal(
    id: RequestId,
    capture: &Capture,
    entropy: &dyn Entropy,
) -> Result<SealedBody, costlens_vault::SealError> {
    let keeping = &*capture.keeping;
    let place = |column| SealedFor { tenant: keeping.tenant, table: "request_body", column, row: id.uuid() };
    let answer = if capture.streams { Shape::Events } else { Shape::Json };
    let request = kept(&capture.request, capture.request_bytes, keeping.redact.then_some(Shape::Json));
    let response = kept(&capture.response, capture.response_bytes, keeping.redact.then_some(answer));
    Ok(SealedBody {
        class: keeping.class,
        subject: keeping.subject,
        key_version: keeping.keys.newest()?,
        redacted: keeping.redact,
        request_bytes: capture.request_bytes as u64,
        response_bytes: capture.response_bytes as u64,
        sealed_request: keeping.keys.seal(&place("sealed_request"), &request, entropy)?,
        sealed_response: keeping.keys.seal(&place("sealed_response"), &response, entropy)?,
    })
}

/// What is kept of a text of which so many bytes passed.
fn kept(text: &[u8], passed: usize, redacted_as: Option<Shape>) -> std::borrow::Cow<'_, [u8]> {
    let Some(shape) = redacted_as else {
        return text.get(..LONGEST_BODY).unwrap_or(text).into();
    };
    let mut clean = redact(text, shape);
    if passed > LONGEST_BODY {
        // Its end may be the first half of what would have been taken out.
        clean.truncate(LONGEST_BODY.min(clean.len().saturating_sub(OVERLAP)));
    }
    clean.into()
}
