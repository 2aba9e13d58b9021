//! The week's figures: what the proxy carried and what it cost, what stood out, and how the budgets stand.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use costlens_domain::{Currency, Usd};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::words::figures::{self, Tone};
use crate::words::names::{Link, name, text};
use crate::words::page::{Bar, Event, Fact, Meter, Page, Rank, Section, Tile, Toned};
use costlens_domain::calendar::Zone;

/// The most rows of one ranking, of the budgets and of the anomalies.
const ROWS: usize = 5;

/// The digest of one week, frozen: what was counted when it was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklyDigest {
    /// The tenant's name.
    pub tenant: String,
    /// The Monday that the week begins on; the ISO week and its last day follow from it.
    pub from: NaiveDate,
    /// The zone whose days are meant.
    pub zone: Zone,
    /// What the calls cost; none where there were calls and no price is known for any.
    pub spend: Option<Usd>,
    /// The same for the week before; none where there was no such week, or no price.
    pub before: Option<Usd>,
    /// Calls that the proxy carried.
    pub requests: u64,
    /// Those of them whose price is unknown, which no amount here counts.
    pub unpriced: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The seven days in order.
    pub days: Vec<DaySpend>,
    /// The models that cost most, the dearest first.
    pub models: Vec<Ranked>,
    /// The API keys that cost most, the dearest first.
    pub keys: Vec<Ranked>,
    /// The providers that cost most, the dearest first.
    pub providers: Vec<Ranked>,
    /// The latest cloud bill, if there is one.
    pub bill: Option<BillPart>,
    /// The fullest budgets, the fullest first.
    pub budgets: Vec<BudgetLine>,
    /// How many budgets there are; of figures from before this was counted, none.
    #[serde(default)]
    pub all_budgets: u64,
    /// What stood out most in the week, the largest difference first.
    pub anomalies: Vec<AnomalyLine>,
    /// How much stood out; of figures from before this was counted, nothing.
    #[serde(default)]
    pub all_anomalies: u64,
    /// The console.
    pub console: Link,
    /// Where the reader says what to receive, and that it should end.
    pub preferences: Link,
}

/// One day's bar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySpend {
    /// The day, in the digest's zone.
    pub day: NaiveDate,
    /// What it cost; none where no price is known.
    pub spend: Option<Usd>,
}

/// A row of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// The name, as the user or the vendor gave it.
    pub name: String,
    /// What it cost in the week; none where its price is unknown.
    pub cost: Option<Usd>,
    /// What it cost in the week before; none where there was no such week, or no price.
    pub before: Option<Usd>,
}

/// The AI part of a cloud bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillPart {
    /// The bill's name.
    pub name: String,
    /// The first day it covers.
    pub from: NaiveDate,
    /// The last day it covers.
    pub to: NaiveDate,
    /// Its totals, one for each currency.
    pub totals: Vec<BillTotal>,
}

/// A bill's totals in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillTotal {
    /// The currency.
    pub currency: Currency,
    /// Everything on the bill.
    #[serde(with = "figures::exact")]
    pub total: Decimal,
    /// What of it is AI.
    #[serde(with = "figures::exact")]
    pub ai: Decimal,
}

impl BillTotal {
    pub(crate) fn fact(&self) -> Fact {
        let (ai, total) = (figures::money(self.ai, self.currency), figures::money(self.total, self.currency));
        let share = figures::share(Some(self.ai.into()), Some(self.total.into()));
        Fact { label: format!("AI spend, {}", self.currency), value: format!("{ai} of {total} ({share})") }
    }
}

/// How far a budget is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// The budget's name.
    pub name: String,
    /// What was spent in its running period; `None` where no call of it has a known price.
    pub spent: Option<Usd>,
    /// How many calls of it have no known price, and are in no sum.
    #[serde(default)]
    pub unpriced: u64,
    /// Its limit.
    pub limit: Usd,
}

/// Something that stood out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalyLine {
    /// What, as the tenant knows it: `key ci-runner`, `model gpt-4.1`.
    pub what: String,
    /// When it began.
    pub at: DateTime<Utc>,
    /// What was to be expected.
    pub expected: Usd,
    /// What it was.
    pub actual: Usd,
}

impl WeeklyDigest {
    pub(crate) fn page(&self) -> Page {
        let tenant = name(&self.tenant);
        let to = self.from.checked_add_days(Days::new(6)).unwrap_or(self.from);
        let span = figures::days(self.from, to);
        let change = figures::change(self.spend, self.before);
        let spend = figures::usd_or_unpriced(self.spend);
        let (subject, preheader) = if self.requests == 0 {
            (format!("{tenant}: no AI calls, {span}"), "No calls were carried in this week.".to_owned())
        } else {
            let versus = change.as_ref().map(|(text, _)| format!(" ({text})")).unwrap_or_default();
            let requests = figures::counted(self.requests, "request", "requests");
            let dearest = self.models.first().map(|model| {
                format!(" Most on {}: {}.", name(&model.name), figures::usd_or_unpriced(model.cost))
            });
            (
                format!("{tenant}: {spend} on AI{versus}, {span}"),
                format!("{requests}.{}", dearest.unwrap_or_default()),
            )
        };
        let mut sections = Vec::new();
        self.week(&mut sections, spend, change);
        self.standing(&mut sections);
        sections.push(Section::button("Open the console", &self.console));
        sections.push(Section::note(format!(
            "Days and times are in {}. Changes compare with the week before.",
            self.zone.name()
        )));
        Page {
            subject,
            preheader,
            eyebrow: tenant.clone(),
            heading: format!("Week {}, {span}", self.from.iso_week().week()),
            sections,
            reason: format!("You receive this because you are on the weekly digest of {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }

    /// What the week was: figures, days, rankings.
    fn week(&self, sections: &mut Vec<Section>, spend: String, change: Option<(String, Tone)>) {
        if self.requests == 0 {
            sections.push(Section::text(
                "No calls were carried in this week. Once an application uses one of your keys, its spend stands here.",
            ));
            if let Some(before) = self.before.filter(|before| *before != Usd::ZERO) {
                sections.push(Section::text(format!("The week before cost {}.", figures::usd(before))));
            }
            return;
        }
        let note = change.map(|(text, tone)| Toned { text, tone });
        let aside = self.before.map(|before| format!("{} the week before", figures::usd(before)));
        sections.push(Section::Figure { label: "AI spend this week".to_owned(), figure: spend, note, aside });
        let tile = |label: &str, number: u64, bad: Tone| Tile {
            label: label.to_owned(),
            figure: figures::count(number),
            tone: if number == 0 { Tone::Calm } else { bad },
        };
        sections.push(Section::Tiles {
            tiles: vec![
                tile("Requests", self.requests, Tone::Calm),
                tile("Failed", self.failed, Tone::Bad),
                tile("Unpriced", self.unpriced, Tone::Warn),
            ],
        });
        if self.unpriced > 0 {
            sections.push(Section::note(format!(
                "{} no known price and {} in no amount here. Set a price in the console to count them.",
                figures::counted(self.unpriced, "request has", "requests have"),
                if self.unpriced == 1 { "is" } else { "are" }
            )));
        }
        if !self.days.is_empty() {
            sections.push(Section::Bars { title: "Day by day".to_owned(), bars: self.bars() });
        }
        for (title, rows) in
            [("Top models", &self.models), ("Top keys", &self.keys), ("Top providers", &self.providers)]
        {
            if !rows.is_empty() {
                let rows = rows.iter().take(ROWS).map(|row| self.rank(row)).collect();
                sections.push(Section::Ranking { title: title.to_owned(), rows });
            }
        }
    }

    fn bars(&self) -> Vec<Bar> {
        let most = self.days.iter().filter_map(|day| day.spend).max().unwrap_or(Usd::ZERO).decimal();
        let days = self.days.iter().take(7);
        let bar = |day: &DaySpend| {
            let fill = figures::fill(day.spend.unwrap_or(Usd::ZERO).decimal(), most);
            let figure = figures::usd_or_unpriced(day.spend);
            Bar { label: figures::short_day(day.day), figure, fill, rest: 100_u8.saturating_sub(fill) }
        };
        days.map(bar).collect()
    }

    fn rank(&self, row: &Ranked) -> Rank {
        let change = figures::change(row.cost, row.before).map(|(text, tone)| Toned { text, tone });
        Rank {
            name: name(&row.name),
            cost: figures::usd_or_unpriced(row.cost),
            share: figures::share(row.cost, self.spend),
            change,
        }
    }

    /// What stands beyond the week's calls: anomalies, budgets, the bill.
    fn standing(&self, sections: &mut Vec<Section>) {
        if !self.anomalies.is_empty() {
            let event = |anomaly: &AnomalyLine| Event {
                title: name(&anomaly.what),
                text: format!(
                    "{} where {} was expected, {}",
                    figures::usd(anomaly.actual),
                    figures::usd(anomaly.expected),
                    figures::moment(anomaly.at, self.zone)
                ),
            };
            let events = self.anomalies.iter().take(ROWS).map(event).collect();
            sections.push(Section::Events { title: "What stood out".to_owned(), events });
            more(sections, (self.anomalies.len(), self.all_anomalies), "anomaly", "anomalies");
        }
        if !self.budgets.is_empty() {
            let meters = self.budgets.iter().take(ROWS).map(meter).collect();
            sections.push(Section::Meters { title: "Budgets".to_owned(), meters });
            more(sections, (self.budgets.len(), self.all_budgets), "budget", "budgets");
        }
        if let Some(bill) = &self.bill {
            let title = Some(format!("Latest bill: {}", text(&bill.name)));
            let covers = Fact { label: "Covers".to_owned(), value: figures::days(bill.from, bill.to) };
            let totals = bill.totals.iter().take(ROWS).map(BillTotal::fact);
            sections.push(Section::Facts { title, facts: std::iter::once(covers).chain(totals).collect() });
        }
    }
}

/// Says how many rows were left out, here and of the figures.
fn more(sections: &mut Vec<Section>, (kept, all): (usize, u64), one: &str, many: &str) {
    let rows = u64::try_from(ROWS).unwrap_or(u64::MAX);
    let hidden = u64::try_from(kept).unwrap_or(u64::MAX).max(all).saturating_sub(rows);
    if hidden > 0 {
        sections.push(Section::note(format!(
            "And {} more, in the console.",
            figures::counted(hidden, one, many)
        )));
    }
}

pub(crate) fn meter(budget: &BudgetLine) -> Meter {
    let fill = budget.spent.map_or(0, |spent| figures::fill(spent.decimal(), budget.limit.decimal()));
    let tone = match fill {
        100 => Tone::Bad,
        80.. => Tone::Warn,
        _ => Tone::Calm,
    };
    let spent = match (budget.spent, budget.unpriced) {
        (Some(spent), 0) => figures::usd(spent),
        (Some(spent), unpriced) => format!(
            "{} and {} without a known price",
            figures::usd(spent),
            figures::counted(unpriced, "request", "requests")
        ),
        (None, unpriced) => {
            format!("Not known ({} without a price)", figures::counted(unpriced, "request", "requests"))
        }
    };
    Meter {
        name: name(&budget.name),
        figure: format!("{spent} of {}", figures::usd(budget.limit)),
        reached: budget.spent.map_or_else(|| "–".to_owned(), |spent| figures::reached(spent, budget.limit)),
        fill,
        rest: 100_u8.saturating_sub(fill),
        tone,
    }
}
