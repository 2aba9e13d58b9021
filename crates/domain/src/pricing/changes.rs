//! What a new catalogue says otherwise than the one in force, and what of it a person must look at first.
//!
//! A figure that jumps, one that is like no other, or a price that is gone though calls are made by it, is more often a
//! fault of the list than news of the vendor: published unseen it would put wrong amounts into the ledger, or none.

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
/// The class under which it is listed what an entry charges apart.
const APART: &str = "charged_apart";

/// A figure that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateChange {
    /// The entry, `provider/model`.
    pub price_id: String,
    /// The row: its tier, and where it matters its day and size of input.
    pub row: String,
    /// The token class, `web_search`, or `charged_apart` for what leaves a call unpriced.
    pub class: String,
    /// The figure before, as quoted; absent where there was none.
    pub old: Option<String>,
    /// The figure now; absent where there is none any more.
    pub new: Option<String>,
}

/// A name of the catalogue whose calls are priced by another entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NameMove {
    /// The provider.
    pub provider: String,
    /// The name.
    pub name: String,
    /// The entry that priced it, `provider/model`; absent where none did.
    pub old: Option<String>,
    /// The entry that prices it now; absent where none does.
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
    /// A name goes to an entry whose figure is a jump from that of the one that priced it, or that lacks a rate of a
    /// model that calls of the last weeks name.
    Moved {
        /// The entry that priced it, `provider/model`.
        from: String,
        /// The figure of the entry that prices it now.
        change: RateChange,
    },
    /// A figure where there was none, which is five times the dearest of its class or more, a fifth of the cheapest or
    /// less, or makes all input or output free.
    Outlier(RateChange),
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
    /// Names that entries which stay gained, lost or took from each other, at most 500 of them.
    pub moved: Vec<NameMove>,
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
    /// Names that are priced by another entry.
    pub moved: usize,
}

/// A figure of one entry beside that of another, or of the same one earlier.
struct Difference {
    change: RateChange,
    old: Option<Rate>,
    new: Option<Rate>,
}

impl Difference {
    fn is_jump(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.differs_by(new, JUMP))
    }

    const fn is_loss(&self) -> bool {
        self.old.is_some() && self.new.is_none()
    }
}

/// The cheapest figure above nothing and the dearest, of each class.
struct Range<'a>(BTreeMap<&'static str, (&'a Rate, &'a Rate)>);

impl<'a> Range<'a> {
    fn of(catalogue: &'a Catalogue) -> Self {
        let mut range = BTreeMap::new();
        for (class, rate) in catalogue.models().flat_map(|model| &model.rows).flat_map(figures) {
            let Some(rate) = rate.filter(|rate| !rate.is_free()) else { continue };
            let (least, most) = range.entry(class).or_insert((rate, rate));
            if rate.is_below(least) {
                *least = rate;
            }
            if most.is_below(rate) {
                *most = rate;
            }
        }
        Self(range)
    }

    /// Whether a figure that takes no other's place is like none that is known.
    fn leaves_out(&self, class: &str, rate: &Rate) -> bool {
        if rate.is_free() {
            return [TokenClass::FreshInput, TokenClass::Output].iter().any(|whole| whole.as_str() == class);
        }
        self.0.get(class).is_some_and(|(least, most)| {
            (rate.is_below(least) && rate.differs_by(least, JUMP))
                || (most.is_below(rate) && rate.differs_by(most, JUMP))
        })
    }
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
        let range = Range::of(old);
        let mut changes = Self::default();
        for (id, model) in &after {
            let earlier = before.get(id).copied();
            if earlier.is_none() {
                list(&mut changes.added, &mut changes.counts.added, || (*id).to_owned());
            }
            for difference in differences(earlier, model, now) {
                if earlier.is_some() {
                    list(&mut changes.changed, &mut changes.counts.changed, || difference.change.clone());
                }
                changes.judge(difference, used.contains(id), &range);
            }
            if let Some(earlier) = earlier.filter(|earlier| earlier.charged_apart != model.charged_apart) {
                list(&mut changes.changed, &mut changes.counts.changed, || apart(earlier, model));
            }
        }
        for id in before.keys().filter(|id| !after.contains_key(*id)) {
            list(&mut changes.removed, &mut changes.counts.removed, || (*id).to_owned());
        }
        changes.follow_names((old, new), in_use, now);
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

    fn judge(&mut self, difference: Difference, in_use: bool, range: &Range<'_>) {
        if difference.is_jump() {
            self.look(ReviewReason::Jump(difference.change));
        } else if difference.is_loss() && in_use {
            self.look(ReviewReason::RateVanished(difference.change));
        } else if let (None, Some(new)) = (&difference.old, &difference.new)
            && range.leaves_out(&difference.change.class, new)
        {
            self.look(ReviewReason::Outlier(difference.change));
        }
    }

    /// Names that go from one entry to another. No figure of either need change for the calls' costs to.
    fn follow_names(
        &mut self,
        (old, new): (&Catalogue, &Catalogue),
        in_use: &BTreeSet<(String, String)>,
        now: DateTime<Utc>,
    ) {
        let id = |model: &ModelPrice| model.price_id.clone();
        let ids = |catalogue| Catalogue::models(catalogue).map(id).collect::<BTreeSet<_>>();
        let (before, after) = (ids(old), ids(new));
        let names: BTreeSet<(&str, &str)> = old.models().chain(new.models()).flat_map(names_of).collect();
        let mut pairs: BTreeMap<(String, String), bool> = BTreeMap::new();
        for (provider, name) in names {
            let (from, to) = (old.find(provider, name), new.find(provider, name));
            let (was, is) = (from.map(id), to.map(id));
            // What came or went with its entry is listed as that.
            let came = was.is_none() && is.as_ref().is_some_and(|is| !before.contains(is));
            let went = is.is_none() && was.as_ref().is_some_and(|was| !after.contains(was));
            if was == is || came || went {
                continue;
            }
            pairs.extend(was.clone().zip(is.clone()).map(|pair| (pair, false)));
            let moved =
                || NameMove { provider: provider.to_owned(), name: name.to_owned(), old: was, new: is };
            list(&mut self.moved, &mut self.counts.moved, moved);
        }
        // The calls' own names, dated ones for example, are judged by and not told: they may be a customer's.
        for (provider, name) in in_use {
            let pair = old.find(provider, name).zip(new.find(provider, name));
            let pair = pair.filter(|(from, to)| from.price_id != to.price_id);
            pairs.extend(pair.map(|(from, to)| ((id(from), id(to)), true)));
        }
        let of = |catalogue, wanted: &str| {
            Catalogue::models(catalogue).find(|model: &&ModelPrice| model.price_id == wanted)
        };
        for ((from, to), used) in pairs {
            let Some((one, other)) = of(old, &from).zip(of(new, &to)) else { continue };
            for difference in differences(Some(one), other, now) {
                if difference.is_jump() || difference.is_loss() && used {
                    self.look(ReviewReason::Moved { from: from.clone(), change: difference.change });
                }
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

/// The figures of a row, each with its class.
fn figures(row: &RateRow) -> impl Iterator<Item = (&'static str, Option<&Rate>)> {
    let classes = row.rates.iter().map(|(class, rate)| (class.as_str(), rate));
    classes.chain([(SEARCH, row.rates.web_search())])
}

/// Every figure that calls to come are priced by otherwise.
fn differences(old: Option<&ModelPrice>, new: &ModelPrice, now: DateTime<Utc>) -> Vec<Difference> {
    let mut found = Vec::new();
    for row in &new.rows {
        // A row whose time is over prices no call to come.
        let Some(at) = a_moment_of(row, now) else { continue };
        let before = old.and_then(|old| {
            let then = old.row(row.tier, at, smallest_input(row)).ok();
            then.or_else(|| old.row(row.tier, now, smallest_input(row)).ok())
        });
        between_rows(&mut found, &new.price_id, row, (before, Some(row)));
    }
    for row in old.iter().flat_map(|old| &old.rows) {
        let Some(at) = a_moment_of(row, now).filter(|_| row.holds_at(now)) else { continue };
        if new.row(row.tier, at, smallest_input(row)).is_err() {
            between_rows(&mut found, &new.price_id, row, (Some(row), None));
        }
    }
    found
}

fn between_rows(
    found: &mut Vec<Difference>,
    price_id: &str,
    row: &RateRow,
    (old, new): (Option<&RateRow>, Option<&RateRow>),
) {
    // A row that is not there has no figure of any class.
    let of = |side: Option<&RateRow>| {
        figures(row)
            .map(move |(class, _)| {
                side.and_then(|side| figures(side).find(|(known, _)| *known == class))
                    .and_then(|(_, rate)| rate.cloned())
            })
            .collect::<Vec<_>>()
    };
    for (((class, _), old), new) in figures(row).zip(of(old)).zip(of(new)) {
        let text = |rate: &Option<Rate>| rate.as_ref().map(|rate| rate.text().to_owned());
        let (was, is) = (text(&old), text(&new));
        if was != is {
            let (price_id, class) = (price_id.to_owned(), class.to_owned());
            let change = RateChange { price_id, row: named(row), class, old: was, new: is };
            found.push(Difference { change, old, new });
        }
    }
}

/// What is charged apart, before and now. It decides which calls have a price, and so no figure says it.
fn apart(old: &ModelPrice, new: &ModelPrice) -> RateChange {
    let words = |model: &ModelPrice| {
        let words: Vec<_> = model.charged_apart.iter().map(|apart| apart.as_str()).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let (price_id, class) = (new.price_id.clone(), APART.to_owned());
    RateChange { price_id, row: "every row".to_owned(), class, old: words(old), new: words(new) }
}

/// Every name that calls of an entry are found by.
fn names_of(model: &ModelPrice) -> impl Iterator<Item = (&str, &str)> {
    let names = model.names.iter().chain(&model.versions).chain(&model.prefixes);
    std::iter::once(&model.id).chain(names).map(|name| (model.provider.as_str(), name.as_str()))
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
