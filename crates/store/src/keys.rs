//! API keys: only a SHA-256 of the secret is ever stored, and a revoked key stays known as revoked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::db::named;
use crate::schema::{api_key, tenant};
use crate::{KeyChange, StoreError, SystemConn, TenantConn};

/// An API key as it is stored: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// The secret's last characters, so that people can tell keys apart.
    pub hint: String,
    /// What to do when the client hangs up.
    pub hangup: HangupPolicy,
    /// What to do where a stream tells its usage only on request.
    pub stream_usage: StreamUsagePolicy,
    /// What an answer's last byte waits for.
    pub durability: Durability,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, as far as the proxies have told.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Zero Data Retention: nothing of its prompts and answers is ever kept.
    pub zero_retention: bool,
}

/// What a new key is made of.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What its owner calls it.
    pub name: String,
    /// The secret's last characters.
    pub hint: String,
    /// What to do when the client hangs up.
    pub hangup: HangupPolicy,
    /// What to do where a stream tells its usage only on request.
    pub stream_usage: StreamUsagePolicy,
    /// What an answer's last byte waits for.
    pub durability: Durability,
    /// When it is made.
    pub created_at: DateTime<Utc>,
    /// Zero Data Retention.
    pub zero_retention: bool,
}

impl TenantConn {
    /// Makes a key.
    pub async fn create_key(&mut self, key: &NewApiKey) -> Result<ApiKey, StoreError> {
        let row = NewApiKeyRow {
            tenant_id: self.tenant_id().uuid(),
            id: key.id.uuid(),
            hash: &key.hash,
            name: &key.name,
            hint: &key.hint,
            hangup: key.hangup.as_str(),
            stream_usage: key.stream_usage.as_str(),
            durability: key.durability.as_str(),
            created_at: key.created_at,
            zero_retention: key.zero_retention,
        };
        let insert = diesel::insert_into(api_key::table).values(&row).returning(ApiKeyRow::as_returning());
        insert.get_result(self.conn()?).await?.try_into()
    }

    /// The tenant's keys, newest first, revoked ones included; `after` is the last id of the page before.
    pub async fn list_keys(
        &mut self,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let mut query = api_key::table
            .filter(api_key::tenant_id.eq(self.tenant_id().uuid()))
            .order(api_key::id.desc())
            .limit(i64::from(limit))
            .select(ApiKeyRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(api_key::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    /// One key. [`StoreError::NotFound`] if the tenant has no such key.
    pub async fn key(&mut self, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let key = api_key::table.find((self.tenant_id().uuid(), id.uuid()));
        key.select(ApiKeyRow::as_select()).first(self.conn()?).await?.try_into()
    }

    /// Sets whether a key has Zero Data Retention, and tells every listening proxy on commit. Says whether that is new.
    pub async fn set_zero_retention(&mut self, id: ApiKeyId, wanted: bool) -> Result<bool, StoreError> {
        let tenant_id = self.tenant_id();
        let key = api_key::table.find((tenant_id.uuid(), id.uuid()));
        let changed = diesel::update(key.filter(api_key::zero_retention.ne(wanted)))
            .set(api_key::zero_retention.eq(wanted))
            .execute(self.conn()?)
            .await?;
        if changed > 0 {
            notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(id) }).await?;
        }
        Ok(changed > 0)
    }

    /// Revokes a key and tells every listening proxy on commit. Revoking again changes nothing.
    pub async fn revoke_key(&mut self, id: ApiKeyId, at: DateTime<Utc>) -> Result<ApiKey, StoreError> {
        let tenant_id = self.tenant_id();
        let key = api_key::table.find((tenant_id.uuid(), id.uuid()));
        let newly = diesel::update(key.filter(api_key::revoked_at.is_null()))
            .set(api_key::revoked_at.eq(at))
            .execute(self.conn()?)
            .await?;
        if newly > 0 {
            notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(id) }).await?;
        }
        self.key(id).await
    }
}

impl SystemConn {
    /// The key whose secret has this SHA-256, revoked or not, and whether its account is closing; `None` if there is
    /// none.
    pub async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<(ApiKey, bool)>, StoreError> {
        let key = api_key::table.inner_join(tenant::table).filter(api_key::hash.eq(hash.as_slice()));
        let row: Option<(ApiKeyRow, Option<DateTime<Utc>>)> = key
            .select((ApiKeyRow::as_select(), tenant::closing_at))
            .first(&mut self.conn)
            .await
            .optional()?;
        row.map(|(row, closing)| Ok((row.try_into()?, closing.is_some()))).transpose()
    }

    /// Records when keys were last used. An older time never replaces a newer one; unknown keys are skipped.
    pub async fn touch_keys(
        &mut self,
        used: &[(TenantId, ApiKeyId, DateTime<Utc>)],
    ) -> Result<(), StoreError> {
        let mut latest: BTreeMap<(Uuid, Uuid), DateTime<Utc>> = BTreeMap::new();
        for (tenant, key, at) in used {
            let last = latest.entry((tenant.uuid(), key.uuid())).or_insert(*at);
            *last = (*last).max(*at);
        }
        // In one order everywhere, so that two of these never wait for each other.
        let (ids, times): (Vec<_>, Vec<_>) = latest.into_iter().unzip();
        let (tenants, keys): (Vec<_>, Vec<_>) = ids.into_iter().unzip();
        diesel::sql_query(include_str!("sql/touch_keys.sql"))
            .bind::<Array<sql_types::Uuid>, _>(tenants)
            .bind::<Array<sql_types::Uuid>, _>(keys)
            .bind::<Array<Timestamptz>, _>(times)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }
}

/// Tells every listening proxy, once the transaction is committed.
pub(crate) async fn notify(conn: &mut AsyncPgConnection, change: KeyChange) -> Result<(), StoreError> {
    let told = diesel::sql_query("SELECT pg_notify('costlens_keys', $1)").bind::<Text, _>(change.payload());
    told.execute(conn).await?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_key)]
struct ApiKeyRow {
    tenant_id: Uuid,
    id: Uuid,
    name: String,
    hint: String,
    hangup: String,
    stream_usage: String,
    durability: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    zero_retention: bool,
}

#[derive(Insertable)]
#[diesel(table_name = api_key)]
struct NewApiKeyRow<'a> {
    tenant_id: Uuid,
    id: Uuid,
    hash: &'a [u8],
    name: &'a str,
    hint: &'a str,
    hangup: &'a str,
    stream_usage: &'a str,
    durability: &'a str,
    created_at: DateTime<Utc>,
    zero_retention: bool,
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            tenant_id: row.tenant_id.into(),
            name: row.name,
            hint: row.hint,
            hangup: named("api_key.hangup", &row.hangup, HangupPolicy::from_name)?,
            stream_usage: named("api_key.stream_usage", &row.stream_usage, StreamUsagePolicy::from_name)?,
            durability: named("api_key.durability", &row.durability, Durability::from_name)?,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            zero_retention: row.zero_retention,
        })
    }
}
