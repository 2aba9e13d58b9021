//! Budgets, the alerts they gave, and hours that were surprising.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope, Surprise};
use costlens_domain::calendar::Period;
use costlens_domain::{AnomalyId, ApiKeyId, BudgetId, TenantId, Usd};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use crate::db::{Db, named};
use crate::schema::{anomaly, budget, budget_alert, spend_hourly, tenant, watch};
use crate::{StoreError, SystemConn, TenantConn};

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// What its people call it.
    pub name: String,
    /// What it says.
    pub rule: BudgetRule,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it says nothing.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A surprising hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Its id.
    pub id: AnomalyId,
    /// What was watched: `total`, or `key:<uuid>`.
    pub series: String,
    /// The UTC hour.
    pub hour: DateTime<Utc>,
    /// The rule that found it.
    pub detector: String,
    /// What was expected, and what it was.
    pub surprise: Surprise,
    /// What it was made of, dearest first.
    pub contributors: Value,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

impl TenantConn {
    /// Makes a budget.
    pub async fn create_budget(&mut self, new: &Budget) -> Result<(), StoreError> {
        let thresholds: Vec<i32> =
            new.rule.thresholds.iter().map(|percent| i32::try_from(*percent).unwrap_or(i32::MAX)).collect();
        diesel::insert_into(budget::table)
            .values((
                budget::tenant_id.eq(self.tenant_id().uuid()),
                budget::id.eq(new.id.uuid()),
                budget::name.eq(&new.name),
                budget::api_key_id.eq(new.rule.scope.api_key_id.map(ApiKeyId::uuid)),
                budget::provider.eq(&new.rule.scope.provider),
                budget::model.eq(&new.rule.scope.model),
                budget::period.eq(new.rule.period.as_str()),
                budget::amount.eq(Db(new.rule.amount)),
                budget::thresholds.eq(thresholds),
                budget::created_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// All budgets, newest first, ended ones included.
    pub async fn list_budgets(&mut self) -> Result<Vec<Budget>, StoreError> {
        let rows: Vec<BudgetRow> = budget::table
            .filter(budget::tenant_id.eq(self.tenant_id().uuid()))
            .order(budget::id.desc())
            .select(BudgetRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(Budget::try_from).collect()
    }

    /// One budget.
    pub async fn budget(&mut self, id: BudgetId) -> Result<Budget, StoreError> {
        let row = budget::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: BudgetRow = row.select(BudgetRow::as_select()).first(self.conn()?).await?;
        row.try_into()
    }

    /// Ends a budget. Again: nothing.
    pub async fn end_budget(&mut self, id: BudgetId, at: DateTime<Utc>) -> Result<Budget, StoreError> {
        let row = budget::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row.filter(budget::ended_at.is_null()))
            .set(budget::ended_at.eq(at))
            .execute(self.conn()?)
            .await?;
        self.budget(id).await
    }

    /// Writes down that a budget's threshold was reached. False where that was told before for this period, which is
    /// known by its first day: another time zone moves its beginning and makes no other period of it.
    pub async fn create_budget_alert(
        &mut self,
        id: BudgetId,
        first_day: NaiveDate,
        threshold: u32,
        spent: Usd,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let written = diesel::insert_into(budget_alert::table)
            .values((
                budget_alert::tenant_id.eq(self.tenant_id().uuid()),
                budget_alert::budget_id.eq(id.uuid()),
                budget_alert::period_start.eq(first_day.and_time(NaiveTime::MIN).and_utc()),
                budget_alert::threshold.eq(i32::try_from(threshold).unwrap_or(i32::MAX)),
                budget_alert::spent.eq(Db(spent)),
                budget_alert::at.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// Writes a surprising hour down. False where it was found before.
    pub async fn create_anomaly(&mut self, new: &Anomaly) -> Result<bool, StoreError> {
        let written = diesel::insert_into(anomaly::table)
            .values((
                anomaly::tenant_id.eq(self.tenant_id().uuid()),
                anomaly::id.eq(new.id.uuid()),
                anomaly::series.eq(&new.series),
                anomaly::hour.eq(new.hour),
                anomaly::detector.eq(&new.detector),
                anomaly::expected.eq(Db(new.surprise.expected)),
                anomaly::actual.eq(Db(new.surprise.actual)),
                anomaly::contributors.eq(&new.contributors),
                anomaly::found_at.eq(new.found_at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// Surprising hours, newest find first; `after` is the last id of the page before.
    pub async fn list_anomalies(
        &mut self,
        after: Option<AnomalyId>,
        limit: u32,
    ) -> Result<Vec<Anomaly>, StoreError> {
        let mut query = anomaly::table
            .filter(anomaly::tenant_id.eq(self.tenant_id().uuid()))
            .order(anomaly::id.desc())
            .limit(i64::from(limit))
            .select(AnomalyRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(anomaly::id.lt(after.uuid()));
        }
        let rows: Vec<AnomalyRow> = query.load(self.conn()?).await?;
        Ok(rows.into_iter().map(Anomaly::from).collect())
    }

    /// The surprising hours of a span, oldest first.
    pub async fn anomalies_between(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Anomaly>, StoreError> {
        let rows: Vec<AnomalyRow> = anomaly::table
            .filter(anomaly::tenant_id.eq(self.tenant_id().uuid()))
            .filter(anomaly::hour.ge(from))
            .filter(anomaly::hour.lt(to))
            .order((anomaly::hour, anomaly::series))
            .limit(i64::from(limit))
            .select(AnomalyRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(Anomaly::from).collect())
    }
}

impl SystemConn {
    /// How far a watch has come; `None` before its first look.
    pub async fn watched_upto(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(watch::table.find(name).select(watch::upto).first(&mut self.conn).await.optional()?)
    }

    /// Notes how far a watch has come. It never goes back.
    pub async fn note_watched(&mut self, name: &str, upto: DateTime<Utc>) -> Result<(), StoreError> {
        diesel::sql_query(
            "INSERT INTO watch (name, upto) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET upto = greatest(watch.upto, excluded.upto)",
        )
        .bind::<diesel::sql_types::Text, _>(name)
        .bind::<diesel::sql_types::Timestamptz, _>(upto)
        .execute(&mut self.conn)
        .await?;
        Ok(())
    }

    /// The tenants with budgets that count. Accounts that are closing have none.
    pub async fn tenants_with_budgets(&mut self) -> Result<Vec<TenantId>, StoreError> {
        let rows: Vec<Uuid> = budget::table
            .inner_join(tenant::table)
            .filter(budget::ended_at.is_null())
            .filter(tenant::closing_at.is_null())
            .select(budget::tenant_id)
            .distinct()
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(TenantId::from).collect())
    }

    /// The tenants with calls in this UTC hour. Accounts that are closing have none.
    pub async fn tenants_with_calls(&mut self, hour: DateTime<Utc>) -> Result<Vec<TenantId>, StoreError> {
        let rows: Vec<Uuid> = spend_hourly::table
            .inner_join(tenant::table)
            .filter(spend_hourly::hour.eq(hour))
            .filter(tenant::closing_at.is_null())
            .select(spend_hourly::tenant_id)
            .distinct()
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(TenantId::from).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = budget)]
struct BudgetRow {
    id: Uuid,
    name: String,
    api_key_id: Option<Uuid>,
    provider: Option<String>,
    model: Option<String>,
    period: String,
    amount: Db<Usd>,
    thresholds: Vec<i32>,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<BudgetRow> for Budget {
    type Error = StoreError;

    fn try_from(row: BudgetRow) -> Result<Self, StoreError> {
        let scope = BudgetScope {
            api_key_id: row.api_key_id.map(Into::into),
            provider: row.provider,
            model: row.model,
        };
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            rule: BudgetRule {
                scope,
                period: named("budget.period", &row.period, Period::from_name)?,
                amount: row.amount.0,
                thresholds: row
                    .thresholds
                    .into_iter()
                    .filter_map(|percent| u32::try_from(percent).ok())
                    .collect(),
            },
            created_at: row.created_at,
            ended_at: row.ended_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = anomaly)]
struct AnomalyRow {
    id: Uuid,
    series: String,
    hour: DateTime<Utc>,
    detector: String,
    expected: Db<Usd>,
    actual: Db<Usd>,
    contributors: Value,
    found_at: DateTime<Utc>,
}

impl From<AnomalyRow> for Anomaly {
    fn from(row: AnomalyRow) -> Self {
        let AnomalyRow { id, series, hour, detector, expected, actual, contributors, found_at } = row;
        let surprise = Surprise { expected: expected.0, actual: actual.0 };
        Self { id: id.into(), series, hour, detector, surprise, contributors, found_at }
    }
}
