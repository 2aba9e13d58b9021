//! The words of settlement: why an estimate and a bill differ, and how sure that is. The names are fixed; they are
//! stored, shown and explained in the book.

use crate::bill::ReportFormat;
use crate::request::text_enum;

text_enum! {
    /// Who issues a bill. Calls are settled against the bills of whoever charges for them.
    Issuer {
        /// Amazon Web Services.
        Aws = "aws",
        /// Anthropic, for the Claude API.
        Anthropic = "anthropic",
        /// OpenAI, for its API.
        OpenAi = "openai",
        /// Microsoft, for Azure.
        Azure = "azure",
        /// Google, for Google Cloud and the Gemini API.
        Google = "google",
    }
}

impl Issuer {
    /// Whose bills have this format.
    #[must_use]
    pub const fn of(format: ReportFormat) -> Self {
        match format {
            ReportFormat::LegacyCur | ReportFormat::Cur2 | ReportFormat::Focus => Self::Aws,
            ReportFormat::AnthropicCosts => Self::Anthropic,
            ReportFormat::OpenAiCosts => Self::OpenAi,
            ReportFormat::AzureCosts | ReportFormat::AzureAmortised | ReportFormat::AzureFocus => Self::Azure,
            ReportFormat::GoogleCosts | ReportFormat::GoogleFocus => Self::Google,
        }
    }

    /// Whether its bills are asked of it and never uploaded: it answers for every day up to now, those without use included.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        matches!(self, Self::Anthropic | Self::OpenAi)
    }

    /// The name that a person reads.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Anthropic => "Anthropic",
            Self::OpenAi => "OpenAI",
            Self::Azure => "Azure",
            Self::Google => "Google",
        }
    }
}

text_enum! {
    /// Why money stands on one side and not on the other, in the order in which differences are attributed.
    ResidualCode {
        /// The catalogue or the bill counted in another unit: a factor of a thousand.
        UnitChange = "unit_change",
        /// Billed, and no proxied call used it.
        Unproxied = "unproxied",
        /// Proxied, and not on the bill yet.
        Lag = "lag",
        /// The usage of calls that were left before their end was estimated.
        AbortedStreams = "aborted_streams",
        /// Written to a cache of another lifetime than was metered.
        CacheTtl = "cache_ttl",
        /// Served in another tier than was metered.
        Tier = "tier",
        /// Served by another route than was metered.
        Routing = "routing",
        /// The price of long prompts.
        LongContext = "long_context",
        /// The catalogue's price is not the billed one, or there was none.
        Price = "price",
        /// Private rates, discounts and commitments.
        Discount = "discount",
        /// Credits and refunds.
        Credit = "credit",
        /// Taxes.
        Tax = "tax",
        /// AI that is not counted in tokens: hours, seats, storage. No proxied call could be it.
        Unmetered = "unmetered",
        /// Less than what a line's rounding can make.
        Rounding = "rounding",
        /// None of these.
        Unknown = "unknown",
    }
}

text_enum! {
    /// On which side of the identity money stands.
    ResidualSide {
        /// It changed what calls cost.
        Calls = "calls",
        /// It is the bill's alone.
        Outside = "outside",
    }
}

text_enum! {
    /// How far calls are settled.
    SettlementState {
        /// By what the bill charged.
        Settled = "settled",
        /// In part by what the bill is expected to charge: their day is not billed to its end.
        Provisional = "provisional",
        /// The bill knows nothing of their model in their account: it is not theirs.
        Absent = "absent",
    }
}

text_enum! {
    /// How sure it is which billed tokens were whose.
    MatchConfidence {
        /// The counts leave no choice.
        Certain = "certain",
        /// By the calls' own marks, or by what calls like them did on other days.
        Likely = "likely",
        /// Calls that could not be told apart share what is theirs together.
        Shared = "shared",
    }
}

text_enum! {
    /// How a unit price on the bill stands to the catalogue's.
    PriceFinding {
        /// They are the same.
        Agrees = "agrees",
        /// A private rate or discount: lower, for more than one thing at once.
        Discount = "discount",
        /// Another price: it changed, or the catalogue is wrong.
        Differs = "differs",
        /// A factor of a thousand: one of the two counts in another unit.
        Unit = "unit",
        /// The catalogue has no such price.
        Unlisted = "unlisted",
    }
}
