//! Spend over time and by what: sums made in SQL, from rollups of proxied calls or from bills.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::{Currency, Usd};
use costlens_store::{SpendBucket, SpendFilter, SpendGroup, SpendTotals};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::dates;
use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::requests::UsageView;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How long each point of a series lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Interval {
    /// One UTC hour.
    Hour,
    /// One UTC day.
    #[default]
    Day,
}

/// What a series is told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum GroupBy {
    /// Nothing: one sum a point.
    #[default]
    None,
    /// The model that served.
    Model,
    /// The provider.
    Provider,
    /// The API key.
    Key,
}

/// What a breakdown is told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum BreakdownBy {
    /// The model that served.
    #[default]
    Model,
    /// The provider.
    Provider,
    /// The API key.
    Key,
}

/// Sums over a set of calls.
#[derive(Object)]
pub struct SpendSums {
    /// All calls.
    pub requests: u64,
    /// Calls whose cost is estimated.
    pub estimated_requests: u64,
    /// Calls without a price; `cost` leaves them out.
    pub unpriced_requests: u64,
    /// Calls that did not complete.
    pub failed_requests: u64,
    /// The cost of the priced calls; null where no call has a price.
    #[oai(nullable)]
    pub cost: Option<Wire<Usd>>,
    /// The part of `cost` that is estimated; null where none is.
    #[oai(nullable)]
    pub estimated_cost: Option<Wire<Usd>>,
    /// What the calls used.
    pub usage: UsageView,
}

impl From<SpendTotals> for SpendSums {
    fn from(totals: SpendTotals) -> Self {
        Self {
            requests: totals.requests,
            estimated_requests: totals.estimated_requests,
            unpriced_requests: totals.unpriced_requests,
            failed_requests: totals.failed_requests,
            cost: totals.cost.map(Wire),
            estimated_cost: totals.estimated_cost.map(Wire),
            usage: totals.usage.into(),
        }
    }
}

/// One point of a series.
#[derive(Object)]
#[oai(rename = "SpendPoint")]
pub struct SpendPointView {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// The group; null in a series without groups, and of all groups beyond the 50 dearest together.
    #[oai(nullable)]
    pub group: Option<String>,
    /// Its sums.
    pub sums: SpendSums,
}

/// Spend over time, as the proxy estimated it. Points without calls are absent.
#[derive(Object)]
pub struct SpendSeries {
    /// The first moment that counts.
    pub from: DateTime<Utc>,
    /// The first moment that no longer counts.
    pub to: DateTime<Utc>,
    /// How long each point lasts.
    pub interval: Interval,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// The points, oldest first; of one time the dearest first.
    pub points: Vec<SpendPointView>,
    /// One sum over all of it.
    pub total: SpendSums,
}

/// One group of a breakdown.
#[derive(Object)]
#[oai(rename = "SpendSlice")]
pub struct SpendSliceView {
    /// The group.
    pub group: String,
    /// Its sums.
    pub sums: SpendSums,
}

/// Spend by one dimension, dearest first.
#[derive(Object)]
pub struct SpendBreakdown {
    /// The first moment that counts.
    pub from: DateTime<Utc>,
    /// The first moment that no longer counts.
    pub to: DateTime<Utc>,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// The groups, dearest first.
    pub items: Vec<SpendSliceView>,
}

pub(crate) struct SpendApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Spend")]
impl SpendApi {
    /// Spend over time
    ///
    /// What the proxied calls cost by their own usage and the price list: an estimate of the bill, exact per call. Of groups
    /// the 50 are told apart that are dearest over all of it. Hours of groups are told for 31 days at most, anything else
    /// for 400.
    #[expect(clippy::too_many_arguments, reason = "each is one query parameter of the contract")]
    #[oai(path = "/spend/series", method = "get", operation_id = "get_spend_series")]
    async fn series(
        &self,
        caller: Caller,
        /// The first moment that counts; 30 days before `to` by default. Cut to the interval.
        from: Query<Option<DateTime<Utc>>>,
        /// The first moment that no longer counts; the end of the present hour by default.
        to: Query<Option<DateTime<Utc>>>,
        /// How long each point lasts.
        #[oai(default)]
        interval: Query<Interval>,
        /// What the points are told apart by.
        #[oai(default)]
        group_by: Query<GroupBy>,
        /// Of this provider alone.
        provider: Query<Option<String>>,
        /// Of this model alone.
        model: Query<Option<String>>,
    ) -> Result<Json<SpendSeries>, ApiError> {
        let tenant = caller.require(Permission::SpendRead)?;
        let filter = self.filter(from.0, to.0, interval.0, provider.0, model.0)?;
        let bucket = match interval.0 {
            Interval::Hour => SpendBucket::Hour,
            Interval::Day => SpendBucket::Day,
        };
        let group = match group_by.0 {
            GroupBy::None => None,
            GroupBy::Model => Some(SpendGroup::Model),
            GroupBy::Provider => Some(SpendGroup::Provider),
            GroupBy::Key => Some(SpendGroup::Key),
        };
        if bucket == SpendBucket::Hour && group.is_some() && filter.to - filter.from > LONGEST_OF_GROUPS {
            return Err(ApiError::field("from", "must lie at most 31 days before `to` for hours of groups"));
        }
        let mut conn = self.0.store.tenant(tenant).await?;
        let points = match group {
            Some(group) => conn.spend_series_of_dearest(&filter, bucket, group, MOST_GROUPS).await?,
            None => conn.spend_series(&filter, bucket, None).await?,
        };
        let total = conn.spend_totals(&filter).await?;
        let view = |point: costlens_store::SpendPoint| SpendPointView {
            start: point.at,
            group: point.group,
            sums: point.totals.into(),
        };
        Ok(Json(SpendSeries {
            from: filter.from,
            to: filter.to,
            interval: interval.0,
            currency: Wire(Currency::USD),
            points: points.into_iter().map(view).collect(),
            total: total.into(),
        }))
    }

    /// Spend by model, provider or key
    #[oai(path = "/spend/breakdown", method = "get", operation_id = "get_spend_breakdown")]
    async fn breakdown(
        &self,
        caller: Caller,
        /// The first moment that counts; 30 days before `to` by default.
        from: Query<Option<DateTime<Utc>>>,
        /// The first moment that no longer counts; the end of the present hour by default.
        to: Query<Option<DateTime<Utc>>>,
        /// By what.
        #[oai(default)]
        by: Query<BreakdownBy>,
        /// How many groups at most.
        #[oai(default = "default_groups", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
    ) -> Result<Json<SpendBreakdown>, ApiError> {
        let tenant = caller.require(Permission::SpendRead)?;
        let filter = self.filter(from.0, to.0, Interval::Hour, None, None)?;
        let group = match by.0 {
            BreakdownBy::Model => SpendGroup::Model,
            BreakdownBy::Provider => SpendGroup::Provider,
            BreakdownBy::Key => SpendGroup::Key,
        };
        let slices = self.0.store.tenant(tenant).await?.spend_breakdown(&filter, group, limit.0).await?;
        let view = |slice: costlens_store::SpendSlice| SpendSliceView {
            group: slice.group,
            sums: slice.totals.into(),
        };
        Ok(Json(SpendBreakdown {
            from: filter.from,
            to: filter.to,
            currency: Wire(Currency::USD),
            items: slices.into_iter().map(view).collect(),
        }))
    }
}

/// The longest range of one answer: a year of hours is 8,784 points a group.
const LONGEST: TimeDelta = TimeDelta::days(400);
/// The longest range of hours that are told apart by groups, and how many groups are: some 38,000 points.
const LONGEST_OF_GROUPS: TimeDelta = TimeDelta::days(31);
const MOST_GROUPS: u32 = 50;

impl SpendApi {
    fn filter(
        &self,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        interval: Interval,
        provider: Option<String>,
        model: Option<String>,
    ) -> Result<SpendFilter, ApiError> {
        let step = match interval {
            Interval::Hour => TimeDelta::hours(1),
            Interval::Day => TimeDelta::days(1),
        };
        let (from, to) = (dates::moment("from", from)?, dates::moment("to", to)?);
        let to = ceil(to.unwrap_or_else(|| self.0.clock.now()), TimeDelta::hours(1));
        let from = floor(from.unwrap_or(to - TimeDelta::days(30)), step);
        if from >= to {
            return Err(ApiError::field("from", "must lie before `to`"));
        }
        if to - from > LONGEST {
            return Err(ApiError::field("from", "must lie at most 400 days before `to`"));
        }
        Ok(SpendFilter { from, to, api_key_id: None, provider, model })
    }
}

fn floor(at: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let seconds = at.timestamp() - at.timestamp().rem_euclid(step.num_seconds());
    DateTime::from_timestamp(seconds, 0).unwrap_or(at)
}

fn ceil(at: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let down = floor(at, step);
    if down == at { at } else { down + step }
}

fn default_groups() -> u32 {
    20
}
