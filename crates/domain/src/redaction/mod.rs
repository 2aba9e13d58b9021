//! Takes personal data out of prompts and answers that are to be kept: e-mail addresses, phone numbers, US social
//! security numbers, payment cards and IPv4 addresses.
//!
//! What it promises:
//! - valid JSON stays valid, what only looks like JSON is searched whole, and what is no personal data stays as it is, byte for byte, but for lists of tokens
//!   (`logprobs`), which go;
//! - it looks inside strings, through their escapes, at JSON in strings (arguments of tools), at numbers that tools are
//!   given outside of strings, and at texts that a stream cut anywhere ([`Shape::Events`]);
//! - doing it again changes nothing, and its time grows with the text's length alone: no rule looks further than a few
//!   hundred characters.
//!
//! It is a help, not a proof: names, postal addresses, pictures and what is spelled out in words stay. The corpus beside
//! this file says how well it does, and a test holds it to that.

mod email;
mod events;
mod json;
mod logprobs;
mod numbers;
mod syntax;
mod versions;
mod view;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use syntax::Place;
use view::{Unit, View};

/// How a text is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON document, or its beginning; anything else is read as plain text.
    Json,
    /// Server-sent events whose data are JSON documents, as OpenAI and Anthropic stream them.
    Events,
}

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A US social security number that can have been issued.
    Ssn,
    /// A payment card's number with a right check digit.
    Card,
    /// An IPv4 address.
    Ipv4,
}

impl Kind {
    /// What stands in its place. No rule finds anything in it.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Phone => "[PHONE]",
            Self::Ssn => "[SSN]",
            Self::Card => "[CARD]",
            Self::Ipv4 => "[IPV4]",
        }
    }
}

/// Personal data in a text, from one character to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: Kind,
}

/// What one replacement uncovers another may find; more often than this is somebody playing.
const PASSES: usize = 6;

/// The text without personal data. Bytes that are no UTF-8 become U+FFFD.
#[must_use]
pub fn redact(text: &[u8], shape: Shape) -> Vec<u8> {
    let mut text = logprobs::taken_out(String::from_utf8_lossy(text), shape);
    for _ in 0..PASSES {
        match redact_once(&text, shape) {
            Some(changed) => text = Cow::Owned(changed),
            None => break,
        }
    }
    text.into_owned().into_bytes()
}

/// `None` where there is nothing to take out.
fn redact_once(text: &str, shape: Shape) -> Option<String> {
    let mut edits = Vec::new();
    let pieces = match shape {
        Shape::Json => json::pieces(text, 0, text.len()),
        Shape::Events => events::pieces(text),
    };
    for piece in pieces {
        edit(&piece, &mut edits);
    }
    if edits.is_empty() { None } else { Some(apply(text, edits)) }
}

/// A text that belongs together, wherever its characters stand in the source.
#[derive(Debug, Default)]
struct Piece {
    units: Vec<Unit>,
    /// What stands before it and says what it is: the name of the JSON member.
    context: String,
    /// Whether it is a number of the document itself, and no string.
    is_number: bool,
}

/// Members that hold what tools are given and what they give, as JSON and not as a string with JSON in it: Anthropic's
/// `input`, Gemini's `args`, the `content` of a tool's result. Elsewhere numbers count, order or seed and stay.
const OF_TOOLS: [&str; 4] = ["input", "arguments", "args", "content"];

/// No rule takes a number that has fewer characters without any between its digits.
const SHORTEST_NUMBER: usize = 9;

/// Bytes of the source that something else takes the place of.
#[derive(Clone, Copy, Debug)]
struct Edit {
    from: usize,
    to: usize,
    by: &'static str,
}

fn edit(piece: &Piece, edits: &mut Vec<Edit>) {
    let units = &piece.units;
    if units.is_empty() {
        return;
    }
    let view = View::of(units);
    for span in find(view.chars(), &piece.context) {
        let (first, last) = view.units(span.from, span.to);
        let (mut is_said, mut in_number) = (false, false);
        for (place, unit) in units.iter().enumerate().take(last + 1).skip(first) {
            let stands = if piece.is_number { Place::Number } else { view.place(place) };
            let by = match stands {
                Place::Text if is_said => Some(""),
                Place::Text => Some(span.kind.token()),
                // A number that is no string in JSON becomes a number.
                Place::Number if in_number => Some(""),
                Place::Number => Some("0"),
                Place::Mark => None,
            };
            is_said |= stands == Place::Text;
            in_number = stands == Place::Number;
            edits.extend(by.map(|by| Edit { from: unit.from, to: unit.to, by }));
        }
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.from);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.from).unwrap_or_default());
        out.push_str(edit.by);
        at = edit.to.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The personal data in a text, in order, no two over each other. Characters are as [`view`] makes them.
pub(crate) fn find(chars: &[char], context: &str) -> Vec<Span> {
    let mails = email::find(chars);
    let mut all = numbers::find(chars, &mails, context);
    all.extend(mails);
    all.sort_by_key(|span| span.from);
    all
}

/// A character, or nothing at all outside of the text.
fn at(chars: &[char], place: usize) -> char {
    chars.get(place).copied().unwrap_or('\0')
}

/// The character before a place.
fn before(chars: &[char], place: usize) -> char {
    place.checked_sub(1).map_or('\0', |before| at(chars, before))
}

/// Whether a character continues a word or a number.
fn joins(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
