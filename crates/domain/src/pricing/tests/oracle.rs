//! Our arithmetic against the genai-prices crate's, an engine that others wrote.
//!
//! It counts in binary floats, so it is allowed to be off by their noise and by nothing else. Where we refuse to
//! price and it does not, the difference is deliberate and named here.
#![expect(clippy::disallowed_types, reason = "the other engine speaks in binary floats")]
#![expect(clippy::cast_precision_loss, reason = "token counts of this grid are far below 2^53")]

use genai_prices::{PriceRequest, Usage as TheirUsage, UsageKey};

use super::*;
use crate::pricing::{ChargedApart, ModelPrice, ServiceTier, Supplement};
use crate::usage::TokenClass;

/// A small generator with a fixed seed, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn their_provider(ours: &str) -> &str {
    match ours {
        "bedrock" => "aws",
        "xai" => "x-ai",
        same => same,
    }
}

/// The same usage in their overlapping keys.
fn theirs(usage: &Usage) -> TheirUsage {
    let count = |tokens: u64| tokens as f64;
    let written = usage.cache_write_5m.plus(usage.cache_write_1h);
    TheirUsage::from([
        (UsageKey::INPUT_TOKENS, count(usage.total_input().0)),
        (UsageKey::CACHE_READ_TOKENS, count(usage.cache_read.0)),
        (UsageKey::CACHE_WRITE_TOKENS, count(written.0)),
        (UsageKey::CACHE_WRITE_5M_TOKENS, count(usage.cache_write_5m.0)),
        (UsageKey::CACHE_WRITE_1H_TOKENS, count(usage.cache_write_1h.0)),
        (UsageKey::INPUT_AUDIO_TOKENS, count(usage.audio_input.0)),
        (UsageKey::CACHE_AUDIO_READ_TOKENS, 0.0),
        (UsageKey::OUTPUT_TOKENS, count(usage.output.plus(usage.audio_output).0)),
        (UsageKey::OUTPUT_AUDIO_TOKENS, count(usage.audio_output.0)),
        (UsageKey::WEB_SEARCHES, count(usage.web_searches)),
    ])
}

/// A name of the entry by which they find the same one; their own names for entries do not always do.
fn their_name(entry: &ModelPrice) -> String {
    let dated = entry.versions.iter().chain(&entry.prefixes).map(|name| format!("{name}-2024-08-06"));
    let finetuned = entry.prefixes.iter().map(|name| format!("{name}08-06"));
    let plain =
        std::iter::once(&entry.id).chain(&entry.names).chain(&entry.versions).chain(&entry.prefixes).cloned();
    let none = TheirUsage::new();
    let finds = |name: &String| {
        let request = PriceRequest::new(name, &none)
            .with_provider_id(their_provider(&entry.provider))
            .with_timestamp(today());
        genai_prices::calculate(&request).is_ok_and(|found| found.model_id == entry.id)
    };
    plain
        .chain(dated)
        .chain(finetuned)
        .find(finds)
        .unwrap_or_else(|| panic!("they do not know {}", entry.price_id))
}

fn their_amount(entry: &ModelPrice, name: &str, tier: ServiceTier, at: DateTime<Utc>, usage: &Usage) -> f64 {
    let their_usage = theirs(usage);
    let request = PriceRequest::new(name, &their_usage)
        .with_provider_id(their_provider(&entry.provider))
        .with_timestamp(at);
    let request = match tier {
        ServiceTier::Standard => request,
        ServiceTier::Batch => request.with_price_context("processing", "batch"),
        other => request.with_price_context("service_tier", other.as_str()),
    };
    genai_prices::calculate(&request)
        .unwrap_or_else(|error| panic!("{}: {error}", entry.price_id))
        .total_price
}

/// Usages around every threshold of the entry, and a few at random, over the classes that it has rates for.
fn grid(entry: &ModelPrice, tier: ServiceTier, dice: &mut Dice) -> Vec<Usage> {
    let row = entry
        .rows
        .iter()
        .find(|row| row.tier == tier && row.up_to_input.is_none())
        .expect("a row for the largest input");
    let has = |class| row.rates.of(class).is_some();
    let mut bounds: Vec<u64> = entry.rows.iter().filter_map(|row| row.up_to_input).collect();
    bounds.push(5_000);
    let mut grid = vec![Usage::default()];
    for bound in bounds {
        for total in [bound - 1, bound, bound + 1] {
            let cached = if has(TokenClass::CacheRead) { dice.roll(total) } else { 0 };
            let written = if has(TokenClass::CacheWrite5m) { dice.roll(total - cached) } else { 0 };
            let hour = if has(TokenClass::CacheWrite1h) { dice.roll(total - cached - written) } else { 0 };
            grid.push(usage(total - cached - written - hour, cached, written, hour, 0));
        }
    }
    for _ in 0..8 {
        let web_searches = if row.rates.web_search().is_some() { dice.roll(20) } else { 0 };
        let mut pick = |class| if has(class) { Tokens(dice.roll(90_000)) } else { Tokens(0) };
        let mut usage = Usage {
            fresh_input: pick(TokenClass::FreshInput),
            cache_read: pick(TokenClass::CacheRead),
            cache_write_5m: pick(TokenClass::CacheWrite5m),
            cache_write_1h: pick(TokenClass::CacheWrite1h),
            output: pick(TokenClass::Output),
            reasoning: Tokens(0),
            audio_input: pick(TokenClass::AudioInput),
            audio_output: pick(TokenClass::AudioOutput),
            web_searches,
        };
        // Their engine tells cached audio apart and ours refuses the mixture: not a difference in arithmetic.
        if entry.charged_apart.contains(&ChargedApart::CachedAudio) && dice.roll(2) == 0 {
            usage.cache_read = Tokens(0);
        } else if entry.charged_apart.contains(&ChargedApart::CachedAudio) {
            usage.audio_input = Tokens(0);
        }
        grid.push(usage);
    }
    grid
}

#[test]
fn every_shared_model_costs_the_same_by_another_engine() {
    let times =
        ["2026-11-20T12:00:00Z", "2026-11-20T02:30:00Z", "2026-12-15T07:00:00Z", "2027-01-04T20:00:00Z"];
    let mut dice = Dice(0x005e_ed0f_c057_1e45);
    let supplement: Supplement = serde_json::from_str(include_str!("../../../../../prices/supplement.json"))
        .expect("the committed supplement is readable");
    let (mut compared, mut models) = (0_u32, 0_u32);
    for entry in PRICES.models().filter(|entry| entry.source.starts_with("genai-prices")) {
        let other_rates = [
            ChargedApart::OtherUnits,
            ChargedApart::ImageInput,
            ChargedApart::ImageOutput,
            ChargedApart::CachedImage,
            ChargedApart::Reasoning,
        ];
        if entry.charged_apart.iter().any(|what| other_rates.contains(what)) {
            continue;
        }
        models += 1;
        let name = their_name(entry);
        // Rates from another source they price as standard ones.
        let ours_alone = |tier: ServiceTier| {
            let more = supplement
                .rates
                .iter()
                .filter(|more| more.provider == entry.provider && more.model == entry.id);
            more.flat_map(|more| &more.rates).any(|rate| rate.tier == Some(tier))
        };
        let tiers = entry.tiers().into_iter().filter(|tier| !ours_alone(*tier));
        for tier in tiers {
            for usage in grid(entry, tier, &mut dice) {
                for at in times.map(at) {
                    let ours = PRICES.line(Quote {
                        provider: &entry.provider,
                        model: &entry.id,
                        tier: Some(tier.as_str()),
                        at,
                        usage: &usage,
                    });
                    let ours = ours.map_or_else(|reason| panic!("{usage:?}: {reason}"), |line| line.amount);
                    let ours: f64 = ours.to_string().parse().expect("a number");
                    let theirs = their_amount(entry, &name, tier, at, &usage);
                    assert!(
                        (ours - theirs).abs() <= 1e-12 + theirs * 1e-12,
                        "{} {tier} {at}: {ours} and {theirs} for {usage:?}",
                        entry.price_id
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(models > 300 && compared > 15_000, "only {compared} prices of {models} models were compared");
}

/// Every name the files spell out, with dates and versions behind it, means the same model to both, or none to us.
#[test]
fn no_name_means_another_model_than_to_another_engine() {
    let calculator = genai_prices::Calculator::bundled();
    let endings = [
        "",
        "-2026-01-02",
        "-20260102",
        "@20260102",
        "-v1:0",
        "-latest",
        "-preview",
        "-lite",
        "-mini",
        "-tts",
        "-5",
        "-pro",
    ];
    let (mut same, mut stricter) = (0_u32, 0_u32);
    for entry in PRICES.models().filter(|entry| entry.source.starts_with("genai-prices")) {
        for name in std::iter::once(&entry.id).chain(&entry.names).chain(&entry.versions) {
            for ending in endings {
                let name = format!("{name}{ending}");
                let ours = PRICES.find(&entry.provider, &name).map(|found| found.id.clone());
                let none = TheirUsage::new();
                let request = PriceRequest::new(&name, &none)
                    .with_provider_id(their_provider(&entry.provider))
                    .with_timestamp(today());
                let theirs = calculator
                    .calculate(&request)
                    .ok()
                    .filter(|found| found.provider_id == their_provider(&entry.provider))
                    .map(|found| found.model_id);
                match (&ours, &theirs) {
                    (Some(ours), Some(theirs)) => assert_eq!(ours, theirs, "{}: {name}", entry.provider),
                    (None, Some(_)) => stricter += 1,
                    _ => continue,
                }
                same += u32::from(ours.is_some());
            }
        }
    }
    assert!(same > 1_000 && stricter > 100, "{same} names agree, {stricter} are known to them alone");
}
