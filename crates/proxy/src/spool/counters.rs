//! What the spool tells about itself.

use std::time::Duration;

/// A snapshot of the spool and its shipper; totals count since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolCounters {
    /// What the segment files take on the disk.
    pub allocated_bytes: u64,
    /// What they may take.
    pub limit_bytes: u64,
    /// The part of it that open calls hold for their completions.
    pub reserved_bytes: u64,
    /// 70 percent of the limit were reached, and it is not below 50 again.
    pub nearly_full: bool,
    /// How many segment files there are.
    pub segments: u64,
    /// Calls that began and have not ended.
    pub open_calls: u64,
    /// Ended calls that are not in the ledger yet.
    pub unshipped: u64,
    /// How long ago the oldest of them ended.
    pub oldest_unshipped: Option<Duration>,
    /// Rows handed to the ledger and committed, those it knew already and those of erased accounts, which it drops,
    /// included.
    pub shipped: u64,
    /// Calls of an earlier process that were found without an end, or were dropped in this one.
    pub interrupted: u64,
    /// Rows that the ledger refused for good and that were set aside.
    pub rejected: u64,
    /// Damaged bytes that were skipped while reading.
    pub skipped_bytes: u64,
    /// Intents that were refused because there was no room.
    pub refused: u64,
    /// Syncs to disk that failed.
    pub sync_failures: u64,
    /// Inserts that failed and were tried again.
    pub sink_failures: u64,
}
