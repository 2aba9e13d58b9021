//! The world outside on real sockets: a mail server, a receiver of Slack posts and webhooks, a Svix and a Clerk. All write down
//! what reached them, and can be told to fail. They stop when they are dropped.

#![expect(clippy::indexing_slicing, reason = "a fake stops at what it does not know")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use costlens_domain::{TenantId, WebhookEndpointId};
use costlens_egress::EgressConfig;
use costlens_identity::fetch::Fetch;
use costlens_identity::{Clerk, ClerkConfig};
use costlens_notify::webhooks::svix::{Svix, SvixConfig};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::account::ISSUER;
use super::{Office, egress};

/// How the mail server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailFault {
    /// It does not take mail for the address.
    NoSuchAddress,
    /// It has no time before the letter.
    Busy,
    /// It takes the letter, and the connection breaks before it says so.
    CutAfterLetter,
}

#[derive(Default)]
struct State {
    /// Letters that were taken, headers and all.
    letters: Vec<String>,
    mail_fault: Option<MailFault>,
    /// Posts that were received: path, headers in lower case, body.
    posts: Vec<Post>,
    svix: FakeSvix,
    clerk: FakeClerk,
    /// Paths that begin so wait for their answer.
    held: BTreeSet<String>,
    /// The status for a path that begins so.
    statuses: HashMap<String, u16>,
}

/// The part of Svix that we use, with a memory.
#[derive(Default)]
struct FakeSvix {
    /// Every call: method and path.
    calls: Vec<String>,
    /// The applications that are there, by our ids.
    applications: BTreeSet<String>,
    /// Those that were there and were deleted, as often as that happened.
    deleted: Vec<String>,
    /// What it knows of endpoints, by application and endpoint.
    endpoints: BTreeMap<(String, String), Value>,
    /// The messages that it was handed, and the endpoints that hear them.
    messages: Vec<(Value, Vec<String>)>,
    /// URLs that it does not take.
    refused: BTreeSet<String>,
    /// It does what it is asked to and never says so.
    is_silent: bool,
}

impl FakeSvix {
    /// Does what a call wants, and the status that it is answered with.
    fn take(&mut self, method: &str, path: &str, body: &str) -> u16 {
        self.calls.push(format!("{method} {path}"));
        let place = path.strip_prefix("/api/v1/app").unwrap_or_default();
        let said: Value = serde_json::from_str(body).unwrap_or_default();
        match (method, place.strip_prefix('/')) {
            ("POST", None) if place.starts_with('?') => {
                let there =
                    !self.applications.insert(said.get("uid").and_then(Value::as_str).unwrap().to_owned());
                if there { 200 } else { 201 }
            }
            ("DELETE", Some(uid)) if !uid.contains('/') => {
                if !self.applications.remove(uid) {
                    return 404;
                }
                self.deleted.push(uid.to_owned());
                204
            }
            // Whatever belongs to an application that is not there.
            (_, Some(rest)) => {
                let (uid, rest) = rest.split_once('/').unwrap_or((rest, ""));
                if self.applications.contains(uid) { self.take_of(method, uid, rest, said) } else { 404 }
            }
            _ => 201,
        }
    }

    /// The same of a call about an application that is there.
    fn take_of(&mut self, method: &str, application: &str, rest: &str, said: Value) -> u16 {
        let known = |uid: &str| (application.to_owned(), uid.to_owned());
        let is_refused = said["url"].as_str().is_some_and(|url| self.refused.contains(url));
        match (method, rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("POST" | "PUT", ["endpoint", ..]) if is_refused => 422,
            ("POST", ["endpoint"]) => {
                let place = known(said["uid"].as_str().unwrap());
                if self.endpoints.contains_key(&place) {
                    return 409;
                }
                self.endpoints.insert(place, said);
                201
            }
            ("DELETE", ["endpoint", uid]) => self.endpoints.remove(&known(uid)).map_or(404, |_| 204),
            (_, ["endpoint", uid, ..]) => {
                let Some(there) = self.endpoints.get_mut(&known(uid)) else { return 404 };
                let changes = said.as_object().into_iter().flatten();
                for (name, value) in changes {
                    let name = if name == "key" { "secret" } else { name };
                    there[name] = value.clone();
                }
                200
            }
            ("POST", ["msg"]) => {
                let hears = |there: &Value| {
                    let among =
                        |list: &Value, what: &Value| list.as_array().is_none_or(|list| list.contains(what));
                    let channels = said["channels"].as_array().into_iter().flatten();
                    among(&there["filterTypes"], &said["eventType"])
                        && (there["channels"].is_null()
                            || channels.into_iter().any(|channel| among(&there["channels"], channel)))
                };
                let of = self.endpoints.iter().filter(|((of, _), there)| of == application && hears(there));
                let heard = of.map(|((_, uid), _)| uid.clone()).collect();
                self.messages.push((said, heard));
                202
            }
            _ => 201,
        }
    }
}

/// The part of Clerk that an erasure uses, with a memory.
#[derive(Default)]
struct FakeClerk {
    /// Every call: method and path.
    calls: Vec<String>,
    /// The organisations that are there.
    organizations: BTreeSet<String>,
}

impl FakeClerk {
    fn take(&mut self, method: &str, path: &str, authorization: Option<&String>) -> u16 {
        self.calls.push(format!("{method} {path}"));
        if authorization.is_none_or(|told| told != &format!("Bearer {CLERK_KEY}")) {
            return 401;
        }
        match (method, path.strip_prefix(CLERK_ORGANIZATIONS)) {
            ("DELETE", Some(id)) if self.organizations.remove(id) => 200,
            _ => 404,
        }
    }
}

/// Where Clerk's organisations are.
pub(crate) const CLERK_ORGANIZATIONS: &str = "/v1/organizations/";

/// The key to Clerk.
const CLERK_KEY: &str = "sk_test_clerk";

/// A post that was received.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// Everything outside.
pub(crate) struct Outside {
    state: Arc<Mutex<State>>,
    pub(crate) mail_port: u16,
    pub(crate) http_port: u16,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Outside {
    pub(crate) async fn open() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mail_port, http_port) = (mail.local_addr().unwrap().port(), http.local_addr().unwrap().port());
        let (for_mail, for_http) = (Arc::clone(&state), Arc::clone(&state));
        let tasks = vec![
            tokio::spawn(async move {
                while let Ok((stream, _)) = mail.accept().await {
                    let state = Arc::clone(&for_mail);
                    tokio::spawn(async move { drop(take_mail(stream, state).await) });
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = http.accept().await {
                    let state = Arc::clone(&for_http);
                    tokio::spawn(async move { drop(take_post(stream, state).await) });
                }
            }),
        ];
        Self { state, mail_port, http_port, tasks }
    }

    /// The letters that were taken, their bodies decoded.
    pub(crate) fn letters(&self) -> Vec<String> {
        self.state.lock().unwrap().letters.clone()
    }

    /// The posts to paths that begin so.
    pub(crate) fn posts(&self, path: &str) -> Vec<Post> {
        let state = self.state.lock().unwrap();
        state.posts.iter().filter(|post| post.path.starts_with(path)).cloned().collect()
    }

    pub(crate) fn fail_mail(&self, fault: Option<MailFault>) {
        self.state.lock().unwrap().mail_fault = fault;
    }

    /// Forgets what has arrived.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.letters.clear();
        state.posts.clear();
    }

    /// What paths that begin so are answered with from now on.
    pub(crate) fn answer(&self, path: &str, status: u16) {
        self.state.lock().unwrap().statuses.insert(path.to_owned(), status);
    }

    /// The calls to Svix that begin so, such as `DELETE /api/v1/app`.
    pub(crate) fn svix_calls(&self, begin: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.svix.calls.iter().filter(|call| call.starts_with(begin)).cloned().collect()
    }

    /// The applications that Svix had and deleted.
    pub(crate) fn svix_deleted(&self) -> Vec<String> {
        self.state.lock().unwrap().svix.deleted.clone()
    }

    /// The applications that Svix has.
    pub(crate) fn svix_has(&self) -> Vec<String> {
        self.state.lock().unwrap().svix.applications.iter().cloned().collect()
    }

    /// From now on Clerk has this organisation.
    pub(crate) fn put_into_clerk(&self, organization: &str) {
        self.state.lock().unwrap().clerk.organizations.insert(organization.to_owned());
    }

    /// The organisations that Clerk has.
    pub(crate) fn clerk_has(&self) -> Vec<String> {
        self.state.lock().unwrap().clerk.organizations.iter().cloned().collect()
    }

    /// The calls to Clerk.
    pub(crate) fn clerk_calls(&self) -> Vec<String> {
        self.state.lock().unwrap().clerk.calls.clone()
    }

    /// What Svix knows of an endpoint.
    pub(crate) fn svix_endpoint(&self, tenant: TenantId, endpoint: WebhookEndpointId) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.svix.endpoints.get(&(tenant.to_string(), endpoint.to_string())).cloned()
    }

    /// The kinds of the messages that Svix was handed, and the endpoints that heard them.
    pub(crate) fn svix_heard(&self) -> Vec<(String, Vec<String>)> {
        let state = self.state.lock().unwrap();
        let kind = |message: &Value| message["eventType"].as_str().unwrap().to_owned();
        state.svix.messages.iter().map(|(message, heard)| (kind(message), heard.clone())).collect()
    }

    /// From now on Svix takes no endpoint with this URL.
    pub(crate) fn refuse_in_svix(&self, url: &str) {
        self.state.lock().unwrap().svix.refused.insert(url.to_owned());
    }

    /// From now on Svix does what it is asked to and does not say so; or says so again.
    pub(crate) fn silence_svix(&self, is_silent: bool) {
        self.state.lock().unwrap().svix.is_silent = is_silent;
    }

    /// Paths that begin so are answered no more, and what waits is answered once they are again.
    pub(crate) fn hold(&self, path: &str, is_held: bool) {
        let mut state = self.state.lock().unwrap();
        if is_held {
            state.held.insert(path.to_owned());
        } else {
            state.held.remove(path);
        }
    }

    pub(crate) fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.mail_port)
    }

    pub(crate) fn slack_url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T000/B000/secret", self.http_port)
    }

    pub(crate) fn hook_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http_port)
    }
}

/// A client of the Svix at this port of a world outside.
pub(crate) fn svix(http_port: u16) -> Arc<Svix> {
    let config = SvixConfig {
        server: format!("http://127.0.0.1:{http_port}"),
        token: "sk_test.us".to_owned().into(),
        timeout: Duration::from_secs(30),
        egress: EgressConfig::default(),
    };
    Arc::new(Svix::new(config).unwrap())
}

/// The Clerk at this port of a world outside.
pub(crate) fn clerk(office: &Office, http_port: u16) -> Arc<Clerk> {
    let host = format!("127.0.0.1:{http_port}");
    let config = ClerkConfig {
        issuer: ISSUER.to_owned(),
        api_url: format!("http://{host}"),
        secret_key: CLERK_KEY.to_owned().into(),
        authorized_parties: Vec::new(),
        instance_id: "ins_1".to_owned(),
        sign_in_url: "https://clerk.example/sign-in".to_owned(),
    };
    Arc::new(Clerk::new(config, Fetch::by(egress(&[host])), Arc::clone(&office.parts.clock)))
}

async fn take_mail(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 fake ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let fault = state.lock().unwrap().mail_fault;
        let command = line.trim().to_ascii_uppercase();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" => "250-fake\r\n250 8BITMIME\r\n",
            "MAIL" if fault == Some(MailFault::Busy) => "450 4.3.2 come back later\r\n",
            "RCPT" if fault == Some(MailFault::NoSuchAddress) => "550 5.1.1 no such user\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                state.lock().unwrap().letters.push(letter.replace("=\r\n", ""));
                if fault == Some(MailFault::CutAfterLetter) {
                    return Ok(());
                }
                "250 2.0.0 Ok: queued as 1\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn take_post(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let asked = path.clone();
        let status = {
            let mut state = state.lock().unwrap();
            let status = state.statuses.iter().filter(|(prefix, _)| path.starts_with(*prefix));
            let told = status.max_by_key(|(prefix, _)| prefix.len()).map(|(_, status)| *status);
            let body = String::from_utf8_lossy(&body).into_owned();
            if path.starts_with("/api/v1/") {
                match told {
                    Some(status) => {
                        state.svix.calls.push(format!("{method} {path}"));
                        Some(status)
                    }
                    None => Some(state.svix.take(&method, &path, &body)).filter(|_| !state.svix.is_silent),
                }
            } else if path.starts_with(CLERK_ORGANIZATIONS) {
                Some(match told.filter(|status| *status >= 400) {
                    Some(status) => status,
                    None => state.clerk.take(&method, &path, headers.get("authorization")),
                })
            } else {
                state.posts.push(Post { path, headers, body });
                Some(told.unwrap_or(200))
            }
        };
        let Some(status) = status else {
            // Until whoever asked is gone.
            let _ended = stream.read_line(&mut String::new()).await;
            return Ok(());
        };
        while state.lock().unwrap().held.iter().any(|held| asked.starts_with(held)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rest = if status == 204 { "\r\n" } else { "content-length: 2\r\n\r\nok" };
        stream.write_all(format!("HTTP/1.1 {status} X\r\n{rest}").as_bytes()).await?;
    }
}
