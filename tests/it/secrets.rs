//! What was secret or private when it came in is nowhere in the clear: not in the database's files or its log of
//! writes, the spool, the kept files or the server's own log, at its most talkative level that an operator would use.
//!
//! Every file below the server's directory is read byte by byte, so a copy, a dump or a backup of any of them tells
//! nothing either. A word that may stand there is looked for as well: without it, an empty directory would pass.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use costlens_tests::actors::{CHAT, MESSAGES, Owner, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::{eventually, http, run};
use serde_json::json;

use crate::victim::hook_url;

/// A word that may be stored.
const PLAIN: &str = "PLAINWORDTHATMAYBESTORED";

/// Everything that must not be found, by what it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 9, "{what} is too short to be told from chance");
        self.0.push((what, secret.to_owned()));
    }

    /// The secrets that these bytes hold, as they are or in a spelling that hides nothing.
    fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let holds = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
        let found = self.0.iter().filter(|(_, secret)| {
            let raw = secret.as_bytes();
            // Base64 of a text in the middle of another depends on where it begins; alone it is this.
            let spellings =
                [hex::encode(raw), STANDARD.encode(raw), URL_SAFE_NO_PAD.encode(raw), listed(raw)];
            holds(raw) || spellings.iter().any(|text| holds(text.as_bytes()))
        });
        found.map(|(what, _)| *what).collect()
    }
}

/// Bytes as Rust prints them (`[104, 101]`), without the brackets: they may stand in the middle of others.
fn listed(bytes: &[u8]) -> String {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

#[test]
fn no_secret_prompt_or_answer_stands_in_the_clear_on_any_disk_or_in_any_log() {
    run(async {
        let mut app = TestApp::own(&[("COSTLENS_LOG", "debug")]);
        let mut secrets = Secrets(Vec::new());

        let tenant = app.command(&["tenants", "create", PLAIN]);
        let link = app.sign_in_link(&tenant);
        secrets.add("a sign-in link", link.split_once("#t=").unwrap().1);
        let owner = Owner::sign_in(&app.base_url(), &link).await;
        secrets.add("a session", owner.cookie().split_once('=').unwrap().1);
        let program = owner.create_key("canaries").await;
        secrets.add("an API key", &program.secret);
        for (what, secret) in
            [("a provider's key", "sk-CANARYOFAPROVIDER"), ("another", "sk-ant-CANARYOFANOTHER")]
        {
            secrets.add(what, secret);
            let provider = if what == "another" { "anthropic" } else { "openai" };
            owner
                .connect(
                    json!({"provider": provider, "name": format!("{provider}-unused"), "secret": secret}),
                )
                .await;
        }
        // The vendor is asked with both, in vain, which is what gets logged.
        let (key, other) = ("sk-admin-CANARYOFASOURCE-0001", "sk-admin-CANARYOFANOTHERKEY-0002");
        let body = json!({"vendor": "openai", "name": "source", "admin_key": key});
        let source = owner.call("POST", "/api/v1/invoice-sources", Some(&body)).await.expect(201).json();
        let path = format!("/api/v1/invoice-sources/{}/key", source["id"].as_str().unwrap());
        let replaced = owner.call("PUT", &path, Some(&json!({"admin_key": other}))).await.expect(200).json();
        for (key, shown) in [(key, source), (other, replaced)] {
            secrets.add("an admin key", key);
            assert!(!shown.to_string().contains("CANARY"), "{shown}");
        }
        secrets.add("a Slack address", "CANARYOFSLACK");
        let slack = format!("http://{}/services/T0/B0/CANARYOFSLACK", app.nothing_there);
        let channel = json!({"name": "team", "url": slack});
        let channel = owner.call("POST", "/api/v1/slack-channels", Some(&channel)).await.expect(201).json();
        secrets.add("a webhook's token", "CANARYOFAHOOK");
        let hook = json!({"name": "hook", "url": format!("{}?token=CANARYOFAHOOK", hook_url(&app))});
        let hook = owner.call("POST", "/api/v1/webhook-endpoints", Some(&hook)).await.expect(201).json();
        secrets.add("a webhook's secret", hook["secret"].as_str().unwrap());
        // Both are called, and both fail, which is what gets logged.
        let id = |made: &serde_json::Value| made["id"].as_str().unwrap().to_owned();
        let test = format!("/api/v1/slack-channels/{}/test", id(&channel));
        owner.call("POST", &test, None).await.expect(202);
        let test = format!("/api/v1/webhook-endpoints/{}", id(&hook["endpoint"]));
        owner.call("POST", &format!("{test}/test"), None).await.expect(202);
        eventually("an attempt at the webhook", async || {
            let seen = owner.get(&format!("{test}/deliveries")).await;
            seen["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|each| each["attempts"].as_u64() > Some(0))
                .then_some(())
        })
        .await;

        calls(&app, &owner, &program.secret, &mut secrets).await;
        eventually("every row", async || (program.rows().await.len() >= 6).then_some(())).await;
        // Bad input, which problems and logs might repeat.
        for path in [CHAT, MESSAGES, "/api/v1/sessions", "/api/v1/keys"] {
            secrets.add("a broken body", "CANARYOFABROKENBODY");
            let url = format!("{}{path}", app.base_url());
            let bearer = format!("Bearer {}", program.secret);
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let answer = http::send("POST", &url, &headers, r#"{"model": CANARYOFABROKENBODY"#).await;
            assert!(answer.status >= 400 && !answer.text().contains("CANARY"), "{}", answer.text());
        }

        app.stop();
        let dir = app.data_dir().parent().unwrap().to_owned();
        let mut files = Vec::new();
        files_below(&dir, &mut files);
        let (mut bytes_read, mut holding_the_plain_word) = (0, 0);
        for file in &files {
            let bytes = std::fs::read(file).unwrap();
            bytes_read += bytes.len();
            holding_the_plain_word += usize::from(memchr::memmem::find(&bytes, PLAIN.as_bytes()).is_some());
            let found = secrets.found_in(&bytes);
            assert!(found.is_empty(), "{} holds {found:?} in the clear", file.display());
        }
        assert!(holding_the_plain_word > 0, "{} files, and none holds what was stored", files.len());
        let log = files.iter().find(|file| file.ends_with("server.log"));
        assert!(std::fs::metadata(log.unwrap()).unwrap().len() > 1_000, "the log was hardly written");
        eprintln!("{} files of {bytes_read} bytes hold none of {} secrets", files.len(), secrets.0.len());
    });
}

/// Calls that end in every way, each with a word in its prompt and one in its answer.
async fn calls(app: &TestApp, owner: &Owner, key: &str, secrets: &mut Secrets) {
    secrets.add("a prompt", "CANARYOFAPROMPT");
    secrets.add("an answer", "CANARYOFANANSWER");
    let line = app.llm.line(|heard| {
        let wish = heard.call["user"].as_str().unwrap_or_default().to_owned();
        match wish.as_str() {
            "refuse" => Reply::refusal(429, r#"{"error":{"message":"CANARYOFANANSWER CANARYOFAPROMPT"}}"#),
            "garbage" => Reply::refusal(200, "CANARYOFANANSWER, and no JSON"),
            _ => Reply::to(&heard.call, &heard.path, Tokens::plain(5, 5)),
        }
    });
    secrets.add("the credential that calls carry", line.secret());
    let house = json!({
        "provider": "openai_compatible", "name": "house", "base_url": app.llm.base_url(),
        "secret": line.secret(), "models": ["house-model"],
    });
    owner.connect(house).await;
    let gone = json!({
        "provider": "openai_compatible", "name": "gone", "models": ["gone-model"],
        "base_url": format!("http://{}/v1", app.nothing_there), "secret": line.secret(),
    });
    owner.connect(gone).await;
    let bearer = format!("Bearer {key}");
    for (model, wish, stream) in [
        ("house-model", "", false),
        ("house-model", "", true),
        ("house-model", "refuse", false),
        ("house-model", "garbage", false),
        ("gone-model", "", false),
        ("demo/echo", "", true),
        ("nobodys-model", "", false),
    ] {
        let body = json!({
            "model": model, "stream": stream, "user": wish,
            "messages": [{"role": "user", "content": "CANARYOFAPROMPT"}],
        });
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("x-client-request-id", &call_id()),
        ];
        let url = format!("{}{CHAT}", app.base_url());
        let _any = http::send("POST", &url, &headers, body.to_string()).await;
    }
}
