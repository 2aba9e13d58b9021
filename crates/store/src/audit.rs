//! What was done that somebody may ask about later. Events are added and never changed, and each names the one before:
//! number and hashes are given by the database to whoever inserts (ADR 0014).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use costlens_domain::audit::chain::{Chain, Hash, Place, Record};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, ErasureId, RequestId, TenantId};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::db::{from_bigint, mend, mend_json, to_bigint};
use crate::schema::{
    audit_event, audit_head, kept_audit_event, operator_event, operator_event_head, sign_in_link,
};
use crate::{StoreError, SystemConn, TenantConn};

/// The longest target that is written down, in bytes.
const LONGEST_TARGET: usize = 500;

/// How many refused sign-ins are written down in an hour; the log has them all.
const REFUSALS_AN_HOUR: i64 = 60;

/// What was done, to be written beside its effect.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub actor: Actor,
    /// The kind of act.
    pub action: Action,
    /// What it was done to, by its shown id.
    pub target: Option<String>,
    /// What changed. No secret and nobody's e-mail address.
    pub change: Value,
    /// The request in which it was done.
    pub request_id: Option<RequestId>,
    /// The network address that it came from.
    pub address: Option<IpAddr>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom, see [`Actor`].
    pub actor: String,
    /// The kind of act.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
    /// What changed.
    pub change: Value,
    /// The request in which it was done.
    pub request_id: Option<RequestId>,
    /// The network address that it came from.
    pub address: Option<String>,
    /// Its number in its chain.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// An event at its place in a chain, as it was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedEvent {
    /// Its number.
    pub seq: u64,
    /// The hash of the event before.
    pub prev: Hash,
    /// Its own.
    pub hash: Hash,
    /// What it says.
    pub record: Record,
}

/// What an erasure kept of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// Its number.
    pub n: u64,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// What kind of act.
    pub action: String,
    /// The hash of the one before.
    pub prev: Hash,
    /// Its own.
    pub hash: Hash,
}

/// Where a chain ends, and where what was pruned of it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The last event; number 0 where there is none.
    pub head: Place,
    /// The last that was pruned; number 0 where nothing was.
    pub pruned: Place,
}

impl AuditHead {
    /// Of a chain without events.
    pub const START: Self = Self { head: Place::START, pruned: Place::START };
}

impl TenantConn {
    /// Writes down what this transaction does. It is written by [`TenantConn::commit`], last of all: the chain's head is
    /// locked from then on, and whoever holds that lock waits for nothing but the disk.
    #[expect(clippy::unused_async, reason = "its callers write it where they write everything else")]
    pub async fn audit(&mut self, new: &NewAuditEvent) -> Result<(), StoreError> {
        self.audited().push(new.clone());
        Ok(())
    }

    /// What was done, newest first; `after` is the last id of the page before.
    pub async fn list_audit_events(
        &mut self,
        after: Option<AuditEventId>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let of = audit_event::tenant_id.eq(self.tenant_id().uuid());
        let mut query = audit_event::table
            .filter(of)
            .order(audit_event::seq.desc())
            .limit(i64::from(limit))
            .select(AuditRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            let place = audit_event::table
                .filter(of)
                .filter(audit_event::id.eq(after.uuid()))
                .select(audit_event::seq)
                .first::<i64>(self.conn()?)
                .await
                .optional()?;
            let Some(place) = place else { return Ok(Vec::new()) };
            query = query.filter(audit_event::seq.lt(place));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(AuditEvent::try_from).collect()
    }

    /// What was done in a span, newest first.
    pub async fn audit_between(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let rows: Vec<AuditRow> = audit_event::table
            .filter(audit_event::tenant_id.eq(self.tenant_id().uuid()))
            .filter(audit_event::at.ge(from))
            .filter(audit_event::at.lt(to))
            .order(audit_event::seq.desc())
            .limit(i64::from(limit))
            .select(AuditRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(AuditEvent::try_from).collect()
    }

    /// Where the tenant's chain ends.
    pub async fn audit_head(&mut self) -> Result<AuditHead, StoreError> {
        let row: Option<HeadRow> = audit_head::table
            .filter(audit_head::tenant_id.eq(self.tenant_id().uuid()))
            .select(HeadRow::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map_or(Ok(AuditHead::START), AuditHead::try_from)
    }

    /// The events behind a number, in the chain's order.
    pub async fn audit_chain(&mut self, after: u64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        let rows = audit_event::table
            .filter(audit_event::tenant_id.eq(self.tenant_id().uuid()))
            .filter(audit_event::seq.gt(to_bigint(after)))
            .order(audit_event::seq)
            .limit(i64::from(limit))
            .select((AuditRow::as_select(), audit_event::prev_hash, sql::<Text>("change::text")))
            .load::<(AuditRow, Vec<u8>, String)>(self.conn()?)
            .await?;
        rows.into_iter().map(chained).collect()
    }
}

/// Writes events at the end of a tenant's chain.
pub(crate) async fn write(
    conn: &mut AsyncPgConnection,
    tenant: TenantId,
    events: &[NewAuditEvent],
) -> Result<(), StoreError> {
    let rows: Vec<_> = events
        .iter()
        .map(|new| {
            let (target, change) = (target(new), change(new));
            (
                audit_event::tenant_id.eq(tenant.uuid()),
                audit_event::id.eq(new.id.uuid()),
                audit_event::at.eq(new.at),
                audit_event::actor.eq(new.actor.to_string()),
                audit_event::action.eq(new.action.as_str()),
                audit_event::target.eq(target),
                audit_event::change.eq(change),
                audit_event::request_id.eq(new.request_id.map(RequestId::uuid)),
                audit_event::address.eq(new.address.map(|address| address.to_string())),
            )
        })
        .collect();
    diesel::insert_into(audit_event::table).values(rows).execute(conn).await?;
    Ok(())
}

fn target(new: &NewAuditEvent) -> Option<String> {
    new.target.as_deref().map(|target| mend(target, LONGEST_TARGET))
}

fn change(new: &NewAuditEvent) -> Value {
    let mut change = new.change.clone();
    mend_json(&mut change);
    change
}

impl SystemConn {
    /// Writes down what was done in a tenant's account, where its own door is not the one that does it: in the
    /// transaction of the effect, last of all.
    pub async fn audit_of(&mut self, tenant: TenantId, new: &NewAuditEvent) -> Result<(), StoreError> {
        write(&mut self.conn, tenant, std::slice::from_ref(new)).await
    }

    /// Writes down what an operator did, or must look at, that is no one tenant's.
    pub async fn note_operator_event(&mut self, new: &NewAuditEvent) -> Result<(), StoreError> {
        diesel::insert_into(operator_event::table)
            .values((
                operator_event::id.eq(new.id.uuid()),
                operator_event::at.eq(new.at),
                operator_event::actor.eq(new.actor.to_string()),
                operator_event::action.eq(new.action.as_str()),
                operator_event::target.eq(target(new)),
                operator_event::change.eq(change(new)),
                operator_event::request_id.eq(new.request_id.map(RequestId::uuid)),
                operator_event::address.eq(new.address.map(|address| address.to_string())),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Whose a sign-in link is, and why it lets nobody in at this moment; `None` where nobody made such a link.
    pub async fn refused_link(
        &mut self,
        hash: &[u8; 32],
        at: DateTime<Utc>,
    ) -> Result<Option<(TenantId, &'static str)>, StoreError> {
        let link: Option<(Uuid, DateTime<Utc>, Option<DateTime<Utc>>)> = sign_in_link::table
            .filter(sign_in_link::hash.eq(hash.as_slice()))
            .select((sign_in_link::tenant_id, sign_in_link::expires_at, sign_in_link::used_at))
            .first(&mut self.conn)
            .await
            .optional()?;
        Ok(link.map(|(tenant, expires, used)| {
            let why = match used {
                Some(_) => "used",
                None if expires <= at => "expired",
                None => "unknown",
            };
            (tenant.into(), why)
        }))
    }

    /// Writes down that somebody was not let in, in the account whose link it was or, where there is none, for the
    /// operator. Sixty an hour are written down; who tries more fills no disk. Says whether it was.
    pub async fn note_refusal(
        &mut self,
        tenant: Option<TenantId>,
        new: &NewAuditEvent,
    ) -> Result<bool, StoreError> {
        let since = new.at - chrono::TimeDelta::hours(1);
        let before = match tenant {
            Some(tenant) => {
                diesel::sql_query(
                    "SELECT count(*) AS rows FROM audit_event \
                 WHERE tenant_id = $1 AND action = 'session.refused' AND at > $2",
                )
                .bind::<SqlUuid, _>(tenant.uuid())
                .bind::<Timestamptz, _>(since)
                .get_result::<Counted>(&mut self.conn)
                .await?
            }
            None => diesel::sql_query(
                "SELECT count(*) AS rows FROM operator_event WHERE action = 'session.refused' AND at > $1",
            )
            .bind::<Timestamptz, _>(since)
            .get_result::<Counted>(&mut self.conn)
            .await?,
        };
        if before.rows >= REFUSALS_AN_HOUR {
            return Ok(false);
        }
        match tenant {
            Some(tenant) => self.audit_of(tenant, new).await?,
            None => self.note_operator_event(new).await?,
        }
        Ok(true)
    }

    /// What operators did and must look at, newest first; `after` is the last id of the page before.
    pub async fn list_operator_events(
        &mut self,
        after: Option<AuditEventId>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let mut query = operator_event::table
            .order(operator_event::seq.desc())
            .limit(i64::from(limit))
            .select(OperatorRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            let place = operator_event::table
                .filter(operator_event::id.eq(after.uuid()))
                .select(operator_event::seq)
                .first::<i64>(&mut self.conn)
                .await
                .optional()?;
            let Some(place) = place else { return Ok(Vec::new()) };
            query = query.filter(operator_event::seq.lt(place));
        }
        let rows = query.load(&mut self.conn).await?;
        rows.into_iter().map(|row| AuditRow::from(row).try_into()).collect()
    }

    /// The operators' events behind a number, in the chain's order.
    pub async fn operator_chain(&mut self, after: u64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        let rows = operator_event::table
            .filter(operator_event::seq.gt(to_bigint(after)))
            .order(operator_event::seq)
            .limit(i64::from(limit))
            .select((OperatorRow::as_select(), operator_event::prev_hash, sql::<Text>("change::text")))
            .load::<(OperatorRow, Vec<u8>, String)>(&mut self.conn)
            .await?;
        rows.into_iter().map(|(row, prev, change)| chained((row.into(), prev, change))).collect()
    }

    /// Where the operators' chain ends. Nothing of it is pruned.
    pub async fn operator_head(&mut self) -> Result<AuditHead, StoreError> {
        let (seq, hash): (i64, Vec<u8>) = operator_event_head::table
            .select((operator_event_head::seq, operator_event_head::hash))
            .first(&mut self.conn)
            .await?;
        Ok(AuditHead { head: place(seq, &hash)?, pruned: Place::START })
    }

    /// Where the tenants' chains end, in the order of their ids; `after` is the last of the page before.
    pub async fn audit_heads(
        &mut self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<(TenantId, AuditHead)>, StoreError> {
        let after = after.map_or(Uuid::nil(), TenantId::uuid);
        let rows = audit_head::table
            .filter(audit_head::tenant_id.gt(after))
            .order(audit_head::tenant_id)
            .limit(i64::from(limit))
            .select((audit_head::tenant_id, HeadRow::as_select()))
            .load::<(Uuid, HeadRow)>(&mut self.conn)
            .await?;
        rows.into_iter().map(|(tenant, row)| Ok((tenant.into(), row.try_into()?))).collect()
    }

    /// The hash of one event of a chain; `None` where it is not there. What an erasure kept is no part of this.
    pub async fn audit_hash_at(&mut self, chain: &Chain, seq: u64) -> Result<Option<Hash>, StoreError> {
        let seq = to_bigint(seq);
        let hash: Option<Vec<u8>> = match chain {
            Chain::Tenant(tenant) => {
                audit_event::table
                    .filter(audit_event::tenant_id.eq(tenant.uuid()))
                    .filter(audit_event::seq.eq(seq))
                    .select(audit_event::hash)
                    .first(&mut self.conn)
                    .await
            }
            Chain::Operator => {
                operator_event::table
                    .filter(operator_event::seq.eq(seq))
                    .select(operator_event::hash)
                    .first(&mut self.conn)
                    .await
            }
            Chain::Erasure(erasure) => {
                kept_audit_event::table
                    .find((erasure.uuid(), seq))
                    .select(kept_audit_event::hash)
                    .first(&mut self.conn)
                    .await
            }
        }
        .optional()?;
        hash.map(|hash| self::hash(&hash)).transpose()
    }

    /// Where ends what an erasure kept.
    pub async fn kept_audit_head(&mut self, of: ErasureId) -> Result<Place, StoreError> {
        let last: Option<(i64, Vec<u8>)> = kept_audit_event::table
            .filter(kept_audit_event::erasure_id.eq(of.uuid()))
            .order(kept_audit_event::n.desc())
            .select((kept_audit_event::n, kept_audit_event::hash))
            .first(&mut self.conn)
            .await
            .optional()?;
        last.map_or(Ok(Place::START), |(n, hash)| place(n, &hash))
    }

    /// What an erasure kept, in the chain's order.
    pub async fn kept_audit(&mut self, of: ErasureId) -> Result<Vec<KeptEvent>, StoreError> {
        let rows: Vec<KeptRow> = kept_audit_event::table
            .filter(kept_audit_event::erasure_id.eq(of.uuid()))
            .order(kept_audit_event::n)
            .select((
                kept_audit_event::n,
                kept_audit_event::at,
                kept_audit_event::action,
                kept_audit_event::prev_hash,
                kept_audit_event::hash,
            ))
            .load(&mut self.conn)
            .await?;
        let kept = |(n, at, action, prev, hash): (i64, _, _, Vec<u8>, Vec<u8>)| {
            Ok(KeptEvent {
                n: from_bigint(n),
                at,
                action,
                prev: self::hash(&prev)?,
                hash: self::hash(&hash)?,
            })
        };
        rows.into_iter().map(kept).collect()
    }
}

fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    Hash::of_bytes(bytes).ok_or_else(|| StoreError::bug("a hash has 32 bytes"))
}

fn place(seq: i64, bytes: &[u8]) -> Result<Place, StoreError> {
    Ok(Place { seq: from_bigint(seq), hash: hash(bytes)? })
}

fn chained((row, prev, change): (AuditRow, Vec<u8>, String)) -> Result<ChainedEvent, StoreError> {
    Ok(ChainedEvent {
        seq: from_bigint(row.seq),
        prev: hash(&prev)?,
        hash: hash(&row.hash)?,
        record: Record {
            id: row.id,
            at: row.at,
            actor: row.actor,
            action: row.action,
            target: row.target,
            change,
            request_id: row.request_id,
            address: row.address,
        },
    })
}

#[derive(diesel::QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Number, time, action, the hash before and its own.
type KeptRow = (i64, DateTime<Utc>, String, Vec<u8>, Vec<u8>);

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_head)]
struct HeadRow {
    seq: i64,
    hash: Vec<u8>,
    pruned_seq: i64,
    pruned_hash: Vec<u8>,
}

impl TryFrom<HeadRow> for AuditHead {
    type Error = StoreError;

    fn try_from(row: HeadRow) -> Result<Self, StoreError> {
        Ok(Self { head: place(row.seq, &row.hash)?, pruned: place(row.pruned_seq, &row.pruned_hash)? })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_event)]
struct AuditRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    action: String,
    target: Option<String>,
    change: Value,
    request_id: Option<Uuid>,
    address: Option<String>,
    seq: i64,
    hash: Vec<u8>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = operator_event)]
struct OperatorRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    action: String,
    target: Option<String>,
    change: Value,
    request_id: Option<Uuid>,
    address: Option<String>,
    seq: i64,
    hash: Vec<u8>,
}

impl From<OperatorRow> for AuditRow {
    fn from(row: OperatorRow) -> Self {
        let OperatorRow { id, at, actor, action, target, change, request_id, address, seq, hash } = row;
        Self { id, at, actor, action, target, change, request_id, address, seq, hash }
    }
}

impl TryFrom<AuditRow> for AuditEvent {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            at: row.at,
            actor: row.actor,
            action: row.action,
            target: row.target,
            change: row.change,
            request_id: row.request_id.map(Into::into),
            address: row.address,
            seq: from_bigint(row.seq),
            hash: hash(&row.hash)?,
        })
    }
}
