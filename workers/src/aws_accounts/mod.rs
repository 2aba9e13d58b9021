//! Connected AWS accounts: looked at until the role works, then for what AWS delivers; and each delivery of a month read
//! whole into a bill.
//!
//! The rows `aws_connection` and `bill_month` are the truth; jobs only move them. A look ([`check`]) is the one place in
//! which a connection changes by itself: every failure ends there as a named problem, told once. A month ([`month`]) is
//! read into a private folder and stored in one transaction; whatever goes wrong before that leaves the last good
//! delivery as it was. Sessions live for the length of a job, in [`port::ReportBucket`].

mod backoff;
mod check;
mod delivery;
mod discovery;
mod due;
mod month;
mod notices;
pub mod port;
mod scratch;

use std::time::Duration;

use costlens_domain::TenantId;
use costlens_jobs::aws::{CheckAwsConnection, ReadBillMonth};
use costlens_queue::{ErrorClass, JobContext, JobError, Settings, Workers};

use crate::WorkerParts;

pub use scratch::ScratchDir;

pub(crate) use due::{FindAwsChecks, find_aws_checks};

/// How long one look may take.
const CHECK_TIMEOUT: Duration = Duration::from_mins(5);
/// How long one attempt to read a month may take.
const MONTH_TIMEOUT: Duration = Duration::from_hours(1);

/// The workers: looks are short calls, several at a time and one of a tenant; a month takes all the processors that there
/// are.
pub(crate) fn add(workers: Workers, parts: &WorkerParts) -> Workers {
    let of_checks = parts.clone();
    let settings = Settings { timeout: Some(CHECK_TIMEOUT), per_tenant: Some(1), ..Settings::default() };
    let workers = workers.job(settings, 4, move |job: CheckAwsConnection, context: JobContext| {
        check::check_aws_connection(job, context, of_checks.clone())
    });
    let parts = parts.clone();
    let settings = Settings { batch: 1, timeout: Some(MONTH_TIMEOUT), ..Settings::default() };
    workers.job(settings, 1, move |job: ReadBillMonth, context: JobContext| {
        month::read_bill_month(job, context, parts.clone())
    })
}

fn tenant_of(context: &JobContext) -> Result<TenantId, JobError> {
    context
        .tenant()
        .map(TenantId::from)
        .ok_or_else(|| JobError::give_up(ErrorClass::Bug, "no_tenant", "an account is read for nobody"))
}
