//! The vendors we know: where they live, which dialects they speak and how they want the credential.
//!
//! One table serves the proxy (where to send), the API (what may be connected) and the console (what to offer).
//! An OpenAI-compatible vendor is one more row here.

use crate::charging::AZURE;
use crate::imports::vendors::{BEDROCK, is_under};
use crate::request::text_enum;

text_enum! {
    /// The shape of a request and its answer on the wire.
    Dialect {
        /// OpenAI's chat completions, spoken by most vendors.
        OpenAiChat = "openai_chat",
        /// Anthropic's messages.
        AnthropicMessages = "anthropic_messages",
    }
}

impl Dialect {
    /// The proxy's route for it.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::OpenAiChat => "/v1/chat/completions",
            Self::AnthropicMessages => "/v1/messages",
        }
    }

    /// What stands behind a vendor's base URL.
    #[must_use]
    pub const fn upstream_path(self) -> &'static str {
        match self {
            Self::OpenAiChat => "/chat/completions",
            Self::AnthropicMessages => "/messages",
        }
    }
}

/// How a vendor wants its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `x-api-key: …` (Anthropic).
    XApiKey,
    /// None at all: the built-in provider, and clouds that are connected to as compatible endpoints.
    None,
}

/// One vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The stable name, as in the price catalogue and in `provider/model`.
    pub name: &'static str,
    /// What people call it.
    pub display_name: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// Its public API, version segment included; `None` where the tenant must name one.
    pub base_url: Option<&'static str>,
    /// How it wants the credential.
    pub credential: Credential,
    /// Beginnings of its own models' names, by which a model without a price still finds its vendor.
    pub families: &'static [&'static str],
    /// Whether its streams tell their usage unasked. Some such vendors refuse a call that asks, and of all of them the
    /// chunk that tells is the client's own.
    pub tells_usage: bool,
}

/// Hosts whose streams tell their usage unasked, by whichever name they are connected. Mistral refuses the question (422,
/// `extra_forbidden`); OpenRouter tells always ("Usage accounting", read 2026-11).
const TELL_USAGE: [&str; 2] = ["api.mistral.ai", "openrouter.ai"];

impl Provider {
    /// Whether a stream from this host tells its usage unasked.
    #[must_use]
    pub fn tells_usage_at(&self, host: &str) -> bool {
        self.tells_usage || TELL_USAGE.iter().any(|own| is_under(host, own))
    }

    /// Whether a tenant can connect to it by its name (the built-in one needs no connection; a cloud's calls go through a
    /// compatible endpoint at its address, see [`crate::charging`]).
    #[must_use]
    pub const fn connectable(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }
}

/// The built-in provider: answers with what it was told, so that a first call needs no vendor.
pub const DEMO: &str = "demo";

const fn openai_like(
    name: &'static str,
    display_name: &'static str,
    base_url: Option<&'static str>,
    families: &'static [&'static str],
) -> Provider {
    let (dialect, credential) = (Dialect::OpenAiChat, Credential::Bearer);
    Provider { name, display_name, dialect, base_url, credential, families, tells_usage: false }
}

const fn anthropic_like(
    name: &'static str,
    display_name: &'static str,
    base_url: Option<&'static str>,
    families: &'static [&'static str],
) -> Provider {
    let (dialect, credential) = (Dialect::AnthropicMessages, Credential::XApiKey);
    Provider { name, display_name, dialect, base_url, credential, families, tells_usage: true }
}

const fn unconnectable(name: &'static str, display_name: &'static str) -> Provider {
    let (dialect, credential) = (Dialect::OpenAiChat, Credential::None);
    Provider { name, display_name, dialect, base_url: None, credential, families: &[], tells_usage: false }
}

/// Every vendor. Base URLs are the vendors' documented ones, checked 2026-11.
pub const PROVIDERS: &[Provider] = &[
    openai_like(
        "openai",
        "OpenAI",
        Some("https://api.openai.com/v1"),
        &["gpt-", "chatgpt-", "o1", "o3", "o4"],
    ),
    anthropic_like("anthropic", "Anthropic", Some("https://api.anthropic.com/v1"), &["claude-"]),
    openai_like(
        "google",
        "Google Gemini",
        Some("https://generativelanguage.googleapis.com/v1beta/openai"),
        &["gemini-", "gemma-"],
    ),
    Provider {
        tells_usage: true,
        ..openai_like(
            "mistral",
            "Mistral",
            Some("https://api.mistral.ai/v1"),
            &[
                "mistral-",
                "ministral-",
                "magistral-",
                "codestral-",
                "pixtral-",
                "open-mistral-",
                "open-mixtral-",
            ],
        )
    },
    openai_like("deepseek", "DeepSeek", Some("https://api.deepseek.com/v1"), &["deepseek-"]),
    openai_like("xai", "xAI", Some("https://api.x.ai/v1"), &["grok-"]),
    openai_like("groq", "Groq", Some("https://api.groq.com/openai/v1"), &[]),
    openai_like("openai_compatible", "OpenAI-compatible endpoint", None, &[]),
    anthropic_like("anthropic_compatible", "Anthropic-compatible endpoint", None, &[]),
    unconnectable(BEDROCK, "Amazon Bedrock"),
    unconnectable(AZURE, "Azure"),
    unconnectable(DEMO, "Built-in demonstration"),
];

/// The vendor with this stable name.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_families_lead_to_one_vendor() {
        let mut names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROVIDERS.len());

        let families: Vec<_> = PROVIDERS.iter().flat_map(|provider| provider.families).collect();
        // Whoever charges for calls has a name that people read, and that budgets and filters take.
        for name in [BEDROCK, AZURE] {
            assert!(provider(name).is_some_and(|known| !known.connectable()), "{name}");
        }
        for (index, one) in families.iter().enumerate() {
            for other in families.iter().skip(index + 1) {
                assert!(!one.starts_with(**other) && !other.starts_with(**one), "{one} and {other}");
            }
        }
    }

    /// Mistral answers 422 to a call that asks, and OpenRouter's chunk is its clients' own.
    #[test]
    fn a_vendor_that_tells_its_usage_unasked_is_known_by_its_name_or_its_host() {
        for (name, host, tells) in [
            ("mistral", "api.mistral.ai", true),
            ("mistral", "gateway.example.com", true),
            ("openai_compatible", "api.mistral.ai", true),
            ("openai_compatible", "openrouter.ai", true),
            ("openai_compatible", "notopenrouter.ai", false),
            ("openai_compatible", "openrouter.ai.example.com", false),
            ("openai", "api.openai.com", false),
            ("groq", "api.groq.com", false),
        ] {
            assert_eq!(provider(name).unwrap().tells_usage_at(host), tells, "{name} at {host}");
        }
    }
}
