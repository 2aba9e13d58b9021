//! What the rules need from the world outside, as traits that adapters fill.

use chrono::{DateTime, Utc};

/// The one source of business time. SQL's `now()` is never used for it, so a test can move the whole product
/// to another day.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// The one source of randomness for identifiers and secrets.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills the slice with bytes that nobody can predict.
    fn fill(&self, bytes: &mut [u8]);

    /// Ten bytes, as a new identifier wants them.
    fn for_id(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        bytes
    }
}
