//! One look at a connection: whether we are let in, and what was delivered; and what follows for its state.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::TenantId;
use costlens_domain::aws::{Month, Part, Refusal, Region};
use costlens_domain::classify::RULES_VERSION;
use costlens_jobs::aws::{CheckAwsConnection, ReadBillMonth, ask_to_check_later, ask_to_read};
use costlens_queue::ops::{self, State};
use costlens_queue::{JobContext, JobError};
use costlens_store::{
    AwsChecked, AwsConnection, AwsConnectionState, AwsProblem, BillMonth, BillMonthState, SeenManifest,
    StoreError, TenantConn, UnfinishedMonth,
};

use super::discovery::{self, Found};
use super::port::{BucketRefused, ReportBucket};
use super::{backoff, notices, tenant_of};
use crate::{WorkerParts, store_failure};

/// How often a role that works is proven to want the ExternalId still.
const PROVEN_FOR: TimeDelta = TimeDelta::hours(24);
/// How long AWS may take for a first delivery before that is called a failure.
const FIRST_DELIVERY: TimeDelta = TimeDelta::hours(48);

/// How old the newest delivery may be: AWS writes at least once a day, until a month is final.
const STALE_AFTER: TimeDelta = TimeDelta::hours(36);

/// How long a month rests whose delivery could not be read: it may be for a permission that is given by now.
const UNCHANGED: TimeDelta = TimeDelta::hours(6);
/// And one that another connection delivers: it is read whole to learn that again.
const TAKEN: TimeDelta = TimeDelta::hours(24);
/// And one whose reading was cut off by what has nothing to do with the delivery.
const CUT_OFF: TimeDelta = TimeDelta::minutes(10);

/// What a look saw.
struct Seen {
    verified: bool,
    region: Region,
    found: Found,
}

pub(super) async fn check_aws_connection(
    job: CheckAwsConnection,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let tenant = tenant_of(&context)?;
    let Some(aws) = parts.aws.clone() else { return Ok(()) };
    let Some((before, unfinished)) = begin(&parts, tenant, &job).await? else { return Ok(()) };
    let session = format!("costlens-{}", before.id);
    let bucket = aws.open(before.place.clone(), before.region.clone(), &session);
    let seen = look(&*bucket, &before, &unfinished, parts.clock.now()).await;
    drop(bucket);
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let (mut checked, of_month) = match seen {
        Ok(seen) => of_found(&mut conn, &context, &parts, (&before, &job, &unfinished), seen).await?,
        Err(refused) => (of_refusal(&before, refused, parts.clock.now()), None),
    };
    let now = parts.clock.now();
    if checked.state == AwsConnectionState::Pending {
        // Somebody waits at a page: the first looks come sooner than the schedule does.
        let pause = backoff::for_role(before.checks);
        ask_to_check_later(&mut conn, before.id, (now, pause)).await.map_err(store_failure)?;
        checked.next_check_at = now + pause + TimeDelta::minutes(1);
    }
    if !conn.settle_aws_check(before.id, &checked, now).await.map_err(store_failure)? {
        // Its people changed it meanwhile: nothing of this counts.
        return Ok(());
    }
    let was = before.problem.as_ref().filter(|_| before.state == AwsConnectionState::Failing);
    if let Some(problem) = &checked.problem
        && checked.state == AwsConnectionState::Failing
        && !was.is_some_and(|was| is_same(was, problem, of_month))
    {
        notices::of_failing(&mut conn, &parts, &before, problem).await?;
    }
    conn.commit().await.map_err(store_failure)?;
    if checked.state != before.state {
        tracing::info!(connection = %before.id, state = checked.state.as_str(), problem = checked.problem.as_ref().map(|is| is.code.as_str()), "an AWS connection changed");
    }
    Ok(())
}

/// The connection as it was, marked as being looked at, and its unfinished months; `None` where nothing is to be looked at.
async fn begin(
    parts: &WorkerParts,
    tenant: TenantId,
    job: &CheckAwsConnection,
) -> Result<Option<(AwsConnection, Vec<UnfinishedMonth>)>, JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    if conn.tenant().await.map_err(store_failure)?.closing_at.is_some() {
        return Ok(None);
    }
    let before = match conn.begin_aws_check(job.connection, parts.clock.now()).await {
        Ok(before) => before,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(store_failure(error)),
    };
    let mut unfinished = conn.unfinished_months(before.id, RULES_VERSION).await.map_err(store_failure)?;
    // What nobody could read for a year nobody will: it is not fetched for ever.
    let oldest = Month::of(parts.clock.now().date_naive()).back(discovery::YEAR - 1);
    unfinished.retain(|one| !one.is_failed || one.month >= oldest);
    conn.commit().await.map_err(store_failure)?;
    Ok((!before.state.is_at_rest()).then_some((before, unfinished)))
}

/// Asks AWS: whether the role wants the ExternalId, where the bucket is, and what lies in it.
async fn look(
    bucket: &dyn ReportBucket,
    before: &AwsConnection,
    unfinished: &[UnfinishedMonth],
    now: DateTime<Utc>,
) -> Result<Seen, BucketRefused> {
    // One that lets us in and whose months cannot be read is as proven as one that works.
    let lets_in = match before.state {
        AwsConnectionState::Active => true,
        AwsConnectionState::Failing => before
            .problem
            .as_ref()
            .is_some_and(|of| Refusal::from_name(&of.code).is_some_and(|refusal| !refusal.is_of_access())),
        _ => false,
    };
    let is_proven = lets_in && before.verified_at.is_some_and(|at| at + PROVEN_FOR > now);
    if !is_proven {
        bucket.verify().await?;
    }
    let region = match before.region.clone().filter(|_| is_proven) {
        Some(region) => region,
        None => bucket.find().await?,
    };
    let unfinished = unfinished.iter().map(|one| one.month);
    let found = discovery::look(bucket, before, unfinished, now).await?;
    Ok(Seen { verified: !is_proven, region, found })
}

/// We are let in: what is new is asked to be read, and what could not be read of the last months is the connection's
/// problem; and the month that this is of.
async fn of_found(
    conn: &mut TenantConn,
    context: &JobContext,
    parts: &WorkerParts,
    (before, job, unfinished): (&AwsConnection, &CheckAwsConnection, &[UnfinishedMonth]),
    seen: Seen,
) -> Result<(AwsChecked, Option<Month>), JobError> {
    let now = parts.clock.now();
    let since = Month::of(now.date_naive()).back(discovery::RECENT - 1);
    let mut problem = None;
    let mut of_month = None;
    let mut is_failing = false;
    if seen.found.manifests.is_empty() {
        let is_late = before.delivered_at.is_some() || before.created_at + FIRST_DELIVERY <= now;
        if seen.found.has_loose_files {
            problem =
                Some(told(Refusal::ManifestMissing, "there are data files and no manifest of them yet"));
        } else if is_late {
            problem = Some(told(
                Refusal::NothingDelivered,
                format!(
                    "there is nothing of the report {} below {}/{}",
                    before.place.report, before.place.bucket, before.place.prefix
                ),
            ));
        }
        is_failing = is_late && problem.is_some();
    }
    let mut months = Vec::new();
    for month in conn.bill_months(before.id).await.map_err(store_failure)? {
        let manifest = seen.found.manifests.iter().find(|(of, _)| *of == month.month);
        months.push(settled(conn, context, month, manifest.map(|(_, manifest)| manifest), now).await?);
    }
    let mut is_coming = false;
    for (month, manifest) in &seen.found.manifests {
        let known = months.iter().find(|(known, _)| known.month == *month);
        let (known, carrier) =
            known.map_or((None, Carrier::None), |(known, carrier)| (Some(known), *carrier));
        let is_unread = |known: &&BillMonth| known.state != BillMonthState::Current;
        // An older month's stands with the month: no other's alarm is to wait for it.
        if let Some(of) = known.filter(is_unread).and_then(|known| known.problem.as_ref())
            && *month >= since
        {
            // Newest first: the newest month's problem is the one that is told, until the month was read.
            if problem.is_none() {
                (problem, of_month) = (Some(of_the_month(*month, of)), Some(*month));
            }
            is_failing = true;
        }
        let is_displaced = unfinished.iter().any(|one| one.month == *month && one.is_displaced);
        let wants = carrier == Carrier::Lost || is_displaced || wants_reading(known, manifest, job, now);
        // What is there and not read yet is newer than what was; what is read once more is not.
        let is_other =
            known.and_then(|known| known.seen.as_ref()).is_none_or(|seen| seen.etag != manifest.etag);
        is_coming |= (wants || carrier == Carrier::Alive) && is_other;
        if wants && carrier != Carrier::Alive {
            let ask = known.map_or(0, |known| known.asks).saturating_add(1);
            let asked = ReadBillMonth { connection: before.id, month: *month, ask };
            ask_to_read(conn, asked, &manifest.key, now).await.map_err(store_failure)?;
        }
    }
    // Whether AWS still writes a month that cannot be read is not known here, so the newest is asked no further.
    let newest = seen.found.manifests.first().map(|(month, _)| *month);
    let hides_nothing = of_month.is_some() && of_month != newest;
    if !is_coming
        && (problem.is_none() || hides_nothing)
        && let Some(stale) = stale(before, months.iter().map(|(month, _)| month), now)
    {
        (problem, of_month, is_failing) = (Some(stale), None, true);
    }
    let state = if is_failing { AwsConnectionState::Failing } else { AwsConnectionState::Active };
    let checked = AwsChecked {
        external_id: before.place.external_id.clone(),
        state,
        problem,
        checks: 0,
        next_check_at: now + backoff::DELIVERIES,
        region: Some(seen.region),
        layout: seen.found.layout,
        verified: seen.verified,
        swept: seen.found.swept,
    };
    Ok((checked, of_month))
}

/// A month's problem as the connection's: its words begin with the month.
fn of_the_month(month: Month, problem: &AwsProblem) -> AwsProblem {
    let title = month.title();
    if problem.detail.starts_with(&title) {
        return problem.clone();
    }
    AwsProblem { code: problem.code.clone(), detail: format!("{title}: {}", problem.detail) }
}

/// Whether people were told of a problem: of the same kind and, if it is a month's, of the same month. What else its words say
/// may differ from look to look.
fn is_same(was: &AwsProblem, is: &AwsProblem, of_month: Option<Month>) -> bool {
    was.code == is.code && of_month.is_none_or(|month| was.detail.starts_with(&month.title()))
}

/// What is wrong where AWS has stopped delivering. A delivery that was read and held nothing new is one, too: its month
/// remembers when.
fn stale<'a>(
    before: &AwsConnection,
    months: impl Iterator<Item = &'a BillMonth>,
    now: DateTime<Utc>,
) -> Option<AwsProblem> {
    let read = months.filter(|month| month.state == BillMonthState::Current).map(|month| month.updated_at);
    let newest = before.delivered_at.into_iter().chain(read).max()?;
    let is_stale = newest + STALE_AFTER <= now;
    is_stale.then(|| {
        let since = newest.format("%Y-%m-%d %H:%M");
        told(Refusal::DeliveryStale, format!("nothing was delivered since {since} UTC"))
    })
}

/// Whether a month's newest delivery was not read yet, or may be read by now.
fn wants_reading(
    month: Option<&BillMonth>,
    manifest: &Part,
    job: &CheckAwsConnection,
    now: DateTime<Utc>,
) -> bool {
    let Some(month) = month else { return true };
    let is_new = |seen: &SeenManifest| seen.etag != manifest.etag || seen.rules_version != RULES_VERSION;
    if month.state != BillMonthState::Failed {
        return month.seen.as_ref().is_none_or(is_new);
    }
    let is_taken = month.problem.as_ref().is_some_and(|of| of.code == Refusal::DeliveredTwice.as_str());
    let pause = match &month.seen {
        Some(_) if is_taken => TAKEN,
        Some(_) => UNCHANGED,
        None => CUT_OFF,
    };
    month.seen.as_ref().is_some_and(is_new) || job.retry_failed || month.updated_at + pause <= now
}

/// What became of the job that a month waits for, or is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// The month wants none.
    None,
    /// It is to come, or at work.
    Alive,
    /// It is a dead letter: it came to no end of its own in all its attempts, or took its process with it.
    Died,
    /// It left the month as it was: it was cancelled, its row is gone, or the connection was at rest when it came.
    Lost,
}

async fn carrier_of(context: &JobContext, month: &BillMonth) -> Result<Carrier, JobError> {
    if !matches!(month.state, BillMonthState::Waiting | BillMonthState::Reading) {
        return Ok(Carrier::None);
    }
    let Some(id) = month.job_id else { return Ok(Carrier::Lost) };
    let mut conn = context.queue().conn().await?;
    let job = ops::show(&mut conn, id, None).await?;
    Ok(match job.map(|job| job.job.state) {
        Some(State::Dead) => Carrier::Died,
        None | Some(State::Done | State::Cancelled) => Carrier::Lost,
        Some(_) => Carrier::Alive,
    })
}

/// A month and what became of its job. One whose job died is failed as if the job had said so: what killed one will
/// mostly kill the next, so people are told, and another is asked for when a failed month is tried again, and not at
/// every look.
async fn settled(
    conn: &mut TenantConn,
    context: &JobContext,
    month: BillMonth,
    manifest: Option<&Part>,
    now: DateTime<Utc>,
) -> Result<(BillMonth, Carrier), JobError> {
    let carrier = carrier_of(context, &month).await?;
    if matches!(carrier, Carrier::None | Carrier::Alive) {
        return Ok((month, carrier));
    }
    // A job that has ended may have had its say since the month was read here: then the look that it asked for sees that.
    let there = conn.bill_month(month.connection, month.month).await.map_err(store_failure)?;
    if there.state != month.state || there.job_id != month.job_id {
        return Ok((there, Carrier::Alive));
    }
    if carrier == Carrier::Lost {
        return Ok((there, carrier));
    }
    let problem = told(Refusal::Internal, format!("reading {} did not come to an end", there.month.title()));
    let seen = manifest.map(|of| SeenManifest { etag: of.etag.clone(), rules_version: RULES_VERSION });
    let key = (there.connection, there.month, there.asks);
    conn.fail_bill_month(key, &problem, seen.as_ref(), now).await.map_err(store_failure)?;
    tracing::error!(connection = %there.connection, month = %there.month, job = ?there.job_id, "a month's job died");
    let failed =
        BillMonth { state: BillMonthState::Failed, problem: Some(problem), seen, updated_at: now, ..there };
    Ok((failed, carrier))
}

fn told(refusal: Refusal, detail: impl Into<String>) -> AwsProblem {
    AwsProblem { code: refusal.as_str().to_owned(), detail: detail.into() }
}

/// We are not let in, or cannot ask.
fn of_refusal(before: &AwsConnection, refused: BucketRefused, now: DateTime<Utc>) -> AwsChecked {
    let was_seen = !matches!(before.state, AwsConnectionState::Pending | AwsConnectionState::Verifying);
    let checks = before.checks.saturating_add(1);
    let (state, problem, pause) = match refused {
        BucketRefused::Refused { refusal: Refusal::RoleNotAssumable, detail }
            if !was_seen && before.checks < backoff::MOST_FOR_ROLE =>
        {
            let problem = told(Refusal::RoleNotAssumable, detail);
            (AwsConnectionState::Pending, Some(problem), backoff::for_role(before.checks))
        }
        BucketRefused::Refused { refusal, detail } => {
            (AwsConnectionState::Failing, Some(told(refusal, detail)), backoff::for_people(before.checks))
        }
        BucketRefused::Moved { .. } | BucketRefused::Missing { .. } | BucketRefused::Away(_) => {
            tracing::warn!(connection = %before.id, error = %refused, "an AWS connection was not looked at");
            let state = if was_seen { before.state } else { AwsConnectionState::Pending };
            (state, before.problem.clone(), backoff::AWAY)
        }
    };
    AwsChecked {
        external_id: before.place.external_id.clone(),
        state,
        problem,
        checks,
        next_check_at: now + pause,
        region: None,
        layout: None,
        verified: false,
        swept: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_months_problem_is_news_and_other_words_of_the_same_are_not() {
        let [october, november] = ["2026-10", "2026-11"].map(|month| month.parse().unwrap());
        let of = |month, words: &str| of_the_month(month, &told(Refusal::FileUnreadable, words));
        let was = of(october, "October 2026: line 3 is no line");
        assert_eq!(was.detail, "October 2026: line 3 is no line", "the month is named once");
        assert!(is_same(&was, &of(october, "b-00002.csv is corrupt"), Some(october)));
        assert!(!is_same(&was, &of(november, "b-00002.csv is corrupt"), Some(november)));
        assert!(!is_same(&was, &of_the_month(october, &told(Refusal::PartsMissing, "x")), Some(october)));
        let denied = told(Refusal::AccessDenied, "request 1");
        assert!(is_same(&denied, &told(Refusal::AccessDenied, "request 2"), None));
    }
}
