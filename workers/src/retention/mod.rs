//! What is past its time is removed every night, in steps small enough that nobody waits for them.

mod bodies;
mod people;

use std::collections::BTreeMap;

use chrono::Days;
use costlens_queue::{ErrorClass, Job, JobContext, JobError};
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, hold_clock, store_failure, wrong_clock};

/// How many rows one statement removes.
const STEP: u32 = 5_000;

/// How long what a mail's link did can be looked up.
const KEEP_LINKS: Days = Days::new(30);

/// How long what others told of people is kept: nothing that old is sent again, and what is still told of an account
/// after its erasure is gone within the thirty days of its deletion.
const KEEP_OUTER: Days = Days::new(14);

/// Purges every table that has an end, see the table `retention`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeExpired {}

impl Job for PurgeExpired {
    const QUEUE: &'static str = "retention.v1";
    /// A night's: what failed so often is a dead letter by the morning, and somebody hears of it.
    const MAX_ATTEMPTS: u32 = 5;
}

/// Every step is a transaction of its own; one that is killed goes on where it was. The counts stay with the job as
/// its progress.
pub(crate) async fn purge_expired(
    _job: PurgeExpired,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    hold_clock(context.queue(), &parts).await.map_err(wrong_clock)?;
    let now = parts.clock.now();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let mut removed: BTreeMap<String, usize> = BTreeMap::new();
    people::note(&context, &mut system, now).await?;
    for rule in system.retention().await.map_err(store_failure)? {
        let Some(before) = now.checked_sub_days(Days::new(u64::from(rule.keep_days))) else { continue };
        loop {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            let rows = if rule.table == people::TABLE {
                Some(people::purge(&parts, &mut system, before).await?)
            } else {
                system.purge(&rule.table, before, STEP).await.map_err(store_failure)?
            };
            let Some(rows) = rows else {
                let what =
                    format!("nobody purges {}, whose rows are kept for {} days", rule.table, rule.keep_days);
                return Err(JobError::give_up(ErrorClass::Bug, "no_purge", what));
            };
            *removed.entry(rule.table.clone()).or_default() += rows;
            context.progress(&removed).await?;
            if rows < usize::try_from(STEP).unwrap_or(usize::MAX) {
                break;
            }
        }
    }
    // Links and codes of people are no tenant's, and of no use a month after they ended.
    if let Some(before) = now.checked_sub_days(KEEP_LINKS) {
        while system.purge_user_links(before, i64::from(STEP)).await.map_err(store_failure)? > 0 {}
    }
    if let Some(before) = now.checked_sub_days(KEEP_OUTER) {
        while system.purge_outer(before, i64::from(STEP)).await.map_err(store_failure)? > 0 {}
    }
    drop(system);
    let gone = bodies::purge(&context, &parts, now).await?;
    removed.insert("request_body".to_owned(), usize::try_from(gone).unwrap_or(usize::MAX));
    context.progress(&removed).await?;
    tracing::info!(rows = removed.values().sum::<usize>(), "what was past its time was removed");
    Ok(())
}
