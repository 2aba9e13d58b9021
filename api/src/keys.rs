//! API keys: made, shown once, listed, revoked.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::events::EventKind;
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, ProblemCode};
use costlens_jobs::events::happened;
use costlens_store::{ApiKey, NewApiKey};
use costlens_vault::SecretToken;
use costlens_vault::secret_token::API_KEY_PREFIX;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{DEFAULT_LIMIT, Page};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// What to do with the provider's stream when the client hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "HangupPolicy", rename_all = "snake_case", remote = "HangupPolicy")]
pub enum HangupPolicyView {
    /// Read on to the end, within bounds, so that the usage is exact.
    #[default]
    Drain,
    /// Stop at once; what was seen is estimated.
    Abort,
}

/// What to do where an OpenAI stream tells its usage only on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "StreamUsagePolicy", rename_all = "snake_case", remote = "StreamUsagePolicy")]
pub enum StreamUsagePolicyView {
    /// Ask for it, and take the extra chunk out again.
    #[default]
    Inject,
    /// Leave the request alone and estimate.
    Estimate,
}

/// What an answer's last byte waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "Durability", rename_all = "snake_case", remote = "Durability")]
pub enum DurabilityView {
    /// Nothing: written to the spool before, synced within 50 ms.
    #[default]
    Spool,
    /// The spool's sync to disk.
    Fsync,
    /// The row's commit in PostgreSQL.
    Database,
}

/// A key to be made.
#[derive(Object)]
pub struct CreateKey {
    /// What its owner calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// What to do when the client hangs up.
    #[oai(default)]
    pub hangup_policy: HangupPolicyView,
    /// What to do where a stream tells its usage only on request.
    #[oai(default)]
    pub stream_usage: StreamUsagePolicyView,
    /// What an answer's last byte waits for.
    #[oai(default)]
    pub durability: DurabilityView,
    /// Zero Data Retention: nothing of its prompts and answers is ever kept, whatever the account says.
    #[oai(default)]
    pub zero_retention: bool,
}

/// What is to change of a key. What is absent stays.
#[derive(Object)]
pub struct UpdateKey {
    /// Zero Data Retention: nothing of its prompts and answers is kept, whatever the account says.
    #[oai(default, skip_serializing_if_is_none)]
    pub zero_retention: Option<bool>,
}

/// An API key, without its secret.
#[derive(Object)]
#[oai(rename = "Key")]
pub struct KeyView {
    /// The key.
    pub id: Wire<ApiKeyId>,
    /// What its owner calls it.
    pub name: String,
    /// The secret's last four characters.
    pub hint: String,
    /// What happens when the client hangs up.
    pub hangup_policy: HangupPolicyView,
    /// What happens where a stream tells its usage only on request.
    pub stream_usage: StreamUsagePolicyView,
    /// What an answer's last byte waits for.
    pub durability: DurabilityView,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it is refused; null while it works.
    #[oai(nullable)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, within a minute or so; null if never.
    #[oai(nullable)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Zero Data Retention: nothing of its prompts and answers is kept.
    pub zero_retention: bool,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: Wire(key.id),
            name: key.name,
            hint: key.hint,
            hangup_policy: key.hangup.into(),
            stream_usage: key.stream_usage.into(),
            durability: key.durability.into(),
            created_at: key.created_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            zero_retention: key.zero_retention,
        }
    }
}

/// A key that was just made.
#[derive(Object)]
pub struct CreatedKey {
    /// The key.
    pub key: KeyView,
    /// The secret, `acl_…`. It is shown here and never again.
    pub secret: String,
}

/// A key was made.
#[derive(ApiResponse)]
pub enum KeyCreated {
    /// The key and its secret.
    #[oai(status = 201)]
    Created(Json<CreatedKey>),
}

/// A key was revoked.
#[derive(ApiResponse)]
pub enum KeyRevoked {
    /// It is refused from now on.
    #[oai(status = 204)]
    Revoked,
}

pub(crate) struct KeysApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Keys")]
impl KeysApi {
    /// List API keys
    ///
    /// Newest first, revoked ones included.
    #[oai(path = "/keys", method = "get", operation_id = "list_keys")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<ApiKeyId>>>,
    ) -> Result<Json<Page<KeyView>>, ApiError> {
        let tenant = caller.require(Permission::KeysRead)?;
        let after = cursor.0.map(|id| id.0);
        let keys = self.0.store.tenant(tenant).await?.list_keys(after, limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(keys, limit.0, |key| key.id.to_string(), Into::into)))
    }

    /// Make an API key
    ///
    /// The secret is in this answer and nowhere else, ever: only its SHA-256 is kept.
    #[oai(path = "/keys", method = "post", operation_id = "create_key")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect. The secret is not shown a second time.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateKey>,
    ) -> Result<KeyCreated, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let name = body.0.name.trim();
        if name.is_empty() {
            return Err(ApiError::field("name", "must not be blank"));
        }
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let claim = match idempotent::claim(&mut conn, "create_key", idempotency_key.0.as_ref(), &body.0, now)
            .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(_) => {
                let detail = "the key was made by an earlier call; its secret was shown then and only then";
                return Err(ApiError::new(ProblemCode::Conflict, detail));
            }
        };
        let secret = SecretToken::generate(API_KEY_PREFIX, &*self.0.entropy);
        let new = NewApiKey {
            id: ApiKeyId::new(now, self.0.entropy.for_id()),
            hash: secret.hash().0,
            name: name.to_owned(),
            hint: secret.hint().to_owned(),
            hangup: body.0.hangup_policy.into(),
            stream_usage: body.0.stream_usage.into(),
            durability: body.0.durability.into(),
            created_at: now,
            zero_retention: body.0.zero_retention,
        };
        let key = KeyView::from(conn.create_key(&new).await?);
        let told = json!({ "key_id": new.id, "name": new.name });
        happened(&mut conn, EventKind::KeyCreated, told, now, &*self.0.entropy).await?;
        let target = ("key.created", Some(new.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({ "name": new.name })).await?;
        claim.finish(&mut conn, &key).await?;
        conn.commit().await?;
        Ok(KeyCreated::Created(Json(CreatedKey { key, secret: secret.reveal().to_owned() })))
    }

    /// Get one API key
    #[oai(path = "/keys/:id", method = "get", operation_id = "get_key")]
    async fn get(&self, caller: Caller, id: Path<Wire<ApiKeyId>>) -> Result<Json<KeyView>, ApiError> {
        let tenant = caller.require(Permission::KeysRead)?;
        let key = self.0.store.tenant(tenant).await?.key(id.0.0).await?;
        Ok(Json(key.into()))
    }

    /// Change an API key
    ///
    /// Holds for every call that comes in later than a second after, on every proxy.
    #[oai(path = "/keys/:id", method = "patch", operation_id = "update_key")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Wire<ApiKeyId>>,
        body: Json<UpdateKey>,
    ) -> Result<Json<KeyView>, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let id = id.0.0;
        let mut key = conn.key(id).await?;
        if let Some(wanted) = body.0.zero_retention
            && conn.set_zero_retention(id, wanted).await?
        {
            key.zero_retention = wanted;
            let target = ("key.updated", Some(id.to_string()));
            let change = json!({ "name": key.name, "zero_retention": wanted });
            caller.principal().by().did(&self.0, &mut conn, target, change).await?;
            conn.commit().await?;
        }
        Ok(Json(key.into()))
    }

    /// Revoke an API key
    ///
    /// It is refused from now on, within a second on every proxy. Revoking again changes nothing.
    #[oai(path = "/keys/:id", method = "delete", operation_id = "revoke_key")]
    async fn revoke(&self, caller: Caller, id: Path<Wire<ApiKeyId>>) -> Result<KeyRevoked, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let (id, now) = (id.0.0, self.0.clock.now());
        let key = conn.key(id).await?;
        if key.revoked_at.is_none() {
            conn.revoke_key(id, now).await?;
            let told = json!({ "key_id": id, "name": key.name });
            happened(&mut conn, EventKind::KeyRevoked, told, now, &*self.0.entropy).await?;
            let target = ("key.revoked", Some(id.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({ "name": key.name })).await?;
            conn.commit().await?;
        }
        Ok(KeyRevoked::Revoked)
    }
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}
