//! Writing jobs in the caller's transaction, and when they run.

use apalis_core::backend::TaskSink;
use costlens_queue::{
    Enqueued, MIGRATIONS, NewJob, Settings, enqueue, grants, ops, run, schedule, unknown_work,
};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::MigrationHarness;

use crate::postgres::Db;
use crate::runs::Deletion;
use crate::workers::{Probe, millis, noting_worker, probe, put, quick, secs};

#[derive(serde::Serialize, serde::Deserialize)]
struct Elsewhere {}

impl costlens_queue::Job for Elsewhere {
    const QUEUE: &'static str = "elsewhere.v1";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_key_in_a_live_transaction_writes_nothing_and_aborts_nothing() {
    let db = Db::new().await;
    put(&db, vec![probe(1).key("once")]).await;
    let mut conn = db.conn().await;
    let written = conn
        .transaction(async |tx| {
            let written =
                enqueue(tx, &[probe(2).key("once"), probe(3), probe(4).key("x"), probe(5).key("x")]).await?;
            diesel::sql_query("INSERT INTO effect VALUES (1)").execute(tx).await?;
            Ok::<_, costlens_queue::QueueError>(written)
        })
        .await
        .unwrap();
    assert_eq!(written[0], Enqueued::AlreadyThere);
    assert!(written[1].is_new() && written[2].is_new());
    assert_eq!(written[3], Enqueued::AlreadyThere);
    assert_eq!(db.number("SELECT count(*) FROM effect").await, 1, "the transaction went on");
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 3);
    let elsewhere = NewJob::raw("another", serde_json::json!(null)).key("once");
    assert!(enqueue(&mut conn, &[elsewhere]).await.unwrap()[0].is_new(), "a key is its queue's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_rolled_back_leaves_no_job() {
    let db = Db::new().await;
    let running = noting_worker(&db, "eager", quick());
    let mut conn = db.conn().await;
    let rolled_back = conn
        .transaction(async |tx| {
            enqueue(tx, &[probe(1).key("gone")]).await?;
            tokio::time::sleep(millis(300)).await;
            Err::<(), _>(costlens_queue::QueueError::Stopped)
        })
        .await;
    assert!(rolled_back.is_err());
    tokio::time::sleep(millis(300)).await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 0);
    assert!(enqueue(&mut conn, &[probe(2).key("gone")]).await.unwrap()[0].is_new(), "the key is free");
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_job_begins_when_it_is_due_though_a_later_one_was_there_first() {
    let db = Db::new().await;
    put(&db, vec![probe(9).run_in(secs(3_600))]).await;
    let running = noting_worker(&db, "patient", Settings { poll: secs(3_600), ..quick() });
    tokio::time::sleep(millis(500)).await;
    // The worker sleeps towards the later one by now.
    put(&db, vec![probe(1).run_in(millis(1_200))]).await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 1)").await;
    running.stop().await;
    let late = db
        .number("SELECT extract(epoch FROM r.at - j.run_at) * 1000 FROM ran r, queue.job j WHERE j.status = 'done'")
        .await;
    assert!((0..60_000).contains(&late), "it began {late} ms after it was due");
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_hears_of_a_new_job_at_once() {
    let db = Db::new().await;
    // By its poll it would hear of it in an hour.
    let running = noting_worker(&db, "idle", Settings { poll: secs(3_600), ..quick() });
    tokio::time::sleep(millis(500)).await;
    put(&db, vec![probe(1)]).await;
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apalis_own_sink_pushes_to_the_same_queue() {
    let db = Db::new().await;
    let mut backend = db.queue().backend::<Probe>(quick());
    backend.push(Probe { n: 1 }).await.unwrap();
    backend.push_bulk(vec![Probe { n: 2 }, Probe { n: 3 }]).await.unwrap();
    let keyed = apalis_core::task::builder::TaskBuilder::new(Probe { n: 4 }).idempotency_key("four").build();
    backend.push_task(keyed.clone()).await.unwrap();
    backend.push_task(keyed).await.unwrap();
    let running = noting_worker(&db, "sink", quick());
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 4").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 4, "a key that is taken is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_enqueue_may_not_do_anything_else() {
    let db = Db::new().await;
    db.sql(
        "DO $$ BEGIN CREATE ROLE queue_test_door; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         DO $$ BEGIN CREATE ROLE queue_test_worker; EXCEPTION WHEN duplicate_object THEN NULL; END $$;",
    )
    .await;
    db.sql(&grants(&["queue_test_worker"], &["queue_test_door"])).await;
    let mut conn = db.conn().await;
    conn.batch_execute("SET ROLE queue_test_door").await.unwrap();
    assert!(enqueue(&mut conn, &[probe(1).key("k")]).await.unwrap()[0].is_new());
    assert_eq!(enqueue(&mut conn, &[probe(1).key("k")]).await.unwrap(), [Enqueued::AlreadyThere]);
    let started = run::start(&mut conn, run::NewRun::<Deletion>::of(1).key("r")).await.unwrap();
    let Enqueued::New(id) = started else { panic!("the run is new") };
    assert!(run::signal(&mut conn, id, "hello", &1, None).await.unwrap());
    for forbidden in [
        "SELECT args FROM queue.job",
        "UPDATE queue.job SET priority = 1",
        "DELETE FROM queue.job",
        "INSERT INTO queue.job (id, queue, args, max_attempts, status) VALUES (gen_random_uuid(), 'q', '1', 1, 'dead')",
        "SELECT * FROM queue.run",
        "SELECT * FROM queue.claim('probe.v1', gen_random_uuid(), 1, 1)",
        "SELECT * FROM queue.session",
    ] {
        let error = conn.batch_execute(forbidden).await.expect_err(forbidden).to_string();
        assert!(error.contains("permission denied"), "{forbidden}: {error}");
    }
    conn.batch_execute("SET ROLE queue_test_worker").await.unwrap();
    assert_eq!(ops::list(&mut conn, &ops::Filter::default(), None, 10).await.unwrap().items.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_a_build_does_not_know_is_named_at_its_start() {
    let db = Db::new().await;
    put(&db, vec![probe(1), NewJob::raw("gone.v1", serde_json::json!(1))]).await;
    let mut conn = db.conn().await;
    run::start(&mut conn, run::NewRun::<Deletion>::of(1)).await.unwrap();
    // A schedule without jobs is no work.
    let scheduled = schedule::Schedule::of("idle", "* * * * *", "UTC", &Elsewhere {}).unwrap();
    schedule::put(&mut conn, &scheduled, chrono::DateTime::UNIX_EPOCH).await.unwrap();
    let unknown = unknown_work(&mut conn, &["probe.v1"]).await.unwrap();
    let names: Vec<_> = unknown.iter().map(|work| (work.queue.as_str(), work.rows)).collect();
    assert_eq!(names, [("deletion.v2", 1), ("gone.v1", 1)]);
    assert_eq!(unknown_work(&mut conn, &["probe.v1", "gone.v1", "deletion.v2"]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_migrations_can_be_taken_back_and_applied_again() {
    let db = Db::new().await;
    let conn = db.conn().await;
    let work = move || {
        let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
        conn.revert_all_migrations(MIGRATIONS).map(|versions| versions.len()).unwrap();
        conn.run_pending_migrations(MIGRATIONS).map(|versions| versions.len()).unwrap()
    };
    assert!(tokio::task::spawn_blocking(work).await.unwrap() >= 2);
    put(&db, vec![probe(1)]).await;
}
