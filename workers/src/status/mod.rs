//! The service looks at itself each minute, as somebody who uses it would, and writes down what it finds.
//!
//! A probe is stored under the minute in which it was made, never under the tick that asked for it: what nobody looked
//! at stays unknown. The first result of a minute counts, and incidents follow from the stored minutes alone, so a probe
//! that runs twice, or dies between the two, changes nothing that another would not.

mod probes;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use costlens_domain::ids::uuid_v7;
use costlens_egress::{Egress, EndpointUrl};
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::StatusMinute;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// Where the service is looked at from outside.
#[derive(Clone, Debug, Default)]
pub struct StatusTargets {
    /// The addresses, by the names that the public page shows; the first has none. Empty where this process does not know
    /// any: then there is no result of them.
    pub targets: Vec<StatusTarget>,
    /// The way to them: these addresses are the operator's, whatever network they are in.
    pub egress: Option<Egress>,
}

/// One address of the service.
#[derive(Clone, Debug)]
pub struct StatusTarget {
    /// What the public page calls it; empty for the service itself.
    pub name: String,
    /// Where it is.
    pub base: EndpointUrl,
}

/// Looks at the service.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProbeStatus {}

impl Job for ProbeStatus {
    const QUEUE: &'static str = "status.v1";
    /// For workers that die: another attempt looks in a minute of its own. The next tick comes soon enough.
    const MAX_ATTEMPTS: u32 = 3;
}

/// Makes every probe at once, and writes each result as it comes.
pub(crate) async fn probe_status(
    _job: ProbeStatus,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let minute = minute_of(parts.clock.now());
    let parts = Arc::new(parts);
    let mut probing = tokio::task::JoinSet::new();
    for target in &parts.status.targets {
        for part in probes::PARTS {
            let (parts, target) = (Arc::clone(&parts), target.clone());
            probing.spawn(async move {
                let component = part.component(&target.name);
                (component, probes::over_http(&parts, &target, part).await)
            });
        }
    }
    let database = Arc::clone(&parts);
    probing.spawn(async move { ("database".to_owned(), probes::of_database(&database).await) });
    let queue = context.queue().clone();
    probing.spawn(async move { ("jobs".to_owned(), probes::of_jobs(&queue).await) });

    let mut failed = None;
    while let Some(probed) = probing.join_next().await {
        let (component, probe) = probed.map_err(JobError::retry)?;
        if probe.outcome != costlens_domain::status::ProbeOutcome::Ok {
            tracing::warn!(
                status.component = %component, status.outcome = %probe.outcome, reason = %probe.reason,
                "a part of the service is not well"
            );
        }
        let found = StatusMinute { component, minute, outcome: probe.outcome, latency_ms: probe.latency_ms };
        // One that cannot be written leaves the others their place.
        if let Err(error) = note(&parts, &found).await {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn note(parts: &WorkerParts, found: &StatusMinute) -> Result<(), JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    system.note_status(found).await.map_err(store_failure)?;
    let id = uuid_v7(found.minute, parts.entropy.for_id());
    system.derive_incidents(&found.component, found.minute, id).await.map_err(store_failure)
}

fn minute_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}

/// How long a probe may take, which is also when it has failed.
const PATIENCE: Duration = Duration::from_secs(10);
