//! Schedules: rows that become jobs at their ticks. Every replica may tick as often as it likes; a tick's job has a key
//! of its own and is written with the schedule's progress in one transaction, so each tick is one job.

mod ticks;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Enqueued, Job, NewJob, QueueError, enqueue};

/// What becomes of ticks that nobody was there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CatchUp {
    /// A tick that is more than a minute late is skipped.
    Skip,
    /// The latest of them runs, however late.
    Last,
    /// The latest so many of them run.
    All(u32),
}

impl CatchUp {
    fn to_text(self) -> String {
        match self {
            Self::Skip => "skip".to_owned(),
            Self::Last => "last".to_owned(),
            Self::All(most) => format!("all:{most}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "skip" => Some(Self::Skip),
            "last" => Some(Self::Last),
            _ => Some(Self::All(text.strip_prefix("all:")?.parse().ok()?)),
        }
    }
}

/// A schedule: five cron fields (six with seconds) read in a time zone. In the hour that a change of clocks repeats, a
/// fixed time runs once and an interval goes on; a fixed time in the hour that it skips runs right after the gap.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name, which is also the first half of its jobs' keys.
    pub name: String,
    /// The cron expression.
    pub cron: String,
    /// The IANA time zone, such as `Europe/Berlin`.
    pub tz: String,
    /// What becomes of missed ticks.
    pub catch_up: CatchUp,
    queue: String,
    args: Value,
    max_attempts: u32,
    tenant: Option<Uuid>,
}

impl Schedule {
    /// Enqueues this payload at each tick, with its kind's attempts; missed ticks run once, late.
    pub fn of<J: Job>(
        name: impl Into<String>,
        cron: impl Into<String>,
        tz: impl Into<String>,
        payload: &J,
    ) -> Result<Self, QueueError> {
        let (name, cron, tz) = (name.into(), cron.into(), tz.into());
        let args = serde_json::to_value(payload)?;
        let (catch_up, queue, max_attempts) = (CatchUp::Last, J::QUEUE.to_owned(), J::MAX_ATTEMPTS);
        Ok(Self { name, cron, tz, catch_up, queue, args, max_attempts, tenant: None })
    }

    /// What becomes of missed ticks.
    #[must_use]
    pub const fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Whom the jobs are for.
    #[must_use]
    pub const fn tenant(mut self, tenant: Uuid) -> Self {
        self.tenant = Some(tenant);
        self
    }
}

/// Writes a schedule: a new one ticks from `now` on, one that exists keeps its progress and whether it is paused. With
/// another cron expression or time zone it ticks from `now` on, too: the new times were nobody's before. Refuses what
/// cannot be read.
pub async fn put(
    conn: &mut AsyncPgConnection,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    ticks::next(&schedule.name, &schedule.cron, &schedule.tz, now)?;
    let sql = "INSERT INTO queue.schedule AS s (name, queue, cron, tz, args, tenant, catch_up, last_tick, max_attempts) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE SET queue = excluded.queue, \
        cron = excluded.cron, tz = excluded.tz, args = excluded.args, tenant = excluded.tenant, \
        catch_up = excluded.catch_up, max_attempts = excluded.max_attempts, \
        last_tick = CASE WHEN (s.cron, s.tz) = (excluded.cron, excluded.tz) THEN s.last_tick \
                         ELSE greatest(s.last_tick, excluded.last_tick) END";
    diesel::sql_query(sql)
        .bind::<Text, _>(&schedule.name)
        .bind::<Text, _>(&schedule.queue)
        .bind::<Text, _>(&schedule.cron)
        .bind::<Text, _>(&schedule.tz)
        .bind::<Jsonb, _>(&schedule.args)
        .bind::<Nullable<SqlUuid>, _>(schedule.tenant)
        .bind::<Text, _>(schedule.catch_up.to_text())
        .bind::<Timestamptz, _>(now)
        .bind::<Integer, _>(i32::try_from(schedule.max_attempts.max(1)).unwrap_or(i32::MAX))
        .execute(conn)
        .await?;
    Ok(())
}

/// Pauses a schedule or lets it go on, from `now` on: ticks of the pause are not missed, they do not exist. Whether
/// there is such a schedule.
pub async fn set_paused(
    conn: &mut AsyncPgConnection,
    name: &str,
    paused: bool,
    now: DateTime<Utc>,
) -> Result<bool, QueueError> {
    let sql = "UPDATE queue.schedule SET paused = $2, last_tick = CASE WHEN paused AND NOT $2 \
        THEN greatest(last_tick, $3) ELSE last_tick END WHERE name = $1";
    let found = diesel::sql_query(sql)
        .bind::<Text, _>(name)
        .bind::<Bool, _>(paused)
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await?;
    Ok(found > 0)
}

/// Takes a schedule away. Whether there was one.
pub async fn remove(conn: &mut AsyncPgConnection, name: &str) -> Result<bool, QueueError> {
    let sql = "DELETE FROM queue.schedule WHERE name = $1";
    Ok(diesel::sql_query(sql).bind::<Text, _>(name).execute(conn).await? > 0)
}

/// Takes every schedule away whose name is not among these, such as those that an older build wrote. Answers how many.
pub async fn keep_only(conn: &mut AsyncPgConnection, names: &[&str]) -> Result<usize, QueueError> {
    let sql = "DELETE FROM queue.schedule WHERE name <> ALL ($1)";
    Ok(diesel::sql_query(sql).bind::<Array<Text>, _>(names).execute(conn).await?)
}

/// A schedule as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Where its jobs go.
    pub queue: String,
    /// The cron expression.
    pub cron: String,
    /// The time zone.
    pub tz: String,
    /// Whether it is paused.
    pub paused: bool,
    /// The last tick that was dealt with, or when it was written.
    pub last_tick: DateTime<Utc>,
    /// The next tick after `now`; `None` where there is none, or it cannot be read any more.
    pub next: Option<DateTime<Utc>>,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = Text)]
    cron: String,
    #[diesel(sql_type = Text)]
    tz: String,
    #[diesel(sql_type = Jsonb)]
    args: Value,
    #[diesel(sql_type = Integer)]
    max_attempts: i32,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    tenant: Option<Uuid>,
    #[diesel(sql_type = Text)]
    catch_up: String,
    #[diesel(sql_type = Bool)]
    paused: bool,
    #[diesel(sql_type = Timestamptz)]
    last_tick: DateTime<Utc>,
}

/// Every schedule, by name.
pub async fn list(conn: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<Vec<ScheduleRow>, QueueError> {
    let rows: Vec<Row> = diesel::sql_query("SELECT * FROM queue.schedule ORDER BY name").load(conn).await?;
    let show = |row: Row| {
        let next = ticks::next(&row.name, &row.cron, &row.tz, now).ok().filter(|_| !row.paused);
        let (name, queue, cron, tz) = (row.name, row.queue, row.cron, row.tz);
        ScheduleRow { name, queue, cron, tz, paused: row.paused, last_tick: row.last_tick, next }
    };
    Ok(rows.into_iter().map(show).collect())
}

/// What a call of [`tick`] did for one schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// The schedule.
    pub name: String,
    /// The ticks that became jobs now.
    pub enqueued: Vec<DateTime<Utc>>,
    /// How many ticks were left out because they were missed.
    pub skipped: usize,
}

/// Enqueues what is due at `now` and has not been. Call it every few seconds, in as many replicas as there are. A
/// schedule that cannot be read any more, or whose jobs are refused, is logged and holds nobody up.
pub async fn tick(conn: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<Vec<Ticked>, QueueError> {
    let names = "SELECT * FROM queue.schedule WHERE NOT paused AND last_tick < $1 ORDER BY name";
    let rows: Vec<Row> = diesel::sql_query(names).bind::<Timestamptz, _>(now).load(conn).await?;
    let mut all = Vec::new();
    for row in rows {
        match ticks::between(&row.name, &row.cron, &row.tz, row.last_tick, now) {
            Ok(due) if due.is_empty() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a schedule does not tick");
                continue;
            }
        }
        match conn.transaction(async |tx| tick_one(tx, &row.name, now).await).await {
            Ok(ticked) => all.extend(ticked),
            Err(error) if conn.is_broken() => return Err(error),
            Err(error) => tracing::error!(schedule = %row.name, ?error, "a schedule does not tick"),
        }
    }
    Ok(all)
}

/// Takes back what a wrong clock ticked: a schedule whose last tick is further than this ahead of the database's clock
/// begins anew a day before it. So what ticks daily makes up for its last tick, and one that became a job is known by
/// its key. The schedules' names.
pub async fn heal(conn: &mut AsyncPgConnection, most_apart: TimeDelta) -> Result<Vec<String>, QueueError> {
    let sql = "UPDATE queue.schedule SET last_tick = clock_timestamp() - interval '1 day' \
        WHERE last_tick > clock_timestamp() + $1 * interval '1 millisecond' RETURNING name";
    let healed: Vec<NameRow> =
        diesel::sql_query(sql).bind::<BigInt, _>(most_apart.num_milliseconds()).load(conn).await?;
    Ok(healed.into_iter().map(|row| row.name).collect())
}

#[derive(diesel::QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

/// One schedule, under the lock of its row. `None` where another replica was quicker.
async fn tick_one(
    tx: &mut AsyncPgConnection,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<Ticked>, QueueError> {
    let sql = "SELECT * FROM queue.schedule WHERE name = $1 AND NOT paused AND last_tick < $2 FOR UPDATE SKIP LOCKED";
    let row: Option<Row> = diesel::sql_query(sql)
        .bind::<Text, _>(name)
        .bind::<Timestamptz, _>(now)
        .get_result(tx)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let due = ticks::between(&row.name, &row.cron, &row.tz, row.last_tick, now)?;
    let Some(latest) = due.last().copied() else { return Ok(None) };
    let wanted = ticks::to_run(&due, CatchUp::parse(&row.catch_up).unwrap_or(CatchUp::Last), now);
    let job = |at: &DateTime<Utc>| {
        let mut job = NewJob::raw(&row.queue, row.args.clone()).key(format!(
            "{}:{}",
            row.name,
            at.format("%Y-%m-%dT%H:%M:%SZ")
        ));
        job.tenant = row.tenant;
        job.max_attempts = u32::try_from(row.max_attempts).unwrap_or(1);
        job
    };
    let jobs: Vec<NewJob> = wanted.iter().map(job).collect();
    let written = enqueue(tx, &jobs).await?;
    diesel::sql_query("UPDATE queue.schedule SET last_tick = $2 WHERE name = $1")
        .bind::<Text, _>(name)
        .bind::<Timestamptz, _>(latest)
        .execute(tx)
        .await?;
    let new = |(at, written): (&DateTime<Utc>, Enqueued)| written.is_new().then_some(*at);
    let enqueued = wanted.iter().zip(written).filter_map(new).collect();
    Ok(Some(Ticked { name: row.name, enqueued, skipped: due.len() - wanted.len() }))
}
