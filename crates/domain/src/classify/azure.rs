//! Azure's meters: a category, a subcategory and a name, the last of which is a grammar for models (read 2026-11):
//!
//! ```text
//! gpt-4o-0806-Inp-glbl Tokens          gpt 4o 0806 cached Inp Data Zone Tokens     gpt 4o mini0718 BatchOutp DataZone
//! gpt-4o-rt-aud-1217 cchd Inp rgnl     5.4 nano Batch cd Inp Gl 1M Tokens          R1 Outp glbl Tokens
//! Provisioned Managed Global Unit      gpt-4.1-mini FT Training glbl               3.3 70b FT Deployment Hosting Unit
//! ```
//!
//! A name is at most some thirty characters long, so that every word has several abbreviations ([`MARKS`]). What is no such
//! word and stands before the first of them is the model; where a model's family is left out, the subcategory names it.
//!
//! Cost Management's exports count tokens in `Quantity`, and `UnitOfMeasure` is only what the price is of (Microsoft's own
//! conversion to FOCUS divides the one by the other). FOCUS counts blocks in `PricingQuantity`. A line has a service
//! category in FOCUS alone.

use std::borrow::Cow;

use super::counts::{counted, kind_of};
use super::models::{canonical_words, undated, vendor_named, vendor_of};
use super::words::{contains, words};
use super::{Category, Classification, LineKey, Meter, Routing, Tier, Verdict};

/// What a word of a meter's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Input,
    Output,
    Cached,
    Global,
    DataZone,
    Regional,
    Batch,
    Priority,
    Flex,
    Audio,
    Text,
    Image,
    Realtime,
    Tuned,
    Training,
    Hosting,
    Long,
    /// It ends the model's name, and says nothing.
    Filler,
}

const MARKS: &[(Mark, &[&str])] = &[
    (Mark::Input, &["inp", "inpt", "input", "in"]),
    (Mark::Output, &["outp", "outpt", "output", "out", "opt"]),
    (Mark::Cached, &["cached", "cchd", "cd", "cache", "caching"]),
    (Mark::Global, &["glbl", "gl", "glb", "global"]),
    (Mark::DataZone, &["dz", "dzn", "dzone", "data", "datazone"]),
    (Mark::Regional, &["regnl", "regn", "rgnl", "rgn", "regional"]),
    (Mark::Batch, &["batch"]),
    (Mark::Priority, &["pp", "priority", "prty"]),
    (Mark::Flex, &["flex"]),
    (Mark::Audio, &["aud", "audio"]),
    (Mark::Text, &["txt", "text"]),
    (Mark::Image, &["img", "image", "images"]),
    (Mark::Realtime, &["rt", "realtime"]),
    (Mark::Tuned, &["ft", "finetuned", "fine"]),
    (Mark::Training, &["training", "trng"]),
    (Mark::Hosting, &["hosting"]),
    (Mark::Long, &["long", "lng", "lctx"]),
    (Mark::Filler, &["tokens", "token", "unit", "units", "deployment", "prvw", "zone"]),
];

/// Words that stand among a model's and are none of them: prefixes, and sizes of a context that has no price of its own.
const NO_NAME: [&str; 10] = ["az", "azure", "aoai", "standard", "4k", "8k", "128k", "256k", "1k", "1m"];

/// Short for a word of a model's name.
const SHORT: &[(&str, &str)] = &[("mn", "mini"), ("nn", "nano"), ("trscb", "transcribe")];

/// What is said by a phrase, whatever the model; the first that fits wins.
const USES: &[(&[&str], Category, Meter)] = &[
    (&["provisioned"], Category::Provisioned, Meter::Hours),
    (&["ptu"], Category::Provisioned, Meter::Hours),
    (&["code", "interpreter"], Category::Agents, Meter::Requests),
    (&["session"], Category::Agents, Meter::Requests),
    (&["hosted", "v", "cpu"], Category::Agents, Meter::Hours),
    (&["hosted", "vcpu"], Category::Agents, Meter::Hours),
    (&["hosted", "memory"], Category::Agents, Meter::Hours),
    (&["file", "search", "storage"], Category::Storage, Meter::Storage),
    (&["vector", "storage"], Category::Storage, Meter::Storage),
    (&["file", "search"], Category::Retrieval, Meter::Searches),
    (&["web", "search"], Category::Retrieval, Meter::Searches),
    (&["grounding"], Category::Retrieval, Meter::Searches),
    (&["dall"], Category::Inference, Meter::Images),
    (&["flux"], Category::Inference, Meter::Images),
    (&["sora"], Category::Inference, Meter::MediaTime),
    (&["whisper"], Category::Inference, Meter::MediaTime),
];

/// Categories under which the AI services stand, each by its subcategory.
const UMBRELLAS: [&str; 8] = [
    "cognitive services",
    "azure cognitive services",
    "azure applied ai services",
    "applied ai services",
    "foundry tools",
    "microsoft foundry",
    "foundry agents",
    "azure foundry tools",
];

/// Words of a subcategory (or of a category that is a service of its own), the service, and what it is for.
const SERVICES: &[(&[&str], &str, Category)] = &[
    (&["speech"], "azure_speech", Category::ManagedApi),
    (&["translator"], "azure_translator", Category::ManagedApi),
    (&["document", "intelligence"], "azure_document_intelligence", Category::DataAutomation),
    (&["form", "recognizer"], "azure_document_intelligence", Category::DataAutomation),
    (&["content", "understanding"], "azure_content_understanding", Category::DataAutomation),
    (&["content", "safety"], "azure_content_safety", Category::Guardrail),
    (&["content", "moderator"], "azure_content_safety", Category::Guardrail),
    (&["agents"], "azure_foundry_agents", Category::Agents),
    (&["agent"], "azure_foundry_agents", Category::Agents),
    (&["vision"], "azure_vision", Category::ManagedApi),
    (&["face"], "azure_vision", Category::ManagedApi),
    (&["language"], "azure_language", Category::ManagedApi),
    (&["text", "analytics"], "azure_language", Category::ManagedApi),
    (&["luis"], "azure_language", Category::ManagedApi),
    (&["qn", "a", "maker"], "azure_language", Category::ManagedApi),
    (&["immersive", "reader"], "azure_immersive_reader", Category::ManagedApi),
    (&["video", "indexer"], "azure_video_indexer", Category::ManagedApi),
    (&["anomaly", "detector"], "azure_anomaly_detector", Category::ManagedApi),
    (&["metrics", "advisor"], "azure_anomaly_detector", Category::ManagedApi),
    (&["personalizer"], "azure_personalizer", Category::ManagedApi),
];

/// Categories that are one service.
const CATEGORIES: &[(&str, &str, Verdict, Category)] = &[
    ("azure machine learning", "azure_machine_learning", Verdict::Ai, Category::Development),
    ("azure machine learning service", "azure_machine_learning", Verdict::Ai, Category::Development),
    ("machine learning service", "azure_machine_learning", Verdict::Ai, Category::Development),
    ("machine learning studio", "azure_machine_learning", Verdict::Ai, Category::Development),
    ("microsoft copilot studio", "copilot_studio", Verdict::Ai, Category::Agents),
    ("copilot studio", "copilot_studio", Verdict::Ai, Category::Agents),
    ("microsoft copilot for security", "security_copilot", Verdict::Ai, Category::ManagedApi),
    ("microsoft security copilot", "security_copilot", Verdict::Ai, Category::ManagedApi),
    // Search serves shops and archives as well as models.
    ("azure ai search", "azure_ai_search", Verdict::Candidate, Category::Retrieval),
    ("azure cognitive search", "azure_ai_search", Verdict::Candidate, Category::Retrieval),
];

/// A line of Azure's.
pub(super) fn classify(key: &LineKey<'_>) -> Classification {
    let category = key.product_code.trim().to_ascii_lowercase();
    if sells_models(key, &category) {
        return model_meter(key);
    }
    if let Some((_, service, verdict, kind)) = CATEGORIES.iter().find(|(name, ..)| *name == category) {
        return managed(key, service, *verdict, *kind);
    }
    if UMBRELLAS.contains(&category.as_str()) || category.starts_with("azure ai ") {
        let of = words(&format!("{} {}", key.product_code, key.product_family));
        return match SERVICES.iter().find(|(phrase, ..)| contains(&of, phrase)) {
            Some((_, service, kind)) => managed(key, service, Verdict::Ai, *kind),
            None => Classification::not_understood("azure_ai_services"),
        };
    }
    match category.as_str() {
        "virtual machines" => accelerated(key.usage_type),
        "github" if key.usage_type.to_ascii_lowercase().contains("copilot") => {
            Classification::of(Verdict::Ai, "github_copilot", Category::Seats, Meter::Seats)
        }
        _ => Classification::not_ai(),
    }
}

/// Azure OpenAI, the other models of Foundry, and models that their makers sell through the Marketplace.
fn sells_models(key: &LineKey<'_>, category: &str) -> bool {
    let family = key.product_family.to_ascii_lowercase();
    let is_foundry = category.ends_with("foundry models");
    let is_openai = category.contains("openai") || (is_ai(category) && family.contains("openai"));
    let is_family = is_ai(category) && (family.ends_with(" models") || family.ends_with(" model"));
    let is_makers =
        category == "saas" && words(key.billing_entity).iter().any(|word| vendor_named(word).is_some());
    is_foundry || is_openai || is_family || (is_makers && !is_microsoft(key.billing_entity))
}

fn is_ai(category: &str) -> bool {
    UMBRELLAS.contains(&category) || category.starts_with("azure ai ")
}

fn is_microsoft(publisher: &str) -> bool {
    publisher.to_ascii_lowercase().starts_with("microsoft")
}

/// The words of a meter's name, told apart.
#[derive(Debug, Default)]
struct Name {
    all: Vec<String>,
    model: Vec<String>,
    marks: Vec<Mark>,
}

impl Name {
    fn of(meter: &str) -> Self {
        let all = words(&meter.replace("4omini", "4o mini"));
        let mut name = Self { all, ..Self::default() };
        for (at, word) in name.all.iter().enumerate() {
            // `text embedding 3 large` and `gpt-image-1` are names.
            let is_named =
                (at == 0 && word == "text") || (word == "image" && name.marks.is_empty() && at <= 2);
            match mark(word).filter(|_| !is_named) {
                Some(mark) => name.marks.push(mark),
                None if name.marks.iter().all(|mark| !mark.ends_name()) && !is_date(word) => {
                    let word = SHORT
                        .iter()
                        .find(|(short, _)| short == word)
                        .map_or(word.as_str(), |(_, long)| *long);
                    if !NO_NAME.contains(&word) {
                        name.model.push(word.to_owned());
                    }
                }
                None => {}
            }
        }
        name
    }

    fn says(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    /// What is counted, and what for; `None` where the name does not say.
    fn counts(&self, pricing_unit: &str) -> Option<(Category, Meter)> {
        if let Some((_, category, meter)) = USES.iter().find(|(phrase, ..)| contains(&self.all, phrase)) {
            return Some((*category, *meter));
        }
        if self.says(Mark::Training) {
            let by_token = block(pricing_unit).is_some_and(|block| block > 1);
            return Some((
                Category::Customization,
                if by_token { Meter::TrainingTokens } else { Meter::Hours },
            ));
        }
        if self.says(Mark::Hosting) {
            return Some((Category::Customization, Meter::Hours));
        }
        let of = |text, audio, image| {
            if self.says(Mark::Audio) && !self.says(Mark::Text) {
                audio
            } else if self.says(Mark::Image) {
                image
            } else {
                text
            }
        };
        let meter = if self.says(Mark::Cached) && contains(&self.all, &["write"]) {
            if contains(&self.all, &["1h"]) { Meter::CacheWrite1h } else { Meter::CacheWrite5m }
        } else if self.says(Mark::Cached) {
            Meter::CacheRead
        } else if self.says(Mark::Output) {
            of(Meter::Output, Meter::AudioOutput, Meter::ImageOutput)
        } else if self.says(Mark::Input) {
            of(Meter::FreshInput, Meter::AudioInput, Meter::ImageInput)
        } else if self.model.iter().any(|word| word.starts_with("embed")) {
            Meter::FreshInput
        } else if self.says(Mark::Image) {
            Meter::Images
        } else if self.model.iter().any(|word| word == "tts") {
            Meter::Characters
        } else {
            return None;
        };
        Some((Category::Inference, meter))
    }

    /// The model's family, in the common spelling.
    fn family(&self, of: &[&str], is_openai: bool) -> Option<String> {
        let mut model = self.model.clone();
        let first = model.first()?;
        if vendor_of(first).is_none() {
            let makers =
                of.iter().find(|word| vendor_of(word).is_some() && !model.iter().any(|said| said == *word));
            let is_number = first.starts_with(|letter: char| letter.is_ascii_digit());
            // `Azure OpenAI GPT5` names a generation, and its meters do so themselves.
            let family = if is_openai {
                is_number.then(|| "gpt".to_owned())
            } else {
                makers.map(|word| (*word).to_owned())
            };
            if let Some(family) = family {
                model.insert(0, family);
            }
        }
        if let Some(version) = model.get_mut(1).filter(|word| matches!(word.as_str(), "35" | "41" | "45")) {
            let minor = version.split_off(1);
            model.insert(2, minor);
        }
        let is_spoken = |word: &String| matches!(word.as_str(), "transcribe" | "tts" | "audio" | "realtime");
        if self.says(Mark::Realtime) {
            model.push("realtime".to_owned());
        } else if self.says(Mark::Audio) && !model.iter().any(is_spoken) {
            model.push("audio".to_owned());
        }
        canonical_words(model).map(|name| undated(&name))
    }

    fn tier(&self) -> Tier {
        if contains(&self.all, &["provisioned"]) || contains(&self.all, &["ptu"]) {
            Tier::Reserved
        } else if self.says(Mark::Batch) {
            Tier::Batch
        } else if self.says(Mark::Flex) {
            Tier::Flex
        } else if self.says(Mark::Priority) {
            Tier::Priority
        } else {
            Tier::Standard
        }
    }

    fn routing(&self) -> Routing {
        if self.says(Mark::Global) {
            Routing::Global
        } else if self.says(Mark::DataZone) {
            Routing::Geo
        } else {
            Routing::Regional
        }
    }
}

impl Mark {
    /// Whether nothing of a model's name stands behind it. What a model hears or is tuned to stands in its midst.
    const fn ends_name(self) -> bool {
        !matches!(
            self,
            Self::Audio | Self::Text | Self::Realtime | Self::Tuned | Self::Batch | Self::Priority
        )
    }
}

fn mark(word: &str) -> Option<Mark> {
    MARKS.iter().find(|(_, spellings)| spellings.contains(&word)).map(|(mark, _)| *mark)
}

/// `0806`: the month and day of a snapshot.
fn is_date(word: &str) -> bool {
    let part = |range, most| {
        let part = word.get(range).and_then(|part: &str| part.parse::<u8>().ok());
        part.is_some_and(|part| (1..=most).contains(&part))
    };
    word.len() == 4 && part(0..2, 12) && part(2..4, 31)
}

fn model_meter(key: &LineKey<'_>) -> Classification {
    let of = format!("{} {}", key.product_code, key.product_family);
    let is_openai = of.to_ascii_lowercase().contains("openai");
    let service = if is_openai { "azure_openai" } else { "foundry_models" };
    let name = Name::of(key.usage_type);
    let Some((category, meter)) = name.counts(key.pricing_unit) else {
        return Classification::not_understood(service);
    };
    let mut class = Classification::of(Verdict::Ai, service, category, meter);
    class.tier = name.tier();
    class.routing = name.routing();
    class.long_context = name.says(Mark::Long);
    class.custom_model = name.says(Mark::Tuned) || matches!(category, Category::Customization);
    if meter.counts_tokens() {
        class.tokens_per_unit = tokens_per_unit(key);
    }
    if matches!(category, Category::Inference | Category::Customization) {
        // As words, `DeepSeek` would be two.
        let of = of.to_ascii_lowercase();
        let of: Vec<&str> = of.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
        class.model = name.family(&of, is_openai);
        let maker = class.model.as_deref().and_then(vendor_of).or(is_openai.then_some("openai"));
        class.vendor = maker.map(Cow::Borrowed);
    }
    let needs_model = category == Category::Inference && meter.counts_tokens();
    if needs_model && (class.model.is_none() || class.vendor.is_none()) {
        class.understood = false;
    }
    class
}

/// What a block of a price is: `1K`, `1M`, `1,000`, `1M Tokens`; `None` where the unit does not say.
fn block(unit: &str) -> Option<u32> {
    let unit = unit.trim().replace(',', "").to_ascii_lowercase();
    let first = unit.split_whitespace().next()?;
    match first {
        "1k" | "1000" => Some(1_000),
        "1m" | "1000000" => Some(1_000_000),
        "1" => Some(1),
        _ => None,
    }
}

fn tokens_per_unit(key: &LineKey<'_>) -> Option<u32> {
    let is_focus = !key.service_category.is_empty();
    block(key.pricing_unit).map(|block| if is_focus { block } else { 1 })
}

fn managed(key: &LineKey<'_>, service: &'static str, verdict: Verdict, kind: Category) -> Classification {
    let meter = counted(&words(&format!("{} {}", key.usage_type, key.pricing_unit)));
    Classification::of(verdict, service, kind_of(meter, kind), meter)
}

/// Machines of the N series have accelerators, for models or for pictures.
fn accelerated(meter: &str) -> Classification {
    let size = meter.trim().trim_start_matches("Standard_");
    let mut letters = size.chars();
    let is_accelerated = letters.next() == Some('N')
        && letters.next().is_some_and(|series| matches!(series, 'C' | 'D' | 'G' | 'V'))
        && size.contains(|letter: char| letter.is_ascii_digit());
    if !is_accelerated {
        return Classification::not_ai();
    }
    let size = size.trim_end_matches(" Spot").trim_end_matches(" Low Priority");
    let mut class =
        Classification::of(Verdict::Candidate, "azure_virtual_machines", Category::GpuCompute, Meter::Hours);
    class.instance_type = Some(size.to_owned());
    class
}
