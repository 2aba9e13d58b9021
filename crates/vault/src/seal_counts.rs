//! How often each data key sealed something. With random nonces a key is good for 2^32 texts (NIST SP 800-38D, 8.3);
//! the rotation gives it a successor long before, at [`ROTATE_AT`].
//!
//! Counted here in memory and carried into the store every few seconds. What a process counted and did not carry over
//! is lost when it is killed: at most [`MOST_UNCOUNTED`] for each key and death, because a key with that many is not
//! used until they are carried over. A count whose way into the store ended in doubt is carried there again. So the
//! store never knows of fewer than were made, less [`MOST_UNCOUNTED`] for each process that was killed: from the
//! threshold to the end there is room for three thousand such deaths.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use costlens_domain::TenantId;

/// A data key that sealed as many texts gets a successor: a quarter of what it is good for.
pub const ROTATE_AT: u64 = 1 << 30;
/// The most seals of one key that one process makes before the store knows of them.
pub const MOST_UNCOUNTED: u64 = 1 << 20;

/// How often a data key sealed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealCount {
    /// Whose key.
    pub tenant: TenantId,
    /// Which.
    pub version: u32,
    /// How often.
    pub seals: u64,
}

#[derive(Default)]
pub(crate) struct SealCounts(Mutex<HashMap<(TenantId, u32), u64>>);

impl SealCounts {
    /// One more; false where too many wait already, and then it is not counted.
    pub(crate) fn one_more(&self, tenant: TenantId, version: u32) -> bool {
        let mut all = self.lock();
        let count = all.entry((tenant, version)).or_default();
        if *count >= MOST_UNCOUNTED {
            return false;
        }
        *count += 1;
        true
    }

    pub(crate) fn waiting(&self) -> Vec<SealCount> {
        let all = self.lock();
        all.iter()
            .map(|((tenant, version), seals)| SealCount { tenant: *tenant, version: *version, seals: *seals })
            .collect()
    }

    pub(crate) fn carried(&self, counts: &[SealCount]) {
        let mut all = self.lock();
        for count in counts {
            let key = (count.tenant, count.version);
            if let Some(waiting) = all.get_mut(&key) {
                *waiting = waiting.saturating_sub(count.seals);
                if *waiting == 0 {
                    all.remove(&key);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, u32), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::tenant;

    #[test]
    fn what_is_carried_over_is_what_was_counted_and_too_many_at_once_are_refused() {
        let counts = SealCounts::default();
        for _ in 0..3 {
            assert!(counts.one_more(tenant(1), 1));
        }
        assert!(counts.one_more(tenant(1), 2));
        let seen = counts.waiting();
        assert_eq!(seen.iter().map(|count| count.seals).sum::<u64>(), 4);
        // Sealed while the others are on their way.
        assert!(counts.one_more(tenant(1), 1));
        counts.carried(&seen);
        assert_eq!(counts.waiting(), [SealCount { tenant: tenant(1), version: 1, seals: 1 }]);
        for _ in 1..MOST_UNCOUNTED {
            assert!(counts.one_more(tenant(1), 1));
        }
        assert!(!counts.one_more(tenant(1), 1));
        assert!(counts.one_more(tenant(2), 1), "another tenant's key is another key");
        let seen = counts.waiting();
        assert_eq!(seen.iter().map(|count| count.seals).max(), Some(MOST_UNCOUNTED));
        counts.carried(&seen);
        assert!(counts.one_more(tenant(1), 1));
    }
}
