//! Limits: how often a subject may do something, counted for all processes together where there is a Redis.
//!
//! **Several rules in one call** (by address and by account) are one question: if any counter is full the answer is no,
//! for as long as the last of the full ones lasts, and nothing is counted anywhere. So somebody whose address is
//! refused cannot use up the tries of the account he names, and a refusal lasts no longer for being asked again.
//!
//! **While Redis is away** this process counts with the same rules, going on from where Redis last stood as far as this
//! process saw it. Each process does so by itself: until Redis is back, a subject that reaches N processes may do up to
//! N times as much. What was counted meanwhile is not carried into Redis; a Redis that comes back empty begins anew. So
//! one outage gives a subject at most one more window's worth for each process.
//!
//! **Time**: in Redis a window is a key's life by Redis' clock; here it is the `Clock`'s.
//!
//! **Memory**: counters expire with their windows. Redis must not evict (`maxmemory-policy noeviction`, or a policy
//! under which it does not come to that); one that is full counts as away.

use std::sync::Arc;
use std::time::Duration;

use costlens_domain::ports::Clock;

use crate::local::Local;
use crate::remote::Remote;
use crate::{Asked, Outcome, Rule, Verdict, subject};

/// The most counters that this process keeps: some four megabytes.
const LOCAL_COUNTERS: usize = 1 << 16;

/// Why an address of a Redis cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// Not an address that the client reads. The address itself is not shown: it may hold a password.
    #[error("not an address like redis://:password@host:6379/0, rediss://… for TLS, or redis+unix:///path")]
    Shape,
    /// TLS without looking at the certificate is as good as none.
    #[error("TLS without checking the certificate is not offered")]
    Insecure,
}

/// The address of a Redis: `redis://`, `rediss://` (TLS, with the platform's certificates) or `redis+unix://`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}

impl RedisUrl {
    /// Reads an address, and connects nowhere.
    pub fn parse(text: &str) -> Result<Self, RedisUrlError> {
        let text = text.trim();
        if text.contains('#') {
            return Err(RedisUrlError::Insecure);
        }
        redis::Client::open(text).map_err(|_| RedisUrlError::Shape)?;
        Ok(Self(text.to_owned()))
    }
}

/// How long Redis may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One call: as long as an outage delays the calls of its first moment.
    pub call: Duration,
    /// Connecting, which no request waits for.
    pub connect: Duration,
    /// Between a loss and the first try to connect again; doubled with every try…
    pub first_pause: Duration,
    /// …up to this.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(50),
            connect: Duration::from_millis(500),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// Counters, and who counts them.
#[derive(Debug)]
pub struct Limits {
    local: Local,
    remote: Option<Remote>,
    secret: [u8; 32],
}

impl Limits {
    /// Counts in this process alone: right for a single one. The secret hides subjects.
    #[must_use]
    pub fn local(secret: [u8; 32], clock: Arc<dyn Clock>) -> Self {
        Self { local: Local::new(clock, LOCAL_COUNTERS), remote: None, secret }
    }

    /// Counts in Redis, together with all that have the same secret. Does not fail because Redis is away.
    pub async fn shared(
        url: &RedisUrl,
        secret: [u8; 32],
        clock: Arc<dyn Clock>,
        patience: Patience,
    ) -> Result<Self, RedisUrlError> {
        let remote = Remote::connect(&url.0, patience).await?;
        Ok(Self { remote: Some(remote), ..Self::local(secret, clock) })
    }

    /// Counts one more for the subject, if its counter is not full.
    pub async fn take(&self, rule: &'static Rule, subject: &str) -> Verdict {
        self.take_all(&[(rule, subject)]).await
    }

    /// Counts one more under every rule, or under none. See the [module's head](self).
    pub async fn take_all(&self, of: &[(&'static Rule, &str)]) -> Verdict {
        self.count(of, true).await
    }

    /// What [`Self::take`] would say, without counting: `remaining` is how often more it may be taken.
    pub async fn peek(&self, rule: &'static Rule, subject: &str) -> Verdict {
        self.count(&[(rule, subject)], false).await
    }

    /// Empties the subject's counter, as a lockout ends with the right password. Where Redis is away only this
    /// process' counter is emptied, and Redis' ends with its window.
    pub async fn reset(&self, rule: &'static Rule, subject: &str) {
        let asked = self.asked(rule, subject);
        self.local.forget(&asked.key);
        if let Some(remote) = &self.remote {
            remote.forget(&asked).await;
        }
    }

    /// Whether there is a Redis that does not count at the moment.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| !remote.is_there())
    }

    async fn count(&self, of: &[(&'static Rule, &str)], taking: bool) -> Verdict {
        let mut asked: Vec<Asked> = of.iter().map(|(rule, subject)| self.asked(rule, subject)).collect();
        // The same counter twice is one: it would be looked at twice before it is taken.
        asked.sort_unstable_by_key(|one| one.key);
        asked.dedup_by_key(|one| one.key);
        if let Some(remote) = &self.remote {
            if let Some(outcome) = remote.count(&asked, taking).await {
                self.local.remember(&asked, &outcome.standings);
                return verdict(&asked, &outcome, false);
            }
            return verdict(&asked, &self.local.count(&asked, taking), true);
        }
        verdict(&asked, &self.local.count(&asked, taking), false)
    }

    fn asked(&self, rule: &'static Rule, subject: &str) -> Asked {
        Asked { rule, key: subject::key(&self.secret, rule.name, subject) }
    }
}

fn verdict(asked: &[Asked], outcome: &Outcome, degraded: bool) -> Verdict {
    if let Some(rest) = outcome.refused_for {
        return Verdict::Refused { retry_after: rest.max(Duration::from_millis(1)) };
    }
    let left = asked.iter().zip(&outcome.standings).map(|(one, at)| one.rule.limit.saturating_sub(at.count));
    Verdict::Allowed { remaining: left.min().unwrap_or(u32::MAX), degraded }
}
