//! Data keys grow old: those of more than 90 days, and those that sealed a billion texts, get a successor; what they
//! sealed is sealed anew, and they are destroyed once nothing has needed them for 30 days. Keys that an older master key
//! or another key service wrapped are wrapped anew. Looked at every day, because a billion can come quickly.
//!
//! The keys of those whose prompts and answers are kept get successors, too, and are wrapped anew; what they sealed is
//! never written again, so an old one stays until the last of that has gone.
//!
//! It promises that whatever is sealed can be read all the time: a text is replaced by one that opens under a key that
//! is there already, and a key goes only when the store finds no text that names it.

mod subjects;
mod tenant;

use chrono::{DateTime, Days, Utc};
use costlens_domain::TenantId;
use costlens_jobs::{RotateSubjectKeys, RotateTenantKey};
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::KeyAge;
use costlens_vault::seal_counts::ROTATE_AT;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

pub(crate) use subjects::rotate_subject_keys;
pub(crate) use tenant::rotate_tenant_key;

/// The age at which a data key gets a successor.
const ROTATE_AFTER: Days = Days::new(90);
/// How long a key stays after its successor was made: longer than any process that has not heard of it.
const KEEP_UNUSED: Days = Days::new(30);
/// How many tenants are looked at with one query.
const PAGE: u32 = 1_000;
/// How many people's keys are looked at with one query.
const PEOPLE: i64 = 500;

/// Asks for the rotation of every tenant whose keys want one. Nothing to say: the tenants follow from the clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RotateKeys {}

impl Job for RotateKeys {
    const QUEUE: &'static str = "key-rotation.v1";
}

/// One job a tenant. Run twice, it asks for the same jobs, which are there already.
pub(crate) async fn rotate_keys(
    _job: RotateKeys,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let current = parts.keyring.wrapped_header();
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let (mut after, mut asked) = (None, 0_u64);
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let page = system.key_ages(&current, after, PAGE).await.map_err(store_failure)?;
        let Some(last) = page.last() else { break };
        after = Some(last.tenant_id);
        for age in &page {
            let Some(version) = wanted(age, now) else { continue };
            let tenant = age.tenant_id.uuid();
            let job = RotateTenantKey { tenant, version, asked_on: now.date_naive() };
            context.enqueue(costlens_jobs::job(&job).map_err(store_failure)?.tenant(tenant));
            asked += 1;
        }
    }
    drop(system);
    asked += ask_for_subjects(&context, &parts, now).await?;
    let people = rewrap_people(&parts, &current).await?;
    context.progress(&serde_json::json!({"tenants": asked, "people": people})).await?;
    Ok(())
}

/// One job for each tenant whose subjects' keys want something.
async fn ask_for_subjects(
    context: &JobContext,
    parts: &WorkerParts,
    now: DateTime<Utc>,
) -> Result<u64, JobError> {
    let current = parts.keyring.wrapped_header();
    let made_before = now.checked_sub_days(ROTATE_AFTER).unwrap_or(now);
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let (mut after, mut asked) = (None, 0);
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let page = system.tenants_with_subjects_to_rotate(&current, made_before, after, PAGE).await;
        let page = page.map_err(store_failure)?;
        let Some(last) = page.last() else { return Ok(asked) };
        after = Some(*last);
        for tenant in page {
            let job = RotateSubjectKeys { tenant: tenant.uuid(), asked_on: now.date_naive() };
            context.enqueue(costlens_jobs::job(&job).map_err(store_failure)?.tenant(tenant.uuid()));
            asked += 1;
        }
    }
}

/// People's keys that an older master key wrapped are wrapped anew, some at a time. One that no key of the ring opens
/// stays as it is, and ends the round: it would be found again and again.
async fn rewrap_people(parts: &WorkerParts, current: &[u8; 5]) -> Result<u64, JobError> {
    let mut done = 0;
    loop {
        let mut wrapped_anew = 0;
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let people = system.users_wrapped_otherwise(current, PEOPLE).await.map_err(store_failure)?;
        // No connection is held while a key service thinks.
        drop(system);
        for (user, old) in people {
            let scope = TenantId::from(user.uuid());
            match parts.keyring.rewrap(scope, 1, &old, &*parts.entropy).await {
                Ok(new) => {
                    let mut system = parts.store.system().await.map_err(store_failure)?;
                    system.rewrap_user(user, &old, &new.0).await.map_err(store_failure)?;
                    wrapped_anew += 1;
                }
                Err(error) if error.is_passing() => return Err(JobError::retry(error)),
                Err(error) => {
                    tracing::error!(%user, %error, "a person's key is wrapped by no known master key");
                }
            }
        }
        done += wrapped_anew;
        if wrapped_anew == 0 {
            return Ok(done);
        }
    }
}

/// The version that a tenant's keys should reach; `None` where there is nothing to do.
fn wanted(age: &KeyAge, now: DateTime<Utc>) -> Option<u32> {
    let (Some(newest), Some(made)) = (age.newest, age.created_at) else {
        // What an earlier release sealed under the master key itself gets a key of the tenant's, too.
        return age.has_older_texts.then_some(1);
    };
    if is_past(made, ROTATE_AFTER, now) || age.seals >= ROTATE_AT {
        return newest.checked_add(1);
    }
    // A superseded key goes with the newest one's thirtieth day; before it there is nothing to do for it.
    let has_doomed = age.has_older && is_past(made, KEEP_UNUSED, now);
    let unfinished = !age.all_current || has_doomed || age.has_older_texts;
    unfinished.then_some(newest)
}

/// Whether this long has passed since a moment.
fn is_past(since: DateTime<Utc>, days: Days, now: DateTime<Utc>) -> bool {
    since.checked_add_days(days).is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_due_at_ninety_days_or_a_billion_texts_and_unfinished_work_at_once() {
        let now = DateTime::from_timestamp(1_763_800_000, 0).unwrap();
        let aged = |days| KeyAge {
            tenant_id: uuid::Uuid::nil().into(),
            newest: Some(4),
            created_at: now.checked_sub_days(Days::new(days)),
            has_older: false,
            all_current: true,
            has_older_texts: false,
            seals: ROTATE_AT - 1,
        };
        assert_eq!(wanted(&aged(89), now), None);
        assert_eq!(wanted(&aged(90), now), Some(5));
        assert_eq!(wanted(&KeyAge { seals: ROTATE_AT, ..aged(0) }, now), Some(5));
        assert_eq!(wanted(&KeyAge { has_older: true, ..aged(29) }, now), None);
        assert_eq!(wanted(&KeyAge { has_older: true, ..aged(30) }, now), Some(4));
        assert_eq!(wanted(&KeyAge { all_current: false, ..aged(0) }, now), Some(4));
        assert_eq!(wanted(&KeyAge { has_older_texts: true, ..aged(0) }, now), Some(4));
        let none = KeyAge { newest: None, created_at: None, ..aged(0) };
        assert_eq!(wanted(&none, now), None);
        assert_eq!(wanted(&KeyAge { has_older_texts: true, ..none }, now), Some(1));
    }
}
