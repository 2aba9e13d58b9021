//! A settlement's cells, its prices and its days, on their way into the tables and out of them.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::ConnectionId;
use costlens_domain::settlement::PriceFinding;
use diesel::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::rows::mended;
use super::{SettlementCell, SettlementDay, SettlementKey, SettlementPrice};
use crate::StoreError;
use crate::bills::measure_name;
use crate::db::{Db, from_bigint, named, to_bigint};
use crate::schema::{settlement_cell, settlement_day, settlement_price};

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
