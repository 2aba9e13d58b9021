//! The last completed calls, in memory, from the writer to the shipper.
//!
//! The log is what counts; this only saves the shipper from reading back and decoding what was written a moment
//! ago. It holds every completion from some place of the log on, in order, and lets the oldest go when it holds
//! too many; whoever reads before that place reads the log.

use std::collections::VecDeque;

use costlens_domain::request::RequestFact;

use super::segment::Position;

/// How many calls are held: four megabytes as calls are, sixty if every one were as long as a record may be.
const MOST: usize = 4096;

/// A completion, where its record begins and where it ends.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) at: Position,
    pub(super) end: Position,
    pub(super) fact: RequestFact,
}

/// Completions in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Handoff {
    /// Every completion at or behind this place is here, unless it was taken.
    from: Position,
    calls: VecDeque<Handed>,
}

impl Handoff {
    /// One that knows nothing of what stands before this place.
    pub(super) fn starting_at(from: Position) -> Self {
        Self { from, calls: VecDeque::new() }
    }

    /// Takes a completion that was written. Those that are written at the same moment come in any order.
    pub(super) fn put(&mut self, call: Handed) {
        let behind = self.calls.iter().rev().take_while(|known| known.at > call.at).count();
        let place = self.calls.len() - behind;
        if call.at < self.from {
            return;
        }
        self.calls.insert(place, call);
        if self.calls.len() > MOST
            && let Some(oldest) = self.calls.pop_front()
        {
            self.from = oldest.end;
        }
    }

    /// There is a completion that is not here: up to its end the log has to be asked.
    pub(super) fn forget(&mut self, end: Position) {
        self.calls.retain(|call| call.at >= end);
        self.from = self.from.max(end);
    }

    /// At most so many calls that begin at `from` or behind, and before `written`; with them the place up to which
    /// this is all there is. `None` where the log has to be asked.
    pub(super) fn take(
        &mut self,
        from: Position,
        written: Position,
        most: usize,
    ) -> Option<(Vec<Handed>, Position)> {
        if from < self.from {
            return None;
        }
        // What was read from the log before.
        while self.calls.front().is_some_and(|call| call.at < from) {
            self.calls.pop_front();
        }
        let most = most.max(1);
        let count = self.calls.iter().take(most).take_while(|call| call.at < written).count();
        let taken: Vec<Handed> = self.calls.drain(..count).collect();
        let end = match taken.last() {
            Some(last) if count == most => last.end,
            _ => written,
        };
        self.from = self.from.max(end);
        Some((taken, end))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::completed;
    use super::*;

    const fn place(offset: u64) -> Position {
        Position { segment: 1, offset }
    }

    fn call(offset: u64) -> Handed {
        Handed { at: place(offset), end: place(offset + 10), fact: completed(offset) }
    }

    fn places(taken: Option<(Vec<Handed>, Position)>) -> Option<(Vec<u64>, u64)> {
        taken.map(|(calls, end)| (calls.iter().map(|call| call.at.offset).collect(), end.offset))
    }

    #[test]
    fn calls_come_in_the_order_of_the_log_and_not_before_all_is_written() {
        let mut handoff = Handoff::default();
        for offset in [20, 40, 30, 60] {
            handoff.put(call(offset));
        }
        assert_eq!(places(handoff.take(place(0), place(50), 2)), Some((vec![20, 30], 40)));
        assert_eq!(places(handoff.take(place(40), place(50), 2)), Some((vec![40], 50)));
        assert_eq!(places(handoff.take(place(50), place(70), 2)), Some((vec![60], 70)));
    }

    #[test]
    fn behind_a_call_that_is_not_here_the_log_is_asked() {
        let mut handoff = Handoff::default();
        handoff.put(call(20));
        handoff.forget(place(40));
        handoff.put(call(50));
        assert_eq!(places(handoff.take(place(20), place(60), 5)), None);
        assert_eq!(places(handoff.take(place(40), place(60), 5)), Some((vec![50], 60)));
    }

    #[test]
    fn what_was_let_go_or_never_here_is_read_from_the_log() {
        let mut handoff = Handoff::default();
        for number in 0..=MOST as u64 {
            handoff.put(call(100 + number * 10));
        }
        assert_eq!(places(handoff.take(place(0), place(200), 5)), None);
        assert_eq!(places(handoff.take(place(105), place(200), 5)), None);
        // The log was read up to a place within: what came from there does not come again.
        assert_eq!(places(handoff.take(place(120), place(140), 5)), Some((vec![120, 130], 140)));
    }
}
