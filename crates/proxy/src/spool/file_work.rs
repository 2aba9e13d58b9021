//! The shipper's file work, off the async threads and one piece at a time.
//!
//! A stopped shipper cannot stop a piece of work that already runs; [`ended`] waits for it, so that a directory
//! is never given up while something still writes there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::writer::Shared;

/// The first and the longest pause before failed work is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Tries once.
pub(super) async fn attempt<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(&shared.file_work).lock_owned().await;
    let shared = Arc::clone(shared);
    let worker = tokio::task::spawn_blocking(move || {
        let done = work(&shared);
        drop(shared);
        drop(turn);
        done
    });
    worker.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Tries until it works: a failing disk is asked again, loudly.
pub(super) async fn persist<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl Fn(&Shared) -> io::Result<T> + Send + Clone + 'static,
) -> T {
    let (mut pause, longest) = PAUSES;
    loop {
        match attempt(shared, work.clone()).await {
            Ok(done) => return done,
            Err(error) => tracing::error!(error = %error, "the spool's files cannot be read or written"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Waits for the piece that may be running.
pub(super) async fn ended(shared: &Shared) {
    drop(shared.file_work.lock().await);
}
