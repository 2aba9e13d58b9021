//! Bills: listed, shown, and broken down. How they come in is told in [`uploads`].

pub mod uploads;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::audit::Action;
use costlens_domain::bill::{Dimension, Measure, ReportFormat, ResourceCost, Slice, shares};
use costlens_domain::classify::Verdict;
use costlens_domain::{BillId, Currency, ProblemCode};
use costlens_jobs::insight::LookAtFacts;
use costlens_jobs::settlement::ask_to_settle_without;
use costlens_store::{Bill, BillFilter, Drift, TenantConn, Withdrawal};
use poem::Body;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use rust_decimal::Decimal;
use serde_json::json;

use crate::error::ApiError;
use crate::page::{DEFAULT_LIMIT, Page};
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// Which schema a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ReportFormat", rename_all = "snake_case", remote = "ReportFormat")]
pub enum ReportFormatView {
    /// The legacy Cost and Usage Report.
    LegacyCur,
    /// CUR 2.0.
    Cur2,
    /// FOCUS 1.x.
    Focus,
    /// Anthropic's own cost report.
    AnthropicCosts,
    /// OpenAI's own costs.
    #[oai(rename = "openai_costs")]
    OpenAiCosts,
    /// Azure's actual costs.
    AzureCosts,
    /// Azure's amortised costs: no line says what was billed for commitments.
    AzureAmortised,
    /// FOCUS from Azure.
    AzureFocus,
    /// Google Cloud's billing export.
    GoogleCosts,
    /// FOCUS from Google Cloud.
    GoogleFocus,
}

/// What a breakdown of a bill groups by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum BillDimension {
    /// The service, such as `bedrock`.
    #[default]
    Service,
    /// The kind of use within a service.
    Category,
    /// The model.
    Model,
    /// The token class, or what else is counted.
    TokenClass,
    /// The account that used it.
    Account,
    /// The region.
    Region,
    /// The IAM principal.
    Principal,
    /// The service tier.
    Tier,
    /// How inference was routed.
    Routing,
    /// The instance type, such as `p5.48xlarge`.
    InstanceType,
    /// The accelerators of an instance, such as `8 × H100`.
    Accelerator,
    /// The UTC day.
    Day,
}

impl From<BillDimension> for Dimension {
    fn from(dimension: BillDimension) -> Self {
        match dimension {
            BillDimension::Service => Self::Service,
            BillDimension::Category => Self::Category,
            BillDimension::Model => Self::Model,
            BillDimension::TokenClass => Self::Meter,
            BillDimension::Account => Self::Account,
            BillDimension::Region => Self::Region,
            BillDimension::Principal => Self::Principal,
            BillDimension::Tier => Self::Tier,
            BillDimension::Routing => Self::Routing,
            BillDimension::InstanceType => Self::InstanceType,
            BillDimension::Accelerator => Self::Accelerator,
            BillDimension::Day => Self::Day,
        }
    }
}

/// Which of a line's costs is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "BillMeasure", rename_all = "snake_case", remote = "Measure")]
pub enum MeasureView {
    /// As billed on the day.
    #[default]
    Unblended,
    /// As billed, after private discounts.
    NetUnblended,
    /// Commitments spread over what they cover.
    Amortised,
    /// Commitments spread over what they cover, after private discounts: what use really costs.
    NetAmortised,
    /// By the public list price, without any discount or commitment.
    List,
}

/// The AI of a bill by each measure; null where it is unknown, which is never zero: the bill does not say it, or it was
/// read before this was kept and says it once it is read again.
#[derive(Object)]
pub struct BillCosts {
    /// As billed on the day.
    pub unblended: Wire<Exact>,
    /// As billed, after private discounts.
    #[oai(nullable)]
    pub net_unblended: Option<Wire<Exact>>,
    /// Commitments spread over what they cover.
    #[oai(nullable)]
    pub amortised: Option<Wire<Exact>>,
    /// Commitments spread over what they cover, after private discounts.
    #[oai(nullable)]
    pub net_amortised: Option<Wire<Exact>>,
    /// By the public list price.
    #[oai(nullable)]
    pub list: Option<Wire<Exact>>,
}

/// The whole bill of one currency, and the AI in it.
#[derive(Object)]
pub struct BillShare {
    /// What the amounts count. Amounts of two currencies are never added.
    pub currency: Wire<Currency>,
    /// All lines.
    pub total_cost: Wire<Exact>,
    /// What is AI.
    pub ai_cost: Wire<Exact>,
    /// What the AI costs by each measure.
    pub ai_costs: BillCosts,
    /// What may be AI, accelerators and the like, and no rule of its people counts.
    pub candidate_cost: Wire<Exact>,
    /// The AI part in percent; null where the whole is not positive.
    #[oai(nullable)]
    pub ai_percent: Option<Wire<Exact>>,
    /// How many lines there are.
    pub lines: u64,
}

/// One of the dearest resources.
#[derive(Object)]
pub struct BillResource {
    /// The ARN or name as billed.
    pub resource_id: String,
    /// The account that used it.
    pub account: String,
    /// The service.
    pub service: String,
    /// What the amount counts.
    pub currency: Wire<Currency>,
    /// The cost as billed.
    pub cost: Wire<Exact>,
}

impl From<ResourceCost> for BillResource {
    fn from(resource: ResourceCost) -> Self {
        Self {
            resource_id: resource.resource_id.to_string(),
            account: resource.usage_account.to_string(),
            service: resource.service.to_string(),
            currency: Wire(resource.currency),
            cost: Wire(Exact(resource.unblended)),
        }
    }
}

/// A delivery of a report.
#[derive(Object)]
#[oai(rename = "Bill")]
pub struct BillView {
    /// The bill.
    pub id: Wire<BillId>,
    /// The file's name.
    pub name: String,
    /// Which schema it has.
    pub format: ReportFormatView,
    /// The earliest day of any line; null for a bill without dates.
    #[oai(nullable)]
    pub first_day: Option<Wire<NaiveDate>>,
    /// The latest day of any line.
    #[oai(nullable)]
    pub last_day: Option<Wire<NaiveDate>>,
    /// How many lines were read.
    pub lines: u64,
    /// The whole and the AI part, currency by currency.
    pub totals: Vec<BillShare>,
    /// The dearest AI resources.
    pub resources: Vec<BillResource>,
    /// Line-item types without a rule of their own; their cost as billed was kept.
    pub unknown_line_types: Vec<String>,
    /// What was left out: files of an upload that are no bill, and usage whose cost a vendor's report does not tell.
    pub left_out: Vec<String>,
    /// When it was read.
    pub imported_at: DateTime<Utc>,
    /// Whether it can be withdrawn: it counts, and no connected AWS account or vendor would bring it again.
    pub withdrawable: bool,
    /// Since when it counts no longer: a newer delivery of the same month does in its place, or it was withdrawn; null while
    /// it counts.
    #[oai(nullable)]
    pub superseded_at: Option<DateTime<Utc>>,
    /// Since when it counts no longer because somebody withdrew it.
    #[oai(nullable)]
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The first days of months that count as a connected AWS account delivers them, and no longer as this bill has them;
    /// its totals are those of its file.
    pub given_up: Vec<Wire<NaiveDate>>,
}

/// A bill was withdrawn.
#[derive(ApiResponse)]
pub enum BillWithdrawn {
    /// It counts in no sum any more.
    #[oai(status = 204)]
    Withdrawn,
}

/// One row of a bill's breakdown.
#[derive(Object)]
#[oai(rename = "BillSlice")]
pub struct BillSliceView {
    /// The value of the dimension; empty for lines that have none.
    pub group: String,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// The sum; null where it is unknown for any of the lines, which is never zero.
    #[oai(nullable)]
    pub cost: Option<Wire<Exact>>,
    /// The tokens behind the part that is billed by tokens.
    pub tokens: Wire<Exact>,
    /// The average price of a million tokens; null where nothing was billed by tokens, or the cost of it is unknown.
    #[oai(nullable)]
    pub unit_cost_per_million: Option<Wire<Exact>>,
    /// How many bill lines were added up.
    pub lines: u64,
}

impl From<Slice> for BillSliceView {
    fn from(slice: Slice) -> Self {
        let rate = slice.rate_per_million().map(|rate| Wire(Exact(rate.round_dp(6))));
        Self {
            group: slice.key,
            currency: Wire(slice.currency),
            cost: known(slice.cost),
            tokens: Wire(Exact(slice.tokens)),
            unit_cost_per_million: rate,
            lines: slice.lines,
        }
    }
}

/// A bill by one dimension, dearest first, currency by currency.
#[derive(Object)]
pub struct BillBreakdown {
    /// The rows.
    pub items: Vec<BillSliceView>,
}

/// AI lines of one usage type that no rule of ours could take apart.
#[derive(Object)]
#[oai(rename = "BillDriftRow")]
pub struct DriftView {
    /// The usage type as billed; empty where the bill names none.
    pub usage_type: String,
    /// The product code as billed.
    pub product_code: String,
    /// The product's name; empty where the bill gives none.
    pub product_name: String,
    /// The service that the lines belong to.
    pub service: String,
    /// The unit in which usage is counted, as billed.
    pub pricing_unit: String,
    /// What the cost counts.
    pub currency: Wire<Currency>,
    /// The unblended cost, which is in the AI total.
    pub cost: Wire<Exact>,
    /// How many bill lines there are.
    pub lines: u64,
    /// The first UTC day with such a line.
    pub first_day: Wire<NaiveDate>,
    /// The last UTC day with such a line.
    pub last_day: Wire<NaiveDate>,
}

impl From<Drift> for DriftView {
    fn from(drift: Drift) -> Self {
        Self {
            usage_type: drift.usage_type,
            product_code: drift.product_code,
            product_name: drift.product_name,
            service: drift.service,
            pricing_unit: drift.pricing_unit,
            currency: Wire(drift.currency),
            cost: Wire(Exact(drift.cost)),
            lines: drift.lines,
            first_day: Wire(drift.first_day),
            last_day: Wire(drift.last_day),
        }
    }
}

/// What no rule knows, dearest first, currency by currency.
#[derive(Object)]
pub struct BillDrift {
    /// The rows; none where every AI line was understood.
    pub items: Vec<DriftView>,
}

/// What one day cost by the bills.
#[derive(Object)]
#[oai(rename = "BillPoint")]
pub struct BillPointView {
    /// The UTC day.
    pub day: Wire<NaiveDate>,
    /// The group; null in a series without groups.
    #[oai(nullable)]
    pub group: Option<String>,
    /// What the amount counts.
    pub currency: Wire<Currency>,
    /// The sum; null where it is unknown for any of the lines, which is never zero.
    #[oai(nullable)]
    pub cost: Option<Wire<Exact>>,
}

/// AI spend by day as billed: every current bill, currency by currency. Days without lines are absent.
#[derive(Object)]
pub struct BillSeries {
    /// The points, oldest first.
    pub points: Vec<BillPointView>,
}

pub(crate) struct BillsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl BillsApi {
    /// List bills
    ///
    /// Newest first, superseded deliveries included.
    #[oai(path = "/bills", method = "get", operation_id = "list_bills")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<BillId>>>,
    ) -> Result<Json<Page<BillView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let bills = conn.list_bills(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        let withdrawable = conn.withdrawable_bills(&bills).await?;
        let view = |bill: Bill| {
            let is_withdrawable = withdrawable.contains(&bill.id);
            bill_view(bill, is_withdrawable)
        };
        let mut page = Page::of(bills, limit.0, |bill| bill.id.to_string(), view);
        for view in &mut page.items {
            view.totals = totals(&mut conn, view.id.0).await?;
        }
        Ok(Json(page))
    }

    /// Upload a bill
    ///
    /// The body is the file: legacy CUR, CUR 2.0, a cost export of Azure, Google Cloud's billing export or FOCUS 1.x, as CSV,
    /// lines of JSON (Google's), either with gzip, or Parquet, told apart by its
    /// columns. It is kept at once and read afterwards, as a whole: a truncated or corrupt file names its place in the
    /// upload's problem and changes nothing. A newer delivery of the same month takes the older one's place; the same
    /// content as that of a bill which counts makes no second one.
    #[oai(path = "/bills", method = "post", operation_id = "create_bill")]
    async fn create(
        &self,
        caller: Caller,
        /// What the file is called.
        #[oai(validator(min_length = 1, max_length = 255))]
        filename: Query<String>,
        /// The same key, name and content have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Binary<Body>,
    ) -> Result<uploads::BillAccepted, ApiError> {
        let tenant = caller.require(Permission::BillsWrite)?;
        let by = caller.principal().by();
        uploads::create(&self.0, (tenant, by), filename.0, idempotency_key.0.as_ref(), body.0).await
    }

    /// AI spend by day, as billed
    ///
    /// Of every bill that counts (no superseded delivery), apart by currency.
    #[oai(path = "/bills/series", method = "get", operation_id = "get_bill_series")]
    async fn series(
        &self,
        caller: Caller,
        /// From this day.
        from: Query<Option<Wire<NaiveDate>>>,
        /// Before this day.
        to: Query<Option<Wire<NaiveDate>>>,
        /// What the points are told apart by; one sum a day without it.
        group_by: Query<Option<BillDimension>>,
        /// Which cost. What a bill does not tell by it is null, never zero.
        #[oai(default)]
        measure: Query<MeasureView>,
    ) -> Result<Json<BillSeries>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let filter = BillFilter {
            bill_id: None,
            from: from.0.map(|day| day.0),
            to: to.0.map(|day| day.0),
            verdict: Some(Verdict::Ai),
        };
        let mut conn = self.0.store.tenant(tenant).await?;
        let points = conn.bill_series(&filter, group_by.0.map(Into::into), measure.0.into()).await?;
        let view = |point: costlens_store::BillPoint| BillPointView {
            day: Wire(point.day),
            group: point.group,
            currency: Wire(point.currency),
            cost: known(point.cost),
        };
        Ok(Json(BillSeries { points: points.into_iter().map(view).collect() }))
    }

    /// List what no rule knows
    ///
    /// AI lines that were kept and counted, but that no rule could take apart: a usage type or model that is newer than
    /// the rules. Of one bill, or of every bill that counts.
    #[oai(path = "/bills/drift", method = "get", operation_id = "list_bill_drift")]
    async fn drift(
        &self,
        caller: Caller,
        /// Of this bill alone, also where a newer delivery counts in its place.
        bill_id: Query<Option<Wire<BillId>>>,
        /// How many rows of each currency at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<BillDrift>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let bill = match bill_id.0 {
            // Another tenant's bill is not found, rather than found without drift.
            Some(id) => Some(conn.bill(id.0).await?.id),
            None => None,
        };
        let drift = conn.bill_drift(bill, limit.0).await?;
        Ok(Json(BillDrift { items: drift.into_iter().map(Into::into).collect() }))
    }

    /// Get one bill
    #[oai(path = "/bills/:id", method = "get", operation_id = "get_bill")]
    async fn get(&self, caller: Caller, id: Path<Wire<BillId>>) -> Result<Json<BillView>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let bill = conn.bill(id.0.0).await?;
        let withdrawable = conn.withdrawable_bills(std::slice::from_ref(&bill)).await?;
        let mut view = bill_view(bill, !withdrawable.is_empty());
        view.totals = totals(&mut conn, id.0.0).await?;
        Ok(Json(view))
    }

    /// Withdraw a bill
    ///
    /// It stays in the list and counts in no sum any more, and its months are settled anew by what else counts. A bill in whose
    /// place it counted does not count again: hand that in once more. What a connected AWS account delivers can be withdrawn
    /// while that is paused or revoked, and counts again when it is resumed; what a vendor reports, once that is revoked.
    /// Doing it again changes nothing.
    #[oai(path = "/bills/:id", method = "delete", operation_id = "withdraw_bill")]
    async fn withdraw(&self, caller: Caller, id: Path<Wire<BillId>>) -> Result<BillWithdrawn, ApiError> {
        let tenant = caller.require(Permission::BillsWrite)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        match conn.withdraw_bill(id.0.0, now).await? {
            Withdrawal::Done(bill) => {
                ask_to_settle_without(&mut conn, &bill, (now, self.0.entropy.for_id())).await?;
                // What was advised by it alone is advised no longer.
                let look = LookAtFacts::without_bill(tenant, bill.id, now.date_naive());
                costlens_jobs::ask(&mut conn, &look).await?;
                let target = (Action::BillWithdrawn, Some(bill.id.to_string()));
                caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
                conn.commit().await?;
            }
            Withdrawal::Past => {}
            Withdrawal::Brought => {
                let detail = "pause or revoke the AWS account that delivers this bill, or revoke the vendor's reports that it is \
                              of; then it can be withdrawn";
                return Err(ApiError::new(ProblemCode::Conflict, detail));
            }
        }
        Ok(BillWithdrawn::Withdrawn)
    }

    /// Break a bill down
    ///
    /// Its AI lines by one dimension, with unit rates.
    #[oai(path = "/bills/:id/breakdown", method = "get", operation_id = "get_bill_breakdown")]
    async fn breakdown(
        &self,
        caller: Caller,
        id: Path<Wire<BillId>>,
        /// By what.
        #[oai(default)]
        by: Query<BillDimension>,
        /// Which cost. What a bill does not tell by it is null, never zero.
        #[oai(default)]
        measure: Query<MeasureView>,
        /// How many rows of each currency at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<BillBreakdown>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        // Another tenant's bill is not found, rather than found empty.
        let bill = conn.bill(id.0.0).await?;
        let filter =
            BillFilter { bill_id: Some(bill.id), verdict: Some(Verdict::Ai), ..BillFilter::default() };
        let slices = conn.bill_breakdown(&filter, by.0.into(), measure.0.into(), limit.0).await?;
        Ok(Json(BillBreakdown { items: slices.into_iter().map(Into::into).collect() }))
    }
}

fn bill_view(bill: Bill, withdrawable: bool) -> BillView {
    BillView {
        id: Wire(bill.id),
        name: bill.name,
        format: bill.format.into(),
        first_day: bill.first_day.map(Wire),
        last_day: bill.last_day.map(Wire),
        lines: bill.lines,
        totals: Vec::new(),
        resources: bill.resources.into_iter().map(Into::into).collect(),
        unknown_line_types: bill.unknown_line_types,
        left_out: bill.skipped,
        imported_at: bill.created_at,
        withdrawable,
        superseded_at: bill.superseded_at,
        withdrawn_at: bill.withdrawn_at,
        given_up: bill.given_up.into_iter().map(Wire).collect(),
    }
}

async fn totals(conn: &mut TenantConn, id: BillId) -> Result<Vec<BillShare>, ApiError> {
    let totals = conn.bill_totals(id).await?;
    let view = |(currency, share): (Currency, costlens_domain::bill::Share)| BillShare {
        currency: Wire(currency),
        total_cost: Wire(Exact(share.total)),
        ai_cost: Wire(Exact(share.ai)),
        ai_costs: BillCosts {
            unblended: Wire(Exact(share.ai)),
            net_unblended: known(share.ai_by(Measure::NetUnblended)),
            amortised: known(share.ai_by(Measure::Amortised)),
            net_amortised: known(share.ai_by(Measure::NetAmortised)),
            list: known(share.ai_by(Measure::List)),
        },
        candidate_cost: Wire(Exact(share.candidate)),
        ai_percent: share.ai_percent().map(|percent| Wire(Exact(percent.round_dp(4)))),
        lines: share.lines,
    };
    Ok(shares(&totals).into_iter().map(view).collect())
}

fn known(amount: Option<Decimal>) -> Option<Wire<Exact>> {
    amount.map(|amount| Wire(Exact(amount)))
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}
