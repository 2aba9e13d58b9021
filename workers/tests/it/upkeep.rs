//! Partitions, retention, and the queue's own rows. Each is run twice: the second time there is nothing to do.

use chrono::{DateTime, Days, NaiveDate, Utc};
use costlens_domain::SessionId;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{NewSession, NewSignInLink};
use costlens_workers::SetupError;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::json;

use super::Office;

pub(super) fn now() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2026, 11, 25).unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc()
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn count(office: &Office, from: &str) -> i64 {
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let sql = format!("SELECT count(*) AS rows FROM {from}");
    let count: Count = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    count.rows
}

/// A tenant's link and session that ended so many days ago.
async fn sign_in(office: &Office, days_ago: u64) {
    let tenant = office.db.create_tenant("acme").await;
    let ended = now().checked_sub_days(Days::new(days_ago)).unwrap();
    let mut hash = [0; 32];
    hash[..10].copy_from_slice(&unlike_bytes());
    let mut system = office.db.store().system().await.unwrap();
    let link =
        NewSignInLink { tenant_id: tenant, hash, created_at: ended, expires_at: ended, operator: false };
    system.create_sign_in_link(&link).await.unwrap();
    let session = NewSession { id: SessionId::new(ended, unlike_bytes()), hash, expires_at: ended };
    let before = ended - chrono::Duration::minutes(1);
    system.redeem_sign_in_link(&hash, &session, before).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_past_its_time_goes_and_nothing_else() {
    let office = Office::open(now()).await;
    for days_ago in [0, 29, 31, 400] {
        sign_in(&office, days_ago).await;
    }
    let first = office.run("retention.v1").await;
    assert_eq!(first.job.state, State::Done, "{first:?}");
    let removed = json!({"bill_upload": 0, "event": 0, "export": 0, "idempotency_key": 0, "invitation": 0, "message": 0, "request_body": 0, "session": 2, "sign_in_link": 2, "status_minute": 0});
    assert_eq!(first.job.progress, Some(removed));
    assert_eq!((count(&office, "session").await, count(&office, "sign_in_link").await), (2, 2));

    let again = office.run("retention.v1").await;
    assert_eq!(
        again.job.progress,
        Some(
            json!({"bill_upload": 0, "event": 0, "export": 0, "idempotency_key": 0, "invitation": 0, "message": 0, "request_body": 0, "session": 0, "sign_in_link": 0, "status_minute": 0})
        )
    );
    assert_eq!(count(&office, "session").await, 2);
    office.close().await;
}

#[tokio::test]
async fn a_table_with_an_end_that_nobody_purges_is_a_dead_letter_that_names_it() {
    let office = Office::open(now()).await;
    office.sql("UPDATE retention SET keep_days = 7 WHERE table_name = 'request'").await;
    let job = office.run("retention.v1").await.job;
    assert_eq!(
        (job.state, job.class, job.code.as_deref()),
        (State::Dead, Some(ErrorClass::Bug), Some("no_purge"))
    );
    assert!(job.error.as_deref().is_some_and(|error| error.contains("request")), "{job:?}");
    office.close().await;
}

#[tokio::test]
async fn the_days_to_come_have_their_partitions() {
    let office = Office::open(now()).await;
    let days = "pg_class WHERE relname BETWEEN 'request_20261125' AND 'request_20261202' AND relkind = 'r'";
    for _ in 0..2 {
        assert_eq!(office.run("partitions.v1").await.job.state, State::Done);
        assert_eq!(count(&office, days).await, 8);
    }
    office.close().await;
}

#[tokio::test]
async fn finished_jobs_go_after_a_week_and_dead_ones_after_ninety_days() {
    let office = Office::open(now()).await;
    for _ in 0..3 {
        office.run("partitions.v1").await;
    }
    office
        .sql(
            "UPDATE queue.job SET done_at = done_at - interval '8 days' WHERE queue = 'partitions.v1';
             UPDATE queue.job SET status = 'dead', done_at = done_at - interval '80 days' WHERE id =
                 (SELECT id FROM queue.job WHERE queue = 'partitions.v1' ORDER BY id LIMIT 1)",
        )
        .await;
    let pruned = office.run("queue-rows.v1").await;
    assert_eq!(pruned.job.progress, Some(json!({"jobs": 2, "runs": 0})));
    assert_eq!(count(&office, "queue.job WHERE queue = 'partitions.v1' AND status = 'dead'").await, 1);
    assert_eq!(office.run("queue-rows.v1").await.job.progress, Some(json!({"jobs": 0, "runs": 0})));
    office.close().await;
}

#[tokio::test]
async fn work_that_this_version_does_not_know_refuses_the_start() {
    let office = Office::closed(now()).await;
    office.enqueue("deletion.v9").await;
    let refused = costlens_workers::prepare(&office.queue, &office.parts).await;
    assert!(
        matches!(&refused, Err(SetupError::UnknownWork { queue, rows: 1 }) if queue == "deletion.v9"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn every_workflow_of_upkeep_has_a_schedule_and_starting_again_keeps_it() {
    let office = Office::open(now()).await;
    office.wake_schedules().await;
    let mut conn = office.queue.conn().await.unwrap();
    costlens_queue::schedule::set_paused(&mut conn, "retention", true, now()).await.unwrap();
    // What an older version ticked and this one does not know goes.
    office
        .sql(
            "INSERT INTO queue.schedule (name, queue, cron, tz, args, catch_up, last_tick) \
             VALUES ('gone', 'gone.v1', '0 0 * * *', 'UTC', '{}', 'last', now())",
        )
        .await;
    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    let schedules = costlens_queue::schedule::list(&mut conn, now()).await.unwrap();
    let told: Vec<_> = schedules.iter().map(|each| (each.queue.as_str(), each.paused)).collect();
    let expected = [
        ("anomalies.v1", false),
        ("audit-anchors.v1", false),
        ("aws-checks.v1", false),
        ("bill-uploads.v1", false),
        ("budgets.v1", false),
        ("clerk-sweep.v1", false),
        ("webhook-sweep.v1", false),
        ("digest.v1", false),
        ("erasure-sweep.v1", false),
        ("exports.v1", false),
        ("insight-nights.v1", false),
        ("invoice-fetches.v1", false),
        ("key-rotation.v1", false),
        ("message-sweep.v1", false),
        ("partitions.v1", false),
        ("prices.v1", false),
        ("queue-rows.v1", false),
        ("retention.v1", true),
        ("settlement-nights.v1", false),
        ("sso-domains.v1", false),
        ("status.v1", false),
        ("price_unpriced.v1", false),
    ];
    assert_eq!(told, expected);
    let stats = ops::stats(&mut conn).await.unwrap();
    assert!(stats.iter().all(|queue| queue.dead == 0), "{stats:?}");
    drop(conn);
    office.close().await;
}
