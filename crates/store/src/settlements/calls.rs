//! What is read about calls: their sums before they are settled, and what they cost afterwards.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::request::Origin;
use costlens_domain::settlement::{MatchConfidence, SettlementState};
use costlens_domain::{ApiKeyId, ConnectionId, Usage};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    SettledCall, SettledPart, SettlementCalls, SettlementCellKey, SettlementGroup, SettlementSlice, share,
};
use crate::StoreError;
use crate::db::{Db, from_bigint, named, tokens};

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

/// What one call or several used, of what bills count.
#[derive(QueryableByName)]
struct UsedRow {
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

impl From<UsedRow> for Usage {
    fn from(row: UsedRow) -> Self {
        Self {
            fresh_input: tokens(row.fresh_input),
            cache_read: tokens(row.cache_read),
            cache_write_5m: tokens(row.cache_write_5m),
            cache_write_1h: tokens(row.cache_write_1h),
            output: tokens(row.output),
            audio_input: tokens(row.audio_input),
            audio_output: tokens(row.audio_output),
            web_searches: from_bigint(row.web_searches),
            ..Self::default()
        }
    }
}

/// What calls have in common.
#[derive(QueryableByName)]
pub(super) struct CellKeyRow {
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
}

impl TryFrom<CellKeyRow> for SettlementCellKey {
    type Error = StoreError;

    fn try_from(row: CellKeyRow) -> Result<Self, StoreError> {
        Ok(Self {
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
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct CallRow {
    #[diesel(embed)]
    key: CellKeyRow,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    unpriced_calls: i64,
    #[diesel(sql_type = Numeric)]
    estimated: Db<Decimal>,
    #[diesel(embed)]
    used: UsedRow,
}

impl TryFrom<CallRow> for SettlementCalls {
    type Error = StoreError;

    fn try_from(row: CallRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.key.try_into()?,
            calls: from_bigint(row.calls),
            unpriced_calls: from_bigint(row.unpriced_calls),
            estimated: row.estimated.0,
            usage: row.used.into(),
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
    #[diesel(embed)]
    used: UsedRow,
}

/// How much of a cell's kind of tokens this is.
fn used(usage: &Usage, kind: &str) -> u64 {
    match kind {
        "fresh_input" => usage.fresh_input.0,
        "cache_read" => usage.cache_read.0,
        "cache_write_5m" => usage.cache_write_5m.0,
        "cache_write_1h" => usage.cache_write_1h.0,
        "output" => usage.output.0,
        "audio_input" => usage.audio_input.0,
        "audio_output" => usage.audio_output.0,
        "searches" => usage.web_searches,
        _ => 0,
    }
}

/// What some of a cell's calls cost that used so much: their share of each kind, and of what all share evenly.
pub(super) fn cost_within(
    parts: &[SettledPart],
    even: Decimal,
    (calls, of): (u64, u64),
    usage: &Usage,
) -> Decimal {
    let by_use: Decimal =
        parts.iter().map(|part| share(part.cost, used(usage, &part.kind), part.quantity)).sum();
    by_use + share(even, calls, of)
}

impl TryFrom<SettledRow> for SettledCall {
    type Error = StoreError;

    fn try_from(row: SettledRow) -> Result<Self, StoreError> {
        let parts: Vec<SettledPart> = serde_json::from_value(row.parts).map_err(StoreError::bug)?;
        let cost = cost_within(&parts, row.even.0, (1, from_bigint(row.calls)), &row.used.into());
        Ok(Self {
            month: row.month,
            state: named("settlement_cell.state", &row.state, SettlementState::from_name)?,
            confidence: named("settlement_cell.confidence", &row.confidence, MatchConfidence::from_name)?,
            cost,
            settled_at: row.settled_at,
        })
    }
}
