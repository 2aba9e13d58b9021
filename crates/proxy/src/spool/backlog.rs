//! What an earlier process left behind: taken over at the start, searched for calls without an end.
//!
//! The search needs no more memory than calls were open at once: an intent stands before its completion, so the
//! set of open calls only ever holds those between the two.

use std::collections::HashMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};

use costlens_domain::RequestId;
use costlens_domain::ports::Clock;
use tokio::sync::{Notify, watch};

use super::frame::{self, Kind};
use super::handoff::Handoff;
use super::reader::SegmentReader;
use super::segment::{self, FIRST_RECORD, Position};
use super::state::{OpenCall, SegmentInfo, State};
use super::sync::Synced;
use super::writer::{Shared, Totals};
use super::{SpoolConfig, SpoolError, checkpoint, payload};

/// What an earlier process left in the directory; [`super::Spool::start_shipper`] takes it.
#[derive(Debug)]
#[must_use = "without a shipper nothing of it reaches the ledger"]
pub struct Recovered {
    /// How many segment files were found.
    pub segments: u64,
    /// What they take on the disk.
    pub bytes: u64,
    pub(super) numbers: Vec<u64>,
    /// Up to where the ledger surely has everything.
    pub(super) checkpoint: Option<Position>,
}

/// Takes the directory and makes the first segment.
pub(super) fn open(
    config: SpoolConfig,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Shared>, Recovered), SpoolError> {
    let SpoolConfig { segment_bytes, limit_bytes, .. } = config;
    if segment_bytes < SpoolConfig::MIN_SEGMENT_BYTES || limit_bytes < segment_bytes.saturating_mul(2) {
        return Err(SpoolError::Limits { segment_bytes, limit_bytes });
    }
    let dir = config.dir.as_path();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(SpoolError::io("make the directory of"))?;
    let owner = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("owner.lock"))
        .map_err(SpoolError::io("open the lock of"))?;
    match owner.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(SpoolError::Owned { dir: dir.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => return Err(SpoolError::io("lock")(error)),
    }
    let found = segment::list(dir).map_err(SpoolError::io("list"))?;
    let checkpoint = checkpoint::read(dir);
    let newest = found.last().map_or(0, |(number, _)| *number);
    let next_segment = newest.max(checkpoint.map_or(0, |at| at.segment)) + 1;
    let allocated = found.iter().map(|(_, size)| *size).sum();
    let recovered = Recovered {
        segments: found.len() as u64,
        bytes: allocated,
        numbers: found.iter().map(|(number, _)| *number).collect(),
        checkpoint,
    };
    let segments =
        found.into_iter().map(|(number, size)| (number, SegmentInfo { size, end: Some(size), open: 0 }));
    let state = State {
        next_segment,
        segments: segments.collect(),
        allocated,
        handoff: Handoff::starting_at(Position::start_of(next_segment)),
        ..State::default()
    };
    let shared = Arc::new(Shared {
        config,
        clock,
        owner,
        state: Mutex::new(state),
        wake: Condvar::new(),
        made: Condvar::new(),
        synced: watch::Sender::new(Synced::default()),
        rows: Notify::new(),
        file_work: Arc::default(),
        totals: Totals::default(),
    });
    let (state, made) = shared.make_segment(shared.lock());
    drop(state);
    if let Err(error) = made {
        // No reason not to start: what is here can be shipped, and that makes room.
        tracing::warn!(error = %error, "the spool has no room for a new segment yet");
    }
    Ok((shared, recovered))
}

/// A call of the earlier process that has no end, as it is to be shipped.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) id: RequestId,
    pub(super) payload: Vec<u8>,
}

/// Reads all that was left: pins the segments of the calls without an end, gives back unwritten room, counts
/// what is to be shipped, and returns those calls in the order of their intents.
pub(super) fn search(shared: &Shared, recovered: &Recovered) -> io::Result<Vec<Orphan>> {
    let mut open: HashMap<RequestId, OpenCall> = HashMap::new();
    let mut unshipped = 0_u64;
    for number in &recovered.numbers {
        let file = OpenOptions::new().read(true).write(true).open(segment::path(shared.dir(), *number))?;
        let size = file.metadata()?.len();
        let mut reader = SegmentReader::new(&file, FIRST_RECORD, size);
        let mut end = FIRST_RECORD;
        let mut damage_before_end = 0;
        while let Some(record) = reader.next()? {
            let id = payload::call(record.id);
            let at = Position { segment: *number, offset: record.at };
            end = record.end;
            match record.kind {
                Kind::Intent => {
                    open.insert(
                        id,
                        OpenCall { at, bytes: record.end - record.at, reservation: 0, ending: false },
                    );
                }
                Kind::Completion => {
                    open.remove(&id);
                    unshipped += u64::from(recovered.checkpoint.is_none_or(|shipped| at >= shipped));
                }
            }
            damage_before_end = reader.skipped();
        }
        if reader.skipped() == damage_before_end && end < size {
            // Nothing was ever written there. A process that is restarted over and over must not fill its
            // limit with empty segments.
            file.set_len(end)?;
            let mut state = shared.lock();
            state.allocated = state.allocated.saturating_sub(size - end);
            if let Some(info) = state.segments.get_mut(number) {
                (info.size, info.end) = (end, Some(end));
            }
        }
    }
    let mut orphans: Vec<(RequestId, OpenCall)> = open.into_iter().collect();
    orphans.sort_unstable_by_key(|(_, call)| call.at);
    let mut found = Vec::with_capacity(orphans.len());
    for (id, call) in &orphans {
        let record = read_record(shared, *call)?;
        found.push(Orphan { id: *id, payload: record.get(frame::HEADER..).unwrap_or_default().to_vec() });
    }
    let mut state = shared.lock();
    for (id, call) in orphans {
        state.pin(id, call);
    }
    state.unshipped += unshipped + found.len() as u64;
    if state.unshipped > 0 && state.unshipped_since.is_none() {
        state.unshipped_since = Some(shared.clock.now());
    }
    drop(state);
    shared.totals.interrupted.fetch_add(found.len() as u64, Ordering::Relaxed);
    Ok(found)
}

/// The bytes of a record that is known to be there.
pub(super) fn read_record(shared: &Shared, call: OpenCall) -> io::Result<Vec<u8>> {
    let file = segment::open(shared.dir(), call.at.segment)?;
    let mut record = vec![0; usize::try_from(call.bytes).unwrap_or_default()];
    file.read_exact_at(&mut record, call.at.offset)?;
    let whole = frame::head(&record).is_some_and(|head| frame::payload(head, &record).is_some());
    if whole { Ok(record) } else { Err(io::ErrorKind::InvalidData.into()) }
}
