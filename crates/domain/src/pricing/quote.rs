//! One call priced: the question, the answer, and why there may be none.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::model::{ChargedApart, ModelPrice, RateRow, ServiceTier};
use super::rate::attodollars;
use crate::money::Usd;
use crate::request::PriceReceipt;
use crate::usage::{TokenClass, Usage};

/// What is to be priced. Provider, model and tier are the ones that were *served*.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'a> {
    /// The provider's stable name, e.g. `openai`.
    pub provider: &'a str,
    /// The model the provider says it served.
    pub model: &'a str,
    /// The tier the provider says it served; `None` where it says nothing.
    pub tier: Option<&'a str>,
    /// When the call was made.
    pub at: DateTime<Utc>,
    /// What it used.
    pub usage: &'a Usage,
}

/// A priced call, or the reason why there is no price. Unknown is never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Priced {
    /// The amount, exact to the last digit, and where it came from.
    Exact {
        /// The amount.
        amount: Usd,
        /// Entry, source, date and sum.
        receipt: PriceReceipt,
    },
    /// No price.
    Unpriced {
        /// Why not.
        reason: UnpricedReason,
    },
}

impl Priced {
    /// The amount, if there is one.
    #[must_use]
    pub fn amount(&self) -> Option<Usd> {
        match self {
            Self::Exact { amount, .. } => Some(*amount),
            Self::Unpriced { .. } => None,
        }
    }

    /// The receipt: of an unpriced call it holds the reason as its note.
    #[must_use]
    pub fn into_receipt(self) -> PriceReceipt {
        match self {
            Self::Exact { receipt, .. } => receipt,
            Self::Unpriced { reason } => PriceReceipt {
                price_id: reason.price_id().map(str::to_owned),
                note: Some(reason.to_string()),
                ..PriceReceipt::default()
            },
        }
    }
}

/// Why a call has no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpricedReason {
    /// The catalogue has no such provider.
    #[error("no prices are known for provider {provider}")]
    UnknownProvider {
        /// The provider asked for.
        provider: String,
    },
    /// The provider has no such model in the catalogue.
    #[error("no price is known for model {model} of provider {provider}")]
    UnknownModel {
        /// The provider asked for.
        provider: String,
        /// The model asked for.
        model: String,
    },
    /// The served tier is a word we do not know.
    #[error("service tier {tier} is not one whose price is known")]
    UnknownTier {
        /// The provider's word.
        tier: String,
    },
    /// The model has no rates for the served tier.
    #[error("{price_id} has no {tier} rates")]
    TierNotPriced {
        /// The catalogue entry.
        price_id: String,
        /// The tier that was served.
        tier: ServiceTier,
    },
    /// The tier has rates, but none that hold at that time.
    #[error("{price_id} has no {tier} rates that hold on {}", at.date_naive())]
    DateNotPriced {
        /// The catalogue entry.
        price_id: String,
        /// The tier that was served.
        tier: ServiceTier,
        /// When the call was made.
        at: DateTime<Utc>,
    },
    /// The tier has rates at that time, but none for so much input.
    #[error("{price_id} has no {tier} rates for {total_input} tokens of input")]
    InputNotPriced {
        /// The catalogue entry.
        price_id: String,
        /// The tier that was served.
        tier: ServiceTier,
        /// All input, cached or not.
        total_input: u64,
    },
    /// Tokens of a class that has no rate.
    #[error("{price_id} has no rate for {class}")]
    ClassNotPriced {
        /// The catalogue entry.
        price_id: String,
        /// The class with tokens but no rate.
        class: TokenClass,
    },
    /// Searches, but no rate for them.
    #[error("{price_id} has no rate for web searches")]
    SearchNotPriced {
        /// The catalogue entry.
        price_id: String,
    },
    /// The usage may hold something that the vendor charges at another rate.
    #[error("{price_id} charges {what} at a rate of its own, which the usage does not tell apart")]
    NotToldApart {
        /// The catalogue entry.
        price_id: String,
        /// What is charged apart.
        what: ChargedApart,
    },
    /// More than an exact amount holds: the counts cannot be right.
    #[error("the amount by {price_id} exceeds what an exact amount holds")]
    OutOfRange {
        /// The catalogue entry.
        price_id: String,
    },
}

impl UnpricedReason {
    /// A stable name for the kind of reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::UnknownModel { .. } => "unknown_model",
            Self::UnknownTier { .. } => "unknown_tier",
            Self::TierNotPriced { .. } => "tier_not_priced",
            Self::DateNotPriced { .. } => "date_not_priced",
            Self::InputNotPriced { .. } => "input_not_priced",
            Self::ClassNotPriced { .. } => "class_not_priced",
            Self::SearchNotPriced { .. } => "search_not_priced",
            Self::NotToldApart { .. } => "not_told_apart",
            Self::OutOfRange { .. } => "out_of_range",
        }
    }

    /// The catalogue entry, where one was found.
    #[must_use]
    pub fn price_id(&self) -> Option<&str> {
        match self {
            Self::UnknownProvider { .. } | Self::UnknownModel { .. } | Self::UnknownTier { .. } => None,
            Self::TierNotPriced { price_id, .. }
            | Self::DateNotPriced { price_id, .. }
            | Self::InputNotPriced { price_id, .. }
            | Self::ClassNotPriced { price_id, .. }
            | Self::SearchNotPriced { price_id }
            | Self::NotToldApart { price_id, .. }
            | Self::OutOfRange { price_id } => Some(price_id),
        }
    }
}

/// An exact amount whose receipt is written only when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The catalogue entry.
    pub model: &'a ModelPrice,
    /// The row that held.
    pub row: &'a RateRow,
    /// What was used.
    pub usage: &'a Usage,
    /// The amount.
    pub amount: Usd,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        model: &'a ModelPrice,
        tier: ServiceTier,
        at: DateTime<Utc>,
        usage: &'a Usage,
    ) -> Result<Self, UnpricedReason> {
        let row = model.row(tier, at, usage.total_input().0)?;
        if let Some(what) = model.charged_apart.iter().copied().find(|what| may_hold(usage, *what)) {
            return Err(UnpricedReason::NotToldApart { price_id: model.price_id.clone(), what });
        }
        let out_of_range = || UnpricedReason::OutOfRange { price_id: model.price_id.clone() };
        let mut sum = 0_u128;
        for (class, rate) in row.rates.iter() {
            let tokens = usage.of(class).0;
            if tokens == 0 {
                continue;
            }
            let rate = rate
                .ok_or_else(|| UnpricedReason::ClassNotPriced { price_id: model.price_id.clone(), class })?;
            sum = rate.cost(tokens).and_then(|cost| sum.checked_add(cost)).ok_or_else(out_of_range)?;
        }
        if usage.web_searches > 0 {
            let rate = row
                .rates
                .web_search()
                .ok_or_else(|| UnpricedReason::SearchNotPriced { price_id: model.price_id.clone() })?;
            sum = rate
                .cost(usage.web_searches)
                .and_then(|cost| sum.checked_add(cost))
                .ok_or_else(out_of_range)?;
        }
        let amount = attodollars(sum).ok_or_else(out_of_range)?;
        Ok(Self { model, row, usage, amount })
    }

    /// The sum as text: `1000 fresh_input × $2.5/M + 200 output × $10/M`, with what picked the row before it
    /// where that is not the ordinary one: `flex, input above 272000: …`.
    #[must_use]
    pub fn formula(&self) -> String {
        let mut text = String::with_capacity(96);
        let tier = self.row.tier;
        if tier != ServiceTier::Standard {
            text.push_str(tier.as_str());
        }
        if self.row.above_input > 0 {
            if !text.is_empty() {
                text.push_str(", ");
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "input above {}", self.row.above_input);
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        let mut first = true;
        let mut term = |count: u64, what: &str, rate: &str, per: &str| {
            if !std::mem::take(&mut first) {
                text.push_str(" + ");
            }
            let _ = write!(text, "{count} {what} × ${rate}/{per}");
        };
        for (class, rate) in self.row.rates.iter() {
            let tokens = self.usage.of(class).0;
            if let (1.., Some(rate)) = (tokens, rate) {
                term(tokens, class.as_str(), rate.text(), "M");
            }
        }
        if let (1.., Some(rate)) = (self.usage.web_searches, self.row.rates.web_search()) {
            term(self.usage.web_searches, "web_search", rate.text(), "k");
        }
        if first {
            text.push_str("nothing used");
        }
        text
    }

    /// Entry, source, date and sum.
    #[must_use]
    pub fn receipt(&self) -> PriceReceipt {
        PriceReceipt {
            price_id: Some(self.model.price_id.clone()),
            source: Some(self.model.source_of(self.row).to_owned()),
            effective: Some(self.row.from.unwrap_or_else(|| self.model.checked_of(self.row))),
            formula: Some(self.formula()),
            note: None,
            repriced: None,
        }
    }
}

/// Whether the usage may contain what the vendor charges at a rate of its own.
const fn may_hold(usage: &Usage, what: ChargedApart) -> bool {
    match what {
        ChargedApart::ImageInput => !usage.fresh_input.is_zero(),
        ChargedApart::ImageOutput => !usage.output.is_zero(),
        ChargedApart::CachedImage => !usage.cache_read.is_zero(),
        // Cached audio occurs only in calls that carry audio; a call without any cannot have read some.
        ChargedApart::CachedAudio => !usage.cache_read.is_zero() && !usage.audio_input.is_zero(),
        ChargedApart::Reasoning => !usage.reasoning.is_zero(),
        // Hours, characters, pages or a fee are charged even where not one token was counted.
        ChargedApart::OtherUnits => true,
    }
}
