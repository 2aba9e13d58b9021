//! The catalogue's prices of one issuer, by the names that bills use.

use std::collections::HashMap;

use chrono::NaiveDate;
use costlens_domain::classify::{Routing, Tier, models};
use costlens_domain::imports::vendors;
use costlens_domain::pricing::{Catalogue, ModelPrice, RegionClass, ServiceTier};
use costlens_domain::settlement::Issuer;
use costlens_domain::{TokenClass, Usd};
use costlens_insight::settle::{Atto, Kind, Name, Names, Prices, Sku};

/// More input than any context tier begins at, and less.
const LONG: u64 = 1_000_000;
const SHORT: u64 = 1;

/// The provider whose prices an issuer's bills are held against. Azure sells OpenAI's models at OpenAI's prices, and dearer where
/// they may not run anywhere in the world: then the bill has another price than the catalogue, and is said to.
const fn provider(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Aws => vendors::BEDROCK,
        Issuer::Anthropic => "anthropic",
        Issuer::OpenAi | Issuer::Azure => "openai",
        Issuer::Google => "google",
    }
}

/// The name under which the calls and the bills of an issuer meet.
pub(super) fn common_name(issuer: Issuer, model: &str) -> Option<String> {
    match issuer {
        Issuer::Aws => models::sold_by_bedrock(model),
        Issuer::Anthropic | Issuer::OpenAi => models::canonical(model),
        Issuer::Azure | Issuer::Google => models::canonical(model).map(|name| models::undated(&name)),
    }
}

/// Where a price holds: its geography (empty for all of them), and whether for inference that may run anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holds<'a> {
    geography: &'a str,
    class: Option<RegionClass>,
}

/// Entries by model.
pub(super) struct ListPrices<'a> {
    entries: HashMap<Name, Vec<(Holds<'a>, &'a ModelPrice)>>,
    /// The names of regions as they are asked for.
    regions: HashMap<Name, &'static [&'static str]>,
}

impl<'a> ListPrices<'a> {
    pub(super) fn of(catalogue: &'a Catalogue, issuer: Issuer, names: &mut Names) -> Self {
        let mut entries: HashMap<Name, Vec<_>> = HashMap::new();
        let of_issuer = catalogue.models().filter(|entry| entry.provider == provider(issuer));
        let named = |entry: &'a ModelPrice| Some((common_name(issuer, &entry.id)?, entry));
        let mut named: Vec<(String, &'a ModelPrice)> = of_issuer.filter_map(named).collect();
        // A family's own price comes before those of its snapshots.
        named.sort_by_key(|(model, entry)| models::canonical(&entry.id).as_ref() != Some(model));
        for (model, entry) in named {
            let geography = entry.id.split_once('.').map_or("", |(first, _)| first);
            let geography = if GEOGRAPHIES.contains(&geography) { geography } else { "" };
            let holds = Holds { geography, class: entry.region };
            entries.entry(names.of(&model)).or_default().push((holds, entry));
        }
        if matches!(issuer, Issuer::Azure | Issuer::Google) {
            add_other_names(&mut entries, catalogue, issuer, names);
        }
        Self { entries, regions: HashMap::new() }
    }

    /// Takes the regions that prices will be asked of.
    pub(super) fn with_regions(mut self, regions: impl Iterator<Item = Name>, names: &Names) -> Self {
        self.regions.extend(regions.map(|region| (region, geographies(names.text(region)))));
        self
    }

    /// The entry that holds for the route, the narrowest geography first.
    fn entry(&self, model: Name, is_global: bool, region: Name) -> Option<&'a ModelPrice> {
        let entries = self.entries.get(&model)?;
        let holds = |geography: &str| {
            let found = entries.iter().find(|(holds, _)| {
                holds.geography == geography
                    && match holds.class {
                        Some(RegionClass::Global) => is_global,
                        Some(RegionClass::Regional) => !is_global,
                        None => true,
                    }
            });
            found.map(|(_, entry)| *entry)
        };
        let near = self.regions.get(&region).copied().unwrap_or_default();
        near.iter().filter(|_| !is_global).copied().chain([""]).find_map(holds)
    }
}

/// Bills name models that the catalogue has as another name of an entry, such as a later version at the same price.
fn add_other_names<'a>(
    entries: &mut HashMap<Name, Vec<(Holds<'a>, &'a ModelPrice)>>,
    catalogue: &'a Catalogue,
    issuer: Issuer,
    names: &mut Names,
) {
    for entry in catalogue.models().filter(|entry| entry.provider == provider(issuer)) {
        for other in entry.names.iter().chain(&entry.versions) {
            let Some(model) = common_name(issuer, other) else { continue };
            let holds = Holds { geography: "", class: entry.region };
            entries.entry(names.of(&model)).or_insert_with(|| vec![(holds, entry)]);
        }
    }
}

/// Geographies that have prices of their own, as the names of inference profiles have them.
const GEOGRAPHIES: [&str; 7] = ["us", "eu", "apac", "jp", "au", "in", "us-gov"];

/// The geographies that a region is in, the narrowest first. Source: AWS, "Supported Regions and models for inference
/// profiles", read 2026-11.
fn geographies(region: &str) -> &'static [&'static str] {
    match region {
        "ap-northeast-1" | "ap-northeast-3" => &["jp", "apac"],
        "ap-southeast-2" | "ap-southeast-4" | "ap-southeast-6" => &["au", "apac"],
        "ap-south-1" | "ap-south-2" => &["in", "apac"],
        _ if region.starts_with("us-gov-") => &["us-gov"],
        _ if region.starts_with("us-") || region.starts_with("ca-") => &["us"],
        _ if region.starts_with("eu-") => &["eu"],
        _ if region.starts_with("ap-") => &["apac"],
        _ => &[],
    }
}

impl Prices for ListPrices<'_> {
    fn per_unit(&self, model: Name, sku: Sku, region: Name, day: NaiveDate) -> Option<Atto> {
        let entry = self.entry(model, sku.variant.routing == Routing::Global, region)?;
        let tier = match sku.variant.tier {
            Tier::Standard => ServiceTier::Standard,
            Tier::Batch => ServiceTier::Batch,
            Tier::Flex => ServiceTier::Flex,
            Tier::Priority => ServiceTier::Priority,
            Tier::LatencyOptimized => ServiceTier::Fast,
            // Capacity that was bought ahead has no price by the token.
            Tier::Reserved => return None,
        };
        let noon = day.and_hms_opt(12, 0, 0)?.and_utc();
        let row = entry.row(tier, noon, if sku.variant.long_context { LONG } else { SHORT }).ok()?;
        let class = match sku.kind {
            Kind::FreshInput => TokenClass::FreshInput,
            Kind::CacheRead => TokenClass::CacheRead,
            Kind::CacheWrite5m => TokenClass::CacheWrite5m,
            Kind::CacheWrite1h => TokenClass::CacheWrite1h,
            Kind::Output => TokenClass::Output,
            Kind::AudioInput => TokenClass::AudioInput,
            Kind::AudioOutput => TokenClass::AudioOutput,
            Kind::CacheWrite30m => return None,
            Kind::WebSearch => return row.rates.web_search().map(|rate| units(rate.per_unit())),
        };
        row.rates.of(class).map(|rate| units(rate.per_unit()))
    }
}

fn units(price: Usd) -> Atto {
    Atto::of(price.decimal()).0
}

#[cfg(test)]
mod tests {
    use costlens_insight::settle::Variant;

    use super::*;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 10, 27).unwrap()
    }

    fn price(
        catalogue: &Catalogue,
        issuer: Issuer,
        (model, region): (&str, &str),
        routing: Routing,
    ) -> Option<Atto> {
        let mut names = Names::default();
        let (model, region) = (names.of(&models::canonical(model).unwrap()), names.of(region));
        let prices = ListPrices::of(catalogue, issuer, &mut names).with_regions([region].into_iter(), &names);
        let sku = Sku { kind: Kind::FreshInput, variant: Variant { routing, ..Variant::default() } };
        prices.per_unit(model, sku, region, day())
    }

    #[test]
    fn every_model_of_the_catalogue_is_found_by_the_name_that_bills_have() {
        let catalogue = Catalogue::embedded().unwrap();
        for (issuer, provider) in
            [(Issuer::Aws, "bedrock"), (Issuer::Anthropic, "anthropic"), (Issuer::OpenAi, "openai")]
        {
            let mut names = Names::default();
            let prices = ListPrices::of(&catalogue, issuer, &mut names);
            for entry in catalogue.models().filter(|entry| entry.provider == provider) {
                let spelled = common_name(issuer, &entry.id).unwrap();
                let first = spelled.split('-').next().unwrap_or_default();
                assert!(
                    !["regional", "global", "us", "eu", "apac", "jp", "au", "in"].contains(&first),
                    "{spelled}"
                );
                let model = names.of(&spelled);
                let found = prices.entries.get(&model).unwrap();
                assert!(found.iter().any(|(_, one)| one.id == entry.id), "{}", entry.id);
            }
        }
    }

    #[test]
    fn what_bedrock_names_by_an_id_is_what_its_bills_name() {
        use costlens_domain::classify::{LineKey, classify};
        let billed = |usage_type: &str| {
            let key = LineKey {
                product_code: "AmazonBedrock",
                usage_type,
                pricing_unit: "1K tokens",
                line_item_type: "Usage",
                billing_entity: "AWS",
                ..LineKey::default()
            };
            classify(&key).model.unwrap()
        };
        for (id, usage_type) in [
            ("meta.llama3-1-70b-instruct-v1:0", "USE1-Llama3-1-70B-input-tokens"),
            ("us.meta.llama3-2-1b-instruct-v1:0", "USE1-Llama3-2-1B-output-tokens"),
            ("meta.llama4-maverick-17b-instruct-v1:0", "USE1-Llama4-Maverick-17B-input-tokens-batch"),
            ("openai.gpt-oss-120b-1:0", "USE1-gpt-oss-120b-output-tokens-priority"),
            ("openai.gpt-oss-120b-1:0", "USE1-openai.gpt-oss-120b-mantle-input-tokens-standard"),
            ("openai.gpt-5.6-luna", "USE1-openai.gpt-5.6-luna-mantle-cache-write-tokens-5m-long-ctx-flex"),
            ("amazon.titan-embed-text-v2:0", "USE1-TitanEmbeddingV2-Text-input-tokens"),
            ("amazon.titan-text-lite-v1", "USE1-TitanTextG1-Lite-input-tokens"),
            ("mistral.mistral-small-2402-v1:0", "USE1-MistralSmall-input-tokens-batch"),
            ("qwen.qwen3-32b-v1:0", "USE1-Qwen3-32B-input-tokens-flex"),
            ("google.gemma-3-4b-it", "USE1-Gemma-3-4B-IT-input-tokens-flex"),
            ("deepseek.r1-v1:0", "USE1-DeepSeek-R1-input-tokens"),
            ("amazon.nova-2-lite-v1:0", "USE1-Nova2.0Lite-output-tokens"),
        ] {
            assert_eq!(
                common_name(Issuer::Aws, id).as_deref(),
                Some(&*billed(usage_type)),
                "{id}: {usage_type}"
            );
        }
    }

    #[test]
    fn a_regional_price_is_found_and_is_not_the_global_one() {
        let catalogue = Catalogue::embedded().unwrap();
        let claude = ("claude-sonnet-4-6", "us-east-1");
        let regional = price(&catalogue, Issuer::Aws, claude, Routing::Regional).unwrap();
        let global = price(&catalogue, Issuer::Aws, claude, Routing::Global).unwrap();
        assert!(regional > global, "{regional:?} {global:?}");
        assert!(
            price(&catalogue, Issuer::Anthropic, ("claude-sonnet-4-6", ""), Routing::default()).is_some()
        );
        assert!(price(&catalogue, Issuer::OpenAi, ("gpt-4o-mini", ""), Routing::default()).is_some());
    }

    #[test]
    fn azure_and_google_have_the_prices_of_families() {
        let catalogue = Catalogue::embedded().unwrap();
        let of = |issuer, model: &str| {
            let mut names = Names::default();
            let name = names.of(&common_name(issuer, model).unwrap());
            let prices = ListPrices::of(&catalogue, issuer, &mut names);
            let sku = Sku { kind: Kind::FreshInput, variant: Variant::default() };
            prices.per_unit(name, sku, names.of(""), day())
        };
        let listed = |issuer, model| price(&catalogue, issuer, (model, ""), Routing::default());
        assert_eq!(of(Issuer::Azure, "gpt-4o-2024-08-06"), listed(Issuer::OpenAi, "gpt-4o"));
        assert!(
            of(Issuer::Azure, "gpt-5-6-sol").is_some()
                && of(Issuer::Azure, "text-embedding-3-large").is_some()
        );
        assert!(of(Issuer::Google, "gemini-3-flash").is_some(), "the catalogue knows it as a preview alone");
        assert!(of(Issuer::Google, "claude-opus-4-1").is_some(), "the catalogue knows it as another name");
        assert!(of(Issuer::Google, "google/gemini-2.5-flash").is_some());
    }

    #[test]
    fn a_geography_with_prices_of_its_own_has_those() {
        let catalogue = Catalogue::embedded().unwrap();
        let at = |region| {
            price(&catalogue, Issuer::Aws, ("amazon.nova-lite-v1:0", region), Routing::Regional).unwrap()
        };
        assert_ne!(at("us-east-1"), at("eu-central-1"));
        assert_eq!(at("us-east-1"), at(""));
    }
}
