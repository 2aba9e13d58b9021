//! The product from outside: the real binary as a child process, people and programs that use it, and fakes of
//! the vendors on real sockets that keep a log of their own, so that they can judge.
//!
//! Everything is reached as a customer reaches it: command line, environment, HTTP. Tests run on one runtime
//! ([`run`]) and share one server ([`app::shared`]) unless they break it on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a harness fails a test by panicking, with the place and the cause"
)]

pub mod actors;
pub mod aimock;
pub mod app;
pub mod clerk;
pub mod fake_invoices;
pub mod fake_llm;
pub mod http;
pub mod judge;
pub mod load;
pub mod mailbox;
pub mod moto;
pub mod place;
pub mod reply;
pub mod sdk;
mod supervised;
pub mod vouchers;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());

/// Runs a test on the runtime that all tests, fakes and connections share.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// Spawns onto the shared runtime, from anywhere.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(RUNTIME.spawn(task));
}

/// How long a test waits for what must come, on a machine that is busy with all the others.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Asks again and again until there is an answer, and fails in these words when there is none after all.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    asking(PATIENCE, 0, what, ask).await
}

/// The same for what is promised within a time. A machine at rest is held to it; one that is busy gets as much
/// longer as twenty of its slowest questions take.
pub async fn in_time<T>(promised: Duration, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    asking(promised, 20, what, ask).await
}

async fn asking<T>(
    within: Duration,
    slow_questions: u32,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    loop {
        let asked = Instant::now();
        let answer = ask().await;
        slowest = slowest.max(asked.elapsed());
        if let Some(answer) = answer {
            return answer;
        }
        let within = within + slowest * slow_questions;
        assert!(begun.elapsed() < within, "within {within:?} there was no {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
