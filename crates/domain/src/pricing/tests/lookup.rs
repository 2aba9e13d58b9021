//! Names: what is the same model, what is not, and what a person probably meant.

use super::*;

#[test]
fn a_model_is_found_by_every_name_that_vendors_use_for_it() {
    let cases = [
        ("openai", "gpt-4o", "gpt-4o"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "gpt-6-sol-2026-09-01", "gpt-6-sol"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::abc123", "ft:gpt-4o"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "ft:gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("anthropic", "claude-opus-4-20250514", "claude-opus-4-0"),
        ("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("anthropic", "claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest"),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
        ("google", "gemini-2.5-pro-tts", "gemini-2.5-pro-tts"),
        ("google", "publishers/anthropic/models/claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("gemini", "gemini-2.0-flash-001", "gemini-2.0-flash"),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "bedrock",
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "bedrock",
            "global.anthropic.claude-sonnet-4-20250514-v1:0",
            "global.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "bedrock",
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
            "eu.amazon.nova-lite-v1:0",
        ),
        ("aws", "us.amazon.nova-lite-v1:0:300k", "amazon.nova-lite-v1:0"),
        ("bedrock", "eu.amazon.nova-2-lite-v1:0", "eu.amazon.nova-2-lite-v1:0"),
        ("google", "claude-opus-5@default", "claude-opus-5"),
        ("openai", "omni-moderation-2024-09-26", "moderation"),
        (
            "bedrock",
            "eu.anthropic.claude-3-5-sonnet-20240620-v1:0",
            "regional.anthropic.claude-3-5-sonnet-20240620-v1:0",
        ),
        ("xai", "grok-4-latest", "grok-4-0709"),
        ("x-ai", "grok-4.5-20260601", "grok-4.5"),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("demo", "demo/echo", "echo"),
    ];
    for (provider, model, id) in cases {
        assert_eq!(
            PRICES.find(provider, model).map(|entry| entry.id.as_str()),
            Some(id),
            "{provider} {model}"
        );
    }
}

#[test]
fn a_name_that_only_resembles_a_known_one_finds_nothing() {
    let cases = [
        ("openai", "gpt-4o-ultra"),
        ("bedrock", "eu.amazon.nova-premier-v1:0"),
        ("bedrock", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("anthropic", "claude-opus-4-50"),
        ("anthropic", "claude"),
        ("google", "gemini-3.6-flash-lite"),
        ("openai", ""),
        ("openai", "-"),
        ("openai", "models/"),
        ("", "gpt-4o"),
    ];
    for (provider, model) in cases {
        assert_eq!(PRICES.find(provider, model).map(|entry| &entry.id), None, "{provider} {model:?}");
    }
}

#[test]
fn the_maker_stands_first_among_the_providers_of_a_model() {
    assert_eq!(PRICES.providers_of("claude-opus-4-5"), ["anthropic", "google", "bedrock"]);
    assert_eq!(PRICES.providers_of("gpt-4o"), ["openai"]);
    assert_eq!(PRICES.providers_of("echo"), ["demo"]);
    assert!(PRICES.providers_of("gpt-99").is_empty());
}

#[test]
fn a_typing_error_is_answered_with_the_names_that_were_meant() {
    assert_eq!(PRICES.nearest("gpt4o", 1), ["gpt-4o"]);
    assert_eq!(PRICES.nearest("claude-opus-45", 1), ["claude-opus-4-5"]);
    let near = PRICES.nearest("gemini-2.5-flahs", 3);
    assert_eq!(near.first().map(String::as_str), Some("gemini-2.5-flash"));
    assert_eq!(near.len(), 3);
    assert!(PRICES.nearest("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", 3).is_empty());
    assert!(PRICES.nearest("gpt-4o", 0).is_empty());
}

#[test]
fn every_name_in_the_files_finds_the_entry_it_stands_in() {
    for entry in PRICES.models() {
        for name in std::iter::once(&entry.id).chain(&entry.names).chain(&entry.versions) {
            let found = PRICES.find(&entry.provider, name);
            assert_eq!(found.map(|found| &found.id), Some(&entry.id), "{} {name}", entry.provider);
        }
    }
}

#[test]
fn every_provider_is_covered_and_every_entry_says_where_it_comes_from() {
    let providers: Vec<&str> = PRICES.providers().collect();
    assert_eq!(
        providers,
        ["openai", "anthropic", "google", "mistral", "deepseek", "xai", "groq", "bedrock", "demo"]
    );
    for provider in &providers {
        assert!(PRICES.models().any(|entry| entry.provider == *provider), "{provider} has no model");
    }
    for entry in PRICES.models() {
        assert!(entry.source.len() > 20, "{} has no source", entry.price_id);
        assert!(
            entry.checked >= chrono::NaiveDate::from_ymd_opt(2026, 10, 1).expect("a day"),
            "{}",
            entry.price_id
        );
    }
}
