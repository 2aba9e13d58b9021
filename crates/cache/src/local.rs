//! Counters of this process: all there is without Redis, and the substitute while it is away.
//!
//! Bounded: where there is no more room, counters whose window is over go, and then those that were taken least, so
//! that a flood of strangers does not make anybody's nearly full counter be forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use costlens_domain::ports::Clock;

use crate::subject::Key;
use crate::{Asked, Outcome, Standing};

const SHARDS: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Counter {
    count: u32,
    /// Milliseconds since 1970.
    ends_at: i64,
}

type Shard = HashMap<Key, Counter>;

#[derive(Debug)]
pub(crate) struct Local {
    shards: [Mutex<Shard>; SHARDS],
    clock: Arc<dyn Clock>,
    shard_limit: usize,
}

impl Local {
    /// Counters, at most so many at a time.
    pub(crate) fn new(clock: Arc<dyn Clock>, limit: usize) -> Self {
        let shard_limit = (limit / SHARDS).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), clock, shard_limit }
    }

    /// Takes from all counters or, where one is full or nothing shall be taken, from none.
    pub(crate) fn count(&self, asked: &[Asked], taking: bool) -> Outcome {
        let now = self.now();
        // Always in the order of the shards: two calls never wait for each other.
        let mut wanted: Vec<usize> = asked.iter().map(|one| shard_of(&one.key)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut held: Vec<(usize, MutexGuard<'_, Shard>)> =
            wanted.into_iter().filter_map(|index| Some((index, self.lock(index)?))).collect();
        let mut with = |key: &Key, act: &mut dyn FnMut(&mut Shard)| {
            let index = shard_of(key);
            if let Some((_, shard)) = held.iter_mut().find(|(held, _)| *held == index) {
                act(shard);
            }
        };

        let mut refused_for = None;
        let mut standings = Vec::with_capacity(asked.len());
        for one in asked {
            let mut standing = Standing { count: 0, rest: one.rule.window };
            with(&one.key, &mut |shard| {
                if let Some(counter) = shard.get_mut(&one.key)
                    && let Some(rest) = counter.rest(now, one.rule.window_ms())
                {
                    standing = Standing { count: counter.count, rest };
                }
            });
            if standing.count >= one.rule.limit {
                refused_for = refused_for.max(Some(standing.rest));
            }
            standings.push(standing);
        }
        if taking && refused_for.is_none() {
            for (one, standing) in asked.iter().zip(&mut standings) {
                standing.count = standing.count.saturating_add(1);
                with(&one.key, &mut |shard| self.put(shard, one.key, *standing, now));
            }
        }
        Outcome { refused_for, standings }
    }

    /// Remembers where counters stand elsewhere, to go on from there when they are out of reach.
    pub(crate) fn remember(&self, asked: &[Asked], standings: &[Standing]) {
        let now = self.now();
        for (one, standing) in asked.iter().zip(standings) {
            if let Some(mut shard) = self.lock(shard_of(&one.key)) {
                if standing.count == 0 {
                    shard.remove(&one.key);
                } else {
                    self.put(&mut shard, one.key, *standing, now);
                }
            }
        }
    }

    pub(crate) fn forget(&self, key: &Key) {
        if let Some(mut shard) = self.lock(shard_of(key)) {
            shard.remove(key);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        (0..SHARDS).filter_map(|index| self.lock(index)).map(|shard| shard.len()).sum()
    }

    fn put(&self, shard: &mut Shard, key: Key, standing: Standing, now: i64) {
        if shard.len() >= self.shard_limit && !shard.contains_key(&key) {
            self.make_room(shard, now);
        }
        let rest = i64::try_from(standing.rest.as_millis()).unwrap_or(i64::MAX);
        shard.insert(key, Counter { count: standing.count, ends_at: now.saturating_add(rest) });
    }

    /// Takes out what is over and, if that is not an eighth of all, the rest of an eighth: the least taken, and among
    /// those the soonest over.
    fn make_room(&self, shard: &mut Shard, now: i64) {
        shard.retain(|_, counter| counter.ends_at > now);
        let keep = self.shard_limit - self.shard_limit.div_ceil(8);
        if shard.len() <= keep {
            return;
        }
        let mut all: Vec<(u32, i64, Key)> =
            shard.iter().map(|(key, counter)| (counter.count, counter.ends_at, *key)).collect();
        let out = all.len() - keep;
        all.select_nth_unstable(out.saturating_sub(1));
        for (.., key) in all.iter().take(out) {
            shard.remove(key);
        }
    }

    fn lock(&self, index: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}

impl Counter {
    /// What is left of the window; `None` when it is over. A clock that was set back makes no window longer than
    /// it ever was.
    fn rest(&mut self, now: i64, window_ms: u64) -> Option<Duration> {
        let window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX);
        self.ends_at = self.ends_at.min(now.saturating_add(window_ms));
        let rest = u64::try_from(self.ends_at.saturating_sub(now)).ok().filter(|rest| *rest > 0)?;
        Some(Duration::from_millis(rest))
    }
}

/// The key is an HMAC: any part of it is as good as random.
fn shard_of(key: &Key) -> usize {
    let [first, ..] = key;
    usize::from(*first) % SHARDS
}

#[cfg(test)]
#[path = "tests/local.rs"]
mod tests;
