//! The official SDKs of OpenAI and Anthropic, in Python and TypeScript, streaming and not, through the proxy:
//! against our own fake, whose tokens are exact, and against an independent mock from npm.

use costlens_tests::actors::{Owner, Program, call_id};
use costlens_tests::app::shared;
use costlens_tests::reply::{Tokens, WORDS};
use costlens_tests::sdk::{Language, call};
use costlens_tests::{aimock, run};
use serde_json::{Value, json};

/// What our fake says it used: 1,000 fresh, 200 from a cache, 50 out, 20 of them thought.
const TOKENS: Tokens =
    Tokens { fresh: 1_000, cached: 200, written_5m: 0, written_1h: 0, output: 50, reasoning: 20 };

/// 1000 × 0.15 + 200 × 0.075 + 50 × 0.60 dollars a million.
const OPENAI_COST: &str = "0.000195";
/// 1000 × 3 + 200 × 0.30 + 50 × 15 dollars a million.
const ANTHROPIC_COST: &str = "0.00381";

fn calls(program: &Program, model: impl Fn(&str) -> String) -> Vec<Value> {
    let one = |sdk: &str, stream: bool, include_usage: bool| {
        json!({
            "sdk": sdk, "key": program.secret, "model": model(sdk), "stream": stream,
            "include_usage": include_usage, "text": format!("{sdk}, please"), "id": call_id(),
        })
    };
    vec![
        one("openai", false, false),
        one("openai", true, false),
        one("openai", true, true),
        one("anthropic", false, false),
        one("anthropic", true, false),
    ]
}

/// What the client sees is the vendor's answer and nothing of ours: no usage chunk that it did not ask for.
fn check_result(call: &Value, result: &Value, text: &str) {
    assert!(result["error"].is_null(), "{call}: {result}");
    assert_eq!(result["text"], text, "{call}");
    let (openai, streamed, asked) =
        (call["sdk"] == "openai", call["stream"] == true, call["include_usage"] == true);
    if openai && streamed {
        let empty = u64::from(asked);
        assert_eq!(result["empty_choices"], empty, "chunks without choices: {call}: {result}");
        assert_eq!(result["usage"].is_null(), !asked, "{call}: {result}");
        assert!(result["events"].as_u64().unwrap() > 1, "{result}");
    } else {
        assert!(result["usage"].is_object(), "{call}: {result}");
    }
}

async fn against_our_fake(language: Language) {
    let app = shared();
    let owner = app.owner("SDKs against our fake").await;
    let line = app.llm.line_of(TOKENS);
    owner.connect_both(&line).await;
    let program = owner.create_key("sdk").await;
    let model = |sdk: &str| if sdk == "openai" { "gpt-4o-mini" } else { "claude-sonnet-4-5" }.to_owned();
    let calls = calls(&program, model);

    let results = call(language, &app.base_url(), &calls).await;

    let text = WORDS.concat().replace("\\u00a0", "\u{a0}");
    for (call, result) in calls.iter().zip(&results) {
        check_result(call, result, &text);
        let row = program.row(call["id"].as_str().unwrap()).await;
        let openai = call["sdk"] == "openai";
        assert_eq!(row["provider"], call["sdk"]);
        assert_eq!(row["model_requested"], call["model"]);
        assert_eq!(row["model_served"], call["model"]);
        assert_eq!(row["streamed"], call["stream"], "{row}");
        assert_eq!((&row["outcome"], &row["cost_basis"]), (&json!("completed"), &json!("exact")), "{row}");
        let usage = &row["usage"];
        assert_eq!(
            (&usage["fresh_input"], &usage["cache_read"], &usage["output"]),
            (&json!(1_000), &json!(200), &json!(50)),
            "{call}: {row}"
        );
        assert_eq!(usage["reasoning"], if openai { 20 } else { 0 });
        assert_eq!(row["cost"], if openai { OPENAI_COST } else { ANTHROPIC_COST }, "{row}");
    }
    let heard = line.log();
    assert_eq!(heard.len(), calls.len(), "each call reaches the vendor once");
    for heard in heard {
        // The SDKs' own headers travel; the tenant's key does not.
        assert!(heard.headers.contains_key("x-stainless-lang"), "{:?}", heard.headers);
        assert_eq!(heard.headers["accept-encoding"], "identity");
        let headers = format!("{:?}", heard.headers);
        assert!(!headers.contains(&program.secret) && !String::from_utf8_lossy(&heard.body).contains("acl_"));
    }
}

async fn connect_aimock(owner: &Owner) {
    for provider in ["openai_compatible", "anthropic_compatible"] {
        owner
            .connect(json!({
                "provider": provider, "name": format!("mock-{provider}"), "base_url": aimock::base_url(),
                "secret": "sk-independent",
            }))
            .await;
    }
}

async fn against_the_independent_mock(language: Language) {
    let app = shared();
    let owner = app.owner("SDKs against the mock").await;
    connect_aimock(&owner).await;
    let program = owner.create_key("sdk").await;
    // By the connection's name, so that nothing of the routing prefix may reach the vendor.
    let calls = calls(&program, |sdk| {
        let model = if sdk == "openai" { "gpt-4o-mini" } else { "claude-sonnet-4-5" };
        format!("mock-{sdk}_compatible/{model}")
    });

    let results = call(language, &app.base_url(), &calls).await;

    for (call, result) in calls.iter().zip(&results) {
        let openai = call["sdk"] == "openai";
        let vendor = if openai { "OpenAI" } else { "Anthropic" };
        check_result(call, result, &format!("The independent mock answers in {vendor}'s words."));
        let row = program.row(call["id"].as_str().unwrap()).await;
        assert_eq!(row["outcome"], "completed", "{row}");
        assert_eq!(row["streamed"], call["stream"]);
        assert_eq!(row["model_requested"], call["model"].as_str().unwrap().split_once('/').unwrap().1);
        let (input, output) = if openai { (321, 45) } else { (654, 32) };
        let usage = &row["usage"];
        assert_eq!(
            (&usage["fresh_input"], &usage["output"]),
            (&json!(input), &json!(output)),
            "{call}: {row}"
        );
        // A custom endpoint has no published price: unknown, never zero.
        assert_eq!((&row["cost_basis"], &row["cost"]), (&json!("unpriced"), &Value::Null), "{row}");
    }
}

#[test]
fn the_python_sdks_pass_through_to_our_fake() {
    run(against_our_fake(Language::Python));
}

#[test]
fn the_typescript_sdks_pass_through_to_our_fake() {
    run(against_our_fake(Language::TypeScript));
}

#[test]
fn the_python_sdks_pass_through_to_an_independent_mock() {
    run(against_the_independent_mock(Language::Python));
}

#[test]
fn the_typescript_sdks_pass_through_to_an_independent_mock() {
    run(against_the_independent_mock(Language::TypeScript));
}
