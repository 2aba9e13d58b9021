//! Handing events over to the operator's Svix, which signs, retries and keeps the log from there.
//!
//! Every call may be made again: Svix knows the tenant, the endpoint and the event by our ids. What it has of an endpoint
//! follows the row. Whatever changes a row asks in its transaction for [`mirror_endpoint`], and whoever has told Svix of an
//! endpoint looks at the row once more, so that one that was changed or removed meanwhile does not stay there as it was.

use std::time::Duration;

use costlens_domain::events::EventKind;
use costlens_domain::{TenantId, WebhookEndpointId};
use costlens_jobs::events::MirrorEndpoint;
use costlens_notify::webhooks::svix::{Svix, SvixEndpoint};
use costlens_notify::{Retry, SendError};
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{Event, StoreError, Tenant, TenantConn, WebhookEndpoint};

use super::{body, is_test, open, stop};
use crate::{WorkerParts, sealing, store_failure};

/// What it is called among the services outside.
pub(crate) const SERVICE: &str = "svix";

/// The channel of what goes to every endpoint that wants its kind. A test goes to the channel of its one endpoint.
const EVERYBODY: &str = "events";
/// How often a row may change while Svix is told of it, until the job waits.
const CHANGES: u32 = 3;
/// A call that was under way when its endpoint was removed is over after this, whoever made it.
const UNDER_WAY: Duration = Duration::from_mins(5);

/// Brings endpoints to what they are here, then hands the event over.
pub(super) async fn hand_over(
    svix: &Svix,
    parts: &WorkerParts,
    mut tx: TenantConn,
    (tenant, event): (&Tenant, &Event),
    endpoints: &[WebhookEndpoint],
) -> Result<(), JobError> {
    // Written down before Svix has the first byte: an erasure goes there, whatever is configured by then.
    tx.remember_outside(SERVICE, svix.place(), parts.clock.now()).await.map_err(store_failure)?;
    // No transaction is held while Svix answers.
    tx.commit().await.map_err(store_failure)?;
    sealing::ready(parts, tenant.id).await?;
    svix.ensure_application(tenant.id, &tenant.name).await.map_err(failed)?;
    svix.ensure_event_type(&event.kind, &event.kind).await.map_err(failed)?;
    for endpoint in endpoints {
        mirror(svix, parts, tenant.id, endpoint.id).await?;
    }
    let named = event.payload.get("endpoint_id").and_then(serde_json::Value::as_str);
    let channel = named.filter(|_| is_test(event)).unwrap_or(EVERYBODY);
    let id = event.id.to_string();
    let sent = svix.send(tenant.id, channel, (&id, &event.kind), &body(event)).await;
    sent.map_err(|error| match refusal(&error) {
        Some(why) => JobError::give_up(ErrorClass::Bug, "svix_refused", why),
        None => failed(error),
    })
}

/// An endpoint was changed or removed here.
pub(crate) async fn mirror_endpoint(
    job: MirrorEndpoint,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let MirrorEndpoint { tenant, endpoint, .. } = job;
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let held = tx.held_outside().await.map_err(store_failure)?;
    let there = look(&mut tx, endpoint).await?;
    let closing = tx.tenant().await.map_err(store_failure)?.closing_at.is_some();
    drop(tx);
    let is_held = held.iter().any(|held| held.service == SERVICE);
    let Some(svix) = &parts.svix else {
        // Nothing is handed over any more; what was removed here is still known there.
        return match there {
            None if is_held => {
                Err(JobError::retry("no Svix is configured, and one has the endpoint").code("svix_left"))
            }
            _ => Ok(()),
        };
    };
    // Before its first event Svix knows nothing of an account, and after its erasure nothing any more.
    if there.is_some() && (!is_held || closing) {
        return Ok(());
    }
    if there.is_some() {
        sealing::ready(&parts, tenant).await?;
    }
    mirror(svix, &parts, tenant, endpoint).await?;
    if there.is_none() && !job.again {
        let again = costlens_jobs::job(&MirrorEndpoint { again: true, ..job }).map_err(store_failure)?;
        context.enqueue(again.run_in(UNDER_WAY));
    }
    Ok(())
}

/// Brings Svix to what the row says, and looks whether it says that still.
async fn mirror(
    svix: &Svix,
    parts: &WorkerParts,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<(), JobError> {
    let mut told = None;
    for _ in 0..=CHANGES {
        let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
        let there = look(&mut tx, id).await?;
        if told.as_ref() == Some(&there) {
            return Ok(());
        }
        match &there {
            Some(endpoint) if endpoint.stopped_at.is_none() => ensure(svix, parts, tx, endpoint).await?,
            _ => {
                drop(tx);
                svix.delete_endpoint(tenant, &id.to_string()).await.map_err(failed)?;
            }
        }
        told = Some(there);
    }
    Err(JobError::retry("the endpoint is changed all the time").code("endpoint_changes"))
}

async fn look(tx: &mut TenantConn, id: WebhookEndpointId) -> Result<Option<WebhookEndpoint>, JobError> {
    match tx.webhook_endpoint(id).await {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(store_failure(error)),
    }
}

/// Tells Svix of an endpoint. One that it refuses is stopped, and costs the others nothing.
async fn ensure(
    svix: &Svix,
    parts: &WorkerParts,
    mut tx: TenantConn,
    endpoint: &WebhookEndpoint,
) -> Result<(), JobError> {
    let (url, secret) = match open(&mut tx, parts, endpoint).await {
        Ok(opened) => opened,
        // The event waits for what passes: handed over now, it would never reach this endpoint.
        Err(error) if !error.is_final() => return Err(error),
        Err(error) => {
            tracing::error!(webhook_endpoint.id = %endpoint.id, %error, "an endpoint cannot be handed over");
            return Ok(());
        }
    };
    let tenant = tx.tenant_id();
    drop(tx);
    let mut kinds = endpoint.kinds.clone();
    if !kinds.is_empty() {
        // A test is told whatever else is.
        kinds.push(EventKind::WebhookTest.as_str().to_owned());
    }
    for kind in &kinds {
        svix.ensure_event_type(kind, kind).await.map_err(failed)?;
    }
    let uid = endpoint.id.to_string();
    let channels = [EVERYBODY, &uid];
    let there =
        SvixEndpoint { uid: &uid, url: &url, filter_types: &kinds, channels: &channels, secret: &secret };
    let Err(error) = svix.ensure_endpoint(tenant, &there).await else { return Ok(()) };
    let Some(why) = refusal(&error) else { return Err(failed(error)) };
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    stop(&mut tx, parts, endpoint, why).await?;
    tx.commit().await.map_err(store_failure)
}

/// Why Svix will not have what it was told, if it says so of the thing itself.
fn refusal(error: &SendError) -> Option<&str> {
    match error {
        SendError::NotSent { retry: Retry::Never, code: Some(400 | 413 | 422), text } => Some(text),
        _ => None,
    }
}

fn failed(error: SendError) -> JobError {
    JobError::retry(error).code("svix")
}
