//! Records read back as they were written, whatever stands between them.

use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::frame::{self, HEADER, Kind, MAGIC};
use super::super::reader::SegmentReader;

type Read = (Kind, Uuid, Vec<u8>);

fn record(kind: Kind, id: Uuid, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    frame::begin(&mut record, kind, id);
    record.extend_from_slice(payload);
    frame::seal(&mut record);
    record
}

fn read(log: &[u8]) -> (Vec<Read>, u64) {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(log, 0).unwrap();
    let mut reader = SegmentReader::new(&file, 0, log.len() as u64);
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push((record.kind, record.id, record.payload.to_vec()));
    }
    (found, reader.skipped())
}

fn a_record() -> impl Strategy<Value = Read> {
    let kind = prop_oneof![Just(Kind::Intent), Just(Kind::Completion)];
    (kind, any::<u128>(), "[ -~äΩ]{0,300}")
        .prop_map(|(kind, id, payload)| (kind, Uuid::from_u128(id), payload.into_bytes()))
}

/// Something that is no record: zeros, noise, or the beginning of a record that was never finished.
fn a_gap() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..600_usize).prop_map(|zeros| vec![0; zeros]),
        prop::collection::vec(any::<u8>(), 0..200),
        (a_record(), 0..HEADER).prop_map(|((kind, id, payload), cut)| {
            let mut torn = record(kind, id, &payload);
            torn.truncate(cut.max(4));
            torn
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_read_back_in_order(records in prop::collection::vec(a_record(), 0..40)) {
        let log: Vec<u8> = records.iter().flat_map(|(kind, id, payload)| record(*kind, *id, payload)).collect();
        prop_assert_eq!(read(&log), (records, 0));
    }

    #[test]
    fn every_record_is_found_between_what_is_none(
        records in prop::collection::vec((a_gap(), a_record()), 0..12),
        tail in a_gap(),
    ) {
        let mut log = Vec::new();
        for (gap, (kind, id, payload)) in &records {
            log.extend_from_slice(gap);
            log.extend_from_slice(&record(*kind, *id, payload));
        }
        log.extend_from_slice(&tail);
        let (found, _) = read(&log);
        prop_assert_eq!(found, records.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    }

    #[test]
    fn one_flipped_bit_costs_one_record_and_is_counted(
        records in prop::collection::vec(a_record(), 2..8),
        victim in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let victim = victim.index(records.len());
        let mut log = Vec::new();
        for (number, (kind, id, payload)) in records.iter().enumerate() {
            let mut bytes = record(*kind, *id, payload);
            if number == victim {
                let bit = bit.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            log.extend_from_slice(&bytes);
        }
        let (found, skipped) = read(&log);
        let mut rest = records;
        rest.remove(victim);
        prop_assert_eq!(found, rest);
        prop_assert!(skipped > 0);
    }
}

#[test]
fn a_payload_cannot_pretend_to_be_a_record() {
    let every_char = (char::MIN..=char::MAX).map(|char| char.to_string()).collect::<String>();
    for foreign in &MAGIC[..3] {
        assert!(!every_char.as_bytes().contains(foreign), "{foreign:#x} occurs in text");
    }
}

#[test]
fn records_across_the_reading_window_are_whole() {
    let payload = vec![b'x'; 15_000];
    let log: Vec<u8> =
        (0..60).flat_map(|id| record(Kind::Completion, Uuid::from_u128(id), &payload)).collect();
    let (found, skipped) = read(&log);
    assert_eq!((found.len(), skipped), (60, 0));
    assert!(found.iter().all(|(_, _, read)| *read == payload));
}
