//! What is bought: a kind of token, in a tier, by a route, of a context size.

use costlens_domain::classify::{Meter, Routing, Tier};
use costlens_domain::{TokenClass, Usage};

/// What a quantity counts: the token classes, as bills tell them apart, and searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Input that is in no cache.
    FreshInput,
    /// Input from a cache.
    CacheRead,
    /// Input written to a cache of five minutes.
    CacheWrite5m,
    /// Input written to a cache of thirty minutes.
    CacheWrite30m,
    /// Input written to a cache of an hour.
    CacheWrite1h,
    /// Output.
    Output,
    /// Audio input.
    AudioInput,
    /// Audio output.
    AudioOutput,
    /// Searches that the vendor ran.
    WebSearch,
}

/// Kinds that cannot turn into one another, whatever a meter got wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    FreshInput,
    CacheRead,
    CacheWrite,
    Output,
    AudioInput,
    AudioOutput,
    WebSearch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; KINDS] = [
        Self::FreshInput,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite30m,
        Self::CacheWrite1h,
        Self::Output,
        Self::AudioInput,
        Self::AudioOutput,
        Self::WebSearch,
    ];

    /// The kind that a bill line's meter counts; `None` for what no proxied call is charged by.
    #[must_use]
    pub const fn of_meter(meter: Meter) -> Option<Self> {
        Some(match meter {
            Meter::CacheWrite30m => Self::CacheWrite30m,
            Meter::Searches => Self::WebSearch,
            meter => match meter.token_class() {
                Some(class) => Self::of_class(class),
                None => return None,
            },
        })
    }

    const fn of_class(class: TokenClass) -> Self {
        match class {
            TokenClass::FreshInput => Self::FreshInput,
            TokenClass::CacheRead => Self::CacheRead,
            TokenClass::CacheWrite5m => Self::CacheWrite5m,
            TokenClass::CacheWrite1h => Self::CacheWrite1h,
            TokenClass::Output => Self::Output,
            TokenClass::AudioInput => Self::AudioInput,
            TokenClass::AudioOutput => Self::AudioOutput,
        }
    }

    /// The stable name, as bills' meters have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FreshInput => Meter::FreshInput.as_str(),
            Self::CacheRead => Meter::CacheRead.as_str(),
            Self::CacheWrite5m => Meter::CacheWrite5m.as_str(),
            Self::CacheWrite30m => Meter::CacheWrite30m.as_str(),
            Self::CacheWrite1h => Meter::CacheWrite1h.as_str(),
            Self::Output => Meter::Output.as_str(),
            Self::AudioInput => Meter::AudioInput.as_str(),
            Self::AudioOutput => Meter::AudioOutput.as_str(),
            Self::WebSearch => Meter::Searches.as_str(),
        }
    }

    /// Whether it counts tokens.
    #[must_use]
    pub const fn is_tokens(self) -> bool {
        !matches!(self, Self::WebSearch)
    }

    pub(super) const fn family(self) -> Family {
        match self {
            Self::FreshInput => Family::FreshInput,
            Self::CacheRead => Family::CacheRead,
            Self::CacheWrite5m | Self::CacheWrite30m | Self::CacheWrite1h => Family::CacheWrite,
            Self::Output => Family::Output,
            Self::AudioInput => Family::AudioInput,
            Self::AudioOutput => Family::AudioOutput,
            Self::WebSearch => Family::WebSearch,
        }
    }

    /// Whether it is a part of what the model wrote, and so unknown where a stream was left before its end.
    pub(super) const fn is_written(self) -> bool {
        matches!(self, Self::Output | Self::AudioOutput)
    }

    const fn at(self) -> usize {
        match self {
            Self::FreshInput => 0,
            Self::CacheRead => 1,
            Self::CacheWrite5m => 2,
            Self::CacheWrite30m => 3,
            Self::CacheWrite1h => 4,
            Self::Output => 5,
            Self::AudioInput => 6,
            Self::AudioOutput => 7,
            Self::WebSearch => 8,
        }
    }
}

const KINDS: usize = 9;

impl Family {
    pub(super) const ALL: [Self; 7] = [
        Self::FreshInput,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Output,
        Self::AudioInput,
        Self::AudioOutput,
        Self::WebSearch,
    ];
}

/// One value for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKind<T>([T; KINDS]);

impl<T: Copy + Default> PerKind<T> {
    /// The kind's value.
    #[must_use]
    pub fn of(&self, kind: Kind) -> T {
        self.0.get(kind.at()).copied().unwrap_or_default()
    }

    /// The kind's value, to change.
    pub fn update(&mut self, kind: Kind, change: impl FnOnce(&mut T)) {
        if let Some(value) = self.0.get_mut(kind.at()) {
            change(value);
        }
    }

    /// Every kind with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, T)> + '_ {
        Kind::ALL.into_iter().zip(self.0.iter().copied())
    }
}

/// How much of each kind.
pub type Quantities = PerKind<u64>;

impl From<&Usage> for Quantities {
    fn from(usage: &Usage) -> Self {
        let mut quantities = Self::default();
        for class in TokenClass::ALL {
            quantities.update(Kind::of_class(class), |quantity| *quantity = usage.of(class).0);
        }
        quantities.update(Kind::WebSearch, |quantity| *quantity = usage.web_searches);
        quantities
    }
}

/// What changes the price of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant {
    /// The service tier.
    pub tier: Tier,
    /// Where inference ran.
    pub routing: Routing,
    /// Whether the price of long prompts holds.
    pub long_context: bool,
}

impl Variant {
    /// In how many respects two differ.
    pub(super) fn distance(self, other: Self) -> u32 {
        u32::from(self.tier != other.tier)
            + u32::from(self.routing != other.routing)
            + u32::from(self.long_context != other.long_context)
    }
}

/// What one line of a bill counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku {
    /// What it counts.
    pub kind: Kind,
    /// At which price.
    pub variant: Variant,
}
