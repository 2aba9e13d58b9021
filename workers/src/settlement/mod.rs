//! A month is settled: estimates of its calls become what the bills charged, and every difference gets its reason.
//!
//! The mathematics is `insight`'s; here both sides are read, by one measure after the other, and what follows replaces the
//! month's settlement in one transaction under a lock. So the job may run twice, at once or killed anywhere: the last
//! commit is the truth, and it is made of the bills and calls that were there.

mod nights;
mod prices;
mod sides;
mod surprises;

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use costlens_domain::bill::Measure;
use costlens_domain::imports::vendors;
use costlens_domain::pricing::Catalogue;
use costlens_domain::settlement::Issuer;
use costlens_domain::{BillId, Currency, TenantId};
use costlens_insight::settle::{Billed, Meter, Names, Terms, settle};
use costlens_jobs::settlement::SettleMonth;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{
    Connection, NewSettlement, SettlementBill, SettlementBills, SettlementCalls, SettlementKey, TenantConn,
};
use serde_json::json;

use crate::prices::newest_catalogue;
use crate::{WorkerParts, store_failure};
use sides::{Routes, told};

pub(crate) use nights::{FindSettlements, find_settlements};

/// How long after a month's end AWS is still at work on its bill.
const CLOSING: Days = Days::new(5);
/// How many of a growing bill's last days are not there to their end.
const LATE: Days = Days::new(2);
/// The most connections that are looked at.
const MOST_CONNECTIONS: u32 = 10_000;

/// Every cost that a bill has of a line. A list price is none: nobody is charged it.
const MEASURES: [Measure; 4] =
    [Measure::Unblended, Measure::NetUnblended, Measure::Amortised, Measure::NetAmortised];

pub(crate) async fn settle_month(
    job: SettleMonth,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(tenant) = context.tenant().map(TenantId::from) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_tenant", "a month is settled for nobody"));
    };
    let month = job.month.with_day(1).unwrap_or(job.month);
    let Some(end) = month.checked_add_months(Months::new(1)) else {
        return Err(JobError::give_up(ErrorClass::Bug, "no_month", "the calendar ends"));
    };
    let catalogue = Arc::new(newest_catalogue(&parts).await?);
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    // Whoever settles second sees what the first one saw, or more.
    tx.lock_settlement(month).await.map_err(store_failure)?;
    let connections = tx.list_connections(None, MOST_CONNECTIONS).await.map_err(store_failure)?;
    let mut told = Vec::new();
    for issuer in Issuer::ALL.iter().copied() {
        let settled = settle_issuer(&mut tx, &connections, &catalogue, (issuer, month, end), now).await?;
        told.extend(settled.iter().map(|one| {
            json!({
                "issuer": issuer, "measure": one.head.key.measure, "billed": one.head.billed,
                "settled": one.head.settled, "unknown": one.head.unknown,
            })
        }));
    }
    tx.commit().await.map_err(store_failure)?;
    // A transaction of its own: what it holds, people may want to decide upon. Killed in between, the job runs again.
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    surprises::hold_against_bills(&mut tx, (month, end), now).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)?;
    Ok(context.progress(&json!({ "month": month, "settled": told })).await?)
}

/// Settles a month against one issuer's bills, in the transaction that is given. What it says by each measure; nothing
/// where the issuer has no bill of the month.
async fn settle_issuer(
    tx: &mut TenantConn,
    connections: &[Connection],
    catalogue: &Arc<Catalogue>,
    (issuer, month, end): (Issuer, NaiveDate, NaiveDate),
    now: DateTime<Utc>,
) -> Result<Vec<NewSettlement>, JobError> {
    let bills = tx.settlement_bills(issuer, month, end).await.map_err(store_failure)?;
    if bills.bills.is_empty() {
        tx.remove_settlements(issuer, month).await.map_err(store_failure)?;
        return Ok(Vec::new());
    }
    let routes = Routes::of(issuer, connections);
    let calls = tx
        .settlement_calls(month, end, &routes.connections(), imported_from(issuer))
        .await
        .map_err(store_failure)?;
    let input = Input { issuer, month, end, now, bills, calls, routes };
    let catalogue = Arc::clone(catalogue);
    let settled = tokio::task::spawn_blocking(move || input.settle(&catalogue))
        .await
        .map_err(|error| JobError::retry(error).code("settling"))?;
    for new in &settled {
        tx.replace_settlement(new).await.map_err(store_failure)?;
    }
    Ok(settled)
}

/// The providers of imported calls that an issuer charges for. Proxied calls say it by their connection's address.
const fn imported_from(issuer: Issuer) -> &'static [&'static str] {
    match issuer {
        Issuer::Aws => &[vendors::BEDROCK],
        Issuer::Anthropic => &["anthropic"],
        Issuer::OpenAi => &["openai"],
        Issuer::Azure => &["azure", "azure_ai"],
        Issuer::Google => &["google", "vertex_ai"],
    }
}

/// Both sides of a month.
struct Input {
    issuer: Issuer,
    month: NaiveDate,
    end: NaiveDate,
    now: DateTime<Utc>,
    bills: SettlementBills,
    calls: Vec<SettlementCalls>,
    routes: Routes,
}

impl Input {
    fn settle(self, catalogue: &Catalogue) -> Vec<NewSettlement> {
        let mut names = Names::default();
        let mut meter = Meter::default();
        let cells: Vec<_> =
            self.calls.iter().map(|calls| meter.add_bundle(&self.routes.bundle(calls, &mut names))).collect();
        let complete_through = self.complete_through();
        let terms = Terms { complete_through, rounding_per_line: Terms::ROUNDING_PER_LINE };
        let mut settled = Vec::with_capacity(MEASURES.len());
        for measure in MEASURES {
            let billed = Billed::of_facts(&self.bills.facts, Currency::USD, measure, &mut names);
            let mut regions = meter.regions();
            regions.extend(billed.rows.iter().map(|row| row.place.region));
            let prices = prices::ListPrices::of(catalogue, self.issuer, &mut names)
                .with_regions(regions.into_iter(), &names);
            let settlement = settle(&meter, &billed, &prices, &terms);
            let key = SettlementKey { issuer: self.issuer, month: self.month, measure };
            settled.push(told(&self, (key, complete_through), &cells, &billed, &settlement, &names));
        }
        settled
    }

    /// The last day that every bill of the month has to its end. What has a stray line of the month and is another one's
    /// bill says nothing of it, unless there is no other.
    fn complete_through(&self) -> NaiveDate {
        let last_of_month = self.end - Days::new(1);
        let is_of_month = |bill: &&SettlementBill| {
            bill.months.is_none_or(|(first, last)| (first..=last).contains(&self.month))
        };
        let whole_through = |bill: &SettlementBill| self.bill_is_whole_through(bill);
        let all = &self.bills.bills;
        let earliest = all.iter().filter(is_of_month).map(whole_through).min();
        let earliest = earliest.or_else(|| all.iter().map(whole_through).min());
        earliest.unwrap_or(last_of_month).min(last_of_month)
    }

    /// The last day that a bill has to its end: all of a month that is over for good, and otherwise what lies some days
    /// before its own last line and its delivery. An upload may have been exported long before, so that only its lines say
    /// how far it goes.
    ///
    /// A reading that changes nothing asks for no settlement, even if it makes the month whole: the next night does, which
    /// settles the last three months again.
    fn bill_is_whole_through(&self, bill: &SettlementBill) -> NaiveDate {
        let last_of_month = self.end - Days::new(1);
        let told = bill.told_at.date_naive();
        let last_line = bill.last_day.unwrap_or(self.month);
        let is_over = told >= self.end + CLOSING && (bill.is_delivered || last_line >= last_of_month);
        if is_over {
            last_of_month
        } else if self.issuer.is_asked() {
            told - LATE
        } else {
            last_line.min(told) - LATE
        }
    }

    fn version(&self) -> Option<BillId> {
        self.bills.bills.iter().max_by_key(|bill| (bill.created_at, bill.id)).map(|bill| bill.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// October's bills, each told of on a day and with a last line, as they came.
    fn whole_through(issuer: Issuer, bills: &[(&str, &str, bool)]) -> NaiveDate {
        let october = date("2026-10-01");
        whole_through_of(
            issuer,
            bills.iter().map(|(told, last, is_delivered)| (*told, *last, *is_delivered, october)),
        )
    }

    fn whole_through_of<'a>(
        issuer: Issuer,
        bills: impl Iterator<Item = (&'a str, &'a str, bool, NaiveDate)>,
    ) -> NaiveDate {
        let bills = bills.map(|(told, last_line, is_delivered, month)| SettlementBill {
            id: BillId::from(uuid::Uuid::nil()),
            created_at: DateTime::UNIX_EPOCH,
            told_at: date(told).and_hms_opt(6, 0, 0).unwrap().and_utc(),
            last_day: Some(date(last_line)),
            months: Some((month, month)),
            is_delivered,
        });
        let input = Input {
            issuer,
            month: date("2026-10-01"),
            end: date("2026-11-01"),
            now: DateTime::UNIX_EPOCH,
            bills: SettlementBills { bills: bills.collect(), facts: Vec::new() },
            calls: Vec::new(),
            routes: Routes::of(issuer, &[]),
        };
        input.complete_through()
    }

    #[test]
    fn a_bill_is_whole_as_far_as_its_own_lines_or_its_issuer_say() {
        let aws = |bills: &[(&str, &str, bool)]| whole_through(Issuer::Aws, bills);
        // While the month goes on, and when it is over for good.
        assert_eq!(aws(&[("2026-10-20", "2026-10-20", true)]), date("2026-10-18"));
        assert_eq!(aws(&[("2026-11-10", "2026-10-31", true)]), date("2026-10-31"));
        assert_eq!(
            aws(&[("2026-11-10", "2026-10-12", true)]),
            date("2026-10-31"),
            "an account that was left"
        );
        // An export of the sixteenth that was uploaded in November says nothing of the days after.
        assert_eq!(aws(&[("2026-11-10", "2026-10-16", false)]), date("2026-10-14"));
        // Of two bills the one that ends first decides.
        assert_eq!(
            aws(&[("2026-11-10", "2026-10-05", false), ("2026-10-20", "2026-10-20", true)]),
            date("2026-10-03")
        );
        // Azure's and Google's are uploads, too.
        assert_eq!(whole_through(Issuer::Azure, &[("2026-10-20", "2026-10-12", false)]), date("2026-10-10"));
        // September's bill has a line of the first of October.
        let (september, october) = (date("2026-09-01"), date("2026-10-01"));
        let stray = ("2026-10-09", "2026-10-01", true, september);
        let own = ("2026-11-10", "2026-10-31", true, october);
        assert_eq!(whole_through_of(Issuer::Aws, [stray, own].into_iter()), date("2026-10-31"));
        assert_eq!(whole_through_of(Issuer::Aws, [stray].into_iter()), date("2026-09-29"));
        // A vendor knows of days without use.
        assert_eq!(whole_through(Issuer::OpenAi, &[("2026-10-20", "2026-10-03", true)]), date("2026-10-18"));
    }
}
