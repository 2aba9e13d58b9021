//! Whoever hosts the price document, on a real socket with TLS and a certificate of its own. It answers conditional
//! requests, writes down what was asked, and can be told to misbehave.

use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the server has.
#[derive(Clone, Debug)]
pub(crate) enum Has {
    /// A document and its tag; who names the tag hears that nothing changed.
    Document { text: Vec<u8>, etag: Option<String> },
    /// This status, and nothing else.
    Status(u16),
    /// A head that promises more than comes.
    BreaksOff,
    /// A body of so many bytes without its length.
    Endless(usize),
    /// Another place.
    Redirect,
}

/// The server. It stops when it is dropped.
pub(crate) struct CatalogueServer {
    port: u16,
    pub(crate) root: CertificateDer<'static>,
    has: Arc<Mutex<Has>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for CatalogueServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CatalogueServer {
    pub(crate) async fn open() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let root = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![root.clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let has = Arc::new(Mutex::new(Has::Status(404)));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (for_task, log) = (Arc::clone(&has), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, has, log) = (tls.clone(), Arc::clone(&for_task), Arc::clone(&log));
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).to_lowercase();
                    log.lock().unwrap().push(head.clone());
                    let has = has.lock().unwrap().clone();
                    let _gone = stream.write_all(&answer(&has, &head)).await;
                    let _gone = stream.shutdown().await;
                });
            }
        });
        Self { port, root, has, asked, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/prices.json", self.port)
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What it has from now on.
    pub(crate) fn has(&self, has: Has) {
        *self.has.lock().unwrap() = has;
    }

    /// A document from now on, under a tag of its own.
    pub(crate) fn serve(&self, text: &str) {
        let etag = format!("\"{}\"", hex::encode(&costlens_vault::sha256(text.as_bytes())[..6]));
        self.has(Has::Document { text: text.as_bytes().to_vec(), etag: Some(etag) });
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(has: &Has, head: &str) -> Vec<u8> {
    match has {
        Has::Document { text, etag } => {
            let tag = etag.as_deref().map(|tag| format!("etag: {tag}\r\n")).unwrap_or_default();
            let known = etag.as_deref().is_some_and(|tag| head.contains(&format!("if-none-match: {tag}\r\n")));
            if known {
                return format!("HTTP/1.1 304 Not Modified\r\n{tag}connection: close\r\n\r\n").into_bytes();
            }
            let head = format!("HTTP/1.1 200 OK\r\n{tag}connection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            [head.as_bytes(), text].concat()
        }
        Has::Status(status) => {
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into_bytes()
        }
        Has::BreaksOff => b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"format\":".to_vec(),
        Has::Endless(bytes) => {
            let mut all = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
            all.resize(all.len() + bytes, b' ');
            all
        }
        Has::Redirect => {
            b"HTTP/1.1 302 Found\r\nlocation: https://localhost/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
    }
}
