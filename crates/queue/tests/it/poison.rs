//! Jobs that kill the process of their worker, and what that costs those beside them: one run more, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use costlens_queue::ops::{self, State};
use costlens_queue::testing::WireTap;
use costlens_queue::{ErrorClass, JobContext, JobError, Queue, QueueConfig, Settings};
use diesel::ConnectionError;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::FutureExt;
use rustix::process::Signal;

use crate::children::ChildWorker;
use crate::postgres::{Db, patient};
use crate::workers::{
    Gate, Probe, Running, effect_with_outcome, millis, note, noting_worker, probe, put, quick, running, secs,
    worker,
};

const ABORTS: i32 = -1;
const OVERFLOWS: i32 = -2;
const EATS: i32 = -3;

/// What the children do: the poison kills them, each in its way.
pub(crate) async fn behave(job: &Probe, ctx: &JobContext) -> Result<(), JobError> {
    // Long enough for others to be beside it.
    tokio::time::sleep(millis(15)).await;
    match job.n {
        ABORTS => std::process::abort(),
        OVERFLOWS => {
            tokio::time::sleep(millis(u64::from(deeper(1) == 0))).await;
            Ok(())
        }
        EATS => {
            // Until there is no more: the limit is set by whoever started the process.
            let mut eaten = Vec::new();
            loop {
                eaten.push(vec![0_u8; 16 << 20]);
                tokio::time::sleep(millis(1)).await;
            }
        }
        _ => {
            // Some are long enough to be there when it happens.
            tokio::time::sleep(millis(if job.n % 5 == 0 { 250 } else { 1 })).await;
            effect_with_outcome(job, ctx).await
        }
    }
}

/// Never returns on any stack.
#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    deeper(depth) ^ room.iter().max().copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_dies_with_its_story_and_two_hundred_jobs_beside_it_are_done_once() {
    let db = Db::new().await;
    let innocent = 200;
    let poison = [(ABORTS, 30), (OVERFLOWS, 90), (EATS, 150)];
    let mut jobs: Vec<_> = (0..innocent).map(probe).collect();
    for (n, at) in poison {
        jobs.insert(at, probe(n));
    }
    let ids = put(&db, jobs).await;
    let mut children: Vec<ChildWorker> = Vec::new();
    let mut started = 0;
    let ended = "SELECT count(*) FROM queue.job WHERE status IN ('done', 'dead')";
    let begin = std::time::Instant::now();
    while db.number(ended).await < i64::from(innocent) + 3 {
        assert!(begin.elapsed() < secs(600), "it does not come to an end");
        children.retain_mut(ChildWorker::lives);
        while children.len() < 2 {
            started += 1;
            children.push(ChildWorker::start_limited(&db, "poisoned", &format!("child-{started}"), 800_000));
        }
        tokio::time::sleep(millis(50)).await;
    }
    drop(children);
    let crashes = started - 2;
    let suspects =
        "SELECT count(*) FROM queue.job WHERE status = 'done' AND story @> '[{\"code\": \"worker_died\"}]'";
    println!(
        "{crashes} processes died in {:?}; {} innocent jobs were suspects for a while",
        begin.elapsed(),
        db.number(suspects).await
    );
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'done'").await, i64::from(innocent));
    assert_eq!(db.number("SELECT count(*) FROM effect").await, i64::from(innocent));
    assert_eq!(db.number("SELECT count(DISTINCT n) FROM effect").await, i64::from(innocent));
    let mut conn = db.conn().await;
    for (n, at) in poison {
        let shown = ops::show(&mut conn, ids[at], None).await.unwrap().unwrap();
        let (job, story) = (shown.job, shown.story);
        println!("{n}: {:?}", story.iter().map(|told| (&told.worker, &told.at)).collect::<Vec<_>>());
        assert_eq!((job.state, job.class), (State::Dead, Some(ErrorClass::Bug)));
        assert_eq!((job.code.as_deref(), job.crashes), (Some("worker_died"), 3));
        assert_eq!(story.len(), 3, "each crash is told: {story:?}");
        for (one, next) in story.iter().zip(&story[1..]) {
            assert!(one.at < next.at, "{story:?}");
        }
        assert!(story.iter().all(|told| told.code.as_deref() == Some("worker_died")
            && told.worker.as_deref().is_some_and(|worker| worker.starts_with("child-"))));
    }
    // Whoever mends the handler brings them back.
    assert!(ops::retry_now(&mut conn, ids[30], None).await.unwrap());
    let again = ops::show(&mut conn, ids[30], None).await.unwrap().unwrap().job;
    assert_eq!((again.state, again.crashes, again.attempts), (State::Ready, 0, 0));
    let redriven = ops::redrive(&mut conn, &ops::Filter::default(), 100, 10).await.unwrap();
    assert_eq!(redriven, 2);
    let mended = noting_worker(&db, "mended", quick());
    db.wait_for("NOT EXISTS (SELECT FROM queue.job WHERE status <> 'done')").await;
    mended.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM ran WHERE worker = 'mended'").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_that_only_waited_for_its_turn_is_no_more_suspect_than_before() {
    let db = Db::new().await;
    let ids = put(&db, vec![probe(ABORTS), probe(1), probe(2), probe(3)]).await;
    // All of them were beside a crash before; the poison comes first.
    db.sql("UPDATE queue.job SET crashes = 1").await;
    db.sql("UPDATE queue.job SET run_at = run_at - interval '1 hour' WHERE args->>'n' = '-1'").await;
    let mut child = ChildWorker::start(&db, "poisoned", "victim");
    let begin = std::time::Instant::now();
    while child.lives() {
        assert!(begin.elapsed() < secs(180));
        tokio::time::sleep(millis(20)).await;
    }
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'done'").await, 0);
    let held = db.number("SELECT count(*) FROM queue.job WHERE status = 'running'").await;
    let running = worker(&db, "next", Settings { max_crashes: 2, ..quick() }, 4, |job, ctx| async move {
        note(ctx.queue(), job.n, "ran", "next").await?;
        Ok(())
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 3").await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE attempts = 2 OR crashes = 2)").await;
    running.stop().await;
    let untold = "SELECT count(*) FROM queue.job WHERE status = 'done' AND attempts = 1 AND story = '[]'";
    assert_eq!(db.number(untold).await, 3, "{held} of them were claimed when the poison killed their worker");
    let told = ops::show(&mut db.conn().await, ids[0], None).await.unwrap().unwrap();
    assert_eq!(told.story.len(), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_runs_alone_in_its_process_and_nothing_begins_beside_it() {
    let db = Db::new().await;
    put(&db, (0..40).map(probe).collect()).await;
    db.sql("UPDATE queue.job SET crashes = 1 WHERE (args->>'n')::int % 5 = 0").await;
    let beside = Arc::new(std::sync::Mutex::new((0_u32, 0_u32)));
    let counted = Arc::clone(&beside);
    let running = worker(&db, "careful", quick(), 8, move |job, _| {
        let counted = Arc::clone(&counted);
        async move {
            let suspect = job.n % 5 == 0;
            let change = |by: i32| {
                let mut now = counted.lock().unwrap();
                let (suspects, all) = *now;
                assert!(by < 0 || suspects == 0, "something begins beside a suspect");
                assert!(by < 0 || !suspect || all == 0, "a suspect begins beside something");
                let add = |n: u32| n.checked_add_signed(by).unwrap();
                *now = (if suspect { add(suspects) } else { suspects }, add(all));
            };
            change(1);
            tokio::time::sleep(millis(5)).await;
            change(-1);
            Ok(())
        }
    });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done' AND attempts = 1) = 40").await;
    running.stop().await;
    assert_eq!(db.number("SELECT max(crashes) FROM queue.job").await, 0, "and who is done is no suspect");
}

/// A worker whose first two jobs take as long as the test wants.
fn with_long_jobs(db: &Db) -> (Running, Gate) {
    let settings = Settings { quarantine: millis(300), ..quick() };
    let gate = Gate::closed();
    let waits = gate.clone();
    let running = worker(db, "long", settings, 3, move |job, ctx| {
        let gate = waits.clone();
        async move {
            note(ctx.queue(), job.n, "begin", "long").await?;
            if job.n <= 1 {
                gate.passed().await;
            }
            Ok(())
        }
    });
    (running, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_that_finds_no_turn_leaves_the_others_in_peace_and_comes_back() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let (running, gate) = with_long_jobs(&db);
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 1)").await;
    put(&db, vec![probe(7).run_in(secs(3))]).await;
    db.sql("UPDATE queue.job SET crashes = 1 WHERE status = 'pending'").await;
    // Given back, without an attempt, for six times as long as it waited.
    let later = "EXISTS (SELECT FROM queue.job WHERE status = 'pending' AND attempts = 0 AND crashes = 1 \
        AND epoch >= 1 AND run_at > created_at + interval '4500 ms')";
    db.wait_for(later).await;
    put(&db, vec![probe(2)]).await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE args->>'n' = '2' AND status = 'done')").await;
    let long = "SELECT count(*) FROM queue.job WHERE status = 'running' AND args->>'n' = '1'";
    assert_eq!(db.number(long).await, 1, "the long one goes on");
    gate.open();
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done' AND attempts = 1) = 3").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_that_takes_long_is_alone_for_its_turn_only() {
    let db = Db::new().await;
    put(&db, vec![probe(0)]).await;
    db.sql("UPDATE queue.job SET crashes = 1").await;
    let (running, gate) = with_long_jobs(&db);
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 0)").await;
    put(&db, vec![probe(2)]).await;
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE args->>'n' = '2' AND status = 'done')").await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job WHERE status = 'running' AND begun").await, 1);
    let waited = "SELECT extract(epoch FROM max(at) - min(at)) * 1000 FROM ran";
    assert!(db.number(waited).await >= 200, "not before its turn was over");
    gate.open();
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'done') = 2").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_is_not_said_to_have_crashed() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let child = ChildWorker::start(&db, "freezes", "frozen");
    db.wait_for("EXISTS (SELECT FROM ran WHERE phase = 'begin')").await;
    child.send(Signal::STOP);
    let running = worker(&db, "awake", quick(), 1, |_, _| async { Err(JobError::retry("not yet").into()) });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE story @> '[{\"code\": \"worker_lost\"}]')").await;
    running.stop().await;
    assert_eq!(db.number("SELECT crashes FROM queue.job").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_taken_for_dead_and_lives_takes_its_crash_back() {
    let db = Db::new().await;
    let id = put(&db, vec![probe(1)]).await[0];
    let tap = WireTap::start(&db.url).await.unwrap();
    let away = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&away);
    let config = QueueConfig {
        connect: Some(Arc::new(move |url| {
            let away = AtomicBool::load(&seen, Ordering::SeqCst);
            async move {
                if away {
                    return Err(ConnectionError::BadConnection("the network is away".to_owned()));
                }
                AsyncPgConnection::establish(&url).await
            }
            .boxed()
        })),
        ..patient(&tap.url(&db.url))
    };
    let queue = Queue::new(&config).unwrap();
    let gate = Gate::closed();
    let waits = gate.clone();
    let settings = Settings { max_crashes: 1, ..quick() };
    let cut_off = running(&queue, "cut-off", settings, 1, move |job, ctx| {
        let gate = waits.clone();
        async move {
            gate.passed().await;
            note(ctx.queue(), job.n, "ran", "cut-off").await?;
            Ok(())
        }
    });
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'running')").await;
    away.store(true, Ordering::SeqCst);
    tap.cut();
    let other = noting_worker(&db, "other", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'dead' AND crashes = 1)").await;
    other.stop().await;
    away.store(false, Ordering::SeqCst);
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE story @> '[{\"code\": \"worker_lives\"}]')").await;
    gate.open();
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done' AND crashes = 0)").await;
    cut_off.stop().await;
    let told = ops::show(&mut db.conn().await, id, None).await.unwrap().unwrap();
    assert_eq!((told.job.attempts, told.story.len()), (2, 2), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_cannot_be_read_is_buried_and_holds_nobody_up() {
    let db = Db::new().await;
    let (id, text) = (uuid::Uuid::from_u128(7), "repeat('[', 200) || repeat(']', 200)");
    db.sql(&format!(
        "INSERT INTO queue.job (id, queue, args, metadata, max_attempts) VALUES \
             ('{id}', 'probe.v1', '{{\"n\": 1}}', jsonb_build_object('deep', ({text})::jsonb), 5), \
             (gen_random_uuid(), 'probe.v1', ({text})::jsonb, '{{}}', 5)"
    ))
    .await;
    put(&db, vec![probe(2)]).await;
    let reader = noting_worker(&db, "reader", Settings { eager: true, ..quick() });
    db.wait_for("(SELECT count(*) FROM queue.job WHERE status = 'dead' AND error_code = 'payload') = 2")
        .await;
    db.wait_for("EXISTS (SELECT FROM ran WHERE n = 2)").await;
    reader.stop().await;
    let mut conn = db.conn().await;
    let shown = ops::show(&mut conn, id, None).await.unwrap().unwrap();
    assert!(shown.job.error.unwrap().starts_with("the metadata cannot be read"));
    // Nor does the other one, whose payload is as bad, hide itself from who looks for it.
    let page = ops::list(&mut conn, &ops::Filter::default(), None, 9).await.unwrap();
    for job in page.items {
        assert!(ops::show(&mut conn, job.id, None).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_is_refused_for_ever_does_not_hold_up_a_drain() {
    let db = Db::new().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$; \
        CREATE TRIGGER refuse BEFORE UPDATE OF status ON queue.job FOR EACH ROW \
            WHEN (OLD.status = 'running') EXECUTE FUNCTION refuse()";
    db.sql(refuse).await;
    put(&db, vec![probe(1)]).await;
    let stubborn = noting_worker(&db, "stubborn", quick());
    db.wait_for("EXISTS (SELECT FROM ran)").await;
    tokio::time::sleep(millis(800)).await;
    tokio::time::timeout(secs(60), stubborn.stop()).await.expect("the drain ends");
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 1, "the claim is left to others");
    db.sql("DROP TRIGGER refuse ON queue.job").await;
    let next = noting_worker(&db, "next", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    next.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM queue.session").await, 0);
}
