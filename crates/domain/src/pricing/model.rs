//! A model's prices as the engine uses them: rows of rates, each for one tier, time and context size.
//!
//! The rows of one model never overlap (the catalogue refuses them if they do), so at most one row prices a call
//! and no order of precedence has to be remembered.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};

use super::quote::UnpricedReason;
use super::rate::Rate;
use crate::request::text_enum;
use crate::usage::TokenClass;

text_enum! {
    /// How fast or when the vendor serves, as far as it changes the price.
    ServiceTier {
        /// The ordinary service.
        Standard = "standard",
        /// Answers within a day, at a discount.
        Batch = "batch",
        /// Slower when the vendor is busy, at a discount.
        Flex = "flex",
        /// Ahead of others, at a premium.
        Priority = "priority",
        /// A quicker engine, at a premium.
        Fast = "fast",
    }
}

impl ServiceTier {
    /// The tier that a vendor's answer names; absent means the ordinary one. `None` for a word we do not know:
    /// `auto`, for one, is a wish and not a tier that was served.
    #[must_use]
    pub fn served(word: Option<&str>) -> Option<Self> {
        const WORDS: [(&str, ServiceTier); 10] = [
            ("default", ServiceTier::Standard),
            ("standard", ServiceTier::Standard),
            ("on_demand", ServiceTier::Standard),
            ("on-demand", ServiceTier::Standard),
            ("performance", ServiceTier::Fast),
            ("batch", ServiceTier::Batch),
            ("flex", ServiceTier::Flex),
            ("priority", ServiceTier::Priority),
            ("fast", ServiceTier::Fast),
            ("", ServiceTier::Standard),
        ];
        let Some(word) = word else { return Some(Self::Standard) };
        WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, tier)| *tier)
    }
}

text_enum! {
    /// Where Bedrock serves an inference profile, as far as it changes the price.
    RegionClass {
        /// Anywhere in the world, at the list price.
        Global = "global",
        /// In one region or geography, at a premium.
        Regional = "regional",
    }
}

text_enum! {
    /// What a vendor charges at a rate of its own though our token classes cannot tell it apart. Usage that may
    /// hold it is left unpriced rather than guessed.
    ChargedApart {
        /// Images and videos in the input, when their rate is not the text's.
        ImageInput = "image_input",
        /// Images and videos in the output, when their rate is not the text's.
        ImageOutput = "image_output",
        /// Images read from the cache, when their rate is not the text's.
        CachedImage = "cached_image",
        /// Audio read from the cache, when its rate is not the text's.
        CachedAudio = "cached_audio",
        /// Reasoning, when its rate is not the output's.
        Reasoning = "reasoning",
        /// Something that is not counted in tokens at all: hours, characters, pages, a fee for each call.
        OtherUnits = "other_units",
    }
}

/// Rates of one row. A class without a rate has no known price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// By [`TokenClass::ALL`]'s order.
    pub(super) tokens: [Option<Rate>; 7],
    /// Per search that the vendor ran.
    pub(super) web_search: Option<Rate>,
}

impl Rates {
    /// The rate of a token class, per million.
    #[must_use]
    pub fn of(&self, class: TokenClass) -> Option<&Rate> {
        TokenClass::ALL
            .iter()
            .zip(&self.tokens)
            .find(|(known, _)| **known == class)
            .and_then(|(_, rate)| rate.as_ref())
    }

    /// The rate of a web search, per thousand.
    #[must_use]
    pub fn web_search(&self) -> Option<&Rate> {
        self.web_search.as_ref()
    }

    /// Every class with its rate, in the order receipts show them.
    pub fn iter(&self) -> impl Iterator<Item = (TokenClass, Option<&Rate>)> {
        TokenClass::ALL.into_iter().zip(self.tokens.iter().map(Option::as_ref))
    }
}

/// A daily window in UTC, start inclusive, end exclusive, over midnight where the end is not after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyWindow {
    /// Seconds since midnight.
    pub start: u32,
    /// Seconds since midnight.
    pub end: u32,
}

impl DailyWindow {
    pub(super) const fn holds(self, second: u32) -> bool {
        if self.start < self.end {
            self.start <= second && second < self.end
        } else {
            self.start <= second || second < self.end
        }
    }
}

text_enum! {
    /// On which days of the week (UTC) a row holds.
    Days {
        /// Every day.
        All = "all",
        /// Monday to Friday.
        Weekdays = "weekdays",
        /// Saturday and Sunday.
        Weekends = "weekends",
    }
}

impl Days {
    pub(super) fn holds(self, day: Weekday) -> bool {
        match self {
            Self::All => true,
            Self::Weekdays => !matches!(day, Weekday::Sat | Weekday::Sun),
            Self::Weekends => matches!(day, Weekday::Sat | Weekday::Sun),
        }
    }
}

/// The rates of one tier, for one stretch of time and one range of context sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    /// The tier that must have been served.
    pub tier: ServiceTier,
    /// First day (UTC) on which the row holds; `None` since ever.
    pub from: Option<NaiveDate>,
    /// First day on which it no longer holds; `None` for ever.
    pub until: Option<NaiveDate>,
    /// The hours of the day, where the price depends on them.
    pub hours: Option<DailyWindow>,
    /// The days of the week.
    pub days: Days,
    /// The row holds for more total input than this.
    pub above_input: u64,
    /// And for at most this much; `None` without bound.
    pub up_to_input: Option<u64>,
    /// What a unit costs.
    pub rates: Rates,
    /// Who published the figures, where it is not the entry's source.
    pub source: Option<String>,
    /// When they were last checked, where it is not the entry's day.
    pub checked: Option<NaiveDate>,
    /// `from` and `until` as seconds, for quick comparison.
    pub(super) span: (i64, i64),
    /// Whether the row has an input above zero or a bound, i.e. belongs to a model with context tiers.
    pub(super) first_input: bool,
}

impl RateRow {
    pub(super) fn holds_at(&self, at: DateTime<Utc>) -> bool {
        let second = at.timestamp();
        self.span.0 <= second
            && second < self.span.1
            && self.hours.is_none_or(|hours| hours.holds(at.num_seconds_from_midnight()))
            && (self.days == Days::All || self.days.holds(at.weekday()))
    }

    pub(super) fn holds_for(&self, total_input: u64) -> bool {
        (self.first_input || total_input > self.above_input)
            && self.up_to_input.is_none_or(|most| total_input <= most)
    }

    /// Whether some call would be priced by both rows.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let times = self.span.0 < other.span.1 && other.span.0 < self.span.1;
        let days = self.days == Days::All || other.days == Days::All || self.days == other.days;
        let hours = match (self.hours, other.hours) {
            (Some(one), Some(two)) => one.holds(two.start) || two.holds(one.start),
            _ => true,
        };
        let start = |row: &Self| if row.first_input { 0 } else { row.above_input.saturating_add(1) };
        let end = |row: &Self| row.up_to_input.unwrap_or(u64::MAX);
        let inputs = start(self) <= end(other) && start(other) <= end(self);
        self.tier == other.tier && times && days && hours && inputs
    }
}

/// Everything the catalogue knows about one model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// The provider's stable name, e.g. `openai`.
    pub provider: String,
    /// The entry's name, unique within the provider.
    pub id: String,
    /// `provider/id`, as receipts show it.
    pub price_id: String,
    /// Other exact names.
    pub names: Vec<String>,
    /// Names that also hold with a date or version behind them.
    pub versions: Vec<String>,
    /// Names that hold with anything behind them (fine-tuned models).
    pub prefixes: Vec<String>,
    /// Where Bedrock serves it.
    pub region: Option<RegionClass>,
    /// Who published the figures.
    pub source: String,
    /// When they were last checked.
    pub checked: NaiveDate,
    /// What a reader should know about them.
    pub note: Option<String>,
    /// What the vendor charges at rates of its own.
    pub charged_apart: Vec<ChargedApart>,
    /// The rates, no two of which hold for the same call.
    pub rows: Vec<RateRow>,
}

impl ModelPrice {
    /// The row that prices a call of this tier, time and size.
    pub fn row(
        &self,
        tier: ServiceTier,
        at: DateTime<Utc>,
        total_input: u64,
    ) -> Result<&RateRow, UnpricedReason> {
        let (mut tier_known, mut time_known) = (false, false);
        for row in self.rows.iter().filter(|row| row.tier == tier) {
            tier_known = true;
            if row.holds_at(at) {
                time_known = true;
                if row.holds_for(total_input) {
                    return Ok(row);
                }
            }
        }
        let price_id = self.price_id.clone();
        Err(match (tier_known, time_known) {
            (_, true) => UnpricedReason::InputNotPriced { price_id, tier, total_input },
            (true, false) => UnpricedReason::DateNotPriced { price_id, tier, at },
            (false, false) => UnpricedReason::TierNotPriced { price_id, tier },
        })
    }

    /// Who published a row's figures.
    #[must_use]
    pub fn source_of<'a>(&'a self, row: &'a RateRow) -> &'a str {
        row.source.as_deref().unwrap_or(&self.source)
    }

    /// When a row's figures were last checked.
    #[must_use]
    pub fn checked_of(&self, row: &RateRow) -> NaiveDate {
        row.checked.unwrap_or(self.checked)
    }

    /// The tiers that have any rate.
    #[must_use]
    pub fn tiers(&self) -> Vec<ServiceTier> {
        ServiceTier::ALL
            .iter()
            .copied()
            .filter(|tier| self.rows.iter().any(|row| row.tier == *tier))
            .collect()
    }
}
