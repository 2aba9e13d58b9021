//! Every six hours the operator's price document is fetched, checked, and published or laid before a person.
//!
//! What is fetched becomes a version, a review or a told problem in one transaction under the feed's lock; a run that
//! is killed, or runs twice, finds the document where the other put it and adds nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::pricing::{Catalogue, PriceChanges};
use costlens_domain::{AuditEventId, PriceReviewId};
use costlens_jobs::prices::PriceUnpriced;
use costlens_queue::{ErrorClass, Job, JobContext, JobError};
use costlens_store::{NewAuditEvent, NewPrices, PriceReviewState, SystemTx};
use costlens_vault::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fetch::{Fetched, PricesUrl, fetch};
use super::newest_prices;
use crate::{WorkerParts, store_failure};

/// After how many attempts the next tick is waited for.
const ATTEMPTS: u32 = 6;
/// How long prices may go without a document that can be read until the operator is told, and is told again.
const STALE_AFTER: TimeDelta = TimeDelta::hours(48);
const TOLD_EVERY: TimeDelta = TimeDelta::hours(24);
/// A model that calls named within this is in use.
const IN_USE: TimeDelta = TimeDelta::days(30);

/// Fetches the price document. Nothing to say: the address is a setting.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RefreshPrices {}

impl Job for RefreshPrices {
    const QUEUE: &'static str = "prices.v1";
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Unchanged,
    Published(u64),
    NeedsReview,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Published(_) => "published",
            Self::NeedsReview => "needs_review",
        }
    }
}

pub(crate) async fn refresh_prices(
    _job: RefreshPrices,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(url) = &parts.prices_url else {
        return Ok(context.progress(&json!({"outcome": "off"})).await?);
    };
    tell_if_stale(&parts).await?;
    let feed = parts.store.system().await.map_err(store_failure)?.price_feed().await;
    let feed = feed.map_err(store_failure)?;
    // Another address' tag says nothing of this one's document.
    let etag = feed.etag.filter(|_| feed.source.as_deref() == Some(url.as_str()));
    let fetched = match fetch(&parts.egress, url, etag.as_deref()).await {
        Ok(fetched) => fetched,
        Err(fault) => {
            note_problem(&parts, url, &fault.to_string()).await?;
            if context.attempt() >= ATTEMPTS {
                return Err(JobError::give_up(ErrorClass::Transient, "prices_unreachable", fault));
            }
            return Err(JobError::retry(fault).code("prices_unreachable"));
        }
    };
    let (text, etag) = match fetched {
        Fetched::Unchanged => {
            let mut tx = parts.store.system_tx().await.map_err(store_failure)?;
            note_good(&mut tx, url, Outcome::Unchanged, None, parts.clock.now()).await?;
            tx.commit().await.map_err(store_failure)?;
            return Ok(context.progress(&json!({"outcome": "unchanged"})).await?);
        }
        Fetched::Document { text, etag } => (text, etag),
    };
    match Catalogue::from_fetched_bundle(text.as_bytes(), parts.clock.now()) {
        Ok(catalogue) => {
            let outcome = take(&parts, url, (text, etag), &catalogue).await?;
            let version = if let Outcome::Published(n) = outcome { Some(n) } else { None };
            Ok(context.progress(&json!({"outcome": outcome.name(), "version": version})).await?)
        }
        // The same bytes will not be better in a minute: the next tick looks again.
        Err(fault) => {
            let problem = fault.to_string();
            note_problem(&parts, url, &problem).await?;
            Ok(context.progress(&json!({"outcome": "failed", "problem": problem})).await?)
        }
    }
}

/// Publishes a document, or lays it before a person, or finds that it is nothing new.
async fn take(
    parts: &WorkerParts,
    url: &PricesUrl,
    (document, etag): (String, Option<String>),
    catalogue: &Catalogue,
) -> Result<Outcome, JobError> {
    let now = parts.clock.now();
    let held = newest_prices(parts).await?;
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let in_use = system.models_in_use(now - IN_USE).await.map_err(store_failure)?;
    drop(system);
    let in_use: BTreeSet<_> = in_use.into_iter().collect();
    let changes = PriceChanges::between(&held.version.catalogue, catalogue, &in_use, now);
    let new = NewPrices {
        sha256: sha256(document.as_bytes()),
        source: url.as_str().to_owned(),
        diff: serde_json::to_value(&changes)?,
        document,
        at: now,
    };

    let mut tx = parts.store.system_tx().await.map_err(store_failure)?;
    tx.lock_price_feed().await.map_err(store_failure)?;
    let newest = tx.newest_prices().await.map_err(store_failure)?;
    if newest.as_ref().map_or(0, |(n, _)| *n) != held.version.n {
        return Err(JobError::retry("other prices were published meanwhile"));
    }
    let reviewed = tx.price_review_of(&new.sha256).await.map_err(store_failure)?;
    let reviewed = reviewed.map(|review| review.state);
    if reviewed != Some(PriceReviewState::NeedsReview) {
        // What its host does not serve any more nobody shall publish, whatever is served in its place.
        tx.supersede_price_review(now).await.map_err(store_failure)?;
    }
    let outcome = match reviewed {
        _ if newest.is_some_and(|(_, sha256)| sha256 == new.sha256) => Outcome::Unchanged,
        Some(PriceReviewState::NeedsReview) => Outcome::NeedsReview,
        Some(PriceReviewState::Refused) => Outcome::Unchanged,
        _ => {
            if changes.review.is_empty() {
                let n = tx.publish_prices(&new, None, now).await.map_err(store_failure)?;
                let key = format!("published:{n}");
                costlens_jobs::ask_system(&mut tx, &PriceUnpriced {}, &key).await.map_err(store_failure)?;
                Outcome::Published(n)
            } else {
                let id = PriceReviewId::new(now, parts.entropy.for_id());
                tx.ask_for_price_review(id, held.version.n, &new).await.map_err(store_failure)?;
                let change = json!({"reasons": changes.review.len(), "source": url.as_str()});
                let event = event(parts, Action::PricesNeedReview, Some(id.to_string()), change);
                tx.system()
                    .map_err(store_failure)?
                    .note_operator_event(&event)
                    .await
                    .map_err(store_failure)?;
                Outcome::NeedsReview
            }
        }
    };
    note_good(&mut tx, url, outcome, Some((etag, &new.sha256)), now).await?;
    tx.commit().await.map_err(store_failure)?;
    if outcome != Outcome::Unchanged {
        tracing::info!(prices.outcome = outcome.name(), prices.source = url.as_str(), "prices were fetched");
    }
    Ok(outcome)
}

async fn note_good(
    tx: &mut SystemTx,
    url: &PricesUrl,
    outcome: Outcome,
    document: Option<(Option<String>, &[u8; 32])>,
    at: DateTime<Utc>,
) -> Result<(), JobError> {
    let mut feed = tx.lock_price_feed().await.map_err(store_failure)?;
    feed.source = Some(url.as_str().to_owned());
    if let Some((etag, sha256)) = document {
        feed.etag = etag;
        feed.sha256 = Some(sha256.to_vec());
    }
    (feed.good_at, feed.checked_at) = (Some(at), Some(at));
    feed.outcome = Some(outcome.name().to_owned());
    (feed.problem, feed.alarmed_at) = (None, None);
    tx.put_price_feed(&feed).await.map_err(store_failure)
}

/// The last good prices stay; why there are no newer ones is told.
async fn note_problem(parts: &WorkerParts, url: &PricesUrl, problem: &str) -> Result<(), JobError> {
    let now = parts.clock.now();
    tracing::warn!(
        prices.source = url.as_str(),
        problem,
        "prices could not be fetched; the last good ones stay"
    );
    let mut tx = parts.store.system_tx().await.map_err(store_failure)?;
    let mut feed = tx.lock_price_feed().await.map_err(store_failure)?;
    feed.good_at.get_or_insert(now);
    feed.checked_at = Some(now);
    feed.outcome = Some("failed".to_owned());
    feed.problem = Some(problem.chars().filter(|c| *c != '\0').take(500).collect());
    tx.put_price_feed(&feed).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

/// Tells the operator, once a day, that no document could be read for two days.
async fn tell_if_stale(parts: &WorkerParts) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut tx = parts.store.system_tx().await.map_err(store_failure)?;
    let mut feed = tx.lock_price_feed().await.map_err(store_failure)?;
    let stale = feed.good_at.is_some_and(|good| now - good > STALE_AFTER);
    let told = feed.alarmed_at.is_some_and(|told| now - told < TOLD_EVERY);
    if !stale || told {
        return Ok(());
    }
    tracing::error!(prices.good_at = ?feed.good_at, problem = ?feed.problem, "the prices are stale");
    let change = json!({"good_at": feed.good_at, "problem": feed.problem});
    tx.system()
        .map_err(store_failure)?
        .note_operator_event(&event(parts, Action::PricesStale, None, change))
        .await
        .map_err(store_failure)?;
    feed.alarmed_at = Some(now);
    tx.put_price_feed(&feed).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

fn event(parts: &WorkerParts, action: Action, target: Option<String>, change: Value) -> NewAuditEvent {
    let at = parts.clock.now();
    NewAuditEvent {
        id: AuditEventId::new(at, parts.entropy.for_id()),
        at,
        actor: Actor::Schedule,
        action,
        target,
        change,
        request_id: None,
        address: None,
    }
}
