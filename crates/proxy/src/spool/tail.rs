//! Follows the log behind the writer and hands out what ended, a batch at a time.

use std::io;
use std::sync::atomic::Ordering;

use costlens_domain::RequestId;
use costlens_domain::request::RequestFact;

use super::frame::Kind;
use super::payload;
use super::reader::SegmentReader;
use super::segment::{self, Position};
use super::writer::Shared;

/// What ends a batch besides its number of rows: this many bytes of payload.
const BATCH_BYTES: usize = 1 << 20;

/// The reading position, which moves only when a batch was settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) position: Position,
}

/// Completions in the order they were written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) facts: Vec<RequestFact>,
    /// Where each fact's record begins.
    pub(super) places: Vec<Position>,
    /// Records that are whole and yet no facts.
    pub(super) unreadable: Vec<Unreadable>,
    /// Where the next batch begins.
    pub(super) end: Position,
    /// There was nothing more to read.
    pub(super) caught_up: bool,
    skipped: u64,
}

/// A record with a right checksum whose payload no version of this program can have meant.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) id: RequestId,
    pub(super) place: Position,
    pub(super) payload: Vec<u8>,
    pub(super) reason: String,
}

impl Batch {
    pub(super) fn rows(&self) -> usize {
        self.facts.len() + self.unreadable.len()
    }
}

impl Tail {
    /// At most so many rows from the position on, if they are in memory still.
    pub(super) fn take(&self, shared: &Shared, rows: usize) -> Option<Batch> {
        let mut state = shared.lock();
        let written = state.written();
        let (calls, end) = state.handoff.take(self.position, written, rows)?;
        let mut batch = Batch { end, caught_up: end == written, ..Batch::default() };
        drop(state);
        for call in calls {
            batch.facts.push(call.fact);
            batch.places.push(call.at);
        }
        Some(batch)
    }

    /// The same from the log. Blocks on the file system.
    pub(super) fn read(&self, shared: &Shared, rows: usize) -> io::Result<Batch> {
        let mut batch = Batch { end: self.position, ..Batch::default() };
        let mut bytes = 0;
        loop {
            let readable = shared.lock().readable(batch.end.segment);
            if let Some(end) = readable.filter(|end| *end > batch.end.offset) {
                let full = batch.read_segment(shared, end, rows, &mut bytes)?;
                if full {
                    break;
                }
            }
            let state = shared.lock();
            let may_grow = state.may_grow(batch.end.segment);
            // What was written or sealed since we looked is read before going on.
            let more_here = state.readable(batch.end.segment).is_some_and(|end| end > batch.end.offset);
            match state.following(batch.end.segment) {
                _ if more_here => {}
                Some(next) if !may_grow => batch.end = Position::start_of(next),
                _ => {
                    batch.caught_up = true;
                    break;
                }
            }
        }
        shared.totals.skipped.fetch_add(batch.skipped, Ordering::Relaxed);
        if batch.skipped > 0 {
            tracing::error!(
                spool.skipped_bytes = batch.skipped,
                spool.segment = batch.end.segment,
                "the spool is damaged; what could not be read was skipped"
            );
        }
        Ok(batch)
    }
}

impl Batch {
    /// Reads up to `end` of the segment that the batch stands in; true if the batch is full.
    fn read_segment(
        &mut self,
        shared: &Shared,
        end: u64,
        rows: usize,
        bytes: &mut usize,
    ) -> io::Result<bool> {
        let number = self.end.segment;
        let file = match segment::open(shared.dir(), number) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(spool.segment = number, "a spool segment was removed by someone else");
                self.end.offset = end;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut reader = SegmentReader::new(&file, self.end.offset, end);
        while let Some(record) = reader.next()? {
            self.end.offset = record.end;
            if record.kind == Kind::Intent {
                continue;
            }
            *bytes += record.payload.len();
            let place = Position { segment: number, offset: record.at };
            match payload::decode(payload::call(record.id), record.payload) {
                Ok(fact) => {
                    self.facts.push(fact);
                    self.places.push(place);
                }
                Err(error) => self.unreadable.push(Unreadable {
                    id: payload::call(record.id),
                    place,
                    payload: record.payload.to_vec(),
                    reason: error.to_string(),
                }),
            }
            if self.rows() >= rows || *bytes >= BATCH_BYTES {
                self.skipped += reader.skipped();
                return Ok(true);
            }
        }
        self.skipped += reader.skipped();
        self.end.offset = end;
        Ok(false)
    }
}
