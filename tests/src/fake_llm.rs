//! A vendor on a real socket, whose log is the judge of what the proxy recorded.
//!
//! Every test has a [`Line`] of its own: the credential that its connection carries. The vendor answers each line
//! as the test says, and remembers for each line what it heard and how far its answer got.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::reply::{End, Reply, Tokens};

type Answering = dyn Fn(&Heard) -> Reply + Send + Sync;

/// The vendor.
#[derive(Debug, Clone)]
pub struct FakeLlm {
    address: std::net::SocketAddr,
    lines: Arc<Mutex<HashMap<String, Line>>>,
}

/// One test's part of the vendor.
#[derive(Clone)]
pub struct Line {
    secret: String,
    answer: Arc<Answering>,
    log: Arc<Mutex<Vec<Arc<Heard>>>>,
}

/// One call as the vendor heard it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Heard {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub call: Value,
    /// The vendor's own id of the call, which it answers with.
    pub id: String,
    said: Mutex<Option<Tokens>>,
    frames_sent: AtomicUsize,
    progress: AtomicU64,
}

const WHOLE: u64 = 1;
const DROPPED: u64 = 2;

impl Heard {
    /// The client's own id of the call.
    #[must_use]
    pub fn caller_id(&self) -> &str {
        self.headers.get("x-client-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    /// How many frames of the answer were handed to the socket.
    pub fn frames_sent(&self) -> usize {
        self.frames_sent.load(Ordering::SeqCst)
    }

    /// Whether the whole answer was handed to the socket.
    pub fn was_answered(&self) -> bool {
        self.progress.load(Ordering::SeqCst) == WHOLE
    }

    /// Whether the caller went away in the middle of the answer.
    pub fn was_dropped(&self) -> bool {
        self.progress.load(Ordering::SeqCst) == DROPPED
    }

    /// The tokens that the answer told.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        *self.said.lock().unwrap()
    }
}

impl Line {
    /// The credential that leads here.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Everything that was heard so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Arc<Heard>> {
        self.log.lock().unwrap().clone()
    }

    /// The one call that was heard.
    #[must_use]
    #[track_caller]
    pub fn only(&self) -> Arc<Heard> {
        let log = self.log();
        assert_eq!(log.len(), 1, "the vendor should have been called once");
        Arc::clone(&log[0])
    }

    /// The last call that was heard.
    #[must_use]
    #[track_caller]
    pub fn last(&self) -> Arc<Heard> {
        Arc::clone(self.log().last().expect("the vendor was never called"))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl FakeLlm {
    /// Starts a vendor on a free port. It lives as long as the test process.
    #[must_use]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Self { address, lines: Arc::default() };
        let serving = fake.clone();
        crate::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let fake = serving.clone();
                crate::spawn(async move {
                    let service = service_fn(move |request| {
                        let fake = fake.clone();
                        async move { Ok::<_, Infallible>(fake.answer(request).await) }
                    });
                    // A caller that hangs up is an error of its connection alone.
                    let _gone = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        fake
    }

    /// A new line that answers like this.
    #[must_use]
    pub fn line(&self, answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Line {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let secret = format!("sk-fake-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let line = Line { secret: secret.clone(), answer: Arc::new(answer), log: Arc::default() };
        self.lines.lock().unwrap().insert(secret, line.clone());
        line
    }

    /// A new line that answers every call in its own dialect, with these tokens.
    #[must_use]
    pub fn line_of(&self, tokens: Tokens) -> Line {
        self.line(move |heard| Reply::to(&heard.call, &heard.path, tokens))
    }

    /// Where it listens.
    #[must_use]
    pub fn host_port(&self) -> String {
        self.address.to_string()
    }

    /// Its base URL, version segment included, as the vendors give theirs.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<StreamBody<FrameStream>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let secret = header("x-api-key").or(bearer).unwrap_or_default();
        let line = self.lines.lock().unwrap().get(secret).cloned();
        let heard = Arc::new(Heard {
            path: parts.uri.path().to_owned(),
            call: serde_json::from_slice(&body).unwrap_or(Value::Null),
            headers: parts.headers.clone(),
            body,
            id: format!("req_fake_{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            said: Mutex::default(),
            frames_sent: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
        });
        let reply = match &line {
            Some(line) => {
                line.log.lock().unwrap().push(Arc::clone(&heard));
                (line.answer)(&heard)
            }
            None => {
                Reply::refusal(401, r#"{"error":{"message":"no such line","type":"invalid_request_error"}}"#)
            }
        };
        *heard.said.lock().unwrap() = reply.tokens;
        tokio::time::sleep(reply.before).await;
        let mut response = Response::builder().status(reply.status).header("x-request-id", &heard.id);
        for (name, value) in &reply.headers {
            response = response.header(*name, value);
        }
        response.body(StreamBody::new(frames(reply, heard))).unwrap()
    }
}

type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>>;

/// Says in the log how far an answer got, however it ends.
struct Progress(Arc<Heard>);

impl Drop for Progress {
    fn drop(&mut self) {
        let _ended = self.0.progress.compare_exchange(0, DROPPED, Ordering::SeqCst, Ordering::SeqCst);
    }
}

fn frames(reply: Reply, heard: Arc<Heard>) -> FrameStream {
    let Reply { frames, between, end, .. } = reply;
    let progress = Progress(heard);
    Box::pin(unfold((frames.into_iter().enumerate(), progress), move |(mut rest, progress)| async move {
        let Some((index, frame)) = rest.next() else {
            progress.0.progress.store(WHOLE, Ordering::SeqCst);
            return None;
        };
        if end == End::BreaksAfter(index) {
            // What was written before must reach the other side before the connection breaks.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            return Some((Err(std::io::ErrorKind::ConnectionReset.into()), (rest, progress)));
        }
        if index > 0 && !between.is_zero() {
            tokio::time::sleep(between).await;
        }
        progress.0.frames_sent.fetch_add(1, Ordering::SeqCst);
        Some((Ok(Frame::data(frame)), (rest, progress)))
    }))
}
