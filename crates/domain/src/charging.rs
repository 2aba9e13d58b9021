//! Who charges for calls to an address.
//!
//! A connection to a "compatible endpoint" may lead to a cloud, and then its calls have that cloud's prices and stand on
//! that cloud's bill. The proxy records calls under the name that this says, and settlement holds them against the bills of
//! the issuer that this says.

use crate::imports::vendors::{BEDROCK, aws_region, host_of};
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
