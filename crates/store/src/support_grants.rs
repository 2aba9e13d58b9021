//! A tenant's leave for whoever runs the service to read its prompts and answers.

use chrono::{DateTime, Utc};
use costlens_domain::{SupportGrantId, TenantId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::support_grant;
use crate::{StoreError, SystemConn, TenantConn};

/// A leave to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSupportGrant {
    /// Its id.
    pub id: SupportGrantId,
    /// What for, in the tenant's words.
    pub reason: String,
    /// When it is given.
    pub granted_at: DateTime<Utc>,
    /// Until when it holds; at most 72 hours later.
    pub expires_at: DateTime<Utc>,
}

/// A leave that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportGrant {
    /// Its id.
    pub id: SupportGrantId,
    /// What for, in the tenant's words.
    pub reason: String,
    /// When it was given.
    pub granted_at: DateTime<Utc>,
    /// Until when it holds.
    pub expires_at: DateTime<Utc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl SupportGrant {
    /// Whether it holds at this moment.
    #[must_use]
    pub fn holds_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.granted_at <= now && now < self.expires_at
    }
}

impl TenantConn {
    /// Gives leave.
    pub async fn create_support_grant(&mut self, new: &NewSupportGrant) -> Result<SupportGrant, StoreError> {
        diesel::insert_into(support_grant::table)
            .values((
                support_grant::tenant_id.eq(self.tenant_id().uuid()),
                support_grant::id.eq(new.id.uuid()),
                support_grant::reason.eq(&new.reason),
                support_grant::granted_at.eq(new.granted_at),
                support_grant::expires_at.eq(new.expires_at),
            ))
            .execute(self.conn()?)
            .await?;
        self.support_grant(new.id).await
    }

    /// One leave. [`StoreError::NotFound`] if the tenant gave no such.
    pub async fn support_grant(&mut self, id: SupportGrantId) -> Result<SupportGrant, StoreError> {
        let row = support_grant::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: Row = row.select(Row::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// The tenant's leaves, newest first; `after` is the last id of the page before.
    pub async fn list_support_grants(
        &mut self,
        after: Option<SupportGrantId>,
        limit: u32,
    ) -> Result<Vec<SupportGrant>, StoreError> {
        let mut query = support_grant::table
            .filter(support_grant::tenant_id.eq(self.tenant_id().uuid()))
            .order(support_grant::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(support_grant::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        Ok(rows.into_iter().map(SupportGrant::from).collect())
    }

    /// The leave that holds at this moment and ends last. Held against being taken back until this transaction ends.
    pub async fn holding_support_grant(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<Option<SupportGrant>, StoreError> {
        let row: Option<Row> = support_grant::table
            .filter(support_grant::tenant_id.eq(self.tenant_id().uuid()))
            .filter(support_grant::revoked_at.is_null())
            .filter(support_grant::granted_at.le(now))
            .filter(support_grant::expires_at.gt(now))
            .order(support_grant::expires_at.desc())
            .select(Row::as_select())
            .for_share()
            .first(self.conn()?)
            .await
            .optional()?;
        Ok(row.map(SupportGrant::from))
    }

    /// Takes a leave back; says whether that is new.
    pub async fn revoke_support_grant(
        &mut self,
        id: SupportGrantId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = support_grant::table.find((self.tenant_id().uuid(), id.uuid()));
        let revoked = diesel::update(row.filter(support_grant::revoked_at.is_null()))
            .set(support_grant::revoked_at.eq(at))
            .execute(self.conn()?)
            .await?;
        Ok(revoked > 0)
    }
}

impl SystemConn {
    /// Every leave that holds at this moment, and who gave it; those that end first, first.
    pub async fn holding_support_grants(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(TenantId, SupportGrant)>, StoreError> {
        let rows: Vec<(Uuid, Row)> = support_grant::table
            .filter(support_grant::revoked_at.is_null())
            .filter(support_grant::granted_at.le(now))
            .filter(support_grant::expires_at.gt(now))
            .order(support_grant::expires_at)
            .limit(i64::from(limit))
            .select((support_grant::tenant_id, Row::as_select()))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|(tenant, row)| (tenant.into(), row.into())).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = support_grant)]
struct Row {
    id: Uuid,
    reason: String,
    granted_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for SupportGrant {
    fn from(row: Row) -> Self {
        let Row { id, reason, granted_at, expires_at, revoked_at } = row;
        Self { id: id.into(), reason, granted_at, expires_at, revoked_at }
    }
}
