//! The record of what an operator does.
//!
//! The queue's tables and the record's are behind doors of their own, so no transaction holds both: the record is
//! written first, and an act that then fails gets a second event. An act without a record there is not; at worst a
//! record whose act a crash cut off. Where the jobs are one tenant's, its own audit tells it once it is done.

use costlens_domain::TenantId;
use costlens_domain::audit::{Action, Actor};
use serde_json::{Value, json};

use crate::ApiParts;
use crate::audit::By;
use crate::error::ApiError;
use crate::principal::{Caller, Permission, Who};

/// What is about to be done.
pub(super) struct Deed {
    /// The kind of act, `<thing>.<done>`.
    pub(super) action: Action,
    /// To what.
    pub(super) target: Option<String>,
    /// With what, and why.
    pub(super) change: Value,
    /// Whose jobs they are, where they are one tenant's.
    pub(super) tenant: Option<TenantId>,
}

/// Whoever runs the service.
pub(crate) fn operator(caller: &Caller) -> Result<By, ApiError> {
    caller.require(Permission::Operate)?;
    let by = caller.principal().by();
    match caller.principal().who {
        Who::Session(id) => Ok(By { actor: Actor::Operator(id), ..by }),
        // A key is never an operator's.
        Who::Key(_) => Err(ApiError::not_found()),
    }
}

/// Writes a deed down, does it, and tells what became of it.
pub(super) async fn recorded<T>(
    parts: &ApiParts,
    by: By,
    deed: Deed,
    act: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let event = by.event(parts, deed.action, deed.target.clone(), deed.change.clone());
    parts.store.system().await?.note_operator_event(&event).await?;
    let done = match act.await {
        Ok(done) => done,
        Err(error) => {
            let change = json!({ "event": event.id, "action": deed.action });
            let failed = by.event(parts, Action::ActFailed, deed.target, change);
            let noted = parts.store.system().await;
            let noted = match noted {
                Ok(mut conn) => conn.note_operator_event(&failed).await,
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                tracing::error!(
                    error = &error as &dyn std::error::Error, event.id = %event.id,
                    "that an operator's act failed could not be written down"
                );
            }
            return Err(error);
        }
    };
    if let Some(tenant) = deed.tenant {
        // It is done: that the tenant's own record is not written does not undo it, and is no reason to do it again.
        let noted = async {
            let mut conn = parts.store.tenant(tenant).await?;
            by.did(parts, &mut conn, (deed.action, deed.target), deed.change).await?;
            Ok::<_, ApiError>(conn.commit().await?)
        };
        if noted.await.is_err() {
            tracing::error!(tenant.id = %tenant, "an operator's act is missing in its tenant's audit");
        }
    }
    Ok(done)
}
