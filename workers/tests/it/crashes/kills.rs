//! Every workflow, killed at its writes: a worker process is killed (before the database sees a write, or after it
//! has answered and before the worker hears it), once or twice in a row; then others finish.

use std::time::{Duration, Instant};

use costlens_queue::testing::{Side, WireTap, may_change};
use futures_util::StreamExt as _;
use rustix::process::{Signal, kill_process};

use super::{PATIENCE, Rounds, World, rounds, worker};

/// How many rounds go on at once where all are asked for; they mostly wait, and each holds some fifty connections. A few
/// go one after the other, beside the other tests.
const AT_ONCE: usize = 4;

/// One round: killed at the n-th write, perhaps the next worker too, then finished. Where it was struck; `None` where
/// there were not so many writes.
async fn round(n: u64, side: Side, twice: bool) -> Option<String> {
    let world = World::make().await;
    let url = world.office.db.runtime_url();
    let mut struck = None;
    for again in 0..=u32::from(twice) {
        let tap = WireTap::start(url).await.unwrap();
        let mut worker = worker(&world, &tap.url(url));
        let pid = worker.pid();
        let at = if again == 0 { n } else { n % 7 + 1 };
        tap.kill_at(at, side, move || {
            let _gone = kill_process(pid, Signal::KILL);
        });
        let begun = Instant::now();
        while !worker.has_ended() && !world.office.is_quiet().await && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if again == 0 {
            struck = tap.hit();
        }
        if !worker.has_ended() {
            break;
        }
    }
    let story = format!("killed at write {n} {side:?}, twice: {twice}, in {struck:?}");
    let worker = worker(&world, url);
    world.finish(&story).await;
    drop(worker);
    world.check(&story).await;
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_write_of_any_workflow_doubles_and_loses_nothing() {
    let rounds = rounds().unwrap_or(Rounds::Some(6));
    // How many writes there are.
    let world = World::make().await;
    let tap = WireTap::start(world.office.db.runtime_url()).await.unwrap();
    tap.start_counting(may_change);
    let worker = worker(&world, &tap.url(world.office.db.runtime_url()));
    let begun = Instant::now();
    while !world.is_all_done().await {
        assert!(begun.elapsed() < PATIENCE, "without a kill: still {:#?}", world.office.unfinished().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(worker);
    world.check("never killed").await;
    let writes = tap.count();
    assert!(writes > 80, "{writes} writes: {:#?}", tap.seen());

    let seed = u64::from(std::process::id());
    let moments: Vec<(u64, Side, bool)> = match rounds {
        Rounds::Part { part, of } => {
            let all =
                (1..=writes).flat_map(|n| [(n, Side::Before, n % 5 == 0), (n, Side::After, n % 5 == 2)]);
            (0..).zip(all).filter(|(n, _)| n % of == part - 1).map(|(_, moment)| moment).collect()
        }
        Rounds::Some(rounds) => {
            let dice = |round: u64| (seed.wrapping_mul(2_654_435_761).wrapping_add(round * 40_503)) >> 3;
            let one = |round| {
                let side = if round % 2 == 0 { Side::Before } else { Side::After };
                (dice(round) % writes + 1, side, round % 4 == 3)
            };
            (0..rounds).map(one).collect()
        }
    };
    let is_by_dice = matches!(rounds, Rounds::Some(_));
    let begun = Instant::now();
    let struck = futures_util::stream::iter((1..).zip(moments.clone()))
        .map(|(round_no, (n, side, twice))| {
            tokio::spawn(async move {
                let struck = match round(n, side, twice).await {
                    // On a busy machine the run without a kill writes more than one that is alone.
                    None if is_by_dice => round(n / 2 + 1, side, twice).await,
                    struck => struck,
                };
                println!("round {round_no}, killed at write {n}, is over after {:?}", begun.elapsed());
                struck
            })
        })
        .buffer_unordered(if is_by_dice { 1 } else { AT_ONCE })
        .collect::<Vec<_>>()
        .await;
    let struck: Vec<Option<String>> = struck.into_iter().map(Result::unwrap).collect();
    let kills = struck.iter().flatten().count();
    println!("{writes} writes, {} rounds with seed {seed}, {kills} of them killed", moments.len());
    assert!(kills * 2 > moments.len(), "too few rounds were struck: {kills}");
}
