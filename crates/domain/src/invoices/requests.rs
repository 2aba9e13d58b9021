//! What a vendor is asked, and whether an answer is the last of its report.

use std::fmt;
use std::fmt::Write as _;

use chrono::{Days, NaiveDate, NaiveTime};
use serde::Deserialize;

use super::{BadPage, InvoiceVendor};
use crate::aws::Month;

/// Which of a vendor's two reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// What is owed.
    Costs,
    /// What was used.
    Usage,
}

impl Report {
    /// Both, the one that tells money first.
    pub const ALL: [Self; 2] = [Self::Costs, Self::Usage];
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Costs => "cost report",
            Self::Usage => "usage report",
        })
    }
}

/// How many days a page has at most: as many as a month, and no more than either vendor gives.
const DAYS_PER_PAGE: u32 = 31;

/// Path and query of a page of a month's report. `today` ends the month that runs: both vendors tell whole days by UTC.
#[must_use]
pub fn path(
    vendor: InvoiceVendor,
    report: Report,
    month: Month,
    today: NaiveDate,
    page: Option<&str>,
) -> String {
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
    // A day that has not begun is nobody's; a month that has not begun is asked for its first day.
    let end = month.end().min(tomorrow).max(month.first_day().succ_opt().unwrap_or(month.end()));
    let (first, end) =
        (month.first_day().and_time(NaiveTime::MIN).and_utc(), end.and_time(NaiveTime::MIN).and_utc());
    let (base, groups): (_, &[&str]) = match (vendor, report) {
        (InvoiceVendor::Anthropic, Report::Costs) => {
            ("/v1/organizations/cost_report", &["workspace_id", "description"])
        }
        (InvoiceVendor::Anthropic, Report::Usage) => (
            "/v1/organizations/usage_report/messages",
            &["workspace_id", "model", "service_tier", "context_window"],
        ),
        (InvoiceVendor::OpenAi, Report::Costs) => ("/v1/organization/costs", &["project_id", "line_item"]),
        (InvoiceVendor::OpenAi, Report::Usage) => {
            ("/v1/organization/usage/completions", &["project_id", "model", "batch"])
        }
    };
    let (period, group) = match vendor {
        InvoiceVendor::Anthropic => {
            let (first, end) = (first.format("%Y-%m-%dT%H:%M:%SZ"), end.format("%Y-%m-%dT%H:%M:%SZ"));
            // The name ends in brackets, percent-encoded.
            (format!("starting_at={first}&ending_at={end}"), "group_by%5B%5D")
        }
        InvoiceVendor::OpenAi => {
            (format!("start_time={}&end_time={}", first.timestamp(), end.timestamp()), "group_by")
        }
    };
    let groups: String = groups.iter().flat_map(|name| ["&", group, "=", *name]).collect();
    let mut path = format!("{base}?{period}&bucket_width=1d{groups}&limit={DAYS_PER_PAGE}");
    if let Some(page) = page {
        path.push_str("&page=");
        encode(page, &mut path);
    }
    path
}

/// A vendor's text in a query (RFC 3986, section 2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[derive(Deserialize)]
struct End {
    has_more: bool,
    #[serde(default)]
    next_page: Option<String>,
}

pub(super) fn next_page(report: Report, page: usize, text: &str) -> Result<Option<String>, BadPage> {
    let bad = |why: String| BadPage::Shape { report, page, why };
    let end: End = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    match (end.has_more, end.next_page) {
        (false, _) => Ok(None),
        (true, Some(next)) if !next.is_empty() => Ok(Some(next)),
        (true, _) => Err(bad("has_more is true and next_page names none".to_owned())),
    }
}
