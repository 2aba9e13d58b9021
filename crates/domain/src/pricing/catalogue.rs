//! All prices that are known, found by provider and model.
//!
//! An exact name costs one hash look-up; a dated or versioned one a few more. Nothing allocates unless the name
//! is written in capitals.

use std::borrow::Cow;
use std::collections::HashMap;

use super::file::PriceFile;
use super::model::{ModelPrice, ServiceTier};
use super::names;
use super::quote::{Line, Priced, Quote, UnpricedReason};
use super::rate::RateError;

/// The committed price files, in the order in which providers are offered for a model: its maker first.
pub(super) const EMBEDDED: [(&str, &str); 9] = [
    ("openai.json", include_str!("../../../../prices/openai.json")),
    ("anthropic.json", include_str!("../../../../prices/anthropic.json")),
    ("google.json", include_str!("../../../../prices/google.json")),
    ("mistral.json", include_str!("../../../../prices/mistral.json")),
    ("deepseek.json", include_str!("../../../../prices/deepseek.json")),
    ("xai.json", include_str!("../../../../prices/xai.json")),
    ("groq.json", include_str!("../../../../prices/groq.json")),
    ("bedrock.json", include_str!("../../../../prices/bedrock.json")),
    ("demo.json", include_str!("../../../../prices/demo.json")),
];

/// The longest name of a model that is looked for, in bytes; none is known that is half as long.
const LONGEST_NAME: usize = 256;

/// A price file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("price file {file}: {fault}")]
pub struct CatalogueError {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub fault: CatalogueFault,
}

/// What is wrong with a price file.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueFault {
    /// Not the JSON that a price file is.
    #[error("not a price file: {0}")]
    Json(#[from] serde_json::Error),
    /// A figure that is no exact rate.
    #[error("{id}: {fault}")]
    Rate {
        /// The entry.
        id: String,
        /// What is wrong with the figure.
        fault: RateError,
    },
    /// A row that contradicts itself.
    #[error("{id}: {what}")]
    Row {
        /// The entry.
        id: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Two rows that would price the same call.
    #[error("{id}: two rows hold for the same call")]
    Overlap {
        /// The entry.
        id: String,
    },
    /// One name that means two models.
    #[error("{name} names both {first} and {second}")]
    NameTwice {
        /// The name.
        name: String,
        /// The entry that had it.
        first: String,
        /// The entry that claims it too.
        second: String,
    },
    /// A provider that another file describes.
    #[error("provider {0} has another file")]
    ProviderTwice(String),
}

impl CatalogueFault {
    pub(super) const fn row(what: &'static str) -> Self {
        Self::Row { id: String::new(), what }
    }

    pub(super) const fn rate(fault: RateError) -> Self {
        Self::Rate { id: String::new(), fault }
    }

    pub(super) fn of(self, entry: &str) -> Self {
        match self {
            Self::Row { what, .. } => Self::Row { id: entry.to_owned(), what },
            Self::Rate { fault, .. } => Self::Rate { id: entry.to_owned(), fault },
            other => other,
        }
    }
}

#[derive(Debug)]
struct Provider {
    id: String,
    aliases: Vec<String>,
    /// Exact names, versionable ones included.
    names: HashMap<Box<str>, usize>,
    /// Names that hold with a date or version behind them.
    versions: HashMap<Box<str>, usize>,
    prefixes: Vec<(Box<str>, usize)>,
    models: Vec<ModelPrice>,
}

/// All prices that are known.
#[derive(Debug, Default)]
pub struct Catalogue {
    providers: Vec<Provider>,
}

impl Catalogue {
    /// The prices that came with this build.
    pub fn embedded() -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        for (file, text) in EMBEDDED {
            catalogue.add(file, text.as_bytes())?;
        }
        Ok(catalogue)
    }

    /// Reads one more price file. `file` is only for messages.
    pub fn add(&mut self, file: &str, bytes: &[u8]) -> Result<(), CatalogueError> {
        let read = serde_json::from_slice(bytes).map_err(CatalogueFault::from);
        self.add_file(file, read.map_err(|fault| CatalogueError { file: file.to_owned(), fault })?)
    }

    pub(super) fn add_file(&mut self, file: &str, read: PriceFile) -> Result<(), CatalogueError> {
        let provider =
            Provider::compile(read).map_err(|fault| CatalogueError { file: file.to_owned(), fault })?;
        let mut names = std::iter::once(&provider.id).chain(&provider.aliases);
        if names.any(|name| self.provider(name).is_some()) {
            return Err(CatalogueError {
                file: file.to_owned(),
                fault: CatalogueFault::ProviderTwice(provider.id),
            });
        }
        self.providers.push(provider);
        Ok(())
    }

    /// The names of all providers that have prices.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.id.as_str())
    }

    /// Every entry.
    pub fn models(&self) -> impl Iterator<Item = &ModelPrice> {
        self.providers.iter().flat_map(|provider| &provider.models)
    }

    /// The entry that prices a provider's model, by its exact name, a dated or versioned form of it, or a cloud's
    /// path to it. A name that only resembles a known one finds nothing.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&ModelPrice> {
        self.provider(provider)?.find(model)
    }

    /// The providers that have a price for the model, its maker first.
    #[must_use]
    pub fn providers_of(&self, model: &str) -> Vec<&str> {
        self.providers
            .iter()
            .filter(|known| known.find(model).is_some())
            .map(|known| known.id.as_str())
            .collect()
    }

    /// At most `n` known model names that resemble the text, the nearest first.
    #[must_use]
    pub fn nearest(&self, model: &str, n: usize) -> Vec<String> {
        let wanted = model.to_ascii_lowercase();
        let bound = (wanted.chars().count() / 2).max(3);
        let mut found: Vec<(usize, &str)> = self
            .models()
            .flat_map(|entry| std::iter::once(&entry.id).chain(&entry.names))
            .map(|name| (strsim::damerau_levenshtein(&wanted, name), name.as_str()))
            .filter(|(distance, _)| *distance <= bound)
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().take(n).map(|(_, name)| name.to_owned()).collect()
    }

    /// What a call cost, exactly, or why that is not known.
    #[must_use]
    pub fn price(&self, quote: Quote<'_>) -> Priced {
        match self.line(quote) {
            Ok(line) => Priced::Exact { amount: line.amount, receipt: line.receipt() },
            Err(reason) => Priced::Unpriced { reason },
        }
    }

    /// The same without writing a receipt: for estimates and reservations, many of which are never shown.
    pub fn line<'a>(&'a self, quote: Quote<'a>) -> Result<Line<'a>, UnpricedReason> {
        let provider = self
            .provider(quote.provider)
            .ok_or_else(|| UnpricedReason::UnknownProvider { provider: quote.provider.to_owned() })?;
        let model = provider.find(quote.model).ok_or_else(|| UnpricedReason::UnknownModel {
            provider: provider.id.clone(),
            model: quote.model.to_owned(),
        })?;
        let tier = ServiceTier::served(quote.tier)
            .ok_or_else(|| UnpricedReason::UnknownTier { tier: quote.tier.unwrap_or_default().to_owned() })?;
        Line::new(model, tier, quote.at, quote.usage)
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|known| known.answers_to(name))
    }
}

impl Provider {
    fn compile(file: PriceFile) -> Result<Self, CatalogueFault> {
        let mut provider = Self {
            id: file.provider,
            aliases: file.aliases,
            names: HashMap::new(),
            versions: HashMap::new(),
            prefixes: Vec::new(),
            models: Vec::with_capacity(file.models.len()),
        };
        for entry in file.models {
            let model = entry.compile(&provider.id, &file.source)?;
            provider.add(model)?;
        }
        Ok(provider)
    }

    fn add(&mut self, model: ModelPrice) -> Result<(), CatalogueFault> {
        let at = self.models.len();
        let twice = |name: &str, first: Option<usize>| CatalogueFault::NameTwice {
            name: name.to_owned(),
            first: first
                .and_then(|first| self.models.get(first))
                .map(|first| first.id.clone())
                .unwrap_or_default(),
            second: model.id.clone(),
        };
        for name in std::iter::once(&model.id).chain(&model.names).chain(&model.versions) {
            match self.names.insert(name.to_ascii_lowercase().into(), at) {
                Some(first) if first != at => return Err(twice(name, Some(first))),
                _ => {}
            }
        }
        for name in &model.versions {
            self.versions.insert(name.to_ascii_lowercase().into(), at);
        }
        for prefix in &model.prefixes {
            if self.prefixes.iter().any(|(known, _)| **known == **prefix) {
                return Err(twice(prefix, None));
            }
            self.prefixes.push((prefix.to_ascii_lowercase().into(), at));
        }
        self.models.push(model);
        Ok(())
    }

    fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.aliases.iter().any(|alias| alias == name)
    }

    fn find(&self, model: &str) -> Option<&ModelPrice> {
        // Each version that is taken off a name is one more search for the rest of it.
        if model.len() > LONGEST_NAME {
            return None;
        }
        let model = if model.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(model.to_ascii_lowercase())
        } else {
            Cow::Borrowed(model)
        };
        let at = self.index(&model).or_else(|| {
            let own = std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str));
            let name = names::without_path(&model, own);
            if name.len() == model.len() { None } else { self.index(name) }
        })?;
        self.models.get(at)
    }

    fn index(&self, name: &str) -> Option<usize> {
        if let Some(at) = self.names.get(name) {
            return Some(*at);
        }
        let mut rest = name;
        while let Some(shorter) = names::without_version(rest) {
            if let Some(at) = self.versions.get(shorter) {
                return Some(*at);
            }
            rest = shorter;
        }
        // The longest prefix wins, so that the order of the file does not matter.
        let held = self.prefixes.iter().filter(|(prefix, _)| name.starts_with(&**prefix));
        held.max_by_key(|(prefix, _)| prefix.len()).map(|(_, at)| *at)
    }
}
