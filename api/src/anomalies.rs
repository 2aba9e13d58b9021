//! Hours and days that cost more than their own past explains, and what people make of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::alerts::BillVerdict;
use costlens_domain::audit::Action;
use costlens_domain::{AnomalyId, ApiKeyId, Currency, Usd};
use costlens_store::{Anomaly, AnomalyDecision, AnomalyOnBills, Cadence, Judgement};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// How long what is judged lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AnomalyCadence", rename_all = "snake_case", remote = "Cadence")]
pub enum CadenceView {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What somebody makes of a surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AnomalyJudgement", rename_all = "snake_case", remote = "Judgement")]
pub enum JudgementView {
    /// It is known, and somebody sees to it.
    Acknowledged,
    /// It is nothing.
    Dismissed,
}

/// What the bills make of a surprise that was found among calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AnomalyBillVerdict", rename_all = "snake_case", remote = "BillVerdict")]
pub enum BillVerdictView {
    /// They show it, too.
    Confirmed,
    /// They show less than half of it: it lay in the estimates, or in calls that they do not have.
    Lower,
    /// They have none of the calls.
    Absent,
}

/// What the bills say of a surprise's calls.
#[derive(Object)]
#[oai(rename = "AnomalyOnBills")]
pub struct OnBillsView {
    /// Whether they show it.
    pub verdict: BillVerdictView,
    /// What the calls cost by them, discounts taken off.
    pub billed: Wire<Exact>,
    /// Since when that is known.
    pub at: DateTime<Utc>,
}

impl From<AnomalyOnBills> for OnBillsView {
    fn from(of: AnomalyOnBills) -> Self {
        Self { verdict: of.verdict.into(), billed: Wire(Exact(of.billed)), at: of.at }
    }
}

/// What a surprise was made of.
#[derive(Object)]
pub struct AnomalyContributor {
    /// The model.
    pub name: String,
    /// What it cost; null where it has no price.
    #[oai(nullable)]
    pub cost: Option<Wire<Usd>>,
}

/// A part of the difference between what was expected and what it was. All parts add up to it.
#[derive(Object)]
pub struct AnomalyPart {
    /// Why: `volume`, `tokens_per_request`, `price`, `mix` or `fees`.
    pub cause: String,
    /// How much of the difference; negative where it made things cheaper.
    pub amount: Wire<Exact>,
}

/// Who or what made the difference. Those of each kind add up to it.
#[derive(Object)]
pub struct AnomalyDriver {
    /// By what it is told apart: `who` (keys, principals, accounts) or `model`.
    pub by: String,
    /// Its name; null for all others together.
    #[oai(nullable)]
    pub name: Option<String>,
    /// What was expected of it.
    pub expected: Wire<Exact>,
    /// What it cost.
    pub actual: Wire<Exact>,
}

/// Something that the audit says was changed at that time.
#[derive(Object)]
pub struct AnomalyChange {
    /// When.
    pub at: DateTime<Utc>,
    /// The kind of act, as in the audit.
    pub action: String,
    /// What it was done to.
    #[oai(nullable)]
    pub target: Option<String>,
    /// By whom.
    pub by: String,
}

/// What somebody made of a surprise.
#[derive(Object)]
#[oai(rename = "AnomalyDecision")]
pub struct DecisionView {
    /// What.
    pub judgement: JudgementView,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is to be made of a surprise.
#[derive(Object)]
pub struct DecideAnomaly {
    /// What.
    pub judgement: JudgementView,
    /// Why.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// A surprising hour or day.
#[derive(Object)]
#[oai(rename = "Anomaly")]
pub struct AnomalyView {
    /// The find.
    pub id: Wire<AnomalyId>,
    /// What was watched: `total`, `key:…` or `model:…` of calls; `bill:` and what it is by of bills.
    pub series: String,
    /// The key whose calls were surprising; null where it is not a key's.
    #[oai(nullable)]
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// How long it lasts.
    pub cadence: CadenceView,
    /// `spike`, or `new_level` where it lasts since three days.
    pub kind: String,
    /// The UTC hour; of a day its first.
    pub hour: DateTime<Utc>,
    /// The rule that found it.
    pub detector: String,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// What was expected.
    pub expected: Wire<Exact>,
    /// What it cost.
    pub actual: Wire<Exact>,
    /// What it was made of, dearest first.
    pub contributors: Vec<AnomalyContributor>,
    /// Why it differs from what was expected, largest part first; the parts add up to the difference.
    pub parts: Vec<AnomalyPart>,
    /// Who made the difference, largest first.
    pub drivers: Vec<AnomalyDriver>,
    /// What was changed at that time, newest first.
    pub changes: Vec<AnomalyChange>,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// What somebody made of it; null while nobody has.
    #[oai(nullable)]
    pub decision: Option<DecisionView>,
    /// What the bills make of a surprise among calls; null until they have those to their day's end, and of a bill's own.
    #[oai(nullable)]
    pub on_bills: Option<OnBillsView>,
}

fn text(part: &Value, name: &str) -> Option<String> {
    part.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn exact(part: &Value, name: &str) -> Wire<Exact> {
    Wire(
        text(part, name).and_then(|amount| amount.parse().ok()).unwrap_or(Exact(rust_decimal::Decimal::ZERO)),
    )
}

fn items<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

impl From<Anomaly> for AnomalyView {
    fn from(anomaly: Anomaly) -> Self {
        let contributor = |part: &Value| AnomalyContributor {
            name: text(part, "name").unwrap_or_default(),
            cost: text(part, "cost").and_then(|cost| cost.parse().ok()).map(Wire),
        };
        let part = |part: &Value| AnomalyPart {
            cause: text(part, "cause").unwrap_or_default(),
            amount: exact(part, "amount"),
        };
        let driver = |of: &Value| AnomalyDriver {
            by: text(of, "by").unwrap_or_default(),
            name: text(of, "name"),
            expected: exact(of, "expected"),
            actual: exact(of, "actual"),
        };
        let change = |of: &Value| {
            Some(AnomalyChange {
                at: text(of, "at")?.parse().ok()?,
                action: text(of, "action")?,
                target: text(of, "target"),
                by: text(of, "by").unwrap_or_default(),
            })
        };
        let array = |of: &Value| of.as_array().cloned().unwrap_or_default();
        Self {
            id: Wire(anomaly.id),
            api_key_id: anomaly.series.strip_prefix("key:").and_then(|id| id.parse().ok()).map(Wire),
            series: anomaly.series,
            cadence: anomaly.cadence.into(),
            kind: anomaly.kind,
            hour: anomaly.hour,
            detector: anomaly.detector,
            currency: Wire(anomaly.surprise.currency),
            expected: Wire(Exact(anomaly.surprise.expected)),
            actual: Wire(Exact(anomaly.surprise.actual)),
            contributors: array(&anomaly.contributors).iter().map(contributor).collect(),
            parts: items(&anomaly.explanation, "parts").iter().map(part).collect(),
            drivers: items(&anomaly.explanation, "contributors").iter().map(driver).collect(),
            changes: array(&anomaly.changes).iter().filter_map(change).collect(),
            found_at: anomaly.found_at,
            decision: anomaly.decision.map(|decision| DecisionView {
                judgement: decision.judgement.into(),
                reason: decision.reason,
                by: decision.by,
                at: decision.at,
            }),
            on_bills: anomaly.on_bills.map(Into::into),
        }
    }
}

pub(crate) struct AnomaliesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Budgets")]
impl AnomaliesApi {
    /// List surprises
    ///
    /// Hours of calls, and days of calls and bills, newest find first.
    #[oai(path = "/anomalies", method = "get", operation_id = "list_anomalies")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<AnomalyId>>>,
    ) -> Result<Json<Page<AnomalyView>>, ApiError> {
        let tenant = caller.require(Permission::BudgetsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let anomalies = conn.list_anomalies(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(anomalies, limit.0, |anomaly| anomaly.id.to_string(), Into::into)))
    }

    /// Say what to make of a surprise
    ///
    /// It is known and somebody sees to it, or it is nothing. What was said before is replaced; all of it stands in the
    /// audit.
    #[oai(path = "/anomalies/:id/decision", method = "put", operation_id = "decide_anomaly")]
    async fn decide(
        &self,
        caller: Caller,
        id: Path<Wire<AnomalyId>>,
        body: Json<DecideAnomaly>,
    ) -> Result<Json<AnomalyView>, ApiError> {
        let tenant = caller.require(Permission::BudgetsWrite)?;
        let reason = crate::named(&body.0.reason)?.to_owned();
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.anomaly(id.0.0).await?;
        let by = caller.principal().by();
        let judgement = Judgement::from(body.0.judgement);
        let decision =
            AnomalyDecision { judgement, reason, by: by.actor.to_string(), at: self.0.clock.now() };
        let decided = conn.decide_anomaly(id.0.0, &decision).await?;
        let change = json!({ "judgement": judgement.as_str(), "reason": decision.reason });
        by.did(&self.0, &mut conn, (Action::AnomalyDecided, Some(id.0.0.to_string())), change).await?;
        conn.commit().await?;
        Ok(Json(decided.into()))
    }
}
