//! E-mail addresses (RFC 5321), as people write them: Unicode in both parts, quoted local parts, `%40` of URLs.

use super::{Kind, Span, at, before, joins};

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

pub(super) fn find(chars: &[char]) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for (place, c) in chars.iter().enumerate() {
        let behind = match c {
            '@' => place + 1,
            '%' if at(chars, place + 1) == '4' && at(chars, place + 2) == '0' => place + 3,
            _ => continue,
        };
        let free_from = found.last().map_or(0, |span| span.to);
        let Some(from) = local_part(chars, free_from, place) else { continue };
        let Some(to) = domain(chars, behind) else { continue };
        if !is_something_else(chars, from, place, behind, to) {
            found.push(Span { from, to, kind: Kind::Email });
        }
    }
    found
}

fn is_local(c: char) -> bool {
    joins(c) || matches!(c, '.' | '%' | '+' | '-' | '\'' | '&' | '!' | '#' | '$' | '*' | '~' | '^')
}

/// Where the part before the sign at `end` begins.
fn local_part(chars: &[char], free_from: usize, end: usize) -> Option<usize> {
    let least = end.saturating_sub(LONGEST_LOCAL).max(free_from);
    if before(chars, end) == '"' {
        let inside = chars.get(least..end.checked_sub(1)?)?;
        let open = least + inside.iter().rposition(|c| matches!(c, '"' | '\n'))?;
        return (at(chars, open) == '"' && open + 2 < end).then_some(open);
    }
    let local = chars.get(least..end)?;
    let mut from = local.iter().rposition(|c| !is_local(*c)).map_or(least, |other| least + other + 1);
    // An apostrophe or dash before an address is not a part of it.
    while from < end && !joins(at(chars, from)) {
        from += 1;
    }
    // More of it than any address has: that is no address.
    let goes_on = from == least && from > free_from && is_local(before(chars, from));
    (from < end && !goes_on && before(chars, end) != '.').then_some(from)
}

/// Where the domain that begins here ends, if it is one: labels with dots between them, the last of letters.
fn domain(chars: &[char], from: usize) -> Option<usize> {
    let mut end = None;
    let mut label = from;
    let mut labels = 0;
    loop {
        let mut to = label;
        while to - from < LONGEST_DOMAIN && (at(chars, to).is_alphanumeric() || at(chars, to) == '-') {
            to += 1;
        }
        let text = chars.get(label..to).unwrap_or_default();
        if text.is_empty() || text.first() == Some(&'-') {
            break;
        }
        labels += 1;
        let letters = text.iter().filter(|c| c.is_alphabetic()).count();
        let puny = text.starts_with(&['x', 'n', '-', '-']);
        if labels > 1 && ((letters == text.len() && letters > 1) || puny) {
            end = Some(to);
        }
        if at(chars, to) != '.' {
            break;
        }
        label = to + 1;
    }
    // A word that goes on is no domain's end: `a@b.com_x`.
    end.filter(|end| !joins(at(chars, *end)))
}

/// What looks like an address and is none: where a repository is cloned from, and pictures for fine screens.
fn is_something_else(chars: &[char], from: usize, sign: usize, behind: usize, to: usize) -> bool {
    let local: String = chars.get(from..sign).unwrap_or_default().iter().collect();
    if local == "git" && at(chars, to) == ':' {
        return true;
    }
    at(chars, behind).is_ascii_digit() && at(chars, behind + 1) == 'x' && at(chars, behind + 2) == '.'
}
