//! Who uses the product: an owner with a browser, and programs with API keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_llm::Line;
use crate::http::{self, Answer};
use crate::{eventually, in_time};

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Owner {
    base: String,
    cookie: String,
    /// The tenant it belongs to.
    pub tenant_id: String,
}

impl Owner {
    /// Signs in as a browser does: the link's token goes to the API, a cookie comes back.
    pub async fn sign_in(base: &str, link: &str) -> Self {
        let answer = redeem(base, link).await.expect(201);
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let tenant_id = answer.json()["tenant_id"].as_str().unwrap().to_owned();
        Self { base: base.to_owned(), cookie, tenant_id }
    }

    /// Its session's cookie, as a browser sends it.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// A call of the management API.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// A call of the management API with more headers.
    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![("cookie", self.cookie.as_str())];
        if body.is_some() {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        let body = body.map(Value::to_string).unwrap_or_default();
        http::send(method, &format!("{}{path}", self.base), &all, body).await
    }

    /// A GET of the management API that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.expect(200).json()
    }

    /// Sends a bill's file to a path of the management API; gives the answer.
    pub async fn send_bill(
        &self,
        path: &str,
        bill: impl Into<bytes::Bytes>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![("cookie", self.cookie.as_str()), ("content-type", "application/octet-stream")];
        all.extend(headers);
        http::send("POST", &format!("{}{path}", self.base), &all, bill).await
    }

    /// The same, until the upload has ended; gives the upload.
    pub async fn upload(&self, path: &str, bill: impl Into<bytes::Bytes>) -> Value {
        let answer = self.send_bill(path, bill, &[]).await.expect(202);
        self.upload_at(answer.header("location")).await
    }

    /// An upload, once it has ended.
    pub async fn upload_at(&self, location: &str) -> Value {
        eventually("end of the upload", async || {
            let upload = self.get(location).await;
            (!matches!(upload["state"].as_str(), Some("received" | "reading"))).then_some(upload)
        })
        .await
    }

    /// Waits until some month is settled.
    pub async fn settled(&self) {
        eventually("settled month", async || {
            let months = self.get("/api/v1/settlements").await;
            months["items"].as_array().is_some_and(|months| !months.is_empty()).then_some(())
        })
        .await;
    }

    /// The same person at a server that came up elsewhere.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A key with the defaults.
    pub async fn create_key(&self, name: &str) -> Program {
        self.create_key_with(json!({"name": name})).await
    }

    /// A key with settings of its own.
    pub async fn create_key_with(&self, key: Value) -> Program {
        let made = self.call("POST", "/api/v1/keys", Some(&key)).await.expect(201).json();
        Program {
            base: self.base.clone(),
            key_id: made["key"]["id"].as_str().unwrap().to_owned(),
            secret: made["secret"].as_str().unwrap().to_owned(),
        }
    }

    /// Connects a provider; gives the connection's id.
    pub async fn connect(&self, connection: Value) -> String {
        let made = self.call("POST", "/api/v1/connections", Some(&connection)).await.expect(201).json();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Connects OpenAI and Anthropic, both answered by this line of the fake vendor.
    pub async fn connect_both(&self, line: &Line) {
        for provider in ["openai", "anthropic"] {
            self.connect(json!({"provider": provider, "name": provider, "secret": line.secret()})).await;
        }
    }
}

/// Takes a sign-in link's token to the API.
pub async fn redeem(base: &str, link: &str) -> Answer {
    let (_, token) = link.split_once("#t=").expect("a link with a token");
    let body = json!({"token": token}).to_string();
    http::send("POST", &format!("{base}/api/v1/sessions"), &[("content-type", "application/json")], body)
        .await
}

/// Something that calls models with an API key.
#[derive(Debug, Clone)]
pub struct Program {
    base: String,
    /// The key's id.
    pub key_id: String,
    /// The key itself.
    pub secret: String,
}

/// OpenAI's route.
pub const CHAT: &str = "/v1/chat/completions";
/// Anthropic's route.
pub const MESSAGES: &str = "/v1/messages";

static CALLS: AtomicU64 = AtomicU64::new(1);

/// An id for a call that no other call of this run has.
#[must_use]
pub fn call_id() -> String {
    format!("call-{}", CALLS.fetch_add(1, Ordering::Relaxed))
}

impl Program {
    /// A program with a key that was told elsewhere.
    #[must_use]
    pub fn new(base: &str, secret: &str) -> Self {
        Self { base: base.to_owned(), key_id: String::new(), secret: secret.to_owned() }
    }

    /// The same program against a server that came up elsewhere.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Posts exactly these bytes to a route of the proxy, with the program's own id of the call.
    pub async fn post(&self, path: &str, id: &str, body: impl Into<bytes::Bytes>) -> Answer {
        self.try_post(path, id, body).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The same, where the server may be gone.
    pub async fn try_post(
        &self,
        path: &str,
        id: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, http::Failure> {
        let bearer = format!("Bearer {}", self.secret);
        let headers = [("authorization", bearer.as_str()), JSON, ("x-client-request-id", id)];
        http::try_send("POST", &format!("{}{path}", self.base), &headers, body).await
    }

    /// The same, reading only the head: whoever drops the answer hangs up.
    pub async fn open(
        &self,
        path: &str,
        id: &str,
        body: impl Into<bytes::Bytes>,
    ) -> ::http::Response<hyper::body::Incoming> {
        self.try_open(path, id, body).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The same, where the server may be gone.
    pub async fn try_open(
        &self,
        path: &str,
        id: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Result<::http::Response<hyper::body::Incoming>, http::Failure> {
        let bearer = format!("Bearer {}", self.secret);
        let headers = [("authorization", bearer.as_str()), JSON, ("x-client-request-id", id)];
        http::open("POST", &format!("{}{path}", self.base), &headers, body).await
    }

    /// A chat with one sentence.
    pub async fn chat(&self, model: &str, text: &str) -> Answer {
        let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
        self.post(CHAT, &call_id(), body.to_string()).await
    }

    /// A GET of the management API with the key.
    pub async fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.secret);
        http::send("GET", &format!("{}{path}", self.base), &[("authorization", &bearer)], "").await
    }

    /// Every row of the tenant, newest first.
    pub async fn rows(&self) -> Vec<Value> {
        let export = self.get("/api/v1/requests/export").await.expect(200).text();
        export.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The row of a call, by the program's own id of it, once it is there.
    pub async fn row(&self, id: &str) -> Value {
        eventually(&format!("row of {id}"), async || self.find_row(id).await).await
    }

    /// The same, where it is promised in so much time.
    pub async fn row_within(&self, promised: Duration, id: &str) -> Value {
        in_time(promised, &format!("row of {id}"), async || self.find_row(id).await).await
    }

    async fn find_row(&self, id: &str) -> Option<Value> {
        let page = self.get("/api/v1/requests?limit=200").await.expect(200).json();
        let rows = page["items"].as_array().unwrap();
        rows.iter().find(|row| row["caller_request_id"] == id).cloned()
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
