//! The shipper's insert: facts and rollups in one transaction, each fact exactly once.
//!
//! Nothing that a client or a provider said may stop a batch: what PostgreSQL would refuse (a zero character, an
//! absurd count, a name too long for an index) is mended or set aside before it is sent.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Provenance, RequestFact};
use costlens_domain::{ConnectionId, RequestId, TokenClass, Usd};
use diesel::QueryableByName;
use diesel::sql_types::{
    Array, BigInt, Bool, Date, Integer, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AnsiTransactionManager, RunQueryDsl, TransactionManager};
use uuid::Uuid;

use crate::bodies::{SealedBody, insert_bodies};
use crate::db::{Db, mend, mend_json, to_bigint};
use crate::{StoreError, WriterConn};

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Rows that are new, and counted in the rollups now.
    pub inserted: usize,
    /// Facts whose row was there already, or that stood twice in the batch; nothing was counted again.
    pub duplicates: usize,
    /// Facts that can never be stored: their key or tenant does not exist, their id carries no usable day, or
    /// a count is absurd. The shipper must not send them again, and should say so loudly.
    pub refused: Vec<RequestId>,
    /// Facts that would be refused and belong to an account that is erased, or is being erased: they are dropped, and
    /// nobody keeps them anywhere.
    pub erased: usize,
}

/// Names stand in the rollup's key, and an index entry holds some 2,700 bytes.
pub(crate) const LONGEST_NAME: usize = 256;

/// The longest text that is kept of what a client or provider sent.
const LONGEST_TEXT: usize = 1_024;

impl WriterConn {
    /// Stores facts and adds the new ones to the hourly rollup, in one transaction. Any number of shippers may
    /// send the same facts any number of times, at once: each is stored and counted once.
    pub async fn insert_facts(&mut self, facts: &[RequestFact]) -> Result<Shipped, StoreError> {
        self.insert_calls(facts, &BTreeMap::new()).await
    }

    /// The same, with the sealed prompts and answers of some of the calls, in the same transaction. A call that says it
    /// has a body and comes without one is stored as one whose body could not be kept; so is every call of the batch
    /// where the database does not take the bodies: the ledger waits for no body.
    pub async fn insert_calls(
        &mut self,
        facts: &[RequestFact],
        bodies: &BTreeMap<RequestId, SealedBody>,
    ) -> Result<Shipped, StoreError> {
        let mut shipped = Shipped::default();
        let mut batch: Batch<'_> = BTreeMap::new();
        for fact in facts {
            match fact.id.day().filter(|_| fact.usage.is_plausible()) {
                Some(day) => {
                    batch.entry((fact.tenant_id.uuid(), day, fact.id.uuid())).or_insert(fact);
                }
                None => shipped.refused.push(fact.id),
            }
        }
        self.refuse_days_without_partition(&mut batch, &mut shipped).await?;
        if !batch.is_empty() {
            let bodies = self.bodies_with_partition(&batch, bodies).await?;
            let rows = match self.send_calls(&batch, &bodies).await {
                // A check without a name: no partition. Somebody dropped it, or the database is another one now.
                Err(error) if error.constraint() == Some("") => {
                    self.forget_days();
                    self.refuse_days_without_partition(&mut batch, &mut shipped).await?;
                    self.send(&batch, &BTreeMap::new()).await?
                }
                sent => sent?,
            };
            self.supersede_imports(batch.values().copied()).await?;
            shipped.inserted = rows.iter().filter(|row| row.is_new).count();
            let known: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
            let unknown = batch.values().filter(|fact| !known.contains(&fact.id.uuid()));
            shipped.refused.extend(unknown.map(|fact| fact.id));
        }
        self.drop_erased(facts, &mut shipped).await?;
        shipped.duplicates = facts.len() - shipped.inserted - shipped.refused.len() - shipped.erased;
        Ok(shipped)
    }

    /// Of what is refused, what belongs to an erased account is counted and not named: whoever hears of a refusal keeps
    /// the row.
    async fn drop_erased(&mut self, facts: &[RequestFact], shipped: &mut Shipped) -> Result<(), StoreError> {
        if shipped.refused.is_empty() {
            return Ok(());
        }
        let refused: BTreeSet<RequestId> = shipped.refused.iter().copied().collect();
        let strays: Vec<&RequestFact> = facts.iter().filter(|fact| refused.contains(&fact.id)).collect();
        let tenants: BTreeSet<Uuid> = strays.iter().map(|fact| fact.tenant_id.uuid()).collect();
        let tenants: Vec<Uuid> = tenants.into_iter().collect();
        let erased: Vec<ErasedTenant> = diesel::sql_query("SELECT id FROM erased_tenants($1) AS id")
            .bind::<Array<SqlUuid>, _>(tenants)
            .load(&mut self.conn)
            .await?;
        let erased: BTreeSet<Uuid> = erased.into_iter().map(|tenant| tenant.id).collect();
        let gone = strays.iter().filter(|fact| erased.contains(&fact.tenant_id.uuid()));
        let gone: BTreeSet<RequestId> = gone.map(|fact| fact.id).collect();
        let before = shipped.refused.len();
        shipped.refused.retain(|id| !gone.contains(id));
        shipped.erased = before - shipped.refused.len();
        Ok(())
    }

    /// Makes the partitions of a span of days, so that no call waits for one.
    pub async fn ensure_partitions(&mut self, from: NaiveDate, days: u32) -> Result<(), StoreError> {
        let wanted = from.iter_days().take(usize::try_from(days).unwrap_or(usize::MAX)).collect();
        for day in self.unseen_days(&wanted) {
            self.ensure_partition(day).await?;
        }
        Ok(())
    }

    /// Makes missing partitions in transactions of their own, before the batch locks anything. A day that can
    /// have none is outside of the window: its facts are set aside.
    pub(crate) async fn refuse_days_without_partition(
        &mut self,
        batch: &mut Batch<'_>,
        shipped: &mut Shipped,
    ) -> Result<(), StoreError> {
        let wanted = batch.keys().map(|(_, day, _)| *day).collect();
        for day in self.unseen_days(&wanted) {
            match self.ensure_partition(day).await {
                Ok(()) => {}
                Err(error) if error.constraint() == Some("request_partition_window") => {
                    let of_day = batch.extract_if(.., |(_, of, _), _| *of == day);
                    shipped.refused.extend(of_day.map(|(_, fact)| fact.id));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn ensure_partition(&mut self, day: NaiveDate) -> Result<(), StoreError> {
        let ensure = diesel::sql_query("SELECT ensure_request_partition($1)").bind::<Date, _>(day);
        ensure.execute(&mut self.conn).await?;
        self.saw_day(day);
        Ok(())
    }

    /// Rows and bodies in one transaction; without the bodies where the database does not take them.
    async fn send_calls(
        &mut self,
        batch: &Batch<'_>,
        bodies: &Bodies<'_>,
    ) -> Result<Vec<SentRow>, StoreError> {
        if bodies.is_empty() {
            return self.send(batch, bodies).await;
        }
        AnsiTransactionManager::begin_transaction(&mut *self.conn).await?;
        let sent = async {
            let rows = self.send(batch, bodies).await?;
            let new: BTreeSet<Uuid> = rows.iter().filter(|row| row.is_new).map(|row| row.id).collect();
            let new = batch.values().filter(|fact| new.contains(&fact.id.uuid()));
            insert_bodies(&mut self.conn, new.filter_map(|fact| Some((*fact, *bodies.get(&fact.id)?))))
                .await?;
            Ok::<_, StoreError>(rows)
        };
        match sent.await {
            Ok(rows) => {
                AnsiTransactionManager::commit_transaction(&mut *self.conn).await?;
                Ok(rows)
            }
            Err(error) => {
                AnsiTransactionManager::rollback_transaction(&mut *self.conn).await?;
                if error.is_unavailable() {
                    return Err(error);
                }
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    bodies = bodies.len(),
                    "the database does not take prompts and answers; their calls are stored without"
                );
                // Their partition may be gone.
                self.forget_body_days();
                self.send(batch, &BTreeMap::new()).await
            }
        }
    }

    /// The bodies of the batch's own calls, but for those whose day can have no partition.
    async fn bodies_with_partition<'a>(
        &mut self,
        batch: &Batch<'_>,
        bodies: &'a BTreeMap<RequestId, SealedBody>,
    ) -> Result<Bodies<'a>, StoreError> {
        let mut wanted: Bodies<'a> = BTreeMap::new();
        for ((_, day, _), fact) in batch {
            let Some(body) = bodies.get(&fact.id).filter(|_| fact.body.is_kept()) else { continue };
            match self.ensure_body_partition(body.class, *day).await {
                Ok(()) => {
                    wanted.insert(fact.id, body);
                }
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error, class = %body.class, %day,
                        "there is no partition for prompts and answers; their calls are stored without"
                    );
                }
            }
        }
        Ok(wanted)
    }

    /// Takes out of the ledger what was imported of calls that the proxy has, too. It comes after the commit of these
    /// facts, new or known: whoever commits second sees both rows, and a batch that is sent again looks again.
    pub(crate) async fn supersede_imports<'a>(
        &mut self,
        facts: impl Iterator<Item = &'a RequestFact>,
    ) -> Result<(), StoreError> {
        let answered = facts.filter_map(|fact| {
            let answer = mend(fact.provenance.response_id.as_deref()?, LONGEST_NAME);
            Some((fact.tenant_id.uuid(), answer))
        });
        let (tenants, answers): (Vec<Uuid>, Vec<String>) = answered.unzip();
        if tenants.is_empty() {
            return Ok(());
        }
        let supersede = diesel::sql_query("SELECT supersede_imports($1, $2)")
            .bind::<Array<SqlUuid>, _>(tenants)
            .bind::<Array<Text>, _>(answers);
        supersede.execute(&mut self.conn).await?;
        Ok(())
    }

    pub(crate) async fn send(
        &mut self,
        batch: &Batch<'_>,
        bodies: &Bodies<'_>,
    ) -> Result<Vec<SentRow>, StoreError> {
        let mut columns = Columns::default();
        for ((_, day, _), fact) in batch {
            let missing = fact.body.is_kept() && !bodies.contains_key(&fact.id);
            columns.push(*day, fact, if missing { BodyState::Unavailable } else { fact.body })?;
        }
        let Columns {
            counts: [fresh, cached, five_minutes, one_hour, output, reasoning, heard, spoken, searches],
            ..
        } = &columns;
        let rows = diesel::sql_query(include_str!("sql/insert_facts.sql"))
            .bind::<Array<SqlUuid>, _>(&columns.tenant_id)
            .bind::<Array<Date>, _>(&columns.day)
            .bind::<Array<SqlUuid>, _>(&columns.id)
            .bind::<Array<SqlUuid>, _>(&columns.api_key_id)
            .bind::<Array<Nullable<SqlUuid>>, _>(&columns.connection_id)
            .bind::<Array<Timestamptz>, _>(&columns.started_at)
            .bind::<Array<BigInt>, _>(&columns.duration_ms)
            .bind::<Array<Nullable<BigInt>>, _>(&columns.first_byte_ms)
            .bind::<Array<Text>, _>(&columns.provider)
            .bind::<Array<Text>, _>(&columns.endpoint)
            .bind::<Array<Text>, _>(&columns.model_requested)
            .bind::<Array<Nullable<Text>>, _>(&columns.model_served)
            .bind::<Array<Nullable<Text>>, _>(&columns.service_tier)
            .bind::<Array<Bool>, _>(&columns.streamed)
            .bind::<Array<Nullable<Integer>>, _>(&columns.status)
            .bind::<Array<Text>, _>(&columns.outcome)
            .bind::<Array<Nullable<Text>>, _>(&columns.error_code)
            .bind::<Array<BigInt>, _>(fresh)
            .bind::<Array<BigInt>, _>(cached)
            .bind::<Array<BigInt>, _>(five_minutes)
            .bind::<Array<BigInt>, _>(one_hour)
            .bind::<Array<BigInt>, _>(output)
            .bind::<Array<BigInt>, _>(reasoning)
            .bind::<Array<BigInt>, _>(heard)
            .bind::<Array<BigInt>, _>(spoken)
            .bind::<Array<BigInt>, _>(searches)
            .bind::<Array<Text>, _>(&columns.cost_basis)
            .bind::<Array<Nullable<Numeric>>, _>(&columns.cost)
            .bind::<Array<Jsonb>, _>(&columns.price)
            .bind::<Array<Nullable<Text>>, _>(&columns.caller_request_id)
            .bind::<Array<Nullable<Text>>, _>(&columns.provider_request_id)
            .bind::<Array<Text>, _>(&columns.body)
            .bind::<Array<Text>, _>(&columns.origin)
            .bind::<Array<Nullable<Text>>, _>(&columns.region)
            .bind::<Array<Nullable<Text>>, _>(&columns.response_id)
            .load(&mut self.conn)
            .await?;
        Ok(rows)
    }
}

/// Facts by tenant, day and id, which is the order in which they are sent.
pub(crate) type Batch<'a> = BTreeMap<(Uuid, NaiveDate, Uuid), &'a RequestFact>;

/// The bodies that are sent with them.
pub(crate) type Bodies<'a> = BTreeMap<RequestId, &'a SealedBody>;

#[derive(QueryableByName)]
pub(crate) struct SentRow {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
    #[diesel(sql_type = Bool)]
    pub(crate) is_new: bool,
}

#[derive(QueryableByName)]
struct ErasedTenant {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// A batch turned on its side: one array per column.
#[derive(Default)]
struct Columns {
    tenant_id: Vec<Uuid>,
    day: Vec<NaiveDate>,
    id: Vec<Uuid>,
    api_key_id: Vec<Uuid>,
    connection_id: Vec<Option<Uuid>>,
    started_at: Vec<DateTime<Utc>>,
    duration_ms: Vec<i64>,
    first_byte_ms: Vec<Option<i64>>,
    provider: Vec<String>,
    endpoint: Vec<String>,
    model_requested: Vec<String>,
    model_served: Vec<Option<String>>,
    service_tier: Vec<Option<String>>,
    streamed: Vec<bool>,
    status: Vec<Option<i32>>,
    outcome: Vec<&'static str>,
    error_code: Vec<Option<String>>,
    /// In the order of the columns.
    counts: [Vec<i64>; 9],
    cost_basis: Vec<&'static str>,
    cost: Vec<Option<Db<Usd>>>,
    price: Vec<serde_json::Value>,
    caller_request_id: Vec<Option<String>>,
    provider_request_id: Vec<Option<String>>,
    body: Vec<&'static str>,
    origin: Vec<&'static str>,
    region: Vec<Option<String>>,
    response_id: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, day: NaiveDate, fact: &RequestFact, body: BodyState) -> Result<(), StoreError> {
        let (cost_basis, cost) = agreed_cost(fact);
        let mut price = serde_json::to_value(&fact.price).map_err(StoreError::bug)?;
        mend_json(&mut price);
        self.tenant_id.push(fact.tenant_id.uuid());
        self.day.push(day);
        self.id.push(fact.id.uuid());
        self.api_key_id.push(fact.api_key_id.uuid());
        self.connection_id.push(fact.connection_id.map(ConnectionId::uuid));
        self.started_at.push(fact.started_at);
        self.duration_ms.push(i64::from(fact.duration_ms));
        self.first_byte_ms.push(fact.first_byte_ms.map(i64::from));
        self.provider.push(mend(&fact.provider, LONGEST_NAME));
        self.endpoint.push(mend(&fact.endpoint, LONGEST_NAME));
        self.model_requested.push(mend(&fact.model_requested, LONGEST_NAME));
        self.model_served.push(fact.model_served.as_deref().map(|name| mend(name, LONGEST_NAME)));
        self.service_tier.push(fact.service_tier.as_deref().map(|name| mend(name, LONGEST_NAME)));
        self.streamed.push(fact.streamed);
        self.status.push(fact.status.map(i32::from));
        self.outcome.push(fact.outcome.as_str());
        self.error_code.push(fact.error_code.as_deref().map(|code| mend(code, LONGEST_NAME)));
        for (column, count) in self.counts.iter_mut().zip(counts(fact)) {
            column.push(to_bigint(count));
        }
        self.cost_basis.push(cost_basis.as_str());
        self.cost.push(cost.map(Db));
        self.price.push(price);
        self.caller_request_id.push(fact.caller_request_id.as_deref().map(|id| mend(id, LONGEST_TEXT)));
        self.provider_request_id.push(fact.provider_request_id.as_deref().map(|id| mend(id, LONGEST_TEXT)));
        self.body.push(body.as_str());
        let Provenance { origin, region, response_id } = &fact.provenance;
        self.origin.push(origin.as_str());
        self.region.push(region.as_deref().map(|region| mend(region, LONGEST_NAME)));
        self.response_id.push(response_id.as_deref().map(|id| mend(id, LONGEST_NAME)));
        Ok(())
    }
}

/// A fact's counts in the order of the columns.
fn counts(fact: &RequestFact) -> [u64; 9] {
    let usage = &fact.usage;
    let of = |class| usage.of(class).0;
    [
        of(TokenClass::FreshInput),
        of(TokenClass::CacheRead),
        of(TokenClass::CacheWrite5m),
        of(TokenClass::CacheWrite1h),
        of(TokenClass::Output),
        usage.reasoning.0,
        of(TokenClass::AudioInput),
        of(TokenClass::AudioOutput),
        usage.web_searches,
    ]
}

/// A cost stands if and only if there is a basis for it. Where a fact contradicts itself, it is unpriced.
fn agreed_cost(fact: &RequestFact) -> (CostBasis, Option<Usd>) {
    match (fact.cost_basis, fact.cost) {
        (CostBasis::Unpriced, None) => (CostBasis::Unpriced, None),
        (basis, Some(cost)) if basis != CostBasis::Unpriced => (basis, Some(cost)),
        (basis, cost) => {
            tracing::error!(request = %fact.id, %basis, cost = cost.is_some(), "cost and basis contradict each other");
            (CostBasis::Unpriced, None)
        }
    }
}
