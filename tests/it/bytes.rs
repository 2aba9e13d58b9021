//! What the vendor hears is what the client said, and the other way round, to the byte. Two edits alone are ever
//! made, and each of them only where it is documented.

use costlens_tests::actors::{CHAT, MESSAGES, Program, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::fake_llm::Line;
use costlens_tests::reply::{Reply, Tokens};
use costlens_tests::run;
use serde_json::json;

const TOKENS: Tokens = Tokens { fresh: 7, cached: 0, written_5m: 0, written_1h: 0, output: 3, reasoning: 0 };

/// Odd spacing, odd order, odd numbers, members that nobody knows, text beyond ASCII in both spellings.
fn odd(model: &str, more: &str) -> String {
    format!(
        "\n{{ \"messages\" : [ {{\"role\":\"user\",\"content\":\"\\u00fc ü \\/ \\\"model\\\": \\\"x\\\"\"}} ]\r\n,\t\
         \"x_unknown\":{{\"n\":12345678901234567890,\"f\":1.50e+1}}, \"max_tokens\":64,\"temperature\":1.0,{more}\
         \"model\": \"{model}\" }}  \n"
    )
}

async fn set_up(app: &TestApp, name: &str) -> (Program, Line) {
    let owner = app.owner(name).await;
    let line = app.llm.line_of(TOKENS);
    owner.connect_both(&line).await;
    (owner.create_key("ci").await, line)
}

#[test]
fn a_call_without_an_edit_passes_byte_for_byte_in_both_directions() {
    run(async {
        let (program, line) = set_up(shared(), "Byte for byte").await;
        let asks = r#""stream":true,"stream_options" : {"include_usage" :true},"#;
        for (path, model, more) in [
            (CHAT, "gpt-4o-mini", ""),
            (CHAT, "gpt-4o-mini", r#""stream" : false,"#),
            (CHAT, "gpt-4o-mini", asks),
            (MESSAGES, "claude-sonnet-4-5", ""),
            (MESSAGES, "claude-sonnet-4-5", r#""stream": true ,"#),
        ] {
            let said = odd(model, more);
            let answer = program.post(path, &call_id(), said.clone()).await.expect(200);

            let heard = line.last();
            assert_eq!(heard.path, path);
            assert_eq!(String::from_utf8_lossy(&heard.body), said, "{path} {more}");
            let reply = Reply::to(&heard.call, path, TOKENS);
            assert_eq!(answer.text(), String::from_utf8_lossy(&reply.body()), "{path} {more}");
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), "59");
            assert!(answer.header("costlens-request-id").starts_with("req_"));
        }
    });
}

#[test]
fn a_stream_without_a_wish_for_usage_gets_the_documented_edit_and_nothing_else() {
    run(async {
        let (program, line) = set_up(shared(), "Injection").await;
        let said = odd("gpt-4o-mini", r#""stream":true,"#);

        let answer = program.post(CHAT, &call_id(), said.clone()).await.expect(200);

        let heard = line.only();
        let edited = said.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
        assert_eq!(String::from_utf8_lossy(&heard.body), edited);
        // Of the vendor's frames one is missing: the usage that nobody asked for.
        let reply = Reply::to(&heard.call, CHAT, TOKENS);
        let is_usage = |frame: &&[u8]| String::from_utf8_lossy(frame).contains("\"choices\":[]");
        let frames: Vec<&[u8]> = reply.frames.iter().map(|frame| &frame[..]).collect();
        assert_eq!(frames.iter().filter(|frame| is_usage(frame)).count(), 1);
        let expected: Vec<_> = frames.into_iter().filter(|frame| !is_usage(frame)).collect();
        assert_eq!(answer.text(), String::from_utf8_lossy(&expected.concat()));
    });
}

/// Mistral answers 422 to a call that asks for usage, and tells it unasked: the chunk is the client's.
#[test]
fn a_vendor_that_tells_its_usage_unasked_is_not_asked_and_its_chunk_passes() {
    run(async {
        let app = shared();
        let owner = app.owner("Unasked").await;
        let line = app.llm.line(|heard| {
            let asks = heard.call.get("stream_options").is_some();
            let mut call = heard.call.clone();
            call["stream_options"] = json!({"include_usage": true});
            if asks { Reply::refusal(422, "{}") } else { Reply::to(&call, &heard.path, TOKENS) }
        });
        let connection = json!({"provider": "mistral", "name": "mistral", "secret": line.secret(), "base_url": app.llm.base_url()});
        owner.connect(connection).await;
        let program = owner.create_key("ci").await;
        let (said, id) = (odd("mistral-small-2603", r#""stream":true,"#), call_id());

        let answer = program.post(CHAT, &id, said.clone()).await.expect(200);

        let heard = line.only();
        assert_eq!(String::from_utf8_lossy(&heard.body), said);
        let mut asked = heard.call.clone();
        asked["stream_options"] = json!({"include_usage": true});
        assert_eq!(answer.text(), String::from_utf8_lossy(&Reply::to(&asked, CHAT, TOKENS).body()));
        let row = program.row(&id).await;
        assert_eq!((&row["cost_basis"], &row["usage"]["output"]), (&json!("exact"), &json!(3)), "{row}");
    });
}

#[test]
fn a_routing_prefix_is_the_other_edit() {
    run(async {
        let (program, line) = set_up(shared(), "Prefix").await;
        let said = odd("openai/gpt-4o-mini", "");
        let answer = program.post(CHAT, &call_id(), said.clone()).await.expect(200);
        let heard = String::from_utf8_lossy(&line.only().body).into_owned();
        assert_eq!(heard, said.replace("\"openai/gpt-4o-mini\"", "\"gpt-4o-mini\""));
        assert_eq!(answer.json()["model"], "gpt-4o-mini");
    });
}

#[test]
fn a_key_may_forbid_the_edit_and_gets_an_estimate() {
    run(async {
        let app = shared();
        let owner = app.owner("No injection").await;
        let line = app.llm.line_of(TOKENS);
        owner.connect_both(&line).await;
        let program = owner.create_key_with(json!({"name": "as it is", "stream_usage": "estimate"})).await;
        let said = odd("gpt-4o-mini", r#""stream":true,"#);
        let id = call_id();

        let answer = program.post(CHAT, &id, said.clone()).await.expect(200);

        assert_eq!(String::from_utf8_lossy(&line.only().body), said);
        assert!(!answer.text().contains("usage"), "{}", answer.text());
        let row = program.row(&id).await;
        assert_eq!(
            (&row["outcome"], &row["cost_basis"]),
            (&json!("completed"), &json!("estimated")),
            "{row}"
        );
        assert!(row["price"]["note"].as_str().unwrap().contains("estimated"), "{row}");
        assert!(row["usage"]["output"].as_u64().unwrap() > 0 && row["cost"].is_string(), "{row}");
    });
}

#[test]
fn a_vendors_refusal_passes_byte_for_byte_with_its_headers() {
    run(async {
        let app = shared();
        let owner = app.owner("Refusals").await;
        let body = "{\n \"error\" : {\"message\":\"slow down\",\"type\":\"rate_limit\",\"code\":null} }\n";
        let line = app.llm.line(move |_| {
            let mut reply = Reply::refusal(429, body);
            reply.headers.push(("retry-after", "17".to_owned()));
            reply.headers.push(("set-cookie", "vendor=1".to_owned()));
            reply
        });
        owner.connect_both(&line).await;
        let program = owner.create_key("ci").await;
        let answer = program.chat("gpt-4o-mini", "x").await.expect(429);
        assert_eq!(answer.text(), body);
        assert_eq!(answer.header("retry-after"), "17");
        assert_eq!(answer.header("set-cookie"), "", "a vendor sets no cookies on our origin");
    });
}
