//! Whom this process may call besides the providers, and by what name others call it: settings that a server and a
//! worker on its own share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use costlens_egress::{Egress, EgressConfig, HostPort, Policy};
use costlens_notify::webhooks::svix::{Svix, SvixConfig};
use costlens_notify::{Mailer, MailerConfig};
use costlens_workers::PricesUrl;

use crate::boot::Failure;

/// The longest wait for the mail server, before a letter and again for the answer to it.
const MAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for one call of Svix.
const SVIX_TIMEOUT: Duration = Duration::from_secs(20);

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
    /// The Svix server that delivers webhooks; used with a token alone.
    #[arg(long, env = "SVIX_SERVER_URL", default_value = "https://api.svix.com")]
    pub(crate) svix_url: String,
    /// Where a price document is fetched from every six hours, by https; without it the build's own prices hold.
    #[arg(long, env = "COSTLENS_PRICES_URL")]
    pub(crate) prices_url: Option<String>,
    /// Svix' API token. Without it webhooks are delivered from here.
    #[arg(long, env = "SVIX_TOKEN", hide_env_values = true)]
    pub(crate) svix_token: Option<String>,
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
