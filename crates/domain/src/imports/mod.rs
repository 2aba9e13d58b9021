//! Calls that others saw: what a log or a span says of a call that never passed the proxy, and how it becomes a row.
//!
//! A row that was imported is priced by our own catalogue, as a proxied call of the same provider, model, tokens and time.
//! What its source says that it cost is kept beside it as a claim. No prompt and no answer has a place here, so that
//! none can be stored (ADR 0025).

pub mod failures;
pub mod vendors;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::{ApiKeyId, RequestId, TenantId};
use crate::money::Usd;
use crate::pricing::{Catalogue, price_fact};
use crate::privacy::BodyState;
use crate::request::{CostBasis, Origin, Outcome, PriceReceipt, Provenance, RequestFact};
use crate::usage::{TokenClass, Usage};

/// How far ahead of ours another machine's clock may be.
pub const CLOCKS_APART: TimeDelta = TimeDelta::minutes(10);

/// How long ago a call may have been: a year and a month, so that every bill of a year can still be settled. Each older
/// day would be one more part of the ledger, for everybody.
pub const OLDEST: TimeDelta = TimeDelta::days(400);

/// The longest id that tells calls of a source apart, in bytes.
const LONGEST_ID: usize = 256;

/// The most tokens of one kind that a call can have: ten times the largest context of 2026.
const MOST_TOKENS: u64 = 100_000_000;

/// How many tags of a call are kept.
const MOST_TAGS: usize = 20;

/// The longest name of a user, team or tag, in characters.
const LONGEST_NAME: usize = 256;

/// What the provider did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It answered, and this was used.
    Answered(Usage),
    /// It refused or was not reached; what was used all the same, where somebody counted it.
    Failed(Usage),
    /// It failed, perhaps after it had begun to work, and nobody counted.
    Broken,
    /// Nothing: the source answered from its own cache.
    Cached,
}

/// Whose the call was, in the source's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The source's own user.
    pub user: Option<String>,
    /// The user that the caller named.
    pub end_user: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The service that made the call.
    pub service: Option<String>,
    /// Labels; the source's key is one, `litellm_key:<hash>`.
    pub tags: Vec<String>,
}

/// A call as its source tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedCall {
    /// What tells it apart from the source's other calls.
    pub source_id: String,
    /// The provider's id of its answer, where that is known.
    pub response_id: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// The provider's stable name, as [`vendors::provider`] says it.
    pub provider: String,
    /// What was done, in the source's word: `acompletion`, `chat`.
    pub operation: String,
    /// The model that was asked for.
    pub model_requested: String,
    /// The model that served.
    pub model_served: Option<String>,
    /// The service tier that served.
    pub service_tier: Option<String>,
    /// The region that it went to.
    pub region: Option<String>,
    /// What the provider did.
    pub work: Work,
    /// What went wrong, in one word.
    pub error_code: Option<String>,
    /// What the source says that it cost.
    pub claimed_cost: Option<Usd>,
    /// Whose it was.
    pub attribution: Attribution,
}

/// Why a call is not taken. The words are for whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Refusal {
    #[error("is no JSON object or row of the table")]
    NoRow,
    #[error("has no id, by which it could be counted once")]
    NoId,
    #[error("has an id of more than {LONGEST_ID} bytes")]
    LongId,
    #[error("does not say when it began, or not as a date and time")]
    NoTime,
    #[error("begins in the future")]
    Future,
    #[error("is more than {} days old", OLDEST.num_days())]
    Old,
    #[error("ends before it begins")]
    Backwards,
    #[error("does not say which provider it went to")]
    NoProvider,
    #[error("does not say which model it asked for")]
    NoModel,
    #[error("has a count of tokens that is no count, or more than a call can have")]
    Tokens,
    #[error("did not fail and tells no tokens: what is not counted in tokens is not imported")]
    NoTokens,
}

/// An imported call, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedCall {
    /// The row.
    pub fact: RequestFact,
    /// What tells it apart from the other calls of its origin.
    pub source_id: String,
    /// When it was handed in.
    pub imported_at: DateTime<Utc>,
    /// What the source says that it cost.
    pub claimed_cost: Option<Usd>,
    /// Whose it was.
    pub attribution: Attribution,
}

impl ReportedCall {
    /// Whether it can be a row, as of a moment.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.source_id.is_empty() {
            return Err(Refusal::NoId);
        }
        if self.source_id.len() > LONGEST_ID {
            return Err(Refusal::LongId);
        }
        if self.started_at > now + CLOCKS_APART {
            return Err(Refusal::Future);
        }
        if self.started_at < now - OLDEST {
            return Err(Refusal::Old);
        }
        if self.ended_at < self.started_at {
            return Err(Refusal::Backwards);
        }
        if self.provider.is_empty() {
            return Err(Refusal::NoProvider);
        }
        if self.model_requested.is_empty() {
            return Err(Refusal::NoModel);
        }
        let (Work::Answered(usage) | Work::Failed(usage)) = self.work else { return Ok(()) };
        let counts = TokenClass::ALL.map(|class| usage.of(class).0);
        if counts.into_iter().any(|count| count > MOST_TOKENS) || usage.web_searches > MOST_TOKENS {
            return Err(Refusal::Tokens);
        }
        // A price of nothing would be made of it, and nothing is what is not known.
        if matches!(self.work, Work::Answered(_)) && usage == Usage::default() {
            return Err(Refusal::NoTokens);
        }
        Ok(())
    }

    /// The row of a call that was [checked](Self::check), priced. `random` makes its id.
    #[must_use]
    pub fn into_call(
        self,
        (origin, tenant_id, api_key_id): (Origin, TenantId, ApiKeyId),
        catalogue: &Catalogue,
        (now, random): (DateTime<Utc>, [u8; 10]),
    ) -> ImportedCall {
        let (outcome, usage) = match self.work {
            Work::Answered(usage) => (Outcome::Completed, usage),
            Work::Failed(usage) => (Outcome::Failed, usage),
            Work::Broken => (Outcome::Failed, Usage::default()),
            Work::Cached => (Outcome::Completed, Usage::default()),
        };
        // Other vendors' bills know no regions.
        let region = self.region.filter(|region| self.provider == vendors::BEDROCK && !region.is_empty());
        let duration = (self.ended_at - self.started_at).num_milliseconds();
        let mut fact = RequestFact {
            id: RequestId::new(self.started_at, random),
            tenant_id,
            api_key_id,
            connection_id: None,
            started_at: self.started_at,
            duration_ms: u32::try_from(duration).unwrap_or(u32::MAX),
            first_byte_ms: None,
            provider: self.provider,
            endpoint: self.operation,
            model_requested: self.model_requested,
            model_served: self.model_served,
            service_tier: self.service_tier,
            streamed: false,
            status: None,
            outcome,
            error_code: self.error_code,
            usage,
            cost_basis: CostBasis::Unpriced,
            cost: None,
            price: PriceReceipt::default(),
            caller_request_id: None,
            provider_request_id: None,
            provenance: Provenance { origin, region, response_id: self.response_id },
            body: BodyState::None,
        };
        if self.work == Work::Broken {
            let note = "it failed, perhaps in the middle of an answer, and no tokens are told: what it cost is unknown";
            fact.price = PriceReceipt { note: Some(note.to_owned()), ..PriceReceipt::default() };
        } else if usage == Usage::default() {
            let note = if self.work == Work::Cached {
                "answered from the source's own cache: nothing is billed"
            } else {
                "the provider did no work: nothing is billed"
            };
            fact.cost_basis = CostBasis::Exact;
            fact.cost = Some(Usd::ZERO);
            fact.price = PriceReceipt { note: Some(note.to_owned()), ..PriceReceipt::default() };
        } else {
            price_fact(&mut fact, catalogue, None);
        }
        ImportedCall {
            fact,
            source_id: self.source_id,
            imported_at: now,
            claimed_cost: self.claimed_cost,
            attribution: self.attribution.bounded(),
        }
    }
}

impl Attribution {
    /// As much of it as is kept.
    fn bounded(self) -> Self {
        let name = |name: String| name.chars().take(LONGEST_NAME).collect::<String>();
        let optional = |text: Option<String>| text.filter(|text| !text.is_empty()).map(name);
        Self {
            user: optional(self.user),
            end_user: optional(self.end_user),
            team: optional(self.team),
            service: optional(self.service),
            tags: self.tags.into_iter().filter(|tag| !tag.is_empty()).take(MOST_TAGS).map(name).collect(),
        }
    }
}

/// The two ways in which input is told: with what came from and went to a cache in it, as OpenAI, LiteLLM and the
/// semantic conventions do, or without, as Anthropic does. Where the parts are more than the whole, they are not in it.
#[must_use]
pub const fn fresh_input(input: u64, parts: u64) -> u64 {
    if input >= parts { input - parts } else { input }
}

#[cfg(test)]
mod tests;
