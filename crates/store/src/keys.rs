//! API keys: only a SHA-256 of the secret is ever stored, and a revoked key stays known as revoked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use costlens_domain::keys::{KeyScope, KeyScopes};
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, TenantId, UserId};
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
    /// What it may be used for.
    pub scopes: KeyScopes,
    /// From when on it is refused; never where there is none.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it last got a new secret.
    pub rolled_at: Option<DateTime<Utc>>,
    /// Until when the secret before that one works.
    pub previous_until: Option<DateTime<Utc>>,
    /// Who saw the secret: the person who made the key, or rolled it last. Nobody of those who sign in, where there is none.
    pub shown_to: Option<UserId>,
}

/// A key that was found by one of its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key, which may be revoked.
    pub key: ApiKey,
    /// From when on it is refused with this secret: its own end, or that of the secret from before it was rolled.
    pub valid_until: Option<DateTime<Utc>>,
    /// Whether its account is being closed.
    pub closing: bool,
}

impl FoundKey {
    /// Whether it is past its end.
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.valid_until.is_some_and(|end| end <= now)
    }
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
    /// What it may be used for; not nothing.
    pub scopes: KeyScopes,
    /// From when on it is refused; never where there is none.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who sees the secret.
    pub shown_to: Option<UserId>,
}

/// What a key is to be from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySettings<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// What it may be used for; not nothing.
    pub scopes: KeyScopes,
    /// From when on it is refused; never where there is none.
    pub expires_at: Option<DateTime<Utc>>,
    /// Zero Data Retention.
    pub zero_retention: bool,
}

impl<'a> KeySettings<'a> {
    /// What a key is already.
    #[must_use]
    pub fn of(key: &'a ApiKey) -> Self {
        let ApiKey { name, scopes, expires_at, zero_retention, .. } = key;
        Self { name, scopes: *scopes, expires_at: *expires_at, zero_retention: *zero_retention }
    }
}

/// A key's next secret, and how long the one before it goes on working.
#[derive(Clone, Debug)]
pub struct Roll<'a> {
    /// SHA-256 of the new secret.
    pub hash: &'a [u8; 32],
    /// Its last characters.
    pub hint: &'a str,
    /// When it is rolled.
    pub at: DateTime<Utc>,
    /// Until when the secret of now works.
    pub previous_until: DateTime<Utc>,
    /// Who sees the new secret.
    pub shown_to: Option<UserId>,
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
            scopes: key.scopes.names(),
            expires_at: key.expires_at,
            shown_to: key.shown_to.map(UserId::uuid),
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

    /// One key, which stays as it is until the transaction ends. [`StoreError::NotFound`] if the tenant has no such key.
    pub async fn lock_key(&mut self, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let key = api_key::table.find((self.tenant_id().uuid(), id.uuid()));
        key.select(ApiKeyRow::as_select()).for_update().first(self.conn()?).await?.try_into()
    }

    /// Changes a key, and tells every listening proxy on commit.
    pub async fn update_key(
        &mut self,
        id: ApiKeyId,
        settings: &KeySettings<'_>,
    ) -> Result<ApiKey, StoreError> {
        let tenant_id = self.tenant_id();
        let changed = (
            api_key::name.eq(settings.name),
            api_key::scopes.eq(settings.scopes.names()),
            api_key::expires_at.eq(settings.expires_at),
            api_key::zero_retention.eq(settings.zero_retention),
        );
        let key = diesel::update(api_key::table.find((tenant_id.uuid(), id.uuid()))).set(changed);
        let row = key.returning(ApiKeyRow::as_returning()).get_result(self.conn()?).await?;
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(id) }).await?;
        row.try_into()
    }

    /// Gives a key a new secret, and tells every listening proxy on commit. Of earlier secrets the last one alone goes
    /// on, for a while. [`StoreError::NotFound`] where the key is revoked or there is none.
    pub async fn roll_key(&mut self, id: ApiKeyId, roll: &Roll<'_>) -> Result<ApiKey, StoreError> {
        let tenant_id = self.tenant_id();
        let key = api_key::table.find((tenant_id.uuid(), id.uuid())).filter(api_key::revoked_at.is_null());
        let changed = (
            api_key::previous_hash.eq(api_key::hash.nullable()),
            api_key::previous_until.eq(roll.previous_until),
            api_key::hash.eq(roll.hash.as_slice()),
            api_key::hint.eq(roll.hint),
            api_key::rolled_at.eq(roll.at),
            api_key::shown_to.eq(roll.shown_to.map(UserId::uuid)),
        );
        let rolled = diesel::update(key).set(changed).returning(ApiKeyRow::as_returning());
        let row = rolled.get_result(self.conn()?).await?;
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: Some(id) }).await?;
        row.try_into()
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
    /// The key whose secret has this SHA-256, or had it before it was rolled; revoked and expired ones, too. `None` if
    /// there is none.
    pub async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<FoundKey>, StoreError> {
        let is_current = api_key::hash.eq(hash.as_slice());
        let key = api_key::table
            .inner_join(tenant::table)
            .filter(is_current.or(api_key::previous_hash.assume_not_null().eq(hash.as_slice())));
        let row: Option<(ApiKeyRow, Vec<u8>, Option<DateTime<Utc>>)> = key
            .select((ApiKeyRow::as_select(), api_key::hash, tenant::closing_at))
            .first(&mut self.conn)
            .await
            .optional()?;
        let Some((row, current, closing)) = row else { return Ok(None) };
        let key = ApiKey::try_from(row)?;
        let valid_until = match (current == hash, key.previous_until) {
            (true, _) => key.expires_at,
            (false, Some(end)) => Some(key.expires_at.map_or(end, |expires_at| expires_at.min(end))),
            // A secret that is not the key's and has no end is none.
            (false, None) => return Ok(None),
        };
        Ok(Some(FoundKey { key, valid_until, closing: closing.is_some() }))
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
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    rolled_at: Option<DateTime<Utc>>,
    previous_until: Option<DateTime<Utc>>,
    shown_to: Option<Uuid>,
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
    scopes: Vec<&'a str>,
    expires_at: Option<DateTime<Utc>>,
    shown_to: Option<Uuid>,
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
            scopes: row
                .scopes
                .iter()
                .map(|scope| named("api_key.scopes", scope, KeyScope::from_name))
                .collect::<Result<_, _>>()?,
            expires_at: row.expires_at,
            rolled_at: row.rolled_at,
            previous_until: row.previous_until,
            shown_to: row.shown_to.map(UserId::from),
        })
    }
}
