//! Ticks, over several replicas.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_queue::schedule::{self, CatchUp, Schedule};
use costlens_queue::{Job, QueueError, Workers};

use crate::postgres::Db;
use crate::workers::{Probe, millis, secs};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn every_minute(name: &str) -> Schedule {
    Schedule::of(name, "* * * * *", "UTC", &Probe { n: 1 }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_tick_at_once_and_each_tick_is_one_job() {
    let db = Db::new().await;
    let begin = at("2026-05-01T12:00:00Z");
    // While one holds the schedule for an earlier moment, another's quick clock may go past a tick.
    let digest = every_minute("digest").catch_up(CatchUp::All(5));
    schedule::put(&mut db.conn().await, &digest, begin).await.unwrap();
    let replica = async || {
        let mut conn = db.conn().await;
        let mut enqueued = 0;
        for second in (0..=300).step_by(10) {
            let ticked = schedule::tick(&mut conn, begin + TimeDelta::seconds(second)).await.unwrap();
            enqueued += ticked.iter().map(|ticked| ticked.enqueued.len()).sum::<usize>();
        }
        enqueued
    };
    let (one, two, three) = tokio::join!(replica(), replica(), replica());
    assert_eq!(one + two + three, 5, "five minutes, five ticks");
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 5);
    assert_eq!(db.number("SELECT count(DISTINCT key) FROM queue.job WHERE key LIKE 'digest:%'").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_missed_while_everything_was_down_are_caught_up_with_as_told() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let begin = at("2026-05-01T12:00:00Z");
    for (name, catch_up) in [("skip", CatchUp::Skip), ("last", CatchUp::Last), ("all", CatchUp::All(3))] {
        schedule::put(&mut conn, &every_minute(name).catch_up(catch_up), begin).await.unwrap();
    }
    let ticked = schedule::tick(&mut conn, at("2026-05-01T12:10:00Z")).await.unwrap();
    let counts: Vec<_> = ticked.iter().map(|t| (t.name.as_str(), t.enqueued.len(), t.skipped)).collect();
    // At 12:10 sharp the tenth tick is not late, even for the one that skips.
    assert_eq!(counts, [("all", 3, 7), ("last", 1, 9), ("skip", 1, 9)]);
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:10:30Z")).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_written_again_keeps_its_progress_and_a_paused_one_does_not_tick() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    schedule::put(&mut conn, &every_minute("s"), at("2026-05-01T12:00:00Z")).await.unwrap();
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:01:05Z")).await.unwrap().len(), 1);
    // A restart writes it again.
    schedule::put(&mut conn, &every_minute("s"), at("2026-05-01T12:01:10Z")).await.unwrap();
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:01:20Z")).await.unwrap(), []);
    assert!(schedule::set_paused(&mut conn, "s", true, at("2026-05-01T12:01:30Z")).await.unwrap());
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:05:00Z")).await.unwrap(), []);
    assert!(schedule::set_paused(&mut conn, "s", false, at("2026-05-01T12:05:30Z")).await.unwrap());
    assert_eq!(
        schedule::tick(&mut conn, at("2026-05-01T12:05:40Z")).await.unwrap(),
        [],
        "the pause has no ticks"
    );
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:06:01Z")).await.unwrap().len(), 1);
    let listed = schedule::list(&mut conn, at("2026-05-01T12:06:01Z")).await.unwrap();
    assert_eq!(listed[0].next, Some(at("2026-05-01T12:07:00Z")));
    assert!(schedule::remove(&mut conn, "s").await.unwrap());
    assert!(!schedule::set_paused(&mut conn, "s", true, at("2026-05-01T12:07:00Z")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_cannot_be_read_is_refused_and_one_gone_bad_holds_nobody_up() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let now = at("2026-05-01T12:00:00Z");
    let bad_cron = Schedule::of("a", "61 * * * *", "UTC", &Probe { n: 1 }).unwrap();
    let bad_zone = Schedule::of("a", "* * * * *", "Mars/Olympus", &Probe { n: 1 }).unwrap();
    assert!(schedule::put(&mut conn, &bad_cron, now).await.is_err());
    assert!(schedule::put(&mut conn, &bad_zone, now).await.is_err());
    for name in ["a", "b"] {
        schedule::put(&mut conn, &every_minute(name), now).await.unwrap();
    }
    db.sql("UPDATE queue.schedule SET tz = 'Mars/Olympus' WHERE name = 'a'").await;
    let ticked = schedule::tick(&mut conn, now + TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(ticked.iter().map(|ticked| ticked.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_with_new_times_begins_anew_and_does_not_catch_up_with_them() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let hourly = Schedule::of("s", "0 * * * *", "UTC", &Probe { n: 1 }).unwrap();
    schedule::put(&mut conn, &hourly, at("2026-05-01T12:00:00Z")).await.unwrap();
    // A deploy half an hour later.
    schedule::put(&mut conn, &every_minute("s").catch_up(CatchUp::All(99)), at("2026-05-01T12:30:30Z"))
        .await
        .unwrap();
    let ticked = schedule::tick(&mut conn, at("2026-05-01T12:31:10Z")).await.unwrap();
    assert_eq!(ticked[0].enqueued, [at("2026-05-01T12:31:00Z")]);
    assert_eq!(ticked[0].skipped, 0);
    // A clock that is behind takes nothing back.
    schedule::put(&mut conn, &hourly, at("2026-05-01T11:00:00Z")).await.unwrap();
    assert_eq!(schedule::tick(&mut conn, at("2026-05-01T12:32:00Z")).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_whose_job_is_refused_does_not_stop_those_after_it() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let now = at("2026-05-01T12:00:00Z");
    for name in ["a", "b"] {
        schedule::put(&mut conn, &every_minute(name), now).await.unwrap();
    }
    db.sql("ALTER TABLE queue.job ADD CHECK (key NOT LIKE 'a:%')").await;
    let ticked = schedule::tick(&mut conn, now + TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(ticked.iter().map(|ticked| ticked.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_that_a_build_does_not_know_are_taken_away() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let now = at("2026-05-01T12:00:00Z");
    for name in ["a", "b", "c"] {
        schedule::put(&mut conn, &every_minute(name), now).await.unwrap();
    }
    assert_eq!(schedule::keep_only(&mut conn, &["b", "new"]).await.unwrap(), 2);
    let names: Vec<_> =
        schedule::list(&mut conn, now).await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["b"]);
}

/// The second of the time that all processes share. Not the next one: that is in the future.
async fn database_time(db: &Db) -> DateTime<Utc> {
    DateTime::from_timestamp(
        db.number("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint").await,
        0,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_clock_is_wrong_ticks_nothing_and_ends_its_workers() {
    let db = Db::new().await;
    let now = database_time(&db).await;
    schedule::put(&mut db.conn().await, &every_minute("s"), now).await.unwrap();
    let last = schedule::list(&mut db.conn().await, now).await.unwrap()[0].last_tick;
    for off in [TimeDelta::days(3), TimeDelta::days(-3)] {
        let wrong = move || now + off;
        let workers =
            Workers::new(db.queue(), "host").schedules(millis(50), Some(TimeDelta::minutes(5)), wrong);
        let ended = tokio::time::timeout(secs(180), workers.run_until(std::future::pending())).await;
        let ended = ended.expect("it goes on by a wrong clock").unwrap_err();
        let why = ended.source.as_ref().unwrap().downcast_ref::<QueueError>();
        assert!(
            matches!(why, Some(QueueError::Clock { ahead }) if (*ahead - off).abs() < TimeDelta::hours(1))
        );
    }
    assert_eq!(schedule::list(&mut db.conn().await, now).await.unwrap()[0].last_tick, last);
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_that_ticked_in_the_future_tick_again_and_make_up_for_their_last_tick() {
    let db = Db::new().await;
    let now = database_time(&db).await;
    let daily = Schedule::of("daily", "0 0 * * *", "UTC", &Probe { n: 1 }).unwrap();
    for schedule in [every_minute("ahead"), every_minute("right"), daily] {
        schedule::put(&mut db.conn().await, &schedule, now).await.unwrap();
    }
    let future =
        "UPDATE queue.schedule SET last_tick = clock_timestamp() + interval '4 days' WHERE name <> 'right'";
    db.sql(future).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let workers =
        Workers::new(db.queue(), "host").schedules(millis(50), Some(TimeDelta::minutes(5)), move || now);
    let running = tokio::spawn(workers.run_until(async move {
        let _dropped = stopped.await;
    }));
    db.wait_for("(SELECT count(*) FROM queue.job WHERE key LIKE 'ahead:%' OR key LIKE 'daily:%') = 2").await;
    drop(stop);
    running.await.unwrap().unwrap();
    let ahead = "SELECT count(*) FROM queue.schedule WHERE last_tick > clock_timestamp()";
    assert_eq!(db.number(ahead).await, 0);
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE key LIKE 'right:%'").await,
        0,
        "it was not touched"
    );
}

/// A job that is not worth many attempts.
#[derive(serde::Serialize, serde::Deserialize)]
struct Hasty {}

impl Job for Hasty {
    const QUEUE: &'static str = "hasty.v1";
    const MAX_ATTEMPTS: u32 = 3;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticks_job_has_the_attempts_of_its_kind() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    let begin = at("2026-05-01T12:00:00Z");
    let hasty = Schedule::of("hasty", "* * * * *", "UTC", &Hasty {}).unwrap();
    schedule::put(&mut conn, &hasty, begin).await.unwrap();
    // As a build left it that did not know of them.
    db.sql("UPDATE queue.schedule SET max_attempts = 20").await;
    schedule::put(&mut conn, &hasty, begin).await.unwrap();
    schedule::tick(&mut conn, begin + TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(db.number("SELECT max_attempts FROM queue.job").await, 3);
}
