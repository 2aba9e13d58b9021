//! The price catalogue's versions, the documents that wait for a person, and how the fetching goes.
//!
//! A version is written once, under the lock of the feed's row, with the news of it in the same transaction. Nobody
//! has the right to change one.

use chrono::{DateTime, Utc};
use costlens_domain::PriceReviewId;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use crate::db::{named, to_bigint};
use crate::schema::{price_feed, price_review, price_version};
use crate::{StoreError, SystemConn, SystemTx};

/// A published version, without its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPrices {
    /// Its number, from 1.
    pub n: u64,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// What its document is.
    pub sha256: Vec<u8>,
    /// Where it was fetched from.
    pub source: String,
    /// The review that let it pass, if there was one.
    pub review_id: Option<PriceReviewId>,
    /// What it changed.
    pub diff: Value,
}

/// A document that may become a version.
#[derive(Clone, Debug)]
pub struct NewPrices {
    /// What it is.
    pub sha256: [u8; 32],
    /// Where it was fetched from.
    pub source: String,
    /// What it changes.
    pub diff: Value,
    /// The document.
    pub document: String,
    /// When it was fetched.
    pub at: DateTime<Utc>,
}

/// How far a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceReviewState {
    /// Somebody must look at it.
    NeedsReview,
    /// It was published.
    Approved,
    /// It never will be.
    Refused,
    /// A newer document came before anybody decided.
    Superseded,
}

impl PriceReviewState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeedsReview => "needs_review",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::NeedsReview, Self::Approved, Self::Refused, Self::Superseded]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A document that a person must, or had to, look at; without the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceReview {
    /// Its id.
    pub id: PriceReviewId,
    /// How far it is.
    pub state: PriceReviewState,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
    /// The version that it was compared with; 0 for the one that came with the build.
    pub base: u64,
    /// What its document is.
    pub sha256: Vec<u8>,
    /// Where it was fetched from.
    pub source: String,
    /// What it would change, and why somebody must look at it.
    pub diff: Value,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// The version that it became.
    pub version: Option<u64>,
}

/// How the fetching goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = price_feed)]
pub struct PriceFeed {
    /// Where documents are fetched from; `None` before the first time.
    pub source: Option<String>,
    /// The tag of the last document that could be read.
    pub etag: Option<String>,
    /// What that document is.
    pub sha256: Option<Vec<u8>>,
    /// When a document could last be read, or was confirmed; before the first time, since when it is tried.
    pub good_at: Option<DateTime<Utc>>,
    /// When it was last tried.
    pub checked_at: Option<DateTime<Utc>>,
    /// What came of it: `unchanged`, `published`, `needs_review` or `failed`.
    pub outcome: Option<String>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When the operator was last told that the prices are stale.
    pub alarmed_at: Option<DateTime<Utc>>,
}

impl SystemTx {
    /// How the fetching goes, locked: whoever writes a version or a review holds this first.
    pub async fn lock_price_feed(&mut self) -> Result<PriceFeed, StoreError> {
        let conn = self.transaction()?;
        Ok(price_feed::table.select(PriceFeed::as_select()).for_update().first(conn).await?)
    }

    /// Writes down how the fetching goes.
    pub async fn put_price_feed(&mut self, feed: &PriceFeed) -> Result<(), StoreError> {
        diesel::update(price_feed::table)
            .set((
                price_feed::source.eq(&feed.source),
                price_feed::etag.eq(&feed.etag),
                price_feed::sha256.eq(&feed.sha256),
                price_feed::good_at.eq(feed.good_at),
                price_feed::checked_at.eq(feed.checked_at),
                price_feed::outcome.eq(&feed.outcome),
                price_feed::problem.eq(&feed.problem),
                price_feed::alarmed_at.eq(feed.alarmed_at),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(())
    }

    /// The number and content of the newest version; `None` while the build's own prices hold.
    pub async fn newest_prices(&mut self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        newest(self.transaction()?).await
    }

    /// What became of this document before, if a person decided about it or is to.
    pub async fn price_review_of(&mut self, sha256: &[u8; 32]) -> Result<Option<PriceReview>, StoreError> {
        let row: Option<ReviewRow> = price_review::table
            .filter(price_review::sha256.eq(sha256.as_slice()))
            .filter(price_review::state.ne(PriceReviewState::Superseded.as_str()))
            .order(price_review::id.desc())
            .select(ReviewRow::as_select())
            .first(self.transaction()?)
            .await
            .optional()?;
        row.map(PriceReview::try_from).transpose()
    }

    /// Publishes a document as the next version, and tells everybody who prices.
    pub async fn publish_prices(
        &mut self,
        new: &NewPrices,
        review: Option<PriceReviewId>,
        at: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let conn = self.transaction()?;
        let last: Option<i64> =
            price_version::table.select(diesel::dsl::max(price_version::n)).first(conn).await?;
        let n = last.unwrap_or(0).saturating_add(1);
        diesel::insert_into(price_version::table)
            .values((
                price_version::n.eq(n),
                price_version::published_at.eq(at),
                price_version::sha256.eq(new.sha256.as_slice()),
                price_version::source.eq(&new.source),
                price_version::review_id.eq(review.map(PriceReviewId::uuid)),
                price_version::diff.eq(&new.diff),
                price_version::document.eq(&new.document),
            ))
            .execute(conn)
            .await?;
        let told =
            diesel::sql_query("SELECT pg_notify('costlens_prices', $1)").bind::<Text, _>(n.to_string());
        told.execute(conn).await?;
        Ok(u64::try_from(n).unwrap_or_default())
    }

    /// Puts an open review aside: something newer came.
    pub async fn supersede_price_review(&mut self, at: DateTime<Utc>) -> Result<(), StoreError> {
        let open = PriceReviewState::NeedsReview.as_str();
        diesel::update(price_review::table.filter(price_review::state.eq(open)))
            .set((
                price_review::state.eq(PriceReviewState::Superseded.as_str()),
                price_review::decided_at.eq(at),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(())
    }

    /// Lays a document before a person.
    pub async fn ask_for_price_review(
        &mut self,
        id: PriceReviewId,
        base: u64,
        new: &NewPrices,
    ) -> Result<(), StoreError> {
        diesel::insert_into(price_review::table)
            .values((
                price_review::id.eq(id.uuid()),
                price_review::state.eq(PriceReviewState::NeedsReview.as_str()),
                price_review::fetched_at.eq(new.at),
                price_review::base.eq(to_bigint(base)),
                price_review::sha256.eq(new.sha256.as_slice()),
                price_review::source.eq(&new.source),
                price_review::diff.eq(&new.diff),
                price_review::document.eq(&new.document),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(())
    }

    /// The document of a review, and the review. [`StoreError::NotFound`] if there is none.
    pub async fn price_review(&mut self, id: PriceReviewId) -> Result<(PriceReview, NewPrices), StoreError> {
        let (row, document): (ReviewRow, String) = price_review::table
            .find(id.uuid())
            .select((ReviewRow::as_select(), price_review::document))
            .first(self.transaction()?)
            .await?;
        let review = PriceReview::try_from(row)?;
        let new = NewPrices {
            sha256: review.sha256.as_slice().try_into().map_err(StoreError::bug)?,
            source: review.source.clone(),
            diff: review.diff.clone(),
            document,
            at: review.fetched_at,
        };
        Ok((review, new))
    }

    /// Ends an open review: published as this version, or refused. False if it is not open.
    pub async fn decide_price_review(
        &mut self,
        id: PriceReviewId,
        version: Option<u64>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let open = price_review::table
            .find(id.uuid())
            .filter(price_review::state.eq(PriceReviewState::NeedsReview.as_str()));
        let state = if version.is_some() { PriceReviewState::Approved } else { PriceReviewState::Refused };
        let decided = diesel::update(open)
            .set((
                price_review::state.eq(state.as_str()),
                price_review::decided_at.eq(at),
                price_review::version.eq(version.map(to_bigint)),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(decided == 1)
    }
}

impl SystemConn {
    /// How the fetching goes.
    pub async fn price_feed(&mut self) -> Result<PriceFeed, StoreError> {
        Ok(price_feed::table.select(PriceFeed::as_select()).first(&mut self.conn).await?)
    }

    /// The number of the newest version; 0 while the build's own prices hold.
    pub async fn newest_prices(&mut self) -> Result<u64, StoreError> {
        Ok(newest(&mut self.conn).await?.map_or(0, |(n, _)| n))
    }

    /// A version's document and when it was published. [`StoreError::NotFound`] if there is none.
    pub async fn price_document(&mut self, n: u64) -> Result<(String, DateTime<Utc>), StoreError> {
        let columns = (price_version::document, price_version::published_at);
        Ok(price_version::table.find(to_bigint(n)).select(columns).first(&mut self.conn).await?)
    }

    /// The versions, newest first; `before` is the last number of the page before.
    pub async fn list_price_versions(
        &mut self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<PublishedPrices>, StoreError> {
        let mut query = price_version::table
            .order(price_version::n.desc())
            .limit(i64::from(limit))
            .select(VersionRow::as_select())
            .into_boxed();
        if let Some(before) = before {
            query = query.filter(price_version::n.lt(to_bigint(before)));
        }
        let rows = query.load(&mut self.conn).await?;
        Ok(rows.into_iter().map(PublishedPrices::from).collect())
    }

    /// The reviews, newest first; `before` is the last id of the page before.
    pub async fn list_price_reviews(
        &mut self,
        before: Option<PriceReviewId>,
        limit: u32,
    ) -> Result<Vec<PriceReview>, StoreError> {
        let mut query = price_review::table
            .order(price_review::id.desc())
            .limit(i64::from(limit))
            .select(ReviewRow::as_select())
            .into_boxed();
        if let Some(before) = before {
            query = query.filter(price_review::id.lt(before.uuid()));
        }
        query.load(&mut self.conn).await?.into_iter().map(PriceReview::try_from).collect()
    }

    /// The providers and models that calls since a moment name, of whatever tenant.
    pub async fn models_in_use(&mut self, since: DateTime<Utc>) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT DISTINCT provider, model FROM spend_hourly WHERE hour >= $1";
        let rows: Vec<ModelRow> =
            diesel::sql_query(sql).bind::<Timestamptz, _>(since).load(&mut self.conn).await?;
        Ok(rows.into_iter().map(|row| (row.provider, row.model)).collect())
    }

    /// The tenants that have unpriced calls of these providers, by id; `after` is the last of the page before.
    /// Accounts that are closing have none.
    pub async fn tenants_with_unpriced(
        &mut self,
        providers: &[String],
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT t.id FROM tenant t \
            WHERE t.closing_at IS NULL AND ($2 IS NULL OR t.id > $2) AND EXISTS (SELECT FROM spend_hourly s \
                WHERE s.tenant_id = t.id AND s.cost_basis = 'unpriced' AND s.provider = ANY ($1)) \
            ORDER BY t.id LIMIT $3";
        let rows: Vec<IdRow> = diesel::sql_query(sql)
            .bind::<Array<Text>, _>(providers)
            .bind::<Nullable<diesel::sql_types::Uuid>, _>(after)
            .bind::<BigInt, _>(i64::from(limit))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }
}

async fn newest(conn: &mut diesel_async::AsyncPgConnection) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let row: Option<(i64, Vec<u8>)> = price_version::table
        .order(price_version::n.desc())
        .select((price_version::n, price_version::sha256))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(n, sha256)| (u64::try_from(n).unwrap_or_default(), sha256)))
}

#[derive(QueryableByName)]
struct ModelRow {
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
}

#[derive(QueryableByName)]
pub(crate) struct IdRow {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    pub(crate) id: Uuid,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = price_version)]
struct VersionRow {
    n: i64,
    published_at: DateTime<Utc>,
    sha256: Vec<u8>,
    source: String,
    review_id: Option<Uuid>,
    diff: Value,
}

impl From<VersionRow> for PublishedPrices {
    fn from(row: VersionRow) -> Self {
        let VersionRow { n, published_at, sha256, source, review_id, diff } = row;
        let n = u64::try_from(n).unwrap_or_default();
        Self { n, published_at, sha256, source, review_id: review_id.map(Into::into), diff }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = price_review)]
struct ReviewRow {
    id: Uuid,
    state: String,
    fetched_at: DateTime<Utc>,
    base: i64,
    sha256: Vec<u8>,
    source: String,
    diff: Value,
    decided_at: Option<DateTime<Utc>>,
    version: Option<i64>,
}

impl TryFrom<ReviewRow> for PriceReview {
    type Error = StoreError;

    fn try_from(row: ReviewRow) -> Result<Self, StoreError> {
        let ReviewRow { id, state, fetched_at, base, sha256, source, diff, decided_at, version } = row;
        Ok(Self {
            id: id.into(),
            state: named("price_review.state", &state, PriceReviewState::from_name)?,
            fetched_at,
            base: u64::try_from(base).unwrap_or_default(),
            sha256,
            source,
            diff,
            decided_at,
            version: version.and_then(|version| u64::try_from(version).ok()),
        })
    }
}
