//! Handlers that fail, in every way there is.

use std::time::Duration;

use apalis_core::error::{AbortError, RetryAfterError};
use costlens_queue::{Backoff, ErrorClass, JobError, NewJob, QueueError, Settings, enqueue, ops};
use diesel_async::{AsyncConnection, RunQueryDsl};

use crate::postgres::Db;
use crate::workers::{millis, note, noting_worker, probe, put, quick, secs, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_counts_as_an_attempt_and_the_last_one_is_dead_with_its_story() {
    let db = Db::new().await;
    let id = put(&db, vec![probe(1).max_attempts(3)]).await[0];
    let running =
        worker(&db, "panics", quick(), 2, |job, _| async move { panic!("job {} is rotten", job.n) });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead')").await;
    assert!(!running.task.is_finished(), "the worker lives");
    running.stop().await;
    let details = ops::show(&mut db.conn().await, id, None).await.unwrap().unwrap();
    assert_eq!(details.job.attempts, 3);
    assert_eq!(details.job.class, Some(ErrorClass::Bug));
    assert_eq!(details.job.code.as_deref(), Some("panic"));
    let attempts: Vec<_> = details.story.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(attempts, [Some(1), Some(2), Some(3)]);
    assert!(
        details.story.iter().all(|attempt| attempt.error.as_deref().unwrap().contains("job 1 is rotten"))
    );
    assert!(details.story.iter().all(|attempt| attempt.worker.as_deref() == Some("panics")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_counts_as_an_attempt_and_ends_the_handler() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(2)]).await;
    let settings = Settings { timeout: Some(millis(150)), ..quick() };
    let running = worker(&db, "slow", settings, 2, |job, ctx| async move {
        tokio::time::sleep(secs(3)).await;
        note(ctx.queue(), job.n, "end", "slow").await?;
        Ok(())
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'timeout')").await;
    tokio::time::sleep(secs(3)).await;
    running.stop().await;
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 2);
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 0, "no handler went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_is_honoured_and_bounded_by_the_attempts() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(3), probe(2).max_attempts(3)]).await;
    let running = worker(&db, "throttled", quick(), 2, |job, ctx| async move {
        note(ctx.queue(), job.n, "begin", "throttled").await?;
        // Ours, and Apalis' own.
        if job.n == 1 {
            Err(JobError::retry_after(millis(700), "slow down").into())
        } else {
            Err(RetryAfterError::new("slow down", millis(700)).into())
        }
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'dead' AND error_class = 'throttled') = 2")
        .await;
    running.stop().await;
    for n in [1, 2] {
        assert_eq!(db.number(&format!("SELECT count(*) FROM ran WHERE n = {n}")).await, 3);
        let span = format!("SELECT extract(epoch FROM max(at) - min(at)) * 1000 FROM ran WHERE n = {n}");
        let span = db.number(&span).await;
        assert!((1_400..60_000).contains(&span), "two waits of 700 ms took {span} ms");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_error_goes_to_the_dead_letters_at_once_under_its_class() {
    let db = Db::new().await;
    let ids = put(&db, vec![probe(1), probe(2)]).await;
    let running = worker(&db, "final", quick(), 2, |job, _| async move {
        if job.n == 1 {
            let denied = JobError::give_up(ErrorClass::CustomerAction, "role_revoked", "access denied");
            // Wrapped by somebody else's error: it is found all the same.
            Err(std::io::Error::other(denied).into())
        } else {
            Err(AbortError::new("never").into())
        }
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'dead' AND attempts = 1) = 2").await;
    running.stop().await;
    let mut conn = db.conn().await;
    let job = ops::show(&mut conn, ids[0], None).await.unwrap().unwrap().job;
    assert_eq!((job.class, job.code.as_deref()), (Some(ErrorClass::CustomerAction), Some("role_revoked")));
    assert!(job.error.unwrap().contains("access denied"));
    let aborted = ops::show(&mut conn, ids[1], None).await.unwrap().unwrap().job;
    assert_eq!(aborted.class, Some(ErrorClass::Bug));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_for_the_next_attempt_outlives_the_worker() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let settings = || Settings { backoff: Backoff::fixed(millis(2_000)), ..quick() };
    let first = worker(&db, "first", settings(), 1, |_, _| async move { Err("not yet".into()) });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'pending' AND error = 'not yet')").await;
    first.stop().await;
    let second = noting_worker(&db, "second", settings());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    second.stop().await;
    let waited = db
        .number(
            "SELECT extract(epoch FROM started_at - (story->0->>'at')::timestamptz) * 1000 FROM queue.job",
        )
        .await;
    assert!((2_000..60_000).contains(&waited), "the second attempt came after {waited} ms");
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 2);
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE error IS NULL").await,
        1,
        "done is without error"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_a_failed_job_waits_at_least_sixteen_seconds() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let settings = Settings { backoff: Backoff::default(), ..quick() };
    let running = worker(&db, "fails", settings, 1, |_, _| async move { Err("no".into()) });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE attempts = 1 AND status = 'pending')").await;
    running.stop().await;
    let wait = "SELECT extract(epoch FROM run_at - (story->0->>'at')::timestamptz) FROM queue.job";
    let wait = db.number(wait).await;
    assert!((15..=20).contains(&wait), "it waits {wait} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_nobody_can_read_is_dead_and_the_worker_goes_on() {
    let db = Db::new().await;
    let poison = NewJob::raw("probe.v1", serde_json::json!({"n": "not a number"}));
    put(&db, vec![poison, probe(2)]).await;
    let running = noting_worker(&db, "reader", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'payload')").await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    assert!(!running.task.is_finished(), "the worker lives");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_the_database_refuses_fails_its_own_job_alone() {
    let db = Db::new().await;
    put(&db, (0..6).map(|n| probe(n).max_attempts(1)).collect()).await;
    let running = worker(&db, "pusher", quick(), 6, |job, ctx| async move {
        if job.n == 3 {
            // No jsonb column takes a NUL.
            ctx.enqueue(NewJob::raw("other", serde_json::json!({"text": "a\u{0}b"})));
        }
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 5").await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'refused')").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_too_late_is_expired_and_not_run() {
    let db = Db::new().await;
    let past = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let future = past + Duration::from_hours(24 * 365 * 50);
    put(&db, vec![probe(1).expires_at(past), probe(2).expires_at(future)]).await;
    let running = noting_worker(&db, "late", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_class = 'expired')").await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_dropped_inside_a_transaction_leaves_none_open() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(1)]).await;
    let settings = Settings { timeout: Some(millis(300)), ..quick() };
    let running = worker(&db, "slow", settings, 1, |_, ctx| async move {
        let mut conn = ctx.queue().conn().await?;
        conn.transaction(async |tx| {
            diesel::sql_query("INSERT INTO effect VALUES (1)").execute(tx).await?;
            tokio::time::sleep(secs(60)).await;
            Ok::<_, diesel::result::Error>(())
        })
        .await?;
        Ok(())
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE error_code = 'timeout')").await;
    db.wait_for(
        "NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
            AND state LIKE 'idle in transaction%')",
    )
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_too_deep_to_be_read_is_refused_at_the_door_and_buried_behind_it() {
    let db = Db::new().await;
    let deep = (0..200).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    let refused = enqueue(&mut db.conn().await, &[probe(1), NewJob::raw("probe.v1", deep)]).await;
    assert!(matches!(refused, Err(QueueError::Payload(_))), "{refused:?}");
    // Past the door: somebody else's insert.
    db.sql(
        "INSERT INTO queue.job (id, queue, args, max_attempts) \
             VALUES (gen_random_uuid(), 'probe.v1', (repeat('[', 200) || repeat(']', 200))::jsonb, 5)",
    )
    .await;
    put(&db, vec![probe(2)]).await;
    let running = noting_worker(&db, "reader", Settings { eager: true, ..quick() });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'payload')").await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_too_deep_to_be_read_fails_its_own_job() {
    let db = Db::new().await;
    put(&db, vec![probe(1).max_attempts(1)]).await;
    let running = worker(&db, "pusher", quick(), 1, |_, ctx| async move {
        let deep = (0..200).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        ctx.enqueue(NewJob::raw("other", deep));
        Ok(())
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND error_code = 'refused')").await;
    running.stop().await;
}
