//! Numbers that name somebody: cards, social security and phone numbers, IPv4 addresses.
//!
//! Most numbers in prompts name nobody: counts, times, prices, versions, ids. So a number is looked at where one begins
//! (never within a word or another number), each rule wants the grouping that people write, and where digits alone do
//! not tell, a word before them must.

use super::versions::is_version;
use super::{Kind, Span, at, before, joins};

/// How far back a word may stand that says what a number is.
const CONTEXT: usize = 28;

const PHONE_WORDS: &[&str] = &[
    "phone",
    "tel",
    "call",
    "mobile",
    "cell",
    "fax",
    "whatsapp",
    "sms",
    "dial",
    "reach me",
    "contact",
    "handy",
    "móvil",
    "téléphone",
    "teléfono",
    "text me",
    "ring",
];
const SSN_WORDS: &[&str] = &["ssn", "social security", "social-security", "social_security", "ss#", "ss no"];

pub(super) fn find(chars: &[char], mails: &[Span], context: &str) -> Vec<Span> {
    let text = Text { chars, context };
    let mut found: Vec<Span> = Vec::new();
    let mut mails = mails.iter().peekable();
    let mut place = 0;
    while place < chars.len() {
        if let Some(mail) = mails.next_if(|mail| mail.from <= place) {
            place = place.max(mail.to);
            continue;
        }
        let limit = mails.peek().map_or(chars.len(), |mail| mail.from);
        let c = at(chars, place);
        let starts = c.is_ascii_hexdigit() || matches!(c, '+' | '(');
        let fresh = found.last().is_some_and(|span| span.to == place) || !joins(before(chars, place));
        if !starts || !fresh {
            place += 1;
            continue;
        }
        if let Some(length) = text.uuid(place) {
            place += length;
            continue;
        }
        let span = text.number(place).filter(|span| span.to <= limit);
        match span {
            Some(span) => {
                place = span.to;
                found.push(span);
            }
            None => place += 1,
        }
    }
    found
}

struct Text<'a> {
    chars: &'a [char],
    /// What stands before the text itself.
    context: &'a str,
}

/// Groups of digits with single separators between them.
struct Groups {
    /// Where each begins and ends.
    places: Vec<(usize, usize)>,
    /// What stands between them.
    separators: Vec<char>,
}

impl Groups {
    fn lengths(&self) -> Vec<usize> {
        self.places.iter().map(|(from, to)| to - from).collect()
    }

    fn digits(&self) -> usize {
        self.places.iter().map(|(from, to)| to - from).sum()
    }

    fn end(&self) -> usize {
        self.places.last().map_or(0, |(_, to)| *to)
    }
}

impl Text<'_> {
    fn at(&self, place: usize) -> char {
        at(self.chars, place)
    }

    fn is_digit(&self, place: usize) -> bool {
        self.at(place).is_ascii_digit()
    }

    fn number(&self, from: usize) -> Option<Span> {
        let last = before(self.chars, from);
        let continues = from >= 2 && at(self.chars, from - 2).is_ascii_digit();
        match last {
            // The inside of an amount, of a time, or of a longer number.
            '$' | '€' | '£' | '¥' => None,
            '.' | ':' if continues => None,
            // A list, or a range.
            ',' if continues => self.ipv4(from).or_else(|| self.card(from)),
            '-' if continues => self.ipv4(from),
            _ => {
                let rules = [Self::ipv4, Self::card, Self::ssn, Self::phone];
                rules.iter().find_map(|rule| rule(self, from))
            }
        }
    }

    /// Whether nothing that belongs to the number stands behind it.
    fn ends(&self, to: usize) -> bool {
        let next = self.at(to);
        let goes_on = matches!(next, '.' | ',' | ':') && self.is_digit(to + 1);
        !(goes_on || joins(next) || next == '%')
    }

    /// The digits of a run that begins here, at most so many.
    fn run(&self, from: usize, most: usize) -> usize {
        (from..from + most).take_while(|place| self.is_digit(*place)).count()
    }

    fn digits(&self, from: usize, to: usize) -> Vec<u32> {
        let chars = self.chars.get(from..to).unwrap_or_default();
        chars.iter().filter_map(|c| c.to_digit(10)).collect()
    }

    /// At most so many groups of digits that begin here.
    fn groups(&self, from: usize, separators: &[char], most: usize) -> Groups {
        let mut groups = Groups { places: Vec::new(), separators: Vec::new() };
        let mut place = from;
        while groups.places.len() < most {
            let length = self.run(place, 24);
            if length == 0 {
                groups.separators.pop();
                break;
            }
            groups.places.push((place, place + length));
            place += length;
            let separator = self.at(place);
            if groups.places.len() == most || !separators.contains(&separator) {
                break;
            }
            groups.separators.push(separator);
            place += 1;
        }
        groups
    }

    /// Whether one of these words stands before a place.
    fn is_told_by(&self, words: &[&str], from: usize) -> bool {
        let start = from.saturating_sub(CONTEXT);
        let mut text: String = self.chars.get(start..from).unwrap_or_default().iter().collect();
        if start == 0 {
            text = format!("{} {text}", self.context);
        }
        let text = text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// Whether a row of groups stands alone: no other number beside it with only blanks or commas between.
    fn is_alone(&self, from: usize, to: usize) -> bool {
        let blank = |c: &char| matches!(c, ' ' | ',' | ';' | '|' | '\t');
        let left = self.chars.get(from.saturating_sub(4)..from).unwrap_or_default();
        let left = left.iter().rev().find(|c| !blank(c));
        let right = self.chars.get(to..(to + 4).min(self.chars.len())).unwrap_or_default();
        let right = right.iter().find(|c| !blank(c));
        !left.is_some_and(char::is_ascii_digit) && !right.is_some_and(char::is_ascii_digit)
    }

    /// The length of a UUID that begins here.
    fn uuid(&self, from: usize) -> Option<usize> {
        let shape = [8, 4, 4, 4, 12];
        let mut place = from;
        for (number, length) in shape.iter().enumerate() {
            if number > 0 {
                if self.at(place) != '-' {
                    return None;
                }
                place += 1;
            }
            if !(place..place + length).all(|place| self.at(place).is_ascii_hexdigit()) {
                return None;
            }
            place += length;
        }
        (!joins(self.at(place))).then_some(place - from)
    }

    fn ipv4(&self, from: usize) -> Option<Span> {
        let groups = self.groups(from, &['.'], 4);
        if groups.places.len() != 4 {
            return None;
        }
        for (from, to) in &groups.places {
            let digits = self.digits(*from, *to);
            let value =
                digits.iter().fold(0_u32, |value, digit| value.saturating_mul(10).saturating_add(*digit));
            if value > 255 || (digits.len() > 1 && digits.first() == Some(&0)) {
                return None;
            }
        }
        let to = groups.end();
        let next = self.at(to);
        let goes_on = joins(next)
            || (next == '.' && joins(self.at(to + 1)))
            || (matches!(next, '-' | '+') && self.at(to + 1).is_alphabetic());
        (!goes_on && !is_version(self.chars, self.context, from)).then_some(Span {
            from,
            to,
            kind: Kind::Ipv4,
        })
    }

    fn card(&self, from: usize) -> Option<Span> {
        let found = |to: usize| {
            let digits = self.digits(from, to);
            (is_issued(&digits) && luhn(&digits)).then_some(Span { from, to, kind: Kind::Card })
        };
        let run = self.run(from, 20);
        if (13..=19).contains(&run) {
            return found(from + run).filter(|span| self.at(span.to) == ',' || self.ends(span.to));
        }
        let separator = self.at(from + run);
        if !matches!(separator, ' ' | '-' | '.') {
            return None;
        }
        let groups = self.groups(from, &[separator], 5);
        let lengths = groups.lengths();
        for count in (2..=lengths.len()).rev() {
            let shape = lengths.get(..count)?;
            let known = matches!(
                shape,
                [4, 4, 4, 4, 1..=3]
                    | [4, 4, 4, 1..=4]
                    | [4, 6, 4..=5]
                    | [6, 7..=13]
                    | [8, 8]
                    | [4, 4, 5]
                    | [5, 5, 5]
            );
            let to = groups.places.get(count - 1).map_or(0, |(_, to)| *to);
            if known
                && (self.ends(to) || count < lengths.len())
                && let Some(span) = found(to)
            {
                return Some(span);
            }
        }
        None
    }

    fn ssn(&self, from: usize) -> Option<Span> {
        let run = self.run(from, 10);
        let to = if run == 9 {
            if !self.is_told_by(SSN_WORDS, from) {
                return None;
            }
            from + 9
        } else {
            let separator = self.at(from + 3);
            if run != 3 || !matches!(separator, '-' | ' ' | '.') {
                return None;
            }
            let groups = self.groups(from, &[separator], 3);
            let told = || self.is_told_by(SSN_WORDS, from);
            let written = match separator {
                '-' => true,
                ' ' => told() || self.is_alone(from, groups.end()),
                _ => told(),
            };
            if groups.lengths() != [3, 2, 4] || !written {
                return None;
            }
            groups.end()
        };
        let digits = self.digits(from, to);
        let (area, rest) = digits.split_at_checked(3)?;
        let (group, serial) = rest.split_at_checked(2)?;
        let area = area.iter().fold(0, |area, digit| area * 10 + digit);
        // Never issued: https://www.ssa.gov/employer/randomization.html
        let issued = area != 0
            && area != 666
            && area < 900
            && [group, serial].iter().all(|part| part.iter().any(|d| *d != 0));
        let alone = self.ends(to) && !(self.at(to) == '-' && joins(self.at(to + 1)));
        (issued && alone).then_some(Span { from, to, kind: Kind::Ssn })
    }

    fn phone(&self, from: usize) -> Option<Span> {
        let to = match self.at(from) {
            '+' => self.international(from)?,
            '(' => self.parenthesised(from)?,
            '0' => self.trunk(from)?,
            _ => self.american(from)?,
        };
        let next = self.at(to);
        let goes_on = matches!(next, '-' | '/') && self.is_digit(to + 1);
        (self.ends(to) && !goes_on).then_some(Span { from, to, kind: Kind::Phone })
    }

    /// `+49 30 1234567`, `+1 (555) 123-4567`: the sign, a country that begins with no zero, up to 15 digits (E.164).
    fn international(&self, from: usize) -> Option<usize> {
        let mut place = from + 1;
        if !matches!(self.at(place), '1'..='9') {
            return None;
        }
        let (mut digits, mut groups, mut end) = (0, 0, 0);
        while digits <= 15 {
            let run = self.run(place, 16);
            if run == 0 {
                break;
            }
            digits += run;
            groups += 1;
            place += run;
            end = place;
            // One separator, or a parenthesis with a blank beside it.
            let mut between = 0;
            while between < 2 && matches!(self.at(place), ' ' | '-' | '.' | '(' | ')' | '/') {
                place += 1;
                between += 1;
            }
        }
        let enough = if groups == 1 { 10 } else { 8 };
        (enough..=15).contains(&digits).then_some(end)
    }

    /// `(555) 123-4567`, `(030) 1234567`.
    fn parenthesised(&self, from: usize) -> Option<usize> {
        let area = self.run(from + 1, 6);
        if !(2..=5).contains(&area) || self.at(from + 1 + area) != ')' {
            return None;
        }
        let mut place = from + 2 + area;
        if matches!(self.at(place), ' ' | '-') {
            place += 1;
        }
        let rest = self.groups(place, &[' ', '-', '.'], 4);
        let american = area == 3
            && matches!(self.at(from + 1), '2'..='9')
            && matches!(rest.lengths().as_slice(), [7] | [3, 4]);
        if american {
            return Some(rest.end());
        }
        let digits = rest.digits();
        (self.at(from + 1) == '0' && (5..=9).contains(&digits)).then(|| rest.end())
    }

    /// National numbers with their trunk zero: `020 7946 0958`, `06 12 34 56 78`, `030/123456`, `0044 20 7946 0958`.
    fn trunk(&self, from: usize) -> Option<usize> {
        let abroad = self.at(from + 1) == '0';
        if !matches!(self.at(from + if abroad { 2 } else { 1 }), '1'..='9') {
            return None;
        }
        let first = self.run(from, 16);
        let separator = self.at(from + first);
        let told = self.is_told_by(PHONE_WORDS, from);
        let to = match separator {
            ' ' | '-' | '.' => {
                let groups = self.groups(from, &[separator], 6);
                let lengths = groups.lengths();
                let digits = groups.digits();
                let written = (2..=6).contains(&lengths.len())
                    && lengths.iter().all(|length| (2..=8).contains(length))
                    && (9..=if abroad { 15 } else { 12 }).contains(&digits)
                    && first <= 6;
                let sure = match separator {
                    ' ' => self.is_alone(from, groups.end()),
                    '-' => !abroad && lengths.iter().skip(1).all(|length| *length >= 3),
                    _ => lengths.len() > 3 && lengths.iter().all(|length| *length == 2),
                };
                if !written || !(sure || told) {
                    return None;
                }
                groups.end()
            }
            '/' if (3..=5).contains(&first) => {
                let rest = self.run(from + first + 1, 10);
                if !(5..=8).contains(&rest) {
                    return None;
                }
                from + first + 1 + rest
            }
            _ if told && (9..=12).contains(&first) => from + first,
            _ => return None,
        };
        Some(to)
    }

    /// `555-123-4567`, `1-800-555-0199`, and with a word before it `5551234567` and `555-1234`.
    fn american(&self, from: usize) -> Option<usize> {
        let told = self.is_told_by(PHONE_WORDS, from);
        let run = self.run(from, 12);
        if run == 10 || (run == 11 && self.at(from) == '1') {
            let area = from + run - 10;
            return (told && self.is_area(area) && self.is_area(area + 3)).then_some(from + run);
        }
        let separators = [' ', '-', '.'];
        let mut area = from;
        if run == 1 && self.at(from) == '1' && separators.contains(&self.at(from + 1)) {
            area = from + 2;
        }
        if self.at(area) == '(' {
            return self.parenthesised(area);
        }
        let groups = self.groups(area, &separators, 3);
        match groups.lengths().as_slice() {
            [3, 4] if told && matches!(groups.separators.as_slice(), ['-']) && self.is_area(area) => {
                Some(groups.end())
            }
            [3, 4, _] if told && self.at(area + 3) == '-' && self.is_area(area) => Some(area + 8),
            [3, 3, 4] if self.is_area(area) => {
                let blanks = groups.separators.contains(&' ');
                (!blanks || told || self.is_alone(from, groups.end())).then(|| groups.end())
            }
            _ => None,
        }
    }

    /// Areas and exchanges begin with no 0 and no 1.
    fn is_area(&self, place: usize) -> bool {
        matches!(self.at(place), '2'..='9')
    }
}

/// Whether some network issues numbers that begin so, of this length (ISO/IEC 7812).
fn is_issued(digits: &[u32]) -> bool {
    let beginning = digits.iter().take(4).fold(0, |number, digit| number * 10 + digit);
    matches!(
        (beginning, digits.len()),
        (2221..=2720 | 5000..=5999 | 3000..=3099 | 3600..=3699 | 3800..=3999, 14..=19)
            | (3400..=3499 | 3700..=3799 | 1000..=1999, 15)
            | (3500..=3599, 16..=19)
            | (4000..=4999, 13 | 16 | 19)
            | (6000..=6999, 13..=19)
    )
}

/// The check digit of ISO/IEC 7812.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}
