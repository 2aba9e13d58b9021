//! What cannot wait for the digest: a budget reached a threshold, a series left its usual course.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::Usd;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::words::figures::{self, Tone};
use crate::words::names::{Link, name, text};
use crate::words::page::{Page, Rank, Section, Toned};
use crate::words::weekly_digest::{BudgetLine, meter};
use costlens_domain::calendar::Zone;

/// A budget reached one of its thresholds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetAlert {
    /// The tenant's name.
    pub tenant: String,
    /// The budget's name.
    pub budget: String,
    /// What it covers, in words: `all keys`, `key ci-runner`.
    pub covers: String,
    /// The first day of its period.
    pub from: NaiveDate,
    /// The last day of its period.
    pub to: NaiveDate,
    /// The threshold that was reached, in percent of the limit.
    pub threshold_percent: u16,
    /// What was spent in the period so far.
    pub spent: Usd,
    /// The limit.
    pub limit: Usd,
    /// Requests of the period whose price is unknown, which `spent` does not count.
    pub unpriced: u64,
    /// That the limit is expected to be crossed, where it is not a threshold that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<ExpectedCrossing>,
    /// The budget in the console.
    pub console: Link,
    /// Where the reader says what to receive.
    pub preferences: Link,
}

/// When a budget is expected to be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedCrossing {
    /// The day (UTC).
    pub on: NaiveDate,
    /// What is expected to be spent by then.
    pub spent: Usd,
}

impl BudgetAlert {
    pub(crate) fn page(&self) -> Page {
        let (tenant, budget) = (name(&self.tenant), name(&self.budget));
        let (spent, limit) = (figures::usd(self.spent), figures::usd(self.limit));
        let over = self.spent > self.limit;
        let heading = if let Some(expected) = self.expected {
            format!("“{budget}” is expected to cross its limit on {}", figures::long_day(expected.on))
        } else if over {
            format!("“{budget}” is over its limit")
        } else {
            format!("“{budget}” has reached {}% of its limit", self.threshold_percent)
        };
        // How much has no price is said in a note of its own.
        let line =
            BudgetLine { name: self.budget.clone(), spent: Some(self.spent), unpriced: 0, limit: self.limit };
        let meter = meter(&line);
        let left = match self.limit.checked_sub(self.spent) {
            Some(left) if !over => format!("{} is left", figures::usd(left)),
            Some(left) => format!("{} over", figures::usd(Usd::from(left.decimal().abs()))),
            None => String::new(),
        };
        let reached = meter.reached.clone();
        let mut sections = vec![
            Section::Figure {
                label: "Spent so far".to_owned(),
                figure: spent.clone(),
                note: Some(Toned { text: format!("{reached} of {limit}"), tone: meter.tone }),
                aside: (!left.is_empty()).then_some(left),
            },
            Section::Meters { title: "Against the limit".to_owned(), meters: vec![meter] },
            Section::facts([
                ("Covers", text(&self.covers)),
                ("Period", figures::days(self.from, self.to)),
                match self.expected {
                    Some(expected) => (
                        "Expected",
                        format!(
                            "{} by {}, if the days ahead cost what the days so far let expect",
                            figures::usd(expected.spent),
                            figures::long_day(expected.on)
                        ),
                    ),
                    None => ("Threshold", format!("{}%", self.threshold_percent)),
                },
            ]),
        ];
        if self.unpriced > 0 {
            sections.push(Section::note(format!(
                "{} no known price and {} not counted here: the true figure is higher.",
                figures::counted(self.unpriced, "request has", "requests have"),
                if self.unpriced == 1 { "is" } else { "are" }
            )));
        }
        sections.push(Section::button("Open the budget", &self.console));
        Page {
            subject: match self.expected {
                Some(expected) => {
                    format!(
                        "Budget “{budget}”: expected to cross {limit} on {}",
                        figures::long_day(expected.on)
                    )
                }
                None => format!("Budget “{budget}”: {spent} of {limit} spent ({reached})"),
            },
            preheader: format!("{}, {}.", text(&self.covers), figures::days(self.from, self.to)),
            eyebrow: tenant.clone(),
            heading,
            sections,
            reason: format!("You receive this because you are on the budget alerts of {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }
}

/// A series of costs left its usual course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalyAlert {
    /// The tenant's name.
    pub tenant: String,
    /// Whose cost it is, as the tenant knows it: `key ci-runner`, `model gpt-4.1`.
    pub series: String,
    /// When the window begins.
    pub from: DateTime<Utc>,
    /// When the window ends.
    pub to: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
    /// What was to be expected in the window.
    pub expected: Usd,
    /// What it was.
    pub actual: Usd,
    /// What made most of it, the dearest first.
    pub contributors: Vec<Contributor>,
    /// The window in the console.
    pub console: Link,
    /// Where the reader says what to receive.
    pub preferences: Link,
}

/// A part of an anomaly's cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributor {
    /// The name, as the user or the vendor gave it.
    pub name: String,
    /// Its cost in the window; none where its price is unknown.
    pub cost: Option<Usd>,
}

impl AnomalyAlert {
    pub(crate) fn page(&self) -> Page {
        let (tenant, series) = (name(&self.tenant), name(&self.series));
        let (actual, expected) = (figures::usd(self.actual), figures::usd(self.expected));
        let window = figures::span_in(self.from, self.to, self.zone);
        let more = self.actual > self.expected;
        let times = times(self.actual, self.expected).filter(|_| more);
        let mut sections = vec![
            Section::Figure {
                label: format!("Spent by {series}"),
                figure: actual.clone(),
                note: times.map(|text| Toned { text, tone: Tone::Warn }),
                aside: Some(format!("{expected} was expected")),
            },
            Section::facts([("Window", window.clone())]),
        ];
        if !self.contributors.is_empty() {
            let rank = |part: &Contributor| Rank {
                name: name(&part.name),
                cost: figures::usd_or_unpriced(part.cost),
                share: figures::share(part.cost, Some(self.actual)),
                change: None,
            };
            let rows = self.contributors.iter().take(5).map(rank).collect();
            sections.push(Section::Ranking { title: "What made most of it".to_owned(), rows });
        }
        sections.push(Section::button("Look into it", &self.console));
        Page {
            subject: format!("Unusual spend: {series} cost {actual}, expected {expected}"),
            preheader: window,
            eyebrow: tenant.clone(),
            heading: format!("{series} cost {} than usual", if more { "more" } else { "less" }),
            sections,
            reason: format!("You receive this because you are on the anomaly alerts of {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }
}

/// "4.2 times as much as expected", where that says something.
fn times(actual: Usd, expected: Usd) -> Option<String> {
    let hundredfold = figures::percent(actual.decimal(), expected.decimal())?;
    let tenths = (hundredfold / Decimal::TEN).floor();
    if tenths < Decimal::from(12) {
        return None;
    }
    let times = (tenths / Decimal::TEN).normalize();
    if times >= Decimal::from(1000) {
        return Some("more than a thousand times the expected".to_owned());
    }
    Some(format!("{times} times the expected"))
}
