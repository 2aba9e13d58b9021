//! Durable runs: named steps, sleeps, signals and calls outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt, WorkerError};
use costlens_queue::ops::{self, Cancelled};
use costlens_queue::run::{self, CallFailed, Flow, NewRun, Reconciled, Run, RunJob, Sent};
use costlens_queue::{Enqueued, JobContext, JobError};
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rustix::process::Signal;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::children::ChildWorker;
use crate::postgres::Db;
use crate::workers::{millis, probe, quick, secs};

pub(crate) struct Deletion;

impl Flow for Deletion {
    const NAME: &'static str = "deletion";
    const VERSION: u32 = 2;
    type Input = i32;
}

async fn start(db: &Db, run: NewRun<Deletion>) -> Uuid {
    match run::start(&mut db.conn().await, run).await.unwrap() {
        Enqueued::New(id) => id,
        Enqueued::AlreadyThere => panic!("the run is there already"),
    }
}

pub(crate) async fn effect(tx: &mut AsyncPgConnection, n: i32, phase: &str) -> Result<(), JobError> {
    diesel::sql_query("INSERT INTO ran (n, phase, worker) VALUES ($1, $2, 'run')")
        .bind::<Integer, _>(n)
        .bind::<Text, _>(phase)
        .execute(tx)
        .await?;
    Ok(())
}

/// Starts a worker for runs; it stops when the sender is dropped.
fn worker<H, Fut>(db: &Db, handler: H) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>)
where
    H: Fn(Run<Deletion>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let worker = WorkerBuilder::new("runs")
        .backend(db.queue().run_backend::<Deletion>(quick()))
        .concurrency(4)
        .build(move |job: RunJob, ctx: JobContext| {
            let handler = handler.clone();
            async move { handler(Run::open(&job, ctx).await?).await }
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let signal = async move {
            let _dropped = stopped.await;
            Ok::<(), WorkerError>(())
        };
        worker.run_until(signal).await.unwrap();
    });
    (stop, task)
}

async fn stop((stop, task): (oneshot::Sender<()>, tokio::task::JoinHandle<()>)) {
    drop(stop);
    task.await.unwrap();
}

/// Three steps; the child hangs before the third, so that it can be killed there.
async fn three_steps(run: Run<Deletion>, hang: bool) -> Result<(), JobError> {
    let n = *run.input();
    let freed: i32 = run.step("freeze", async |tx| effect(tx, n, "freeze").await.map(|()| n * 10)).await?;
    run.step("erase", async |tx| effect(tx, freed, "erase").await).await?;
    if hang {
        tokio::time::sleep(secs(600)).await;
    }
    run.step("certify", async |tx| effect(tx, freed + 1, "certify").await).await
}

pub(crate) async fn child(db: &Db, _name: &str) {
    let (_stop, task) = worker(db, |run| three_steps(run, true));
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_that_are_done_are_not_repeated_after_a_kill_between_two_of_them() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(4)).await;
    let child = ChildWorker::start(&db, "run", "first");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'erase')").await;
    child.send(Signal::KILL);
    drop(child);
    let running = worker(&db, |run| three_steps(run, false));
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    for (phase, n) in [("freeze", 4), ("erase", 40), ("certify", 41)] {
        let times = format!("SELECT count(*) FROM ran WHERE phase = '{phase}' AND n = {n}");
        assert_eq!(db.number(&times).await, 1, "{phase} happened once, with the stored results before it");
    }
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 3);
    let row = run::show(&mut db.conn().await, id, None).await.unwrap().unwrap();
    assert_eq!(row.steps, ["freeze", "erase", "certify"]);
    assert!(row.done_at.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_leaves_neither_its_effect_nor_its_checkpoint() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let running = worker(&db, move |run| {
        let tries = Arc::clone(&counted);
        async move {
            run.step("erase", async |tx| {
                effect(tx, 1, "erase").await?;
                if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                    Err(JobError::retry("not this time"))
                } else {
                    Ok(())
                }
            })
            .await
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(AtomicUsize::load(&tries, Ordering::SeqCst), 2);
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_starts_one_run_and_a_rolled_back_transaction_none() {
    let db = Db::new().await;
    start(&db, NewRun::of(1).key("account-1")).await;
    let mut conn = db.conn().await;
    let again = run::start(&mut conn, NewRun::<Deletion>::of(1).key("account-1")).await.unwrap();
    assert_eq!(again, Enqueued::AlreadyThere);
    let rolled_back = diesel_async::AsyncConnection::transaction(&mut conn, async |tx| {
        run::start(tx, NewRun::<Deletion>::of(2).key("account-2")).await?;
        Err::<(), _>(costlens_queue::QueueError::Stopped)
    });
    assert!(rolled_back.await.is_err());
    assert_eq!(db.number("SELECT count(*) FROM queue.run").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_sleeps_and_waits_in_its_row_and_goes_on_when_the_signal_comes() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        run.sleep("grace", millis(3_000)).await?;
        run.step("after-sleep", async |tx| effect(tx, 1, "slept").await).await?;
        let answer: i32 = run.wait("confirmed").await?;
        run.step("after-signal", async |tx| effect(tx, answer, "signalled").await).await
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'pending' AND attempts = 0 AND error IS NULL)")
        .await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 0, "it sleeps");
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE waits_for = 'confirmed')").await;
    let mut conn = db.conn().await;
    let filter = ops::Filter { state: Some(ops::State::Waiting), ..ops::Filter::default() };
    assert_eq!(ops::list(&mut conn, &filter, None, 9).await.unwrap().items.len(), 1);
    assert!(run::signal(&mut conn, id, "something-else", &0, None).await.unwrap());
    tokio::time::sleep(millis(300)).await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE phase = 'signalled'").await, 0);
    assert!(run::signal(&mut conn, id, "confirmed", &42, None).await.unwrap());
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(db.number("SELECT n FROM ran WHERE phase = 'signalled'").await, 42);
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE phase = 'slept'").await, 1);
    let slept =
        "SELECT extract(epoch FROM r.at - u.created_at) * 1000 FROM ran r, queue.run u WHERE phase = 'slept'";
    assert!(db.number(slept).await >= 3_000);
    assert!(!run::signal(&mut conn, id, "late", &1, None).await.unwrap(), "a run that is done hears nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_comes_while_the_run_is_about_to_wait_is_heard() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        let waited = run.wait::<i32>("go").await;
        if let Err(error) = &waited
            && error.is_parked()
        {
            // It has looked, and found nothing; the signal comes before it is parked.
            run.step("looked", async |tx| effect(tx, 0, "looked").await).await?;
            tokio::time::sleep(secs(2)).await;
        }
        let n = waited?;
        run.step("went", async |tx| effect(tx, n, "went").await).await
    });
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'looked')").await;
    assert!(run::signal(&mut db.conn().await, id, "go", &5, None).await.unwrap());
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'went' AND n = 5)").await;
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_with_a_limit_goes_on_without_the_signal() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        let until = run.job().queue().conn().await;
        drop(until);
        let limit: chrono::DateTime<chrono::Utc> = run
            .step("limit", async |tx| {
                #[derive(diesel::QueryableByName)]
                struct Row {
                    #[diesel(sql_type = diesel::sql_types::Timestamptz)]
                    at: chrono::DateTime<chrono::Utc>,
                }
                let sql = "SELECT clock_timestamp() + interval '3 seconds' AS at";
                let row: Row = diesel::sql_query(sql).get_result(tx).await?;
                Ok(row.at)
            })
            .await?;
        let answer = run.wait_until::<i32>("never", limit).await?;
        run.step("went", async |tx| effect(tx, i32::from(answer.is_none()), "went").await).await
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE waits_for = 'never')").await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'went' AND n = 1)").await;
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_stops_between_two_steps() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        run.step("one", async |tx| effect(tx, 1, "one").await).await?;
        tokio::time::timeout(secs(600), run.job().cancelled()).await.map_err(JobError::retry)?;
        run.step("two", async |tx| effect(tx, 2, "two").await).await
    });
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    assert_eq!(run::cancel(&mut db.conn().await, id, None).await.unwrap(), Cancelled::Asked);
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'cancelled' AND done_at IS NOT NULL)").await;
    stop(running).await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_may_have_happened_is_asked_about_and_not_repeated() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let (sends, asks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&sends), Arc::clone(&asks));
    let running = worker(&db, move |run| {
        let (sends, asks) = counters.clone();
        async move {
            let sent: Sent<i32> = run
                .call(
                    "mail",
                    "welcome:1",
                    || async {
                        sends.fetch_add(1, Ordering::SeqCst);
                        Err(CallFailed::Unknown(JobError::retry("the connection broke")))
                    },
                    |_| async {
                        Ok(match asks.fetch_add(1, Ordering::SeqCst) {
                            0 => Reconciled::StillUnknown,
                            _ => Reconciled::Sent(Sent { provider_id: Some("m-1".to_owned()), value: 9 }),
                        })
                    },
                )
                .await?;
            run.step("noted", async |tx| effect(tx, sent.value, "noted").await).await
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(
        (AtomicUsize::load(&sends, Ordering::SeqCst), AtomicUsize::load(&asks, Ordering::SeqCst)),
        (1, 2)
    );
    assert_eq!(db.number("SELECT n FROM ran WHERE phase = 'noted'").await, 9);
    assert_eq!(
        db.number("SELECT count(*) FROM queue.effect WHERE state = 'sent' AND provider_id = 'm-1'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_did_not_happen_is_made_again_and_one_that_did_is_not() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let sends = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sends);
    let running = worker(&db, move |run| {
        let sends = Arc::clone(&counter);
        async move {
            let send = || async {
                match sends.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(CallFailed::NotSent(JobError::retry("refused"))),
                    _ => Ok(Sent::unnamed(7)),
                }
            };
            let ask = |_| async { panic!("there is nothing to ask about") };
            let sent: Sent<i32> = run.call("mail", "k", send, ask).await?;
            // The run fails after the call: the next attempt gets the stored answer.
            if AtomicUsize::load(&sends, Ordering::SeqCst) == 2 && run.job().attempt() == 2 {
                return Err(JobError::retry("after the call"));
            }
            run.step("noted", async |tx| effect(tx, sent.value, "noted").await).await
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(AtomicUsize::load(&sends, Ordering::SeqCst), 2);
    assert_eq!(db.number("SELECT attempts FROM queue.job").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_is_overdue_and_a_redriven_one_goes_on_where_it_was() {
    let db = Db::new().await;
    let deadline = chrono::DateTime::from_timestamp(2_000_000_000, 0).unwrap();
    let id = start(&db, NewRun::of(1).deadline_at(deadline)).await;
    let broken = Arc::new(AtomicUsize::new(1));
    let switch = Arc::clone(&broken);
    let running = worker(&db, move |run| {
        let broken = Arc::clone(&switch);
        async move {
            run.step("one", async |tx| effect(tx, 1, "one").await).await?;
            if AtomicUsize::load(&broken, Ordering::SeqCst) == 1 {
                return Err(JobError::give_up(costlens_queue::ErrorClass::Bug, "broken", "broken"));
            }
            run.step("two", async |tx| effect(tx, 2, "two").await).await
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'failed')").await;
    let mut conn = db.conn().await;
    let late = deadline + Duration::from_secs(1);
    assert_eq!(run::overdue(&mut conn, late, 10).await.unwrap()[0].id, id);
    assert_eq!(run::overdue(&mut conn, deadline, 10).await.unwrap(), []);
    broken.store(0, Ordering::SeqCst);
    assert_eq!(ops::redrive(&mut conn, &ops::Filter::default(), 10, 10).await.unwrap(), 1);
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(db.number("SELECT count(*) FROM ran").await, 2);
    assert_eq!(run::overdue(&mut conn, late, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_comes_after_its_limit_does_not_change_what_was_decided() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        let answer = run.wait_for::<i32>("answer", millis(300)).await?;
        // A sleep and a step of one name are two things.
        run.sleep("then", millis(200)).await?;
        run.step("then", async |tx| effect(tx, i32::from(answer.is_none()), "before").await).await?;
        run.wait::<i32>("go").await?;
        run.step("after", async |tx| effect(tx, i32::from(answer.is_none()), "after").await).await
    });
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'before' AND n = 1)").await;
    let mut conn = db.conn().await;
    assert!(run::signal(&mut conn, id, "answer", &7, None).await.unwrap());
    assert!(run::signal(&mut conn, id, "go", &0, None).await.unwrap());
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(db.number("SELECT n FROM ran WHERE phase = 'after'").await, 1, "the past stays as it was");
    let row = run::show(&mut conn, id, None).await.unwrap().unwrap();
    assert_eq!(row.steps, ["wait-end:answer", "wait:answer", "sleep:then", "then", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_carries_nothing_ends_a_wait_with_a_limit() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let running = worker(&db, |run| async move {
        let came = run.wait_for::<()>("go", secs(600)).await?;
        run.step("went", async |tx| effect(tx, i32::from(came.is_some()), "went").await).await
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE waits_for = 'go')").await;
    assert!(run::signal(&mut db.conn().await, id, "go", &(), None).await.unwrap());
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'went' AND n = 1)").await;
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_written_with_their_step_or_with_the_end_of_the_run_and_only_once() {
    let db = Db::new().await;
    let id = start(&db, NewRun::of(1)).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let running = worker(&db, move |run| {
        let tries = Arc::clone(&counted);
        async move {
            run.job().enqueue(probe(1));
            run.step("pushes", async |tx| {
                run.job().enqueue(probe(2));
                if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err(JobError::retry("what it pushed goes with it"));
                }
                effect(tx, 2, "pushes").await
            })
            .await?;
            run.sleep("a while", millis(200)).await?;
            run.wait::<i32>("go").await?;
            run.step("end", async |tx| effect(tx, 1, "end").await).await
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE waits_for = 'go')").await;
    assert_eq!(db.number("SELECT sum((args->>'n')::int) FROM queue.job WHERE queue = 'probe.v1'").await, 2);
    assert!(run::signal(&mut db.conn().await, id, "go", &0, None).await.unwrap());
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    let pushed = "SELECT count(*) FROM queue.job WHERE queue = 'probe.v1' AND parent IS NOT NULL";
    assert_eq!(db.number(pushed).await, 2);
    assert_eq!(db.number("SELECT sum((args->>'n')::int) FROM queue.job WHERE queue = 'probe.v1'").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_another_worker_intended_anew_is_not_written_off() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let sends = Arc::new(AtomicUsize::new(0));
    let (counter, other) = (Arc::clone(&sends), db.clone());
    let running = worker(&db, move |run| {
        let (sends, other) = (Arc::clone(&counter), other.clone());
        async move {
            let send = || async {
                sends.fetch_add(1, Ordering::SeqCst);
                // While this one is slow, another worker asks, hears that nothing was sent, and sends.
                other.sql("UPDATE queue.effect SET intended_at = clock_timestamp()").await;
                Err(CallFailed::NotSent(JobError::retry("refused")))
            };
            let ask = |_| async { Ok(Reconciled::Sent(Sent::unnamed(3))) };
            let sent: Sent<i32> = run.call("mail", "k", send, ask).await?;
            run.step("noted", async |tx| effect(tx, sent.value, "noted").await).await
        }
    });
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'noted' AND n = 3)").await;
    stop(running).await;
    assert_eq!(AtomicUsize::load(&sends, Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_lease_is_lost_intends_no_call() {
    let db = Db::new().await;
    start(&db, NewRun::of(1)).await;
    let (sends, other) = (Arc::new(AtomicUsize::new(0)), db.clone());
    let counter = Arc::clone(&sends);
    let running = worker(&db, move |run| {
        let (sends, other) = (Arc::clone(&counter), other.clone());
        async move {
            if run.job().attempt() == 1 {
                other.sql("SELECT queue.give_back(session, 'x') FROM queue.job").await;
            }
            let send = || async {
                sends.fetch_add(1, Ordering::SeqCst);
                Ok(Sent::unnamed(7))
            };
            let ask = |_| async { panic!("nothing was intended") };
            run.call::<i32, _, _, _, _>("mail", "k", send, ask).await?;
            Ok(())
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.run WHERE state = 'done')").await;
    stop(running).await;
    assert_eq!(AtomicUsize::load(&sends, Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_signals_its_own_runs_only() {
    let db = Db::new().await;
    let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let id = start(&db, NewRun::of(1).tenant(ours)).await;
    let mut conn = db.conn().await;
    assert!(!run::signal(&mut conn, id, "go", &1, Some(theirs)).await.unwrap());
    assert_eq!(db.number("SELECT count(*) FROM queue.signal").await, 0);
    assert!(run::signal(&mut conn, id, "go", &1, Some(ours)).await.unwrap());
    let nobodys = start(&db, NewRun::of(2)).await;
    assert!(!run::signal(&mut conn, nobodys, "go", &1, Some(ours)).await.unwrap());
}
