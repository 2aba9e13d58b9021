//! Minutes once, days that add up, and incidents that only end.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::status::ProbeOutcome;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::support::{at, owner};
use crate::testing::TestDb;
use crate::{StatusMinute, StoreError};

fn minute(component: &str, minutes: i64, outcome: ProbeOutcome) -> StatusMinute {
    let minute = begin() + TimeDelta::minutes(minutes);
    StatusMinute { component: component.to_owned(), minute, outcome, latency_ms: Some(3) }
}

/// Half an hour before midnight.
fn begin() -> DateTime<Utc> {
    let day = at(0).date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    day + TimeDelta::hours(23) + TimeDelta::minutes(30)
}

#[tokio::test]
async fn of_many_results_of_a_minute_the_first_counts_and_a_day_ends_at_midnight() {
    let db = TestDb::new().await;
    let outcomes = [ProbeOutcome::Ok, ProbeOutcome::Degraded, ProbeOutcome::Down, ProbeOutcome::Unknown];
    for n in 0..40 {
        let found = minute("api", n, outcomes[usize::try_from(n % 4).unwrap()]);
        // Eight at once.
        let notes = (0..8).map(|_| {
            let (store, found) = (db.store().clone(), found.clone());
            async move { store.system().await.unwrap().note_status(&found).await.unwrap() }
        });
        let firsts = futures_util::future::join_all(notes).await;
        assert_eq!(firsts.into_iter().filter(|first| *first).count(), 1);
    }
    let mut system = db.store().system().await.unwrap();
    let days = system.status_days(begin().date_naive()).await.unwrap();
    let counts: Vec<_> = days.iter().map(|day| (day.ok, day.degraded, day.down)).collect();
    assert_eq!(counts, [(8, 8, 7), (2, 2, 3)]);
    let latest = system.latest_status(begin()).await.unwrap();
    assert_eq!(latest, [minute("api", 39, ProbeOutcome::Unknown)]);
    let half = StatusMinute { minute: begin() + TimeDelta::seconds(1), ..minute("api", 0, ProbeOutcome::Ok) };
    assert!(matches!(system.note_status(&half).await, Err(StoreError::Conflict { .. })));
    let address = minute("http://10.0.0.7", 50, ProbeOutcome::Ok);
    assert!(matches!(system.note_status(&address).await, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn nothing_of_an_incident_changes_but_its_end_once() {
    let db = TestDb::new().await;
    let mut system = db.store().system().await.unwrap();
    for n in 0..6 {
        let found = minute("api", n, if n < 3 { ProbeOutcome::Down } else { ProbeOutcome::Ok });
        system.note_status(&found).await.unwrap();
        // Of two who derive at once one opens.
        for derived in 0..2 {
            let id = Uuid::from_u128(u128::try_from(n * 2 + derived).unwrap());
            system.derive_incidents("api", found.minute, id).await.unwrap();
        }
    }
    let incidents = system.status_incidents(begin(), 10).await.unwrap();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].ended_at, Some(begin() + TimeDelta::minutes(3)));
    // An older look comes late, and changes nothing.
    system.derive_incidents("api", begin() + TimeDelta::minutes(2), Uuid::from_u128(99)).await.unwrap();
    assert_eq!(system.status_incidents(begin(), 10).await.unwrap(), incidents);
    // Not even the owner of the tables changes what was.
    let mut owner = owner(&db).await;
    for change in ["ended_at = now()", "ended_at = NULL", "started_at = started_at - interval '1 day'"] {
        let sql = format!("UPDATE status_incident SET {change}");
        assert!(diesel::sql_query(sql).execute(&mut owner).await.is_err(), "{change}");
    }
    for statement in [
        "DELETE FROM status_incident",
        "UPDATE status_incident SET component = 'x'",
        "DELETE FROM status_day",
    ] {
        assert!(diesel::sql_query(statement).execute(&mut system.conn).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_beat_is_read_as_it_was_written() {
    let db = TestDb::new().await;
    let mut system = db.store().system().await.unwrap();
    for seconds in [0, 60, 120] {
        assert!(system.status_beat(at(seconds)).await.unwrap());
    }
}
