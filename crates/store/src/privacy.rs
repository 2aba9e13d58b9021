//! What a tenant lets be kept of prompts and answers. A change is told to every listening proxy on commit.

use chrono::{DateTime, Utc};
use costlens_domain::TenantId;
use costlens_domain::privacy::{BodyClass, PrivacySettings};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::keys::notify;
use crate::schema::tenant_privacy;
use crate::{KeyChange, StoreError, SystemConn, TenantConn};

impl TenantConn {
    /// What the tenant lets be kept.
    pub async fn privacy(&mut self) -> Result<PrivacySettings, StoreError> {
        let row: Option<Row> = tenant_privacy::table
            .find(self.tenant_id().uuid())
            .select(Row::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map_or(Ok(PrivacySettings::INITIAL), PrivacySettings::try_from)
    }

    /// The same, held until this transaction ends: of two who change it at once, the second sees what the first did.
    pub async fn privacy_to_change(&mut self, now: DateTime<Utc>) -> Result<PrivacySettings, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        diesel::insert_into(tenant_privacy::table)
            .values(NewRow::of(tenant_id, PrivacySettings::INITIAL, now))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        let row: Row = tenant_privacy::table
            .find(tenant_id)
            .select(Row::as_select())
            .for_update()
            .first(self.conn()?)
            .await?;
        row.try_into()
    }

    /// Puts these settings in the old ones' place.
    pub async fn put_privacy(
        &mut self,
        settings: &PrivacySettings,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant_id = self.tenant_id();
        let row = NewRow::of(tenant_id.uuid(), *settings, now);
        diesel::insert_into(tenant_privacy::table)
            .values(&row)
            .on_conflict(tenant_privacy::tenant_id)
            .do_update()
            .set(&row)
            .execute(self.conn()?)
            .await?;
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: None }).await
    }
}

impl SystemConn {
    /// What a tenant lets be kept.
    pub async fn privacy_of(&mut self, tenant: TenantId) -> Result<PrivacySettings, StoreError> {
        let row: Option<Row> = tenant_privacy::table
            .find(tenant.uuid())
            .select(Row::as_select())
            .first(&mut self.conn)
            .await
            .optional()?;
        row.map_or(Ok(PrivacySettings::INITIAL), PrivacySettings::try_from)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenant_privacy)]
struct Row {
    capture_bodies: bool,
    zero_retention: bool,
    redact: bool,
    body_class: String,
}

impl TryFrom<Row> for PrivacySettings {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            capture_bodies: row.capture_bodies,
            zero_retention: row.zero_retention,
            redact: row.redact,
            body_class: named("tenant_privacy.body_class", &row.body_class, BodyClass::from_name)?,
        })
    }
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = tenant_privacy)]
struct NewRow {
    tenant_id: Uuid,
    capture_bodies: bool,
    zero_retention: bool,
    redact: bool,
    body_class: &'static str,
    updated_at: DateTime<Utc>,
}

impl NewRow {
    const fn of(tenant_id: Uuid, settings: PrivacySettings, updated_at: DateTime<Utc>) -> Self {
        Self {
            tenant_id,
            capture_bodies: settings.capture_bodies,
            zero_retention: settings.zero_retention,
            redact: settings.redact,
            body_class: settings.body_class.as_str(),
            updated_at,
        }
    }
}
