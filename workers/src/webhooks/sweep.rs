//! Deliveries whose job is gone. The delivery's own row is what counts; the job only carries it, and one that lives is
//! left to it, however long it takes. One that ended for a reason that asking again would only repeat ends the
//! delivery, in words that its owner sees; it can be sent again by hand once that is mended.

use chrono::TimeDelta;
use costlens_jobs::ask_for;
use costlens_jobs::events::{DeliverWebhook, SpreadEvent};
use costlens_queue::ops::{self, CRASHES, Filter, State};
use costlens_queue::{Conn, ErrorClass, Job, JobContext, JobError};
use costlens_store::{DeliveryState, OverdueDelivery, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{note, stopped};
use crate::{WorkerParts, store_failure};

/// What should have been tried this long ago may have lost its job.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(30);
/// How many are looked at in one step.
const LOST_AT_ONCE: u32 = 500;
/// How often an event that workers died with is tried once more.
const CRASHED_AGAIN: usize = 3;
/// How many events that were given up are spread in a second.
const SPREAD_A_SECOND: u32 = 10;

/// Asks for deliveries whose jobs are lost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindDeliveries {}

impl Job for FindDeliveries {
    const QUEUE: &'static str = "webhook-sweep.v1";
}

pub(crate) async fn find_deliveries(
    _job: FindDeliveries,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let before = parts.clock.now() - LOST_AFTER;
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let overdue = system.overdue_deliveries(before, after.as_ref(), LOST_AT_ONCE).await;
        let overdue = overdue.map_err(store_failure)?;
        drop(system);
        let Some(last) = overdue.last() else { return spread_again(&context).await };
        after = Some(*last);
        for delivery in overdue {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            look_after(&parts, &context, &delivery).await?;
        }
    }
}

/// Events whose jobs ran out of attempts, because what passes did not pass for days (the key service, the operator's
/// Svix), or whose workers died with them, are spread again: nobody has heard of them, and nobody else knows that. The former go
/// on as long as the event is kept.
async fn spread_again(context: &JobContext) -> Result<(), JobError> {
    let all = Filter { queue: Some(SpreadEvent::QUEUE.to_owned()), ..Filter::default() };
    let given_up = Filter { class: Some(ErrorClass::Transient), ..all.clone() };
    // Of the class of what is ours to mend, and yet the handler said nothing.
    let crashed =
        CRASHES.map(|code| Filter { state: Some(State::Dead), code: Some(code.to_owned()), ..all.clone() });
    let mut conn = context.queue().conn().await?;
    let events = ops::redrive(&mut conn, &given_up, SPREAD_A_SECOND, LOST_AT_ONCE).await?;
    if events > 0 {
        tracing::error!(events, "events could not be spread for days, and are spread again");
    }
    for crashed in &crashed {
        for job in ops::list(&mut conn, crashed, None, LOST_AT_ONCE).await?.items {
            if may_crash_again(&mut conn, job.id).await? && ops::retry_now(&mut conn, job.id, None).await? {
                tracing::error!(job = %job.id, "workers died with an event, which is spread again");
            }
        }
    }
    Ok(())
}

/// Whether an event that workers died with is tried once more: it may have been innocent, but each try of one that was not
/// takes a worker with all that it does, so there are few.
async fn may_crash_again(conn: &mut Conn, job: Uuid) -> Result<bool, JobError> {
    let Some(found) = ops::show(conn, job, None).await? else { return Ok(false) };
    let redriven = found.story.iter().filter(|told| told.code.as_deref() == Some("redriven")).count();
    Ok(redriven < CRASHED_AGAIN)
}

/// Leaves a delivery to its job, ends it with it, or gives it another.
async fn look_after(
    parts: &WorkerParts,
    context: &JobContext,
    delivery: &OverdueDelivery,
) -> Result<(), JobError> {
    let job = match delivery.job_id {
        None => None,
        Some(id) => {
            let mut conn = context.queue().conn().await?;
            ops::show(&mut conn, id, None).await?.map(|found| found.job)
        }
    };
    match job {
        Some(job) if !matches!(job.state, State::Done | State::Dead | State::Cancelled) => Ok(()),
        Some(job) if job.state == State::Cancelled => end(parts, delivery, "cancelled").await,
        // Ours or the customer's to mend: asking again would only give the same. Where workers died, or had none for it,
        // nobody has said so, and a receiver knows a second call by its id.
        Some(job)
            if job.state == State::Dead
                && matches!(job.class, Some(ErrorClass::Bug | ErrorClass::CustomerAction))
                && !job.ended_unheard() =>
        {
            end(parts, delivery, job.code.as_deref().unwrap_or("internal")).await
        }
        _ => ask_again(parts, delivery).await,
    }
}

async fn end(parts: &WorkerParts, overdue: &OverdueDelivery, code: &str) -> Result<(), JobError> {
    let mut tx = parts.store.tenant(overdue.tenant_id).await.map_err(store_failure)?;
    let delivery = match tx.delivery(overdue.event_id, overdue.endpoint_id).await {
        Ok(delivery) => delivery,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    // Sent again by somebody since it was found.
    if delivery.state != DeliveryState::Pending || delivery.job_id != overdue.job_id {
        return Ok(());
    }
    let ended = stopped(&delivery, Some(code), parts.clock.now());
    note(tx, &delivery, ended).await.map(|_| ())
}

/// The delivery's new job, in one transaction with its being the one.
async fn ask_again(parts: &WorkerParts, overdue: &OverdueDelivery) -> Result<(), JobError> {
    let OverdueDelivery { tenant_id: tenant, event_id: event, endpoint_id: endpoint, job_id } = *overdue;
    let ask = parts.clock.now().timestamp() / 60;
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let job = costlens_jobs::job(&DeliverWebhook { tenant, event, endpoint, ask }).map_err(store_failure)?;
    let id = job.id();
    let asked = ask_for(&mut tx, job).await.map_err(store_failure)?.is_new();
    if asked && tx.reassign_delivery(event, endpoint, job_id, id).await.map_err(store_failure)? {
        tx.commit().await.map_err(store_failure)?;
    }
    Ok(())
}
