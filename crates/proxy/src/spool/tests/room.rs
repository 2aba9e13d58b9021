//! The limits: what is refused, what is kept, and that an accepted call always finds room to end.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use costlens_domain::Tokens;
use costlens_domain::request::{Durability, Outcome, RequestFact};

use super::super::frame::Kind;
use super::super::writer::COMPLETION_ROOM;
use super::super::{Spool, SpoolConfig, SpoolError, Ticket, payload};
use super::{Ledger, StandingClock, completed, intent, open, quick, replay, small};

fn tight(dir: &std::path::Path) -> SpoolConfig {
    SpoolConfig { limit_bytes: 3 * SpoolConfig::MIN_SEGMENT_BYTES, ..small(dir) }
}

/// Begins calls until the spool refuses one.
fn fill(spool: &Spool, first: u64) -> Vec<(u64, Ticket)> {
    fill_with(spool, (first..first + 100_000).map(intent))
        .into_iter()
        .zip(first..)
        .map(|(t, n)| (n, t))
        .collect()
}

fn fill_with(spool: &Spool, intents: impl Iterator<Item = RequestFact>) -> Vec<Ticket> {
    let mut open = Vec::new();
    for intent in intents {
        match spool.begin(&intent) {
            Ok(ticket) => open.push(ticket),
            Err(SpoolError::Full) => return open,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the spool never filled");
}

/// As long as this call's completion may get without asking for more room, to the byte.
fn longest_end_of(intent: &RequestFact) -> RequestFact {
    let length = |fact: &RequestFact| {
        let mut record = Vec::new();
        payload::encode(&mut record, Kind::Completion, fact).unwrap();
        record.len() as u64
    };
    let mut fact = RequestFact { outcome: Outcome::Completed, ..intent.clone() };
    fact.price.formula = Some(String::new());
    let left = length(intent) + COMPLETION_ROOM - length(&fact);
    fact.price.formula = Some("x".repeat(usize::try_from(left).unwrap()));
    fact
}

fn longest(number: u64) -> RequestFact {
    longest_end_of(&intent(number))
}

#[test]
fn whatever_the_sizes_no_completion_needs_more_than_the_limit() {
    for caller_bytes in (0..6_000).step_by(500) {
        let dir = tempfile::tempdir().unwrap();
        let config = SpoolConfig { limit_bytes: 8 * SpoolConfig::MIN_SEGMENT_BYTES, ..small(dir.path()) };
        let (spool, _recovered) = open(config);
        let of = |number| RequestFact { caller_request_id: Some("c".repeat(caller_bytes)), ..intent(number) };
        for (ticket, number) in fill_with(&spool, (1..100_000).map(of)).into_iter().zip(1..) {
            ticket.complete(longest_end_of(&of(number)), Durability::Spool).unwrap();
        }
        let counters = spool.counters();
        assert!(
            counters.allocated_bytes <= counters.limit_bytes,
            "texts of {caller_bytes} bytes: {counters:?}"
        );
    }
}

#[tokio::test]
async fn a_full_spool_refuses_calls_and_loses_no_completion() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, recovered) = open(tight(dir.path()));
    let calls = fill(&spool, 1);
    let count = calls.len() as u64;
    assert!(count > 30, "only {count} calls fitted");
    assert_eq!(spool.counters().refused, 1);
    assert!(spool.counters().nearly_full);
    for (number, ticket) in calls {
        ticket.complete(longest(number), Durability::Spool).unwrap();
    }
    let counters = spool.counters();
    assert_eq!((counters.open_calls, counters.reserved_bytes, counters.unshipped), (0, 0, count));
    assert!(counters.allocated_bytes <= counters.limit_bytes);

    let ledger = Arc::new(Ledger::default());
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    assert_eq!(ledger.rows(), (1..=count).map(longest).collect::<Vec<_>>());
    // What was shipped makes room again.
    drop(spool.begin(&intent(count + 1)).unwrap());
}

#[tokio::test]
async fn a_full_spool_takes_calls_again_once_rows_were_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, recovered) = open(tight(dir.path()));
    let ledger = Arc::new(Ledger::default());
    let mut next = 1;
    let _shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    for _round in 0..8 {
        let calls = fill(&spool, next);
        next += calls.len() as u64;
        for (number, ticket) in calls {
            ticket.complete(completed(number), Durability::Spool).unwrap();
        }
        let mut waits = 0..10_000;
        let again = loop {
            match spool.begin(&intent(next)) {
                Ok(ticket) => break ticket,
                Err(_full) => assert!(waits.next().is_some(), "nothing made room"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        again.complete(completed(next), Durability::Spool).unwrap();
        next += 1;
        while spool.counters().unshipped > 0 {
            assert!(waits.next().is_some(), "nothing was shipped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(ledger.rows().len() as u64, next - 1);
}

#[tokio::test]
async fn a_completion_that_outgrew_everything_keeps_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(tight(dir.path()));
    let mut calls = fill(&spool, 1);
    let (number, ticket) = calls.pop().unwrap();
    let mut fact = completed(number);
    fact.error_code = Some("\u{1}".repeat(5_000));
    fact.price.note = Some("long".repeat(3_000));
    fact.usage.output = Tokens(u64::MAX);
    ticket.complete(fact.clone(), Durability::Spool).unwrap();
    drop((calls, spool));
    let (rows, _) = replay(tight(dir.path())).await;
    let row = rows.iter().find(|row| row.id == fact.id).unwrap();
    assert_eq!((row.usage, row.cost, row.outcome), (fact.usage, fact.cost, Outcome::Completed));
}

#[tokio::test]
async fn a_long_completion_is_kept_whole_where_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let mut fact = completed(1);
    fact.price.note = Some("long".repeat(1_000));
    let ticket = spool.begin(&intent(1)).unwrap();
    ticket.complete(fact.clone(), Durability::Spool).unwrap();
    assert_eq!(spool.counters().reserved_bytes, 0);
    drop(spool);
    assert_eq!(replay(small(dir.path())).await.0, [fact]);
}

#[test]
fn threads_that_fill_the_spool_together_all_find_room_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(tight(dir.path()));
    let begun: usize = std::thread::scope(|threads| {
        let fillers = [1, 2, 3, 4].map(|filler| {
            let spool = &spool;
            threads.spawn(move || {
                let calls = fill(spool, filler * 1_000_000);
                let count = calls.len();
                for (number, ticket) in calls {
                    ticket.complete(longest(number), Durability::Spool).unwrap();
                }
                count
            })
        });
        fillers.into_iter().map(|filler| filler.join().unwrap()).sum()
    });
    let counters = spool.counters();
    assert_eq!((counters.open_calls, counters.reserved_bytes, counters.unshipped), (0, 0, begun as u64));
    assert!(counters.allocated_bytes <= counters.limit_bytes);
}

#[test]
fn what_is_too_large_or_twice_or_mistaken_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let huge = RequestFact { model_requested: "m".repeat(20_000), ..intent(1) };
    assert!(matches!(spool.begin(&huge), Err(SpoolError::TooLarge { .. })));
    let ticket = spool.begin(&intent(1)).unwrap();
    assert!(matches!(spool.begin(&intent(1)), Err(SpoolError::Duplicate)));
    assert!(matches!(ticket.complete(completed(2), Durability::Spool), Err(SpoolError::WrongCall)));
    assert_eq!(spool.counters().open_calls, 0, "the mistaken call ended as interrupted");
    let senseless = SpoolConfig { segment_bytes: 1000, ..small(dir.path()) };
    assert!(matches!(Spool::open(senseless, Arc::new(StandingClock)), Err(SpoolError::Limits { .. })));
}

#[test]
fn one_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    assert!(matches!(Spool::open(small(dir.path()), Arc::new(StandingClock)), Err(SpoolError::Owned { .. })));
    drop(spool);
    drop(open(small(dir.path())));
}

/// A file system of 400 KiB that is unmounted with its guard; `None` where this user may not mount.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=400k", "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_calls_and_loses_no_completion() {
    let Some(disk) = TinyDisk::mount() else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let (spool, recovered) = open(small(disk.0.path()));
    let calls = fill(&spool, 1);
    let count = calls.len() as u64;
    // Not one byte is left for anyone else either.
    let hog = std::fs::write(disk.0.path().join("hog"), vec![1; 1 << 20]);
    assert!(hog.is_err(), "the disk was not full");
    for (number, ticket) in calls {
        ticket.complete(longest(number), Durability::Spool).unwrap();
    }
    let ledger = Arc::new(Ledger::default());
    drop((spool, recovered));
    // Even a start finds no room for a new segment, and carries on.
    let (spool, recovered) = open(small(disk.0.path()));
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    for _wait in 0..10_000 {
        if spool.counters().shipped == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ledger.rows(), (1..=count).map(longest).collect::<Vec<_>>());
    shipper.close(Duration::from_mins(1)).await;
}
