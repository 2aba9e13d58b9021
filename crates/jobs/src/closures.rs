//! Closing an account. The request freezes; what erases is asked for by the sweeper of what is due.

use costlens_domain::ErasureId;
use costlens_queue::Job;
use serde::{Deserialize, Serialize};

/// Until when a closing account can be kept.
pub const GRACE_DAYS: u64 = 7;
/// By when nothing of it may be left.
pub const DEADLINE_DAYS: u64 = 30;
/// On which days after the request the operator is told that it is not done; the last is the deadline.
pub const ALARM_DAYS: [u32; 4] = [14, 20, 25, 30];

/// Erases an account whose days of grace are over. It knows the erasure alone, so that the queue's rows name nobody.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct EraseAccount {
    /// The erasure.
    pub erasure: ErasureId,
}

impl Job for EraseAccount {
    const QUEUE: &'static str = "erasure.v1";
    /// The sweeper asks again for one that ran out of these.
    const MAX_ATTEMPTS: u32 = 50;
}
