//! Clerk, played on one real socket with real RSA keys: its JWKS, its Backend API with pages, what a browser asks its
//! Frontend API for, the tokens that it signs and the webhooks that it sends.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use costlens_identity::testing::{Signer, webhook_signature};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{self, Answer};

/// The key to its Backend API.
pub const SECRET_KEY: &str = "sk_test_of_the_tests";
/// The instance.
pub const INSTANCE: &str = "ins_of_the_tests";
/// The origin that its tokens are made for.
pub const PARTY: &str = "http://localhost:5173";
/// What its webhooks are signed with; the second is the one of before.
pub const WEBHOOK_SECRETS: [[u8; 32]; 2] = [[7; 32], [9; 32]];

#[derive(Default)]
struct State {
    signers: Vec<Arc<Signer>>,
    users: BTreeMap<String, Value>,
    organizations: BTreeMap<String, Value>,
    memberships: BTreeMap<String, Value>,
    sessions: BTreeMap<String, Value>,
    asked: HashMap<String, usize>,
    is_down: bool,
}

/// It.
pub struct Clerk {
    port: u16,
    state: Arc<Mutex<State>>,
    made: AtomicU64,
}

impl std::fmt::Debug for Clerk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clerk").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Somebody who signed in there.
#[derive(Clone, Debug)]
pub struct ClerkPerson {
    /// Its id.
    pub id: String,
    /// Its session.
    pub session: String,
    /// The organisation that it looks at, and its membership and role there.
    pub organization: Option<(String, String, String)>,
}

/// Milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "what it signs is held against the server's own clock")]
pub fn milliseconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

impl Clerk {
    /// Opens it on a free port.
    #[must_use]
    pub fn open() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        state.lock().unwrap().signers.push(Arc::new(Signer::new("key-1")));
        let shared = Arc::clone(&state);
        crate::spawn(async move {
            let socket = TcpListener::from_std(socket).unwrap();
            while let Ok((stream, _)) = socket.accept().await {
                let state = Arc::clone(&shared);
                crate::spawn(async move { drop(serve(stream, port, &state).await) });
            }
        });
        Self { port, state, made: AtomicU64::new(1) }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn host_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Who signs.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.host_port())
    }

    /// As settings of a server.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let secrets = WEBHOOK_SECRETS.map(|secret| format!("whsec_{}", STANDARD.encode(secret)));
        vec![
            ("CLERK_ISSUER", self.issuer()),
            ("CLERK_API_URL", self.issuer()),
            ("CLERK_SECRET_KEY", SECRET_KEY.to_owned()),
            ("CLERK_WEBHOOK_SECRETS", secrets.join(",")),
            ("CLERK_AUTHORIZED_PARTIES", format!("https://costlens.example,{PARTY}")),
            ("CLERK_SIGN_IN_URL", format!("{}/sign-in", self.issuer())),
            ("CLERK_INSTANCE_ID", INSTANCE.to_owned()),
        ]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}T{}", self.made.fetch_add(1, Ordering::Relaxed), self.port)
    }

    /// A new organisation there.
    pub fn organization(&self, name: &str) -> String {
        let id = self.id("org");
        let organization = json!({"id": id, "name": name, "updated_at": milliseconds()});
        self.state().organizations.insert(id.clone(), organization);
        id
    }

    /// Somebody new there, signed in and alone.
    pub fn person(&self, name: &str) -> ClerkPerson {
        let (id, session) = (self.id("user"), self.id("sess"));
        let user = json!({
            "id": id, "updated_at": milliseconds(), "banned": false, "locked": false,
            "first_name": name, "last_name": null, "username": null, "primary_email_address_id": "idn_1",
            "email_addresses": [
                {"id": "idn_0", "email_address": "other@clerk.example", "verification": null},
                {"id": "idn_1", "email_address": format!("{id}@clerk.example"), "verification": {"status": "verified"}},
            ],
        });
        self.state().users.insert(id.clone(), user);
        let person = ClerkPerson { id, session, organization: None };
        self.sign_in(&person.session, &person.id);
        person
    }

    /// Somebody new there, signed in and a member.
    pub fn member(&self, name: &str, organization: &str, role: &str) -> ClerkPerson {
        let mut person = self.person(name);
        self.join(&mut person, organization, role);
        person
    }

    /// Makes somebody a member, and looks at that organisation.
    pub fn join(&self, person: &mut ClerkPerson, organization: &str, role: &str) {
        let id = self.id("orgmem");
        let membership = self.membership_object(&id, organization, &person.id, role);
        self.state().memberships.insert(id.clone(), membership);
        person.organization = Some((organization.to_owned(), id, role.to_owned()));
    }

    fn membership_object(&self, id: &str, organization: &str, person: &str, role: &str) -> Value {
        let organization = self.state().organizations[organization].clone();
        json!({
            "id": id, "role": format!("org:{role}"), "updated_at": milliseconds(), "organization": organization,
            "public_user_data": {"user_id": person, "identifier": "somebody@clerk.example"},
        })
    }

    fn sign_in(&self, session: &str, person: &str) {
        let object = json!({"id": session, "user_id": person, "status": "active"});
        self.state().sessions.insert(session.to_owned(), object);
    }

    /// The same person, signed in anew.
    #[must_use]
    pub fn again(&self, person: &ClerkPerson) -> ClerkPerson {
        let session = self.id("sess");
        self.sign_in(&session, &person.id);
        ClerkPerson { session, ..person.clone() }
    }

    /// Removes somebody from its organisation there; nobody is told.
    pub fn remove(&self, person: &ClerkPerson) {
        let (_, membership, _) = person.organization.as_ref().unwrap();
        self.state().memberships.remove(membership);
    }

    /// Deletes somebody there; nobody is told.
    pub fn delete(&self, person: &ClerkPerson) {
        let mut state = self.state();
        state.users.remove(&person.id);
        state.memberships.retain(|_, of| of["public_user_data"]["user_id"] != person.id);
        state.sessions.retain(|_, of| of["user_id"] != person.id);
    }

    /// Deletes an organisation there; nobody is told.
    pub fn delete_organization(&self, organization: &str) {
        let mut state = self.state();
        state.organizations.remove(organization);
        state.memberships.retain(|_, of| of["organization"]["id"] != organization);
    }

    /// Bans somebody there, or no longer; nobody is told.
    pub fn ban(&self, person: &ClerkPerson, is_banned: bool) {
        let mut state = self.state();
        let user = state.users.get_mut(&person.id).unwrap();
        user["banned"] = json!(is_banned);
        user["updated_at"] = json!(milliseconds());
    }

    /// Ends a session there; nobody is told.
    pub fn end(&self, person: &ClerkPerson) {
        self.state().sessions.get_mut(&person.session).unwrap()["status"] = json!("ended");
    }

    /// A user, organisation, membership or session, as its webhooks show it.
    #[must_use]
    pub fn object(&self, id: &str) -> Value {
        let state = self.state();
        let all = [&state.users, &state.organizations, &state.memberships, &state.sessions];
        all.into_iter().find_map(|of| of.get(id)).unwrap_or_else(|| panic!("no {id}")).clone()
    }

    /// Signs with another key from now on, and publishes it alone.
    pub fn rotate(&self, name: &str) {
        self.state().signers = vec![Arc::new(Signer::new(name))];
    }

    /// Who signs now.
    #[must_use]
    pub fn signer(&self) -> Arc<Signer> {
        Arc::clone(self.state().signers.last().unwrap())
    }

    /// Answers nothing but errors from now on, or answers again.
    pub fn be_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// How often a path was asked for, without its query.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.state().asked.get(path).copied().unwrap_or_default()
    }

    /// What a token for this person says now: it proved both factors a minute ago.
    #[must_use]
    pub fn claims(&self, person: &ClerkPerson) -> Value {
        claims(&self.issuer(), PARTY, person)
    }

    /// A token for this person.
    #[must_use]
    pub fn token(&self, person: &ClerkPerson) -> String {
        self.signer().sign(&self.claims(person))
    }

    /// A token for this person that says something else, too.
    #[must_use]
    pub fn token_with(&self, person: &ClerkPerson, more: &Value) -> String {
        let mut claims = self.claims(person);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.signer().sign(&claims)
    }

    /// A webhook's message: its id and body.
    #[must_use]
    pub fn message(&self, kind: &str, data: &Value) -> (String, String) {
        let body = json!({
            "object": "event", "type": kind, "instance_id": INSTANCE, "timestamp": milliseconds(), "data": data,
        });
        (self.id("msg"), body.to_string())
    }

    /// Sends a message to a server as it was made.
    pub async fn deliver(&self, base: &str, (id, body): &(String, String)) -> Answer {
        let now = milliseconds() / 1_000;
        let signature = webhook_signature(&WEBHOOK_SECRETS[0], id, now, body.as_bytes());
        send(base, "svix", (id, &now.to_string(), &signature), body).await
    }

    /// Makes a message and sends it, which must be taken.
    pub async fn tell(&self, base: &str, kind: &str, data: &Value) -> (String, String) {
        let message = self.message(kind, data);
        let answer = self.deliver(base, &message).await;
        assert_eq!(answer.status, 204, "{kind}: {}", answer.text());
        message
    }
}

fn claims(issuer: &str, party: &str, person: &ClerkPerson) -> Value {
    static TOKENS: AtomicU64 = AtomicU64::new(1);
    let now = milliseconds() / 1_000;
    let id = format!("jti_{}", TOKENS.fetch_add(1, Ordering::Relaxed));
    let mut claims = json!({
        "iss": issuer, "azp": party, "sub": person.id, "sid": person.session, "v": 2, "jti": id,
        "iat": now, "nbf": now - 5, "exp": now + 60, "fva": [1, 1], "sts": "active", "pla": "u:free",
    });
    if let Some((organization, _, role)) = &person.organization {
        claims["o"] = json!({"id": organization, "rol": role, "slg": "slug", "per": "read", "fpm": "3"});
    }
    claims
}

/// Sends a message under these headers.
pub async fn send(base: &str, family: &str, signed: (&str, &str, &str), body: &str) -> Answer {
    let names = ["id", "timestamp", "signature"].map(|part| format!("{family}-{part}"));
    let headers = [
        (names[0].as_str(), signed.0),
        (names[1].as_str(), signed.1),
        (names[2].as_str(), signed.2),
        ("content-type", "application/json"),
    ];
    http::send("POST", &format!("{base}/webhooks/clerk"), &headers, body.to_owned()).await
}

/// What a browser sends along.
#[derive(Default)]
struct Browser {
    origin: String,
    cookie: String,
}

async fn serve(stream: TcpStream, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default().to_owned();
        let (mut length, mut bearer, mut browser) = (0, String::new(), Browser::default());
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => value.trim().trim_start_matches("Bearer ").clone_into(&mut bearer),
                "origin" => value.trim().clone_into(&mut browser.origin),
                "cookie" => value.trim().clone_into(&mut browser.cookie),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let (status, headers, answer) = {
            let mut state = state.lock().unwrap();
            let of_a_browser = frontend(&state, port, (&method, &target), &browser);
            of_a_browser.unwrap_or_else(|| {
                let (status, answer) = answer(&mut state, &method, &target, &bearer);
                (status, String::new(), answer)
            })
        };
        let (kind, answer) = match answer {
            Value::String(page) => ("text/html", page),
            json => ("application/json", json.to_string()),
        };
        let origin = &browser.origin;
        let cors = if origin.is_empty() {
            String::new()
        } else {
            format!("access-control-allow-origin: {origin}\r\naccess-control-allow-credentials: true\r\n")
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}{cors}content-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What it shows and tells a browser: who it may be, whom it is, and a token for the page that asks. `None` where that
/// is no page and no question of a browser's.
fn frontend(
    state: &State,
    port: u16,
    (method, target): (&str, &str),
    browser: &Browser,
) -> Option<(u16, String, Value)> {
    let url = url::Url::parse(&format!("http://127.0.0.1:{port}{target}")).ok()?;
    let asked =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let signed_in = browser.cookie.split("; ").find_map(|cookie| cookie.strip_prefix("__client="));
    let parts: Vec<&str> = url.path().trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["sign-in"]) => {
            let back = asked("redirect_url")?;
            if let Some(session) = asked("as") {
                let headers = format!(
                    "location: {back}\r\nset-cookie: __client={session}; Path=/; HttpOnly; SameSite=Lax\r\n"
                );
                return Some((302, headers, Value::String(String::new())));
            }
            let people = state.sessions.iter().map(|(session, of)| {
                let mut link = url.clone();
                link.query_pairs_mut().append_pair("as", session);
                let name = state.users[of["user_id"].as_str().unwrap()]["first_name"].as_str().unwrap();
                format!("<p><a href=\"{}\">{name}</a></p>", link.as_str().replace('&', "&amp;"))
            });
            let page = format!(
                "<!doctype html><title>Clerk</title><h1>Who are you?</h1>{}",
                people.collect::<String>()
            );
            Some((200, String::new(), Value::String(page)))
        }
        ("GET", ["v1", "client"]) => {
            let client = json!({"response": {"object": "client", "last_active_session_id": signed_in}});
            Some((200, String::new(), client))
        }
        ("POST", ["v1", "client", "sessions", session, "tokens"]) if signed_in == Some(*session) => {
            let user = state.sessions.get(*session)?["user_id"].as_str()?;
            let of = state.memberships.values().find(|of| of["public_user_data"]["user_id"] == user);
            let organization = of.map(|of| {
                let text = |pointer: &str| of.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
                (text("/organization/id"), text("/id"), text("/role").replace("org:", ""))
            });
            let person = ClerkPerson { id: user.to_owned(), session: (*session).to_owned(), organization };
            let issuer = format!("http://127.0.0.1:{port}");
            let token = state.signers.last()?.sign(&claims(&issuer, &browser.origin, &person));
            Some((200, String::new(), json!({ "jwt": token })))
        }
        _ => None,
    }
}

fn answer(state: &mut State, method: &str, target: &str, bearer: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    *state.asked.entry(path.to_owned()).or_default() += 1;
    if state.is_down {
        return (500, json!({"errors": []}));
    }
    if path == "/.well-known/jwks.json" {
        let keys: Vec<Value> = state.signers.iter().map(|signer| signer.jwk()).collect();
        return (200, json!({ "keys": keys }));
    }
    if bearer != SECRET_KEY || !matches!(method, "GET" | "DELETE") {
        return (401, json!({"errors": []}));
    }
    if method == "DELETE" {
        let id = path.strip_prefix("/v1/organizations/").unwrap_or_default();
        if state.organizations.remove(id).is_none() {
            return (404, json!({"errors": []}));
        }
        state.memberships.retain(|_, of| of["organization"]["id"] != id);
        return (200, json!({"object": "organization", "id": id, "deleted": true}));
    }
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let number = |name: &str, default: usize| {
        query.iter().find(|(key, _)| key == name).map_or(default, |(_, value)| value.parse().unwrap())
    };
    let page = |all: Vec<Value>| -> Vec<Value> {
        all.into_iter().skip(number("offset", 0)).take(number("limit", 10)).collect()
    };
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    let found = |one: Option<&Value>| one.map_or((404, json!({"errors": []})), |one| (200, one.clone()));
    let listed = |all: Vec<Value>| {
        let total = all.len();
        (200, json!({"data": page(all), "total_count": total}))
    };
    let of = |pointer: &str, id: &str| -> Vec<Value> {
        let is_of = |one: &&Value| one.pointer(pointer).is_some_and(|value| value == id);
        state.memberships.values().filter(is_of).cloned().collect()
    };
    match parts.as_slice() {
        ["sessions", id] => found(state.sessions.get(*id)),
        ["users"] => {
            let wanted: Vec<&str> =
                query.iter().filter(|(key, _)| key == "user_id").map(|(_, id)| id.as_str()).collect();
            let users = state.users.iter().filter(|(id, _)| wanted.contains(&id.as_str()));
            (200, Value::Array(page(users.map(|(_, user)| user.clone()).collect())))
        }
        ["users", id] => found(state.users.get(*id)),
        ["users", id, "organization_memberships"] if state.users.contains_key(*id) => {
            listed(of("/public_user_data/user_id", id))
        }
        ["organizations", id] => found(state.organizations.get(*id)),
        ["organizations", id, "memberships"] if state.organizations.contains_key(*id) => {
            listed(of("/organization/id", id))
        }
        _ => (404, json!({"errors": []})),
    }
}
