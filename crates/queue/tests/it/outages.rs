//! The database goes away, or a connection to it does.

use costlens_queue::run::{self, NewRun, Run};
use costlens_queue::{JobError, Workers};

use crate::children::seed;
use crate::postgres::{Cluster, Db};
use crate::replicas::Dice;
use crate::runs::{Deletion, effect};
use crate::sweep::{Outside, call};
use crate::workers::{effect_with_outcome, millis, note, noting_worker, probe, put, quick, secs, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_under_load_loses_and_doubles_no_effect() {
    let cluster = Cluster::start().await;
    let db = cluster.database().await;
    let jobs = 150;
    put(&db, (0..jobs).map(probe).collect()).await;
    let settings = || costlens_queue::Settings { grace: secs(30), ..quick() };
    let start = |name: &'static str| {
        worker(&db, name, settings(), 8, |job, ctx| async move {
            tokio::time::sleep(millis(300)).await;
            effect_with_outcome(&job, &ctx).await?;
            Ok(())
        })
    };
    let (one, two) = (start("one"), start("two"));
    db.wait_for("(SELECT count(*) FROM effect) > 20").await;
    let before = db.number("SELECT count(*) FROM effect").await;
    cluster.crash_and_restart();
    assert!(before < i64::from(jobs), "it happened under load");
    let done = format!("(SELECT count(*) FROM queue.job WHERE status = 'done') = {jobs}");
    db.wait_for(&done).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effect").await, i64::from(jobs));
    assert_eq!(db.number("SELECT count(DISTINCT n) FROM effect").await, i64::from(jobs));
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE story @> '[{\"code\": \"worker_died\"}]'").await,
        0,
        "an outage shorter than the grace takes no job from a worker that lives"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_listening_connection_costs_neither_the_running_job_nor_the_next_one() {
    let db = Db::new().await;
    let settings = costlens_queue::Settings { poll: secs(3_600), ..quick() };
    let running = worker(&db, "listener", settings, 4, |job, ctx| async move {
        note(ctx.queue(), job.n, "begin", "listener").await?;
        tokio::time::sleep(if job.n == 1 { millis(1_500) } else { millis(0) }).await;
        Ok(())
    });
    put(&db, vec![probe(1)]).await;
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    let terminated = db
        .number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await;
    assert_eq!(terminated, 1, "the lease's connection");
    tokio::time::sleep(millis(300)).await;
    put(&db, vec![probe(2)]).await;
    // Well before the poll's hour: it listens again.
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 2").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 1").await, 1, "and the long job ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_was_lost_does_not_lie_under_a_live_lease() {
    let db = Db::new().await;
    let running = noting_worker(&db, "alive", quick());
    db.wait_for("EXISTS (SELECT FROM queue.session)").await;
    // What the server has done when the connection breaks before its answer is through.
    db.sql(
        "BEGIN; INSERT INTO queue.job (id, queue, args, max_attempts) VALUES \
             (gen_random_uuid(), 'probe.v1', '{\"n\": 1}', 1); \
         SELECT queue.claim('probe.v1', (SELECT id FROM queue.session), 1, 1); COMMIT",
    )
    .await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'running'").await, 1);
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 1, "the lost claim was no attempt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_just_connected_takes_nothing_back_before_its_grace() {
    let db = Db::new().await;
    // As everybody looks after a long outage: silent for long, and without a lock.
    db.sql(
        "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence, last_seen, suspect_since) \
             VALUES (gen_random_uuid(), 'probe.v1', 'away', 42, '1 s', '1 s', \
                     clock_timestamp() - interval '1 hour', clock_timestamp() - interval '1 hour'); \
         INSERT INTO queue.job (id, queue, args, max_attempts, status, attempts, session) \
             SELECT gen_random_uuid(), 'probe.v1', '{\"n\": 1}', 5, 'running', 1, id FROM queue.session",
    )
    .await;
    let settings = costlens_queue::Settings { grace: secs(6), ..quick() };
    let running = noting_worker(&db, "back", settings);
    tokio::time::sleep(millis(1_500)).await;
    assert_eq!(
        db.number("SELECT count(*) FROM ran").await,
        0,
        "the other one may be about to come back, too"
    );
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_starts_without_a_database_works_when_there_is_one() {
    let cluster = Cluster::start().await;
    let db = cluster.database().await;
    put(&db, vec![probe(1)]).await;
    // A name that does not exist yet is a database that cannot be reached.
    let later = Db { url: format!("{}_later", db.url) };
    let running = noting_worker(&later, "early", quick());
    tokio::time::sleep(millis(500)).await;
    assert!(!running.task.is_finished(), "it does not give up");
    let (_, name) = db.url.rsplit_once('/').unwrap();
    let elsewhere = Db { url: db.url.replace(name, "postgres") };
    elsewhere.sql(&format!("CREATE DATABASE {name}_later TEMPLATE template")).await;
    put(&later, vec![probe(7)]).await;
    later.wait_for("EXISTS (SELECT FROM ran WHERE n = 7)").await;
    running.stop().await;
}

/// Makes the database refuse every outcome, as this SQL says it.
fn refusing(raise: &str) -> String {
    format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raise}; END $$; \
         CREATE TRIGGER refuse BEFORE UPDATE OF status ON queue.job FOR EACH ROW \
             WHEN (OLD.status = 'running') EXECUTE FUNCTION refuse()"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_waits_while_the_database_is_read_only() {
    let db = Db::new().await;
    // In whatever language the server speaks.
    db.sql(&refusing("RAISE EXCEPTION 'nur lesend' USING ERRCODE = 'read_only_sql_transaction'")).await;
    put(&db, vec![probe(1).max_attempts(1)]).await;
    let running = noting_worker(&db, "patient", quick());
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    tokio::time::sleep(millis(1_500)).await;
    db.sql("DROP TRIGGER refuse ON queue.job").await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_not_forgotten_though_even_its_bare_outcome_is_refused() {
    let db = Db::new().await;
    db.sql(&refusing("RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'")).await;
    put(&db, vec![probe(1).max_attempts(1)]).await;
    let running = noting_worker(&db, "insistent", quick());
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    tokio::time::sleep(millis(2_500)).await;
    db.sql("DROP TRIGGER refuse ON queue.job").await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'refused')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

/// A step, an effect outside, a sleep, another effect whose first answer is lost, and a step.
async fn errand(run: Run<Deletion>, outside: String) -> Result<(), JobError> {
    let n = *run.input();
    run.step("before", async |tx| effect(tx, n, "before").await).await?;
    call(&run, &outside, &format!("plain-{n}")).await?;
    run.sleep("nap", millis(40)).await?;
    call(&run, &outside, &format!("dropped-{n}")).await?;
    run.step("after", async |tx| effect(tx, n, "after").await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_of_the_database_at_any_moment_of_many_runs_repeat_no_step_and_no_call() {
    let seed = seed();
    println!("QUEUE_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let cluster = Cluster::start().await;
    let db = cluster.database().await;
    let outside = Outside::start().await;
    let runs = 60;
    for n in 0..runs {
        run::start(&mut db.conn().await, NewRun::<Deletion>::of(n)).await.unwrap();
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut running = tokio::task::JoinSet::new();
    for name in ["one", "two"] {
        let settings = costlens_queue::Settings { grace: secs(30), ..quick() };
        let (address, mut stopped) = (outside.address.clone(), stopped.clone());
        let workers = Workers::new(db.queue(), name)
            .flow::<Deletion, _, _>(settings, 3, move |run| errand(run, address.clone()));
        running.spawn(workers.run_until(async move {
            let _gone = stopped.wait_for(|stopped| *stopped).await;
        }));
    }
    let mut crashed_at = Vec::new();
    for crash in 1..=4 {
        // Somewhere in what is left.
        db.wait_for(&format!("(SELECT count(*) FROM ran) >= {}", crash * 20)).await;
        tokio::time::sleep(millis(dice.below(120))).await;
        crashed_at.push(db.number("SELECT count(*) FROM ran").await);
        cluster.crash_and_restart();
    }
    println!("the database crashed after {crashed_at:?} of {} steps", 2 * runs);
    db.wait_for(&format!("(SELECT count(*) FROM queue.run WHERE state = 'done') = {runs}")).await;
    stop.send_replace(true);
    while let Some(ended) = running.join_next().await {
        ended.unwrap().unwrap();
    }
    for phase in ["before", "after"] {
        let rows = format!("SELECT count(*) FROM ran WHERE phase = '{phase}'");
        let distinct = format!("SELECT count(DISTINCT n) FROM ran WHERE phase = '{phase}'");
        assert_eq!((db.number(&rows).await, db.number(&distinct).await), (i64::from(runs), i64::from(runs)));
    }
    let done = outside.done.lock().unwrap().clone();
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(done.len(), usize::try_from(2 * runs).unwrap());
    let lost = "SELECT count(*) FROM queue.job WHERE story @> '[{\"code\": \"worker_died\"}]' OR crashes > 0";
    assert_eq!(db.number(lost).await, 0, "a worker that lives through the outage has not died");
    assert_eq!(db.number("SELECT count(*) FROM queue.effect WHERE state <> 'sent'").await, 0);
}
