//! How each event fared on its way to an endpoint.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{EventId, WebhookEndpointId};
use costlens_jobs::events::DeliverWebhook;
use costlens_jobs::{ask_for, job};
use costlens_store::{Delivery, DeliveryState};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use super::{CALLS_AN_HOUR, not_stopped};
use crate::bounds::{self, Bound};
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookDeliveryState", rename_all = "snake_case", remote = "DeliveryState")]
pub enum DeliveryStateView {
    /// It is tried, or will be.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Every attempt of the schedule failed. It can be sent again.
    Exhausted,
    /// The endpoint is told nothing any more.
    Stopped,
}

/// One event on its way to one endpoint.
#[derive(Object)]
#[oai(rename = "WebhookDelivery")]
pub struct DeliveryView {
    /// What is told; the `webhook-id` of each attempt.
    pub event_id: Wire<EventId>,
    /// The event's kind.
    pub kind: String,
    /// How far it is.
    pub state: DeliveryStateView,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was tried last.
    #[oai(nullable)]
    pub last_at: Option<DateTime<Utc>>,
    /// When it is tried next; null where it is not.
    #[oai(nullable)]
    pub next_at: Option<DateTime<Utc>>,
    /// When its fate was known.
    #[oai(nullable)]
    pub settled_at: Option<DateTime<Utc>>,
    /// The HTTP status that the endpoint answered with last; null where there was no answer.
    #[oai(nullable)]
    pub last_status: Option<u16>,
    /// Why the last attempt failed, as a stable name.
    #[oai(nullable)]
    pub last_code: Option<String>,
    /// How many milliseconds the last attempt took.
    #[oai(nullable)]
    pub last_millis: Option<u64>,
    /// How the endpoint's last answer began.
    #[oai(nullable)]
    pub last_answer: Option<String>,
}

impl DeliveryView {
    fn of(delivery: Delivery, kind: String) -> Self {
        Self {
            event_id: Wire(delivery.event_id),
            kind,
            state: delivery.state.into(),
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            last_at: delivery.last_at,
            next_at: delivery.next_at,
            settled_at: delivery.settled_at,
            last_status: delivery.last_status,
            last_code: delivery.last_code,
            last_millis: delivery.last_millis,
            last_answer: delivery.last_answer,
        }
    }
}

/// A delivery begins again.
#[derive(ApiResponse)]
pub enum DeliveryRetried {
    /// The delivery; it is tried at once.
    #[oai(status = 202)]
    Asked(Json<DeliveryView>),
}

pub(crate) struct WebhookDeliveriesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Webhooks")]
impl WebhookDeliveriesApi {
    /// List an endpoint's deliveries
    ///
    /// Newest event first.
    #[oai(
        path = "/webhook-endpoints/:id/deliveries",
        method = "get",
        operation_id = "list_webhook_deliveries"
    )]
    async fn list(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<EventId>>>,
    ) -> Result<Json<Page<DeliveryView>>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        // Another tenant's endpoint is not found, rather than found without deliveries.
        let endpoint = conn.webhook_endpoint(id.0.0).await?;
        let after = cursor.0.map(|id| id.0);
        let deliveries = conn.list_deliveries(endpoint.id, after, limit.0.saturating_add(1)).await?;
        let events: Vec<EventId> = deliveries.iter().map(|delivery| delivery.event_id).collect();
        let mut kinds = conn.event_kinds(&events).await?;
        let view = |delivery: Delivery| {
            let kind = kinds.remove(&delivery.event_id).unwrap_or_default();
            DeliveryView::of(delivery, kind)
        };
        Ok(Json(Page::of(deliveries, limit.0, |delivery| delivery.event_id.to_string(), view)))
    }

    /// Send an event again
    ///
    /// With all attempts of the schedule, whatever became of it before. Receivers know it by its `webhook-id`. At most 30
    /// events in a minute for an endpoint, and with tests 200 in an hour for an account.
    #[oai(
        path = "/webhook-endpoints/:id/deliveries/:event_id/retry",
        method = "post",
        operation_id = "retry_webhook_delivery"
    )]
    async fn retry(
        &self,
        caller: Caller,
        id: Path<Wire<WebhookEndpointId>>,
        event_id: Path<Wire<EventId>>,
    ) -> Result<DeliveryRetried, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let (endpoint, event) = (id.0.0, event_id.0.0);
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        not_stopped(&conn.webhook_endpoint(endpoint).await?)?;
        let kind = conn.event(event).await?.kind;
        let id = endpoint.to_string();
        let often = Bound {
            actions: &[Action::WebhookDeliveryRetried],
            target: Some(&id),
            most: 30,
            within: TimeDelta::minutes(1),
            detail: "an endpoint is sent at most 30 events again in a minute; wait before sending more",
        };
        bounds::hold(&mut conn, &[often, CALLS_AN_HOUR], now).await?;
        let again = job(&DeliverWebhook { tenant, event, endpoint, ask: now.timestamp_millis() })?;
        let delivery = conn.restart_delivery(event, endpoint, again.id(), now).await?;
        ask_for(&mut conn, again).await?;
        let target = (Action::WebhookDeliveryRetried, Some(endpoint.to_string()));
        let change = json!({ "event_id": event });
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(DeliveryRetried::Asked(Json(DeliveryView::of(delivery, kind))))
    }
}
