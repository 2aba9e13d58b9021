//! One spelling per model, for bills and for proxied calls.
//!
//! A bill says `Claude4.6Sonnet`, `Claude Sonnet 4.6 (Amazon Bedrock Edition)` or
//! `us.anthropic.claude-sonnet-4-6-20260217-v1:0`; the vendor says `claude-sonnet-4-6`. All become
//! `claude-sonnet-4-6`: lower case, words joined by hyphens, no vendor, no date, no revision.

use std::borrow::Cow;

use super::words::words;

/// First words of model names, and who makes those models.
const VENDORS: &[(&str, &str)] = &[
    ("claude", "anthropic"),
    ("nova", "amazon"),
    ("titan", "amazon"),
    ("rerank", "amazon"),
    ("llama", "meta"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("pixtral", "mistral"),
    ("magistral", "mistral"),
    ("ministral", "mistral"),
    ("devstral", "mistral"),
    ("voxtral", "mistral"),
    ("codestral", "mistral"),
    ("gpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("qwen", "qwen"),
    ("gemma", "google"),
    ("gemini", "google"),
    ("deepseek", "deepseek"),
    ("grok", "xai"),
    ("command", "cohere"),
    ("embed", "cohere"),
    ("phi", "microsoft"),
    ("jamba", "ai21"),
    ("jurassic", "ai21"),
    ("stable", "stability"),
    ("sd3", "stability"),
    ("sdxl", "stability"),
    ("ray", "luma"),
    ("palmyra", "writer"),
    ("minimax", "minimax"),
    ("kimi", "moonshot"),
    ("glm", "zai"),
    ("nemotron", "nvidia"),
    ("marengo", "twelvelabs"),
    ("pegasus", "twelvelabs"),
    ("granite", "ibm"),
    ("solar", "upstage"),
];

/// Vendors as bills and model ids write them.
const VENDOR_NAMES: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("amazon", "amazon"),
    ("meta", "meta"),
    ("mistral", "mistral"),
    ("mistralai", "mistral"),
    ("mistral ai", "mistral"),
    ("openai", "openai"),
    ("qwen", "qwen"),
    ("alibaba", "qwen"),
    ("google", "google"),
    ("deepseek", "deepseek"),
    ("xai", "xai"),
    ("cohere", "cohere"),
    ("ai21", "ai21"),
    ("ai21 labs", "ai21"),
    ("stability", "stability"),
    ("stability ai", "stability"),
    ("luma", "luma"),
    ("luma ai", "luma"),
    ("lumaai", "luma"),
    ("writer", "writer"),
    ("minimax", "minimax"),
    ("moonshot", "moonshot"),
    ("moonshotai", "moonshot"),
    ("moonshot ai", "moonshot"),
    ("zai", "zai"),
    ("z ai", "zai"),
    ("nvidia", "nvidia"),
    ("twelvelabs", "twelvelabs"),
    ("twelve labs", "twelvelabs"),
    ("ibm", "ibm"),
    ("microsoft", "microsoft"),
    ("upstage", "upstage"),
];

/// What Bedrock Marketplace listings end their names with.
const EDITION: &str = "(Amazon Bedrock Edition)";

/// Prefixes of inference profiles, which choose a route and not a model.
const ROUTES: [&str; 10] = ["us", "eu", "apac", "jp", "au", "in", "ca", "us-gov", "global", "regional"];

/// The common spelling of a model's name; `None` for a text without a word.
#[must_use]
pub fn canonical(name: &str) -> Option<String> {
    let name = name.trim();
    let name = name.strip_suffix(EDITION).unwrap_or(name);
    let name = without_dotted_prefixes(name);
    canonical_words(words(name))
}

/// The common spelling of a model whose name was already taken apart.
pub(super) fn canonical_words(mut words: Vec<String>) -> Option<String> {
    join_pairs(&mut words);
    let vendor_first =
        words.first().is_some_and(|first| vendor_named(first).is_some() && vendor_of(first).is_none());
    if vendor_first && words.len() > 1 {
        // "Anthropic Claude …", "Cohere Embed …": the vendor has a field of its own. Qwen, Mistral and others
        // named models after themselves.
        words.remove(0);
    }
    drop_revision(&mut words);
    drop_point_zero(&mut words);
    order_claude(&mut words);
    (!words.is_empty()).then(|| words.join("-"))
}

/// The family of a canonical name: without a snapshot's date or number, and without words for how finished it is. Azure's and
/// Google's bills name families (`gpt-4o-0806` names no year, `Gemini 3 Flash` no preview), calls name snapshots.
#[must_use]
pub fn undated(canonical: &str) -> String {
    let words: Vec<&str> = canonical.split('-').collect();
    let at = |place: usize| words.get(place).copied().unwrap_or_default();
    let is_part = |word: &str, most: u32| {
        word.len() == 2 && is_number(word) && word.parse::<u32>().is_ok_and(|part| (1..=most).contains(&part))
    };
    let is_year = |word: &str| word.len() == 4 && word.starts_with("20") && is_number(word);
    let is_month_and_day = |word: &str| {
        let parts = word.get(..2).zip(word.get(2..));
        word.len() == 4 && parts.is_some_and(|(month, day)| is_part(month, 12) && is_part(day, 31))
    };
    let is_numbered = canonical.starts_with("gemini-") && !canonical.contains("embedding");
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut place = 0;
    while place < words.len() {
        let word = at(place);
        place += if place == 0 {
            kept.push(word);
            1
        } else if is_year(word) && is_part(at(place + 1), 12) && is_part(at(place + 2), 31) {
            3
        } else if is_part(word, 12) && is_year(at(place + 1)) {
            2
        } else if matches!(word, "preview" | "exp") {
            if is_part(at(place + 1), 12) && is_part(at(place + 2), 31) { 3 } else { 1 }
        } else if matches!(word, "latest" | "default")
            || is_month_and_day(word)
            || (word.len() == 8 && word.starts_with("20") && is_number(word))
            || (is_numbered && word.len() == 3 && word.starts_with("00") && is_number(word))
        {
            1
        } else {
            kept.push(word);
            1
        };
    }
    kept.join("-")
}

/// Names of Bedrock's ids that its bills write otherwise, in the common spelling of both.
const SOLD_AS: &[(&str, &str)] = &[
    ("titan-embed-text-v2", "titan-embedding-v2"),
    ("titan-text-lite", "titan-text-g1-lite"),
    ("titan-text-express", "titan-text-g1-express"),
    ("mistral-small-2402", "mistral-small"),
    ("mistral-large-2402", "mistral-large"),
];

/// The name that a bill of AWS' has for what a call or the catalogue names by an id of Bedrock's, such as
/// `arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.meta.llama3-1-70b-instruct-v1:0`: bills write neither
/// paths nor revisions, nor that a model follows instructions.
#[must_use]
pub fn sold_by_bedrock(id: &str) -> Option<String> {
    let id = id.trim();
    let id = if id.starts_with("arn:") { id.rsplit('/').next().unwrap_or(id) } else { id };
    let (mut id, mut is_revised) = (id, false);
    // The revision, and the variant of a context size behind it: `:0`, `:0:48k`.
    while let Some((rest, end)) = id.rsplit_once(':')
        && is_number(end.strip_suffix('k').unwrap_or(end))
    {
        (id, is_revised) = (rest, true);
    }
    for first in ["-v0", "-v1"] {
        id = id.strip_suffix(first).unwrap_or(id);
    }
    // `gpt-oss-120b-1:0`: the release of a size.
    if is_revised
        && let Some((size, "1")) = id.rsplit_once('-')
        && size.ends_with('b')
    {
        id = size;
    }
    // Its vendor's name is the model's own.
    let id = match id.split_once("deepseek.") {
        Some((route, model)) if route.is_empty() || route.ends_with('.') => {
            Cow::Owned(format!("deepseek-{model}"))
        }
        _ => Cow::Borrowed(id),
    };
    let name = canonical(&id)?;
    let is_claude = name.starts_with("claude-");
    let is_kept = |word: &&str| !(is_claude && (is_revision(word) || word.len() == 8 && is_number(word)));
    let name = name.split('-').filter(is_kept).collect::<Vec<_>>().join("-");
    let name = name.strip_suffix("-instruct").unwrap_or(&name);
    let sold = SOLD_AS.iter().find(|(id, _)| *id == name).map_or(name, |(_, sold)| *sold);
    Some(sold.to_owned())
}

/// Who makes a model, by its canonical name.
#[must_use]
pub fn vendor_of(model: &str) -> Option<&'static str> {
    let first = model.split('-').next().unwrap_or_default();
    VENDORS.iter().find(|(word, _)| *word == first).map(|(_, vendor)| *vendor)
}

/// The vendor of a given name, as in a bill's `provider`.
#[must_use]
pub fn vendor_named(name: &str) -> Option<&'static str> {
    let spelled = words(name).join(" ");
    VENDOR_NAMES.iter().find(|(known, _)| *known == spelled).map(|(_, vendor)| *vendor)
}

/// `us.anthropic.claude-…` without route and vendor. A dot inside a version (`Nova2.0`) is left alone.
fn without_dotted_prefixes(mut name: &str) -> &str {
    while let Some((prefix, rest)) = name.split_once('.') {
        let known = ROUTES.contains(&prefix) || vendor_named(prefix).is_some();
        if !known || rest.is_empty() {
            break;
        }
        name = rest;
    }
    name
}

/// Names that their own spelling tears apart.
fn join_pairs(words: &mut Vec<String>) {
    for (first, second) in [("deep", "seek"), ("mini", "max"), ("open", "ai")] {
        let found = words.windows(2).position(|pair| matches!(pair, [a, b] if a == first && b == second));
        if let Some(at) = found {
            words.remove(at + 1);
            if let Some(word) = words.get_mut(at) {
                word.push_str(second);
            }
        }
    }
}

/// Takes off `-20260217`, `-v1:0` and `-v1` at the end.
fn drop_revision(words: &mut Vec<String>) {
    let ends =
        |words: &[String], back: usize| words.len().checked_sub(back).and_then(|at| words.get(at)).cloned();
    if ends(words, 1).is_some_and(|last| last == "0") && ends(words, 2).is_some_and(|word| is_revision(&word))
    {
        words.truncate(words.len().saturating_sub(2));
    } else if words.len() > 3 && ends(words, 1).is_some_and(|last| last == "v1") {
        words.truncate(words.len().saturating_sub(1));
    }
    if ends(words, 1).is_some_and(|last| last.len() == 8 && last.starts_with("20") && is_number(&last)) {
        words.truncate(words.len().saturating_sub(1));
    }
}

/// `Nova 2.0 Lite` is `nova-2-lite`: nobody writes the zero in the model's id.
fn drop_point_zero(words: &mut Vec<String>) {
    let found =
        words.windows(2).position(|pair| matches!(pair, [major, zero] if is_number(major) && zero == "0"));
    if let Some(at) = found {
        words.remove(at + 1);
    }
}

/// Anthropic put the version before the family up to Claude 3 and after it since Claude 4.
fn order_claude(words: &mut Vec<String>) {
    if words.first().is_none_or(|first| first != "claude") {
        return;
    }
    let (versions, families): (Vec<String>, Vec<String>) = words.drain(1..).partition(|word| is_number(word));
    let old = versions.first().and_then(|major| major.parse::<u8>().ok()).is_some_and(|major| major < 4);
    if old {
        words.extend(versions);
        words.extend(families);
    } else {
        words.extend(families);
        words.extend(versions);
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_revision(word: &str) -> bool {
    word.strip_prefix('v').is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_model_is_one_name() {
        for (wanted, spellings) in [
            (
                "claude-sonnet-4-6",
                &[
                    "Claude4.6Sonnet",
                    "Claude Sonnet 4.6 (Amazon Bedrock Edition)",
                    "claude-sonnet-4-6",
                    "us.anthropic.claude-sonnet-4-6-20260217-v1:0",
                    "global.anthropic.claude-sonnet-4-6",
                ][..],
            ),
            (
                "claude-3-5-haiku",
                &["Claude3-5Haiku", "Claude 3.5 Haiku", "anthropic.claude-3-5-haiku-20241022-v1:0"],
            ),
            ("claude-3-haiku", &["Claude3Haiku", "claude-3-haiku-20240307"]),
            ("nova-2-lite", &["Nova2.0Lite", "Nova 2 Lite", "amazon.nova-2-lite-v1:0"]),
            ("gpt-oss-120b", &["gpt-oss-120b", "openai.gpt-oss-120b"]),
            ("qwen-3-32b", &["Qwen3-32B", "qwen.qwen3-32b"]),
            ("llama-3-1-405b", &["Llama3-1-405B", "Llama 3.1 405B", "meta.llama3-1-405b"]),
            ("deepseek-r1", &["DeepSeek-R1", "DeepSeek R1"]),
            ("embed-v4", &["Cohere Embed v4 (Amazon Bedrock Edition)", "Embed v4"]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling).as_deref(), Some(wanted), "{spelling}");
            }
        }
        assert_eq!(canonical(" "), None);
    }

    #[test]
    fn an_id_of_bedrocks_is_what_its_bills_sell() {
        for (id, sold) in [
            ("meta.llama3-1-70b-instruct-v1:0", "llama-3-1-70b"),
            ("us.meta.llama4-maverick-17b-instruct-v1:0", "llama-4-maverick-17b"),
            ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
            ("openai.gpt-5.6-luna", "gpt-5-6-luna"),
            ("us.deepseek.r1-v1:0", "deepseek-r1"),
            ("deepseek.v3-v1:0", "deepseek-v3"),
            ("mistral.mixtral-8x7b-instruct-v0:1", "mixtral-8x7b"),
            ("mistral.mistral-7b-instruct-v0:2", "mistral-7b"),
            ("mistral.mistral-small-2402-v1:0", "mistral-small"),
            ("amazon.titan-embed-text-v2:0", "titan-embedding-v2"),
            ("amazon.titan-text-lite-v1", "titan-text-g1-lite"),
            ("amazon.nova-pro-v1:0:300k", "nova-pro"),
            ("global.amazon.nova-2-lite-v1:0", "nova-2-lite"),
            ("nvidia.nemotron-nano-9b-v2:0", "nemotron-nano-9b-v2"),
            ("qwen.qwen3-32b-v1:0", "qwen-3-32b"),
            ("google.gemma-3-4b-it", "gemma-3-4b-it"),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
            ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5-haiku"),
            ("us.anthropic.claude-sonnet-4-6-20260217-v1:0", "claude-sonnet-4-6"),
            (
                "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-opus-5-v1:0",
                "claude-opus-5",
            ),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
                "claude-3-haiku",
            ),
            ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ] {
            assert_eq!(sold_by_bedrock(id).as_deref(), Some(sold), "{id}");
        }
    }

    #[test]
    fn a_family_is_a_name_without_what_dates_it() {
        for (name, family) in [
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o-0806", "gpt-4o"),
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
            ("gpt-4o-audio-preview-2024-12-17", "gpt-4o-audio"),
            ("gpt-5.6-sol", "gpt-5-6-sol"),
            ("o4-mini-20250416", "o4-mini"),
            ("gemini-2.5-flash-lite-preview-09-2025", "gemini-2-5-flash-lite"),
            ("gemini-2.5-pro-preview-05-06", "gemini-2-5-pro"),
            ("gemini-2.0-flash-001", "gemini-2-flash"),
            ("gemini-embedding-001", "gemini-embedding-001"),
            ("text-embedding-ada-002", "text-embedding-ada-002"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("claude-haiku-4-5", "claude-haiku-4-5"),
            ("google/gemini-3-flash-preview", "gemini-3-flash"),
        ] {
            assert_eq!(undated(&canonical(name).unwrap()), family, "{name}");
        }
    }

    #[test]
    fn a_model_names_its_vendor() {
        assert_eq!(vendor_of("claude-opus-5"), Some("anthropic"));
        assert_eq!(vendor_of("nova-2-lite"), Some("amazon"));
        assert_eq!(vendor_of("zebra-9"), None);
        assert_eq!(vendor_named("Mistral AI"), Some("mistral"));
    }
}
