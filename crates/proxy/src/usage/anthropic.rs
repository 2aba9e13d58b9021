//! Anthropic's messages. `input_tokens` excludes what was read from or written to the cache.
//!
//! A stream tells the input in `message_start` and cumulative counts in each `message_delta`: the last word on
//! each field wins, nothing is added up.

use costlens_domain::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EventKind, Reading, id_of, text_bytes_after};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
}

#[derive(Deserialize)]
struct WireUsage<'a> {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    server_tool_use: Option<ServerToolUse>,
    #[serde(borrow, default)]
    service_tier: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: Option<u64>,
}

/// The last word on each field.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    written_5m: Option<u64>,
    written_1h: Option<u64>,
    web_searches: Option<u64>,
}

impl Counts {
    fn take(&mut self, usage: WireUsage<'_>, reading: &mut Reading) {
        let update = |field: &mut Option<u64>, told: Option<u64>| *field = told.or(*field);
        update(&mut self.input, usage.input_tokens);
        update(&mut self.output, usage.output_tokens);
        update(&mut self.cache_read, usage.cache_read_input_tokens);
        update(&mut self.cache_written, usage.cache_creation_input_tokens);
        if let Some(split) = usage.cache_creation {
            update(&mut self.written_5m, split.ephemeral_5m_input_tokens);
            update(&mut self.written_1h, split.ephemeral_1h_input_tokens);
        }
        update(&mut self.web_searches, usage.server_tool_use.and_then(|tools| tools.web_search_requests));
        if let Some(tier) = usage.service_tier {
            reading.service_tier = Some(tier.into_owned());
        }
    }

    fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let hour = self.written_1h.unwrap_or(0);
        // Without the split by lifetime, everything written has the default one of five minutes.
        let five_minutes =
            self.written_5m.unwrap_or_else(|| self.cache_written.unwrap_or(0).saturating_sub(hour));
        Some(Usage {
            fresh_input: Tokens(input),
            cache_read: Tokens(self.cache_read.unwrap_or(0)),
            cache_write_5m: Tokens(five_minutes),
            cache_write_1h: Tokens(hour),
            output: Tokens(output),
            web_searches: self.web_searches.unwrap_or(0),
            ..Usage::default()
        })
    }
}

const TEXT_KEYS: &[&[u8]] = &[b"\"text\"", b"\"thinking\"", b"\"partial_json\""];

pub(super) fn read_body(body: &[u8], counts: &mut Counts, reading: &mut Reading) {
    if let Ok(message) = serde_json::from_slice::<Message<'_>>(body) {
        take_message(message, counts, reading);
        reading.usage = counts.usage();
    }
    if reading.usage.is_none() {
        reading.output_text_bytes = text_bytes_after(body, TEXT_KEYS);
    }
    reading.finished = true;
}

pub(super) fn read_event(data: &[u8], counts: &mut Counts, reading: &mut Reading) -> EventKind {
    if is_delta(data) {
        reading.output_text_bytes =
            reading.output_text_bytes.saturating_add(text_bytes_after(data, TEXT_KEYS));
        return EventKind::Ordinary;
    }
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return EventKind::Ordinary };
    match event.kind.as_deref() {
        Some("message_start") => {
            if let Some(message) = event.message {
                take_message(message, counts, reading);
            }
            EventKind::Ordinary
        }
        Some("message_delta") => {
            if let Some(usage) = event.usage {
                counts.take(usage, reading);
                // Only now is the output counted to its end: `message_start` tells a first token or two.
                reading.usage = counts.usage();
            }
            EventKind::Ordinary
        }
        Some("message_stop") => {
            reading.finished = true;
            EventKind::Terminal
        }
        Some("error") => {
            reading.failed = true;
            EventKind::Terminal
        }
        _ => EventKind::Ordinary,
    }
}

/// The events in their hundreds, told apart without parsing: the vendor writes `type` first.
fn is_delta(data: &[u8]) -> bool {
    let head = data.get(..64).unwrap_or(data);
    memchr::memmem::find(head, b"content_block_delta").is_some()
}

fn take_message(message: Message<'_>, counts: &mut Counts, reading: &mut Reading) {
    if let Some(id) = message.id.and_then(id_of) {
        reading.response_id = Some(id);
    }
    if let Some(model) = message.model {
        reading.model = Some(model.into_owned());
    }
    if let Some(usage) = message.usage {
        counts.take(usage, reading);
    }
}

impl Counts {
    /// The input as `message_start` told it, for an estimate where the stream broke before its end.
    pub(super) fn input_so_far(&self) -> Option<Usage> {
        Some(Usage { output: Tokens(0), ..Counts { output: Some(0), ..*self }.usage()? })
    }
}
