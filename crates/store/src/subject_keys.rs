//! The data keys of those whose prompts and answers are kept, wrapped. For now an API key is a subject of its own.
//!
//! A destroyed key leaves its version behind without the key, so that no later one is ever taken for it. Every change
//! is told to the listening proxies, which hold unwrapped keys in memory.

use std::fmt;

use chrono::{DateTime, Utc};
use costlens_domain::{ApiKeyId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{self, Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::keys::notify;
use crate::schema::subject_key;
use crate::{KeyChange, StoreError, SystemConn, TenantConn};

/// A subject's data key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey {
    /// Whose: the API key's id.
    pub subject: ApiKeyId,
    /// Counts up from 1 for each subject; the highest seals.
    pub version: u32,
    /// The key, wrapped under a master key; `None` once it is destroyed.
    pub wrapped: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was destroyed.
    pub destroyed_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for SubjectKey {
    /// Leaves the key out, wrapped as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKey")
            .field("subject", &self.subject)
            .field("version", &self.version)
            .field("destroyed_at", &self.destroyed_at)
            .finish_non_exhaustive()
    }
}

impl TenantConn {
    /// The keys of one subject, oldest first, destroyed ones included.
    pub async fn subject_keys(&mut self, subject: ApiKeyId) -> Result<Vec<SubjectKey>, StoreError> {
        let tenant = self.tenant_id();
        keys_of(self.conn()?, tenant, subject).await
    }

    /// The subjects with a living key that does not begin with `current` (an older master key wrapped it), or that was
    /// made no later than this moment; by id, after the last one of the page before.
    pub async fn subjects_to_rotate(
        &mut self,
        current: &[u8],
        made_before: DateTime<Utc>,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyId>, StoreError> {
        let rows: Vec<SubjectRow> = diesel::sql_query(
            "SELECT subject_id FROM subject_key WHERE tenant_id = $1 AND ($4 IS NULL OR subject_id > $4) \
             GROUP BY subject_id \
             HAVING bool_or(substring(wrapped FROM 1 FOR length($2)) <> $2) OR count(wrapped) > 1 \
                 OR max(created_at) FILTER (WHERE wrapped IS NOT NULL) <= $3 \
             ORDER BY subject_id LIMIT $5",
        )
        .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
        .bind::<sql_types::Binary, _>(current)
        .bind::<sql_types::Timestamptz, _>(made_before)
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(after.map(ApiKeyId::uuid))
        .bind::<sql_types::BigInt, _>(i64::from(limit))
        .load(self.conn()?)
        .await?;
        Ok(rows.into_iter().map(|row| row.subject_id.into()).collect())
    }

    /// Adds a key. The first writer wins: false where the version is taken.
    pub async fn add_subject_key(
        &mut self,
        subject: ApiKeyId,
        version: u32,
        wrapped: &[u8],
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let tenant_id = self.tenant_id();
        let added = add(self.conn()?, tenant_id, (subject, version), wrapped, at).await?;
        if added {
            notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(subject) }).await?;
        }
        Ok(added)
    }

    /// Puts the same key, wrapped anew, in the old one's place, if that still stands there.
    pub async fn replace_wrapped_subject(
        &mut self,
        subject: ApiKeyId,
        version: u32,
        old: &[u8],
        wrapped: &[u8],
    ) -> Result<bool, StoreError> {
        let row = subject_key::table.find((self.tenant_id().uuid(), subject.uuid(), number(version)?));
        let replaced = diesel::update(row.filter(subject_key::wrapped.assume_not_null().eq(old)))
            .set(subject_key::wrapped.eq(wrapped))
            .execute(self.conn()?)
            .await?;
        Ok(replaced > 0)
    }

    /// Destroys every key of a subject for good; says how many. From the commit on, what they sealed is unreadable.
    pub async fn destroy_subject_keys(
        &mut self,
        subject: ApiKeyId,
        at: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let tenant_id = self.tenant_id();
        let living = subject_key::table
            .filter(subject_key::tenant_id.eq(tenant_id.uuid()))
            .filter(subject_key::subject_id.eq(subject.uuid()))
            .filter(subject_key::destroyed_at.is_null());
        let destroyed = diesel::update(living)
            .set((subject_key::wrapped.eq(None::<Vec<u8>>), subject_key::destroyed_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        if destroyed > 0 {
            notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(subject) }).await?;
        }
        Ok(destroyed)
    }

    /// Destroys the keys of a subject that are older than this version, superseded before this moment, and named by
    /// no body that is still there; says how many.
    pub async fn destroy_unused_subject_keys(
        &mut self,
        subject: ApiKeyId,
        below: u32,
        at: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let destroyed = diesel::sql_query(
            "UPDATE subject_key k SET wrapped = NULL, destroyed_at = $4 \
             WHERE k.tenant_id = $1 AND k.subject_id = $2 AND k.version < $3 AND k.destroyed_at IS NULL \
               AND NOT EXISTS (SELECT FROM request_body b WHERE b.tenant_id = k.tenant_id \
                               AND b.subject_id = k.subject_id AND b.key_version = k.version)",
        )
        .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
        .bind::<sql_types::Uuid, _>(subject.uuid())
        .bind::<Integer, _>(number(below)?)
        .bind::<sql_types::Timestamptz, _>(at)
        .execute(self.conn()?)
        .await?;
        Ok(destroyed)
    }
}

impl SystemConn {
    /// The keys of one subject, oldest first, destroyed ones included.
    pub async fn subject_keys_of(
        &mut self,
        tenant: TenantId,
        subject: ApiKeyId,
    ) -> Result<Vec<SubjectKey>, StoreError> {
        keys_of(&mut self.conn, tenant, subject).await
    }

    /// Adds a key; the first writer wins. Nobody is told: it is the one who calls with it that makes it.
    pub async fn add_subject_key(
        &mut self,
        tenant: TenantId,
        subject: ApiKeyId,
        version: u32,
        wrapped: &[u8],
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        add(&mut self.conn, tenant, (subject, version), wrapped, at).await
    }

    /// The tenants with a living key of a subject that does not begin with `current`, or that was made no later than
    /// this moment; by id, after the last one of the page before.
    pub async fn tenants_with_subjects_to_rotate(
        &mut self,
        current: &[u8],
        made_before: DateTime<Utc>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let rows: Vec<TenantRow> = diesel::sql_query(
            "SELECT t.id AS tenant_id FROM tenant t \
             WHERE ($3 IS NULL OR t.id > $3) AND EXISTS (SELECT FROM subject_key k WHERE k.tenant_id = t.id \
                 AND k.wrapped IS NOT NULL \
                 AND (substring(k.wrapped FROM 1 FOR length($1)) <> $1 OR k.created_at <= $2)) \
             ORDER BY t.id LIMIT $4",
        )
        .bind::<sql_types::Binary, _>(current)
        .bind::<sql_types::Timestamptz, _>(made_before)
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(after.map(TenantId::uuid))
        .bind::<sql_types::BigInt, _>(i64::from(limit))
        .load(&mut self.conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.tenant_id.into()).collect())
    }
}

async fn keys_of(
    conn: &mut AsyncPgConnection,
    tenant: TenantId,
    subject: ApiKeyId,
) -> Result<Vec<SubjectKey>, StoreError> {
    let rows: Vec<Row> = subject_key::table
        .filter(subject_key::tenant_id.eq(tenant.uuid()))
        .filter(subject_key::subject_id.eq(subject.uuid()))
        .order(subject_key::version)
        .select(Row::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(SubjectKey::from).collect())
}

async fn add(
    conn: &mut AsyncPgConnection,
    tenant: TenantId,
    (subject, version): (ApiKeyId, u32),
    wrapped: &[u8],
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let added = diesel::insert_into(subject_key::table)
        .values((
            subject_key::tenant_id.eq(tenant.uuid()),
            subject_key::subject_id.eq(subject.uuid()),
            subject_key::version.eq(number(version)?),
            subject_key::wrapped.eq(wrapped),
            subject_key::created_at.eq(at),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(added > 0)
}

fn number(version: u32) -> Result<i32, StoreError> {
    i32::try_from(version).map_err(StoreError::bug)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = subject_key)]
struct Row {
    subject_id: Uuid,
    version: i32,
    wrapped: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
    destroyed_at: Option<DateTime<Utc>>,
}

impl From<Row> for SubjectKey {
    fn from(row: Row) -> Self {
        Self {
            subject: row.subject_id.into(),
            version: row.version.unsigned_abs(),
            wrapped: row.wrapped,
            created_at: row.created_at,
            destroyed_at: row.destroyed_at,
        }
    }
}

#[derive(QueryableByName)]
struct SubjectRow {
    #[diesel(sql_type = sql_types::Uuid)]
    subject_id: Uuid,
}

#[derive(QueryableByName)]
struct TenantRow {
    #[diesel(sql_type = sql_types::Uuid)]
    tenant_id: Uuid,
}
