//! One cell, and how it is written.
//!
//! A spreadsheet takes a text that begins with certain characters for a formula and runs it (OWASP, "CSV Injection").
//! Texts that others chose get an apostrophe in front then, which spreadsheets hide; so does a text that begins with
//! an apostrophe, so that taking one off a text's front always gives back what was. What we spell ourselves (numbers,
//! amounts, times, ids) is never touched: a negative amount stays a number.

use std::borrow::Cow;
use std::fmt::Display;

/// What a formula may begin with; the last four are what some input methods type for the first.
const DANGEROUS: [char; 12] =
    ['\'', '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// What stands in one column of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing, or nothing known: empty in CSV, `null` in JSON. Never a zero.
    Empty,
    /// A count: a number in JSON.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// A word of our own spelling, such as an id, a time or an exact amount: a string in JSON.
    Own(String),
    /// A text that somebody else chose.
    Text(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    /// A word of our own, or nothing.
    pub(crate) fn own(value: Option<impl Display>) -> Self {
        value.map_or(Self::Empty, |value| Self::Own(value.to_string()))
    }

    /// A text of somebody else's, or nothing.
    pub(crate) fn text(value: Option<&'a String>) -> Self {
        value.map_or(Self::Empty, |value| Self::Text(Cow::Borrowed(value)))
    }

    /// A count, or nothing.
    pub(crate) fn count(value: Option<impl Into<u64>>) -> Self {
        value.map_or(Self::Empty, |value| Self::Count(value.into()))
    }

    pub(crate) fn put_csv(&self, to: &mut String) {
        match self {
            Self::Empty => {}
            Self::Count(count) => to.push_str(&count.to_string()),
            Self::Flag(flag) => to.push_str(if *flag { "true" } else { "false" }),
            Self::Own(word) => put_quoted("", word, to),
            Self::Text(text) if text.starts_with(DANGEROUS) => put_quoted("'", text, to),
            Self::Text(text) => put_quoted("", text, to),
        }
    }

    pub(crate) fn put_json(&self, to: &mut String) {
        match self {
            Self::Empty => to.push_str("null"),
            Self::Count(count) => to.push_str(&count.to_string()),
            Self::Flag(flag) => to.push_str(if *flag { "true" } else { "false" }),
            Self::Own(word) => to.push_str(&serde_json::Value::from(word.as_str()).to_string()),
            Self::Text(text) => to.push_str(&serde_json::Value::from(text.as_ref()).to_string()),
        }
    }
}

/// RFC 4180, section 2, rules 5 to 7. A text with a semicolon is quoted, too: some spreadsheets part cells by it.
fn put_quoted(guard: &str, text: &str, to: &mut String) {
    if guard.is_empty() && !text.contains([',', ';', '"', '\t', '\n', '\r']) {
        to.push_str(text);
        return;
    }
    to.push('"');
    to.push_str(guard);
    to.push_str(&text.replace('"', "\"\""));
    to.push('"');
}
