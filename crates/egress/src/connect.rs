//! The connector under the HTTP client: judge, resolve, judge the answer, dial what was judged, then TLS.
//!
//! The guard stands here and not in a route, because whatever the caller forgot, every connection passes here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::endpoint::{EndpointUrl, Policy, RefusedUrl};
use crate::resolve::Names;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why there is no connection. Nothing of the request was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Url(#[from] RefusedUrl),
    #[error("{host} leads to {address}, which is not a public address")]
    Address { host: String, address: IpAddr },
    #[error("{host} could not be resolved: {reason}")]
    Dns { host: String, reason: String },
    #[error("no connection to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    #[error("no TLS session with {host}: {reason}")]
    Tls { host: String, reason: String },
}

/// Opens one TCP connection to exactly this address. A seam for tests, which cannot reach public addresses.
pub(crate) trait Dial: Send + Sync {
    /// Connects, or says why not.
    fn dial(&self, to: SocketAddr) -> BoxFuture<io::Result<TcpStream>>;
}

/// The product's way to dial.
pub(crate) struct TcpDial;

impl Dial for TcpDial {
    fn dial(&self, to: SocketAddr) -> BoxFuture<io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(to))
    }
}

/// Where a connection goes by this URI, if the policy lets it.
fn judge(uri: &Uri, policy: &Policy) -> Result<EndpointUrl, RefusedUrl> {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    EndpointUrl::parse(&format!("{scheme}://{authority}/"), policy)
}

/// Opens guarded TCP connections; TLS is added around it by [`Connector`].
#[derive(Clone)]
struct GuardedTcp {
    policy: Arc<Policy>,
    names: Names,
    dial: Arc<dyn Dial>,
}

impl GuardedTcp {
    async fn open(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let endpoint = judge(&uri, &self.policy)?;
        let targets = self.names.resolve(&endpoint).await?;
        let mut last = None;
        for target in targets {
            match self.dial.dial(target).await {
                Ok(stream) => {
                    // Without it a request's second packet waits for the first one's acknowledgement.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY cannot be set");
                    }
                    return Ok(TokioIo::new(stream));
                }
                Err(error) => last = Some(error),
            }
        }
        let reason = last.map_or_else(|| "no address to try".to_owned(), |error| error.to_string());
        Err(ConnectError::Connect { host: endpoint.host(), reason })
    }
}

impl Service<Uri> for GuardedTcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = BoxFuture<Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// What the HTTP client connects with: [`GuardedTcp`], TLS for https, and one deadline over all of it.
#[derive(Clone)]
pub(crate) struct Connector {
    policy: Arc<Policy>,
    inner: HttpsConnector<GuardedTcp>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        policy: Arc<Policy>,
        names: Names,
        dial: Arc<dyn Dial>,
        tls: Arc<rustls::ClientConfig>,
        timeout: Duration,
    ) -> Self {
        let guarded = GuardedTcp { policy: Arc::clone(&policy), names, dial };
        Self { policy, inner: HttpsConnector::from((guarded, tls)), timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectError;
    type Future = BoxFuture<Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Judged before TLS asks for a server name, so that what is refused is refused for its own reason, and the
        // name in SNI is the one spelling.
        let endpoint = match judge(&uri, &self.policy) {
            Ok(endpoint) => endpoint,
            Err(refused) => return Box::pin(std::future::ready(Err(refused.into()))),
        };
        let host = endpoint.host();
        let timeout = self.timeout;
        let connecting = self.inner.call(endpoint.uri("").unwrap_or(uri));
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(name_the_cause(error, host)),
                Err(_) => Err(ConnectError::Timeout(timeout)),
            }
        })
    }
}

/// What [`GuardedTcp`] did not say itself came from the TLS layer above it.
fn name_the_cause(error: BoxError, host: String) -> ConnectError {
    match error.downcast::<ConnectError>() {
        Ok(ours) => *ours,
        Err(other) => ConnectError::Tls { host, reason: other.to_string() },
    }
}
