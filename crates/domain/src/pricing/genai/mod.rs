//! Reads figures in the genai-prices v2 format and writes them as our own price files.
//!
//! Numbers are taken as the text that stands in the file, never through a binary float, and a text that is plainly
//! the noise of one is refused. The format's overlays, dates, hours and context tiers are resolved into plain rows
//! that do not overlap, so that what will be charged can be read off the result.

mod rows;
mod schema;
mod selectors;

use chrono::NaiveDate;
use serde::Deserialize;

use super::file::{PriceEntry, PriceFile, RateEntry};
use super::model::{ChargedApart, RegionClass};
use schema::{SourceModel, SourceProvider};

/// Their provider name, ours, and the names that callers may also use.
const PROVIDERS: [(&str, &str, &[&str]); 8] = [
    ("openai", "openai", &[]),
    ("anthropic", "anthropic", &[]),
    ("google", "google", &["gemini", "vertex"]),
    ("mistral", "mistral", &[]),
    ("deepseek", "deepseek", &[]),
    ("x-ai", "xai", &["x-ai"]),
    ("groq", "groq", &[]),
    ("aws", "bedrock", &["aws"]),
];

/// Where the figures come from.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The data set's name, version and licence, e.g. `genai-prices 0.2.1 (MIT)`.
    pub source: String,
    /// The day up to which the data set was maintained.
    pub checked: NaiveDate,
}

/// What we know beyond the data set, as data with a reason each.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curation {
    /// The rules; all that name a model apply to it.
    pub rules: Vec<CurationRule>,
}

/// One addition to the data set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurationRule {
    /// Our provider name.
    pub provider: String,
    /// Entry names; `*` at the end stands for anything.
    pub models: Vec<String>,
    /// Entry names that the pattern covers and the rule does not.
    #[serde(default)]
    pub except: Vec<String>,
    /// Audio input is billed as fresh input.
    #[serde(default)]
    pub audio_as_fresh_input: bool,
    /// Cached input is billed as fresh input.
    #[serde(default)]
    pub cache_read_as_fresh_input: bool,
    /// Every class costs nothing.
    #[serde(default)]
    pub free: bool,
    /// What the vendor charges at rates of its own though the data set does not say so.
    #[serde(default)]
    pub charged_apart: Vec<ChargedApart>,
    /// First day of prices by the hour that the data set has.
    #[serde(default)]
    pub hours_since: Option<NaiveDate>,
    /// First day of prices by the hour, where the data set has only later ones: between the two days the hours
    /// have no known price.
    #[serde(default)]
    pub hours_unknown_since: Option<NaiveDate>,
    /// First day from which prices by the hour hold on weekdays only.
    #[serde(default)]
    pub weekdays_since: Option<NaiveDate>,
    /// Further names, which may have a date or version behind them.
    #[serde(default)]
    pub add_names: Vec<String>,
    /// Names of the data set that are known to mean something else.
    #[serde(default)]
    pub drop_names: Vec<String>,
    /// Where the rule comes from and why it is needed.
    pub reason: String,
}

/// Entries and rates that the data set lacks, from another source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supplement {
    /// Whole entries.
    #[serde(default)]
    pub entries: Vec<SupplementEntry>,
    /// Rates for tiers of entries that the data set has.
    #[serde(default)]
    pub rates: Vec<SupplementRates>,
}

/// An entry that the data set lacks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplementEntry {
    /// Our provider name.
    pub provider: String,
    /// The entry, with its own source.
    pub entry: PriceEntry,
}

/// Rates for tiers of an entry that the data set has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplementRates {
    /// Our provider name.
    pub provider: String,
    /// The entry.
    pub model: String,
    /// Who published them.
    pub source: String,
    /// When they were last checked.
    pub checked: NaiveDate,
    /// The rates.
    pub rates: Vec<RateEntry>,
}

impl CurationRule {
    fn covers(&self, provider: &str, model: &str) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == pattern,
        };
        self.provider == provider && self.models.iter().any(named) && !self.except.iter().any(named)
    }
}

/// Why a data set cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum GenaiError {
    /// Not the JSON that the format is.
    #[error("not genai-prices v2 data: {0}")]
    Json(#[from] serde_json::Error),
    /// A number that only a binary float would hold.
    #[error("{model}: {text} looks like the noise of a binary float, not like a published figure")]
    FloatNoise {
        /// The entry.
        model: String,
        /// The number as it stands in the file.
        text: String,
    },
    /// A number that is no exact decimal.
    #[error("{model}: {text} is not a decimal figure")]
    Number {
        /// The entry.
        model: String,
        /// The number as it stands in the file.
        text: String,
    },
    /// A kind of price that this importer does not know.
    #[error("{model}: unknown kind of price {key}")]
    UnknownPrice {
        /// The entry.
        model: String,
        /// The price's key.
        key: String,
    },
    /// A condition or a matcher that this importer does not know.
    #[error("{model}: {what}")]
    Unsupported {
        /// The entry.
        model: String,
        /// What is not understood.
        what: String,
    },
    /// A rule or supplement that names no model of the data set: its name is wrong, or the data set has changed.
    #[error("the rule for {provider} {models:?} covers no model")]
    IdleRule {
        /// The rule's provider.
        provider: String,
        /// The rule's models.
        models: Vec<String>,
    },
}

/// The data set as price files of ours, one per provider that we carry.
pub fn import_genai(
    bytes: &[u8],
    options: &ImportOptions,
    curation: &Curation,
    supplement: &Supplement,
) -> Result<Vec<PriceFile>, GenaiError> {
    let sources: Vec<SourceProvider> = serde_json::from_slice(bytes)?;
    let mut files = Vec::new();
    let mut used = vec![false; curation.rules.len()];
    for (theirs, ours, aliases) in PROVIDERS {
        let Some(source) = sources.iter().find(|source| source.id == theirs) else { continue };
        let mut models = Vec::with_capacity(source.models.len());
        for model in &source.models {
            let mut rules = Vec::new();
            for (rule, used) in curation.rules.iter().zip(&mut used) {
                if rule.covers(ours, &model.id) {
                    *used = true;
                    rules.push(rule);
                }
            }
            models.extend(entry(ours, model, &rules, options.checked)?);
        }
        let page = source.pricing_urls.first().map(|url| format!(", after {url}")).unwrap_or_default();
        files.push(PriceFile {
            provider: ours.to_owned(),
            name: source.name.clone(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            source: format!("{}{page}", options.source),
            note: source.price_comments.as_deref().map(one_line),
            models,
        });
    }
    add(&mut files, supplement)?;
    let idle = curation
        .rules
        .iter()
        .zip(&used)
        .find(|(rule, used)| !**used && files.iter().any(|file| file.provider == rule.provider));
    match idle {
        Some((rule, _)) => {
            Err(GenaiError::IdleRule { provider: rule.provider.clone(), models: rule.models.clone() })
        }
        None => Ok(files),
    }
}

fn add(files: &mut [PriceFile], supplement: &Supplement) -> Result<(), GenaiError> {
    for more in &supplement.rates {
        let Some(file) = files.iter_mut().find(|file| file.provider == more.provider) else { continue };
        let Some(entry) = file.models.iter_mut().find(|entry| entry.id == more.model) else {
            return Err(GenaiError::IdleRule {
                provider: more.provider.clone(),
                models: vec![more.model.clone()],
            });
        };
        entry.rates.extend(more.rates.iter().cloned().map(|rate| RateEntry {
            source: Some(more.source.clone()),
            checked: Some(more.checked),
            ..rate
        }));
    }
    for more in &supplement.entries {
        if let Some(file) = files.iter_mut().find(|file| file.provider == more.provider) {
            file.models.push(more.entry.clone());
        }
    }
    Ok(())
}

/// One model; `None` where the data set names it without any price.
fn entry(
    provider: &str,
    model: &SourceModel,
    rules: &[&CurationRule],
    checked: NaiveDate,
) -> Result<Option<PriceEntry>, GenaiError> {
    let (rates, mut charged_apart) = rows::rates_of(model, rules)?;
    if rates.is_empty() {
        return Ok(None);
    }
    charged_apart.extend(rules.iter().flat_map(|rule| &rule.charged_apart));
    charged_apart.sort_unstable();
    charged_apart.dedup();
    let selectors = selectors::selectors_of(provider, model, rules)?;
    let notes: Vec<String> = model
        .price_comments
        .iter()
        .map(|comment| one_line(comment))
        .chain(rules.iter().map(|rule| rule.reason.clone()))
        .collect();
    let region = match (provider, model.id.split_once('.')) {
        ("bedrock", Some(("global", _))) => Some(RegionClass::Global),
        ("bedrock", Some(("regional", _))) => Some(RegionClass::Regional),
        _ => None,
    };
    Ok(Some(PriceEntry {
        id: model.id.clone(),
        names: selectors.names,
        versions: selectors.versions,
        prefixes: selectors.prefixes,
        region,
        source: None,
        checked,
        note: if notes.is_empty() { None } else { Some(notes.join(" ")) },
        charged_apart,
        rates,
    }))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
