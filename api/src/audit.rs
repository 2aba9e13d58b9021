//! What was done in the account: written beside each change; listed, exported and verified for its people.

pub mod export;
pub mod verification;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, RequestId};
use costlens_edge::Arrival;
use costlens_store::{AuditEvent, NewAuditEvent, StoreError, TenantConn};
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use self::export::{AuditExported, Source};
use self::verification::{AuditHeadView, AuditVerification};
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// Who does something, and in which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    pub(crate) actor: Actor,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) address: Option<IpAddr>,
}

impl By {
    /// Whoever follows a link that only a mail's addressee has.
    pub(crate) fn link(request: &poem::Request) -> Self {
        Self::of(request, Actor::Link)
    }

    /// Somebody in this request.
    pub(crate) fn of(request: &poem::Request, actor: Actor) -> Self {
        let arrival = request.data::<Arrival>();
        let request_id = arrival.map(|arrival| arrival.request_id);
        Self { actor, request_id, address: arrival.map(|arrival| arrival.client_addr) }
    }

    /// An event of this kind, done now.
    pub(crate) fn event(
        self,
        parts: &ApiParts,
        action: Action,
        target: Option<String>,
        change: Value,
    ) -> NewAuditEvent {
        let at = parts.clock.now();
        let id = AuditEventId::new(at, parts.entropy.for_id());
        let Self { actor, request_id, address } = self;
        NewAuditEvent { id, at, actor, action, target, change, request_id, address }
    }

    /// Writes down what the transaction does. No secret and nobody's e-mail address may stand in `change`.
    pub(crate) async fn did(
        self,
        parts: &ApiParts,
        conn: &mut TenantConn,
        (action, target): (Action, Option<String>),
        change: Value,
    ) -> Result<(), StoreError> {
        conn.audit(&self.event(parts, action, target, change)).await
    }
}

/// What somebody did.
#[derive(Object)]
#[oai(rename = "AuditEvent")]
pub struct AuditEventView {
    /// The event.
    pub id: Wire<AuditEventId>,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// By whom: `session:ses_…`, `key:key_…`, `operator:ses_…`, `operator:command-line`, `link` (somebody who followed
    /// a link in a mail), `nobody` (somebody who was not let in), `clerk` (what Clerk told) or `schedule`.
    pub actor: String,
    /// What kind of act it was, `<thing>.<done>`: `closure.requested`.
    pub action: String,
    /// What it was done to, by its id; null where the action says it all.
    #[oai(nullable)]
    pub target: Option<String>,
    /// What changed, as an object. It holds no secret and no e-mail address.
    pub change: Value,
    /// The request in which it was done.
    #[oai(nullable)]
    pub request_id: Option<Wire<RequestId>>,
    /// The network address that it came from.
    #[oai(nullable)]
    pub address: Option<String>,
    /// Its number in the account's chain of events: 1 for the first, and none is left out.
    pub seq: u64,
    /// SHA-256 over everything that it says and the hash of the event before, in hexadecimal digits.
    pub hash: String,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent { id, at, actor, action, target, change, request_id, address, seq, hash } = event;
        let (request_id, hash) = (request_id.map(Wire), hash.to_string());
        Self { id: Wire(id), at, actor, action, target, change, request_id, address, seq, hash }
    }
}

pub(crate) struct AuditApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Audit")]
impl AuditApi {
    /// List what was done in the account
    ///
    /// Newest first. Events are added and never changed.
    #[oai(path = "/audit-events", method = "get", operation_id = "list_audit_events")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<AuditEventId>>>,
    ) -> Result<Json<Page<AuditEventView>>, ApiError> {
        let tenant = caller.require(Permission::AuditRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let events = conn.list_audit_events(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(events, limit.0, |event| event.id.to_string(), Into::into)))
    }

    /// Where the account's chain of events ends
    ///
    /// Each event carries the hash of the one before. Whoever writes down the head of today can prove later that
    /// nothing up to it was changed, removed or put between: `costlens verify-audit --head`.
    #[oai(path = "/audit/head", method = "get", operation_id = "get_audit_head")]
    async fn head(&self, caller: Caller) -> Result<Json<AuditHeadView>, ApiError> {
        let tenant = caller.require(Permission::AuditRead)?;
        Ok(Json(verification::head(&self.0.store, Source::Tenant(tenant)).await?))
    }

    /// Verify the account's chain of events
    ///
    /// Computes every event's hash anew, some thousands a call, and names the first event that is not as it was
    /// written. An export can be verified without this server: `costlens verify-audit FILE`.
    #[oai(path = "/audit/verification", method = "get", operation_id = "verify_audit")]
    async fn verify(
        &self,
        caller: Caller,
        /// The `next_after` of the call before.
        after: Query<Option<u64>>,
    ) -> Result<Json<AuditVerification>, ApiError> {
        let tenant = caller.require(Permission::AuditRead)?;
        Ok(Json(verification::verify(&self.0.store, Source::Tenant(tenant), after.0).await?))
    }

    /// Export what was done in the account
    ///
    /// Every event in order, oldest first, with its place in the chain; streamed as it is read. An export that broke
    /// off has no last line; it goes on with the number of the last event that came, and both together are verified.
    #[oai(path = "/audit/export", method = "get", operation_id = "export_audit")]
    async fn export(
        &self,
        caller: Caller,
        /// The number of the event after which to go on.
        after: Query<Option<u64>>,
        /// `gzip` packs the lines.
        #[oai(name = "Accept-Encoding")]
        accepted: Header<Option<String>>,
    ) -> Result<AuditExported, ApiError> {
        let tenant = caller.require(Permission::AuditRead)?;
        export::export(&self.0.store, Source::Tenant(tenant), after.0, accepted.0.as_deref()).await
    }
}
