//! What the fake vendor says: OpenAI's and Anthropic's own wire shapes, written by hand with the spacing, member
//! order and unknown members that a relay must not touch.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// Tokens as the vendors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Input that no cache had.
    pub fresh: u64,
    /// Input read from a cache.
    pub cached: u64,
    /// Input written to Anthropic's cache of five minutes.
    pub written_5m: u64,
    /// Input written to Anthropic's cache of one hour.
    pub written_1h: u64,
    /// Output, thoughts included.
    pub output: u64,
    /// The thoughts.
    pub reasoning: u64,
}

impl Tokens {
    /// Plain input and output.
    #[must_use]
    pub fn plain(fresh: u64, output: u64) -> Self {
        Self { fresh, output, ..Self::default() }
    }

    fn openai(&self) -> Value {
        let prompt = self.fresh + self.cached;
        json!({
            "prompt_tokens": prompt, "completion_tokens": self.output, "total_tokens": prompt + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning, "audio_tokens": 0},
        })
    }

    fn anthropic(&self) -> Value {
        json!({
            "input_tokens": self.fresh, "cache_read_input_tokens": self.cached,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m, "ephemeral_1h_input_tokens": self.written_1h,
            },
            "output_tokens": self.output, "service_tier": "standard",
        })
    }
}

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// The connection breaks after so many frames.
    BreaksAfter(usize),
}

/// One answer.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub frames: Vec<Bytes>,
    /// What it said it used; `None` where it said nothing.
    pub tokens: Option<Tokens>,
    pub before: Duration,
    pub between: Duration,
    pub end: End,
}

/// The words of every answer: some of more than one byte, some that JSON may write in several ways.
pub const WORDS: &[&str] = &["Grüße ", "aus ", "dem ", "Kassenbuch", ": ", "1 ", "< ", "2\\u00a0", "✓"];

impl Reply {
    /// The answer to a call in its own dialect, streamed if it asks for that.
    #[must_use]
    pub fn to(call: &Value, path: &str, tokens: Tokens) -> Self {
        let model = call["model"].as_str().unwrap_or_default();
        let stream = call["stream"] == true;
        let frames = match (path.ends_with("/messages"), stream) {
            (false, false) => vec![openai_body(model, tokens)],
            (false, true) => openai_events(model, tokens, call["stream_options"]["include_usage"] == true),
            (true, false) => vec![anthropic_body(model, tokens)],
            (true, true) => anthropic_events(model, tokens),
        };
        let kind = if stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        Self { tokens: Some(tokens), ..Self::of(200, kind, frames) }
    }

    /// The vendor's refusal.
    #[must_use]
    pub fn refusal(status: u16, body: &str) -> Self {
        Self::of(status, "application/json", vec![Bytes::copy_from_slice(body.as_bytes())])
    }

    fn of(status: u16, kind: &str, frames: Vec<Bytes>) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", kind.to_owned()),
                ("x-ratelimit-remaining-requests", "59".to_owned()),
            ],
            frames,
            tokens: None,
            before: Duration::ZERO,
            between: Duration::ZERO,
            end: End::Whole,
        }
    }

    /// The same, but late.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.before = wait;
        self
    }

    /// The same, with a rest between frames.
    #[must_use]
    pub fn paced(mut self, between: Duration) -> Self {
        self.between = between;
        self
    }

    /// The same, breaking off after so many frames.
    #[must_use]
    pub fn breaking_after(mut self, frames: usize) -> Self {
        self.end = End::BreaksAfter(frames);
        self
    }

    /// The body as it would arrive whole.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.frames.concat().into()
    }
}

fn openai_body(model: &str, tokens: Tokens) -> Bytes {
    let usage = tokens.openai();
    let text = WORDS.concat();
    format!(
        "{{\n  \"id\": \"chatcmpl-fake\", \"object\":\"chat.completion\",  \"created\": 1790000000,\n  \"model\": \
         \"{model}\", \"x_unknown\": {{\"price\": 1.50e1, \"n\": 12345678901234567890}},\n  \"choices\": [ \
         {{\"index\":0, \"message\": {{\"role\":\"assistant\", \"content\":\"{text}\", \"refusal\":null}}, \
         \"logprobs\":null, \"finish_reason\":\"stop\"}} ],\n  \"usage\": {usage}\n}}\n"
    )
    .into()
}

fn openai_events(model: &str, tokens: Tokens, with_usage: bool) -> Vec<Bytes> {
    let event = |choices: &str, usage: &str| {
        let usage = if with_usage { format!(", \"usage\": {usage}") } else { String::new() };
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-fake\", \"object\":\"chat.completion.chunk\",\"created\":1790000000, \
             \"model\":\"{model}\",\"choices\":[{choices}]{usage}}}\n\n"
        ))
    };
    let delta = |delta: &str, finish: &str| {
        event(&format!("{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{finish}}}"), "null")
    };
    let mut events = vec![delta("\"role\":\"assistant\",\"content\":\"\"", "null")];
    events.push(Bytes::from_static(b": a comment that keeps the line open\n\n"));
    events.extend(WORDS.iter().map(|word| delta(&format!("\"content\":\"{word}\""), "null")));
    events.push(delta("", "\"stop\""));
    if with_usage {
        events.push(event("", &tokens.openai().to_string()));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn anthropic_body(model: &str, tokens: Tokens) -> Bytes {
    let usage = tokens.anthropic();
    let text = WORDS.concat();
    format!(
        "{{\"id\":\"msg_fake\",\"type\":\"message\",  \"role\":\"assistant\",\"model\":\"{model}\",\n\
         \"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}], \"x_unknown\":[1.0, 2e0],\n\
         \"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{usage}}}"
    )
    .into()
}

fn anthropic_events(model: &str, tokens: Tokens) -> Vec<Bytes> {
    let event = |kind: &str, rest: &str| {
        Bytes::from(format!("event: {kind}\ndata: {{\"type\": \"{kind}\"{rest}}}\n\n"))
    };
    // The first event knows the whole input and the first token of the output.
    let begun = Tokens { output: 1, ..tokens }.anthropic();
    let mut events = vec![
        event(
            "message_start",
            &format!(
                ",\"message\":{{\"id\":\"msg_fake\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\
                 \"{model}\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{begun}}}"
            ),
        ),
        event("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}"),
        event("ping", ""),
    ];
    events.extend(WORDS.iter().map(|word| {
        let delta = format!(",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{word}\"}}");
        event("content_block_delta", &delta)
    }));
    events.push(event("content_block_stop", ",\"index\":0"));
    let output = tokens.output;
    events.push(event(
        "message_delta",
        &format!(
            ",\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{output}}}"
        ),
    ));
    events.push(event("message_stop", ""));
    events
}
