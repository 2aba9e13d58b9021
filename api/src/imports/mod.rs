//! Calls that never passed the proxy, handed in: a LiteLLM's spend logs as a file, spans of programs by OTLP.
//!
//! Each call is counted once by its source's id, so that a file may be sent again, whole, after whatever befell the first
//! (ADR 0025).

pub mod traces;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Datelike as _, NaiveDate};
use costlens_domain::audit::Action;
use costlens_domain::imports::{Attribution, ReportedCall};
use costlens_domain::ports::{Clock, Entropy};
use costlens_domain::pricing::PricesInForce;
use costlens_domain::request::Origin;
use costlens_domain::{ApiKeyId, Problem, ProblemCode, TenantId, Usd};
use costlens_imports::litellm;
use costlens_jobs::settlement::ask_to_settle_again;
use costlens_store::{ImportClaim, Imported, Store, StoreError};
use poem::Body;
use poem_openapi::param::Path;
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::principal::{Caller, Permission, Who};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The most bytes of a log; it is read in memory.
pub const MOST_BYTES: u64 = 64 << 20;

/// How many calls are stored in one transaction.
const AT_ONCE: usize = 500;

/// What imported calls are stored with.
#[derive(Clone, Copy, Debug)]
pub struct Ledger<'a> {
    /// Where they are stored.
    pub store: &'a Store,
    /// Tells when.
    pub clock: &'a dyn Clock,
    /// Makes their ids.
    pub entropy: &'a dyn Entropy,
    /// Prices them.
    pub prices: &'a PricesInForce,
}

impl Ledger<'_> {
    /// Stores calls, priced by the prices in force, a few hundred at a time. What was stored before an error stays, and
    /// is known when the calls come again.
    pub async fn take(
        self,
        (origin, tenant, key): (Origin, TenantId, ApiKeyId),
        calls: Vec<ReportedCall>,
    ) -> Result<Imported, StoreError> {
        let prices = self.prices.now();
        let mut sum = Imported::default();
        let mut calls = calls.into_iter().peekable();
        while calls.peek().is_some() {
            let part: Vec<_> = calls
                .by_ref()
                .take(AT_ONCE)
                .map(|call| {
                    let made = (self.clock.now(), self.entropy.for_id());
                    call.into_call((origin, tenant, key), &prices.catalogue, made)
                })
                .collect();
            // A connection for each part: no door is kept from the shipper while a long file is stored.
            sum = sum.and(self.store.writer().await?.import_calls(tenant, &part).await?);
        }
        Ok(sum)
    }
}

/// The months of calls, by their first days.
#[must_use]
pub fn months_of(calls: &[ReportedCall]) -> BTreeSet<NaiveDate> {
    calls.iter().filter_map(|call| call.started_at.date_naive().with_day(1)).collect()
}

/// A row that was not taken.
#[derive(Object)]
#[oai(rename = "ImportRefusal")]
pub struct ImportRefusalView {
    /// Its line in the file, counted from 1; in a JSON array, its number.
    pub line: u64,
    /// Why.
    pub detail: String,
}

/// What became of a log.
#[derive(Object)]
#[oai(rename = "ImportReport")]
pub struct ImportReportView {
    /// How many calls are new, and count now.
    pub taken: u64,
    /// How many were counted before: by an earlier import, or because the proxy carried them.
    pub known: u64,
    /// How many rows were not taken.
    pub refused: u64,
    /// The first 20 of those.
    pub refusals: Vec<ImportRefusalView>,
}

/// What its source says of an imported call. Nothing of it is reckoned with.
#[derive(Object)]
#[oai(rename = "ImportClaim")]
pub struct ImportClaimView {
    /// The source's id of the call.
    pub source_id: String,
    /// When it was handed in.
    pub imported_at: chrono::DateTime<chrono::Utc>,
    /// What the source says that it cost, in dollars.
    #[oai(nullable)]
    pub claimed_cost: Option<Wire<Usd>>,
    /// The source's user.
    #[oai(nullable)]
    pub user: Option<String>,
    /// The user that the caller named.
    #[oai(nullable)]
    pub end_user: Option<String>,
    /// The team.
    #[oai(nullable)]
    pub team: Option<String>,
    /// The service that made the call.
    #[oai(nullable)]
    pub service: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
}

impl From<ImportClaim> for ImportClaimView {
    fn from(claim: ImportClaim) -> Self {
        let Attribution { user, end_user, team, service, tags } = claim.attribution;
        Self {
            source_id: claim.source_id,
            imported_at: claim.imported_at,
            claimed_cost: claim.claimed_cost.map(Wire),
            user,
            end_user,
            team,
            service,
            tags,
        }
    }
}

pub(crate) struct ImportsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Requests")]
impl ImportsApi {
    /// Import LiteLLM's spend logs
    ///
    /// The body is rows of `LiteLLM_SpendLogs`, or an answer of `/spend/logs`: a JSON array, JSON lines, or CSV. Each row
    /// becomes a call of the API key that is named, priced by our own prices; what LiteLLM says that it cost is kept
    /// beside it. A row counts once by its `request_id`, however often it is sent, and not at all where the proxy carried
    /// the call. Rows that cannot be read are named, and the others are taken. Prompts and answers are not read.
    #[oai(path = "/imports/litellm/:id", method = "post", operation_id = "import_litellm_logs")]
    async fn litellm(
        &self,
        caller: Caller,
        /// The API key whose calls they are to be.
        id: Path<Wire<ApiKeyId>>,
        body: Binary<Body>,
    ) -> Result<Json<ImportReportView>, ApiError> {
        let tenant = caller.require(Permission::CallsImport)?;
        let key = id.0.0;
        if matches!(caller.principal().who, Who::Key(own) if own != key) {
            return Err(ApiError::not_found());
        }
        let parts = &self.0;
        parts.store.tenant(tenant).await?.key(key).await?;
        let Some(_arrival) = parts.arriving.enter(tenant) else {
            let detail = "other files of the account arrive already; send one after the other";
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        };
        let bytes = body.0.into_bytes().await.map_err(|error| unread(&error))?;
        let (size, now) = (bytes.len(), parts.clock.now());
        let read = tokio::task::spawn_blocking(move || litellm::read(&bytes, now)).await;
        let read = read.map_err(|error| broken(&error))?;
        let read = read.map_err(|why| ApiError::new(ProblemCode::InvalidRequest, why.to_string()))?;
        // Written down before the first row is stored: whatever is stored was announced.
        let mut conn = parts.store.tenant(tenant).await?;
        let change = json!({
            "origin": Origin::LiteLlm, "size_bytes": size, "rows": read.calls.len(), "refused": read.refused.count,
        });
        let by = caller.principal().by();
        by.did(parts, &mut conn, (Action::CallsImported, Some(key.to_string())), change).await?;
        conn.commit().await?;

        let months = months_of(&read.calls);
        let ledger = Ledger {
            store: &parts.store,
            clock: &*parts.clock,
            entropy: &*parts.entropy,
            prices: &parts.prices,
        };
        let imported = ledger.take((Origin::LiteLlm, tenant, key), read.calls).await?;
        // Also for what is known: whoever stored it may have died before it asked.
        if imported.taken > 0 || imported.known > 0 {
            let mut conn = parts.store.tenant(tenant).await?;
            ask_to_settle_again(&mut conn, &months, (parts.clock.now(), parts.entropy.for_id())).await?;
            conn.commit().await?;
        }
        let refusal = |(line, why): (u64, costlens_domain::imports::Refusal)| ImportRefusalView {
            line,
            detail: why.to_string(),
        };
        Ok(Json(ImportReportView {
            taken: imported.taken,
            known: imported.known,
            refused: read.refused.count.saturating_add(imported.refused),
            refusals: read.refused.named.into_iter().map(refusal).collect(),
        }))
    }
}

/// A body that was refused on its way in.
fn unread(error: &poem::error::ReadBodyError) -> ApiError {
    match costlens_edge::body_refusal(error) {
        Some(refused @ costlens_edge::BodyRefused::TooLarge { .. }) => {
            Problem::new(ProblemCode::BodyTooLarge, refused.to_string()).into()
        }
        Some(refused) => Problem::new(ProblemCode::RequestTimeout, refused.to_string()).into(),
        None => ApiError::new(ProblemCode::InvalidRequest, "the body could not be read"),
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ApiError {
    tracing::error!(error, "calls that were handed in could not be read");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
