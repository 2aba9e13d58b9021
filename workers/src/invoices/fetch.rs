//! One reading of a source: its months asked for, stored where they changed, and what follows for the source.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use costlens_domain::aws::Month;
use costlens_domain::bill::BillReport;
use costlens_domain::invoices::{self, AdminKey, Pages, Refusal};
use costlens_domain::{BillId, TenantId};
use costlens_jobs::invoices::FetchInvoices;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{
    InvoiceProblem, InvoiceSource, InvoiceSourceState, InvoiceStored, InvoicesFetched, NewBill,
    NewInvoiceMonth, StoreError, TenantConn,
};
use costlens_vault::sha256;

use super::client::{Answers, Client, Fault};
use super::notices;
use crate::bill_ingestion::stored::{self, Origin};
use crate::insight::{facts_before, note_restatement};
use crate::{WorkerParts, sealing, store_failure};

/// How often reports that can be read are asked for: vendors make them up once a day or oftener.
const DAILY: Duration = Duration::from_hours(24);
/// How many months back a reading may go.
const MONTHS: u32 = 12;
/// How long after a month's end its vendor may still be at work on it.
const CLOSING: Days = Days::new(5);
/// After which time a job that has begun is thought lost.
const LEASE: TimeDelta = TimeDelta::hours(6);
/// After a vendor was away for all attempts.
const AWAY: Duration = Duration::from_hours(1);

/// While something is wrong that only people can mend: less and less often, once a day at last.
fn for_people(failures: u32) -> Duration {
    Duration::from_hours(1).saturating_mul(1 << failures.min(5)).min(DAILY)
}

/// Why a reading came to its end before its months did.
enum Cut {
    /// Its people changed something: nothing of this counts.
    AtRest,
    /// A named problem of the whole source.
    Problem(InvoiceProblem),
    /// The vendor was away for all attempts.
    Away(InvoiceProblem),
    /// The job itself.
    Job(JobError),
}

impl From<JobError> for Cut {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Self::Job(store_failure(error))
    }
}

/// Safe to run twice, at once, and to be killed anywhere: what is stored already is found to be the same.
pub(super) async fn fetch_invoices(
    job: FetchInvoices,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(tenant) = context.tenant().map(TenantId::from) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_tenant", "reports are read for nobody"));
    };
    // What never will be ready is told of the source by whoever opens its key.
    if let Err(error) = sealing::ready(&parts, tenant).await
        && !error.is_final()
    {
        return Err(error);
    }
    let Some((source, key)) = begin(&parts, tenant, &job).await? else { return Ok(()) };
    let reading = Reading { parts: &parts, context: &context, tenant, source: &source };
    let read = match key {
        Err(problem) => Ok(Some(problem)),
        Ok(key) => tokio::select! {
            read = reading.read(&key) => read,
            () = context.cancelled() => return Err(JobError::cancelled()),
        },
    };
    let now = parts.clock.now();
    let fetched = match read {
        Ok(None) => of(&source, (InvoiceSourceState::Active, None, 0), now + DAILY),
        Ok(Some(problem)) | Err(Cut::Problem(problem)) => {
            let failed = (InvoiceSourceState::Failing, Some(problem), source.failures.saturating_add(1));
            of(&source, failed, now + for_people(source.failures))
        }
        Err(Cut::Away(problem)) => {
            tracing::warn!(source = %source.id, what = problem.detail, "a vendor was not asked for its reports");
            let is_failing = source.state == InvoiceSourceState::Failing;
            let problem = source.problem.clone().filter(|_| is_failing).unwrap_or(problem);
            of(&source, (source.state, Some(problem), source.failures), now + AWAY)
        }
        Err(Cut::AtRest) => return Ok(()),
        Err(Cut::Job(error)) => return Err(error),
    };
    settle(&parts, tenant, &source, &fetched).await
}

/// The source and its key, or why there is none; `None` where nothing is to be read.
async fn begin(
    parts: &WorkerParts,
    tenant: TenantId,
    job: &FetchInvoices,
) -> Result<Option<(InvoiceSource, Result<AdminKey, InvoiceProblem>)>, JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let source = match conn.invoice_source(job.source).await {
        Ok(source) => source,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(store_failure(error)),
    };
    let closing = conn.tenant().await.map_err(store_failure)?.closing_at.is_some();
    let Some(sealed) = source.sealed_key.as_ref().filter(|_| !closing && !source.state.is_at_rest()) else {
        return Ok(None);
    };
    let key = match key_of(parts, &mut conn, &source, sealed).await {
        Ok(key) => Ok(key),
        Err(error) if !error.is_final() => return Err(error),
        Err(error) => {
            tracing::error!(source = %source.id, error = &error as &dyn std::error::Error, "a vendor's key does not open");
            let detail = "what is kept of the key cannot be read".to_owned();
            Err(InvoiceProblem { code: Refusal::KeyUnreadable.as_str().to_owned(), detail })
        }
    };
    // Until then this job has it, with all its attempts.
    conn.hasten_invoice_fetch(source.id, parts.clock.now() + LEASE).await.map_err(store_failure)?;
    conn.commit().await.map_err(store_failure)?;
    Ok(Some((source, key)))
}

async fn key_of(
    parts: &WorkerParts,
    conn: &mut TenantConn,
    source: &InvoiceSource,
    sealed: &[u8],
) -> Result<AdminKey, JobError> {
    let place = ("invoice_source", "sealed_key", source.id.uuid());
    let text = sealing::open(&parts.keyring, conn, place, sealed).await?;
    AdminKey::parse(source.vendor, &text).map_err(|bad| JobError::give_up(ErrorClass::Bug, "admin_key", bad))
}

struct Reading<'a> {
    parts: &'a WorkerParts,
    context: &'a JobContext,
    tenant: TenantId,
    source: &'a InvoiceSource,
}

impl Reading<'_> {
    /// Reads what has to be read; the newest problem of a month, where one could not be stored.
    async fn read(&self, key: &AdminKey) -> Result<Option<InvoiceProblem>, Cut> {
        let source = self.source;
        let host = self.parts.invoices.of(source.vendor);
        let client = Client { egress: &self.parts.egress, host, vendor: source.vendor, key };
        if let Some(organisation) = client.organisation().await.map_err(|fault| self.cut(fault))? {
            self.claim(&organisation).await?;
        }
        let today = self.parts.clock.now().date_naive();
        let mut problem = None;
        for month in self.months(today).await? {
            let read = match client.month(month, today).await {
                Ok(answers) => self.take(month, &answers).await?,
                Err(Fault::Refused(Refusal::ReportUnreadable, detail)) => Err(detail),
                Err(fault) => return Err(self.cut(fault)),
            };
            if let Err(detail) = read {
                let told = InvoiceProblem { code: Refusal::ReportUnreadable.as_str().to_owned(), detail };
                let mut conn = self.parts.store.tenant(self.tenant).await?;
                conn.fail_invoice_month(source.id, month, &told, self.parts.clock.now()).await?;
                conn.commit().await?;
                problem = Some(told);
            }
        }
        Ok(problem)
    }

    /// The months to read, oldest first: the one before and the one that runs, and those before them that were last read
    /// when they were not over for good. A key that was dead for weeks leaves such behind.
    async fn months(&self, today: NaiveDate) -> Result<Vec<Month>, Cut> {
        let mut conn = self.parts.store.tenant(self.tenant).await?;
        let known = conn.invoice_months(self.source.id, MONTHS).await?;
        let this = Month::of(today);
        let began = known.iter().map(|known| known.month).min().unwrap_or(this);
        let is_whole = |month: Month| {
            let row = known.iter().find(|known| known.month == month);
            row.and_then(|known| known.read_at).is_some_and(|read| read.date_naive() >= month.end() + CLOSING)
        };
        let earlier = (2..MONTHS)
            .rev()
            .map(|back| this.back(back))
            .filter(|month| *month >= began && !is_whole(*month));
        Ok(earlier.chain([this.back(1), this]).collect())
    }

    /// Stores a month, or says why its answers are no report.
    async fn take(&self, month: Month, answers: &Answers) -> Result<Result<(), String>, Cut> {
        let vendor = self.source.vendor;
        let pages = Pages { costs: &answers.costs, usage: &answers.usage };
        if let Some(organisation) = invoices::organisation(vendor, pages) {
            self.claim(&organisation).await?;
        }
        let report = match invoices::read(vendor, month, &self.account().await?, pages) {
            Ok(report) => report,
            Err(bad) => return Ok(Err(bad.to_string())),
        };
        self.publish(month, &report).await?;
        Ok(Ok(()))
    }

    /// The paying account of all facts: the organisation, where the vendor tells which it is.
    async fn account(&self) -> Result<String, Cut> {
        let mut conn = self.parts.store.tenant(self.tenant).await?;
        let source = conn.invoice_source(self.source.id).await?;
        Ok(source.organisation.unwrap_or_else(|| source.id.to_string()))
    }

    /// One organisation's reports are read by one source, and a source reads one organisation's: a bill counts once.
    async fn claim(&self, organisation: &str) -> Result<(), Cut> {
        let problem = |refusal: Refusal, detail: String| {
            Cut::Problem(InvoiceProblem { code: refusal.as_str().to_owned(), detail })
        };
        match &self.source.organisation {
            Some(known) if known == organisation => return Ok(()),
            Some(known) => {
                let detail = format!("the key is of the organisation {organisation}, and not of {known}");
                return Err(problem(Refusal::OrganisationChanged, detail));
            }
            None => {}
        }
        let mut conn = self.parts.store.tenant(self.tenant).await?;
        if !conn.claim_organisation(self.source, organisation, self.parts.clock.now()).await? {
            let detail = format!("the organisation {organisation} is read by another source already");
            return Err(problem(Refusal::OrganisationConnected, detail));
        }
        Ok(conn.commit().await?)
    }

    /// Bill, facts, totals, the month that points to them and what is said of it in one transaction.
    async fn publish(&self, month: Month, report: &BillReport) -> Result<(), Cut> {
        let (parts, source) = (self.parts, self.source);
        let now = parts.clock.now();
        let new = NewInvoiceMonth {
            source: source.id,
            key_number: source.key_number,
            month,
            content_sha256: content(report).map_err(Cut::Job)?,
        };
        let bill = NewBill {
            id: BillId::new(now, parts.entropy.for_id()),
            name: format!("{month} of {}, {}", source.vendor.title(), source.name),
            created_at: now,
        };
        let mut conn = parts.store.tenant(self.tenant).await?;
        let months = conn.invoice_months(source.id, MONTHS).await?;
        let earlier = months.iter().find(|known| known.month == month).and_then(|known| known.bill_id);
        let before = facts_before(&mut conn, earlier, report.rules_version).await?;
        match conn.publish_invoice_month(&new, &bill, report).await? {
            InvoiceStored::AtRest => return Err(Cut::AtRest),
            InvoiceStored::Unchanged => {}
            InvoiceStored::Stored(bill, replaces) => {
                let origin = Origin::Invoice { source: source.id, vendor: source.vendor, month, replaces };
                stored::bill_stored(&mut conn, parts, origin, &bill).await?;
                note_restatement(&mut conn, parts, bill.id, (&before, &report.facts)).await?;
                tracing::info!(source = %source.id, %month, bill = %bill.id, lines = bill.lines, "a vendor's month was stored");
            }
        }
        Ok(conn.commit().await?)
    }

    fn cut(&self, fault: Fault) -> Cut {
        match fault {
            Fault::Refused(refusal, detail) => {
                Cut::Problem(InvoiceProblem { code: refusal.as_str().to_owned(), detail })
            }
            Fault::Away(detail, _) if self.context.is_last_attempt() => {
                Cut::Away(InvoiceProblem { code: Refusal::VendorAway.as_str().to_owned(), detail })
            }
            Fault::Away(detail, pause) => {
                let again = match pause {
                    Some(pause) => JobError::retry_after(pause, detail),
                    None => JobError::retry(detail),
                };
                Cut::Job(again.code(Refusal::VendorAway.as_str()))
            }
        }
    }
}

/// SHA-256 of all that counts of a report. How many pages it came on does not.
fn content(report: &BillReport) -> Result<[u8; 32], JobError> {
    let counts = (report.format, report.rules_version, &report.totals, &report.facts, &report.skipped);
    Ok(sha256(&serde_json::to_vec(&counts)?))
}

/// What follows for the source.
fn of(
    before: &InvoiceSource,
    (state, problem, failures): (InvoiceSourceState, Option<InvoiceProblem>, u32),
    next_fetch_at: DateTime<Utc>,
) -> InvoicesFetched {
    let complete = state == InvoiceSourceState::Active && problem.is_none();
    InvoicesFetched { key_number: before.key_number, state, problem, failures, next_fetch_at, complete }
}

async fn settle(
    parts: &WorkerParts,
    tenant: TenantId,
    before: &InvoiceSource,
    fetched: &InvoicesFetched,
) -> Result<(), JobError> {
    let mut conn = parts.store.tenant(tenant).await.map_err(store_failure)?;
    if !conn.settle_invoice_fetch(before.id, fetched, parts.clock.now()).await.map_err(store_failure)? {
        // Its people changed it meanwhile: nothing of this counts.
        return Ok(());
    }
    let is_news = before.state != InvoiceSourceState::Failing
        || before.problem.as_ref().map(|was| &was.code) != fetched.problem.as_ref().map(|is| &is.code);
    if let Some(problem) = &fetched.problem
        && fetched.state == InvoiceSourceState::Failing
        && is_news
    {
        notices::of_failing(&mut conn, parts, before, problem).await?;
    }
    conn.commit().await.map_err(store_failure)?;
    if fetched.state != before.state {
        tracing::info!(source = %before.id, state = fetched.state.as_str(), problem = fetched.problem.as_ref().map(|is| is.code.as_str()), "a vendor's reports changed how they are read");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_people_can_mend_is_tried_ever_more_seldom() {
        let pauses: Vec<Duration> = (0..12).map(for_people).collect();
        assert!(
            pauses.is_sorted() && pauses[0] == Duration::from_hours(1) && pauses[11] == DAILY,
            "{pauses:?}"
        );
    }
}
