//! What a handler says when a job did not succeed: try again, try again then, or give it up, and why.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Whose fault it is, as the dead letters are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Something that passes: a network, a restart, a lock.
    Transient,
    /// Somebody asked us to slow down.
    Throttled,
    /// Only the customer can mend it: a revoked permission, a full mailbox.
    CustomerAction,
    /// Ours to mend: a panic, a payload nobody can read, a timeout.
    Bug,
    /// It came too late to be of use.
    Expired,
}

impl ErrorClass {
    /// As it stands in the row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::CustomerAction => "customer_action",
            Self::Bug => "bug",
            Self::Expired => "expired",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Transient, Self::Throttled, Self::CustomerAction, Self::Bug, Self::Expired]
            .into_iter()
            .find(|class| class.as_str() == text)
    }
}

/// What is to be done with a job that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    RetryAfter(Duration),
    RetryAt(DateTime<Utc>),
    GiveUp,
    Cancel,
    Park(Park),
}

/// Why a run ends its job without being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Park {
    Until(DateTime<Utc>),
    Signal { name: String, until: Option<DateTime<Utc>> },
}

/// A handler's failure. Any other error that a handler returns counts as [`JobError::retry`]; the queue finds a
/// `JobError` wherever it stands in the chain of sources.
pub struct JobError {
    pub(crate) verdict: Verdict,
    pub(crate) class: ErrorClass,
    pub(crate) code: Option<String>,
    source: Box<dyn Error + Send + Sync>,
}

impl JobError {
    fn new(verdict: Verdict, class: ErrorClass, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { verdict, class, code: None, source: source.into() }
    }

    /// Try again after the queue's backoff.
    pub fn retry(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Verdict::Retry, ErrorClass::Transient, source)
    }

    /// Try again after this time, as a `Retry-After` asks. It counts as an attempt.
    pub fn retry_after(wait: Duration, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Verdict::RetryAfter(wait), ErrorClass::Throttled, source)
    }

    /// Try again at this time. It counts as an attempt.
    pub fn retry_at(at: DateTime<Utc>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Verdict::RetryAt(at), ErrorClass::Throttled, source)
    }

    /// No attempt will help: the job goes to the dead letters now, under a class and a stable code.
    pub fn give_up(
        class: ErrorClass,
        code: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::new(Verdict::GiveUp, class, source).code(code)
    }

    /// The job stops because it was asked to, see [`crate::JobContext::is_cancelled`].
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(Verdict::Cancel, ErrorClass::Transient, "cancelled on request")
    }

    /// A stable code, to filter dead letters by.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Another class than the constructor's.
    #[must_use]
    pub const fn class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// Whether no attempt will help: the job would go to the dead letters now. For a handler that has something else to do
    /// with it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.verdict, Verdict::GiveUp)
    }

    pub(crate) fn park(park: Park) -> Self {
        Self::new(Verdict::Park(park), ErrorClass::Transient, "the run waits")
    }

    /// Whether this says that a run waits, which a handler passes on with `?` and never swallows. Layers between the
    /// handler and the queue see it as an error.
    #[must_use]
    pub const fn is_parked(&self) -> bool {
        matches!(self.verdict, Verdict::Park(_))
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobError")
            .field("verdict", &self.verdict)
            .field("class", &self.class)
            .field("code", &self.code)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl Error for JobError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

impl From<diesel::result::Error> for JobError {
    fn from(error: diesel::result::Error) -> Self {
        Self::retry(error)
    }
}

impl From<crate::QueueError> for JobError {
    fn from(error: crate::QueueError) -> Self {
        Self::retry(error)
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        Self::give_up(ErrorClass::Bug, "payload", error)
    }
}

/// An error and everything under it. An `io::Error` does not name what it wraps as its source, so it is asked.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The messages of an error and its sources, at most 2,000 characters, fit for a text column.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let message = cause.to_string();
        // Wrappers often repeat their source's message.
        if !text.ends_with(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
    }
    clean(&text)
}

/// PostgreSQL's texts hold no NUL.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).take(2_000).collect()
}
