//! LiteLLM's `usage_object`, in disjoint classes. Its `prompt_tokens` hold what came from and went to a cache, for every
//! vendor; rows of versions that did not add Anthropic's are told by their parts being more than the whole.

use costlens_domain::imports::{Refusal, fresh_input};
use costlens_domain::{Tokens, Usage};
use serde_json::Value;

use super::row::{at, text};

/// A cell's count; `None` where there is none.
pub(super) fn count(cell: &Value) -> Result<Option<u64>, Refusal> {
    let Some(text) = text(cell) else { return Ok(None) };
    // Spreadsheets write a count as `12.0`.
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    whole.parse().map(Some).map_err(|_| Refusal::Tokens)
}

pub(super) fn usage(told: &Value) -> Result<Usage, Refusal> {
    let of = |path: &[&str]| count(at(told, path));
    let either = |one: &[&str], other: &[&str]| Ok::<_, Refusal>(of(one)?.or(of(other)?).unwrap_or_default());
    let (prompt, completion) =
        (of(&["prompt_tokens"])?.unwrap_or_default(), of(&["completion_tokens"])?.unwrap_or_default());
    let cached = either(&["prompt_tokens_details", "cached_tokens"], &["cache_read_input_tokens"])?;
    let written =
        either(&["cache_creation_input_tokens"], &["prompt_tokens_details", "cache_creation_tokens"])?;
    let hour = of(&["prompt_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"])?;
    let hour = hour.unwrap_or_default().min(written);
    let heard = of(&["prompt_tokens_details", "audio_tokens"])?.unwrap_or_default();
    let spoken = of(&["completion_tokens_details", "audio_tokens"])?.unwrap_or_default();
    let reasoning = of(&["completion_tokens_details", "reasoning_tokens"])?.unwrap_or_default();
    let searches = either(
        &["server_tool_use", "web_search_requests"],
        &["prompt_tokens_details", "web_search_requests"],
    )?;
    let parts = cached.saturating_add(written).saturating_add(heard);
    let output = completion.saturating_sub(spoken);
    Ok(Usage {
        fresh_input: Tokens(fresh_input(prompt, parts)),
        cache_read: Tokens(cached),
        cache_write_5m: Tokens(written - hour),
        cache_write_1h: Tokens(hour),
        output: Tokens(output),
        reasoning: Tokens(reasoning.min(output)),
        audio_input: Tokens(heard),
        audio_output: Tokens(spoken),
        web_searches: searches,
    })
}
