//! What the nightly look at facts leaves: events and recommendations; and the facts that it looks at.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::DailyFact;
use costlens_domain::{BillId, Currency, InsightEventId, RecommendationId, TenantId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use crate::bills::rows::KeptFact;
use crate::db::{Db, named};
use crate::schema::{bill, bill_daily_fact, insight_event, recommendation, tenant};
use crate::{Bill, StoreError, SystemConn, TenantConn};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsightEvent {
    /// Its id.
    pub id: InsightEventId,
    /// What kind of thing, by its stable name.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// The UTC day.
    pub day: NaiveDate,
    /// What the amount counts.
    pub currency: Currency,
    /// The money that goes with it.
    pub amount: Decimal,
    /// Figures and names beside it.
    pub detail: Value,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

/// Something that could be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// Its id.
    pub id: RecommendationId,
    /// What to do, by its stable name.
    pub kind: String,
    /// With what.
    pub subject: String,
    /// What the amounts count.
    pub currency: Currency,
    /// What would be saved in thirty days.
    pub monthly_saving: Decimal,
    /// What it costs in thirty days as it is.
    pub monthly_cost: Decimal,
    /// How sure that is.
    pub confidence: String,
    /// What shows it.
    pub evidence: Value,
    /// When it was first found.
    pub first_found_at: DateTime<Utc>,
    /// When it was last found.
    pub found_at: DateTime<Utc>,
    /// Since when it is not found any more.
    pub ended_at: Option<DateTime<Utc>>,
    /// Since when nobody wants to hear of it, who said so, and why.
    pub dismissed: Option<(DateTime<Utc>, String, String)>,
}

/// How many facts are read at once.
const FACTS_PER_PAGE: i64 = 10_000;

impl TenantConn {
    /// The facts of bills that count, from a day on; of one bill where one is named, counting or not.
    pub async fn bill_facts(
        &mut self,
        of: Option<BillId>,
        from: NaiveDate,
        most: usize,
    ) -> Result<Vec<DailyFact>, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let bills = match of {
            Some(id) => vec![id],
            None => self.current_bills().await?,
        };
        let mut facts = Vec::new();
        for id in bills {
            let mut after = -1_i64;
            loop {
                let rows: Vec<KeptFact> = bill_daily_fact::table
                    .filter(bill_daily_fact::tenant_id.eq(tenant_id))
                    .filter(bill_daily_fact::bill_id.eq(id.uuid()))
                    .filter(bill_daily_fact::n.gt(after))
                    .filter(bill_daily_fact::day.ge(from))
                    .order(bill_daily_fact::n)
                    .limit(FACTS_PER_PAGE)
                    .select(KeptFact::as_select())
                    .load(self.conn()?)
                    .await?;
                let Some(last) = rows.last() else { break };
                after = last.n;
                for row in rows {
                    facts.push(row.into_fact()?);
                }
                if facts.len() >= most {
                    return Ok(facts);
                }
            }
        }
        Ok(facts)
    }

    /// How many facts the bills that count have from a day on.
    pub async fn count_bill_facts(&mut self, from: NaiveDate) -> Result<usize, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let bills: Vec<Uuid> = self.current_bills().await?.into_iter().map(BillId::uuid).collect();
        let count: i64 = bill_daily_fact::table
            .filter(bill_daily_fact::tenant_id.eq(tenant_id))
            .filter(bill_daily_fact::bill_id.eq_any(bills))
            .filter(bill_daily_fact::day.ge(from))
            .count()
            .get_result(self.conn()?)
            .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The delivery that this one replaced, if there is one.
    pub async fn replaced_bill(&mut self, by: &Bill) -> Result<Option<BillId>, StoreError> {
        let found: Option<Uuid> = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill::superseded_at.eq(by.created_at))
            .filter(bill::id.ne(by.id.uuid()))
            .order(bill::id.desc())
            .select(bill::id)
            .first(self.conn()?)
            .await
            .optional()?;
        Ok(found.map(BillId::from))
    }

    /// Writes an event down. False where it was found before: the same of the same day and, where its detail names one, of the
    /// same bill (`bill_id`).
    pub async fn create_insight_event(&mut self, new: &InsightEvent) -> Result<bool, StoreError> {
        let written = diesel::insert_into(insight_event::table)
            .values((
                insight_event::tenant_id.eq(self.tenant_id().uuid()),
                insight_event::id.eq(new.id.uuid()),
                insight_event::kind.eq(&new.kind),
                insight_event::subject.eq(&new.subject),
                insight_event::day.eq(new.day),
                insight_event::currency.eq(new.currency.as_str()),
                insight_event::amount.eq(Db(new.amount)),
                insight_event::detail.eq(&new.detail),
                insight_event::found_at.eq(new.found_at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// Kind and subject of each event of these kinds that was ever written down.
    pub async fn told_insight_events(&mut self, kinds: &[&str]) -> Result<Vec<(String, String)>, StoreError> {
        Ok(insight_event::table
            .filter(insight_event::tenant_id.eq(self.tenant_id().uuid()))
            .filter(insight_event::kind.eq_any(kinds))
            .select((insight_event::kind, insight_event::subject))
            .distinct()
            .load(self.conn()?)
            .await?)
    }

    /// Events, newest find first; `after` is the last id of the page before.
    pub async fn list_insight_events(
        &mut self,
        after: Option<InsightEventId>,
        limit: u32,
    ) -> Result<Vec<InsightEvent>, StoreError> {
        let mut query = insight_event::table
            .filter(insight_event::tenant_id.eq(self.tenant_id().uuid()))
            .order(insight_event::id.desc())
            .limit(i64::from(limit))
            .select(EventRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(insight_event::id.lt(after.uuid()));
        }
        let rows: Vec<EventRow> = query.load(self.conn()?).await?;
        rows.into_iter().map(InsightEvent::try_from).collect()
    }

    /// Writes down what could be saved as this look found it. What was found before keeps its id, its first time and
    /// whether it was dismissed; what is not among them is over.
    pub async fn put_recommendations(
        &mut self,
        found: &[Recommendation],
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let known = self.all_recommendations().await?;
        let tenant_id = self.tenant_id().uuid();
        let same = |one: &Recommendation, other: &Recommendation| {
            one.kind == other.kind && one.subject == other.subject && one.currency == other.currency
        };
        for one in found {
            if let Some(old) = known.iter().find(|old| same(old, one)) {
                diesel::update(recommendation::table.find((tenant_id, old.id.uuid())))
                    .set((
                        recommendation::monthly_saving.eq(Db(one.monthly_saving)),
                        recommendation::monthly_cost.eq(Db(one.monthly_cost)),
                        recommendation::confidence.eq(&one.confidence),
                        recommendation::evidence.eq(&one.evidence),
                        recommendation::found_at.eq(at),
                        recommendation::ended_at.eq(None::<DateTime<Utc>>),
                    ))
                    .execute(self.conn()?)
                    .await?;
            } else {
                diesel::insert_into(recommendation::table)
                    .values((
                        recommendation::tenant_id.eq(tenant_id),
                        recommendation::id.eq(one.id.uuid()),
                        recommendation::kind.eq(&one.kind),
                        recommendation::subject.eq(&one.subject),
                        recommendation::currency.eq(one.currency.as_str()),
                        recommendation::monthly_saving.eq(Db(one.monthly_saving)),
                        recommendation::monthly_cost.eq(Db(one.monthly_cost)),
                        recommendation::confidence.eq(&one.confidence),
                        recommendation::evidence.eq(&one.evidence),
                        recommendation::first_found_at.eq(at),
                        recommendation::found_at.eq(at),
                    ))
                    .on_conflict_do_nothing()
                    .execute(self.conn()?)
                    .await?;
            }
        }
        for old in known.iter().filter(|old| old.ended_at.is_none()) {
            if !found.iter().any(|one| same(old, one)) {
                diesel::update(recommendation::table.find((tenant_id, old.id.uuid())))
                    .set(recommendation::ended_at.eq(at))
                    .execute(self.conn()?)
                    .await?;
            }
        }
        Ok(())
    }

    async fn all_recommendations(&mut self) -> Result<Vec<Recommendation>, StoreError> {
        let rows: Vec<RecommendationRow> = recommendation::table
            .filter(recommendation::tenant_id.eq(self.tenant_id().uuid()))
            .select(RecommendationRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(Recommendation::try_from).collect()
    }

    /// What could be saved now, dearest first; what was dismissed only where it is asked for.
    pub async fn list_recommendations(
        &mut self,
        dismissed: bool,
        limit: u32,
    ) -> Result<Vec<Recommendation>, StoreError> {
        let mut query = recommendation::table
            .filter(recommendation::tenant_id.eq(self.tenant_id().uuid()))
            .filter(recommendation::ended_at.is_null())
            .order((recommendation::monthly_saving.desc(), recommendation::id))
            .limit(i64::from(limit))
            .select(RecommendationRow::as_select())
            .into_boxed();
        if !dismissed {
            query = query.filter(recommendation::dismissed_at.is_null());
        }
        let rows: Vec<RecommendationRow> = query.load(self.conn()?).await?;
        rows.into_iter().map(Recommendation::try_from).collect()
    }

    /// One recommendation. [`StoreError::NotFound`] if the tenant has no such one.
    pub async fn recommendation(&mut self, id: RecommendationId) -> Result<Recommendation, StoreError> {
        let row = recommendation::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: RecommendationRow = row.select(RecommendationRow::as_select()).first(self.conn()?).await?;
        row.try_into()
    }

    /// Nobody wants to hear of it: when, who said so, and why.
    pub async fn dismiss_recommendation(
        &mut self,
        id: RecommendationId,
        (at, by, reason): (DateTime<Utc>, &str, &str),
    ) -> Result<Recommendation, StoreError> {
        diesel::update(recommendation::table.find((self.tenant_id().uuid(), id.uuid())))
            .set((
                recommendation::dismissed_at.eq(at),
                recommendation::dismissed_by.eq(by),
                recommendation::dismissed_reason.eq(reason),
            ))
            .execute(self.conn()?)
            .await?;
        self.recommendation(id).await
    }
}

impl SystemConn {
    /// The tenants with bills that count. Accounts that are closing have none.
    pub async fn tenants_with_bills(&mut self) -> Result<Vec<TenantId>, StoreError> {
        let rows: Vec<Uuid> = bill::table
            .inner_join(tenant::table)
            .filter(bill::superseded_at.is_null())
            .filter(tenant::closing_at.is_null())
            .select(bill::tenant_id)
            .distinct()
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(TenantId::from).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = insight_event)]
struct EventRow {
    id: Uuid,
    kind: String,
    subject: String,
    day: NaiveDate,
    currency: String,
    amount: Db<Decimal>,
    detail: Value,
    found_at: DateTime<Utc>,
}

impl TryFrom<EventRow> for InsightEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            kind: row.kind,
            subject: row.subject,
            day: row.day,
            currency: named("insight_event.currency", &row.currency, |code| code.parse().ok())?,
            amount: row.amount.0,
            detail: row.detail,
            found_at: row.found_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = recommendation)]
struct RecommendationRow {
    id: Uuid,
    kind: String,
    subject: String,
    currency: String,
    monthly_saving: Db<Decimal>,
    monthly_cost: Db<Decimal>,
    confidence: String,
    evidence: Value,
    first_found_at: DateTime<Utc>,
    found_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    dismissed_at: Option<DateTime<Utc>>,
    dismissed_by: Option<String>,
    dismissed_reason: Option<String>,
}

impl TryFrom<RecommendationRow> for Recommendation {
    type Error = StoreError;

    fn try_from(row: RecommendationRow) -> Result<Self, StoreError> {
        let said = (row.dismissed_by.unwrap_or_default(), row.dismissed_reason.unwrap_or_default());
        Ok(Self {
            id: row.id.into(),
            kind: row.kind,
            subject: row.subject,
            currency: named("recommendation.currency", &row.currency, |code| code.parse().ok())?,
            monthly_saving: row.monthly_saving.0,
            monthly_cost: row.monthly_cost.0,
            confidence: row.confidence,
            evidence: row.evidence,
            first_found_at: row.first_found_at,
            found_at: row.found_at,
            ended_at: row.ended_at,
            dismissed: row.dismissed_at.map(|at| (at, said.0, said.1)),
        })
    }
}
