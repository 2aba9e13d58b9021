//! How the service is and was, for everybody: no session, no tenant, no address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use costlens_domain::ProblemCode;
use costlens_domain::status::{DAY_MINUTES, ProbeOutcome, uptime_percent, worst};
use costlens_store::{StatusDay, StatusIncident, StatusMinute};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::error::ApiError;
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// How many days are told, today included.
const DAYS: u64 = 90;
/// How many incidents are told at most.
const INCIDENTS: u32 = 200;
/// For how long a result is one of now: a minute that is missing is unknown.
const FRESH: TimeDelta = TimeDelta::minutes(3);
/// For how long an answer is given again, whoever asks.
const KEPT: TimeDelta = TimeDelta::seconds(10);

/// How long a caller waits for another one's reading, so that a database that hangs makes no queue.
const TURN: Duration = Duration::from_secs(3);

/// How a part of the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "StatusState", rename_all = "snake_case", remote = "ProbeOutcome")]
pub enum StatusStateView {
    /// All is well.
    Ok,
    /// Nobody looked lately, or nobody could say.
    Unknown,
    /// It is slow, or a part of it fails.
    Degraded,
    /// It does not work.
    Down,
}

/// The minutes of a UTC day by what was found in them.
#[derive(Clone, Object)]
#[oai(rename = "StatusDay")]
pub struct StatusDayView {
    /// The day.
    pub day: Wire<NaiveDate>,
    /// Minutes in which all was well.
    pub ok_minutes: u32,
    /// Minutes in which it was slow or partly failed.
    pub degraded_minutes: u32,
    /// Minutes in which it did not work.
    pub down_minutes: u32,
    /// Minutes of which nothing is known; of today, only those that are over.
    pub unknown_minutes: u32,
}

/// A part of the service.
#[derive(Clone, Object)]
#[oai(rename = "StatusComponent")]
pub struct StatusComponentView {
    /// Its stable name: `api`, `proxy`, `database` or `jobs`, with `/` and a name behind it where there are several.
    pub component: String,
    /// How it is now.
    pub state: StatusStateView,
    /// When that was found; null where nothing was lately.
    #[oai(nullable)]
    pub checked_at: Option<DateTime<Utc>>,
    /// The minutes that were well among those that are known, in percent, rounded down; null where none is known.
    #[oai(nullable)]
    pub uptime_percent: Option<Wire<Exact>>,
    /// The last 90 days, oldest first.
    pub days: Vec<StatusDayView>,
}

/// A stretch of time in which a part of the service did not work.
#[derive(Clone, Object)]
#[oai(rename = "StatusIncident")]
pub struct StatusIncidentView {
    /// The incident.
    pub id: Wire<Uuid>,
    /// The part of the service.
    pub component: String,
    /// The first minute that failed.
    pub started_at: DateTime<Utc>,
    /// The first minute that worked again; null while it lasts.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
}

/// How the service is and was.
#[derive(Clone, Object)]
#[oai(rename = "Status")]
pub struct StatusView {
    /// The worst of its parts.
    pub state: StatusStateView,
    /// Of which moment this is told.
    pub at: DateTime<Utc>,
    /// Its parts, by name.
    pub components: Vec<StatusComponentView>,
    /// What did not work in the last 90 days, newest first.
    pub incidents: Vec<StatusIncidentView>,
}

/// The status.
#[derive(ApiResponse)]
pub enum StatusTold {
    /// How the service is and was.
    #[oai(status = 200)]
    Told(
        Json<StatusView>,
        /// Anybody on the way may keep it for a moment.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// The last answer, which is the same for everybody.
#[derive(Clone, Debug, Default)]
pub struct LastStatus(Arc<Mutex<Option<StatusView>>>);

impl std::fmt::Debug for StatusView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusView").field("state", &self.state).field("at", &self.at).finish_non_exhaustive()
    }
}

pub(crate) struct StatusApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Status")]
impl StatusApi {
    /// How the service is and was
    ///
    /// For everybody, without a credential. Probes look at its parts each minute; a minute that nobody looked at is
    /// unknown. An incident begins with the first of three minutes in a row that failed, and ends with the first of three
    /// that worked.
    #[oai(path = "/status", method = "get", operation_id = "get_status")]
    async fn get(&self) -> Result<StatusTold, ApiError> {
        let now = self.0.clock.now();
        // Whoever comes while it is read waits for that, instead of reading, too.
        let turn = tokio::time::timeout(TURN, self.0.last_status.0.lock()).await;
        let mut last = turn.map_err(|_| {
            ApiError::new(ProblemCode::Unavailable, "the status cannot be read now; try again")
        })?;
        let view = match last.as_ref().filter(|view| view.at <= now && now - view.at < KEPT) {
            Some(view) => view.clone(),
            None => last.insert(self.read(now).await?).clone(),
        };
        Ok(StatusTold::Told(Json(view), "public, max-age=15".to_owned()))
    }
}

impl StatusApi {
    async fn read(&self, now: DateTime<Utc>) -> Result<StatusView, ApiError> {
        let first = now.date_naive().checked_sub_days(Days::new(DAYS - 1)).unwrap_or_default();
        let mut system = self.0.store.system().await?;
        let latest = system.latest_status(now - FRESH).await?;
        let days = system.status_days(first).await?;
        let since = first.and_time(chrono::NaiveTime::MIN).and_utc();
        let incidents = system.status_incidents(since, INCIDENTS).await?;
        Ok(told(now, first, &latest, &days, incidents))
    }
}

fn told(
    now: DateTime<Utc>,
    first: NaiveDate,
    latest: &[StatusMinute],
    days: &[StatusDay],
    incidents: Vec<StatusIncident>,
) -> StatusView {
    let names: BTreeSet<&str> = latest
        .iter()
        .map(|minute| minute.component.as_str())
        .chain(days.iter().map(|day| day.component.as_str()))
        .collect();
    let component = |name: &str| {
        let now_is = latest.iter().find(|minute| minute.component == name);
        let known: BTreeMap<NaiveDate, &StatusDay> =
            days.iter().filter(|day| day.component == name).map(|day| (day.day, day)).collect();
        let days: Vec<StatusDayView> = first
            .iter_days()
            .take_while(|day| *day <= now.date_naive())
            .map(|day| day_view(day, known.get(&day).copied(), now))
            .collect();
        let sum =
            |count: fn(&StatusDayView) -> u32| days.iter().map(|day| u64::from(count(day))).sum::<u64>();
        let ok = sum(|day| day.ok_minutes);
        let known = ok + sum(|day| day.degraded_minutes) + sum(|day| day.down_minutes);
        StatusComponentView {
            component: name.to_owned(),
            state: now_is.map_or(ProbeOutcome::Unknown, |minute| minute.outcome).into(),
            checked_at: now_is.map(|minute| minute.minute),
            uptime_percent: uptime_percent(ok, known).map(|percent| Wire(Exact(percent))),
            days,
        }
    };
    // A part that nobody has looked at since yesterday is one that the operator gave up, and says nothing of today.
    let yesterday = now.date_naive().pred_opt().unwrap_or_default();
    let counts = |name: &&&str| days.iter().any(|day| day.component == **name && day.day >= yesterday);
    let state = |name: &&str| {
        let now_is = latest.iter().find(|minute| minute.component == *name);
        now_is.map_or(ProbeOutcome::Unknown, |minute| minute.outcome)
    };
    let incident = |incident: StatusIncident| StatusIncidentView {
        id: Wire(incident.id),
        component: incident.component,
        started_at: incident.started_at,
        ended_at: incident.ended_at,
    };
    StatusView {
        state: worst(names.iter().filter(counts).map(state)).into(),
        at: now,
        components: names.iter().map(|name| component(name)).collect(),
        incidents: incidents.into_iter().map(incident).collect(),
    }
}

fn day_view(day: NaiveDate, known: Option<&StatusDay>, now: DateTime<Utc>) -> StatusDayView {
    let begin = day.and_time(chrono::NaiveTime::MIN).and_utc();
    let over = u32::try_from((now - begin).num_minutes()).unwrap_or_default().min(DAY_MINUTES);
    let (ok, degraded, down) = known.map_or((0, 0, 0), |day| (day.ok, day.degraded, day.down));
    StatusDayView {
        day: Wire(day),
        ok_minutes: ok,
        degraded_minutes: degraded,
        down_minutes: down,
        unknown_minutes: over.saturating_sub(ok + degraded + down),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-25T00:10:30Z".parse().unwrap()
    }

    fn minute(component: &str, outcome: ProbeOutcome) -> StatusMinute {
        StatusMinute { component: component.to_owned(), minute: now(), outcome, latency_ms: Some(1) }
    }

    fn day(component: &str, day: &str, ok: u32, down: u32) -> StatusDay {
        let day = day.parse().unwrap();
        StatusDay { component: component.to_owned(), day, ok, degraded: 0, down }
    }

    fn of(latest: &[StatusMinute], days: &[StatusDay]) -> StatusView {
        let first = now().date_naive() - Days::new(DAYS - 1);
        told(now(), first, latest, days, Vec::new())
    }

    #[test]
    fn what_nobody_looked_at_is_unknown_and_counts_for_nothing() {
        let days = [day("api", "2026-11-24", 100, 0), day("api", "2026-11-25", 5, 2)];
        let view = of(&[], &days);
        let api = &view.components[0];
        assert_eq!(
            (view.state, api.state, api.checked_at),
            (StatusStateView::Unknown, StatusStateView::Unknown, None)
        );
        assert_eq!(api.days.len(), 90);
        let minutes = |day: &StatusDayView| (day.ok_minutes, day.down_minutes, day.unknown_minutes);
        let told: Vec<_> = api.days.iter().skip(87).map(minutes).collect();
        assert_eq!(told, [(0, 0, 1440), (100, 0, 1340), (5, 2, 3)]);
        // 105 of 107.
        assert_eq!(api.uptime_percent.unwrap().0.to_string(), "98.13");
        assert_eq!(of(&[], &[]).state, StatusStateView::Unknown);
    }

    #[test]
    fn the_whole_is_its_worst_part_but_for_parts_that_were_given_up() {
        let days = [
            day("api", "2026-11-25", 5, 0),
            day("old", "2026-11-20", 5, 0),
            day("proxy", "2026-11-25", 4, 1),
        ];
        let well = [minute("api", ProbeOutcome::Ok), minute("proxy", ProbeOutcome::Ok)];
        assert_eq!(of(&well, &days).state, StatusStateView::Ok);
        assert_eq!(of(&well[..1], &days).state, StatusStateView::Unknown, "of the proxy nothing is known");
        let half = [minute("api", ProbeOutcome::Ok), minute("proxy", ProbeOutcome::Down)];
        assert_eq!(of(&half, &days).state, StatusStateView::Down);
        let names: Vec<_> = of(&well, &days).components.into_iter().map(|part| part.component).collect();
        assert_eq!(names, ["api", "old", "proxy"]);
    }
}
