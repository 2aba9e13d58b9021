//! Writes every kind of message to a directory, as its letter, its text and its Slack message, to be looked at:
//! `cargo run -p costlens-notify --example preview -- <dir>`. The Slack messages are drawn in roughly Slack's look.

#![expect(clippy::indexing_slicing, reason = "a tool for whoever changes the words; it may fall over")]

use std::fmt::Write as _;
use std::path::PathBuf;

use costlens_notify::words::{Kind, preview};
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let into = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name a directory to write to")?;
    std::fs::create_dir_all(&into)?;
    for kind in Kind::ALL {
        let shown = preview(*kind)?;
        std::fs::write(into.join(format!("{kind}.html")), &shown.html)?;
        std::fs::write(
            into.join(format!("{kind}.txt")),
            format!("Subject: {}\n\n{}", shown.subject, shown.text),
        )?;
        if let Some(slack) = &shown.slack {
            std::fs::write(into.join(format!("{kind}.slack.json")), serde_json::to_string_pretty(slack)?)?;
            std::fs::write(into.join(format!("{kind}.slack.html")), drawn(slack.blocks()))?;
        }
    }
    Ok(())
}

/// Blocks as HTML that looks roughly as Slack shows them.
fn drawn(blocks: &[Value]) -> String {
    let mut out = String::from(
        "<!DOCTYPE html><meta charset=utf-8><style>body{font:15px/22px Lato,'Segoe UI',Helvetica,sans-serif;color:#1d1c1d;\
         max-width:640px;margin:24px}h3{font-size:18px;margin:8px 0}section{margin:8px 0;white-space:pre-wrap}\
         pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;font:12px/18px Menlo,'DejaVu Sans \
         Mono',monospace;margin:4px 0}.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px}\
         .context{font-size:13px;color:#616061}a{color:#1264a3}</style>",
    );
    for block in blocks {
        match block["type"].as_str().unwrap_or_default() {
            "header" => {
                let text = block["text"]["text"].as_str().unwrap_or_default();
                let _ = write!(out, "<h3>{}</h3>", text.replace('&', "&amp;").replace('<', "&lt;"));
            }
            "context" => {
                let text = block["elements"][0]["text"].as_str().unwrap_or_default();
                let _ = write!(out, "<section class=context>{}</section>", markdown(text));
            }
            _ => {
                if let Some(text) = block["text"]["text"].as_str() {
                    let _ = write!(out, "<section>{}</section>", markdown(text));
                }
                let fields = block["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
                if !fields.is_empty() {
                    out.push_str("<section class=fields>");
                    for field in fields {
                        let _ = write!(
                            out,
                            "<div>{}</div>",
                            markdown(field["text"].as_str().unwrap_or_default())
                        );
                    }
                    out.push_str("</section>");
                }
            }
        }
    }
    out
}

/// The marks that our messages use: bold, code and links. What is escaped in mrkdwn is escaped in HTML.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 1 {
            let _ = write!(out, "<pre>{part}</pre>");
            continue;
        }
        let mut bold = false;
        let mut rest = part;
        while let Some(at) = rest.find(['*', '<']) {
            out.push_str(&rest[..at]);
            if rest[at..].starts_with('*') {
                out.push_str(if bold { "</b>" } else { "<b>" });
                bold = !bold;
                rest = &rest[at + 1..];
            } else {
                let (inside, after) = rest[at + 1..].split_once('>').unwrap_or((&rest[at + 1..], ""));
                let (to, label) = inside.split_once('|').unwrap_or((inside, inside));
                let _ = write!(out, "<a href=\"{to}\">{label}</a>");
                rest = after;
            }
        }
        out.push_str(rest);
    }
    out
}
