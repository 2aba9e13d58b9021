//! A text as the rules read it: escapes seen through, full-width and typographic characters as their plain kin.

use super::syntax::{self, Place};

/// One character of a text, and the bytes of the source that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) c: char,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The characters of a text, each with the units that it was made of.
///
/// A text inside of JSON inside of JSON has escapes that are escaped themselves. They are told by their backslashes,
/// however many, so that one reading does for every depth.
pub(super) struct View {
    chars: Vec<char>,
    /// The first and the last unit of each character.
    made_of: Vec<(usize, usize)>,
    /// Where each unit stands, in a text that is JSON itself.
    places: Vec<Place>,
}

impl View {
    pub(super) fn of(units: &[Unit]) -> Self {
        let mut view = Self {
            chars: Vec::with_capacity(units.len()),
            made_of: Vec::with_capacity(units.len()),
            places: syntax::places(units.iter().map(|unit| unit.c)).unwrap_or_default(),
        };
        let char_at = |place: usize| units.get(place).map_or('\0', |unit| unit.c);
        let mut place = 0;
        while place < units.len() {
            let mut end = place + 1;
            let mut c = char_at(place);
            if c == '\\' {
                while char_at(end) == '\\' {
                    end += 1;
                }
                let (escaped, longer) = match char_at(end) {
                    'n' | 'r' => ('\n', 1),
                    't' | 'b' | 'f' => (' ', 1),
                    quote @ ('"' | '/') => (quote, 1),
                    'u' => {
                        let digits = (1..=4).map(|ahead| char_at(end + ahead));
                        let code = digits.map(|digit| digit.to_digit(16));
                        let code = code.reduce(|code, digit| Some(code? * 16 + digit?)).flatten();
                        code.and_then(char::from_u32).map_or(('\\', 0), |c| (c, 5))
                    }
                    _ => ('\\', 0),
                };
                c = escaped;
                end += longer;
            }
            view.chars.push(plain(c));
            view.made_of.push((place, end - 1));
            place = end;
        }
        view
    }

    pub(super) fn chars(&self) -> &[char] {
        &self.chars
    }

    /// Where a unit stands.
    pub(super) fn place(&self, unit: usize) -> Place {
        self.places.get(unit).copied().unwrap_or(Place::Text)
    }

    /// The first and the last unit of these characters.
    pub(super) fn units(&self, from: usize, to: usize) -> (usize, usize) {
        let first = self.made_of.get(from).map_or(0, |(first, _)| *first);
        let last = to.checked_sub(1).and_then(|last| self.made_of.get(last)).map_or(0, |(_, last)| *last);
        (first, last)
    }
}

/// The plain kin of a character.
pub(super) fn plain(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(c) - 0xff10, 10).unwrap_or(c),
        '\u{ff20}' => '@',
        '\u{ff0e}' => '.',
        '\u{ff0b}' => '+',
        '\u{ff08}' => '(',
        '\u{ff09}' => ')',
        '\u{2010}'..='\u{2014}' | '\u{2212}' | '\u{ff0d}' | '\u{fe63}' => '-',
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        _ => c,
    }
}
