//! Which names mean the same model, without guessing.
//!
//! A vendor's dated snapshot (`claude-opus-4-1-20250805`), a cloud's path (`publishers/google/models/…`) and a
//! Bedrock version (`…-v1:0`) are recognised by their form. Anything else behind a known name, such as `-lite` or
//! `-tts`, is another model and stays unknown until the catalogue names it.

/// Paths under which vendors show their models: what follows the last of these is the name.
const PATHS: [&str; 4] = ["models/", ":inference-profile/", ":foundation-model/", ":default-prompt-router/"];

/// The name without the path a cloud puts before it.
pub(super) fn without_path<'a>(model: &'a str, provider_names: impl Iterator<Item = &'a str>) -> &'a str {
    for path in PATHS {
        if let Some((_, name)) = model.rsplit_once(path) {
            return name;
        }
    }
    for provider in provider_names {
        if let Some(name) = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')) {
            return name;
        }
    }
    model
}

/// Where Bedrock's profiles run, as their names begin, and what stands there in entries that hold for several of them.
const SCOPES: [&str; 10] = ["global", "regional", "us", "eu", "apac", "jp", "au", "ca", "in", "us-gov"];

/// The name without the part that says where a profile of Bedrock's runs.
pub(super) fn without_scope(name: &str) -> &str {
    match name.split_once('.') {
        Some((scope, rest)) if SCOPES.contains(&scope) => rest,
        _ => name,
    }
}

/// Whether the name means one model today and another tomorrow.
pub(super) fn moves(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("-latest")
}

/// The name with its last date or version taken off; `None` where the end is neither.
pub(super) fn without_version(name: &str) -> Option<&str> {
    let at = name.rfind(['-', ':', '@'])?;
    let (base, ending) = (name.get(..at)?, name.get(at + 1..)?);
    let separator = name.as_bytes().get(at).copied()?;
    if base.is_empty() || ending.is_empty() {
        return None;
    }
    if matches!(ending, "latest" | "preview" | "exp") {
        return Some(base);
    }
    if separator == b'@' && ending == "default" {
        return Some(base);
    }
    if ending.strip_prefix('v').is_some_and(is_digits) {
        return Some(base);
    }
    if separator == b':' && is_digits(ending.strip_suffix('k').unwrap_or(ending)) {
        return Some(base);
    }
    if !is_digits(ending) {
        return None;
    }
    match ending.len() {
        3..=8 => match last_part(base) {
            // 09-2025
            Some((rest, month)) if ending.len() == 4 && month.len() == 2 && is_digits(month) => Some(rest),
            _ => Some(base),
        },
        2 => {
            let (rest, month) = last_part(base)?;
            if month.len() != 2 || !is_digits(month) {
                return None;
            }
            match last_part(rest) {
                // 2025-08-07
                Some((before, year)) if year.len() == 4 && is_digits(year) => Some(before),
                // preview-05-20
                Some((_, "preview" | "exp")) => Some(rest),
                _ => None,
            }
        }
        _ => None,
    }
}

fn last_part(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('-').filter(|(rest, _)| !rest.is_empty())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_versions_come_off_and_other_words_do_not() {
        let cases = [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-opus-4-1-20250805", Some("claude-opus-4-1")),
            ("claude-opus-4-1@20250805", Some("claude-opus-4-1")),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some("us.anthropic.claude-sonnet-4-20250514-v1")),
            ("us.anthropic.claude-sonnet-4-20250514-v1", Some("us.anthropic.claude-sonnet-4-20250514")),
            ("amazon.nova-lite-v1:0:24k", Some("amazon.nova-lite-v1:0")),
            ("gemini-2.5-flash-lite-preview-09-2025", Some("gemini-2.5-flash-lite-preview")),
            ("gemini-2.5-pro-preview-05-06", Some("gemini-2.5-pro-preview")),
            ("gemini-2.0-flash-001", Some("gemini-2.0-flash")),
            ("claude-opus-5@default", Some("claude-opus-5")),
            ("claude-3-7-sonnet-latest", Some("claude-3-7-sonnet")),
            ("claude-opus-4-5", None),
            ("claude-opus-4-50", None),
            ("gemini-3.6-flash-lite", None),
            ("gemini-2.5-flash-tts", None),
            ("gpt-5-mini", None),
            ("-", None),
            ("", None),
            (":0", None),
            ("é-2024", Some("é")),
        ];
        for (name, base) in cases {
            assert_eq!(without_version(name), base, "{name}");
        }
    }

    #[test]
    fn paths_come_off_but_an_application_profile_keeps_its_own_name() {
        let cases = [
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("projects/p/locations/us/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0",
                "us.amazon.nova-lite-v1:0",
            ),
            ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
            (
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
            ),
            ("x-ai/grok-4.3", "grok-4.3"),
            ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ];
        for (model, name) in cases {
            assert_eq!(without_path(model, ["x-ai"].into_iter()), name, "{model}");
        }
    }

    #[test]
    fn a_profiles_scope_comes_off_and_a_vendors_name_does_not() {
        for (name, bare) in [
            ("global.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("us-gov.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
            ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
            ("gpt-4.1", "gpt-4.1"),
        ] {
            assert_eq!(without_scope(name), bare, "{name}");
        }
    }
}
