//! Priorities, turns between tenants, and the cap.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use costlens_queue::Settings;
use diesel_async::SimpleAsyncConnection;
use uuid::Uuid;

use crate::postgres::Db;
use crate::workers::{Gate, millis, note, probe, put, quick, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_a_long_backlog_does_not_hold_up_a_small_one() {
    let db = Db::new().await;
    let (big, small) = (Uuid::from_u128(1), Uuid::from_u128(2));
    put(&db, (0..200).map(|n| probe(n).tenant(big)).collect()).await;
    put(&db, (1_000..1_005).map(|n| probe(n).tenant(small)).collect()).await;
    let running = worker(&db, "fair", Settings { batch: 4, ..quick() }, 2, |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", "fair").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM ran WHERE n >= 1000) = 5").await;
    running.stop().await;
    // By the time of the claim: a handler that waits for its connection says nothing about turns.
    let before = "SELECT count(*) FROM queue.job WHERE (args->>'n')::int < 1000 AND started_at < \
        (SELECT max(started_at) FROM queue.job WHERE (args->>'n')::int >= 1000)";
    let before = db.number(before).await;
    assert!(before <= 20, "{before} jobs of the big tenant went before the small one's five");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tenants_are_served_in_turn_and_none_is_passed_over() {
    let db = Db::new().await;
    // More of them than a claim has room for, with three jobs each, one after another.
    let jobs = (0..150).map(|n| probe(n).tenant(Uuid::from_u128(u128::from(n.unsigned_abs() / 3) + 1)));
    put(&db, jobs.collect()).await;
    let running = worker(&db, "turns", Settings { batch: 4, ..quick() }, 1, |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", "turns").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM ran) = 150").await;
    running.stop().await;
    let first_fifty = "SELECT count(DISTINCT n / 3) FROM (SELECT n FROM ran ORDER BY at LIMIT 50) AS early";
    assert_eq!(db.number(first_fifty).await, 50, "nobody gets a second before everybody had a first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_somebody_holds_a_lock_on_does_not_hold_up_the_others() {
    let db = Db::new().await;
    let tenants = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(1)];
    let jobs = (0..3).zip(tenants).map(|(n, tenant)| probe(n).tenant(tenant));
    put(&db, jobs.collect()).await;
    let mut conn = db.conn().await;
    conn.batch_execute("BEGIN; SELECT FROM queue.job WHERE args->>'n' = '0' FOR UPDATE").await.unwrap();
    let running = worker(&db, "around", Settings { batch: 1, ..quick() }, 1, |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", "around").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM ran) = 2").await;
    conn.batch_execute("COMMIT").await.unwrap();
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 0)").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn priorities_go_first_whoever_they_are_for() {
    let db = Db::new().await;
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    put(&db, (0..20).map(|n| probe(n).tenant(one)).collect()).await;
    put(&db, vec![probe(100).tenant(two), probe(200).tenant(one).priority(5), probe(300).priority(9)]).await;
    let running = worker(&db, "first", Settings { batch: 1, ..quick() }, 1, |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", "first").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM ran) = 23").await;
    running.stop().await;
    assert_eq!(db.number("SELECT n FROM ran ORDER BY at LIMIT 1").await, 300);
    assert_eq!(db.number("SELECT n FROM ran ORDER BY at OFFSET 1 LIMIT 1").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tenant_has_more_jobs_running_than_its_cap_over_all_workers() {
    let db = Db::new().await;
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    put(&db, (0..12).map(|n| probe(n).tenant(one)).collect()).await;
    put(&db, (100..104).map(|n| probe(n).tenant(two)).collect()).await;
    let now = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let most = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let start = |name: &'static str| {
        let (now, most) = (now.clone(), most.clone());
        let settings = Settings { per_tenant: Some(2), batch: 16, eager: true, ..quick() };
        worker(&db, name, settings, 16, move |job, _| {
            let whose = usize::from(job.n >= 100);
            let (now, most) = (Arc::clone(&now[whose]), Arc::clone(&most[whose]));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(millis(120)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let (a, b) = (start("a"), start("b"));
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 16").await;
    a.stop().await;
    b.stop().await;
    assert_eq!(most[0].load(Ordering::SeqCst), 2, "the cap is used");
    assert!(most[1].load(Ordering::SeqCst) <= 2, "and kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_lies_behind_long_ones_while_another_worker_is_idle() {
    let db = Db::new().await;
    put(&db, (0..7).map(probe).collect()).await;
    let gate = Gate::closed();
    let start = |name: &'static str| {
        let waits = gate.clone();
        worker(&db, name, quick(), 4, move |job, ctx| {
            let gate = waits.clone();
            async move {
                note(ctx.queue(), job.n, "begin", name).await?;
                gate.passed().await;
                Ok(())
            }
        })
    };
    // Four at once fill it; its last claim may have brought more than that.
    let busy = start("busy");
    db.wait_for("(SELECT count(*) FROM ran) = 4").await;
    let idle = start("idle");
    db.wait_for("(SELECT count(*) FROM ran WHERE worker = 'idle') = 3").await;
    gate.open();
    busy.stop().await;
    idle.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'done' AND attempts = 1").await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_whose_jobs_are_due_later_cost_a_claim_nothing() {
    let db = Db::new().await;
    db.sql(
        "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence) \
             VALUES (gen_random_uuid(), 'probe.v1', 'w', 1, '1 h', '1 h'); \
         INSERT INTO queue.job (id, queue, tenant, args, max_attempts, run_at) \
             SELECT gen_random_uuid(), 'probe.v1', gen_random_uuid(), '{}', 1, clock_timestamp() + interval '1 day' \
               FROM generate_series(1, 20000)",
    )
    .await;
    // Three tenants with four jobs each, one of them with something urgent as well.
    let tenant = |n: i32| Uuid::from_u128(u128::from(n.unsigned_abs() % 3 + 1) << 96);
    put(&db, (0..12).map(|n| probe(n).tenant(tenant(n))).collect()).await;
    put(&db, vec![probe(99).tenant(tenant(0)).priority(-5), probe(100).tenant(tenant(1)).priority(5)]).await;
    let claim = |limit: i32, cap: i32| {
        format!(
            "SELECT count(*) FROM (SELECT queue.claim('probe.v1', (SELECT id FROM queue.session), {limit}, {cap})) c"
        )
    };
    let running = "(SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT (args->>'n')::int AS n FROM queue.job \
        WHERE status = 'running') r)";
    let begun = std::time::Instant::now();
    assert_eq!(db.number(&claim(1, 2)).await, 1);
    db.wait_for(&format!("{running} = '100'")).await;
    // The first of each that has room, then the second; the third ones are above the cap.
    assert_eq!(db.number(&claim(2, 2)).await, 2);
    assert_eq!(db.number(&claim(64, 2)).await, 3);
    let each = "SELECT count(*) FROM (SELECT FROM queue.job WHERE status = 'running' \
        GROUP BY tenant HAVING count(*) = 2) AS t";
    assert_eq!(db.number(each).await, 3);
    assert_eq!(db.number(&claim(64, 2)).await, 0);
    assert_eq!(db.number(&claim(64, 9)).await, 8);
    println!("five claims among 20000 sleeping tenants took {:?}", begun.elapsed());
    assert_eq!(
        db.number("SELECT count(*) FROM queue.job WHERE status = 'running' AND run_at > now()").await,
        0
    );
    // Without statistics, too, nothing but the due ones is read.
    let mut conn = db.conn().await;
    let read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'job'";
    tokio::time::sleep(millis(1_200)).await;
    let before = db.number(read).await;
    put(&db, (0..3).map(|n| probe(n).tenant(tenant(n))).collect()).await;
    conn.batch_execute(&claim(64, 99)).await.unwrap();
    drop(conn);
    tokio::time::sleep(millis(1_200)).await;
    let entries = db.number(read).await - before;
    assert!(entries < 2_000, "a claim of three read {entries} entries");
}
