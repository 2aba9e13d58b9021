//! The client hangs up in the middle: the key says whether the rest is read for the ledger or dropped.

use std::time::Duration;

use costlens_tests::actors::{CHAT, MESSAGES, Program, call_id};
use costlens_tests::app::shared;
use costlens_tests::fake_llm::Line;
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::{eventually, run};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

const TOKENS: Tokens =
    Tokens { fresh: 1_000, cached: 0, written_5m: 0, written_1h: 0, output: 500, reasoning: 0 };

/// A vendor that rests so long between the words of a stream.
async fn set_up(key: Value, pace: Duration) -> (Program, Line) {
    let app = shared();
    let owner = app.owner("Hang-ups").await;
    let line = app.llm.line(move |heard| Reply::to(&heard.call, &heard.path, TOKENS).paced(pace));
    owner.connect_both(&line).await;
    (owner.create_key_with(key).await, line)
}

fn stream_of(model: &str) -> String {
    json!({"model": model, "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Tell me."}]})
        .to_string()
}

/// Reads the answer's first bytes and hangs up.
async fn hang_up(program: &Program, path: &str, id: &str, model: &str) {
    let mut answer = program.open(path, id, stream_of(model)).await;
    assert_eq!(answer.status(), 200);
    let first = answer.body_mut().frame().await.unwrap().unwrap();
    assert!(first.is_data());
}

#[test]
fn a_draining_key_reads_the_rest_and_its_row_is_exact() {
    run(async {
        // Slow enough to hang up in, quick enough to drain.
        let pace = Duration::from_millis(200);
        let (program, line) = set_up(json!({"name": "drains", "hangup_policy": "drain"}), pace).await;
        for (path, model, cost) in
            [(CHAT, "gpt-4o-mini", "0.00045"), (MESSAGES, "claude-sonnet-4-5", "0.0105")]
        {
            let id = call_id();
            hang_up(&program, path, &id, model).await;
            let row = program.row(&id).await;
            assert_eq!(
                (&row["outcome"], &row["cost_basis"]),
                (&json!("client_gone"), &json!("exact")),
                "{row}"
            );
            assert_eq!((&row["usage"]["fresh_input"], &row["usage"]["output"]), (&json!(1_000), &json!(500)));
            assert_eq!(row["cost"], cost);
            assert!(line.last().was_answered(), "the vendor's answer was read to its end");
        }
    });
}

#[test]
fn an_aborting_key_drops_the_vendor_at_once_and_its_row_is_an_estimate() {
    run(async {
        // So slow that the hang-up is noticed long before the end, on a busy machine, too.
        let pace = Duration::from_secs(1);
        let (program, line) = set_up(json!({"name": "aborts", "hangup_policy": "abort"}), pace).await;
        for (path, model) in [(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")] {
            let id = call_id();
            hang_up(&program, path, &id, model).await;
            let row = program.row(&id).await;
            assert_eq!(
                (&row["outcome"], &row["cost_basis"]),
                (&json!("client_gone"), &json!("estimated")),
                "{row}"
            );
            let heard = line.last();
            eventually("hang-up at the vendor", async || heard.was_dropped().then_some(())).await;
            assert!(heard.frames_sent() < 8, "{} frames were sent to nobody", heard.frames_sent());
            // Anthropic tells the input first, so that part is counted and not guessed.
            if path == MESSAGES {
                assert_eq!(row["usage"]["fresh_input"], 1_000, "{row}");
            }
            assert!(row["usage"]["output"].as_u64().unwrap() < 500, "{row}");
        }
    });
}

#[test]
fn a_client_that_leaves_before_the_answer_begins_has_an_exact_row_too() {
    run(async {
        let app = shared();
        let owner = app.owner("Impatient").await;
        // Long enough to hang up in.
        let wait = Duration::from_secs(5);
        let line = app.llm.line(move |heard| Reply::to(&heard.call, &heard.path, TOKENS).after(wait));
        owner.connect_both(&line).await;
        let program = owner.create_key("ci").await;
        let id = call_id();
        let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Tell me."}]});
        let (caller, called) = (program.clone(), id.clone());
        let call = tokio::spawn(async move { caller.try_post(CHAT, &called, body.to_string()).await });
        eventually("call at the vendor", async || (!line.log().is_empty()).then_some(())).await;
        call.abort();
        assert!(call.await.is_err(), "the answer came too early");
        let row = program.row(&id).await;
        assert_eq!((&row["outcome"], &row["cost_basis"]), (&json!("client_gone"), &json!("exact")), "{row}");
        assert_eq!(row["usage"]["output"], 500);
    });
}
