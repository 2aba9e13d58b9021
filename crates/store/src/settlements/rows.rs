//! A settlement's rows, on their way into the tables and out of them.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::request::Origin;
use costlens_domain::settlement::{
    Issuer, MatchConfidence, PriceFinding, ResidualCode, ResidualSide, SettlementState,
};
use costlens_domain::{ApiKeyId, BillId, ConnectionId, Usage};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    ResidualSum, SettledCall, SettledPart, Settlement, SettlementCalls, SettlementCell, SettlementCellKey,
    SettlementCoverage, SettlementDay, SettlementGroup, SettlementKey, SettlementPrice, SettlementResidual,
    SettlementSlice, share,
};
use crate::StoreError;
use crate::bills::{measure_name, measure_named};
use crate::db::{Db, from_bigint, mend, named, to_bigint, tokens};
use crate::schema::{
    settlement, settlement_cell, settlement_coverage, settlement_day, settlement_price, settlement_residual,
};

/// The longest text of a bill that is kept, as with the bill itself.
const LONGEST_TEXT: usize = 4_096;

fn mended(text: &str) -> String {
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

#[derive(Insertable)]
#[diesel(table_name = settlement_cell)]
pub(super) struct CellRow {
    tenant_id: Uuid,
    issuer: &'static str,
    month: NaiveDate,
    measure: &'static str,
    n: i64,
    day: NaiveDate,
    api_key_id: Uuid,
    connection_id: Option<Uuid>,
    provider: String,
    model: String,
    service_tier: String,
    certainty: String,
    long_prompt: bool,
    state: &'static str,
    confidence: &'static str,
    calls: i64,
    unpriced_calls: i64,
    estimated: Db<Decimal>,
    settled: Db<Decimal>,
    even: Db<Decimal>,
    parts: serde_json::Value,
    origin: &'static str,
    region: String,
}

impl CellRow {
    pub(super) fn of(
        tenant_id: Uuid,
        of: SettlementKey,
        n: i64,
        cell: &SettlementCell,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id,
            issuer: of.issuer.as_str(),
            month: of.month,
            measure: measure_name(of.measure),
            n,
            day: cell.key.day,
            api_key_id: cell.key.api_key_id.uuid(),
            connection_id: cell.key.connection_id.map(ConnectionId::uuid),
            provider: cell.key.provider.clone(),
            model: cell.key.model.clone(),
            service_tier: cell.key.service_tier.clone(),
            certainty: cell.key.certainty.clone(),
            long_prompt: cell.key.long_prompt,
            state: cell.state.as_str(),
            confidence: cell.confidence.as_str(),
            calls: to_bigint(cell.calls),
            unpriced_calls: to_bigint(cell.unpriced_calls),
            estimated: Db(cell.estimated),
            settled: Db(cell.settled),
            even: Db(cell.even),
            parts: serde_json::to_value(&cell.parts).map_err(StoreError::bug)?,
            origin: cell.key.origin.as_str(),
            region: cell.key.region.clone(),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = settlement_price)]
pub(super) struct PriceRow {
    tenant_id: Uuid,
    issuer: String,
    month: NaiveDate,
    measure: String,
    n: i64,
    model: String,
    kind: String,
    tier: String,
    routing: String,
    long_context: bool,
    first_day: NaiveDate,
    last_day: NaiveDate,
    rows: i64,
    quantity: i64,
    charged: Db<Decimal>,
    listed: Option<Db<Decimal>>,
    finding: String,
}

impl PriceRow {
    #[expect(clippy::unnecessary_wraps, reason = "one macro writes every kind of row")]
    pub(super) fn of(
        tenant_id: Uuid,
        of: SettlementKey,
        n: i64,
        price: &SettlementPrice,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id,
            issuer: of.issuer.as_str().to_owned(),
            month: of.month,
            measure: measure_name(of.measure).to_owned(),
            n,
            model: mended(&price.model),
            kind: price.kind.clone(),
            tier: price.tier.clone(),
            routing: price.routing.clone(),
            long_context: price.long_context,
            first_day: price.first_day,
            last_day: price.last_day,
            rows: to_bigint(price.rows),
            quantity: to_bigint(price.quantity),
            charged: Db(price.charged),
            listed: price.listed.map(Db),
            finding: price.finding.as_str().to_owned(),
        })
    }
}

impl TryFrom<PriceRow> for SettlementPrice {
    type Error = StoreError;

    fn try_from(row: PriceRow) -> Result<Self, StoreError> {
        Ok(Self {
            model: row.model,
            kind: row.kind,
            tier: row.tier,
            routing: row.routing,
            long_context: row.long_context,
            first_day: row.first_day,
            last_day: row.last_day,
            rows: from_bigint(row.rows),
            quantity: from_bigint(row.quantity),
            charged: row.charged.0,
            listed: row.listed.map(|listed| listed.0),
            finding: named("settlement_price.finding", &row.finding, PriceFinding::from_name)?,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = settlement_day)]
pub(super) struct DayRow {
    tenant_id: Uuid,
    issuer: String,
    day: NaiveDate,
    measure: String,
    version: Uuid,
    settled_at: DateTime<Utc>,
    calls: i64,
    estimated: Db<Decimal>,
    settled: Db<Decimal>,
    missed: Db<Decimal>,
    billed: Db<Decimal>,
    unknown: Db<Decimal>,
}

impl DayRow {
    pub(super) fn of(tenant_id: Uuid, of: SettlementKey, day: &SettlementDay) -> Self {
        Self {
            tenant_id,
            issuer: of.issuer.as_str().to_owned(),
            day: day.day,
            measure: measure_name(of.measure).to_owned(),
            version: day.version.uuid(),
            settled_at: day.settled_at,
            calls: to_bigint(day.calls),
            estimated: Db(day.estimated),
            settled: Db(day.settled),
            missed: Db(day.missed),
            billed: Db(day.billed),
            unknown: Db(day.unknown),
        }
    }
}

impl From<DayRow> for SettlementDay {
    fn from(row: DayRow) -> Self {
        Self {
            day: row.day,
            version: row.version.into(),
            settled_at: row.settled_at,
            calls: from_bigint(row.calls),
            estimated: row.estimated.0,
            settled: row.settled.0,
            missed: row.missed.0,
            billed: row.billed.0,
            unknown: row.unknown.0,
        }
    }
}

#[derive(QueryableByName)]
pub(super) struct SliceRow {
    #[diesel(sql_type = Text)]
    slice: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Numeric)]
    estimated: Db<Decimal>,
    #[diesel(sql_type = Numeric)]
    settled: Db<Decimal>,
    #[diesel(sql_type = Numeric)]
    provisional: Db<Decimal>,
}

impl SliceRow {
    pub(super) fn into_slice(self, group: SettlementGroup) -> Result<SettlementSlice, StoreError> {
        let uuid = || self.slice.parse::<Uuid>().map_err(StoreError::bug);
        let group = match group {
            SettlementGroup::Key => ApiKeyId::from(uuid()?).to_string(),
            // Calls that were imported went through no connection, and stand under their origin's name.
            SettlementGroup::Connection if Origin::from_name(&self.slice).is_some() => self.slice,
            SettlementGroup::Connection => ConnectionId::from(uuid()?).to_string(),
            SettlementGroup::Model | SettlementGroup::Day | SettlementGroup::Origin => self.slice,
        };
        Ok(SettlementSlice {
            group,
            calls: from_bigint(self.calls),
            estimated: self.estimated.0,
            settled: self.settled.0,
            provisional: self.provisional.0,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct CallRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = SqlUuid)]
    api_key_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    connection_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    origin: String,
    #[diesel(sql_type = Text)]
    region: String,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Text)]
    service_tier: String,
    #[diesel(sql_type = Text)]
    certainty: String,
    #[diesel(sql_type = Bool)]
    long_prompt: bool,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    unpriced_calls: i64,
    #[diesel(sql_type = Numeric)]
    estimated: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    fresh_input: i64,
    #[diesel(sql_type = BigInt)]
    cache_read: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_5m: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_1h: i64,
    #[diesel(sql_type = BigInt)]
    output: i64,
    #[diesel(sql_type = BigInt)]
    audio_input: i64,
    #[diesel(sql_type = BigInt)]
    audio_output: i64,
    #[diesel(sql_type = BigInt)]
    web_searches: i64,
}

impl TryFrom<CallRow> for SettlementCalls {
    type Error = StoreError;

    fn try_from(row: CallRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: SettlementCellKey {
                day: row.day,
                api_key_id: row.api_key_id.into(),
                connection_id: row.connection_id.map(Into::into),
                origin: named("request.origin", &row.origin, Origin::from_name)?,
                region: row.region,
                provider: row.provider,
                model: row.model,
                service_tier: row.service_tier,
                certainty: row.certainty,
                long_prompt: row.long_prompt,
            },
            calls: from_bigint(row.calls),
            unpriced_calls: from_bigint(row.unpriced_calls),
            estimated: row.estimated.0,
            usage: Usage {
                fresh_input: tokens(row.fresh_input),
                cache_read: tokens(row.cache_read),
                cache_write_5m: tokens(row.cache_write_5m),
                cache_write_1h: tokens(row.cache_write_1h),
                output: tokens(row.output),
                audio_input: tokens(row.audio_input),
                audio_output: tokens(row.audio_output),
                web_searches: from_bigint(row.web_searches),
                ..Usage::default()
            },
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct SettledRow {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    confidence: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Numeric)]
    even: Db<Decimal>,
    #[diesel(sql_type = Jsonb)]
    parts: serde_json::Value,
    #[diesel(sql_type = Date)]
    month: NaiveDate,
    #[diesel(sql_type = Timestamptz)]
    settled_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    fresh_input: i64,
    #[diesel(sql_type = BigInt)]
    cache_read: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_5m: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_1h: i64,
    #[diesel(sql_type = BigInt)]
    output: i64,
    #[diesel(sql_type = BigInt)]
    audio_input: i64,
    #[diesel(sql_type = BigInt)]
    audio_output: i64,
    #[diesel(sql_type = BigInt)]
    web_searches: i64,
}

impl SettledRow {
    fn used(&self, kind: &str) -> u64 {
        from_bigint(match kind {
            "fresh_input" => self.fresh_input,
            "cache_read" => self.cache_read,
            "cache_write_5m" => self.cache_write_5m,
            "cache_write_1h" => self.cache_write_1h,
            "output" => self.output,
            "audio_input" => self.audio_input,
            "audio_output" => self.audio_output,
            "searches" => self.web_searches,
            _ => 0,
        })
    }
}

impl TryFrom<SettledRow> for SettledCall {
    type Error = StoreError;

    fn try_from(row: SettledRow) -> Result<Self, StoreError> {
        let parts: Vec<SettledPart> = serde_json::from_value(row.parts.clone()).map_err(StoreError::bug)?;
        let by_use: Decimal =
            parts.iter().map(|part| share(part.cost, row.used(&part.kind), part.quantity)).sum();
        Ok(Self {
            month: row.month,
            state: named("settlement_cell.state", &row.state, SettlementState::from_name)?,
            confidence: named("settlement_cell.confidence", &row.confidence, MatchConfidence::from_name)?,
            cost: by_use + share(row.even.0, 1, from_bigint(row.calls)),
            settled_at: row.settled_at,
        })
    }
}
