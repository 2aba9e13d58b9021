//! Where Clerk keeps people: its tokens, what is asked of it, its webhooks, and what the hour is for. One server serves
//! these tests; Clerk is played on a real socket.

mod hour;
mod messages;
mod tokens;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use costlens_tests::app::{TestApp, nobody_listens};
use costlens_tests::clerk::{Clerk, ClerkPerson};
use costlens_tests::http::{self, Answer};
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

use super::{PASSWORD, Person, browser};

/// A server whose people Clerk keeps.
struct Kept {
    app: TestApp,
    clerk: Clerk,
}

fn started(more: &[(&'static str, String)]) -> (Clerk, Vec<(&'static str, String)>) {
    let clerk = Clerk::open();
    let mut settings = clerk.settings();
    settings.push(("COSTLENS_ALLOW_PRIVATE_HOSTS", clerk.host_port()));
    settings.push(("COSTLENS_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()));
    settings.extend(more.iter().cloned());
    (clerk, settings)
}

fn pairs<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

static KEPT: LazyLock<Kept> = LazyLock::new(|| {
    let (clerk, settings) = started(&[]);
    Kept { app: TestApp::shared_with(&pairs(&settings)), clerk }
});

/// What changes Clerk for everybody (its keys, whether it answers) is alone.
static ALONE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

static BROWSERS: AtomicU32 = AtomicU32::new(1);

impl Kept {
    /// One of its own, to be changed.
    fn own(more: &[(&'static str, String)]) -> Self {
        let (clerk, settings) = started(more);
        Self { app: TestApp::own(&pairs(&settings)), clerk }
    }

    /// A browser that nobody knows.
    fn browser(&self) -> Person {
        let n = BROWSERS.fetch_add(1, Ordering::Relaxed);
        Person {
            base: self.app.base_url(),
            email: String::new(),
            address: format!("203.0.{}.{}", n / 250, n % 250 + 1),
            cookies: BTreeMap::new(),
            paths: BTreeMap::new(),
        }
    }

    async fn trade(&self, browser: &mut Person, token: &str) -> Answer {
        browser.post("/api/v1/sessions/clerk", json!({"token": token})).await
    }

    /// A browser in which this person is signed in.
    async fn signed_in(&self, person: &ClerkPerson) -> Person {
        let mut browser = self.browser();
        self.trade(&mut browser, &self.clerk.token(person)).await.expect(201);
        browser
    }

    /// A program that calls by a token.
    async fn call(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let from = self.browser().address;
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-forwarded-for", from.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        http::send(method, &format!("{}{path}", self.app.base_url()), &headers, body).await
    }

    async fn look(&self, token: &str) -> Answer {
        self.call(token, "GET", "/api/v1/session", None).await
    }

    async fn tell(&self, kind: &str, data: &Value) -> (String, String) {
        self.clerk.tell(&self.app.base_url(), kind, data).await
    }

    /// Waits until a message was acted upon.
    async fn heeded(&self, (id, _): &(String, String)) {
        eventually("end of the message's job", async || {
            let sql = format!("SELECT state FROM inbox_event WHERE message_id = '{id}'");
            (self.app.query(&sql).trim() == "done").then_some(())
        })
        .await;
    }

    async fn tell_and_wait(&self, kind: &str, data: &Value) -> (String, String) {
        let message = self.tell(kind, data).await;
        self.heeded(&message).await;
        message
    }

    /// How often the audit of an organisation's tenant knows this act.
    fn acts(&self, organization: &str, action: &str) -> usize {
        let sql = format!(
            "SELECT count(*) FROM audit_event a JOIN outer_organization o USING (tenant_id) \
             WHERE o.organization = '{organization}' AND a.action = '{action}'"
        );
        self.app.query(&sql).trim().parse().unwrap()
    }
}

fn kept() -> &'static Kept {
    &KEPT
}

#[test]
fn clerk_s_people_come_in_a_real_browser() {
    run(async {
        // Clerk makes a token for the page that asks, and what pages those may be is said beforehand.
        let free = nobody_listens();
        let kept = Kept::own(&[
            ("COSTLENS_LISTEN", free.clone()),
            ("CLERK_AUTHORIZED_PARTIES", format!("http://{free}")),
        ]);
        let organization = kept.clerk.organization("Walkers");
        kept.clerk.member("Gwen", &organization, "member");
        kept.clerk.person("Nobody else");
        browser::walk("clerk.mjs", &[&kept.app.base_url(), &kept.clerk.issuer(), "Gwen", "Walkers"]).await;
    });
}
