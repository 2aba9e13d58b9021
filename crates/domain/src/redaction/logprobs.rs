//! Answers that repeat themselves token by token, beside their text: no rule sees a number in its pieces, and their
//! `bytes` spell it once more. They go as a whole; what is said stands in the text.

use std::borrow::Cow;

use super::{Edit, Shape, apply, json};

const NAME: &str = "\"logprobs\"";

/// The text with `null` in the place of each list of tokens.
pub(super) fn taken_out(text: Cow<'_, str>, shape: Shape) -> Cow<'_, str> {
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(NAME)) {
        at += found + NAME.len();
        let rest = text.get(at..).unwrap_or_default();
        let Some(value) = rest.trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        if !value.starts_with(['{', '[']) {
            continue;
        }
        let from = text.len() - value.len();
        let line = match shape {
            Shape::Json => value.len(),
            Shape::Events => value.find('\n').unwrap_or(value.len()),
        };
        let to = end_of_value(text.as_bytes().get(..from + line).unwrap_or_default(), from);
        // A tool may have a parameter of this name.
        if text.get(from..to).is_some_and(|list| list.contains("\"token")) {
            edits.push(Edit { from, to, by: "null" });
        }
        // What is in it was looked through with it.
        at = to;
    }
    if edits.is_empty() { text } else { Cow::Owned(apply(&text, edits)) }
}

/// Behind the bracket that closes the one at `from`; the end of the text where it was cut before.
fn end_of_value(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = (json::end_of_string(bytes, at) + 1).min(bytes.len()),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}
