//! Bills: what a report said about AI, kept with the totals that prove it and summed in SQL.
//!
//! Deliveries of one format, set of paying accounts and month are versions of each other. The newest is the
//! current one, from the same transaction on; the older ones are kept and marked.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, Dimension, Measure, ReportFile, ReportFormat, ResourceCost, Slice,
};
use costlens_domain::classify::Verdict;
use costlens_domain::{BillId, Currency};
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Date, Nullable, Numeric, Text};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::db::{Db, from_bigint, mend, mend_json, named, to_bigint};
use crate::schema::{bill, bill_control_total, bill_daily_fact};
use crate::{StoreError, TenantConn};

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
    /// Since when a newer delivery counts in its place.
    pub superseded_at: Option<DateTime<Utc>>,
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

/// What one day cost by the bill, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillPoint {
    /// The UTC day.
    pub day: NaiveDate,
    /// The value of the dimension; `None` in a series without groups.
    pub group: Option<String>,
    /// What the amount counts.
    pub currency: Currency,
    /// The sum.
    pub cost: Decimal,
}

impl TenantConn {
    /// Keeps a report, and marks the delivery that it replaces.
    pub async fn import_bill(&mut self, new: &NewBill, report: &BillReport) -> Result<Bill, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let scope = scope(report);
        let replaced = bill::table
            .filter(bill::tenant_id.eq(tenant_id))
            .filter(bill::scope.eq(&scope))
            .filter(bill::superseded_at.is_null());
        diesel::update(replaced).set(bill::superseded_at.eq(new.created_at)).execute(self.conn()?).await?;
        diesel::insert_into(bill::table)
            .values((
                bill::tenant_id.eq(tenant_id),
                bill::id.eq(new.id.uuid()),
                bill::name.eq(mend(&new.name, LONGEST_NAME)),
                bill::format.eq(report.format.as_str()),
                bill::scope.eq(&scope),
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
        self.bill(new.id).await
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

    /// Sums by one dimension, currency by currency, dearest first, at most `limit` of each currency.
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

/// PostgreSQL takes 65,535 parameters per statement and a fact has 30 columns.
const ROWS_PER_INSERT: usize = 1_000;

/// The longest name of a bill that is kept.
const LONGEST_NAME: usize = 512;

/// The longest text of a bill that is kept; AWS' own columns are far shorter.
const LONGEST_TEXT: usize = 4_096;

fn mended(text: &str) -> String {
    mend(text, LONGEST_TEXT)
}

fn json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, StoreError> {
    let mut value = serde_json::to_value(value).map_err(StoreError::bug)?;
    mend_json(&mut value);
    Ok(value)
}

/// What deliveries must share to be versions of each other: format, paying accounts, and the month that the
/// report begins in.
fn scope(report: &BillReport) -> String {
    let accounts: BTreeSet<&str> = report.facts.iter().map(|fact| &*fact.billing_account).collect();
    let accounts: Vec<&str> = accounts.into_iter().collect();
    let month = report.first_day.map(|day| format!("{:04}-{:02}", day.year(), day.month()));
    // An index entry holds some 2,700 bytes; a bill of more paying accounts than that is its first ones'.
    mend(&format!("{} {} {}", report.format.as_str(), month.unwrap_or_default(), accounts.join(",")), 2_000)
}

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
        Dimension::Day => "day",
    }
}

const fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Unblended => "unblended",
        Measure::NetUnblended => "net_unblended",
        Measure::Amortised => "amortised",
    }
}

fn format_named(name: &str) -> Option<ReportFormat> {
    [ReportFormat::LegacyCur, ReportFormat::Cur2, ReportFormat::Focus]
        .into_iter()
        .find(|format| format.as_str() == name)
}

fn currency_named(name: &str) -> Option<Currency> {
    name.parse().ok()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bill)]
struct BillRow {
    id: Uuid,
    name: String,
    format: String,
    lines: i64,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
    rules_version: i64,
    files: serde_json::Value,
    resources: serde_json::Value,
    unknown_line_types: Vec<String>,
    skipped: Vec<String>,
    created_at: DateTime<Utc>,
    superseded_at: Option<DateTime<Utc>>,
}

impl TryFrom<BillRow> for Bill {
    type Error = StoreError;

    fn try_from(row: BillRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            format: named("bill.format", &row.format, format_named)?,
            lines: from_bigint(row.lines),
            first_day: row.first_day,
            last_day: row.last_day,
            rules_version: u32::try_from(row.rules_version).map_err(StoreError::bug)?,
            files: serde_json::from_value(row.files).map_err(StoreError::bug)?,
            resources: serde_json::from_value(row.resources).map_err(StoreError::bug)?,
            unknown_line_types: row.unknown_line_types,
            skipped: row.skipped,
            created_at: row.created_at,
            superseded_at: row.superseded_at,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = bill_control_total)]
struct TotalRow {
    tenant_id: Uuid,
    bill_id: Uuid,
    line_item_type: String,
    currency: String,
    lines: i64,
    lines_without_cost: i64,
    unblended: Db<Decimal>,
    split_cost: Db<Decimal>,
    ai: Db<Decimal>,
    candidate: Db<Decimal>,
}

impl TotalRow {
    fn of(tenant_id: Uuid, bill_id: BillId, total: &ControlTotal) -> Self {
        Self {
            tenant_id,
            bill_id: bill_id.uuid(),
            line_item_type: mended(&total.line_item_type),
            currency: total.currency.to_string(),
            lines: to_bigint(total.lines),
            lines_without_cost: to_bigint(total.lines_without_cost),
            unblended: Db(total.unblended),
            split_cost: Db(total.split_cost),
            ai: Db(total.ai),
            candidate: Db(total.candidate),
        }
    }

    fn into_total(self) -> Result<ControlTotal, StoreError> {
        Ok(ControlTotal {
            line_item_type: self.line_item_type.into(),
            currency: named("bill_control_total.currency", &self.currency, currency_named)?,
            lines: from_bigint(self.lines),
            lines_without_cost: from_bigint(self.lines_without_cost),
            unblended: self.unblended.0,
            split_cost: self.split_cost.0,
            ai: self.ai.0,
            candidate: self.candidate.0,
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = bill_daily_fact)]
struct FactRow {
    tenant_id: Uuid,
    bill_id: Uuid,
    n: i64,
    day: NaiveDate,
    billing_account: String,
    usage_account: String,
    region: String,
    billing_entity: String,
    product_code: String,
    product_name: String,
    usage_type: String,
    operation: String,
    principal: String,
    line_item_type: String,
    currency: String,
    verdict: &'static str,
    service: String,
    category: &'static str,
    model: Option<String>,
    meter: &'static str,
    tier: &'static str,
    routing: &'static str,
    class: serde_json::Value,
    pricing_unit: String,
    usage_quantity: Db<Decimal>,
    tokens: Option<Db<Decimal>>,
    unblended: Db<Decimal>,
    net_unblended: Db<Decimal>,
    amortised: Db<Decimal>,
    lines: i64,
}

impl FactRow {
    fn of(tenant_id: Uuid, bill_id: BillId, n: i64, fact: &DailyFact) -> Result<Self, StoreError> {
        let class = &fact.class;
        Ok(Self {
            tenant_id,
            bill_id: bill_id.uuid(),
            n,
            day: fact.day,
            billing_account: mended(&fact.billing_account),
            usage_account: mended(&fact.usage_account),
            region: mended(&fact.region),
            billing_entity: mended(&fact.billing_entity),
            product_code: mended(&fact.product_code),
            product_name: mended(&fact.product_name),
            usage_type: mended(&fact.usage_type),
            operation: mended(&fact.operation),
            principal: mended(&fact.principal),
            line_item_type: mended(&fact.line_item_type),
            currency: fact.currency.to_string(),
            verdict: class.verdict.as_str(),
            service: mended(&class.service),
            category: class.category.as_str(),
            model: class.model.as_deref().map(mended),
            meter: class.meter.as_str(),
            tier: class.tier.as_str(),
            routing: class.routing.as_str(),
            class: json(&**class)?,
            pricing_unit: mended(&fact.pricing_unit),
            usage_quantity: Db(fact.usage_quantity),
            tokens: fact.tokens.map(Db),
            unblended: Db(fact.unblended),
            net_unblended: Db(fact.net_unblended),
            amortised: Db(fact.amortised),
            lines: to_bigint(fact.lines),
        })
    }
}

#[derive(QueryableByName)]
struct SliceRow {
    #[diesel(sql_type = Text)]
    slice: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Numeric)]
    cost: Db<Decimal>,
    #[diesel(sql_type = Numeric)]
    tokens: Db<Decimal>,
    #[diesel(sql_type = Numeric)]
    token_cost: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    lines: i64,
}

impl SliceRow {
    fn into_slice(self) -> Result<Slice, StoreError> {
        Ok(Slice {
            key: self.slice,
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            cost: self.cost.0,
            tokens: self.tokens.0,
            token_cost: self.token_cost.0,
            lines: from_bigint(self.lines),
        })
    }
}

#[derive(QueryableByName)]
struct PointRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Nullable<Text>)]
    slice: Option<String>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Numeric)]
    cost: Db<Decimal>,
}

impl PointRow {
    fn into_point(self) -> Result<BillPoint, StoreError> {
        Ok(BillPoint {
            day: self.day,
            group: self.slice,
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            cost: self.cost.0,
        })
    }
}
