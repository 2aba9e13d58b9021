//! The strings of a JSON document; one that was cut is read to its cut.

use super::Piece;
use super::syntax;
use super::view::Unit;

/// The strings of a document as pieces of their own; the whole as one plain text where it is no JSON.
pub(super) fn pieces(text: &str, from: usize, to: usize) -> Vec<Piece> {
    let document = text.get(from..to).unwrap_or_default();
    // A number alone is a document, too, and not a text with a number in it.
    if serde_json::from_str::<serde_json::Number>(document.trim()).is_ok() {
        return Vec::new();
    }
    if !syntax::is_json(document) {
        return vec![Piece { units: plain_units(document, from), context: String::new() }];
    }
    let mut pieces = Vec::new();
    let mut name = String::new();
    let mut at = from;
    while let Some((string_from, string_to)) = next_string(text, at, to) {
        let mut units = Vec::with_capacity(string_to - string_from);
        decode(text, string_from, string_to, &mut units);
        // Behind the closing quote, if there is one.
        at = string_to + 1;
        let after = text.get(at.min(to)..to).unwrap_or_default();
        if after.trim_start().starts_with(':') {
            name = units.iter().take(64).map(|unit| unit.c).collect();
            pieces.push(Piece { units, context: String::new() });
        } else {
            pieces.push(Piece { units, context: name.clone() });
        }
    }
    pieces
}

/// A text without escapes.
pub(super) fn plain_units(text: &str, from: usize) -> Vec<Unit> {
    text.char_indices().map(|(at, c)| Unit { c, from: from + at, to: from + at + c.len_utf8() }).collect()
}

/// The content of the next string, without its quotes; one that is cut ends where the text does.
fn next_string(text: &str, from: usize, to: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes().get(..to)?;
    let begin = from + bytes.get(from..)?.iter().position(|byte| *byte == b'"')? + 1;
    Some((begin, end_of_string(bytes, begin)))
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
