//! Budgets: sums that spending is held against. They warn; they stop nobody.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope};
use costlens_domain::audit::Action;
use costlens_domain::calendar::Period;
use costlens_domain::providers::provider;
use costlens_domain::{ApiKeyId, BudgetId, ProblemCode, Usd};
use costlens_store::{Budget, BudgetSpend, SpendFilter, StoreError, TenantConn, TenantSettings};
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// The most budgets of an account that count at once.
const MOST: usize = 100;

/// A stretch of the account's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BudgetPeriod", rename_all = "snake_case", remote = "Period")]
pub enum PeriodView {
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first's midnight.
    Month,
}

/// A budget.
#[derive(Object)]
#[oai(rename = "Budget")]
pub struct BudgetView {
    /// The budget.
    pub id: Wire<BudgetId>,
    /// What its people call it.
    pub name: String,
    /// The stretch of the account's calendar, in its time zone.
    pub period: PeriodView,
    /// How much there is for it, in US dollars.
    pub amount: Wire<Usd>,
    /// The percents of the amount, ascending, at which a word is said.
    pub thresholds: Vec<u32>,
    /// Only calls made with this key count; null for all.
    #[oai(nullable)]
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// Only calls to this provider count; null for all.
    #[oai(nullable)]
    pub provider: Option<String>,
    /// Only calls served by this model count; null for all.
    #[oai(nullable)]
    pub model: Option<String>,
    /// Whether what is billed and no call through the proxy used counts, too.
    pub includes_unproxied: bool,
    /// When the running period began.
    pub period_start: DateTime<Utc>,
    /// What was spent since: by the bills, private discounts taken off, where calls are settled, by their estimates
    /// elsewhere; null where nothing has a price, and for a budget that has ended.
    #[oai(nullable)]
    pub spent: Option<Wire<Usd>>,
    /// What calls since then were estimated to cost; null where no call has a price, and for a budget that has ended.
    #[oai(nullable)]
    pub estimated: Option<Wire<Usd>>,
    /// How many percent of the amount `spent` is.
    #[oai(nullable)]
    pub percent: Option<Wire<Exact>>,
    /// Calls since then without a price that no bill has settled, which `spent` leaves out.
    pub unpriced_requests: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it says nothing; null while it counts.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
}

/// All budgets.
#[derive(Object)]
pub struct Budgets {
    /// The budgets, newest first, ended ones included.
    pub items: Vec<BudgetView>,
}

/// A budget to be made.
#[derive(Object)]
pub struct CreateBudget {
    /// What its people call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// The stretch of the account's calendar.
    pub period: PeriodView,
    /// How much there is for it, in US dollars: more than zero.
    pub amount: Wire<Usd>,
    /// The percents of the amount at which a word is said, 1 to 1000, ascending.
    #[oai(default = "usual_thresholds", validator(min_items = 1, max_items = 10))]
    pub thresholds: Vec<u32>,
    /// Only calls made with this key count.
    #[oai(default, skip_serializing_if_is_none)]
    pub api_key_id: Option<Wire<ApiKeyId>>,
    /// Only calls to this provider count, by its stable name.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 64))]
    pub provider: Option<String>,
    /// Only calls served by this model count.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 256))]
    pub model: Option<String>,
    /// What is billed and no call through the proxy used counts, too; for a budget of all calls alone, of a week or a month.
    #[oai(default)]
    pub include_unproxied: bool,
}

/// A budget was made.
#[derive(ApiResponse)]
pub enum BudgetCreated {
    /// The budget.
    #[oai(status = 201)]
    Created(Json<BudgetView>),
}

/// A budget was ended.
#[derive(ApiResponse)]
pub enum BudgetDeleted {
    /// It says nothing any more.
    #[oai(status = 204)]
    Ended,
}

pub(crate) struct BudgetsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Budgets")]
impl BudgetsApi {
    /// List budgets
    ///
    /// With what was spent of each in its running period.
    #[oai(path = "/budgets", method = "get", operation_id = "list_budgets")]
    async fn list(&self, caller: Caller) -> Result<Json<Budgets>, ApiError> {
        let tenant = caller.require(Permission::BudgetsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let mut items = Vec::new();
        for budget in conn.list_budgets().await? {
            items.push(self.view(&mut conn, budget).await?);
        }
        Ok(Json(Budgets { items }))
    }

    /// Make a budget
    ///
    /// Whoever is told of alerts hears when a threshold is reached, once in each period; and of a monthly budget once when
    /// the rest of its month is expected to cross it. No call is stopped by it.
    #[oai(path = "/budgets", method = "post", operation_id = "create_budget")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateBudget>,
    ) -> Result<BudgetCreated, ApiError> {
        let tenant = caller.require(Permission::BudgetsWrite)?;
        let name = crate::named(&body.0.name)?;
        check(&body.0)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim = match idempotent::claim((&mut conn, &self.0.keyring), "create_budget", key, &body.0, now)
            .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(json) => return Ok(BudgetCreated::Created(Json(idempotent::again(&json)?))),
        };
        if let Some(key) = body.0.api_key_id {
            conn.key(key.0).await.map_err(|error| match error {
                StoreError::NotFound => ApiError::field("api_key_id", "is no key of this account"),
                other => other.into(),
            })?;
        }
        conn.lock_count("budgets").await?;
        let counting = conn.list_budgets().await?.into_iter().filter(|budget| budget.ended_at.is_none());
        if counting.count() >= MOST {
            let detail = format!("an account has at most {MOST} budgets; end one first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let budget = Budget {
            id: BudgetId::new(now, self.0.entropy.for_id()),
            name: name.to_owned(),
            rule: BudgetRule {
                scope: BudgetScope {
                    api_key_id: body.0.api_key_id.map(|id| id.0),
                    provider: body.0.provider.clone(),
                    model: body.0.model.clone(),
                    unproxied: body.0.include_unproxied,
                },
                period: body.0.period.into(),
                amount: body.0.amount.0,
                thresholds: body.0.thresholds.clone(),
            },
            created_at: now,
            ended_at: None,
        };
        conn.create_budget(&budget).await?;
        let change = json!({
            "name": budget.name,
            "period": budget.rule.period.as_str(),
            "amount": budget.rule.amount,
            "thresholds": budget.rule.thresholds,
            "include_unproxied": budget.rule.scope.unproxied,
        });
        let target = (Action::BudgetCreated, Some(budget.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let made = conn.budget(budget.id).await?;
        let view = self.view(&mut conn, made).await?;
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(BudgetCreated::Created(Json(view)))
    }

    /// End a budget
    ///
    /// It stays in the list and says nothing any more. Doing it again changes nothing.
    #[oai(path = "/budgets/:id", method = "delete", operation_id = "delete_budget")]
    async fn delete(&self, caller: Caller, id: Path<Wire<BudgetId>>) -> Result<BudgetDeleted, ApiError> {
        let tenant = caller.require(Permission::BudgetsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        if conn.budget(id.0.0).await?.ended_at.is_none() {
            conn.end_budget(id.0.0, self.0.clock.now()).await?;
            let target = (Action::BudgetEnded, Some(id.0.0.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
            conn.commit().await?;
        }
        Ok(BudgetDeleted::Ended)
    }
}

impl BudgetsApi {
    async fn view(&self, conn: &mut TenantConn, budget: Budget) -> Result<BudgetView, ApiError> {
        let now = self.0.clock.now();
        let settings = conn.settings().await?.unwrap_or_else(|| TenantSettings::initial(now));
        let rule = budget.rule;
        let period_start = settings.zone.start_of(rule.period, now);
        let spend = if budget.ended_at.is_some() {
            BudgetSpend::default()
        } else {
            let filter = SpendFilter {
                from: period_start,
                to: now,
                api_key_id: rule.scope.api_key_id,
                provider: rule.scope.provider.clone(),
                model: rule.scope.model.clone(),
            };
            conn.budget_spend(&filter, rule.scope.unproxied).await?
        };
        Ok(BudgetView {
            id: Wire(budget.id),
            name: budget.name,
            period: rule.period.into(),
            amount: Wire(rule.amount),
            percent: spend.spent.and_then(|spent| rule.percent(spent)).map(|percent| Wire(Exact(percent))),
            thresholds: rule.thresholds,
            api_key_id: rule.scope.api_key_id.map(Wire),
            provider: rule.scope.provider,
            model: rule.scope.model,
            includes_unproxied: rule.scope.unproxied,
            period_start,
            spent: spend.spent.map(Wire),
            estimated: spend.estimated.map(Wire),
            unpriced_requests: spend.unpriced_requests,
            created_at: budget.created_at,
            ended_at: budget.ended_at,
        })
    }
}

/// Checks what the types cannot say.
fn check(body: &CreateBudget) -> Result<(), ApiError> {
    if body.amount.0 <= Usd::ZERO {
        return Err(ApiError::field("amount", "must be more than zero"));
    }
    let in_range = body.thresholds.iter().all(|percent| (1..=1000).contains(percent));
    let ascending = body.thresholds.is_sorted_by(|one, next| one < next);
    if !in_range || !ascending {
        return Err(ApiError::field("thresholds", "must be ascending percents of 1 to 1000, each once"));
    }
    let is_narrowed = body.api_key_id.is_some() || body.provider.is_some() || body.model.is_some();
    if body.include_unproxied && is_narrowed {
        return Err(ApiError::field("include_unproxied", "is for a budget of all calls alone"));
    }
    // Bills tell of UTC days: a day of another zone has none of them as a whole.
    if body.include_unproxied && body.period == PeriodView::Day {
        return Err(ApiError::field("include_unproxied", "is for a budget of a week or a month"));
    }
    if body.provider.as_ref().is_some_and(|name| provider(name).is_none()) {
        return Err(ApiError::field("provider", "is no provider's stable name"));
    }
    Ok(())
}

fn usual_thresholds() -> Vec<u32> {
    vec![50, 80, 100]
}
