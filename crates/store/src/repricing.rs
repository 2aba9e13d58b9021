//! Walks over one tenant's calls that price them later, or anew after a correction.
//!
//! A walk's cursor, the calls before it, what they cost before, and the hourly rollup change in one transaction, and a
//! walk takes a call once: killed or run twice, it ends at the same sums. That a call with a price keeps it unless a
//! correction says otherwise is kept by the function `reprice_requests` in the database.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::pricing::LaterPrice;
use costlens_domain::request::{CostBasis, PriceReceipt, RequestFact};
use costlens_domain::{PriceCorrectionId, RepricingId, RequestId, Usd};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{Db, mend_json, named, to_bigint};
use crate::requests::RequestRow;
use crate::schema::{repricing, request_repricing};
use crate::{StoreError, TenantConn};

/// Which calls a correction is about, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedCalls {
    /// The correction.
    pub correction: PriceCorrectionId,
    /// Of this provider.
    pub provider: String,
    /// Priced by this entry.
    pub price_id: String,
    /// Made at or after this moment.
    pub from: DateTime<Utc>,
    /// Made before this moment.
    pub to: DateTime<Utc>,
}

/// What a walk does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepricingKind {
    /// Gives a price to calls that have none.
    Unpriced {
        /// Of this moment's day or later: those before were looked at with the same prices.
        since: Option<DateTime<Utc>>,
    },
    /// Counts what a correction would do, and changes nothing.
    Preview(CorrectedCalls),
    /// Gives calls the price that was corrected.
    Correction(CorrectedCalls),
}

impl RepricingKind {
    /// The stable name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unpriced { .. } => "unpriced",
            Self::Preview(_) => "preview",
            Self::Correction(_) => "correction",
        }
    }

    /// The calls, of a correction.
    #[must_use]
    pub const fn calls(&self) -> Option<&CorrectedCalls> {
        match self {
            Self::Unpriced { .. } => None,
            Self::Preview(calls) | Self::Correction(calls) => Some(calls),
        }
    }
}

/// How far a walk is: the last call that it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepricingCursor {
    /// The call's provider.
    pub provider: String,
    /// Its day.
    pub day: NaiveDate,
    /// The call.
    pub id: Uuid,
}

/// One walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repricing {
    /// Its id.
    pub id: RepricingId,
    /// What it does.
    pub kind: RepricingKind,
    /// The version of the prices; 0 for those that came with the build.
    pub version: u64,
    /// How far it is.
    pub cursor: Option<RepricingCursor>,
    /// Calls that it looked at.
    pub seen: u64,
    /// Calls that got another price, or of a preview would.
    pub changed: u64,
    /// What those cost before, as far as it was known.
    pub old_cost: Usd,
    /// What those cost now.
    pub new_cost: Usd,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A call and its new price.
#[derive(Clone, Debug)]
pub struct RepricedCall {
    /// The call.
    pub id: RequestId,
    /// The price.
    pub price: LaterPrice,
}

/// What a chunk changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repriced {
    /// How many calls.
    pub changed: u64,
    /// What they cost before.
    pub old_cost: Usd,
    /// What they cost now.
    pub new_cost: Usd,
}

/// What stood in a call's row before it was priced later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierPrice {
    /// The walk that changed it.
    pub repricing_id: RepricingId,
    /// When.
    pub at: DateTime<Utc>,
    /// By which version of the prices.
    pub version: u64,
    /// How sure the cost was before.
    pub old_basis: CostBasis,
    /// The cost before; `None` where it was unpriced.
    pub old_cost: Option<Usd>,
    /// Where it came from.
    pub old_price: PriceReceipt,
    /// The cost that it got.
    pub new_cost: Usd,
}

impl TenantConn {
    /// Begins a walk, unless one of this kind and key was begun; says whether it did.
    pub async fn begin_repricing(
        &mut self,
        id: RepricingId,
        (kind, key): (&RepricingKind, &str),
        version: u64,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let calls = kind.calls();
        let from = match kind {
            RepricingKind::Unpriced { since } => *since,
            RepricingKind::Preview(calls) | RepricingKind::Correction(calls) => Some(calls.from),
        };
        let begun = diesel::insert_into(repricing::table)
            .values((
                repricing::tenant_id.eq(self.tenant_id().uuid()),
                repricing::id.eq(id.uuid()),
                repricing::kind.eq(kind.as_str()),
                repricing::key.eq(key),
                repricing::version.eq(to_bigint(version)),
                repricing::correction_id.eq(calls.map(|calls| calls.correction.uuid())),
                repricing::provider.eq(calls.map(|calls| &calls.provider)),
                repricing::price_id.eq(calls.map(|calls| &calls.price_id)),
                repricing::from_at.eq(from),
                repricing::to_at.eq(calls.map(|calls| calls.to)),
                repricing::started_at.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(begun == 1)
    }

    /// A walk, locked until this transaction ends. [`StoreError::NotFound`] if there is none.
    pub async fn lock_repricing(&mut self, id: RepricingId) -> Result<Repricing, StoreError> {
        let row = repricing::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(RepricingRow::as_select()).for_update().first(self.conn()?).await?.try_into()
    }

    /// The walks that changed something or still run, newest first, without previews; `before` is the last id of the
    /// page before.
    pub async fn list_repricings(
        &mut self,
        before: Option<RepricingId>,
        limit: u32,
    ) -> Result<Vec<Repricing>, StoreError> {
        let mut query = repricing::table
            .filter(repricing::tenant_id.eq(self.tenant_id().uuid()))
            .filter(repricing::kind.ne("preview"))
            .filter(repricing::changed.gt(0).or(repricing::finished_at.is_null()))
            .order(repricing::id.desc())
            .limit(i64::from(limit))
            .select(RepricingRow::as_select())
            .into_boxed();
        if let Some(before) = before {
            query = query.filter(repricing::id.lt(before.uuid()));
        }
        query.load(self.conn()?).await?.into_iter().map(Repricing::try_from).collect()
    }

    /// When the last walk of this key's beginning, which has ended, began: calls before it were looked at.
    pub async fn last_unpriced_walk(
        &mut self,
        key_begins: &str,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let ended = repricing::table
            .filter(repricing::tenant_id.eq(self.tenant_id().uuid()))
            .filter(repricing::kind.eq("unpriced"))
            .filter(repricing::key.like(format!("{key_begins}%")))
            .filter(repricing::finished_at.is_not_null());
        Ok(ended.select(diesel::dsl::max(repricing::started_at)).first(self.conn()?).await?)
    }

    /// Calls of these providers that have no price, of this day or later, behind the cursor, in its order.
    pub async fn unpriced_requests(
        &mut self,
        providers: &[String],
        since: Option<NaiveDate>,
        after: Option<&RepricingCursor>,
        limit: u32,
    ) -> Result<Vec<RequestFact>, StoreError> {
        let sql = "SELECT * FROM request WHERE tenant_id = $1 AND cost_basis = 'unpriced' AND provider = ANY ($2) \
            AND ($3 IS NULL OR (provider, day, id) > ($3, $4, $5)) AND ($7 IS NULL OR day >= $7) \
            ORDER BY provider, day, id LIMIT $6";
        let rows: Vec<RequestRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Array<Text>, _>(providers)
            .bind::<Nullable<Text>, _>(after.map(|after| &after.provider))
            .bind::<Nullable<Date>, _>(after.map(|after| after.day))
            .bind::<Nullable<SqlUuid>, _>(after.map(|after| after.id))
            .bind::<BigInt, _>(i64::from(limit))
            .bind::<Nullable<Date>, _>(since)
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(RequestFact::try_from).collect()
    }

    /// The calls of a correction behind the cursor, among the next so many of the period, and the last one that was
    /// looked at; `None` at the end of the period.
    pub async fn corrected_requests(
        &mut self,
        calls: &CorrectedCalls,
        after: Option<&RepricingCursor>,
        limit: u32,
    ) -> Result<(Vec<RequestFact>, Option<RepricingCursor>), StoreError> {
        let tenant = self.tenant_id().uuid();
        let (from, to) = (calls.from.date_naive(), calls.to.date_naive());
        // The window is bounded by what is looked at, not by what is found: a rare model costs no long statement.
        let sql = "WITH near AS (SELECT day, id FROM request WHERE tenant_id = $1 AND day >= $2 AND day <= $3 \
                AND ($4 IS NULL OR (day, id) > ($4, $5)) ORDER BY day, id LIMIT $6) \
            SELECT day, id FROM near ORDER BY day DESC, id DESC LIMIT 1";
        let last: Option<PlaceRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Date, _>(from)
            .bind::<Date, _>(to)
            .bind::<Nullable<Date>, _>(after.map(|after| after.day))
            .bind::<Nullable<SqlUuid>, _>(after.map(|after| after.id))
            .bind::<BigInt, _>(i64::from(limit))
            .get_result(self.conn()?)
            .await
            .optional()?;
        let Some(last) = last else { return Ok((Vec::new(), None)) };
        let sql = "SELECT * FROM request WHERE tenant_id = $1 AND day >= $2 AND (day, id) <= ($3, $4) \
            AND ($5 IS NULL OR (day, id) > ($5, $6)) AND provider = $7 AND price ->> 'price_id' = $8 \
            AND cost_basis <> 'unpriced' AND started_at >= $9 AND started_at < $10 ORDER BY day, id";
        let rows: Vec<RequestRow> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Date, _>(from)
            .bind::<Date, _>(last.day)
            .bind::<SqlUuid, _>(last.id)
            .bind::<Nullable<Date>, _>(after.map(|after| after.day))
            .bind::<Nullable<SqlUuid>, _>(after.map(|after| after.id))
            .bind::<Text, _>(&calls.provider)
            .bind::<Text, _>(&calls.price_id)
            .bind::<Timestamptz, _>(calls.from)
            .bind::<Timestamptz, _>(calls.to)
            .load(self.conn()?)
            .await?;
        let found = rows.into_iter().map(RequestFact::try_from).collect::<Result<_, _>>()?;
        Ok((found, Some(RepricingCursor { provider: calls.provider.clone(), day: last.day, id: last.id })))
    }

    /// Gives calls another price for a walk that is under way, keeps what they cost before, and moves the rollup. What
    /// the walk may not change, or changed before, is left as it is.
    pub async fn reprice(
        &mut self,
        of: RepricingId,
        calls: &[RepricedCall],
        at: DateTime<Utc>,
    ) -> Result<Repriced, StoreError> {
        let (mut days, mut ids, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        let (mut costs, mut prices) = (Vec::new(), Vec::new());
        for call in calls {
            let mut price = serde_json::to_value(&call.price.receipt).map_err(StoreError::bug)?;
            mend_json(&mut price);
            days.push(call.id.day().ok_or_else(|| StoreError::bug("a call's id has no day"))?);
            ids.push(call.id.uuid());
            bases.push(call.price.basis.as_str());
            costs.push(Db(call.price.cost));
            prices.push(price);
        }
        let sql = "SELECT changed, old_cost, new_cost FROM reprice_requests($1, $2, $3, $4, $5, $6, $7)";
        let row: RepricedRow = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(of.uuid())
            .bind::<Array<Date>, _>(days)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(bases)
            .bind::<Array<Numeric>, _>(costs)
            .bind::<Array<Jsonb>, _>(prices)
            .bind::<Timestamptz, _>(at)
            .get_result(self.conn()?)
            .await?;
        Ok(Repriced {
            changed: u64::try_from(row.changed).unwrap_or_default(),
            old_cost: row.old_cost.0,
            new_cost: row.new_cost.0,
        })
    }

    /// Moves a walk on, in the transaction of what it changed.
    pub async fn advance_repricing(
        &mut self,
        id: RepricingId,
        cursor: &RepricingCursor,
        seen: u64,
        done: Repriced,
    ) -> Result<(), StoreError> {
        diesel::update(repricing::table.find((self.tenant_id().uuid(), id.uuid())))
            .set((
                repricing::cursor_provider.eq(&cursor.provider),
                repricing::cursor_day.eq(cursor.day),
                repricing::cursor_id.eq(cursor.id),
                repricing::seen.eq(repricing::seen + to_bigint(seen)),
                repricing::changed.eq(repricing::changed + to_bigint(done.changed)),
                repricing::old_cost.eq(repricing::old_cost + Db(done.old_cost)),
                repricing::new_cost.eq(repricing::new_cost + Db(done.new_cost)),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Ends a walk.
    pub async fn finish_repricing(&mut self, id: RepricingId, at: DateTime<Utc>) -> Result<(), StoreError> {
        diesel::update(repricing::table.find((self.tenant_id().uuid(), id.uuid())))
            .set(repricing::finished_at.eq(at))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// What stood in a call's row before each time that it was priced later, the latest first.
    pub async fn earlier_prices(&mut self, id: RequestId) -> Result<Vec<EarlierPrice>, StoreError> {
        let rows: Vec<EarlierRow> = request_repricing::table
            .filter(request_repricing::tenant_id.eq(self.tenant_id().uuid()))
            .filter(request_repricing::request_id.eq(id.uuid()))
            .order((request_repricing::at.desc(), request_repricing::repricing_id.desc()))
            .limit(100)
            .select(EarlierRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(EarlierPrice::try_from).collect()
    }
}

impl Repricing {
    /// Whether it writes.
    #[must_use]
    pub const fn writes(&self) -> bool {
        !matches!(self.kind, RepricingKind::Preview(_))
    }

    /// A row's cursor behind this call.
    #[must_use]
    pub fn behind(fact: &RequestFact) -> Option<RepricingCursor> {
        Some(RepricingCursor { provider: fact.provider.clone(), day: fact.id.day()?, id: fact.id.uuid() })
    }
}

#[derive(QueryableByName)]
struct PlaceRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct RepricedRow {
    #[diesel(sql_type = BigInt)]
    changed: i64,
    #[diesel(sql_type = Numeric)]
    old_cost: Db<Usd>,
    #[diesel(sql_type = Numeric)]
    new_cost: Db<Usd>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = repricing)]
struct RepricingRow {
    id: Uuid,
    kind: String,
    version: i64,
    correction_id: Option<Uuid>,
    provider: Option<String>,
    price_id: Option<String>,
    from_at: Option<DateTime<Utc>>,
    to_at: Option<DateTime<Utc>>,
    cursor_provider: Option<String>,
    cursor_day: Option<NaiveDate>,
    cursor_id: Option<Uuid>,
    seen: i64,
    changed: i64,
    old_cost: Db<Usd>,
    new_cost: Db<Usd>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<RepricingRow> for Repricing {
    type Error = StoreError;

    fn try_from(row: RepricingRow) -> Result<Self, StoreError> {
        let calls = || {
            Ok::<_, StoreError>(CorrectedCalls {
                correction: row.correction_id.ok_or_else(half)?.into(),
                provider: row.provider.clone().ok_or_else(half)?,
                price_id: row.price_id.clone().ok_or_else(half)?,
                from: row.from_at.ok_or_else(half)?,
                to: row.to_at.ok_or_else(half)?,
            })
        };
        let kind = match row.kind.as_str() {
            "unpriced" => RepricingKind::Unpriced { since: row.from_at },
            "preview" => RepricingKind::Preview(calls()?),
            "correction" => RepricingKind::Correction(calls()?),
            other => return Err(StoreError::bug(format!("a repricing of the unknown kind {other:?}"))),
        };
        let cursor = match (row.cursor_provider, row.cursor_day, row.cursor_id) {
            (Some(provider), Some(day), Some(id)) => Some(RepricingCursor { provider, day, id }),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            kind,
            version: u64::try_from(row.version).unwrap_or_default(),
            cursor,
            seen: u64::try_from(row.seen).unwrap_or_default(),
            changed: u64::try_from(row.changed).unwrap_or_default(),
            old_cost: row.old_cost.0,
            new_cost: row.new_cost.0,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

fn half() -> StoreError {
    StoreError::bug("a correction's walk does not say which calls")
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = request_repricing)]
struct EarlierRow {
    repricing_id: Uuid,
    at: DateTime<Utc>,
    version: i64,
    old_basis: String,
    old_cost: Option<Db<Usd>>,
    old_price: serde_json::Value,
    new_cost: Db<Usd>,
}

impl TryFrom<EarlierRow> for EarlierPrice {
    type Error = StoreError;

    fn try_from(row: EarlierRow) -> Result<Self, StoreError> {
        Ok(Self {
            repricing_id: row.repricing_id.into(),
            at: row.at,
            version: u64::try_from(row.version).unwrap_or_default(),
            old_basis: named("request_repricing.old_basis", &row.old_basis, CostBasis::from_name)?,
            old_cost: row.old_cost.map(|cost| cost.0),
            old_price: serde_json::from_value(row.old_price).map_err(StoreError::bug)?,
            new_cost: row.new_cost.0,
        })
    }
}
