//! One tenant's budgets against its spend.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costlens_domain::alerts::BudgetScope;
use costlens_domain::bill::Measure;
use costlens_domain::calendar::Period;
use costlens_domain::events::EventKind;
use costlens_domain::{TenantId, Usd};
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::{BudgetAlert, ExpectedCrossing};
use costlens_store::{Budget, BudgetSpend, StoreError, TenantConn, TenantSettings};
use serde_json::json;

use super::outlook;
use crate::{WorkerParts, spend};

/// An alert that is older than this says what everybody knows.
const USEFUL: TimeDelta = TimeDelta::hours(12);
/// For so long after a period's end its budgets are still held against it: calls of its last minutes may reach the ledger late.
const LATE: TimeDelta = TimeDelta::hours(6);
/// The same where months are settled: the bills of a period's last days come days after them.
const LATE_BILLS: TimeDelta = TimeDelta::days(10);

pub(super) async fn check(parts: &WorkerParts, tenant: TenantId) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(tenant).await?;
    let settings = tx.settings().await?.unwrap_or_else(|| TenantSettings::initial(now));
    let keys = spend::key_names(&mut tx).await?;
    let is_settled = !tx.list_settlements(Measure::NetUnblended, None, 1).await?.is_empty();
    let late = if is_settled { LATE_BILLS } else { LATE };
    for budget in tx.list_budgets().await?.into_iter().filter(|budget| budget.ended_at.is_none()) {
        let start = settings.zone.start_of(budget.rule.period, now);
        let mut end = start;
        while now - end < late && budget.created_at < end {
            // What was spent in its last minutes, or reached the ledger or a bill since.
            let before = settings.zone.start_of(budget.rule.period, end - TimeDelta::seconds(1));
            hold(&mut tx, parts, (&budget, before, end), (&settings, &keys)).await?;
            end = before;
        }
        hold(&mut tx, parts, (&budget, start, now), (&settings, &keys)).await?;
        foresee(&mut tx, parts, (&budget, start), (&settings, &keys)).await?;
    }
    tx.commit().await
}

/// Holds a budget against what was spent in a period, and tells the highest threshold that is newly reached: the lower
/// ones are in it.
async fn hold(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    (budget, start, end): (&Budget, DateTime<Utc>, DateTime<Utc>),
    (settings, keys): (&TenantSettings, &HashMap<String, String>),
) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let scope = &budget.rule.scope;
    let totals = tx.budget_spend(&spend::within(scope, start, end), scope.unproxied).await?;
    // What has no price is in no sum: the alert says how many calls that are.
    let spent = totals.spent.unwrap_or(Usd::ZERO);
    let first_day = settings.zone.local(start).date();
    let mut news = None;
    for threshold in budget.rule.reached(spent) {
        if tx.create_budget_alert(budget.id, first_day, threshold, spent, now).await? {
            news = Some(threshold);
        }
    }
    let Some(threshold) = news else { return Ok(()) };
    let about = About { budget, news: News::Reached(threshold), totals: &totals, spent, start, now };
    about.tell(tx, parts, settings, keys).await
}

/// Tells once a month that a monthly budget is expected to be crossed before it ends. One that is crossed was told.
async fn foresee(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    (budget, start): (&Budget, DateTime<Utc>),
    (settings, keys): (&TenantSettings, &HashMap<String, String>),
) -> Result<(), StoreError> {
    if budget.rule.period != Period::Month {
        return Ok(());
    }
    let now = parts.clock.now();
    let scope = &budget.rule.scope;
    let totals = tx.budget_spend(&spend::within(scope, start, now), scope.unproxied).await?;
    let spent = totals.spent.unwrap_or(Usd::ZERO);
    if spent >= budget.rule.amount {
        return Ok(());
    }
    let first_day = settings.zone.local(start).date();
    let last_day = last_day(budget.rule.period, first_day);
    let Some(expected) = outlook::crossing(tx, &budget.rule, (start, now), last_day).await? else {
        return Ok(());
    };
    if !tx.create_budget_forecast(budget.id, first_day, expected.on, spent, now).await? {
        return Ok(());
    }
    let about = About { budget, news: News::Expected(expected), totals: &totals, spent, start, now };
    about.tell(tx, parts, settings, keys).await
}

/// What is told of a budget.
#[derive(Clone, Copy)]
enum News {
    /// It reached this threshold.
    Reached(u32),
    /// It is expected to be crossed.
    Expected(ExpectedCrossing),
}

struct About<'a> {
    budget: &'a Budget,
    news: News,
    totals: &'a BudgetSpend,
    spent: Usd,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl About<'_> {
    async fn tell(
        &self,
        tx: &mut TenantConn,
        parts: &WorkerParts,
        settings: &TenantSettings,
        keys: &HashMap<String, String>,
    ) -> Result<(), StoreError> {
        let Self { budget, news, totals, spent, start, now } = self;
        let (threshold, expected) = match news {
            News::Reached(threshold) => (*threshold, None),
            News::Expected(expected) => (100, Some(*expected)),
        };
        let from = settings.zone.local(*start).date();
        let link = |path: &str| parts.links.to(path).map_err(|bad| StoreError::Bug(Box::new(bad)));
        let alert = BudgetAlert {
            tenant: tx.tenant().await?.name,
            budget: budget.name.clone(),
            covers: covers(&budget.rule.scope, keys),
            from,
            to: last_day(budget.rule.period, from),
            threshold_percent: u16::try_from(threshold).unwrap_or(u16::MAX),
            spent: *spent,
            limit: budget.rule.amount,
            unpriced: totals.unpriced_requests,
            expected,
            console: link("/budgets")?,
            preferences: link("/notifications")?,
        };
        let mark = if expected.is_some() { "expected".to_owned() } else { threshold.to_string() };
        let telling = Telling {
            about: &format!("budget:{}:{}:{mark}", budget.id, start.timestamp()),
            kind: Kind::BudgetAlert.as_str(),
            figures: serde_json::to_value(&alert).map_err(|error| StoreError::Bug(Box::new(error)))?,
            audience: Audience::Alerts,
            at: *now,
            expires_at: *now + USEFUL,
        };
        tell(tx, &telling, &*parts.entropy).await?;
        let (kind, payload) = match expected {
            None => (
                EventKind::BudgetReached,
                json!({
                    "budget_id": budget.id,
                    "name": budget.name,
                    "period": budget.rule.period.as_str(),
                    "period_start": start,
                    "threshold_percent": threshold,
                    "spent": spent,
                    "amount": budget.rule.amount,
                    "unpriced_requests": totals.unpriced_requests,
                }),
            ),
            Some(expected) => (
                EventKind::BudgetForecast,
                json!({
                    "budget_id": budget.id,
                    "name": budget.name,
                    "period": budget.rule.period.as_str(),
                    "period_start": start,
                    "expected_on": expected.on,
                    "expected_spent": expected.spent,
                    "spent": spent,
                    "amount": budget.rule.amount,
                    "unpriced_requests": totals.unpriced_requests,
                }),
            ),
        };
        happened(tx, kind, payload, *now, &*parts.entropy).await?;
        Ok(())
    }
}

fn covers(scope: &BudgetScope, keys: &HashMap<String, String>) -> String {
    let key = scope.api_key_id.map(|id| {
        let id = id.to_string();
        format!("key {}", keys.get(&id).unwrap_or(&id))
    });
    let provider = scope.provider.as_ref().map(|provider| format!("provider {provider}"));
    let model = scope.model.as_ref().map(|model| format!("model {model}"));
    let parts: Vec<String> = [key, provider, model].into_iter().flatten().collect();
    match (parts.is_empty(), scope.unproxied) {
        (true, true) => "all calls, and what is billed around the proxy".to_owned(),
        (true, false) => "all calls".to_owned(),
        (false, _) => parts.join(", "),
    }
}

fn last_day(period: Period, first: NaiveDate) -> NaiveDate {
    let last = match period {
        Period::Day => Some(first),
        Period::Week => first.checked_add_days(chrono::Days::new(6)),
        Period::Month => first.checked_add_months(chrono::Months::new(1)).and_then(|next| next.pred_opt()),
    };
    last.unwrap_or(first)
}
