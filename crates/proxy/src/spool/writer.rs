//! The writing side: a place in the log is taken under the lock, and written to without it, by one call per record.
//!
//! Nobody waits for another's write. Until a record is written, readers see the log end before its place; a
//! process that is killed meanwhile leaves zeros there, which no reader takes for damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use costlens_domain::RequestId;
use costlens_domain::ports::Clock;
use costlens_domain::request::{Durability, RequestFact};
use tokio::sync::{Notify, oneshot, watch};

use super::backlog::{self, Recovered};
use super::frame::{Kind, MAX_RECORD};
use super::handoff::Handed;
use super::segment::{self, Position};
use super::state::{Active, OpenCall, Slot, State};
use super::sync::{self, Synced};
use super::ticket::{NotSettled, Ticket};
use super::{SpoolConfig, SpoolCounters, SpoolError, payload};

/// How much longer than its intent a completion may be without giving texts away.
pub(super) const COMPLETION_ROOM: u64 = 1536;
/// After the disk refused a segment, intents are refused without asking it again for so long.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The spool of one process. Clones are the same spool; the directory is released with the last clone, ticket
/// and shipper.
#[derive(Clone, Debug)]
pub struct Spool {
    pub(super) handle: Arc<Handle>,
}

impl Spool {
    /// Takes ownership of the directory. What an earlier process left comes back as [`Recovered`], for
    /// [`Spool::start_shipper`] to carry on with while new calls already flow.
    pub fn open(config: SpoolConfig, clock: Arc<dyn Clock>) -> Result<(Self, Recovered), SpoolError> {
        let (shared, recovered) = backlog::open(config, clock)?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(move || sync::run(&for_thread))
            .map_err(SpoolError::io("start the sync thread of"))?;
        let handle = Arc::new(Handle { shared, thread: Mutex::new(Some(thread)) });
        Ok((Self { handle }, recovered))
    }

    /// Records that a call is about to be made, and reserves the room of its end. `interrupted` is the very
    /// fact that is shipped if the call's end never comes. Takes microseconds: one write to the page cache.
    pub fn begin(&self, interrupted: &RequestFact) -> Result<Ticket, SpoolError> {
        let mut record = Vec::with_capacity(1024);
        payload::encode(&mut record, Kind::Intent, interrupted)?;
        let reservation = self.handle.shared.write_intent(interrupted.id, &record)?;
        Ok(Ticket::new(Arc::clone(&self.handle), interrupted.id, record, reservation))
    }

    /// How the spool stands.
    pub fn counters(&self) -> SpoolCounters {
        self.handle.shared.counters()
    }
}

/// Tells of a completion's commit.
pub(super) type Committed = oneshot::Receiver<Result<(), NotSettled>>;

/// Stops the sync thread when the last user is gone.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the spool's sync thread panicked");
        }
    }
}

/// What writer, sync thread and shipper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SpoolConfig,
    pub(super) clock: Arc<dyn Clock>,
    /// Holds the directory's lock for as long as it is open.
    pub(super) owner: File,
    pub(super) state: Mutex<State>,
    /// Wakes the sync thread.
    pub(super) wake: Condvar,
    /// Wakes those who wait for a segment that another is making.
    pub(super) made: Condvar,
    pub(super) synced: watch::Sender<Synced>,
    /// Wakes the shipper.
    pub(super) rows: Notify,
    /// Held by the shipper's file work while it runs.
    pub(super) file_work: Arc<tokio::sync::Mutex<()>>,
    pub(super) totals: Totals,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closing would do, were it not that a child process between fork and exec holds the same open file.
        let _ = self.owner.unlock();
    }
}

/// Totals since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) shipped: AtomicU64,
    pub(super) interrupted: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sync_failures: AtomicU64,
    pub(super) sink_failures: AtomicU64,
}

impl Shared {
    /// No code panics while it holds the lock; if it did, the state is still the best there is.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.config.dir
    }

    fn write_intent(&self, id: RequestId, record: &[u8]) -> Result<u64, SpoolError> {
        let bytes = record.len() as u64;
        let reservation = bytes + COMPLETION_ROOM;
        if reservation > MAX_RECORD {
            return Err(SpoolError::TooLarge { bytes: record.len() });
        }
        let mut state = self.lock();
        while !state.has_room(bytes + reservation) {
            let (again, made) = self.make_segment(state);
            state = again;
            if let Err(reason) = made {
                drop(state);
                if self.totals.refused.fetch_add(1, Ordering::Relaxed).is_multiple_of(1000) {
                    tracing::error!(error = %reason, "the spool is full: calls are refused");
                }
                return Err(SpoolError::Full);
            }
        }
        if state.broken {
            return Err(SpoolError::Unsynced);
        }
        if state.open.contains_key(&id) {
            return Err(SpoolError::Duplicate);
        }
        // Pinned before it is written, so that its segment stays.
        let pin = |state: &mut State, at| state.pin(id, OpenCall { at, bytes, reservation, ending: false });
        let (mut state, written) = self.append(state, record, pin);
        match written {
            Ok(_) => Ok(reservation),
            Err(error) => {
                state.release(id);
                Err(SpoolError::io("write an intent to")(error))
            }
        }
    }

    /// Writes a call's end and gives back its reservation. `fact` is what the record says.
    pub(super) fn write_completion(
        &self,
        id: RequestId,
        record: &[u8],
        fact: Option<RequestFact>,
        durability: Durability,
    ) -> Result<(Position, Option<Committed>), SpoolError> {
        // From here on its intent must not be written again behind it.
        let ends = |state: &mut State, _| state.set_ending(id, true);
        let (mut state, written) = self.append(self.lock(), record, ends);
        let at = match written {
            Ok(at) => at,
            Err(error) => {
                state.set_ending(id, false);
                return Err(SpoolError::io("write a completion to")(error));
            }
        };
        state.release(id);
        let end = Position { offset: at.offset + record.len() as u64, ..at };
        match fact {
            Some(fact) => state.handoff.put(Handed { at, end, fact }),
            None => state.handoff.forget(end),
        }
        state.unshipped += 1;
        if state.unshipped_since.is_none() {
            state.unshipped_since = Some(self.clock.now());
        }
        let mut waits = None;
        match durability {
            Durability::Spool => {}
            Durability::Fsync => {
                state.sync_now = true;
                state.sync_through = state.sync_through.max(at);
                self.wake.notify_one();
            }
            Durability::Database => {
                let (tell, told) = oneshot::channel();
                state.waiters.insert(at, tell);
                state.ship_now = true;
                waits = Some(told);
            }
        }
        let wake_shipper = state.ship_now || state.unshipped == 1 || state.unshipped.is_multiple_of(100);
        drop(state);
        if wake_shipper {
            self.rows.notify_one();
        }
        Ok((at, waits))
    }

    /// One record at the end of the log; `placed` hears its place before it is written. Where the active segment's
    /// file fails, the next one is tried once.
    fn append<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        record: &[u8],
        mut placed: impl FnMut(&mut State, Position),
    ) -> (MutexGuard<'a, State>, io::Result<Position>) {
        let mut failed_before = false;
        loop {
            let slot = match self.take_slot(&mut state, record.len() as u64) {
                Ok(slot) => slot,
                Err(error) => return (state, Err(error)),
            };
            placed(&mut state, slot.at);
            drop(state);
            let written = slot.file.write_all_at(record, slot.at.offset);
            state = self.lock();
            match self.finish_slot(&mut state, &slot, written) {
                Err(error) if !failed_before => {
                    tracing::error!(error = %error, "a spool segment cannot be written; it is left for the next one");
                    failed_before = true;
                }
                finished => return (state, finished),
            }
        }
    }

    /// The same while the lock is held, for what must not change meanwhile.
    pub(super) fn append_held(&self, state: &mut State, record: &[u8]) -> io::Result<Position> {
        let slot = self.take_slot(state, record.len() as u64)?;
        let written = slot.file.write_all_at(record, slot.at.offset);
        self.finish_slot(state, &slot, written)
    }

    /// The next place for a record of so many bytes.
    pub(super) fn take_slot(&self, state: &mut State, bytes: u64) -> io::Result<Slot> {
        if state.active.as_ref().is_none_or(|active| active.offset + bytes > active.size) {
            state.seal();
            if state.spare.is_empty() {
                // Only after a failed write: the room was reserved, and a completion goes past the limit
                // rather than being lost.
                let (number, size) = (state.next_segment, self.config.segment_bytes);
                state.next_segment += 1;
                let file = segment::create(self.dir(), number, size)?;
                state.add_spare(number, file, size);
            }
            state.active = state.spare.pop_front().map(|spare| Active { since: Instant::now(), ..spare });
        }
        let Some(active) = state.active.as_mut() else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        let at = Position { segment: active.number, offset: active.offset };
        let slot = Slot { file: Arc::clone(&active.file), at };
        active.offset += bytes;
        state.end = Position { segment: active.number, offset: active.offset };
        let past_half = active.offset > active.size / 2;
        if past_half && state.spare.is_empty() {
            state.want_spare = true;
        }
        state.in_flight.push(at);
        Ok(slot)
    }

    /// What was written may be read and must be synced; a file that failed is left.
    pub(super) fn finish_slot(
        &self,
        state: &mut State,
        slot: &Slot,
        written: io::Result<()>,
    ) -> io::Result<Position> {
        state.in_flight.retain(|at| *at != slot.at);
        let is_active = state.active.as_ref().is_some_and(|active| active.number == slot.at.segment);
        if written.is_err() {
            if is_active {
                state.seal();
            }
            // Whoever waits for a sync of what stands behind this place need not wait for the next write.
            state.unsynced.push(Arc::clone(&slot.file));
            self.wake.notify_one();
        } else if is_active {
            if !std::mem::replace(&mut state.dirty, true) {
                self.wake.notify_one();
            }
        } else {
            state.unsynced.push(Arc::clone(&slot.file));
            self.wake.notify_one();
        }
        written.map(|()| slot.at)
    }

    /// Makes one more segment, without the lock while the file system works. `Ok` says only that the caller
    /// should look again: someone else may have made it.
    pub(super) fn make_segment<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, io::Result<()>) {
        if state.making {
            while state.making {
                state = self.made.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            return (state, Ok(()));
        }
        let size = self.config.segment_bytes;
        if state.allocated + size > self.config.limit_bytes {
            return (state, Err(io::ErrorKind::QuotaExceeded.into()));
        }
        if state.ask_again.is_some_and(|at| Instant::now() < at) {
            return (state, Err(io::ErrorKind::StorageFull.into()));
        }
        let number = state.next_segment;
        state.next_segment += 1;
        state.making = true;
        drop(state);
        let made = segment::create(self.dir(), number, size);
        let mut state = self.lock();
        state.making = false;
        self.made.notify_all();
        let made = match made {
            Ok(file) => {
                state.ask_again = None;
                self.admit(&mut state, number, file, size);
                Ok(())
            }
            Err(error) => {
                state.ask_again = Some(Instant::now() + ASK_AGAIN);
                Err(error)
            }
        };
        (state, made)
    }

    /// Enters a segment that was made without the lock. Segments come into use in the order of their numbers, so one
    /// that another overtook meanwhile is thrown away.
    pub(super) fn admit(&self, state: &mut State, number: u64, file: File, size: u64) {
        if state.next_segment == number + 1 {
            state.add_spare(number, file, size);
            self.warn_when_filling(state);
        } else if let Err(error) = std::fs::remove_file(segment::path(self.dir(), number)) {
            tracing::warn!(%error, spool.segment = number, "an empty segment cannot be removed");
        }
    }

    pub(super) fn warn_when_filling(&self, state: &mut State) {
        let tenths = state.allocated.saturating_mul(10) / self.config.limit_bytes.max(1);
        if tenths >= 7 && !state.warned {
            state.warned = true;
            tracing::warn!(
                spool.allocated_bytes = state.allocated,
                spool.limit_bytes = self.config.limit_bytes,
                spool.unshipped_rows = state.unshipped,
                "the spool is at 70 percent; when it is full, calls are refused"
            );
        } else if tenths < 5 {
            state.warned = false;
        }
    }

    fn counters(&self) -> SpoolCounters {
        let total = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = self.lock();
        SpoolCounters {
            allocated_bytes: state.allocated,
            limit_bytes: self.config.limit_bytes,
            reserved_bytes: state.reserved,
            segments: state.segments.len() as u64,
            nearly_full: state.warned,
            open_calls: state.open.len() as u64,
            unshipped: state.unshipped,
            oldest_unshipped: state
                .unshipped_since
                .map(|since| (self.clock.now() - since).to_std().unwrap_or_default()),
            shipped: total(&self.totals.shipped),
            interrupted: total(&self.totals.interrupted),
            rejected: total(&self.totals.rejected),
            skipped_bytes: total(&self.totals.skipped),
            refused: total(&self.totals.refused),
            sync_failures: total(&self.totals.sync_failures),
            sink_failures: total(&self.totals.sink_failures),
        }
    }
}
