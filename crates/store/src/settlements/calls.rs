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
