//! The callers in memory, and how they leave it.
//!
//! A caller holds its connections' credentials and its own data keys in the clear. What is too old to vouch for
//! anybody is looked up again before it is used, so there is no reason to keep it: it is dropped, which overwrites it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use costlens_vault::TokenHash;

use crate::keys::Caller;

/// How often news of a key is asked for while the database may be away.
const ASK_EVERY_MS: u64 = 1_000;

/// So many are dropped in one go, so that nobody's call waits for all of them.
const MOST_AT_ONCE: usize = 4_096;

/// A caller in memory.
pub(crate) struct Kept {
    pub(crate) caller: Arc<Caller>,
    /// When the database was last asked again, in milliseconds after the caller was loaded.
    asked: AtomicU64,
}

impl Kept {
    pub(crate) const fn new(caller: Arc<Caller>) -> Self {
        Self { caller, asked: AtomicU64::new(0) }
    }

    /// True for one caller a second.
    pub(crate) fn may_ask(&self) -> bool {
        let now = u64::try_from(self.caller.loaded.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.asked.load(Ordering::Relaxed);
        now.saturating_sub(last) >= ASK_EVERY_MS
            && self.asked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Callers by the hashes of their keys.
pub(crate) type KeptCallers = RwLock<HashMap<TokenHash, Arc<Kept>>>;

/// Drops callers that were loaded so long before `now`, and says whether there may be more of them.
pub(crate) fn drop_stale(all: &KeptCallers, stale: Duration, now: Instant) -> bool {
    let is_stale = |kept: &Kept| now.saturating_duration_since(kept.caller.loaded) >= stale;
    let found: Vec<TokenHash> = {
        let all = all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, kept)| is_stale(kept)).map(|(hash, _)| *hash).take(MOST_AT_ONCE).collect()
    };
    if found.is_empty() {
        return false;
    }
    let mut dropped = Vec::with_capacity(found.len());
    {
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        for hash in &found {
            // Looked up again meanwhile, it stays.
            if all.get(hash).is_some_and(|kept| is_stale(kept)) {
                dropped.extend(all.remove(hash));
            }
        }
    }
    // Overwriting takes its time, and nobody waits for it any more.
    drop(dropped);
    found.len() == MOST_AT_ONCE
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use costlens_domain::keys::KeyScopes;
    use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
    use costlens_domain::{ApiKeyId, TenantId};
    use costlens_store::ApiKey;
    use uuid::Uuid;

    use super::*;
    use crate::keys::BodyRule;

    const STALE: Duration = Duration::from_mins(2);

    fn caller(loaded: Instant) -> Arc<Caller> {
        let key = ApiKey {
            id: ApiKeyId::from(Uuid::from_u128(1)),
            tenant_id: TenantId::from(Uuid::from_u128(2)),
            name: "a key".to_owned(),
            hint: "abcd".to_owned(),
            hangup: HangupPolicy::Drain,
            stream_usage: StreamUsagePolicy::Inject,
            durability: Durability::Spool,
            created_at: DateTime::UNIX_EPOCH,
            revoked_at: None,
            last_used_at: None,
            zero_retention: false,
            scopes: KeyScopes::USUAL,
            expires_at: None,
            rolled_at: None,
            previous_until: None,
            shown_to: None,
        };
        Arc::new(Caller { key, valid_until: None, targets: Vec::new(), bodies: BodyRule::Ignore, loaded })
    }

    #[test]
    fn whoever_is_too_old_to_be_vouched_for_leaves_memory_and_nobody_else_does() {
        let (old, new) = (caller(Instant::now()), caller(Instant::now() + STALE));
        let all = KeptCallers::default();
        for (hash, caller) in [("old", &old), ("new", &new)] {
            all.write().unwrap().insert(TokenHash::of(hash), Arc::new(Kept::new(Arc::clone(caller))));
        }
        assert!(!drop_stale(&all, STALE, old.loaded));
        assert_eq!(Arc::strong_count(&old), 2, "it is fresh");
        assert!(!drop_stale(&all, STALE, old.loaded + STALE));
        assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 2));
        assert_eq!(all.read().unwrap().len(), 1);
    }

    #[test]
    fn many_leave_a_part_at_a_time() {
        let old = caller(Instant::now());
        let many = (0..=MOST_AT_ONCE)
            .map(|n| (TokenHash::of(&n.to_string()), Arc::new(Kept::new(Arc::clone(&old)))));
        let all = KeptCallers::new(many.collect());
        let later = old.loaded + STALE;
        assert!(drop_stale(&all, STALE, later));
        assert_eq!(all.read().unwrap().len(), 1);
        assert!(!drop_stale(&all, STALE, later));
        assert_eq!(Arc::strong_count(&old), 1);
    }
}
