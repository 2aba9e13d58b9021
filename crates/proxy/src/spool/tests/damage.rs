//! Torn tails and flipped bits in a spool's files: everything else still arrives, once.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use costlens_domain::request::{Durability, Outcome, RequestFact};

use super::super::frame::Kind;
use super::super::payload;
use super::{completed, intent, open, replay, segments, small};

/// Calls 1..=count, all completed, in one segment of a spool that is then released.
fn written(dir: &Path, count: u64) {
    let (spool, _recovered) = open(small(dir));
    for number in 1..=count {
        spool.begin(&intent(number)).unwrap().complete(completed(number), Durability::Spool).unwrap();
    }
}

fn length(kind: Kind, fact: &RequestFact) -> u64 {
    let mut record = Vec::new();
    payload::encode(&mut record, kind, fact).unwrap();
    record.len() as u64
}

fn copy_spool(from: &Path, to: &Path) {
    for file in segments(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn a_last_record_torn_at_any_byte_leaves_an_interrupted_call() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 3);
    let last = length(Kind::Completion, &completed(3));
    let end = 16
        + (1..=3)
            .map(|n| length(Kind::Intent, &intent(n)) + length(Kind::Completion, &completed(n)))
            .sum::<u64>();
    for cut in 1..=last {
        let dir = tempfile::tempdir().unwrap();
        copy_spool(whole.path(), dir.path());
        let segment = OpenOptions::new().write(true).open(&segments(dir.path())[0]).unwrap();
        let zeros = vec![0; usize::try_from(cut).unwrap()];
        segment.write_all_at(&zeros, end - cut).unwrap();
        let (rows, _) = replay(small(dir.path())).await;
        let third = if completed(3) == rows[rows.iter().position(|row| row.id == intent(3).id).unwrap()] {
            // The record's last bytes are never zero: cut, it cannot be whole.
            panic!("a completion without its last {cut} bytes was believed");
        } else {
            intent(3)
        };
        let mut expected = vec![third, completed(1), completed(2)];
        let mut rows = rows;
        rows.sort_by_key(|row| row.id);
        expected.sort_by_key(|row| row.id);
        assert_eq!(rows, expected, "{cut} bytes were cut off");
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_of_its_last_record_is_read_up_to_there() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), 2);
    let last = length(Kind::Completion, &completed(2));
    let end = 16
        + (1..=2)
            .map(|n| length(Kind::Intent, &intent(n)) + length(Kind::Completion, &completed(n)))
            .sum::<u64>();
    for cut in (1..=last).step_by(7) {
        let dir = tempfile::tempdir().unwrap();
        copy_spool(whole.path(), dir.path());
        OpenOptions::new().write(true).open(&segments(dir.path())[0]).unwrap().set_len(end - cut).unwrap();
        let (rows, _) = replay(small(dir.path())).await;
        assert_eq!(rows, [intent(2), completed(1)], "{cut} bytes were cut off");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_completion_leaves_an_interrupted_call_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 10);
    let before: u64 =
        (1..=4).map(|n| length(Kind::Intent, &intent(n)) + length(Kind::Completion, &completed(n))).sum();
    let at = 16 + before + length(Kind::Intent, &intent(5)) + 60;
    let segment = OpenOptions::new().read(true).write(true).open(&segments(dir.path())[0]).unwrap();
    let mut byte = [0];
    segment.read_exact_at(&mut byte, at).unwrap();
    segment.write_all_at(&[byte[0] ^ 4], at).unwrap();

    let (rows, counters) = replay(small(dir.path())).await;
    assert_eq!(rows.len(), 10);
    assert_eq!(
        rows.iter().filter(|row| row.outcome == Outcome::Interrupted).collect::<Vec<_>>(),
        [&intent(5)]
    );
    assert_eq!(counters.skipped_bytes, length(Kind::Completion, &completed(5)));
}

#[tokio::test]
async fn a_hole_of_lost_pages_does_not_hide_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 40);
    let segment = OpenOptions::new().write(true).open(&segments(dir.path())[0]).unwrap();
    segment.write_all_at(&[0; 4096], 4096).unwrap();
    let (rows, _) = replay(small(dir.path())).await;
    for number in [1, 2, 38, 39, 40] {
        assert!(rows.contains(&completed(number)), "call {number} is missing");
    }
}

#[tokio::test]
async fn an_unreadable_checkpoint_only_costs_time() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    std::fs::write(dir.path().join("checkpoint.json"), b"{\"segm").unwrap();
    let (rows, _) = replay(small(dir.path())).await;
    assert_eq!(rows, [completed(1), completed(2), completed(3)]);
}
