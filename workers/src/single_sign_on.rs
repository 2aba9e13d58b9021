//! Looking anew for the records that prove tenants' domains. A record that is gone takes its domain away after days of
//! grace; name servers that say nothing are waited for longer.

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::single_sign_on::{Look, still_counts};
use costlens_domain::{AuditEventId, TenantId};
use costlens_identity::single_sign_on::look;
use costlens_queue::{ErrorClass, Job, JobContext, JobError, NewJob};
use costlens_store::{NewAuditEvent, SsoDomain, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{WorkerParts, store_failure};

/// How many domains are looked for at once: name servers that say nothing are waited for.
const AT_ONCE: u32 = 10;
/// After how many such steps another job goes on.
const STEPS: u32 = 30;

/// Looks for the record of every domain that counts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LookForDomains {
    /// When the look began that this job goes on with; `None` for one that begins.
    #[serde(default)]
    begun_at: Option<DateTime<Utc>>,
    /// What the jobs before it found.
    #[serde(default)]
    looked: Looked,
}

impl Job for LookForDomains {
    const QUEUE: &'static str = "sso-domains.v1";
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Looked {
    seen: usize,
    missing: usize,
    silent: usize,
    lost: usize,
}

/// Each domain is a transaction of its own, with no name server waited for in it, and says when it was looked for: one
/// look goes on where another ended, was killed, or ran out of time.
pub(crate) async fn look_for_domains(
    job: LookForDomains,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let LookForDomains { begun_at, mut looked } = job;
    let begun_at = begun_at.unwrap_or_else(|| parts.clock.now());
    for _ in 0..STEPS {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let domains = system.proven_sso_domains(begun_at, AT_ONCE).await.map_err(store_failure)?;
        drop(system);
        if domains.is_empty() {
            if looked.lost > 0 {
                tracing::warn!(domains.lost = looked.lost, "domains lost the record that proves them");
            }
            return Ok(context.progress(&looked).await?);
        }
        look_at(&parts, domains, begun_at, &mut looked).await?;
        context.progress(&looked).await?;
    }
    context.enqueue(NewJob::of(&LookForDomains { begun_at: Some(begun_at), looked })?);
    Ok(())
}

/// Looks for some at once.
async fn look_at(
    parts: &WorkerParts,
    domains: Vec<(TenantId, SsoDomain)>,
    begun_at: DateTime<Utc>,
    looked: &mut Looked,
) -> Result<(), JobError> {
    let mut looks = JoinSet::new();
    for (tenant, domain) in domains {
        let egress = parts.egress.clone();
        looks.spawn(async move {
            let seen = look(&egress, &domain.domain, &domain.token).await;
            (tenant, domain, seen)
        });
    }
    while let Some(done) = looks.join_next().await {
        let (tenant, domain, seen) =
            done.map_err(|error| JobError::give_up(ErrorClass::Bug, "look", error))?;
        match seen {
            Look::Seen => looked.seen += 1,
            Look::Missing => looked.missing += 1,
            Look::Silent => looked.silent += 1,
        }
        let lost = settle(parts, (tenant, &domain), seen, begun_at).await.map_err(store_failure)?;
        looked.lost += usize::from(lost);
    }
    Ok(())
}

/// Writes down what was seen. Says whether the domain counts no longer.
async fn settle(
    parts: &WorkerParts,
    (tenant, domain): (TenantId, &SsoDomain),
    seen: Look,
    begun_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(tenant).await?;
    // Somebody may have removed it meanwhile.
    let written = match seen {
        Look::Seen => tx.see_sso_domain(domain.id, now).await.map(drop),
        Look::Missing => tx.miss_sso_domain(domain.id, now).await,
        Look::Silent => Ok(()),
    };
    match written {
        Err(StoreError::NotFound) => return Ok(false),
        other => other?,
    }
    // Never before the look began, whatever this clock shows: a look meets each domain once.
    tx.look_for_sso_domain(domain.id, now.max(begun_at)).await?;
    let last_seen = domain.seen_at.filter(|seen_at| !still_counts(*seen_at, seen, now));
    let lost = match last_seen {
        Some(seen_at) => tx.lose_sso_domain(domain.id, seen_at).await?,
        None => false,
    };
    if lost {
        tx.audit(&event(parts, domain, now)).await?;
    }
    tx.commit().await?;
    Ok(lost)
}

fn event(parts: &WorkerParts, domain: &SsoDomain, now: DateTime<Utc>) -> NewAuditEvent {
    NewAuditEvent {
        id: AuditEventId::new(now, parts.entropy.for_id()),
        at: now,
        actor: Actor::Schedule,
        action: Action::SingleSignOnDomainLost,
        target: Some(domain.id.to_string()),
        change: json!({ "domain": domain.domain }),
        request_id: None,
        address: None,
    }
}
