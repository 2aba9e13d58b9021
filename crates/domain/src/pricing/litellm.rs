//! Compares the catalogue's figures with LiteLLM's public price map, a list that others keep.
//!
//! Two lists that agree may both be wrong, but where they differ somebody should look: each difference is committed
//! with a reason. The map holds dollars per token as binary floats in text; more than fifteen digits of them are
//! noise and are rounded off.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::catalogue::Catalogue;
use super::model::ServiceTier;
use crate::usage::TokenClass;

/// Their providers, ours, and what their names begin with.
const PROVIDERS: [(&str, &str, &str); 10] = [
    ("openai", "openai", ""),
    ("text-completion-openai", "openai", ""),
    ("anthropic", "anthropic", ""),
    ("gemini", "google", "gemini/"),
    ("vertex_ai-anthropic_models", "google", "vertex_ai/"),
    ("mistral", "mistral", "mistral/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("xai", "xai", "xai/"),
    ("groq", "groq", "groq/"),
    ("bedrock_converse", "bedrock", ""),
];
/// Named by itself: its other list, and where a slash marks a region.
const BEDROCK: &str = "bedrock";

/// One figure in which the two lists differ, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    /// Our provider.
    pub provider: String,
    /// Their name for the model.
    pub model: String,
    /// Tier, class and context, e.g. `batch cache_read above 272000`.
    pub figure: String,
    /// Our figure, dollars per million.
    pub ours: String,
    /// Their figure, dollars per million.
    pub theirs: String,
}

/// What came of the comparison with one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderComparison {
    /// Their models with a token price that we found in our catalogue.
    pub models_shared: u32,
    /// Their models with a token price that we have not.
    pub models_theirs_alone: Vec<String>,
    /// Figures that both state and that are equal.
    pub figures_equal: u32,
    /// Figures that they state and we leave unpriced.
    pub figures_theirs_alone: u32,
}

/// The comparison of both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By our provider.
    pub providers: BTreeMap<String, ProviderComparison>,
    /// Every figure that both state and that differs.
    pub disagreements: Vec<Disagreement>,
}

/// Why the map cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum LitellmError {
    /// Not the JSON that the map is.
    #[error("not LiteLLM's price map: {0}")]
    Json(#[from] serde_json::Error),
}

/// Compares every figure of the map that we can name with ours, as they hold at a time.
pub fn compare_litellm(
    catalogue: &Catalogue,
    map: &[u8],
    at: DateTime<Utc>,
) -> Result<Comparison, LitellmError> {
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(map)?;
    let mut found = Comparison::default();
    for (name, value) in &raw {
        let model: BTreeMap<String, Box<RawValue>> = serde_json::from_str(value.get())?;
        let provider =
            model.get("litellm_provider").map(|text| text.get().trim_matches('"')).unwrap_or_default();
        let Some((ours, model_name)) = our_name(provider, name) else { continue };
        let figures = figures_of(&model);
        if figures.is_empty() {
            continue;
        }
        let comparison = found.providers.entry(ours.to_owned()).or_default();
        let Some(entry) = catalogue.find(ours, model_name) else {
            comparison.models_theirs_alone.push(name.clone());
            continue;
        };
        comparison.models_shared += 1;
        for (figure, theirs) in figures {
            let total = figure.above.map_or(1, |above| above.saturating_add(1));
            let rate = entry.row(figure.tier, at, total).ok().and_then(|row| row.rates.of(figure.class));
            match rate {
                None => comparison.figures_theirs_alone += 1,
                Some(rate) if rate.per_unit().decimal() == theirs => comparison.figures_equal += 1,
                Some(rate) => found.disagreements.push(Disagreement {
                    provider: ours.to_owned(),
                    model: name.clone(),
                    figure: figure.to_string(),
                    ours: rate.text().to_owned(),
                    theirs: theirs
                        .checked_mul(Decimal::from(1_000_000))
                        .unwrap_or_default()
                        .normalize()
                        .to_string(),
                }),
            }
        }
    }
    found.disagreements.sort();
    Ok(found)
}

/// Our provider and the name to look up; `None` for what we do not carry. Bedrock's prices for one named region
/// are left out: the catalogue knows region classes, not regions.
fn our_name<'a>(provider: &str, name: &'a str) -> Option<(&'static str, &'a str)> {
    if provider == BEDROCK {
        return (!name.contains('/')).then_some((BEDROCK, name));
    }
    let (_, ours, prefix) = PROVIDERS.iter().find(|(theirs, _, _)| *theirs == provider)?;
    if *ours == BEDROCK && name.contains('/') {
        return None;
    }
    Some((ours, name.strip_prefix(prefix)?))
}

struct FigureName {
    tier: ServiceTier,
    class: TokenClass,
    above: Option<u64>,
}

impl std::fmt::Display for FigureName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.tier, self.class)?;
        self.above.map_or(Ok(()), |above| write!(f, " above {above}"))
    }
}

fn figures_of(model: &BTreeMap<String, Box<RawValue>>) -> Vec<(FigureName, Decimal)> {
    model.iter().filter_map(|(key, raw)| Some((figure_name(key)?, dollars_per_token(raw.get())?))).collect()
}

/// `cache_read_input_token_cost_above_200k_tokens_priority` and its kin.
fn figure_name(key: &str) -> Option<FigureName> {
    const TIERS: [(&str, ServiceTier); 3] = [
        ("_batches", ServiceTier::Batch),
        ("_flex", ServiceTier::Flex),
        ("_priority", ServiceTier::Priority),
    ];
    const CLASSES: [(&str, TokenClass); 7] = [
        ("input_cost_per_token", TokenClass::FreshInput),
        ("cache_read_input_token_cost", TokenClass::CacheRead),
        ("cache_creation_input_token_cost", TokenClass::CacheWrite5m),
        ("cache_creation_input_token_cost_above_1hr", TokenClass::CacheWrite1h),
        ("output_cost_per_token", TokenClass::Output),
        ("input_cost_per_audio_token", TokenClass::AudioInput),
        ("output_cost_per_audio_token", TokenClass::AudioOutput),
    ];
    let tier = TIERS.iter().find_map(|(end, tier)| Some((key.strip_suffix(end)?, *tier)));
    let (key, tier) = tier.unwrap_or((key, ServiceTier::Standard));
    let step = key.strip_suffix("k_tokens").and_then(|key| key.rsplit_once("_above_"));
    let (key, above) = match step {
        Some((key, thousands)) => (key, Some(thousands.parse::<u64>().ok()?.checked_mul(1000)?)),
        None => (key, None),
    };
    let (_, class) = CLASSES.iter().find(|(name, _)| *name == key)?;
    Some(FigureName { tier, class: *class, above })
}

fn dollars_per_token(text: &str) -> Option<Decimal> {
    let figure = crate::money::parse_decimal(text).ok()?;
    figure.round_sf(15).map(|figure| figure.normalize())
}

/// The committed list of differences, grouped by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreements {
    /// The other list and its version.
    pub compared_with: String,
    /// As of when both lists were read.
    pub at: DateTime<Utc>,
    /// Every difference stands in exactly one group.
    pub groups: Vec<DisagreementGroup>,
}

/// Differences that have one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisagreementGroup {
    /// Why the lists differ and why we keep our figure.
    pub reason: String,
    /// The figures.
    pub figures: Vec<Disagreement>,
}

/// How a fresh comparison and the committed list differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Differences that nobody has explained.
    pub unexplained: Vec<Disagreement>,
    /// Explained differences that are gone or have changed.
    pub stale: Vec<Disagreement>,
}

impl Disagreements {
    /// What the committed list does not say about a comparison, and what it says wrongly.
    #[must_use]
    pub fn drift(&self, comparison: &Comparison) -> Drift {
        let listed: BTreeSet<&Disagreement> = self.groups.iter().flat_map(|group| &group.figures).collect();
        let found: BTreeSet<&Disagreement> = comparison.disagreements.iter().collect();
        Drift {
            unexplained: found.difference(&listed).map(|one| (*one).clone()).collect(),
            stale: listed.difference(&found).map(|one| (*one).clone()).collect(),
        }
    }

    /// The list as it is committed: a line per figure.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = format!(
            "{{\n  \"compared_with\": {},\n  \"at\": {},\n  \"groups\": [\n",
            serde_json::to_string(&self.compared_with)?,
            serde_json::to_string(&self.at)?
        );
        for (at, group) in self.groups.iter().enumerate() {
            text.push_str("    {\n      \"reason\": ");
            text.push_str(&serde_json::to_string(&group.reason)?);
            text.push_str(",\n      \"figures\": [\n");
            let figures: Result<Vec<String>, _> = group.figures.iter().map(serde_json::to_string).collect();
            let figures: Vec<String> =
                figures?.into_iter().map(|figure| format!("        {figure}")).collect();
            text.push_str(&figures.join(",\n"));
            text.push_str(if at + 1 == self.groups.len() {
                "\n      ]\n    }\n"
            } else {
                "\n      ]\n    },\n"
            });
        }
        text.push_str("  ]\n}\n");
        Ok(text)
    }
}
