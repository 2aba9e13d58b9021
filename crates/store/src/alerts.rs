//! Budgets, the alerts they gave, and hours that were surprising.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use costlens_domain::alerts::{BillVerdict, BudgetRule, BudgetScope, Surprise};
use costlens_domain::calendar::Period;
use costlens_domain::{AnomalyId, ApiKeyId, BudgetId, TenantId, Usd};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use crate::db::{Db, from_bigint, named};
use crate::schema::{anomaly, budget, budget_alert, spend_hourly, tenant, unjudged_hour, watch};
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

/// How long what is judged lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Cadence {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What people make of a surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is known, and somebody sees to it.
    Acknowledged,
    /// It is nothing.
    Dismissed,
}

impl Judgement {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Dismissed => "dismissed",
        }
    }
}

/// What somebody made of a surprise, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyDecision {
    /// What.
    pub judgement: Judgement,
    /// Why, in somebody's words.
    pub reason: String,
    /// Who, as the audit names it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What the bills make of a surprise among calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyOnBills {
    /// Whether they show it.
    pub verdict: BillVerdict,
    /// What its calls cost by them, in dollars.
    pub billed: Decimal,
    /// Since when that is known.
    pub at: DateTime<Utc>,
}

/// A surprising hour or day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Its id.
    pub id: AnomalyId,
    /// What was watched: `total`, `key:<id>` or `model:<name>` of calls; `bill:` and the same kinds of names of bills.
    pub series: String,
    /// How long it lasts.
    pub cadence: Cadence,
    /// `spike` or `new_level`.
    pub kind: String,
    /// The UTC hour; of a day its first.
    pub hour: DateTime<Utc>,
    /// The rule that found it.
    pub detector: String,
    /// What was expected, and what it was.
    pub surprise: Surprise,
    /// What it was made of, dearest first.
    pub contributors: Value,
    /// Parts and contributors of the difference.
    pub explanation: Value,
    /// What the audit says was changed at that time.
    pub changes: Value,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// What somebody made of it.
    pub decision: Option<AnomalyDecision>,
    /// What the bills make of it; `None` until they have its calls, and for what was found on a bill itself.
    pub on_bills: Option<AnomalyOnBills>,
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
                budget::counts_unproxied.eq(new.rule.scope.unproxied),
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

    /// Writes down that a budget is expected to be crossed on a day. False where that was told before for this period.
    pub async fn create_budget_forecast(
        &mut self,
        id: BudgetId,
        first_day: NaiveDate,
        expected_on: NaiveDate,
        spent: Usd,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let written = diesel::insert_into(budget_alert::table)
            .values((
                budget_alert::tenant_id.eq(self.tenant_id().uuid()),
                budget_alert::budget_id.eq(id.uuid()),
                budget_alert::period_start.eq(first_day.and_time(NaiveTime::MIN).and_utc()),
                budget_alert::threshold.eq(0),
                budget_alert::spent.eq(Db(spent)),
                budget_alert::at.eq(at),
                budget_alert::expected_on.eq(expected_on),
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
                anomaly::cadence.eq(new.cadence.as_str()),
                anomaly::kind.eq(&new.kind),
                anomaly::currency.eq(new.surprise.currency.as_str()),
                anomaly::expected.eq(Db(new.surprise.expected)),
                anomaly::actual.eq(Db(new.surprise.actual)),
                anomaly::contributors.eq(&new.contributors),
                anomaly::explanation.eq(&new.explanation),
                anomaly::changes.eq(&new.changes),
                anomaly::found_at.eq(new.found_at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// An hour is judged, with what was found in it, in this transaction.
    pub async fn settle_judgement(&mut self, hour: DateTime<Utc>) -> Result<(), StoreError> {
        let row = unjudged_hour::table.find((self.tenant_id().uuid(), hour));
        diesel::delete(row).execute(self.conn()?).await?;
        Ok(())
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
        rows.into_iter().map(Anomaly::try_from).collect()
    }

    /// One surprise. [`StoreError::NotFound`] if the tenant has no such one.
    pub async fn anomaly(&mut self, id: AnomalyId) -> Result<Anomaly, StoreError> {
        let row = anomaly::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: AnomalyRow = row.select(AnomalyRow::as_select()).first(self.conn()?).await?;
        row.try_into()
    }

    /// Writes down what somebody makes of a surprise; what somebody said before is replaced.
    pub async fn decide_anomaly(
        &mut self,
        id: AnomalyId,
        decision: &AnomalyDecision,
    ) -> Result<Anomaly, StoreError> {
        diesel::update(anomaly::table.find((self.tenant_id().uuid(), id.uuid())))
            .set((
                anomaly::decision.eq(decision.judgement.as_str()),
                anomaly::decision_reason.eq(&decision.reason),
                anomaly::decided_by.eq(&decision.by),
                anomaly::decided_at.eq(decision.at),
            ))
            .execute(self.conn()?)
            .await?;
        self.anomaly(id).await
    }

    /// Writes down what the bills make of a surprise, or that they do not say any more.
    pub async fn note_anomaly_on_bills(
        &mut self,
        id: AnomalyId,
        on_bills: Option<&AnomalyOnBills>,
    ) -> Result<(), StoreError> {
        diesel::update(anomaly::table.find((self.tenant_id().uuid(), id.uuid())))
            .set((
                anomaly::bill_verdict.eq(on_bills.map(|one| one.verdict.as_str())),
                anomaly::billed.eq(on_bills.map(|one| Db(one.billed))),
                anomaly::billed_at.eq(on_bills.map(|one| one.at)),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// The surprises of a span that were found among calls, newest first.
    pub async fn anomalies_of_calls(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Anomaly>, StoreError> {
        let rows: Vec<AnomalyRow> = anomaly::table
            .filter(anomaly::tenant_id.eq(self.tenant_id().uuid()))
            .filter(anomaly::hour.ge(from))
            .filter(anomaly::hour.lt(to))
            .filter(anomaly::series.not_like("bill:%"))
            .order((anomaly::hour.desc(), anomaly::series))
            .limit(i64::from(limit))
            .select(AnomalyRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(Anomaly::try_from).collect()
    }

    /// The surprises of a span (of one cadence, if it is named), by the largest difference, at most so many; and how many there
    /// are.
    pub async fn largest_anomalies(
        &mut self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cadence: Option<Cadence>,
        limit: u32,
    ) -> Result<(Vec<Anomaly>, u64), StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let of_span = || {
            let mut query = anomaly::table
                .filter(anomaly::tenant_id.eq(tenant_id))
                .filter(anomaly::hour.ge(from))
                .filter(anomaly::hour.lt(to))
                .into_boxed();
            if let Some(cadence) = cadence {
                query = query.filter(anomaly::cadence.eq(cadence.as_str()));
            }
            query
        };
        let count: i64 = of_span().count().get_result(self.conn()?).await?;
        let difference = diesel::dsl::sql::<diesel::sql_types::Numeric>("abs(actual - expected)");
        let rows: Vec<AnomalyRow> = of_span()
            .order((difference.desc(), anomaly::hour, anomaly::series))
            .limit(i64::from(limit))
            .select(AnomalyRow::as_select())
            .load(self.conn()?)
            .await?;
        let largest = rows.into_iter().map(Anomaly::try_from).collect::<Result<_, _>>()?;
        Ok((largest, from_bigint(count)))
    }

    /// The surprises of a span, oldest first.
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
        rows.into_iter().map(Anomaly::try_from).collect()
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

    /// Writes down that an hour is to be judged of every tenant with calls in it. Accounts that are closing have none.
    pub async fn owe_judgement(&mut self, hour: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "INSERT INTO unjudged_hour (tenant_id, hour) \
            SELECT DISTINCT s.tenant_id, s.hour FROM spend_hourly s JOIN tenant t ON t.id = s.tenant_id \
            WHERE s.hour = $1 AND t.closing_at IS NULL ON CONFLICT DO NOTHING";
        diesel::sql_query(sql)
            .bind::<diesel::sql_types::Timestamptz, _>(hour)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Hours that are to be judged, the newest first, but for accounts that are closing; `after` is the last of the page before.
    pub async fn unjudged_hours(
        &mut self,
        after: Option<(DateTime<Utc>, TenantId)>,
        limit: u32,
    ) -> Result<Vec<(DateTime<Utc>, TenantId)>, StoreError> {
        let mut query = unjudged_hour::table
            .inner_join(tenant::table)
            .filter(tenant::closing_at.is_null())
            .order((unjudged_hour::hour.desc(), unjudged_hour::tenant_id))
            .limit(i64::from(limit))
            .select((unjudged_hour::hour, unjudged_hour::tenant_id))
            .into_boxed();
        if let Some((hour, tenant)) = after {
            let of_the_hour = unjudged_hour::hour.eq(hour);
            let behind = of_the_hour.and(unjudged_hour::tenant_id.gt(tenant.uuid()));
            query = query.filter(unjudged_hour::hour.lt(hour).or(behind));
        }
        let rows: Vec<(DateTime<Utc>, Uuid)> = query.load(&mut self.conn).await?;
        Ok(rows.into_iter().map(|(hour, tenant)| (hour, tenant.into())).collect())
    }

    /// Lets go of hours before this one, of which nobody wants to hear any more. How many those are.
    pub async fn forget_unjudged_hours(&mut self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        let old = unjudged_hour::table.filter(unjudged_hour::hour.lt(before));
        Ok(diesel::delete(old).execute(&mut self.conn).await?)
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
    counts_unproxied: bool,
}

impl TryFrom<BudgetRow> for Budget {
    type Error = StoreError;

    fn try_from(row: BudgetRow) -> Result<Self, StoreError> {
        let scope = BudgetScope {
            api_key_id: row.api_key_id.map(Into::into),
            provider: row.provider,
            model: row.model,
            unproxied: row.counts_unproxied,
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
    cadence: String,
    kind: String,
    currency: String,
    hour: DateTime<Utc>,
    detector: String,
    expected: Db<Decimal>,
    actual: Db<Decimal>,
    contributors: Value,
    explanation: Value,
    changes: Value,
    found_at: DateTime<Utc>,
    decision: Option<String>,
    decision_reason: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    bill_verdict: Option<String>,
    billed: Option<Db<Decimal>>,
    billed_at: Option<DateTime<Utc>>,
}

impl TryFrom<AnomalyRow> for Anomaly {
    type Error = StoreError;

    fn try_from(row: AnomalyRow) -> Result<Self, StoreError> {
        let cadence = |name: &str| [Cadence::Hour, Cadence::Day].into_iter().find(|one| one.as_str() == name);
        let judgement = |name: &str| {
            [Judgement::Acknowledged, Judgement::Dismissed].into_iter().find(|one| one.as_str() == name)
        };
        let decision = match (row.decision, row.decided_at) {
            (Some(decision), Some(at)) => Some(AnomalyDecision {
                judgement: named("anomaly.decision", &decision, judgement)?,
                reason: row.decision_reason.unwrap_or_default(),
                by: row.decided_by.unwrap_or_default(),
                at,
            }),
            _ => None,
        };
        let on_bills = match (row.bill_verdict, row.billed, row.billed_at) {
            (Some(verdict), Some(billed), Some(at)) => Some(AnomalyOnBills {
                verdict: named("anomaly.bill_verdict", &verdict, BillVerdict::from_name)?,
                billed: billed.0,
                at,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            series: row.series,
            cadence: named("anomaly.cadence", &row.cadence, cadence)?,
            kind: row.kind,
            hour: row.hour,
            detector: row.detector,
            surprise: Surprise {
                expected: row.expected.0,
                actual: row.actual.0,
                currency: named("anomaly.currency", &row.currency, |code| code.parse().ok())?,
            },
            contributors: row.contributors,
            explanation: row.explanation,
            changes: row.changes,
            found_at: row.found_at,
            decision,
            on_bills,
        })
    }
}
