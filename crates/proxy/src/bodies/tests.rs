//! What waits between a call and its row: sealed, bounded, and never in a call's way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;
use costlens_domain::privacy::{BodyClass, BodyState};
use costlens_domain::{ApiKeyId, RequestId, TenantId};
use costlens_vault::{Keyring, MasterKey, OsEntropy, SealedFor, SubjectKeys};
use futures_util::FutureExt as _;
use http::HeaderMap;

use super::capture::OVERLAP;
use super::*;
use crate::keys::Keeping;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const CANARY: &str = "Canary-Stieglitz";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_800_000, 0).unwrap()
}

#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn now(&self) -> DateTime<Utc> {
        now()
    }
}

fn tenant() -> TenantId {
    TenantId::new(now(), [1; 10])
}

fn keys() -> SubjectKeys {
    let (ring, key) = (Keyring::new(MasterKey::parse(KEY).unwrap()), ApiKeyId::new(now(), [2; 10]));
    let wrapped =
        ring.make_subject_key((tenant(), key.uuid()), 3, &OsEntropy).now_or_never().unwrap().unwrap();
    ring.subject(tenant(), key.uuid(), &[(3, wrapped.0)])
}

fn keeping(keys: &SubjectKeys, redact: bool) -> Arc<Keeping> {
    let subject = keys.subject().into();
    Arc::new(Keeping { tenant: tenant(), subject, redact, class: BodyClass::Week, keys: keys.clone() })
}

fn open(config: BodiesConfig) -> Bodies {
    Bodies::open(config, &Now, Arc::new(OsEntropy)).unwrap()
}

fn call(number: u8) -> RequestId {
    RequestId::new(now(), [number; 10])
}

#[expect(clippy::unnecessary_box_returns, reason = "as a call holds it")]
fn capture(bodies: &Bodies, keeping: &Arc<Keeping>, request: &[u8], answer: &[&[u8]]) -> Box<Capture> {
    let request = Bytes::copy_from_slice(request);
    let mut capture = Box::new(Capture::new(bodies, Arc::clone(keeping), &request));
    capture.answer_begins(false, &HeaderMap::new());
    for frame in answer {
        capture.answer(frame);
    }
    capture
}

fn files(dir: &std::path::Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn text_of(keys: &SubjectKeys, id: RequestId, body: &SealedBody) -> (Vec<u8>, Vec<u8>) {
    let open = |column, sealed: &[u8]| {
        let place = SealedFor { tenant: tenant(), table: "request_body", column, row: id.uuid() };
        keys.open(&place, sealed).unwrap().to_vec()
    };
    (open("sealed_request", &body.sealed_request), open("sealed_response", &body.sealed_response))
}

#[tokio::test]
async fn what_passed_waits_sealed_and_nothing_else_of_it_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (open(BodiesConfig::new(dir.path())), keys());
    let capture = capture(&bodies, &keeping(&keys, false), CANARY.as_bytes(), &[b"it ", CANARY.as_bytes()]);
    assert_eq!(capture.keep(call(1)), BodyState::Sealed);
    bodies.settled(&[call(1)]).await;
    let [file] = files(dir.path()).try_into().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert!(bodies.bytes_of(call(1)) == bytes.len() as u64 && !bodies.is_empty());

    let found = bodies.read(vec![call(1), call(2)]).await;
    let body = &found[&call(1)];
    assert_eq!(text_of(&keys, call(1), body), (CANARY.into(), format!("it {CANARY}").into()));
    assert_eq!((found.len(), body.class, body.key_version), (1, BodyClass::Week, 3));
    assert_eq!((body.request_bytes, body.response_bytes), (CANARY.len() as u64, 3 + CANARY.len() as u64));
    bodies.forget(vec![call(1), call(2)]).await;
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
    assert!(bodies.is_empty() && bodies.read(vec![call(1)]).await.is_empty());
}

#[tokio::test]
async fn personal_data_is_gone_before_anything_is_sealed_and_a_long_end_is_cut_with_room() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (open(BodiesConfig::new(dir.path())), keys());
    let keeping = keeping(&keys, true);
    let request = br#"{"messages":[{"content":"mail jane@example.com"}]}"#;
    let mut long = b"{\"content\":\"".to_vec();
    long.resize(LONGEST_BODY + OVERLAP - 10, b'x');
    // The number stands over the end of what is captured.
    long.extend_from_slice(b" 4111 1111 1111 1111\"}");
    let short = capture(&bodies, &keeping, request, &[b"{}"]);
    let cut = capture(&bodies, &keeping, request, &[&long]);
    assert_eq!((short.keep(call(1)), cut.keep(call(2))), (BodyState::Sealed, BodyState::Truncated));
    bodies.settled(&[call(1), call(2)]).await;
    let found = bodies.read(vec![call(1), call(2)]).await;
    let (request, _) = text_of(&keys, call(1), &found[&call(1)]);
    assert_eq!(String::from_utf8(request).unwrap(), r#"{"messages":[{"content":"mail [EMAIL]"}]}"#);
    let (_, answer) = text_of(&keys, call(2), &found[&call(2)]);
    assert!(answer.len() <= LONGEST_BODY && answer.ends_with(b"xxx"), "{} bytes", answer.len());
    assert_eq!(found[&call(2)].response_bytes, long.len() as u64);
}

#[tokio::test]
async fn without_redaction_exactly_the_longest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (open(BodiesConfig::new(dir.path())), keys());
    let keeping = keeping(&keys, false);
    let frame = vec![b'x'; LONGEST_BODY / 2];
    let exact = capture(&bodies, &keeping, b"{}", &[&frame, &frame]);
    let longer = capture(&bodies, &keeping, &vec![b'r'; LONGEST_BODY + 1], &[&frame, &frame, b"y"]);
    assert_eq!((exact.keep(call(1)), longer.keep(call(2))), (BodyState::Sealed, BodyState::Truncated));
    bodies.settled(&[call(1), call(2)]).await;
    for (id, found) in bodies.read(vec![call(1), call(2)]).await {
        let (request, answer) = text_of(&keys, id, &found);
        assert_eq!(answer.len(), LONGEST_BODY);
        assert!(request.len() <= LONGEST_BODY);
    }
}

#[tokio::test]
async fn a_compressed_answer_cannot_be_looked_into_and_is_not_kept_where_it_would_have_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (open(BodiesConfig::new(dir.path())), keys());
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    for (redact, state) in [(true, BodyState::Unavailable), (false, BodyState::Sealed)] {
        let mut capture = capture(&bodies, &keeping(&keys, redact), b"{}", &[]);
        capture.answer_begins(false, &headers);
        capture.answer(b"\x1f\x8b");
        assert_eq!(capture.keep(call(u8::from(redact))), state);
    }
}

#[tokio::test]
async fn memory_and_disk_have_limits_and_a_body_past_them_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = BodiesConfig { memory_bytes: 100, limit_bytes: 1_000, ..BodiesConfig::new(dir.path()) };
    let (bodies, keys) = (open(config), keys());
    let keeping = keeping(&keys, false);
    // In memory: what is held comes back when it is let go.
    let held = capture(&bodies, &keeping, &[b'x'; 60], &[]);
    assert_eq!(capture(&bodies, &keeping, &[b'x'; 60], &[]).keep(call(1)), BodyState::Unavailable);
    assert_eq!(capture(&bodies, &keeping, b"{}", &[&[b'x'; 60]]).keep(call(1)), BodyState::Unavailable);
    drop(held);
    assert_eq!(capture(&bodies, &keeping, &[b'x'; 60], &[]).keep(call(2)), BodyState::Sealed);
    bodies.settled(&[call(2)]).await;
    bodies.forget(vec![call(2)]).await;
    // On the disk: the file of the fourth is one too many.
    let mut kept = 0;
    for number in 2..6 {
        assert_eq!(capture(&bodies, &keeping, &[b'x'; 60], &[]).keep(call(number)), BodyState::Sealed);
        bodies.settled(&[call(number)]).await;
        kept += bodies.read(vec![call(number)]).await.len();
    }
    assert!((1..4).contains(&kept), "{kept} files in a thousand bytes");
    assert_eq!(files(dir.path()).len(), kept);
    assert_eq!(bodies.shared.held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_disk_that_fails_costs_the_body_alone() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("bodies");
    let (bodies, keys) = (open(BodiesConfig::new(&below)), keys());
    std::fs::remove_dir(&below).unwrap();
    assert_eq!(capture(&bodies, &keeping(&keys, false), b"{}", &[]).keep(call(1)), BodyState::Sealed);
    bodies.settled(&[call(1)]).await;
    assert!(bodies.read(vec![call(1)]).await.is_empty() && bodies.is_empty());
}

#[tokio::test]
async fn what_an_earlier_process_left_is_found_but_for_what_is_torn_or_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys();
    let old = RequestId::new(now() - TimeDelta::days(8), [9; 10]);
    {
        let bodies = open(BodiesConfig::new(dir.path()));
        for id in [call(1), call(2), old] {
            assert_eq!(capture(&bodies, &keeping(&keys, false), b"{}", &[]).keep(id), BodyState::Sealed);
        }
        bodies.settled(&[call(1), call(2), old]).await;
    }
    let torn = dir.path().join(format!("{}.body", call(2).uuid().simple()));
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(dir.path().join("half.new"), b"never ended").unwrap();
    let bodies = open(BodiesConfig::new(dir.path()));
    let found = bodies.read(vec![call(1), call(2), old]).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [call(1)]);
    assert_eq!(files(dir.path()).len(), 2, "a torn file goes with its row");
    bodies.forget(vec![call(2)]).await;
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn any_changed_byte_of_a_file_is_noticed() {
    let body = SealedBody {
        class: BodyClass::Forever,
        subject: ApiKeyId::new(now(), [2; 10]),
        key_version: 7,
        redacted: true,
        request_bytes: 1,
        response_bytes: 2,
        sealed_request: vec![1, 2, 3],
        sealed_response: Vec::new(),
    };
    let bytes = file::encode(&body);
    assert_eq!(file::decode(&bytes), Some(body));
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert_eq!(file::decode(&changed), None, "byte {place}");
        assert_eq!(file::decode(&bytes[..place]), None, "cut at {place}");
    }
}

/// Randomness that comes when the gate is opened.
#[derive(Debug)]
struct Gated(AtomicBool);

impl Entropy for Gated {
    fn fill(&self, bytes: &mut [u8]) {
        while !self.0.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        OsEntropy.fill(bytes);
    }
}

#[tokio::test]
async fn a_body_that_is_sealed_after_its_row_went_leaves_no_file_and_nobody_waits_for_it_twice() {
    let dir = tempfile::tempdir().unwrap();
    let wait = Duration::from_millis(50);
    let entropy = Arc::new(Gated(AtomicBool::new(false)));
    let config = BodiesConfig { wait, ..BodiesConfig::new(dir.path()) };
    let bodies = Bodies::open(config, &Now, Arc::clone(&entropy) as _).unwrap();
    let keys = keys();
    for number in [1, 2] {
        let capture = capture(&bodies, &keeping(&keys, false), b"question", &[b"answer"]);
        assert_eq!(capture.keep(call(number)), BodyState::Sealed);
    }
    bodies.settled(&[call(1)]).await;
    bodies.forget(vec![call(1)]).await;
    // It is known by now that the other one is not waited for in vain again.
    assert_eq!(bodies.settled(&[call(2)]).now_or_never(), Some(()));
    entropy.0.store(true, Ordering::Release);
    while bodies.bytes_of(call(2)) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(files(dir.path()).len(), 1, "the first one's file stayed");
    let on_disk = bodies.shared.lock().file_bytes;
    assert_eq!(on_disk, bodies.bytes_of(call(2)));
    bodies.forget(vec![call(2)]).await;
    assert!(bodies.is_empty() && bodies.shared.lock().file_bytes == 0);
}
