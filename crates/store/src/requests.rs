//! Calls, read back: newest first, by keyset, within one tenant.

use chrono::{DateTime, Utc};
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Origin, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{ApiKeyId, ConnectionId, RequestId, TenantId, Usage, Usd};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::{Db, from_bigint, named, tokens};
use crate::schema::request;
use crate::{StoreError, TenantConn};

/// Which calls are wanted. An absent member narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestFilter {
    /// Made with this key.
    pub api_key_id: Option<ApiKeyId>,
    /// Sent through this connection.
    pub connection_id: Option<ConnectionId>,
    /// Sent to this provider.
    pub provider: Option<String>,
    /// Asked for this model, or served by it.
    pub model: Option<String>,
    /// Ended like this.
    pub outcome: Option<Outcome>,
    /// Seen by this.
    pub origin: Option<Origin>,
    /// Accepted at or after this moment.
    pub from: Option<DateTime<Utc>>,
    /// Accepted before this moment.
    pub to: Option<DateTime<Utc>>,
}

/// One page of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPage {
    /// The calls, newest first.
    pub items: Vec<RequestFact>,
    /// What to ask the next page with; `None` at the end.
    pub next_cursor: Option<RequestId>,
}

impl TenantConn {
    /// A page of calls, newest first. `cursor` is the `next_cursor` of the page before.
    pub async fn list_requests(
        &mut self,
        filter: &RequestFilter,
        cursor: Option<RequestId>,
        limit: u32,
    ) -> Result<RequestPage, StoreError> {
        let mut query = filter
            .rows(self.tenant_id())
            // A UUIDv7 sorts by its time, so this is newest first and follows the primary key.
            .order((request::day.desc(), request::id.desc()))
            .limit(i64::from(limit).saturating_add(1))
            .select(RequestRow::as_select());
        if let Some(cursor) = cursor {
            let day = cursor.day().ok_or(StoreError::NotFound)?;
            query = query.filter(request::day.le(day)).filter(request::id.lt(cursor.uuid()));
        }
        let rows: Vec<RequestRow> = query.load(self.conn()?).await?;
        let mut items = rows.into_iter().map(RequestFact::try_from).collect::<Result<Vec<_>, _>>()?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        let next_cursor = if more { items.last().map(|last| last.id) } else { None };
        Ok(RequestPage { items, next_cursor })
    }

    /// The next calls, oldest first, at most so many. `after` is the last one of those before.
    pub async fn requests_after(
        &mut self,
        filter: &RequestFilter,
        after: Option<RequestId>,
        most: u32,
    ) -> Result<Vec<RequestFact>, StoreError> {
        let mut query = filter
            .rows(self.tenant_id())
            .order((request::day, request::id))
            .limit(i64::from(most))
            .select(RequestRow::as_select());
        if let Some(after) = after {
            let day = after.day().ok_or(StoreError::NotFound)?;
            query = query.filter(request::day.ge(day)).filter(request::id.gt(after.uuid()));
        }
        let rows: Vec<RequestRow> = query.load(self.conn()?).await?;
        rows.into_iter().map(RequestFact::try_from).collect()
    }

    /// One call. [`StoreError::NotFound`] if the tenant has no such call.
    pub async fn request(&mut self, id: RequestId) -> Result<RequestFact, StoreError> {
        let day = id.day().ok_or(StoreError::NotFound)?;
        let row = request::table.find((self.tenant_id().uuid(), day, id.uuid()));
        row.select(RequestRow::as_select()).first(self.conn()?).await?.try_into()
    }
}

impl RequestFilter {
    /// The tenant's calls that it lets through.
    fn rows(&self, tenant: TenantId) -> IntoBoxed<'_, request::table, Pg> {
        let mut query = request::table.filter(request::tenant_id.eq(tenant.uuid())).into_boxed();
        if let Some(key) = self.api_key_id {
            query = query.filter(request::api_key_id.eq(key.uuid()));
        }
        if let Some(connection) = self.connection_id {
            let same = request::connection_id.eq(connection.uuid()).assume_not_null();
            query = query.filter(request::connection_id.is_not_null().and(same));
        }
        if let Some(provider) = &self.provider {
            query = query.filter(request::provider.eq(provider));
        }
        if let Some(model) = &self.model {
            let served = request::model_served.eq(model).assume_not_null();
            query = query.filter(
                request::model_requested.eq(model).or(request::model_served.is_not_null().and(served)),
            );
        }
        if let Some(outcome) = self.outcome {
            query = query.filter(request::outcome.eq(outcome.as_str()));
        }
        if let Some(origin) = self.origin {
            query = query.filter(request::origin.eq(origin.as_str()));
        }
        // The day, which is the partition, is the id's own and so the start's.
        if let Some(from) = self.from {
            query = query.filter(request::day.ge(from.date_naive())).filter(request::started_at.ge(from));
        }
        if let Some(to) = self.to {
            query = query.filter(request::day.le(to.date_naive())).filter(request::started_at.lt(to));
        }
        query
    }
}

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = request)]
pub(crate) struct RequestRow {
    tenant_id: Uuid,
    id: Uuid,
    api_key_id: Uuid,
    connection_id: Option<Uuid>,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    first_byte_ms: Option<i64>,
    provider: String,
    endpoint: String,
    model_requested: String,
    model_served: Option<String>,
    service_tier: Option<String>,
    streamed: bool,
    status: Option<i32>,
    outcome: String,
    error_code: Option<String>,
    fresh_input: i64,
    cache_read: i64,
    cache_write_5m: i64,
    cache_write_1h: i64,
    output: i64,
    reasoning: i64,
    audio_input: i64,
    audio_output: i64,
    web_searches: i64,
    cost_basis: String,
    cost: Option<Db<Usd>>,
    price: serde_json::Value,
    caller_request_id: Option<String>,
    provider_request_id: Option<String>,
    body: String,
    origin: String,
    region: Option<String>,
    response_id: Option<String>,
}

impl TryFrom<RequestRow> for RequestFact {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let milliseconds = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        let price: PriceReceipt = serde_json::from_value(row.price).map_err(StoreError::bug)?;
        Ok(Self {
            id: row.id.into(),
            tenant_id: row.tenant_id.into(),
            api_key_id: row.api_key_id.into(),
            connection_id: row.connection_id.map(Into::into),
            started_at: row.started_at,
            duration_ms: milliseconds(row.duration_ms),
            first_byte_ms: row.first_byte_ms.map(milliseconds),
            provider: row.provider,
            endpoint: row.endpoint,
            model_requested: row.model_requested,
            model_served: row.model_served,
            service_tier: row.service_tier,
            streamed: row.streamed,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            outcome: named("request.outcome", &row.outcome, Outcome::from_name)?,
            error_code: row.error_code,
            usage: Usage {
                fresh_input: tokens(row.fresh_input),
                cache_read: tokens(row.cache_read),
                cache_write_5m: tokens(row.cache_write_5m),
                cache_write_1h: tokens(row.cache_write_1h),
                output: tokens(row.output),
                reasoning: tokens(row.reasoning),
                audio_input: tokens(row.audio_input),
                audio_output: tokens(row.audio_output),
                web_searches: from_bigint(row.web_searches),
            },
            cost_basis: named("request.cost_basis", &row.cost_basis, CostBasis::from_name)?,
            cost: row.cost.map(|cost| cost.0),
            price,
            caller_request_id: row.caller_request_id,
            provider_request_id: row.provider_request_id,
            provenance: Provenance {
                origin: named("request.origin", &row.origin, Origin::from_name)?,
                region: row.region,
                response_id: row.response_id,
            },
            body: named("request.body", &row.body, BodyState::from_name)?,
        })
    }
}
