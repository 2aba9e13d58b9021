//! From a judged host to the addresses that may be dialled.
//!
//! Public names are asked of the configured name servers (or the system's) without search lists and without the
//! hosts file, so that a name means the same here as everywhere; both families are asked, and one address that is
//! not global spoils the whole answer, because a mixed answer is how a rebinding attack looks from here. Hosts on
//! the operator's list go through the system's resolver, hosts file included.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use url::Host;

use crate::address::is_global;
use crate::connect::ConnectError;
use crate::endpoint::EndpointUrl;

/// Answers which addresses an endpoint has, or why none of them may be dialled.
#[derive(Clone)]
pub(crate) struct Names {
    public: Option<Arc<TokioResolver>>,
    /// Remembers nothing: whoever has just written a record does not wait for what was said before.
    forgetful: Option<Arc<TokioResolver>>,
}

/// Why it is not known what a name's TXT records say.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the name servers do not say what {name} holds: {reason}")]
pub struct TxtError {
    /// The name that was asked about.
    pub name: String,
    /// What the resolver said.
    pub reason: String,
}

impl Names {
    /// A resolver over the given name servers, or the system's where there are none. A machine without any keeps
    /// running: only names that need a lookup fail.
    pub(crate) fn new(name_servers: &[SocketAddr], timeout: Duration) -> Self {
        let resolver = |remembers: bool| {
            let builder = if name_servers.is_empty() {
                TokioResolver::builder_tokio()
            } else {
                let servers = name_servers.iter().map(name_server).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            };
            builder.and_then(|mut builder| {
                let options = builder.options_mut();
                options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
                options.use_hosts_file = ResolveHosts::Never;
                options.timeout = timeout;
                options.attempts = 2;
                if !remembers {
                    options.cache_size = 0;
                }
                builder.build()
            })
        };
        match (resolver(true), resolver(false)) {
            (Ok(public), Ok(forgetful)) => {
                Self { public: Some(Arc::new(public)), forgetful: Some(Arc::new(forgetful)) }
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "no DNS configuration can be read; endpoints with a name cannot be reached");
                Self { public: None, forgetful: None }
            }
        }
    }

    /// What a name's TXT records say (RFC 1035, section 3.3.14): one text a record, its strings joined. None where there
    /// is no such name or record; an error where that is not known.
    pub(crate) async fn txt(&self, name: &str) -> Result<Vec<String>, TxtError> {
        let failed = |reason: String| TxtError { name: name.to_owned(), reason };
        let resolver = self.forgetful.as_ref();
        let resolver = resolver.ok_or_else(|| failed("this machine has no DNS configuration".to_owned()))?;
        let answer = match resolver.txt_lookup(format!("{name}.")).await {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// The addresses that may be dialled, IPv4 first; never empty.
    pub(crate) async fn resolve(&self, endpoint: &EndpointUrl) -> Result<Vec<SocketAddr>, ConnectError> {
        let port = endpoint.port();
        let addresses = match endpoint.target() {
            Host::Ipv4(v4) => vec![IpAddr::V4(*v4)],
            Host::Ipv6(v6) => vec![IpAddr::V6(*v6)],
            Host::Domain(name) if endpoint.is_private() => system(name, port).await?,
            Host::Domain(name) => self.public(name).await?,
        };
        if !endpoint.is_private()
            && let Some(refused) = addresses.iter().find(|address| !is_global(**address))
        {
            return Err(ConnectError::Address { host: endpoint.host(), address: *refused });
        }
        if addresses.is_empty() {
            return Err(ConnectError::Dns {
                host: endpoint.host(),
                reason: "the name has no address".to_owned(),
            });
        }
        let mut targets: Vec<_> =
            addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        targets.sort_by_key(SocketAddr::is_ipv6);
        Ok(targets)
    }

    async fn public(&self, name: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let failed = |reason: String| ConnectError::Dns { host: name.to_owned(), reason };
        let resolver =
            self.public.as_ref().ok_or_else(|| failed("this machine has no DNS configuration".to_owned()))?;
        // The final dot says that the name is whole: no search list completes it.
        let answer =
            resolver.lookup_ip(format!("{name}.")).await.map_err(|error| failed(error.to_string()))?;
        Ok(answer.iter().collect())
    }
}

async fn system(name: &str, port: u16) -> Result<Vec<IpAddr>, ConnectError> {
    tokio::net::lookup_host((name, port))
        .await
        .map(|found| found.map(|address| address.ip()).collect())
        .map_err(|error| ConnectError::Dns { host: name.to_owned(), reason: error.to_string() })
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = address.port();
    let mut tcp = ConnectionConfig::tcp();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}
