//! How often something may be done, and the answer to somebody who wants to.

use std::time::Duration;

/// So many times in a fixed window, which begins with the first time. A counter that is full is not counted further,
/// so that asking on makes nobody wait longer.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule's name: lower-case letters, digits, `-` and `.`. Part of the counters' names; another rule has another.
    pub name: &'static str,
    /// How often within a window; with 0 always refused.
    pub limit: u32,
    /// How long a window is, in whole milliseconds, at least one.
    pub window: Duration,
}

impl Rule {
    /// A rule, meant for a `static`.
    ///
    /// # Panics
    /// On a window of less than a millisecond: in a `static`, when it is compiled.
    #[must_use]
    pub const fn new(name: &'static str, limit: u32, window: Duration) -> Self {
        assert!(window.as_millis() > 0, "a window lasts");
        Self { name, limit, window }
    }

    pub(crate) fn window_ms(&self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether somebody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and it is counted.
    Allowed {
        /// How often more in this window, by the strictest rule that was asked.
        remaining: u32,
        /// Redis is away: this process alone counts.
        degraded: bool,
    },
    /// No, and nothing is counted, for any of the rules that were asked together.
    Refused {
        /// How long until it is worth another try, at least a millisecond. For `Retry-After`, round up to seconds.
        retry_after: Duration,
    },
}

impl Verdict {
    /// Whether it is allowed.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}
