//! What a call used, in disjoint classes.
//!
//! Vendors count differently: OpenAI's and Google's input includes what came from the cache, Anthropic's does
//! not. Here every token stands in exactly one class, so a price is a plain sum over classes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A count of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl Tokens {
    /// The sum; a count cannot reach the ceiling of 64 bits in practice, and stays there if it does.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// True for no token at all.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The disjoint kinds of tokens that prices are quoted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenClass {
    /// Text and image input that was neither read from nor written to a prompt cache.
    FreshInput,
    /// Input served from a prompt cache.
    CacheRead,
    /// Input written to a cache that lives five minutes (or has the vendor's only lifetime).
    CacheWrite5m,
    /// Input written to a cache that lives one hour.
    CacheWrite1h,
    /// Everything the model wrote, reasoning included.
    Output,
    /// Fresh audio input.
    AudioInput,
    /// Audio output.
    AudioOutput,
}

impl TokenClass {
    /// Every class, in the order receipts show them.
    pub const ALL: [Self; 7] = [
        Self::FreshInput,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::AudioInput,
        Self::AudioOutput,
    ];

    /// The stable name, as in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FreshInput => "fresh_input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
        }
    }
}

impl fmt::Display for TokenClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one call used. The classes are disjoint; `reasoning` alone is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// [`TokenClass::FreshInput`].
    pub fresh_input: Tokens,
    /// [`TokenClass::CacheRead`].
    pub cache_read: Tokens,
    /// [`TokenClass::CacheWrite5m`].
    pub cache_write_5m: Tokens,
    /// [`TokenClass::CacheWrite1h`].
    pub cache_write_1h: Tokens,
    /// [`TokenClass::Output`], reasoning included, audio not.
    pub output: Tokens,
    /// The part of `output` that the model thought and did not say. Priced as output, shown apart.
    pub reasoning: Tokens,
    /// [`TokenClass::AudioInput`].
    pub audio_input: Tokens,
    /// [`TokenClass::AudioOutput`].
    pub audio_output: Tokens,
    /// Web searches that the vendor ran and charges by the call.
    pub web_searches: u64,
}

impl Usage {
    /// More than any call can use: the sum of nine million such calls still fits into 63 bits.
    pub const LARGEST_COUNT: u64 = 1_000_000_000_000;

    /// Whether every count is one that a call can have. What a provider says is held against it: nothing that it
    /// answers may make a row that no ledger takes.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let tokens = TokenClass::ALL.iter().map(|class| self.of(*class).0);
        tokens.chain([self.reasoning.0, self.web_searches]).all(|count| count <= Self::LARGEST_COUNT)
    }

    /// The count of one class.
    #[must_use]
    pub const fn of(&self, class: TokenClass) -> Tokens {
        match class {
            TokenClass::FreshInput => self.fresh_input,
            TokenClass::CacheRead => self.cache_read,
            TokenClass::CacheWrite5m => self.cache_write_5m,
            TokenClass::CacheWrite1h => self.cache_write_1h,
            TokenClass::Output => self.output,
            TokenClass::AudioInput => self.audio_input,
            TokenClass::AudioOutput => self.audio_output,
        }
    }

    /// All input, cached or not: what context tiers are measured by.
    #[must_use]
    pub const fn total_input(&self) -> Tokens {
        self.fresh_input
            .plus(self.cache_read)
            .plus(self.cache_write_5m)
            .plus(self.cache_write_1h)
            .plus(self.audio_input)
    }
}
