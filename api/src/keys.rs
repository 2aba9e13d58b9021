//! API keys: made, shown once, listed, changed, rolled, revoked.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::events::EventKind;
use costlens_domain::keys::{KeyScope, KeyScopes};
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, ProblemCode, UserId};
use costlens_jobs::events::happened;
use costlens_store::{ApiKey, KeySettings, NewApiKey, Roll};
use costlens_vault::SecretToken;
use costlens_vault::secret_token::API_KEY_PREFIX;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
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

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "KeyScope", remote = "KeyScope")]
pub enum KeyScopeView {
    /// Calling models through the proxy.
    #[oai(rename = "proxy")]
    Proxy,
    /// Reading calls and their receipts.
    #[oai(rename = "requests.read")]
    RequestsRead,
    /// Reading spend.
    #[oai(rename = "spend.read")]
    SpendRead,
    /// Reading bills and what they say about AI.
    #[oai(rename = "bills.read")]
    BillsRead,
    /// Handing in calls that never passed the proxy: logs of LiteLLM, spans by OTLP.
    #[oai(rename = "calls.import")]
    CallsImport,
}

fn usual_scopes() -> Vec<KeyScopeView> {
    KeyScopes::USUAL.iter().map(Into::into).collect()
}

fn scopes(wanted: &[KeyScopeView]) -> KeyScopes {
    wanted.iter().map(|scope| KeyScope::from(*scope)).collect()
}

/// The furthest end that a key may have.
const FURTHEST_END: TimeDelta = TimeDelta::days(3_660);
/// How long a rolled key's secret of before goes on working, in seconds, where nobody says.
const OVERLAP: u32 = 24 * 3_600;

fn end(wanted: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ApiError> {
    match wanted {
        Some(end) if end <= now || end > now + FURTHEST_END => {
            Err(ApiError::field("expires_at", "must be later than now, and at most ten years away"))
        }
        end => Ok(end),
    }
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
    /// What it may be used for; everything, unless said.
    #[oai(default = "usual_scopes", validator(min_items = 1, max_items = 5, unique_items))]
    pub scopes: Vec<KeyScopeView>,
    /// From when on it is refused; never, unless said.
    #[oai(default, skip_serializing_if_is_none)]
    pub expires_at: Option<DateTime<Utc>>,
    /// Zero Data Retention: nothing of its prompts and answers is ever kept, whatever the account says.
    #[oai(default)]
    pub zero_retention: bool,
}

/// What is to change of a key. What is absent stays.
#[derive(Object)]
pub struct UpdateKey {
    /// What its owner calls it.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// What it may be used for.
    #[oai(default, skip_serializing_if_is_none, validator(min_items = 1, max_items = 5, unique_items))]
    pub scopes: Option<Vec<KeyScopeView>>,
    /// From when on it is refused; null: never.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub expires_at: MaybeUndefined<DateTime<Utc>>,
    /// Zero Data Retention: nothing of its prompts and answers is kept, whatever the account says.
    #[oai(default, skip_serializing_if_is_none)]
    pub zero_retention: Option<bool>,
}

/// How a key is to be rolled.
#[derive(Object)]
pub struct RollKey {
    /// For how many seconds the secret of before goes on working: a day, unless said; a week at most; 0 ends it at once.
    #[oai(default = "overlap", validator(maximum(value = "604800")))]
    pub overlap_seconds: u32,
}

fn overlap() -> u32 {
    OVERLAP
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
    /// What it may be used for.
    pub scopes: Vec<KeyScopeView>,
    /// From when on it is refused; null: never.
    #[oai(nullable)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it last got a new secret; null if never.
    #[oai(nullable)]
    pub rolled_at: Option<DateTime<Utc>>,
    /// Until when the secret from before that works; null where there is none.
    #[oai(nullable)]
    pub previous_until: Option<DateTime<Utc>>,
    /// Zero Data Retention: nothing of its prompts and answers is kept.
    pub zero_retention: bool,
    /// Who saw the secret: the person who made the key, or rolled it last. A key outlives its maker: of somebody who left,
    /// roll it. Null where a program of the operator made it.
    #[oai(nullable)]
    pub shown_to: Option<Wire<UserId>>,
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
            scopes: key.scopes.iter().map(Into::into).collect(),
            expires_at: key.expires_at,
            rolled_at: key.rolled_at,
            previous_until: key.previous_until,
            zero_retention: key.zero_retention,
            shown_to: key.shown_to.map(Wire),
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

/// A key was rolled.
#[derive(ApiResponse)]
pub enum KeyRolled {
    /// The key and its new secret.
    #[oai(status = 200)]
    Rolled(Json<CreatedKey>),
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
    /// The secret is in this answer and nowhere else, ever: only its SHA-256 is kept. A key may be made for what its maker
    /// may do, and for nothing more.
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
        let scopes = scopes(&body.0.scopes);
        caller.principal().require_scopes(scopes)?;
        let name = crate::named(&body.0.name)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let claim = match idempotent::claim(
            (&mut conn, &self.0.keyring),
            "create_key",
            idempotency_key.0.as_ref(),
            &body.0,
            now,
        )
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
            scopes,
            expires_at: end(body.0.expires_at, now)?,
            zero_retention: body.0.zero_retention,
            shown_to: caller.principal().user,
        };
        let key = KeyView::from(conn.create_key(&new).await?);
        let told = json!({ "key_id": new.id, "name": new.name });
        happened(&mut conn, EventKind::KeyCreated, told, now, &*self.0.entropy).await?;
        let target = (Action::KeyCreated, Some(new.id.to_string()));
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
    /// Holds on every proxy within a second. A key that is past its end works again with a later one. Taking Zero Data
    /// Retention off wants a fresh proof of who asks.
    #[oai(path = "/keys/:id", method = "patch", operation_id = "update_key")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Wire<ApiKeyId>>,
        body: Json<UpdateKey>,
    ) -> Result<Json<KeyView>, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let (id, now) = (id.0.0, self.0.clock.now());
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = conn.lock_key(id).await?;
        let zero_retention = body.0.zero_retention.unwrap_or(key.zero_retention);
        if key.zero_retention && !zero_retention {
            // Whoever may say what the account keeps may say that of its keys, and proves who it is before more is kept.
            caller.principal().require_fresh(Permission::SettingsWrite)?;
        }
        let name = body.0.name.as_deref().map(crate::named).transpose()?.unwrap_or(&key.name);
        let scopes = body.0.scopes.as_deref().map_or(key.scopes, scopes);
        caller.principal().require_scopes(scopes.without(key.scopes))?;
        let expires_at = match body.0.expires_at {
            MaybeUndefined::Undefined => key.expires_at,
            MaybeUndefined::Null => None,
            MaybeUndefined::Value(wanted) => end(Some(wanted), now)?,
        };
        let wanted = KeySettings { name, scopes, expires_at, zero_retention };
        if wanted == KeySettings::of(&key) {
            return Ok(Json(key.into()));
        }
        let updated = conn.update_key(id, &wanted).await?;
        let change = json!({
            "name": name,
            "scopes": scopes.names(),
            "expires_at": expires_at,
            "zero_retention": zero_retention,
        });
        let target = (Action::KeyUpdated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(Json(updated.into()))
    }

    /// Give an API key a new secret
    ///
    /// The new secret is in this answer and nowhere else, ever. The one from before goes on working for a while, so that
    /// programs can be moved one after the other; one from before that ends at once.
    #[oai(path = "/keys/:id/roll", method = "post", operation_id = "roll_key")]
    async fn roll(
        &self,
        caller: Caller,
        id: Path<Wire<ApiKeyId>>,
        /// The same key and body have one effect: a roll whose answer was lost does not end the secret of before it.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<RollKey>,
    ) -> Result<KeyRolled, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let (id, now) = (id.0.0, self.0.clock.now());
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = conn.lock_key(id).await?;
        caller.principal().require_scopes(key.scopes)?;
        let operation = format!("roll_key {id}");
        let claim = match idempotent::claim(
            (&mut conn, &self.0.keyring),
            &operation,
            idempotency_key.0.as_ref(),
            &body.0,
            now,
        )
        .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(_) => {
                let detail =
                    "the key was rolled by an earlier call; its new secret was shown then and only then";
                return Err(ApiError::new(ProblemCode::Conflict, detail));
            }
        };
        if key.revoked_at.is_some() {
            return Err(ApiError::new(ProblemCode::Conflict, "the key has been revoked; make another"));
        }
        let secret = SecretToken::generate(API_KEY_PREFIX, &*self.0.entropy);
        let previous_until = now + TimeDelta::seconds(body.0.overlap_seconds.into());
        let shown_to = caller.principal().user;
        let roll = Roll { hash: &secret.hash().0, hint: secret.hint(), at: now, previous_until, shown_to };
        let key = KeyView::from(conn.roll_key(id, &roll).await?);
        let change = json!({ "name": key.name, "overlap_seconds": body.0.overlap_seconds });
        let target = (Action::KeyRolled, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        claim.finish_as(200, &mut conn, &key).await?;
        conn.commit().await?;
        Ok(KeyRolled::Rolled(Json(CreatedKey { key, secret: secret.reveal().to_owned() })))
    }

    /// Revoke an API key
    ///
    /// It is refused from now on, within a second on every proxy. Revoking again changes nothing.
    #[oai(path = "/keys/:id", method = "delete", operation_id = "revoke_key")]
    async fn revoke(&self, caller: Caller, id: Path<Wire<ApiKeyId>>) -> Result<KeyRevoked, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let (id, now) = (id.0.0, self.0.clock.now());
        let key = conn.lock_key(id).await?;
        if key.revoked_at.is_none() {
            conn.revoke_key(id, now).await?;
            let told = json!({ "key_id": id, "name": key.name });
            happened(&mut conn, EventKind::KeyRevoked, told, now, &*self.0.entropy).await?;
            let target = (Action::KeyRevoked, Some(id.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({ "name": key.name })).await?;
            conn.commit().await?;
        }
        Ok(KeyRevoked::Revoked)
    }
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}
