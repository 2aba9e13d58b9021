//! The part of the genai-prices v2 format that carries prices. Numbers stay text.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::GenaiError;

#[derive(Debug, Deserialize)]
pub(super) struct SourceProvider {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) pricing_urls: Vec<String>,
    pub(super) price_comments: Option<String>,
    pub(super) models: Vec<SourceModel>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SourceModel {
    pub(super) id: String,
    #[serde(rename = "match")]
    pub(super) matcher: Matcher,
    pub(super) price_comments: Option<String>,
    /// An object of prices, or an array of conditional ones.
    pub(super) prices: Box<RawValue>,
    #[serde(default)]
    pub(super) price_variants: Vec<SourceVariant>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Matcher {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Matcher>),
    And(Vec<Matcher>),
}

/// Prices by key, each a number or an object with tiers.
pub(super) type SourcePrices = BTreeMap<String, Box<RawValue>>;

#[derive(Debug, Deserialize)]
pub(super) struct SourceVariant {
    pub(super) when: BTreeMap<String, String>,
    pub(super) prices: SourcePrices,
    pub(super) constraint: Option<Constraint>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConditionalPrices {
    pub(super) prices: SourcePrices,
    pub(super) constraint: Option<Constraint>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constraint {
    pub(super) start_date: Option<NaiveDate>,
    pub(super) start_time: Option<String>,
    pub(super) end_time: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TieredPrice {
    base: Box<RawValue>,
    tiers: Vec<SourceTier>,
}

#[derive(Debug, Deserialize)]
struct SourceTier {
    start: u64,
    price: Box<RawValue>,
}

/// A price by total input: the last step whose start is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) base: String,
    pub(super) steps: Vec<(u64, String)>,
}

impl Figure {
    pub(super) fn read(model: &str, raw: &RawValue) -> Result<Self, GenaiError> {
        if !raw.get().starts_with('{') {
            return Ok(Self { base: figure(model, raw)?, steps: Vec::new() });
        }
        let tiered: TieredPrice = serde_json::from_str(raw.get())?;
        let mut steps = Vec::with_capacity(tiered.tiers.len());
        for tier in &tiered.tiers {
            steps.push((tier.start, figure(model, &tier.price)?));
        }
        steps.sort();
        Ok(Self { base: figure(model, &tiered.base)?, steps })
    }

    /// The figure for a total input just above `start`.
    pub(super) fn above(&self, start: u64) -> &str {
        self.steps
            .iter()
            .rev()
            .find(|(step, _)| *step <= start && start > 0)
            .map_or(&self.base, |(_, price)| price)
    }
}

impl SourceModel {
    pub(super) fn conditional(&self) -> Result<Vec<ConditionalPrices>, GenaiError> {
        if self.prices.get().starts_with('[') {
            return Ok(serde_json::from_str(self.prices.get())?);
        }
        Ok(vec![ConditionalPrices { prices: serde_json::from_str(self.prices.get())?, constraint: None }])
    }
}

/// A published figure has few digits; sixteen or more are what a binary float shows of one.
const MOST_DIGITS: usize = 15;

fn figure(model: &str, raw: &RawValue) -> Result<String, GenaiError> {
    let text = raw.get();
    let number = crate::money::parse_decimal(text)
        .map_err(|_| GenaiError::Number { model: model.to_owned(), text: text.to_owned() })?
        .normalize();
    if number.mantissa().unsigned_abs().to_string().len() > MOST_DIGITS {
        return Err(GenaiError::FloatNoise { model: model.to_owned(), text: text.to_owned() });
    }
    Ok(number.to_string())
}
