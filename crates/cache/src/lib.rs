//! What all processes share for a moment and may lose without harm: the counters behind limits. No other crate names
//! Redis.
//!
//! * [`rule`]: how often something may be done, and the answer.
//! * [`subject`]: whom a limit counts, and how nobody is named by it.
//! * [`limits`]: the one thing that others use: counts in Redis, or in this process.
//!
//! A limit is a convenience that fails open with a local substitute: no request waits for a Redis that is away, none
//! fails because of it, and none goes uncounted.

pub mod limits;
mod local;
mod remote;
pub mod rule;
pub mod subject;
#[cfg(feature = "testing")]
pub mod testing;

pub use limits::{Limits, Patience, RedisUrl, RedisUrlError};
pub use rule::{Rule, Verdict};

/// One counter that is asked for: its name, how far it may go, and how long it lives.
#[derive(Debug, Clone, Copy)]
struct Asked {
    rule: &'static Rule,
    key: subject::Key,
}

/// Where a counter stands: how often it was taken, and for how much longer that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    count: u32,
    rest: std::time::Duration,
}

/// The answer to all counters of one call, with where each stands after it, in the order of the question.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// How long until the last of the full counters is empty; `None` if none was full.
    refused_for: Option<std::time::Duration>,
    standings: Vec<Standing>,
}
