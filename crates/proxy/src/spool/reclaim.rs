//! Gives the room of shipped segments back.
//!
//! Segments go oldest first, up to the first that an open call's intent stands in: a later one may hold the end
//! of a call that began in an earlier one, and must not go before it. A call that is open for very long has its
//! intent written again at the end of the log, so that it does not hold back everything behind it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::file_work::persist;
use super::segment::{self, Position};
use super::state::{OpenCall, State};
use super::writer::Shared;
use super::{backlog, ticket};

/// When an open call holds back more shipped segments than this, its intent is carried forward.
const PINNED_SEGMENTS: usize = 3;

/// Removes what is shipped up to `position` and holds no open call.
pub(super) async fn reclaim(shared: &Arc<Shared>, position: Position) {
    let (mut numbers, behind) = {
        let state = shared.lock();
        (removable(&state, position), state.segments.range(..position.segment).count())
    };
    if numbers.is_empty() && behind > PINNED_SEGMENTS {
        persist(shared, |shared| {
            carry_forward(shared);
            Ok(())
        })
        .await;
        numbers = removable(&shared.lock(), position);
    }
    let end = shared.lock().end;
    // What stands behind the position is in the log alone, and must be on the disk before its intents go.
    if numbers.is_empty() || (position < end && !synced_through(shared, end).await) {
        return;
    }
    persist(shared, move |shared| {
        for number in &numbers {
            match std::fs::remove_file(segment::path(shared.dir(), *number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut state = shared.lock();
            if let Some(info) = state.segments.remove(number) {
                state.allocated = state.allocated.saturating_sub(info.size);
                state.names_changed = true;
                shared.warn_when_filling(&mut state);
            }
        }
        Ok(())
    })
    .await;
}

pub(super) fn removable(state: &State, position: Position) -> Vec<u64> {
    // One that is written to, or will be, has no end yet.
    let read =
        |number, end: Option<u64>| end.is_some_and(|end| number < position.segment || end <= position.offset);
    let segments = state.segments.range(..=position.segment);
    let done = segments.take_while(|(number, info)| info.open == 0 && read(**number, info.end));
    done.map(|(number, _)| *number).collect()
}

async fn synced_through(shared: &Shared, end: Position) -> bool {
    let last = Position { offset: end.offset.saturating_sub(1), ..end };
    {
        let mut state = shared.lock();
        state.sync_now = true;
        state.sync_through = state.sync_through.max(last);
        shared.wake.notify_one();
    }
    let synced =
        tokio::time::timeout(Duration::from_secs(5), ticket::synced(shared.synced.subscribe(), last));
    matches!(synced.await, Ok(Ok(())))
}

pub(super) fn carry_forward(shared: &Shared) {
    let oldest = shared.lock().segments.keys().next().copied().unwrap_or_default();
    let calls: Vec<_> = {
        let state = shared.lock();
        let held = state
            .open
            .iter()
            .filter(|(_, call)| call.at.segment == oldest && !state.in_flight.contains(&call.at));
        held.map(|(id, call)| (*id, *call)).collect()
    };
    for (id, call) in calls {
        let carried = backlog::read_record(shared, call).and_then(|record| {
            let mut state = shared.lock();
            if state.open.get(&id).is_some_and(|call| !call.ending) && state.has_room(call.bytes) {
                let at = shared.append_held(&mut state, &record)?;
                state.pin(id, OpenCall { at, ..call });
            }
            Ok(())
        });
        if let Err(error) = carried {
            // Its segment stays where it is until the call ends.
            tracing::error!(request.id = %id, error = %error, "an open call's intent cannot be carried forward");
        }
    }
}
