//! Calls that never passed the proxy, into the ledger: each once, whoever tells of it and however often.
//!
//! A call is claimed by its source's id and by the provider's id of its answer, and its row and sum follow in the same
//! transaction. What the proxy carried stays the proxy's row, whichever of the two came first (ADR 0025).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::imports::{Attribution, ImportedCall};
use costlens_domain::{RequestId, TenantId, Usd};
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{Array, Date, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AnsiTransactionManager, RunQueryDsl, TransactionManager};
use serde_json::json;
use uuid::Uuid;

use crate::db::{Db, mend};
use crate::schema::imported_call;
use crate::writer::{Batch, LONGEST_NAME};
use crate::{Shipped, StoreError, TenantConn, WriterConn};

/// What became of calls that were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Calls that are new, and count now.
    pub taken: u64,
    /// Calls that were counted before, by an import or by the proxy.
    pub known: u64,
    /// Calls that the ledger has no place for.
    pub refused: u64,
}

impl Imported {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            taken: self.taken.saturating_add(other.taken),
            known: self.known.saturating_add(other.known),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

/// What its source says of an imported call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportClaim {
    /// The source's id of it.
    pub source_id: String,
    /// When it was handed in.
    pub imported_at: DateTime<Utc>,
    /// What the source says that it cost.
    pub claimed_cost: Option<Usd>,
    /// Whose it was.
    pub attribution: Attribution,
}

impl WriterConn {
    /// Stores one tenant's calls and adds the new ones to the hourly rollup, in one transaction. The same calls may come
    /// any number of times, at once, and in several files: each is stored and counted once. A few hundred at a time.
    pub async fn import_calls(
        &mut self,
        tenant: TenantId,
        calls: &[ImportedCall],
    ) -> Result<Imported, StoreError> {
        let mut shipped = Shipped::default();
        let mut batch: Batch<'_> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.fact.tenant_id == tenant) {
            let fact = &call.fact;
            if let Some(day) = fact.id.day().filter(|_| fact.usage.is_plausible()) {
                batch.insert((tenant.uuid(), day, fact.id.uuid()), fact);
            }
        }
        self.refuse_days_without_partition(&mut batch, &mut shipped).await?;
        let acceptable: BTreeSet<Uuid> = batch.keys().map(|(_, _, id)| *id).collect();
        let mut claims = Claims::default();
        for call in calls.iter().filter(|call| acceptable.contains(&call.fact.id.uuid())) {
            claims.push(call)?;
        }
        let offered = u64::try_from(acceptable.len()).unwrap_or(u64::MAX);
        let refused = u64::try_from(calls.len()).unwrap_or(u64::MAX).saturating_sub(offered);
        if batch.is_empty() {
            return Ok(Imported { refused, ..Imported::default() });
        }
        let taken = match self.claim_and_insert(tenant, &claims, &mut batch).await {
            // A check without a name: no partition. Somebody dropped it, or the database is another one now.
            Err(error) if error.constraint() == Some("") => {
                self.forget_days();
                return Err(StoreError::Unavailable(Box::new(error)));
            }
            sent => sent?,
        };
        // After the commit, as the shipper does: whichever row comes second finds both. Also for what is known, whose
        // first sender may have died between the two.
        self.supersede_imports(calls.iter().map(|call| &call.fact)).await?;
        Ok(Imported { taken, known: offered.saturating_sub(taken), refused })
    }

    async fn claim_and_insert(
        &mut self,
        tenant: TenantId,
        claims: &Claims,
        batch: &mut Batch<'_>,
    ) -> Result<u64, StoreError> {
        AnsiTransactionManager::begin_transaction(&mut *self.conn).await?;
        let sent = async {
            // Two files of a tenant that hold the same calls in another order would wait for each other in a circle.
            diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('costlens.import.' || $1, 0))")
                .bind::<Text, _>(tenant.to_string())
                .execute(&mut self.conn)
                .await?;
            let claimed = claims.insert(self).await?;
            batch.retain(|(_, _, id), _| claimed.contains(id));
            if batch.is_empty() {
                return Ok(0);
            }
            let rows = self.send(batch, &BTreeMap::new()).await?;
            let new = rows.iter().filter(|row| row.is_new && claimed.contains(&row.id)).count();
            if new < claimed.len() {
                // A claim without a row would count a call as known that nobody counts.
                return Err(StoreError::NotFound);
            }
            Ok::<_, StoreError>(u64::try_from(new).unwrap_or(u64::MAX))
        };
        match sent.await {
            Ok(taken) => {
                AnsiTransactionManager::commit_transaction(&mut *self.conn).await?;
                Ok(taken)
            }
            Err(error) => {
                AnsiTransactionManager::rollback_transaction(&mut *self.conn).await?;
                Err(error)
            }
        }
    }
}

impl TenantConn {
    /// What its source says of a call; `None` where the proxy carried it.
    pub async fn import_claim(&mut self, id: RequestId) -> Result<Option<ImportClaim>, StoreError> {
        let row: Option<ClaimRow> = imported_call::table
            .filter(imported_call::tenant_id.eq(self.tenant_id().uuid()))
            .filter(imported_call::request_id.eq(id.uuid()))
            .select(ClaimRow::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map(ImportClaim::try_from).transpose()
    }
}

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = SqlUuid)]
    request_id: Uuid,
}

/// Claims turned on their side: one array per column.
#[derive(Default)]
struct Claims {
    tenant_id: Vec<Uuid>,
    origin: Vec<&'static str>,
    source_id: Vec<String>,
    day: Vec<NaiveDate>,
    request_id: Vec<Uuid>,
    response_id: Vec<Option<String>>,
    imported_at: Vec<DateTime<Utc>>,
    claimed_cost: Vec<Option<Db<Usd>>>,
    user_name: Vec<Option<String>>,
    end_user: Vec<Option<String>>,
    team: Vec<Option<String>>,
    service: Vec<Option<String>>,
    tags: Vec<serde_json::Value>,
}

impl Claims {
    fn push(&mut self, call: &ImportedCall) -> Result<(), StoreError> {
        let fact = &call.fact;
        let day = fact.id.day().ok_or_else(|| StoreError::bug("a call's id has no day"))?;
        let name = |text: &Option<String>| text.as_deref().map(|text| mend(text, LONGEST_NAME));
        let Attribution { user, end_user, team, service, tags } = &call.attribution;
        let tags: Vec<String> = tags.iter().map(|tag| mend(tag, LONGEST_NAME)).collect();
        self.tenant_id.push(fact.tenant_id.uuid());
        self.origin.push(fact.provenance.origin.as_str());
        self.source_id.push(mend(&call.source_id, LONGEST_NAME));
        self.day.push(day);
        self.request_id.push(fact.id.uuid());
        self.response_id.push(name(&fact.provenance.response_id));
        self.imported_at.push(call.imported_at);
        self.claimed_cost.push(call.claimed_cost.map(Db));
        self.user_name.push(name(user));
        self.end_user.push(name(end_user));
        self.team.push(name(team));
        self.service.push(name(service));
        self.tags.push(json!(tags));
        Ok(())
    }

    /// The ids of the rows that may be inserted.
    async fn insert(&self, conn: &mut WriterConn) -> Result<BTreeSet<Uuid>, StoreError> {
        let rows: Vec<ClaimedRow> = diesel::sql_query(include_str!("sql/insert_imports.sql"))
            .bind::<Array<SqlUuid>, _>(&self.tenant_id)
            .bind::<Array<Text>, _>(&self.origin)
            .bind::<Array<Text>, _>(&self.source_id)
            .bind::<Array<Date>, _>(&self.day)
            .bind::<Array<SqlUuid>, _>(&self.request_id)
            .bind::<Array<Nullable<Text>>, _>(&self.response_id)
            .bind::<Array<Timestamptz>, _>(&self.imported_at)
            .bind::<Array<Nullable<Numeric>>, _>(&self.claimed_cost)
            .bind::<Array<Nullable<Text>>, _>(&self.user_name)
            .bind::<Array<Nullable<Text>>, _>(&self.end_user)
            .bind::<Array<Nullable<Text>>, _>(&self.team)
            .bind::<Array<Nullable<Text>>, _>(&self.service)
            .bind::<Array<Jsonb>, _>(&self.tags)
            .load(&mut conn.conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.request_id).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = imported_call)]
struct ClaimRow {
    source_id: String,
    imported_at: DateTime<Utc>,
    claimed_cost: Option<Db<Usd>>,
    user_name: Option<String>,
    end_user: Option<String>,
    team: Option<String>,
    service: Option<String>,
    tags: serde_json::Value,
}

impl TryFrom<ClaimRow> for ImportClaim {
    type Error = StoreError;

    fn try_from(row: ClaimRow) -> Result<Self, StoreError> {
        Ok(Self {
            source_id: row.source_id,
            imported_at: row.imported_at,
            claimed_cost: row.claimed_cost.map(|cost| cost.0),
            attribution: Attribution {
                user: row.user_name,
                end_user: row.end_user,
                team: row.team,
                service: row.service,
                tags: serde_json::from_value(row.tags).map_err(StoreError::bug)?,
            },
        })
    }
}
