//! Bedrock's usage types. Five grammars are live at once (read 2026-11):
//!
//! ```text
//! A  USE1-<Model>-[text-](input|output)-tokens[-batch|-flex|-priority|-latency-optimized][-cross-region-global]
//!    USE1-<Model>-cache-(read|write)-input-token-count[-…][-long-context][-custom-model]
//! B  USE1-<vendor.model>-mantle-(input|output|cache-read|cache-write)-tokens[-5m|-30m|-1h][-long-ctx]-<tier>
//! C  USE1-MP:USE1_[Million][Batch][Cache(Read|Write[5m|30m|1h])](Input|Output)TokenCount[_Global][_Batch]-Units
//! D  USE1-MP:USE1_(input|output|cache_read|cache_write)_tokens[_1h][_long_ctx][_global]_(standard|batch)-Units
//! E  <Model>-ProvisionedThroughput-(NoCommit|1month)-ModelUnits, MP:…_Reserved_3Month_InputTPM_Global-Units
//! ```
//! As words they are one grammar: a model, then a phrase that begins with one of [`MARKERS`]. In C and D the
//! model is not in the usage type; the product map or the product's name says it. Cache phrases are tried
//! before input and output, because they contain the word input.

use std::borrow::Cow;

use super::models::{canonical, canonical_words, vendor_named, vendor_of};
use super::services::is_agent_core;
use super::units::tokens_per_unit;
use super::words::{contains, is_region, starts_with, without_region, words};
use super::{Category, Classification, LineKey, Meter, Routing, Tier, Verdict};

/// Where the model ends and what it was used for begins.
const MARKERS: &[&[&str]] = &[
    &["mantle"],
    &["cache"],
    &["input"],
    &["output"],
    &["text", "input"],
    &["text", "output"],
    &["speech", "input"],
    &["speech", "output"],
    &["audio", "input"],
    &["audio", "output"],
    &["image", "input"],
    &["image", "output"],
    &["video", "input"],
    &["provisioned", "throughput"],
    &["customization"],
    &["rft", "training"],
    &["nova", "grounding"],
    &["search", "units"],
    &["created", "image"],
    &["t2i"],
    &["t2v"],
    &["i2v"],
    &["latency", "optimized"],
    &["batch"],
];

/// Phrases that say what the line is, whatever the model; the first that fits wins.
const USES: &[(&[&str], Category, Meter)] = &[
    (&["guardrail"], Category::Guardrail, Meter::Units),
    (&["guardrails"], Category::Guardrail, Meter::Units),
    (&["provisioned", "throughput"], Category::Provisioned, Meter::Hours),
    (&["reserved"], Category::Provisioned, Meter::Units),
    (&["custom", "model", "import", "storage"], Category::Storage, Meter::Storage),
    (&["custommodelimport", "storage"], Category::Storage, Meter::Storage),
    (&["custom", "model", "import"], Category::Customization, Meter::Hours),
    (&["customization", "storage"], Category::Storage, Meter::Storage),
    (&["customization", "training"], Category::Customization, Meter::TrainingTokens),
    (&["customization"], Category::Customization, Meter::Units),
    (&["rft", "training"], Category::Customization, Meter::Hours),
    (&["cache", "storage"], Category::Storage, Meter::Storage),
    (&["nova", "grounding"], Category::Retrieval, Meter::Searches),
    (&["search", "units"], Category::Retrieval, Meter::Searches),
    (&["searchunits"], Category::Retrieval, Meter::Searches),
    (&["structured", "retrieve"], Category::Retrieval, Meter::Requests),
    (&["structuredretrieve"], Category::Retrieval, Meter::Requests),
    (&["knowledge", "base"], Category::Retrieval, Meter::Units),
    (&["data", "automation"], Category::DataAutomation, Meter::Units),
    (&["dataautomation"], Category::DataAutomation, Meter::Units),
    (&["invoke", "flow"], Category::Agents, Meter::Requests),
    (&["invokeflow"], Category::Agents, Meter::Requests),
    (&["bedrock", "flows"], Category::Agents, Meter::Requests),
    (&["bedrockflows"], Category::Agents, Meter::Requests),
    (&["optimize", "prompt"], Category::Inference, Meter::Requests),
    (&["optimizeprompt"], Category::Inference, Meter::Requests),
    (&["prompt", "routing"], Category::Inference, Meter::Requests),
    (&["evaluation"], Category::Evaluation, Meter::Units),
    (&["evaluations"], Category::Evaluation, Meter::Units),
    (&["model", "evaluation"], Category::Evaluation, Meter::Units),
];

/// Phrases of inference, tried in order: cache before input, pictures and sound before text.
const METERS: &[(&[&[&str]], Meter)] = &[
    (&[&["cache", "read"]], Meter::CacheRead),
    (&[&["cache", "write"], &["1h"]], Meter::CacheWrite1h),
    (&[&["cache", "write"], &["30m"]], Meter::CacheWrite30m),
    (&[&["cache", "write"]], Meter::CacheWrite5m),
    (&[&["created", "image"]], Meter::Images),
    (&[&["t2i"]], Meter::Images),
    (&[&["t2v"]], Meter::MediaTime),
    (&[&["i2v"]], Meter::MediaTime),
    (&[&["image"], &["output"]], Meter::ImageOutput),
    (&[&["image"], &["input"]], Meter::ImageInput),
    (&[&["speech"], &["output"]], Meter::AudioOutput),
    (&[&["speech"], &["input"]], Meter::AudioInput),
    (&[&["audio"], &["output"]], Meter::AudioOutput),
    (&[&["audio"], &["input"]], Meter::AudioInput),
    (&[&["video"], &["input"]], Meter::VideoInput),
    (&[&["output"]], Meter::Output),
    (&[&["input"]], Meter::FreshInput),
];

/// Models that are named without saying what is counted: what they make is known, tokens of them are not.
const MAKERS: &[(&str, Meter)] = &[
    ("canvas", Meter::Images),
    ("imagegenerator", Meter::Images),
    ("sonic", Meter::Units),
    ("embedding", Meter::Units),
];

/// AgentCore's components and what they count.
const AGENT_CORE: &[(&str, Meter)] = &[
    ("vcpu", Meter::Hours),
    ("storage", Meter::Storage),
    ("retrieval", Meter::Requests),
    ("search-api", Meter::Requests),
    ("api", Meter::Requests),
    ("short-term-memory", Meter::Requests),
    (":memory", Meter::Hours),
];

/// A line of Bedrock, of a Bedrock Marketplace listing, or of AgentCore.
pub(super) fn classify(key: &LineKey<'_>) -> Classification {
    if is_agent_core(key) {
        return agent_core(key);
    }
    let usage = without_region(key.usage_type);
    let (in_usage, phrase) = match usage.strip_prefix("MP:") {
        Some(rest) => (None, marketplace_words(rest)),
        None => split_model(usage),
    };
    let mut class = read_phrase(&phrase)
        .or_else(|| by_maker(usage))
        .unwrap_or_else(|| Classification::not_understood("bedrock"));
    class.custom_model = contains(&phrase, &["custom", "model"]);
    class.tier = tier(&phrase, key.feature);
    class.routing = routing(&phrase);
    class.long_context = contains(&phrase, &["long"]) || contains(&phrase, &["lctx"]);
    if class.meter.counts_tokens() {
        class.tokens_per_unit = tokens_per_unit(key.pricing_unit, key.usage_type, key.description);
    }
    class.model = canonical(key.model).or(in_usage).or_else(|| edition(key.product_name));
    class.vendor =
        vendor_named(key.provider).or_else(|| class.model.as_deref().and_then(vendor_of)).map(Cow::Borrowed);
    let needs_model = class.category == Category::Inference && class.meter.counts_tokens();
    if needs_model && (class.model.is_none() || class.vendor.is_none()) {
        class.understood = false;
    }
    class
}

/// What a phrase pays for; `None` where no rule knows it.
fn read_phrase(phrase: &[String]) -> Option<Classification> {
    if let Some((_, category, meter)) = USES.iter().find(|(wanted, ..)| contains(phrase, wanted)) {
        return Some(Classification::of(Verdict::Ai, "bedrock", *category, *meter));
    }
    METERS
        .iter()
        .find(|(wanted, _)| wanted.iter().all(|wanted| contains(phrase, wanted)))
        .map(|(_, meter)| Classification::of(Verdict::Ai, "bedrock", Category::Inference, *meter))
}

/// What a model is paid for that makes one kind of thing.
fn by_maker(usage: &str) -> Option<Classification> {
    let joined = words(usage).concat();
    let (_, meter) = MAKERS.iter().find(|(maker, _)| joined.contains(maker))?;
    Some(Classification::of(Verdict::Ai, "bedrock", Category::Inference, *meter))
}

/// Grammars A, B and E: the model's canonical name and the words after it.
fn split_model(usage: &str) -> (Option<String>, Vec<String>) {
    // `openai.gpt-5.6-luna`: the vendor before the dot is no part of the name, save where the rest is no name without it
    // (`deepseek.v3.2`).
    let rest = usage.split_once('.').filter(|(vendor, _)| vendor_named(vendor).is_some());
    let all = match rest.map(|(_, rest)| words(rest)) {
        Some(rest) if rest.first().is_some_and(|first| vendor_of(first).is_some()) => rest,
        _ => words(usage),
    };
    let marker = (1..all.len())
        .find(|at| all.get(*at..).is_some_and(|rest| MARKERS.iter().any(|marker| starts_with(rest, marker))));
    match marker {
        Some(at) => {
            let phrase = all.get(at..).unwrap_or_default().to_vec();
            let name = all.get(..at).unwrap_or_default().to_vec();
            // `Customization-Training`, `CustomModelImport-…`, `Guardrail-…` stand without a model.
            let nameless = USES.iter().any(|(wanted, ..)| starts_with(&name, wanted));
            if nameless { (None, all) } else { (canonical_words(name), phrase) }
        }
        None => (None, all),
    }
}

/// Grammars C, D and the Marketplace part of E: what stands between the region and `-Units`.
fn marketplace_words(rest: &str) -> Vec<String> {
    let rest = rest.strip_suffix("-Units").unwrap_or(rest);
    let rest = match rest.split_once('_') {
        Some((region, rest)) if is_region(region) => rest,
        _ => rest,
    };
    words(rest)
}

/// The model that a Marketplace listing is named after.
fn edition(product_name: &str) -> Option<String> {
    product_name.trim_end().ends_with("(Amazon Bedrock Edition)").then(|| canonical(product_name)).flatten()
}

fn tier(phrase: &[String], feature: &str) -> Tier {
    let says = |wanted: &[&str]| contains(phrase, wanted);
    if says(&["reserved"]) || says(&["provisioned"]) {
        Tier::Reserved
    } else if says(&["batch"]) {
        Tier::Batch
    } else if says(&["flex"]) {
        Tier::Flex
    } else if says(&["priority"]) {
        Tier::Priority
    } else if says(&["latency", "optimized"]) {
        Tier::LatencyOptimized
    } else if words(feature).iter().any(|word| word == "batch") {
        Tier::Batch
    } else {
        Tier::Standard
    }
}

fn routing(phrase: &[String]) -> Routing {
    if contains(phrase, &["global"]) {
        Routing::Global
    } else if contains(phrase, &["geo"]) {
        Routing::Geo
    } else {
        Routing::Regional
    }
}

fn agent_core(key: &LineKey<'_>) -> Classification {
    let lower = without_region(key.usage_type).to_ascii_lowercase();
    match AGENT_CORE.iter().find(|(part, _)| lower.contains(part)) {
        Some((_, meter)) => Classification::of(Verdict::Ai, "bedrock_agentcore", Category::Agents, *meter),
        None => Classification::not_understood("bedrock_agentcore"),
    }
}
