//! The first minute: what a fresh server prints is enough to make a call and to see it priced.

use std::time::Duration;

use costlens_tests::actors::{CHAT, Program, call_id};
use costlens_tests::app::shared;
use costlens_tests::{http, run};
use serde_json::json;

#[test]
fn the_printed_key_makes_the_first_call_and_its_priced_row_is_there_within_two_seconds() {
    run(async {
        let app = shared();
        let welcome = app.welcome();
        let key = welcome["api_key"].as_str().unwrap();
        assert!(key.starts_with("acl_"), "{welcome}");
        let program = Program::new(&app.base_url(), key);
        let id = call_id();
        // The very body of the printed curl line.
        let body = r#"{"model":"demo/echo","messages":[{"role":"user","content":"Hello, ledger!"}]}"#;

        let answer = program.post(CHAT, &id, body).await.expect(200);

        let told = answer.json();
        assert_eq!(told["choices"][0]["message"]["content"], "Hello, ledger!");
        let request_id = answer.header("costlens-request-id").to_owned();
        let row = program.row_within(Duration::from_secs(2), &id).await;
        assert_eq!(row["id"], request_id.as_str());
        assert_eq!(row["outcome"], "completed");
        assert_eq!(row["provider"], "demo");
        assert_eq!(row["endpoint"], "/v1/chat/completions");
        assert_eq!(row["streamed"], false);
        assert_eq!(row["status"], 200);
        // "Hello, ledger!" has 14 bytes: four tokens in and four out, at 1 and 2 dollars a million.
        assert_eq!(told["usage"], json!({"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}));
        assert_eq!((&row["usage"]["fresh_input"], &row["usage"]["output"]), (&json!(4), &json!(4)));
        assert_eq!(row["cost_basis"], "exact");
        assert_eq!(row["cost"], "0.000012", "{row}");
        assert_eq!(row["currency"], "USD");
        let receipt = &row["price"];
        assert_eq!(receipt["price_id"], "demo/echo");
        assert_eq!(receipt["effective"], "2026-11-22");
        assert!(receipt["source"].as_str().unwrap().contains("demonstration prices"), "{receipt}");
        let formula = receipt["formula"].as_str().unwrap();
        assert!(formula.contains("4 fresh_input") && formula.contains("4 output"), "{formula}");

        let one = program.get(&format!("/api/v1/requests/{request_id}")).await.expect(200);
        assert_eq!(one.json(), row);
    });
}

#[test]
fn the_rest_of_what_is_printed_works_too() {
    run(async {
        let app = shared();
        for path in ["/healthz", "/readyz"] {
            assert_eq!(app.get(path).await.status, 200, "{path}");
        }
        let contract = app.get("/openapi.json").await.expect(200).json();
        assert!(contract["paths"]["/api/v1/requests"]["get"].is_object());
        // The console answers on any of its own paths.
        for path in ["/", "/welcome", "/requests"] {
            let url = format!("{}{path}", app.base_url());
            let page = http::send("GET", &url, &[("accept", "text/html,*/*;q=0.8")], "").await.expect(200);
            assert!(page.header("content-type").starts_with("text/html"), "{path}");
        }
        let sign_in = app.welcome()["sign_in"].as_str().unwrap();
        assert!(sign_in.contains("/welcome#t="), "{sign_in}");
    });
}

#[test]
fn a_streamed_first_call_ends_with_done_and_is_priced_like_a_plain_one() {
    run(async {
        let app = shared();
        let program = app.owner("First stream").await.create_key("ci").await;
        let id = call_id();
        let body =
            r#"{"model":"demo/echo","stream":true,"messages":[{"role":"user","content":"Hello, ledger!"}]}"#;

        let answer = program.post(CHAT, &id, body).await.expect(200);

        assert!(answer.header("content-type").starts_with("text/event-stream"));
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        let row = program.row(&id).await;
        assert_eq!(row["streamed"], true);
        assert_eq!((&row["cost"], &row["cost_basis"]), (&json!("0.000012"), &json!("exact")));
    });
}

#[test]
fn a_program_can_call_from_any_language_without_an_sdk() {
    run(async {
        let app = shared();
        let program = app.owner("Headers").await.create_key("ci").await;
        let body = r#"{"model":"demo/echo","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
        let url = format!("{}/v1/messages", app.base_url());
        let bearer = format!("bearer {}", program.secret);
        for header in
            [("x-api-key", program.secret.as_str()), ("authorization", &bearer), ("api-key", &program.secret)]
        {
            let answer = http::send("POST", &url, &[header], body).await.expect(200);
            assert_eq!(answer.json()["content"][0]["text"], "x");
        }
        let in_url = http::send("POST", &format!("{url}?key={}", program.secret), &[], body).await;
        in_url.expect_problem(401, "credential_missing");
    });
}
