//! The HTTP client over the guarded connector, and what can go wrong with a call.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;

use crate::Body;
use crate::connect::{ConnectError, Connector, Dial, TcpDial};
use crate::endpoint::{Policy, RefusedUrl};
use crate::resolve::{Names, TxtError};

/// How calls go out. One configuration makes one pool: a connection opened under one policy never serves another.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// What endpoints may be.
    pub policy: Policy,
    /// Name servers to ask; empty for the system's.
    pub name_servers: Vec<SocketAddr>,
    /// The longest wait for one name server's answer.
    pub dns_timeout: Duration,
    /// The longest wait for name, connection and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept for one endpoint.
    pub pool_max_idle_per_host: usize,
    /// Certificates to trust beside the platform's (whose place `SSL_CERT_FILE` may name).
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            name_servers: Vec::new(),
            dns_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(50),
            pool_max_idle_per_host: 256,
            extra_roots: Vec::new(),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The URL may not be an endpoint.
    #[error(transparent)]
    RefusedUrl(RefusedUrl),
    /// The name leads to an address that may not be dialled.
    #[error("{host} leads to {address}, which is not a public address")]
    RefusedAddress {
        /// The name that was looked up.
        host: String,
        /// The first address of the answer that is not public.
        address: IpAddr,
    },
    /// The name could not be resolved.
    #[error("{host} could not be resolved: {reason}")]
    Dns {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No address of the endpoint took the connection.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The endpoint's host.
        host: String,
        /// What the last address said.
        reason: String,
    },
    /// Name, connection and TLS together took too long.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The endpoint's certificate or handshake was not acceptable.
    #[error("no TLS session with {host}: {reason}")]
    Tls {
        /// The endpoint's host.
        host: String,
        /// What the TLS layer said.
        reason: String,
    },
    /// The request was sent, at least in part, and the answer's head did not come. It may have had its effect.
    #[error("the connection broke before the answer: {0}")]
    Broken(#[source] legacy::Error),
}

impl EgressError {
    /// A stable name, for rows and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RefusedUrl(_) => "endpoint_refused",
            Self::RefusedAddress { .. } => "address_refused",
            Self::Dns { .. } => "dns_failed",
            Self::Connect { .. } => "connect_failed",
            Self::ConnectTimeout(_) => "connect_timeout",
            Self::Tls { .. } => "tls_failed",
            Self::Broken(_) => "connection_broken",
        }
    }

    /// Whether the endpoint may have seen the request. Where it cannot have, trying again is safe.
    pub const fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

impl From<ConnectError> for EgressError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Url(refused) => Self::RefusedUrl(refused),
            ConnectError::Address { host, address } => Self::RefusedAddress { host, address },
            ConnectError::Dns { host, reason } => Self::Dns { host, reason },
            ConnectError::Connect { host, reason } => Self::Connect { host, reason },
            ConnectError::Timeout(after) => Self::ConnectTimeout(after),
            ConnectError::Tls { host, reason } => Self::Tls { host, reason },
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("outbound TLS cannot be set up: {0}")]
pub struct EgressSetupError(#[from] rustls::Error);

/// The client. Cheap to clone; clones share one pool.
#[derive(Clone)]
pub struct Egress {
    client: Client<Connector, Body>,
    policy: Arc<Policy>,
    names: Names,
}

impl Egress {
    /// Reads the platform's certificates and the system's DNS configuration, once.
    pub fn new(config: EgressConfig) -> Result<Self, EgressSetupError> {
        Self::dialling(config, Arc::new(TcpDial))
    }

    pub(crate) fn dialling(config: EgressConfig, dial: Arc<dyn Dial>) -> Result<Self, EgressSetupError> {
        let policy = Arc::new(config.policy);
        let names = Names::new(&config.name_servers, config.dns_timeout);
        let tls = Arc::new(tls(config.extra_roots)?);
        let connector = Connector::new(Arc::clone(&policy), names.clone(), dial, tls, config.connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.pool_max_idle_per_host)
            .build(connector);
        Ok(Self { client, policy, names })
    }

    /// The policy that every connection of this client obeys.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends a request to an absolute URI and waits for the answer's head; the body streams as it comes. Goes out
    /// as HTTP/1.1 with `Host` from the URI, whatever the caller left in the headers. A redirect is an answer like
    /// any other. How long to wait for the head is the caller's choice: dropping the future gives up.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, EgressError> {
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().remove(HOST);
        self.client.request(request).await.map_err(|error| {
            match error.source().and_then(|source| source.downcast_ref::<ConnectError>()) {
                Some(cause) => cause.clone().into(),
                None => EgressError::Broken(error),
            }
        })
    }
}

impl Egress {
    /// What a name's TXT records say, one text a record; none where there is no such name or record. Asked anew each
    /// time, of the same name servers as addresses.
    pub async fn txt_records(&self, name: &str) -> Result<Vec<String>, TxtError> {
        self.names.txt(name).await
    }

    /// The status that this address answers a plain GET with. The body is not read.
    pub async fn status_of(&self, uri: http::Uri) -> Result<u16, EgressError> {
        let mut request = Request::new(Body::default());
        *request.uri_mut() = uri;
        Ok(self.send(request).await?.status().as_u16())
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("policy", &self.policy).finish_non_exhaustive()
    }
}

fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    for error in &platform.errors {
        tracing::warn!(%error, "a trusted certificate cannot be read");
    }
    let (added, ignored) = roots.add_parsable_certificates(platform.certs.into_iter().chain(extra_roots));
    if added == 0 {
        tracing::warn!(
            certificates.ignored = ignored,
            "no trusted certificates: every https endpoint will fail"
        );
    }
    // Named, because a build in which another crate brings a second provider has no default one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
