//! Hours that cost more than their own past explains.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::{AnomalyId, ApiKeyId, Usd};
use costlens_store::Anomaly;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// What a surprising hour was made of.
#[derive(Object)]
pub struct AnomalyContributor {
    /// The model.
    pub name: String,
    /// What it cost; null where it has no price.
    #[oai(nullable)]
    pub cost: Option<Wire<Usd>>,
}

/// A surprising hour.
#[derive(Object)]
#[oai(rename = "Anomaly")]
pub struct AnomalyView {
    /// The find.
    pub id: Wire<AnomalyId>,
    /// The key whose calls were surprising; null where all calls together were.
    #[oai(nullable)]
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// The UTC hour.
    pub hour: DateTime<Utc>,
    /// The rule that found it.
    pub detector: String,
    /// What the hour was expected to cost.
    pub expected: Wire<Usd>,
    /// What it cost.
    pub actual: Wire<Usd>,
    /// What it was made of, dearest first.
    pub contributors: Vec<AnomalyContributor>,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

impl From<Anomaly> for AnomalyView {
    fn from(anomaly: Anomaly) -> Self {
        let text = |part: &Value, name: &str| part.get(name).and_then(Value::as_str).map(str::to_owned);
        let contributor = |part: &Value| AnomalyContributor {
            name: text(part, "name").unwrap_or_default(),
            cost: text(part, "cost").and_then(|cost| cost.parse().ok()).map(Wire),
        };
        let parts = anomaly.contributors.as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            id: Wire(anomaly.id),
            api_key_id: anomaly.series.strip_prefix("key:").and_then(|id| id.parse().ok()).map(Wire),
            hour: anomaly.hour,
            detector: anomaly.detector,
            expected: Wire(anomaly.surprise.expected),
            actual: Wire(anomaly.surprise.actual),
            contributors: parts.iter().map(contributor).collect(),
            found_at: anomaly.found_at,
        }
    }
}

pub(crate) struct AnomaliesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Budgets")]
impl AnomaliesApi {
    /// List surprising hours
    ///
    /// Newest find first.
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
}
