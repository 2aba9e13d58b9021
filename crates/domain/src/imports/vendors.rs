//! Who is meant: the names that others have for providers, and what an address says of one.

use crate::providers::{self, Dialect};

/// Bedrock's stable name, as in the price catalogue.
pub const BEDROCK: &str = "bedrock";

/// Others' names for what we name otherwise: the semantic conventions' `gen_ai.provider.name` and older `gen_ai.system`,
/// and LiteLLM's `custom_llm_provider` (both as documented in 2026-11).
const NAMES: &[(&str, &str)] = &[
    ("aws.bedrock", "bedrock"),
    ("aws_bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gemini", "google"),
    ("mistral_ai", "mistral"),
    ("mistralai", "mistral"),
    ("x_ai", "xai"),
    ("x-ai", "xai"),
    ("text-completion-openai", "openai"),
    ("anthropic_text", "anthropic"),
    // Not the vendor's own service, and on another's bill.
    ("azure.ai.openai", "azure"),
    ("az.ai.openai", "azure"),
    ("azure.ai.inference", "azure_ai"),
    ("az.ai.inference", "azure_ai"),
    ("gcp.vertex_ai", "vertex_ai"),
];

/// The longest name of a provider, in bytes.
const LONGEST: usize = 64;

/// The stable name of the provider that others call so, and whose address was this (a URL or a host), where one was told.
///
/// A vendor's name at an address that is not the vendor's means only its dialect: somebody's own server, whose prices and
/// bill are not the vendor's.
#[must_use]
pub fn provider(name: &str, address: Option<&str>) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = name.get(..LONGEST).unwrap_or(&name);
    let name = NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| *ours);
    let host = address.and_then(host_of);
    let Some((known, own)) =
        providers::provider(name).and_then(|known| Some((known, host_of(known.base_url?)?)))
    else {
        return name.to_owned();
    };
    match host {
        Some(host) if !is_under(&host, &own) => match known.dialect {
            Dialect::OpenAiChat => "openai_compatible".to_owned(),
            Dialect::AnthropicMessages => "anthropic_compatible".to_owned(),
        },
        _ => name.to_owned(),
    }
}

/// The model's name without the provider that LiteLLM and others write before it.
#[must_use]
pub fn model<'a>(theirs: &str, provider: &str, model: &'a str) -> &'a str {
    let mut name = model.trim();
    // Routes of LiteLLM's to one service, in the order in which they are written.
    for prefix in [theirs, provider, "converse", "invoke"] {
        if let Some(rest) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'))
            && !rest.is_empty()
            && !prefix.is_empty()
        {
            name = rest;
        }
    }
    name
}

/// Whether a host is a vendor's own or one under it, as those of regions are: `eu.api.openai.com`.
#[must_use]
pub fn is_under(host: &str, own: &str) -> bool {
    host.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The host of a URL, or of `host:port`, in lower case.
#[must_use]
pub fn host_of(address: &str) -> Option<String> {
    let rest = address.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).split(':').next()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The region of an address of AWS': `bedrock-runtime.us-east-1.amazonaws.com`, `bedrock-mantle.us-east-1.api.aws`.
/// `None` for any other address; empty where AWS' address names none.
#[must_use]
pub fn aws_region(address: &str) -> Option<String> {
    let host = host_of(address)?;
    let labels = ["amazonaws.com", "amazonaws.com.cn", "api.aws"]
        .into_iter()
        .find_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'))?;
    // From the right: names that customers and AWS give to endpoints and balancers stand before the region.
    Some(labels.rsplit('.').find(|label| is_region(label)).unwrap_or_default().to_owned())
}

/// Whether a label has the form of a region: `us-east-1`, `us-gov-west-1`. Source: AWS, "AWS Regions", read 2026-11.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [country, words @ .., number] if !words.is_empty() => {
            country.len() == 2
                && is_word(country)
                && words.iter().all(is_word)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}
