//! A page as a letter: subject, HTML and text, from two templates.
//!
//! The HTML template escapes by itself, the text template does not; nothing that is already HTML ever goes in.

use tera::{Context, Tera};

use crate::words::names::cut;
use crate::words::page::Page;
use crate::words::styles;

/// The longest subject, in characters: what still shows is far less, and one header line stays far below 998 bytes.
const SUBJECT_LIMIT: usize = 150;

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// One line without control characters.
    pub subject: String,
    /// A whole HTML document that fetches nothing.
    pub html: String,
    /// The same in plain text.
    pub text: String,
}

/// A template that could not be filled.
#[derive(Debug, thiserror::Error)]
#[error("a message's template cannot be filled")]
pub struct Unfilled(#[from] tera::Error);

const TEMPLATES: [(&str, &str); 2] = [
    ("letter.html", include_str!("../../templates/letter.html")),
    ("letter.txt", include_str!("../../templates/letter.txt")),
];

pub(crate) fn draw(page: &Page) -> Result<Letter, Unfilled> {
    let mut tera = Tera::new();
    tera.autoescape_on([".html"]);
    tera.add_raw_templates(TEMPLATES)?;
    let mut context = Context::new();
    context.insert("page", page);
    context.insert("s", &styles::inline());
    context.insert("dark", styles::DARK);
    let html = tera.render("letter.html", &context)?;
    let text = tera.render("letter.txt", &context)?;
    Ok(Letter { subject: cut(&page.subject, SUBJECT_LIMIT), html, text: tidy(&text) })
}

/// Without blanks at line ends and more than one empty line in a row, which templates leave behind.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
