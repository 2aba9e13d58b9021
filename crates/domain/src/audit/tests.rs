//! The encoding, and what the verifier names. The digest of these tests is quick and no SHA-256: what it is does not
//! matter to either.

use chrono::{DateTime, NaiveDate, Utc};
use proptest::prelude::*;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Action;
use super::anchor::{Anchor, AnchoredHead};
use super::chain::{Chain, Hash, Place, Record, encode, spaced};
use super::export::{Begin, End, Line};
use super::verify::{AnchorFault, Fault, read_anchors, verify};
use crate::{AuditEventId, RequestId, TenantId};

/// Four times FNV-1a, each from another beginning.
fn digest(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    for (n, part) in hash.chunks_mut(8).enumerate() {
        let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in bytes {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        part.copy_from_slice(&state.to_be_bytes());
    }
    Hash(hash)
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 123_456_000).unwrap()
}

fn chain() -> Chain {
    Chain::Tenant(TenantId::from(Uuid::from_u128(7)))
}

/// A chain of so many events, as an export has it.
fn lines(events: u64) -> Vec<String> {
    let mut place = Place::START;
    let mut lines = vec![serde_json::to_string(&Begin::new(&chain(), place)).unwrap()];
    for seq in 1..=events {
        let mut line = Line {
            seq,
            id: AuditEventId::new(at(0), [u8::try_from(seq).unwrap(); 10]),
            at: at(i64::try_from(seq).unwrap()),
            actor: "session:ses_1".to_owned(),
            action: "key.created".to_owned(),
            target: (seq % 2 == 0).then(|| format!("key_{seq}")),
            change: RawValue::from_string(format!("{{\"name\": \"a, b: \\\"{seq}\\\\\", \"n\": 1.0}}"))
                .unwrap(),
            request_id: (seq % 3 == 0).then(|| RequestId::new(at(0), [3; 10])),
            address: (seq % 2 == 1).then(|| "192.0.2.1".to_owned()),
            prev: place.hash,
            hash: Hash::NONE,
        };
        line.hash = digest(&encode(&chain(), seq, place.hash, &line.record()));
        place = Place { seq, hash: line.hash };
        lines.push(serde_json::to_string(&line).unwrap());
    }
    lines.push(serde_json::to_string(&End { end: place.into() }).unwrap());
    lines
}

/// The hash in a line.
fn place_in(line: &str) -> Place {
    let line: Line = serde_json::from_str(line).unwrap();
    Place { seq: line.seq, hash: line.hash }
}

fn fault(lines: Vec<String>) -> (u64, Fault) {
    let broken = verify(lines, digest, &[], None).unwrap_err();
    (broken.line, broken.fault)
}

#[test]
fn a_whole_export_is_whole_and_so_is_one_in_parts() {
    let all = lines(9);
    let whole = verify(all.clone(), digest, &[], None).unwrap();
    assert_eq!((whole.events, whole.head.seq, whole.after, whole.compared), (9, 9, Place::START, 0));
    assert_eq!(whole.chain, chain());
    let empty = verify(lines(0), digest, &[], None).unwrap();
    assert_eq!((empty.events, empty.head), (0, Place::START));

    // The first part broke off; the second goes on after the last that came.
    let mut parts = all[..5].to_vec();
    parts.push(serde_json::to_string(&Begin::new(&chain(), place_in(&all[4]))).unwrap());
    parts.extend_from_slice(&all[5..]);
    assert_eq!(verify(parts, digest, &[], None).unwrap().events, 9);
    // One that goes on where the other did not end.
    let mut parts = all[..5].to_vec();
    parts.push(serde_json::to_string(&Begin::new(&chain(), place_in(&all[5]))).unwrap());
    parts.extend_from_slice(&all[6..]);
    assert_eq!(fault(parts), (6, Fault::GoesOnElsewhere { says: 5, is: 4 }));
    // What was pruned before is not there, and the rest is whole.
    let mut rest = vec![serde_json::to_string(&Begin::new(&chain(), place_in(&all[3]))).unwrap()];
    rest.extend_from_slice(&all[4..]);
    let rest = verify(rest, digest, &[], None).unwrap();
    assert_eq!((rest.after.seq, rest.events, rest.head.seq), (3, 6, 9));
}

#[test]
fn whatever_is_done_to_the_lines_the_first_broken_one_is_named() {
    let all = lines(9);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = all.clone();
        change(&mut lines);
        fault(lines)
    };
    assert_eq!(with(&|lines| drop(lines.remove(4))), (5, Fault::Missing { missing: 4, found: 5 }));
    assert_eq!(with(&|lines| lines.swap(4, 5)), (5, Fault::Moved { place: 4, found: 5 }));
    assert_eq!(with(&|lines| lines.insert(5, lines[3].clone())), (6, Fault::Moved { place: 5, found: 3 }));
    assert_eq!(with(&|lines| lines.truncate(7)), (8, Fault::BrokenOff { last: 6 }));
    assert_eq!(
        with(&|lines| drop(lines.remove(9))),
        (11, Fault::Truncated { known: 9, last: 8, by: "the last line".to_owned() })
    );
    let end = serde_json::to_string(&End { end: place_in(&all[8]).into() }).unwrap();
    assert_eq!(with(&|lines| lines[10].clone_from(&end)), (11, Fault::EndsElsewhere { says: 8, is: 9 }));
    assert_eq!(with(&|lines| drop(lines.remove(0))), (1, Fault::NoBeginning));
    assert_eq!(with(&|lines| lines.push(lines[9].clone())), (12, Fault::AfterTheEnd));
    assert_eq!(fault(vec![]), (1, Fault::NoBeginning));
    let other = Begin::new(&Chain::Operator, place_in(&all[3]));
    let other = serde_json::to_string(&other).unwrap();
    assert_eq!(with(&|lines| lines.insert(4, other.clone())), (5, Fault::OtherChain));
    // Another's chain with the same events.
    assert_eq!(
        with(&|lines| lines[0] = serde_json::to_string(&Begin::new(&Chain::Operator, Place::START)).unwrap()),
        (2, Fault::Changed(1))
    );
    // A field that no hash is over.
    let (line, more) = with(&|lines| lines[2] = lines[2].replacen('{', "{\"note\":\"x\",", 1));
    assert!(matches!((line, &more), (3, Fault::NotALine(_))), "{line} {more:?}");

    // An event written anew with the right hash of its own: the next one does not follow it.
    let mut forged: Line = serde_json::from_str(&all[4]).unwrap();
    forged.actor = "session:somebody else".to_owned();
    forged.hash = digest(&encode(&chain(), 4, forged.prev, &forged.record()));
    let forged = serde_json::to_string(&forged).unwrap();
    assert_eq!(with(&|lines| lines[4].clone_from(&forged)), (6, Fault::Unlinked(5)));
}

#[test]
fn a_tail_that_was_cut_with_its_end_is_seen_by_who_knows_the_head() {
    let all = lines(9);
    let mut cut = all[..7].to_vec();
    cut.push(serde_json::to_string(&End { end: place_in(&all[6]).into() }).unwrap());
    // By itself it is a whole export of six events.
    assert_eq!(verify(cut.clone(), digest, &[], None).unwrap().events, 6);
    let head = place_in(&all[9]);
    let broken = verify(cut.clone(), digest, &[], Some(head)).unwrap_err();
    let by = "the head that was given".to_owned();
    assert_eq!((broken.line, broken.fault), (9, Fault::Truncated { known: 9, last: 6, by }));
    assert_eq!(verify(all.clone(), digest, &[], Some(head)).unwrap().compared, 1);

    let anchor = |n, seq: usize, previous| Anchor {
        costlens_audit_anchor: 1,
        n,
        day: NaiveDate::from_ymd_opt(2026, 11, u32::try_from(n).unwrap()).unwrap(),
        at: at(0),
        previous,
        heads: vec![AnchoredHead {
            chain: chain().tag(digest),
            seq: seq as u64,
            hash: place_in(&all[seq]).hash,
        }],
    };
    let first = anchor(1, 5, Hash::NONE);
    let bytes = serde_json::to_vec(&first).unwrap();
    let second = anchor(2, 8, digest(&bytes));
    let anchors = [first, second];
    let by = "the anchor of 2026-11-02".to_owned();
    let broken = verify(cut, digest, &anchors, None).unwrap_err();
    assert_eq!(broken.fault, Fault::Truncated { known: 8, last: 6, by });
    assert_eq!(verify(all.clone(), digest, &anchors, Some(head)).unwrap().compared, 3);

    // Every event written anew from the third on, all hashes right: only the anchor knows.
    let mut place = place_in(&all[2]);
    let mut anew = all[..3].to_vec();
    for line in &all[3..10] {
        let mut line: Line = serde_json::from_str(line).unwrap();
        line.actor = "session:ses_2".to_owned();
        line.prev = place.hash;
        line.hash = digest(&encode(&chain(), line.seq, line.prev, &line.record()));
        place = Place { seq: line.seq, hash: line.hash };
        anew.push(serde_json::to_string(&line).unwrap());
    }
    anew.push(serde_json::to_string(&End { end: place.into() }).unwrap());
    assert_eq!(verify(anew.clone(), digest, &[], None).unwrap().events, 9);
    let broken = verify(anew, digest, &anchors, None).unwrap_err();
    let by = "the anchor of 2026-11-01".to_owned();
    assert_eq!((broken.line, broken.fault), (6, Fault::Rewritten { seq: 5, by }));

    // The anchors name each other.
    let files = |anchors: &[Anchor]| -> Vec<(String, Vec<u8>)> {
        anchors.iter().map(|a| (Anchor::file_name(a.n), serde_json::to_vec(a).unwrap())).collect()
    };
    assert_eq!(read_anchors(files(&anchors), digest).unwrap(), anchors);
    let mut touched = anchors.clone();
    touched[0].heads[0].seq += 1;
    assert_eq!(read_anchors(files(&touched), digest), Err(AnchorFault::Unlinked(1)));
    let mut gap = anchors.clone();
    gap[1].n = 3;
    assert_eq!(read_anchors(files(&gap), digest), Err(AnchorFault::Missing(2)));
}

#[test]
fn spaces_between_the_tokens_of_a_change_do_not_matter_and_those_in_its_texts_do() {
    let postgres = r#"{"a": [1, 2.50, {"b": "x:  y, \" \\"}], "": null}"#;
    for same in [
        postgres,
        r#"{"a":[1,2.50,{"b":"x:  y, \" \\"}],"":null}"#,
        "{\n \"a\" :[ 1 ,2.50,{\"b\":\"x:  y, \\\" \\\\\"}] , \"\":null }",
    ] {
        assert_eq!(spaced(same), postgres);
    }
    assert_ne!(spaced(r#"{"b":"x: y"}"#), spaced(r#"{"b":"x:y"}"#));
    assert_eq!(spaced("{}"), "{}");
}

#[test]
fn an_actions_name_is_a_thing_and_what_was_done_to_it_and_stands_once() {
    let names: std::collections::BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(names.len(), Action::ALL.len());
    for name in names {
        let (thing, done) = name.split_once('.').unwrap();
        assert!([thing, done].iter().all(|part| part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}

/// Takes apart what [`encode`] made: that this can be done is why no two events make the same bytes.
fn decode(bytes: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while let Some((&mark, after)) = rest.split_first() {
        if mark == 0 {
            fields.push(None);
            rest = after;
            continue;
        }
        let (length, after) = after.split_at_checked(8)?;
        let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        fields.push(Some(field.to_vec()));
        rest = after;
    }
    Some(fields)
}

fn any_record() -> impl Strategy<Value = Record> {
    // Short texts of few letters, so that two records are often nearly the same; and any text at all.
    let text = || prop_oneof!["[ab\u{0}\u{1}]{0,3}", any::<String>()];
    let some = move || proptest::option::of(text());
    let id = || prop_oneof![Just(0_u128), Just(1), any::<u128>()];
    let micros = prop_oneof![Just(0_i64), Just(1), -62_135_596_800_000_000_i64..253_402_300_799_000_000];
    (id(), micros, text(), text(), some(), text(), proptest::option::of(id()), some()).prop_map(
        |(id, micros, actor, action, target, change, request_id, address)| Record {
            id: Uuid::from_u128(id),
            at: DateTime::from_timestamp_micros(micros).unwrap(),
            actor,
            action,
            target,
            change,
            request_id: request_id.map(Uuid::from_u128),
            address,
        },
    )
}

fn any_place() -> impl Strategy<Value = (Chain, u64, Hash)> {
    let chain = prop_oneof![
        Just(Chain::Operator),
        any::<u128>().prop_map(|id| Chain::Tenant(Uuid::from_u128(id).into())),
        any::<u128>().prop_map(|id| Chain::Erasure(Uuid::from_u128(id).into())),
    ];
    let hash = prop_oneof![Just([0; 32]), any::<[u8; 32]>()];
    (chain, prop_oneof![Just(1_u64), any::<u64>()], hash.prop_map(Hash))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_different_events_never_encode_the_same(
        a in (any_place(), any_record()), b in (any_place(), any_record())
    ) {
        let bytes = |((chain, seq, prev), record): &((Chain, u64, Hash), Record)| encode(chain, *seq, *prev, record);
        prop_assert_eq!(a == b, bytes(&a) == bytes(&b));
        // Of one event every field is there again.
        let ((chain, seq, prev), record) = &a;
        let fields = decode(&bytes(&a)).unwrap();
        let expected: Vec<Option<Vec<u8>>> = vec![
            Some(super::chain::VERSION.into()),
            Some(chain.to_string().into()),
            Some(seq.to_be_bytes().into()),
            Some(prev.0.into()),
            Some(record.id.as_bytes().to_vec()),
            Some(record.at.timestamp_micros().to_be_bytes().into()),
            Some(record.actor.clone().into()),
            Some(record.action.clone().into()),
            record.target.clone().map(Into::into),
            Some(record.change.clone().into()),
            record.request_id.map(|id| id.as_bytes().to_vec()),
            record.address.clone().map(Into::into),
        ];
        prop_assert_eq!(fields, expected);
    }

    #[test]
    fn any_byte_that_is_flipped_in_an_event_is_seen(line in 1_usize..=9, at in any::<prop::sample::Index>(), bit in 0..7_u32) {
        let mut lines = lines(9);
        let mut bytes = lines[line].clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // What is no text any more is no line either.
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        // `1.0` and a space between two tokens are the two things that may change and say the same.
        let same = serde_json::from_str::<Line>(&text).is_ok_and(|new| {
            let old: Line = serde_json::from_str(&lines[line]).unwrap();
            new.record() == old.record() && (new.seq, new.prev, new.hash) == (old.seq, old.prev, old.hash)
        });
        prop_assume!(!same);
        lines[line] = text;
        let broken = verify(lines, digest, &[], None).unwrap_err();
        prop_assert!(broken.line == line as u64 + 1, "{} instead of {}", broken, line + 1);
    }

    #[test]
    fn a_chains_name_is_read_as_it_is_written((chain, _, _) in any_place()) {
        prop_assert_eq!(chain.to_string().parse::<Chain>().unwrap(), chain);
    }
}
