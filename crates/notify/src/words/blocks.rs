//! A page as a Slack message, in Block Kit.
//!
//! Slack refuses a message whole for one text that is too long or one block too many, and reads markup in whatever
//! stands in `mrkdwn`. So every limit is kept here by construction, and every text is escaped, names and our own words
//! alike. Limits: <https://docs.slack.dev/reference/block-kit/blocks> (read in November 2026).

use serde_json::{Value, json};

use crate::slack::SlackMessage;
use crate::words::names::cut;
use crate::words::page::{Page, Section};

/// The most blocks of a message.
pub(crate) const BLOCKS: usize = 50;
/// The longest text of a section, in UTF-16 units, which is at least as strict as characters.
pub(crate) const SECTION: usize = 3000;
/// The longest header.
pub(crate) const HEADER: usize = 150;
/// The most fields of a section.
const FIELDS: usize = 10;
/// The longest raw text of one line: even if every character were escaped into five, a section holds it and its label.
const LINE: usize = 560;

pub(crate) fn draw(page: &Page) -> SlackMessage {
    let mut heading = cut(&format!("{}: {}", page.eyebrow, page.heading), HEADER);
    while units(&heading) > HEADER {
        heading.pop();
    }
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": heading, "emoji": false },
    })];
    for section in &page.sections {
        section_blocks(section, &mut blocks);
    }
    // The last line stays, whatever had to go before it.
    blocks.truncate(BLOCKS - 1);
    let mut foot = escape(&page.reason);
    if let Some(preferences) = &page.preferences {
        foot = format!("{foot} {}", link(preferences.as_str(), "Change what you receive"));
    }
    blocks.push(json!({ "type": "context", "elements": [markdown(&foot)] }));
    SlackMessage::new(escape(&cut(&page.subject, LINE)), blocks)
}

fn section_blocks(section: &Section, blocks: &mut Vec<Value>) {
    match section {
        Section::Text { text } => lines(blocks, None, [escape(text)]),
        Section::Note { text } => {
            blocks.push(json!({ "type": "context", "elements": [markdown(&escape(text))] }));
        }
        Section::Figure { label, figure, note, aside } => {
            let mut line = format!("{}\n*{}*", escape(label), escape(figure));
            for part in [note.as_ref().map(|note| &note.text), aside.as_ref()].into_iter().flatten() {
                line.push_str("  ·  ");
                line.push_str(&escape(part));
            }
            lines(blocks, None, [line]);
        }
        Section::Tiles { tiles } => {
            fields(blocks, tiles.iter().map(|tile| (tile.label.as_str(), tile.figure.as_str())));
        }
        Section::Bars { title, bars } => {
            let wide = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0);
            let figure = bars.iter().map(|bar| bar.figure.chars().count()).max().unwrap_or(0);
            let drawn = bars.iter().map(|bar| {
                let full = usize::from(bar.fill).div_ceil(7);
                escape(
                    format!("{:wide$}  {:>figure$}  {}", bar.label, bar.figure, "█".repeat(full)).trim_end(),
                )
            });
            let drawn: Vec<String> = drawn.collect();
            lines(blocks, Some(title), [format!("```{}```", drawn.join("\n"))]);
        }
        Section::Ranking { title, rows } => {
            let rows = rows.iter().enumerate().map(|(place, row)| {
                let change = row.change.as_ref().map(|change| format!(", {}", escape(&change.text)));
                format!(
                    "{}. {}  *{}*  {}{}",
                    place + 1,
                    escape(&row.name),
                    escape(&row.cost),
                    escape(&row.share),
                    change.unwrap_or_default()
                )
            });
            lines(blocks, Some(title), rows);
        }
        Section::Meters { title, meters } => {
            let meters = meters.iter().map(|meter| {
                format!("{}  *{}*  {}", escape(&meter.name), escape(&meter.reached), escape(&meter.figure))
            });
            lines(blocks, Some(title), meters);
        }
        Section::Facts { title, facts } => {
            let facts =
                facts.iter().map(|fact| format!("*{}:* {}", escape(&fact.label), escape(&fact.value)));
            lines(blocks, title.as_deref(), facts);
        }
        Section::Events { title, events } => {
            let events =
                events.iter().map(|event| format!("*{}*\n{}", escape(&event.title), escape(&event.text)));
            lines(blocks, Some(title), events);
        }
        // Not a button: Slack reports a click on one to an app, and a webhook has none to answer it.
        Section::Button { label, link: to } => lines(blocks, None, [link(to.as_str(), label)]),
    }
}

/// Lines as sections of at most [`SECTION`] units, under a title.
fn lines(blocks: &mut Vec<Value>, title: Option<&str>, lines: impl IntoIterator<Item = String>) {
    let mut text = title.map(|title| format!("*{}*", escape(title))).unwrap_or_default();
    for line in lines {
        if units(&text) + units(&line) + 1 > SECTION {
            section(blocks, &text);
            text.clear();
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
    }
    section(blocks, &text);
}

fn section(blocks: &mut Vec<Value>, text: &str) {
    if !text.is_empty() && units(text) <= SECTION {
        blocks.push(json!({ "type": "section", "text": markdown(text) }));
    }
}

fn fields<'a>(blocks: &mut Vec<Value>, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let pairs = pairs.take(FIELDS);
    let fields: Vec<Value> =
        pairs.map(|(label, figure)| markdown(&format!("{}\n*{}*", escape(label), escape(figure)))).collect();
    blocks.push(json!({ "type": "section", "fields": fields }));
}

/// Verbatim, so that Slack makes no links of names that look like addresses, channels or people.
fn markdown(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A link with our own label. `|` and `>` would end it early.
fn link(to: &str, label: &str) -> String {
    let to = to.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
    format!("<{to}|{}>", escape(label))
}

/// A text as it is, whatever it contains. Slack knows escapes for three characters only
/// (<https://docs.slack.dev/messaging/formatting-message-text>, read in November 2026); the marks of bold, italic,
/// struck and code are written as their look-alikes, save an underscore between letters, which Slack leaves alone.
pub(crate) fn escape(text: &str) -> String {
    let text = if text.chars().count() > LINE { cut(text, LINE) } else { text.to_owned() };
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' => out.push('∗'),
            '~' => out.push('∼'),
            '`' => out.push('ˋ'),
            '_' if !(before.is_some_and(char::is_alphanumeric)
                && rest.peek().copied().is_some_and(char::is_alphanumeric)) =>
            {
                out.push('ˍ');
            }
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}
