//! Closing an account: frozen in the transaction that asks for it, erased after the days of grace.
//!
//! The erasure's own row knows no tenant: what leads from one to the other is the closure, which goes with the account.
//! The functions that erase run as the tables' owner, and do nothing for a tenant whose erasure has not begun.

use chrono::{DateTime, Utc};
use costlens_domain::{ErasureId, SessionId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, TransactionManager};
use serde_json::Value;
use uuid::Uuid;

use crate::db::{from_bigint, named, to_bigint};
use crate::keys::notify;
use crate::schema::{closure, erasure, session, sign_in_link, tenant};
use crate::{KeyChange, StoreError, SystemConn, TenantConn};

/// The tables that an erasure empties, in an order that their foreign keys allow. The second group is what whoever is
/// told of it needs; the third says what services outside hold, and goes when they hold it no more. A test holds this
/// list against the catalogue.
pub const ERASED_TABLES: [&[&str]; 3] = [
    &[
        "webhook_delivery",
        "event",
        "webhook_endpoint",
        "slack_channel",
        "budget_alert",
        "budget",
        "anomaly",
        "unjudged_hour",
        "insight_event",
        "recommendation",
        "request_repricing",
        "repricing",
        "request_body",
        "imported_call",
        "request",
        "spend_hourly",
        "invoice_month",
        "bill_month",
        "bill_delivery",
        "settlement_residual",
        "settlement_coverage",
        "settlement_cell",
        "settlement_price",
        "settlement_day",
        "settlement",
        "bill_daily_fact",
        "candidate_rule",
        "bill_control_total",
        "bill_upload",
        "bill",
        "aws_connection",
        "invoice_source",
        "api_key_label",
        "export",
        "connection",
        "api_key",
        "idempotency_key",
        "sign_in_link",
        "session",
        "invitation",
        "sso_identity",
        "sso_domain",
        "sso_provider",
        "member",
        "audit_event",
        "tenant_settings",
        "tenant_privacy",
        "support_grant",
        "subject_key",
        "tenant_key",
    ],
    &["message", "recipient"],
    &["outer_organization", "held_outside"],
];

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureState {
    /// The account is frozen, and can still be kept.
    Grace,
    /// It cannot be kept any more.
    Erasing,
    /// Nothing is left, and that is proven.
    Certified,
    /// The account was kept.
    Cancelled,
}

impl ErasureState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grace => "grace",
            Self::Erasing => "erasing",
            Self::Certified => "certified",
            Self::Cancelled => "cancelled",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Grace, Self::Erasing, Self::Certified, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// The end of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id: a random number, and all that names the account afterwards.
    pub id: ErasureId,
    /// How far it is.
    pub state: ErasureState,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Until when the account can be kept.
    pub erase_at: DateTime<Utc>,
    /// By when nothing may be left.
    pub deadline_at: DateTime<Utc>,
    /// When the erasure began.
    pub begun_at: Option<DateTime<Utc>>,
    /// When it was certified or cancelled.
    pub ended_at: Option<DateTime<Utc>>,
    /// The last day of the calendar of alarms that the operator was told of.
    pub alarmed_day: Option<u32>,
    /// What was done, step by step.
    pub evidence: Value,
    /// The proof.
    pub certificate: Option<Value>,
}

impl TenantConn {
    /// Freezes the account and asks for its end: keys are refused from the commit on, and every session but the asking
    /// one, and every sign-in link, ends. A conflict on `closure_pkey` means that it was asked for before.
    pub async fn request_closure(
        &mut self,
        id: ErasureId,
        (requested_by, own_session): (&str, Option<SessionId>),
        at: DateTime<Utc>,
        erase_at: DateTime<Utc>,
        deadline_at: DateTime<Utc>,
    ) -> Result<Erasure, StoreError> {
        let tenant_id = self.tenant_id();
        let of = tenant_id.uuid();
        diesel::insert_into(closure::table)
            .values((
                closure::tenant_id.eq(of),
                closure::erasure_id.eq(id.uuid()),
                closure::requested_by.eq(requested_by),
            ))
            .execute(self.conn()?)
            .await?;
        diesel::insert_into(erasure::table)
            .values((
                erasure::id.eq(id.uuid()),
                erasure::state.eq(ErasureState::Grace.as_str()),
                erasure::requested_at.eq(at),
                erasure::erase_at.eq(erase_at),
                erasure::deadline_at.eq(deadline_at),
                erasure::evidence.eq(serde_json::json!({})),
            ))
            .execute(self.conn()?)
            .await?;
        diesel::update(tenant::table.find(of)).set(tenant::closing_at.eq(at)).execute(self.conn()?).await?;
        let others = session::table
            .filter(session::tenant_id.eq(of))
            .filter(session::id.ne(own_session.map_or_else(Uuid::nil, SessionId::uuid)))
            .filter(session::ended_at.is_null());
        diesel::update(others).set(session::ended_at.eq(at)).execute(self.conn()?).await?;
        diesel::update(
            sign_in_link::table
                .filter(sign_in_link::tenant_id.eq(of))
                .filter(sign_in_link::used_at.is_null()),
        )
        .set(sign_in_link::used_at.eq(at))
        .execute(self.conn()?)
        .await?;
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: None }).await?;
        self.closure().await?.ok_or(StoreError::NotFound)
    }

    /// The account's erasure, if one was asked for.
    pub async fn closure(&mut self) -> Result<Option<Erasure>, StoreError> {
        let row: Option<Row> = closure::table
            .inner_join(erasure::table.on(erasure::id.eq(closure::erasure_id)))
            .filter(closure::tenant_id.eq(self.tenant_id().uuid()))
            .select(Row::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map(Erasure::try_from).transpose()
    }

    /// Keeps the account: keys work again from the commit on. [`StoreError::NotFound`] where there is nothing to
    /// cancel, or the erasure has begun.
    pub async fn cancel_closure(&mut self, at: DateTime<Utc>) -> Result<Erasure, StoreError> {
        let tenant_id = self.tenant_id();
        let asked = self.closure().await?.ok_or(StoreError::NotFound)?;
        let open =
            erasure::table.find(asked.id.uuid()).filter(erasure::state.eq(ErasureState::Grace.as_str()));
        let cancelled = diesel::update(open)
            .set((erasure::state.eq(ErasureState::Cancelled.as_str()), erasure::ended_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        if cancelled == 0 {
            return Err(StoreError::NotFound);
        }
        diesel::delete(closure::table.find(tenant_id.uuid())).execute(self.conn()?).await?;
        diesel::update(tenant::table.find(tenant_id.uuid()))
            .set(tenant::closing_at.eq(None::<DateTime<Utc>>))
            .execute(self.conn()?)
            .await?;
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: None }).await?;
        Ok(Erasure { state: ErasureState::Cancelled, ended_at: Some(at), ..asked })
    }
}

impl SystemConn {
    /// One erasure, with its tenant while there is one.
    pub async fn erasure(&mut self, id: ErasureId) -> Result<(Erasure, Option<TenantId>), StoreError> {
        let row: Row = erasure::table.find(id.uuid()).select(Row::as_select()).first(&mut self.conn).await?;
        let of: Option<Uuid> = closure::table
            .filter(closure::erasure_id.eq(id.uuid()))
            .select(closure::tenant_id)
            .first(&mut self.conn)
            .await
            .optional()?;
        Ok((row.try_into()?, of.map(TenantId::from)))
    }

    /// The erasures that are not done, longest overdue first.
    pub async fn open_erasures(&mut self, limit: u32) -> Result<Vec<Erasure>, StoreError> {
        let rows: Vec<Row> = erasure::table
            .filter(erasure::state.eq_any([ErasureState::Grace.as_str(), ErasureState::Erasing.as_str()]))
            .order(erasure::erase_at)
            .limit(i64::from(limit))
            .select(Row::as_select())
            .load(&mut self.conn)
            .await?;
        rows.into_iter().map(Erasure::try_from).collect()
    }

    /// From here on the account cannot be kept. False where it was, or the days of grace are not over.
    pub async fn begin_erasure(
        &mut self,
        id: ErasureId,
        tenant_hash: &[u8; 32],
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let due = erasure::table
            .find(id.uuid())
            .filter(erasure::state.eq(ErasureState::Grace.as_str()))
            .filter(erasure::erase_at.le(at));
        let begun = diesel::update(due)
            .set((
                erasure::state.eq(ErasureState::Erasing.as_str()),
                erasure::begun_at.eq(at),
                erasure::tenant_hash.eq(tenant_hash.as_slice()),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(begun > 0)
    }

    /// Notes what a step did, beside what the others did.
    pub async fn note_evidence(&mut self, id: ErasureId, step: &str, what: &Value) -> Result<(), StoreError> {
        let sql = "UPDATE erasure SET evidence = evidence || jsonb_build_object($2, $3) WHERE id = $1";
        diesel::sql_query(sql)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(step)
            .bind::<Jsonb, _>(what)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Notes that a step begins that must not be done twice. False where it was noted before.
    pub async fn note_evidence_once(
        &mut self,
        id: ErasureId,
        step: &str,
        what: &Value,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE erasure SET evidence = evidence || jsonb_build_object($2, $3) \
                   WHERE id = $1 AND NOT jsonb_exists(evidence, $2)";
        let noted = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(step)
            .bind::<Jsonb, _>(what)
            .execute(&mut self.conn)
            .await?;
        Ok(noted > 0)
    }

    /// Notes that the operator was told. False where this day's alarm was told before.
    pub async fn note_alarm(&mut self, id: ErasureId, day: u32) -> Result<bool, StoreError> {
        let day = i32::try_from(day).unwrap_or(i32::MAX);
        let row = erasure::table.find(id.uuid());
        let told =
            diesel::update(row.filter(erasure::alarmed_day.is_null().or(erasure::alarmed_day.lt(day))))
                .set(erasure::alarmed_day.eq(day))
                .execute(&mut self.conn)
                .await?;
        Ok(told > 0)
    }

    /// Destroys every data key, and adds them to the evidence; the proxies hear of it once this is committed. Waits for
    /// transactions that may be sealing under them.
    pub async fn erase_data_keys(&mut self, id: ErasureId, tenant_id: TenantId) -> Result<u64, StoreError> {
        let destroyed: Counted = diesel::sql_query("SELECT erase_data_keys($1) AS rows")
            .bind::<SqlUuid, _>(id.uuid())
            .get_result(&mut self.conn)
            .await?;
        notify(&mut self.conn, KeyChange { tenant_id, api_key_id: None }).await?;
        Ok(from_bigint(destroyed.rows))
    }

    /// Notes how many there are to be erased where no transaction reaches, such as files: the most that were seen since
    /// the last [`Self::settle_found`], whatever became of whoever saw them.
    pub async fn note_found(&mut self, id: ErasureId, step: &str, found: u64) -> Result<(), StoreError> {
        let sql = "UPDATE erasure SET evidence = evidence || jsonb_build_object($2 || '_found', \
                   greatest((evidence ->> ($2 || '_found'))::bigint, $3)) WHERE id = $1";
        diesel::sql_query(sql)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(step)
            .bind::<BigInt, _>(to_bigint(found))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Adds what was found to the evidence, now that nothing of it is left; at least so many.
    pub async fn settle_found(&mut self, id: ErasureId, step: &str, erased: u64) -> Result<(), StoreError> {
        let sql = "UPDATE erasure SET evidence = (evidence - ($2 || '_found')) || jsonb_build_object($2, \
                   coalesce((evidence ->> $2)::bigint, 0) + greatest((evidence ->> ($2 || '_found'))::bigint, $3)) \
                   WHERE id = $1";
        diesel::sql_query(sql)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(step)
            .bind::<BigInt, _>(to_bigint(erased))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Removes some rows of one table, and adds them to the evidence. Says how many.
    pub async fn erase_rows(&mut self, id: ErasureId, table: &str, most: u32) -> Result<u64, StoreError> {
        let rows: Counted = diesel::sql_query("SELECT erase_counted_rows($1, $2, $3) AS rows")
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(table)
            .bind::<Integer, _>(i32::try_from(most).unwrap_or(i32::MAX))
            .get_result(&mut self.conn)
            .await?;
        Ok(from_bigint(rows.rows))
    }

    /// Removes some of what Clerk told of the tenant's organisation, and of people who belong to no other tenant, and adds
    /// it to the evidence. Says how many rows; none: nothing is left. Before the tenant's members and sessions are
    /// erased, by whom people are found.
    pub async fn erase_outer_ids(&mut self, id: ErasureId, most: u32) -> Result<u64, StoreError> {
        let rows: Counted = diesel::sql_query("SELECT erase_outer_ids($1, $2) AS rows")
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Integer, _>(i32::try_from(most).unwrap_or(i32::MAX))
            .get_result(&mut self.conn)
            .await?;
        Ok(from_bigint(rows.rows))
    }

    /// Keeps the audit that must be kept, under the erasure's number. Says how many events that are. Again: nothing.
    pub async fn keep_audit(&mut self, id: ErasureId) -> Result<u64, StoreError> {
        let kept: Counted = diesel::sql_query("SELECT keep_audit($1) AS rows")
            .bind::<SqlUuid, _>(id.uuid())
            .get_result(&mut self.conn)
            .await?;
        Ok(from_bigint(kept.rows))
    }

    /// What is left of the tenant in any table of any schema, by the catalogue.
    pub async fn count_tenant_rows(&mut self, id: ErasureId) -> Result<Vec<(String, u64)>, StoreError> {
        let rows: Vec<Left> = diesel::sql_query("SELECT name, rows FROM count_tenant_rows($1)")
            .bind::<SqlUuid, _>(id.uuid())
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.name, from_bigint(row.rows))).collect())
    }

    /// Removes the account itself, and keeps the certificate. Fails with a conflict while anything is left.
    pub async fn certify_erasure(
        &mut self,
        id: ErasureId,
        certificate: &Value,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::sql_query("SELECT erase_tenant_itself($1, $2, $3)")
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Jsonb, _>(certificate)
            .bind::<Timestamptz, _>(at)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }
}

/// Begins a transaction on a neighbour's connection, in which it erases rows of its own, until [`commit_erased`]. A
/// connection that is given back before that is closed, and nothing was erased.
pub async fn begin_erasing(conn: &mut AsyncPgConnection) -> Result<(), StoreError> {
    AnsiTransactionManager::begin_transaction(conn).await?;
    Ok(())
}

/// Adds what was erased since [`begin_erasing`] to a step's count in the evidence, and keeps both.
pub async fn commit_erased(
    conn: &mut AsyncPgConnection,
    id: ErasureId,
    step: &str,
    more: u64,
) -> Result<(), StoreError> {
    diesel::sql_query("SELECT add_erased($1, $2, $3)")
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Text, _>(step)
        .bind::<BigInt, _>(to_bigint(more))
        .execute(conn)
        .await?;
    AnsiTransactionManager::commit_transaction(conn).await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Left {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = erasure)]
struct Row {
    id: Uuid,
    state: String,
    requested_at: DateTime<Utc>,
    erase_at: DateTime<Utc>,
    deadline_at: DateTime<Utc>,
    begun_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    alarmed_day: Option<i32>,
    evidence: Value,
    certificate: Option<Value>,
}

impl TryFrom<Row> for Erasure {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            state: named("erasure.state", &row.state, ErasureState::from_name)?,
            requested_at: row.requested_at,
            erase_at: row.erase_at,
            deadline_at: row.deadline_at,
            begun_at: row.begun_at,
            ended_at: row.ended_at,
            alarmed_day: row.alarmed_day.and_then(|day| u32::try_from(day).ok()),
            evidence: row.evidence,
            certificate: row.certificate,
        })
    }
}
