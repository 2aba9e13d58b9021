//! The price catalogue, for whoever runs the service: versions, documents that wait for a person, and corrections.
//!
//! What is decided here is written down before it is done, see [`super::record`]; the decision, its version and the job
//! that follows from it are one transaction.

mod views;

use std::sync::Arc;

use chrono::TimeDelta;
use costlens_domain::audit::Action;
use costlens_domain::{PriceCorrectionId, PriceReviewId, ProblemCode};
use costlens_jobs::ask_system;
use costlens_jobs::prices::{PriceUnpriced, SpreadCorrection};
use costlens_store::{CorrectedCalls, Correction, CorrectionState, PriceReviewState};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use serde_json::json;

use super::actions::{OperatorDone, OperatorReason};
use super::record::{Deed, operator, recorded};
use crate::dates;
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

pub use views::{
    NewPriceCorrection, PriceCorrection, PriceCorrectionCreated, PriceCorrectionDetails,
    PriceCorrectionStateView, PriceCorrectionSums, PriceFetch, PriceReviewStateView, PriceReviewView,
    PriceStatus, PriceVersionView,
};

/// The longest period of one correction.
const LONGEST: TimeDelta = TimeDelta::days(400);

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
        dates::moment("from", Some(from))?;
        dates::moment("to", Some(to))?;
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
