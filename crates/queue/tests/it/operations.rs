//! What an operator does.

use costlens_queue::ops::{self, Cancelled, Filter, Retention, State};
use costlens_queue::{ErrorClass, JobError, NewJob, Settings};
use uuid::Uuid;

use crate::postgres::Db;
use crate::workers::{Gate, note, noting_worker, probe, put, quick, secs, worker};

fn dead(n: i32) -> NewJob {
    probe(n).max_attempts(1)
}

/// A database with this many dead letters.
async fn with_dead_letters(count: i32) -> Db {
    let db = Db::new().await;
    put(&db, (0..count).map(dead).collect()).await;
    let running = worker(&db, "fails", quick(), 8, |job, _| async move {
        let class = if job.n % 2 == 0 { ErrorClass::CustomerAction } else { ErrorClass::Bug };
        Err(JobError::give_up(class, "broken", "no use").into())
    });
    db.wait_for(&format!("(SELECT count(*) FROM queue.job WHERE status = 'dead') = {count}")).await;
    running.stop().await;
    db
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_paged_by_key_and_filtered_by_tenant_state_and_queue() {
    let db = Db::new().await;
    let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut jobs: Vec<_> = (0..7).map(|n| probe(n).tenant(ours)).collect();
    jobs.push(probe(8).tenant(ours).run_in(secs(3_600)));
    jobs.extend((10..13).map(|n| probe(n).tenant(theirs)));
    let ids = put(&db, jobs).await;
    let mut conn = db.conn().await;
    let filter = Filter { tenant: Some(ours), state: Some(State::Ready), ..Filter::default() };
    let first = ops::list(&mut conn, &filter, None, 3).await.unwrap();
    let second = ops::list(&mut conn, &filter, first.next, 3).await.unwrap();
    let third = ops::list(&mut conn, &filter, second.next, 3).await.unwrap();
    let seen: Vec<_> =
        [&first, &second, &third].iter().flat_map(|page| &page.items).map(|job| job.id).collect();
    let newest_first: Vec<_> = ids[..7].iter().rev().copied().collect();
    assert_eq!(seen, newest_first);
    assert_eq!(third.next, None);
    assert!(ops::show(&mut conn, ids[0], Some(ours)).await.unwrap().is_some());
    assert!(ops::show(&mut conn, ids[0], Some(theirs)).await.unwrap().is_none(), "a tenant sees its own");
    let counts =
        ops::count_by_state(&mut conn, &Filter { tenant: Some(ours), ..Filter::default() }).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.state, count.jobs)).collect();
    assert_eq!(counts, [(State::Ready, 7), (State::Scheduled, 1)]);
    let stats = ops::stats(&mut conn).await.unwrap();
    assert_eq!((stats[0].ready, stats[0].scheduled, stats[0].dead), (10, 1, 0));
    assert!(stats[0].oldest_ready_ms.unwrap() >= 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop() {
    let db = Db::new().await;
    let tenant = Uuid::from_u128(1);
    let waiting = put(&db, vec![probe(1).run_in(secs(3_600)).tenant(tenant)]).await[0];
    let mut conn = db.conn().await;
    assert_eq!(ops::cancel(&mut conn, waiting, Some(Uuid::from_u128(2))).await.unwrap(), Cancelled::Unknown);
    assert_eq!(ops::cancel(&mut conn, waiting, Some(tenant)).await.unwrap(), Cancelled::Now);
    assert_eq!(ops::cancel(&mut conn, waiting, None).await.unwrap(), Cancelled::TooLate);
    // A heartbeat of an hour: it is the notification that tells it.
    let settings = Settings { heartbeat: secs(3_600), ..quick() };
    let running = worker(&db, "stoppable", settings, 2, |job, ctx| async move {
        note(ctx.queue(), job.n, "begin", "stoppable").await?;
        tokio::time::timeout(secs(600), ctx.cancelled()).await?;
        assert!(ctx.is_cancelled());
        Err(JobError::cancelled().into())
    });
    let id = put(&db, vec![probe(2)]).await[0];
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    assert_eq!(ops::cancel(&mut conn, id, None).await.unwrap(), Cancelled::Asked);
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'cancelled') = 2").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_that_fails_is_not_tried_again() {
    let db = Db::new().await;
    let gate = Gate::closed();
    let waits = gate.clone();
    let running = worker(&db, "deaf", quick(), 2, move |job, ctx| {
        let gate = waits.clone();
        async move {
            note(ctx.queue(), job.n, "begin", "deaf").await?;
            gate.passed().await;
            Err("it did not listen".into())
        }
    });
    let id = put(&db, vec![probe(1)]).await[0];
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    ops::cancel(&mut db.conn().await, id, None).await.unwrap();
    gate.open();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'cancelled' AND done_at IS NOT NULL)").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_previewed_and_redriven_at_a_rate() {
    let db = with_dead_letters(20).await;
    let mut conn = db.conn().await;
    let filter = Filter { class: Some(ErrorClass::Bug), ..Filter::default() };
    assert_eq!(ops::redrive_preview(&mut conn, &Filter::default()).await.unwrap(), 20);
    assert_eq!(ops::redrive_preview(&mut conn, &filter).await.unwrap(), 10);
    assert_eq!(ops::redrive(&mut conn, &filter, 5, 8).await.unwrap(), 8);
    let span =
        "SELECT extract(epoch FROM max(run_at) - min(run_at)) * 1000 FROM queue.job WHERE status = 'pending'";
    let span = db.number(span).await;
    assert!((1_400..1_500).contains(&span), "eight at five a second are due within {span} ms");
    let running = noting_worker(&db, "mended", quick());
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 8").await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'dead'").await, 12);
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'done' AND attempts = 1").await, 8);
    let one = ops::list(&mut conn, &Filter { state: Some(State::Dead), ..Filter::default() }, None, 1)
        .await
        .unwrap();
    // It died while somebody wanted it to stop.
    db.sql("UPDATE queue.job SET cancel_requested = true WHERE status = 'dead'").await;
    assert!(ops::retry_now(&mut conn, one.items[0].id, None).await.unwrap());
    let shown = ops::show(&mut conn, one.items[0].id, None).await.unwrap().unwrap();
    assert!(!shown.job.cancel_requested, "who retries it wants it to run");
    assert_eq!(shown.job.state, State::Ready);
    assert_eq!(shown.story.last().unwrap().code.as_deref(), Some("redriven"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_discarded_with_a_reason() {
    let db = with_dead_letters(3).await;
    let mut conn = db.conn().await;
    assert_eq!(ops::discard(&mut conn, &Filter::default(), "tenant is gone", 2).await.unwrap(), 2);
    let filter = Filter { state: Some(State::Cancelled), ..Filter::default() };
    let page = ops::list(&mut conn, &filter, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let shown = ops::show(&mut conn, page.items[0].id, None).await.unwrap().unwrap();
    assert_eq!(shown.story.last().unwrap().error.as_deref(), Some("tenant is gone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_pruned_when_their_time_is_over_and_their_keys_are_free_again() {
    let db = with_dead_letters(3).await;
    put(&db, (10..15).map(|n| probe(n).key(format!("k{n}"))).collect()).await;
    let running = noting_worker(&db, "done", quick());
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 5").await;
    running.stop().await;
    db.sql("UPDATE queue.job SET done_at = done_at - interval '8 days'").await;
    let mut conn = db.conn().await;
    let retention = Retention { step: 2, ..Retention::default() };
    let first = ops::prune(&mut conn, &retention).await.unwrap();
    assert_eq!((first.jobs, first.more), (2, true));
    assert_eq!(ops::prune(&mut conn, &retention).await.unwrap().jobs, 2);
    let last = ops::prune(&mut conn, &retention).await.unwrap();
    assert_eq!((last.jobs, last.more), (1, false));
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 3, "dead letters stay for ninety days");
    put(&db, vec![probe(10).key("k10")]).await;
    db.sql("UPDATE queue.job SET done_at = done_at - interval '90 days'").await;
    assert_eq!(ops::prune(&mut conn, &Retention::default()).await.unwrap().jobs, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_seen_while_the_job_runs_and_its_last_word_stays() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let gate = Gate::closed();
    let waits = gate.clone();
    let running = worker(&db, "teller", quick(), 1, move |_, ctx| {
        let gate = waits.clone();
        async move {
            ctx.progress(&serde_json::json!({ "percent": 10 })).await?;
            gate.passed().await;
            for percent in [20, 100] {
                ctx.progress(&serde_json::json!({ "percent": percent })).await?;
            }
            Ok(())
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'running' AND progress->>'percent' = '10')")
        .await;
    gate.open();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done' AND progress->>'percent' = '100')")
        .await;
    running.stop().await;
}
