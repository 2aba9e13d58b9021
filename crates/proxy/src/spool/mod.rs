//! The local spool: what stands between a proxied call and the loss of its row.
//!
//! A call is written here before the provider hears of it (its *intent*) and again when it ended (its
//! *completion*); the [`Shipper`] carries completions to the ledger behind everyone's back. The promises:
//!
//! - once [`Spool::begin`] returned, the call reaches the ledger exactly once, as completed or as interrupted,
//!   whatever happens to this process or to the database;
//! - once [`Ticket::complete`] returned, it reaches the ledger with exactly these figures;
//! - a full disk or a full spool refuses intents ([`SpoolError::Full`]) and never loses a completion, because an
//!   accepted intent has reserved its completion's room on the disk;
//! - memory is bounded by the calls in flight and a few thousand that just ended, not by the backlog.
//!
//! The reasons are in `docs/adr/0003-spool.md`.

use std::path::PathBuf;
use std::time::Duration;

mod backlog;
mod checkpoint;
mod compact;
mod counters;
mod file_work;
mod frame;
mod handoff;
mod payload;
mod reader;
mod reclaim;
mod rejected;
mod segment;
mod shipper;
mod state;
mod sync;
mod tail;
mod ticket;
mod writer;

#[cfg(test)]
mod tests;

pub use backlog::Recovered;
pub use counters::SpoolCounters;
pub use payload::UnreadablePayload;
pub use shipper::{Drained, FactSink, Shipper, ShipperConfig, SinkError};
pub use ticket::{NotSettled, Receipt, Ticket};
pub use writer::Spool;

/// Where the spool lives and how much it may hold.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// The directory; made with mode 0700 if absent. One process at a time owns it.
    pub dir: PathBuf,
    /// The size of one segment file, preallocated. At least [`SpoolConfig::MIN_SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// What all segments together may take on the disk; past it, intents are refused.
    pub limit_bytes: u64,
    /// The longest time between a write and the start of the sync that covers it.
    pub sync_within: Duration,
    /// After this long a segment whose calls are all in the ledger is given up, full or not: what an account leaves
    /// here goes long before the account does.
    pub kept_at_most: Duration,
}

impl SpoolConfig {
    /// A segment holds at least a few of the largest records.
    pub const MIN_SEGMENT_BYTES: u64 = 4 * frame::MAX_RECORD;

    /// The defaults: segments of 8 MiB, 2 GiB in all (over an hour without a database at 200 calls a second),
    /// synced 30 ms after a write, kept for six hours after the last call is shipped.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 8 << 20,
            limit_bytes: 2 << 30,
            sync_within: Duration::from_millis(30),
            kept_at_most: Duration::from_hours(6),
        }
    }
}

/// Why the spool cannot be opened, or does not take a record.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process owns the directory.
    #[error("the spool at {} is owned by another process", dir.display())]
    Owned {
        /// The spool's directory.
        dir: PathBuf,
    },
    /// The limits make no spool: a segment is too small, or fewer than two fit into the limit.
    #[error("a spool of {limit_bytes} bytes cannot hold two segments of {segment_bytes} bytes")]
    Limits {
        /// What was asked for as [`SpoolConfig::segment_bytes`].
        segment_bytes: u64,
        /// What was asked for as [`SpoolConfig::limit_bytes`].
        limit_bytes: u64,
    },
    /// There is no room for the intent and its completion; the call must not be made.
    #[error("the spool has no room for another call")]
    Full,
    /// The intent is larger than any record may be (16 KiB as JSON); its texts need clipping.
    #[error("the record of {bytes} bytes is too large for the spool")]
    TooLarge {
        /// How large the record would have been.
        bytes: usize,
    },
    /// A call of this id is already open.
    #[error("a call of this id is already open")]
    Duplicate,
    /// The completion carries another id than its intent.
    #[error("the completion is for another call than the ticket")]
    WrongCall,
    /// The fact cannot be written as MessagePack.
    #[error("the fact cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
    /// The fact that was written at the call's beginning cannot be read.
    #[error("the call's intent cannot be read")]
    Intent(#[source] UnreadablePayload),
    /// The last sync to disk failed; nothing new is taken until one succeeds.
    #[error("the spool's disk does not sync")]
    Unsynced,
    /// The file system refused.
    #[error("cannot {action} the spool")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}

impl SpoolError {
    fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
