//! An operator's wish to price calls anew whose published price was corrected: counted first, then done.

use chrono::{DateTime, Utc};
use costlens_domain::{PriceCorrectionId, RepricingId, TenantId, Usd};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::db::{Db, named, to_bigint};
use crate::prices::IdRow;
use crate::schema::price_correction;
use crate::{CorrectedCalls, StoreError, SystemConn, SystemTx};

/// How far a correction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectionState {
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

impl CorrectionState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Previewing => "previewing",
            Self::Previewed => "previewed",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Previewing, Self::Previewed, Self::Running, Self::Done, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// The kind of walk that this state waits for.
    const fn walks(self) -> Option<(&'static str, Self)> {
        match self {
            Self::Previewing => Some(("preview", Self::Previewed)),
            Self::Running => Some(("correction", Self::Done)),
            _ => None,
        }
    }
}

/// A correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which calls.
    pub calls: CorrectedCalls,
    /// How far it is.
    pub state: CorrectionState,
    /// The version whose prices the calls get; 0 for those that came with the build.
    pub version: u64,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When the operator said to go on.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether every tenant concerned has its walk of the present phase.
    pub spread: bool,
}

/// What the walks of one kind found or did, over all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrectionSums {
    /// Tenants with such calls.
    pub tenants: u64,
    /// Those whose walk has ended.
    pub tenants_done: u64,
    /// Calls that were looked at.
    pub seen: u64,
    /// Calls whose cost is, or would be, another.
    pub changed: u64,
    /// What those cost before.
    pub old_cost: Usd,
    /// What those cost then.
    pub new_cost: Usd,
}

impl SystemTx {
    /// Asks for a correction. It is counted first.
    pub async fn create_price_correction(&mut self, new: &Correction) -> Result<(), StoreError> {
        diesel::insert_into(price_correction::table)
            .values((
                price_correction::id.eq(new.calls.correction.uuid()),
                price_correction::state.eq(CorrectionState::Previewing.as_str()),
                price_correction::provider.eq(&new.calls.provider),
                price_correction::price_id.eq(&new.calls.price_id),
                price_correction::from_at.eq(new.calls.from),
                price_correction::to_at.eq(new.calls.to),
                price_correction::version.eq(to_bigint(new.version)),
                price_correction::reason.eq(&new.reason),
                price_correction::asked_by.eq(&new.asked_by),
                price_correction::asked_at.eq(new.asked_at),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(())
    }

    /// Says to go on with a counted correction. False if it is not one that waits for that.
    pub async fn confirm_price_correction(
        &mut self,
        id: PriceCorrectionId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let counted = price_correction::table
            .find(id.uuid())
            .filter(price_correction::state.eq(CorrectionState::Previewed.as_str()));
        let confirmed = diesel::update(counted)
            .set((
                price_correction::state.eq(CorrectionState::Running.as_str()),
                price_correction::confirmed_at.eq(at),
                price_correction::spread.eq(false),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(confirmed == 1)
    }

    /// Lets a correction be that was not confirmed. False if it was, or has ended.
    pub async fn cancel_price_correction(
        &mut self,
        id: PriceCorrectionId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let open = [CorrectionState::Previewing.as_str(), CorrectionState::Previewed.as_str()];
        let unconfirmed =
            price_correction::table.find(id.uuid()).filter(price_correction::state.eq_any(open));
        let cancelled = diesel::update(unconfirmed)
            .set((
                price_correction::state.eq(CorrectionState::Cancelled.as_str()),
                price_correction::ended_at.eq(at),
            ))
            .execute(self.transaction()?)
            .await?;
        Ok(cancelled == 1)
    }

    /// A correction. [`StoreError::NotFound`] if there is none.
    pub async fn price_correction(&mut self, id: PriceCorrectionId) -> Result<Correction, StoreError> {
        one(self.transaction()?, id).await
    }
}

impl SystemConn {
    /// A correction. [`StoreError::NotFound`] if there is none.
    pub async fn price_correction(&mut self, id: PriceCorrectionId) -> Result<Correction, StoreError> {
        one(&mut self.conn, id).await
    }

    /// The corrections, newest first; `before` is the last id of the page before.
    pub async fn list_price_corrections(
        &mut self,
        before: Option<PriceCorrectionId>,
        limit: u32,
    ) -> Result<Vec<Correction>, StoreError> {
        let mut query = price_correction::table
            .order(price_correction::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(before) = before {
            query = query.filter(price_correction::id.lt(before.uuid()));
        }
        query.load(&mut self.conn).await?.into_iter().map(Correction::try_from).collect()
    }

    /// The corrections whose walks are under way, oldest first.
    pub async fn open_price_corrections(&mut self) -> Result<Vec<Correction>, StoreError> {
        let open = [CorrectionState::Previewing.as_str(), CorrectionState::Running.as_str()];
        let rows = price_correction::table
            .filter(price_correction::state.eq_any(open))
            .order(price_correction::id)
            .select(Row::as_select());
        rows.load(&mut self.conn).await?.into_iter().map(Correction::try_from).collect()
    }

    /// Walks of every tenant that began before this moment and have not ended, in the order of their ids; `after` is the
    /// last id of the page before. Accounts whose erasure has begun have none.
    pub async fn unfinished_repricings(
        &mut self,
        before: DateTime<Utc>,
        after: Option<RepricingId>,
        limit: u32,
    ) -> Result<Vec<(TenantId, RepricingId)>, StoreError> {
        let sql = "SELECT r.tenant_id, r.id FROM repricing r WHERE r.finished_at IS NULL AND r.started_at < $1 \
            AND ($2 IS NULL OR r.id > $2) AND NOT EXISTS (SELECT FROM closure c JOIN erasure e ON e.id = c.erasure_id \
                WHERE c.tenant_id = r.tenant_id AND e.state <> 'grace') ORDER BY r.id LIMIT $3";
        let rows: Vec<WalkRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(before)
            .bind::<Nullable<SqlUuid>, _>(after.map(RepricingId::uuid))
            .bind::<BigInt, _>(i64::from(limit))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.tenant_id.into(), row.id.into())).collect())
    }

    /// What a correction's preview found, and what the correction did.
    pub async fn price_correction_sums(
        &mut self,
        id: PriceCorrectionId,
    ) -> Result<(CorrectionSums, CorrectionSums), StoreError> {
        let sql = "SELECT count(*) AS tenants, count(finished_at) AS tenants_done, \
                COALESCE(sum(seen), 0)::bigint AS seen, COALESCE(sum(changed), 0)::bigint AS changed, \
                COALESCE(sum(old_cost), 0) AS old_cost, COALESCE(sum(new_cost), 0) AS new_cost \
            FROM repricing WHERE correction_id = $1 AND kind = $2";
        let mut sums = [CorrectionSums::default(); 2];
        for (sums, kind) in sums.iter_mut().zip(["preview", "correction"]) {
            let row: SumsRow = diesel::sql_query(sql)
                .bind::<SqlUuid, _>(id.uuid())
                .bind::<Text, _>(kind)
                .get_result(&mut self.conn)
                .await?;
            *sums = row.into();
        }
        let [preview, done] = sums;
        Ok((preview, done))
    }

    /// The tenants with calls of this provider in a period, by id; `after` is the last of the page before. Accounts
    /// whose erasure has begun have none; one in its days of grace may be kept, with right prices.
    pub async fn tenants_with_calls_of(
        &mut self,
        calls: &CorrectedCalls,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT t.id FROM tenant t \
            WHERE NOT EXISTS (SELECT FROM closure c JOIN erasure e ON e.id = c.erasure_id \
                WHERE c.tenant_id = t.id AND e.state <> 'grace') AND ($1 IS NULL OR t.id > $1) AND EXISTS (SELECT FROM spend_hourly s \
                WHERE s.tenant_id = t.id AND s.provider = $2 AND s.hour >= date_trunc('hour', $3, 'UTC') AND s.hour < $4) \
            ORDER BY t.id LIMIT $5";
        let rows: Vec<IdRow> = diesel::sql_query(sql)
            .bind::<Nullable<SqlUuid>, _>(after)
            .bind::<Text, _>(&calls.provider)
            .bind::<Timestamptz, _>(calls.from)
            .bind::<Timestamptz, _>(calls.to)
            .bind::<BigInt, _>(i64::from(limit))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// Writes down that every tenant concerned has its walk of this phase.
    pub async fn spread_price_correction(
        &mut self,
        id: PriceCorrectionId,
        phase: CorrectionState,
    ) -> Result<(), StoreError> {
        diesel::update(price_correction::table.find(id.uuid()))
            .filter(price_correction::state.eq(phase.as_str()))
            .set(price_correction::spread.eq(true))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Ends the present phase of a correction if no walk of it is left. Asking early or twice does nothing.
    pub async fn settle_price_correction(
        &mut self,
        id: PriceCorrectionId,
        at: DateTime<Utc>,
    ) -> Result<Option<CorrectionState>, StoreError> {
        let correction = self.price_correction(id).await?;
        let Some((kind, next)) = correction.state.walks().filter(|_| correction.spread) else {
            return Ok(None);
        };
        let ended = (next == CorrectionState::Done).then_some(at);
        let sql = "UPDATE price_correction SET state = $1, ended_at = $2 WHERE id = $3 AND state = $4 AND spread \
            AND NOT EXISTS (SELECT FROM repricing WHERE correction_id = $3 AND kind = $5 AND finished_at IS NULL)";
        let settled = diesel::sql_query(sql)
            .bind::<Text, _>(next.as_str())
            .bind::<Nullable<Timestamptz>, _>(ended)
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Text, _>(correction.state.as_str())
            .bind::<Text, _>(kind)
            .execute(&mut self.conn)
            .await?;
        Ok((settled == 1).then_some(next))
    }
}

async fn one(conn: &mut AsyncPgConnection, id: PriceCorrectionId) -> Result<Correction, StoreError> {
    let row = price_correction::table.find(id.uuid()).select(Row::as_select());
    row.first(conn).await?.try_into()
}

#[derive(QueryableByName)]
struct WalkRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct SumsRow {
    #[diesel(sql_type = BigInt)]
    tenants: i64,
    #[diesel(sql_type = BigInt)]
    tenants_done: i64,
    #[diesel(sql_type = BigInt)]
    seen: i64,
    #[diesel(sql_type = BigInt)]
    changed: i64,
    #[diesel(sql_type = Numeric)]
    old_cost: Db<Usd>,
    #[diesel(sql_type = Numeric)]
    new_cost: Db<Usd>,
}

impl From<SumsRow> for CorrectionSums {
    fn from(row: SumsRow) -> Self {
        let count = |count| u64::try_from(count).unwrap_or_default();
        Self {
            tenants: count(row.tenants),
            tenants_done: count(row.tenants_done),
            seen: count(row.seen),
            changed: count(row.changed),
            old_cost: row.old_cost.0,
            new_cost: row.new_cost.0,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = price_correction)]
struct Row {
    id: Uuid,
    state: String,
    provider: String,
    price_id: String,
    from_at: DateTime<Utc>,
    to_at: DateTime<Utc>,
    version: i64,
    reason: String,
    asked_by: String,
    asked_at: DateTime<Utc>,
    confirmed_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    spread: bool,
}

impl TryFrom<Row> for Correction {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            calls: CorrectedCalls {
                correction: row.id.into(),
                provider: row.provider,
                price_id: row.price_id,
                from: row.from_at,
                to: row.to_at,
            },
            state: named("price_correction.state", &row.state, CorrectionState::from_name)?,
            version: u64::try_from(row.version).unwrap_or_default(),
            reason: row.reason,
            asked_by: row.asked_by,
            asked_at: row.asked_at,
            confirmed_at: row.confirmed_at,
            ended_at: row.ended_at,
            spread: row.spread,
        })
    }
}
