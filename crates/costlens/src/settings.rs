//! What an operator can set, from flags and the environment, checked as a whole before anything starts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use costlens_cache::{RedisUrl, RedisUrlError};
use costlens_domain::privacy::FOREVER_FLOOR_DAYS;
use costlens_domain::providers::PROVIDERS;
use costlens_edge::{Network, TrustedProxies};
use costlens_egress::{EndpointUrl, Policy};
use costlens_proxy::ProxyConfig;

use crate::keys::KeyArgs;
use crate::outward::{OutwardArgs, VouchingArgs};
use crate::production;

/// Who may become a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignUpSetting {
    /// Whoever is invited by a member.
    Invited,
    /// Anybody who reads an e-mail address, with an organisation of its own.
    Open,
}

impl From<SignUpSetting> for costlens_api::SignUp {
    fn from(setting: SignUpSetting) -> Self {
        match setting {
            SignUpSetting::Invited => Self::Invited,
            SignUpSetting::Open => Self::Open,
        }
    }
}

/// Where this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Environment {
    /// One machine: private PostgreSQL, a key file, plain HTTP on loopback.
    Local,
    /// Everything must be given; nothing is made up.
    Production,
}

/// For how long things are kept, where the operator has a say in it: the same for every process over one database.
#[derive(Args, Debug, Clone)]
pub(crate) struct RetentionArgs {
    /// After how many days prompts and answers that tenants keep for ever are let go of, 30 at least; never by default.
    #[arg(
        long,
        env = "COSTLENS_FOREVER_BODY_DAYS",
        value_parser = clap::value_parser!(u32).range(i64::from(FOREVER_FLOOR_DAYS)..=36_500)
    )]
    pub(crate) forever_body_days: Option<u32>,
}

/// How long anything waits for a connection to PostgreSQL.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct WaitArgs {
    /// Milliseconds to wait for a connection to PostgreSQL: 2000 to 10000 by default, as it is used and where it is.
    #[arg(long, env = "COSTLENS_DATABASE_WAIT_MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    database_wait_ms: Option<u64>,
}

impl WaitArgs {
    /// The wait, if one is named.
    pub(crate) fn named(self) -> Option<Duration> {
        self.database_wait_ms.map(Duration::from_millis)
    }
}

/// Flags and environment variables of a server.
#[derive(Args, Debug, Clone)]
pub(crate) struct ServerArgs {
    /// Where this runs.
    #[arg(long, env = "COSTLENS_ENV", value_enum, default_value = "local")]
    pub(crate) environment: Environment,
    /// The address to listen on.
    #[arg(long, env = "COSTLENS_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Who may become a user here.
    #[arg(long, env = "COSTLENS_SIGN_UP", value_enum, default_value = "invited")]
    pub(crate) sign_up: SignUpSetting,
    /// Who vouches for people.
    #[command(flatten)]
    pub(crate) vouching: VouchingArgs,
    /// What goes out, and by what name others come in.
    #[command(flatten)]
    pub(crate) outward: OutwardArgs,
    /// The runtime role's URL; without it, a private PostgreSQL is started below the data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// How long anything waits for it.
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    /// The Redis in which all processes count together: `redis://:password@host:6379/0`, or `rediss://…` for TLS.
    /// Without it each counts for itself, which is right for a single one.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// Where the spool and the private PostgreSQL live.
    #[arg(long, env = "COSTLENS_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The keys that seal.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// For how long things are kept.
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    /// Where uploads are kept until they are read; `objects` below the data directory by default. Every process that
    /// serves or works over one database needs the same.
    #[arg(long, env = "COSTLENS_OBJECT_DIR")]
    pub(crate) object_dir: Option<PathBuf>,
    /// Other addresses for the vendors' APIs, as `openai=https://…,anthropic=https://…`. Not in production.
    #[arg(long, env = "COSTLENS_PROVIDER_URLS", value_delimiter = ',')]
    pub(crate) provider_urls: Vec<String>,
    /// Networks of proxies whose `X-Forwarded-For` is believed, as `10.0.0.0/8,…`.
    #[arg(long, env = "COSTLENS_TRUSTED_PROXIES", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<Network>,
    /// The most bytes that the spool may take on the disk.
    #[arg(long, env = "COSTLENS_SPOOL_LIMIT_BYTES", default_value_t = 2 << 30)]
    pub(crate) spool_limit_bytes: u64,
    /// The size of one of the spool's files.
    #[arg(long, env = "COSTLENS_SPOOL_SEGMENT_BYTES", default_value_t = 8 << 20)]
    pub(crate) spool_segment_bytes: u64,
    /// Milliseconds to wait for the head of a provider's answer.
    #[arg(long, env = "COSTLENS_FIRST_BYTE_TIMEOUT_MS", default_value_t = 600_000)]
    pub(crate) first_byte_timeout_ms: u64,
    /// The most bytes of a proxied request.
    #[arg(long, env = "COSTLENS_MAX_REQUEST_BYTES", default_value_t = 32 << 20)]
    pub(crate) max_request_bytes: u64,
    /// The most bytes that proxied requests and plain answers may hold in memory together.
    #[arg(long, env = "COSTLENS_CALL_MEMORY_BYTES", default_value_t = 1 << 30)]
    pub(crate) call_memory_bytes: u64,
    /// The most bytes of a bill, uploaded or delivered by AWS.
    #[arg(long, env = "COSTLENS_MAX_BILL_BYTES", default_value_t = 4 << 30)]
    pub(crate) max_bill_bytes: u64,
    /// The most bytes of an export's file, compressed.
    #[arg(long, env = "COSTLENS_MAX_EXPORT_BYTES", default_value_t = 1 << 30)]
    pub(crate) max_export_bytes: u64,
    /// What is logged, in tracing's filter syntax.
    #[arg(long, env = "COSTLENS_LOG", default_value = "info")]
    pub(crate) log: String,
    /// Print one JSON object with the links, the key and the addresses, for programs that start this one.
    #[arg(long, env = "COSTLENS_PRINT_JSON")]
    pub(crate) print_json: bool,
}

/// Everything that is wrong with the settings, all named at once.
#[derive(Debug, thiserror::Error)]
#[error("the settings do not allow a start:\n  - {}", .0.join("\n  - "))]
pub(crate) struct BadSettings(Vec<String>);

impl ServerArgs {
    /// Checks the settings as a whole.
    pub(crate) fn check(&self) -> Result<(), BadSettings> {
        let mut wrong = Vec::new();
        if self.environment == Environment::Production {
            wrong.extend(production::missing(self));
        } else if let Err(error) = self.redis() {
            wrong.push(format!("REDIS_URL: {error}"));
        }
        if let Err(error) = self.outward.clerk.check(self.environment == Environment::Production) {
            wrong.extend(error.0);
        }
        if let Err(error) = self.outward.aws.check(self.environment == Environment::Production) {
            wrong.extend(error);
        }
        if let Err(error) = self.provider_base_urls() {
            wrong.push(error);
        }
        // A request whose model's prefix is taken out is there twice for a moment.
        if self.call_memory_bytes / 2 < self.max_request_bytes {
            wrong.push(
                "COSTLENS_CALL_MEMORY_BYTES: must be twice COSTLENS_MAX_REQUEST_BYTES at least".to_owned(),
            );
        }
        if wrong.is_empty() { Ok(()) } else { Err(BadSettings(wrong)) }
    }

    /// The Redis to count in, if one is named.
    pub(crate) fn redis(&self) -> Result<Option<RedisUrl>, RedisUrlError> {
        given(self.redis_url.as_deref()).map(RedisUrl::parse).transpose()
    }

    /// Where browsers reach this server, given the address that was bound.
    pub(crate) fn public_url(&self, bound: SocketAddr) -> String {
        match &self.outward.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if bound.ip().is_loopback() => format!("http://localhost:{}", bound.port()),
            None => format!("http://{bound}"),
        }
    }

    /// Whether browsers come by https.
    pub(crate) fn https(&self) -> bool {
        self.outward.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// What endpoints may be.
    pub(crate) fn policy(&self) -> Policy {
        self.outward.policy()
    }

    /// Whose word about the client's address is taken.
    pub(crate) fn trusted_proxies(&self) -> TrustedProxies {
        if self.trusted_proxies.is_empty() {
            TrustedProxies::None
        } else {
            TrustedProxies::Networks(self.trusted_proxies.clone())
        }
    }

    /// Limits and addresses of the data plane.
    pub(crate) fn proxy(&self) -> ProxyConfig {
        ProxyConfig {
            first_byte_timeout: Duration::from_millis(self.first_byte_timeout_ms),
            provider_base_urls: self.provider_base_urls().unwrap_or_default(),
            call_memory_bytes: usize::try_from(self.call_memory_bytes).unwrap_or(usize::MAX),
            ..ProxyConfig::default()
        }
    }

    fn provider_base_urls(&self) -> Result<HashMap<String, EndpointUrl>, String> {
        let policy = self.policy();
        let one = |entry: &String| {
            let (name, url) = entry.split_once('=').ok_or_else(|| format!("`{entry}` is not NAME=URL"))?;
            if !PROVIDERS.iter().any(|provider| provider.name == name) {
                return Err(format!("`{name}` is not a provider"));
            }
            let url = EndpointUrl::parse(url, &policy).map_err(|refused| format!("{name}: {refused}"))?;
            Ok((name.to_owned(), url))
        };
        self.provider_urls.iter().map(one).collect()
    }
}

/// A setting's text. One that is set to nothing is not set.
pub(crate) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The directory for data when none is named: the system's for root, the user's otherwise.
pub(crate) fn default_data_dir() -> PathBuf {
    if is_root() {
        return PathBuf::from("/var/lib/costlens");
    }
    home_dir("XDG_DATA_HOME", ".local/share").join("costlens")
}

/// The directory of kept files: the named one, or the data directory's own.
pub(crate) fn object_dir(named: Option<&Path>, data_dir: &Path) -> PathBuf {
    named.map_or_else(|| data_dir.join("objects"), Path::to_owned)
}

/// The local key file when none is named: apart from the data, so that a copy of the data opens nothing.
pub(crate) fn default_key_file() -> PathBuf {
    if is_root() {
        return PathBuf::from("/etc/costlens/master.key");
    }
    home_dir("XDG_CONFIG_HOME", ".config").join("costlens/master.key")
}

#[expect(clippy::disallowed_methods, reason = "this crate alone reads the environment")]
fn home_dir(variable: &str, below_home: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(dir) if Path::new(&dir).is_absolute() => dir.into(),
        _ => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into())).join(below_home),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
