//! How fast an empty job is. Prints a rate and judges only that nothing was lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use costlens_queue::enqueue;

use crate::postgres::Db;
use crate::workers::{probe, quick, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_empty_jobs_are_drained() {
    let db = Db::new().await;
    let jobs = 20_000;
    let begin = Instant::now();
    let mut conn = db.conn().await;
    for chunk in 0..40 {
        let chunk: Vec<_> = (0..500).map(|n| probe(chunk * 500 + n)).collect();
        enqueue(&mut conn, &chunk).await.unwrap();
    }
    println!("enqueued {} jobs/s in batches of 500", rate(jobs, begin));
    let ran = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&ran);
    let begin = Instant::now();
    let running = worker(&db, "drain", quick(), 200, move |_, _| {
        let ran = Arc::clone(&counted);
        async move {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    db.wait_for("NOT EXISTS (SELECT FROM queue.job WHERE status <> 'done')").await;
    println!("drained {} jobs/s, every outcome written", rate(jobs, begin));
    running.stop().await;
    assert_eq!(ran.load(Ordering::Relaxed), jobs);
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE attempts = 1").await, jobs);
}

fn rate(jobs: i64, since: Instant) -> i64 {
    jobs * 1_000 / i64::try_from(since.elapsed().as_millis()).unwrap().max(1)
}
