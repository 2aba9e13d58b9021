//! Spend, summed in SQL from the hourly rollup, never from raw requests.

use chrono::{DateTime, Utc};
use costlens_domain::export::HourlySpend;
use costlens_domain::request::{CostBasis, Outcome};
use costlens_domain::{ApiKeyId, Usage, Usd};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, BigInt, Nullable, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{Db, from_bigint, named, tokens};
use crate::schema::spend_hourly;
use crate::{RequestFilter, StoreError, TenantConn};

/// How long each point of a series lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendBucket {
    /// One UTC hour.
    Hour,
    /// One UTC day.
    Day,
}

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendGroup {
    /// The model that served, or was asked for where none says it served.
    Model,
    /// The provider.
    Provider,
    /// The API key, by id (`key_…`).
    Key,
}

/// Which hours and calls are summed. `from` counts and `to` does not; both are cut to whole hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendFilter {
    /// The first hour.
    pub from: DateTime<Utc>,
    /// The hour after the last.
    pub to: DateTime<Utc>,
    /// Made with this key.
    pub api_key_id: Option<ApiKeyId>,
    /// Sent to this provider.
    pub provider: Option<String>,
    /// Served by this model.
    pub model: Option<String>,
}

/// Sums over a set of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendTotals {
    /// All calls.
    pub requests: u64,
    /// Calls whose cost is exact.
    pub exact_requests: u64,
    /// Calls whose cost is estimated.
    pub estimated_requests: u64,
    /// Calls without a price; `cost` leaves them out.
    pub unpriced_requests: u64,
    /// Calls that did not complete.
    pub failed_requests: u64,
    /// What the calls used.
    pub usage: Usage,
    /// The cost of the priced calls; `None` where no call has a price.
    pub cost: Option<Usd>,
    /// The part of `cost` that is exact; `None` where no call's cost is.
    pub exact_cost: Option<Usd>,
    /// The part of `cost` that is estimated; `None` where no call's cost is.
    pub estimated_cost: Option<Usd>,
}

/// One point of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendPoint {
    /// When the bucket begins.
    pub at: DateTime<Utc>,
    /// The group; `None` in a series without groups, and of all groups that are not told apart.
    pub group: Option<String>,
    /// Its sums.
    pub totals: SpendTotals,
}

/// One row of a breakdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendSlice {
    /// The group.
    pub group: String,
    /// Its sums.
    pub totals: SpendTotals,
}

impl TenantConn {
    /// Sums per bucket (and group), oldest first. Buckets without calls are absent.
    pub async fn spend_series(
        &mut self,
        filter: &SpendFilter,
        bucket: SpendBucket,
        group: Option<SpendGroup>,
    ) -> Result<Vec<SpendPoint>, StoreError> {
        let rows = self.spend_rows(filter, Some(bucket), group, None, None).await?;
        rows.into_iter().map(|row| row.into_point(group)).collect()
    }

    /// The same with so many groups, those that are dearest over all of it, and the others as one without a name.
    pub async fn spend_series_of_dearest(
        &mut self,
        filter: &SpendFilter,
        bucket: SpendBucket,
        group: SpendGroup,
        most: u32,
    ) -> Result<Vec<SpendPoint>, StoreError> {
        let dearest = self.spend_rows(filter, None, Some(group), Some(most), None).await?;
        let named: Vec<String> = dearest.into_iter().filter_map(|row| row.slice).collect();
        let rows = self.spend_rows(filter, Some(bucket), Some(group), None, Some(&named)).await?;
        rows.into_iter().map(|row| row.into_point(Some(group))).collect()
    }

    /// Sums per group, dearest first, at most `limit`.
    pub async fn spend_breakdown(
        &mut self,
        filter: &SpendFilter,
        group: SpendGroup,
        limit: u32,
    ) -> Result<Vec<SpendSlice>, StoreError> {
        let rows = self.spend_rows(filter, None, Some(group), Some(limit), None).await?;
        rows.into_iter()
            .map(|row| {
                let name = shown_group(row.slice.clone().unwrap_or_default(), group)?;
                Ok(SpendSlice { group: name, totals: row.into_totals() })
            })
            .collect()
    }

    /// One sum over everything that the filter lets through.
    pub async fn spend_totals(&mut self, filter: &SpendFilter) -> Result<SpendTotals, StoreError> {
        let rows = self.spend_rows(filter, None, None, None, None).await?;
        Ok(rows.into_iter().next().map(SpendRow::into_totals).unwrap_or_default())
    }
}

/// Where in the rollup a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendPlace {
    hour: DateTime<Utc>,
    api_key_id: ApiKeyId,
    provider: String,
    model: String,
    outcome: Outcome,
    cost_basis: CostBasis,
}

impl From<&HourlySpend> for SpendPlace {
    fn from(row: &HourlySpend) -> Self {
        Self {
            hour: row.hour,
            api_key_id: row.api_key_id,
            provider: row.provider.clone(),
            model: row.model.clone(),
            outcome: row.outcome,
            cost_basis: row.cost_basis,
        }
    }
}

impl TenantConn {
    /// How many rows the hourly rollup has from this hour on.
    pub async fn count_hourly_spend(&mut self, from: DateTime<Utc>) -> Result<usize, StoreError> {
        let count: i64 = spend_hourly::table
            .filter(spend_hourly::tenant_id.eq(self.tenant_id().uuid()))
            .filter(spend_hourly::hour.ge(from))
            .count()
            .get_result(self.conn()?)
            .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Whether there are calls of earlier hours than this.
    pub async fn has_calls_before(&mut self, hour: DateTime<Utc>) -> Result<bool, StoreError> {
        let earlier = spend_hourly::table
            .filter(spend_hourly::tenant_id.eq(self.tenant_id().uuid()))
            .filter(spend_hourly::hour.lt(hour));
        Ok(diesel::select(diesel::dsl::exists(earlier)).get_result(self.conn()?).await?)
    }

    /// The next rows of the hourly rollup, oldest first, at most so many. `after` is where the last one of those before
    /// stands. Of the filter's connection the rollup knows nothing.
    pub async fn hourly_spend_after(
        &mut self,
        filter: &RequestFilter,
        after: Option<&SpendPlace>,
        most: u32,
    ) -> Result<Vec<HourlySpend>, StoreError> {
        let rows: Vec<HourlyRow> = diesel::sql_query(include_str!("sql/hourly_spend.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<Timestamptz>, _>(filter.from)
            .bind::<Nullable<Timestamptz>, _>(filter.to)
            .bind::<Nullable<sql_types::Uuid>, _>(filter.api_key_id.map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(filter.provider.as_deref())
            .bind::<Nullable<Text>, _>(filter.model.as_deref())
            .bind::<Nullable<Text>, _>(filter.outcome.map(Outcome::as_str))
            .bind::<Nullable<Timestamptz>, _>(after.map(|place| place.hour))
            .bind::<Nullable<sql_types::Uuid>, _>(after.map(|place| place.api_key_id.uuid()))
            .bind::<Nullable<Text>, _>(after.map(|place| place.provider.as_str()))
            .bind::<Nullable<Text>, _>(after.map(|place| place.model.as_str()))
            .bind::<Nullable<Text>, _>(after.map(|place| place.outcome.as_str()))
            .bind::<Nullable<Text>, _>(after.map(|place| place.cost_basis.as_str()))
            .bind::<BigInt, _>(i64::from(most))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(HourlySpend::try_from).collect()
    }
}

#[derive(QueryableByName)]
struct HourlyRow {
    #[diesel(sql_type = Timestamptz)]
    hour: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Uuid)]
    api_key_id: Uuid,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Text)]
    cost_basis: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
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
    reasoning: i64,
    #[diesel(sql_type = BigInt)]
    audio_input: i64,
    #[diesel(sql_type = BigInt)]
    audio_output: i64,
    #[diesel(sql_type = BigInt)]
    web_searches: i64,
    #[diesel(sql_type = Nullable<Numeric>)]
    cost: Option<Db<Usd>>,
}

impl TryFrom<HourlyRow> for HourlySpend {
    type Error = StoreError;

    fn try_from(row: HourlyRow) -> Result<Self, StoreError> {
        Ok(Self {
            hour: row.hour,
            api_key_id: row.api_key_id.into(),
            provider: row.provider,
            model: row.model,
            outcome: named("spend_hourly.outcome", &row.outcome, Outcome::from_name)?,
            cost_basis: named("spend_hourly.cost_basis", &row.cost_basis, CostBasis::from_name)?,
            requests: from_bigint(row.requests),
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
            cost: row.cost.map(|cost| cost.0),
        })
    }
}

impl TenantConn {
    async fn spend_rows(
        &mut self,
        filter: &SpendFilter,
        bucket: Option<SpendBucket>,
        group: Option<SpendGroup>,
        limit: Option<u32>,
        named: Option<&[String]>,
    ) -> Result<Vec<SpendRow>, StoreError> {
        let tenant = self.tenant_id().uuid();
        let rows = diesel::sql_query(include_str!("sql/spend.sql"))
            .bind::<sql_types::Uuid, _>(tenant)
            .bind::<Timestamptz, _>(filter.from)
            .bind::<Timestamptz, _>(filter.to)
            .bind::<Nullable<sql_types::Uuid>, _>(filter.api_key_id.map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(filter.provider.as_deref())
            .bind::<Nullable<Text>, _>(filter.model.as_deref())
            .bind::<Nullable<Text>, _>(bucket.map(SpendBucket::name))
            .bind::<Nullable<Text>, _>(group.map(SpendGroup::name))
            .bind::<Nullable<BigInt>, _>(limit.map(i64::from))
            .bind::<Nullable<Array<Text>>, _>(named)
            .load(self.conn()?)
            .await?;
        Ok(rows)
    }
}

impl SpendBucket {
    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl SpendGroup {
    const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Key => "key",
        }
    }
}

/// A key's group is its id as people see it.
fn shown_group(slice: String, group: SpendGroup) -> Result<String, StoreError> {
    match group {
        SpendGroup::Key => {
            let id = Uuid::try_parse(&slice).map_err(StoreError::bug)?;
            Ok(ApiKeyId::from(id).to_string())
        }
        SpendGroup::Model | SpendGroup::Provider => Ok(slice),
    }
}

#[derive(QueryableByName)]
struct SpendRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    slice: Option<String>,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    exact_requests: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    estimated_requests: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    unpriced_requests: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    failed_requests: Option<i64>,
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
    reasoning: i64,
    #[diesel(sql_type = BigInt)]
    audio_input: i64,
    #[diesel(sql_type = BigInt)]
    audio_output: i64,
    #[diesel(sql_type = BigInt)]
    web_searches: i64,
    #[diesel(sql_type = Nullable<Numeric>)]
    cost: Option<Db<Usd>>,
    #[diesel(sql_type = Nullable<Numeric>)]
    exact_cost: Option<Db<Usd>>,
    #[diesel(sql_type = Nullable<Numeric>)]
    estimated_cost: Option<Db<Usd>>,
}

impl SpendRow {
    fn into_point(self, group: Option<SpendGroup>) -> Result<SpendPoint, StoreError> {
        let at = self.at.ok_or_else(|| StoreError::bug("a point of a series has no time"))?;
        let group = match (group, self.slice.clone()) {
            (Some(group), Some(slice)) => Some(shown_group(slice, group)?),
            _ => None,
        };
        Ok(SpendPoint { at, group, totals: self.into_totals() })
    }

    fn into_totals(self) -> SpendTotals {
        let count = |count: Option<i64>| from_bigint(count.unwrap_or_default());
        SpendTotals {
            requests: from_bigint(self.requests),
            exact_requests: count(self.exact_requests),
            estimated_requests: count(self.estimated_requests),
            unpriced_requests: count(self.unpriced_requests),
            failed_requests: count(self.failed_requests),
            usage: Usage {
                fresh_input: tokens(self.fresh_input),
                cache_read: tokens(self.cache_read),
                cache_write_5m: tokens(self.cache_write_5m),
                cache_write_1h: tokens(self.cache_write_1h),
                output: tokens(self.output),
                reasoning: tokens(self.reasoning),
                audio_input: tokens(self.audio_input),
                audio_output: tokens(self.audio_output),
                web_searches: from_bigint(self.web_searches),
            },
            cost: self.cost.map(|cost| cost.0),
            exact_cost: self.exact_cost.map(|cost| cost.0),
            estimated_cost: self.estimated_cost.map(|cost| cost.0),
        }
    }
}
