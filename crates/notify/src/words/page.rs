//! What a message says, before it is a letter or a Slack message.
//!
//! Each kind of message says its words once, as a page of sections; the templates and the Slack renderer draw every
//! kind of section once. All texts in here are plain: whoever draws them escapes for the medium.

use serde::Serialize;

use crate::words::figures::Tone;
use crate::words::names::Link;

/// A message in the making.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    /// The subject of the mail, and what Slack shows in a notification.
    pub(crate) subject: String,
    /// The line that mailboxes show beside the subject.
    pub(crate) preheader: String,
    /// The tenant, above the heading.
    pub(crate) eyebrow: String,
    pub(crate) heading: String,
    pub(crate) sections: Vec<Section>,
    /// Why the reader has this.
    pub(crate) reason: String,
    /// Where the reader says what to receive; none where that is not a choice.
    pub(crate) preferences: Option<Link>,
}

/// One part of a page.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Section {
    /// A paragraph.
    Text { text: String },
    /// The one figure that the message is about.
    Figure { label: String, figure: String, note: Option<Toned>, aside: Option<String> },
    /// Lesser figures, side by side.
    Tiles { tiles: Vec<Tile> },
    /// One bar a day.
    Bars { title: String, bars: Vec<Bar> },
    /// What cost most.
    Ranking { title: String, rows: Vec<Rank> },
    /// Limits and how far each is reached.
    Meters { title: String, meters: Vec<Meter> },
    /// Labels and values.
    Facts { title: Option<String>, facts: Vec<Fact> },
    /// What happened, each with its line.
    Events { title: String, events: Vec<Event> },
    /// The one thing to do.
    Button { label: String, link: Link },
    /// In small print.
    Note { text: String },
}

#[derive(Debug, Serialize)]
pub(crate) struct Toned {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) figure: String,
    pub(crate) tone: Tone,
}

#[derive(Debug, Serialize)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) figure: String,
    /// 0 to 100, and what is left of 100.
    pub(crate) fill: u8,
    pub(crate) rest: u8,
}

#[derive(Debug, Serialize)]
pub(crate) struct Rank {
    pub(crate) name: String,
    pub(crate) cost: String,
    pub(crate) share: String,
    pub(crate) change: Option<Toned>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Meter {
    pub(crate) name: String,
    pub(crate) figure: String,
    pub(crate) reached: String,
    pub(crate) fill: u8,
    pub(crate) rest: u8,
    pub(crate) tone: Tone,
}

#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Section {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    pub(crate) fn note(text: impl Into<String>) -> Self {
        Self::Note { text: text.into() }
    }

    pub(crate) fn button(label: &str, link: &Link) -> Self {
        Self::Button { label: label.to_owned(), link: link.clone() }
    }

    pub(crate) fn facts(facts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let facts = facts.into_iter().map(|(label, value)| Fact { label: label.to_owned(), value }).collect();
        Self::Facts { title: None, facts }
    }
}
