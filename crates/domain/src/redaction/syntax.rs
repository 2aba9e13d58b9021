//! Whether a text is JSON: one value, or the beginning of one that was cut, and where each of its characters stands.
//!
//! Much only looks like it: `[10:04] Jane: …`, `[INST] …`, `{'a': 1}`, `{"a":1}` with prose behind it. That is prose and
//! must be read as such, so no text is taken for JSON by how it begins. It is read character by character and without
//! recursion: a text may be as deep as it likes.

/// Where a character of a JSON text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Between the quotes of a string or a name.
    Text,
    /// In a number.
    Number,
    /// A quote, a bracket, a blank, a word: without it the text would be no JSON.
    Mark,
}

/// Whether a text is JSON or its beginning. A number or a word alone is taken for a text.
pub(super) fn is_json(text: &str) -> bool {
    let mut reader = Reader::new();
    text.chars().all(|c| reader.next(c).is_some())
}

/// Where each character stands; `None` where they are no JSON.
pub(super) fn places(chars: impl Iterator<Item = char>) -> Option<Vec<Place>> {
    let mut reader = Reader::new();
    chars.map(|c| reader.next(c)).collect()
}

/// What may come next (RFC 8259).
#[derive(Clone, Copy)]
enum Next {
    /// The text's only value.
    Begin,
    Value,
    /// A value or the end of an empty array.
    FirstItem,
    Name,
    /// A name or the end of an empty object.
    FirstName,
    Colon,
    /// A comma or a closing bracket.
    Rest,
    Text,
    Escaped,
    /// So many hexadecimal digits.
    Hex(u8),
    Whole,
    /// What stands behind a leading zero: no further digit.
    Point,
    /// The first digit behind a minus.
    Minus,
    FirstOfFraction,
    Fraction,
    SignOrPower,
    FirstOfPower,
    Power,
    /// The rest of `true`, `false` or `null`.
    Word(&'static str),
}

struct Reader {
    next: Next,
    in_name: bool,
    /// Of each bracket that is open, whether it is an object's.
    open: Vec<bool>,
}

impl Reader {
    fn new() -> Self {
        Self { next: Next::Begin, in_name: false, open: Vec::new() }
    }

    /// Where the next character stands; `None` where it may not.
    fn next(&mut self, c: char) -> Option<Place> {
        let (next, place) = match (self.next, c) {
            (Next::Text, '"') => (if self.in_name { Next::Colon } else { Next::Rest }, Place::Mark),
            (Next::Text, '\\') => (Next::Escaped, Place::Text),
            (Next::Text, c) if c >= ' ' => (Next::Text, Place::Text),
            (Next::Escaped, 'u') => (Next::Hex(4), Place::Text),
            (Next::Escaped, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => (Next::Text, Place::Text),
            (Next::Hex(left), c) if c.is_ascii_hexdigit() => {
                (if left > 1 { Next::Hex(left - 1) } else { Next::Text }, Place::Text)
            }
            (Next::Text | Next::Escaped | Next::Hex(_), _) => return None,
            (Next::Word(word), c) => match word.strip_prefix(c)? {
                "" => (Next::Rest, Place::Mark),
                rest => (Next::Word(rest), Place::Mark),
            },
            (Next::Minus, '0') => (Next::Point, Place::Number),
            (Next::Minus, '1'..='9') | (Next::Whole, '0'..='9') => (Next::Whole, Place::Number),
            (Next::Whole | Next::Point, '.') => (Next::FirstOfFraction, Place::Number),
            (Next::FirstOfFraction | Next::Fraction, '0'..='9') => (Next::Fraction, Place::Number),
            (Next::Whole | Next::Point | Next::Fraction, 'e' | 'E') => (Next::SignOrPower, Place::Number),
            (Next::SignOrPower, '+' | '-') => (Next::FirstOfPower, Place::Number),
            (Next::SignOrPower | Next::FirstOfPower | Next::Power, '0'..='9') => (Next::Power, Place::Number),
            _ => self.outside(c)?,
        };
        self.next = next;
        Some(place)
    }

    /// The same outside of strings, numbers and words.
    fn outside(&mut self, c: char) -> Option<(Next, Place)> {
        let next = match self.next {
            Next::Whole | Next::Point | Next::Fraction | Next::Power => Next::Rest,
            next => next,
        };
        let is_value = matches!(next, Next::Begin | Next::Value | Next::FirstItem);
        let next = match (next, c) {
            (Next::Minus | Next::FirstOfFraction | Next::SignOrPower | Next::FirstOfPower, _) => return None,
            (_, ' ' | '\t' | '\n' | '\r') | (Next::Begin, '\u{feff}') => next,
            (_, '"') if is_value => self.string(false),
            (Next::Name | Next::FirstName, '"') => self.string(true),
            (_, '{') if is_value => self.bracket(true),
            (_, '[') if is_value => self.bracket(false),
            (Next::FirstName | Next::Rest, '}') if self.open.last() == Some(&true) => self.close(),
            (Next::FirstItem | Next::Rest, ']') if self.open.last() == Some(&false) => self.close(),
            (Next::Colon, ':') => Next::Value,
            (Next::Rest, ',') => {
                if *self.open.last()? {
                    Next::Name
                } else {
                    Next::Value
                }
            }
            (Next::Begin, _) => return None,
            (_, '-') if is_value => return Some((Next::Minus, Place::Number)),
            (_, '0') if is_value => return Some((Next::Point, Place::Number)),
            (_, '1'..='9') if is_value => return Some((Next::Whole, Place::Number)),
            (_, 't') if is_value => Next::Word("rue"),
            (_, 'f') if is_value => Next::Word("alse"),
            (_, 'n') if is_value => Next::Word("ull"),
            _ => return None,
        };
        Some((next, Place::Mark))
    }

    fn string(&mut self, in_name: bool) -> Next {
        self.in_name = in_name;
        Next::Text
    }

    fn bracket(&mut self, is_object: bool) -> Next {
        self.open.push(is_object);
        if is_object { Next::FirstName } else { Next::FirstItem }
    }

    fn close(&mut self) -> Next {
        self.open.pop();
        Next::Rest
    }
}
