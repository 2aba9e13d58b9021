//! Calls of the tenant that were priced later, or anew after a correction: which walks changed what.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::{RepricingId, Usd};
use costlens_store::{Repricing, RepricingKind};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// Why calls were priced later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "RepricingKind", rename_all = "snake_case")]
pub enum RepricingKindView {
    /// They had no price, and one appeared.
    Unpriced,
    /// Their published price was corrected.
    Correction,
}

/// A walk over the account's calls that priced some of them later.
#[derive(Object)]
#[oai(rename = "Repricing")]
pub struct RepricingView {
    /// Its id.
    pub id: Wire<RepricingId>,
    /// Why.
    pub kind: RepricingKindView,
    /// The version of the price catalogue; 0 for the prices that came with the program.
    pub price_version: u64,
    /// The catalogue entry that was corrected; null where calls had no price.
    #[oai(nullable)]
    pub price_id: Option<String>,
    /// How many calls got another price so far.
    pub requests: u64,
    /// What those cost before, as far as it was known: calls without a price count nothing here.
    pub old_cost: Wire<Usd>,
    /// What those cost now.
    pub new_cost: Wire<Usd>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    #[oai(nullable)]
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<Repricing> for RepricingView {
    fn from(walk: Repricing) -> Self {
        let kind = match walk.kind {
            RepricingKind::Unpriced { .. } => RepricingKindView::Unpriced,
            RepricingKind::Preview(_) | RepricingKind::Correction(_) => RepricingKindView::Correction,
        };
        Self {
            id: Wire(walk.id),
            kind,
            price_version: walk.version,
            price_id: walk.kind.calls().map(|calls| calls.price_id.clone()),
            requests: walk.changed,
            old_cost: Wire(walk.old_cost),
            new_cost: Wire(walk.new_cost),
            started_at: walk.started_at,
            finished_at: walk.finished_at,
        }
    }
}

pub(crate) struct RepricingsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Prices")]
impl RepricingsApi {
    /// List when calls were priced later
    ///
    /// Newest first. Each call's receipt says what its row held first.
    #[oai(path = "/repricings", method = "get", operation_id = "list_repricings")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<RepricingId>>>,
    ) -> Result<Json<Page<RepricingView>>, ApiError> {
        let tenant = caller.require(Permission::SpendRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let walks = conn.list_repricings(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(walks, limit.0, |walk| walk.id.to_string(), Into::into)))
    }
}
