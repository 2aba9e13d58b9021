//! What a user typed, made fit to stand in a letter: on one line, bounded, and without what turns the text around it.

use serde::{Deserialize, Serialize};

/// The longest name in a row of figures, in characters.
pub(crate) const NAME_LIMIT: usize = 60;
/// The longest running text from elsewhere, in characters.
pub(crate) const TEXT_LIMIT: usize = 600;

/// A name that a user gave, cleaned and cut to [`NAME_LIMIT`].
pub(crate) fn name(given: &str) -> String {
    cut(given, NAME_LIMIT)
}

/// A sentence from elsewhere, cleaned and cut to [`TEXT_LIMIT`].
pub(crate) fn text(given: &str) -> String {
    cut(given, TEXT_LIMIT)
}

/// Cleaned and cut to at most this many characters, the ellipsis included.
pub(crate) fn cut(given: &str, limit: usize) -> String {
    // Nothing behind this can show, so ten megabytes cost what ten kilobytes do.
    let clean: String = given.chars().take(limit.saturating_mul(8)).filter_map(visible).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "(unnamed)".to_owned();
    }
    if line.chars().count() <= limit {
        return line;
    }
    let kept: String = line.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The character as it may stand: breaks as blanks; controls, direction marks and invisible fillers not at all. The
/// zero-width joiners stay, since emoji and several scripts are written with them.
fn visible(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{61c}'
        | '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// The longest link, in bytes: with its header's name it stays below the 998 of a header line (RFC 5322, 2.1.1).
const LINK_LIMIT: usize = 900;

/// A link of ours that a letter carries: absolute, `https` or (on a machine of one's own) `http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Link(String);

/// A text that is no absolute `http` or `https` link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link in a message must be an absolute https or http URL")]
pub struct BadLink;

impl Link {
    /// Takes a link and puts it into its one spelling.
    pub fn parse(text: &str) -> Result<Self, BadLink> {
        let url = url::Url::parse(text).map_err(|_| BadLink)?;
        let fits =
            matches!(url.scheme(), "https" | "http") && url.has_host() && url.as_str().len() <= LINK_LIMIT;
        if fits { Ok(Self(url.into())) } else { Err(BadLink) }
    }

    /// For samples, whose links are constants.
    pub(crate) fn nowhere() -> Self {
        Self("https://costlens.example/".to_owned())
    }

    /// The link as it is written: ASCII, without blanks or quotation marks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
