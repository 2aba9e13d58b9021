//! What the command line writes down of what it does.

use costlens_domain::AuditEventId;
use costlens_domain::audit::{Action, Actor};
use costlens_domain::ports::{Clock, Entropy as _};
use costlens_store::NewAuditEvent;
use costlens_vault::OsEntropy;
use serde_json::Value;

/// An event of whoever is at the command line, now.
pub(crate) fn event(
    clock: &dyn Clock,
    action: Action,
    target: Option<String>,
    change: Value,
) -> NewAuditEvent {
    let at = clock.now();
    NewAuditEvent {
        id: AuditEventId::new(at, OsEntropy.for_id()),
        at,
        actor: Actor::CommandLine,
        action,
        target,
        change,
        request_id: None,
        address: None,
    }
}
