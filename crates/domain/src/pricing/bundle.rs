//! A whole price catalogue as one document, which an operator may host and a running server may fetch.
//!
//! It is the project's `prices/` files in one JSON object. Whoever reads one promises nothing to anybody before all
//! of it holds: every file as strict as a committed one, a source and a day with every figure, no figure below zero.

use std::fmt::Write as _;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, CatalogueError, EMBEDDED};
use super::file::PriceFile;
use crate::providers::DEMO;

/// What a document of this shape begins with.
pub const BUNDLE_FORMAT: &str = "costlens-prices/1";

/// All price files in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBundle {
    /// [`BUNDLE_FORMAT`]. Another one is refused.
    pub format: String,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// One file per provider.
    pub files: Vec<PriceFile>,
}

/// Why a document is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum BundleFault {
    /// Not the JSON that a bundle is.
    #[error("not a price bundle: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format than the one we read.
    #[error("the format is {0:?}, not {BUNDLE_FORMAT:?}")]
    Format(String),
    /// It prices nothing.
    #[error("it prices no model")]
    Empty,
    /// The built-in provider's prices are ours to say.
    #[error("the provider {DEMO} is built in")]
    BuiltIn,
    /// Something has no name or source.
    #[error("{of}: {what} is empty")]
    Blank {
        /// The provider or entry.
        of: String,
        /// The member.
        what: &'static str,
    },
    /// A model without any figure.
    #[error("{id} has no rates")]
    NoRates {
        /// The entry.
        id: String,
    },
    /// Figures that were checked on a day to come.
    #[error("{id} was checked on {day}, which is yet to come")]
    CheckedInFuture {
        /// The entry.
        id: String,
        /// The day.
        day: NaiveDate,
    },
    /// A file that is no price file.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl PriceBundle {
    /// The prices that came with this build, but for the built-in provider's.
    pub fn embedded() -> Result<Self, BundleFault> {
        let mut files = Vec::with_capacity(EMBEDDED.len());
        for (_, text) in EMBEDDED {
            let file: PriceFile = serde_json::from_str(text)?;
            if file.provider != DEMO {
                files.push(file);
            }
        }
        Ok(Self { format: BUNDLE_FORMAT.to_owned(), note: None, files })
    }

    /// The document as it is exported: JSON for people and `diff`, a line per rate.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::with_capacity(512 * 1024);
        let _infallible = write!(text, "{{\n\"format\": {},\n", serde_json::to_string(&self.format)?);
        if let Some(note) = &self.note {
            let _infallible = writeln!(text, "\"note\": {},", serde_json::to_string(note)?);
        }
        text.push_str("\"files\": [\n");
        for (at, file) in self.files.iter().enumerate() {
            text.push_str(file.to_text()?.trim_end());
            text.push_str(if at + 1 == self.files.len() { "\n" } else { ",\n" });
        }
        text.push_str("]\n}\n");
        Ok(text)
    }
}

impl Catalogue {
    /// Reads a whole catalogue from one document, and adds the built-in provider.
    pub fn from_bundle(bytes: &[u8]) -> Result<Self, BundleFault> {
        let bundle: PriceBundle = serde_json::from_slice(bytes)?;
        if bundle.format != BUNDLE_FORMAT {
            return Err(BundleFault::Format(bundle.format));
        }
        let mut catalogue = Self::default();
        for file in bundle.files {
            check(&file)?;
            let name = file.provider.clone();
            catalogue.add_file(&name, file)?;
        }
        if catalogue.models().next().is_none() {
            return Err(BundleFault::Empty);
        }
        for (file, text) in EMBEDDED.iter().filter(|(file, _)| file.strip_suffix(".json") == Some(DEMO)) {
            catalogue.add(file, text.as_bytes())?;
        }
        Ok(catalogue)
    }

    /// Reads one that nobody has read before: no figure of it was checked on a day to come. A day's difference of
    /// clocks and zones is let pass.
    pub fn from_fetched_bundle(bytes: &[u8], now: DateTime<Utc>) -> Result<Self, BundleFault> {
        let catalogue = Self::from_bundle(bytes)?;
        let last = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        for model in catalogue.models().filter(|model| model.provider != DEMO) {
            let days = std::iter::once(model.checked).chain(model.rows.iter().filter_map(|row| row.checked));
            if let Some(day) = days.into_iter().find(|day| *day > last) {
                return Err(BundleFault::CheckedInFuture { id: model.price_id.clone(), day });
            }
        }
        Ok(catalogue)
    }
}

/// What a committed file has by review, and a fetched one must show.
fn check(file: &PriceFile) -> Result<(), BundleFault> {
    let blank = |text: &str, of: &str, what| {
        if text.trim().is_empty() { Err(BundleFault::Blank { of: of.to_owned(), what }) } else { Ok(()) }
    };
    blank(&file.provider, "a file", "provider")?;
    if file.provider == DEMO || file.aliases.iter().any(|alias| alias == DEMO) {
        return Err(BundleFault::BuiltIn);
    }
    blank(&file.source, &file.provider, "source")?;
    for model in &file.models {
        let id = format!("{}/{}", file.provider, model.id);
        blank(&model.id, &file.provider, "id")?;
        let names = model.names.iter().chain(&model.versions).chain(&model.prefixes);
        for name in names {
            // An empty prefix would price whatever has no name of its own.
            blank(name, &id, "a name")?;
        }
        if model.rates.is_empty() {
            return Err(BundleFault::NoRates { id });
        }
        let sources = model.rates.iter().filter_map(|rate| rate.source.as_deref());
        for source in model.source.as_deref().into_iter().chain(sources) {
            blank(source, &id, "source")?;
        }
    }
    Ok(())
}
