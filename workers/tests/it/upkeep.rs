//! Partitions, retention, and the queue's own rows. Each is run twice: the second time there is nothing to do.

use chrono::{DateTime, Days, NaiveDate, Utc};
use costlens_domain::SessionId;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{AuditEvent, NewSession, NewSignInLink};
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
    let removed = json!({"bill_upload": 0, "event": 0, "export": 0, "idempotency_key": 0, "invitation": 0, "message": 0, "request_body": 0, "session": 2, "sign_in_link": 2, "status_minute": 0, "user_account": 0});
    assert_eq!(first.job.progress, Some(removed));
    assert_eq!((count(&office, "session").await, count(&office, "sign_in_link").await), (2, 2));

    let again = office.run("retention.v1").await;
    assert_eq!(
        again.job.progress,
        Some(
            json!({"bill_upload": 0, "event": 0, "export": 0, "idempotency_key": 0, "invitation": 0, "message": 0, "request_body": 0, "session": 0, "sign_in_link": 0, "status_minute": 0, "user_account": 0})
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

/// Makes a job look as if it had been there for so long.
async fn age(office: &Office, queue: &str, hours: u32) {
    office
        .sql(&format!(
            "UPDATE queue.job SET run_at = run_at - interval '{hours} hours', \
                 created_at = created_at - interval '{hours} hours' WHERE queue = '{queue}'"
        ))
        .await;
}

#[tokio::test]
async fn work_that_this_version_does_not_know_stops_nothing_and_is_buried_when_nobody_has_known_it_for_an_hour()
 {
    let mut office = Office::closed(now()).await;
    let unknown = office.enqueue("deletion.v9").await;
    office.work().await;
    // All else is done while a version that knows it may still come.
    assert_eq!(office.run("partitions.v1").await.job.state, State::Done);
    let looked = office.run("dead-letters.v1").await;
    assert_eq!(looked.job.progress, Some(json!({"buried": 0, "brought_back": 0, "told": 0})));
    assert_eq!(office.jobs("deletion.v9").await[0].state, State::Ready);
    age(&office, "deletion.v9", 2).await;
    assert_eq!(
        office.run("dead-letters.v1").await.job.progress,
        Some(json!({"buried": 1, "brought_back": 0, "told": 0}))
    );
    let buried = office.ended("deletion.v9", unknown).await;
    assert_eq!(
        (buried.job.state, buried.job.class, buried.job.code.as_deref()),
        (State::Dead, Some(ErrorClass::Bug), Some("unknown_version"))
    );
    assert_eq!(buried.story.last().and_then(|last| last.code.as_deref()), Some("unknown_version"));
    // Brought back for a version that knows it, and none came: a start buries it, too.
    let mut conn = office.queue.conn().await.unwrap();
    assert!(ops::retry_now(&mut conn, unknown, None).await.unwrap());
    drop(conn);
    age(&office, "deletion.v9", 2).await;
    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    assert_eq!(office.jobs("deletion.v9").await[0].state, State::Dead);
    // What an earlier version did not know and this one does, is done.
    office.sql("UPDATE queue.job SET queue = 'partitions.v1', args = '{}' WHERE queue = 'deletion.v9'").await;
    let looked = office.run("dead-letters.v1").await;
    assert_eq!(looked.job.progress, Some(json!({"buried": 0, "brought_back": 1, "told": 0})));
    assert_eq!(office.ended("partitions.v1", unknown).await.job.state, State::Done);
    office.close().await;
}

#[tokio::test]
async fn work_of_a_version_that_runs_elsewhere_is_left_to_it() {
    let office = Office::closed(now()).await;
    office.enqueue("deletion.v9").await;
    age(&office, "deletion.v9", 2).await;
    office
        .sql(
            "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence) \
             VALUES (gen_random_uuid(), 'deletion.v9', 'elsewhere', 1, '3 s', '10 min')",
        )
        .await;
    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    assert_eq!(office.jobs("deletion.v9").await[0].state, State::Ready);
}

/// Dead letters that died some minutes ago: their queue, class and code.
async fn bury(office: &Office, minutes: u32, dead: &[(&str, &str, &str)]) {
    for (queue, class, code) in dead {
        office
            .sql(&format!(
                "INSERT INTO queue.job (id, queue, args, max_attempts, status, error_class, error_code, done_at) \
                 VALUES (gen_random_uuid(), '{queue}', '{{}}', 1, 'dead', '{class}', '{code}', \
                     now() - interval '{minutes} minutes')"
            ))
            .await;
    }
}

/// What the operator was told of dead letters, each as `queue class codes jobs`.
async fn told_of_dead(office: &Office) -> Vec<String> {
    let mut system = office.parts.store.system().await.unwrap();
    let events = system.list_operator_events(None, 100).await.unwrap();
    let of = |event: &AuditEvent| {
        let told = |name: &str| event.change.get(name).cloned().unwrap_or_default();
        let target = event.target.clone().unwrap_or_default();
        format!("{target} {} {} {}", told("error_class"), told("codes"), told("jobs"))
    };
    let mut told: Vec<String> =
        events.iter().filter(|event| event.action == "workflows.died").map(of).collect();
    told.sort();
    told
}

#[tokio::test]
async fn the_operator_is_told_of_dead_letters_that_nobody_attends_once_a_day_for_each_queue_and_class() {
    let office = Office::open(now()).await;
    // A sweeper may still bring it back.
    bury(&office, 5, &[("event.v1", "transient", "svix")]).await;
    // The last two have sweepers that ask again or end what they were for.
    let dead = [
        ("retention.v1", "bug", "no_purge"),
        ("retention.v1", "bug", "worker_died"),
        ("retention.v1", "transient", "database"),
        ("clerk-event.v1", "bug", "payload"),
        ("message.v1", "bug", "payload"),
        ("webhook.v1", "customer_action", "endpoint_refused"),
    ];
    bury(&office, 20, &dead).await;
    let first = office.run("dead-letters.v1").await;
    assert_eq!(first.job.progress, Some(json!({"buried": 0, "brought_back": 0, "told": 3})));
    let expected = [
        r#"clerk-event.v1 "bug" ["payload"] 1"#,
        r#"retention.v1 "bug" ["no_purge","worker_died"] 2"#,
        r#"retention.v1 "transient" ["database"] 1"#,
    ];
    assert_eq!(told_of_dead(&office).await, expected);
    // The same day, again and more of the same; and what died the day before.
    office
        .sql(
            "INSERT INTO queue.job (id, queue, args, max_attempts, status, error_class, done_at) \
                SELECT gen_random_uuid(), queue, args, 1, status, error_class, done_at FROM queue.job \
                WHERE queue = 'clerk-event.v1'",
        )
        .await;
    assert_eq!(
        office.run("dead-letters.v1").await.job.progress,
        Some(json!({"buried": 0, "brought_back": 0, "told": 0}))
    );
    bury(&office, 24 * 60 + 20, &[("clerk-event.v1", "bug", "payload")]).await;
    assert_eq!(
        office.run("dead-letters.v1").await.job.progress,
        Some(json!({"buried": 0, "brought_back": 0, "told": 1}))
    );
    assert_eq!(told_of_dead(&office).await.len(), 4);
    office.close().await;
}

#[tokio::test]
async fn a_nights_retention_has_five_attempts() {
    let office = Office::open(now()).await;
    let attempts = "queue.schedule WHERE name = 'retention' AND max_attempts = 5";
    assert_eq!(count(&office, attempts).await, 1);
    office.close().await;
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
        ("dead-letters.v1", false),
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
