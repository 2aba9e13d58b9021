//! One proxied call as a fact: what was asked, what it used, what it cost and how sure we are.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, ConnectionId, RequestId, TenantId};
use crate::money::Usd;
use crate::privacy::BodyState;
use crate::usage::Usage;

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as in JSON and SQL.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// How a call ended.
    Outcome {
        /// The provider's answer reached its end.
        Completed = "completed",
        /// The provider refused, failed, timed out or could not be reached.
        Failed = "failed",
        /// The client hung up before the end.
        ClientGone = "client_gone",
        /// The proxy died in the middle; found again in the spool.
        Interrupted = "interrupted",
    }
}

text_enum! {
    /// How sure a cost is. Unknown is never zero: an unpriced call has no amount at all.
    CostBasis {
        /// The provider counted and a price is known.
        Exact = "exact",
        /// We counted, because the provider did not get to.
        Estimated = "estimated",
        /// No price is known, or nobody counted what was used; the amount is absent.
        Unpriced = "unpriced",
    }
}

text_enum! {
    /// What to do with the provider's stream when the client hangs up.
    HangupPolicy {
        /// Read on to the end, within bounds, so that the usage is exact.
        Drain = "drain",
        /// Stop at once; what was seen is estimated.
        Abort = "abort",
    }
}

text_enum! {
    /// What to do where an OpenAI stream tells its usage only on request.
    StreamUsagePolicy {
        /// Ask for it, and take the extra chunk out again.
        Inject = "inject",
        /// Leave the request alone and estimate.
        Estimate = "estimate",
    }
}

text_enum! {
    /// What the answer's last byte waits for.
    Durability {
        /// Nothing: written to the spool before, synced within 50 ms.
        Spool = "spool",
        /// The spool's sync to disk.
        Fsync = "fsync",
        /// The row's commit in PostgreSQL.
        Database = "database",
    }
}

text_enum! {
    /// Who saw a call.
    Origin {
        /// The proxy, which carried it.
        Proxy = "proxy",
        /// A LiteLLM proxy, whose spend logs were imported.
        LiteLlm = "litellm",
        /// The program that made it, which sent its spans by OTLP.
        Otlp = "otlp",
    }
}

/// Where a call's row comes from, and what tells that two rows are one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Who saw the call.
    pub origin: Origin,
    /// The region that an imported call says it went to; a proxied call's is its connection's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
    /// The id that the provider gave its answer, in the answer itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_id: Option<String>,
}

impl Default for Provenance {
    fn default() -> Self {
        Self { origin: Origin::Proxy, region: None, response_id: None }
    }
}

/// A finished call, ready to be stored. Costs at most what [`Usage`] times the named price is, to the last digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFact {
    /// Event id; its own time is `started_at` to the millisecond and picks the partition.
    pub id: RequestId,
    /// Whose call it was.
    pub tenant_id: TenantId,
    /// The API key that made it.
    pub api_key_id: ApiKeyId,
    /// The connection it went out through; `None` for the built-in provider.
    pub connection_id: Option<ConnectionId>,
    /// When the proxy accepted it.
    pub started_at: DateTime<Utc>,
    /// From acceptance to the provider's last byte, in milliseconds.
    pub duration_ms: u32,
    /// From acceptance to the provider's first body byte, in milliseconds.
    pub first_byte_ms: Option<u32>,
    /// The provider's stable name, e.g. `openai`.
    pub provider: String,
    /// The proxy's route, e.g. `/v1/chat/completions`.
    pub endpoint: String,
    /// The model the client asked for.
    pub model_requested: String,
    /// The model the provider says it served; prices follow it.
    pub model_served: Option<String>,
    /// The service tier the provider says it served, e.g. `default`, `flex`, `priority`, `batch`.
    pub service_tier: Option<String>,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The provider's HTTP status; `None` where there was no answer.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// A stable code for what went wrong; `None` when nothing did.
    pub error_code: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// How sure the cost is.
    pub cost_basis: CostBasis,
    /// The cost; `None` exactly when `cost_basis` is unpriced.
    pub cost: Option<Usd>,
    /// Where the price came from, its date and the sum, for the receipt; for an unpriced call the reason.
    pub price: PriceReceipt,
    /// The client's own request id, as it sent it.
    pub caller_request_id: Option<String>,
    /// The provider's request id, as it answered in its headers.
    pub provider_request_id: Option<String>,
    /// Where the row comes from.
    #[serde(default)]
    pub provenance: Provenance,
    /// What became of prompt and answer.
    #[serde(default = "nothing_kept")]
    pub body: BodyState,
}

/// What an earlier release's facts say by saying nothing.
const fn nothing_kept() -> BodyState {
    BodyState::None
}

/// Where a row's price came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceReceipt {
    /// The catalogue entry, e.g. `openai/gpt-4o`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price_id: Option<String>,
    /// Who published the price.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Since when the price holds, or when it was last checked (`YYYY-MM-DD`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effective: Option<chrono::NaiveDate>,
    /// The sum as text: `1000 fresh_input × 2.5/M + 200 output × 10/M`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub formula: Option<String>,
    /// Why there is no price, or why the usage is an estimate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// That the call was priced later than it was recorded, and what stood there first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repriced: Option<RepricedNote>,
}

/// A call was priced later, or anew: when, by which prices, and what its row said first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepricedNote {
    /// When, the last time.
    pub at: DateTime<Utc>,
    /// The version of the price catalogue; 0 for the prices that came with the build.
    pub version: u64,
    /// How sure the first cost was.
    pub first_basis: CostBasis,
    /// The first cost; `None` where the call had no price.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_cost: Option<Usd>,
}
