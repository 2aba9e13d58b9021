//! Versions, which look like IPv4 addresses: `version 1.2.3.4`, `Chrome/1.2.3.4`, `foo-1.2.3.4.tar.gz`.
//!
//! An address that is kept is worse than a version that is not. So a word makes a number a version only where it is a
//! word of its own (`ver` is in `server`, too) and stands directly before it: a `build host` has an address.

use super::{at, before};

const WORDS: [&str; 6] = ["version", "ver", "v", "release", "build", "firmware"];

/// The longest of them, and one letter to see that a word is longer.
const LONGEST: usize = 9;

/// Between a word and its number stand no more than so many characters: `"version": "1.2.3.4"`.
const BETWEEN: usize = 4;

/// Whether a dotted number is said to be a version. What stands before the text is its context.
pub(super) fn is_version(chars: &[char], context: &str, from: usize) -> bool {
    let last = before(chars, from);
    let second = from.checked_sub(2).map_or('\0', |place| at(chars, place));
    let compared =
        matches!(last, '^' | '~') || (last == '=' && matches!(second, '=' | '>' | '<' | '~' | '!'));
    // `Chrome/1.2.3.4`, and not `https://1.2.3.4`.
    let product = last == '/' && second.is_alphanumeric();
    let numbered = last == '.' || (last == '-' && second.is_alphabetic());
    compared || product || numbered || is_told(chars, context, from)
}

/// Whether the word directly before a place says so.
fn is_told(chars: &[char], context: &str, from: usize) -> bool {
    let text = chars.get(..from).unwrap_or_default().iter().rev().copied();
    let mut back = text.chain([' ']).chain(context.chars().rev()).peekable();
    for _ in 0..BETWEEN {
        let joint = |c: &char| matches!(c, '.' | ' ' | ':' | '=' | '#' | '-' | '"' | '\'');
        if back.next_if(joint).is_none() {
            break;
        }
    }
    let mut word = Vec::with_capacity(LONGEST);
    while word.len() < LONGEST
        && let Some(c) = back.next_if(|c| c.is_alphabetic())
    {
        word.push(c.to_ascii_lowercase());
        // `appVersion` has two words.
        if c.is_uppercase() && back.peek().is_some_and(|c| c.is_lowercase()) {
            break;
        }
    }
    // What goes on with a digit is a name: `db2v 10.0.0.1`.
    let is_whole = !back.peek().is_some_and(char::is_ascii_digit);
    is_whole && WORDS.iter().any(|known| known.chars().rev().eq(word.iter().copied()))
}
