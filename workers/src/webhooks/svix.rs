//! Handing events over to the operator's Svix, which signs, retries and keeps the log from there.
//!
//! Every call may be made again: Svix knows the tenant, the endpoint and the event by our ids.

use costlens_jobs::events::ForgetEndpoint;
use costlens_notify::SendError;
use costlens_notify::webhooks::svix::{Svix, SvixEndpoint};
use costlens_queue::{JobContext, JobError};
use costlens_store::{Event, Tenant, TenantConn, WebhookEndpoint};

use super::{body, open};
use crate::{WorkerParts, store_failure};

/// What it is called among the services outside.
pub(crate) const SERVICE: &str = "svix";

/// Brings the endpoints that want the event to what they are here, then hands the event over.
pub(super) async fn hand_over(
    svix: &Svix,
    parts: &WorkerParts,
    mut tx: TenantConn,
    (tenant, event): (&Tenant, &Event),
    wanting: Vec<WebhookEndpoint>,
) -> Result<(), JobError> {
    let mut opened = Vec::with_capacity(wanting.len());
    for endpoint in wanting {
        match open(&mut tx, parts, &endpoint).await {
            Ok((url, secret)) => opened.push((endpoint, url, secret)),
            // One that cannot be used costs the others nothing.
            Err(error) => {
                tracing::error!(webhook_endpoint.id = %endpoint.id, %error, "an endpoint cannot be handed over");
            }
        }
    }
    // Written down before Svix has the first byte: an erasure goes there, whatever is configured by then.
    tx.remember_outside(SERVICE, svix.place(), parts.clock.now()).await.map_err(store_failure)?;
    // No transaction is held while Svix answers.
    tx.commit().await.map_err(store_failure)?;
    svix.ensure_application(tenant.id, &tenant.name).await.map_err(failed)?;
    svix.ensure_event_type(&event.kind, &event.kind).await.map_err(failed)?;
    for (endpoint, url, secret) in &opened {
        for kind in &endpoint.kinds {
            svix.ensure_event_type(kind, kind).await.map_err(failed)?;
        }
        let uid = endpoint.id.to_string();
        let there = SvixEndpoint { uid: &uid, url, filter_types: &endpoint.kinds, secret };
        svix.ensure_endpoint(tenant.id, &there).await.map_err(failed)?;
    }
    let id = event.id.to_string();
    svix.send(tenant.id, &id, &event.kind, &body(event)).await.map_err(failed)
}

/// Takes an endpoint that was removed here away there.
pub(crate) async fn forget_endpoint(
    job: ForgetEndpoint,
    _context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let Some(svix) = &parts.svix else { return Ok(()) };
    svix.delete_endpoint(job.tenant, &job.endpoint.to_string()).await.map_err(failed)
}

fn failed(error: SendError) -> JobError {
    JobError::retry(error).code("svix")
}
