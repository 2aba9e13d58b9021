//! The texts of a JSON document: its strings, and the numbers of what tools are given. One that was cut is read to its
//! cut.

use super::view::Unit;
use super::{OF_TOOLS, Piece, SHORTEST_NUMBER, syntax};

/// A name says what its value is with its first characters.
pub(super) const LONGEST_CONTEXT: usize = 64;

/// The strings of a document as pieces of their own, and the numbers that tools are given or give; the whole as one
/// plain text where it is no JSON.
pub(super) fn pieces(text: &str, from: usize, to: usize) -> Vec<Piece> {
    let document = text.get(from..to).unwrap_or_default();
    // A number alone is a document, too, and not a text with a number in it.
    if serde_json::from_str::<serde_json::Number>(document.trim()).is_ok() {
        return Vec::new();
    }
    if !syntax::is_json(document) {
        return vec![Piece { units: plain_units(document, from), ..Piece::default() }];
    }
    let bytes = text.as_bytes().get(..to).unwrap_or_default();
    let mut pieces = Vec::new();
    let mut name = String::new();
    // Of the value that comes next, and of each bracket that is open, whether a tool's data are in it.
    let (mut comes, mut open) = (false, Vec::new());
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let begin = at;
        at += 1;
        let is_inside = comes || open.last() == Some(&true);
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                let mut units = Vec::with_capacity(end - at);
                decode(text, at, end, &mut units);
                // Behind the closing quote, if there is one.
                at = end + 1;
                let after = text.get(at.min(to)..to).unwrap_or_default();
                let is_name = after.trim_start().starts_with(':');
                if is_name {
                    name = units.iter().take(LONGEST_CONTEXT).map(|unit| unit.c).collect();
                }
                comes = is_name && OF_TOOLS.contains(&name.as_str());
                let context = if is_name { String::new() } else { name.clone() };
                pieces.push(Piece { units, context, is_number: false });
            }
            b'{' | b'[' => {
                open.push(is_inside);
                comes = false;
            }
            b'}' | b']' => {
                open.pop();
            }
            b'-' | b'0'..=b'9' => {
                at += length_of_number(bytes.get(at..).unwrap_or_default());
                if is_inside && at - begin >= SHORTEST_NUMBER {
                    let units = plain_units(text.get(begin..at).unwrap_or_default(), begin);
                    pieces.push(Piece { units, context: name.clone(), is_number: true });
                }
                comes = false;
            }
            _ => {}
        }
    }
    pieces
}

fn length_of_number(bytes: &[u8]) -> usize {
    let goes_on = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    bytes.iter().take_while(goes_on).count()
}

/// A text without escapes.
pub(super) fn plain_units(text: &str, from: usize) -> Vec<Unit> {
    text.char_indices().map(|(at, c)| Unit { c, from: from + at, to: from + at + c.len_utf8() }).collect()
}

/// Where the string that begins here ends: at its quote, or with the text.
pub(super) fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin;
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The characters of a string's content.
pub(super) fn decode(text: &str, from: usize, to: usize, units: &mut Vec<Unit>) {
    let mut rest = text.get(from..to).unwrap_or_default();
    let mut at = from;
    while let Some(c) = rest.chars().next() {
        let (c, length) = if c == '\\' { escape(rest) } else { (c, c.len_utf8()) };
        units.push(Unit { c, from: at, to: at + length });
        at += length;
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// The character that an escape stands for, and how many bytes it takes.
fn escape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
        Some(b'u') => return unicode_escape(text),
        // No escape that JSON knows, or the text's end.
        _ => return ('\\', 1),
    };
    (simple, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let code = |from: usize| {
        let digits = text.get(from..from + 4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let Some(high) = code(2) else { return ('\\', 1) };
    if let Some(c) = char::from_u32(high) {
        return (c, 6);
    }
    if (0xd800..0xdc00).contains(&high)
        && text.get(6..8) == Some("\\u")
        && let Some(low) = code(8).filter(|low| (0xdc00..0xe000).contains(low))
    {
        let c = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(c).unwrap_or('\u{fffd}'), 12);
    }
    ('\u{fffd}', 6)
}
