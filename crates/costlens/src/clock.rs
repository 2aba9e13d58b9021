//! The system's clock behind the domain's port.

use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the adapter behind the one source of business time"
        )]
        let now = std::time::SystemTime::now();
        now.into()
    }
}
