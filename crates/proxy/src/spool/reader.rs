//! Reads the records of one segment in order, and finds its feet again after damage.
//!
//! What is not a record with a right checksum is skipped up to the next one that is. Zeros are the room that
//! nobody has written yet: skipping them counts as no damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use uuid::Uuid;

use super::frame::{self, HEADER, Kind, MAGIC};

/// How much is read from the file at once; a few times the largest record.
const WINDOW: usize = 256 << 10;

/// A whole record with a right checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) id: Uuid,
    pub(super) payload: &'a [u8],
    /// Where it begins.
    pub(super) at: u64,
    /// Where the next one begins.
    pub(super) end: u64,
}

/// A reader over `[at, end)` of a segment.
#[derive(Debug)]
pub(super) struct SegmentReader<'f> {
    file: &'f File,
    /// Where the window begins in the file.
    base: u64,
    /// Up to where to read.
    end: u64,
    window: Vec<u8>,
    /// The first byte of the window that was not looked at.
    used: usize,
    skipped: u64,
    /// Zeros that count as damage only if something else follows them before the next record.
    zeros: u64,
}

impl<'f> SegmentReader<'f> {
    pub(super) fn new(file: &'f File, at: u64, end: u64) -> Self {
        Self { file, base: at, end, window: Vec::new(), used: 0, skipped: 0, zeros: 0 }
    }

    /// Damaged bytes met so far.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next whole record; `None` at the end of what there is.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        let head = loop {
            if !self.want(HEADER)? {
                self.skip_all();
                return Ok(None);
            }
            if let Some(head) = frame::head(self.rest())
                && self.want(head.total)?
                && frame::payload(head, self.rest()).is_some()
            {
                break head;
            }
            self.resynchronise()?;
        };
        self.zeros = 0;
        let from = self.used;
        let at = self.base + from as u64;
        self.used += head.total;
        let payload = self.window.get(from + HEADER..self.used).unwrap_or_default();
        Ok(Some(Record { kind: head.kind, id: head.id, payload, at, end: at + head.total as u64 }))
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.used..).unwrap_or_default()
    }

    /// Sees to it that so many bytes stand in the window; false where the file ends before.
    fn want(&mut self, bytes: usize) -> io::Result<bool> {
        if self.rest().len() >= bytes {
            return Ok(true);
        }
        self.window.drain(..self.used);
        self.base += self.used as u64;
        self.used = 0;
        let have = self.window.len();
        let left = self.end.saturating_sub(self.base + have as u64);
        let grow = usize::try_from(left).unwrap_or(WINDOW).min(WINDOW.max(bytes) - have);
        self.window.resize(have + grow, 0);
        let mut filled = have;
        while let Some(room) = self.window.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.file.read_at(room, self.base + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.window.truncate(filled);
        Ok(filled >= bytes)
    }

    /// Goes to where the next record may begin, at least one byte on.
    fn resynchronise(&mut self) -> io::Result<()> {
        self.skip(1);
        while self.want(MAGIC.len())? {
            if let Some(found) = memchr::memmem::find(self.rest(), &MAGIC) {
                self.skip(found);
                return Ok(());
            }
            // The last bytes may be the beginning of a magic.
            self.skip(self.rest().len() - (MAGIC.len() - 1));
        }
        Ok(())
    }

    fn skip_all(&mut self) {
        self.skip(self.rest().len());
    }

    fn skip(&mut self, bytes: usize) {
        let skipped = self.rest().get(..bytes).unwrap_or_default();
        let after_last = skipped.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let trailing = (skipped.len() - after_last) as u64;
        let len = skipped.len();
        if after_last == 0 {
            self.zeros += trailing;
        } else {
            self.skipped += self.zeros + after_last as u64;
            self.zeros = trailing;
        }
        self.used += len;
    }
}
