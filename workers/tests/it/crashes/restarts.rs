//! Every workflow while PostgreSQL itself crashes and comes back: at a write (before it sees it, or after it has answered
//! and nobody heard), or at any moment between, once or twice in a row, and also together with the worker.

use std::time::{Duration, Instant};

use costlens_queue::testing::{Side, WireTap};
use costlens_store::testing::CrashingServer;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use rustix::process::{Signal, kill_process};

use super::{Count, PATIENCE, Rounds, World, may_change, rounds, worker};

/// When the server crashes.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// At the n-th write.
    Write(u64, Side),
    /// So long after the first write.
    After(Duration),
}

/// One round: the server crashes at this moment, once or twice, perhaps the worker too; then the work is finished. How
/// often it crashed while there was work.
async fn round(server: &mut CrashingServer, moment: Moment, twice: bool, with_worker: bool) -> u32 {
    let story = format!("PostgreSQL crashed at {moment:?}, twice: {twice}, with the worker: {with_worker}");
    let mut world = World::make_in(server.database().await).await;
    let url = world.office.db.runtime_url().to_owned();
    let tap = WireTap::start(&url).await.unwrap();
    let mut running = worker(&world, &tap.url(&url));
    let mut crashes = 0;
    for again in 0..=u64::from(twice) {
        let (crash, pid) = (server.crasher(), running.pid());
        let strike = move || {
            crash();
            if with_worker {
                let _gone = kill_process(pid, Signal::KILL);
            }
        };
        match moment {
            Moment::Write(n, side) => {
                tap.start_counting(may_change);
                tap.kill_at(if again == 0 { n } else { n % 7 + 1 }, side, strike);
                let begun = Instant::now();
                while tap.hit().is_none() && !is_over(&world).await {
                    assert!(begun.elapsed() < PATIENCE, "{story}: nothing happens");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                if tap.hit().is_none() {
                    break;
                }
            }
            Moment::After(wait) => {
                tap.start_counting(may_change);
                let begun = Instant::now();
                while tap.count() == 0 && !is_over(&world).await {
                    assert!(begun.elapsed() < PATIENCE, "{story}: nothing happens");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                tokio::time::sleep(wait).await;
                if is_over(&world).await {
                    break;
                }
                strike();
            }
        }
        crashes += 1;
        server.revive().await;
        world.office.reconnect();
        if with_worker {
            running = worker(&world, &tap.url(&url));
        }
    }
    world.finish(&story).await;
    assert!(!running.has_ended(), "{story}: the worker ended by itself");
    drop(running);
    world.check(&story).await;
    crashes
}

/// Whether nothing is due or runs, as far as the database can be asked.
async fn is_over(world: &World) -> bool {
    use costlens_queue::ops::State;
    let left = world.office.look_for_unfinished().await;
    left.is_ok_and(|jobs| !jobs.iter().any(|job| matches!(job.state, State::Ready | State::Running)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_crashes_under_any_workflow_doubles_and_loses_nothing() {
    let mut server = CrashingServer::start().await;
    // What these rounds rest on: what was answered outlives the server.
    let db = server.database().await;
    let mut conn = AsyncPgConnection::establish(db.owner_url()).await.unwrap();
    conn.batch_execute("CREATE TABLE answered (n bigint)").await.unwrap();
    for n in 0..200_i64 {
        let insert = diesel::sql_query("INSERT INTO answered VALUES ($1)");
        insert.bind::<BigInt, _>(n).execute(&mut conn).await.unwrap();
    }
    let crash = server.crasher();
    crash();
    server.revive().await;
    let mut conn = AsyncPgConnection::establish(db.owner_url()).await.unwrap();
    let kept: Count =
        diesel::sql_query("SELECT count(*) AS rows FROM answered").get_result(&mut conn).await.unwrap();
    assert_eq!(kept.rows, 200);
    drop((conn, db));

    let seed = u64::from(std::process::id());
    let rounds = match rounds() {
        None => 2,
        Some(Rounds::Some(rounds)) => rounds.min(200),
        Some(Rounds::Part { of, .. }) => 200_u64.div_ceil(of),
    };
    let dice = |round: u64| (seed.wrapping_mul(2_654_435_761).wrapping_add(round * 40_503)) >> 3;
    let mut crashes = 0;
    for round_no in 0..rounds {
        let number = dice(round_no);
        let moment = match round_no % 3 {
            0 => Moment::After(Duration::from_millis(number % 1_200)),
            1 => Moment::Write(number % 200 + 1, Side::After),
            _ => Moment::Write(number % 200 + 1, Side::Before),
        };
        crashes += round(&mut server, moment, round_no % 4 == 1, round_no % 5 == 1).await;
    }
    println!("{rounds} rounds with seed {seed}: PostgreSQL crashed {crashes} times");
    assert!(u64::from(crashes) * 2 > rounds, "too few crashes: {crashes}");
}
