//! Calls that never passed the proxy: LiteLLM's logs as files, spans by OTLP. Each counts once, at our own price, for its
//! own tenant alone, and nothing that was said stays anywhere.

use std::io::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_tests::actors::{CHAT, Owner, Program, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::http::{self, Answer};
use costlens_tests::reply::Tokens;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

/// What is said in every log and span here.
const CANARY: &str = "Canary-Zeisig";
const TRACES: &str = "/v1/traces";

#[expect(clippy::disallowed_methods, reason = "the process under test runs by the machine's clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Half an hour ago.
fn at() -> DateTime<Utc> {
    now() - TimeDelta::minutes(30)
}

/// A row of `LiteLLM_SpendLogs`.
fn row(id: &str, input: u64, output: u64) -> Value {
    let start = at();
    json!({
        "request_id": id, "call_type": "acompletion", "api_key": "hash-of-litellms-key", "spend": 77.5,
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "startTime": start.to_rfc3339(), "endTime": (start + TimeDelta::milliseconds(900)).to_rfc3339(),
        "model": "openai/gpt-4o-mini", "custom_llm_provider": "openai", "api_base": "https://api.openai.com/v1",
        "user": "u-7", "end_user": "shopper", "team_id": "team-1", "cache_hit": "False", "status": "success",
        "request_tags": ["checkout"], "metadata": {"user_api_key_team_alias": "Search"},
        "messages": [{"role": "user", "content": CANARY}], "response": {"text": CANARY},
    })
}

async fn import(owner: &Owner, key: &str, body: impl Into<bytes::Bytes>) -> Answer {
    owner.send_bill(&format!("/api/v1/imports/litellm/{key}"), body, &[]).await
}

async fn rows(owner: &Owner, filter: &str) -> Vec<Value> {
    let page = owner.get(&format!("/api/v1/requests?limit=200{filter}")).await;
    page["items"].as_array().unwrap().clone()
}

/// A key that may hand in calls, and do nothing else.
async fn importer(owner: &Owner) -> Program {
    owner.create_key_with(json!({"name": "spans", "scopes": ["calls.import"]})).await
}

async fn post(
    app: &TestApp,
    program: &Program,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    let bearer = format!("Bearer {}", program.secret);
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    http::send("POST", &format!("{}{TRACES}", app.base_url()), &all, body).await
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// What the Python SDK sent once, half an hour ago.
fn spans() -> Vec<u8> {
    let mut body = include_bytes!("../../crates/imports/src/otlp/fixtures/spans.pb").to_vec();
    let start = u64::try_from(at().timestamp_nanos_opt().unwrap()).unwrap();
    let then = 1_795_658_400_000_000_000_u64;
    for after in [0, 812_000_000] {
        let (old, new) = ((then + after).to_le_bytes(), (start + after).to_le_bytes());
        while let Some(place) = memchr::memmem::find(&body, &old) {
            body[place..place + 8].copy_from_slice(&new);
        }
    }
    body
}

/// One chat as a span in JSON.
fn span(id: u64, response: &str, input: u64) -> Value {
    let nanos = at().timestamp_nanos_opt().unwrap().to_string();
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let count = |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": format!("{id:016x}"), "name": "chat",
        "startTimeUnixNano": nanos, "endTimeUnixNano": nanos,
        "attributes": [
            text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o-mini"), text("gen_ai.response.id", response),
            count("gen_ai.usage.input_tokens", input), count("gen_ai.usage.output_tokens", 5),
            text("gen_ai.input.messages", CANARY),
        ],
        "events": [{"name": "gen_ai.content.prompt", "attributes": [text("gen_ai.prompt", CANARY)]}],
    })
}

fn body(spans: &[Value]) -> String {
    json!({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": spans}]}]}).to_string()
}

#[test]
fn a_litellm_row_counts_once_at_the_price_of_a_proxied_call_and_is_its_tenants_alone() {
    run(async {
        let app = shared();
        let (owner, other) = (app.owner("Importer of logs").await, app.owner("Onlooker of logs").await);
        let line = app.llm.line_of(Tokens::plain(1_234, 567));
        owner.connect_both(&line).await;
        let program = owner.create_key("logs").await;
        let id = call_id();
        let chat =
            json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}).to_string();
        program.post(CHAT, &id, chat).await.expect(200);
        let proxied = program.row(&id).await;
        let before = owner.get("/api/v1/spend/breakdown?by=provider").await;

        let log = json!([row("chatcmpl-a", 1_234, 567), row("chatcmpl-b", 1, 1)]).to_string();
        let report = import(&owner, &program.key_id, log.clone()).await.expect(200).json();
        assert_eq!(report, json!({"taken": 2, "known": 0, "refused": 0, "refusals": []}));
        let imported = rows(&owner, "&origin=litellm").await;
        assert_eq!(imported.len(), 2, "{imported:?}");
        let call = imported.iter().find(|row| row["response_id"] == "chatcmpl-a").unwrap();
        for same in ["cost", "cost_basis", "provider", "api_key_id", "usage"] {
            assert_eq!(call[same], proxied[same], "{same}");
        }
        assert_eq!(call["price"]["price_id"], proxied["price"]["price_id"]);
        assert_eq!(
            (&call["connection_id"], &call["duration_ms"], &call["claim"]),
            (&Value::Null, &json!(900), &Value::Null)
        );
        let receipt = owner.get(&format!("/api/v1/requests/{}", call["id"].as_str().unwrap())).await;
        let claim = &receipt["claim"];
        assert_eq!((&claim["claimed_cost"], &claim["team"]), (&json!("77.5"), &json!("Search")), "{receipt}");
        assert_eq!((&claim["user"], &claim["end_user"]), (&json!("u-7"), &json!("shopper")));
        assert_eq!(claim["tags"], json!(["litellm_key:hash-of-litellms-key", "checkout"]));
        assert_eq!(rows(&owner, "&origin=proxy").await.len(), 1);

        // The sums of the dashboards have them at once, and once.
        let spent = async || {
            let spend = owner.get("/api/v1/spend/breakdown?by=provider").await;
            spend["items"][0]["sums"]["requests"].as_u64().unwrap()
        };
        assert_eq!(spent().await, before["items"][0]["sums"]["requests"].as_u64().unwrap() + 2);
        let again = import(&owner, &program.key_id, log).await.expect(200).json();
        assert_eq!(again, json!({"taken": 0, "known": 2, "refused": 0, "refusals": []}));
        assert_eq!((rows(&owner, "&origin=litellm").await.len(), spent().await), (2, 3));

        assert!(rows(&other, "").await.is_empty());
        let stranger = format!("/api/v1/requests/{}", call["id"].as_str().unwrap());
        other.call("GET", &stranger, None).await.expect_problem(404, "not_found");
        // The same ids of another tenant are its own calls, and a key of another's is not there.
        let own = other.create_key("own").await;
        let log = json!([row("chatcmpl-a", 1_234, 567)]).to_string();
        assert_eq!(import(&other, &own.key_id, log.clone()).await.expect(200).json()["taken"], 1);
        import(&other, &program.key_id, log).await.expect_problem(404, "not_found");
    });
}

#[test]
fn bad_rows_are_named_good_ones_taken_and_a_file_that_is_no_log_changes_nothing() {
    run(async {
        let app = shared();
        let owner = app.owner("Careless importer").await;
        let key = owner.create_key("logs").await;
        let mut future = row("chatcmpl-f", 1, 1);
        future["startTime"] = json!((now() + TimeDelta::hours(1)).to_rfc3339());
        let mut old = row("chatcmpl-o", 1, 1);
        old["startTime"] = json!((now() - TimeDelta::days(500)).to_rfc3339());
        let mut failed = row("failed", 0, 0);
        failed["status"] = json!("failure");
        let mut refused = row("refused", 0, 0);
        refused["status"] = json!("failure");
        refused["metadata"] =
            json!({"error_information": {"error_class": "RateLimitError", "error_code": "429"}});
        let mut cached = row("chatcmpl-a_cache_hit1", 10, 10);
        cached["cache_hit"] = json!("True");
        let mut unheard = row("chatcmpl-u", 10, 10);
        unheard["model"] = json!("gpt-99-of-tomorrow");
        let good = row("chatcmpl-g", 1, 1);
        let log = [&good, &future, &old, &failed, &cached, &unheard, &refused, &good];
        let log = log.map(Value::to_string).join("\n");
        let report = import(&owner, &key.key_id, format!("{log}\noops")).await.expect(200).json();
        let refusals = json!([
            {"line": 2, "detail": "begins in the future"},
            {"line": 3, "detail": "is more than 400 days old"},
            {"line": 9, "detail": "is no JSON object or row of the table"},
        ]);
        assert_eq!(report, json!({"taken": 5, "known": 1, "refused": 3, "refusals": refusals}));
        let all = rows(&owner, "").await;
        let of = |id: &str| all.iter().find(|row| row["response_id"] == id).unwrap();
        assert_eq!(
            (&of("chatcmpl-u")["cost"], &of("chatcmpl-u")["cost_basis"]),
            (&Value::Null, &json!("unpriced"))
        );
        let free: Vec<_> = all.iter().filter(|row| row["cost"] == "0").collect();
        assert_eq!(free.len(), 2, "what was refused and what a cache answered: {all:?}");
        assert!(free.iter().any(|row| row["outcome"] == "failed" && row["error_code"] == "RateLimitError"));
        let broken = all.iter().find(|row| row["error_code"] == "failure").unwrap();
        assert_eq!(
            (&broken["cost"], &broken["cost_basis"], &broken["outcome"]),
            (&Value::Null, &json!("unpriced"), &json!("failed")),
            "nobody says that no work was done: {broken}"
        );

        for (file, code) in
            [("", "invalid_request"), ("[1,", "invalid_request"), ("a,b\n1,2\n", "invalid_request")]
        {
            import(&owner, &key.key_id, file).await.expect_problem(400, code);
        }
        assert_eq!(rows(&owner, "").await.len(), 5);
    });
}

#[test]
fn a_call_of_a_closed_month_has_that_month_settled_again_and_one_of_these_days_waits_for_the_night() {
    run(async {
        let app = shared();
        let owner = app.owner("Programs that were late").await;
        let program = importer(&owner).await;
        let tenant = owner.tenant_id.trim_start_matches("ten_").to_owned();
        let asked = || {
            app.query(&format!(
                "SELECT count(*) FROM queue.job WHERE queue = 'settle_month.v1' AND tenant = '{tenant}'"
            ))
        };
        post(app, &program, &[JSON], body(&[span(1, "chatcmpl-now", 10)])).await.expect(200);
        assert_eq!(asked().trim(), "0");
        let mut late = span(2, "chatcmpl-late", 10);
        let then = (now() - TimeDelta::days(150)).timestamp_nanos_opt().unwrap().to_string();
        (late["startTimeUnixNano"], late["endTimeUnixNano"]) = (json!(then), json!(then));
        let told = post(app, &program, &[JSON], body(&[late])).await;
        assert_eq!((told.status, told.json()), (200, json!({})), "it is taken");
        assert_eq!(asked().trim(), "1");
    });
}

#[test]
fn spans_of_both_encodings_count_and_what_cannot_is_a_partial_success() {
    run(async {
        let app = shared();
        let owner = app.owner("Programs with spans").await;
        let program = importer(&owner).await;
        let answer = post(app, &program, &[PROTOBUF], spans()).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
        // One chat told no tokens: partial_success, rejected_spans = 1, and a message.
        assert!(
            answer.body.starts_with(b"\x0a") && answer.body[2..].starts_with(b"\x08\x01\x12"),
            "{answer:?}"
        );
        assert!(answer.text().contains("tells no tokens"), "{}", answer.text());
        let imported = rows(&owner, "&origin=otlp").await;
        assert_eq!(imported.len(), 3, "{imported:?}");
        let claude = imported.iter().find(|row| row["provider"] == "bedrock").unwrap();
        assert_eq!(
            (&claude["region"], &claude["cost_basis"]),
            (&json!("eu-west-1"), &json!("exact")),
            "{claude}"
        );
        assert!(
            imported.iter().any(|row| row["outcome"] == "failed" && row["error_code"] == "RateLimitError")
        );

        // The same again, packed: everything is known, and nothing is counted.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&spans()).unwrap();
        let gzip = [PROTOBUF, ("content-encoding", "gzip")];
        post(app, &program, &gzip, packed.finish().unwrap()).await.expect(200);
        assert_eq!(rows(&owner, "&origin=otlp").await.len(), 3);

        let told =
            post(app, &program, &[JSON], body(&[span(1, "chatcmpl-1", 10), span(2, "chatcmpl-2", 20)])).await;
        assert_eq!((told.status, told.json()), (200, json!({})));
        // Two spans of one answer are one call, whatever told of it.
        let told = post(app, &program, &[JSON], body(&[span(3, "chatcmpl-1", 10)])).await;
        assert_eq!((told.status, told.json()), (200, json!({})));
        let report = import(&owner, &program.key_id, json!([row("chatcmpl-2", 20, 5)]).to_string()).await;
        assert_eq!(report.expect(200).json()["known"], 1);
        assert_eq!(rows(&owner, "").await.len(), 5);
        assert!(rows(&owner, "").await.iter().all(|row| row["api_key_id"] == program.key_id.as_str()));
        let key = owner.get(&format!("/api/v1/keys/{}", program.key_id)).await;
        assert!(!key["last_used_at"].is_null(), "{key}");
    });
}

#[test]
fn a_call_that_the_proxy_carried_counts_once_whichever_was_told_first() {
    run(async {
        let app = shared();
        let chat =
            json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}).to_string();
        // The fake vendor gives every answer this id.
        let twin = || body(&[span(1, "chatcmpl-fake", 1_234)]);
        for imported_first in [true, false] {
            let owner = app.owner("Seen twice").await;
            let line = app.llm.line_of(Tokens::plain(1_234, 5));
            owner.connect_both(&line).await;
            let (program, spans) = (owner.create_key("calls").await, importer(&owner).await);
            if imported_first {
                post(app, &spans, &[JSON], twin()).await.expect(200);
                assert_eq!(rows(&owner, "&origin=otlp").await.len(), 1);
            }
            let id = call_id();
            program.post(CHAT, &id, chat.clone()).await.expect(200);
            program.row(&id).await;
            if !imported_first {
                post(app, &spans, &[JSON], twin()).await.expect(200);
            }
            eventually("one row", async || {
                let all = rows(&owner, "").await;
                (all.len() == 1 && all[0]["origin"] == "proxy").then_some(())
            })
            .await;
            let spend = owner.get("/api/v1/spend/breakdown?by=key").await;
            let items = spend["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{spend}");
            assert_eq!(
                (&items[0]["group"], &items[0]["sums"]["requests"]),
                (&json!(program.key_id), &json!(1))
            );
            // Told again, it stays the proxy's.
            post(app, &spans, &[JSON], twin()).await.expect(200);
            assert_eq!(rows(&owner, "").await.len(), 1);
        }
    });
}

#[test]
fn only_a_key_that_may_hands_in_spans_and_a_bomb_is_not_unpacked() {
    run(async {
        let app = shared();
        let owner = app.owner("Guarded").await;
        let program = importer(&owner).await;
        let url = format!("{}{TRACES}", app.base_url());
        let spans = body(&[span(1, "chatcmpl-1", 10)]);
        http::send("POST", &url, &[JSON], spans.clone()).await.expect_problem(401, "credential_missing");
        let refused = http::send("POST", &url, &[PROTOBUF], "").await;
        assert_eq!((refused.status, refused.header("content-type")), (401, "application/x-protobuf"));
        assert!(refused.body.starts_with(b"\x12"), "a google.rpc.Status: {refused:?}");
        let unknown = Program::new(&app.base_url(), "acl_no-such-key");
        post(app, &unknown, &[JSON], spans.clone()).await.expect_problem(401, "key_unknown");
        let usual = owner.create_key("usual").await;
        let problem = post(app, &usual, &[JSON], spans.clone()).await.expect_problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("calls.import"), "{problem}");
        // It opens nothing else.
        program.chat("demo/echo", "x").await.expect_problem(403, "forbidden");
        program.get("/api/v1/requests").await.expect_problem(403, "forbidden");
        let other = format!("{}/api/v1/imports/litellm/{}", app.base_url(), usual.key_id);
        let bearer = format!("Bearer {}", program.secret);
        let octets = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
        http::send("POST", &other, &octets, "[]").await.expect_problem(404, "not_found");

        let kind = ("content-type", "text/plain");
        post(app, &program, &[kind], spans.clone()).await.expect_problem(415, "unsupported_media_type");
        let brotli = [JSON, ("content-encoding", "br")];
        post(app, &program, &brotli, spans.clone()).await.expect_problem(415, "unsupported_media_type");
        post(app, &program, &[JSON], "{").await.expect_problem(400, "invalid_request");
        post(app, &program, &[JSON], vec![b' '; (8 << 20) + 1]).await.expect_problem(413, "body_too_large");
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![b' '; (16 << 20) + 1]).unwrap();
        let gzip = [JSON, ("content-encoding", "gzip")];
        post(app, &program, &gzip, bomb.finish().unwrap()).await.expect_problem(413, "body_too_large");
        let asked = http::send("GET", &url, &[], "").await;
        asked.expect_problem(405, "method_not_allowed");
        assert_eq!(asked.header("allow"), "POST");
        assert!(rows(&owner, "").await.is_empty());

        let path = format!("/api/v1/keys/{}", program.key_id);
        owner.call("DELETE", &path, None).await.expect(204);
        post(app, &program, &[JSON], spans).await.expect_problem(401, "key_revoked");
    });
}

#[test]
fn nothing_that_was_said_in_a_log_or_a_span_stays_anywhere() {
    run(async {
        let app = TestApp::own(&[("COSTLENS_LOG", "debug")]);
        let owner = app.owner("Discreet").await;
        let program = importer(&owner).await;
        let said = |bytes: &[u8]| memchr::memmem::find(bytes, CANARY.as_bytes()).is_some();
        let log = format!("{}\n{{\"request_id\": \"{CANARY}", row("chatcmpl-seen", 10, 5));
        assert!(said(log.as_bytes()) && said(&spans()));
        assert_eq!(import(&owner, &program.key_id, log).await.expect(200).json()["taken"], 1);
        post(&app, &program, &[PROTOBUF], spans()).await.expect(200);
        post(&app, &program, &[JSON], body(&[span(1, "chatcmpl-1", 10)])).await.expect(200);
        assert_eq!(rows(&owner, "").await.len(), 5);
        let dump = app.dump();
        assert!(memchr::memmem::find(&dump, b"chatcmpl-seen").is_some(), "the dump was not looked into");
        assert!(!said(&dump), "in the database");
        assert!(!said(&app.log()), "in the log");
    });
}

#[test]
fn a_log_is_imported_at_the_command_line_and_again_without_effect() {
    run(async {
        let app = shared();
        let owner = app.owner("At the command line").await;
        let key = owner.create_key("logs").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spend-logs.jsonl");
        std::fs::write(&file, format!("{}\nnot a row\n", row("chatcmpl-cli", 10, 5))).unwrap();
        let file = file.to_str().unwrap();
        let args = ["import", "--tenant", &owner.tenant_id, "--key", &key.key_id, "--litellm", file];
        let told = app.command(&args);
        assert!(told.starts_with("1 calls taken, 0 known already, 1 refused"), "{told}");
        assert!(told.contains("line 2 is no JSON object or row of the table"), "{told}");
        let told = app.command(&args);
        assert!(told.starts_with("0 calls taken, 1 known already, 1 refused"), "{told}");
        assert_eq!(rows(&owner, "&origin=litellm").await.len(), 1);
        let events = owner.get("/api/v1/audit-events").await;
        let imported =
            events["items"].as_array().unwrap().iter().filter(|event| event["action"] == "calls.imported");
        assert_eq!(imported.count(), 2, "{events}");
        let stranger = app.owner("Another at the command line").await;
        let said = app.failing_command(&[
            "import",
            "--tenant",
            &stranger.tenant_id,
            "--key",
            &key.key_id,
            "--litellm",
            file,
        ]);
        assert!(said.contains("no API key"), "{said}");
    });
}
