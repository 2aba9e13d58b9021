//! Google's SKUs: a service and a description, which for models is one of three grammars (read 2026-11):
//!
//! ```text
//! Gemini 2.5 Flash GA Text Input - Predictions        Gemini 3.7 Flash Global Thinking Text Output - Batch Predictions
//! Gemini 2.5 Flash GA Input Text Caching              Gemini 3 Flash Text Input Caching Storage
//! Generate content input token count gemini 2.5 flash short input text
//! Generate content cached input token count gemini 2.5 flash input image
//! Claude Sonnet 4.5 Input Tokens                      Vertex AI: Provisioned Throughput 1 month
//! ```
//!
//! As words they are one: a family's name begins the model, and one of [`ENDS`] ends it. In the second the direction is what
//! stands before `token count`; what comes behind the model says of which prompts, and may say `input` of output.

use std::borrow::Cow;

use super::counts::{counted, kind_of};
use super::models::{canonical_words, undated, vendor_of};
use super::words::{contains, words};
use super::{Category, Classification, LineKey, Meter, Routing, Tier, Verdict};

/// Families by which the makers of Google's own and partners' models are not known.
const OWN_FAMILIES: [&str; 5] = ["imagen", "veo", "lyria", "chirp", "medlm"];

/// What ends a model's name.
const ENDS: [&str; 44] = [
    "ga",
    "text",
    "txt",
    "input",
    "output",
    "image",
    "audio",
    "video",
    "thinking",
    "cached",
    "cache",
    "caching",
    "token",
    "tokens",
    "prediction",
    "predictions",
    "batch",
    "flex",
    "priority",
    "global",
    "regional",
    "short",
    "long",
    "context",
    "online",
    "tuning",
    "storage",
    "for",
    "in",
    "on",
    "hit",
    "hits",
    "read",
    "write",
    "writes",
    "standard",
    "native",
    "generation",
    "grounding",
    "usage",
    "per",
    "character",
    "characters",
    "preview",
];

/// What is said by a phrase, whatever the model; the first that fits wins.
const USES: &[(&[&str], Category, Meter)] = &[
    (&["provisioned", "throughput"], Category::Provisioned, Meter::Hours),
    (&["caching", "storage"], Category::Storage, Meter::Storage),
    (&["content", "storage"], Category::Storage, Meter::Storage),
    (&["cache", "storage"], Category::Storage, Meter::Storage),
    (&["grounding"], Category::Retrieval, Meter::Searches),
    (&["grounded"], Category::Retrieval, Meter::Searches),
];

/// The same of what names no model.
const MACHINES: &[(&[&str], Category, Meter)] = &[
    (&["vector", "search"], Category::Retrieval, Meter::Hours),
    (&["matching", "engine"], Category::Retrieval, Meter::Hours),
    (&["reasoning", "engine"], Category::Agents, Meter::Hours),
    (&["agent", "engine"], Category::Agents, Meter::Hours),
    (&["code", "execution"], Category::Agents, Meter::Hours),
    (&["feature", "store"], Category::Storage, Meter::Units),
    (&["pipelines"], Category::Development, Meter::Units),
    (&["pipeline"], Category::Development, Meter::Units),
    (&["workbench"], Category::Development, Meter::Hours),
    (&["notebook"], Category::Development, Meter::Hours),
    (&["notebooks"], Category::Development, Meter::Hours),
    (&["colab"], Category::Development, Meter::Hours),
    (&["training"], Category::Training, Meter::Hours),
    (&["custom", "job"], Category::Training, Meter::Hours),
    (&["prediction"], Category::Inference, Meter::Hours),
    (&["predictions"], Category::Inference, Meter::Hours),
    (&["embeddings"], Category::Inference, Meter::Units),
    (&["evaluation"], Category::Evaluation, Meter::Units),
    (&["labeling"], Category::Labelling, Meter::Objects),
];

/// Services that sell models and what they run on.
const MODEL_SERVICES: &[(&str, &str)] = &[
    ("vertex ai", "vertex_ai"),
    ("vertex ai api", "vertex_ai"),
    ("cloud ai platform", "vertex_ai"),
    ("ai platform", "vertex_ai"),
    ("gemini api", "gemini_api"),
    ("generative language api", "gemini_api"),
    ("generative language", "gemini_api"),
];

/// Services that are AI as a whole, or may be.
const SERVICES: &[(&str, &str, Verdict, Category)] = &[
    ("vertex ai agent builder", "google_agent_builder", Verdict::Ai, Category::Agents),
    ("agent builder", "google_agent_builder", Verdict::Ai, Category::Agents),
    ("vertex ai search", "google_agent_builder", Verdict::Ai, Category::Retrieval),
    ("discovery engine api", "google_agent_builder", Verdict::Ai, Category::Retrieval),
    ("cloud discovery engine", "google_agent_builder", Verdict::Ai, Category::Retrieval),
    ("gemini enterprise", "gemini_enterprise", Verdict::Ai, Category::Seats),
    ("cloud dialogflow api", "dialogflow", Verdict::Ai, Category::Agents),
    ("dialogflow", "dialogflow", Verdict::Ai, Category::Agents),
    ("dialogflow api", "dialogflow", Verdict::Ai, Category::Agents),
    ("cloud document ai api", "document_ai", Verdict::Ai, Category::DataAutomation),
    ("document ai", "document_ai", Verdict::Ai, Category::DataAutomation),
    ("cloud speech api", "google_speech", Verdict::Ai, Category::ManagedApi),
    ("cloud speech-to-text api", "google_speech", Verdict::Ai, Category::ManagedApi),
    ("cloud text-to-speech api", "google_text_to_speech", Verdict::Ai, Category::ManagedApi),
    ("cloud translation api", "google_translation", Verdict::Ai, Category::ManagedApi),
    ("translate", "google_translation", Verdict::Ai, Category::ManagedApi),
    ("cloud vision api", "google_vision", Verdict::Ai, Category::ManagedApi),
    ("cloud video intelligence api", "google_video_intelligence", Verdict::Ai, Category::ManagedApi),
    ("cloud natural language", "google_natural_language", Verdict::Ai, Category::ManagedApi),
    ("cloud natural language api", "google_natural_language", Verdict::Ai, Category::ManagedApi),
    ("cloud automl", "google_automl", Verdict::Ai, Category::Training),
    ("recommendations ai", "google_recommendations", Verdict::Ai, Category::ManagedApi),
    ("gemini code assist", "gemini_code_assist", Verdict::Ai, Category::Seats),
    ("cloud ai companion api", "gemini_code_assist", Verdict::Ai, Category::Seats),
    ("notebooks", "vertex_ai", Verdict::Ai, Category::Development),
    ("cloud tpu", "cloud_tpu", Verdict::Candidate, Category::GpuCompute),
];

/// A line of Google's.
pub(super) fn classify(key: &LineKey<'_>) -> Classification {
    let service = key.product_code.trim().to_ascii_lowercase();
    // The line's description is the SKU's. In FOCUS the usage type may be a meter's, which names no model; at first sight
    // there is nothing but it.
    let sku = if key.description.is_empty() { key.usage_type } else { key.description };
    if let Some((_, slug)) = MODEL_SERVICES.iter().find(|(name, _)| *name == service) {
        return model_sku(key, slug, &words(sku));
    }
    if let Some((_, slug, verdict, kind)) = SERVICES.iter().find(|(name, ..)| *name == service) {
        let meter = counted(&words(&format!("{sku} {}", key.pricing_unit)));
        return Classification::of(*verdict, slug, kind_of(meter, *kind), meter);
    }
    if service == "compute engine" && is_accelerator(&words(sku)) {
        return Classification::of(Verdict::Candidate, "compute_engine", Category::GpuCompute, Meter::Hours);
    }
    Classification::not_ai()
}

fn is_accelerator(words: &[String]) -> bool {
    words.iter().any(|word| matches!(word.as_str(), "gpu" | "tpu" | "nvidia"))
}

fn model_sku(key: &LineKey<'_>, service: &'static str, sku: &[String]) -> Classification {
    let model = model_words(sku);
    let Some((category, meter)) = counts(sku, &model) else { return Classification::not_understood(service) };
    let mut class = Classification::of(Verdict::Ai, service, category, meter);
    let says = |word: &str| sku.iter().any(|said| said == word);
    class.tier = if category == Category::Provisioned {
        Tier::Reserved
    } else if says("batch") {
        Tier::Batch
    } else if says("flex") {
        Tier::Flex
    } else if says("priority") {
        Tier::Priority
    } else {
        Tier::Standard
    };
    // The Gemini API has no regions.
    class.routing =
        if says("global") || service == "gemini_api" { Routing::Global } else { Routing::Regional };
    class.long_context = says("long");
    class.custom_model = category == Category::Customization;
    if meter.counts_tokens() {
        class.tokens_per_unit = tokens_per_unit(key.pricing_unit);
    }
    class.model = canonical_words(model).map(|name| undated(&name)).map(|name| made_by(name, meter));
    class.vendor = class.model.as_deref().and_then(maker).map(Cow::Borrowed);
    let needs_model = category == Category::Inference && meter.counts_tokens();
    if needs_model && (class.model.is_none() || class.vendor.is_none()) {
        class.understood = false;
    }
    class
}

fn maker(model: &str) -> Option<&'static str> {
    let first = model.split('-').next().unwrap_or_default();
    vendor_of(model).or(OWN_FAMILIES.contains(&first).then_some("google"))
}

/// Pictures are made by a model of their own, which its SKU is not named after.
fn made_by(model: String, meter: Meter) -> String {
    if meter == Meter::ImageOutput && model.starts_with("gemini-") { format!("{model}-image") } else { model }
}

/// The words of the model's name; none where no family is named.
fn model_words(sku: &[String]) -> Vec<String> {
    // `EmbedContent` is a call, and no model of Cohere's.
    let is_family = |word: &String| {
        (vendor_of(word).is_some() && word != "embed") || OWN_FAMILIES.contains(&word.as_str())
    };
    let named = sku.iter().skip_while(|word| !is_family(word));
    named.take_while(|word| !ENDS.contains(&word.as_str())).cloned().collect()
}

/// What is counted, and what for; `None` where no rule knows it.
fn counts(sku: &[String], model: &[String]) -> Option<(Category, Meter)> {
    if let Some((_, category, meter)) = USES.iter().find(|(phrase, ..)| contains(sku, phrase)) {
        return Some((*category, *meter));
    }
    if contains(sku, &["tuning"]) {
        return Some((Category::Customization, Meter::TrainingTokens));
    }
    if model.is_empty() {
        let known = MACHINES.iter().find(|(phrase, ..)| contains(sku, phrase));
        return known.map(|(_, category, meter)| (*category, *meter));
    }
    let counted = sku.windows(2).position(|pair| matches!(pair, [a, b] if a == "token" && b == "count"));
    let told = counted.and_then(|at| sku.get(..at)).unwrap_or(sku);
    let says = |word: &str| told.iter().any(|said| said == word);
    let of = |word: &str| sku.iter().any(|said| said == word);
    let meter = if says("cached") || says("caching") || says("cache") || of("caching") {
        if of("write") || of("writes") {
            if of("1h") { Meter::CacheWrite1h } else { Meter::CacheWrite5m }
        } else {
            Meter::CacheRead
        }
    } else if says("output") {
        if of("audio") {
            Meter::AudioOutput
        } else if contains(sku, &["image", "output"]) || contains(sku, &["output", "image"]) {
            Meter::ImageOutput
        } else {
            Meter::Output
        }
    } else if says("input") {
        if of("audio") {
            Meter::AudioInput
        } else if of("image") {
            Meter::ImageInput
        } else if of("video") {
            Meter::VideoInput
        } else {
            Meter::FreshInput
        }
    } else {
        match model.first().map(String::as_str) {
            Some("imagen") => Meter::Images,
            Some("veo" | "lyria" | "chirp") => Meter::MediaTime,
            _ => return None,
        }
    };
    Some((Category::Inference, meter))
}

/// `count` counts tokens one by one; characters, of which older models were billed by the thousand, are no tokens.
fn tokens_per_unit(unit: &str) -> Option<u32> {
    let unit = words(unit);
    let says = |wanted: &[&str]| unit.iter().any(|word| wanted.contains(&word.as_str()));
    if says(&["million", "1m", "1000000"]) {
        Some(1_000_000)
    } else if says(&["thousand", "1k", "1000"]) {
        Some(1_000)
    } else {
        says(&["count", "counts", "requests", "token", "tokens"]).then_some(1)
    }
}
