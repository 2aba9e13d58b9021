//! Rows as LiteLLM writes them, in every form, and rows as people mangle them.

use chrono::DateTime;
use costlens_domain::imports::Work;
use costlens_domain::{Tokens, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-26T14:00:00Z".parse().unwrap()
}

/// What is said in a row, and must be in nothing that comes out.
const CANARY: &str = "Canary-Zeisig";

/// A row of LiteLLM 1.80 with everything that it has, and these cells in the place of its own.
fn row(cells: &Value) -> Value {
    let mut row = json!({
        "request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05",
        "spend": 0.000_123_45, "total_tokens": 1050, "prompt_tokens": 1000, "completion_tokens": 50,
        "startTime": "2026-11-26T10:00:00.000000Z", "endTime": "2026-11-26T10:00:00.812000Z",
        "completionStartTime": "2026-11-26T10:00:00.300000Z", "model": "gpt-4o-mini", "model_id": "abc",
        "model_group": "fast", "custom_llm_provider": "openai", "api_base": "https://api.openai.com/v1/",
        "user": "u-7", "end_user": "", "team_id": "team-1", "requester_ip_address": "10.0.0.1",
        "metadata": {
            "status": "success", "user_api_key_alias": "ci", "user_api_key_team_alias": "Search",
            "usage_object": {
                "prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
                "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": null},
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
        },
        "cache_hit": "False", "cache_key": "k", "request_tags": ["checkout", "eu"],
        "messages": [{"role": "user", "content": CANARY}], "response": {"choices": [CANARY]},
        "proxy_server_request": {"messages": CANARY}, "session_id": "s", "status": "success",
    });
    for (name, cell) in cells.as_object().unwrap() {
        row[name] = cell.clone();
    }
    row
}

fn only(bytes: &str) -> ReportedCall {
    let mut read = read(bytes.as_bytes(), now()).unwrap();
    assert_eq!((read.calls.len(), read.refused.count), (1, 0), "{read:?}");
    read.calls.remove(0)
}

fn refusal(row: &Value) -> Refusal {
    let read = read(json!([row]).to_string().as_bytes(), now()).unwrap();
    assert!(read.calls.is_empty(), "{read:?}");
    read.refused.named.first().unwrap().1
}

#[test]
fn a_row_becomes_a_call_without_anything_that_was_said() {
    let call = only(&json!([row(&json!({}))]).to_string());
    assert!(!format!("{call:?}").contains(CANARY), "{call:?}");
    let usage = Usage {
        fresh_input: Tokens(600),
        cache_read: Tokens(400),
        output: Tokens(50),
        reasoning: Tokens(20),
        ..Usage::default()
    };
    assert_eq!(call.work, Work::Answered(usage));
    assert_eq!((call.provider.as_str(), call.model_requested.as_str()), ("openai", "gpt-4o-mini"));
    assert_eq!((call.source_id.as_str(), call.response_id.as_deref()), ("chatcmpl-1", Some("chatcmpl-1")));
    assert_eq!(call.claimed_cost, "0.00012345".parse().ok());
    assert_eq!((call.ended_at - call.started_at).num_milliseconds(), 812);
    let whose = &call.attribution;
    assert_eq!((whose.user.as_deref(), whose.end_user.as_deref()), (Some("u-7"), None));
    assert_eq!(whose.team.as_deref(), Some("Search"));
    let key = "litellm_key:88dc28d0f030c55ed4ab77ed8faf098196cb1c05";
    assert_eq!(whose.tags, [key, "litellm_key_alias:ci", "model_group:fast", "checkout", "eu"]);
}

#[test]
fn every_form_of_a_file_says_the_same() {
    let row = row(&json!({}));
    let expected = only(&json!([row]).to_string());
    assert_eq!(only(&json!({"data": [row], "total": 1, "page": 1}).to_string()), expected);
    assert_eq!(only(&format!("\u{feff}\n{row}\n\n")), expected);
    let mut csv = csv::Writer::from_writer(Vec::new());
    let cells = row.as_object().unwrap();
    csv.write_record(cells.keys()).unwrap();
    // PostgreSQL's own spelling of moments.
    csv.write_record(cells.iter().map(|(name, cell)| match cell {
        Value::String(text) if name.ends_with("Time") => text.replace('T', " ").replace('Z', "+00"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }))
    .unwrap();
    assert_eq!(only(&String::from_utf8(csv.into_inner().unwrap()).unwrap()), expected);
}

#[test]
fn a_cache_hit_and_a_failure_are_what_they_are() {
    for hit in [json!("True"), json!(true), json!("true")] {
        let call = only(&json!([row(&json!({"cache_hit": hit}))]).to_string());
        assert_eq!((call.work, call.response_id), (Work::Cached, None));
    }
    let failed = json!({
        "request_id": "0191-uuid", "status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "model": "",
        "model_group": "", "custom_llm_provider": "", "api_base": "",
        "metadata": {"error_information": {"error_class": "RateLimitError", "error_message": CANARY}},
    });
    let call = only(&json!([row(&failed)]).to_string());
    assert_eq!(
        (call.work, call.error_code.as_deref()),
        (Work::Failed(Usage::default()), Some("RateLimitError"))
    );
    assert_eq!((call.provider.as_str(), call.model_requested.as_str()), ("unknown", "unknown"));
    assert!(!format!("{call:?}").contains(CANARY));
}

#[test]
fn a_failure_without_tokens_is_nothing_only_where_the_provider_refused() {
    let failed = |error: &Value, first_token: &str| {
        let metadata = json!({"status": "failure", "error_information": error});
        let cells = json!({
            "request_id": "0191-uuid", "status": "failure", "prompt_tokens": 0, "completion_tokens": 0,
            "metadata": metadata, "completionStartTime": first_token,
        });
        only(&json!([row(&cells)]).to_string())
    };
    let (midway, at_the_end) = ("2026-11-26T10:00:00.300000Z", "2026-11-26T10:00:00.812000Z");
    let (refused, broken) = (Work::Failed(Usage::default()), Work::Broken);
    for (error, first_token, work) in [
        (json!({"error_class": "RateLimitError", "error_code": "429"}), at_the_end, refused),
        (json!({"error_class": "AuthenticationError"}), "", refused),
        (json!({"error_class": "OfOnesOwn", "error_code": 503}), "None", refused),
        // The first token was there when it failed.
        (json!({"error_class": "InternalServerError", "error_code": "500"}), midway, broken),
        (json!({"error_class": "Timeout", "error_code": "408"}), at_the_end, broken),
        (json!({"error_class": "APIConnectionError", "error_code": "500"}), at_the_end, broken),
        (json!(null), at_the_end, broken),
    ] {
        let call = failed(&error, first_token);
        assert_eq!((call.work, call.provider.as_str()), (work, "openai"), "{error} {first_token}");
        assert_eq!(call.response_id, None);
    }
    // What was counted all the same is billed.
    let counted = json!({"status": "failure", "prompt_tokens": 5, "completion_tokens": 0, "metadata": {}});
    let counted = only(&json!([row(&counted)]).to_string()).work;
    assert_eq!(counted, Work::Failed(Usage { fresh_input: Tokens(5), ..Usage::default() }));
    // A router that knew no provider may have sent it somewhere.
    let lost = json!({
        "status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "metadata": {}, "model": "fast",
        "custom_llm_provider": "", "api_base": "",
    });
    let lost = only(&json!([row(&lost)]).to_string());
    assert_eq!(
        (lost.work, lost.provider.as_str(), lost.model_requested.as_str()),
        (broken, "unknown", "fast")
    );
}

#[test]
fn claudes_cache_is_told_apart_by_how_long_it_lives() {
    let metadata = json!({"usage_object": {
        "prompt_tokens": 5000, "completion_tokens": 10, "cache_creation_input_tokens": 3000,
        "cache_read_input_tokens": 1500,
        "prompt_tokens_details": {
            "cached_tokens": 1500, "cache_creation_tokens": 3000,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
        },
    }});
    let cells = json!({
        "metadata": metadata.to_string(), "custom_llm_provider": "bedrock",
        "model": "bedrock/converse/us.anthropic.claude-sonnet-4-20250514-v1:0",
        "api_base": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/converse",
    });
    let call = only(&json!([row(&cells)]).to_string());
    let usage = Usage {
        fresh_input: Tokens(500),
        cache_read: Tokens(1_500),
        cache_write_5m: Tokens(1_000),
        cache_write_1h: Tokens(2_000),
        output: Tokens(10),
        ..Usage::default()
    };
    assert_eq!(call.work, Work::Answered(usage));
    assert_eq!((call.provider.as_str(), call.region.as_deref()), ("bedrock", Some("eu-west-1")));
    assert_eq!(call.model_requested, "us.anthropic.claude-sonnet-4-20250514-v1:0");
}

#[test]
fn a_row_that_cannot_be_read_is_refused_with_its_reason() {
    for (cells, why) in [
        (json!({"request_id": ""}), Refusal::NoId),
        (json!({"request_id": {"a": 1}}), Refusal::NoId),
        (json!({"startTime": "yesterday"}), Refusal::NoTime),
        (json!({"endTime": "tomorrow"}), Refusal::NoTime),
        (json!({"startTime": "2026-11-26T14:30:00Z", "endTime": null}), Refusal::Future),
        (json!({"startTime": "2024-11-26T14:30:00Z"}), Refusal::Old),
        (json!({"endTime": "2026-11-26T09:00:00Z"}), Refusal::Backwards),
        (json!({"model": "", "model_group": null}), Refusal::NoModel),
        (json!({"custom_llm_provider": "", "api_base": ""}), Refusal::NoProvider),
        (json!({"metadata": {}, "prompt_tokens": -1}), Refusal::Tokens),
        (json!({"metadata": {}, "prompt_tokens": "many"}), Refusal::Tokens),
        (json!({"metadata": {}, "prompt_tokens": 0, "completion_tokens": "0"}), Refusal::NoTokens),
    ] {
        assert_eq!(refusal(&row(&cells)), why, "{cells}");
    }
    assert_eq!(refusal(&json!(7)), Refusal::NoRow);
}

#[test]
fn bad_rows_are_named_by_their_line_and_the_good_ones_are_taken() {
    let good = |n: u32| row(&json!({"request_id": format!("chatcmpl-{n}")})).to_string();
    let lines = format!("{}\nnot json\n\n{}\n{{\"request_id\": \"x\"}}\n{}", good(1), good(2), good(3));
    let read = super::read(lines.as_bytes(), now()).unwrap();
    assert_eq!(read.calls.len(), 3);
    assert_eq!(read.refused.named, [(2, Refusal::NoRow), (5, Refusal::NoTime)]);
    // Quoted line breaks count as lines, and a row that is cut is none.
    let csv = "request_id,model,startTime,custom_llm_provider,prompt_tokens,user\n\
        a,gpt-4o,2026-11-26T10:00:00Z,openai,10,\"two\nlines\"\n\
        b,gpt-4o\n\
        c,gpt-4o,2026-11-26T10:00:00Z,openai,10,u\n";
    let read = super::read(csv.as_bytes(), now()).unwrap();
    assert_eq!(read.calls.len(), 2, "{read:?}");
    assert_eq!(read.refused.named, [(4, Refusal::NoRow)]);
    let many = vec![json!({}); 50];
    let read = super::read(json!(many).to_string().as_bytes(), now()).unwrap();
    assert_eq!((read.refused.named.len(), read.refused.count), (20, 50));
}

#[test]
fn a_file_that_is_no_log_is_refused_whole() {
    assert!(matches!(read(b" \n", now()), Err(NotALog::Empty)));
    assert!(matches!(read(b"[{]", now()), Err(NotALog::Json(_))));
    assert!(matches!(read(b"a,b,c\n1,2,3\n", now()), Err(NotALog::Columns)));
    let most = usize::try_from(MOST_ROWS).unwrap();
    let mut many = "{}\n".repeat(most);
    assert!(read(many.as_bytes(), now()).is_ok());
    many.push_str("{}");
    assert!(matches!(read(many.as_bytes(), now()), Err(NotALog::TooManyRows)));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any = read(&bytes, now());
    }
}
