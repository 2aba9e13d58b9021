//! How a record looks on the disk, and how to find the next one after damage.
//!
//! ```text
//! magic 4 | crc32c 4 | length 4 | kind 1 | zero 3 | id 16 | payload (length bytes)
//! ```
//!
//! Numbers are little-endian; the checksum covers everything after itself. The magic holds bytes that never
//! occur in UTF-8, so no text, whatever a client put into it, can look like the beginning of a record.

use uuid::Uuid;

/// What a record begins with; 0xFE, 0xC1 and 0xFF are no UTF-8.
pub(super) const MAGIC: [u8; 4] = [0xFE, 0xC1, 0xFF, 0x5A];
/// The bytes before a payload.
pub(super) const HEADER: usize = 32;
/// The largest record, header included.
pub(super) const MAX_RECORD: u64 = 16 << 10;

/// What a record says about its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The call is about to be made; the payload is the fact to ship if nothing follows.
    Intent = 1,
    /// The call ended; the payload is the fact to ship.
    Completion = 2,
}

/// The header of a record, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What the record says.
    pub(super) kind: Kind,
    /// Of which call.
    pub(super) id: Uuid,
    /// The record's whole length, header included.
    pub(super) total: usize,
    crc: u32,
}

/// Begins a record: the payload is to be appended, then [`seal`] called.
pub(super) fn begin(into: &mut Vec<u8>, kind: Kind, id: Uuid) {
    into.clear();
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&[0; 8]);
    into.extend_from_slice(&[kind as u8, 0, 0, 0]);
    into.extend_from_slice(id.as_bytes());
}

/// Fills in length and checksum once the payload stands behind the header.
pub(super) fn seal(record: &mut [u8]) {
    let length = u32::try_from(record.len().saturating_sub(HEADER)).unwrap_or(u32::MAX);
    if let Some(field) = record.get_mut(8..12) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    let crc = record.get(8..).map_or(0, crc32c::crc32c);
    if let Some(field) = record.get_mut(4..8) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Makes a sealed intent into a sealed completion with the same payload.
pub(super) fn turn_into_completion(record: &mut [u8]) {
    if let Some(kind) = record.get_mut(12) {
        *kind = Kind::Completion as u8;
    }
    seal(record);
}

/// Reads a header; `None` where there is none.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (id, _) = rest.split_first_chunk::<16>()?;
    let kind = match *kind {
        [1, 0, 0, 0] => Kind::Intent,
        [2, 0, 0, 0] => Kind::Completion,
        _ => return None,
    };
    let total = usize::try_from(u32::from_le_bytes(*length)).ok()?.checked_add(HEADER)?;
    if u64::try_from(total).ok()? > MAX_RECORD {
        return None;
    }
    Some(Head { kind, id: Uuid::from_bytes(*id), total, crc: u32::from_le_bytes(*crc) })
}

/// The payload of a whole record, if its checksum holds.
pub(super) fn payload(head: Head, record: &[u8]) -> Option<&[u8]> {
    let covered = record.get(8..head.total)?;
    (crc32c::crc32c(covered) == head.crc).then_some(())?;
    record.get(HEADER..head.total)
}
