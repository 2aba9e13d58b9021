//! One month's newest delivery, from the bucket to the bill.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use costlens_domain::aws::Refusal;
use costlens_domain::bill::BillReport;
use costlens_domain::classify::RULES_VERSION;
use costlens_domain::{BillDeliveryId, BillId, TenantId};
use costlens_jobs::aws::{ReadBillMonth, ask_to_check};
use costlens_jobs::settlement::ask_to_settle_again;
use costlens_queue::{JobContext, JobError};
use costlens_store::{
    AwsConnection, AwsProblem, DeliveryStored, NewBill, NewBillDelivery, SeenManifest, StoreError,
};

use super::delivery::{self, Delivery};
use super::port::{BucketRefused, ReportBucket};
use super::tenant_of;
use crate::bill_ingestion::progress::{Latest, Read};
use crate::bill_ingestion::{BillRefused, HearProgress, stored};
use crate::insight::{facts_before, note_restatement};
use crate::{WorkerParts, store_failure};

/// How often a delivery that moves is begun anew before the job waits.
const TRIES: u32 = 3;
/// And the pause before that.
const PAUSE: Duration = Duration::from_secs(2);
/// The share of the whole that is done when all files are here, in thousandths.
const COPIED: u16 = 400;

/// What a month's reading came to.
enum Outcome {
    /// A delivery that is new.
    Read(Box<Delivery>, Box<BillReport>),
    /// One that was stored before.
    Known(Box<Delivery>),
    /// Its people want nothing read any more.
    AtRest,
    /// Not this time; again later.
    Later(AwsProblem),
    /// Not before something changes. With a manifest: not before that one does.
    Unfit(AwsProblem, Option<String>),
}

/// Safe to run twice, at once, and to be killed anywhere: nothing is kept before it is stored, and that is one transaction.
pub(super) async fn read_bill_month(
    job: ReadBillMonth,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let tenant = tenant_of(&context)?;
    let Some(aws) = parts.aws.clone() else { return Ok(()) };
    let Some((connection, manifest_key)) = begin(&parts, tenant, &job).await? else { return Ok(()) };
    let session = format!("costlens-{}", connection.id);
    let bucket = aws.open(connection.place.clone(), connection.region.clone(), &session);
    let latest = Latest::default();
    let reading = Reading {
        parts: &parts,
        context: &context,
        tenant,
        job: &job,
        connection: &connection,
        latest: &latest,
    };
    let outcome = tokio::select! {
        outcome = reading.read(&*bucket, &manifest_key) => outcome?,
        () = latest.write(&parts, &context, tenant, Read::Month(job.connection, job.month)) => {
            Outcome::Later(AwsProblem { code: Refusal::Internal.as_str().to_owned(), detail: "nobody waited".to_owned() })
        }
        () = context.cancelled() => return Err(JobError::cancelled()),
    };
    drop(bucket);
    conclude(&parts, &context, tenant, &job, &connection, outcome).await
}

/// The connection and where the month's manifest lies; `None` where this job is to read nothing.
async fn begin(
    parts: &WorkerParts,
    tenant: TenantId,
    job: &ReadBillMonth,
) -> Result<Option<(AwsConnection, String)>, JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let connection = match conn.aws_connection(job.connection).await {
        Ok(connection) => connection,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(store_failure(error)),
    };
    let closing = conn.tenant().await.map_err(store_failure)?.closing_at.is_some();
    let now = parts.clock.now();
    if closing
        || connection.state.is_at_rest()
        || !conn.begin_bill_month(job.connection, job.month, job.ask, now).await.map_err(store_failure)?
    {
        return Ok(None);
    }
    let month = conn.bill_month(job.connection, job.month).await.map_err(store_failure)?;
    conn.commit().await.map_err(store_failure)?;
    Ok(Some((connection, month.manifest_key)))
}

struct Reading<'a> {
    parts: &'a WorkerParts,
    context: &'a JobContext,
    tenant: TenantId,
    job: &'a ReadBillMonth,
    connection: &'a AwsConnection,
    latest: &'a Latest,
}

impl Reading<'_> {
    async fn read(&self, bucket: &dyn ReportBucket, manifest_key: &str) -> Result<Outcome, JobError> {
        let mut moved = String::new();
        for _ in 0..TRIES {
            let unfit = match self.attempt(bucket, manifest_key).await? {
                Ok(outcome) => return Ok(outcome),
                Err(unfit) => unfit,
            };
            match unfit.why {
                // Between the manifest and its files AWS may have begun the next delivery.
                BucketRefused::Moved { key } | BucketRefused::Missing { key } => moved = key,
                BucketRefused::Away(detail) => {
                    let code = Refusal::Internal.as_str().to_owned();
                    return Ok(Outcome::Later(AwsProblem { code, detail }));
                }
                BucketRefused::Refused { refusal, detail } => {
                    let problem = AwsProblem { code: refusal.as_str().to_owned(), detail };
                    // Who is let in again finds everything as it was.
                    let is_cut_off = refusal.is_of_access() && refusal != Refusal::AccessDenied;
                    let manifest = unfit.manifest.filter(|_| !is_cut_off);
                    return Ok(Outcome::Unfit(problem, manifest));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Outcome::Later(AwsProblem {
            code: Refusal::ChangedInMidRead.as_str().to_owned(),
            detail: format!("{moved} was being written whenever it was read, {TRIES} times"),
        }))
    }

    /// One delivery, from its manifest to its report. The folder with its files is gone when this returns.
    async fn attempt(
        &self,
        bucket: &dyn ReportBucket,
        manifest_key: &str,
    ) -> Result<Result<Outcome, delivery::Unfit>, JobError> {
        let parts = self.parts;
        let place = &self.connection.place;
        self.latest.hear("looking for the files", 0);
        let now = parts.clock.now();
        let found = match delivery::find(bucket, place, manifest_key, parts.max_bill_bytes, now).await {
            Ok(found) => found,
            Err(unfit) => return Ok(Err(unfit)),
        };
        if self.is_known(&found).await? {
            return Ok(Ok(Outcome::Known(Box::new(found))));
        }
        if self.is_at_rest().await? {
            return Ok(Ok(Outcome::AtRest));
        }
        let scratch =
            parts.scratch.make(self.context.id()).map_err(|error| JobError::retry(error).code("scratch"))?;
        let (all, came) = (found.bytes(), AtomicU64::new(0));
        let hear = |bytes: u64| {
            let done = came.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes).min(all);
            let share = done.saturating_mul(u64::from(COPIED)).checked_div(all).unwrap_or_default();
            self.latest.hear("copying the files", u16::try_from(share).unwrap_or(COPIED));
        };
        if let Err(why) = delivery::copy(bucket, &found, scratch.path(), &hear).await {
            return Ok(Err(delivery::Unfit { why, manifest: Some(found.manifest.etag) }));
        }
        if self.is_at_rest().await? {
            return Ok(Ok(Outcome::AtRest));
        }
        let refused = match parts.bills.read(scratch.path(), &Rest(self.latest)).await {
            Ok(report) => return Ok(Ok(Outcome::Read(Box::new(found), Box::new(report)))),
            Err(refused) => refused,
        };
        let (refusal, words) = match refused {
            BillRefused::Unreadable(words) => (Refusal::FileUnreadable, words),
            BillRefused::NoCost(words) => (Refusal::ColumnMissing, words),
            BillRefused::TooLarge(words) => (Refusal::TooLarge, words),
            ours @ BillRefused::Engine(_) => {
                tracing::warn!(connection = %self.job.connection, error = %ours, "a delivery was not read");
                let why = BucketRefused::Away("reading it failed for reasons of ours".to_owned());
                return Ok(Err(delivery::Unfit { why, manifest: None }));
            }
        };
        let why = BucketRefused::of(refusal, format!("{}: {words}", self.job.month.title()));
        Ok(Err(delivery::Unfit { why, manifest: Some(found.manifest.etag) }))
    }

    async fn is_known(&self, found: &Delivery) -> Result<bool, JobError> {
        let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        let (connection, month) = (self.job.connection, self.job.month);
        conn.has_bill_delivery(connection, month, &found.name, RULES_VERSION).await.map_err(store_failure)
    }

    async fn is_at_rest(&self) -> Result<bool, JobError> {
        let mut conn = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        match conn.aws_connection(self.job.connection).await {
            Ok(connection) => Ok(connection.state.is_at_rest()),
            Err(StoreError::NotFound) => Ok(true),
            Err(error) => Err(store_failure(error)),
        }
    }
}

/// The reader's progress as what is left after the copying.
struct Rest<'a>(&'a Latest);

impl HearProgress for Rest<'_> {
    fn hear(&self, step: &str, permille: u16) {
        let share = u32::from(permille.min(1000)) * u32::from(1000 - COPIED) / 1000;
        self.0.hear(step, COPIED + u16::try_from(share).unwrap_or_default());
    }
}

async fn conclude(
    parts: &WorkerParts,
    context: &JobContext,
    tenant: TenantId,
    job: &ReadBillMonth,
    connection: &AwsConnection,
    outcome: Outcome,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let key = (job.connection, job.month, job.ask);
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let seen = |etag: String| SeenManifest { etag, rules_version: RULES_VERSION };
    let fail = match outcome {
        Outcome::AtRest => return Ok(()),
        Outcome::Known(found) => {
            let seen = seen(found.manifest.etag);
            if conn.settle_known_month(key, &seen, now).await.map_err(store_failure)? {
                let months = BTreeSet::from([job.month.first_day()]);
                let made = (now, parts.entropy.for_id());
                ask_to_settle_again(&mut conn, &months, made).await.map_err(store_failure)?;
            }
            None
        }
        Outcome::Read(found, report) => {
            let bill = NewBill {
                id: BillId::new(now, parts.entropy.for_id()),
                name: format!("{} of AWS account {}", job.month, connection.place.account),
                created_at: now,
            };
            let new = NewBillDelivery {
                id: BillDeliveryId::new(now, parts.entropy.for_id()),
                connection: job.connection,
                month: job.month,
                delivery: found.name,
                manifest_key: found.manifest.key,
                manifest_etag: found.manifest.etag,
                manifest_sha256: found.manifest_sha256,
                columns_sha256: found.columns_sha256,
                files: u32::try_from(found.parts.len()).unwrap_or(u32::MAX),
                bytes: found.parts.iter().map(|part| part.bytes).sum(),
            };
            let earlier = conn.list_bill_deliveries(job.connection, job.month, None, 1).await;
            let earlier = earlier.map_err(store_failure)?.pop().map(|delivery| delivery.bill_id);
            let before =
                facts_before(&mut conn, earlier, report.rules_version).await.map_err(store_failure)?;
            let stored =
                conn.publish_bill_delivery(&new, job.ask, &bill, &report).await.map_err(store_failure)?;
            match stored {
                DeliveryStored::AtRest | DeliveryStored::Overtaken => return Ok(()),
                DeliveryStored::Duplicate => None,
                DeliveryStored::Taken { by } => {
                    let code = Refusal::DeliveredTwice.as_str().to_owned();
                    let detail = format!(
                        "{} of the same accounts is delivered by AWS account {by}",
                        job.month.title()
                    );
                    Some((AwsProblem { code, detail }, Some(new.manifest_etag)))
                }
                DeliveryStored::Stored(bill, delivery) => {
                    let told = stored::Origin::Delivery { connection: job.connection, delivery: &delivery };
                    stored::bill_stored(&mut conn, parts, told, &bill).await?;
                    note_restatement(&mut conn, parts, bill.id, (&before, &report.facts))
                        .await
                        .map_err(store_failure)?;
                    tracing::info!(
                        connection = %job.connection, month = %job.month, bill = %bill.id, lines = bill.lines,
                        "a delivery was stored"
                    );
                    None
                }
            }
        }
        Outcome::Later(problem) if !context.is_last_attempt() => {
            return Err(JobError::retry(problem.detail).code(problem.code));
        }
        // The next look asks again.
        Outcome::Later(problem) => {
            tracing::warn!(connection = %job.connection, month = %job.month, what = problem.detail, "a month was not read");
            Some((problem, None))
        }
        Outcome::Unfit(problem, manifest) => Some((problem, manifest)),
    };
    if let Some((problem, manifest)) = fail {
        let seen = manifest.map(seen);
        conn.fail_bill_month(key, &problem, seen.as_ref(), now).await.map_err(store_failure)?;
    }
    // A look says what follows for the connection.
    ask_to_check(&mut conn, job.connection, now, false).await.map_err(store_failure)?;
    conn.commit().await.map_err(store_failure)
}
