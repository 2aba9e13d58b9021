//! What an operator sees and does: lists, counts, cancelling, redriving dead letters, burying, pruning. Every operation works on
//! the caller's connection and in the caller's transaction, so that an audit row can be written with it; the ones that
//! a tenant may use take the tenant as a filter.

mod act;
mod bury;
mod dead;
mod erase;
mod list;
mod prune;

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use act::{Cancelled, cancel, discard, discard_one, redrive, redrive_preview, retry_now};
pub use bury::{Buried, UNKNOWN, bury_unknown, unbury};
pub use dead::{DeadOfDay, dead_by_day};
pub use erase::{Erased, erase_tenant};
pub use list::{
    Attempt, CRASHES, Count, JobDetails, JobRow, Page, QueueStats, count_by_state, list, show, stats,
};
pub use prune::{Pruned, Retention, prune};

use crate::ErrorClass;

/// A job's state as people are shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Due later, and never tried.
    Scheduled,
    /// Due, and not yet claimed.
    Ready,
    /// A worker has it.
    Running,
    /// It failed, and is tried again later.
    Retrying,
    /// A run that waits for a signal.
    Waiting,
    /// It succeeded.
    Done,
    /// A dead letter: no more attempts without somebody's doing.
    Dead,
    /// Cancelled or discarded.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Retrying,
        Self::Waiting,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The column's value that it is derived from.
    const fn status(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Ready | Self::Retrying | Self::Waiting => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        // The column's CHECK and the function's branches know no other.
        Self::ALL.into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Ready)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which jobs. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this tenant.
    pub tenant: Option<Uuid>,
    /// In this state.
    pub state: Option<State>,
    /// Whose last failure was of this class.
    pub class: Option<ErrorClass>,
    /// Whose last failure had this code.
    pub code: Option<String>,
}

/// The conditions of a [`Filter`] as SQL over `queue.job AS j`, with the parameters $1 to $6 that [`bind_filter!`]
/// binds. They are constants when the statement is planned.
const MATCHES: &str = "($1::text IS NULL OR j.queue = $1) AND ($2::uuid IS NULL OR j.tenant = $2) \
    AND ($3::text IS NULL OR j.status = $3) \
    AND ($4::text IS NULL OR queue.state_of(j.status, j.waits_for, j.run_at, j.attempts) = $4) \
    AND ($5::text IS NULL OR j.error_class = $5) AND ($6::text IS NULL OR j.error_code = $6)";

/// Binds a filter's six parameters.
macro_rules! bind_filter {
    ($sql:expr, $filter:expr) => {{
        use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
        let filter: &$crate::ops::Filter = $filter;
        diesel::sql_query($sql)
            .bind::<Nullable<Text>, _>(filter.queue.clone())
            .bind::<Nullable<SqlUuid>, _>(filter.tenant)
            .bind::<Nullable<Text>, _>(filter.state.map(|state| state.status()))
            .bind::<Nullable<Text>, _>(filter.state.map(|state| state.as_str()))
            .bind::<Nullable<Text>, _>(filter.class.map(|class| class.as_str()))
            .bind::<Nullable<Text>, _>(filter.code.clone())
    }};
}
use bind_filter;
