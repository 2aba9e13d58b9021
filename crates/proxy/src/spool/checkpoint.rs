//! How far the ledger has everything: a hint that saves work at the next start, never a condition of being right.
//!
//! The ledger knows each call by its id, so shipping from an older place is only slower. Therefore the file is
//! replaced atomically but not synced, at most once a second, and an unreadable one counts as absent.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::segment::Position;

const NAME: &str = "checkpoint.json";

#[derive(Serialize, Deserialize)]
struct OnDisk {
    segment: u64,
    offset: u64,
}

/// The place up to which everything was committed, if a readable checkpoint is there.
pub(super) fn read(dir: &Path) -> Option<Position> {
    let bytes = std::fs::read(dir.join(NAME)).ok()?;
    let OnDisk { segment, offset } = serde_json::from_slice(&bytes).ok()?;
    Some(Position { segment, offset })
}

/// Replaces the checkpoint.
pub(super) fn write(dir: &Path, at: Position) -> io::Result<()> {
    let fresh = dir.join("checkpoint.new");
    std::fs::write(&fresh, serde_json::to_vec(&OnDisk { segment: at.segment, offset: at.offset })?)?;
    std::fs::rename(fresh, dir.join(NAME))
}
