//! Bills: what a report said about AI, kept with the totals that prove it and summed in SQL.
//!
//! Deliveries of one issuer, set of paying accounts and month are versions of each other, where they have lines of the same
//! accounts. The newest is the current one, from the same transaction on; the older ones are kept and marked.

pub(crate) mod rows;
pub(crate) mod scope;
mod withdrawal;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, Dimension, Measure, ReportFile, ReportFormat, ResourceCost, Slice,
};
use costlens_domain::classify::Verdict;
use costlens_domain::{BillId, Currency};
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Date, Nullable, Text};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

pub use scope::{BillInTheWay, InTheWay};
pub use withdrawal::Withdrawal;

use rows::{BillRow, DriftRow, FactRow, KeptFact, PointRow, SliceRow, TotalRow, json, mended};

use scope::{BillScope, usage_accounts};

use crate::db::{mend, to_bigint};
use crate::schema::{bill, bill_control_total, bill_daily_fact};
use crate::{StoreError, TenantConn};

#[derive(QueryableByName)]
struct MonthRow {
    #[diesel(sql_type = Date)]
    month: NaiveDate,
}

/// What names a new bill.
#[derive(Clone, Debug)]
pub struct NewBill {
    /// Its id.
    pub id: BillId,
    /// What its owner calls it: the file's name, say.
    pub name: String,
    /// When it was read.
    pub created_at: DateTime<Utc>,
}

/// A delivery of a report, without its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Its id.
    pub id: BillId,
    /// What its owner calls it.
    pub name: String,
    /// Which schema its files have.
    pub format: ReportFormat,
    /// How many lines were read.
    pub lines: u64,
    /// The earliest day of any line.
    pub first_day: Option<NaiveDate>,
    /// The latest day of any line.
    pub last_day: Option<NaiveDate>,
    /// The version of the classification rules that made its facts.
    pub rules_version: u32,
    /// Its files.
    pub files: Vec<ReportFile>,
    /// Its dearest AI and candidate resources.
    pub resources: Vec<ResourceCost>,
    /// Line-item types without a rule of their own.
    pub unknown_line_types: Vec<String>,
    /// Files that were no bill and were left out.
    pub skipped: Vec<String>,
    /// When it was read.
    pub created_at: DateTime<Utc>,
    /// Since when it counts no longer: a newer delivery does in its place, or it was withdrawn.
    pub superseded_at: Option<DateTime<Utc>>,
    /// Months, by their first days, that count as a connected account delivers them: their facts are none of this bill's
    /// any more.
    pub given_up: Vec<NaiveDate>,
    /// Since when it counts no longer because somebody took it back.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// What of a bill's facts is summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BillFilter {
    /// Of this bill; otherwise of every current bill.
    pub bill_id: Option<BillId>,
    /// From this day.
    pub from: Option<NaiveDate>,
    /// Before this day.
    pub to: Option<NaiveDate>,
    /// Of this verdict; otherwise AI and candidates alike.
    pub verdict: Option<Verdict>,
}

/// AI lines of one usage type that no rule could take apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The usage type as billed; empty where the bill names none.
    pub usage_type: String,
    /// The product code as billed.
    pub product_code: String,
    /// The product's name where the bill gives one.
    pub product_name: String,
    /// The service that the lines belong to.
    pub service: String,
    /// The unit in which usage is counted, as billed.
    pub pricing_unit: String,
    /// What the cost counts.
    pub currency: Currency,
    /// The unblended cost.
    pub cost: Decimal,
    /// How many bill lines there are.
    pub lines: u64,
    /// The first UTC day with such a line.
    pub first_day: NaiveDate,
    /// The last UTC day with such a line.
    pub last_day: NaiveDate,
}

/// What one day cost by the bill, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillPoint {
    /// The UTC day.
    pub day: NaiveDate,
    /// The value of the dimension; `None` in a series without groups.
    pub group: Option<String>,
    /// What the amount counts.
    pub currency: Currency,
    /// The sum; `None` where it is unknown for any part.
    pub cost: Option<Decimal>,
}

impl TenantConn {
    /// Keeps a report, and marks the delivery that it replaces. Whoever looks first whether it may count holds the lock of
    /// [`Self::lock_bills`] over both.
    pub async fn import_bill(&mut self, new: &NewBill, report: &BillReport) -> Result<Bill, StoreError> {
        self.import_bill_of(new, report, &BillScope::of(report)).await
    }

    /// The same in this scope.
    pub(crate) async fn import_bill_of(
        &mut self,
        new: &NewBill,
        report: &BillReport,
        scope: &BillScope,
    ) -> Result<Bill, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let mut text = scope.text();
        let used = usage_accounts(report);
        self.supersede_versions(&text, &used, scope.is_delivered(), new.created_at).await?;
        let beside = bill::table
            .filter(bill::tenant_id.eq(tenant_id))
            .filter(bill::scope.eq(&text))
            .filter(bill::superseded_at.is_null());
        if diesel::select(diesel::dsl::exists(beside)).get_result(self.conn()?).await? {
            // Of the same payer's other accounts: both count.
            text = format!("{text} {}", new.id);
        }
        diesel::insert_into(bill::table)
            .values((
                bill::tenant_id.eq(tenant_id),
                bill::id.eq(new.id.uuid()),
                bill::name.eq(mend(&new.name, LONGEST_NAME)),
                bill::format.eq(report.format.as_str()),
                bill::scope.eq(&text),
                bill::first_month.eq(scope.months.map(|(first, _)| first)),
                bill::last_month.eq(scope.months.map(|(_, last)| last)),
                bill::lines.eq(to_bigint(report.lines)),
                bill::first_day.eq(report.first_day),
                bill::last_day.eq(report.last_day),
                bill::rules_version.eq(i64::from(report.rules_version)),
                bill::files.eq(json(&report.files)?),
                bill::resources.eq(json(&report.resources)?),
                bill::unknown_line_types.eq(report
                    .unknown_line_types
                    .iter()
                    .map(|text| mended(text))
                    .collect::<Vec<_>>()),
                bill::skipped.eq(report.skipped.iter().map(|text| mended(text)).collect::<Vec<_>>()),
                bill::created_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        for totals in report.totals.chunks(ROWS_PER_INSERT) {
            let rows = totals.iter().map(|total| TotalRow::of(tenant_id, new.id, total));
            let insert = diesel::insert_into(bill_control_total::table).values(rows.collect::<Vec<_>>());
            insert.execute(self.conn()?).await?;
        }
        let mut rows = Vec::with_capacity(ROWS_PER_INSERT.min(report.facts.len()));
        for (n, fact) in (0_i64..).zip(&report.facts) {
            rows.push(FactRow::of(tenant_id, new.id, n, fact)?);
            if rows.len() == ROWS_PER_INSERT {
                self.insert_bill_facts(std::mem::take(&mut rows)).await?;
            }
        }
        self.insert_bill_facts(rows).await?;
        self.decide_candidates_of(Some(new.id)).await?;
        self.bill(new.id).await
    }

    /// Lets one transaction of a tenant at a time store bills: of two with the same content, or of one month, the second
    /// must see the first one's bill.
    pub async fn lock_bills(&mut self) -> Result<(), StoreError> {
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('bill_upload/' || $1::text, 0))")
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    async fn insert_bill_facts(&mut self, rows: Vec<FactRow>) -> Result<(), StoreError> {
        if !rows.is_empty() {
            diesel::insert_into(bill_daily_fact::table).values(rows).execute(self.conn()?).await?;
        }
        Ok(())
    }

    /// The tenant's bills, newest first, superseded ones included; `after` is the last id of the page before.
    pub async fn list_bills(&mut self, after: Option<BillId>, limit: u32) -> Result<Vec<Bill>, StoreError> {
        let mut query = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .order(bill::id.desc())
            .limit(i64::from(limit))
            .select(BillRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(bill::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(Bill::try_from).collect()
    }

    /// One bill. [`StoreError::NotFound`] if the tenant has no such bill.
    pub async fn bill(&mut self, id: BillId) -> Result<Bill, StoreError> {
        let row = bill::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(BillRow::as_select()).first(self.conn()?).await?.try_into()
    }

    /// The months of a bill's AI lines, by their first days; of very many the latest.
    pub async fn months_of_bill(&mut self, id: BillId, most: u32) -> Result<BTreeSet<NaiveDate>, StoreError> {
        let sql = "SELECT DISTINCT date_trunc('month', day)::date AS month FROM bill_daily_fact \
            WHERE tenant_id = $1 AND bill_id = $2 ORDER BY month DESC LIMIT $3";
        let rows: Vec<MonthRow> = diesel::sql_query(sql)
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<sql_types::Uuid, _>(id.uuid())
            .bind::<BigInt, _>(i64::from(most))
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|row| row.month).collect())
    }

    /// A bill's control totals, by currency and line-item type.
    pub async fn bill_totals(&mut self, id: BillId) -> Result<Vec<ControlTotal>, StoreError> {
        let rows: Vec<TotalRow> = bill_control_total::table
            .filter(bill_control_total::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill_control_total::bill_id.eq(id.uuid()))
            .order((bill_control_total::currency, bill_control_total::line_item_type))
            .select(TotalRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(TotalRow::into_total).collect()
    }

    /// Sums by one dimension, currency by currency, dearest first and last what is unknown, at most `limit` of each
    /// currency.
    pub async fn bill_breakdown(
        &mut self,
        filter: &BillFilter,
        dimension: Dimension,
        measure: Measure,
        limit: u32,
    ) -> Result<Vec<Slice>, StoreError> {
        let rows: Vec<SliceRow> = diesel::sql_query(include_str!("sql/bill_breakdown.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<sql_types::Uuid>, _>(filter.bill_id.map(BillId::uuid))
            .bind::<Nullable<Date>, _>(filter.from)
            .bind::<Nullable<Date>, _>(filter.to)
            .bind::<Nullable<Text>, _>(filter.verdict.map(Verdict::as_str))
            .bind::<Text, _>(dimension_name(dimension))
            .bind::<Text, _>(measure_name(measure))
            .bind::<BigInt, _>(i64::from(limit))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(SliceRow::into_slice).collect()
    }

    /// What no rule could take apart in one bill, or in all that count: the dearest first, at most `limit` usage types of
    /// each currency.
    pub async fn bill_drift(&mut self, bill: Option<BillId>, limit: u32) -> Result<Vec<Drift>, StoreError> {
        let rows: Vec<DriftRow> = diesel::sql_query(include_str!("sql/bill_drift.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<sql_types::Uuid>, _>(bill.map(BillId::uuid))
            .bind::<BigInt, _>(i64::from(limit))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(DriftRow::into_drift).collect()
    }

    /// Sums per day (and group), oldest first. Days without facts are absent.
    pub async fn bill_series(
        &mut self,
        filter: &BillFilter,
        group: Option<Dimension>,
        measure: Measure,
    ) -> Result<Vec<BillPoint>, StoreError> {
        let rows: Vec<PointRow> = diesel::sql_query(include_str!("sql/bill_series.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<sql_types::Uuid>, _>(filter.bill_id.map(BillId::uuid))
            .bind::<Nullable<Date>, _>(filter.from)
            .bind::<Nullable<Date>, _>(filter.to)
            .bind::<Nullable<Text>, _>(filter.verdict.map(Verdict::as_str))
            .bind::<Nullable<Text>, _>(group.map(dimension_name))
            .bind::<Text, _>(measure_name(measure))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(PointRow::into_point).collect()
    }
}

/// Where among the charges of the bills one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargePlace {
    day: NaiveDate,
    /// The bill that it is of.
    pub bill_id: BillId,
    n: i64,
}

impl TenantConn {
    /// The bills that count, by id.
    pub async fn current_bills(&mut self) -> Result<Vec<BillId>, StoreError> {
        let ids: Vec<uuid::Uuid> = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill::superseded_at.is_null())
            // Whoever cannot hold all of them keeps the newest.
            .order((bill::last_day.desc().nulls_last(), bill::id.desc()))
            .select(bill::id)
            .load(self.conn()?)
            .await?;
        Ok(ids.into_iter().map(BillId::from).collect())
    }

    /// The bills that count, each with how often its facts were decided upon otherwise: as long as these are the same, the
    /// facts are.
    pub async fn bill_marks(&mut self) -> Result<Vec<(BillId, i32)>, StoreError> {
        let marks: Vec<(uuid::Uuid, i32)> = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill::superseded_at.is_null())
            .order(bill::id)
            .select((bill::id, bill::decisions))
            .load(self.conn()?)
            .await?;
        Ok(marks.into_iter().map(|(id, decisions)| (id.into(), decisions)).collect())
    }

    /// The next AI charges of the bills that count, oldest day first, at most so many: of the days `from` to `to`, both
    /// included. `after` is where the last one of those before stands. With `unsettled`, only those that no settlement has.
    pub async fn charges_after(
        &mut self,
        (from, to): (Option<NaiveDate>, Option<NaiveDate>),
        after: Option<&ChargePlace>,
        unsettled: bool,
        most: u32,
    ) -> Result<Vec<(ChargePlace, DailyFact)>, StoreError> {
        let rows: Vec<KeptFact> = diesel::sql_query(include_str!("sql/bill_facts.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<Date>, _>(from)
            .bind::<Nullable<Date>, _>(to)
            .bind::<Nullable<Date>, _>(after.map(|place| place.day))
            .bind::<Nullable<sql_types::Uuid>, _>(after.map(|place| place.bill_id.uuid()))
            .bind::<Nullable<BigInt>, _>(after.map(|place| place.n))
            .bind::<BigInt, _>(i64::from(most))
            .bind::<sql_types::Bool, _>(unsettled)
            .load(self.conn()?)
            .await?;
        let charge = |row: KeptFact| {
            let place = ChargePlace { day: row.day, bill_id: row.bill_id.into(), n: row.n };
            Ok((place, row.into_fact()?))
        };
        rows.into_iter().map(charge).collect()
    }
}

/// PostgreSQL takes 65,535 parameters per statement and a fact has 32 columns.
const ROWS_PER_INSERT: usize = 1_000;

/// The longest name of a bill that is kept.
const LONGEST_NAME: usize = 512;

const fn dimension_name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Service => "service",
        Dimension::Category => "category",
        Dimension::Model => "model",
        Dimension::Meter => "meter",
        Dimension::Account => "account",
        Dimension::Region => "region",
        Dimension::Principal => "principal",
        Dimension::Tier => "tier",
        Dimension::Routing => "routing",
        Dimension::InstanceType => "instance_type",
        Dimension::Accelerator => "accelerator",
        Dimension::Day => "day",
    }
}

pub(crate) const fn measure_name(measure: Measure) -> &'static str {
    measure.as_str()
}

pub(crate) fn measure_named(name: &str) -> Option<Measure> {
    Measure::ALL.into_iter().find(|measure| measure_name(*measure) == name)
}
