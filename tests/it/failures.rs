//! Whatever a vendor does, the call has a row that says how it ended and how sure its cost is.

use costlens_tests::actors::{CHAT, MESSAGES, Owner, Program, call_id};
use costlens_tests::app::{FIRST_BYTE_TIMEOUT, shared};
use costlens_tests::fake_llm::{Heard, Line};
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::run;
use serde_json::{Value, json};

const TOKENS: Tokens =
    Tokens { fresh: 1_000, cached: 0, written_5m: 0, written_1h: 0, output: 500, reasoning: 0 };

async fn set_up(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> (Owner, Program, Line) {
    let app = shared();
    let owner = app.owner("Failures").await;
    let line = app.llm.line(answer);
    owner.connect_both(&line).await;
    let program = owner.create_key("ci").await;
    (owner, program, line)
}

fn call(model: &str, stream: bool) -> String {
    json!({"model": model, "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "Tell me."}]})
        .to_string()
}

fn check(row: &Value, outcome: &str, basis: &str, error_code: &Value) {
    assert_eq!(row["outcome"], outcome, "{row}");
    assert_eq!(row["cost_basis"], basis, "{row}");
    assert_eq!(&row["error_code"], error_code, "{row}");
    assert_eq!(row["cost"].is_null(), basis == "unpriced", "{row}");
}

#[test]
fn a_vendors_refusal_is_a_failed_row_that_costs_nothing() {
    run(async {
        // A redirect is no answer either, and is not followed.
        for status in [307, 400, 401, 429, 500, 529] {
            let (_, program, line) =
                set_up(move |_| Reply::refusal(status, r#"{"error":{"message":"no"}}"#)).await;
            let id = call_id();
            let answer = program.post(CHAT, &id, call("gpt-4o-mini", false)).await;
            assert_eq!(answer.status, status);
            let row = program.row(&id).await;
            check(&row, "failed", "exact", &json!("provider_refused"));
            assert_eq!((&row["status"], &row["cost"]), (&json!(status), &json!("0")), "{row}");
            assert_eq!(row["provider_request_id"], line.only().id.as_str());
            assert!(row["price"]["note"].as_str().unwrap().contains("nothing is billed"), "{row}");
        }
    });
}

#[test]
fn an_address_where_nobody_listens_is_502_and_a_row() {
    run(async {
        let app = shared();
        let owner = app.owner("Nobody there").await;
        let base_url = format!("http://{}/v1", app.nothing_there);
        let custom = |provider: &str, model: &str| json!({"provider": provider, "name": provider, "base_url": base_url, "models": [model]});
        owner.connect(custom("openai_compatible", "own-model")).await;
        owner.connect(custom("anthropic_compatible", "own-claude")).await;
        let program = owner.create_key("ci").await;
        for (path, model) in [(CHAT, "own-model"), (MESSAGES, "own-claude")] {
            let id = call_id();
            let answer = program.post(path, &id, call(model, false)).await;
            let problem = answer.expect_problem(502, "upstream_unreachable");
            assert!(problem["error"]["message"].is_string(), "{problem}");
            let row = program.row(&id).await;
            check(&row, "failed", "exact", &row["error_code"]);
            assert!(row["error_code"].is_string(), "{row}");
            assert_eq!(
                (&row["cost"], &row["status"]),
                (&json!("0"), &Value::Null),
                "nothing was sent: {row}"
            );
        }
    });
}

#[test]
fn a_call_to_a_cloud_is_recorded_under_the_name_of_who_charges_for_it() {
    run(async {
        let app = shared();
        let owner = app.owner("Cloud").await;
        // An address of the form that Bedrock's have, in a region that is none: no test calls a cloud.
        let base_url = "https://bedrock-runtime.xx-nowhere-1.amazonaws.com/openai/v1";
        let model = "us.anthropic.claude-sonnet-4-20250514-v1:0";
        let connection = json!({"provider": "openai_compatible", "name": "cloud", "base_url": base_url, "models": [model]});
        owner.connect(connection).await;
        let budget = json!({"name": "Bedrock", "period": "month", "amount": "10", "provider": "bedrock"});
        owner.call("POST", "/api/v1/budgets", Some(&budget)).await.expect(201);
        let program = owner.create_key("ci").await;
        let id = call_id();
        let answer = program.post(CHAT, &id, call(model, false)).await;
        assert!([502, 504].contains(&answer.status), "{}", answer.status);
        let row = program.row(&id).await;
        assert_eq!((&row["provider"], &row["model_requested"]), (&json!("bedrock"), &json!(model)), "{row}");
        let of = async |provider: &str| {
            let path = format!("/api/v1/requests?provider={provider}");
            program.get(&path).await.expect(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!((of("bedrock").await, of("openai_compatible").await), (1, 0));
    });
}

#[test]
fn a_vendor_that_does_not_answer_in_time_is_504_and_a_row_that_does_not_pretend_to_be_free() {
    run(async {
        // So late that a busy machine does not see both at once.
        let late = 3 * FIRST_BYTE_TIMEOUT;
        let (_, program, _) =
            set_up(move |heard| Reply::to(&heard.call, &heard.path, TOKENS).after(late)).await;
        let id = call_id();
        let answer = program.post(CHAT, &id, call("gpt-4o-mini", false)).await;
        answer.expect_problem(504, "upstream_timeout");
        assert_eq!(
            answer.header("x-should-retry"),
            "false",
            "the vendor may be working on the first one still"
        );
        let row = program.row(&id).await;
        check(&row, "failed", "estimated", &json!("upstream_timeout"));
        assert!(row["usage"]["fresh_input"].as_u64().unwrap() > 0, "the vendor may have worked: {row}");
    });
}

#[test]
fn a_stream_that_breaks_is_told_to_the_client_and_estimated_from_what_was_seen() {
    run(async {
        let (_, program, line) =
            set_up(|heard| Reply::to(&heard.call, &heard.path, TOKENS).breaking_after(6)).await;
        for (path, model) in [(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")] {
            let id = call_id();
            let broken = program.try_post(path, &id, call(model, true)).await;
            assert!(broken.is_err(), "a broken stream must not look whole: {broken:?}");
            let row = program.row(&id).await;
            check(&row, "failed", "estimated", &json!("upstream_broken"));
            assert_eq!(row["provider_request_id"], line.last().id.as_str());
            let usage = &row["usage"];
            assert!((1..500).contains(&usage["output"].as_u64().unwrap()), "{row}");
            if path == MESSAGES {
                assert_eq!(usage["fresh_input"], 1_000, "the vendor had counted the input: {row}");
            }
        }
    });
}

#[test]
fn a_plain_answer_that_breaks_is_502_and_a_row() {
    run(async {
        let (_, program, _) = set_up(|heard| {
            let mut reply = Reply::to(&heard.call, &heard.path, TOKENS).breaking_after(1);
            let whole = reply.frames.remove(0);
            reply.frames = vec![whole.slice(..40), whole.slice(40..)];
            reply
        })
        .await;
        let id = call_id();
        let answer = program.post(CHAT, &id, call("gpt-4o-mini", false)).await;
        answer.expect_problem(502, "upstream_unreachable");
        check(&program.row(&id).await, "failed", "estimated", &json!("upstream_broken"));
    });
}

#[test]
fn a_model_without_a_price_is_forwarded_and_its_cost_is_unknown_not_zero() {
    run(async {
        let (_, program, line) = set_up(|heard| Reply::to(&heard.call, &heard.path, TOKENS)).await;
        for stream in [false, true] {
            let id = call_id();
            let answer = program.post(CHAT, &id, call("gpt-99-unheard-of", stream)).await;
            assert_eq!(answer.status, 200);
            let row = program.row(&id).await;
            check(&row, "completed", "unpriced", &Value::Null);
            assert_eq!(row["usage"]["output"], 500, "the tokens are known all the same");
            assert!(row["price"]["note"].is_string(), "the receipt says why: {row}");
        }
        assert_eq!(line.log().len(), 2);
        let totals = program.get("/api/v1/spend/series").await.expect(200).json()["total"].clone();
        assert_eq!((&totals["requests"], &totals["unpriced_requests"]), (&json!(2), &json!(2)), "{totals}");
        assert_eq!(totals["cost"], Value::Null, "a sum of nothing known is not zero");
    });
}

#[test]
fn an_error_inside_a_stream_that_began_well_is_a_failed_row() {
    run(async {
        let (_, program, _) = set_up(|heard| {
            let mut reply = Reply::to(&heard.call, &heard.path, TOKENS);
            reply.frames.truncate(5);
            let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
            reply.frames.push(format!("event: error\ndata: {error}\n\n").into());
            reply
        })
        .await;
        let id = call_id();
        let answer = program.post(MESSAGES, &id, call("claude-sonnet-4-5", true)).await.expect(200);
        assert!(answer.text().contains("overloaded_error"), "the client hears of it");
        check(&program.row(&id).await, "failed", "estimated", &json!("provider_error_event"));
    });
}

#[test]
fn each_class_of_tokens_is_counted_once_and_priced_at_its_own_rate() {
    run(async {
        let tokens =
            Tokens { fresh: 100, cached: 2_000, written_5m: 600, written_1h: 400, output: 50, reasoning: 0 };
        let (_, program, _) = set_up(move |heard| Reply::to(&heard.call, &heard.path, tokens)).await;
        for stream in [false, true] {
            let id = call_id();
            let answer = program.post(MESSAGES, &id, call("claude-sonnet-4-5", stream)).await;
            assert_eq!(answer.status, 200);
            let row = program.row(&id).await;
            check(&row, "completed", "exact", &Value::Null);
            let usage = &row["usage"];
            for (class, count) in [
                ("fresh_input", 100),
                ("cache_read", 2_000),
                ("cache_write_5m", 600),
                ("cache_write_1h", 400),
                ("output", 50),
            ] {
                assert_eq!(usage[class], count, "{class}: {row}");
            }
            // (100 × 3 + 2000 × 0.30 + 600 × 3.75 + 400 × 6 + 50 × 15) dollars a million.
            assert_eq!(row["cost"], "0.0063");
        }
    });
}
