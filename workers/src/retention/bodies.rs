//! Prompts and answers that are past their time: days of a class are dropped whole; what a tenant keeps for a shorter
//! time than it once said goes some at a time. What went stands in each tenant's audit, in the transaction that took it.

use chrono::{DateTime, Days, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::privacy::BodyClass;
use costlens_domain::{AuditEventId, TenantId};
use costlens_queue::{JobContext, JobError};
use costlens_store::NewAuditEvent;
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How many bodies one statement removes.
const STEP: u32 = 500;
/// How many tenants are looked for with one query.
const PAGE: u32 = 500;
/// How often a day is tried to be dropped while bodies still come to it, before the next night.
const TRIES: u32 = 5;

/// Everything that is past its time at this moment. Says how many bodies went.
pub(super) async fn purge(
    context: &JobContext,
    parts: &WorkerParts,
    now: DateTime<Utc>,
) -> Result<u64, JobError> {
    Ok(drop_days(context, parts, now).await? + shorten(context, parts, now).await?)
}

async fn drop_days(context: &JobContext, parts: &WorkerParts, now: DateTime<Utc>) -> Result<u64, JobError> {
    let cap = parts.forever_body_days;
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let mut gone = 0;
    for of in system.expired_body_days(now, cap).await.map_err(store_failure)? {
        for attempt in 1.. {
            check(context)?;
            let seen = system.tenants_of_body_day(of).await.map_err(store_failure)?;
            let event = |tenant| (tenant, AuditEventId::new(now, parts.entropy.for_id()));
            let seen: Vec<_> = seen.into_iter().map(event).collect();
            match system.drop_body_day(of, now, cap, &seen).await {
                Ok(bodies) => {
                    tracing::info!(class = %of.class, day = %of.day, bodies, "a day of prompts and answers was dropped");
                    gone += bodies;
                    break;
                }
                // Somebody's came between the look and the lock.
                Err(error) if error.constraint() == Some("body_day_seen") && attempt < TRIES => {}
                Err(error) => return Err(store_failure(error)),
            }
        }
    }
    Ok(gone)
}

/// What tenants want to keep for a shorter time than when it was kept.
async fn shorten(context: &JobContext, parts: &WorkerParts, now: DateTime<Utc>) -> Result<u64, JobError> {
    let (mut after, mut gone) = (None, 0);
    loop {
        check(context)?;
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let page = system.tenants_with_longer_bodies(after, PAGE).await.map_err(store_failure)?;
        drop(system);
        let Some((last, _)) = page.last() else { return Ok(gone) };
        after = Some(*last);
        for (tenant, wanted) in page {
            gone += shorten_one(context, parts, (tenant, wanted), now).await?;
        }
    }
}

async fn shorten_one(
    context: &JobContext,
    parts: &WorkerParts,
    (tenant, wanted): (TenantId, BodyClass),
    now: DateTime<Utc>,
) -> Result<u64, JobError> {
    let days = wanted.days(parts.forever_body_days);
    // A body counts as past its time when the whole day of its call is.
    let before = days.and_then(|days| now.date_naive().checked_sub_days(Days::new(u64::from(days))));
    let Some(before) = before else { return Ok(0) };
    let mut gone = 0;
    loop {
        check(context)?;
        let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
        let removed = tx.delete_bodies_before(wanted.longer_ones(), before, STEP).await;
        let removed = removed.map_err(store_failure)?;
        if removed > 0 {
            let event = NewAuditEvent {
                id: AuditEventId::new(now, parts.entropy.for_id()),
                at: now,
                actor: Actor::Schedule,
                action: Action::BodiesPurged,
                target: None,
                change: json!({ "class": wanted.as_str(), "before": before, "bodies": removed, "partition_dropped": false }),
                request_id: None,
                address: None,
            };
            tx.audit(&event).await.map_err(store_failure)?;
            tx.commit().await.map_err(store_failure)?;
        }
        gone += removed;
        if removed < u64::from(STEP) {
            return Ok(gone);
        }
    }
}

fn check(context: &JobContext) -> Result<(), JobError> {
    if context.is_cancelled() { Err(JobError::cancelled()) } else { Ok(()) }
}
