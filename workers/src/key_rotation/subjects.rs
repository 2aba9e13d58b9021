//! The keys of one tenant's subjects. Each subject is a transaction of its own and may be done again.

use chrono::{DateTime, Utc};
use costlens_domain::ApiKeyId;
use costlens_jobs::RotateSubjectKeys;
use costlens_queue::{JobContext, JobError};
use costlens_store::{StoreError, SubjectKey};
use serde::Serialize;

use super::tenant::key_does_not_open;
use super::{KEEP_UNUSED, ROTATE_AFTER, is_past};
use crate::{WorkerParts, sealing, store_failure};

/// How many subjects are looked for with one query.
const PAGE: u32 = 200;

/// What was done, for those who watch the job.
#[derive(Debug, Default, Serialize)]
struct Progress {
    subjects: u64,
    keys_made: u64,
    keys_rewrapped: u64,
    keys_destroyed: usize,
}

pub(crate) async fn rotate_subject_keys(
    job: RotateSubjectKeys,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let current = parts.keyring.wrapped_header();
    let made_before = now.checked_sub_days(ROTATE_AFTER).unwrap_or(now);
    let mut done = Progress::default();
    let mut after = None;
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut tx = parts.store.tenant(job.tenant_id()).await.map_err(store_failure)?;
        let page = tx.subjects_to_rotate(&current, made_before, after, PAGE).await.map_err(store_failure)?;
        drop(tx);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for subject in page {
            rotate(&job, &parts, (subject, now), &mut done).await?;
            done.subjects += 1;
        }
        context.progress(&done).await?;
    }
    Ok(context.progress(&done).await?)
}

async fn rotate(
    job: &RotateSubjectKeys,
    parts: &WorkerParts,
    (subject, now): (ApiKeyId, DateTime<Utc>),
    done: &mut Progress,
) -> Result<(), JobError> {
    let tenant = job.tenant_id();
    let whose = (tenant, subject.uuid());
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let keys = tx.subject_keys(subject).await.map_err(store_failure)?;
    let in_use = match tx.key(subject).await {
        Ok(key) => key.revoked_at.is_none(),
        Err(StoreError::NotFound) => false,
        Err(error) => return Err(store_failure(error)),
    };
    // No transaction is held while a key service thinks.
    drop(tx);
    let mut rewrapped = Vec::new();
    for SubjectKey { version, wrapped, .. } in &keys {
        let Some(wrapped) = wrapped.as_ref().filter(|wrapped| !parts.keyring.is_current(wrapped)) else {
            continue;
        };
        let anew = parts.keyring.rewrap_subject(whose, *version, wrapped, &*parts.entropy).await;
        rewrapped.push((*version, wrapped, anew.map_err(|error| key_does_not_open(*version, error))?));
    }
    let newest = keys.last().filter(|newest| newest.wrapped.is_some());
    let old = newest.filter(|newest| in_use && is_past(newest.created_at, ROTATE_AFTER, now));
    let successor = match old.map(|old| old.version.saturating_add(1)) {
        Some(version) => {
            let key = parts.keyring.make_subject_key(whose, version, &*parts.entropy).await;
            Some((version, key.map_err(sealing::not_opened)?))
        }
        None => None,
    };
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    for (version, old, anew) in &rewrapped {
        let replaced = tx.replace_wrapped_subject(subject, *version, old, &anew.0).await;
        done.keys_rewrapped += u64::from(replaced.map_err(store_failure)?);
    }
    if let Some((version, key)) = &successor {
        let made = tx.add_subject_key(subject, *version, &key.0, now).await.map_err(store_failure)?;
        done.keys_made += u64::from(made);
    }
    let keys = tx.subject_keys(subject).await.map_err(store_failure)?;
    // What nobody seals under any more, and what is still on its way to the ledger sealed under it has arrived.
    let below = match keys.last() {
        Some(newest) if is_past(newest.created_at, KEEP_UNUSED, now) => {
            newest.version.saturating_add(u32::from(!in_use))
        }
        _ => 0,
    };
    let destroyed = tx.destroy_unused_subject_keys(subject, below, now).await;
    done.keys_destroyed += destroyed.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}
