//! Workers that die, freeze or end while they run jobs.

use costlens_queue::Settings;
use diesel_async::SimpleAsyncConnection;
use rustix::process::Signal;

use crate::children::{ChildWorker, LOST};
use crate::postgres::Db;
use crate::workers::{Gate, effect_with_outcome, note, noting_worker, probe, put, quick, secs, worker};

async fn killed_worker(successor: &'static str) {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let child = ChildWorker::start(&db, "hangs", "fixed");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    child.kill();
    let running = noting_worker(&db, successor, quick());
    let took = db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    println!("a killed worker's job ran again after {took:?}");
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE phase = 'ran'").await, 1);
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 2, "a crash counts as an attempt");
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE story->0->>'code' = 'worker_died'").await,
        1,
        "and is told in the job's story"
    );
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 0, "no session is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_under_the_same_name_runs_its_job_again() {
    killed_worker("fixed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_job_is_run_by_a_worker_of_another_name() {
    killed_worker("another").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_effect_and_outcome_leaves_its_follow_up_once() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let child = ChildWorker::start(&db, "dies", "first");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    drop(child);
    let running = worker(&db, "second", quick(), 4, |job, ctx| async move {
        if job.n == 1 {
            ctx.enqueue(probe(1_001));
        }
        note(ctx.queue(), job.n, "ran", "second").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 2").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 2);
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 1001").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_workers_ends_in_the_dead_letters() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(1)]).await;
    let child = ChildWorker::start(&db, "dies", "victim");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    drop(child);
    let running = noting_worker(&db, "next", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_class = 'bug')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE worker = 'next'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_loses_its_job_and_cannot_report_success() {
    let db = Db::new().await;
    let id = put(&db, vec![probe(1)]).await[0];
    let child = ChildWorker::start(&db, "freezes", "frozen");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    child.send(Signal::STOP);
    // Its lock is still held, so it is its silence that tells.
    let running = noting_worker(&db, "awake", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    let done =
        format!("SELECT (extract(epoch FROM done_at) * 1000000)::bigint FROM queue.job WHERE id = '{id}'");
    let before = db.number(&done).await;
    child.send(Signal::CONT);
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'end' AND worker = 'frozen')").await;
    child.send(Signal::TERM);
    assert_eq!(child.code().await, Some(LOST), "the frozen worker is told that its outcome does not count");
    assert_eq!(db.number(&done).await, before, "and the row is as the other one left it");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_that_wakes_does_not_end_the_claim_of_the_one_that_runs_its_job() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let child = ChildWorker::start(&db, "freezes", "frozen");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    child.send(Signal::STOP);
    let gate = Gate::closed();
    let waits = gate.clone();
    let running = worker(&db, "awake", quick(), 1, move |job, ctx| {
        let gate = waits.clone();
        async move {
            note(ctx.queue(), job.n, "second", "awake").await?;
            gate.passed().await;
            Ok(())
        }
    });
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'second')").await;
    child.send(Signal::CONT);
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'end' AND worker = 'frozen')").await;
    child.send(Signal::TERM);
    assert_eq!(child.code().await, Some(LOST));
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE status = 'running'").await,
        1,
        "it is still run"
    );
    gate.open();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_killed_again_and_again_do_every_effect_once() {
    let db = Db::new().await;
    let jobs = 300;
    put(&db, (0..jobs).map(probe).collect()).await;
    for kill in 1..=5 {
        let children = [ChildWorker::start(&db, "works", "one"), ChildWorker::start(&db, "works", "two")];
        // Two or three rounds of jobs, and then in the middle of one.
        let done = format!("(SELECT count(*) FROM effect) >= {}", kill * 30);
        db.wait_for(&done).await;
        children.into_iter().for_each(ChildWorker::kill);
    }
    assert!(
        db.number("SELECT count(*) FROM queue.job WHERE status = 'running'").await > 0,
        "some were caught"
    );
    let running = worker(&db, "last", quick(), 8, |job, ctx| async move {
        effect_with_outcome(&job, &ctx).await?;
        Ok(())
    });
    db.wait_for(&format!("(SELECT count(*) FROM queue.job WHERE status = 'done') = {jobs}")).await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effect").await, i64::from(jobs));
    assert_eq!(db.number("SELECT count(DISTINCT n) FROM effect").await, i64::from(jobs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_longer_than_the_lease_runs_the_job_once() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let child = ChildWorker::start(&db, "drains", "old");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    child.send(Signal::TERM);
    let running = noting_worker(&db, "new", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    assert_eq!(child.code().await, Some(0), "the old worker drains and reports success");
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE phase = 'end'").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE phase = 'ran'").await, 0, "and nobody else ran it");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_big_batches_of_slow_jobs_run_each_once() {
    let db = Db::new().await;
    put(&db, (0..10).map(probe).collect()).await;
    let settings = || costlens_queue::Settings { batch: 10, eager: true, silence: secs(4), ..quick() };
    // Each job takes long beside the silence that a lease allows.
    let start = |name: &'static str| {
        worker(&db, name, settings(), 1, move |job, ctx| async move {
            note(ctx.queue(), job.n, "ran", name).await?;
            tokio::time::sleep(secs(1)).await;
            Ok(())
        })
    };
    let (one, two) = (start("one"), start("two"));
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 10").await;
    one.stop().await;
    two.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 10);
    assert_eq!(db.number("SELECT count(DISTINCT n) FROM ran").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopping_worker_had_not_begun_goes_back_without_an_attempt() {
    let db = Db::new().await;
    put(&db, (0..5).map(probe).collect()).await;
    let settings = costlens_queue::Settings { batch: 5, eager: true, ..quick() };
    let running = worker(&db, "stopping", settings, 1, |job, ctx| async move {
        note(ctx.queue(), job.n, "begin", "stopping").await?;
        tokio::time::sleep(secs(3)).await;
        Ok(())
    });
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'done'").await, 1);
    let untouched =
        "SELECT count(*) FROM queue.job WHERE status = 'pending' AND attempts = 0 AND error IS NULL";
    assert_eq!(db.number(untouched).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_worker_future_gives_its_jobs_to_others() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let abandoned = worker(&db, "abandoned", quick(), 1, |job, ctx| async move {
        note(ctx.queue(), job.n, "begin", "abandoned").await?;
        tokio::time::sleep(secs(3)).await;
        note(ctx.queue(), job.n, "end", "abandoned").await?;
        Ok(())
    });
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    abandoned.task.abort();
    let running = noting_worker(&db, "successor", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    tokio::time::sleep(secs(3)).await;
    assert_eq!(
        db.number("SELECT count(*) FROM ran WHERE phase = 'end'").await,
        0,
        "its handler stopped with it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_frozen_inside_a_transaction_keeps_no_jobs_but_those_that_it_has_locked() {
    let db = Db::new().await;
    // Two dead workers with a job each, and one that has just died without.
    db.sql(
        "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence, last_seen, suspect_since) \
             SELECT gen_random_uuid(), 'probe.v1', n::text, n, '100 ms', '100 ms', \
                    clock_timestamp() - interval '1 hour', clock_timestamp() - interval '1 hour' \
               FROM generate_series(1, 2) AS n; \
         INSERT INTO queue.job (id, queue, args, max_attempts, status, attempts, session, started_at) \
             SELECT gen_random_uuid(), 'probe.v1', jsonb_build_object('n', worker::int), 5, 'running', 1, id, \
                    clock_timestamp() FROM queue.session; \
         INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence) \
             VALUES (gen_random_uuid(), 'probe.v1', '3', 3, '100 ms', '1 hour')",
    )
    .await;
    // The first was frozen between writing an outcome and its commit, the third while it renewed its lease.
    let mut frozen = db.conn().await;
    let writing = "BEGIN; UPDATE queue.job SET progress = '1' WHERE args->>'n' = '1'; \
        UPDATE queue.session SET last_seen = clock_timestamp() WHERE worker = '3'";
    frozen.batch_execute(writing).await.unwrap();
    let running = noting_worker(&db, "awake", quick());
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    assert_eq!(db.number("SELECT count(*) FROM queue.session WHERE worker IN ('1', '3')").await, 2);
    // It has lost jobs, so it may not go on as if nothing had happened.
    let claim = "SELECT queue.claim('probe.v1', (SELECT id FROM queue.session WHERE worker = '1'), 1, 9)";
    let refused = db.conn().await.batch_execute(claim).await.expect_err("it was given up").to_string();
    assert!(refused.contains("no_session"), "{refused}");
    frozen.batch_execute("ROLLBACK").await.unwrap();
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 1)").await;
    db.wait_for("NOT EXISTS (SELECT FROM queue.session WHERE worker IN ('1', '2', '3'))").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_under_a_session_that_is_gone_is_taken_back() {
    let db = Db::new().await;
    db.sql(
        "INSERT INTO queue.job (id, queue, args, max_attempts, status, attempts, session, started_at) VALUES \
             (gen_random_uuid(), 'probe.v1', '{\"n\": 1}', 5, 'running', 1, gen_random_uuid(), \
              clock_timestamp() - interval '2 minutes')",
    )
    .await;
    let running = noting_worker(&db, "finder", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
}

#[tokio::test]
async fn a_session_is_suspect_while_its_own_lock_is_free_whichever_number_that_has() {
    let db = Db::new().await;
    let keys = [
        "-1",
        "0",
        "1",
        "2147483648",
        "4294967295",
        "-4294967296",
        "-9223372036854775808",
        "9223372036854775807",
    ];
    for key in keys {
        db.sql(&format!(
            "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence, max_crashes) \
             VALUES (gen_random_uuid(), 'q', 'w', '{key}', '1 hour', '1 hour', 3)"
        ))
        .await;
    }
    let suspects = "SELECT count(*) FROM queue.session WHERE suspect_since IS NOT NULL";
    let mut holder = db.conn().await;
    for held in keys {
        // The same two halves in the form of two numbers are another lock.
        let sql = format!(
            "SELECT pg_advisory_unlock_all(); SELECT pg_advisory_lock('{held}'), pg_advisory_lock(0, 0)"
        );
        holder.batch_execute(&sql).await.unwrap();
        db.sql("SELECT * FROM queue.take_back(true)").await;
        assert_eq!(db.number(&format!("({suspects})")).await, 7, "{held}");
        assert_eq!(db.number(&format!("({suspects} AND lock_key = '{held}')")).await, 0, "{held}");
    }
    holder.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    db.sql("SELECT * FROM queue.take_back(true)").await;
    assert_eq!(db.number(&format!("({suspects})")).await, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_though_a_row_of_its_lease_is_locked() {
    let db = Db::new().await;
    let running = noting_worker(&db, "ending", Settings { heartbeat: secs(60), ..quick() });
    db.wait_for("EXISTS (SELECT FROM queue.session)").await;
    // A claim whose answer was lost, in the hands of somebody slow.
    db.sql(
        "INSERT INTO queue.job (id, queue, args, max_attempts, status, attempts, session, started_at) \
             SELECT gen_random_uuid(), 'probe.v1', '{\"n\": 1}', 5, 'running', 1, id, clock_timestamp() \
               FROM queue.session",
    )
    .await;
    let mut slow = db.conn().await;
    slow.batch_execute("BEGIN; UPDATE queue.job SET progress = '1'").await.unwrap();
    tokio::time::timeout(secs(30), running.stop()).await.expect("it waits for nobody");
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 1, "the session is left to others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_transactions_of_the_queue_that_idle() {
    let db = Db::new().await;
    let queue = db.queue();
    let mut conn = queue.conn().await.unwrap();
    conn.batch_execute(
        "DO $$ BEGIN ASSERT current_setting('idle_in_transaction_session_timeout') = '5min'; END $$",
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_lease_is_lost_before_it_begins_is_not_begun_under_it() {
    let db = Db::new().await;
    put(&db, vec![probe(1), probe(2)]).await;
    let settings = Settings { batch: 2, eager: true, ..quick() };
    let gate = Gate::closed();
    let waits = gate.clone();
    let running = worker(&db, "forgetful", settings, 1, move |job, ctx| {
        let gate = waits.clone();
        async move {
            note(ctx.queue(), job.n, "begin", "forgetful").await?;
            gate.passed().await;
            Ok(())
        }
    });
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'running') = 2").await;
    db.sql("SELECT queue.end_session(id) FROM queue.session").await;
    // Long beside the heartbeat at which it hears of that.
    tokio::time::sleep(secs(3)).await;
    gate.open();
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 2").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 2").await, 1);
}
