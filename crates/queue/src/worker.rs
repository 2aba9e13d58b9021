//! A worker's side of the queue: the Apalis backend, the tasks that drive it, and the layer around handlers.

mod ack;
mod backend;
mod buffer;
mod claim;
mod driver;
mod keeper;
mod layer;
mod lease;
mod quarantine;
mod sink;

pub use backend::{Backend, Json};
pub(crate) use keeper::Keeper;
pub use layer::{RunJob, RunJobLayer};
pub(crate) use quarantine::Quarantine;
