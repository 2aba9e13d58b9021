//! One walk over one tenant's calls, some hundred in a transaction.
//!
//! The cursor moves in the transaction that prices what lies before it. A walk that is killed goes on behind the last
//! commit; two at once wait for each other at the walk's row, and the second finds the cursor moved.

use costlens_domain::audit::{Action, Actor};
use costlens_domain::pricing::price_later;
use costlens_domain::request::RequestFact;
use costlens_domain::{AuditEventId, PriceCorrectionId, Usd};
use costlens_jobs::prices::RepriceTenant;
use costlens_jobs::settlement::ask_to_settle_again;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{
    NewAuditEvent, Repriced, RepricedCall, Repricing, RepricingCursor, RepricingKind, StoreError, TenantConn,
};
use serde_json::json;

use super::{Prices, prices_of};
use crate::{WorkerParts, store_failure};

/// How many calls one transaction prices, or of a correction looks at.
const CHUNK: u32 = 500;
/// After how many chunks another job goes on, so that nobody else's walk waits for a long one.
const CHUNKS: u32 = 100;

pub(crate) async fn reprice_tenant(
    job: RepriceTenant,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut prices = None;
    for _ in 0..CHUNKS {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        match step(&job, &parts, &mut prices).await? {
            Step::Gone => return Ok(()),
            Step::More(walk) => {
                let told = json!({"kind": walk.kind.as_str(), "seen": walk.seen, "changed": walk.changed});
                context.progress(&told).await?;
            }
            Step::Ended(correction) => {
                if let Some(correction) = correction {
                    settle(&parts, correction).await?;
                }
                return Ok(());
            }
        }
    }
    let next = RepriceTenant { part: job.part.saturating_add(1), ..job };
    context.enqueue(costlens_jobs::job(&next).map_err(store_failure)?);
    Ok(())
}

#[expect(clippy::large_enum_variant, reason = "one stands on the stack while a chunk is done")]
enum Step {
    /// There is no such walk any more: the account is gone.
    Gone,
    /// A chunk is done.
    More(Repricing),
    /// Nothing is left, or was.
    Ended(Option<PriceCorrectionId>),
}

/// One chunk.
async fn step(
    job: &RepriceTenant,
    parts: &WorkerParts,
    prices: &mut Option<Prices>,
) -> Result<Step, JobError> {
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let walk = match tx.lock_repricing(job.repricing).await {
        Ok(walk) => walk,
        Err(StoreError::NotFound) => return Ok(Step::Gone),
        Err(error) => return Err(store_failure(error)),
    };
    let correction = walk.kind.calls().map(|calls| calls.correction);
    if walk.finished_at.is_some() {
        return Ok(Step::Ended(correction));
    }
    let prices = match prices {
        Some(prices) => prices,
        none => none.insert(prices_of(parts, walk.version).await?),
    };
    let (calls, cursor) = look(&mut tx, &walk, prices).await?;
    let Some(cursor) = cursor else {
        finish(&mut tx, parts, &walk).await?;
        tx.commit().await.map_err(store_failure)?;
        return Ok(Step::Ended(correction));
    };
    let later = calls.iter().filter_map(|call| {
        let price = price_later(call, &prices.version, now)?;
        // The same amount is no news, whoever published it.
        (call.cost != Some(price.cost)).then_some((call, price))
    });
    let done = if walk.writes() {
        let repriced: Vec<_> = later.map(|(call, price)| RepricedCall { id: call.id, price }).collect();
        tx.reprice(walk.id, &repriced, now).await.map_err(store_failure)?
    } else {
        count(later.map(|(call, price)| (call.cost, price.cost)))?
    };
    let seen = u64::try_from(calls.len()).unwrap_or(u64::MAX);
    tx.advance_repricing(walk.id, &cursor, seen, done).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)?;
    Ok(Step::More(Repricing {
        seen: walk.seen.saturating_add(seen),
        changed: walk.changed.saturating_add(done.changed),
        ..walk
    }))
}

/// The calls of a chunk, and how far it goes; `None` at the end.
async fn look(
    tx: &mut TenantConn,
    walk: &Repricing,
    prices: &Prices,
) -> Result<(Vec<RequestFact>, Option<RepricingCursor>), JobError> {
    match &walk.kind {
        RepricingKind::Unpriced { since } => {
            let providers: Vec<String> = prices.version.catalogue.providers().map(str::to_owned).collect();
            let since = since.map(|since| since.date_naive());
            let calls = tx.unpriced_requests(&providers, since, walk.cursor.as_ref(), CHUNK).await;
            let calls = calls.map_err(store_failure)?;
            let cursor = calls.last().and_then(Repricing::behind);
            Ok((calls, cursor))
        }
        RepricingKind::Preview(calls) | RepricingKind::Correction(calls) => {
            tx.corrected_requests(calls, walk.cursor.as_ref(), CHUNK).await.map_err(store_failure)
        }
    }
}

/// What a preview would do.
fn count(later: impl Iterator<Item = (Option<Usd>, Usd)>) -> Result<Repriced, JobError> {
    let mut sum = Repriced { changed: 0, old_cost: Usd::ZERO, new_cost: Usd::ZERO };
    for (old, new) in later {
        let sums = sum.old_cost.checked_add(old.unwrap_or(Usd::ZERO)).zip(sum.new_cost.checked_add(new));
        let (old_cost, new_cost) = sums.ok_or_else(|| {
            JobError::give_up(ErrorClass::Bug, "sum", "the costs of a chunk exceed what an amount holds")
        })?;
        sum = Repriced { changed: sum.changed + 1, old_cost, new_cost };
    }
    Ok(sum)
}

/// Ends a walk. One that changed something the tenant's audit tells, and the months that it changed are settled again:
/// until then their settlements start from the prices before, and a budget would count the difference twice.
async fn finish(tx: &mut TenantConn, parts: &WorkerParts, walk: &Repricing) -> Result<(), JobError> {
    let now = parts.clock.now();
    tx.finish_repricing(walk.id, now).await.map_err(store_failure)?;
    if !walk.writes() || walk.changed == 0 {
        return Ok(());
    }
    let months = tx.repriced_months(walk.id).await.map_err(store_failure)?;
    ask_to_settle_again(tx, &months, (now, parts.entropy.for_id())).await.map_err(store_failure)?;
    let calls = walk.kind.calls();
    let event = NewAuditEvent {
        id: AuditEventId::new(now, parts.entropy.for_id()),
        at: now,
        actor: Actor::Schedule,
        action: Action::RequestsRepriced,
        target: Some(walk.id.to_string()),
        change: json!({
            "kind": walk.kind.as_str(),
            "requests": walk.changed,
            "old_cost": walk.old_cost.to_string(),
            "new_cost": walk.new_cost.to_string(),
            "price_version": walk.version,
            "price_id": calls.map(|calls| &calls.price_id),
        }),
        request_id: None,
        address: None,
    };
    tx.audit(&event).await.map_err(store_failure)
}

async fn settle(parts: &WorkerParts, correction: PriceCorrectionId) -> Result<(), JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    match system.settle_price_correction(correction, parts.clock.now()).await {
        Ok(_) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(store_failure(error)),
    }
}
