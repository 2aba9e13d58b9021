//! Durable jobs on PostgreSQL, behind Apalis' traits, on diesel-async.
//!
//! What it promises: a job that was enqueued in a committed transaction runs at least once, never by two workers
//! that both may report success, and what its handler pushed is committed with its outcome or not at all. A killed
//! worker's jobs run again within seconds. Retries, timers and schedules live in rows, so nothing that waits is lost
//! with a process.
//!
//! Leases and backoff use the database's clock; what a business rule means by "now" is a parameter, and can be held
//! against it ([`check_clock`]).

mod clock;
mod context;
mod enqueue;
mod error;
mod fault;
mod handle;
mod job;
mod lease;
pub mod ops;
mod outcome;
pub mod run;
pub mod schedule;
mod settings;
mod setup;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;
mod worker;
mod workers;

pub use clock::check_clock;
pub use context::JobContext;
pub use enqueue::enqueue;
pub use error::QueueError;
pub use fault::{ErrorClass, JobError};
pub use handle::{Conn, Connect, Queue, QueueConfig};
pub use job::{Enqueued, Job, NewJob};
pub use settings::{Backoff, Settings};
pub use setup::{MIGRATIONS, UnknownWork, grants, unknown_work};
pub use tx::InTx;
pub use worker::{Backend, Json, RunJob, RunJobLayer};
pub use workers::{WorkerEnded, Workers};
/// For applications that want Apalis' own layers: the version that this crate is built on.
pub use {apalis, apalis_core};
