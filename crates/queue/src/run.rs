//! Durable runs: jobs that remember which of their named steps are done.
//!
//! A run is one row of `queue.run` and one job that carries it through all its waits. A handler opens it with
//! [`Run::open`] and writes down, from top to bottom, everything that is to be done; each call that is done already
//! gives its stored result, so a handler that is called again after a crash, a sleep or a signal goes on where it was.
//! Steps have names, not numbers: a deploy may add some in between. What changes the meaning of a name gets a new
//! version of the flow, which is a queue of its own.

mod call;
mod start;
mod steps;

pub use call::{CallFailed, Reconciled, Sent};
pub use start::{NewRun, RunRow, cancel, overdue, show, signal, start};
pub use steps::Run;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{Job, NewJob, QueueError};

/// The job of a run: `queue.backend` is typed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct RunJob {
    /// The run.
    pub run: Uuid,
}

/// A kind of run.
pub trait Flow: Send + Sync + 'static {
    /// The flow's name.
    const NAME: &'static str;
    /// Its version; runs of an older one go on in a queue of their own.
    const VERSION: u32;
    /// What a run begins with.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// How many attempts there are between two waits.
    const MAX_ATTEMPTS: u32 = 20;

    /// Where its jobs go: `<name>.v<version>`.
    #[must_use]
    fn queue() -> String {
        format!("{}.v{}", Self::NAME, Self::VERSION)
    }
}

fn job_of<F: Flow>(run: Uuid) -> Result<NewJob, QueueError> {
    let args = serde_json::to_value(RunJob { run })?;
    let mut job = NewJob::raw(F::queue(), args).key(run.to_string()).max_attempts(F::MAX_ATTEMPTS);
    job.run = Some(run);
    Ok(job)
}

impl crate::Queue {
    /// The backend of a flow's current version. Its handler takes a [`RunJob`] and a [`crate::JobContext`].
    pub fn run_backend<F: Flow>(&self, settings: crate::Settings) -> crate::Backend<RunJob> {
        crate::Backend::checked(self.clone(), F::queue(), settings)
    }
}

impl Job for RunJob {
    /// A run's queue is its flow's; this one is never used.
    const QUEUE: &'static str = "run";
}
