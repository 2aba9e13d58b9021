//! A tenant's calendar: its time zone, and when its digest is due.

use chrono::{DateTime, Utc, Weekday};
use costlens_domain::TenantId;
use costlens_domain::calendar::Zone;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::{tenant, tenant_settings};
use crate::{StoreError, SystemConn, TenantConn};

/// A tenant's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantSettings {
    /// Where its days begin.
    pub zone: Zone,
    /// The day of the week on which its digest comes.
    pub digest_day: Weekday,
    /// The hour of that day, by the zone's clocks.
    pub digest_hour: u32,
    /// When the next digest is due.
    pub next_digest_at: DateTime<Utc>,
}

impl TenantSettings {
    /// What holds until somebody says otherwise: Mondays at nine, UTC.
    #[must_use]
    pub fn initial(now: DateTime<Utc>) -> Self {
        Self::of(Zone::UTC, Weekday::Mon, 9, now)
    }

    /// A calendar whose next digest is the first after `now`.
    #[must_use]
    pub fn of(zone: Zone, digest_day: Weekday, digest_hour: u32, now: DateTime<Utc>) -> Self {
        Self { zone, digest_day, digest_hour, next_digest_at: zone.next_weekly(now, digest_day, digest_hour) }
    }

    /// The same calendar with the first digest after `now`.
    #[must_use]
    pub fn after(&self, now: DateTime<Utc>) -> Self {
        Self::of(self.zone, self.digest_day, self.digest_hour, now)
    }
}

impl TenantConn {
    /// The tenant's calendar; `None` where nobody has said anything about it.
    pub async fn settings(&mut self) -> Result<Option<TenantSettings>, StoreError> {
        let row: Option<Row> = tenant_settings::table
            .find(self.tenant_id().uuid())
            .select(Row::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map(TenantSettings::try_from).transpose()
    }

    /// The tenant's calendar to be changed, begun now if there is none: nobody moves its deadline meanwhile.
    pub async fn lock_settings(&mut self, now: DateTime<Utc>) -> Result<TenantSettings, StoreError> {
        self.settings_or_initial(now).await?;
        let row: Row = tenant_settings::table
            .find(self.tenant_id().uuid())
            .select(Row::as_select())
            .for_update()
            .first(self.conn()?)
            .await?;
        row.try_into()
    }

    /// The tenant's calendar, begun now if there is none.
    pub async fn settings_or_initial(&mut self, now: DateTime<Utc>) -> Result<TenantSettings, StoreError> {
        let initial = TenantSettings::initial(now);
        diesel::insert_into(tenant_settings::table)
            .values(NewRow::of(self.tenant_id(), &initial))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(self.settings().await?.unwrap_or(initial))
    }

    /// Puts a calendar in the old one's place.
    pub async fn put_settings(&mut self, settings: &TenantSettings) -> Result<(), StoreError> {
        let row = NewRow::of(self.tenant_id(), settings);
        diesel::insert_into(tenant_settings::table)
            .values(&row)
            .on_conflict(tenant_settings::tenant_id)
            .do_update()
            .set(&row)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Moves the digest's deadline on from this one to that. False where it was moved already: then the digest of
    /// this deadline is somebody else's.
    pub async fn move_digest(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<bool, StoreError> {
        let due = tenant_settings::table
            .find(self.tenant_id().uuid())
            .filter(tenant_settings::next_digest_at.eq(from));
        let moved =
            diesel::update(due).set(tenant_settings::next_digest_at.eq(to)).execute(self.conn()?).await?;
        Ok(moved > 0)
    }
}

impl SystemConn {
    /// The tenants whose digest is due, longest overdue first, and when it was. Accounts that are closing have none.
    pub async fn digests_due(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(TenantId, DateTime<Utc>)>, StoreError> {
        let rows: Vec<(Uuid, DateTime<Utc>)> = tenant_settings::table
            .inner_join(tenant::table)
            .filter(tenant_settings::next_digest_at.le(now))
            .filter(tenant::closing_at.is_null())
            .order(tenant_settings::next_digest_at)
            .limit(i64::from(limit))
            .select((tenant_settings::tenant_id, tenant_settings::next_digest_at))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|(tenant, due)| (tenant.into(), due)).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenant_settings)]
struct Row {
    time_zone: String,
    digest_weekday: i32,
    digest_hour: i32,
    next_digest_at: DateTime<Utc>,
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = tenant_settings)]
struct NewRow {
    tenant_id: Uuid,
    time_zone: &'static str,
    digest_weekday: i32,
    digest_hour: i32,
    next_digest_at: DateTime<Utc>,
}

impl NewRow {
    fn of(tenant: TenantId, settings: &TenantSettings) -> Self {
        Self {
            tenant_id: tenant.uuid(),
            time_zone: settings.zone.name(),
            digest_weekday: i32::try_from(settings.digest_day.number_from_monday()).unwrap_or(1),
            digest_hour: i32::try_from(settings.digest_hour).unwrap_or_default(),
            next_digest_at: settings.next_digest_at,
        }
    }
}

impl TryFrom<Row> for TenantSettings {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let day = u8::try_from(row.digest_weekday - 1).ok().and_then(|day| Weekday::try_from(day).ok());
        Ok(Self {
            zone: Zone::parse(&row.time_zone).map_err(StoreError::bug)?,
            digest_day: day.ok_or_else(|| StoreError::bug("a day of the week that is none"))?,
            digest_hour: u32::try_from(row.digest_hour).map_err(StoreError::bug)?,
            next_digest_at: row.next_digest_at,
        })
    }
}
