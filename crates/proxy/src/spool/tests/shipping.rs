//! From the spool to the ledger: outages, poison, waiting, long calls, closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use costlens_domain::request::{Durability, RequestFact};

use super::super::{FactSink, NotSettled, ShipperConfig, SinkError, Spool};
use super::{Ledger, at, completed, intent, open, quick, replay, small};

async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_mins(2), "it never came to pass");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn call(spool: &Spool, number: u64) {
    spool.begin(&intent(number)).unwrap().complete(completed(number), Durability::Spool).unwrap();
}

#[tokio::test]
async fn an_ended_call_is_in_the_ledger_within_a_fraction_of_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let (spool, recovered) = open(small(dir.path()));
    let _shipper = spool.start_shipper(recovered, ledger.clone(), ShipperConfig::default());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut took = Vec::new();
    // A busy machine may come in between; of many rounds it lets one pass.
    for round in 0..30 {
        let inserts = ledger.inserts.load(Ordering::SeqCst);
        let start = Instant::now();
        for number in 1..=3 {
            call(&spool, round * 3 + number);
        }
        until(|| ledger.rows().len() as u64 == (round + 1) * 3).await;
        took.push((start.elapsed(), ledger.inserts.load(Ordering::SeqCst) - inserts));
        // Rows of one moment share an insert.
        if took.last().is_some_and(|(time, inserts)| *time < Duration::from_millis(800) && *inserts == 1) {
            return;
        }
    }
    panic!("three rows took so long, and so many inserts: {took:?}");
}

#[tokio::test]
async fn an_outage_delays_rows_and_neither_loses_doubles_nor_reorders_them() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    ledger.away.store(30, Ordering::SeqCst);
    ledger.deaf.store(3, Ordering::SeqCst);
    let (spool, recovered) = open(small(dir.path()));
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    for number in 1..=3000 {
        call(&spool, number);
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    until(|| spool.counters().unshipped == 0).await;
    assert_eq!(ledger.rows(), (1..=3000).map(completed).collect::<Vec<_>>());
    let counters = spool.counters();
    assert_eq!((counters.shipped, counters.sink_failures, counters.oldest_unshipped), (3000, 33, None));
    until(|| spool.counters().segments <= 2).await;
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
}

#[tokio::test]
async fn poison_is_set_aside_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    *ledger.refused.lock().unwrap() = vec![intent(7).id, intent(8).id, intent(90).id];
    let (spool, recovered) = open(small(dir.path()));
    for number in 1..=100 {
        call(&spool, number);
    }
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    let waits = spool.begin(&intent(101)).unwrap().complete(completed(101), Durability::Database).unwrap();
    assert_eq!(waits.settled(Duration::from_mins(1)).await, Ok(()));
    *ledger.refused.lock().unwrap() = vec![intent(102).id];
    let waits = spool.begin(&intent(102)).unwrap().complete(completed(102), Durability::Database).unwrap();
    assert_eq!(waits.settled(Duration::from_mins(1)).await, Err(NotSettled::Rejected));
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);

    let expected: Vec<_> = (1..=101).filter(|number| ![7, 8, 90].contains(number)).map(completed).collect();
    assert_eq!(ledger.rows(), expected);
    assert_eq!(spool.counters().rejected, 4);
    let aside = std::fs::read_to_string(dir.path().join("rejected.jsonl")).unwrap();
    let ids: Vec<String> = aside
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, [7, 8, 90, 102].map(|number| intent(number).id.to_string()));
}

#[tokio::test]
async fn what_was_set_aside_a_month_ago_is_removed_though_nobody_calls() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rejected.jsonl");
    for (days, id) in [(31, "old"), (3, "young")] {
        let at = at() - chrono::TimeDelta::days(days);
        super::super::rejected::set_aside(dir.path(), at, id, "refused", b"{}").unwrap();
    }
    let (spool, recovered) = open(small(dir.path()));
    let _shipper = spool.start_shipper(recovered, Arc::new(Ledger::default()), quick());
    until(|| !std::fs::read_to_string(&file).unwrap().contains("\"old\"")).await;
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"young\""));
}

/// Panics once, then hangs once, then works.
#[derive(Default)]
struct Shaky(Ledger);

#[async_trait::async_trait]
impl FactSink for Shaky {
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        match self.0.inserts.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("as a bug would"),
            1 => std::future::pending().await,
            _ => self.0.insert(facts).await,
        }
    }
}

#[tokio::test]
async fn a_ledger_that_panics_or_hangs_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Shaky::default());
    let (spool, recovered) = open(small(dir.path()));
    call(&spool, 1);
    let config = ShipperConfig { insert_timeout: Duration::from_millis(50), ..quick() };
    let shipper = spool.start_shipper(recovered, ledger.clone(), config);
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    assert_eq!((ledger.0.rows(), spool.counters().sink_failures), (vec![completed(1)], 2));
}

#[tokio::test]
async fn each_durability_waits_for_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let (spool, recovered) = open(small(dir.path()));
    let complete = |number, durability| {
        spool.begin(&intent(number)).unwrap().complete(completed(number), durability).unwrap()
    };
    let nothing = Duration::from_mins(1);
    assert_eq!(complete(1, Durability::Spool).settled(Duration::ZERO).await, Ok(()));
    assert_eq!(complete(2, Durability::Fsync).settled(nothing).await, Ok(()));
    let late = complete(3, Durability::Database).settled(Duration::from_millis(20)).await;
    assert_eq!(late, Err(NotSettled::TimedOut), "nobody ships yet");

    let _shipper = spool.start_shipper(
        recovered,
        ledger.clone(),
        ShipperConfig { linger: Duration::from_mins(5), ..ShipperConfig::default() },
    );
    assert_eq!(
        complete(4, Durability::Database).settled(nothing).await,
        Ok(()),
        "who waits is not lingered for"
    );
    assert_eq!(ledger.rows(), [completed(1), completed(2), completed(3), completed(4)]);
}

#[tokio::test]
async fn a_dropped_ticket_ends_its_call_as_interrupted_with_the_best_estimate() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, recovered) = open(small(dir.path()));
    drop(spool.begin(&intent(1)).unwrap());
    let mut ticket = spool.begin(&intent(2)).unwrap();
    let mut better = intent(2);
    better.usage.output = costlens_domain::Tokens(99);
    ticket.revise(&better).unwrap();
    let in_task = spool.begin(&intent(3)).unwrap();
    let task = tokio::spawn(async move {
        let _held = in_task;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.is_err());
    drop(ticket);
    let counters = spool.counters();
    assert_eq!((counters.open_calls, counters.reserved_bytes, counters.interrupted), (0, 0, 3));
    // Not only after the next start, but now.
    let ledger = Arc::new(Ledger::default());
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    let mut rows = ledger.rows();
    rows.sort_by_key(|row| row.id);
    assert_eq!(rows, [intent(1), better, intent(3)]);
}

#[tokio::test]
async fn calls_without_an_end_are_shipped_as_interrupted_while_new_calls_flow() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (spool, _recovered) = open(small(dir.path()));
        call(&spool, 1);
        // As a killed process leaves it: the intent is there, nothing follows.
        std::mem::forget(spool.begin(&intent(2)).unwrap());
        call(&spool, 3);
        copy(dir.path(), &dir.path().join("left"));
    }
    let left = dir.path().join("left");
    let (spool, recovered) = open(small(&left));
    assert!(recovered.segments >= 1 && recovered.bytes > 0);
    call(&spool, 4);
    let ledger = Arc::new(Ledger::default());
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    call(&spool, 5);
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    assert_eq!(ledger.rows(), [intent(2), completed(1), completed(3), completed(4), completed(5)]);
    assert_eq!(spool.counters().interrupted, 1);
    drop(spool);
    // Twice is once: the next start finds nothing new.
    let (rows, _) = replay(small(&left)).await;
    assert!(rows.iter().all(|row| ledger.rows().contains(row)), "{rows:?}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for file in super::segments(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn a_call_that_lasts_for_hours_does_not_hold_back_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let (spool, recovered) = open(small(dir.path()));
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    let long = spool.begin(&intent(1)).unwrap();
    let longer = spool.begin(&intent(2)).unwrap();
    for number in 3..=2000 {
        call(&spool, number);
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    until(|| spool.counters().unshipped == 0).await;
    call(&spool, 2001);
    until(|| spool.counters().segments <= 5).await;
    long.complete(completed(1), Durability::Spool).unwrap();
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    // The other one is killed with its process, and still known.
    let left = dir.path().join("left");
    copy(dir.path(), &left);
    std::mem::forget(longer);
    let (rows, _) = replay(small(&left)).await;
    assert!(rows.contains(&intent(2)));
    assert!(ledger.rows().contains(&completed(1)));
    assert_eq!(ledger.rows().len(), 2000);
}

#[tokio::test]
async fn closing_without_a_ledger_ends_in_time_and_keeps_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    ledger.away.store(u64::MAX, Ordering::SeqCst);
    let (spool, recovered) = open(small(dir.path()));
    let shipper = spool.start_shipper(recovered, ledger, quick());
    for number in 1..=10 {
        call(&spool, number);
    }
    let start = Instant::now();
    assert_eq!(shipper.close(Duration::from_millis(100)).await.left, 10);
    assert!(start.elapsed() < Duration::from_mins(1));
    drop(spool);
    let (rows, _) = replay(small(dir.path())).await;
    assert_eq!(rows, (1..=10).map(completed).collect::<Vec<_>>());
}

#[tokio::test]
async fn restarts_without_a_ledger_do_not_fill_the_spool_with_empty_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small(dir.path());
    config.limit_bytes = 3 * config.segment_bytes;
    for number in 1..=30 {
        let ledger = Arc::new(Ledger::default());
        ledger.away.store(u64::MAX, Ordering::SeqCst);
        let (spool, recovered) = open(config.clone());
        let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
        until(|| ledger.inserts.load(Ordering::SeqCst) > 0 || number == 1).await;
        call(&spool, number);
        shipper.close(Duration::ZERO).await;
    }
    let (rows, counters) = replay(config.clone()).await;
    assert_eq!(rows, (1..=30).map(completed).collect::<Vec<_>>());
    assert_eq!(counters.segments, 1, "what was shipped is removed");
    let (rows, _) = replay(config).await;
    assert_eq!(rows, []);
}

/// What is in any file of the spool.
fn bytes_in(dir: &std::path::Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir).unwrap().flatten();
    files.flat_map(|file| std::fs::read(file.path()).unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_was_shipped_is_not_kept_because_nobody_calls() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let mut config = small(dir.path());
    config.kept_at_most = Duration::from_millis(200);
    let (spool, recovered) = open(config);
    let _shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    let is_there = || bytes_in(dir.path()).windows(8).any(|window| window == b"caller-7");
    for round in 0..3 {
        call(&spool, 70 + round);
        until(|| ledger.rows().len() as u64 == round + 1).await;
        until(|| !is_there()).await;
    }
    // A call that is open keeps its segment, however old.
    let ticket = spool.begin(&intent(79)).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(is_there());
    ticket.complete(completed(79), Durability::Spool).unwrap();
    until(|| ledger.rows().len() == 4).await;
    until(|| !is_there()).await;
}
