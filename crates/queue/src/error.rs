//! What can go wrong between the caller and the queue's tables.

use chrono::TimeDelta;

/// Why an operation on the queue failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database refused a statement, or went away while it ran.
    #[error("the queue's database answered with an error")]
    Database(#[from] diesel::result::Error),
    /// There was no connection to be had in time.
    #[error("the queue's database cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A payload, a result or an input is not what its type says.
    #[error("a payload does not have the shape of its type")]
    Payload(#[from] serde_json::Error),
    /// The job was given to another worker meanwhile: whatever was done under this lease does not count.
    #[error("the lease on the job is lost")]
    LeaseLost,
    /// The worker was told to stop, and the job goes back to the queue.
    #[error("the worker has stopped")]
    Stopped,
    /// A handler asked for a [`crate::JobContext`] that is not run by a [`crate::Backend`].
    #[error("the task does not come from this queue")]
    NoContext,
    /// The application's clock is not the database's.
    #[error("this process's clock is {} s {} the database's", ahead.num_seconds().abs(), if *ahead < TimeDelta::zero() { "behind" } else { "ahead of" })]
    Clock {
        /// How far it is ahead; negative where it is behind.
        ahead: TimeDelta,
    },
    /// A cron expression or a time zone that cannot be read.
    #[error("the schedule {name} cannot be read: {reason}")]
    Schedule {
        /// The schedule's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl QueueError {
    /// Whether the database refused what the statement says, so that the same will be refused again. Everything about
    /// the database itself passes: that it is read-only after a failover, full, starting, or out of connections.
    pub(crate) fn is_refusal(error: &diesel::result::Error) -> bool {
        use diesel::result::DatabaseErrorKind as Kind;
        use diesel::result::Error;
        match error {
            Error::DatabaseError(kind, info) => match kind {
                Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::RestrictViolation
                | Kind::ExclusionViolation => true,
                // Everything else comes without its SQLSTATE, and its text may be in any language: what is not known
                // to pass counts as a refusal, so that one bad outcome cannot hold up the others for ever.
                Kind::Unknown => {
                    let message = info.message();
                    let passing = [
                        "terminating connection",
                        "the database system is",
                        "deadlock detected",
                        "too many clients",
                        "remaining connection slots",
                        "connection closed",
                        "canceling statement",
                        "could not connect",
                        "could not extend file",
                        "could not write",
                        "could not resize",
                        "disk full",
                        "No space left",
                        "out of memory",
                        "out of shared memory",
                        "permission denied",
                        "read-only transaction",
                        "Connection reset",
                        "Broken pipe",
                        "unexpected message",
                        "error communicating with the server",
                    ];
                    !passing.iter().any(|text| message.contains(text))
                }
                _ => false,
            },
            Error::SerializationError(_) | Error::QueryBuilderError(_) => true,
            _ => false,
        }
    }
}
