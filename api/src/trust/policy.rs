//! `SECURITY.md` as data, and `/.well-known/security.txt` (RFC 9116) made of it.
//!
//! The file says when people last made sure that somebody reads the address; what is served expires from there, and
//! not from the start of a process, so that an address that nobody looks after does not stay valid for ever.

use std::sync::LazyLock;

use chrono::{Days, NaiveDate, SecondsFormat};
use poem::endpoint::make_sync;
use poem::{Endpoint, IntoResponse as _, Response, get};

use super::SeverityView;

const TEXT: &str = include_str!("../../../SECURITY.md");

/// From the review on. RFC 9116 recommends less than a year (section 2.5.5).
const VALID: Days = Days::new(330);

/// What the policy promises.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) contact: String,
    pub(crate) acknowledged_within_hours: u32,
    pub(crate) severities: Vec<SeverityView>,
    reviewed: NaiveDate,
}

pub(crate) fn policy() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(read);
    &POLICY
}

fn read() -> Policy {
    let between = |before: &str, after: &str| {
        TEXT.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(found, _)| found)
    };
    let severity = |line: &str| {
        let cells: Vec<&str> =
            line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::trim).collect();
        let [severity, example, days] = cells.as_slice() else { return None };
        let days = days.strip_suffix(" days")?.parse().ok()?;
        Some(SeverityView { severity: (*severity).to_owned(), example: (*example).to_owned(), days })
    };
    Policy {
        contact: between("Write to **", "**").to_owned(),
        acknowledged_within_hours: between("within **", " hours**").parse().unwrap_or_default(),
        severities: TEXT.lines().filter_map(severity).collect(),
        reviewed: between("Last reviewed: ", ".").parse().unwrap_or_default(),
    }
}

/// `/.well-known/security.txt`. Addresses of pages are told where they are https, as the RFC demands (section 2.5).
#[must_use]
pub fn security_txt(public_url: &str) -> String {
    let policy = policy();
    let expires = policy.reviewed.checked_add_days(VALID).unwrap_or(policy.reviewed);
    let expires =
        expires.and_time(chrono::NaiveTime::MIN).and_utc().to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut text =
        format!("Contact: mailto:{}\nExpires: {expires}\nPreferred-Languages: en\n", policy.contact);
    let base = public_url.trim_end_matches('/');
    if base.starts_with("https://") {
        for (name, path) in [("Canonical", "/.well-known/security.txt"), ("Policy", "/trust")] {
            text.extend([name, ": ", base, path, "\n"]);
        }
    }
    text
}

/// Serves it.
pub fn security_txt_endpoint(public_url: &str) -> impl Endpoint<Output = Response> + 'static {
    let text = security_txt(public_url);
    get(make_sync(move |_| {
        text.clone()
            .with_content_type("text/plain; charset=utf-8")
            .with_header("cache-control", "public, max-age=3600")
            .into_response()
    }))
}
