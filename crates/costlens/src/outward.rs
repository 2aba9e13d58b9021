//! Whom this process may call besides the providers, and by what name others call it: settings that a server and a
//! worker on its own share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use costlens_api::trust::Subprocessor;
use costlens_domain::ports::Clock;
use costlens_egress::{Egress, EgressConfig, HostPort, Policy};
use costlens_identity::Clerk;
use costlens_identity::fetch::Fetch;
use costlens_identity::github::Github;
use costlens_identity::oidc::{Client, Oidc, Reach};
use costlens_identity::vouching::Vouchers;
use costlens_notify::webhooks::svix::{Svix, SvixConfig};
use costlens_notify::{Mailer, MailerConfig};
use costlens_workers::{InvoiceHosts, PricesUrl, StatusTargets};

use crate::aws::AwsArgs;
use crate::boot::Failure;
use crate::clerk::ClerkArgs;
use crate::settings::given;
use crate::status_targets;

/// The longest wait for the mail server, before a letter and again for the answer to it.
const MAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for one call of Svix.
const SVIX_TIMEOUT: Duration = Duration::from_secs(20);

/// Google, by its own name.
const GOOGLE: &str = "https://accounts.google.com";
/// Whom Google's description of itself names besides: where codes are redeemed, and where its keys are
/// (accounts.google.com/.well-known/openid-configuration).
const GOOGLE_BESIDES: [&str; 2] = ["https://oauth2.googleapis.com", "https://www.googleapis.com"];

/// Flags and environment variables of what goes out.
#[derive(Args, Debug, Clone)]
pub(crate) struct OutwardArgs {
    /// Where browsers, SDKs and those who read mail reach this service; by default the address listened on.
    #[arg(long, env = "COSTLENS_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Private hosts that endpoints may name, http included, as `host:port,host:port`.
    #[arg(long, env = "COSTLENS_ALLOW_PRIVATE_HOSTS", value_delimiter = ',')]
    pub(crate) allow_private_hosts: Vec<HostPort>,
    /// Name servers for outbound calls, as `address:port,…`; the system's by default.
    #[arg(long, env = "COSTLENS_NAME_SERVERS", value_delimiter = ',')]
    pub(crate) name_servers: Vec<SocketAddr>,
    /// The mail server: `smtps://user:password@host:465`, or `smtp://user:password@host:587?tls=required`
    /// (`opportunistic`, `none`). Without it no mail is sent.
    #[arg(long, env = "COSTLENS_SMTP_URL", hide_env_values = true)]
    pub(crate) smtp_url: Option<String>,
    /// Who the letters are from.
    #[arg(long, env = "COSTLENS_MAIL_FROM", default_value = "Costlens <costlens@localhost.localdomain>")]
    pub(crate) mail_from: String,
    /// Where the service is looked at each minute for its public status, as `name=https://…,…`: the name is shown, and an
    /// address without one is the service itself. By default what this process listens on; for `work` the public URL.
    #[arg(long, env = "COSTLENS_STATUS_TARGETS", value_delimiter = ',')]
    pub(crate) status_targets: Vec<String>,
    /// The Svix server that delivers webhooks; used with a token alone.
    #[arg(long, env = "SVIX_SERVER_URL", default_value = "https://api.svix.com")]
    pub(crate) svix_url: String,
    /// Where a price document is fetched from every six hours, by https; without it the build's own prices hold.
    #[arg(long, env = "COSTLENS_PRICES_URL")]
    pub(crate) prices_url: Option<String>,
    /// Other addresses for vendors' cost reports, as `anthropic=URL,openai=URL`: for tests. Production refuses it.
    #[arg(long, env = "COSTLENS_INVOICE_URLS", value_delimiter = ',')]
    pub(crate) invoice_urls: Vec<String>,
    /// Svix' API token. Without it webhooks are delivered from here.
    #[arg(long, env = "SVIX_TOKEN", hide_env_values = true)]
    pub(crate) svix_token: Option<String>,
    /// Who keeps people and organisations in our place.
    #[command(flatten)]
    pub(crate) clerk: ClerkArgs,
    /// How customers' AWS accounts are reached.
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

/// Who vouches for people: flags and environment variables of a server.
#[derive(Args, Debug, Clone)]
pub(crate) struct VouchingArgs {
    /// Our client at Google. Without it nobody signs in by Google.
    #[arg(long, env = "COSTLENS_GOOGLE_CLIENT_ID")]
    google_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env = "COSTLENS_GOOGLE_CLIENT_SECRET", hide_env_values = true)]
    google_client_secret: Option<String>,
    /// Google's issuer.
    #[arg(long, env = "COSTLENS_GOOGLE_ISSUER", default_value = "https://accounts.google.com")]
    google_issuer: String,
    /// Our OAuth app at GitHub. Without it nobody signs in by GitHub.
    #[arg(long, env = "COSTLENS_GITHUB_CLIENT_ID")]
    github_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env = "COSTLENS_GITHUB_CLIENT_SECRET", hide_env_values = true)]
    github_client_secret: Option<String>,
    /// GitHub's pages, or those of a GitHub Enterprise server.
    #[arg(long, env = "COSTLENS_GITHUB_URL", default_value = "https://github.com")]
    github_url: String,
    /// GitHub's API, or that of a GitHub Enterprise server.
    #[arg(long, env = "COSTLENS_GITHUB_API_URL", default_value = "https://api.github.com")]
    github_api_url: String,
}

impl VouchingArgs {
    /// Those of them that are set up, in the words of the page that lists whom this process calls: a line for each host.
    pub(crate) fn outside(&self) -> Vec<Subprocessor> {
        let one = |name: &str, url: &str| Subprocessor {
            name: name.to_owned(),
            host: host_of(url),
            purpose: format!("Vouches for people who sign in by {name}."),
            data: "What they tell us: the person's name there, its address, and what it calls itself."
                .to_owned(),
            your_choice: true,
        };
        let mut all = Vec::new();
        if given(self.google_client_id.as_deref()).is_some() {
            all.push(one("Google", &self.google_issuer));
            if self.google_issuer.trim_end_matches('/') == GOOGLE {
                all.extend(GOOGLE_BESIDES.map(|url| one("Google", url)));
            }
        }
        if given(self.github_client_id.as_deref()).is_some() {
            all.extend([&self.github_url, &self.github_api_url].map(|url| one("GitHub", url)));
        }
        // A GitHub Enterprise server is one host.
        all.dedup();
        all
    }

    /// Everybody who vouches here, asked by this way out.
    pub(crate) fn vouchers(&self, egress: &Egress, clock: &Arc<dyn Clock>) -> Result<Vouchers, Failure> {
        let fetch = Fetch::by(egress.clone());
        let google = client("GOOGLE", self.google_client_id.as_ref(), self.google_client_secret.as_ref())?
            .map(|client| {
                let issuer = (self.google_issuer.trim_end_matches('/'), Reach::Anybody);
                Oidc::new(issuer, client, fetch.clone(), Arc::clone(clock))
            });
        let github = client("GITHUB", self.github_client_id.as_ref(), self.github_client_secret.as_ref())?;
        let github = match github {
            Some(client) => {
                let github = Github::new(&self.github_url, &self.github_api_url, client, fetch);
                Some(github.ok_or("COSTLENS_GITHUB_URL is no URL")?)
            }
            None => None,
        };
        Ok(Vouchers { google, github })
    }
}

/// The host of an address, with its port if it names one, and without what may be a password.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next();
    let host = authority.unwrap_or_default().rsplit('@').next().unwrap_or_default();
    // A password with an `@` or a `/` in it stands percent-encoded, or nothing of the text is shown.
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)).then(|| host.to_owned())
}

fn client(who: &str, id: Option<&String>, secret: Option<&String>) -> Result<Option<Client>, Failure> {
    let given = |text: Option<&String>| text.filter(|text| !text.trim().is_empty()).cloned();
    match (given(id), given(secret)) {
        (Some(id), Some(secret)) => Ok(Some(Client { id, secret: secret.into() })),
        (None, None) => Ok(None),
        _ => Err(format!("COSTLENS_{who}_CLIENT_ID and COSTLENS_{who}_CLIENT_SECRET go together").into()),
    }
}

impl OutwardArgs {
    /// What endpoints may be.
    pub(crate) fn policy(&self) -> Policy {
        Policy { allow_private: self.allow_private_hosts.clone() }
    }

    fn egress_config(&self) -> EgressConfig {
        EgressConfig {
            policy: self.policy(),
            name_servers: self.name_servers.clone(),
            ..EgressConfig::default()
        }
    }

    /// The way out to what tenants gave. Each call makes a pool of its own.
    pub(crate) fn egress(&self) -> Result<Egress, Failure> {
        Ok(Egress::new(self.egress_config())?)
    }

    /// Where prices are fetched from, if anywhere.
    pub(crate) fn prices_url(&self) -> Result<Option<PricesUrl>, Failure> {
        let Some(url) = self.prices_url.as_ref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let parsed = PricesUrl::parse(url, &self.policy());
        Ok(Some(parsed.map_err(|refused| format!("COSTLENS_PRICES_URL: {refused}"))?))
    }

    /// Where vendors' own reports are asked for.
    pub(crate) fn invoices(&self) -> Result<InvoiceHosts, Failure> {
        let hosts = InvoiceHosts::new(&self.invoice_urls, &self.policy());
        Ok(hosts.map_err(|wrong| format!("COSTLENS_INVOICE_URLS: {wrong}"))?)
    }

    /// Whom the operator set up to be called, in the words of the page that lists them. Each has its line here, beside
    /// what makes its client.
    pub(crate) fn outside(&self) -> Vec<Subprocessor> {
        let mut all = Vec::new();
        if let Some(url) = self.smtp_url.as_ref().filter(|url| !url.is_empty()) {
            all.push(Subprocessor {
                name: "The mail server".to_owned(),
                host: host_of(url),
                purpose: "Sends digests, alerts and questions for consent by mail.".to_owned(),
                data: "Addresses of those who agreed, and the figures and names that the letter shows."
                    .to_owned(),
                your_choice: false,
            });
        }
        if self.svix_token.as_ref().is_some_and(|token| !token.is_empty()) {
            all.push(Subprocessor {
                name: "Svix".to_owned(),
                host: host_of(&self.svix_url),
                purpose: "Delivers webhooks to the endpoints that you register.".to_owned(),
                data: "Your endpoints' addresses and secrets, and the events' ids and figures.".to_owned(),
                your_choice: false,
            });
        }
        if let Some(url) = given(self.prices_url.as_deref()) {
            all.push(Subprocessor {
                name: "The price document".to_owned(),
                host: host_of(url),
                purpose: "Tells what models cost, every six hours.".to_owned(),
                data: "Nothing of yours: only that the document is asked for.".to_owned(),
                your_choice: false,
            });
        }
        all.extend(self.clerk.outside());
        all.extend(self.aws.outside());
        all
    }

    /// Clerk, if it keeps people here.
    pub(crate) fn clerk(&self, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Clerk>>, Failure> {
        let Some(config) = self.clerk.config() else { return Ok(None) };
        let fetch = Fetch::by(self.egress()?);
        Ok(Some(Arc::new(Clerk::new(config, fetch, Arc::clone(clock)))))
    }

    /// Where the service is looked at; this address where none is set.
    pub(crate) fn status(&self, default: Option<&str>) -> Result<StatusTargets, Failure> {
        status_targets::read(&self.status_targets, default, &self.egress_config())
    }

    /// The operator's mail server, if one is set.
    pub(crate) fn mailer(&self) -> Result<Option<Mailer>, Failure> {
        let Some(url) = self.smtp_url.as_ref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let config = MailerConfig {
            url: url.clone(),
            from: self.mail_from.clone(),
            timeout: MAIL_TIMEOUT,
            extra_roots: Vec::new(),
        };
        Ok(Some(Mailer::new(&config)?))
    }

    /// The operator's Svix, if a token is set.
    pub(crate) fn svix(&self) -> Result<Option<Arc<Svix>>, Failure> {
        let Some(token) = self.svix_token.as_ref().filter(|token| !token.is_empty()) else { return Ok(None) };
        let config = SvixConfig {
            server: self.svix_url.clone(),
            token: token.clone().into(),
            timeout: SVIX_TIMEOUT,
            egress: self.egress_config(),
        };
        Ok(Some(Arc::new(Svix::new(config)?)))
    }
}
