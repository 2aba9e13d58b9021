//! Takes identifiers apart into words, whatever they are glued together with.
//!
//! AWS spells one thing as `cache-read-input-token-count`, `CacheReadInputTokenCount` and `cache_read_tokens`.
//! As words (`cache read input token count`) they are alike. A single letter stays with the digits before it
//! (`405B`, `1h`, `4o`) and with those after it (`v2`, `R1`); longer runs of letters do not (`Llama3` is two).

/// The words of a text, in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for piece in text.split(|c: char| !c.is_alphanumeric() && c != '+') {
        split_piece(piece, &mut out);
    }
    out
}

fn split_piece(piece: &str, out: &mut Vec<String>) {
    let chars: Vec<char> = piece.chars().collect();
    let mut word = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let next = chars.get(at + 1).copied();
        if let Some(last) = at.checked_sub(1).and_then(|at| chars.get(at)).copied()
            && cuts(&word, last, c, next)
        {
            out.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
    }
    if !word.is_empty() {
        out.push(word);
    }
}

/// Does a word end between `last` and `c`?
fn cuts(word: &str, last: char, c: char, next: Option<char>) -> bool {
    let starts_upper = c.is_uppercase() && last.is_lowercase();
    if starts_upper {
        return true;
    }
    if c.is_ascii_digit() && last.is_alphabetic() {
        let letters = word.chars().rev().take_while(|c| c.is_alphabetic()).count();
        return letters >= 2;
    }
    if last.is_ascii_digit() && c.is_alphabetic() {
        // `4B`, `1h` and `30mInput` keep their letter, `3Month` and `2Lite` do not.
        return next.is_some_and(|next| next.is_lowercase() && next.is_alphabetic());
    }
    false
}

/// True where `phrase` stands at the beginning of `words`.
pub(crate) fn starts_with(words: &[String], phrase: &[&str]) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(word, wanted)| word == wanted)
}

/// True where `phrase` stands anywhere in `words`.
pub(crate) fn contains(words: &[String], phrase: &[&str]) -> bool {
    (0..words.len()).any(|at| words.get(at..).is_some_and(|rest| starts_with(rest, phrase)))
}

/// A usage type of AWS' without the region that it begins with: `USE1-`, `EU-`, `APN1-`, …
#[must_use]
pub fn without_region(usage_type: &str) -> &str {
    match usage_type.split_once('-') {
        Some((prefix, rest)) if is_region(prefix) => rest,
        _ => usage_type,
    }
}

/// True for the abbreviations that usage types begin with (`USE1` for us-east-1, `EU` for eu-west-1, `CPT`).
pub(crate) fn is_region(prefix: &str) -> bool {
    const AREAS: [&str; 13] = ["US", "EU", "AP", "AF", "ME", "IL", "SA", "CA", "CN", "MX", "UG", "NZ", "TH"];
    match prefix.as_bytes() {
        b"EU" | b"CPT" => true,
        [_, _, third, digit] => {
            third.is_ascii_uppercase()
                && digit.is_ascii_digit()
                && prefix.get(..2).is_some_and(|area| AREAS.contains(&area))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_become_the_same_words() {
        assert_eq!(words("cache-read-input-token-count").join(" "), "cache read input token count");
        assert_eq!(words("CacheReadInputTokenCount").join(" "), "cache read input token count");
        assert_eq!(words("cache_read_tokens").join(" "), "cache read tokens");
        assert_eq!(
            words("CacheWrite1hInputTokenCount_Global").join(" "),
            "cache write 1h input token count global"
        );
        assert_eq!(words("Reserved_3Month_OutputTPM").join(" "), "reserved 3 month output tpm");
    }

    #[test]
    fn model_names_keep_their_sizes_whole() {
        for (name, wanted) in [
            ("Llama3-1-405B", "llama 3 1 405b"),
            ("Nova2.0Lite", "nova 2 0 lite"),
            ("Claude3-5Haiku", "claude 3 5 haiku"),
            ("Claude4.6Sonnet", "claude 4 6 sonnet"),
            ("gpt-oss-120b", "gpt oss 120b"),
            ("Gemma-3-4B-IT", "gemma 3 4b it"),
            ("DeepSeek-R1", "deep seek r1"),
            ("gpt-4o", "gpt 4o"),
        ] {
            assert_eq!(words(name).join(" "), wanted);
        }
    }

    #[test]
    fn only_a_region_is_taken_off() {
        assert_eq!(without_region("USE1-Guardrail"), "Guardrail");
        assert_eq!(without_region("EU-Notebk:ml.m5.xlarge"), "Notebk:ml.m5.xlarge");
        assert_eq!(without_region("GPT-OSS-Safeguard-20B"), "GPT-OSS-Safeguard-20B");
        assert_eq!(without_region("SD3-Large"), "SD3-Large");
    }
}
