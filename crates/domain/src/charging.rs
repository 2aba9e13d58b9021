//! Who charges for calls to an address.
//!
//! A connection to a "compatible endpoint" may lead to a cloud, and then its calls have that cloud's prices and stand on
//! that cloud's bill. The proxy records calls under the name that this says, and settlement holds them against the bills of
//! the issuer that this says.

use chrono::NaiveDate;

use crate::imports::vendors::{BEDROCK, aws_region, host_of};
use crate::providers;
use crate::settlement::Issuer;

/// Azure's stable name. The catalogue has no prices of it, so that its calls are unpriced until its bill comes.
pub const AZURE: &str = "azure";

/// The name under which the catalogue has the prices of Vertex AI, beside those of the Gemini API.
pub const GOOGLE: &str = "google";

/// The names of Bedrock's endpoints for inference, which stand before the region. Source: AWS, "Amazon Bedrock endpoints and
/// quotas", read 2026-11.
const BEDROCK_ENDPOINTS: [&str; 4] =
    ["bedrock-runtime", "bedrock-runtime-fips", "bedrock-mantle", "bedrock-mantle-fips"];

/// What an address says of the calls to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Whose bills they are on.
    pub issuer: Issuer,
    /// The stable name of the provider that charges for them by the token; `None` where the address does not say that it
    /// does, such as that of a load balancer on AWS: then the connection's own provider stands.
    pub provider: Option<&'static str>,
    /// The region; empty where the address names none.
    pub region: String,
}

/// Who charges for calls to an address of a cloud's; `None` for any other address.
#[must_use]
pub fn charged_at(address: &str) -> Option<Charged> {
    let host = host_of(address)?;
    if let Some(region) = aws_region(address) {
        let provider = is_bedrocks(&host, &region).then_some(BEDROCK);
        return Some(Charged { issuer: Issuer::Aws, provider, region });
    }
    if is_azures(&host) {
        // Where a resource is its address does not say.
        return Some(Charged { issuer: Issuer::Azure, provider: Some(AZURE), region: String::new() });
    }
    let name = host.strip_suffix(".googleapis.com")?;
    let (provider, region) = match name {
        "generativelanguage" => (None, ""),
        "aiplatform" => (Some(GOOGLE), ""),
        _ => (Some(GOOGLE), name.strip_suffix("-aiplatform")?),
    };
    Some(Charged { issuer: Issuer::Google, provider, region: region.to_owned() })
}

/// Where calls to an address are served, if their prices there are not the catalogue's: a government's region of AWS', or a
/// region's own host below a vendor's, as `eu.api.openai.com`. `provider` is who charges for them.
#[must_use]
pub fn place_apart(provider: &str, address: &str) -> Option<String> {
    if provider == BEDROCK {
        return aws_region(address).filter(|region| region.starts_with("us-gov-"));
    }
    let own = host_of(providers::provider(provider)?.base_url?)?;
    let place = host_of(address)?.strip_suffix(&own)?.strip_suffix('.')?.to_owned();
    (!place.is_empty()).then_some(place)
}

/// The first day of release of OpenAI's models that cost a tenth more where data stays in a region. Source: OpenAI, "Data
/// residency", read 2026-11.
const OPENAI_REGIONS_DEARER_SINCE: Option<NaiveDate> = NaiveDate::from_ymd_opt(2026, 3, 5);

/// The tier that a call to such a place is recorded with: its own, with the place behind it. That is a tier without known
/// rates, so that the call is unpriced until its bill settles it. OpenAI's older models cost the same everywhere; which ones
/// those are the date in the served name says.
#[must_use]
pub fn tier_at(place: &str, provider: &str, tier: Option<&str>, served: Option<&str>) -> Option<String> {
    let dated = |name: &str| name.get(name.len().checked_sub("2026-03-05".len())?..)?.parse().ok();
    let released: Option<NaiveDate> = served.and_then(dated);
    if provider == "openai" && released.is_some() && released < OPENAI_REGIONS_DEARER_SINCE {
        return tier.map(str::to_owned);
    }
    Some(format!("{}/{place}", tier.unwrap_or("standard")))
}

/// Whether a host of AWS' in this region is Bedrock's, by its public name or by that of an endpoint in a private network.
fn is_bedrocks(host: &str, region: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    labels
        .windows(2)
        .any(|pair| matches!(pair, [service, at] if BEDROCK_ENDPOINTS.contains(service) && *at == region))
}

/// Whether a host is one of Azure's for models: of a resource, in the public cloud or a government's.
fn is_azures(host: &str) -> bool {
    const ENDINGS: [&str; 7] = [
        ".openai.azure.com",
        ".openai.azure.us",
        ".cognitiveservices.azure.com",
        ".cognitiveservices.azure.us",
        ".services.ai.azure.com",
        ".models.ai.azure.com",
        ".api.cognitive.microsoft.com",
    ];
    ENDINGS.iter().any(|ending| host.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_cloud_says_who_charges_and_where() {
        let cases = [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
                Issuer::Aws,
                Some("bedrock"),
                "us-east-1",
            ),
            ("https://bedrock-mantle.eu-west-1.api.aws/v1", Issuer::Aws, Some("bedrock"), "eu-west-1"),
            (
                "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
                Issuer::Aws,
                Some("bedrock"),
                "us-gov-west-1",
            ),
            (
                "https://vpce-0fe5b17a0707d6abc-29p57081.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
                Issuer::Aws,
                Some("bedrock"),
                "ap-southeast-2",
            ),
            // On AWS, and not charged by the token.
            ("https://models-1234567890.us-east-1.elb.amazonaws.com/v1", Issuer::Aws, None, "us-east-1"),
            ("https://my-llm-1.us-east-1.elb.amazonaws.com/v1", Issuer::Aws, None, "us-east-1"),
            ("https://runtime.sagemaker.us-east-1.amazonaws.com", Issuer::Aws, None, "us-east-1"),
            ("https://acme.openai.azure.com/openai/v1", Issuer::Azure, Some("azure"), ""),
            ("https://acme.services.ai.azure.com/openai/v1", Issuer::Azure, Some("azure"), ""),
            ("https://generativelanguage.googleapis.com/v1beta/openai", Issuer::Google, None, ""),
            (
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi",
                Issuer::Google,
                Some("google"),
                "",
            ),
            (
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/p",
                Issuer::Google,
                Some("google"),
                "europe-west4",
            ),
        ];
        for (address, issuer, provider, region) in cases {
            let expected = Charged { issuer, provider, region: region.to_owned() };
            assert_eq!(charged_at(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn a_place_with_prices_of_its_own_stands_behind_the_tier() {
        for (provider, address, place) in [
            ("openai", "https://eu.api.openai.com/v1", Some("eu")),
            ("openai", "https://US.api.openai.com:443/v1", Some("us")),
            ("openai", "https://api.openai.com/v1", None),
            ("openai", "https://myapi.openai.com/v1", None),
            ("openai", "https://gateway.example.com/v1", None),
            ("openai", "https://eu.api.openai.com.evil.example/v1", None),
            ("xai", "https://us.api.x.ai/v1", Some("us")),
            (
                "bedrock",
                "https://bedrock-runtime.us-gov-west-1.amazonaws.com/openai/v1",
                Some("us-gov-west-1"),
            ),
            ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", None),
            ("azure", "https://acme.openai.azure.com/openai/v1", None),
            ("openai_compatible", "https://eu.api.openai.com/v1", None),
        ] {
            assert_eq!(place_apart(provider, address).as_deref(), place, "{provider} at {address}");
        }
        for (provider, tier, served, recorded) in [
            ("openai", Some("default"), Some("gpt-5.4-2026-03-05"), Some("default/eu")),
            ("openai", Some("default"), Some("gpt-4o-2024-08-06"), Some("default")),
            ("openai", None, Some("gpt-4o-2024-08-06"), None),
            ("openai", None, Some("gpt-6-sol"), Some("standard/eu")),
            ("openai", Some("flex"), None, Some("flex/eu")),
            ("xai", None, Some("grok-2025-01-01"), Some("standard/eu")),
        ] {
            assert_eq!(tier_at("eu", provider, tier, served).as_deref(), recorded, "{provider} {served:?}");
            let has_rates = crate::pricing::ServiceTier::served(recorded).is_some();
            assert_eq!(has_rates, !recorded.is_some_and(|tier| tier.contains('/')));
        }
    }

    #[test]
    fn an_address_that_only_looks_like_a_clouds_says_nothing() {
        for address in [
            "https://api.openai.com/v1",
            "http://vllm.internal:8000/v1",
            "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example/v1",
            "https://acme.openai.azure.com.evil.example/v1",
            "https://openai.azure.com/v1",
            "https://storage.googleapis.com/b",
            "https://aiplatform.googleapis.com.evil.example",
            "",
        ] {
            assert_eq!(charged_at(address), None, "{address}");
        }
    }
}
