//! A strict AWS of a test's own, on a real socket: STS' query protocol and S3's REST, as the real ones speak them.
//!
//! It enforces what they enforce: whom a role trusts and which ExternalId it wants, how long a session lasts, that a
//! session may do what both the role's policy and its own allow, whose a bucket is and where, `If-Match` and `Range`; and
//! that a request is signed with the very access key and token that were given out. It writes down every call.

#![expect(clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_kms::config::Credentials;
use serde_json::Value;

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
}

#[derive(Debug, Clone)]
struct Role {
    trusts: String,
    external_id: Option<String>,
    policy: Value,
}

#[derive(Debug, Clone)]
struct Session {
    token: String,
    role: String,
    policy: Value,
    name: String,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    etag: String,
}

#[derive(Debug, Clone)]
struct Bucket {
    owner: String,
    region: String,
    objects: BTreeMap<String, Object>,
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
    /// Calls of this action are answered by this status for so many times.
    broken: Option<(&'static str, u16, u32)>,
    counter: u64,
    longest_seconds: u64,
}

impl std::fmt::Debug for AwsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsState").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl AwsState {
    /// Makes a role, or another of its name: whom it trusts, which ExternalId it wants, and its policy.
    pub fn put_role(&mut self, arn: &str, trusts: &str, external_id: Option<&str>, policy: Value) {
        let (trusts, external_id) = (trusts.to_owned(), external_id.map(str::to_owned));
        self.roles.insert(arn.to_owned(), Role { trusts, external_id, policy });
    }

    /// Deletes a role: its sessions end at once.
    pub fn delete_role(&mut self, arn: &str) {
        self.roles.remove(arn);
    }

    /// Makes a bucket.
    pub fn put_bucket(&mut self, name: &str, owner: &str, region: &str) {
        let (owner, region) = (owner.to_owned(), region.to_owned());
        self.buckets.insert(name.to_owned(), Bucket { owner, region, objects: BTreeMap::new() });
    }

    /// Takes a bucket away.
    pub fn remove_bucket(&mut self, name: &str) {
        self.buckets.remove(name);
    }

    /// Writes an object, under another ETag each time.
    pub fn put(&mut self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) {
        self.counter += 1;
        let etag = format!("\"{:032x}\"", self.counter);
        let object = Object { bytes: Arc::new(bytes.into()), etag };
        self.buckets.get_mut(bucket).expect("a bucket").objects.insert(key.to_owned(), object);
    }

    /// Deletes an object.
    pub fn remove(&mut self, bucket: &str, key: &str) {
        self.buckets.get_mut(bucket).expect("a bucket").objects.remove(key);
    }

    /// Ends every session.
    pub fn end_sessions(&mut self) {
        self.sessions.clear();
    }
}

/// A running AWS. It ends with the value.
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<AwsState>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl FakeAws {
    /// Starts one with nothing in it.
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

    /// Does something before the next call of this action on a resource that ends so is judged.
    pub fn before(
        &self,
        action: &'static str,
        ending: &str,
        change: impl FnOnce(&mut AwsState) + Send + 'static,
    ) {
        self.state().pending.push((action, ending.to_owned(), Box::new(change)));
    }

    /// Answers the next calls of an action with a status.
    pub fn break_with(&self, action: &'static str, status: u16, times: u32) {
        self.state().broken = Some((action, status, times));
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
}

fn xml(status: u16, body: String) -> Answer {
    let headers = vec![("content-type", "text/xml".to_owned())];
    Answer { status, headers, body: body.into_bytes() }
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
        if request.method != "HEAD" {
            stream.write_all(&answer.body)?;
        }
    }
}

/// Who signed a request, in which region.
struct Signer {
    key: String,
    region: String,
}

/// AWS Signature Version 4, as far as a server without the secret can check it: whose it is, and that what matters is
/// signed.
fn signer(request: &Request, service: &str) -> Option<Signer> {
    let text = request.headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| text.split(", ").find_map(|part| part.strip_prefix(name));
    let scope: Vec<&str> = part("Credential=")?.split('/').collect();
    let [key, date, region, of, "aws4_request"] = scope.as_slice() else { return None };
    let signed: Vec<&str> = part("SignedHeaders=")?.split(';').collect();
    let signature = part("Signature=")?;
    let mut wanted = vec!["host", "x-amz-date"];
    wanted.extend(
        ["x-amz-security-token", "x-amz-expected-bucket-owner"]
            .into_iter()
            .filter(|name| request.headers.contains_key(*name)),
    );
    let is_dated = request.headers.get("x-amz-date")?.starts_with(date);
    let is_whole = signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    (*of == service && is_dated && is_whole && wanted.iter().all(|name| signed.contains(name)))
        .then(|| Signer { key: (*key).to_owned(), region: (*region).to_owned() })
}

fn answer(request: &Request, state: &mut AwsState) -> Answer {
    let is_sts = request.method == "POST" && request.path == "/";
    let (action, resource) = if is_sts {
        let form = pairs(&request.body);
        let action = form.get("Action").cloned().unwrap_or_default();
        (format!("sts:{action}"), form.get("RoleArn").cloned().unwrap_or_default())
    } else {
        (s3_action(request).to_owned(), request.path.trim_matches('/').to_owned())
    };
    let due = state.pending.iter().position(|(of, end, _)| *of == action && resource.ends_with(end.as_str()));
    if let Some(due) = due {
        let (.., change) = state.pending.remove(due);
        change(state);
    }
    let mut session = None;
    let broken = state.broken.as_mut().filter(|(of, _, times)| *of == action && *times > 0);
    let answer = if let Some((_, status, times)) = broken {
        *times -= 1;
        if is_sts { sts_error(*status, "InternalFailure") } else { s3_error(*status, "SlowDown") }
    } else if is_sts {
        assume_role(request, state)
    } else {
        s3(request, &action, state, &mut session)
    };
    state.calls.push(AwsCall { action, resource, status: answer.status, session });
    answer
}

fn assume_role(request: &Request, state: &mut AwsState) -> Answer {
    let Some(signer) = signer(request, "sts") else { return sts_error(403, "IncompleteSignature") };
    if signer.key != ASSUMER_KEY {
        return sts_error(403, "InvalidClientTokenId");
    }
    let form = pairs(&request.body);
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("Action") != "AssumeRole" {
        return sts_error(400, "InvalidAction");
    }
    let seconds: u64 = field("DurationSeconds").parse().unwrap_or(3_600);
    state.longest_seconds = state.longest_seconds.max(seconds);
    let (role, name) = (field("RoleArn").to_owned(), field("RoleSessionName").to_owned());
    let is_name = (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if !(900..=3_600).contains(&seconds) || !is_name {
        return sts_error(400, "ValidationError");
    }
    let Ok(policy) = serde_json::from_str::<Value>(field("Policy")) else {
        return sts_error(400, "MalformedPolicyDocument");
    };
    let trusted = state.roles.get(&role).is_some_and(|known| {
        known.trusts == ASSUMER
            && known.external_id.as_deref().is_none_or(|wanted| wanted == field("ExternalId"))
    });
    if !trusted {
        return sts_error(403, "AccessDenied");
    }
    state.counter += 1;
    let key = format!("ASID{:016}", state.counter);
    let token = format!("session-token-{:032}", state.counter);
    let account = role.split(':').nth(4).unwrap_or_default();
    let short = role.rsplit('/').next().unwrap_or_default();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{account}:assumed-role/{short}/{name}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret-{key}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    state.sessions.insert(key, Session { token, role, policy, name });
    xml(200, body)
}

/// The IAM action that a request of S3 needs.
fn s3_action(request: &Request) -> &'static str {
    let path = request.path.trim_matches('/');
    match (request.method.as_str(), path.contains('/')) {
        ("GET" | "HEAD", true) => "s3:GetObject",
        ("GET", false) if request.query.contains_key("location") => "s3:GetBucketLocation",
        ("GET", false) if request.query.contains_key("list-type") => "s3:ListBucket",
        ("HEAD", false) => "s3:HeadBucket",
        _ => "s3:SomethingElse",
    }
}

fn s3(request: &Request, action: &str, state: &AwsState, in_session: &mut Option<String>) -> Answer {
    let Some(signer) = signer(request, "s3") else { return s3_error(403, "SignatureDoesNotMatch") };
    let Some(session) = state.sessions.get(&signer.key) else { return s3_error(403, "InvalidAccessKeyId") };
    *in_session = Some(session.name.clone());
    if request.headers.get("x-amz-security-token") != Some(&session.token) {
        return s3_error(400, "InvalidToken");
    }
    let path = request.path.trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    let Some(bucket) = state.buckets.get(name) else { return s3_error(404, "NoSuchBucket") };
    let region = ("x-amz-bucket-region", bucket.region.clone());
    if action != "s3:GetBucketLocation" && signer.region != bucket.region {
        let mut answer = s3_error(301, "PermanentRedirect");
        answer.headers.push(region);
        return answer;
    }
    let denied = || {
        let mut answer = s3_error(403, "AccessDenied");
        answer.headers.push(region.clone());
        answer
    };
    // A session ends with its role; one of another account needs the bucket's own leave, which no bucket here gives.
    let Some(role) = state.roles.get(&session.role) else { return denied() };
    let account = session.role.split(':').nth(4).unwrap_or_default();
    if request.headers.get("x-amz-expected-bucket-owner").is_some_and(|owner| *owner != bucket.owner) {
        return denied();
    }
    let shared = bucket.objects.contains_key("shared-with-everybody");
    if account != bucket.owner && !shared {
        return denied();
    }
    let arn =
        if key.is_empty() { format!("arn:aws:s3:::{name}") } else { format!("arn:aws:s3:::{name}/{key}") };
    let wanted = if action == "s3:HeadBucket" { "s3:ListBucket" } else { action };
    let prefix = request.query.get("prefix").map(String::as_str);
    if !allows(&role.policy, wanted, &arn, prefix) || !allows(&session.policy, wanted, &arn, prefix) {
        return denied();
    }
    match action {
        "s3:HeadBucket" => Answer { status: 200, headers: vec![region], body: Vec::new() },
        "s3:GetBucketLocation" => xml(
            200,
            format!(
                "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</LocationConstraint>",
                bucket.region
            ),
        ),
        "s3:ListBucket" => list(request, bucket, name),
        _ => object(request, bucket, key),
    }
}

fn list(request: &Request, bucket: &Bucket, name: &str) -> Answer {
    let text = |field: &str| request.query.get(field).map(String::as_str).unwrap_or_default();
    let most: usize = text("max-keys").parse().unwrap_or(1_000);
    // Short pages: whoever reads the first one alone is found out.
    let most = most.min(3);
    let from = text("continuation-token");
    let below: Vec<_> = bucket
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(text("prefix")) && key.as_str() > from)
        .collect();
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{name}</Name><KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>",
        below.len().min(most),
        below.len() > most
    );
    for (key, object) in below.iter().take(most) {
        let _infallible = write!(
            body,
            "<Contents><Key>{key}</Key><ETag>{}</ETag><Size>{}</Size></Contents>",
            object.etag.replace('"', "&quot;"),
            object.bytes.len()
        );
    }
    if below.len() > most {
        let last = below[most - 1].0;
        let _infallible = write!(body, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    xml(200, body + "</ListBucketResult>")
}

fn object(request: &Request, bucket: &Bucket, key: &str) -> Answer {
    let Some(object) = bucket.objects.get(key) else { return s3_error(404, "NoSuchKey") };
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != object.etag) {
        return s3_error(412, "PreconditionFailed");
    }
    let mut headers = vec![("etag", object.etag.clone()), ("accept-ranges", "bytes".to_owned())];
    let whole = object.bytes.len();
    if request.method == "HEAD" {
        headers.push(("content-length", whole.to_string()));
        return Answer { status: 200, headers, body: Vec::new() };
    }
    let range = request.headers.get("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?.min(whole.checked_sub(1)?)))
    });
    let Some((from, to)) = range else {
        return Answer { status: 200, headers, body: object.bytes.to_vec() };
    };
    if from > to {
        return s3_error(416, "InvalidRange");
    }
    headers.push(("content-range", format!("bytes {from}-{to}/{whole}")));
    Answer { status: 206, headers, body: object.bytes[from..=to].to_vec() }
}

/// IAM's evaluation, as far as these policies need it: a Deny wins, and without an Allow nothing goes.
fn allows(policy: &Value, action: &str, arn: &str, prefix: Option<&str>) -> bool {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(all) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            one => one.as_str().map(str::to_owned).into_iter().collect(),
        }
    };
    let fits = |statement: &Value| {
        let names = texts(&statement["Action"]).iter().any(|of| like(of, action));
        let about = texts(&statement["Resource"]).iter().any(|of| like(of, arn));
        let wanted = texts(&statement["Condition"]["StringLike"]["s3:prefix"]);
        let under =
            wanted.is_empty() || prefix.is_some_and(|prefix| wanted.iter().any(|of| like(of, prefix)));
        names && about && under
    };
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let effect = |effect: &str| statements.iter().any(|one| one["Effect"] == effect && fits(one));
    effect("Allow") && !effect("Deny")
}

/// IAM's wildcards.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            rest.is_empty() || (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| like(rest, text)))
        }),
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
