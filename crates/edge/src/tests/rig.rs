//! A listener with a few endpoints, and a client that writes exactly the bytes it is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use costlens_domain::ports::{Clock, Entropy};
use poem::http::StatusCode;
use poem::web::Data;
use poem::{Body, EndpointExt, IntoEndpoint, Response, Route, get, handler, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Arrival, Drained, EdgeConfig, serve};

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (to, from) in bytes.iter_mut().rev().zip(next.iter().rev()) {
            *to = *from;
        }
    }
}

#[handler]
fn hello() -> &'static str {
    "hello"
}

#[handler]
async fn count(body: Body) -> poem::Result<String> {
    Ok(body.into_bytes().await?.len().to_string())
}

#[handler]
fn who(Data(arrival): Data<&Arrival>) -> String {
    arrival.client_addr.to_string()
}

#[handler]
fn page() -> Response {
    Response::builder().content_type("text/html; charset=utf-8").body("<p>page</p>")
}

#[handler]
fn own_policy() -> Response {
    Response::builder().header("content-security-policy", "default-src 'self'").body("mine")
}

#[handler]
fn panics() -> &'static str {
    panic!("the secret of the handler")
}

#[handler]
fn fails() -> poem::Result<&'static str> {
    Err(poem::Error::from_string("the secret of the database", StatusCode::INTERNAL_SERVER_ERROR))
}

#[handler]
async fn slow(Data(begun): Data<&Arc<Notify>>) -> &'static str {
    begun.notify_one();
    tokio::time::sleep(Duration::from_secs(2)).await;
    "slow"
}

#[handler]
async fn never(Data(begun): Data<&Arc<Notify>>) -> &'static str {
    begun.notify_one();
    std::future::pending().await
}

#[handler]
fn stream() -> Response {
    let chunks = futures_util::stream::unfold(0, |sent| async move {
        if sent == 64 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok::<_, std::io::Error>(format!("data: {sent:04}\n\n")), sent + 1))
    });
    Response::builder().content_type("text/event-stream").body(Body::from_bytes_stream(chunks))
}

/// How long a test waits for what must come, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A running listener.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    begun: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

/// Generous where a test is not about a limit, so that a busy machine does not trip it.
pub(crate) fn config() -> EdgeConfig {
    EdgeConfig::new(Arc::new(FixedClock), Arc::new(Counting::default()))
}

impl Rig {
    pub(crate) async fn start(config: EdgeConfig) -> Self {
        let app = Route::new()
            .at("/hello", get(hello))
            .at("/count", post(count))
            .at("/uploads/count", post(count))
            .at("/who", get(who))
            .at("/page", get(page))
            .at("/own", get(own_policy))
            .at("/panics", get(panics))
            .at("/fails", get(fails))
            .at("/slow", get(slow))
            .at("/never", get(never))
            .at("/stream", get(stream));
        let begun = Arc::<Notify>::default();
        let app = app.data(Arc::clone(&begun)).map_to_response();
        Self { begun, ..Self::serving(app, config).await }
    }

    pub(crate) async fn serving<E>(endpoint: E, config: EdgeConfig) -> Self
    where
        E: IntoEndpoint + Send + 'static,
        E::Endpoint: 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            serve(listener, endpoint, config, async {
                stopped.await.ok();
            })
            .await
            .unwrap()
        });
        Self { address, begun: Arc::default(), stop: Some(stop), server }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &str) -> Reply {
        let mut client = self.connect().await;
        client.write(request).await;
        client.reply().await
    }

    /// A GET with these further header lines.
    pub(crate) async fn get(&self, path: &str, lines: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n{lines}\r\n")).await
    }

    /// Returns when a request for what takes its time is being answered.
    pub(crate) async fn has_begun(&self) {
        tokio::time::timeout(PATIENCE, self.begun.notified()).await.expect("it never began");
    }

    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        tokio::time::timeout(PATIENCE, self.server).await.expect("the drain never ended").unwrap()
    }
}

/// A connection that is written to by hand.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let reading = self.stream.read_to_end(&mut bytes);
        tokio::time::timeout(PATIENCE, reading).await.expect("the server never closed").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The answer, and the end of the connection after it.
    pub(crate) async fn reply(&mut self) -> Reply {
        Reply::parse(&self.rest().await)
    }

    /// One answer with a `Content-Length`; the connection stays open.
    pub(crate) async fn one_reply(&mut self) -> Reply {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let reply = Reply::parse(&text);
                let length: usize = reply.header("content-length").unwrap_or("0").parse().unwrap();
                if body.len() >= length || head.is_empty() {
                    return reply;
                }
            }
            let read = self.stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    /// How long until the server closes.
    pub(crate) async fn until_closed(&mut self) -> Duration {
        let begun = Instant::now();
        let mut buffer = [0; 1024];
        let closing = async { while matches!(self.stream.read(&mut buffer).await, Ok(read) if read > 0) {} };
        tokio::time::timeout(PATIENCE, closing).await.expect("the server never closed");
        begun.elapsed()
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Asserts a problem with this code, its status and its request id.
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["instance"].as_str(), self.header("x-request-id"));
        assert!(!self.body.contains("secret"), "{}", self.body);
    }

    /// Asserts every hardening header.
    pub(crate) fn assert_hardened(&self) {
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(self.header(name), Some(value), "{self:?}");
        }
        assert!(self.header("content-security-policy").is_some_and(|policy| policy.contains("default-src")));
        let permissions = self.header("permissions-policy").unwrap_or_else(|| panic!("{self:?}"));
        for denied in ["camera=()", "geolocation=()", "microphone=()", "payment=()", "usb=()"] {
            assert!(permissions.split(", ").any(|one| one == denied), "{denied}: {permissions}");
        }
        // No other origin is let in, so nothing says that one is.
        assert!(!self.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{self:?}");
        assert!(self.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{self:?}");
    }
}
