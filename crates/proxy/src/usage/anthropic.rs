//! Anthropic's messages. `input_tokens` excludes what was read from or written to the cache.
//!
//! A stream tells the input in `message_start` and cumulative counts in each `message_delta`: the last word on
//! each field wins, nothing is added up. Two things stand beside the counts: what compacting the conversation used,
//! which is billed and in none of them, and what makes their tokens dearer (a faster engine, a geography): that is kept
//! as a tier of its own, so that such a call has its own price or none, and never the ordinary one.

use std::borrow::Cow;

use costlens_domain::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EventKind, Reading, id_of, name_of, text_bytes_after};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
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
    model: Option<Cow<'a, str>>,
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
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    speed: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    inference_geo: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    iterations: Option<Vec<Iteration<'a>>>,
}

/// One run of a model within a call. Those of the message itself are in the counts beside them; others are not.
#[derive(Deserialize)]
struct Iteration<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
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

/// What compacting a conversation used.
#[derive(Debug, Default, Clone, Copy)]
struct Compaction {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_written: u64,
}

impl Compaction {
    fn of(iterations: &[Iteration<'_>]) -> Self {
        let mut sum = Self::default();
        for one in iterations.iter().filter(|one| one.kind.as_deref() == Some("compaction")) {
            let add = |sum: &mut u64, count: Option<u64>| *sum = sum.saturating_add(count.unwrap_or(0));
            add(&mut sum.input, one.input_tokens);
            add(&mut sum.output, one.output_tokens);
            add(&mut sum.cache_read, one.cache_read_input_tokens);
            add(&mut sum.cache_written, one.cache_creation_input_tokens);
        }
        sum
    }
}

/// The last word on what makes tokens dearer.
#[derive(Debug, Default, Clone)]
struct Served {
    tier: Option<String>,
    geo: Option<String>,
    is_fast: bool,
    by_several_models: bool,
}

impl Served {
    fn take(&mut self, usage: &WireUsage<'_>) {
        let update = |word: &mut Option<String>, told: Option<&Cow<'_, str>>| {
            if let Some(told) = told.and_then(|told| name_of(told)) {
                *word = Some(told);
            }
        };
        update(&mut self.tier, usage.service_tier.as_ref());
        update(&mut self.geo, usage.inference_geo.as_ref());
        if let Some(speed) = &usage.speed {
            self.is_fast = speed == "fast";
        }
        let another =
            |one: &Iteration<'_>| !matches!(one.kind.as_deref(), None | Some("message" | "compaction"));
        self.by_several_models |= usage.iterations.as_ref().is_some_and(|all| all.iter().any(another));
    }

    /// The tier as far as it changes the price: the served one, a faster engine's, or one in a geography that costs more;
    /// and a word that no price is known by where another model worked, too.
    fn tier(&self) -> Option<String> {
        if self.by_several_models {
            return Some("several_models".to_owned());
        }
        let tier = if self.is_fast { Some("fast") } else { self.tier.as_deref() };
        match self.geo.as_deref() {
            None | Some("global" | "not_available") => tier.map(str::to_owned),
            Some(geo) => name_of(&format!("{}/{geo}", tier.unwrap_or("standard"))),
        }
    }
}

/// The last word on each field.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    served: Served,
    compaction: Compaction,
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
        self.served.take(&usage);
        if let Some(tier) = self.served.tier() {
            reading.service_tier = Some(tier);
        }
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
        if let Some(iterations) = &usage.iterations {
            self.compaction = Compaction::of(iterations);
        }
    }

    fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let (mut five_minutes, mut hour) = (self.written_5m.unwrap_or(0), self.written_1h.unwrap_or(0));
        // The split by lifetime is told once, at the beginning, and more may be written later: it has the lifetime that
        // was told, and the default one of five minutes where none was, or both were.
        let told = five_minutes.saturating_add(hour);
        let untold = self
            .cache_written
            .unwrap_or(0)
            .saturating_sub(told)
            .saturating_add(self.compaction.cache_written);
        let lifetime = if hour > 0 && five_minutes == 0 { &mut hour } else { &mut five_minutes };
        *lifetime = lifetime.saturating_add(untold);
        let usage = Usage {
            fresh_input: Tokens(input.saturating_add(self.compaction.input)),
            cache_read: Tokens(self.cache_read.unwrap_or(0).saturating_add(self.compaction.cache_read)),
            cache_write_5m: Tokens(five_minutes),
            cache_write_1h: Tokens(hour),
            output: Tokens(output.saturating_add(self.compaction.output)),
            web_searches: self.web_searches.unwrap_or(0),
            ..Usage::default()
        };
        usage.is_plausible().then_some(usage)
    }
}

const TEXT_KEYS: &[&[u8]] = &[b"\"text\"", b"\"thinking\"", b"\"partial_json\""];

pub(super) fn read_body(body: &[u8], counts: &mut Counts, reading: &mut Reading) {
    if let Ok(message) = serde_json::from_slice::<Message<'_>>(body) {
        take_message(message, counts, reading);
        reading.usage = counts.usage();
        reading.counted_to_its_end = true;
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
                reading.counted_to_its_end = true;
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
    if let Some(model) = message.model.as_deref().and_then(name_of) {
        reading.model = Some(model);
    }
    if let Some(usage) = message.usage {
        counts.take(usage, reading);
    }
}

impl Counts {
    /// The input as `message_start` told it, for an estimate where the stream broke before its end.
    pub(super) fn input_so_far(&self) -> Option<Usage> {
        Some(Usage { output: Tokens(0), ..Counts { output: Some(0), ..self.clone() }.usage()? })
    }
}
