//! Whether Clerk keeps people and organisations in our place: all of its settings, or none.

use clap::Args;
use costlens_api::trust::Subprocessor;
use costlens_identity::ClerkConfig;
use costlens_notify::webhooks::WebhookSecret;
use url::{Host, Url};

use crate::boot::Failure;
use crate::settings::given;

/// Flags and environment variables about Clerk.
#[derive(Args, Debug, Clone)]
pub(crate) struct ClerkArgs {
    /// The Frontend API of the Clerk instance that keeps people and organisations: `https://clerk.example.com`. With it
    /// nobody registers or signs in here; all other settings of Clerk are needed then.
    #[arg(long = "clerk-issuer", env = "CLERK_ISSUER")]
    issuer: Option<String>,
    /// The key to Clerk's Backend API.
    #[arg(long = "clerk-secret-key", env = "CLERK_SECRET_KEY", hide_env_values = true)]
    secret_key: Option<String>,
    /// Clerk's Backend API.
    #[arg(long = "clerk-api-url", env = "CLERK_API_URL", default_value = "https://api.clerk.com")]
    api_url: String,
    /// The secrets of its webhook, as `whsec_…,whsec_…`: several while one takes the place of another.
    #[arg(
        long = "clerk-webhook-secrets",
        env = "CLERK_WEBHOOK_SECRETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    webhook_secrets: Vec<String>,
    /// The origins that its tokens may be made for, as `https://costlens.example.com,…`.
    #[arg(long = "clerk-authorized-parties", env = "CLERK_AUTHORIZED_PARTIES", value_delimiter = ',')]
    authorized_parties: Vec<String>,
    /// The page on which people sign in.
    #[arg(long = "clerk-sign-in-url", env = "CLERK_SIGN_IN_URL")]
    sign_in_url: Option<String>,
    /// The instance's id, `ins_…`: messages of others are refused.
    #[arg(long = "clerk-instance-id", env = "CLERK_INSTANCE_ID")]
    instance_id: Option<String>,
}

/// What is wrong with them, all named at once.
#[derive(Debug, thiserror::Error)]
#[error("the settings of Clerk do not allow a start:\n  - {}", .0.join("\n  - "))]
pub(crate) struct BadClerk(pub(crate) Vec<String>);

impl ClerkArgs {
    /// Checks them as a whole. In production every address is https.
    pub(crate) fn check(&self, production: bool) -> Result<(), BadClerk> {
        let texts = [
            ("CLERK_SECRET_KEY", given(self.secret_key.as_deref()).is_some()),
            ("CLERK_WEBHOOK_SECRETS", list(&self.webhook_secrets).next().is_some()),
            ("CLERK_AUTHORIZED_PARTIES", list(&self.authorized_parties).next().is_some()),
            ("CLERK_SIGN_IN_URL", given(self.sign_in_url.as_deref()).is_some()),
            ("CLERK_INSTANCE_ID", given(self.instance_id.as_deref()).is_some()),
        ];
        let mut wrong = Vec::new();
        if given(self.issuer.as_deref()).is_none() {
            if let Some((name, _)) = texts.iter().find(|(_, is_set)| *is_set) {
                wrong.push(format!(
                    "CLERK_ISSUER is not set, and {name} is: all settings of Clerk go together"
                ));
            }
        } else {
            let missing = texts.iter().filter(|(_, is_set)| !is_set);
            wrong.extend(missing.map(|(name, _)| format!("{name} is not set, and CLERK_ISSUER is")));
            let mut address = |name: &str, url: &str, bare: bool| {
                if let Some(why) = bad_address(url, bare, production) {
                    wrong.push(format!("{name} {why}"));
                }
            };
            address("CLERK_ISSUER", self.issuer.as_deref().unwrap_or_default(), true);
            address("CLERK_API_URL", &self.api_url, true);
            if let Some(url) = given(self.sign_in_url.as_deref()) {
                address("CLERK_SIGN_IN_URL", url, false);
            }
            for party in list(&self.authorized_parties) {
                address("CLERK_AUTHORIZED_PARTIES", party, true);
            }
            if list(&self.webhook_secrets).any(|secret| WebhookSecret::parse(secret).is_err()) {
                wrong.push(
                    "CLERK_WEBHOOK_SECRETS holds what is no secret: whsec_ and the base64 of 24 to 64 bytes"
                        .to_owned(),
                );
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(BadClerk(wrong)) }
    }

    /// How Clerk is reached, if it is set up.
    pub(crate) fn config(&self) -> Option<ClerkConfig> {
        let issuer = given(self.issuer.as_deref())?;
        let text = |text: &Option<String>| given(text.as_deref()).unwrap_or_default().to_owned();
        Some(ClerkConfig {
            issuer: issuer.to_owned(),
            api_url: self.api_url.trim().to_owned(),
            secret_key: text(&self.secret_key).into(),
            authorized_parties: list(&self.authorized_parties).map(str::to_owned).collect(),
            instance_id: text(&self.instance_id),
            sign_in_url: text(&self.sign_in_url),
        })
    }

    /// What its webhooks are signed with.
    pub(crate) fn webhook_secrets(&self) -> Result<Vec<WebhookSecret>, Failure> {
        Ok(list(&self.webhook_secrets).map(WebhookSecret::parse).collect::<Result<_, _>>()?)
    }

    /// In the words of the page that lists whom this process calls: both of its hosts, where they are two.
    pub(crate) fn outside(&self) -> Vec<Subprocessor> {
        let Some(issuer) = given(self.issuer.as_deref()) else { return Vec::new() };
        let one = |url: &str, purpose: &str, data: &str| Subprocessor {
            name: "Clerk".to_owned(),
            host: Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)),
            purpose: purpose.to_owned(),
            data: data.to_owned(),
            your_choice: false,
        };
        let api = one(
            &self.api_url,
            "Keeps people and organisations, and lets them in.",
            "Nothing but its own ids of people, sessions and organisations, when it is asked about them. It tells \
             names, addresses and roles.",
        );
        let keys = one(
            issuer,
            "Publishes the keys that sign its session tokens, which browsers get from it.",
            "Nothing of yours from us. Your browser shows it that you signed in there.",
        );
        if keys.host == api.host { vec![api] } else { vec![api, keys] }
    }
}

fn list(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// What is wrong with an address; a bare one is an origin and nothing else.
fn bad_address(text: &str, bare: bool, production: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(text.trim()) else { return Some("is no address") };
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Some("is no address"),
    };
    let plain_is_fine = here && !production && url.scheme() == "http";
    if url.scheme() != "https" && !plain_is_fine {
        return Some("is no https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("holds a user or a password");
    }
    if bare && url.origin().ascii_serialization() != text.trim() {
        return Some("is more than an origin such as https://clerk.example.com, without a slash at its end");
    }
    None
}
