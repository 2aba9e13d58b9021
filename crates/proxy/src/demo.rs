//! The built-in provider `demo/echo`: says back what it was told, in the vendor's own wire shapes.
//!
//! It makes the first call work without any vendor key, through the very path that every other call takes:
//! routed, metered, priced (at the demonstration prices of the catalogue) and recorded.

use bytes::Bytes;
use costlens_domain::providers::Dialect;
use serde_json::{Value, json};

use crate::usage::estimate_tokens;

/// A whole answer: content type and body frames.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) frames: Vec<Bytes>,
}

/// The longest call that is listened to, in bytes. A parsed one takes many times its size.
const LONGEST_CALL: usize = 256 << 10;
/// The most that is said back, in bytes: as a stream each word is an event, of a hundred times its size.
const LONGEST_ECHO: usize = 4 << 10;

/// Answers a call that [`crate::peek`] has already found to be one.
pub(crate) fn answer(
    dialect: Dialect,
    (body, stream): (&[u8], bool),
    model: &str,
    id: &str,
    created: i64,
) -> Answer {
    let is_heard = body.len() <= LONGEST_CALL;
    let call: Value =
        if is_heard { serde_json::from_slice(body).unwrap_or(Value::Null) } else { Value::Null };
    let heard = last_user_text(&call);
    let said = match heard.get(..heard.floor_char_boundary(LONGEST_ECHO)) {
        _ if !is_heard => "(too much was said)".to_owned(),
        None | Some("") => "(nothing was said)".to_owned(),
        Some(said) => said.to_owned(),
    };
    let input = estimate_tokens(if is_heard { all_text(&call).len() } else { body.len() } as u64).0;
    let output = estimate_tokens(said.len() as u64).0;
    let wants_usage = call.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false);
    let echo = Echo { model, id, created, said, input, output };
    match (dialect, stream) {
        (Dialect::OpenAiChat, false) => plain(&echo.openai()),
        (Dialect::OpenAiChat, true) => events(echo.openai_chunks(wants_usage)),
        (Dialect::AnthropicMessages, false) => plain(&echo.anthropic()),
        (Dialect::AnthropicMessages, true) => events(echo.anthropic_events()),
    }
}

struct Echo<'a> {
    model: &'a str,
    id: &'a str,
    created: i64,
    said: String,
    input: u64,
    output: u64,
}

impl Echo<'_> {
    fn openai_usage(&self) -> Value {
        let total = self.input.saturating_add(self.output);
        json!({"prompt_tokens": self.input, "completion_tokens": self.output, "total_tokens": total})
    }

    fn openai(&self) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": self.said, "refusal": null},
            }],
            "usage": self.openai_usage(),
        })
    }

    fn openai_chunks(&self, wants_usage: bool) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
                "choices": choices,
            });
            if wants_usage && let Some(chunk) = chunk.as_object_mut() {
                chunk.insert("usage".to_owned(), usage);
            }
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: Value, finish: Value| {
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
        };
        let mut out = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
        out.extend(words(&self.said).map(|word| delta(json!({"content": word}), Value::Null)));
        out.push(delta(json!({}), json!("stop")));
        if wants_usage {
            out.push(chunk(json!([]), self.openai_usage()));
        }
        out.push("data: [DONE]\n\n".to_owned());
        out
    }

    fn anthropic(&self) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": [{"type": "text", "text": self.said}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": self.input, "output_tokens": self.output},
        })
    }

    fn anthropic_events(&self) -> Vec<String> {
        let event = |data: &Value| {
            let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
            format!("event: {kind}\ndata: {data}\n\n")
        };
        let mut out = vec![
            event(&json!({"type": "message_start", "message": {
                "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
                "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": self.input, "output_tokens": 1},
            }})),
            event(
                &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ),
        ];
        out.extend(words(&self.said).map(|word| {
            let delta = json!({"type": "text_delta", "text": word});
            event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
        }));
        out.push(event(&json!({"type": "content_block_stop", "index": 0})));
        out.push(event(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": self.output},
        })));
        out.push(event(&json!({"type": "message_stop"})));
        out
    }
}

fn plain(answer: &Value) -> Answer {
    Answer { content_type: "application/json", frames: vec![answer.to_string().into()] }
}

fn events(events: Vec<String>) -> Answer {
    Answer {
        content_type: "text/event-stream; charset=utf-8",
        frames: events.into_iter().map(Bytes::from).collect(),
    }
}

/// Words with the space before them, as models stream them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

fn messages(call: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    call.get("messages").and_then(Value::as_array).into_iter().flatten()
}

fn last_user_text(call: &Value) -> String {
    let of_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    messages(call).rev().find(of_user).map(text_of).unwrap_or_default()
}

fn all_text(call: &Value) -> String {
    messages(call).map(text_of).collect()
}

/// A message's text, given plainly or in parts.
fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_to(text: &str, stream: bool) -> Answer {
        let call =
            json!({"model": "demo/echo", "stream": stream, "messages": [{"role": "user", "content": text}]});
        answer(Dialect::OpenAiChat, (call.to_string().as_bytes(), stream), "demo/echo", "demo-1", 0)
    }

    #[test]
    fn a_long_call_has_a_short_echo() {
        for length in [LONGEST_ECHO, LONGEST_CALL / 2, LONGEST_CALL * 4] {
            // Each space is a word of its own, and each word an event.
            let answer = said_to(&" ".repeat(length), true);
            assert!(answer.frames.len() <= LONGEST_ECHO + 4, "{} frames", answer.frames.len());
        }
        // Cut between two letters, wherever that is.
        let answer = said_to(&"\u{1f600}".repeat(LONGEST_ECHO), false);
        assert!(answer.frames.concat().len() < 2 * LONGEST_ECHO);
    }
}
