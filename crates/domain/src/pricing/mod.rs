//! Exact prices: which catalogue entry a call is priced by, and the sum.
//!
//! The figures are data (the project's `prices/` folder, one file per provider, exact decimals as strings, each
//! entry with source and date); the code knows no vendor. Rules that hold throughout: what has no rate is
//! [`Unpriced`](Priced::Unpriced) with a reason and never zero; a tier is the one that was *served*; a context
//! tier reprices the whole request; products are exact integers of 1e-18 dollars and are never rounded.

mod bundle;
mod catalogue;
mod changes;
mod fact;
mod file;
mod genai;
mod in_force;
mod litellm;
mod model;
mod names;
mod quote;
mod rate;
#[cfg(test)]
mod tests;

pub use bundle::{BUNDLE_FORMAT, BundleFault, PriceBundle};
pub use catalogue::{Catalogue, CatalogueError, CatalogueFault};
pub use changes::{NameMove, PriceChanges, RateChange, ReviewReason};
pub use fact::{Estimate, LaterPrice, SHORTENED, is_without_its_profile, price_fact, price_later};
pub use file::{PriceEntry, PriceFile, RateEntry};
pub use genai::{
    Curation, CurationRule, GenaiError, ImportOptions, Supplement, SupplementEntry, SupplementRates,
    import_genai,
};
pub use in_force::{PriceVersion, PricesInForce};
pub use litellm::{
    Comparison, Disagreement, DisagreementGroup, Disagreements, Drift, LitellmError, ProviderComparison,
    compare_litellm,
};
pub use model::{ChargedApart, DailyWindow, Days, ModelPrice, RateRow, Rates, RegionClass, ServiceTier};
pub use quote::{Line, Priced, Quote, UnpricedReason};
pub use rate::{Rate, RateError};
