//! Which of the lines that may be AI are, by what a tenant's people say. A rule is kept with each fact that it decided, and
//! decides again whenever a bill comes or a rule comes or goes.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::{BillId, CandidateRuleId, Currency};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Numeric, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::bills::rows::currency_named;
use crate::db::{Db, from_bigint, named};
use crate::schema::candidate_rule;
use crate::{StoreError, TenantConn};

/// Which candidates a rule is about: those of a service and, where it names them, of one account, region and instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateScope {
    /// The service, one of [`costlens_domain::classify::CANDIDATE_SERVICES`].
    pub service: String,
    /// The account that used it.
    pub usage_account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The instance type.
    pub instance_type: Option<String>,
}

/// These candidates count as AI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateRule {
    /// The rule.
    pub id: CandidateRuleId,
    /// Which.
    pub scope: CandidateScope,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when; `None` while it holds.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What may be AI on a bill, of one place and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The service.
    pub service: String,
    /// The account that used it.
    pub usage_account: String,
    /// The region; empty where the bill names none.
    pub region: String,
    /// The instance type, where it is one.
    pub instance_type: Option<String>,
    /// What accelerates it, such as `8 × H100`; empty where nothing does, or nobody knows what.
    pub accelerators: String,
    /// The rule by which it counts as AI.
    pub by_rule: Option<CandidateRuleId>,
    /// What the cost counts.
    pub currency: Currency,
    /// The unblended cost.
    pub cost: Decimal,
    /// How many bill lines there are.
    pub lines: u64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = candidate_rule)]
struct RuleRow {
    id: Uuid,
    service: String,
    usage_account: Option<String>,
    region: Option<String>,
    instance_type: Option<String>,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<RuleRow> for CandidateRule {
    fn from(row: RuleRow) -> Self {
        let RuleRow { id, service, usage_account, region, instance_type, created_at, ended_at } = row;
        let scope = CandidateScope { service, usage_account, region, instance_type };
        Self { id: id.into(), scope, created_at, ended_at }
    }
}

#[derive(QueryableByName)]
struct ChangedRow {
    #[diesel(sql_type = SqlUuid)]
    bill_id: Uuid,
    #[diesel(sql_type = Date)]
    month: NaiveDate,
}

#[derive(QueryableByName)]
struct CandidateRow {
    #[diesel(sql_type = Text)]
    service: String,
    #[diesel(sql_type = Text)]
    usage_account: String,
    #[diesel(sql_type = Text)]
    region: String,
    #[diesel(sql_type = Nullable<Text>)]
    instance_type: Option<String>,
    #[diesel(sql_type = Text)]
    accelerators: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    by_rule: Option<Uuid>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Numeric)]
    cost: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    lines: i64,
}

impl TryFrom<CandidateRow> for Candidate {
    type Error = StoreError;

    fn try_from(row: CandidateRow) -> Result<Self, StoreError> {
        Ok(Self {
            service: row.service,
            usage_account: row.usage_account,
            region: row.region,
            instance_type: row.instance_type,
            accelerators: row.accelerators,
            by_rule: row.by_rule.map(Into::into),
            currency: named("bill_daily_fact.currency", &row.currency, currency_named)?,
            cost: row.cost.0,
            lines: from_bigint(row.lines),
        })
    }
}

impl TenantConn {
    /// Makes a rule. [`StoreError::Conflict`] where one that holds says the same.
    pub async fn create_candidate_rule(&mut self, new: &CandidateRule) -> Result<(), StoreError> {
        diesel::insert_into(candidate_rule::table)
            .values((
                candidate_rule::tenant_id.eq(self.tenant_id().uuid()),
                candidate_rule::id.eq(new.id.uuid()),
                candidate_rule::service.eq(&new.scope.service),
                candidate_rule::usage_account.eq(&new.scope.usage_account),
                candidate_rule::region.eq(&new.scope.region),
                candidate_rule::instance_type.eq(&new.scope.instance_type),
                candidate_rule::created_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// All rules, newest first, ended ones included.
    pub async fn list_candidate_rules(&mut self) -> Result<Vec<CandidateRule>, StoreError> {
        let rows: Vec<RuleRow> = candidate_rule::table
            .filter(candidate_rule::tenant_id.eq(self.tenant_id().uuid()))
            .order(candidate_rule::id.desc())
            .select(RuleRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// One rule. [`StoreError::NotFound`] if the tenant has no such rule.
    pub async fn candidate_rule(&mut self, id: CandidateRuleId) -> Result<CandidateRule, StoreError> {
        let row = candidate_rule::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: RuleRow = row.select(RuleRow::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// Ends a rule. Whether it held until now: again changes nothing.
    pub async fn end_candidate_rule(
        &mut self,
        id: CandidateRuleId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = candidate_rule::table.find((self.tenant_id().uuid(), id.uuid()));
        let ended = diesel::update(row.filter(candidate_rule::ended_at.is_null()))
            .set(candidate_rule::ended_at.eq(at))
            .execute(self.conn()?)
            .await?;
        Ok(ended > 0)
    }

    /// Decides by the rules that hold which candidates count as AI: of every bill that counts. The months of which something
    /// changed are to be settled anew. Whoever stores a bill meanwhile is waited for, and decides of it by itself.
    pub async fn decide_candidates(&mut self) -> Result<BTreeSet<NaiveDate>, StoreError> {
        self.lock_bills().await?;
        self.decide_candidates_of(None).await
    }

    /// The same of one bill alone.
    pub(crate) async fn decide_candidates_of(
        &mut self,
        bill: Option<BillId>,
    ) -> Result<BTreeSet<NaiveDate>, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let changed: Vec<ChangedRow> = diesel::sql_query(include_str!("sql/decide_candidates.sql"))
            .bind::<SqlUuid, _>(tenant_id)
            .bind::<Nullable<SqlUuid>, _>(bill.map(BillId::uuid))
            .load(self.conn()?)
            .await?;
        let bills: BTreeSet<Uuid> = changed.iter().map(|row| row.bill_id).collect();
        if !bills.is_empty() {
            diesel::sql_query(include_str!("sql/retotal_bills.sql"))
                .bind::<SqlUuid, _>(tenant_id)
                .bind::<Array<SqlUuid>, _>(bills.into_iter().collect::<Vec<_>>())
                .execute(self.conn()?)
                .await?;
        }
        Ok(changed.into_iter().map(|row| row.month).collect())
    }

    /// What may be AI on a bill, dearest first, at most `limit` rows of each currency.
    pub async fn bill_candidates(&mut self, id: BillId, limit: u32) -> Result<Vec<Candidate>, StoreError> {
        let rows: Vec<CandidateRow> = diesel::sql_query(include_str!("sql/bill_candidates.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<BigInt, _>(i64::from(limit))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
