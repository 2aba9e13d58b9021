//! Every night Clerk is asked about everybody and every organisation that is known here: a message may never have come.
//!
//! Whoever is not found is taken for gone only where others are: a key that finds nobody is another instance's, and
//! would empty every account.

use costlens_domain::outer::{CLOCKS_APART, OuterFact, Standing};
use costlens_identity::Clerk;
use costlens_identity::clerk::backend::PEOPLE_AT_ONCE;
use costlens_identity::fetch::FetchError;
use costlens_queue::{ErrorClass, Job, JobContext, JobError};
use serde::{Deserialize, Serialize};

use super::{begin, learn, tell};
use crate::{WorkerParts, store_failure};

/// How many organisations are read from the database at once.
const ORGANIZATIONS_AT_ONCE: i64 = 100;

/// Asks about everybody.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SweepClerk {}

impl Job for SweepClerk {
    const QUEUE: &'static str = "clerk-sweep.v1";
}

/// What was found out.
#[derive(Debug, Default, Serialize)]
struct Swept {
    people: usize,
    gone: usize,
    organizations: usize,
}

/// Each page, person and organisation is a transaction of its own; one that is killed begins anew.
pub(crate) async fn sweep_clerk(
    _job: SweepClerk,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(clerk) = parts.clerk.clone() else { return Ok(()) };
    let mut swept = Swept::default();
    let missing = people(&parts, &context, &clerk, &mut swept).await?;
    if swept.people == 0 && !missing.is_empty() {
        let what = "Clerk knows nobody of those who are known here: CLERK_SECRET_KEY is another instance's";
        return Err(JobError::give_up(ErrorClass::Bug, "other_instance", what));
    }
    for id in missing {
        // The list may have been cut; whoever is asked for by name and is not there is gone.
        let found = clerk.backend().person(&id).await.map_err(unavailable)?;
        let version = parts.clock.now().timestamp_millis();
        let fact =
            found.map_or(OuterFact::Person { id, version, standing: Standing::Gone }, |found| found.fact);
        swept.gone += usize::from(matches!(fact, OuterFact::Person { standing: Standing::Gone, .. }));
        one(&parts, &clerk, &fact).await?;
    }
    organizations(&parts, &context, &clerk, &mut swept).await?;
    context.progress(&swept).await?;
    tracing::info!(
        people = swept.people,
        gone = swept.gone,
        organizations = swept.organizations,
        "Clerk was asked"
    );
    Ok(())
}

/// Takes note of everybody who is found, and says who is not.
async fn people(
    parts: &WorkerParts,
    context: &JobContext,
    clerk: &Clerk,
    swept: &mut Swept,
) -> Result<Vec<String>, JobError> {
    let (mut after, mut missing) = (String::new(), Vec::new());
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let most = i64::try_from(PEOPLE_AT_ONCE).unwrap_or(1);
        let known = system.outer_people(clerk.issuer(), &after, most).await.map_err(store_failure)?;
        drop(system);
        let Some(last) = known.last() else { return Ok(missing) };
        after.clone_from(last);
        let found = clerk.backend().people(&known).await.map_err(unavailable)?;
        for person in found.iter().filter(|person| known.contains(&person.id)) {
            swept.people += 1;
            one(parts, clerk, &person.fact).await?;
        }
        missing.extend(known.into_iter().filter(|id| !found.iter().any(|person| person.id == *id)));
    }
}

async fn organizations(
    parts: &WorkerParts,
    context: &JobContext,
    clerk: &Clerk,
    swept: &mut Swept,
) -> Result<(), JobError> {
    let mut after = String::new();
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let known = system.outer_organizations(clerk.issuer(), &after, ORGANIZATIONS_AT_ONCE).await;
        let known = known.map_err(store_failure)?;
        drop(system);
        let Some(last) = known.last() else { return Ok(()) };
        after.clone_from(last);
        // A person who is alone has a tenant under its own name, and no organisation there.
        for id in known.into_iter().filter(|id| id.starts_with("org_")) {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            organization(parts, clerk, id, swept.people > 0).await?;
            swept.organizations += 1;
        }
    }
}

async fn organization(
    parts: &WorkerParts,
    clerk: &Clerk,
    id: String,
    others_are_found: bool,
) -> Result<(), JobError> {
    let asked_at = parts.clock.now();
    let found = clerk.backend().organization(&id).await.map_err(unavailable)?;
    let now = parts.clock.now();
    let Some((fact, memberships)) = found else {
        if others_are_found {
            let version = now.timestamp_millis();
            one(parts, clerk, &OuterFact::Organization { id, version, name: None, gone: true }).await?;
        }
        return Ok(());
    };
    let mut tx = begin(parts).await.map_err(store_failure)?;
    learn(parts, &mut tx, clerk.issuer(), &fact, now).await.map_err(store_failure)?;
    let mut listed = Vec::new();
    for of in memberships {
        learn(parts, &mut tx, clerk.issuer(), &of.fact, now).await.map_err(store_failure)?;
        listed.push(of.id);
    }
    let system = tx.system().map_err(store_failure)?;
    let (of, times) = ((clerk.issuer(), id.as_str()), (asked_at - CLOCKS_APART, now));
    let changes = system.learn_only_memberships(of, None, &listed, times).await.map_err(store_failure)?;
    tell(parts, &mut tx, changes, now).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

/// Takes note of one thing.
async fn one(parts: &WorkerParts, clerk: &Clerk, fact: &OuterFact) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut tx = begin(parts).await.map_err(store_failure)?;
    learn(parts, &mut tx, clerk.issuer(), fact, now).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

fn unavailable(error: FetchError) -> JobError {
    JobError::retry(error)
}
