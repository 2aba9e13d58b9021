//! What a new catalogue says otherwise than the one in force, and what of it a person must look at first.
//!
//! A figure that jumps, or a price that is gone though calls are made by it, is more often a fault of the list than
//! news of the vendor: published unseen it would put wrong amounts into the ledger, or none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::model::{ModelPrice, RateRow};
use super::rate::Rate;
use crate::usage::TokenClass;

/// From this factor on, up or down, a change is a jump.
const JUMP: u64 = 5;
/// The most changes that are listed one by one; the counts go on.
const LISTED: usize = 500;
/// The class under which a search's rate is listed.
const SEARCH: &str = "web_search";

/// A figure that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateChange {
    /// The entry, `provider/model`.
    pub price_id: String,
    /// The row: its tier, and where it matters its day and size of input.
    pub row: String,
    /// The token class, or `web_search`.
    pub class: String,
    /// The figure before, as quoted; absent where there was none.
    pub old: Option<String>,
    /// The figure now; absent where there is none any more.
    pub new: Option<String>,
}

/// Why a person must look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum ReviewReason {
    /// A figure is five times what it was or more, a fifth or less, or free on one side only.
    Jump(RateChange),
    /// Calls of the last weeks name a model that has no price any more.
    Vanished {
        /// The entry that priced them, `provider/model`. Not the calls' own name for it, which may be a customer's.
        price_id: String,
    },
    /// Calls of the last weeks name a model of which some rate is gone.
    RateVanished(RateChange),
}

/// All that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceChanges {
    /// Entries that are new, at most 500 of them.
    pub added: Vec<String>,
    /// Entries that are gone, at most 500 of them.
    pub removed: Vec<String>,
    /// Figures that are others, at most 500 of them.
    pub changed: Vec<RateChange>,
    /// How many of each there are, those not listed included.
    pub counts: ChangeCounts,
    /// What a person must look at first, at most 500; nothing where it may be published at once.
    pub review: Vec<ReviewReason>,
}

/// How many changes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// New entries.
    pub added: usize,
    /// Entries that are gone.
    pub removed: usize,
    /// Figures that are others.
    pub changed: usize,
}

impl PriceChanges {
    /// Compares two catalogues as of now. `in_use` are the providers and models that calls of the last weeks name.
    #[must_use]
    pub fn between(
        old: &Catalogue,
        new: &Catalogue,
        in_use: &BTreeSet<(String, String)>,
        now: DateTime<Utc>,
    ) -> Self {
        let by_id = |catalogue| {
            Catalogue::models(catalogue)
                .map(|model| (model.price_id.as_str(), model))
                .collect::<BTreeMap<_, _>>()
        };
        let (before, after) = (by_id(old), by_id(new));
        let used: BTreeSet<&str> = in_use
            .iter()
            .filter_map(|(provider, model)| old.find(provider, model))
            .map(|model| model.price_id.as_str())
            .collect();
        let mut changes = Self::default();
        for (id, model) in &after {
            match before.get(id) {
                None => list(&mut changes.added, &mut changes.counts.added, || (*id).to_owned()),
                Some(old) => changes.compare(old, model, used.contains(id), now),
            }
        }
        for id in before.keys().filter(|id| !after.contains_key(*id)) {
            list(&mut changes.removed, &mut changes.counts.removed, || (*id).to_owned());
        }
        let vanished: BTreeSet<&str> = in_use
            .iter()
            .filter(|(provider, model)| new.find(provider, model).is_none())
            .filter_map(|(provider, model)| old.find(provider, model))
            .map(|model| model.price_id.as_str())
            .collect();
        for price_id in vanished {
            changes.look(ReviewReason::Vanished { price_id: price_id.to_owned() });
        }
        changes
    }

    /// Whether nothing a call is priced by is another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts == ChangeCounts::default() && self.review.is_empty()
    }

    fn compare(&mut self, old: &ModelPrice, new: &ModelPrice, in_use: bool, now: DateTime<Utc>) {
        for row in &new.rows {
            // A row whose time is over prices no call to come.
            let Some(at) = a_moment_of(row, now) else { continue };
            let before = old.row(row.tier, at, smallest_input(row)).ok();
            let before = before.or_else(|| old.row(row.tier, now, smallest_input(row)).ok());
            self.compare_rows(&new.price_id, row, (before, Some(row)), in_use);
        }
        for row in &old.rows {
            let Some(at) = a_moment_of(row, now).filter(|_| row.holds_at(now)) else { continue };
            if new.row(row.tier, at, smallest_input(row)).is_err() {
                self.compare_rows(&new.price_id, row, (Some(row), None), in_use);
            }
        }
    }

    fn compare_rows(
        &mut self,
        price_id: &str,
        row: &RateRow,
        (old, new): (Option<&RateRow>, Option<&RateRow>),
        in_use: bool,
    ) {
        let classes = TokenClass::ALL.into_iter().map(|class| {
            let of = |row: Option<&RateRow>| row.and_then(|row| row.rates.of(class)).cloned();
            (class.as_str(), of(old), of(new))
        });
        let search = |row: Option<&RateRow>| row.and_then(|row| row.rates.web_search()).cloned();
        for (class, before, after) in classes.chain([(SEARCH, search(old), search(new))]) {
            if before.as_ref().map(Rate::text) == after.as_ref().map(Rate::text) {
                continue;
            }
            let change = || RateChange {
                price_id: price_id.to_owned(),
                row: named(row),
                class: class.to_owned(),
                old: before.as_ref().map(|rate| rate.text().to_owned()),
                new: after.as_ref().map(|rate| rate.text().to_owned()),
            };
            list(&mut self.changed, &mut self.counts.changed, change);
            match (&before, &after) {
                (Some(before), Some(after)) if before.differs_by(after, JUMP) => {
                    self.look(ReviewReason::Jump(change()));
                }
                (Some(_), None) if in_use => self.look(ReviewReason::RateVanished(change())),
                _ => {}
            }
        }
    }

    fn look(&mut self, reason: ReviewReason) {
        if self.review.len() < LISTED {
            self.review.push(reason);
        }
    }
}

fn list<T>(listed: &mut Vec<T>, count: &mut usize, one: impl FnOnce() -> T) {
    *count += 1;
    if listed.len() < LISTED {
        listed.push(one());
    }
}

/// The least input that the row prices.
const fn smallest_input(row: &RateRow) -> u64 {
    if row.first_input { 0 } else { row.above_input.saturating_add(1) }
}

/// A moment from now on at which the row holds.
fn a_moment_of(row: &RateRow, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if row.holds_at(now) {
        return Some(now);
    }
    let first = row.from.unwrap_or_else(|| now.date_naive()).max(now.date_naive());
    let second = row.hours.map_or(0, |hours| hours.start);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?;
    // A week and a day, for the hours that are over today.
    (0..=7)
        .filter_map(|day| first.checked_add_days(Days::new(day)))
        .map(|day| day.and_time(time).and_utc())
        .find(|at| *at >= now && row.holds_at(*at))
}

fn named(row: &RateRow) -> String {
    let mut name = row.tier.as_str().to_owned();
    if let Some(from) = row.from {
        name = format!("{name}, from {from}");
    }
    if !row.first_input {
        name = format!("{name}, above {} of input", row.above_input);
    }
    if let Some(hours) = row.hours {
        let clock = |second: u32| format!("{:02}:{:02}", second / 3_600, second / 60 % 60);
        name = format!("{name}, {}-{} UTC", clock(hours.start), clock(hours.end));
    }
    name
}
