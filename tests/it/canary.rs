//! Secrets are planted wherever something is sealed, and then looked for in everything that outlives the moment: a
//! backup, the database's very files and its log of writes, the spool, our own log at its most talkative, Redis' dump.
//! Neither they nor a key may stand there, in any common spelling.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use costlens_aws::testing::{ACCESS_KEY, FakeKms, KEY_ARN};
use costlens_cache::testing::PrivateRedis;
use costlens_tests::actors::{CHAT, Owner, Program, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::http;
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::vouchers::{CLIENT, Vouchers};
use costlens_tests::{eventually, run};
use serde_json::json;

use super::people::sign_in::authenticator;
use super::people::single_sign_on;
use super::people::{Open, PASSWORD, Person};

const MASTER_KEY: &str = "8f1d0c6b7a5e4932f0e1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5e4f3a2b";
/// Stands in clear in the ledger: if it is not found, nothing was looked at.
const IN_CLEAR: &str = "in-clear-7f3a9c51d2";

/// The ways in which bytes might have been written down.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    let mut all = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    // Base64 of a longer text that holds the secret somewhere: one of three, without the ends that neighbours change.
    for offset in 0..3 {
        let text = [&vec![0; offset][..], secret].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&text).into_bytes();
            let inside = text.get(4..text.len() - 3).unwrap_or_default().to_vec();
            assert!(inside.len() >= 12, "too short to be looked for");
            all.push(inside);
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Whether these bytes hold a secret, in any of the ways in which bytes might have been written down.
pub(crate) fn tells_of(bytes: &[u8], secret: &[u8]) -> bool {
    spellings(secret).iter().any(|spelling| memchr::memmem::find(bytes, spelling).is_some())
}

/// Every file below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        // Some come and go.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

/// All that outlives the moment, by name.
struct Remains(Vec<(String, Vec<u8>)>);

impl Remains {
    fn of(app: &TestApp, redis: Option<&PrivateRedis>) -> Self {
        app.sql("CHECKPOINT");
        let mut all = vec![("a backup".to_owned(), app.dump()), ("the log".to_owned(), app.log())];
        let mut folders = vec![app.data_dir()];
        if let Some(redis) = redis {
            assert_eq!(redis.ask(&["SAVE"]), "OK");
            folders.push(redis.dir().to_owned());
        }
        for file in folders.iter().flat_map(|folder| files(folder)) {
            // Some come and go.
            if let Ok(bytes) = std::fs::read(&file) {
                all.push((file.display().to_string(), bytes));
            }
        }
        let remains = Self(all);
        let seen = remains.holding(IN_CLEAR.as_bytes());
        for place in ["a backup", "/base/", "/pg_wal/"] {
            assert!(seen.iter().any(|name| name.contains(place)), "{place} was not looked into: {seen:?}");
        }
        assert!(remains.0.iter().any(|(name, bytes)| name.contains("spool") && !bytes.is_empty()));
        remains
    }

    fn holding(&self, word: &[u8]) -> Vec<&str> {
        let finder = memchr::memmem::Finder::new(word);
        let holding = self.0.iter().filter(|(_, bytes)| finder.find(bytes).is_some());
        holding.map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    fn tell_nothing_of(&self, what: &str, secret: &[u8]) {
        for spelling in spellings(secret) {
            let holding = self.holding(&spelling);
            assert!(holding.is_empty(), "{what} stands in {holding:?}");
        }
    }
}

/// Plants a secret in every sealed column by the API; what was planted, and what the API made itself.
async fn plant(app: &TestApp, owner: &Owner, idp: &Vouchers) -> Vec<(&'static str, String)> {
    let make = async |path: &str, body| {
        owner.call("POST", &format!("/api/v1/{path}"), Some(&body)).await.expect(201).json()
    };
    let credential = "sk-canary-5b0e6d1f93c84a27";
    owner.connect(json!({"provider": "openai", "name": IN_CLEAR, "secret": credential})).await;
    let (slack, hook) = ("slackCanary9d41f7ab30c65e82", "hookCanary62c8e15d70b3f94a");
    let url = format!("http://{}/services/T0/B0/{slack}", app.nothing_there);
    let channel = make("slack-channels", json!({"name": "canary", "url": url})).await;
    let url = format!("http://{}/{hook}", app.nothing_there);
    let endpoint = make("webhook-endpoints", json!({"name": "canary", "url": url})).await;
    let made = endpoint["secret"].as_str().unwrap().to_owned();
    // The vendor is asked for its reports at once, and nobody answers.
    let admin_key = "sk-admin-canary-4f8a02c7e15bd936";
    make("invoice-sources", json!({"vendor": "openai", "name": "canary", "admin_key": admin_key})).await;
    let client_secret = "client-canary-d3096be1f7a8425c";
    send_somebody_to_a_provider(app, owner, (idp, client_secret)).await;
    // And used: the call fails at the vendor, the tests at nobody.
    let program = owner.create_key("canary").await;
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]});
    let id = call_id();
    program.post(CHAT, &id, body.to_string()).await;
    program.row(&id).await;
    let id = |made: &serde_json::Value| made["id"].as_str().unwrap_or_default().to_owned();
    owner.call("POST", &format!("/api/v1/slack-channels/{}/test", id(&channel)), None).await;
    owner.call("POST", &format!("/api/v1/webhook-endpoints/{}/test", id(&endpoint["endpoint"])), None).await;
    let [prompt, answer] = ["prompt-canary-8c41e07db5f29a36", "answer-canary-27fd9b6034ce81a5"];
    keep_a_call(app, owner, &program, [prompt, answer]).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    every_sealed_column_holds_something(app);
    vec![
        ("a vendor's credential", credential.to_owned()),
        ("a Slack URL", slack.to_owned()),
        ("a webhook's URL", hook.to_owned()),
        ("a webhook's secret", made.trim_start_matches("whsec_").to_owned()),
        ("a vendor's admin key", admin_key.to_owned()),
        ("a provider's client secret", client_secret.to_owned()),
        ("a prompt", prompt.to_owned()),
        ("an answer", answer.to_owned()),
        ("an API key", program.secret),
    ]
}

/// Sets an identity provider up and sends somebody there: the provider is told the client's secret, and refuses it.
async fn send_somebody_to_a_provider(app: &TestApp, owner: &Owner, (idp, secret): (&Vouchers, &str)) {
    let provider = json!({"issuer": idp.issuer(), "client_id": CLIENT, "client_secret": secret});
    owner.call("PUT", "/api/v1/single-sign-on", Some(&provider)).await.expect(200);
    let domain = json!({"domain": "canary-firm.example"});
    owner.call("POST", "/api/v1/single-sign-on/domains", Some(&domain)).await.expect(201);
    // As if a record in the DNS had proven it.
    app.sql(
        "UPDATE sso_domain SET checked_at = now(), seen_at = now(), proven_at = now() \
         WHERE domain = 'canary-firm.example'",
    );
    let mut somebody = Person {
        base: app.base_url(),
        email: "somebody@canary-firm.example".to_owned(),
        address: "127.0.0.1".to_owned(),
        cookies: std::collections::BTreeMap::new(),
        paths: std::collections::BTreeMap::new(),
    };
    let page = single_sign_on::trip(&mut somebody, "somebody").await;
    assert_eq!(page, "/sign-in?problem=refused");
}

/// Has a call's prompt and answer kept, and reads them.
async fn keep_a_call(app: &TestApp, owner: &Owner, program: &Program, [prompt, answer]: [&str; 2]) {
    let said = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    });
    let said = Reply::refusal(200, &said.to_string());
    let line = app.llm.line(move |_| said.clone());
    owner.connect(json!({"provider": "openai", "name": "kept", "secret": line.secret()})).await;
    let keep = json!({"capture_bodies": true});
    owner.call("PATCH", "/api/v1/privacy", Some(&keep)).await.expect(200);
    let asked = json!({"model": "kept/gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]});
    // The proxy hears a moment later of the connection, and of what may be kept.
    let call = eventually("call that is kept", async || {
        let id = call_id();
        let answer = program.post(CHAT, &id, asked.to_string()).await;
        let kept = answer.status == 200 && program.row(&id).await["body"] == "sealed";
        kept.then(|| answer.header("costlens-request-id").to_owned())
    })
    .await;
    let body = owner.get(&format!("/api/v1/requests/{call}/body")).await;
    assert!(body["request"].as_str().unwrap().contains(prompt), "{body}");
    assert!(body["response"].as_str().unwrap().contains(answer), "{body}");
}

/// Whoever seals something new plants it, too.
fn every_sealed_column_holds_something(app: &TestApp) {
    let columns = app.query(
        "SELECT c.relname || ' ' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
           AND a.attname LIKE 'sealed%' AND a.atttypid = 'bytea'::regtype",
    );
    assert!(columns.lines().count() >= 8, "{columns}");
    for column in columns.lines() {
        let (table, name) = column.split_once(' ').unwrap();
        let texts = app.query(&format!("SELECT count(*) FROM {table} WHERE {name} IS NOT NULL"));
        assert_ne!(texts.trim(), "0", "nothing was planted in {name} of {table}");
    }
}

#[test]
fn no_secret_and_no_key_stands_in_what_outlives_the_moment() {
    run(async {
        let (redis, idp) = (PrivateRedis::start(), Vouchers::open());
        let app = TestApp::own(&[
            ("COSTLENS_LOG", "debug"),
            ("REDIS_URL", &redis.url_text()),
            ("COSTLENS_MASTER_KEYS", &format!("v1:{MASTER_KEY}")),
            ("COSTLENS_ALLOW_PRIVATE_HOSTS", &idp.host_port()),
        ]);
        let owner = app.owner("Canary").await;
        let planted = plant(&app, &owner, &idp).await;
        let remains = Remains::of(&app, Some(&redis));
        for (what, secret) in &planted {
            remains.tell_nothing_of(what, secret.as_bytes());
        }
        remains.tell_nothing_of("the master key", &hex::decode(MASTER_KEY).unwrap());
    });
}

#[test]
fn what_a_person_signs_in_with_stands_nowhere() {
    run(async {
        let redis = PrivateRedis::start();
        let open = Open::own(&[("COSTLENS_LOG", "debug"), ("REDIS_URL", &redis.url_text())]);
        let mut ann = Person::new(&open, IN_CLEAR);
        ann.post("/api/v1/registrations", json!({"email": ann.email})).await.expect(202);
        let link = open.mailbox.letter(&ann.email, 0).await.token("/register");
        let body = json!({"token": link, "name": "Ann", "tenant_name": "Ann", "password": PASSWORD});
        ann.post("/api/v1/registrations/complete", body).await.expect(201);
        let setup = ann.call("POST", "/api/v1/user/second-factor", None).await.expect(200).json();
        let factor = setup["secret"].as_str().unwrap().to_owned();
        let code = json!({"code": authenticator(&factor, 0)});
        let codes = ann.post("/api/v1/user/second-factor/confirm", code).await.expect(200).json();
        let key = ann.post("/api/v1/keys", json!({"name": "canary"})).await.expect(201).json();
        // A key of the person's writes a call into the spool, and the forgotten password a second link.
        let program = format!("Bearer {}", key["secret"].as_str().unwrap());
        let headers = [("authorization", program.as_str()), ("content-type", "application/json")];
        let body =
            json!({"model": "demo/echo", "messages": [{"role": "user", "content": "hello"}]}).to_string();
        http::send("POST", &format!("{}{CHAT}", ann.base), &headers, body).await.expect(200);
        ann.post("/api/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let reset = open.mailbox.token(&ann.email, "/new-password", 0).await;

        let remains = Remains::of(&open.app, Some(&redis));
        remains.tell_nothing_of("the password", PASSWORD.as_bytes());
        remains.tell_nothing_of("the second factor", factor.as_bytes());
        remains.tell_nothing_of("the second factor's bytes", &base32(&factor));
        remains.tell_nothing_of("the link of the registration", link.as_bytes());
        remains.tell_nothing_of("the link to a new password", reset.as_bytes());
        for code in codes["codes"].as_array().unwrap() {
            remains.tell_nothing_of("a recovery code", code.as_str().unwrap().as_bytes());
        }
        assert!(!ann.cookies.is_empty());
        for (name, value) in &ann.cookies {
            remains.tell_nothing_of(name, value.as_bytes());
        }
    });
}

/// The bytes that a text of RFC 4648's base 32 stands for.
fn base32(text: &str) -> Vec<u8> {
    let fives = text.bytes().map(|byte| if byte.is_ascii_digit() { byte - b'2' + 26 } else { byte - b'A' });
    let bits: Vec<u8> = fives.flat_map(|five| (0..5).rev().map(move |bit| five >> bit & 1)).collect();
    bits.chunks_exact(8).map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

#[test]
fn with_kms_no_key_stands_anywhere_and_calls_go_on_while_it_is_away_and_secrets_wait() {
    run(async {
        let (kms, idp) = (FakeKms::start(), Vouchers::open());
        let app = TestApp::own(&[
            ("COSTLENS_LOG", "debug"),
            ("COSTLENS_ALLOW_PRIVATE_HOSTS", &idp.host_port()),
            ("COSTLENS_MASTER_KEYS", &format!("v1:{KEY_ARN}")),
            ("COSTLENS_KMS_URL", &kms.url()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", "aws-canary-3e9b7f26d1a05c48"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let owner = app.owner("Canary").await;
        let planted = plant(&app, &owner, &idp).await;
        let line = app.llm.line_of(Tokens::plain(11, 7));
        owner.connect(json!({"provider": "anthropic", "name": "carried", "secret": line.secret()})).await;
        let program = owner.create_key("carried").await;
        let ask = async || {
            let body = json!({"model": "carried/claude-sonnet-4-5", "max_tokens": 9,
                "messages": [{"role": "user", "content": "hello"}]});
            program.post("/v1/messages", &call_id(), body.to_string()).await.status
        };
        assert_eq!(ask().await, 200);
        assert!(kms.calls().iter().any(|(operation, context)| {
            operation == "GenerateDataKey" && context.get("tenant") == Some(&owner.tenant_id)
        }));

        let keys = kms.keys();
        assert!(keys.len() >= 2, "the tenant's data key and the one for tags");
        let remains = Remains::of(&app, None);
        for key in &keys {
            remains.tell_nothing_of("a key", key);
        }
        for (what, secret) in &planted {
            remains.tell_nothing_of(what, secret.as_bytes());
        }
        remains.tell_nothing_of("the credential of AWS", b"aws-canary-3e9b7f26d1a05c48");

        // Away: whoever's key is in memory goes on, a tenant without one is told so by name, and nothing is made.
        kms.disable(KEY_ARN, true);
        let stranger = app.owner("Stranger").await;
        let body = json!({"provider": "openai", "name": "waits", "secret": "sk-waits"});
        let refused = stranger.call("POST", "/api/v1/connections", Some(&body)).await;
        let problem = refused.expect_problem(503, "keys_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("refuses"), "{problem}");
        assert_eq!(stranger.get("/api/v1/connections").await["items"], json!([]));
        assert_eq!(ask().await, 200);
        let ready = app.get("/readyz").await;
        assert_eq!((ready.status, &ready.json()["key_service"]), (200, &json!("refused")));
        kms.disable(KEY_ARN, false);
        // It is asked again after a pause, which grew while it refused.
        eventually("connection that waited for the key service", async || {
            (stranger.call("POST", "/api/v1/connections", Some(&body)).await.status == 201).then_some(())
        })
        .await;
    });
}

#[test]
fn after_a_restart_a_credential_waits_for_kms_by_name_and_opens_when_it_answers() {
    run(async {
        let kms = FakeKms::start();
        let mut app = TestApp::own(&[
            ("COSTLENS_MASTER_KEYS", &format!("v1:{KEY_ARN}")),
            ("COSTLENS_KMS_URL", &kms.url()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let owner = app.owner("Restart").await;
        let line = app.llm.line_of(Tokens::plain(11, 7));
        owner.connect(json!({"provider": "anthropic", "name": "carried", "secret": line.secret()})).await;
        let program = owner.create_key("carried").await;
        app.stop();
        app.start();
        let program = program.at(&app.base_url());
        let body = json!({"model": "carried/claude-sonnet-4-5", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello"}]});
        // Locked: the key has to be fetched, and is refused.
        kms.disable(KEY_ARN, true);
        let answer = program.post("/v1/messages", &call_id(), body.to_string()).await;
        let problem = answer.expect_problem(503, "keys_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("carried"), "{problem}");
        assert_eq!(program.chat("demo/echo", "needs no key").await.status, 200);
        kms.disable(KEY_ARN, false);
        eventually("answer", async || {
            let answer = program.post("/v1/messages", &call_id(), body.to_string()).await;
            (answer.status == 200).then_some(())
        })
        .await;
    });
}
