//! Telling programs: an event and the job that spreads it, in the transaction of what happened.

use chrono::{DateTime, Utc};
use costlens_domain::events::EventKind;
use costlens_domain::ports::Entropy;
use costlens_domain::{EventId, TenantId, WebhookEndpointId};
use costlens_queue::Job;
use costlens_store::{Event, StoreError, TenantConn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TenantJob, ask};

/// Finds the endpoints that are to be told of an event.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SpreadEvent {
    /// Whose it is.
    pub tenant: TenantId,
    /// The event.
    pub event: EventId,
}

impl Job for SpreadEvent {
    const QUEUE: &'static str = "event.v1";
}

impl TenantJob for SpreadEvent {
    fn key(&self) -> Option<String> {
        Some(self.event.to_string())
    }
}

/// Delivers one event to one endpoint, all attempts of the schedule.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DeliverWebhook {
    /// Whose it is.
    pub tenant: TenantId,
    /// The event.
    pub event: EventId,
    /// The endpoint.
    pub endpoint: WebhookEndpointId,
    /// Which ask it is: 0 with the event itself, more where somebody has it sent again. The number of the moment.
    pub ask: i64,
}

impl Job for DeliverWebhook {
    const QUEUE: &'static str = "webhook.v1";
    /// The schedule's eight attempts are counted in the delivery's own row; a worker's crash is none of them.
    const MAX_ATTEMPTS: u32 = 40;
}

impl TenantJob for DeliverWebhook {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}:{}", self.event, self.endpoint, self.ask))
    }
}

/// Brings what the operator's Svix, where there is one, has of an endpoint to what the endpoint's row says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MirrorEndpoint {
    /// Whose it is.
    pub tenant: TenantId,
    /// The endpoint.
    pub endpoint: WebhookEndpointId,
    /// Whether this is the second look after one that was removed.
    #[serde(default)]
    pub again: bool,
}

impl Job for MirrorEndpoint {
    const QUEUE: &'static str = "webhook-mirror.v1";
}

impl TenantJob for MirrorEndpoint {
    fn key(&self) -> Option<String> {
        None
    }
}

/// Asks for it, in the transaction of the change.
pub async fn ask_to_mirror(tx: &mut TenantConn, endpoint: WebhookEndpointId) -> Result<(), StoreError> {
    let mirror = MirrorEndpoint { tenant: tx.tenant_id(), endpoint, again: false };
    ask(tx, &mirror).await.map(drop)
}

/// Writes down that something happened, in this transaction, and has it spread.
pub async fn happened(
    tx: &mut TenantConn,
    kind: EventKind,
    payload: Value,
    at: DateTime<Utc>,
    entropy: &dyn Entropy,
) -> Result<EventId, StoreError> {
    let id = EventId::new(at, entropy.for_id());
    tx.create_event(&Event { id, kind: kind.as_str().to_owned(), at, payload }).await?;
    ask(tx, &SpreadEvent { tenant: tx.tenant_id(), event: id }).await?;
    Ok(id)
}
