//! What is enqueued: typed payloads, and everything that may be said about when and for whom they run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::QueueError;

/// A kind of job: a payload and the queue it goes to.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The queue's name with the payload's version, such as `"digest.v2"`. A payload that changes its meaning gets a
    /// new version; [`crate::unknown_work`] tells whether rows of an old one are left.
    const QUEUE: &'static str;
    /// How many attempts a job has, unless it says otherwise.
    const MAX_ATTEMPTS: u32 = 20;
}

/// A job to be enqueued.
#[derive(Clone, Debug)]
#[must_use = "a new job does nothing until it is enqueued"]
pub struct NewJob {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) args: Value,
    pub(crate) metadata: Value,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) key: Option<String>,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay: Duration,
    pub(crate) priority: i32,
    pub(crate) max_attempts: u32,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) trace: Option<String>,
    pub(crate) parent: Option<Uuid>,
    pub(crate) run: Option<Uuid>,
}

impl NewJob {
    /// A job with this payload, due at once. Fails only where the payload does not become JSON, or is nested deeper
    /// than JSON is read back here (127 levels).
    pub fn of<J: Job>(payload: &J) -> Result<Self, QueueError> {
        let args = serde_json::to_value(payload)?;
        readable(&args)?;
        Ok(Self { max_attempts: J::MAX_ATTEMPTS, ..Self::raw(J::QUEUE, args) })
    }

    /// A job of a queue that is known by its name alone.
    pub fn raw(queue: impl Into<String>, args: Value) -> Self {
        Self {
            id: new_id(),
            queue: queue.into(),
            args,
            metadata: Value::Object(serde_json::Map::new()),
            tenant: None,
            key: None,
            run_at: None,
            delay: Duration::ZERO,
            priority: 0,
            max_attempts: 20,
            expires_at: None,
            trace: None,
            parent: None,
            run: None,
        }
    }

    /// At most one row of the queue has this key, for as long as the row exists (see
    /// [`crate::ops::Retention`]): a second one is [`Enqueued::AlreadyThere`].
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Due at this time.
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Due this long after it is enqueued, by the database's clock.
    pub fn run_in(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Higher ones are claimed first; 0 is usual.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Whom it is done for: claims take turns between tenants.
    pub fn tenant(mut self, tenant: Uuid) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// How many attempts it has (at least one).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// A job that is claimed later than this is not run: it goes to the dead letters as expired.
    pub fn expires_at(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The id of the request that it follows from.
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.trace = Some(trace.into());
        self
    }

    /// The id that the row will have.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

/// What became of a new job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It has a row of this id, once the transaction is committed.
    New(Uuid),
    /// A row of its queue has its key already; nothing was written, and the transaction goes on.
    AlreadyThere,
}

impl Enqueued {
    /// Whether a row was written.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }
}

/// How deep `serde_json` reads.
const DEEPEST: u32 = 127;

/// Refuses what is nested so deep that it could be written and never read.
pub(crate) fn readable(value: &Value) -> Result<(), serde_json::Error> {
    fn fits(value: &Value, room: u32) -> bool {
        match value {
            Value::Array(items) => room > 0 && items.iter().all(|item| fits(item, room - 1)),
            Value::Object(fields) => room > 0 && fields.values().all(|item| fits(item, room - 1)),
            _ => true,
        }
    }
    if fits(value, DEEPEST) {
        Ok(())
    } else {
        Err(serde::de::Error::custom(format_args!("it is nested deeper than {DEEPEST} levels")))
    }
}

/// Ids that sort by their time.
#[expect(
    clippy::disallowed_methods,
    reason = "an id only has to be unique and roughly in order; no rule reads a time out of it"
)]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_what_cannot_be_read_back() {
        for depth in [1, 126, 127, 128, 129, 500] {
            let deep = (0..depth).fold(Value::Null, |inner, n| {
                if n % 2 == 0 { Value::Array(vec![inner]) } else { serde_json::json!({ "a": inner }) }
            });
            let back = serde_json::from_str::<Value>(&deep.to_string());
            assert_eq!(readable(&deep).is_ok(), back.is_ok(), "{depth} levels");
        }
    }
}
