//! Connections: a tenant's links to providers. The secret goes in and never comes out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::aws::looks_like_an_access_key;
use costlens_domain::providers::{Credential, PROVIDERS, Provider, provider};
use costlens_domain::{ConnectionId, ProblemCode};
use costlens_egress::EndpointUrl;
use costlens_store::{Connection, NewConnection};
use costlens_vault::SealedFor;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{DEFAULT_LIMIT, Page};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag, sealing};

/// The shape of requests and answers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "Dialect", rename_all = "snake_case", remote = "costlens_domain::providers::Dialect")]
pub enum DialectView {
    /// OpenAI's chat completions.
    #[oai(rename = "openai_chat")]
    OpenAiChat,
    /// Anthropic's messages.
    AnthropicMessages,
}

/// A vendor that can be connected.
#[derive(Object)]
#[oai(rename = "Provider")]
pub struct ProviderView {
    /// The stable name, as in `provider/model`.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// What it speaks.
    pub dialect: DialectView,
    /// Its public address; null where the connection must name one.
    #[oai(nullable)]
    pub default_base_url: Option<String>,
    /// Whether it wants a secret. A custom endpoint may do without.
    pub needs_secret: bool,
}

impl From<&Provider> for ProviderView {
    fn from(provider: &Provider) -> Self {
        Self {
            name: provider.name.to_owned(),
            display_name: provider.display_name.to_owned(),
            dialect: provider.dialect.into(),
            default_base_url: provider.base_url.map(str::to_owned),
            needs_secret: provider.base_url.is_some() && provider.credential != Credential::None,
        }
    }
}

/// A connection to be made.
#[derive(Object)]
pub struct CreateConnection {
    /// The provider's stable name, e.g. `openai`.
    pub provider: String,
    /// What its owner calls it; `name/model` routes to it. Letters, digits, `-`, `_` and `.`.
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$"))]
    pub name: String,
    /// Where it goes: https, version segment included. Absent for the vendor's own address.
    #[oai(default, skip_serializing_if_is_none)]
    pub base_url: Option<String>,
    /// The vendor's credential. It is sealed before it is stored and never given out again.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 4096))]
    pub secret: Option<String>,
    /// The models that a custom endpoint serves.
    #[oai(default, validator(max_items = 200))]
    pub models: Vec<String>,
}

/// A connection, without its secret.
#[derive(Object)]
#[oai(rename = "Connection")]
pub struct ConnectionView {
    /// The connection.
    pub id: Wire<ConnectionId>,
    /// The provider's stable name.
    pub provider: String,
    /// What its owner calls it.
    pub name: String,
    /// Where it goes, when not to the vendor's own address.
    #[oai(nullable)]
    pub base_url: Option<String>,
    /// Whether a secret is stored for it.
    pub has_secret: bool,
    /// The models that a custom endpoint serves.
    pub models: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when no call goes through it; null while it works.
    #[oai(nullable)]
    pub disabled_at: Option<DateTime<Utc>>,
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: Wire(connection.id),
            provider: connection.provider,
            name: connection.name,
            base_url: connection.base_url,
            has_secret: connection.sealed_secret.is_some(),
            models: connection.models,
            created_at: connection.created_at,
            disabled_at: connection.disabled_at,
        }
    }
}

/// A connection was made.
#[derive(ApiResponse)]
pub enum ConnectionCreated {
    /// The connection.
    #[oai(status = 201)]
    Created(Json<ConnectionView>),
}

/// A connection was disabled.
#[derive(ApiResponse)]
pub enum ConnectionDisabled {
    /// No call goes through it from now on.
    #[oai(status = 204)]
    Disabled,
}

/// The vendors.
#[derive(Object)]
pub struct Providers {
    /// All that can be connected.
    pub items: Vec<ProviderView>,
}

pub(crate) struct ConnectionsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Connections")]
impl ConnectionsApi {
    /// List the providers that can be connected
    #[oai(path = "/providers", method = "get", operation_id = "list_providers")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn providers(&self, caller: Caller) -> Result<Json<Providers>, ApiError> {
        caller.require(Permission::ConnectionsRead)?;
        let connectable = PROVIDERS.iter().filter(|provider| provider.connectable());
        Ok(Json(Providers { items: connectable.map(Into::into).collect() }))
    }

    /// List connections
    ///
    /// Newest first, disabled ones included.
    #[oai(path = "/connections", method = "get", operation_id = "list_connections")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<ConnectionId>>>,
    ) -> Result<Json<Page<ConnectionView>>, ApiError> {
        let tenant = caller.require(Permission::ConnectionsRead)?;
        let after = cursor.0.map(|id| id.0);
        let mut conn = self.0.store.tenant(tenant).await?;
        let connections = conn.list_connections(after, limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(connections, limit.0, |connection| connection.id.to_string(), Into::into)))
    }

    /// Connect a provider
    #[oai(path = "/connections", method = "post", operation_id = "create_connection")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateConnection>,
    ) -> Result<ConnectionCreated, ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        let base_url = self.check(&body.0)?;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let claimed = idempotent::claim(
            (&mut conn, &self.0.keyring),
            "create_connection",
            idempotency_key.0.as_ref(),
            &body.0,
            now,
        )
        .await?;
        let claim = match claimed {
            Claimed::First(claim) => claim,
            Claimed::Again(json) => return Ok(ConnectionCreated::Created(Json(idempotent::again(&json)?))),
        };
        let id = ConnectionId::new(now, self.0.entropy.for_id());
        let place = SealedFor { tenant, table: "connection", column: "sealed_secret", row: id.uuid() };
        let sealed_secret = match &body.0.secret {
            Some(secret) => Some(sealing::seal(&self.0, &mut conn, &place, secret, now).await?),
            None => None,
        };
        let new = NewConnection {
            id,
            provider: body.0.provider.clone(),
            name: body.0.name.clone(),
            base_url,
            sealed_secret,
            models: body.0.models.clone(),
            created_at: now,
        };
        let view = ConnectionView::from(conn.create_connection(&new).await?);
        let change = json!({ "provider": view.provider, "name": view.name });
        let target = (Action::ConnectionCreated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(ConnectionCreated::Created(Json(view)))
    }

    /// Get one connection
    #[oai(path = "/connections/:id", method = "get", operation_id = "get_connection")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Wire<ConnectionId>>,
    ) -> Result<Json<ConnectionView>, ApiError> {
        let tenant = caller.require(Permission::ConnectionsRead)?;
        let connection = self.0.store.tenant(tenant).await?.connection(id.0.0).await?;
        Ok(Json(connection.into()))
    }

    /// Disable a connection
    ///
    /// Its rows stay, its secret is destroyed, and no call goes through it any more. Doing it again changes nothing.
    #[oai(path = "/connections/:id", method = "delete", operation_id = "disable_connection")]
    async fn disable(
        &self,
        caller: Caller,
        id: Path<Wire<ConnectionId>>,
    ) -> Result<ConnectionDisabled, ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let connection = conn.connection(id.0.0).await?;
        if connection.disabled_at.is_none() {
            conn.disable_connection(connection.id, self.0.clock.now()).await?;
            let target = (Action::ConnectionDisabled, Some(connection.id.to_string()));
            let change = json!({ "name": connection.name });
            caller.principal().by().did(&self.0, &mut conn, target, change).await?;
            conn.commit().await?;
        }
        Ok(ConnectionDisabled::Disabled)
    }
}

impl ConnectionsApi {
    /// Checks what the types cannot say; gives the base URL in its one spelling.
    fn check(&self, body: &CreateConnection) -> Result<Option<String>, ApiError> {
        let known = provider(&body.provider).filter(|provider| provider.connectable());
        let Some(known) = known else {
            return Err(ApiError::field("provider", "is not one of GET /api/v1/providers"));
        };
        if known.base_url.is_none() && body.base_url.is_none() {
            return Err(ApiError::field("base_url", "this provider needs the address of its endpoint"));
        }
        if known.base_url.is_some() && body.secret.is_none() {
            return Err(ApiError::field("secret", "this provider needs a credential"));
        }
        if let Some(secret) = &body.secret {
            if !secret.chars().all(|c| c.is_ascii_graphic()) {
                return Err(ApiError::field("secret", "must be printable ASCII without spaces"));
            }
            // Access to AWS goes by role, never by a stored access key.
            if looks_like_an_access_key(secret) {
                return Err(ApiError::field("secret", "AWS access keys are never stored; connect by a role"));
            }
        }
        if body.models.iter().any(|model| model.is_empty() || model.len() > 256) {
            return Err(ApiError::field("models", "each must have 1 to 256 bytes"));
        }
        let Some(base_url) = &body.base_url else { return Ok(None) };
        match EndpointUrl::parse(base_url, &self.0.egress_policy) {
            Ok(endpoint) => Ok(Some(endpoint.as_str().to_owned())),
            Err(refused) => {
                Err(costlens_domain::Problem::new(ProblemCode::EndpointRefused, refused.to_string())
                    .field("/base_url", refused.to_string())
                    .into())
            }
        }
    }
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}
