//! The shapes of usage that other ledgers are known to get wrong, each priced to the last digit by hand.
//!
//! Streams that lost their cost, cache tokens charged twice or not at all, tiers that were asked for and not
//! served, unknown prices shown as zero: the story stands beside each row.

use super::*;

/// Prices every line of a table: provider, model, tier that was served, counts (fresh, read, 5m, 1h, output, and by
/// name what is rarer), the amount or the reason's code, the story.
fn check(table: &str) {
    let rows: Vec<&str> = table.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [provider, model, tier, counts, expected, story] = cells[..] else { panic!("no row: {row}") };
        let tier = (tier != "-").then_some(tier);
        let priced = price(provider, model, tier, &counted(counts));
        assert_eq!(outcome(&priced), expected, "{story}: {provider}/{model} {tier:?}");
    }
}

fn counted(text: &str) -> Usage {
    let words: Vec<&str> = text.split(' ').collect();
    let count = |word: &str| word.parse::<u64>().expect("a count");
    let [fresh, read, five_minutes, hour, output, rest @ ..] = &words[..] else {
        panic!("no counts: {text}")
    };
    let mut usage = usage(count(fresh), count(read), count(five_minutes), count(hour), count(output));
    match rest {
        [] => {}
        ["audio", tokens] => usage.audio_input = Tokens(count(tokens)),
        ["searches", searches] => usage.web_searches = count(searches),
        _ => panic!("no counts: {text}"),
    }
    usage
}

#[test]
fn streams_and_explicit_zeros_are_priced_by_what_the_provider_counted() {
    check(
        "
    google    | claude-sonnet-4-5@20250929                       | - | 21 0 0 0 312 | 0.004743    | a stream on Vertex that others logged at nothing (21 × 3/M + 312 × 15/M)
    anthropic | claude-sonnet-4-5-20250929                       | - | 21 0 0 0 312 | 0.004743    | the same by the maker's own name
    bedrock   | us.anthropic.claude-sonnet-4-5-20250929-v1:0     | - | 21 0 0 0 312 | 0.0052173   | the same on Bedrock, ten per cent dearer in a region (21 × 3.3/M + 312 × 16.5/M)
    bedrock   | global.anthropic.claude-sonnet-4-5-20250929-v1:0 | - | 21 0 0 0 312 | 0.004743    | the same on Bedrock, anywhere in the world
    anthropic | claude-sonnet-4-5                                | - | 0 0 0 0 0    | 0           | an explicit zero is nothing, not a guess
    openai    | gpt-4o-2024-08-06                                | - | 1000 0 0 0 0 | 0.0025      | a hang-up before the first output token still pays for its input
    openai    | gpt-4.1-nano                                     | - | 1 0 0 0 0    | 0.0000001   | one token of the cheapest model is not rounded away
    openai    | gpt-4.1-nano                                     | - | 0 1 0 0 0    | 0.000000025 | one cached token of it neither",
    );
}

#[test]
fn cache_tokens_are_charged_once_at_their_own_rate() {
    check(
        "
    anthropic | claude-opus-4-5                             | - | 100 2000 600 400 50  | 0.0105           | reads, both writes and fresh input in one answer (100 × 5 + 600 × 6.25 + 400 × 10 + 2000 × 0.5 + 50 × 25 per million)
    anthropic | claude-opus-4-5                             | - | 0 0 0 1000000 0      | 10               | an hour's write costs more than five minutes'
    anthropic | claude-opus-4-5                             | - | 0 0 1000000 0 0      | 6.25             | five minutes'
    openai    | gpt-4o                                      | - | 1000 50000 0 0 10    | 0.0651           | a warm call is cheaper than the cold one before it (50 000 of 51 000 prompt tokens came from the cache: 1000 × 2.5 + 50000 × 1.25 + 10 × 10)
    openai    | gpt-4o                                      | - | 51000 0 0 0 10       | 0.1276           | the cold one
    google    | gemini-2.5-pro                              | - | 15000 180000 0 0 300 | 0.04425          | cached input of Gemini is not charged twice (180000 × 0.125 + 15000 × 1.25 + 300 × 10, all below 200 000 in total)
    bedrock   | us.anthropic.claude-3-5-haiku-20241022-v1:0 | - | 10 0 0 5 10          | class_not_priced | an hour's write without a rate of its own is not guessed
    openai    | gpt-4o                                      | - | 10 0 5 0 10          | class_not_priced | a cache write of a vendor that sells none",
    );
}

#[test]
fn an_unknown_price_is_never_zero() {
    check(
        "
    openai    | gpt-99-turbo                                                              | - | 10 0 0 0 10            | unknown_model     | a model nobody has heard of
    google    | gemini-3.6-flash-nano                                                     | - | 10 0 0 0 10            | unknown_model     | a sibling that does not exist yet
    acme      | gpt-4o                                                                    | - | 10 0 0 0 10            | unknown_provider  | a provider nobody has heard of
    bedrock   | arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcd | - | 10 0 0 0 10            | unknown_model     | an application inference profile tells no model
    bedrock   | us-gov.amazon.nova-lite-v1:0                                              | - | 10 0 0 0 10            | unknown_model     | government regions have prices of their own
    openai    | gpt-4o-audio-preview                                                      | - | 10 0 0 0 10 audio 5    | class_not_priced  | audio without an audio rate
    anthropic | claude-3-haiku-20240307                                                   | - | 10 0 0 0 10 searches 1 | search_not_priced | searches without a rate
    google    | gemini-2.5-flash-image                                                    | - | 10 0 0 0 10            | not_told_apart    | pictures in the output are dearer than words
    openai    | whisper-1                                                                 | - | 0 0 0 0 0              | not_told_apart    | transcription is billed by the hour
    openai    | gpt-4o-search-preview                                                     | - | 10 0 0 0 10            | not_told_apart    | each call of a search model has a fee that no usage tells
    openai    | gpt-4o-mini-search-preview-2025-03-11                                     | - | 10 0 0 0 10            | not_told_apart    | and it is not the model of its size that does not search
    openai    | gpt-5-search-api                                                          | - | 10 0 0 0 10            | not_told_apart    | nor is it free of the fee under a newer name
    mistral   | mistral-large-latest                                                      | - | 10 0 0 0 10            | unknown_model     | a name that has moved to nobody knows which model
    mistral   | mistral-medium                                                            | - | 10 0 0 0 10            | unknown_model     | another one
    mistral   | magistral-medium-latest                                                   | - | 10 0 0 0 10            | unknown_model     | a name of a retired model that is sold on as another
    mistral   | magistral-medium-2509                                                     | - | 1000000 0 0 0 0        | 2                 | whose dated name keeps its price
    openai    | moderation                                                                | - | 10 0 0 0 10            | 0                 | a price that is truly nothing is known",
    );
}

#[test]
fn the_tier_that_was_served_decides() {
    check(
        "
    openai    | gpt-5.4                 | priority  | 100000 0 0 0 100000 | 3.5              | priority served (0.1 × 5 + 0.1 × 30)
    openai    | gpt-5.4                 | default   | 100000 0 0 0 100000 | 1.75             | priority asked for, default served (0.1 × 2.5 + 0.1 × 15)
    openai    | gpt-5.4                 | -         | 100000 0 0 0 100000 | 1.75             | nothing said
    openai    | gpt-5.4                 | flex      | 100000 0 0 0 100000 | 0.875            | flex is half
    openai    | gpt-5.4                 | batch     | 100000 0 0 0 100000 | 0.875            | batch is half
    openai    | gpt-5.4                 | auto      | 100000 0 0 0 100000 | unknown_tier     | a wish is not a tier
    openai    | gpt-4o                  | flex      | 100000 0 0 0 100000 | tier_not_priced  | a tier that the model is not sold in
    anthropic | claude-opus-4-5         | standard  | 100000 0 0 0 100000 | 3                | Anthropic's word for ordinary
    anthropic | claude-opus-4-5         | batch     | 0 1000000 0 0 0     | 0.25             | Anthropic's batch halves the cache too
    anthropic | claude-opus-4-5         | priority  | 100000 0 0 0 100000 | tier_not_priced  | a commitment's price is in its contract
    google    | gemini-2.5-pro          | flex      | 200001 0 0 0 0      | input_not_priced | a tier whose long context has no known rate
    groq      | llama-3.3-70b-versatile | on_demand | 1000000 0 0 0 0     | 0.59             | Groq's word for ordinary",
    );
}

#[test]
fn context_tiers_reprice_the_whole_request_by_all_of_its_input() {
    check(
        "
    google | gemini-2.5-pro | -        | 200000 0 0 0 1000   | 0.26      | at the threshold (200000 × 1.25 + 1000 × 10)
    google | gemini-2.5-pro | -        | 200001 0 0 0 1000   | 0.5150025 | one above it (200001 × 2.5 + 1000 × 15)
    google | gemini-2.5-pro | -        | 1 200000 0 0 0      | 0.0500025 | cached input counts towards it
    google | gemini-2.5-pro | -        | 100000 0 0 0 150000 | 1.625     | output does not
    openai | gpt-5.4        | -        | 272000 0 0 0 0      | 0.68      | OpenAI's threshold
    openai | gpt-5.4        | -        | 272001 0 0 0 0      | 1.360005  | one above it
    openai | gpt-5.4        | priority | 272001 0 0 0 0      | 1.360005  | priority has no long-context step",
    );
}

#[test]
fn reasoning_is_a_part_of_the_output_and_never_added() {
    let spoken = usage(10, 0, 0, 0, 500);
    let thought = Usage { reasoning: Tokens(450), ..spoken };
    assert_eq!(price("openai", "o3", None, &spoken), price("openai", "o3", None, &thought));
}

#[test]
fn the_date_of_the_call_decides_and_not_today() {
    let million = usage(100_000, 0, 0, 0, 0);
    let on = |day: &str, model: &str, provider: &str| {
        outcome(&PRICES.price(Quote { provider, model, tier: None, at: at(day), usage: &million }))
    };
    assert_eq!(on("2026-08-20T23:59:59Z", "gpt-5.6-sol", "openai"), "0.5");
    assert_eq!(on("2026-08-21T00:00:00Z", "gpt-5.6-sol", "openai"), "0.4");
    let flex = |day| {
        PRICES.price(Quote {
            provider: "openai",
            model: "o3",
            tier: Some("flex"),
            at: at(day),
            usage: &million,
        })
    };
    assert_eq!(outcome(&flex("2026-10-11T23:59:59Z")), "date_not_priced");
    assert_eq!(outcome(&flex("2026-10-12T00:00:00Z")), "0.1");
}

#[test]
fn the_hour_decides_where_a_vendor_sells_by_the_hour() {
    let million = usage(1_000_000, 0, 0, 0, 0);
    let then = |time: &str| {
        outcome(&PRICES.price(Quote {
            provider: "deepseek",
            model: "deepseek-v4-flash",
            tier: None,
            at: at(time),
            usage: &million,
        }))
    };
    assert_eq!(then("2026-11-20T00:59:59Z"), "0.15");
    assert_eq!(then("2026-11-20T01:00:00Z"), "0.3");
    assert_eq!(then("2026-11-20T03:59:59Z"), "0.3");
    assert_eq!(then("2026-11-20T04:00:00Z"), "0.15");
    assert_eq!(then("2026-11-20T09:59:59Z"), "0.3");
    assert_eq!(then("2026-11-21T02:00:00Z"), "0.15", "a Saturday is off-peak all day");
    assert_eq!(then("2026-08-01T02:00:00Z"), "0.14", "before prices by the hour");
    assert_eq!(then("2026-08-26T02:00:00Z"), "date_not_priced", "peak hours whose rate was never recorded");
}

#[test]
fn the_receipt_shows_entry_source_date_and_sum() {
    let Priced::Exact { amount, receipt } =
        price("openai", "gpt-4o-2024-08-06", Some("default"), &usage(1000, 0, 0, 0, 200))
    else {
        panic!("gpt-4o has a price");
    };
    assert_eq!(amount.to_string(), "0.0045");
    assert_eq!(receipt.price_id.as_deref(), Some("openai/gpt-4o"));
    assert_eq!(receipt.formula.as_deref(), Some("1000 fresh_input × $2.5/M + 200 output × $10/M"));
    assert!(receipt.source.is_some_and(|source| source.contains("genai-prices")));
    assert!(receipt.effective.is_some());
    assert_eq!(receipt.note, None);

    let all = Usage { web_searches: 3, ..usage(272_001, 5, 0, 0, 7) };
    let receipt = price("openai", "gpt-5.4", Some("flex"), &all).into_receipt();
    let formula = "flex, input above 272000: 272001 fresh_input × $2.5/M + 5 cache_read × $0.25/M + 7 output × $11.25/M + 3 web_search × $10/k";
    assert_eq!(receipt.formula.as_deref(), Some(formula));
    assert_eq!(receipt.effective, chrono::NaiveDate::from_ymd_opt(2026, 10, 12));

    let other_source =
        price("bedrock", "us.amazon.nova-pro-v1:0", Some("flex"), &usage(1, 0, 0, 0, 0)).into_receipt();
    assert!(
        other_source.source.is_some_and(|source| source.starts_with("LiteLLM")),
        "a row's own source counts"
    );

    let unpriced = price("openai", "gpt-4o", Some("scale"), &all).into_receipt();
    assert_eq!(unpriced.note.as_deref(), Some("service tier scale is not one whose price is known"));
    assert_eq!(unpriced.formula, None);
}

#[test]
fn the_demonstration_model_has_its_own_small_prices() {
    let priced = price("demo", "echo", None, &usage(1_000_000, 0, 0, 0, 1_000_000));
    assert_eq!(outcome(&priced), "3");
    assert!(priced.into_receipt().source.is_some_and(|source| source.contains("demonstration")));
    assert_eq!(outcome(&price("demo", "echo", None, &usage(1, 1, 0, 0, 0))), "class_not_priced");
}
