//! What the lock guards, and the room arithmetic.
//!
//! Whatever is free in the segments at hand must always cover what open calls have reserved; an intent that would
//! break this gets another segment made first, or is refused. A segment counts as smaller than it is by the
//! largest record, because that much may be left unused where a record did not fit any more: so completions that
//! fit in sum always fit one by one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_domain::RequestId;
use tokio::sync::oneshot;

use super::frame::MAX_RECORD;
use super::handoff::Handoff;
use super::segment::{FIRST_RECORD, Position};
use super::ticket::NotSettled;

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// When it was entered.
    pub(super) since: Instant,
}

/// A record's place, while it is being written.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) file: Arc<File>,
    pub(super) at: Position,
}

/// A segment file, whatever it is used for at present.
#[derive(Debug)]
pub(super) struct SegmentInfo {
    /// What it takes on the disk.
    pub(super) size: u64,
    /// Where its records end; `None` while it is written to or spare.
    pub(super) end: Option<u64>,
    /// How many intents of calls that are still open stand in it.
    pub(super) open: u64,
}

/// A call that began.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenCall {
    pub(super) at: Position,
    pub(super) bytes: u64,
    pub(super) reservation: u64,
    /// Its completion is being written.
    pub(super) ending: bool,
}

/// Whoever waits for a completion's commit.
pub(super) type Waiter = oneshot::Sender<Result<(), NotSettled>>;

/// What the lock guards.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own that someone waits for")]
pub(super) struct State {
    pub(super) active: Option<Active>,
    /// Behind the last record that was written or is being written.
    pub(super) end: Position,
    /// Where records are being written; no more of them than threads.
    pub(super) in_flight: Vec<Position>,
    pub(super) spare: VecDeque<Active>,
    pub(super) next_segment: u64,
    pub(super) segments: BTreeMap<u64, SegmentInfo>,
    pub(super) open: HashMap<RequestId, OpenCall>,
    pub(super) reserved: u64,
    pub(super) allocated: u64,
    /// Someone is making a segment at this moment.
    pub(super) making: bool,
    pub(super) ask_again: Option<Instant>,
    pub(super) warned: bool,
    /// Left segments with writes that no sync covers yet.
    pub(super) unsynced: Vec<Arc<File>>,
    /// The active segment has such writes.
    pub(super) dirty: bool,
    /// Files were made or removed since the directory was synced.
    pub(super) names_changed: bool,
    pub(super) sync_now: bool,
    /// The last place that somebody wants synced at once.
    pub(super) sync_through: Position,
    pub(super) want_spare: bool,
    pub(super) broken: bool,
    pub(super) stop: bool,
    pub(super) unshipped: u64,
    pub(super) unshipped_since: Option<DateTime<Utc>>,
    /// Someone waits for the ledger: ship without lingering.
    pub(super) ship_now: bool,
    pub(super) waiters: HashMap<Position, Waiter>,
    pub(super) handoff: Handoff,
}

impl State {
    /// Up to where a segment can be read; `None` for a spare one, in which nothing stands yet.
    pub(super) fn readable(&self, number: u64) -> Option<u64> {
        let end = match &self.active {
            Some(active) if active.number == number => active.offset,
            _ => self.segments.get(&number)?.end?,
        };
        Some(self.in_flight_in(number).fold(end, u64::min))
    }

    /// Where records are being written in a segment.
    fn in_flight_in(&self, number: u64) -> impl Iterator<Item = u64> {
        self.in_flight.iter().filter(move |at| at.segment == number).map(|at| at.offset)
    }

    /// Whether more may come to be readable in a segment.
    pub(super) fn may_grow(&self, number: u64) -> bool {
        self.active.as_ref().is_some_and(|active| active.number == number)
            || self.in_flight_in(number).next().is_some()
    }

    /// Before this place everything is written.
    pub(super) fn written(&self) -> Position {
        self.in_flight.iter().copied().fold(self.end, Position::min)
    }

    /// The next segment with anything to read, after this one.
    pub(super) fn following(&self, number: u64) -> Option<u64> {
        let (next, _) = self.segments.range(number + 1..).next()?;
        self.readable(*next).map(|_| *next)
    }

    /// What surely fits into the segments at hand.
    fn free(&self) -> u64 {
        let usable =
            |segment: &Active| segment.size.saturating_sub(MAX_RECORD).saturating_sub(segment.offset);
        self.active.iter().chain(&self.spare).map(usable).sum()
    }

    /// Whether so many bytes fit besides all that is reserved.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.free() >= self.reserved.saturating_add(bytes)
    }

    /// Leaves the active segment.
    pub(super) fn seal(&mut self) {
        if let Some(active) = self.active.take() {
            if let Some(info) = self.segments.get_mut(&active.number) {
                info.end = Some(active.offset);
            }
            if std::mem::take(&mut self.dirty) {
                self.unsynced.push(active.file);
            }
        }
    }

    /// Leaves the active segment if it was entered so long ago and nothing in it is needed any more.
    pub(super) fn seal_if_old(&mut self, age: Duration) {
        let old = self
            .active
            .as_ref()
            .is_some_and(|active| active.offset > FIRST_RECORD && active.since.elapsed() >= age);
        if old && self.unshipped == 0 && self.open.is_empty() && self.in_flight.is_empty() {
            self.seal();
        }
    }

    /// Enters a segment that was made.
    pub(super) fn add_spare(&mut self, number: u64, file: File, size: u64) {
        self.segments.insert(number, SegmentInfo { size, end: None, open: 0 });
        let since = Instant::now();
        self.spare.push_back(Active { number, file: Arc::new(file), offset: FIRST_RECORD, size, since });
        self.allocated += size;
        self.names_changed = true;
    }

    fn unpin(&mut self, segment: u64) {
        if let Some(info) = self.segments.get_mut(&segment) {
            info.open = info.open.saturating_sub(1);
        }
    }

    /// Lets a call's completion be so long after all, if there is room for that.
    pub(super) fn extend_reservation(&mut self, id: RequestId, bytes: u64) -> bool {
        let Some(extra) = self.open.get(&id).map(|call| bytes.saturating_sub(call.reservation)) else {
            return false;
        };
        if bytes > MAX_RECORD || !self.has_room(extra) {
            return false;
        }
        if let Some(call) = self.open.get_mut(&id) {
            call.reservation += extra;
            self.reserved += extra;
        }
        true
    }

    /// Enters an open call, or moves it to where its intent stands now.
    pub(super) fn pin(&mut self, id: RequestId, call: OpenCall) {
        if let Some(info) = self.segments.get_mut(&call.at.segment) {
            info.open += 1;
        }
        self.reserved += call.reservation;
        if let Some(before) = self.open.insert(id, call) {
            self.reserved = self.reserved.saturating_sub(before.reservation);
            self.unpin(before.at.segment);
        }
    }

    /// Whether a call's completion is being written.
    pub(super) fn set_ending(&mut self, id: RequestId, ending: bool) {
        if let Some(call) = self.open.get_mut(&id) {
            call.ending = ending;
        }
    }

    /// The call ended: its reservation is free, its intent holds nothing back.
    pub(super) fn release(&mut self, id: RequestId) {
        if let Some(call) = self.open.remove(&id) {
            self.reserved = self.reserved.saturating_sub(call.reservation);
            self.unpin(call.at.segment);
        }
    }
}
