//! Servers on loopback, and a dialler that notes who was to be dialled.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::connect::Dial;
use crate::{Body, Egress, EgressConfig, EgressError, Policy};

/// Notes every address and connects to one loopback server instead, which cannot be reached by its public address.
pub(crate) struct NotedDial {
    pub(crate) dialled: Mutex<Vec<SocketAddr>>,
    server: Option<SocketAddr>,
}

impl NotedDial {
    /// `None` for a network that swallows every packet.
    pub(crate) fn to(server: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self { dialled: Mutex::default(), server })
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

impl Dial for NotedDial {
    fn dial(&self, to: SocketAddr) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>> {
        self.dialled.lock().unwrap().push(to);
        match self.server {
            Some(server) => Box::pin(TcpStream::connect(server)),
            None => Box::pin(std::future::pending()),
        }
    }
}

/// What a server does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Answers every request with 200 and the request's head as body.
    Echo,
    /// Echoes once per connection.
    EchoOnce,
    /// Sends every request elsewhere.
    Redirect,
    /// Reads the request and hangs up.
    HangUp,
}

/// A server on loopback; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    /// The certificate to trust, if it speaks TLS.
    pub(crate) root: Option<CertificateDer<'static>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn plain(manner: Manner) -> Self {
        Self::start(manner, None).await
    }

    /// Speaks TLS with a certificate of its own for this name.
    pub(crate) async fn tls(manner: Manner, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut server = Self::start(manner, Some(TlsAcceptor::from(Arc::new(config)))).await;
        server.root = Some(certificate);
        server
    }

    async fn start(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, manner).await;
                            }
                        }
                        None => converse(stream, manner).await,
                    }
                });
            }
        });
        Self { address, connections, root: None, task }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner) {
    let mut head = String::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        head.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        let answer = match manner {
            Manner::HangUp => return,
            Manner::Redirect => {
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            Manner::Echo => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len()),
            Manner::EchoOnce => {
                let length = head.len();
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{head}")
            }
        };
        head.clear();
        if stream.write_all(answer.as_bytes()).await.is_err() || matches!(manner, Manner::EchoOnce) {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Short waits, and a name server that must be named.
pub(crate) fn config(dns: Option<SocketAddr>) -> EgressConfig {
    EgressConfig {
        name_servers: dns.into_iter().collect(),
        dns_timeout: Duration::from_secs(2),
        connect_timeout: Duration::from_secs(5),
        ..EgressConfig::default()
    }
}

pub(crate) fn allowing(entries: &[String]) -> Policy {
    Policy { allow_private: entries.iter().map(|entry| entry.parse().unwrap()).collect() }
}

/// A GET; the answer's status and body.
pub(crate) async fn get(egress: &Egress, uri: &str) -> Result<(u16, String), EgressError> {
    let request = http::Request::builder().uri(uri).body(Body::default()).unwrap();
    let response = egress.send(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}
