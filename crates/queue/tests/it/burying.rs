//! Work that nobody has a worker for: when it becomes dead letters, and what is left alone.

use costlens_queue::ops::{self, Buried, State};
use costlens_queue::{ErrorClass, NewJob, run};
use serde_json::json;

use crate::postgres::Db;
use crate::runs::Deletion;
use crate::workers::{probe, put, secs};

const HOUR: u64 = 3_600;

/// Makes every job look as if it had been there for so long.
async fn age(db: &Db, hours: u32) {
    db.sql(&format!(
        "UPDATE queue.job SET run_at = run_at - interval '{hours} hours', created_at = created_at - interval '{hours} hours'"
    ))
    .await;
}

fn buried(queue: &str, jobs: i64) -> Buried {
    Buried { queue: queue.to_owned(), jobs }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_known_for_an_hour_is_a_dead_letter_that_can_be_brought_back() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    put(&db, vec![probe(1)]).await;
    let gone = put(&db, vec![NewJob::raw("gone.v1", json!(1)), NewJob::raw("gone.v1", json!(2))]).await;
    run::start(&mut conn, run::NewRun::<Deletion>::of(1)).await.unwrap();
    assert_eq!(ops::bury_unknown(&mut conn, &["probe.v1"], secs(HOUR), 100).await.unwrap(), []);
    age(&db, 2).await;
    // Due in a while, though it was asked for long ago; due long ago, and asked for just now.
    let later = NewJob::raw("gone.v1", json!(3)).run_in(secs(60));
    let just_now = NewJob::raw("gone.v1", json!(4)).run_at(chrono::DateTime::UNIX_EPOCH);
    let young = put(&db, vec![later, just_now]).await;
    db.sql(&format!(
        "UPDATE queue.job SET created_at = now() - interval '9 hours' WHERE id = '{}'",
        young[0]
    ))
    .await;

    // In steps.
    let first = ops::bury_unknown(&mut conn, &["probe.v1"], secs(HOUR), 2).await.unwrap();
    assert_eq!(first, [buried("gone.v1", 2)]);
    let second = ops::bury_unknown(&mut conn, &["probe.v1"], secs(HOUR), 2).await.unwrap();
    assert_eq!(second, [buried("deletion.v2", 1)]);
    assert_eq!(ops::bury_unknown(&mut conn, &["probe.v1"], secs(HOUR), 2).await.unwrap(), []);

    let shown = ops::show(&mut conn, gone[0], None).await.unwrap().unwrap();
    assert_eq!(
        (shown.job.state, shown.job.class, shown.job.code.as_deref()),
        (State::Dead, Some(ErrorClass::Bug), Some("unknown_version"))
    );
    assert_eq!(shown.story.last().unwrap().code.as_deref(), Some("unknown_version"));
    assert!(shown.job.done_at.is_some());
    assert_eq!(db.number("SELECT count(*) FROM queue.run WHERE state = 'failed'").await, 1);
    let mine = "SELECT count(*) FROM queue.job WHERE queue = 'probe.v1' AND status = 'pending'";
    assert_eq!(db.number(mine).await, 1, "a known queue's job waits however long");
    for id in young {
        let there = ops::show(&mut conn, id, None).await.unwrap().unwrap();
        assert!(matches!(there.job.state, State::Ready | State::Scheduled), "{there:?}");
    }

    // By a build that knows one of the queues; the rest by hand.
    let known = ["probe.v1", "gone.v1"];
    assert_eq!(ops::unbury(&mut conn, &known, 1).await.unwrap(), [buried("gone.v1", 1)]);
    assert_eq!(ops::unbury(&mut conn, &known, 9).await.unwrap(), [buried("gone.v1", 1)]);
    assert_eq!(ops::unbury(&mut conn, &known, 9).await.unwrap(), []);
    let back = ops::show(&mut conn, gone[0], None).await.unwrap().unwrap();
    assert_eq!((back.job.state, back.job.attempts, back.job.done_at), (State::Ready, 0, None));
    assert_eq!(ops::redrive(&mut conn, &ops::Filter::default(), 10, 10).await.unwrap(), 1);
    assert_eq!(db.number("SELECT count(*) FROM queue.run WHERE state = 'running'").await, 1);
    // Due anew: whoever brought them back has an hour for the version that knows them.
    assert_eq!(ops::bury_unknown(&mut conn, &["probe.v1"], secs(HOUR), 100).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_living_worker_of_another_build_works_on_is_left_to_it() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    put(&db, vec![NewJob::raw("new.v2", json!(1)), NewJob::raw("old.v1", json!(1))]).await;
    age(&db, 2).await;
    let session = |queue: &str, silent: u32| {
        format!(
            "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence, last_seen) VALUES \
             (gen_random_uuid(), '{queue}', 'elsewhere', 1, '3 s', '1 min', now() - interval '{silent} s')"
        )
    };
    // One that beats, and one that nobody has heard of for two minutes and nobody has taken away.
    db.sql(&session("new.v2", 0)).await;
    db.sql(&session("old.v1", 120)).await;
    let found = ops::bury_unknown(&mut conn, &[], secs(HOUR), 100).await.unwrap();
    assert_eq!(found, [buried("old.v1", 1)]);
    db.sql("UPDATE queue.session SET suspect_since = now() - interval '1 min' WHERE queue = 'new.v2'").await;
    let found = ops::bury_unknown(&mut conn, &[], secs(HOUR), 100).await.unwrap();
    assert_eq!(found, [buried("new.v2", 1)], "its worker died");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_counted_by_day_queue_and_class() {
    let db = Db::new().await;
    let mut conn = db.conn().await;
    db.sql(
        "INSERT INTO queue.job (id, queue, args, max_attempts, status, error_class, error_code, done_at) \
         SELECT gen_random_uuid(), queue, '1', 1, status, class, code, now() - age FROM (VALUES \
             ('a.v1', 'dead', 'bug', 'x', interval '2 hours'), ('a.v1', 'dead', 'bug', 'y', interval '2 hours'), \
             ('a.v1', 'dead', 'bug', NULL, interval '2 hours'), \
             ('a.v1', 'dead', 'transient', NULL, interval '2 hours'), ('b.v1', 'dead', NULL, NULL, interval '2 hours'), \
             ('a.v1', 'dead', 'bug', 'young', interval '1 minute'), ('a.v1', 'dead', 'bug', 'old', interval '9 days'), \
             ('a.v1', 'done', NULL, NULL, interval '2 hours')) AS v (queue, status, class, code, age)",
    )
    .await;
    let found = ops::dead_by_day(&mut conn, secs(600), secs(36 * HOUR)).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|some| (some.queue.as_str(), some.class, some.codes.join(" "), some.jobs)).collect();
    let expected = [
        ("a.v1", Some(ErrorClass::Bug), "x y".to_owned(), 3),
        ("a.v1", Some(ErrorClass::Transient), String::new(), 1),
        ("b.v1", None, String::new(), 1),
    ];
    assert_eq!(told, expected);
}
