//! The group sync: one thread that brings to the disk what was written, so that no call waits unless it wants to.
//!
//! A first write wakes it; it lets others join for [`super::SpoolConfig::sync_within`] and syncs once for all. A
//! sync that fails may have lost pages that the kernel now calls clean, so it is never simply tried again: the
//! segment is left, those who wait are told, and nothing new is taken until a probe reaches the disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::segment::{self, Position};
use super::state::State;
use super::ticket::NotSettled;
use super::writer::Shared;

/// How often a broken disk is probed.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How far the disk has everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Synced {
    /// Records before this place are on the disk, but for the failed ones.
    through: Position,
    /// Records in this range may not be.
    failed: Option<(Position, Position)>,
}

impl Synced {
    /// Whether the record at `at` is safe, or lost, or neither yet.
    pub(super) fn covers(&self, at: Position) -> Option<Result<(), NotSettled>> {
        if self.failed.is_some_and(|(from, to)| from <= at && at < to) {
            return Some(Err(NotSettled::SyncFailed));
        }
        (at < self.through).then_some(Ok(()))
    }
}

/// The thread's whole life.
pub(super) fn run(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        let idle = |state: &mut State| {
            !(state.dirty || state.want_spare || state.stop || !state.unsynced.is_empty())
        };
        state = if state.broken {
            shared.wake.wait_timeout(state, PROBE_EVERY).unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared.wake.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner)
        };
        let others_may_join = |state: &mut State| !(state.sync_now || state.stop);
        state = shared
            .wake
            .wait_timeout_while(state, shared.config.sync_within, others_may_join)
            .unwrap_or_else(PoisonError::into_inner)
            .0;

        let mut files = std::mem::take(&mut state.unsynced);
        if std::mem::take(&mut state.dirty) {
            files.extend(state.active.as_ref().map(|active| Arc::clone(&active.file)));
        }
        // What is being written at this moment is for the next round, and so is whoever waits for it.
        let through = state.written();
        let names_changed = std::mem::take(&mut state.names_changed);
        let (broken, stopping) = (state.broken, state.stop);
        state.sync_now = !state.in_flight.is_empty() && state.sync_through >= through;
        drop(state);

        let outcome = sync_all(shared.dir(), &files, names_changed, broken);
        state = shared.lock();
        match outcome {
            Ok(()) => {
                if std::mem::take(&mut state.broken) {
                    tracing::info!("the spool's disk syncs again");
                }
                shared.synced.send_modify(|synced| synced.through = through);
            }
            Err(error) => {
                if shared.totals.sync_failures.fetch_add(1, Ordering::Relaxed) == 0 || !state.broken {
                    tracing::error!(error = %error, "the spool cannot be synced: calls are refused");
                }
                state.broken = true;
                state.names_changed |= names_changed;
                state.seal();
                // What was written while the sync ran may be lost with the rest.
                let to = state.end;
                shared.synced.send_modify(|synced| {
                    // What failed before stays failed, although later records were synced.
                    let from = synced.failed.map_or(synced.through, |(from, _)| from.min(synced.through));
                    synced.failed = Some((from, to));
                });
            }
        }
        if std::mem::take(&mut state.want_spare) && state.spare.is_empty() {
            // A refusal shows where it matters: at the next intent that finds no room.
            state = shared.make_segment(state).0;
        }
        if stopping && !state.dirty && state.unsynced.is_empty() {
            return;
        }
    }
}

fn sync_all(dir: &Path, files: &[Arc<File>], names_changed: bool, probe: bool) -> io::Result<()> {
    if probe {
        let path = dir.join("probe");
        let mut file = File::create(&path)?;
        file.write_all(b"probe")?;
        file.sync_all()?;
        std::fs::remove_file(path)?;
    }
    for file in files {
        file.sync_data()?;
    }
    if names_changed {
        segment::sync_dir(dir)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u64) -> Position {
        Position { segment: 1, offset }
    }

    #[test]
    fn a_record_is_safe_only_when_a_sync_that_covers_it_succeeded() {
        let synced = Synced { through: at(300), failed: Some((at(100), at(200))) };
        assert_eq!(synced.covers(at(99)), Some(Ok(())));
        assert_eq!(
            synced.covers(at(100)),
            Some(Err(NotSettled::SyncFailed)),
            "a later success proves nothing"
        );
        assert_eq!(synced.covers(at(200)), Some(Ok(())));
        assert_eq!(synced.covers(at(300)), None);
    }
}
