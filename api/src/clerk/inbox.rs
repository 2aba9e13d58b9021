//! What Clerk's webhooks bring: verified over the bytes as they came, kept once by the sender's id, with the job that
//! acts on it in the same transaction. A copy is answered like the first, so that nobody sends it again.

use std::sync::Arc;

use costlens_domain::{Problem, ProblemCode};
use costlens_edge::Arrival;
use costlens_identity::clerk::events::Event;
use costlens_jobs::inbox::{HeedClerk, keep};
use costlens_notify::webhooks::inbound::Signed;
use costlens_store::{InboxEvent, StoreError};
use poem::endpoint::make;
use poem::http::{Method, StatusCode};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use serde_json::Value;

use super::ClerkMode;
use crate::ApiParts;
use crate::error::problem_response;

/// Where Clerk sends them.
pub const PATH: &str = "/webhooks/clerk";
/// The most bytes of one.
pub const MOST_BYTES: u64 = 256 * 1024;

/// The endpoint at [`PATH`]. Without Clerk there is nothing.
pub fn endpoint(parts: &Arc<ApiParts>) -> impl Endpoint<Output = Response> + 'static {
    let parts = Arc::clone(parts);
    make(move |mut request: Request| {
        let parts = Arc::clone(&parts);
        async move {
            let answered = receive(&parts, &mut request).await;
            Ok::<_, poem::Error>(match answered {
                Ok(()) => StatusCode::NO_CONTENT.into_response(),
                Err(problem) => {
                    let id = request.data::<Arrival>().map(|arrival| arrival.request_id.to_string());
                    problem_response(&match id {
                        Some(id) => problem.instance(id),
                        None => problem,
                    })
                }
            })
        }
    })
}

async fn receive(parts: &ApiParts, request: &mut Request) -> Result<(), Problem> {
    let Some(mode) = &parts.clerk else {
        return Err(Problem::new(ProblemCode::NotFound, "there is nothing at this address"));
    };
    if *request.method() != Method::POST {
        return Err(Problem::new(ProblemCode::MethodNotAllowed, "webhooks come by POST"));
    }
    let body = request.take_body().into_bytes().await.map_err(|error| match error {
        poem::error::ReadBodyError::PayloadTooLarge => {
            Problem::new(ProblemCode::BodyTooLarge, "the body is too large")
        }
        _ => Problem::new(ProblemCode::InvalidRequest, "the body could not be read"),
    })?;
    let event = verified(parts, mode, request, &body).map_err(|problem| *problem)?;
    if event.event.instance_id != mode.clerk.instance_id() {
        tracing::warn!("a message of another instance of Clerk was refused");
        return Err(refused());
    }
    let payload = match &event.event.fact {
        Some(fact) => serde_json::to_value(fact).map_err(|_| refused())?,
        None => Value::Null,
    };
    let kept = InboxEvent {
        source: HeedClerk::SOURCE.to_owned(),
        message_id: event.id,
        kind: event.event.kind,
        is_heeded: event.event.fact.is_some(),
        payload,
        received_at: parts.clock.now(),
    };
    let stored = async {
        let mut tx = parts.store.system().await?.begin().await?;
        let is_new = keep(&mut tx, &kept, mode.clerk.issuer()).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(is_new)
    };
    match stored.await {
        Ok(is_new) => {
            tracing::info!(kind = kept.kind, is_new, "a message of Clerk came");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a message of Clerk cannot be kept");
            Err(Problem::new(
                ProblemCode::DatabaseUnavailable,
                "the message cannot be kept now; send it again",
            ))
        }
    }
}

struct Verified {
    id: String,
    event: Event,
}

/// Nothing of the body is read before its signature is right.
fn verified(
    parts: &ApiParts,
    mode: &ClerkMode,
    request: &Request,
    body: &[u8],
) -> Result<Verified, Box<Problem>> {
    // A header that comes twice could be read in two ways.
    let header = |name: &str| {
        let mut values = request.headers().get_all(name).iter();
        let first = values.next().filter(|_| values.next().is_none())?;
        first.to_str().ok()
    };
    let signed = Signed::of(header);
    let now = parts.clock.now().timestamp();
    let checked =
        signed.and_then(|signed| signed.check(&mode.webhook_secrets, body, now).map(|()| signed.id));
    let id = checked.map_err(|why| {
        tracing::warn!(
            error = &why as &dyn std::error::Error,
            "a message that says it is Clerk's was refused"
        );
        Box::new(refused())
    })?;
    let event = Event::read(body).map_err(|why| {
        tracing::error!(error = &why as &dyn std::error::Error, "a message of Clerk cannot be read");
        Box::new(Problem::new(ProblemCode::InvalidRequest, why.to_string()))
    })?;
    Ok(Verified { id: id.to_owned(), event })
}

/// The same for every fault: nobody learns from it what is wrong with a message that was made up.
fn refused() -> Problem {
    Problem::new(
        ProblemCode::SignatureRefused,
        "the message is not from who may send it, not whole, or not of this moment",
    )
}
