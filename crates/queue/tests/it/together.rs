//! Several workers, runs and schedules in one process, without a word of Apalis.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use costlens_queue::schedule::{self, Schedule};
use costlens_queue::{Workers, run, unknown_work};

use crate::postgres::Db;
use crate::runs::Deletion;
use crate::workers::{Probe, millis, note, probe, put, quick, secs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_runs_and_schedules_start_together_and_drain_together() {
    let db = Db::new().await;
    let queue = db.queue();
    let begin = 1_800_000_000;
    let now = move |seconds| DateTime::from_timestamp(begin + seconds, 0).unwrap();
    let every_second = Schedule::of("beat", "* * * * * *", "UTC", &Probe { n: 3 }).unwrap();
    schedule::put(&mut db.conn().await, &every_second, now(0)).await.unwrap();
    let clock = Arc::new(AtomicI64::new(0));
    let workers = Workers::new(queue, "host")
        .job(quick(), 4, |job: Probe, ctx| async move {
            if job.n == 9 {
                tokio::time::sleep(secs(3)).await;
            }
            note(ctx.queue(), job.n, "ran", "host").await
        })
        .flow::<Deletion, _, _>(quick(), 2, |run| async move {
            note(run.job().queue(), *run.input(), "run", "host").await
        })
        .schedules(millis(50), None, move || now(clock.fetch_add(1, Ordering::SeqCst)));
    assert_eq!(workers.queues(), ["probe.v1", "deletion.v2"]);
    assert_eq!(unknown_work(&mut db.conn().await, &workers.queues()).await.unwrap(), []);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(workers.run_until(async move {
        let _dropped = stopped.await;
    }));
    put(&db, vec![probe(1)]).await;
    run::start(&mut db.conn().await, run::NewRun::<Deletion>::of(2)).await.unwrap();
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 1) AND EXISTS (SELECT FROM ran WHERE phase = 'run')")
        .await;
    db.wait_for("(SELECT count(*) FROM ran WHERE n = 3) >= 3").await;
    put(&db, vec![probe(9)]).await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'running' AND args->>'n' = '9')").await;
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE n = 9").await, 1, "what had begun was ended");
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 0);
}
