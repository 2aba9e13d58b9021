//! People: how they register, sign in, stay signed in, and belong to organisations. One server with a mailbox serves all
//! of these tests; each person comes from an address of its own, as limits count addresses.

pub(crate) mod browser;
mod clerk;
mod limits;
mod members;
mod replicas;
pub(crate) mod sign_in;
pub(crate) mod single_sign_on;
mod staying;
mod vouched;
mod written_down;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use costlens_egress::testing::TxtServer;
use costlens_tests::app::TestApp;
use costlens_tests::http::{self, Answer};
use costlens_tests::mailbox::Mailbox;
use costlens_tests::vouchers::Vouchers;
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server where anybody may register, and what it mails.
pub(crate) struct Open {
    pub(crate) app: TestApp,
    pub(crate) mailbox: Mailbox,
    pub(crate) vouchers: Vouchers,
    /// Where domains' records are looked for.
    pub(crate) names: TxtServer,
    /// Firms' own identity providers: one as it should be, one that misbehaves, one that turns its key, and one that
    /// two firms share.
    pub(crate) firms: Vec<Vouchers>,
}

/// What a server is told of its mail server and of whoever vouches.
fn settings(mailbox: &Mailbox, vouchers: &Vouchers) -> Vec<(&'static str, String)> {
    let mut settings = vouchers.settings();
    settings.push(("COSTLENS_SMTP_URL", mailbox.smtp_url()));
    settings.push(("COSTLENS_SIGN_UP", "open".to_owned()));
    settings.push(("COSTLENS_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()));
    settings.push(("COSTLENS_ALLOW_PRIVATE_HOSTS", vouchers.host_port()));
    settings
}

impl Open {
    /// One that `start` starts, with these settings of its own.
    fn with(own: &[(&'static str, &str)], start: impl FnOnce(&[(&str, &str)]) -> TestApp) -> Self {
        let mailbox = Mailbox::open();
        let vouchers = Vouchers::open();
        let (names, firms) = (TxtServer::open(), (0..4).map(|_| Vouchers::open()).collect::<Vec<_>>());
        let mut settings = settings(&mailbox, &vouchers);
        settings.push(("COSTLENS_NAME_SERVERS", names.address().to_string()));
        if let Some((_, hosts)) =
            settings.iter_mut().find(|(name, _)| *name == "COSTLENS_ALLOW_PRIVATE_HOSTS")
        {
            hosts.extend(firms.iter().flat_map(|firm| [",".to_owned(), firm.host_port()]));
        }
        let settings =
            settings.iter().map(|(name, value)| (*name, value.as_str())).chain(own.iter().copied());
        let app = start(&settings.collect::<Vec<_>>());
        Self { app, mailbox, vouchers, names, firms }
    }

    /// One that nobody else uses.
    pub(crate) fn own(own: &[(&'static str, &str)]) -> Self {
        Self::with(own, TestApp::own)
    }
}

static OPEN: LazyLock<Open> = LazyLock::new(|| Open::with(&[], TestApp::shared_with));

pub(crate) fn open() -> &'static Open {
    &OPEN
}

static PEOPLE: AtomicU32 = AtomicU32::new(1);

/// A person at a browser.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) base: String,
    pub(crate) email: String,
    /// Where it comes from.
    pub(crate) address: String,
    /// Its cookies, by name.
    pub(crate) cookies: BTreeMap<String, String>,
    /// Below which path each is sent.
    pub(crate) paths: BTreeMap<String, String>,
}

impl Person {
    /// Somebody whom nobody knows yet.
    pub(crate) fn new(open: &Open, name: &str) -> Self {
        let n = PEOPLE.fetch_add(1, Ordering::Relaxed);
        Self {
            base: open.app.base_url(),
            email: format!("{name}-{n}@people.example"),
            address: format!("198.51.{}.{}", n / 250, n % 250 + 1),
            cookies: BTreeMap::new(),
            paths: BTreeMap::new(),
        }
    }

    /// Registers with an organisation of its own, which it owns.
    pub(crate) async fn registered(open: &Open, name: &str) -> Self {
        let mut person = Self::new(open, name);
        person.post("/api/v1/registrations", json!({"email": person.email})).await.expect(202);
        let token = open.mailbox.letter(&person.email, 0).await.token("/register");
        let body =
            json!({"token": token, "name": name, "tenant_name": format!("{name}'s"), "password": PASSWORD});
        person.post("/api/v1/registrations/complete", body).await.expect(201);
        person
    }

    /// Invited by somebody, and a member with this role.
    pub(crate) async fn invited(open: &Open, by: &mut Self, role: &str) -> Self {
        let mut person = Self::new(open, role);
        let body = json!({"email": person.email, "role": role});
        by.post("/api/v1/invitations", body).await.expect(201);
        let token = open.mailbox.token(&person.email, "/invitation", 0).await;
        let body = json!({"token": token, "name": role, "password": PASSWORD});
        person.post("/api/v1/invitations/accept", body).await.expect(201);
        person
    }

    /// The same person at another browser, which nobody knows.
    pub(crate) fn elsewhere(&self, open: &Open) -> Self {
        Self { email: self.email.clone(), ..Self::new(open, "elsewhere") }
    }

    pub(crate) async fn sign_in(&mut self) -> Answer {
        self.sign_in_with(PASSWORD, None).await
    }

    pub(crate) async fn sign_in_with(&mut self, password: &str, code: Option<&str>) -> Answer {
        let mut body = json!({"email": self.email, "password": password});
        if let Some(code) = code {
            body["code"] = code.into();
        }
        self.post("/api/v1/sessions/password", body).await
    }

    /// One try, which may hear that too many passwords are looked at at this moment.
    pub(crate) async fn try_password(&mut self, password: &str) -> Answer {
        let body = json!({"email": self.email, "password": password});
        self.call_once("POST", "/api/v1/sessions/password", Some(body)).await
    }

    /// A call. As a person would, it comes again when too many passwords are looked at at this moment.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.call_once(method, path, body.clone()).await;
            let busy = answer.status == 503 && answer.text().contains("too many sign in at this moment");
            if !busy || begun.elapsed() > costlens_tests::PATIENCE {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    pub(crate) async fn call_once(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let is_sent = |name: &str| self.paths.get(name).is_none_or(|below| path.starts_with(below.as_str()));
        let sent = self.cookies.iter().filter(|(name, _)| is_sent(name));
        let cookies: Vec<_> = sent.map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("x-forwarded-for", self.address.as_str()), ("user-agent", "Testfox/1.0")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = http::send(method, &format!("{}{path}", self.base), &headers, body).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly"), "{cookie}");
            let trip = cookie.starts_with("costlens_trip=");
            assert!(cookie.contains(if trip { "SameSite=Lax" } else { "SameSite=Strict" }), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let below = cookie.split("; ").find_map(|part| part.strip_prefix("Path=")).unwrap();
            self.paths.insert(name.to_owned(), below.to_owned());
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, None).await.expect(200).json()
    }

    /// Its own id.
    pub(crate) async fn id(&mut self) -> String {
        self.get("/api/v1/user").await["id"].as_str().unwrap().to_owned()
    }

    /// Makes its proof of who it is an old one.
    pub(crate) async fn grow_stale(&mut self, open: &Open) {
        self.grow_older(open, "16 minutes").await;
    }

    /// Makes its sign-in older by so much, and leaves the hour of its session as it is.
    pub(crate) async fn grow_older(&mut self, open: &Open, by: &str) {
        let session = self.get("/api/v1/session").await["id"].as_str().unwrap().replace("ses_", "");
        open.app.sql(&format!(
            "UPDATE session SET proven_at = proven_at - interval '{by}', \
             refresh_expires_at = refresh_expires_at - interval '{by}' WHERE id = '{session}'"
        ));
    }

    /// Lets the hour of its session pass.
    pub(crate) async fn outlive_session(&mut self, open: &Open) {
        let session = self.get("/api/v1/session").await["id"].as_str().unwrap().replace("ses_", "");
        open.app.sql(&format!("UPDATE session SET expires_at = created_at WHERE id = '{session}'"));
    }
}
