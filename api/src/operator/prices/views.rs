//! What the price operations of whoever runs the service take and give.

use chrono::{DateTime, Utc};
use costlens_domain::pricing::{NameMove, PriceChanges, RateChange, ReviewReason};
use costlens_domain::{PriceCorrectionId, PriceReviewId, Usd};
use costlens_store::{
    Correction, CorrectionState, CorrectionSums, PriceReview, PriceReviewState, PublishedPrices,
};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::wire::Wire;

/// What came of the last try to fetch prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PriceFetch {
    /// The document is the one that is known.
    Unchanged,
    /// It is a new version.
    Published,
    /// Somebody must look at it first.
    NeedsReview,
    /// There was none that can be read; the last good prices stay.
    Failed,
}

/// How the price catalogue is.
#[derive(Object)]
pub struct PriceStatus {
    /// The version that calls are priced by in this process; 0 for the prices that came with the program.
    pub price_version: u64,
    /// The newest version that is published.
    pub newest_version: u64,
    /// Where documents are fetched from; null where they never were.
    #[oai(nullable)]
    pub source: Option<String>,
    /// When a document could last be read; before the first time, since when it is tried.
    #[oai(nullable)]
    pub good_at: Option<DateTime<Utc>>,
    /// When it was last tried.
    #[oai(nullable)]
    pub checked_at: Option<DateTime<Utc>>,
    /// What came of it.
    #[oai(nullable)]
    pub outcome: Option<PriceFetch>,
    /// Why the last try failed.
    #[oai(nullable)]
    pub problem: Option<String>,
}

/// A figure that changes.
#[derive(Object)]
#[oai(rename = "RateChange")]
pub struct RateChangeView {
    /// The entry, `provider/model`.
    pub price_id: String,
    /// The row: its tier, and where it matters its day and size of input.
    pub row: String,
    /// The token class, `web_search`, or `charged_apart` for what leaves a call without a price.
    pub class: String,
    /// Before, in dollars per million tokens (or thousand searches), or what was charged apart; null where there was
    /// none.
    #[oai(nullable)]
    pub old: Option<String>,
    /// Now; null where there is none any more.
    #[oai(nullable)]
    pub new: Option<String>,
}

impl From<RateChange> for RateChangeView {
    fn from(change: RateChange) -> Self {
        let RateChange { price_id, row, class, old, new } = change;
        Self { price_id, row, class, old, new }
    }
}

/// Why somebody must look at a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ReviewWhy {
    /// A figure is five times what it was or more, a fifth or less, or free on one side only.
    Jump,
    /// Calls of the last 30 days name a model that has no price any more.
    Vanished,
    /// Calls of the last 30 days name a model of which some rate is gone.
    RateVanished,
    /// A name goes to an entry with a figure that is a jump from that of the one that priced it.
    Moved,
    /// A new figure that is five times the dearest of its class or more, a fifth of the cheapest or less, or free.
    Outlier,
}

/// One thing to look at.
#[derive(Object)]
#[oai(rename = "ReviewReason")]
pub struct ReviewReasonView {
    /// Why.
    pub why: ReviewWhy,
    /// The model, `provider/model`; of a name that moved, the one that priced it.
    pub model: String,
    /// The figure; null where the whole model is gone.
    #[oai(nullable)]
    pub change: Option<RateChangeView>,
}

impl From<ReviewReason> for ReviewReasonView {
    fn from(reason: ReviewReason) -> Self {
        let of = |why, change: RateChange| Self {
            why,
            model: change.price_id.clone(),
            change: Some(change.into()),
        };
        match reason {
            ReviewReason::Jump(change) => of(ReviewWhy::Jump, change),
            ReviewReason::RateVanished(change) => of(ReviewWhy::RateVanished, change),
            ReviewReason::Outlier(change) => of(ReviewWhy::Outlier, change),
            ReviewReason::Moved { from, change } => Self { model: from, ..of(ReviewWhy::Moved, change) },
            ReviewReason::Vanished { price_id } => {
                Self { why: ReviewWhy::Vanished, model: price_id, change: None }
            }
        }
    }
}

/// A name that is priced by another entry.
#[derive(Object)]
#[oai(rename = "NameMove")]
pub struct NameMoveView {
    /// The provider.
    pub provider: String,
    /// The name.
    pub name: String,
    /// The entry that priced it, `provider/model`; null where none did.
    #[oai(nullable)]
    pub old: Option<String>,
    /// The entry that prices it now; null where none does.
    #[oai(nullable)]
    pub new: Option<String>,
}

impl From<NameMove> for NameMoveView {
    fn from(moved: NameMove) -> Self {
        let NameMove { provider, name, old, new } = moved;
        Self { provider, name, old, new }
    }
}

/// What a document says otherwise than the version before.
#[derive(Object)]
#[oai(rename = "PriceChanges")]
pub struct PriceChangesView {
    /// New entries, 500 at most.
    pub added: Vec<String>,
    /// Entries that are gone, 500 at most.
    pub removed: Vec<String>,
    /// Figures that are others, 500 at most.
    pub changed: Vec<RateChangeView>,
    /// Names that are priced by another entry, 500 at most.
    pub moved: Vec<NameMoveView>,
    /// How many new entries there are.
    pub added_count: u64,
    /// How many entries are gone.
    pub removed_count: u64,
    /// How many figures are others.
    pub changed_count: u64,
    /// How many names are priced by another entry.
    pub moved_count: u64,
    /// What somebody must look at, 500 at most.
    pub review: Vec<ReviewReasonView>,
}

impl From<PriceChanges> for PriceChangesView {
    fn from(changes: PriceChanges) -> Self {
        let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            added: changes.added,
            removed: changes.removed,
            changed: changes.changed.into_iter().map(Into::into).collect(),
            moved: changes.moved.into_iter().map(Into::into).collect(),
            added_count: count(changes.counts.added),
            removed_count: count(changes.counts.removed),
            changed_count: count(changes.counts.changed),
            moved_count: count(changes.counts.moved),
            review: changes.review.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was written by this program or an older one; a newer one's is shown as no changes rather than not at all.
fn changes(diff: serde_json::Value) -> PriceChangesView {
    serde_json::from_value::<PriceChanges>(diff).unwrap_or_default().into()
}

/// A published version of the prices. It never changes.
#[derive(Object)]
#[oai(rename = "PriceVersion")]
pub struct PriceVersionView {
    /// Its number.
    pub version: u64,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// Where it was fetched from.
    pub source: String,
    /// The SHA-256 of its document, in hexadecimal digits.
    pub sha256: String,
    /// The review that let it pass; null where the checks alone did.
    #[oai(nullable)]
    pub review_id: Option<Wire<PriceReviewId>>,
    /// What it changed.
    pub changes: PriceChangesView,
}

impl From<PublishedPrices> for PriceVersionView {
    fn from(prices: PublishedPrices) -> Self {
        Self {
            version: prices.n,
            published_at: prices.published_at,
            source: prices.source,
            sha256: hex::encode(prices.sha256),
            review_id: prices.review_id.map(Wire),
            changes: changes(prices.diff),
        }
    }
}

/// How far a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "PriceReviewState", rename_all = "snake_case", remote = "PriceReviewState")]
pub enum PriceReviewStateView {
    /// Somebody must look at it.
    NeedsReview,
    /// It was published.
    Approved,
    /// It never will be.
    Refused,
    /// A newer document came before anybody decided.
    Superseded,
}

/// A price document that somebody must look at, or had to.
#[derive(Object)]
#[oai(rename = "PriceReview")]
pub struct PriceReviewView {
    /// Its id.
    pub id: Wire<PriceReviewId>,
    /// How far it is.
    pub state: PriceReviewStateView,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
    /// Where it was fetched from.
    pub source: String,
    /// The SHA-256 of its document, in hexadecimal digits.
    pub sha256: String,
    /// The version that it was compared with.
    pub base_version: u64,
    /// What it would change, and why somebody must look.
    pub changes: PriceChangesView,
    /// When it was decided.
    #[oai(nullable)]
    pub decided_at: Option<DateTime<Utc>>,
    /// The version that it became.
    #[oai(nullable)]
    pub version: Option<u64>,
}

impl From<PriceReview> for PriceReviewView {
    fn from(review: PriceReview) -> Self {
        Self {
            id: Wire(review.id),
            state: review.state.into(),
            fetched_at: review.fetched_at,
            source: review.source,
            sha256: hex::encode(review.sha256),
            base_version: review.base,
            changes: changes(review.diff),
            decided_at: review.decided_at,
            version: review.version,
        }
    }
}

/// Which calls are to be priced anew, and why.
#[derive(Object)]
pub struct NewPriceCorrection {
    /// The provider.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub provider: String,
    /// The model, by any name that it is priced under.
    #[oai(validator(min_length = 1, max_length = 300))]
    pub model: String,
    /// Calls at or after this moment.
    pub from: DateTime<Utc>,
    /// Calls before this moment.
    pub to: DateTime<Utc>,
    /// In words; stays with the record.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// How far a correction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "PriceCorrectionState", rename_all = "snake_case", remote = "CorrectionState")]
pub enum PriceCorrectionStateView {
    /// What it would do is being counted.
    Previewing,
    /// It waits for the operator's word.
    Previewed,
    /// Calls get the corrected price.
    Running,
    /// All have it.
    Done,
    /// It is not wanted any more; nothing was changed.
    Cancelled,
}

/// What a correction would do, or did.
#[derive(Object)]
pub struct PriceCorrectionSums {
    /// Tenants with such calls.
    pub tenants: u64,
    /// Those that are done.
    pub tenants_done: u64,
    /// Calls by this price that were looked at.
    pub seen: u64,
    /// Those whose cost is another.
    pub changed: u64,
    /// What those cost before.
    pub old_cost: Wire<Usd>,
    /// What those cost then.
    pub new_cost: Wire<Usd>,
}

impl From<CorrectionSums> for PriceCorrectionSums {
    fn from(sums: CorrectionSums) -> Self {
        let CorrectionSums { tenants, tenants_done, seen, changed, old_cost, new_cost } = sums;
        let (old_cost, new_cost) = (Wire(old_cost), Wire(new_cost));
        Self { tenants, tenants_done, seen, changed, old_cost, new_cost }
    }
}

/// Calls whose published price was corrected, to be priced anew.
#[derive(Object)]
pub struct PriceCorrection {
    /// Its id.
    pub id: Wire<PriceCorrectionId>,
    /// How far it is.
    pub state: PriceCorrectionStateView,
    /// The provider.
    pub provider: String,
    /// The catalogue entry that the calls were priced by.
    pub price_id: String,
    /// Calls at or after this moment.
    pub from: DateTime<Utc>,
    /// Calls before this moment.
    pub to: DateTime<Utc>,
    /// The version whose prices the calls get.
    pub price_version: u64,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When the operator said to go on.
    #[oai(nullable)]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<Correction> for PriceCorrection {
    fn from(correction: Correction) -> Self {
        Self {
            id: Wire(correction.calls.correction),
            state: correction.state.into(),
            provider: correction.calls.provider,
            price_id: correction.calls.price_id,
            from: correction.calls.from,
            to: correction.calls.to,
            price_version: correction.version,
            reason: correction.reason,
            asked_by: correction.asked_by,
            asked_at: correction.asked_at,
            confirmed_at: correction.confirmed_at,
            ended_at: correction.ended_at,
        }
    }
}

/// A correction with what it would do and did.
#[derive(Object)]
pub struct PriceCorrectionDetails {
    /// The correction.
    pub correction: PriceCorrection,
    /// What the preview found so far.
    pub preview: PriceCorrectionSums,
    /// What was done so far.
    pub done: PriceCorrectionSums,
}

/// A correction was asked for.
#[derive(ApiResponse)]
pub enum PriceCorrectionCreated {
    /// It is counted first, and changes nothing until it is run.
    #[oai(status = 201)]
    Created(Json<PriceCorrection>),
}
