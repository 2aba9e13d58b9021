//! Splits a stream into server-sent events without changing a byte (WHATWG HTML, section 9.2).

use bytes::{Bytes, BytesMut};

/// The longest event that is waited for; what is longer is passed on in pieces, of which none is an event.
const LONGEST_EVENT: usize = 4 << 20;

/// Cuts a byte stream behind each blank line, whichever of LF, CRLF or CR ends the lines.
#[derive(Debug, Default)]
pub struct EventSplitter {
    held: BytesMut,
}

impl EventSplitter {
    /// Takes more bytes; gives the events that are complete by now, in order, byte for byte.
    pub fn push(&mut self, mut bytes: Bytes, mut each: impl FnMut(Bytes)) {
        if self.held.is_empty() {
            // The usual case: whole events in one frame, passed on without a copy.
            while let Some(end) = end_of_event(&bytes, 0) {
                each(bytes.split_to(end));
            }
            self.held.extend_from_slice(&bytes);
            self.let_go(each);
            return;
        }
        let seen = self.held.len();
        self.held.extend_from_slice(&bytes);
        // A separator may straddle the old end by at most three bytes.
        let mut from = seen.saturating_sub(3);
        while let Some(end) = end_of_event(&self.held, from) {
            each(self.held.split_to(end).freeze());
            from = 0;
        }
        self.let_go(each);
    }

    /// Passes on what waits, where it has become too long to be an event: no provider fills the memory by never ending
    /// one.
    fn let_go(&mut self, mut each: impl FnMut(Bytes)) {
        if self.held.len() > LONGEST_EVENT {
            each(self.held.split().freeze());
        }
    }

    /// What is left when the stream ends.
    pub fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

/// The index behind the first blank line at or after `from`.
fn end_of_event(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(offset) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        let line_end = at + offset;
        let after = line_end + newline_length(bytes.get(line_end..)?);
        let second = newline_length(bytes.get(after..)?);
        // A CR at the very end may be the first half of a CRLF: wait for the next byte.
        let undecided = |index: usize| bytes.get(index) == Some(&b'\r') && index + 1 == bytes.len();
        if undecided(line_end) || (second > 0 && undecided(after)) {
            return None;
        }
        if second > 0 {
            return Some(after + second);
        }
        at = after;
    }
    None
}

fn newline_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

/// The payload of an event's first `data` line. Every vendor writes exactly one.
#[must_use]
pub fn data_of(event: &[u8]) -> Option<&[u8]> {
    let mut rest = event;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at_checked(end)?;
        if let Some(data) = line.strip_prefix(b"data:") {
            return Some(data.trim_ascii());
        }
        rest = tail.trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut splitter = EventSplitter::default();
        let mut events = Vec::new();
        for part in parts {
            splitter.push(Bytes::copy_from_slice(part), |event| events.push(event));
        }
        (events, splitter.finish())
    }

    #[test]
    fn events_come_out_byte_for_byte_wherever_the_stream_is_cut() {
        let stream = b"data: {\"a\":1}\n\nevent: x\r\ndata: 2\r\n\r\ndata: 3\r\rdata: [DONE]\n\nrest";
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                let (events, rest) = split(&parts);
                let joined: Vec<u8> = events.iter().flatten().chain(&rest).copied().collect();
                assert_eq!(joined, stream, "cut at {first} and {second}");
                let payloads: Vec<_> = events.iter().filter_map(|event| data_of(event)).collect();
                assert_eq!(payloads, [&b"{\"a\":1}"[..], b"2", b"3", b"[DONE]"], "cut at {first}, {second}");
            }
        }
    }

    #[test]
    fn an_event_that_never_ends_is_held_no_longer_than_any_event_is() {
        let mut splitter = EventSplitter::default();
        let (mut passed, piece) = (0, Bytes::from(vec![b'x'; 1 << 20]));
        for pushed in 1..=20 {
            splitter.push(piece.clone(), |event| passed += event.len());
            assert!(pushed * piece.len() - passed <= LONGEST_EVENT, "{passed} passed after {pushed} pieces");
        }
        // What comes behind it is read as ever.
        let mut events = Vec::new();
        splitter.push(Bytes::from_static(b"\n\ndata: 1\n\n"), |event| events.push(event));
        let payloads: Vec<_> = events.iter().filter_map(|event| data_of(event)).collect();
        assert_eq!(payloads, [b"1"]);
    }

    #[test]
    fn an_event_without_data_has_none() {
        assert_eq!(data_of(b": ping\n\n"), None);
        assert_eq!(data_of(b"event: ping\ndata: {}\n\n"), Some(&b"{}"[..]));
    }
}
