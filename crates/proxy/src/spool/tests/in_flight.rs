//! Records that are being written while others go on: nobody reads, ships or trusts what stands behind them too early.

use std::time::Duration;

use costlens_domain::request::Durability;

use super::super::SpoolConfig;
use super::super::reclaim::{carry_forward, removable};
use super::super::segment::{self, Position};
use super::super::tail::Tail;
use super::super::ticket::NotSettled;
use super::{call_id, completed, intent, open, small};

#[tokio::test]
async fn nobody_reads_past_a_record_that_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let shared = &spool.handle.shared;
    let slot = shared.take_slot(&mut shared.lock(), 100).unwrap();
    spool.begin(&intent(1)).unwrap().complete(completed(1), Durability::Spool).unwrap();
    assert_eq!(shared.lock().readable(slot.at.segment), Some(slot.at.offset));
    let tail = Tail { position: slot.at };
    let early = tail.take(shared, 10).unwrap();
    assert_eq!((early.facts.len(), early.end), (0, slot.at));
    assert_eq!(tail.read(shared, 10).unwrap().facts, []);

    shared.finish_slot(&mut shared.lock(), &slot, Ok(())).unwrap();
    assert_eq!(tail.take(shared, 10).unwrap().facts, [completed(1)]);
}

#[tokio::test]
async fn a_sync_promises_nothing_behind_a_record_that_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let shared = &spool.handle.shared;
    for written in [true, false] {
        let slot = shared.take_slot(&mut shared.lock(), 100).unwrap();
        let wait =
            |number| spool.begin(&intent(number)).unwrap().complete(completed(number), Durability::Fsync);
        let (early, late) =
            (wait(u64::from(written) * 2).unwrap(), wait(u64::from(written) * 2 + 1).unwrap());
        assert_eq!(early.settled(Duration::from_millis(150)).await, Err(NotSettled::TimedOut));
        // The write that was waited for ends, well or badly, and nothing else is written.
        let ended = if written { Ok(()) } else { Err(std::io::Error::other("no disk")) };
        assert_eq!(shared.finish_slot(&mut shared.lock(), &slot, ended).is_ok(), written);
        assert_eq!(late.settled(Duration::from_mins(1)).await, Ok(()));
    }
}

#[tokio::test]
async fn an_intent_is_not_written_again_behind_its_own_completion() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let shared = &spool.handle.shared;
    let ticket = spool.begin(&intent(1)).unwrap();
    let place = || shared.lock().open.get(&call_id(1)).map(|call| call.at);
    let before = place();
    // As while the completion is being written.
    shared.lock().set_ending(call_id(1), true);
    carry_forward(shared);
    assert_eq!(place(), before);
    shared.lock().set_ending(call_id(1), false);
    carry_forward(shared);
    assert!(place() > before);
    ticket.complete(completed(1), Durability::Spool).unwrap();
    assert_eq!(place(), None);
}

#[tokio::test]
async fn a_segment_that_another_overtook_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _recovered) = open(small(dir.path()));
    let shared = &spool.handle.shared;
    let size = SpoolConfig::MIN_SEGMENT_BYTES;
    let mut state = shared.lock();
    // One thread makes a segment; meanwhile a write fails, and another takes the next number.
    let number = state.next_segment;
    state.next_segment += 1;
    let file = segment::create(dir.path(), number, size).unwrap();
    state.seal();
    state.spare.clear();
    let overtaking = shared.take_slot(&mut state, 100).unwrap();
    assert!(overtaking.at.segment > number);
    shared.admit(&mut state, number, file, size);
    assert!(state.spare.is_empty() && !segment::path(dir.path(), number).exists());
    // And nothing that is written to is ever removed.
    let behind = Position::start_of(overtaking.at.segment + 1);
    assert!(!removable(&state, behind).contains(&overtaking.at.segment));
}
