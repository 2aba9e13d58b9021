//! Every night Clerk is asked about everybody and every organisation that is known here: a message may never have come.
//! A sweep of many goes on from job to job.
//!
//! Whoever is not found is taken for gone only where others are: a key that finds nobody is another instance's, and
//! would empty every account.

use costlens_domain::outer::{CLOCKS_APART, OuterFact, Standing};
use costlens_identity::Clerk;
use costlens_identity::clerk::backend::PEOPLE_AT_ONCE;
use costlens_identity::fetch::FetchError;
use costlens_queue::{ErrorClass, Job, JobContext, JobError, NewJob};
use serde::{Deserialize, Serialize};

use super::{begin, learn, tell};
use crate::{WorkerParts, store_failure};

/// How many organisations are read from the database at once.
const ORGANIZATIONS_AT_ONCE: i64 = 10;
/// How often one job asks Clerk; then another goes on, so that a long sweep comes to its end whatever a job may take.
const QUESTIONS: usize = 50;

/// Asks about everybody, from where the job before it came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SweepClerk {
    at: At,
    swept: Swept,
    /// Who was not found. Nobody is taken for gone before all were looked for, and others were found.
    missing: Vec<String>,
}

impl Job for SweepClerk {
    const QUEUE: &'static str = "clerk-sweep.v1";
}

/// How far a sweep is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum At {
    /// Behind this person.
    Person(String),
    /// All people were looked for; now those who were not found are.
    Missing,
    /// Behind this organisation.
    Organization(String),
    /// At the end.
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Person(String::new())
    }
}

/// What was found out.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Swept {
    people: usize,
    gone: usize,
    organizations: usize,
}

/// Each page, person and organisation is a transaction of its own; one that is killed goes on where its job began.
pub(crate) async fn sweep_clerk(
    mut job: SweepClerk,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(clerk) = parts.clerk.clone() else { return Ok(()) };
    let mut questions = 0;
    while questions < QUESTIONS {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        questions += match std::mem::take(&mut job.at) {
            At::Person(after) => people(&parts, &clerk, &mut job, after).await?,
            At::Missing => missing(&parts, &clerk, &mut job).await?,
            At::Organization(after) => organizations(&parts, &clerk, &mut job, after).await?,
            At::End => {
                let Swept { people, gone, organizations } = job.swept;
                tracing::info!(people, gone, organizations, "Clerk was asked");
                return Ok(context.progress(&job.swept).await?);
            }
        };
        context.progress(&job.swept).await?;
    }
    context.enqueue(NewJob::of(&job)?);
    Ok(())
}

/// Takes note of the people of a page who are found, and remembers who is not. How many questions that took.
async fn people(
    parts: &WorkerParts,
    clerk: &Clerk,
    job: &mut SweepClerk,
    after: String,
) -> Result<usize, JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let most = i64::try_from(PEOPLE_AT_ONCE).unwrap_or(1);
    let known = system.outer_people(clerk.issuer(), &after, most).await.map_err(store_failure)?;
    drop(system);
    let Some(last) = known.last() else {
        if job.swept.people == 0 && !job.missing.is_empty() {
            let what =
                "Clerk knows nobody of those who are known here: CLERK_SECRET_KEY is another instance's";
            return Err(JobError::give_up(ErrorClass::Bug, "other_instance", what));
        }
        job.at = At::Missing;
        return Ok(0);
    };
    job.at = At::Person(last.clone());
    let found = clerk.backend().people(&known).await.map_err(unavailable)?;
    for person in found.iter().filter(|person| known.contains(&person.id)) {
        job.swept.people += 1;
        one(parts, clerk, &person.fact).await?;
    }
    job.missing.extend(known.into_iter().filter(|id| !found.iter().any(|person| person.id == *id)));
    Ok(1)
}

/// Asks for one of those who were not found. The list may have been cut; whoever is asked for by name and is not there is
/// gone.
async fn missing(parts: &WorkerParts, clerk: &Clerk, job: &mut SweepClerk) -> Result<usize, JobError> {
    let Some(id) = job.missing.pop() else {
        job.at = At::Organization(String::new());
        return Ok(0);
    };
    job.at = At::Missing;
    let found = clerk.backend().person(&id).await.map_err(unavailable)?;
    let version = parts.clock.now().timestamp_millis();
    let fact = found.map_or(OuterFact::Person { id, version, standing: Standing::Gone }, |found| found.fact);
    job.swept.gone += usize::from(matches!(fact, OuterFact::Person { standing: Standing::Gone, .. }));
    one(parts, clerk, &fact).await?;
    Ok(1)
}

/// Asks for the organisations of a page.
async fn organizations(
    parts: &WorkerParts,
    clerk: &Clerk,
    job: &mut SweepClerk,
    after: String,
) -> Result<usize, JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let known = system.outer_organizations(clerk.issuer(), &after, ORGANIZATIONS_AT_ONCE).await;
    let known = known.map_err(store_failure)?;
    drop(system);
    let Some(last) = known.last() else {
        job.at = At::End;
        return Ok(0);
    };
    job.at = At::Organization(last.clone());
    let mut asked = 0;
    // A person who is alone has a tenant under its own name, and no organisation there.
    for id in known.into_iter().filter(|id| id.starts_with("org_")) {
        organization(parts, clerk, id, job.swept.people > 0).await?;
        asked += 1;
    }
    job.swept.organizations += asked;
    Ok(asked)
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
