//! The probes: what is asked, and what is made of the answer.

use std::time::Duration;

use costlens_domain::status::ProbeOutcome;
use costlens_queue::{Queue, ops};
use tokio::time::Instant;

use super::{PATIENCE, StatusTarget};
use crate::WorkerParts;

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);
/// A job that is due may wait so long until that is noticed, and so long until work stands still.
const LATE: Duration = Duration::from_mins(5);
const STILL: Duration = Duration::from_mins(30);

/// What a probe found.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) outcome: ProbeOutcome,
    pub(super) latency_ms: Option<u32>,
    /// For the log alone: it may name addresses.
    pub(super) reason: String,
}

impl Probe {
    fn down(reason: impl Into<String>) -> Self {
        Self { outcome: ProbeOutcome::Down, latency_ms: None, reason: reason.into() }
    }

    fn answered(after: Duration) -> Self {
        let outcome = if after > SLOW { ProbeOutcome::Degraded } else { ProbeOutcome::Ok };
        let reason = format!("it answered after {after:?}");
        Self { outcome, latency_ms: u32::try_from(after.as_millis()).ok(), reason }
    }
}

/// A part of the service that answers over HTTP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    name: &'static str,
    path: &'static str,
}

/// The management API as a browser without a session meets it, which reads the database; and the proxy's own word on
/// whether it takes calls, which depends on its spool.
pub(super) const PARTS: [Part; 2] =
    [Part { name: "api", path: "/api/v1/status" }, Part { name: "proxy", path: "/readyz" }];

impl Part {
    /// The component's name: that of the part, and which of several it is.
    pub(super) fn component(self, target: &str) -> String {
        if target.is_empty() { self.name.to_owned() } else { format!("{}/{target}", self.name) }
    }
}

/// Asks over HTTP. Only an answer of success is one.
pub(super) async fn over_http(parts: &WorkerParts, target: &StatusTarget, part: Part) -> Probe {
    let Some(egress) = &parts.status.egress else {
        return Probe {
            outcome: ProbeOutcome::Unknown,
            latency_ms: None,
            reason: "there is no way out".into(),
        };
    };
    let Some(uri) = target.base.uri(part.path) else { return Probe::down("the address is no URI") };
    let begun = Instant::now();
    match tokio::time::timeout(PATIENCE, egress.status_of(uri)).await {
        Ok(Ok(200..=299)) => Probe::answered(begun.elapsed()),
        Ok(Ok(status)) => Probe::down(format!("it answered {status}")),
        Ok(Err(error)) => Probe::down(error.to_string()),
        Err(late) => Probe::down(late.to_string()),
    }
}

/// Writes and reads. That it cannot be written to is seldom written down, because it is the database that keeps it.
pub(super) async fn of_database(parts: &WorkerParts) -> Probe {
    let begun = Instant::now();
    let beat = async {
        let mut system = parts.store.system().await?;
        system.status_beat(parts.clock.now()).await
    };
    match tokio::time::timeout(PATIENCE, beat).await {
        Ok(Ok(true)) => Probe::answered(begun.elapsed()),
        Ok(Ok(false)) => Probe::down("it read another moment than it wrote"),
        Ok(Err(error)) => Probe::down(error.to_string()),
        Err(late) => Probe::down(late.to_string()),
    }
}

/// For how long the oldest job that is due has waited.
pub(super) async fn of_jobs(queue: &Queue) -> Probe {
    let oldest = async {
        let mut conn = queue.conn().await?;
        let stats = ops::stats(&mut conn).await?;
        Ok::<_, costlens_queue::QueueError>(
            stats.into_iter().filter_map(|queue| queue.oldest_ready_ms).max().unwrap_or(0),
        )
    };
    let oldest = match tokio::time::timeout(PATIENCE, oldest).await {
        Ok(Ok(oldest)) => Duration::from_millis(u64::try_from(oldest).unwrap_or(0)),
        Ok(Err(error)) => return Probe::down(error.to_string()),
        Err(late) => return Probe::down(late.to_string()),
    };
    let reason = format!("the oldest job has been due for {oldest:?}");
    Probe { outcome: of_age(oldest), latency_ms: u32::try_from(oldest.as_millis()).ok(), reason }
}

fn of_age(oldest: Duration) -> ProbeOutcome {
    match oldest {
        age if age >= STILL => ProbeOutcome::Down,
        age if age >= LATE => ProbeOutcome::Degraded,
        _ => ProbeOutcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_degraded_and_work_that_stands_still_is_down() {
        assert_eq!(Probe::answered(SLOW).outcome, ProbeOutcome::Ok);
        assert_eq!(Probe::answered(SLOW + Duration::from_millis(1)).outcome, ProbeOutcome::Degraded);
        let minutes = |minutes| of_age(Duration::from_mins(minutes));
        assert_eq!([minutes(0), minutes(4)], [ProbeOutcome::Ok; 2]);
        assert_eq!([minutes(5), minutes(29)], [ProbeOutcome::Degraded; 2]);
        assert_eq!(minutes(30), ProbeOutcome::Down);
    }
}
