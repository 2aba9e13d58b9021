//! Usage as the vendors tell it, in every shape that has cost somebody money.

use costlens_domain::providers::Dialect;
use costlens_domain::{Tokens, Usage};

use super::{EventKind, Meter, estimate_input};

fn openai_body(body: &str) -> Meter {
    let mut meter = Meter::new(Dialect::OpenAiChat);
    meter.read_body(body.as_bytes());
    meter
}

fn events(dialect: Dialect, events: &[&str]) -> (Meter, Vec<EventKind>) {
    let mut meter = Meter::new(dialect);
    // The fixtures are folded for the reader; on the wire an event's data is one line.
    let on_one_line = |event: &str| event.lines().map(str::trim).collect::<String>();
    let read = |event: &&str| meter.read_event(format!("data: {}\n\n", on_one_line(event)).as_bytes());
    let kinds = events.iter().map(read).collect();
    (meter, kinds)
}

#[test]
fn openais_cached_and_audio_tokens_are_taken_out_of_the_prompt() {
    let meter = openai_body(
        r#"{"model":"gpt-4o-2024-08-06","service_tier":"default","choices":[{}],"usage":{"prompt_tokens":1000,
        "completion_tokens":300,"total_tokens":1300,"prompt_tokens_details":{"cached_tokens":400,"audio_tokens":50},
        "completion_tokens_details":{"reasoning_tokens":120,"audio_tokens":30}}}"#,
    );
    let expected = Usage {
        fresh_input: Tokens(550),
        cache_read: Tokens(400),
        output: Tokens(270),
        reasoning: Tokens(120),
        audio_input: Tokens(50),
        audio_output: Tokens(30),
        ..Usage::default()
    };
    assert_eq!(meter.reading().usage, Some(expected));
    assert_eq!(meter.reading().model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(meter.reading().service_tier.as_deref(), Some("default"));
}

#[test]
fn reasoning_that_only_the_total_tells_of_is_output() {
    let meter = openai_body(
        r#"{"model":"grok-4","choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,
        "completion_tokens_details":{"reasoning_tokens":100}}}"#,
    );
    let usage = meter.reading().usage.unwrap();
    assert_eq!((usage.output, usage.reasoning), (Tokens(105), Tokens(100)));
}

#[test]
fn deepseeks_cache_hits_are_cache_reads() {
    let meter = openai_body(
        r#"{"choices":[{}],"usage":{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,
        "prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}}"#,
    );
    let usage = meter.reading().usage.unwrap();
    assert_eq!((usage.fresh_input, usage.cache_read), (Tokens(36), Tokens(64)));
}

#[test]
fn an_explicit_zero_is_a_count_and_an_absent_usage_is_not() {
    let zero =
        openai_body(r#"{"choices":[{}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#);
    assert_eq!(zero.reading().usage, Some(Usage::default()));
    let absent = openai_body(r#"{"choices":[{"message":{"content":"four \"by\" four"}}]}"#);
    assert_eq!(absent.reading().usage, None);
    assert_eq!(absent.reading().output_text_bytes, 16);
    assert_eq!(openai_body(r#"{"choices":[{}],"usage":{}}"#).reading().usage, None);
}

#[test]
fn a_stream_tells_its_usage_in_a_chunk_of_its_own() {
    let (meter, kinds) = events(
        Dialect::OpenAiChat,
        &[
            r#"{"model":"gpt-4o","choices":[{"delta":{"content":""}}],"usage":null}"#,
            r#"{"model":"gpt-4o","choices":[{"delta":{"content":"say \"usage\": {}"}}],"usage":null}"#,
            r#"{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#,
            "[DONE]",
        ],
    );
    let expected = [EventKind::Ordinary, EventKind::Ordinary, EventKind::UsageOnly, EventKind::Terminal];
    assert_eq!(kinds, expected);
    let usage = meter.reading().usage.unwrap();
    assert_eq!((usage.fresh_input, usage.output), (Tokens(7), Tokens(3)));
    assert!(meter.reading().finished);
}

#[test]
fn usage_on_the_last_content_chunk_is_read_and_the_chunk_stays() {
    // Mistral, Groq and DeepSeek tell usage without being asked, on a chunk that also carries a choice.
    let (meter, kinds) = events(
        Dialect::OpenAiChat,
        &[
            r#"{"model":"m","choices":[{"delta":{"content":"hi"}}]}"#,
            r#"{"model":"m","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#,
        ],
    );
    assert_eq!(kinds[1], EventKind::Ordinary);
    assert_eq!(meter.reading().usage.unwrap().fresh_input, Tokens(2));
}

#[test]
fn anthropics_counts_are_cumulative_and_its_input_excludes_the_cache() {
    let (meter, kinds) = events(
        Dialect::AnthropicMessages,
        &[
            r#"{"type":"message_start","message":{"model":"claude-sonnet-4-5-20250929","usage":{"input_tokens":100,
            "cache_creation_input_tokens":1000,"cache_read_input_tokens":2000,"output_tokens":1,"service_tier":"standard",
            "cache_creation":{"ephemeral_5m_input_tokens":600,"ephemeral_1h_input_tokens":400}}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":50,"server_tool_use":{"web_search_requests":2}}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(kinds.last(), Some(&EventKind::Terminal));
    let expected = Usage {
        fresh_input: Tokens(100),
        cache_read: Tokens(2000),
        cache_write_5m: Tokens(600),
        cache_write_1h: Tokens(400),
        output: Tokens(50),
        web_searches: 2,
        ..Usage::default()
    };
    assert_eq!(meter.reading().usage, Some(expected));
    assert_eq!(meter.reading().service_tier.as_deref(), Some("standard"));
}

#[test]
fn a_stream_that_breaks_before_its_output_is_counted_has_only_its_input() {
    let (meter, _) = events(
        Dialect::AnthropicMessages,
        &[
            r#"{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":100,"output_tokens":1}}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"12345678"}}"#,
        ],
    );
    assert_eq!(meter.reading().usage, None);
    assert_eq!(meter.input_so_far().unwrap().fresh_input, Tokens(100));
    assert_eq!(meter.reading().output_text_bytes, 8);
}

#[test]
fn a_whole_anthropic_answer_without_the_split_writes_to_the_five_minute_cache() {
    let mut meter = Meter::new(Dialect::AnthropicMessages);
    meter.read_body(
        br#"{"type":"message","model":"claude-3-haiku-20240307","usage":{"input_tokens":5,"output_tokens":6,
        "cache_creation_input_tokens":70,"cache_read_input_tokens":null}}"#,
    );
    let usage = meter.reading().usage.unwrap();
    assert_eq!((usage.fresh_input, usage.cache_write_5m, usage.output), (Tokens(5), Tokens(70), Tokens(6)));
}

#[test]
fn nonsense_counts_nothing_and_harms_nothing() {
    for nonsense in
        ["", "{", "null", "[1,2]", "\"usage\"", "{\"usage\":3}", "{\"usage\":{\"prompt_tokens\":-1}}"]
    {
        for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let (meter, _) = events(dialect, &[nonsense]);
            assert_eq!(meter.reading().usage, None, "{nonsense}");
            let mut meter = Meter::new(dialect);
            meter.read_body(nonsense.as_bytes());
            assert_eq!(meter.reading().usage, None, "{nonsense}");
        }
    }
}

#[test]
fn an_answers_own_id_is_kept_and_a_strange_one_costs_no_usage() {
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":5}"#;
    for (id, expected) in [
        (r#""id":"chatcmpl-1","#, Some("chatcmpl-1")),
        (r#""id":"","#, None),
        (r#""id":17,"#, None),
        (r#""id":{"a":[1]},"#, None),
        ("", None),
    ] {
        let meter = openai_body(&format!("{{{id}\"choices\":[{{}}],{usage}}}"));
        assert_eq!(meter.reading().response_id.as_deref(), expected, "{id}");
        assert_eq!(meter.reading().usage.unwrap().output, Tokens(5), "{id}");
    }
    let (meter, _) = events(
        Dialect::AnthropicMessages,
        &[
            r#"{"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":1,"output_tokens":1}}}"#,
        ],
    );
    assert_eq!(meter.reading().response_id.as_deref(), Some("msg_1"));
    let (meter, _) = events(
        Dialect::OpenAiChat,
        &[r#"{"id":"chatcmpl-2","model":"gpt-4o","choices":[{"delta":{"content":""}}],"usage":null}"#],
    );
    assert_eq!(meter.reading().response_id.as_deref(), Some("chatcmpl-2"));
}

fn anthropic_body(usage: &str) -> Meter {
    let mut meter = Meter::new(Dialect::AnthropicMessages);
    meter.read_body(format!(r#"{{"id":"msg_1","model":"claude-opus-5","usage":{usage}}}"#).as_bytes());
    meter
}

#[test]
fn what_compacting_used_is_billed_and_stands_beside_the_counts() {
    let meter = anthropic_body(
        r#"{"input_tokens":23000,"output_tokens":1000,"service_tier":"standard","iterations":[
        {"type":"compaction","input_tokens":180000,"output_tokens":3500,"cache_read_input_tokens":7,
        "cache_creation_input_tokens":11},{"type":"message","input_tokens":23000,"output_tokens":1000}]}"#,
    );
    let expected = Usage {
        fresh_input: Tokens(203_000),
        cache_read: Tokens(7),
        cache_write_5m: Tokens(11),
        output: Tokens(4_500),
        ..Usage::default()
    };
    assert_eq!(meter.reading().usage, Some(expected));
    assert_eq!(meter.reading().service_tier.as_deref(), Some("standard"));
}

#[test]
fn what_makes_anthropics_tokens_dearer_is_a_tier_of_its_own() {
    for (told, tier) in [
        (r#""service_tier":"standard""#, Some("standard")),
        (r#""service_tier":"standard","speed":"standard","inference_geo":"global""#, Some("standard")),
        (r#""service_tier":"standard","speed":"fast","inference_geo":"not_available""#, Some("fast")),
        (r#""service_tier":"priority","inference_geo":"us""#, Some("priority/us")),
        (r#""inference_geo":"us""#, Some("standard/us")),
        (r#""speed":"fast","inference_geo":"us""#, Some("fast/us")),
        (r#""service_tier":"standard","iterations":[{"type":"advisor_message"}]"#, Some("several_models")),
        (r#""service_tier":null"#, None),
    ] {
        let meter = anthropic_body(&format!(r#"{{"input_tokens":1,"output_tokens":1,{told}}}"#));
        assert_eq!(meter.reading().service_tier.as_deref(), tier, "{told}");
        assert!(meter.reading().usage.is_some());
    }
}

#[test]
fn what_is_written_to_a_cache_later_has_the_lifetime_that_was_told() {
    let stream = |split: &str, later: &str| {
        let start = format!(
            r#"{{"type":"message_start","message":{{"model":"m","usage":{{"input_tokens":5,"output_tokens":1,
            "cache_creation_input_tokens":100,"cache_creation":{split}}}}}}}"#
        );
        let delta = format!(r#"{{"type":"message_delta","usage":{{"output_tokens":9{later}}}}}"#);
        let (meter, _) = events(Dialect::AnthropicMessages, &[&start, &delta]);
        let usage = meter.reading().usage.unwrap();
        (usage.cache_write_5m.0, usage.cache_write_1h.0)
    };
    let five = r#"{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0}"#;
    let hour = r#"{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100}"#;
    let both = r#"{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}"#;
    let more = r#","cache_creation_input_tokens":250"#;
    assert_eq!(stream(five, ""), (100, 0));
    assert_eq!(stream(five, more), (250, 0));
    assert_eq!(stream(hour, more), (0, 250));
    assert_eq!(stream(both, more), (190, 60));
}

#[test]
fn a_count_beside_words_is_a_running_one_until_the_words_end() {
    let chunk = |reason: &str, tokens: u64| {
        format!(
            r#"{{"model":"gemini-3-pro","choices":[{{"delta":{{"content":"word"}},"finish_reason":{reason}}}],
            "usage":{{"prompt_tokens":10,"completion_tokens":{tokens}}}}}"#
        )
    };
    let (meter, _) = events(Dialect::OpenAiChat, &[&chunk("null", 1), &chunk("null", 2)]);
    assert!(!meter.reading().counted_to_its_end);
    let (meter, _) = events(Dialect::OpenAiChat, &[&chunk("null", 1), &chunk("\"stop\"", 2)]);
    assert!(meter.reading().counted_to_its_end);
    assert_eq!(meter.reading().usage.unwrap().output, Tokens(2));
    for last in [r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#, "[DONE]"] {
        let (meter, _) = events(Dialect::OpenAiChat, &[&chunk("null", 1), last]);
        assert!(meter.reading().counted_to_its_end, "{last}");
    }
}

#[test]
fn nothing_that_a_provider_says_makes_a_row_that_no_ledger_takes() {
    let long = "a-111".repeat(100);
    let meter = openai_body(&format!(
        r#"{{"model":"{long}","service_tier":"{long}","usage":{{"prompt_tokens":2000000000000,"completion_tokens":1}}}}"#
    ));
    let reading = meter.reading();
    assert_eq!((reading.usage, &reading.model, &reading.service_tier), (None, &None, &None));
    let meter = anthropic_body(r#"{"input_tokens":1,"output_tokens":18446744073709551615}"#);
    assert_eq!(meter.reading().usage, None);
}

/// A request around some content.
fn around(content: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":[{content}]}}]}}"#)
}

fn estimate_of(body: &str) -> u64 {
    estimate_input(body.as_bytes()).0
}

#[test]
fn a_picture_in_a_request_is_estimated_as_one_and_not_as_text() {
    let picture = "iVBORw0KGgo/AAA+".repeat(20_000);
    let text = around(r#"{"type":"text","text":"what is this?"}"#);
    assert_eq!(estimate_of(&text), (text.len() as u64).div_ceil(4));
    let rest = "AAA+/bbb".repeat(20_000);
    for content in [
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#),
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image\/heic;base64,{rest}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"{picture}"}}}}"#),
        format!(r#"{{"type":"file","file":{{"file_data":"{}"}}}}"#, picture.replace('/', r"\/")),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"/9j/4AAQ{rest}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"\/9j\/4AAQ{rest}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"_9j_4AAQ{rest}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"R0lGODlh{rest}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","data":"UklGRiQAAABXRUJQ{rest}"}}}}"#),
    ] {
        let estimate = estimate_of(&around(&content));
        assert!((1_600..1_700).contains(&estimate), "{estimate} of {content:.80}");
    }
    let two = around(&format!(r#"{{"url":"{picture}"}},{{"url":"{picture}"}}"#));
    assert!((3_200..3_300).contains(&estimate_of(&two)));
    // Prose stays text, however long, and so does a short token.
    let prose = around(&format!(r#"{{"type":"text","text":"{}"}}"#, "word after word ".repeat(20_000)));
    assert_eq!(estimate_of(&prose), (prose.len() as u64).div_ceil(4));
    let key = around(&format!(r#"{{"type":"text","text":"{}"}}"#, &picture[..4_000]));
    assert_eq!(estimate_of(&key), (key.len() as u64).div_ceil(4));
}

/// Settlement takes at most four times an estimate for a call's: the hundred pages of a document that counted as one
/// picture were then somebody else's.
#[test]
fn a_document_or_a_sound_in_a_request_is_estimated_by_its_bytes() {
    let rest = "AAA+/bbb".repeat(20_000);
    for data in [
        format!("data:application/pdf;base64,JVBERi0xLjcK{rest}"),
        format!("JVBERi0xLjcK{rest}"),
        // RIFF, as WebP is, and then WAVE.
        format!("UklGRiQAAABXQVZF{rest}"),
        format!("data:audio/wav;base64,UklGRiQAAABXQVZF{rest}"),
        format!("SUQzBAAAAAAA{rest}"),
        rest.clone(),
    ] {
        let body = around(&format!(r#"{{"type":"file","file":{{"file_data":"{data}"}}}}"#));
        assert_eq!(estimate_of(&body), (body.len() as u64).div_ceil(4), "{data:.40}");
    }
}
