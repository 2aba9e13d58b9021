//! Settlements: what the calls of a month cost by its bills, with every difference and its reason.
//!
//! A month's settlement by one measure is replaced as a whole, in the transaction that the caller commits; who settles a
//! tenant's month waits for whoever does so already. What our estimates were off by, day by day, stays for every version
//! of the bill.

mod calls;
mod cells;
mod on_bills;
mod parts;
mod rows;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use costlens_domain::bill::{Measure, ReportFormat};
use costlens_domain::settlement::Issuer;
use costlens_domain::{ApiKeyId, BillId, ConnectionId, RequestId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::bills::measure_name;
use crate::bills::rows::KeptFact;
use crate::schema::{
    bill, bill_daily_fact, bill_delivery, invoice_month, settlement, settlement_cell, settlement_coverage,
    settlement_day, settlement_price, settlement_residual,
};
use crate::{SpendFilter, StoreError, TenantConn};

use calls::{CallRow, SettledRow, SliceRow};
use cells::{CellRow, DayRow, PriceRow};
pub use on_bills::CallsOnBills;
pub use parts::{
    NewSettlement, ResidualSum, SettledCall, SettledPart, Settlement, SettlementBill, SettlementBills,
    SettlementCalls, SettlementCell, SettlementCellKey, SettlementCoverage, SettlementDay, SettlementGroup,
    SettlementKey, SettlementPrice, SettlementResidual, SettlementSlice,
};
use rows::{CoverageRow, HeadRow, ResidualRow};

/// PostgreSQL takes 65,535 parameters per statement; no row here has 24 columns.
const ROWS_PER_INSERT: usize = 2_000;

/// Which of some days' calls are added up: by where they went, or of which span.
#[derive(Default)]
struct Narrowed<'a> {
    routes: Option<(&'a [ConnectionId], &'a [&'a str])>,
    span: Option<&'a SpendFilter>,
}

/// A bill's fact, with when the bill was stored, its last day, and its first and last month.
type BilledRow = (DateTime<Utc>, Option<NaiveDate>, Option<NaiveDate>, Option<NaiveDate>, KeptFact);

impl TenantConn {
    /// Waits until nobody else settles this tenant's month.
    pub async fn lock_settlement(&mut self, month: NaiveDate) -> Result<(), StoreError> {
        let sql =
            "SELECT pg_advisory_xact_lock(hashtextextended('settlement/' || $1::text || '/' || $2::text, 0))";
        diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Text, _>(month.to_string())
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// The AI lines of the days from `from` to `to` (exclusive) of this issuer's bills that count.
    pub async fn settlement_bills(
        &mut self,
        issuer: Issuer,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<SettlementBills, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let formats = ReportFormat::ALL.into_iter().filter(|format| Issuer::of(*format) == issuer);
        let formats: Vec<&str> = formats.map(ReportFormat::as_str).collect();
        let rows: Vec<BilledRow> = bill_daily_fact::table
            .inner_join(bill::table.on(
                bill::tenant_id.eq(bill_daily_fact::tenant_id).and(bill::id.eq(bill_daily_fact::bill_id)),
            ))
            .filter(bill_daily_fact::tenant_id.eq(tenant_id))
            .filter(bill_daily_fact::day.ge(from))
            .filter(bill_daily_fact::day.lt(to))
            .filter(bill_daily_fact::verdict.eq("ai"))
            .filter(bill::superseded_at.is_null())
            .filter(bill::format.eq_any(formats))
            .order((bill_daily_fact::bill_id, bill_daily_fact::n))
            .select((
                bill::created_at,
                bill::last_day,
                bill::first_month,
                bill::last_month,
                KeptFact::as_select(),
            ))
            .load(self.conn()?)
            .await?;
        let mut found = SettlementBills::default();
        for (created_at, last_day, first_month, last_month, row) in rows {
            let id = BillId::from(row.bill_id);
            if found.bills.last().is_none_or(|last| last.id != id) {
                let is_delivered = issuer.is_asked();
                let months = first_month.zip(last_month);
                found.bills.push(SettlementBill {
                    id,
                    created_at,
                    told_at: created_at,
                    last_day,
                    months,
                    is_delivered,
                });
            }
            found.facts.push(row.into_fact()?);
        }
        let ids: Vec<Uuid> = found.bills.iter().map(|bill| bill.id.uuid()).collect();
        let delivered: Vec<Uuid> = bill_delivery::table
            .filter(bill_delivery::tenant_id.eq(tenant_id))
            .filter(bill_delivery::bill_id.eq_any(&ids))
            .select(bill_delivery::bill_id)
            .load(self.conn()?)
            .await?;
        let read: Vec<(Option<Uuid>, Option<DateTime<Utc>>)> = invoice_month::table
            .filter(invoice_month::tenant_id.eq(tenant_id))
            .filter(invoice_month::bill_id.eq_any(ids))
            .select((invoice_month::bill_id, invoice_month::read_at))
            .load(self.conn()?)
            .await?;
        for bill in &mut found.bills {
            bill.is_delivered |= delivered.contains(&bill.id.uuid());
            let readings =
                read.iter().filter(|(of, _)| *of == Some(bill.id.uuid())).filter_map(|(_, at)| *at);
            bill.told_at = readings.fold(bill.told_at, Ord::max);
        }
        Ok(found)
    }

    /// The calls of the days from `from` to `to` (exclusive) that went through these connections, and the imported ones
    /// that went to these providers, added up to cells.
    pub async fn settlement_calls(
        &mut self,
        from: NaiveDate,
        to: NaiveDate,
        connections: &[ConnectionId],
        providers: &[&str],
    ) -> Result<Vec<SettlementCalls>, StoreError> {
        let narrowed = Narrowed { routes: Some((connections, providers)), span: None };
        self.narrowed_calls((from, to), &narrowed).await
    }

    async fn narrowed_calls(
        &mut self,
        (from, to): (NaiveDate, NaiveDate),
        Narrowed { routes, span }: &Narrowed<'_>,
    ) -> Result<Vec<SettlementCalls>, StoreError> {
        let bound = |at: DateTime<Utc>, fill| RequestId::new(at, [fill; 10]).uuid();
        let connections = routes.map(|(ids, _)| ids.iter().map(|id| id.uuid()).collect::<Vec<Uuid>>());
        // A month has a million calls and some thousand sums: what a hash of those takes, where the usual memory would have
        // all of the calls sorted on the disk.
        diesel::sql_query("SELECT set_config('work_mem', '64MB', true)").execute(self.conn()?).await?;
        let rows: Vec<CallRow> = diesel::sql_query(include_str!("sql/settlement_calls.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(from)
            .bind::<Date, _>(to)
            .bind::<Nullable<Array<SqlUuid>>, _>(connections)
            .bind::<Nullable<Array<Text>>, _>(routes.map(|(_, providers)| providers))
            .bind::<Nullable<Timestamptz>, _>(span.map(|span| span.from))
            .bind::<Nullable<Timestamptz>, _>(span.map(|span| span.to))
            .bind::<Nullable<SqlUuid>, _>(span.and_then(|span| span.api_key_id).map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(span.and_then(|span| span.provider.as_deref()))
            .bind::<Nullable<Text>, _>(span.and_then(|span| span.model.as_deref()))
            // An id is made when its call begins.
            .bind::<Nullable<SqlUuid>, _>(span.map(|span| bound(span.from - TimeDelta::minutes(1), 0)))
            .bind::<Nullable<SqlUuid>, _>(span.map(|span| bound(span.to + TimeDelta::minutes(1), 0xff)))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Puts a month's settlement in the place of the one that is there. Days keep what earlier versions said of them.
    pub async fn replace_settlement(&mut self, new: &NewSettlement) -> Result<(), StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let key = new.head.key;
        macro_rules! forget {
            ($($table:ident),*) => {$(
                diesel::delete($table::table)
                    .filter($table::tenant_id.eq(tenant_id))
                    .filter($table::issuer.eq(key.issuer.as_str()))
                    .filter($table::month.eq(key.month))
                    .filter($table::measure.eq(measure_name(key.measure)))
                    .execute(self.conn()?)
                    .await?;
            )*};
        }
        forget!(settlement_residual, settlement_coverage, settlement_cell, settlement_price, settlement);
        diesel::insert_into(settlement::table)
            .values(HeadRow::of(tenant_id, &new.head))
            .execute(self.conn()?)
            .await?;
        macro_rules! keep {
            ($table:ident, $row:ident, $items:expr) => {
                let mut rows = (0_i64..).zip($items).map(|(n, item)| $row::of(tenant_id, key, n, item));
                loop {
                    let rows: Vec<$row> = rows.by_ref().take(ROWS_PER_INSERT).collect::<Result<_, _>>()?;
                    if rows.is_empty() {
                        break;
                    }
                    diesel::insert_into($table::table).values(rows).execute(self.conn()?).await?;
                }
            };
        }
        keep!(settlement_residual, ResidualRow, &new.residuals);
        keep!(settlement_coverage, CoverageRow, &new.coverage);
        keep!(settlement_cell, CellRow, &new.cells);
        keep!(settlement_price, PriceRow, &new.prices);
        diesel::delete(settlement_day::table)
            .filter(settlement_day::tenant_id.eq(tenant_id))
            .filter(settlement_day::issuer.eq(key.issuer.as_str()))
            .filter(settlement_day::measure.eq(measure_name(key.measure)))
            .filter(settlement_day::version.eq(new.head.version.uuid()))
            .filter(settlement_day::day.ge(key.month))
            .filter(settlement_day::day.lt(next_month(key.month)))
            .execute(self.conn()?)
            .await?;
        let days: Vec<DayRow> = new.days.iter().map(|day| DayRow::of(tenant_id, key, day)).collect();
        if !days.is_empty() {
            diesel::insert_into(settlement_day::table).values(days).execute(self.conn()?).await?;
        }
        Ok(())
    }

    /// Removes a month's settlements by this issuer's bills: none has lines in it any more.
    pub async fn remove_settlements(&mut self, issuer: Issuer, month: NaiveDate) -> Result<(), StoreError> {
        let tenant_id = self.tenant_id().uuid();
        macro_rules! forget {
            ($($table:ident),*) => {$(
                diesel::delete($table::table)
                    .filter($table::tenant_id.eq(tenant_id))
                    .filter($table::issuer.eq(issuer.as_str()))
                    .filter($table::month.eq(month))
                    .execute(self.conn()?)
                    .await?;
            )*};
        }
        forget!(settlement_residual, settlement_coverage, settlement_cell, settlement_price, settlement);
        Ok(())
    }

    /// Settled months by one measure, newest first, and of a month by issuer; `after` is the last one of the page before.
    pub async fn list_settlements(
        &mut self,
        measure: Measure,
        after: Option<(NaiveDate, Issuer)>,
        limit: u32,
    ) -> Result<Vec<Settlement>, StoreError> {
        let mut query = settlement::table
            .filter(settlement::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement::measure.eq(measure_name(measure)))
            .order((settlement::month.desc(), settlement::issuer.asc()))
            .limit(i64::from(limit))
            .select(HeadRow::as_select())
            .into_boxed();
        if let Some((month, issuer)) = after {
            let later = settlement::month.eq(month).and(settlement::issuer.gt(issuer.as_str()));
            query = query.filter(settlement::month.lt(month).or(later));
        }
        let rows: Vec<HeadRow> = query.load(self.conn()?).await?;
        rows.into_iter().map(HeadRow::into_head).collect()
    }

    /// The settled months from one on, and earlier ones that were settled before there was the newest measure; oldest
    /// first, each with the newest bill that it was settled by.
    pub async fn settled_months(&mut self, since: NaiveDate) -> Result<Vec<(NaiveDate, BillId)>, StoreError> {
        let whole: Vec<NaiveDate> = settlement::table
            .filter(settlement::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement::measure.eq(measure_name(Measure::NetAmortised)))
            .select(settlement::month)
            .distinct()
            .load(self.conn()?)
            .await?;
        let rows: Vec<(NaiveDate, Uuid)> = settlement::table
            .filter(settlement::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement::month.ge(since).or(settlement::month.ne_all(whole)))
            .distinct_on(settlement::month)
            .order((settlement::month, settlement::version.desc()))
            .select((settlement::month, settlement::version))
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|(month, bill)| (month, BillId::from(bill))).collect())
    }

    /// One settled month. [`StoreError::NotFound`] if the tenant has none.
    pub async fn settlement(&mut self, of: SettlementKey) -> Result<Settlement, StoreError> {
        let SettlementKey { issuer, month, measure } = of;
        let key = (self.tenant_id().uuid(), issuer.as_str(), month, measure_name(measure));
        let row = settlement::table.find(key).select(HeadRow::as_select());
        let row: HeadRow = row.first(self.conn()?).await?;
        row.into_head()
    }

    /// A month's differences, summed by code and side.
    pub async fn settlement_residuals(&mut self, of: SettlementKey) -> Result<Vec<ResidualSum>, StoreError> {
        let sql = "SELECT code, side, sum(amount) AS amount, sum(tokens)::bigint AS tokens FROM settlement_residual \
            WHERE tenant_id = $1 AND month = $2 AND measure = $3 AND issuer = $4 GROUP BY code, side ORDER BY code, side";
        let rows: Vec<rows::ResidualSumRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(of.month)
            .bind::<Text, _>(measure_name(of.measure))
            .bind::<Text, _>(of.issuer.as_str())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// A month's settled costs by one dimension, dearest first.
    pub async fn settlement_slices(
        &mut self,
        of: SettlementKey,
        group: SettlementGroup,
        limit: u32,
    ) -> Result<Vec<SettlementSlice>, StoreError> {
        let rows: Vec<SliceRow> = diesel::sql_query(include_str!("sql/settlement_slices.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(of.month)
            .bind::<Text, _>(measure_name(of.measure))
            .bind::<Text, _>(group.as_str())
            .bind::<BigInt, _>(i64::from(limit))
            .bind::<Text, _>(of.issuer.as_str())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(|row| row.into_slice(group)).collect()
    }

    /// Who used what in a month, what the proxy did not see first.
    pub async fn settlement_coverage(
        &mut self,
        of: SettlementKey,
        limit: u32,
    ) -> Result<Vec<SettlementCoverage>, StoreError> {
        let rows: Vec<CoverageRow> = settlement_coverage::table
            .filter(settlement_coverage::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement_coverage::issuer.eq(of.issuer.as_str()))
            .filter(settlement_coverage::month.eq(of.month))
            .filter(settlement_coverage::measure.eq(measure_name(of.measure)))
            // The settlement numbers them so.
            .order(settlement_coverage::n)
            .limit(i64::from(limit))
            .select(CoverageRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Unit prices that a month's bills imply.
    pub async fn settlement_prices(
        &mut self,
        of: SettlementKey,
        limit: u32,
    ) -> Result<Vec<SettlementPrice>, StoreError> {
        let rows: Vec<PriceRow> = settlement_price::table
            .filter(settlement_price::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement_price::issuer.eq(of.issuer.as_str()))
            .filter(settlement_price::month.eq(of.month))
            .filter(settlement_price::measure.eq(measure_name(of.measure)))
            .order(settlement_price::n)
            .limit(i64::from(limit))
            .select(PriceRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How near the estimates of a month's days came, for every version of its bills, oldest first.
    pub async fn settlement_days(&mut self, of: SettlementKey) -> Result<Vec<SettlementDay>, StoreError> {
        let rows: Vec<DayRow> = settlement_day::table
            .filter(settlement_day::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement_day::issuer.eq(of.issuer.as_str()))
            .filter(settlement_day::measure.eq(measure_name(of.measure)))
            .filter(settlement_day::day.ge(of.month))
            .filter(settlement_day::day.lt(next_month(of.month)))
            .order((settlement_day::day, settlement_day::settled_at, settlement_day::version))
            .select(DayRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// What one call cost by the bill; `None` where no settlement has it, or the bill is not its.
    pub async fn settled_call(
        &mut self,
        id: RequestId,
        measure: Measure,
    ) -> Result<Option<SettledCall>, StoreError> {
        let Some(day) = id.day() else { return Ok(None) };
        let row: Option<SettledRow> = diesel::sql_query(include_str!("sql/settled_call.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(day)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(measure_name(measure))
            .get_result(self.conn()?)
            .await
            .optional()?;
        row.map(TryInto::try_into).transpose()
    }
}

/// The first day of the month after.
fn next_month(month: NaiveDate) -> NaiveDate {
    month.checked_add_months(chrono::Months::new(1)).unwrap_or_else(|| month + Days::new(31))
}

/// A share of an amount, exact to 18 places, rounded towards zero.
pub(super) fn share(amount: Decimal, part: u64, whole: u64) -> Decimal {
    if whole == 0 {
        return Decimal::ZERO;
    }
    // Multiplying first is exact as far as 28 digits go, and what they cannot hold is divided first.
    let (part, whole) = (Decimal::from(part), Decimal::from(whole));
    let shared = amount.checked_mul(part).map_or_else(|| amount / whole * part, |product| product / whole);
    shared.trunc_with_scale(18).normalize()
}
