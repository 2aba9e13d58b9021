//! What follows from the facts: what happened, what could be saved, what the next weeks will cost.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{Currency, InsightEventId, RecommendationId, Usd};
use costlens_insight::basis;
use costlens_insight::forecast::{self, Costs, Estimate, Forecast, Stretch};
use costlens_insight::recommend::Kind;
use costlens_store::{InsightEvent, Recommendation, SpendBucket, SpendFilter};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// How many recommendations are listed at most: there is one of a kind and subject.
const MOST: u32 = 500;
/// How far back a forecast looks, and how many facts it reads: of more, those of the newest days.
const PAST: Days = Days::new(91);
const MOST_FACTS: usize = 100_000;

/// Something that happened, by the facts of bills and calls.
#[derive(Object)]
#[oai(rename = "InsightEvent")]
pub struct InsightEventView {
    /// The event.
    pub id: Wire<InsightEventId>,
    /// What kind of thing, such as `new_model`, `price_changed`, `shadow_use`, `month_restated`.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// The UTC day.
    pub day: Wire<NaiveDate>,
    /// What the amount counts.
    pub currency: Wire<Currency>,
    /// The money that goes with it.
    pub amount: Wire<Exact>,
    /// Figures and names beside it.
    pub detail: Value,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

impl From<InsightEvent> for InsightEventView {
    fn from(event: InsightEvent) -> Self {
        Self {
            id: Wire(event.id),
            kind: event.kind,
            subject: event.subject,
            day: Wire(event.day),
            currency: Wire(event.currency),
            amount: Wire(Exact(event.amount)),
            detail: event.detail,
            found_at: event.found_at,
        }
    }
}

/// Something that could be saved.
#[derive(Object)]
#[oai(rename = "Recommendation")]
pub struct RecommendationView {
    /// The recommendation.
    pub id: Wire<RecommendationId>,
    /// What to do, such as `idle_endpoint` or `global_routing`.
    pub kind: String,
    /// What to do, in a sentence.
    pub advice: String,
    /// With what.
    pub subject: String,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// What would be saved in thirty days.
    pub monthly_saving: Wire<Exact>,
    /// What it costs in thirty days as it is.
    pub monthly_cost: Wire<Exact>,
    /// `high` where waste and amount follow from the facts, `medium` where one of them rests on what is named in the
    /// evidence, `low` where both do.
    pub confidence: String,
    /// The question over facts that shows it: `from`, `to`, `filter`, its `figures`, `who` (the first hundred, where it is about
    /// several at once), and the `assumption` beyond them.
    pub evidence: Value,
    /// When it was first found.
    pub first_found_at: DateTime<Utc>,
    /// When it was last found.
    pub found_at: DateTime<Utc>,
    /// Since when nobody wants to hear of it; null where nobody said so.
    #[oai(nullable)]
    pub dismissed_at: Option<DateTime<Utc>>,
    /// Who said so.
    #[oai(nullable)]
    pub dismissed_by: Option<String>,
    /// Why.
    #[oai(nullable)]
    pub dismissed_reason: Option<String>,
}

impl From<Recommendation> for RecommendationView {
    fn from(of: Recommendation) -> Self {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == of.kind);
        let (dismissed_at, dismissed_by, dismissed_reason) = match of.dismissed {
            Some((at, by, reason)) => (Some(at), Some(by), Some(reason)),
            None => (None, None, None),
        };
        Self {
            id: Wire(of.id),
            advice: kind.map(Kind::advice).unwrap_or_default().to_owned(),
            kind: of.kind,
            subject: of.subject,
            currency: Wire(of.currency),
            monthly_saving: Wire(Exact(of.monthly_saving)),
            monthly_cost: Wire(Exact(of.monthly_cost)),
            confidence: of.confidence,
            evidence: of.evidence,
            first_found_at: of.first_found_at,
            found_at: of.found_at,
            dismissed_at,
            dismissed_by,
            dismissed_reason,
        }
    }
}

/// What could be saved.
#[derive(Object)]
pub struct Recommendations {
    /// Dearest first.
    pub items: Vec<RecommendationView>,
}

/// Why a recommendation is not followed.
#[derive(Object)]
pub struct DismissRecommendation {
    /// Why.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// What is forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ForecastSource {
    /// Proxied calls, by what they cost when they were made.
    #[default]
    Calls,
    /// The use that bills show (net amortised, or amortised where that is unknown, or what was billed where both are
    /// unknown); taxes, credits and fees are no part of it.
    Bills,
}

/// An estimate and what holds four of five outcomes.
#[derive(Object)]
#[oai(rename = "ForecastEstimate")]
pub struct EstimateView {
    /// One of ten outcomes is below.
    pub low: Wire<Exact>,
    /// What is expected.
    pub middle: Wire<Exact>,
    /// One of ten outcomes is above.
    pub high: Wire<Exact>,
}

impl From<Estimate> for EstimateView {
    fn from(of: Estimate) -> Self {
        Self { low: Wire(Exact(of.low)), middle: Wire(Exact(of.middle)), high: Wire(Exact(of.high)) }
    }
}

/// A day ahead.
#[derive(Object)]
pub struct ForecastDay {
    /// The UTC day.
    pub day: Wire<NaiveDate>,
    /// What it will cost.
    pub estimate: EstimateView,
}

/// Days that are partly over.
#[derive(Object)]
#[oai(rename = "ForecastStretch")]
pub struct StretchView {
    /// The first day.
    pub from: Wire<NaiveDate>,
    /// The day after the last.
    pub to: Wire<NaiveDate>,
    /// What its days before the forecast cost.
    pub so_far: Wire<Exact>,
    /// The part of what is ahead that is committed, to the digit.
    pub committed: Wire<Exact>,
    /// What all of it will cost, the days so far included.
    pub estimate: EstimateView,
}

impl From<Stretch> for StretchView {
    fn from(of: Stretch) -> Self {
        Self {
            from: Wire(of.from),
            to: Wire(of.to),
            so_far: Wire(Exact(of.so_far)),
            committed: Wire(Exact(of.committed)),
            estimate: of.estimate.into(),
        }
    }
}

/// A forecast of one currency.
#[derive(Object)]
#[oai(rename = "Forecast")]
pub struct ForecastView {
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// By so many days of history: of 91 at most, of fewer where bills have more facts than one answer reads.
    pub history_days: u32,
    /// The days ahead, each alone.
    pub days: Vec<ForecastDay>,
    /// The calendar month (UTC) that the first of them lies in.
    pub month: StretchView,
    /// Thirty days from the first.
    pub thirty_days: StretchView,
}

impl ForecastView {
    fn of(currency: Currency, of: Forecast) -> Self {
        Self {
            currency: Wire(currency),
            history_days: of.history_days,
            days: of
                .days
                .into_iter()
                .map(|(day, estimate)| ForecastDay { day: Wire(day), estimate: estimate.into() })
                .collect(),
            month: of.month.into(),
            thirty_days: of.thirty_days.into(),
        }
    }
}

/// Forecasts.
#[derive(Object)]
pub struct Forecasts {
    /// One for each currency with enough history; none where nothing can be said.
    pub items: Vec<ForecastView>,
    /// Paying accounts that are no part of them: their bills end more than a week before the newest.
    pub left_out: Vec<String>,
}

pub(crate) struct InsightApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Insight")]
impl InsightApi {
    /// List what happened
    ///
    /// Told by rules without statistics over bills and calls, newest find first.
    #[oai(path = "/insight-events", method = "get", operation_id = "list_insight_events")]
    async fn events(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<InsightEventId>>>,
    ) -> Result<Json<Page<InsightEventView>>, ApiError> {
        let tenant = caller.require(Permission::BudgetsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let events = conn.list_insight_events(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(events, limit.0, |event| event.id.to_string(), Into::into)))
    }

    /// List what could be saved
    ///
    /// As the last look at the facts found it, dearest first. Each carries the question over facts that shows it.
    #[oai(path = "/recommendations", method = "get", operation_id = "list_recommendations")]
    async fn recommendations(
        &self,
        caller: Caller,
        /// Those that were dismissed, too.
        #[oai(default)]
        dismissed: Query<bool>,
    ) -> Result<Json<Recommendations>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.list_recommendations(dismissed.0, MOST).await?;
        Ok(Json(Recommendations { items: found.into_iter().map(Into::into).collect() }))
    }

    /// Dismiss a recommendation
    ///
    /// It is not listed any more, also when it is found again. The reason stands in the audit.
    #[oai(path = "/recommendations/:id/dismissal", method = "put", operation_id = "dismiss_recommendation")]
    async fn dismiss(
        &self,
        caller: Caller,
        id: Path<Wire<RecommendationId>>,
        body: Json<DismissRecommendation>,
    ) -> Result<Json<RecommendationView>, ApiError> {
        let tenant = caller.require(Permission::BudgetsWrite)?;
        let reason = crate::named(&body.0.reason)?.to_owned();
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.recommendation(id.0.0).await?;
        let by = caller.principal().by();
        let said = (self.0.clock.now(), by.actor.to_string());
        let dismissed = conn.dismiss_recommendation(id.0.0, (said.0, &said.1, &reason)).await?;
        let target = (Action::RecommendationDismissed, Some(id.0.0.to_string()));
        by.did(&self.0, &mut conn, target, json!({ "kind": dismissed.kind, "reason": reason })).await?;
        conn.commit().await?;
        Ok(Json(dismissed.into()))
    }

    /// Forecast the month's end and thirty days
    ///
    /// With a band that holds four of five outcomes. What is committed goes on to the digit.
    #[oai(path = "/forecast", method = "get", operation_id = "get_forecast")]
    async fn forecast(
        &self,
        caller: Caller,
        /// What is forecast.
        #[oai(default)]
        source: Query<ForecastSource>,
    ) -> Result<Json<Forecasts>, ApiError> {
        let tenant = caller.require(Permission::SpendRead)?;
        let today = self.0.clock.now().date_naive();
        let mut conn = self.0.store.tenant(tenant).await?;
        let mut costs: Vec<(Currency, Costs)> = Vec::new();
        let mut left_out = Vec::new();
        match source.0 {
            ForecastSource::Calls => {
                let begin = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
                let filter = SpendFilter {
                    from: begin(today - PAST),
                    to: begin(today),
                    api_key_id: None,
                    provider: None,
                    model: None,
                };
                let points = conn.spend_series(&filter, SpendBucket::Day, None).await?;
                let days = points.iter().map(|point| {
                    (point.at.date_naive(), point.totals.cost.map(Usd::decimal).unwrap_or_default())
                });
                costs.extend(Costs::of_days(days, today).map(|costs| (Currency::USD, costs)));
            }
            ForecastSource::Bills => {
                let mut from = today - PAST;
                while conn.count_bill_facts(from).await? > MOST_FACTS {
                    let Some(later) = basis::newer_half(from, today) else { break };
                    from = later;
                }
                let mut facts = conn.bill_facts(None, from, MOST_FACTS).await?;
                basis::by_one_cost(&mut facts);
                if let Some(known) = forecast::bills_are_whole_until(&facts, today) {
                    facts.retain(|fact| !known.left_out.contains(&*fact.billing_account));
                    costs.extend(forecast::costs_of_bills(&facts, known.until));
                    left_out.extend(known.left_out);
                }
            }
        }
        let items = costs
            .into_iter()
            .filter_map(|(currency, costs)| {
                forecast::forecast(&costs).map(|forecast| ForecastView::of(currency, forecast))
            })
            .collect();
        Ok(Json(Forecasts { items, left_out }))
    }
}
