//! What the operations of settlements take and give.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::Measure;
use costlens_domain::settlement::{
    Issuer, MatchConfidence, PriceFinding, ResidualCode, ResidualSide, SettlementState,
};
use costlens_domain::{BillId, RequestId};
use costlens_store::{
    ResidualSum, SettledCall, Settlement, SettlementCoverage, SettlementDay, SettlementGroup,
    SettlementPrice, SettlementSlice,
};
use poem_openapi::{Enum, Object};
use rust_decimal::Decimal;

use crate::wire::{Exact, Wire};

/// Which of a bill's costs a month is settled by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "CostMeasure", rename_all = "snake_case")]
pub enum CostMeasureView {
    /// As billed on the day.
    #[default]
    Unblended,
    /// As billed, after private discounts.
    NetUnblended,
    /// Commitments spread over what they cover.
    Amortised,
    /// Commitments spread over what they cover, after private discounts.
    NetAmortised,
}

impl From<CostMeasureView> for Measure {
    fn from(measure: CostMeasureView) -> Self {
        match measure {
            CostMeasureView::Unblended => Self::Unblended,
            CostMeasureView::NetUnblended => Self::NetUnblended,
            CostMeasureView::Amortised => Self::Amortised,
            CostMeasureView::NetAmortised => Self::NetAmortised,
        }
    }
}

impl From<Measure> for CostMeasureView {
    fn from(measure: Measure) -> Self {
        match measure {
            // Nobody is charged the list, so no month is settled by it; the table refuses such a row.
            Measure::Unblended | Measure::List => Self::Unblended,
            Measure::NetUnblended => Self::NetUnblended,
            Measure::Amortised => Self::Amortised,
            Measure::NetAmortised => Self::NetAmortised,
        }
    }
}

/// Who issues a bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "BillIssuer", rename_all = "lowercase", remote = "Issuer")]
pub enum IssuerView {
    /// Amazon Web Services.
    #[default]
    Aws,
    /// Anthropic, for the Claude API.
    Anthropic,
    /// OpenAI, for its API.
    OpenAi,
    /// Microsoft, for Azure.
    Azure,
    /// Google, for Google Cloud and the Gemini API.
    Google,
}

/// The place of a settlement in the list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementCursor(pub NaiveDate, pub Issuer);

impl std::fmt::Display for SettlementCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl std::str::FromStr for SettlementCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .rsplit_once('-')
            .and_then(|(month, issuer)| Some(Self(crate::dates::day(month)?, Issuer::from_name(issuer)?)));
        parts.ok_or("no month and issuer")
    }
}

/// Why an estimate and a bill differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ResidualCode", rename_all = "snake_case", remote = "ResidualCode")]
pub enum ResidualCodeView {
    /// The catalogue or the bill counted in another unit: a factor of a thousand.
    UnitChange,
    /// Billed, and no call that is known here, proxied or imported, used it.
    Unproxied,
    /// Proxied, and not on the bill yet.
    Lag,
    /// The usage of calls that were left before their end was estimated.
    AbortedStreams,
    /// Written to a cache of another lifetime than was metered.
    CacheTtl,
    /// Served in another tier than was metered.
    Tier,
    /// Served by another route than was metered.
    Routing,
    /// The price of long prompts.
    LongContext,
    /// The catalogue's price is not the billed one, or there was none.
    Price,
    /// Private rates, discounts and commitments.
    Discount,
    /// Credits and refunds.
    Credit,
    /// Taxes.
    Tax,
    /// AI that is not counted in tokens: hours, seats, storage. No proxied call could be it.
    Unmetered,
    /// Less than what a line's rounding can make.
    Rounding,
    /// None of these.
    Unknown,
}

/// On which side a difference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ResidualSide", rename_all = "snake_case", remote = "ResidualSide")]
pub enum ResidualSideView {
    /// It changed what calls cost.
    Calls,
    /// It is the bill's alone.
    Outside,
}

/// How far calls are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "SettlementState", rename_all = "snake_case", remote = "SettlementState")]
pub enum SettlementStateView {
    /// By what the bill charged.
    Settled,
    /// In part by what the bill is expected to charge.
    Provisional,
    /// The bill knows nothing of them.
    Absent,
}

/// How sure it is which billed tokens were whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "MatchConfidence", rename_all = "snake_case", remote = "MatchConfidence")]
pub enum MatchConfidenceView {
    /// The counts leave no choice.
    Certain,
    /// By the calls' own marks, or by what calls like them did on other days.
    Likely,
    /// Calls that could not be told apart share what is theirs together.
    Shared,
}

/// How a unit price on the bill stands to the catalogue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "PriceFinding", rename_all = "snake_case", remote = "PriceFinding")]
pub enum PriceFindingView {
    /// They are the same.
    Agrees,
    /// A private rate or discount.
    Discount,
    /// Another price: it changed, or the catalogue is wrong.
    Differs,
    /// A factor of a thousand: one of the two counts in another unit.
    Unit,
    /// The catalogue has no such price.
    Unlisted,
}

/// What settled costs are told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "SettlementGroup", rename_all = "snake_case", remote = "SettlementGroup")]
pub enum SettlementGroupView {
    /// The API key, by id.
    Key,
    /// The model that served.
    #[default]
    Model,
    /// The connection, by id; imported calls, which went through none, by their origin's name.
    Connection,
    /// The UTC day.
    Day,
    /// Who saw the calls.
    Origin,
}

/// A settled month. `estimated` plus the differences of the side `calls` is `settled`; `settled` plus those of the side
/// `outside` is `billed`. All amounts are dollars.
#[derive(Object)]
#[oai(rename = "Settlement")]
pub struct SettlementView {
    /// Whose bills.
    pub issuer: IssuerView,
    /// The month's first day.
    pub month: Wire<NaiveDate>,
    /// Which of the bill's costs it is by.
    pub measure: CostMeasureView,
    /// The newest of its bills.
    pub version: Wire<BillId>,
    /// The bills.
    pub bill_ids: Vec<Wire<BillId>>,
    /// The last day that the bills have to its end. What is missing on later days is late and not lost.
    pub complete_through: Wire<NaiveDate>,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
    /// Currencies of the bills that estimates in dollars say nothing about.
    pub other_currencies: Vec<String>,
    /// The AI on the bills.
    pub billed: Wire<Exact>,
    /// What the calls were estimated to cost.
    pub estimated: Wire<Exact>,
    /// What they cost.
    pub settled: Wire<Exact>,
    /// What no code explains, without signs.
    pub unknown: Wire<Exact>,
    /// Whether that is more than one part in a hundred of the bill.
    pub is_amber: bool,
    /// What was charged by the token.
    pub billed_for_tokens: Wire<Exact>,
    /// The part of it that calls cost.
    pub covered: Wire<Exact>,
    /// Tokens on the bills.
    pub billed_tokens: u64,
    /// The part of them that went through the proxy.
    pub covered_tokens: u64,
    /// The same in percent; null where the bills have no tokens.
    #[oai(nullable)]
    pub coverage_percent: Option<Wire<Exact>>,
    /// How many calls are settled.
    pub calls: u64,
    /// How many calls the bills know nothing of.
    pub absent_calls: u64,
    /// What those were estimated to cost; it is in no other sum.
    pub absent: Wire<Exact>,
}

impl From<Settlement> for SettlementView {
    fn from(one: Settlement) -> Self {
        Self {
            issuer: one.key.issuer.into(),
            month: Wire(one.key.month),
            measure: one.key.measure.into(),
            version: Wire(one.version),
            bill_ids: one.bill_ids.iter().copied().map(Wire).collect(),
            complete_through: Wire(one.complete_through),
            settled_at: one.settled_at,
            is_amber: one.is_amber(),
            other_currencies: one.other_currencies,
            billed: exact(one.billed),
            estimated: exact(one.estimated),
            settled: exact(one.settled),
            unknown: exact(one.unknown),
            billed_for_tokens: exact(one.billed_for_tokens),
            covered: exact(one.covered),
            billed_tokens: one.billed_tokens,
            covered_tokens: one.covered_tokens,
            coverage_percent: percent(one.covered_tokens, one.billed_tokens),
            calls: one.calls,
            absent_calls: one.absent_calls,
            absent: exact(one.absent),
        }
    }
}

/// The differences of one code on one side.
#[derive(Object)]
#[oai(rename = "SettlementResidual")]
pub struct ResidualView {
    /// Why.
    pub code: ResidualCodeView,
    /// Whether it changed what calls cost, or is the bill's alone.
    pub side: ResidualSideView,
    /// How much; above zero where the bill is the dearer.
    pub amount: Wire<Exact>,
    /// How many tokens it is about.
    pub tokens: u64,
}

impl From<ResidualSum> for ResidualView {
    fn from(sum: ResidualSum) -> Self {
        Self { code: sum.code.into(), side: sum.side.into(), amount: exact(sum.amount), tokens: sum.tokens }
    }
}

/// How near the estimates of a day came, by one version of its bill.
#[derive(Object)]
#[oai(rename = "SettlementDay")]
pub struct SettlementDayView {
    /// The UTC day.
    pub day: Wire<NaiveDate>,
    /// The version.
    pub version: Wire<BillId>,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
    /// Calls that the bill settled.
    pub calls: u64,
    /// What was estimated for them.
    pub estimated: Wire<Exact>,
    /// What they cost.
    pub settled: Wire<Exact>,
    /// The differences of calls that were added up, each without its sign: what cancels out in the sums.
    pub missed: Wire<Exact>,
    /// `missed` in percent of `settled`; null where nothing was settled.
    #[oai(nullable)]
    pub error_percent: Option<Wire<Exact>>,
    /// What is on the bill of the day.
    pub billed: Wire<Exact>,
    /// What no code explains, without signs.
    pub unknown: Wire<Exact>,
}

impl From<SettlementDay> for SettlementDayView {
    fn from(day: SettlementDay) -> Self {
        let error = (day.settled > Decimal::ZERO)
            .then(|| (day.missed * Decimal::ONE_HUNDRED).checked_div(day.settled))
            .flatten();
        Self {
            day: Wire(day.day),
            version: Wire(day.version),
            settled_at: day.settled_at,
            calls: day.calls,
            estimated: exact(day.estimated),
            settled: exact(day.settled),
            missed: exact(day.missed),
            error_percent: error.map(|error| exact(error.round_dp(4))),
            billed: exact(day.billed),
            unknown: exact(day.unknown),
        }
    }
}

/// A settled month with its differences and its history.
#[derive(Object)]
pub struct SettlementDetails {
    /// The sums.
    pub settlement: SettlementView,
    /// The differences, by code and side.
    pub residuals: Vec<ResidualView>,
    /// How near the estimates came, day by day and version by version, oldest first.
    pub days: Vec<SettlementDayView>,
}

/// Settled costs of one group.
#[derive(Object)]
#[oai(rename = "SettlementSlice")]
pub struct SettlementSliceView {
    /// The group.
    pub group: String,
    /// How many calls.
    pub calls: u64,
    /// What they were estimated to cost.
    pub estimated: Wire<Exact>,
    /// What they cost.
    pub settled: Wire<Exact>,
    /// The part of it that the next delivery may still change.
    pub provisional: Wire<Exact>,
}

impl From<SettlementSlice> for SettlementSliceView {
    fn from(slice: SettlementSlice) -> Self {
        Self {
            group: slice.group,
            calls: slice.calls,
            estimated: exact(slice.estimated),
            settled: exact(slice.settled),
            provisional: exact(slice.provisional),
        }
    }
}

/// A month by one dimension, dearest first.
#[derive(Object)]
pub struct SettlementBreakdown {
    /// The newest of the bills that it was settled by.
    pub version: Wire<BillId>,
    /// The rows.
    pub items: Vec<SettlementSliceView>,
}

/// What of a principal's use of a model went through the proxy.
#[derive(Object)]
#[oai(rename = "SettlementCoverage")]
pub struct CoverageView {
    /// The account.
    pub account: String,
    /// The region; empty where the bill names none.
    pub region: String,
    /// The IAM principal; empty where the bill names none.
    pub principal: String,
    /// The model.
    pub model: String,
    /// Tokens on the bill.
    pub billed_tokens: u64,
    /// The part of them that went through the proxy.
    pub covered_tokens: u64,
    /// The charge.
    pub billed: Wire<Exact>,
    /// The part of it that calls cost which are known here, proxied or imported.
    pub covered: Wire<Exact>,
    /// The rest: what went around the proxy.
    pub unproxied: Wire<Exact>,
}

impl From<SettlementCoverage> for CoverageView {
    fn from(one: SettlementCoverage) -> Self {
        Self {
            account: one.account,
            region: one.region,
            principal: one.principal,
            model: one.model,
            billed_tokens: one.billed_tokens,
            covered_tokens: one.covered_tokens,
            billed: exact(one.billed),
            covered: exact(one.covered),
            unproxied: exact(one.billed - one.covered),
        }
    }
}

/// Who used what in a month, what went around the proxy first.
#[derive(Object)]
pub struct CoverageReport {
    /// The newest of the bills that it was settled by.
    pub version: Wire<BillId>,
    /// The rows.
    pub items: Vec<CoverageView>,
}

/// A unit price that the bill implies, beside the catalogue's.
#[derive(Object)]
#[oai(rename = "SettlementPrice")]
pub struct SettlementPriceView {
    /// The model.
    pub model: String,
    /// What is counted.
    pub kind: String,
    /// The tier.
    pub tier: String,
    /// The route.
    pub routing: String,
    /// Whether it is the price of long prompts.
    pub long_context: bool,
    /// The first day on which the bill shows it.
    pub first_day: Wire<NaiveDate>,
    /// The last one.
    pub last_day: Wire<NaiveDate>,
    /// How many of the bill's rows agree.
    pub rows: u64,
    /// How much was bought.
    pub quantity: u64,
    /// For how much.
    pub charged: Wire<Exact>,
    /// The price of a million by the bill; null where nothing was counted.
    #[oai(nullable)]
    pub billed_per_million: Option<Wire<Exact>>,
    /// The same by the catalogue; null where it has no such price.
    #[oai(nullable)]
    pub listed_per_million: Option<Wire<Exact>>,
    /// What that says.
    pub finding: PriceFindingView,
}

impl From<SettlementPrice> for SettlementPriceView {
    fn from(price: SettlementPrice) -> Self {
        let per_million = |amount: Decimal| {
            let quantity = Decimal::from(price.quantity);
            let each = amount.checked_div(quantity)?.checked_mul(Decimal::from(1_000_000))?;
            Some(exact(each.round_dp(6)))
        };
        Self {
            first_day: Wire(price.first_day),
            last_day: Wire(price.last_day),
            rows: price.rows,
            quantity: price.quantity,
            charged: exact(price.charged),
            billed_per_million: per_million(price.charged),
            listed_per_million: price.listed.and_then(per_million),
            finding: price.finding.into(),
            model: price.model,
            kind: price.kind,
            tier: price.tier,
            routing: price.routing,
            long_context: price.long_context,
        }
    }
}

/// A month's unit prices.
#[derive(Object)]
pub struct SettlementPrices {
    /// The newest of the bills that it was settled by.
    pub version: Wire<BillId>,
    /// The rows.
    pub items: Vec<SettlementPriceView>,
}

/// A call and what it cost by the bill.
#[derive(Object)]
pub struct SettledRequest {
    /// The call.
    pub request_id: Wire<RequestId>,
    /// Null while no settlement has the call: its bill has not come, or does not concern its connection.
    #[oai(nullable)]
    pub settled: Option<SettledCostView>,
}

/// What one call cost by the bill.
#[derive(Object)]
#[oai(rename = "SettledCost")]
pub struct SettledCostView {
    /// The month that settled it.
    pub month: Wire<NaiveDate>,
    /// How far it is settled.
    pub state: SettlementStateView,
    /// How sure it is that these were its tokens.
    pub confidence: MatchConfidenceView,
    /// The cost; null where the bill knows nothing of the call.
    #[oai(nullable)]
    pub cost: Option<Wire<Exact>>,
    /// When it was settled.
    pub settled_at: DateTime<Utc>,
}

impl From<SettledCall> for SettledCostView {
    fn from(call: SettledCall) -> Self {
        let is_known = call.state != SettlementState::Absent;
        Self {
            month: Wire(call.month),
            state: call.state.into(),
            confidence: call.confidence.into(),
            cost: is_known.then(|| exact(call.cost)),
            settled_at: call.settled_at,
        }
    }
}

fn exact(amount: Decimal) -> Wire<Exact> {
    Wire(Exact(amount))
}

fn percent(part: u64, whole: u64) -> Option<Wire<Exact>> {
    let percent = (Decimal::from(part) * Decimal::ONE_HUNDRED).checked_div(Decimal::from(whole))?;
    Some(exact(percent.round_dp(4)))
}
