//! News of a cloud bill: it is there, or it could not be read.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::words::figures;
use crate::words::names::{Link, name, text};
use crate::words::page::{Fact, Page, Section};
use crate::words::weekly_digest::BillTotal;
use costlens_domain::calendar::Zone;

/// A bill was read and its figures are in the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillPublished {
    /// The tenant's name.
    pub tenant: String,
    /// The bill's name.
    pub bill: String,
    /// The first day it covers.
    pub from: NaiveDate,
    /// The last day it covers.
    pub to: NaiveDate,
    /// Its totals, one for each currency.
    pub totals: Vec<BillTotal>,
    /// The bill in the console.
    pub console: Link,
    /// Where the reader says what to receive.
    pub preferences: Link,
}

impl BillPublished {
    pub(crate) fn page(&self) -> Page {
        let (tenant, bill) = (name(&self.tenant), name(&self.bill));
        let span = figures::days(self.from, self.to);
        let mut sections = Vec::new();
        let mut facts = vec![
            Fact { label: "Bill".to_owned(), value: bill },
            Fact { label: "Covers".to_owned(), value: span.clone() },
        ];
        let mut ai = String::new();
        match self.totals.as_slice() {
            [one] => {
                ai = figures::money(one.ai, one.currency);
                let total = figures::money(one.total, one.currency);
                let share = figures::share(Some(one.ai.into()), Some(one.total.into()));
                sections.push(Section::Figure {
                    label: "AI spend on this bill".to_owned(),
                    figure: ai.clone(),
                    note: None,
                    aside: Some(format!("{share} of {total}")),
                });
            }
            // Two currencies are never added: each has its own line.
            many => facts.extend(many.iter().take(10).map(BillTotal::fact)),
        }
        sections.push(Section::Facts { title: None, facts });
        sections.push(Section::button("Open the bill", &self.console));
        let subject = if ai.is_empty() {
            format!("Your bill for {span} is ready")
        } else {
            format!("Your bill for {span} is ready: {ai} on AI")
        };
        Page {
            subject,
            preheader: "Every line was read, and the totals agree with the files.".to_owned(),
            eyebrow: tenant.clone(),
            heading: format!("The bill for {span} is ready"),
            sections,
            reason: format!("You receive this because you are on the bill notices of {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }
}

/// A bill could not be read; nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillFailed {
    /// The tenant's name.
    pub tenant: String,
    /// The bill's name.
    pub bill: String,
    /// When reading it was given up.
    pub at: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
    /// Why, in words.
    pub reason: String,
    /// What the reader can do.
    pub remedy: String,
    /// The bills in the console.
    pub console: Link,
    /// Where the reader says what to receive.
    pub preferences: Link,
}

impl BillFailed {
    pub(crate) fn page(&self) -> Page {
        let (tenant, bill) = (name(&self.tenant), name(&self.bill));
        Page {
            subject: format!("The bill “{bill}” could not be read"),
            preheader: text(&self.reason),
            eyebrow: tenant.clone(),
            heading: "A bill could not be read".to_owned(),
            sections: vec![
                Section::text("Nothing of it was kept, and figures of earlier bills are unchanged."),
                Section::facts([
                    ("Bill", bill),
                    ("Reason", text(&self.reason)),
                    ("What to do", text(&self.remedy)),
                    ("Given up", figures::moment_in(self.at, self.zone)),
                ]),
                Section::button("Open the bills", &self.console),
            ],
            reason: format!("You receive this because you are on the bill notices of {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }
}
