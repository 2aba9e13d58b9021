//! A settlement's rows, on their way into the tables and out of them.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::BillId;
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Numeric, Text};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{ResidualSum, Settlement, SettlementCoverage, SettlementKey, SettlementResidual};
use crate::StoreError;
use crate::bills::{measure_name, measure_named};
use crate::db::{Db, from_bigint, mend, named, to_bigint};
use crate::schema::{settlement, settlement_coverage, settlement_residual};

/// The longest text of a bill that is kept, as with the bill itself.
const LONGEST_TEXT: usize = 4_096;

pub(super) fn mended(text: &str) -> String {
    mend(text, LONGEST_TEXT)
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = settlement)]
pub(super) struct HeadRow {
    tenant_id: Uuid,
    issuer: String,
    month: NaiveDate,
    measure: String,
    version: Uuid,
    bill_ids: Vec<Uuid>,
    complete_through: NaiveDate,
    settled_at: DateTime<Utc>,
    other_currencies: Vec<String>,
    billed: Db<Decimal>,
    estimated: Db<Decimal>,
    settled: Db<Decimal>,
    unknown: Db<Decimal>,
    billed_for_tokens: Db<Decimal>,
    covered: Db<Decimal>,
    billed_tokens: i64,
    covered_tokens: i64,
    calls: i64,
    absent: Db<Decimal>,
    absent_calls: i64,
}

impl HeadRow {
    pub(super) fn of(tenant_id: Uuid, head: &Settlement) -> Self {
        Self {
            tenant_id,
            issuer: head.key.issuer.as_str().to_owned(),
            month: head.key.month,
            measure: measure_name(head.key.measure).to_owned(),
            version: head.version.uuid(),
            bill_ids: head.bill_ids.iter().map(|id| id.uuid()).collect(),
            complete_through: head.complete_through,
            settled_at: head.settled_at,
            other_currencies: head.other_currencies.clone(),
            billed: Db(head.billed),
            estimated: Db(head.estimated),
            settled: Db(head.settled),
            unknown: Db(head.unknown),
            billed_for_tokens: Db(head.billed_for_tokens),
            covered: Db(head.covered),
            billed_tokens: to_bigint(head.billed_tokens),
            covered_tokens: to_bigint(head.covered_tokens),
            calls: to_bigint(head.calls),
            absent: Db(head.absent),
            absent_calls: to_bigint(head.absent_calls),
        }
    }

    pub(super) fn into_head(self) -> Result<Settlement, StoreError> {
        let key = SettlementKey {
            issuer: named("settlement.issuer", &self.issuer, Issuer::from_name)?,
            month: self.month,
            measure: named("settlement.measure", &self.measure, measure_named)?,
        };
        Ok(Settlement {
            key,
            version: self.version.into(),
            bill_ids: self.bill_ids.into_iter().map(BillId::from).collect(),
            complete_through: self.complete_through,
            settled_at: self.settled_at,
            other_currencies: self.other_currencies,
            billed: self.billed.0,
            estimated: self.estimated.0,
            settled: self.settled.0,
            unknown: self.unknown.0,
            billed_for_tokens: self.billed_for_tokens.0,
            covered: self.covered.0,
            billed_tokens: from_bigint(self.billed_tokens),
            covered_tokens: from_bigint(self.covered_tokens),
            calls: from_bigint(self.calls),
            absent: self.absent.0,
            absent_calls: from_bigint(self.absent_calls),
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = settlement_residual)]
pub(super) struct ResidualRow {
    tenant_id: Uuid,
    issuer: &'static str,
    month: NaiveDate,
    measure: &'static str,
    n: i64,
    day: NaiveDate,
    account: String,
    region: String,
    principal: String,
    model: String,
    code: &'static str,
    side: &'static str,
    amount: Db<Decimal>,
    tokens: i64,
}

impl ResidualRow {
    #[expect(clippy::unnecessary_wraps, reason = "one macro writes every kind of row")]
    pub(super) fn of(
        tenant_id: Uuid,
        of: SettlementKey,
        n: i64,
        residual: &SettlementResidual,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id,
            issuer: of.issuer.as_str(),
            month: of.month,
            measure: measure_name(of.measure),
            n,
            day: residual.day,
            account: mended(&residual.account),
            region: mended(&residual.region),
            principal: mended(&residual.principal),
            model: mended(&residual.model),
            code: residual.code.as_str(),
            side: residual.side.as_str(),
            amount: Db(residual.amount),
            tokens: to_bigint(residual.tokens),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct ResidualSumRow {
    #[diesel(sql_type = Text)]
    code: String,
    #[diesel(sql_type = Text)]
    side: String,
    #[diesel(sql_type = Numeric)]
    amount: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
}

impl TryFrom<ResidualSumRow> for ResidualSum {
    type Error = StoreError;

    fn try_from(row: ResidualSumRow) -> Result<Self, StoreError> {
        Ok(Self {
            code: named("settlement_residual.code", &row.code, ResidualCode::from_name)?,
            side: named("settlement_residual.side", &row.side, ResidualSide::from_name)?,
            amount: row.amount.0,
            tokens: from_bigint(row.tokens),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = settlement_coverage)]
pub(super) struct CoverageRow {
    tenant_id: Uuid,
    issuer: String,
    month: NaiveDate,
    measure: String,
    n: i64,
    account: String,
    region: String,
    principal: String,
    model: String,
    billed_tokens: i64,
    covered_tokens: i64,
    billed: Db<Decimal>,
    covered: Db<Decimal>,
}

impl CoverageRow {
    #[expect(clippy::unnecessary_wraps, reason = "one macro writes every kind of row")]
    pub(super) fn of(
        tenant_id: Uuid,
        of: SettlementKey,
        n: i64,
        coverage: &SettlementCoverage,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id,
            issuer: of.issuer.as_str().to_owned(),
            month: of.month,
            measure: measure_name(of.measure).to_owned(),
            n,
            account: mended(&coverage.account),
            region: mended(&coverage.region),
            principal: mended(&coverage.principal),
            model: mended(&coverage.model),
            billed_tokens: to_bigint(coverage.billed_tokens),
            covered_tokens: to_bigint(coverage.covered_tokens),
            billed: Db(coverage.billed),
            covered: Db(coverage.covered),
        })
    }
}

impl From<CoverageRow> for SettlementCoverage {
    fn from(row: CoverageRow) -> Self {
        Self {
            account: row.account,
            region: row.region,
            principal: row.principal,
            model: row.model,
            billed_tokens: from_bigint(row.billed_tokens),
            covered_tokens: from_bigint(row.covered_tokens),
            billed: row.billed.0,
            covered: row.covered.0,
        }
    }
}
