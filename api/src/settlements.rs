//! Settlements: what a month's calls cost by its bills, why that is not what was estimated, and who went around the
//! proxy.

pub(crate) mod views;

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use costlens_domain::RequestId;
use costlens_store::{Settlement, SettlementKey};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

pub use views::{
    CostMeasureView, CoverageReport, CoverageView, IssuerView, MatchConfidenceView, PriceFindingView,
    ResidualCodeView, ResidualSideView, ResidualView, SettledCostView, SettledRequest, SettlementBreakdown,
    SettlementCursor, SettlementDayView, SettlementDetails, SettlementGroupView, SettlementPriceView,
    SettlementPrices, SettlementSliceView, SettlementStateView, SettlementView,
};

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// Any day of a month means the month.
fn key(issuer: IssuerView, day: NaiveDate, measure: CostMeasureView) -> SettlementKey {
    SettlementKey { issuer: issuer.into(), month: day.with_day(1).unwrap_or(day), measure: measure.into() }
}

pub(crate) struct SettlementsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl SettlementsApi {
    /// List settled months
    ///
    /// Newest month first, and each month once for every issuer of bills that has any.
    #[oai(path = "/settlements", method = "get", operation_id = "list_settlements")]
    async fn list(
        &self,
        caller: Caller,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<SettlementCursor>>>,
    ) -> Result<Json<Page<SettlementView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let after = cursor.0.map(|Wire(SettlementCursor(month, issuer))| (month, issuer));
        let months = conn.list_settlements(measure.0.into(), after, limit.0.saturating_add(1)).await?;
        let place = |one: &Settlement| SettlementCursor(one.key.month, one.key.issuer).to_string();
        Ok(Json(Page::of(months, limit.0, place, Into::into)))
    }

    /// Get a settled month
    ///
    /// What its calls were estimated to cost, what they cost by the bills, every difference by its reason, and how near
    /// the estimates came, day by day.
    #[oai(path = "/settlements/:month", method = "get", operation_id = "get_settlement")]
    async fn get(
        &self,
        caller: Caller,
        /// Any day of the month.
        month: Path<Wire<NaiveDate>>,
        /// Whose bills.
        #[oai(default)]
        issuer: Query<IssuerView>,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
    ) -> Result<Json<SettlementDetails>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = key(issuer.0, month.0.0, measure.0);
        let settlement = conn.settlement(key).await?;
        let residuals = conn.settlement_residuals(key).await?;
        let days = conn.settlement_days(key).await?;
        Ok(Json(SettlementDetails {
            settlement: settlement.into(),
            residuals: residuals.into_iter().map(Into::into).collect(),
            days: days.into_iter().map(Into::into).collect(),
        }))
    }

    /// Break a settled month down
    ///
    /// Estimated and settled costs by one dimension, dearest first. The sum over all rows is the month's `settled`.
    #[oai(path = "/settlements/:month/breakdown", method = "get", operation_id = "get_settlement_breakdown")]
    async fn breakdown(
        &self,
        caller: Caller,
        /// Any day of the month.
        month: Path<Wire<NaiveDate>>,
        /// By what.
        #[oai(default)]
        by: Query<SettlementGroupView>,
        /// Whose bills.
        #[oai(default)]
        issuer: Query<IssuerView>,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
        /// How many rows at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<SettlementBreakdown>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = key(issuer.0, month.0.0, measure.0);
        let version = Wire(conn.settlement(key).await?.version);
        let slices = conn.settlement_slices(key, by.0.into(), limit.0).await?;
        Ok(Json(SettlementBreakdown { version, items: slices.into_iter().map(Into::into).collect() }))
    }

    /// Who used what, and how much of it went through the proxy
    ///
    /// By account, region, principal and model, what went around the proxy first.
    #[oai(path = "/settlements/:month/coverage", method = "get", operation_id = "get_settlement_coverage")]
    async fn coverage(
        &self,
        caller: Caller,
        /// Any day of the month.
        month: Path<Wire<NaiveDate>>,
        /// Whose bills.
        #[oai(default)]
        issuer: Query<IssuerView>,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
        /// How many rows at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<CoverageReport>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = key(issuer.0, month.0.0, measure.0);
        let version = Wire(conn.settlement(key).await?.version);
        let rows = conn.settlement_coverage(key, limit.0).await?;
        Ok(Json(CoverageReport { version, items: rows.into_iter().map(Into::into).collect() }))
    }

    /// Unit prices by the bill, beside the catalogue's
    #[oai(path = "/settlements/:month/prices", method = "get", operation_id = "get_settlement_prices")]
    async fn prices(
        &self,
        caller: Caller,
        /// Any day of the month.
        month: Path<Wire<NaiveDate>>,
        /// Whose bills.
        #[oai(default)]
        issuer: Query<IssuerView>,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
        /// How many rows at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<SettlementPrices>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = key(issuer.0, month.0.0, measure.0);
        let version = Wire(conn.settlement(key).await?.version);
        let rows = conn.settlement_prices(key, limit.0).await?;
        Ok(Json(SettlementPrices { version, items: rows.into_iter().map(Into::into).collect() }))
    }

    /// What one call cost by the bill
    #[oai(path = "/requests/:id/settled-cost", method = "get", operation_id = "get_settled_cost")]
    async fn settled_cost(
        &self,
        caller: Caller,
        id: Path<Wire<RequestId>>,
        /// Which of the bill's costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
    ) -> Result<Json<SettledRequest>, ApiError> {
        let tenant = caller.require(Permission::RequestsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let request = conn.request(id.0.0).await?;
        let settled = conn.settled_call(request.id, measure.0.into()).await?;
        Ok(Json(SettledRequest { request_id: Wire(request.id), settled: settled.map(Into::into) }))
    }
}
