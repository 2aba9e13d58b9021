//! Anthropic's cost and usage reports. Amounts are texts and count cents; a result is what one workspace paid for one kind
//! of token, model, tier and context window.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::fold::{self, Fold, Grain, Line};
use super::{BadPage, Pages, Report};
use crate::classify::models::canonical;
use crate::classify::{Category, Classification, Meter, Routing, Tier};

/// Amounts count hundredths.
const CENTS: u32 = 2;

#[derive(Deserialize)]
struct Page<R> {
    data: Vec<Bucket<R>>,
}

#[derive(Deserialize)]
struct Bucket<R> {
    starting_at: DateTime<Utc>,
    results: Vec<R>,
}

/// Fields that may be null, and must be there: what was not grouped would be another thing than it says.
#[derive(Deserialize)]
struct Cost {
    amount: String,
    currency: String,
    #[serde(rename = "cost_type", deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    context_window: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    description: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    model: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    service_tier: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    token_type: Option<String>,
    #[serde(default)]
    inference_geo: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    workspace_id: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    uncached_input_tokens: u64,
    cache_creation: CacheCreation,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    server_tool_use: Option<ServerToolUse>,
    #[serde(deserialize_with = "Option::deserialize")]
    model: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    service_tier: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    context_window: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    workspace_id: Option<String>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: u64,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: u64,
    ephemeral_5m_input_tokens: u64,
}

pub(super) fn read(fold: &mut Fold, pages: Pages<'_>) -> Result<(), BadPage> {
    for page in fold::parsed::<Page<Cost>>(Report::Costs, pages.costs)? {
        for bucket in page.data {
            let start = bucket.starting_at;
            let day = fold.day(Report::Costs, fold::day_of(start), || start.to_rfc3339())?;
            for cost in bucket.results {
                fold.add(Line {
                    day,
                    class: classify(fold, &cost),
                    currency: fold::currency(&cost.currency)?,
                    amount: fold::amount(&cost.amount, CENTS)?,
                    usage_type: usage_type(&cost),
                    region: place(cost.inference_geo.as_deref()).unwrap_or_default().to_owned(),
                    account: cost.workspace_id,
                    model: cost.model,
                })?;
            }
        }
    }
    for page in fold::parsed::<Page<Usage>>(Report::Usage, pages.usage)? {
        for bucket in page.data {
            let start = bucket.starting_at;
            let day = fold.day(Report::Usage, fold::day_of(start), || start.to_rfc3339())?;
            for usage in bucket.results {
                let account = fold::account(usage.workspace_id.as_deref());
                let searches = usage.server_tool_use.map_or(0, |tools| tools.web_search_requests);
                fold.searched(day, &account, searches);
                let window = window(usage.context_window.as_deref());
                let (Some(model), Some(tier), Some(long_context)) =
                    (usage.model, tier(usage.service_tier.as_deref()), window)
                else {
                    continue;
                };
                let grain = Grain { day, account, model: model.into(), tier, long_context };
                fold.used(&grain, Meter::FreshInput, usage.uncached_input_tokens);
                fold.used(&grain, Meter::CacheRead, usage.cache_read_input_tokens);
                fold.used(&grain, Meter::CacheWrite5m, usage.cache_creation.ephemeral_5m_input_tokens);
                fold.used(&grain, Meter::CacheWrite1h, usage.cache_creation.ephemeral_1h_input_tokens);
                fold.used(&grain, Meter::Output, usage.output_tokens);
            }
        }
    }
    Ok(())
}

/// What is paid for, by the most exact word that the result has.
fn usage_type(cost: &Cost) -> String {
    let known = token_meter(cost.token_type.as_deref()).is_some();
    let words = [
        cost.token_type.as_deref().filter(|_| known),
        cost.description.as_deref(),
        cost.token_type.as_deref(),
        cost.kind.as_deref(),
    ];
    words.into_iter().flatten().find(|word| !word.is_empty()).unwrap_or_default().to_owned()
}

fn classify(fold: &Fold, cost: &Cost) -> Classification {
    let unknown = Classification {
        model: cost.model.as_deref().and_then(canonical),
        ..fold::not_understood(fold.vendor)
    };
    let mut class = match cost.kind.as_deref() {
        Some("tokens") => {
            let Some(meter) = token_meter(cost.token_type.as_deref()) else { return unknown };
            let (Some(tier), Some(long), true) = (
                tier(cost.service_tier.as_deref()),
                window(cost.context_window.as_deref()),
                unknown.model.is_some(),
            ) else {
                return unknown;
            };
            let mut class = fold::of_vendor(fold.vendor, Category::Inference, meter);
            (class.tier, class.long_context) = (tier, long);
            class
        }
        Some("web_search") => fold::of_vendor(fold.vendor, Category::Retrieval, Meter::Searches),
        Some("code_execution") => fold::of_vendor(fold.vendor, Category::Agents, Meter::Hours),
        _ => return unknown,
    };
    class.model = unknown.model;
    class.routing = match place(cost.inference_geo.as_deref()) {
        Some("global") => Routing::Global,
        Some(_) => Routing::Geo,
        None => Routing::Regional,
    };
    class
}

fn token_meter(name: Option<&str>) -> Option<Meter> {
    Some(match name? {
        "uncached_input_tokens" => Meter::FreshInput,
        "output_tokens" => Meter::Output,
        "cache_read_input_tokens" => Meter::CacheRead,
        "cache_creation.ephemeral_1h_input_tokens" => Meter::CacheWrite1h,
        "cache_creation.ephemeral_5m_input_tokens" => Meter::CacheWrite5m,
        _ => return None,
    })
}

fn tier(name: Option<&str>) -> Option<Tier> {
    Some(match name {
        None | Some("standard") => Tier::Standard,
        Some("batch") => Tier::Batch,
        Some("flex") => Tier::Flex,
        Some("priority") => Tier::Priority,
        Some(_) => return None,
    })
}

/// Whether a context window is the long one.
fn window(name: Option<&str>) -> Option<bool> {
    match name {
        None | Some("0-200k") => Some(false),
        Some("200k-1M") => Some(true),
        Some(_) => None,
    }
}

/// Where inference ran, where that can be chosen.
fn place(geo: Option<&str>) -> Option<&str> {
    geo.filter(|geo| !geo.is_empty() && *geo != "not_available")
}
