//! A strict AWS of a test's own, on a real socket: STS' query protocol and S3's REST, as the real ones speak them.
//!
//! It enforces what they enforce: whom a role trusts and which ExternalIds it takes, how long a session lasts, that a
//! session may do what both the role's policy and its own allow, whose a bucket is and where, `If-Match` and `Range`; and
//! that a request is signed with the very access key and token that were given out. It writes down every call.

#![expect(clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod judge;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_kms::config::Credentials;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ports::Clock;
use serde_json::Value;

use judge::answer;

/// Who the platform is.
pub const ASSUMER: &str = "arn:aws:iam::999988887777:role/costlens-assumer";
/// Its access key, which is given to the process under test.
pub const ASSUMER_KEY: &str = "ASIDASSUMEREXAMPLE";

/// A call as it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCall {
    /// The IAM action, such as `s3:GetObject`.
    pub action: String,
    /// What it was about: a role's ARN, a bucket, or a bucket and a key.
    pub resource: String,
    /// The status of the answer.
    pub status: u16,
    /// The session's name, for calls in one.
    pub session: Option<String>,
    /// Whether an object's bytes were answered.
    pub reads: bool,
}

/// What a role's trust policy says of `sts:ExternalId`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalIds {
    /// Nothing: whoever is trusted comes in, with one or without.
    Unasked,
    /// That there is one, whichever it is (`StringLike` with `*`).
    Any,
    /// That it is this one.
    One(String),
}

impl ExternalIds {
    fn let_in(&self, named: Option<&str>) -> bool {
        match self {
            Self::Unasked => true,
            Self::Any => named.is_some(),
            Self::One(wanted) => named == Some(wanted.as_str()),
        }
    }
}

/// How a call fails that is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// This status, and nothing else happens: S3's `SlowDown` and STS' `InternalFailure` are 503 and 500.
    Status(u16),
    /// The head says the whole of the answer, half of it comes, and the line is dead.
    CutInHalf,
}

#[derive(Debug, Clone)]
struct Role {
    trusts: String,
    external_ids: ExternalIds,
    policy: Value,
}

#[derive(Debug, Clone)]
struct Session {
    token: String,
    role: String,
    policy: Value,
    name: String,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    etag: String,
    modified: DateTime<Utc>,
}

#[derive(Debug, Clone)]
struct Bucket {
    owner: String,
    region: String,
    objects: BTreeMap<String, Object>,
    /// The key that its objects are encrypted with.
    key: Option<String>,
}

type Change = Box<dyn FnOnce(&mut AwsState) + Send>;

/// What the fake knows; tests change it between calls, or in the middle of them.
#[derive(Default)]
pub struct AwsState {
    roles: BTreeMap<String, Role>,
    sessions: BTreeMap<String, Session>,
    buckets: BTreeMap<String, Bucket>,
    calls: Vec<AwsCall>,
    /// What is done before the next call of an action whose resource ends so is judged.
    pending: Vec<(&'static str, String, Change)>,
    /// What the next calls of an action whose resource ends so come to, and how many of them.
    failing: Vec<(&'static str, String, Failure, u32)>,
    counter: u64,
    longest_seconds: u64,
    /// What sessions expire by; the machine's clock where there is none.
    clock: Option<Arc<dyn Clock>>,
}

impl std::fmt::Debug for AwsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsState").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl AwsState {
    /// Makes a role, or another of its name: whom it trusts, which ExternalId it wants if any, and its policy.
    pub fn put_role(&mut self, arn: &str, trusts: &str, external_id: Option<&str>, policy: Value) {
        let external_ids =
            external_id.map_or(ExternalIds::Unasked, |wanted| ExternalIds::One(wanted.to_owned()));
        self.roles.insert(arn.to_owned(), Role { trusts: trusts.to_owned(), external_ids, policy });
    }

    /// Changes which ExternalIds a role takes.
    pub fn take_external_ids(&mut self, arn: &str, external_ids: ExternalIds) {
        self.roles.get_mut(arn).expect("a role").external_ids = external_ids;
    }

    /// Deletes a role: its sessions end at once.
    pub fn delete_role(&mut self, arn: &str) {
        self.roles.remove(arn);
    }

    /// Makes a bucket.
    pub fn put_bucket(&mut self, name: &str, owner: &str, region: &str) {
        let (owner, region) = (owner.to_owned(), region.to_owned());
        self.buckets.insert(name.to_owned(), Bucket { owner, region, objects: BTreeMap::new(), key: None });
    }

    /// Has what lies in a bucket encrypted with a key of KMS: whoever reads it must be let decrypt with that one.
    pub fn encrypt(&mut self, bucket: &str, key: &str) {
        self.buckets.get_mut(bucket).expect("a bucket").key = Some(key.to_owned());
    }

    /// Takes a bucket away.
    pub fn remove_bucket(&mut self, name: &str) {
        self.buckets.remove(name);
    }

    /// Writes an object, under another ETag each time.
    pub fn put(&mut self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) {
        self.counter += 1;
        let etag = format!("\"{:032x}\"", self.counter);
        let object = Object { bytes: Arc::new(bytes.into()), etag, modified: self.now() };
        self.buckets.get_mut(bucket).expect("a bucket").objects.insert(key.to_owned(), object);
    }

    /// Lets an object have been written so much earlier than it was.
    pub fn backdate(&mut self, bucket: &str, key: &str, by: TimeDelta) {
        let objects = &mut self.buckets.get_mut(bucket).expect("a bucket").objects;
        objects.get_mut(key).expect("an object").modified -= by;
    }

    /// Does something before the next call of this action on a resource that ends so is judged.
    pub fn before(
        &mut self,
        action: &'static str,
        ending: &str,
        change: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.pending.push((action, ending.to_owned(), Box::new(change)));
    }

    /// Forgets what was to be done before calls.
    pub fn forget_plans(&mut self) {
        self.pending.clear();
    }

    /// The keys of what lies in a bucket.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.buckets.get(bucket).expect("a bucket").objects.keys().cloned().collect()
    }

    /// Deletes everything that lies in a bucket.
    pub fn empty(&mut self, bucket: &str) {
        self.buckets.get_mut(bucket).expect("a bucket").objects.clear();
    }

    /// Deletes an object.
    pub fn remove(&mut self, bucket: &str, key: &str) {
        self.buckets.get_mut(bucket).expect("a bucket").objects.remove(key);
    }

    /// Lets the sessions of a role expire now, whatever they were told.
    pub fn end_sessions(&mut self, role: &str) {
        for session in self.sessions.values_mut().filter(|session| session.role == role) {
            session.expires_at = DateTime::UNIX_EPOCH;
        }
    }

    /// Lets the next calls of an action on resources that end so fail, and forgets what was said of them before.
    pub fn fail(&mut self, action: &'static str, ending: &str, failure: Failure, times: u32) {
        self.failing.retain(|(of, end, ..)| (*of, end.as_str()) != (action, ending));
        self.failing.push((action, ending.to_owned(), failure, times));
    }

    /// How this call is to fail, which is one time less now.
    fn failure_of(&mut self, action: &str, resource: &str) -> Option<Failure> {
        let is_due = |of: &str, end: &str, times: u32| of == action && resource.ends_with(end) && times > 0;
        let due = self.failing.iter_mut().find(|(of, end, _, times)| is_due(of, end, *times));
        due.map(|(.., failure, times)| {
            *times -= 1;
            *failure
        })
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.as_ref().map_or_else(machine_now, |clock| clock.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "the process under test may run by the machine's clock")]
fn machine_now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

/// A running AWS. It ends with the value.
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<AwsState>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl FakeAws {
    /// Starts one with nothing in it, whose sessions expire by this clock.
    #[must_use]
    pub fn start_by(clock: Arc<dyn Clock>) -> Self {
        let fake = Self::start();
        fake.state().clock = Some(clock);
        fake
    }

    /// Starts one with nothing in it, whose sessions expire by the machine's clock.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let fake = Self { address, state: Arc::default(), stop: Arc::default() };
        let (state, stop) = (Arc::clone(&fake.state), Arc::clone(&fake.stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    let _hung_up = serve(&stream, &state);
                });
            }
        });
        fake
    }

    /// Where it listens, for STS and S3 alike.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it knows, to be changed.
    pub fn state(&self) -> MutexGuard<'_, AwsState> {
        self.state.lock().unwrap()
    }

    /// The same as [`AwsState::before`].
    pub fn before(
        &self,
        action: &'static str,
        ending: &str,
        change: impl FnOnce(&mut AwsState) + Send + 'static,
    ) {
        self.state().before(action, ending, change);
    }

    /// The same as [`AwsState::fail`].
    pub fn fail(&self, action: &'static str, ending: &str, failure: Failure, times: u32) {
        self.state().fail(action, ending, failure, times);
    }

    /// The calls since this was asked last.
    #[must_use]
    pub fn calls(&self) -> Vec<AwsCall> {
        std::mem::take(&mut self.state().calls)
    }

    /// The same of those alone whose resource holds this word: several tests may share one AWS.
    #[must_use]
    pub fn calls_about(&self, word: &str) -> Vec<AwsCall> {
        let mut state = self.state();
        let (about, others) =
            std::mem::take(&mut state.calls).into_iter().partition(|call| call.resource.contains(word));
        state.calls = others;
        about
    }

    /// How often an object of this bucket whose key ends so was read, since its calls were taken last.
    #[must_use]
    pub fn reads_of(&self, bucket: &str, ending: &str) -> usize {
        let state = self.state();
        let is_one = |call: &&AwsCall| {
            call.reads && call.resource.starts_with(bucket) && call.resource.ends_with(ending)
        };
        state.calls.iter().filter(is_one).count()
    }

    /// The longest session that was asked for, in seconds.
    #[must_use]
    pub fn longest_seconds(&self) -> u64 {
        self.state().longest_seconds
    }

    /// Every secret of every session that it gave out.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        state.sessions.iter().flat_map(|(key, session)| [key.clone(), session.token.clone()]).collect()
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let _wakes = TcpStream::connect(self.address);
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: String,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How many of its bytes go out before the line is dead; all, and the line lives on, where there is none.
    cut_at: Option<usize>,
}

impl Answer {
    fn new(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body, cut_at: None }
    }
}

fn xml(status: u16, body: String) -> Answer {
    Answer::new(status, vec![("content-type", "text/xml".to_owned())], body.into_bytes())
}

fn s3_error(status: u16, code: &str) -> Answer {
    xml(
        status,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        ),
    )
}

fn sts_error(status: u16, code: &str) -> Answer {
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{code}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let one = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(one).collect()
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, state: &Mutex<AwsState>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path: decoded(path),
            query: pairs(query),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let answer = answer(&request, &mut state.lock().unwrap());
        let reason = if answer.status < 300 { "OK" } else { "No" };
        let mut head = format!("HTTP/1.1 {} {reason}\r\nx-amz-request-id: r\r\n", answer.status);
        let mut has_length = false;
        for (name, value) in &answer.headers {
            has_length |= *name == "content-length";
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        if !has_length {
            let _infallible = write!(head, "content-length: {}\r\n", answer.body.len());
        }
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        if request.method == "HEAD" {
            continue;
        }
        stream.write_all(&answer.body[..answer.cut_at.unwrap_or(answer.body.len())])?;
        if answer.cut_at.is_some() {
            return Ok(());
        }
    }
}

/// What assumes roles of this fake, as the platform.
pub async fn assumer(
    fake: &FakeAws,
    clock: Arc<dyn costlens_domain::ports::Clock>,
    entropy: Arc<dyn costlens_domain::ports::Entropy>,
) -> Arc<crate::Assumer> {
    assumer_at(&fake.url(), (ASSUMER_KEY, "not-a-secret"), clock, entropy).await
}

/// What assumes roles of an AWS at another address, with the id and secret of a key there.
pub async fn assumer_at(
    url: &str,
    (id, secret): (&str, &str),
    clock: Arc<dyn costlens_domain::ports::Clock>,
    entropy: Arc<dyn costlens_domain::ports::Entropy>,
) -> Arc<crate::Assumer> {
    let settings = crate::AssumerSettings {
        region: "us-east-1".parse().expect("a region"),
        sts_url: Some(url.to_owned()),
        s3_url: Some(url.to_owned()),
    };
    let credentials = Credentials::new(id, secret, None, None, "test");
    Arc::new(crate::Assumer::with(settings, clock, entropy, Some(credentials)).await)
}
