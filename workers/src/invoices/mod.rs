//! Vendors' own cost reports: asked for once a day and when somebody wants it, and each month stored if it changed.
//!
//! The rows `invoice_source` and `invoice_month` are the truth; jobs only move them. A reading ([`fetch`]) is the one place
//! in which a source changes by itself: every failure ends there as a named problem, told once. A month is stored in one
//! transaction or not at all, so that whatever goes wrong leaves the last good one; both months together need none,
//! because the same answers are stored once.

mod client;
mod due;
mod fetch;
mod hosts;
mod notices;

use std::time::Duration;

use costlens_jobs::invoices::FetchInvoices;
use costlens_queue::{JobContext, Settings, Workers};

use crate::WorkerParts;

pub use hosts::InvoiceHosts;

pub(crate) use due::{FindInvoiceFetches, find_invoice_fetches};

/// How long one reading may take.
const TIMEOUT: Duration = Duration::from_mins(10);

/// The worker: calls to elsewhere, several at a time and one of a tenant.
pub(crate) fn add(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings = Settings { timeout: Some(TIMEOUT), per_tenant: Some(1), ..Settings::default() };
    workers.job(settings, 4, move |job: FetchInvoices, context: JobContext| {
        fetch::fetch_invoices(job, context, parts.clone())
    })
}
