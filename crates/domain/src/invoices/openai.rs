//! OpenAI's cost and usage reports. Amounts are JSON numbers, whose digits are taken as they stand; what is paid for is a
//! line item in words: a model and a kind of token behind a comma, or a service's name.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fold::{self, Fold, Grain, Line};
use super::{BadPage, InvoiceVendor, Pages, Report};
use crate::classify::models::canonical;
use crate::classify::words::{contains, words};
use crate::classify::{Category, Classification, Meter, Tier};

#[derive(Deserialize)]
struct Page<R> {
    data: Vec<Bucket<R>>,
}

#[derive(Deserialize)]
struct Bucket<R> {
    start_time: i64,
    results: Vec<R>,
}

#[derive(Deserialize)]
struct Cost<'a> {
    #[serde(borrow)]
    amount: Amount<'a>,
    #[serde(deserialize_with = "Option::deserialize")]
    line_item: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    project_id: Option<String>,
    #[serde(default)]
    organization_id: Option<String>,
}

#[derive(Deserialize)]
struct Amount<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    currency: String,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    input_cached_tokens: Option<u64>,
    /// Where sound or pictures were used, too, what `input_tokens` counts is told differently from time to time.
    #[serde(default)]
    input_audio_tokens: Option<u64>,
    #[serde(default)]
    output_audio_tokens: Option<u64>,
    #[serde(default)]
    input_image_tokens: Option<u64>,
    #[serde(default)]
    output_image_tokens: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    project_id: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    model: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    batch: Option<bool>,
}

impl Usage {
    fn is_of_text(&self) -> bool {
        [self.input_audio_tokens, self.output_audio_tokens, self.input_image_tokens, self.output_image_tokens]
            .into_iter()
            .flatten()
            .all(|count| count == 0)
    }
}

pub(super) fn read(fold: &mut Fold, pages: Pages<'_>) -> Result<(), BadPage> {
    for page in fold::parsed::<Page<Cost<'_>>>(Report::Costs, pages.costs)? {
        for bucket in page.data {
            let start = bucket.start_time;
            let moment = DateTime::from_timestamp(start, 0);
            let day = fold.day(Report::Costs, moment.and_then(fold::day_of), || start.to_string())?;
            for cost in bucket.results {
                let (class, model) = classify(fold.vendor, cost.line_item.as_deref());
                let digits = cost.amount.value.get();
                fold.add(Line {
                    day,
                    class,
                    currency: fold::currency(&cost.amount.currency)?,
                    // Some of its answers carry the number as a text.
                    amount: fold::amount(digits.trim_matches('"'), 0)?,
                    usage_type: cost.line_item.unwrap_or_default(),
                    region: String::new(),
                    account: cost.project_id,
                    model,
                })?;
            }
        }
    }
    for page in fold::parsed::<Page<Usage>>(Report::Usage, pages.usage)? {
        for bucket in page.data {
            let start = bucket.start_time;
            let moment = DateTime::from_timestamp(start, 0);
            let day = fold.day(Report::Usage, moment.and_then(fold::day_of), || start.to_string())?;
            for usage in bucket.results {
                let Some(model) = usage.model.as_deref() else { continue };
                let tier = if usage.batch == Some(true) { Tier::Batch } else { Tier::Standard };
                let account = fold::account(usage.project_id.as_deref());
                let grain = Grain { day, account, model: model.into(), tier, long_context: false };
                let cached = usage.input_cached_tokens.unwrap_or_default();
                let fresh = usage
                    .input_tokens
                    .checked_sub(cached)
                    .ok_or_else(|| BadPage::Tokens { report: Report::Usage, model: model.to_owned() })?;
                fold.used(&grain, Meter::FreshInput, fresh);
                fold.used(&grain, Meter::CacheRead, cached);
                fold.used(&grain, Meter::Output, usage.output_tokens);
                if !usage.is_of_text() {
                    fold.unlike(grain);
                }
            }
        }
    }
    // A line item without a word about batches may mean them, too, as far as the usage report knows of some.
    fold.match_tiers();
    Ok(())
}

/// The organisation that results name. Answers of two would be nobody's bill.
pub(super) fn organisation(costs: &[String]) -> Option<String> {
    let pages: Vec<Page<Cost<'_>>> = fold::parsed(Report::Costs, costs).ok()?;
    let results = pages.into_iter().flat_map(|page| page.data).flat_map(|bucket| bucket.results);
    let names: BTreeSet<String> =
        results.filter_map(|cost| cost.organization_id).filter(|name| !name.is_empty()).collect();
    let mut names = names.into_iter();
    names.next().filter(|_| names.next().is_none())
}

/// What a line item pays for, and the model as it writes it.
fn classify(vendor: InvoiceVendor, item: Option<&str>) -> (Classification, Option<String>) {
    let unknown = || fold::not_understood(vendor);
    let Some(item) = item else { return (unknown(), None) };
    let Some((name, phrase)) = item.split_once(", ") else { return (service(vendor, item), None) };
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return (unknown(), None);
    }
    // `ft:gpt-4o-mini-2024-07-18:acme::A1b2`: the model that was tuned is its second part.
    let custom = name.strip_prefix("ft:");
    let base = custom.and_then(|rest| rest.split(':').next()).unwrap_or(name);
    let mut class = match kind(&words(phrase)) {
        Some((meter, tier)) => Classification { tier, ..fold::of_vendor(vendor, Category::Inference, meter) },
        None => unknown(),
    };
    class.custom_model = custom.is_some();
    class.model = canonical(base);
    class.understood &= class.model.is_some();
    (class, Some(name.to_owned()))
}

/// The kind of token and the tier that all words of a phrase say together; `None` where one word says something else.
fn kind(phrase: &[String]) -> Option<(Meter, Tier)> {
    let mut tier = Tier::Standard;
    let (mut input, mut output, mut cached, mut of) = (false, false, false, None);
    for word in phrase {
        match word.as_str() {
            "input" => input = true,
            "output" => output = true,
            "cached" => cached = true,
            "audio" | "image" => of = Some(word.as_str()),
            "text" | "tokens" | "token" => {}
            "batch" => tier = Tier::Batch,
            "flex" => tier = Tier::Flex,
            "priority" => tier = Tier::Priority,
            _ => return None,
        }
    }
    let meter = match (input, output, cached, of) {
        (true, false, false, None) => Meter::FreshInput,
        (true, false, true, None) => Meter::CacheRead,
        (false, true, false, None) => Meter::Output,
        (true, false, false, Some("audio")) => Meter::AudioInput,
        (false, true, false, Some("audio")) => Meter::AudioOutput,
        (true, false, false, Some("image")) => Meter::ImageInput,
        (false, true, false, Some("image")) => Meter::ImageOutput,
        _ => return None,
    };
    Some((meter, tier))
}

/// Services beside the models.
fn service(vendor: InvoiceVendor, item: &str) -> Classification {
    let said = words(item);
    let known = [
        (&["web", "search"], Category::Retrieval, Meter::Searches),
        (&["file", "search"], Category::Retrieval, Meter::Units),
        (&["code", "interpreter"], Category::Agents, Meter::Units),
    ];
    match known.iter().find(|(phrase, ..)| contains(&said, *phrase)) {
        Some((_, category, meter)) => fold::of_vendor(vendor, *category, *meter),
        None => fold::not_understood(vendor),
    }
}
