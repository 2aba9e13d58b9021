//! The service looks at itself: each minute once, whoever ticks; unknown where nobody looked; one incident for one
//! outage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costlens_domain::status::ProbeOutcome;
use costlens_egress::EndpointUrl;
use costlens_queue::ops::State;
use costlens_queue::{NewJob, schedule};
use costlens_store::{StatusDay, StatusIncident, StatusMinute};
use costlens_workers::{StatusTarget, StatusTargets};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Office, egress};

fn noon() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// A server that is up or down as it is told.
#[derive(Clone)]
struct Fake {
    port: u16,
    up: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl Fake {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake = Self { port, up: Arc::new(AtomicBool::new(true)), asked: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let fake = serving.clone();
                tokio::spawn(async move {
                    let mut head = vec![0; 4_096];
                    let read = socket.read(&mut head).await.unwrap_or_default();
                    let path = String::from_utf8_lossy(head.get(..read).unwrap()).into_owned();
                    let known = path.starts_with("GET /api/v1/status ") || path.starts_with("GET /readyz ");
                    fake.asked.fetch_add(1, Ordering::Relaxed);
                    let status = if known && fake.up.load(Ordering::Relaxed) { "200 OK" } else { "503 No" };
                    let answer =
                        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _gone = socket.write_all(answer.as_bytes()).await;
                });
            }
        });
        fake
    }

    fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// A name for it, and the way there.
    fn targets(&self, name: &str) -> StatusTargets {
        let host = format!("127.0.0.1:{}", self.port);
        let egress = egress(std::slice::from_ref(&host));
        let base = EndpointUrl::parse(&format!("http://{host}"), egress.policy()).unwrap();
        StatusTargets { targets: vec![StatusTarget { name: name.to_owned(), base }], egress: Some(egress) }
    }
}

async fn office(fake: &Fake, name: &str) -> Office {
    let mut office = Office::closed(noon()).await;
    office.parts.status = fake.targets(name);
    office.work().await;
    // The schedule's own first tick has passed before the test begins to move the clock.
    let mut conn = office.queue.conn().await.unwrap();
    schedule::set_paused(&mut conn, "status", true, noon()).await.unwrap();
    office.settled("status.v1").await;
    office.sql("DELETE FROM status_minute; DELETE FROM status_day; DELETE FROM status_incident").await;
    drop(conn);
    office
}

/// Looks at the service so many minutes after noon.
async fn look(office: &Office, minutes: i64) {
    office.set_clock(noon() + TimeDelta::minutes(minutes) + TimeDelta::seconds(7));
    let job = office.run("status.v1").await;
    assert_eq!(job.job.state, State::Done, "{job:?}");
}

async fn days(office: &Office) -> Vec<StatusDay> {
    let day = NaiveDate::from_ymd_opt(2026, 11, 25).unwrap();
    office.parts.store.system().await.unwrap().status_days(day).await.unwrap()
}

async fn incidents(office: &Office) -> Vec<(String, i64, Option<i64>)> {
    let mut system = office.parts.store.system().await.unwrap();
    let incidents = system.status_incidents(noon() - TimeDelta::days(90), 50).await.unwrap();
    let since = |at: DateTime<Utc>| (at - noon()).num_minutes();
    let told = |incident: StatusIncident| {
        (incident.component, since(incident.started_at), incident.ended_at.map(since))
    };
    incidents.into_iter().map(told).collect()
}

fn day(component: &str, ok: u32, down: u32) -> StatusDay {
    let day = NaiveDate::from_ymd_opt(2026, 11, 25).unwrap();
    StatusDay { component: component.to_owned(), day, ok, degraded: 0, down }
}

#[tokio::test]
async fn what_goes_down_and_comes_back_is_one_incident_and_its_minutes_are_counted() {
    let fake = Fake::open().await;
    let office = office(&fake, "").await;
    for minute in 0..12 {
        // Down from the third minute to the seventh, with one good one at the sixth; then well.
        fake.set_up(!matches!(minute, 2..=6) || minute == 5);
        look(&office, minute).await;
        let expected = match minute {
            // Two failures are none, and three are.
            0..=3 => None,
            // A good minute ends nothing, nor do two.
            4..=8 => Some(None),
            _ => Some(Some(7)),
        };
        let told: Vec<_> =
            incidents(&office).await.into_iter().filter(|(part, ..)| part == "proxy").collect();
        let expected: Vec<_> = expected.map(|end| ("proxy".to_owned(), 2, end)).into_iter().collect();
        assert_eq!(told, expected, "minute {minute}");
    }
    let counted = days(&office).await;
    assert_eq!(counted, [day("api", 8, 4), day("database", 12, 0), day("jobs", 12, 0), day("proxy", 8, 4)]);
    let mut told = incidents(&office).await;
    told.sort();
    assert_eq!(told, [("api".to_owned(), 2, Some(7)), ("proxy".to_owned(), 2, Some(7))]);
    // What an incident was stays.
    let mut system = office.parts.store.system().await.unwrap();
    system.derive_incidents("proxy", noon() + TimeDelta::minutes(11), uuid::Uuid::nil()).await.unwrap();
    drop(system);
    assert_eq!(incidents(&office).await.len(), 2);
    office.close().await;
}

#[tokio::test]
async fn two_who_look_in_the_same_minute_leave_one_result() {
    let fake = Fake::open().await;
    let mut office = office(&fake, "frankfurt").await;
    // Another process over the same database.
    let other = costlens_workers::workers(office.queue.clone(), "other", &office.parts);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(async move { other.run_until(async { drop(stopped.await) }).await.unwrap() });
    for _ in 0..6 {
        office.ask(NewJob::raw("status.v1", json!({}))).await;
    }
    office.settled("status.v1").await;
    let well =
        [day("api/frankfurt", 1, 0), day("database", 1, 0), day("jobs", 1, 0), day("proxy/frankfurt", 1, 0)];
    assert_eq!(days(&office).await, well);
    // What is found later in the same minute changes nothing.
    fake.set_up(false);
    look(&office, 0).await;
    assert_eq!(days(&office).await, well);
    assert_eq!(fake.asked.load(Ordering::Relaxed) % 2, 0);
    stop.send(()).unwrap();
    working.await.unwrap();
    office.stop_work().await;
}

#[tokio::test]
async fn a_minute_that_nobody_looked_at_is_unknown_and_breaks_a_row() {
    let fake = Fake::open().await;
    let office = office(&fake, "").await;
    fake.set_up(false);
    for minute in [0, 1, 3, 4, 600, 601] {
        look(&office, minute).await;
    }
    assert_eq!(incidents(&office).await, [], "never three in a row");
    assert_eq!(days(&office).await[0], day("api", 0, 6));
    // Nor does a worker that was away look at what is past: the result is that of the minute in which it looks.
    look(&office, 602).await;
    let told = incidents(&office).await;
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(_, start, end)| (*start, *end) == (600, None)), "{told:?}");
    // It ends with three in a row, and not with three in all.
    fake.set_up(true);
    for minute in [603, 604, 606, 607] {
        look(&office, minute).await;
    }
    assert!(incidents(&office).await.iter().all(|(.., end)| end.is_none()));
    look(&office, 608).await;
    assert!(incidents(&office).await.iter().all(|(.., end)| *end == Some(606)));
    office.close().await;
}

#[tokio::test]
async fn a_worker_killed_between_a_result_and_its_incident_is_made_up_for_by_the_next_minute() {
    let fake = Fake::open().await;
    let office = office(&fake, "").await;
    let mut system = office.parts.store.system().await.unwrap();
    for minute in 0..3 {
        let found = StatusMinute {
            component: "api".to_owned(),
            minute: noon() + TimeDelta::minutes(minute),
            outcome: ProbeOutcome::Down,
            latency_ms: None,
        };
        assert!(system.note_status(&found).await.unwrap());
        assert!(!system.note_status(&found).await.unwrap());
    }
    drop(system);
    assert_eq!(incidents(&office).await, []);
    fake.set_up(false);
    look(&office, 3).await;
    assert_eq!(incidents(&office).await, [("api".to_owned(), 0, None)]);
    office.close().await;
}

#[tokio::test]
async fn without_an_address_to_look_at_nothing_is_said_of_it() {
    let mut office = Office::closed(noon()).await;
    office.work().await;
    look(&office, 1).await;
    let told: Vec<String> = days(&office).await.into_iter().map(|day| day.component).collect();
    assert_eq!(told, ["database", "jobs"]);
    office.close().await;
}

#[tokio::test]
async fn minutes_go_after_thirty_five_days_and_days_stay() {
    let fake = Fake::open().await;
    let office = office(&fake, "").await;
    look(&office, 0).await;
    office.set_clock(noon() + TimeDelta::days(35));
    assert_eq!(office.run("retention.v1").await.job.progress.unwrap()["status_minute"], 0);
    office.set_clock(noon() + TimeDelta::days(35) + TimeDelta::minutes(1));
    assert_eq!(office.run("retention.v1").await.job.progress.unwrap()["status_minute"], 4);
    assert_eq!(days(&office).await.len(), 4);
    office.close().await;
}
