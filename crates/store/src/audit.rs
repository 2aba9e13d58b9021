//! What was done that somebody may ask about later. Rows are added and never changed.

use chrono::{DateTime, Utc};
use costlens_domain::audit::Actor;
use costlens_domain::{AuditEventId, RequestId};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::schema::{audit_event, operator_event};
use crate::{StoreError, SystemConn, SystemTx, TenantConn};

/// What was done, to be written beside its effect.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub actor: Actor,
    /// The kind of act, `<thing>.<done>`: `closure.requested`.
    pub action: &'static str,
    /// What it was done to, by its shown id.
    pub target: Option<String>,
    /// What changed. No secret and nobody's address.
    pub change: Value,
    /// The request in which it was done.
    pub request_id: Option<RequestId>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom, see [`Actor`].
    pub actor: String,
    /// The kind of act.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
    /// What changed.
    pub change: Value,
    /// The request in which it was done.
    pub request_id: Option<RequestId>,
}

impl TenantConn {
    /// Writes down what this transaction does.
    pub async fn audit(&mut self, new: &NewAuditEvent) -> Result<(), StoreError> {
        diesel::insert_into(audit_event::table)
            .values((
                audit_event::tenant_id.eq(self.tenant_id().uuid()),
                audit_event::id.eq(new.id.uuid()),
                audit_event::at.eq(new.at),
                audit_event::actor.eq(new.actor.to_string()),
                audit_event::action.eq(new.action),
                audit_event::target.eq(new.target.as_deref()),
                audit_event::change.eq(&new.change),
                audit_event::request_id.eq(new.request_id.map(RequestId::uuid)),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// What was done, newest first; `after` is the last id of the page before.
    pub async fn list_audit_events(
        &mut self,
        after: Option<AuditEventId>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let mut query = audit_event::table
            .filter(audit_event::tenant_id.eq(self.tenant_id().uuid()))
            .order(audit_event::id.desc())
            .limit(i64::from(limit))
            .select(AuditRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(audit_event::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        Ok(rows.into_iter().map(AuditEvent::from).collect())
    }
}

impl SystemTx {
    /// Writes down what an operator did, or must look at, beside its effect.
    pub async fn note_operator_event(&mut self, new: &NewAuditEvent) -> Result<(), StoreError> {
        note(self.transaction()?, new).await
    }
}

async fn note(conn: &mut AsyncPgConnection, new: &NewAuditEvent) -> Result<(), StoreError> {
    diesel::insert_into(operator_event::table)
        .values((
            operator_event::id.eq(new.id.uuid()),
            operator_event::at.eq(new.at),
            operator_event::actor.eq(new.actor.to_string()),
            operator_event::action.eq(new.action),
            operator_event::target.eq(new.target.as_deref()),
            operator_event::change.eq(&new.change),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

impl SystemConn {
    /// Writes down what an operator did, or must look at, that is no one tenant's.
    pub async fn note_operator_event(&mut self, new: &NewAuditEvent) -> Result<(), StoreError> {
        note(&mut self.conn, new).await
    }

    /// What operators did and must look at, newest first; `after` is the last id of the page before.
    pub async fn list_operator_events(
        &mut self,
        after: Option<AuditEventId>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let mut query = operator_event::table
            .order(operator_event::id.desc())
            .limit(i64::from(limit))
            .select(OperatorRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(operator_event::id.lt(after.uuid()));
        }
        let rows = query.load(&mut self.conn).await?;
        Ok(rows.into_iter().map(AuditEvent::from).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_event)]
struct AuditRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    action: String,
    target: Option<String>,
    change: Value,
    request_id: Option<Uuid>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = operator_event)]
struct OperatorRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    action: String,
    target: Option<String>,
    change: Value,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, actor, action, target, change, request_id } = row;
        Self { id: id.into(), at, actor, action, target, change, request_id: request_id.map(Into::into) }
    }
}

impl From<OperatorRow> for AuditEvent {
    fn from(row: OperatorRow) -> Self {
        let OperatorRow { id, at, actor, action, target, change } = row;
        Self { id: id.into(), at, actor, action, target, change, request_id: None }
    }
}
