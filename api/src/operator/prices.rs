//! The price catalogue, for whoever runs the service: versions, documents that wait for a person, and corrections.
//!
//! What is decided here is written down before it is done, see [`super::record`]; the decision, its version and the job
//! that follows from it are one transaction.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::pricing::{NameMove, PriceChanges, RateChange, ReviewReason};
use costlens_domain::{PriceCorrectionId, PriceReviewId, ProblemCode, Usd};
use costlens_jobs::ask_system;
use costlens_jobs::prices::{PriceUnpriced, SpreadCorrection};
use costlens_store::{
    CorrectedCalls, Correction, CorrectionState, CorrectionSums, PriceReview, PriceReviewState,
    PublishedPrices,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use super::actions::{OperatorDone, OperatorReason};
use super::record::{Deed, operator, recorded};
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The longest period of one correction.
const LONGEST: TimeDelta = TimeDelta::days(400);

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

pub(crate) struct OperatorPricesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1/operator", tag = "Tag::Operator")]
impl OperatorPricesApi {
    /// See how the price catalogue is
    #[oai(path = "/prices", method = "get", operation_id = "get_price_status")]
    async fn status(&self, caller: Caller) -> Result<Json<PriceStatus>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let feed = conn.price_feed().await?;
        Ok(Json(PriceStatus {
            price_version: self.0.prices.now().n,
            newest_version: conn.newest_prices().await?,
            source: feed.source,
            good_at: feed.good_at,
            checked_at: feed.checked_at,
            outcome: feed.outcome.as_deref().map(|outcome| match outcome {
                "unchanged" => PriceFetch::Unchanged,
                "published" => PriceFetch::Published,
                "needs_review" => PriceFetch::NeedsReview,
                _ => PriceFetch::Failed,
            }),
            problem: feed.problem,
        }))
    }

    /// List the published versions of the prices
    ///
    /// Newest first, each with what it changed.
    #[oai(path = "/price-versions", method = "get", operation_id = "list_price_versions")]
    async fn versions(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<u64>>,
    ) -> Result<Json<Page<PriceVersionView>>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let versions = conn.list_price_versions(cursor.0, limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(versions, limit.0, |version| version.n.to_string(), Into::into)))
    }

    /// List the price documents that somebody must or had to look at
    ///
    /// Newest first; at most one is open.
    #[oai(path = "/price-reviews", method = "get", operation_id = "list_price_reviews")]
    async fn reviews(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<PriceReviewId>>>,
    ) -> Result<Json<Page<PriceReviewView>>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let reviews = conn.list_price_reviews(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(reviews, limit.0, |review| review.id.to_string(), Into::into)))
    }

    /// Publish a price document that was looked at
    ///
    /// Every proxy prices by it within seconds; calls without a price get one where it has one.
    #[oai(path = "/price-reviews/:id/approve", method = "post", operation_id = "approve_price_review")]
    async fn approve(
        &self,
        caller: Caller,
        id: Path<Wire<PriceReviewId>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        self.decide(&caller, id.0.0, (Action::PricesApproved, true), body.0.reason).await
    }

    /// Refuse a price document that was looked at
    ///
    /// The very document is not asked about again.
    #[oai(path = "/price-reviews/:id/refuse", method = "post", operation_id = "refuse_price_review")]
    async fn refuse(
        &self,
        caller: Caller,
        id: Path<Wire<PriceReviewId>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        self.decide(&caller, id.0.0, (Action::PricesRefused, false), body.0.reason).await
    }

    /// List the corrections of prices
    ///
    /// Newest first.
    #[oai(path = "/price-corrections", method = "get", operation_id = "list_price_corrections")]
    async fn corrections(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<PriceCorrectionId>>>,
    ) -> Result<Json<Page<PriceCorrection>>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let page = conn.list_price_corrections(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(page, limit.0, |one| one.calls.correction.to_string(), Into::into)))
    }

    /// Count what a correction of a price would do
    ///
    /// By the newest version of the prices. Nothing changes until the correction is run.
    #[oai(path = "/price-corrections", method = "post", operation_id = "create_price_correction")]
    async fn correct(
        &self,
        caller: Caller,
        body: Json<NewPriceCorrection>,
    ) -> Result<PriceCorrectionCreated, ApiError> {
        let by = operator(&caller)?;
        let NewPriceCorrection { provider, model, from, to, reason } = body.0;
        let now = self.0.clock.now();
        let prices = self.0.prices.now();
        let entry = prices.catalogue.find(&provider, &model);
        let entry = entry.ok_or_else(|| ApiError::field("model", "has no price in force"))?;
        if from >= to || to > now {
            return Err(ApiError::field("to", "must come after `from`, and not lie ahead"));
        }
        if to - from > LONGEST {
            return Err(ApiError::field("from", "is more than 400 days before `to`"));
        }
        let correction = Correction {
            calls: CorrectedCalls {
                correction: PriceCorrectionId::new(now, self.0.entropy.for_id()),
                provider: entry.provider.clone(),
                price_id: entry.price_id.clone(),
                from,
                to,
            },
            state: CorrectionState::Previewing,
            version: prices.n,
            reason,
            asked_by: by.actor.to_string(),
            asked_at: now,
            confirmed_at: None,
            ended_at: None,
            spread: false,
        };
        let id = correction.calls.correction;
        let change = json!({
            "price_id": correction.calls.price_id, "from": from, "to": to,
            "price_version": prices.n, "reason": correction.reason,
        });
        let deed = Deed {
            action: Action::PriceCorrectionPreviewed,
            target: Some(id.to_string()),
            change,
            tenant: None,
        };
        let act = async {
            let mut tx = self.0.store.system_tx().await?;
            tx.create_price_correction(&correction).await?;
            ask_system(&mut tx, &SpreadCorrection { correction: id }, &format!("{id}:preview")).await?;
            tx.commit().await?;
            Ok(PriceCorrectionCreated::Created(Json(correction.into())))
        };
        recorded(&self.0, by, deed, act).await
    }

    /// See what a correction would do, or did
    #[oai(path = "/price-corrections/:id", method = "get", operation_id = "get_price_correction")]
    async fn correction(
        &self,
        caller: Caller,
        id: Path<Wire<PriceCorrectionId>>,
    ) -> Result<Json<PriceCorrectionDetails>, ApiError> {
        caller.require(Permission::Operate)?;
        let mut conn = self.0.store.system().await?;
        let correction = conn.price_correction(id.0.0).await?.into();
        let (preview, done) = conn.price_correction_sums(id.0.0).await?;
        Ok(Json(PriceCorrectionDetails { correction, preview: preview.into(), done: done.into() }))
    }

    /// Run a correction that was counted
    ///
    /// Each call keeps what it cost first, and each tenant's audit tells it.
    #[oai(path = "/price-corrections/:id/run", method = "post", operation_id = "run_price_correction")]
    async fn run(
        &self,
        caller: Caller,
        id: Path<Wire<PriceCorrectionId>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(&caller)?;
        let id = id.0.0;
        self.0.store.system().await?.price_correction(id).await?;
        let change = json!({ "reason": body.0.reason });
        let deed =
            Deed { action: Action::PriceCorrectionRun, target: Some(id.to_string()), change, tenant: None };
        let act = async {
            let mut tx = self.0.store.system_tx().await?;
            if !tx.confirm_price_correction(id, self.0.clock.now()).await? {
                let detail = "the correction has not been counted yet, or was run or cancelled before";
                return Err(ApiError::new(ProblemCode::Conflict, detail));
            }
            ask_system(&mut tx, &SpreadCorrection { correction: id }, &format!("{id}:run")).await?;
            tx.commit().await?;
            Ok(OperatorDone::Done)
        };
        recorded(&self.0, by, deed, act).await
    }

    /// Let a correction be
    ///
    /// While nothing was changed by it.
    #[oai(path = "/price-corrections/:id/cancel", method = "post", operation_id = "cancel_price_correction")]
    async fn cancel(
        &self,
        caller: Caller,
        id: Path<Wire<PriceCorrectionId>>,
        body: Json<OperatorReason>,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(&caller)?;
        let id = id.0.0;
        self.0.store.system().await?.price_correction(id).await?;
        let change = json!({ "reason": body.0.reason });
        let deed = Deed {
            action: Action::PriceCorrectionCancelled,
            target: Some(id.to_string()),
            change,
            tenant: None,
        };
        let act = async {
            let mut tx = self.0.store.system_tx().await?;
            if !tx.cancel_price_correction(id, self.0.clock.now()).await? {
                return Err(ApiError::new(ProblemCode::Conflict, "the correction was run or has ended"));
            }
            tx.commit().await?;
            Ok(OperatorDone::Done)
        };
        recorded(&self.0, by, deed, act).await
    }
}

impl OperatorPricesApi {
    /// Publishes an open review's document, or refuses it for good.
    async fn decide(
        &self,
        caller: &Caller,
        id: PriceReviewId,
        (action, publish): (Action, bool),
        reason: String,
    ) -> Result<OperatorDone, ApiError> {
        let by = operator(caller)?;
        {
            let mut tx = self.0.store.system_tx().await?;
            tx.price_review(id).await?;
        }
        let deed =
            Deed { action, target: Some(id.to_string()), change: json!({ "reason": reason }), tenant: None };
        let act = async {
            let now = self.0.clock.now();
            let closed = || ApiError::new(ProblemCode::Conflict, "the review is not open any more");
            let mut tx = self.0.store.system_tx().await?;
            tx.lock_price_feed().await?;
            let (review, document) = tx.price_review(id).await?;
            if review.state != PriceReviewState::NeedsReview {
                return Err(closed());
            }
            let version = if publish {
                let newest = tx.newest_prices().await?.map_or(0, |(n, _)| n);
                if newest != review.base {
                    return Err(closed());
                }
                let n = tx.publish_prices(&document, Some(id), now).await?;
                ask_system(&mut tx, &PriceUnpriced {}, &format!("published:{n}")).await?;
                Some(n)
            } else {
                None
            };
            if !tx.decide_price_review(id, version, now).await? {
                return Err(closed());
            }
            tx.commit().await?;
            Ok(OperatorDone::Done)
        };
        recorded(&self.0, by, deed, act).await
    }
}
