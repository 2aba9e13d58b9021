//! Programs that are told: webhook endpoints, their secrets, and how each delivery fared.
//!
//! A URL's path is often a credential, so the host alone is shown; a signing secret is in one answer and never again.

pub mod deliveries;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::events::EventKind;
use costlens_domain::{EventId, ProblemCode, WebhookEndpointId};
use costlens_jobs::events::{ask_to_mirror, happened};
use costlens_notify::webhooks::{WebhookSecret, WebhookUrl};
use costlens_store::{TenantConn, WebhookEndpoint};
use costlens_vault::SealedFor;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::bounds::{self, Bound};
use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag, sealing};

pub(crate) use deliveries::WebhookDeliveriesApi;

/// Calls that people cause and programs outside must take.
pub(crate) const CALLS_AN_HOUR: Bound<'static> = Bound {
    actions: &[Action::WebhookEndpointTested, Action::WebhookDeliveryRetried],
    target: None,
    most: 200,
    within: TimeDelta::hours(1),
    detail: "an account sends at most 200 tests and repeated events in an hour; wait before sending more",
};

/// The most endpoints of an account.
const MOST: usize = 20;

/// A webhook endpoint, without its URL and its secret.
#[derive(Object)]
#[oai(rename = "WebhookEndpoint")]
pub struct WebhookEndpointView {
    /// The endpoint.
    pub id: Wire<WebhookEndpointId>,
    /// What its people call it.
    pub name: String,
    /// The URL's host; the rest is not shown.
    pub host: String,
    /// The kinds of events that it is told; empty for every kind.
    pub kinds: Vec<String>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Since when no delivery has succeeded; null while they do.
    #[oai(nullable)]
    pub failing_since: Option<DateTime<Utc>>,
    /// Since when it is told nothing; null while it is. A change starts it again.
    #[oai(nullable)]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why it is told nothing, in words.
    #[oai(nullable)]
    pub stop_reason: Option<String>,
}

impl From<WebhookEndpoint> for WebhookEndpointView {
    fn from(endpoint: WebhookEndpoint) -> Self {
        Self {
            id: Wire(endpoint.id),
            name: endpoint.name,
            host: endpoint.host,
            kinds: endpoint.kinds,
            created_at: endpoint.created_at,
            failing_since: endpoint.failing_since,
            stopped_at: endpoint.stopped_at,
            stop_reason: endpoint.stop_reason,
        }
    }
}

/// All webhook endpoints.
#[derive(Object)]
pub struct WebhookEndpoints {
    /// The endpoints, oldest first.
    pub items: Vec<WebhookEndpointView>,
}

/// A kind of event.
#[derive(Object)]
#[oai(rename = "EventKind")]
pub struct EventKindView {
    /// The stable name, as in an event's `type`.
    pub name: String,
}

/// What endpoints can be told.
#[derive(Object)]
pub struct EventKinds {
    /// Every kind.
    pub items: Vec<EventKindView>,
}

/// A webhook endpoint to be added.
#[derive(Object)]
pub struct CreateWebhookEndpoint {
    /// What its people call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// Where events are posted: https, public. It is sealed before it is stored; its host alone is shown.
    #[oai(validator(min_length = 1, max_length = 4000))]
    pub url: String,
    /// The kinds of events that it is to be told, of GET /api/v1/event-kinds; empty for every kind.
    #[oai(default, validator(max_items = 50))]
    pub kinds: Vec<String>,
}

/// What is to change of a webhook endpoint. What is absent stays.
#[derive(Object)]
pub struct UpdateWebhookEndpoint {
    /// What its people call it.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// Another URL.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 4000))]
    pub url: Option<String>,
    /// Other kinds of events; empty for every kind.
    #[oai(default, skip_serializing_if_is_none, validator(max_items = 50))]
    pub kinds: Option<Vec<String>>,
}

/// An endpoint that was just added.
#[derive(Object)]
pub struct CreatedWebhookEndpoint {
    /// The endpoint.
    pub endpoint: WebhookEndpointView,
    /// The secret that its calls are signed with, `whsec_…` (Standard Webhooks). It is shown here and never again.
    pub secret: String,
}

/// A signing secret that was just made.
#[derive(Object)]
pub struct RolledWebhookSecret {
    /// The secret, `whsec_…`. It is shown here and never again.
    pub secret: String,
}

/// An event that was written to be told.
#[derive(Object)]
pub struct WebhookTest {
    /// The event; its delivery is among the endpoint's.
    pub event_id: Wire<EventId>,
}

/// A webhook endpoint was added.
#[derive(ApiResponse)]
pub enum WebhookEndpointCreated {
    /// The endpoint and its secret.
    #[oai(status = 201)]
    Created(Json<CreatedWebhookEndpoint>),
}

/// A webhook endpoint was removed.
#[derive(ApiResponse)]
pub enum WebhookEndpointDeleted {
    /// It is told nothing any more.
    #[oai(status = 204)]
    Deleted,
}

/// A test is on its way.
#[derive(ApiResponse)]
pub enum WebhookEndpointTested {
    /// The event that is told.
    #[oai(status = 202)]
    Sent(Json<WebhookTest>),
}

pub(crate) struct WebhookEndpointsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Webhooks")]
impl WebhookEndpointsApi {
    /// List the kinds of events
    #[oai(path = "/event-kinds", method = "get", operation_id = "list_event_kinds")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn kinds(&self, caller: Caller) -> Result<Json<EventKinds>, ApiError> {
        caller.require(Permission::NotificationsRead)?;
        let view = |kind: &EventKind| EventKindView { name: kind.as_str().to_owned() };
        Ok(Json(EventKinds { items: EventKind::ALL.iter().map(view).collect() }))
    }

    /// List webhook endpoints
    #[oai(path = "/webhook-endpoints", method = "get", operation_id = "list_webhook_endpoints")]
    async fn list(&self, caller: Caller) -> Result<Json<WebhookEndpoints>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let endpoints = self.0.store.tenant(tenant).await?.list_webhook_endpoints().await?;
        Ok(Json(WebhookEndpoints { items: endpoints.into_iter().map(Into::into).collect() }))
    }

    /// Add a webhook endpoint
    ///
    /// Events are posted to it as Standard Webhooks, signed with the secret of this answer. At most 20 for an account.
    #[oai(path = "/webhook-endpoints", method = "post", operation_id = "create_webhook_endpoint")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect. The secret is not shown a second time.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateWebhookEndpoint>,
    ) -> Result<WebhookEndpointCreated, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let name = crate::named(&body.0.name)?;
        let (url, host) = self.url(&body.0.url)?;
        let kinds = kinds(&body.0.kinds)?;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim = match idempotent::claim(
            (&mut conn, &self.0.keyring),
            "create_webhook_endpoint",
            key,
            &body.0,
            now,
        )
        .await?
        {
            Claimed::First(claim) => claim,
            Claimed::Again(_) => {
                let detail =
                    "the endpoint was added by an earlier call; its secret was shown then and only then";
                return Err(ApiError::new(ProblemCode::Conflict, detail));
            }
        };
        conn.lock_count("webhook_endpoints").await?;
        if conn.list_webhook_endpoints().await?.len() >= MOST {
            let detail = format!("an account has at most {MOST} webhook endpoints; remove one first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let id = WebhookEndpointId::new(now, self.0.entropy.for_id());
        let secret = WebhookSecret::generate(&*self.0.entropy);
        let new = WebhookEndpoint {
            id,
            name: name.to_owned(),
            host,
            sealed_url: self.seal(&mut conn, ("sealed_url", id), &url.reveal(), now).await?,
            sealed_secret: self.seal(&mut conn, ("sealed_secret", id), &secret.reveal(), now).await?,
            kinds,
            created_at: now,
            failing_since: None,
            stopped_at: None,
            stop_reason: None,
        };
        conn.create_webhook_endpoint(&new).await?;
        let change = json!({ "name": new.name, "kinds": new.kinds });
        let target = (Action::WebhookEndpointCreated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let endpoint = WebhookEndpointView::from(conn.webhook_endpoint(id).await?);
        claim.finish(&mut conn, &endpoint).await?;
        conn.commit().await?;
        let secret = secret.reveal().to_string();
        Ok(WebhookEndpointCreated::Created(Json(CreatedWebhookEndpoint { endpoint, secret })))
    }

    /// Get one webhook endpoint
    #[oai(path = "/webhook-endpoints/:id", method = "get", operation_id = "get_webhook_endpoint")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
    ) -> Result<Json<WebhookEndpointView>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let endpoint = self.0.store.tenant(tenant).await?.webhook_endpoint(id.0.0).await?;
        Ok(Json(endpoint.into()))
    }

    /// Change a webhook endpoint
    ///
    /// Also starts one again that was stopped, an empty change too.
    #[oai(path = "/webhook-endpoints/:id", method = "patch", operation_id = "update_webhook_endpoint")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
        body: Json<UpdateWebhookEndpoint>,
    ) -> Result<Json<WebhookEndpointView>, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let id = id.0.0;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let mut endpoint = conn.lock_webhook_endpoint(id).await?;
        if let Some(name) = &body.0.name {
            crate::named(name)?.clone_into(&mut endpoint.name);
        }
        if let Some(wanted) = &body.0.kinds {
            endpoint.kinds = kinds(wanted)?;
        }
        if let Some(url) = &body.0.url {
            let (url, host) = self.url(url)?;
            endpoint.sealed_url = self.seal(&mut conn, ("sealed_url", id), &url.reveal(), now).await?;
            endpoint.host = host;
        }
        conn.replace_webhook_endpoint(&endpoint).await?;
        ask_to_mirror(&mut conn, id).await?;
        let another = body.0.url.is_some();
        let change = json!({ "name": endpoint.name, "kinds": endpoint.kinds, "another_url": another });
        let target = (Action::WebhookEndpointUpdated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let endpoint = conn.webhook_endpoint(id).await?;
        conn.commit().await?;
        Ok(Json(endpoint.into()))
    }

    /// Give a webhook endpoint another secret
    ///
    /// Calls are signed with it from now on, and no longer with the old one. Also starts an endpoint again that was
    /// stopped.
    #[oai(path = "/webhook-endpoints/:id/secret", method = "post", operation_id = "roll_webhook_secret")]
    async fn roll(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
    ) -> Result<Json<RolledWebhookSecret>, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let id = id.0.0;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let mut endpoint = conn.lock_webhook_endpoint(id).await?;
        let secret = WebhookSecret::generate(&*self.0.entropy);
        endpoint.sealed_secret = self.seal(&mut conn, ("sealed_secret", id), &secret.reveal(), now).await?;
        conn.replace_webhook_endpoint(&endpoint).await?;
        ask_to_mirror(&mut conn, id).await?;
        let target = (Action::WebhookSecretRolled, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(Json(RolledWebhookSecret { secret: secret.reveal().to_string() }))
    }

    /// Remove a webhook endpoint
    ///
    /// With what is known of its deliveries.
    #[oai(path = "/webhook-endpoints/:id", method = "delete", operation_id = "delete_webhook_endpoint")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
    ) -> Result<WebhookEndpointDeleted, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let id = id.0.0;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.delete_webhook_endpoint(id).await?;
        ask_to_mirror(&mut conn, id).await?;
        let target = (Action::WebhookEndpointDeleted, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(WebhookEndpointDeleted::Deleted)
    }

    /// Send a test to a webhook endpoint
    ///
    /// An event `webhook.test`, whatever kinds it is told else. At most once in ten seconds, and with the events that
    /// are sent again at most 200 in an hour for an account.
    #[oai(path = "/webhook-endpoints/:id/test", method = "post", operation_id = "test_webhook_endpoint")]
    async fn test(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
    ) -> Result<WebhookEndpointTested, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let endpoint = conn.webhook_endpoint(id.0.0).await?;
        not_stopped(&endpoint)?;
        let payload = json!({ "endpoint_id": endpoint.id });
        let now = self.0.clock.now();
        let id = endpoint.id.to_string();
        let often = Bound {
            actions: &[Action::WebhookEndpointTested],
            target: Some(&id),
            most: 1,
            within: TimeDelta::seconds(10),
            detail: "a test is on its way; wait some seconds before sending another",
        };
        bounds::hold(&mut conn, &[often, CALLS_AN_HOUR], now).await?;
        let event = happened(&mut conn, EventKind::WebhookTest, payload, now, &*self.0.entropy).await?;
        let target = (Action::WebhookEndpointTested, Some(endpoint.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(WebhookEndpointTested::Sent(Json(WebhookTest { event_id: Wire(event) })))
    }
}

impl WebhookEndpointsApi {
    /// A URL that may be called, and its host.
    fn url(&self, text: &str) -> Result<(WebhookUrl, String), ApiError> {
        let refused = |refused| crate::refused("url", &refused);
        let url = WebhookUrl::parse(text, &self.0.egress_policy).map_err(refused)?;
        let host = url::Url::parse(&url.reveal()).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        Ok((url, host))
    }

    async fn seal(
        &self,
        conn: &mut TenantConn,
        (column, id): (&str, WebhookEndpointId),
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, ApiError> {
        let place = SealedFor { tenant: conn.tenant_id(), table: "webhook_endpoint", column, row: id.uuid() };
        sealing::seal(&self.0, conn, &place, text, now).await
    }
}

/// Kinds that there are, each once.
fn kinds(wanted: &[String]) -> Result<Vec<String>, ApiError> {
    let mut kinds = Vec::with_capacity(wanted.len());
    for name in wanted {
        if EventKind::from_name(name).is_none() {
            return Err(ApiError::field("kinds", "each must be one of GET /api/v1/event-kinds"));
        }
        if !kinds.contains(name) {
            kinds.push(name.clone());
        }
    }
    Ok(kinds)
}

/// Refuses what would go to an endpoint that is told nothing.
fn not_stopped(endpoint: &WebhookEndpoint) -> Result<(), ApiError> {
    if endpoint.stopped_at.is_none() {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Conflict, "this endpoint is stopped; mend and change it first"))
}
