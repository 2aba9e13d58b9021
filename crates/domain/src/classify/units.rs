//! How many tokens one unit of usage stands for.
//!
//! AWS counts the same tokens in thousands, in millions and in `Units` whose meaning only the description tells
//! (its third `|` field for Marketplace products). A wrong guess is wrong by a factor of a thousand, so where
//! the bill does not say, the answer is `None`.

use super::words::words;

/// The number of tokens per unit, from the pricing unit, else the usage type, else the description.
pub(super) fn tokens_per_unit(pricing_unit: &str, usage_type: &str, description: &str) -> Option<u32> {
    let unit = words(pricing_unit);
    if let Some(known) = multiplier(&unit) {
        return Some(known);
    }
    if words(usage_type).iter().any(|word| word == "million") {
        return Some(1_000_000);
    }
    let told = description.split('|').nth(2).unwrap_or(description);
    let told = words(told);
    let speaks_of_tokens = told.iter().any(|word| word.starts_with("token") || word == "tpm");
    if !speaks_of_tokens {
        return None;
    }
    multiplier(&told).filter(|known| *known != 1)
}

/// What a phrase multiplies by; 1 for a phrase of tokens without a number word.
fn multiplier(phrase: &[String]) -> Option<u32> {
    if phrase.iter().any(|word| matches!(word.as_str(), "million" | "1m" | "1000000" | "mtok" | "mtokens")) {
        return Some(1_000_000);
    }
    if phrase.iter().any(|word| matches!(word.as_str(), "thousand" | "1k" | "1000" | "ktokens")) {
        return Some(1_000);
    }
    phrase.iter().any(|word| word.starts_with("token")).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::tokens_per_unit;

    #[test]
    fn the_unit_decides_then_the_description() {
        assert_eq!(tokens_per_unit("1K tokens", "", ""), Some(1_000));
        assert_eq!(tokens_per_unit("1M tokens", "", ""), Some(1_000_000));
        assert_eq!(tokens_per_unit("Tokens", "", "per 1K tokens"), Some(1));
        let told = "AWS Marketplace software usage|us-east-1|Million Input Tokens Regional";
        assert_eq!(tokens_per_unit("Units", "", told), Some(1_000_000));
        assert_eq!(tokens_per_unit("", "", "$0.000060 per 1K input tokens"), Some(1_000));
        assert_eq!(
            tokens_per_unit("Units", "USE1-MP:USE1_MillionBatchInputTokens-Units", ""),
            Some(1_000_000)
        );
    }

    #[test]
    fn an_unknown_unit_is_no_guess() {
        assert_eq!(tokens_per_unit("Units", "", "AWS Marketplace software usage|us-east-1|Tokens"), None);
        assert_eq!(tokens_per_unit("", "USE1-NovaPro-input-tokens", "input"), None);
        assert_eq!(tokens_per_unit("Hrs", "", "1000 hours"), None);
    }
}
