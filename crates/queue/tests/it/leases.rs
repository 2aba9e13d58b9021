//! The leases of a process's workers on the one connection that keeps them.

use costlens_queue::testing::WireTap;
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;

use crate::postgres::Db;
use crate::workers::{Gate, Running, millis, note, noting_worker, probe, put, quick, running, secs};

/// The leases' locks that are held in this database. Who claims takes another one for a moment.
const LOCKS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND (classid::bigint << 32) | objid::bigint <> hashtextextended('queue.claim/probe.v1', 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_a_connection_and_lose_end_and_begin_their_leases_each_for_itself() {
    let db = Db::new().await;
    let queue = db.queue();
    let start = |name: &'static str| {
        running(&queue, name, quick(), 2, move |job, ctx| async move {
            note(ctx.queue(), job.n, "ran", name).await?;
            Ok(())
        })
    };
    let (one, two, three) = (start("one"), start("two"), start("three"));
    let locks = format!("SELECT count(*) {LOCKS}");
    db.wait_for(&format!("({locks}) = 3")).await;
    assert_eq!(db.number(&format!("SELECT count(DISTINCT pid) {LOCKS}")).await, 1);
    let keeper = db.number(&format!("SELECT max(pid) {LOCKS}")).await;
    db.sql("CREATE TABLE before AS SELECT * FROM queue.session").await;

    db.sql("DELETE FROM queue.session WHERE worker = 'two'").await;
    db.wait_for(
        "EXISTS (SELECT FROM queue.session WHERE worker = 'two' AND id NOT IN (SELECT id FROM before))",
    )
    .await;
    let same = "SELECT count(*) FROM queue.session JOIN before USING (id, worker)";
    assert_eq!(db.number(same).await, 2, "only who lost its lease has another");
    db.wait_for(&format!("({locks}) = 3")).await;
    let theirs = format!("SELECT count(*) {LOCKS} AND pid = {keeper}");
    assert_eq!(db.number(&theirs).await, 3, "and none lies under the lost one");

    three.stop().await;
    db.wait_for(&format!("({locks}) = 2")).await;
    assert_eq!(db.number("SELECT count(*) FROM queue.session WHERE worker = 'three'").await, 0);
    put(&db, (1..=4).map(probe).collect()).await;
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 4").await;

    one.stop().await;
    two.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 0);
    let gone = format!("NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {keeper})");
    db.wait_for(&gone).await;
    let again = start("again");
    put(&db, vec![probe(5)]).await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 5 AND worker = 'again')").await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_leases_far_from_the_database_come_back_together_before_one_is_taken() {
    let db = Db::new().await;
    let tap = WireTap::start(&db.url).await.unwrap();
    let far = Db { url: tap.url(&db.url) };
    let (queue, gate, workers) = (far.queue(), Gate::closed(), 40);
    let settings = costlens_queue::Settings { grace: secs(10), ..quick() };
    let all: Vec<Running> = (0..workers)
        .map(|n| {
            let gate = gate.clone();
            running(&queue, &format!("far-{n}"), settings.clone(), 1, move |_, _| {
                let gate = gate.clone();
                async move {
                    gate.passed().await;
                    Ok(())
                }
            })
        })
        .collect();
    put(&db, (0..workers).map(probe).collect()).await;
    db.wait_for(&format!("(SELECT count(*) FROM queue.job WHERE status = 'running') = {workers}")).await;
    // Looks at their locks all the while, and would take their jobs.
    let onlooker = noting_worker(&db, "onlooker", quick());
    let locks = format!("(SELECT count(*) {LOCKS}) = {}", workers + 1);
    db.wait_for(&locks).await;
    db.sql("CREATE TABLE before AS SELECT * FROM queue.session").await;

    tap.delay(secs(1));
    tap.cut();
    db.wait_for("EXISTS (SELECT FROM queue.session WHERE suspect_since IS NOT NULL)").await;
    // One by one, they would need two grace times.
    tap.delay(millis(150));
    let away = db.wait_for(&locks).await;
    println!("{workers} leases were back after {away:?}");
    tap.delay(millis(0));
    let same = "SELECT count(*) FROM queue.session JOIN before USING (id)";
    assert_eq!(db.number(same).await, i64::from(workers) + 1);
    gate.open();
    db.wait_for(&format!("(SELECT count(*) FROM queue.job WHERE status = 'done') = {workers}")).await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE attempts > 1 OR crashes > 0").await, 0);
    join_all(all.into_iter().map(Running::stop)).await;
    onlooker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_somebody_holds_while_its_worker_comes_back_is_a_suspect_no_longer_than_that() {
    let db = Db::new().await;
    let gate = Gate::closed();
    let passed = gate.clone();
    let running = crate::workers::worker(&db, "alive", quick(), 1, move |_, _| {
        let gate = passed.clone();
        async move {
            gate.passed().await;
            Ok(())
        }
    });
    put(&db, vec![probe(1)]).await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'running')").await;
    // Others take it for dead; and the moment that they have, somebody holds its job.
    let (mut others, mut holder) = (db.conn().await, db.conn().await);
    others
        .batch_execute(
            "BEGIN; SELECT queue.give_back(id, worker, true) FROM queue.session; DELETE FROM queue.session; \
             UPDATE queue.job SET run_at = clock_timestamp() + interval '1 hour'",
        )
        .await
        .unwrap();
    let held = tokio::spawn(async move {
        holder.batch_execute("BEGIN; SELECT FROM queue.job FOR UPDATE").await.unwrap();
        holder
    });
    db.wait_for(
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                 AND datname = current_database())",
    )
    .await;
    others.batch_execute("COMMIT").await.unwrap();
    let mut holder = held.await.unwrap();
    // With another lease, and some heartbeats later.
    db.wait_for("EXISTS (SELECT FROM queue.session)").await;
    db.sql("CREATE TABLE since AS SELECT clock_timestamp() AS at").await;
    db.wait_for("(SELECT max(last_seen) FROM queue.session) > (SELECT at + interval '1 s' FROM since)").await;
    let suspects = "SELECT count(*) FROM queue.job WHERE crashed_under IS NOT NULL AND crashes = 1";
    assert_eq!(db.number(suspects).await, 1);
    holder.batch_execute("COMMIT").await.unwrap();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE crashes = 0 AND crashed_under IS NULL)").await;
    gate.open();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_before_it_hears_that_its_lease_was_lost_has_not_died() {
    let db = Db::new().await;
    let gate = Gate::closed();
    let passed = gate.clone();
    let settings = costlens_queue::Settings { heartbeat: secs(3_600), ..quick() };
    let running = crate::workers::worker(&db, "deaf", settings, 1, move |_, _| {
        let gate = passed.clone();
        async move {
            gate.passed().await;
            Ok(())
        }
    });
    put(&db, vec![probe(1)]).await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'running')").await;
    db.sql(
        "BEGIN; SELECT queue.give_back(id, worker, true) FROM queue.session; DELETE FROM queue.session; \
         UPDATE queue.job SET run_at = clock_timestamp() + interval '1 hour'; COMMIT",
    )
    .await;
    let suspects = "SELECT count(*) FROM queue.job WHERE crashed_under IS NOT NULL AND crashes = 1";
    assert_eq!(db.number(suspects).await, 1);
    gate.open();
    running.stop().await;
    assert_eq!(db.number(suspects).await, 0);
    assert_eq!(db.number("SELECT crashes FROM queue.job").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stray_job_that_somebody_holds_holds_up_no_heartbeat() {
    let db = Db::new().await;
    let running = noting_worker(&db, "alive", quick());
    db.wait_for("EXISTS (SELECT FROM queue.session)").await;
    db.sql(
        "BEGIN; INSERT INTO queue.job (id, queue, args, max_attempts) VALUES \
             (gen_random_uuid(), 'probe.v1', '{\"n\": 1}', 1); \
         SELECT queue.claim('probe.v1', (SELECT id FROM queue.session), 1, 1); COMMIT",
    )
    .await;
    let mut holder = db.conn().await;
    holder.batch_execute("BEGIN; SELECT FROM queue.job FOR UPDATE").await.unwrap();
    db.sql("CREATE TABLE since AS SELECT clock_timestamp() AS at").await;
    db.wait_for("(SELECT last_seen FROM queue.session) > (SELECT at + interval '2 s' FROM since)").await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 0);
    holder.batch_execute("COMMIT").await.unwrap();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 1, "the lost claim was no attempt");
}
