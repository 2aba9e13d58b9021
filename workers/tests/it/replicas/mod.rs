//! Three replicas with the product's schedules and handlers, by quick clocks that differ, frozen and killed all along:
//! every tick of the calendar is one job, and what it was to bring about is in the rows and in the world outside once.
//!
//! The work of each tick is written down beforehand, due at its moment: messages and deliveries that lost their jobs,
//! uploads that nobody asks for, accounts that are to go, digests and budgets in zones whose clocks change. A test run
//! takes a few hours and some months of it; `COSTLENS_TICKS=500` takes so many ticks of every schedule, with
//! `COSTLENS_TICKS_GROUP=hours` only of those that tick about every hour.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "a run says what it did, and how to repeat it")]

mod calendar;
mod due;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rustix::process::Signal;

use super::Office;
use super::children::{ToldClock, Worker, machine_time};
use super::outside::Outside;
use calendar::ticks;
use due::Due;

const REPLICAS: usize = 3;
const VACUUM_EVERY: Duration = Duration::from_secs(10);

/// Schedules that run at one speed, in a database of their own.
struct Group {
    /// What it is called in what the test prints.
    name: &'static str,
    schedules: Vec<&'static str>,
    begin: DateTime<Utc>,
    lasts: TimeDelta,
    /// How many of its milliseconds go by in one of ours.
    times: i32,
    /// How far two clocks are apart.
    skew: TimeDelta,
    /// How long a replica may be frozen. Past a minute its lease is lost although its lock is held.
    longest_freeze: Duration,
}

const MINUTES: &[&str] = &[
    "aws-checks",
    "bill-uploads",
    "budgets",
    "deliveries",
    "digests",
    "erasures",
    "exports",
    "invoice-fetches",
    "messages",
    "status",
];
const HOURS: &[&str] = &["anomalies", "dead-letters", "partitions"];
const DAYS: &[&str] = &[
    "audit-anchors",
    "clerk-sweep",
    "insight",
    "key-rotation",
    "prices",
    "queue-rows",
    "retention",
    "settlements",
    "sso-domains",
    "unpriced",
];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every schedule for a short while: in Europe the clocks go back in the first two hours.
fn a_few_ticks() -> [Group; 2] {
    [
        Group {
            name: "hours",
            schedules: [MINUTES, HOURS].concat(),
            begin: at("2026-10-24T23:00:00Z"),
            lasts: TimeDelta::hours(4),
            times: 1_600,
            skew: TimeDelta::seconds(90),
            longest_freeze: Duration::from_secs(2),
        },
        Group {
            name: "days",
            schedules: DAYS.to_vec(),
            begin: at("2026-01-15T00:00:00Z"),
            lasts: TimeDelta::days(125),
            times: 1_200_000,
            skew: TimeDelta::hours(8),
            longest_freeze: Duration::from_secs(2),
        },
    ]
}

/// So many ticks of every schedule.
fn many_ticks(many: i32) -> [Group; 3] {
    let group =
        |name, schedules: &[&'static str], begin, tick: TimeDelta, times, skew, longest_freeze| Group {
            name,
            schedules: schedules.to_vec(),
            begin: at(begin),
            lasts: tick * (many + 1),
            times,
            skew,
            longest_freeze: Duration::from_secs(longest_freeze),
        };
    let (minutes, hours, days) = (TimeDelta::minutes, TimeDelta::hours, TimeDelta::days);
    [
        // Digests tick every quarter of an hour, the others more often.
        group("minutes", MINUTES, "2026-10-24T00:00:00Z", minutes(15), 1_100, TimeDelta::seconds(90), 70),
        group("hours", HOURS, "2026-10-10T00:00:00Z", hours(1), 7_200, minutes(10), 70),
        group("days", DAYS, "2026-01-15T00:00:00Z", days(1), 200_000, hours(8), 70),
    ]
}

fn told(variable: &str) -> Option<u64> {
    wish(variable)?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "the test run says how long it takes")]
fn wish(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A course of events that can be repeated (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A replica's place: its process, and until when that is frozen or absent.
struct Seat {
    process: Option<Worker>,
    until: Option<Instant>,
}

/// What went on while the clocks ran.
#[derive(Clone, Copy, Debug, Default)]
struct Chaos {
    /// How many times as long as it should everything takes on this machine.
    slow: i32,
    freezes: u32,
    long_freezes: u32,
    kills: u32,
    /// Jobs that were killed or frozen so often that they were given up, and brought back by hand, as an operator does.
    brought_back: usize,
}

impl Chaos {
    fn times(&self) -> u32 {
        u32::try_from(self.slow).unwrap()
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(diesel::QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// What `SELECT <expression>` gives.
async fn number(office: &Office, expression: &str) -> i64 {
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let sql = format!("SELECT ({expression})::bigint AS n");
    let row: Number = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    row.n
}

/// Texts that a query gives as `key`.
async fn texts(office: &Office, sql: &str) -> Vec<String> {
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let rows: Vec<Key> = diesel::sql_query(sql).load(&mut owner).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

/// Has what waits for its next attempt run now: by these clocks the wait would be hours.
async fn wake(office: &Office) {
    office
        .sql(
            "WITH woken AS (UPDATE queue.job SET run_at = clock_timestamp() WHERE status = 'pending' AND \
                 run_at > clock_timestamp() RETURNING queue) \
             SELECT pg_notify('queue_wake', queue) FROM (SELECT DISTINCT queue FROM woken) AS queues",
        )
        .await;
}

/// Does what the server would do for itself if `autovacuum` were not off in tests: tens of thousands of jobs end here,
/// each row changed several times, and without it every look at them takes longer than the one before.
async fn vacuum(office: &Office) {
    office.sql("VACUUM (ANALYZE)").await;
}

/// Brings back what was given up because its worker was killed or frozen again and again: here that is no job's fault.
async fn bring_back(office: &Office) -> usize {
    let sql = "SELECT id::text AS key FROM queue.job \
               WHERE status = 'dead' AND error_code IN ('worker_died', 'worker_lost')";
    let ids = texts(office, sql).await;
    let mut conn = office.queue.conn().await.unwrap();
    for id in &ids {
        assert!(costlens_queue::ops::retry_now(&mut conn, id.parse().unwrap(), None).await.unwrap());
    }
    ids.len()
}

impl Group {
    /// These schedules alone, from the beginning on, and every one of their ticks however late.
    async fn set_schedules(&self, office: &Office) {
        let mut all = [MINUTES, HOURS, DAYS].concat();
        all.sort_unstable();
        assert_eq!(texts(office, "SELECT name AS key FROM queue.schedule ORDER BY name").await, all);
        let names = self.schedules.join("', '");
        office
            .sql(&format!(
                "CREATE FUNCTION every_tick() RETURNS trigger LANGUAGE plpgsql AS \
                     'BEGIN NEW.catch_up := ''all:100000''; RETURN NEW; END'; \
                 CREATE TRIGGER every_tick BEFORE INSERT OR UPDATE ON queue.schedule FOR EACH ROW \
                     EXECUTE FUNCTION every_tick(); \
                 UPDATE queue.schedule SET last_tick = '{begin}', paused = name NOT IN ('{names}'); \
                 DELETE FROM queue.job WHERE status <> 'running'",
                begin = self.begin.to_rfc3339(),
            ))
            .await;
    }

    /// A replica's clock, on a machine on which everything takes so many times as long as it should.
    fn clock(&self, replica: usize, since: DateTime<Utc>, slow: i32) -> ToldClock {
        let off = self.skew * (i32::try_from(replica).unwrap() - 1);
        ToldClock::Runs {
            from: self.begin,
            since,
            times: self.times / slow,
            off_seconds: off.num_seconds(),
            until: self.begin + self.lasts,
        }
    }

    /// How long the clocks take, the slowest one's lag included.
    fn takes(&self, slow: i32) -> Duration {
        ((self.lasts + self.skew) / (self.times / slow)).to_std().unwrap()
    }

    /// How long a replica takes to come up on this machine now.
    async fn comes_up_in(&self, office: &Office, outside: &Outside) -> Duration {
        let begun = Instant::now();
        let url = office.db.runtime_url();
        let first = Worker::start_nice(office, outside, url, ToldClock::Stands(self.begin));
        let all = costlens_workers::workers(office.queue.clone(), "", &office.parts).queues().len();
        let sessions = "SELECT count(DISTINCT queue) FROM queue.session";
        while number(office, sessions).await < i64::try_from(all).unwrap() {
            assert!(begun.elapsed() < crate::PATIENCE, "a replica does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(first);
        begun.elapsed()
    }

    /// Lets the replicas work while the clocks run, and freezes and kills them.
    async fn run(&self, office: &Office, outside: &Outside, dice: &mut Dice) -> Chaos {
        let up = self.comes_up_in(office, outside).await;
        // One that is killed before it works would prove nothing: on a busy machine all goes slower.
        let slow = i32::try_from(up.as_millis() / 1_000).unwrap().max(1);
        let mut chaos = Chaos { slow, ..Chaos::default() };
        let since = machine_time() + 2 * up;
        let start = |replica| {
            Worker::start_nice(office, outside, office.db.runtime_url(), self.clock(replica, since, slow))
        };
        let mut seats: Vec<Seat> =
            (0..REPLICAS).map(|replica| Seat { process: Some(start(replica)), until: None }).collect();
        let begun = Instant::now();
        let (mut woken, mut vacuumed) = (begun, begun);
        tokio::time::sleep(2 * up).await;
        while begun.elapsed() < 2 * up + self.takes(slow) {
            tokio::time::sleep(Duration::from_millis(150 + dice.below(500)) * chaos.times()).await;
            if woken.elapsed() > Duration::from_secs(1) {
                wake(office).await;
                woken = Instant::now();
            }
            if vacuumed.elapsed() > VACUUM_EVERY {
                vacuum(office).await;
                vacuumed = Instant::now();
            }
            for (replica, seat) in seats.iter_mut().enumerate() {
                if seat.until.is_some_and(|until| until <= Instant::now()) {
                    seat.until = None;
                    match &seat.process {
                        Some(process) => process.send(Signal::CONT),
                        None => seat.process = Some(start(replica)),
                    }
                }
            }
            let frozen = seats.iter().filter(|seat| seat.until.is_some()).count();
            let seat = &mut seats[usize::try_from(dice.below(REPLICAS as u64)).unwrap()];
            let pause = Duration::from_millis(50 + dice.below(1_950));
            match dice.below(12) {
                0..3 if seat.until.is_none() => {
                    seat.process.as_ref().unwrap().send(Signal::STOP);
                    // Now and then past every time limit, and once in any case; at least one goes on.
                    let is_owed = self.longest_freeze > Duration::from_mins(1)
                        && chaos.long_freezes == 0
                        && chaos.freezes > 20;
                    let is_long = frozen == 0 && (dice.below(60) == 0 || is_owed);
                    let pause = if is_long { self.longest_freeze } else { pause };
                    seat.until = Some(Instant::now() + pause);
                    chaos.freezes += 1;
                    chaos.long_freezes += u32::from(is_long && pause > Duration::from_mins(1));
                }
                // Frozen ones are killed as well.
                3..5 if seat.process.is_some() => {
                    drop(seat.process.take());
                    seat.until = Some(Instant::now() + pause / 2);
                    chaos.kills += 1;
                }
                _ => {}
            }
        }
        for (replica, seat) in seats.iter_mut().enumerate() {
            match &seat.process {
                Some(process) => process.send(Signal::CONT),
                None => seat.process = Some(start(replica)),
            }
        }
        chaos.brought_back = self.drain(office).await;
        for seat in &mut seats {
            assert!(!seat.process.as_mut().unwrap().has_ended(), "a replica ended by itself");
        }
        chaos
    }

    /// Waits until the last tick is dealt with and nothing is left to do. How many jobs were brought back meanwhile.
    async fn drain(&self, office: &Office) -> usize {
        let end = self.begin + self.lasts;
        let lasts = self.schedules.iter().map(|name| {
            let last = *ticks(name, self.begin, end).last().unwrap();
            format!("(name = '{name}' AND last_tick < '{}')", last.to_rfc3339())
        });
        let lasts = lasts.collect::<Vec<_>>().join(" OR ");
        let behind = format!("SELECT count(*) FROM queue.schedule WHERE {lasts}");
        let left = "SELECT count(*) FROM queue.job WHERE status IN ('pending', 'running')";
        let patience = crate::PATIENCE + self.longest_freeze;
        let (begun, mut vacuumed, mut got_on) = (Instant::now(), Instant::now(), Instant::now());
        let (mut stood, mut brought_back) = ((i64::MAX, i64::MAX), 0);
        loop {
            let stands = (number(office, &behind).await, number(office, left).await);
            // Looked at after what may still run: nothing is given up behind this look.
            let back = bring_back(office).await;
            brought_back += back;
            if stands == (0, 0) && back == 0 {
                return brought_back;
            }
            if stands != stood {
                (stood, got_on) = (stands, Instant::now());
            }
            if got_on.elapsed() > patience || begun.elapsed() > Duration::from_hours(1) {
                let sql = "SELECT concat_ws(' ', queue, status, key, attempts, error) AS key FROM queue.job \
                           WHERE status IN ('pending', 'running') ORDER BY id LIMIT 20";
                let which = texts(office, sql).await;
                panic!(
                    "{}: {} schedules are behind, {} jobs are left: {which:#?}",
                    self.name, stands.0, stands.1
                );
            }
            if vacuumed.elapsed() > VACUUM_EVERY {
                vacuum(office).await;
                vacuumed = Instant::now();
            }
            wake(office).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The jobs of each schedule are the calendar's ticks, each once and done.
    async fn check_ticks(&self, office: &Office) {
        let end = self.begin + self.lasts;
        for name in &self.schedules {
            let sql = format!("SELECT key FROM queue.job WHERE key LIKE '{name}:%' ORDER BY key");
            let found = texts(office, &sql).await;
            let told: BTreeSet<DateTime<Utc>> =
                found.iter().map(|key| at(key.strip_prefix(&format!("{name}:")).unwrap())).collect();
            let expected: BTreeSet<DateTime<Utc>> = ticks(name, self.begin, end).into_iter().collect();
            println!("{}: {name}: {} ticks, {} jobs", self.name, expected.len(), found.len());
            assert_eq!(told.len(), found.len(), "{name}: a tick became two jobs");
            let (missing, unexpected): (Vec<_>, Vec<_>) =
                (expected.difference(&told).collect(), told.difference(&expected).collect());
            assert!(missing.is_empty() && unexpected.is_empty(), "{name}: {missing:?} {unexpected:?}");
        }
        let dead = "SELECT queue || ' ' || coalesce(error, '') || ' ' || story::text AS key FROM queue.job \
                    WHERE status = 'dead'";
        let dead = texts(office, dead).await;
        assert!(dead.is_empty(), "{}: {dead:#?}", self.name);
    }

    async fn prove(self, seed: u64) {
        let mut dice = Dice(seed);
        let outside = Outside::open().await;
        let mut office = Office::open_to(&outside, self.begin - TimeDelta::days(8)).await;
        let due = Due::make(&self, &office, &outside).await;
        office.quiet().await;
        office.stop_work().await;
        self.set_schedules(&office).await;
        outside.forget();
        due.begin(&self, &office).await;
        let chaos = self.run(&office, &outside, &mut dice).await;
        println!("{}: {chaos:?} of {REPLICAS} replicas, seed {seed}", self.name);
        office.set_clock(self.begin + self.lasts);
        self.check_ticks(&office).await;
        due.check(&self, &office, &outside, chaos).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tick_of_every_schedule_has_its_effect_once_though_replicas_disagree_freeze_and_die() {
    let seed = told("COSTLENS_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("COSTLENS_TEST_SEED={seed}");
    if let Some(many) = told("COSTLENS_TICKS") {
        let only = wish("COSTLENS_TICKS_GROUP");
        let is_wanted = |group: &Group| only.as_deref().is_none_or(|name| name == group.name);
        let mut groups: Vec<_> = (0..).zip(many_ticks(i32::try_from(many).unwrap())).collect();
        groups.retain(|(_, group)| is_wanted(group));
        assert!(!groups.is_empty(), "there is no group {only:?}");
        for (n, group) in groups {
            group.prove(seed + n).await;
        }
        return;
    }
    let [hours, days] = a_few_ticks();
    let (hours, days) = (tokio::spawn(hours.prove(seed)), tokio::spawn(days.prove(seed + 1)));
    hours.await.unwrap();
    days.await.unwrap();
}

/// How often each of these was seen.
fn counted<T: Ord>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}
