//! What a handler pushes and does, and its outcome: all of it or nothing.

use std::time::Duration;

use apalis::prelude::{Data, WorkerBuilder, WorkerBuilderExt, WorkerError};
use apalis_core::error::BoxDynError;
use apalis_workflow::{SteppedFlow, WorkflowSink};
use costlens_queue::{JobError, Queue};
use diesel::sql_types::Integer;
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use crate::postgres::Db;
use crate::workers::{millis, note, probe, put, quick, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_exist_when_their_job_succeeds_and_vanish_when_it_fails() {
    let db = Db::new().await;
    let tenant = Uuid::from_u128(7);
    let parent = put(&db, vec![probe(1).tenant(tenant).trace("req-1").max_attempts(2)]).await[0];
    let running = worker(&db, "pusher", quick(), 2, |job, ctx| async move {
        if job.n != 1 {
            return Ok(());
        }
        ctx.enqueue(probe(100 + i32::try_from(ctx.attempt())?));
        if ctx.attempt() == 1 {
            return Err("the first attempt fails after it pushed".into());
        }
        tokio::time::sleep(millis(200)).await;
        let mut conn = ctx.queue().conn().await?;
        diesel::sql_query("INSERT INTO effect SELECT count(*) FROM queue.job").execute(&mut *conn).await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 2").await;
    running.stop().await;
    assert_eq!(db.number("SELECT n FROM effect").await, 1, "while the handler ran there was no follow-up");
    assert_eq!(db.number("SELECT (args->>'n')::int FROM queue.job WHERE parent IS NOT NULL").await, 102);
    let inherited = format!(
        "SELECT count(*) FROM queue.job WHERE parent = '{parent}' AND tenant = '{tenant}' AND trace = 'req-1'"
    );
    assert_eq!(db.number(&inherited).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_in_the_handlers_own_transaction_commits_or_goes_with_it() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(3), probe(2).max_attempts(3)]).await;
    let running = worker(&db, "completer", quick(), 2, |job, ctx| async move {
        ctx.enqueue(probe(job.n + 100));
        if job.n > 100 {
            return Ok(());
        }
        let attempt = ctx.attempt();
        let mut conn = ctx.queue().conn().await?;
        let done = conn
            .transaction(async |tx| {
                diesel::sql_query("INSERT INTO effect VALUES ($1)")
                    .bind::<Integer, _>(job.n)
                    .execute(tx)
                    .await?;
                ctx.complete_in(tx).await?;
                if job.n == 1 && attempt == 1 {
                    return Err(JobError::retry("rolled back at the last moment"));
                }
                Ok(())
            })
            .await;
        drop(conn);
        done?;
        // Committed, so what happens to the handler now changes nothing.
        assert!(job.n != 2, "after the commit");
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE (args->>'n')::int < 100 AND status = 'done') = 2")
        .await;
    db.wait_for("(SELECT count(*) FROM queue.job WHERE (args->>'n')::int > 100 AND status = 'done') >= 2")
        .await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effect WHERE n = 1").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM effect WHERE n = 2").await, 1);
    assert_eq!(db.number("SELECT attempts FROM queue.job WHERE (args->>'n')::int = 1").await, 2);
    assert_eq!(db.number("SELECT attempts FROM queue.job WHERE (args->>'n')::int = 2").await, 1);
    for n in [101, 102] {
        let pushed = format!("SELECT count(*) FROM queue.job WHERE (args->>'n')::int = {n}");
        assert_eq!(db.number(&pushed).await, 1, "the push of {} exists once", n - 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apalis_workflow_runs_unchanged_with_its_delay_and_each_step_once() {
    let db = Db::new().await;
    let queue = db.queue();
    let flow = SteppedFlow::new("bill")
        .and_then(|n: i32, queue: Data<Queue>| async move {
            note(&queue, n, "first", "flow").await?;
            Ok::<_, BoxDynError>(n + 1)
        })
        .delay_for(Duration::from_secs(1))
        .and_then(|n: i32, queue: Data<Queue>| async move {
            note(&queue, n, "second", "flow").await?;
            Ok::<_, BoxDynError>(format!("{n}"))
        })
        .and_then(|n: String, queue: Data<Queue>| async move {
            note(&queue, n.parse()?, "third", "flow").await?;
            Ok::<_, BoxDynError>(())
        });
    let mut backend = queue.flow_backend::<i32>("bill.v1", quick());
    backend.push_start(41).await.unwrap();
    let worker = WorkerBuilder::new("flow").backend(backend).data(queue.clone()).concurrency(2).build(flow);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run_until(async move {
        let _dropped = stopped.await;
        Ok::<(), WorkerError>(())
    }));
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'third')").await;
    db.wait_for("NOT EXISTS (SELECT FROM queue.job WHERE status <> 'done')").await;
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 3);
    assert_eq!(db.number("SELECT n FROM ran WHERE phase = 'third'").await, 42);
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE parent IS NULL").await,
        1,
        "each further step was written with the outcome of the one before"
    );
}
