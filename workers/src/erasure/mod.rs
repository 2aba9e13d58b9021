//! The end of an account: once its days of grace are over, its keys are destroyed and everything is erased, step by
//! step; nothing left is proven by the catalogue, and certified.
//!
//! When it is due stands in the erasure's own row, which a sweeper looks at: a lost job delays it and loses nothing.
//! Every step may be done again, says in the row what it did, and is followed by a look at what is really left. The
//! row, and everything that the queue knows of it, names a random number and no tenant.

mod certificate;
mod farewell;
mod steps;

use chrono::TimeDelta;
use costlens_domain::audit::chain::Chain;
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, ErasureId};
use costlens_jobs::closures::{ALARM_DAYS, EraseAccount};
use costlens_queue::{ErrorClass, Job, JobContext, JobError, NewJob};
use costlens_store::{Erasure, ErasureState, NewAuditEvent, StoreError};
use costlens_vault::TokenHash;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use certificate::{Certificate, is_genuine};

use crate::audit_anchors::digest;
use crate::{WorkerParts, hold_clock, store_failure, wrong_clock};

/// How many open erasures are looked at together.
const AT_ONCE: u32 = 1_000;

/// How often an erasure is asked for anew, whatever became of the last ask.
const ASK_EVERY_SECONDS: i64 = 6 * 3_600;

/// Looks for erasures that are due, and for those that are late.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindErasures {}

impl Job for FindErasures {
    const QUEUE: &'static str = "erasure-sweep.v1";
}

/// Asks for what is due, and tells the operator of what is late.
pub(crate) async fn find_erasures(
    _job: FindErasures,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    hold_clock(context.queue(), &parts).await.map_err(wrong_clock)?;
    let now = parts.clock.now();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let open = system.open_erasures(AT_ONCE).await.map_err(store_failure)?;
    drop(system);
    for erasure in open {
        if erasure.erase_at <= now {
            // A few asks a day: each is tried again by itself, and a second worker would only do what the first does.
            let key = format!("{}:{}", erasure.id, now.timestamp() / ASK_EVERY_SECONDS);
            context.enqueue(NewJob::of(&EraseAccount { erasure: erasure.id })?.key(key).priority(1));
        }
        let asked_for = now - erasure.requested_at;
        let late = ALARM_DAYS.into_iter().rev().find(|day| asked_for >= TimeDelta::days(i64::from(*day)));
        if let Some(day) = late {
            alarm(&parts, &erasure, day).await.map_err(store_failure)?;
        }
    }
    Ok(())
}

/// Tells the operator once for each of the days: that it was told is kept with what it was told, or neither.
async fn alarm(parts: &WorkerParts, erasure: &Erasure, day: u32) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let mut tx = parts.store.system_tx().await?;
    if !tx.system()?.note_alarm(erasure.id, day).await? {
        return Ok(());
    }
    let event = NewAuditEvent {
        id: AuditEventId::new(now, parts.entropy.for_id()),
        at: now,
        actor: Actor::Schedule,
        action: Action::ErasureLate,
        target: Some(erasure.id.to_string()),
        change: json!({ "day": day, "state": erasure.state.as_str(), "deadline_at": erasure.deadline_at }),
        request_id: None,
        address: None,
    };
    tx.system()?.note_operator_event(&event).await?;
    tx.commit().await?;
    tracing::error!(
        erasure.id = %erasure.id, days = day, deadline = %erasure.deadline_at,
        "an account that is being closed is not erased yet"
    );
    Ok(())
}

/// Erases one account, from wherever an earlier attempt came to.
pub(crate) async fn erase_account(
    job: EraseAccount,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let id = job.erasure;
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let (erasure, tenant) = match system.erasure(id).await {
        Ok(found) => found,
        Err(StoreError::NotFound) => {
            return Err(JobError::give_up(ErrorClass::Bug, "no_erasure", "no such erasure"));
        }
        Err(error) => return Err(store_failure(error)),
    };
    let Some(tenant) = tenant else { return Ok(()) };
    if matches!(erasure.state, ErasureState::Certified | ErasureState::Cancelled) {
        return Ok(());
    }
    if erasure.state == ErasureState::Grace {
        // What cannot be taken back is not begun by a clock that is wrong.
        hold_clock(context.queue(), &parts).await.map_err(wrong_clock)?;
        let now = parts.clock.now();
        let hash = TokenHash::of(&tenant.to_string()).0;
        // Kept at the last moment, or not due by this clock.
        if !system.begin_erasure(id, &hash, now).await.map_err(store_failure)? {
            return Ok(());
        }
    }
    // The day's anchor before names it; what is gone without an erasure is an alarm.
    let chain = Chain::Tenant(tenant).tag(digest);
    system.note_erased_chain(id, chain).await.map_err(store_failure)?;
    drop(system);
    let work = steps::Erasing { parts: &parts, context: &context, id, tenant };
    work.destroy_keys().await?;
    // What is here goes, however services outside answer; by the time of the last word it is known how they did.
    let outside = work.erase_outside().await;
    work.erase_files().await?;
    work.keep_audit().await?;
    // Before the members, who say whose ids these are.
    work.erase_outer_ids().await?;
    work.erase_tables(0).await?;
    farewell::say(&parts, id, tenant, outside.is_ok()).await?;
    work.erase_tables(1).await?;
    work.erase_jobs().await?;
    // The proof waits for them, and the alarms go on.
    outside?;
    // Clerk tells of what was deleted there, too.
    work.erase_outer_ids().await?;
    work.erase_tables(2).await?;
    let left = work.left().await?;
    if !left.is_empty() {
        // A call that was still on its way to the ledger, or a job that ran: the next attempt takes it.
        let text =
            left.iter().map(|(table, rows)| format!("{rows} in {table}")).collect::<Vec<_>>().join(", ");
        return Err(JobError::retry(format!("rows are left: {text}")).code("rows_left"));
    }
    let erasure = reload(&parts, id).await?;
    certificate::issue(&parts, &erasure).await
}

async fn reload(parts: &WorkerParts, id: ErasureId) -> Result<Erasure, JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let (erasure, _) = system.erasure(id).await.map_err(store_failure)?;
    Ok(erasure)
}
