//! The account's calendar: its time zone, and when its digest comes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::calendar::Zone;
use costlens_store::TenantSettings;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::{ApiParts, Tag};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "Weekday", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum WeekdayView {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl WeekdayView {
    const fn day(self) -> chrono::Weekday {
        match self {
            Self::Monday => chrono::Weekday::Mon,
            Self::Tuesday => chrono::Weekday::Tue,
            Self::Wednesday => chrono::Weekday::Wed,
            Self::Thursday => chrono::Weekday::Thu,
            Self::Friday => chrono::Weekday::Fri,
            Self::Saturday => chrono::Weekday::Sat,
            Self::Sunday => chrono::Weekday::Sun,
        }
    }

    const fn of(day: chrono::Weekday) -> Self {
        match day {
            chrono::Weekday::Mon => Self::Monday,
            chrono::Weekday::Tue => Self::Tuesday,
            chrono::Weekday::Wed => Self::Wednesday,
            chrono::Weekday::Thu => Self::Thursday,
            chrono::Weekday::Fri => Self::Friday,
            chrono::Weekday::Sat => Self::Saturday,
            chrono::Weekday::Sun => Self::Sunday,
        }
    }
}

/// The account's calendar.
#[derive(Object)]
#[oai(rename = "Settings")]
pub struct SettingsView {
    /// Where its days, weeks and months begin: a name of the IANA time zone database.
    pub time_zone: String,
    /// The day of the week on which the digest comes.
    pub digest_weekday: WeekdayView,
    /// The hour of that day, 0 to 23, by the time zone's clocks.
    pub digest_hour: u32,
    /// When the next digest is due.
    pub next_digest_at: DateTime<Utc>,
}

impl From<TenantSettings> for SettingsView {
    fn from(settings: TenantSettings) -> Self {
        Self {
            time_zone: settings.zone.name().to_owned(),
            digest_weekday: WeekdayView::of(settings.digest_day),
            digest_hour: settings.digest_hour,
            next_digest_at: settings.next_digest_at,
        }
    }
}

/// What is to change of the calendar. What is absent stays.
#[derive(Object)]
pub struct UpdateSettings {
    /// A name of the IANA time zone database, such as `Europe/Berlin`.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 64))]
    pub time_zone: Option<String>,
    /// The day of the week on which the digest comes.
    #[oai(default, skip_serializing_if_is_none)]
    pub digest_weekday: Option<WeekdayView>,
    /// The hour of that day, by the time zone's clocks.
    #[oai(default, skip_serializing_if_is_none, validator(maximum(value = "23")))]
    pub digest_hour: Option<u32>,
}

pub(crate) struct SettingsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Settings")]
impl SettingsApi {
    /// Get the account's calendar
    ///
    /// Mondays at nine, UTC, until somebody says otherwise.
    #[oai(path = "/settings", method = "get", operation_id = "get_settings")]
    async fn get(&self, caller: Caller) -> Result<Json<SettingsView>, ApiError> {
        let tenant = caller.require(Permission::SettingsRead)?;
        let settings = self.0.store.tenant(tenant).await?.settings().await?;
        Ok(Json(settings.unwrap_or_else(|| TenantSettings::initial(self.0.clock.now())).into()))
    }

    /// Change the account's calendar
    ///
    /// The next digest comes at the first such hour after now; one that is due just now comes all the same.
    #[oai(path = "/settings", method = "patch", operation_id = "update_settings")]
    async fn update(
        &self,
        caller: Caller,
        body: Json<UpdateSettings>,
    ) -> Result<Json<SettingsView>, ApiError> {
        let tenant = caller.require(Permission::SettingsWrite)?;
        let zone = match &body.0.time_zone {
            Some(name) => Some(Zone::parse(name).map_err(|_| {
                ApiError::field("time_zone", "is not a time zone of the IANA database, such as Europe/Berlin")
            })?),
            None => None,
        };
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let old = conn.lock_settings(now).await?;
        let day = body.0.digest_weekday.map_or(old.digest_day, WeekdayView::day);
        let hour = body.0.digest_hour.unwrap_or(old.digest_hour);
        let mut new = TenantSettings::of(zone.unwrap_or(old.zone), day, hour, now);
        // One that is due is not lost: it is written, and those after it come by the new calendar.
        if old.next_digest_at <= now {
            new.next_digest_at = old.next_digest_at;
        }
        conn.put_settings(&new).await?;
        let told = |settings: &TenantSettings| {
            json!({
                "time_zone": settings.zone.name(),
                "digest_weekday": settings.digest_day.number_from_monday(),
                "digest_hour": settings.digest_hour,
            })
        };
        let change = json!({ "before": told(&old), "after": told(&new) });
        let by = caller.principal().by();
        by.did(&self.0, &mut conn, (Action::SettingsUpdated, None), change).await?;
        conn.commit().await?;
        Ok(Json(new.into()))
    }
}
