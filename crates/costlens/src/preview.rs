//! `costlens preview`: how each message looks, over sample figures, without a server.

use clap::{Args, ValueEnum};
use costlens_notify::Kind;

use crate::boot::Failure;
use crate::cli::print;

#[derive(Args, Debug)]
pub(crate) struct PreviewArgs {
    /// The kind of message; without it, the kinds are listed.
    kind: Option<Kind>,
    /// What is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The mail's subject.
    Subject,
    /// The mail's text.
    Text,
    /// The mail's HTML.
    Html,
    /// The Slack message, as JSON for Slack's Block Kit Builder.
    Slack,
}

pub(crate) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let Some(kind) = args.kind else {
        for kind in Kind::ALL {
            print(&format!("{kind}\n"));
        }
        return Ok(());
    };
    let preview = costlens_notify::preview(kind)?;
    match args.format {
        Format::Subject => print(&format!("{}\n", preview.subject)),
        Format::Text => print(&preview.text),
        Format::Html => print(&preview.html),
        Format::Slack => match preview.slack {
            Some(message) => print(&format!("{}\n", serde_json::to_string_pretty(&message)?)),
            None => return Err(format!("{kind} does not go to Slack").into()),
        },
    }
    Ok(())
}
