//! Uptime: what probes found each minute, added up by days, and the incidents that follow.
//!
//! None of it is a tenant's. A minute's result is written once, with its day's count in the same statement; incidents
//! are derived from minutes alone, so that deriving them again, or after a crash, gives the same.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::status::{IN_A_ROW, ProbeOutcome};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::{StoreError, SystemConn};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMinute {
    /// The part of the service.
    pub component: String,
    /// The minute's beginning.
    pub minute: DateTime<Utc>,
    /// What was found.
    pub outcome: ProbeOutcome,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<u32>,
}

/// The known minutes of a UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusDay {
    /// The part of the service.
    pub component: String,
    /// The day.
    pub day: NaiveDate,
    /// Minutes in which all was well.
    pub ok: u32,
    /// Minutes in which it was slow or partly failed.
    pub degraded: u32,
    /// Minutes in which it did not work.
    pub down: u32,
}

/// A stretch of time in which a part of the service was down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusIncident {
    /// Its id.
    pub id: Uuid,
    /// The part of the service.
    pub component: String,
    /// The first minute that failed.
    pub started_at: DateTime<Utc>,
    /// The first minute that worked again; `None` while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct MinuteRow {
    #[diesel(sql_type = Text)]
    component: String,
    #[diesel(sql_type = Timestamptz)]
    minute: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Nullable<Integer>)]
    latency_ms: Option<i32>,
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Text)]
    component: String,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Integer)]
    ok: i32,
    #[diesel(sql_type = Integer)]
    degraded: i32,
    #[diesel(sql_type = Integer)]
    down: i32,
}

#[derive(QueryableByName)]
struct IncidentRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    component: String,
    #[diesel(sql_type = Timestamptz)]
    started_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended_at: Option<DateTime<Utc>>,
}

impl From<IncidentRow> for StatusIncident {
    fn from(row: IncidentRow) -> Self {
        let IncidentRow { id, component, started_at, ended_at } = row;
        Self { id, component, started_at, ended_at }
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct BeatRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

impl SystemConn {
    /// Writes a minute's result and counts it in its day. Whether it was the first of its minute; another changes
    /// nothing.
    pub async fn note_status(&mut self, found: &StatusMinute) -> Result<bool, StoreError> {
        let row: CountRow = diesel::sql_query(include_str!("sql/note_status.sql"))
            .bind::<Text, _>(&found.component)
            .bind::<Timestamptz, _>(found.minute)
            .bind::<Text, _>(found.outcome.as_str())
            .bind::<Nullable<Integer>, _>(found.latency_ms.and_then(|ms| i32::try_from(ms).ok()))
            .get_result(&mut self.conn)
            .await?;
        Ok(row.count > 0)
    }

    /// Opens and ends incidents of a component by its minutes up to this one, unless later ones are known already.
    /// `id` is that of an incident that is opened.
    pub async fn derive_incidents(
        &mut self,
        component: &str,
        minute: DateTime<Utc>,
        id: Uuid,
    ) -> Result<(), StoreError> {
        diesel::sql_query(include_str!("sql/open_incident.sql"))
            .bind::<Text, _>(component)
            .bind::<Timestamptz, _>(minute)
            .bind::<BigInt, _>(i64::from(IN_A_ROW))
            .bind::<SqlUuid, _>(id)
            .execute(&mut self.conn)
            .await?;
        diesel::sql_query(include_str!("sql/end_incident.sql"))
            .bind::<Text, _>(component)
            .bind::<Timestamptz, _>(minute)
            .bind::<BigInt, _>(i64::from(IN_A_ROW))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Writes a moment, and reads it back in a statement of its own.
    pub async fn status_beat(&mut self, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "INSERT INTO status_beat (at) VALUES ($1) ON CONFLICT (one) DO UPDATE SET at = EXCLUDED.at";
        diesel::sql_query(sql).bind::<Timestamptz, _>(at).execute(&mut self.conn).await?;
        let row: BeatRow = diesel::sql_query("SELECT at FROM status_beat").get_result(&mut self.conn).await?;
        // Another process may have written a moment of its own in between.
        Ok(row.at.timestamp() >= at.timestamp())
    }

    /// The newest result of each component since then.
    pub async fn latest_status(&mut self, since: DateTime<Utc>) -> Result<Vec<StatusMinute>, StoreError> {
        let sql = "SELECT DISTINCT ON (component) component, minute, outcome, latency_ms FROM status_minute \
            WHERE minute >= $1 ORDER BY component, minute DESC";
        let rows: Vec<MinuteRow> =
            diesel::sql_query(sql).bind::<Timestamptz, _>(since).load(&mut self.conn).await?;
        let minute = |row: MinuteRow| {
            Ok(StatusMinute {
                component: row.component,
                minute: row.minute,
                outcome: named("status_minute.outcome", &row.outcome, ProbeOutcome::from_name)?,
                latency_ms: row.latency_ms.and_then(|ms| u32::try_from(ms).ok()),
            })
        };
        rows.into_iter().map(minute).collect()
    }

    /// The days from this one on, by component and day.
    pub async fn status_days(&mut self, from: NaiveDate) -> Result<Vec<StatusDay>, StoreError> {
        let sql = "SELECT component, day, ok, degraded, down FROM status_day WHERE day >= $1 \
            ORDER BY component, day";
        let rows: Vec<DayRow> = diesel::sql_query(sql).bind::<Date, _>(from).load(&mut self.conn).await?;
        let count = |count: i32| u32::try_from(count).unwrap_or_default();
        let day = |row: DayRow| StatusDay {
            component: row.component,
            day: row.day,
            ok: count(row.ok),
            degraded: count(row.degraded),
            down: count(row.down),
        };
        Ok(rows.into_iter().map(day).collect())
    }

    /// The incidents that lasted at this moment or began since, newest first, at most so many.
    pub async fn status_incidents(
        &mut self,
        since: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<StatusIncident>, StoreError> {
        let sql = "SELECT id, component, started_at, ended_at FROM status_incident \
            WHERE ended_at IS NULL OR ended_at >= $1 ORDER BY started_at DESC, component LIMIT $2";
        let rows: Vec<IncidentRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(since)
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
