//! Three replicas that tick the same schedules by quick clocks that differ, and are frozen and killed all along: every
//! tick has one effect, and they are the ticks of the calendar.
//!
//! `QUEUE_TEST_SEED` repeats a course of events; `QUEUE_TEST_LARGER` makes it four times as long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;
use costlens_queue::schedule::{self, CatchUp, Schedule};
use costlens_queue::{Job, JobContext, JobError, Queue, QueueConfig, Workers};
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::children::{ChildWorker, larger, seed};
use crate::postgres::{Db, patient};
use crate::workers::{millis, quick};

const REPLICAS: u64 = 3;

/// What a tick does: a row that a second run would double.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Beat {}

impl Job for Beat {
    const QUEUE: &'static str = "beat.v1";
}

async fn beat(_: Beat, ctx: JobContext) -> Result<(), JobError> {
    let key = ctx.key().unwrap_or("none").to_owned();
    let mut conn = ctx.queue().conn().await?;
    conn.transaction(async |tx| {
        diesel::sql_query("INSERT INTO beat VALUES ($1)").bind::<Text, _>(key).execute(tx).await?;
        ctx.complete_in(tx).await?;
        Ok(())
    })
    .await
}

/// When a schedule ticks, said without cron.
#[derive(Clone, Copy)]
enum Times {
    /// Every so many minutes of every hour, in a zone that is whole tens of minutes from UTC.
    Every(i64),
    /// At this minute of every hour, in UTC.
    Hourly(i64),
    /// At this time of the day, on every day or one day of the week.
    At(Tz, Option<Weekday>, u32, u32),
}

struct Kind {
    name: &'static str,
    cron: &'static str,
    tz: &'static str,
    times: Times,
    catch_up: CatchUp,
}

const fn kind(name: &'static str, cron: &'static str, tz: &'static str, times: Times) -> Kind {
    Kind { name, cron, tz, times, catch_up: CatchUp::All(1_000) }
}

/// Schedules that run at one speed, in a database of their own.
struct Group {
    kinds: Vec<Kind>,
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
    /// How far clocks differ: a tick's period is about three times as long.
    skew: TimeDelta,
}

fn groups() -> Vec<Group> {
    use Times::{At, Every, Hourly};
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let (new_york, berlin, lord_howe) = (Tz::America__New_York, Tz::Europe__Berlin, Tz::Australia__Lord_Howe);
    let monday = Some(Weekday::Mon);
    let group = |kinds, begin, lasts, skew| Group { kinds, begin, end: begin + lasts, skew };
    vec![
        // Berlin's clocks go forward on the 29th.
        group(
            vec![
                kind("five", "*/5 * * * *", "UTC", Every(5)),
                kind("ten", "*/10 * * * *", "UTC", Every(10)),
                kind("ten-in-berlin", "*/10 * * * *", "Europe/Berlin", Every(10)),
                Kind { catch_up: CatchUp::Last, ..kind("last", "*/10 * * * *", "UTC", Every(10)) },
                Kind { catch_up: CatchUp::Skip, ..kind("skip", "*/10 * * * *", "UTC", Every(10)) },
            ],
            at("2026-03-26T12:00:00Z"),
            TimeDelta::minutes(5_001),
            TimeDelta::seconds(90),
        ),
        group(
            vec![kind("hourly", "7 * * * *", "UTC", Hourly(7))],
            at("2026-10-10T00:00:00Z"),
            TimeDelta::hours(501),
            TimeDelta::minutes(20),
        ),
        // Berlin has no 02:30 on 2026-03-29 and 2027-03-28, and two on 2026-10-25; Lord Howe's clocks move half an hour:
        // no 02:15 on 2026-10-04, and 01:45 twice on 2026-04-05 and 2027-04-04.
        group(
            vec![
                kind("daily", "10 2 * * *", "UTC", At(Tz::UTC, None, 2, 10)),
                kind("berlin-0230", "30 2 * * *", "Europe/Berlin", At(berlin, None, 2, 30)),
                kind("howe-0215", "15 2 * * *", "Australia/Lord_Howe", At(lord_howe, None, 2, 15)),
                kind("howe-0145", "45 1 * * *", "Australia/Lord_Howe", At(lord_howe, None, 1, 45)),
            ],
            at("2025-12-01T00:00:00Z"),
            TimeDelta::days(501),
            TimeDelta::hours(8),
        ),
        group(
            vec![
                kind("new-york", "0 9 * * 1", "America/New_York", At(new_york, monday, 9, 0)),
                kind("berlin", "0 9 * * 1", "Europe/Berlin", At(berlin, monday, 9, 0)),
                kind("lord-howe", "0 9 * * 1", "Australia/Lord_Howe", At(lord_howe, monday, 9, 0)),
            ],
            at("2026-01-07T00:00:00Z"),
            TimeDelta::weeks(501),
            TimeDelta::days(2),
        ),
    ]
}

/// The moment of a local time: the first of two, and where there is none, the end of the gap.
fn moment(tz: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    let mut at = local;
    loop {
        match tz.from_local_datetime(&at) {
            LocalResult::Single(one) | LocalResult::Ambiguous(one, _) => return one.with_timezone(&Utc),
            LocalResult::None => at += TimeDelta::minutes(1),
        }
    }
}

/// The ticks after `begin` up to and with `end`.
fn calendar(times: Times, begin: DateTime<Utc>, end: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
    let minutes = |every: i64, offset: i64| {
        let begin = begin.timestamp() / 60 / every * every + offset;
        let all = (0..).map(move |n| DateTime::from_timestamp((begin + n * every) * 60, 0).unwrap());
        all.take_while(|at| *at <= end).collect::<Vec<_>>()
    };
    let all = match times {
        Times::Every(every) => minutes(every, 0),
        Times::Hourly(minute) => minutes(60, minute),
        Times::At(tz, weekday, hour, minute) => {
            let first: NaiveDate = begin.date_naive() - Days::new(2);
            let days = first.iter_days().take_while(|day| *day <= end.date_naive() + Days::new(2));
            days.filter(|day| weekday.is_none_or(|weekday| day.weekday() == weekday))
                .map(|day| moment(tz, day.and_hms_opt(hour, minute, 0).unwrap()))
                .collect()
        }
    };
    all.into_iter().filter(|at| *at > begin && *at <= end).collect()
}

fn schedule_of(kind: &Kind) -> Schedule {
    Schedule::of(kind.name, kind.cron, kind.tz, &Beat {}).unwrap().catch_up(kind.catch_up)
}

/// How long the clocks take from begin to end.
fn wall() -> TimeDelta {
    TimeDelta::seconds(if larger() { 200 } else { 50 })
}

/// A replica's clock in a group: right but for a constant and for a thousandth of its speed.
fn clock(group: &Group, replica: i64, since: TimeDelta) -> DateTime<Utc> {
    let lasts = i128::from((group.end - group.begin).num_milliseconds());
    let gone = lasts * i128::from(since.num_milliseconds()) / i128::from(wall().num_milliseconds());
    let drifted = gone + gone * i128::from(replica - 1) / 1_000;
    let skewed = drifted + i128::from(group.skew.num_milliseconds()) * i128::from(replica - 1);
    (group.begin + TimeDelta::milliseconds(i64::try_from(skewed).unwrap())).min(group.end)
}

#[derive(diesel::QueryableByName)]
struct Millis {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

async fn database_clock(queue: &Queue) -> i64 {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS n";
    let row: Millis = diesel::sql_query(sql).get_result(&mut *queue.conn().await.unwrap()).await.unwrap();
    row.n
}

/// A replica: writes the schedules as every start does, ticks, and does what is due. `told` is its number, when the
/// clocks began, and the databases of the groups.
pub(crate) async fn child(db: &Db, told: &str) {
    let mut words = told.split('/');
    let replica: i64 = words.next().unwrap().parse().unwrap();
    let began: i64 = words.next().unwrap().parse().unwrap();
    let (server, _) = db.url.rsplit_once('/').unwrap();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut running = tokio::task::JoinSet::new();
    for (group, name) in groups().into_iter().zip(words) {
        let config = QueueConfig { connections: 3, ..patient(&format!("{server}/{name}")) };
        let queue = Queue::new(&config).unwrap();
        let (gone, since) = (database_clock(&queue).await - began, Instant::now());
        let now = |group: &Group| {
            let since = TimeDelta::milliseconds(gone) + TimeDelta::from_std(since.elapsed()).unwrap();
            clock(group, replica, since)
        };
        for kind in &group.kinds {
            let mut conn = queue.conn().await.unwrap();
            schedule::put(&mut conn, &schedule_of(kind), now(&group)).await.unwrap();
        }
        // Who dies here is killed from outside: no job is suspected of it, however often it was hit.
        let settings = costlens_queue::Settings { silence: millis(1_500), max_crashes: 1_000, ..quick() };
        let ticking = move || {
            let since = TimeDelta::milliseconds(gone) + TimeDelta::from_std(since.elapsed()).unwrap();
            clock(&group, replica, since)
        };
        let workers = Workers::new(queue, format!("replica-{replica}")).job(settings, 4, beat).schedules(
            millis(40),
            None,
            ticking,
        );
        let mut stopped = stopped.clone();
        running.spawn(workers.run_until(async move {
            let _gone = stopped.wait_for(|stopped| *stopped).await;
        }));
    }
    terminate.recv().await;
    stop.send_replace(true);
    while let Some(ended) = running.join_next().await {
        ended.unwrap().unwrap();
    }
}

/// A course of events that can be repeated.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below this one (SplitMix64).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A place for a replica: the process, and until when it is frozen or absent.
struct Seat {
    process: Option<ChildWorker>,
    until: Option<Instant>,
}

#[derive(diesel::QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tick_has_one_effect_though_replicas_disagree_freeze_and_die() {
    let seed = seed();
    println!("QUEUE_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let groups = groups();
    let mut dbs = Vec::new();
    for group in &groups {
        let db = Db::new().await;
        db.sql("CREATE TABLE beat (key text NOT NULL)").await;
        for kind in &group.kinds {
            schedule::put(&mut db.conn().await, &schedule_of(kind), group.begin).await.unwrap();
        }
        dbs.push(db);
    }
    let names: Vec<&str> = dbs.iter().map(|db| db.url.rsplit_once('/').unwrap().1).collect();
    let began = database_clock(&dbs[0].queue()).await;
    let start = |replica: u64| {
        let told = format!("{replica}/{began}/{}", names.join("/"));
        ChildWorker::start(&dbs[0], "replica", &told)
    };
    let mut seats: Vec<Seat> =
        (0..REPLICAS).map(|replica| Seat { process: Some(start(replica)), until: None }).collect();
    let (mut freezes, mut kills) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < wall().to_std().unwrap() {
        tokio::time::sleep(millis(60 + dice.below(500))).await;
        for (replica, seat) in (0..).zip(&mut seats) {
            if seat.until.is_some_and(|until| until <= Instant::now()) {
                seat.until = None;
                match &seat.process {
                    Some(process) => process.send(Signal::CONT),
                    None => seat.process = Some(start(replica)),
                }
            }
        }
        let seat = &mut seats[usize::try_from(dice.below(REPLICAS)).unwrap()];
        // Half of them longer than the grace, some longer than the silence that a lease allows.
        let pause = millis(50 + dice.below(2_500));
        match dice.below(10) {
            0..5 if seat.until.is_none() => {
                seat.process.as_ref().unwrap().send(Signal::STOP);
                seat.until = Some(Instant::now() + pause);
                freezes += 1;
            }
            // Frozen ones are killed as well.
            5..8 if seat.process.is_some() => {
                seat.process.take().unwrap().kill();
                seat.until = Some(Instant::now() + pause / 2);
                kills += 1;
            }
            _ => {}
        }
    }
    for (replica, seat) in (0..).zip(&mut seats) {
        match &seat.process {
            Some(process) => process.send(Signal::CONT),
            None => seat.process = Some(start(replica)),
        }
    }
    println!("{freezes} freezes, {kills} kills of {REPLICAS} replicas");
    for (group, db) in groups.iter().zip(&dbs) {
        for kind in &group.kinds {
            let last = calendar(kind.times, group.begin, group.end).pop_last().unwrap().timestamp();
            let ticked = format!(
                "(SELECT extract(epoch FROM last_tick) FROM queue.schedule WHERE name = '{}')",
                kind.name
            );
            db.wait_for(&format!("{ticked} = {last}")).await;
        }
        db.wait_for("NOT EXISTS (SELECT FROM queue.job WHERE status IN ('pending', 'running'))").await;
        db.wait_for(&format!("(SELECT count(*) FROM queue.session) <= {REPLICAS}")).await;
    }
    for seat in seats {
        let process = seat.process.unwrap();
        process.send(Signal::TERM);
        assert_eq!(process.code().await, Some(0));
    }
    for (group, db) in groups.iter().zip(&dbs) {
        assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status <> 'done'").await, 0);
        let mut found: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
        let rows: Vec<Key> =
            diesel::sql_query("SELECT key FROM beat ORDER BY key").load(&mut db.conn().await).await.unwrap();
        for Key { key } in rows {
            let (name, at) = key.split_once(':').unwrap();
            found.entry(name.to_owned()).or_default().push(at.parse().unwrap());
        }
        for kind in &group.kinds {
            let expected = calendar(kind.times, group.begin, group.end);
            let effects = &found[kind.name];
            let ticks: BTreeSet<_> = effects.iter().copied().collect();
            println!("{}: {} ticks, {} effects", kind.name, expected.len(), effects.len());
            assert!(expected.len() >= 500, "{}", kind.name);
            assert_eq!(ticks.len(), effects.len(), "{}: an effect was done twice", kind.name);
            let unexpected: Vec<_> = ticks.difference(&expected).collect();
            assert!(unexpected.is_empty(), "{}: not in the calendar: {unexpected:?}", kind.name);
            if matches!(kind.catch_up, CatchUp::All(_)) {
                let missing: Vec<_> = expected.difference(&ticks).collect();
                assert!(missing.is_empty(), "{}: missing: {missing:?}", kind.name);
            } else {
                assert!(!effects.is_empty(), "{}", kind.name);
            }
        }
        let last = group.kinds.iter().filter(|kind| matches!(kind.catch_up, CatchUp::Last));
        for kind in last {
            let end = calendar(kind.times, group.begin, group.end).pop_last();
            assert_eq!(found[kind.name].last().copied(), end, "the latest of the missed ticks runs");
        }
        assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 0);
    }
}

#[test]
fn the_calendar_knows_the_hours_that_are_missing_and_those_that_come_twice() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let of = |tz, hour, minute, begin, end| {
        let ticks = calendar(Times::At(tz, None, hour, minute), at(begin), at(end));
        ticks.into_iter().map(|at| at.format("%m-%dT%H:%MZ").to_string()).collect::<Vec<_>>()
    };
    let berlin = of(Tz::Europe__Berlin, 2, 30, "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(berlin, ["03-28T01:30Z", "03-29T01:00Z", "03-30T00:30Z"]);
    let twice = of(Tz::Europe__Berlin, 2, 30, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(twice, ["10-25T00:30Z", "10-26T01:30Z"]);
}
