//! From a model's name to the connection that serves it.

use costlens_domain::ConnectionId;
use costlens_domain::charging::{AZURE, charged_at};
use costlens_domain::pricing::Catalogue;
use costlens_domain::providers::{DEMO, Dialect, Provider, provider};
use costlens_vault::SealError;
use zeroize::Zeroizing;

/// One of a tenant's connections, opened and ready to be called.
pub struct Target {
    /// The connection.
    pub id: ConnectionId,
    /// What its owner calls it.
    pub name: String,
    /// The vendor that it was connected as: what it speaks, and by which names it is found.
    pub provider: &'static Provider,
    /// The provider that charges for its calls, under whose name they are recorded and priced.
    pub charging: &'static str,
    /// Where its calls are served, if their prices there are not the catalogue's (see [`place_apart`]).
    ///
    /// [`place_apart`]: costlens_domain::charging::place_apart
    pub place: Option<String>,
    /// Where the calls go, checked; no trailing slash.
    pub endpoint: costlens_egress::EndpointUrl,
    /// The vendor's credential; `None` for an endpoint without one.
    pub secret: Option<Zeroizing<String>>,
    /// Why the credential cannot be opened now, though it may later: its key lies with a key service that does not
    /// answer. Such a connection is not called.
    pub locked: Option<SealError>,
    /// The models a custom endpoint serves.
    pub models: Vec<String>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("id", &self.id)
            .field("provider", &self.provider.name)
            .field("charging", &self.charging)
            .finish_non_exhaustive()
    }
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub enum Route<'a> {
    /// To the built-in provider.
    Demo {
        /// The model's name without the prefix.
        model: &'a str,
    },
    /// To a connection.
    Connection {
        /// Which one.
        target: &'a Target,
        /// The model's name as the vendor knows it.
        model: &'a str,
    },
}

/// Finds the route, or says which names are near.
///
/// In this order: a name that a custom endpoint lists; a connected vendor's own exact name; `connection/model`;
/// `provider/model` where the model has a price; a dated or otherwise longer form of a vendor's name; `provider/model`
/// without a price; a name of a connected vendor's families, priced or not, or of a model tuned from one of them
/// (`ft:…`). Among several connections the oldest wins.
pub fn find<'a>(
    targets: &'a [Target],
    catalogue: &Catalogue,
    dialect: Dialect,
    model: &'a str,
) -> Result<Route<'a>, Vec<String>> {
    if let Some(model) = model.strip_prefix(DEMO).and_then(|rest| rest.strip_prefix('/'))
        && catalogue.find(DEMO, model).is_some()
    {
        return Ok(Route::Demo { model });
    }
    let speaking = || targets.iter().filter(|target| target.provider.dialect == dialect);
    let to = |target| Route::Connection { target, model };

    if let Some(target) = speaking().find(|target| target.models.iter().any(|listed| listed == model)) {
        return Ok(to(target));
    }
    let entry = |target: &Target, model: &str| catalogue.find(target.provider.name, model);
    let knows = |target: &Target, model: &str| entry(target, model).is_some();
    let names = |target: &Target| {
        entry(target, model)
            .is_some_and(|entry| entry.id == model || entry.names.iter().any(|name| name == model))
    };
    if let Some(target) = speaking().find(|target| names(target)) {
        return Ok(to(target));
    }
    // A prefix names a connection, or else a vendor. Some vendors' own names hold a slash, too: those were found
    // above, by their full spelling.
    let split = model.split_once('/').filter(|(_, rest)| !rest.is_empty());
    // Whoever names a connection means that one, whatever another one's names look like: nobody else reads the prompt.
    if let Some((prefix, model)) = split
        && let Some(target) = speaking().find(|target| target.name == prefix)
    {
        return Ok(Route::Connection { target, model });
    }
    let prefixed = split
        .and_then(|(prefix, rest)| Some((speaking().find(|target| target.provider.name == prefix)?, rest)));
    if let Some((target, model)) = prefixed
        && knows(target, model)
    {
        return Ok(Route::Connection { target, model });
    }
    if let Some(target) = speaking().find(|target| knows(target, model)) {
        return Ok(to(target));
    }
    if let Some((target, model)) = prefixed {
        return Ok(Route::Connection { target, model });
    }
    // A tuned model is its base model's vendor's.
    let base = model.strip_prefix("ft:").unwrap_or(model);
    let of_family = |target: &&Target| target.provider.families.iter().any(|family| base.starts_with(family));
    if let Some(target) = speaking().find(of_family) {
        return Ok(to(target));
    }
    Err(near_names(targets, catalogue, dialect, model))
}

/// Names that would have been routed: near ones first, of the tenant's own connections only.
fn near_names(targets: &[Target], catalogue: &Catalogue, dialect: Dialect, model: &str) -> Vec<String> {
    const SHOWN: usize = 3;
    const CONSIDERED: usize = 200;
    let bare = model.rsplit('/').next().unwrap_or(model);
    let speaking: Vec<_> = targets.iter().filter(|target| target.provider.dialect == dialect).collect();
    let routed =
        |name: &String| speaking.iter().any(|target| catalogue.find(target.provider.name, name).is_some());
    let mut names: Vec<String> = speaking.iter().flat_map(|target| target.models.iter().cloned()).collect();
    names.extend(catalogue.nearest(bare, CONSIDERED).into_iter().filter(routed));
    names.push(format!("{DEMO}/echo"));
    names.sort_by_key(|name| strsim::damerau_levenshtein(name, bare));
    names.dedup();
    names.truncate(SHOWN);
    names
}

/// The vendor that a connection names; `None` for one that this release does not know.
#[must_use]
pub fn known_provider(name: &str) -> Option<&'static Provider> {
    provider(name).filter(|provider| provider.connectable())
}

/// The provider that charges for the calls of a connection: the cloud whose address it has, or else whom it was
/// connected as. Azure sells OpenAI's models at OpenAI's prices: whoever connected it as OpenAI goes on being told them,
/// until Azure's bill comes.
#[must_use]
pub fn charging(provider: &'static Provider, base_url: Option<&str>) -> &'static str {
    let cloud = base_url.and_then(charged_at).and_then(|at| at.provider);
    cloud.filter(|cloud| !(*cloud == AZURE && provider.name == "openai")).unwrap_or(provider.name)
}

#[cfg(test)]
mod tests {
    use costlens_egress::{EndpointUrl, Policy};
    use uuid::Uuid;

    use super::*;

    fn target(n: u128, name: &str, provider: &str, models: &[&str]) -> Target {
        Target {
            id: ConnectionId::from(Uuid::from_u128(n)),
            name: name.to_owned(),
            provider: known_provider(provider).unwrap(),
            charging: charging(known_provider(provider).unwrap(), None),
            place: None,
            endpoint: EndpointUrl::parse("https://llm.example.com/v1", &Policy::default()).unwrap(),
            secret: None,
            locked: None,
            models: models.iter().map(|&model| model.to_owned()).collect(),
        }
    }

    fn routed(targets: &[Target], dialect: Dialect, model: &str) -> Result<(String, String), Vec<String>> {
        let catalogue = Catalogue::embedded().unwrap();
        find(targets, &catalogue, dialect, model).map(|route| match route {
            Route::Demo { model } => (DEMO.to_owned(), model.to_owned()),
            Route::Connection { target, model } => (target.name.clone(), model.to_owned()),
        })
    }

    #[test]
    fn every_way_of_naming_a_model_leads_to_one_connection() {
        let targets = [
            target(1, "main", "openai", &[]),
            target(2, "fast", "groq", &[]),
            target(3, "house", "openai_compatible", &["llama-house"]),
            target(4, "second", "openai", &[]),
            target(5, "claude", "anthropic", &[]),
        ];
        for (model, name, upstream) in [
            ("gpt-4o", "main", "gpt-4o"),
            ("openai/gpt-4o", "main", "gpt-4o"),
            ("second/gpt-4o", "second", "gpt-4o"),
            ("llama-house", "house", "llama-house"),
            ("house/anything-else", "house", "anything-else"),
            ("gpt-99-of-tomorrow", "main", "gpt-99-of-tomorrow"),
            // A vendor's own names may hold a slash that is no route.
            ("openai/gpt-oss-120b", "fast", "openai/gpt-oss-120b"),
            ("demo/echo", "demo", "echo"),
        ] {
            let expected = Ok((name.to_owned(), upstream.to_owned()));
            assert_eq!(routed(&targets, Dialect::OpenAiChat, model), expected, "{model}");
        }
        let claude = routed(&targets, Dialect::AnthropicMessages, "claude-sonnet-4-5");
        assert_eq!(claude, Ok(("claude".to_owned(), "claude-sonnet-4-5".to_owned())));
    }

    #[test]
    fn a_call_that_names_its_connection_goes_to_no_other_vendor() {
        let targets = [target(1, "main", "openai", &[]), target(2, "fireworks", "openai_compatible", &[])];
        for model in ["accounts/fireworks/models/gpt-oss-120b", "accounts/acme/models/gpt-4o", "gpt-4o"] {
            let asked = format!("fireworks/{model}");
            let expected = Ok(("fireworks".to_owned(), model.to_owned()));
            assert_eq!(routed(&targets, Dialect::OpenAiChat, &asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_tuned_model_without_a_price_finds_its_base_models_vendor() {
        let targets = [target(1, "small", "mistral", &[]), target(2, "main", "openai", &[])];
        for (model, name) in [
            ("ft:gpt-4.1-mini-2025-04-14:acme::abc", "main"),
            ("ft:o4-mini-2025-04-16:acme::abc", "main"),
            ("ft:open-mistral-7b:daf5e488:20260101:0ea0a6b9", "small"),
            ("ft:ministral-3b-latest:daf5e488:20260101:0ea0a6b9", "small"),
        ] {
            let expected = Ok((name.to_owned(), model.to_owned()));
            assert_eq!(routed(&targets, Dialect::OpenAiChat, model), expected, "{model}");
        }
        assert!(routed(&targets, Dialect::OpenAiChat, "ft:acme-1:x").is_err());
    }

    #[test]
    fn calls_are_priced_by_the_cloud_whose_address_their_connection_has() {
        let catalogue = Catalogue::embedded().unwrap();
        let by = |provider: &str, base_url| charging(known_provider(provider).unwrap(), base_url);
        let bedrock = Some("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1");
        for provider in ["openai_compatible", "anthropic_compatible", "openai"] {
            assert_eq!(by(provider, bedrock), "bedrock", "{provider}");
        }
        for model in ["us.anthropic.claude-sonnet-4-20250514-v1:0", "amazon.nova-pro-v1:0"] {
            assert!(catalogue.find(by("openai_compatible", bedrock), model).is_some(), "{model}");
        }
        assert!(catalogue.find(by("openai_compatible", bedrock), "us.acme.unheard-of-v1:0").is_none());
        let vertex = Some("https://europe-west4-aiplatform.googleapis.com/v1/projects/p");
        assert!(catalogue.find(by("openai_compatible", vertex), "google/gemini-2.5-flash").is_some());
        // Nobody has Azure's prices: OpenAI's are told to whoever connected it as OpenAI alone.
        let azure = Some("https://acme.openai.azure.com/openai/v1");
        assert_eq!((by("openai_compatible", azure), by("openai", azure)), ("azure", "openai"));
        assert!(catalogue.find("azure", "gpt-4o").is_none());
        // Somebody's own server, on AWS or not, is whom it was connected as.
        for own in ["https://models-1.us-east-1.elb.amazonaws.com/v1", "https://llm.example.com/v1"] {
            assert_eq!(by("openai_compatible", Some(own)), "openai_compatible", "{own}");
        }
        assert_eq!(by("groq", None), "groq");
    }

    #[test]
    fn a_name_that_nobody_serves_gets_near_ones_of_the_tenants_own_connections() {
        let near = routed(&[target(1, "main", "openai", &[])], Dialect::OpenAiChat, "gtp-4o").unwrap_err();
        assert!(near.iter().any(|name| name.contains("gpt-4o")), "{near:?}");
        let none = routed(&[], Dialect::OpenAiChat, "gpt-4o").unwrap_err();
        assert_eq!(none, ["demo/echo"]);
        assert!(
            routed(&[target(1, "a", "anthropic", &[])], Dialect::OpenAiChat, "claude-sonnet-4-5").is_err()
        );
    }
}
