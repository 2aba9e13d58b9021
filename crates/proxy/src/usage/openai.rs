//! OpenAI's chat completions, as OpenAI and everyone compatible with it writes them.
//!
//! `prompt_tokens` includes what came from the cache and audio; `completion_tokens` includes reasoning at OpenAI,
//! while xAI and Google count reasoning apart and tell it only in `total_tokens`.

use costlens_domain::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EventKind, Reading, id_of, name_of, text_bytes_after};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    service_tier: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Some servers write an empty reason as long as there is none.
    fn is_finished(&self) -> bool {
        self.finish_reason.is_some_and(|reason| reason.get() != "\"\"")
    }
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's spelling of cached input.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[expect(clippy::struct_field_names, reason = "the vendor's names")]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
    #[serde(default, alias = "cache_creation_tokens")]
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

impl WireUsage {
    /// `None` where neither side was counted: an empty object is no zero.
    fn usage(self) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        let prompt = Tokens(self.prompt_tokens.unwrap_or(0));
        let completion = Tokens(self.completion_tokens.unwrap_or(0));
        let details = self.prompt_tokens_details.unwrap_or_default();
        let cached = Tokens(details.cached_tokens.or(self.prompt_cache_hit_tokens).unwrap_or(0));
        let written = Tokens(details.cache_write_tokens.unwrap_or(0));
        let audio_input = Tokens(details.audio_tokens.unwrap_or(0));
        let out = self.completion_tokens_details.unwrap_or_default();
        let audio_output = Tokens(out.audio_tokens.unwrap_or(0));
        let reasoning = Tokens(out.reasoning_tokens.unwrap_or(0));
        // Only the total tells of reasoning that was counted apart.
        let apart =
            self.total_tokens.map_or(Tokens(0), |total| Tokens(total).minus(prompt).minus(completion));
        Some(Usage {
            fresh_input: prompt.minus(cached).minus(written).minus(audio_input),
            cache_read: cached,
            cache_write_5m: written,
            cache_write_1h: Tokens(0),
            output: completion.plus(apart).minus(audio_output),
            reasoning: Tokens(reasoning.0.max(apart.0)),
            audio_input,
            audio_output,
            web_searches: 0,
        })
    }
}

const TEXT_KEYS: &[&[u8]] = &[b"\"content\"", b"\"reasoning_content\"", b"\"arguments\"", b"\"refusal\""];

pub(super) fn read_body(body: &[u8], reading: &mut Reading) {
    if let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) {
        take(answer, reading);
    }
    if reading.usage.is_none() {
        reading.output_text_bytes = text_bytes_after(body, TEXT_KEYS);
    }
    reading.finished = true;
    reading.counted_to_its_end = true;
}

pub(super) fn read_chunk(data: &[u8], reading: &mut Reading) -> EventKind {
    if data == b"[DONE]" {
        reading.finished = true;
        reading.counted_to_its_end = true;
        return EventKind::Terminal;
    }
    reading.output_text_bytes = reading.output_text_bytes.saturating_add(text_bytes_after(data, TEXT_KEYS));
    // Parsing is for the first chunk (who answers) and for those that carry a count or an error; the hundreds in
    // between are only passed on.
    if reading.model.is_some() && !carries_usage(data) && memchr::memmem::find(data, b"\"error\"").is_none() {
        return EventKind::Ordinary;
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(data) else { return EventKind::Ordinary };
    let choices = answer.choices.as_deref();
    let only_usage = answer.usage.is_some() && choices.is_some_and(<[Choice<'_>]>::is_empty);
    // A count beside words is a running one, unless they were the last.
    let is_last = choices.is_none_or(|all| all.iter().all(Choice::is_finished));
    reading.counted_to_its_end = is_last && answer.usage.is_some() || reading.counted_to_its_end;
    take(answer, reading);
    if only_usage { EventKind::UsageOnly } else { EventKind::Ordinary }
}

/// True for `"usage":` followed by anything but `null`. Inside a JSON string the quotes would be escaped.
fn carries_usage(data: &[u8]) -> bool {
    memchr::memmem::find_iter(data, b"\"usage\"").any(|at| {
        let value = data.get(at + b"\"usage\"".len()..).unwrap_or_default().trim_ascii_start();
        value.strip_prefix(b":").is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

fn take(answer: Answer<'_>, reading: &mut Reading) {
    if let Some(id) = answer.id.and_then(id_of) {
        reading.response_id = Some(id);
    }
    if let Some(model) = answer.model.as_deref().and_then(name_of) {
        reading.model = Some(model);
    }
    if let Some(tier) = answer.service_tier.as_deref().and_then(name_of) {
        reading.service_tier = Some(tier);
    }
    if let Some(usage) = answer.usage.and_then(WireUsage::usage).filter(Usage::is_plausible) {
        reading.usage = Some(usage);
    }
    reading.failed |= answer.error.is_some();
}
