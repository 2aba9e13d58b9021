//! Exports, normalises and checks the contract.
//!
//! poem-openapi writes OpenAPI 3.0.0 with blemishes that break client generators: media types with a charset,
//! `allOf` around enum defaults, upper-case header names, empty descriptions. [`document`] mends them and writes
//! 3.0.3 or 3.1.1 from the one source; the committed `openapi.json` is the latter.

mod normalise;

use serde_json::Value;

/// The version of the OpenAPI Specification to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum SpecVersion {
    /// 3.0.3, for generators that read nothing newer.
    #[cfg_attr(feature = "clap", value(name = "3.0"))]
    V3_0,
    /// 3.1.1.
    #[cfg_attr(feature = "clap", value(name = "3.1"))]
    V3_1,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[error("the framework's document is not JSON")]
pub struct NotJson(#[from] serde_json::Error);

/// The contract as text, two-space indented, keys in a stable order, with a line end.
pub fn document(version: SpecVersion) -> Result<String, NotJson> {
    let mut document: Value = serde_json::from_str(&costlens_api::contract())?;
    normalise::normalise(&mut document, version);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests;
