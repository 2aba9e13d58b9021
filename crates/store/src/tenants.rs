//! Tenants: the customer organisations that every other row belongs to.

use chrono::{DateTime, Utc};
use costlens_domain::TenantId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::tenant;
use crate::{StoreError, SystemConn, TenantConn};

/// A customer organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What its people call it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it is being closed: frozen, and to be erased.
    pub closing_at: Option<DateTime<Utc>>,
    /// Whether it wants everybody of it to sign in anew after an hour. Who must is a membership's to say.
    pub one_hour_sign_in: bool,
}

impl Tenant {
    /// A tenant as it begins.
    #[must_use]
    pub fn new(id: TenantId, name: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self { id, name: name.into(), created_at: at, closing_at: None, one_hour_sign_in: false }
    }
}

impl SystemConn {
    /// Makes a tenant. Fails with a conflict on `tenant_pkey` if the id exists.
    pub async fn create_tenant(&mut self, new: &Tenant) -> Result<(), StoreError> {
        diesel::insert_into(tenant::table)
            .values((
                tenant::id.eq(new.id.uuid()),
                tenant::name.eq(&new.name),
                tenant::created_at.eq(new.created_at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// One tenant.
    pub async fn tenant_by_id(&mut self, id: TenantId) -> Result<Tenant, StoreError> {
        let row: TenantRow = tenant::table.find(id.uuid()).first(&mut self.conn).await?;
        Ok(row.into())
    }

    /// Every tenant, oldest first.
    pub async fn list_tenants(&mut self) -> Result<Vec<Tenant>, StoreError> {
        let rows: Vec<TenantRow> = tenant::table.order(tenant::id).load(&mut self.conn).await?;
        Ok(rows.into_iter().map(Tenant::from).collect())
    }
}

impl TenantConn {
    /// The tenant itself. [`StoreError::NotFound`] if it does not exist.
    pub async fn tenant(&mut self) -> Result<Tenant, StoreError> {
        let id = self.tenant_id().uuid();
        let row: TenantRow = tenant::table.find(id).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// Changes what the tenant is called, and whether it wants its people to sign in anew after an hour.
    pub async fn change_tenant(&mut self, name: &str, one_hour_sign_in: bool) -> Result<(), StoreError> {
        let row = tenant::table.find(self.tenant_id().uuid());
        let set = (tenant::name.eq(name), tenant::one_hour_sign_in.eq(one_hour_sign_in));
        diesel::update(row).set(set).execute(self.conn()?).await?;
        Ok(())
    }
}

pub(crate) type TenantRow = (Uuid, String, DateTime<Utc>, Option<DateTime<Utc>>, bool);

impl From<TenantRow> for Tenant {
    fn from((id, name, created_at, closing_at, one_hour_sign_in): TenantRow) -> Self {
        Self { id: id.into(), name, created_at, closing_at, one_hour_sign_in }
    }
}
