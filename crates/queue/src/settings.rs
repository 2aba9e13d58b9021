//! How a worker treats one queue.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use uuid::Uuid;

/// How a worker treats its queue. The defaults suit jobs of seconds to minutes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most jobs claimed at once. Claims begin with one and grow while they are taken up at once; what is not
    /// taken up within a second goes back. So slow jobs are left to other workers, whatever stands here.
    pub batch: u32,
    /// Claims a whole batch from the start and keeps it, however slow its jobs are.
    pub eager: bool,
    /// How long one attempt may take; a longer one is dropped where it next waits, and counts as failed. `None` is for
    /// ever.
    pub timeout: Option<Duration>,
    /// How long a failed job waits.
    pub backoff: Backoff,
    /// After how many deaths of its worker's process a job is dead, whatever attempts it has left. A worker that ends,
    /// or that loses its lease and lives, is not counted. At least one.
    pub max_crashes: u32,
    /// How long a job that may have killed a worker waits until nothing else of its process runs, and for how long it is
    /// alone when it does. Meanwhile the process begins nothing else. One that finds no turn comes back after six times
    /// as long.
    pub quarantine: Duration,
    /// How many jobs of one tenant (or of nobody) may run at once in this queue, over all workers.
    pub per_tenant: Option<u32>,
    /// How often the lease is renewed and others' leases are looked at. The workers of one [`crate::Queue`] share a
    /// heartbeat: the shortest of theirs.
    pub heartbeat: Duration,
    /// How long a worker whose lock is free may take to come back before its jobs are given to others. Longer than a
    /// restart of the database, so that one re-runs nothing. A process takes back what others left only once its own
    /// connection has stood for the longest grace of its workers.
    pub grace: Duration,
    /// How long a worker may be silent while its lock is held (a network that eats packets, a frozen machine) before
    /// its jobs are given to others.
    pub silence: Duration,
    /// The longest time between two looks at the queue, should a notification be lost.
    pub poll: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: 64,
            eager: false,
            timeout: None,
            backoff: Backoff::default(),
            max_crashes: 3,
            quarantine: Duration::from_secs(30),
            per_tenant: None,
            heartbeat: Duration::from_millis(1500),
            grace: Duration::from_millis(2_500),
            silence: Duration::from_mins(1),
            poll: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// How long the queue's own statements may take until their connection counts as closed.
    pub(crate) fn patience(&self) -> Duration {
        (self.silence / 2).max(self.heartbeat)
    }
}

/// How long a failed job waits for its next attempt. Up to a fifth is added, differently for each job and attempt, so
/// that jobs that failed together do not come back together.
#[derive(Clone, Debug)]
pub enum Backoff {
    /// `attempt⁴ + base`, but at most `most`.
    Quartic {
        /// The wait that is added to the attempt's fourth power in seconds.
        base: Duration,
        /// The longest wait.
        most: Duration,
    },
    /// The waits one after another; the last one again and again.
    Steps(Vec<Duration>),
}

impl Default for Backoff {
    /// `attempt⁴ + 15 s`, at most a day.
    fn default() -> Self {
        Self::Quartic { base: Duration::from_secs(15), most: Duration::from_hours(24) }
    }
}

impl Backoff {
    /// Always the same wait.
    #[must_use]
    pub fn fixed(wait: Duration) -> Self {
        Self::Steps(vec![wait])
    }

    /// The wait after an attempt (the first is 1).
    #[must_use]
    pub fn wait(&self, job: Uuid, attempt: u32) -> Duration {
        let plain = match self {
            Self::Quartic { base, most } => {
                let power = u64::from(attempt).saturating_pow(4);
                base.saturating_add(Duration::from_secs(power)).min(*most)
            }
            Self::Steps(waits) => {
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                waits.get(index).or_else(|| waits.last()).copied().unwrap_or_default()
            }
        };
        let mut hasher = DefaultHasher::new();
        (job, attempt).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 200).unwrap_or_default();
        plain.saturating_add(plain.saturating_mul(share) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_the_fourth_power_and_differ_between_jobs() {
        let backoff = Backoff::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (attempt, least) in [(1, 16), (2, 31), (5, 640), (100, 86_400)] {
            let wait = backoff.wait(one, attempt).as_millis();
            let least = least * 1_000;
            assert!((least..=least * 6 / 5).contains(&wait), "attempt {attempt} waits {wait} ms");
        }
        assert_ne!(backoff.wait(one, 3), backoff.wait(two, 3));
    }

    #[test]
    fn the_last_step_is_repeated() {
        let backoff = Backoff::Steps(vec![Duration::from_secs(30), Duration::from_mins(1)]);
        for (attempt, least) in [(1, 30), (2, 60), (9, 60)] {
            let wait = backoff.wait(Uuid::nil(), attempt).as_secs();
            assert!((least..=least * 6 / 5).contains(&wait), "attempt {attempt} waits {wait} s");
        }
    }
}
