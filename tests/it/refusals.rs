//! Bad input: each refusal is a problem that people can read, with a member that the vendors' SDKs can.

use std::time::Duration;

use costlens_tests::actors::{CHAT, MESSAGES, Program, call_id};
use costlens_tests::app::{MAX_REQUEST_BYTES, shared};
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::sdk::{Language, call};
use costlens_tests::{http, in_time, run};
use serde_json::{Value, json};

/// A problem with the member that the vendor's SDKs read.
#[track_caller]
fn check(answer: &http::Answer, path: &str, status: u16, code: &str, openai: &str, anthropic: &str) -> Value {
    let problem = answer.expect_problem(status, code);
    let error = &problem["error"];
    assert_eq!(error["message"], problem["detail"], "{problem}");
    if path == CHAT {
        assert_eq!((&error["type"], &error["code"]), (&json!(openai), &json!(code)), "{problem}");
    } else {
        assert_eq!(error["type"], anthropic, "{problem}");
    }
    problem
}

fn ask(model: &str) -> String {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}).to_string()
}

#[test]
fn an_unknown_key_is_refused_before_its_body_is_looked_at() {
    run(async {
        let app = shared();
        for path in [CHAT, MESSAGES] {
            let stranger = Program::new(&app.base_url(), "acl_0000000000000000000000000000000000000000000");
            let answer = stranger.post(path, &call_id(), "not even JSON").await;
            check(&answer, path, 401, "key_unknown", "authentication_error", "authentication_error");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            let url = format!("{}{path}", app.base_url());
            let answer = http::send("POST", &url, &[], ask("demo/echo")).await;
            check(&answer, path, 401, "credential_missing", "authentication_error", "authentication_error");
            let answer = http::send("POST", &url, &[("authorization", "Basic YTpi")], ask("demo/echo")).await;
            check(&answer, path, 401, "credential_missing", "authentication_error", "authentication_error");
        }
    });
}

#[test]
fn a_revoked_key_is_refused_within_a_second_though_it_was_warm() {
    run(async {
        let owner = shared().owner("Revocation").await;
        let program = owner.create_key("to be revoked").await;
        assert_eq!(program.chat("demo/echo", "x").await.status, 200);
        let gone = owner.call("DELETE", &format!("/api/v1/keys/{}", program.key_id), None).await;
        assert_eq!(gone.status, 204);
        in_time(Duration::from_secs(1), "refusal of the key", async || {
            (program.chat("demo/echo", "x").await.status != 200).then_some(())
        })
        .await;
        for path in [CHAT, MESSAGES] {
            let answer = program.post(path, &call_id(), ask("demo/echo")).await;
            check(&answer, path, 401, "key_revoked", "authentication_error", "authentication_error");
        }
        program.get("/api/v1/requests").await.expect_problem(401, "key_revoked");
    });
}

#[test]
fn a_model_that_no_route_knows_is_refused_with_the_nearest_names() {
    run(async {
        let app = shared();
        let owner = app.owner("Typing errors").await;
        let line = app.llm.line_of(Tokens::plain(1, 1));
        owner.connect_both(&line).await;
        owner
            .connect(json!({
                "provider": "openai_compatible", "name": "house", "models": ["house-model-large"],
                "base_url": app.llm.base_url(),
            }))
            .await;
        let program = owner.create_key("ci").await;
        for (path, typed, meant) in [
            (CHAT, "gtp-4o-mini", "gpt-4o-mini"),
            (CHAT, "hous-model-large", "house-model-large"),
            (MESSAGES, "cluade-sonnet-4-5", "claude-sonnet-4-5"),
            // Each endpoint speaks its own dialect: a chat model is no route of the other.
            (MESSAGES, "demo/ecko", "demo/echo"),
        ] {
            let answer = program.post(path, &call_id(), ask(typed)).await;
            let problem =
                check(&answer, path, 404, "model_not_found", "invalid_request_error", "not_found_error");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(typed) && detail.contains(meant), "{detail}");
            if path == CHAT {
                assert_eq!(problem["error"]["param"], "model");
            }
        }
        assert!(line.log().is_empty(), "the vendor hears nothing of it");
    });
}

#[test]
fn a_body_that_is_no_call_is_refused_and_says_what_is_wrong() {
    run(async {
        let program = shared().owner("Bad bodies").await.create_key("ci").await;
        for path in [CHAT, MESSAGES] {
            for body in ["", "{", "{\"model\": \"demo/echo\",}", "nonsense"] {
                let answer = program.post(path, &call_id(), body).await;
                check(&answer, path, 400, "malformed_json", "invalid_request_error", "invalid_request_error");
            }
            for (body, word) in
                [("[]", "object"), ("{}", "model"), (r#"{"model":7}"#, "model"), (r#"{"model":""}"#, "model")]
            {
                let answer = program.post(path, &call_id(), body).await;
                let problem = check(
                    &answer,
                    path,
                    400,
                    "invalid_request",
                    "invalid_request_error",
                    "invalid_request_error",
                );
                assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
            }
            let big = ask(&"x".repeat(MAX_REQUEST_BYTES));
            let answer = program.post(path, &call_id(), big).await;
            check(&answer, path, 413, "body_too_large", "invalid_request_error", "request_too_large");
        }
        assert!(program.rows().await.is_empty(), "a call that was never made has no row");
    });
}

#[test]
fn a_body_of_just_the_largest_size_is_carried() {
    run(async {
        let program = shared().owner("Large bodies").await.create_key("ci").await;
        let mut body = ask("demo/echo");
        let padding = " ".repeat(MAX_REQUEST_BYTES - body.len());
        body.push_str(&padding);
        assert_eq!(program.post(CHAT, &call_id(), body).await.status, 200);
    });
}

/// What the SDKs raise, by their own types.
async fn sdks_raise_their_own_errors(language: Language) {
    let app = shared();
    let owner = app.owner("SDK errors").await;
    let line = app.llm.line(|heard| {
        let status = heard.call["messages"][0]["content"].as_str().and_then(|text| text.parse().ok());
        Reply::refusal(
            status.unwrap_or(500),
            r#"{"type":"error","error":{"type":"vendors","message":"vendor says no"}}"#,
        )
    });
    owner.connect_both(&line).await;
    let program = owner.create_key("sdk").await;
    let revoked = owner.create_key("revoked").await;
    let gone = owner.call("DELETE", &format!("/api/v1/keys/{}", revoked.key_id), None).await;
    assert_eq!(gone.status, 204);

    let large = "x".repeat(MAX_REQUEST_BYTES);
    let mut calls = Vec::new();
    let mut expected = Vec::new();
    for sdk in ["openai", "anthropic"] {
        let model = if sdk == "openai" { "gpt-4o-mini" } else { "claude-sonnet-4-5" };
        let too_large = match (sdk, language) {
            ("anthropic", _) => "ContentTooLargeError",
            (_, Language::Python) => "APIStatusError",
            (_, Language::TypeScript) => "APIError",
        };
        for (key, model, text, class, status, words) in [
            ("acl_unknown", model, "x", "AuthenticationError", 401, "no API key has this secret"),
            (revoked.secret.as_str(), model, "x", "AuthenticationError", 401, "has been revoked"),
            (program.secret.as_str(), "nobodys-model", "x", "NotFoundError", 404, "nobodys-model"),
            (program.secret.as_str(), "", "x", "BadRequestError", 400, "model"),
            (program.secret.as_str(), model, &large, too_large, 413, "bytes"),
            (program.secret.as_str(), model, "429", "RateLimitError", 429, "vendor says no"),
            (program.secret.as_str(), model, "500", "InternalServerError", 500, "vendor says no"),
        ] {
            calls.push(json!({
                "sdk": sdk, "key": key, "model": model, "text": text, "stream": false, "id": call_id(),
            }));
            expected.push((class, status, words));
        }
    }

    let results = call(language, &app.base_url(), &calls).await;

    for ((call, result), (class, status, words)) in calls.iter().zip(&results).zip(expected) {
        let what =
            format!("{} {} ({} bytes): {result}", call["sdk"], call["model"], call["text"].to_string().len());
        let error = &result["error"];
        assert_eq!((&error["class"], &error["status"]), (&json!(class), &json!(status)), "{what}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(words)), "{what}");
        if call["sdk"] == "openai" && status == 401 {
            assert!(error["code"].as_str().unwrap().starts_with("key_"), "the SDK gives our code: {what}");
        }
    }
}

#[test]
fn the_python_sdks_raise_their_own_typed_errors() {
    run(sdks_raise_their_own_errors(Language::Python));
}

#[test]
fn the_typescript_sdks_raise_their_own_typed_errors() {
    run(sdks_raise_their_own_errors(Language::TypeScript));
}
