//! The prompt and answer of a call, for people alone, and each time written down.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::privacy::BodyState;
use costlens_domain::{ApiKeyId, ProblemCode, RequestId, TenantId};
use costlens_store::{StoredBody, TenantConn};
use costlens_vault::{SealError, SealedFor, SubjectKeys};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::error::ApiError;
use crate::operator::record;
use crate::principal::{Caller, Permission};
use crate::privacy::BodyRetention;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// What became of a call's prompt and answer, as decided when the call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BodyState", rename_all = "snake_case", remote = "BodyState")]
pub enum BodyStateView {
    /// Nobody asked for them to be kept.
    None,
    /// Both were kept, sealed.
    Sealed,
    /// Both were kept, sealed; the end of one is missing.
    Truncated,
    /// Zero Data Retention: they were never kept anywhere.
    DroppedZdr,
    /// They were to be kept, and could not be without slowing or failing the call.
    Unavailable,
}

/// What is left of a call's prompt and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum BodyPresence {
    /// They are here.
    Present,
    /// They were never kept, see `state`.
    NeverKept,
    /// They were kept, and their time is over.
    Expired,
    /// They were kept, and the key that sealed them was destroyed.
    Destroyed,
}

/// The prompt and answer of a call.
#[derive(Object)]
pub struct RequestBody {
    /// The call.
    pub id: Wire<RequestId>,
    /// What became of them when the call ended.
    pub state: BodyStateView,
    /// What is left of them.
    pub presence: BodyPresence,
    /// The request as the client sent it, without personal data where that was asked for.
    #[oai(nullable)]
    pub request: Option<String>,
    /// The answer as the provider sent it, events and all, without personal data where that was asked for.
    #[oai(nullable)]
    pub response: Option<String>,
    /// How many bytes of the request passed.
    #[oai(nullable)]
    pub request_bytes: Option<u64>,
    /// How many bytes of the answer passed.
    #[oai(nullable)]
    pub response_bytes: Option<u64>,
    /// Whether personal data was taken out before they were kept.
    #[oai(nullable)]
    pub redacted: Option<bool>,
    /// For how long they were to be kept.
    #[oai(nullable)]
    pub body_retention: Option<BodyRetention>,
    /// When their time is over; null if never.
    #[oai(nullable)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl RequestBody {
    const fn without(id: RequestId, state: BodyState, presence: BodyPresence) -> Self {
        let state = match state {
            BodyState::None => BodyStateView::None,
            BodyState::Sealed => BodyStateView::Sealed,
            BodyState::Truncated => BodyStateView::Truncated,
            BodyState::DroppedZdr => BodyStateView::DroppedZdr,
            BodyState::Unavailable => BodyStateView::Unavailable,
        };
        Self {
            id: Wire(id),
            state,
            presence,
            request: None,
            response: None,
            request_bytes: None,
            response_bytes: None,
            redacted: None,
            body_retention: None,
            expires_at: None,
        }
    }

    const fn is_shown(&self) -> bool {
        matches!(self.presence, BodyPresence::Present)
    }
}

pub(crate) struct BodiesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1")]
impl BodiesApi {
    /// Read a call's prompt and answer
    ///
    /// For people who are signed in, and never for programs. Each time they are shown stands in the account's audit.
    #[oai(
        path = "/requests/:id/body",
        method = "get",
        operation_id = "get_request_body",
        tag = "Tag::Requests"
    )]
    async fn get(&self, caller: Caller, id: Path<Wire<RequestId>>) -> Result<Json<RequestBody>, ApiError> {
        let tenant = caller.require(Permission::BodiesRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let body = read(&self.0, &mut conn, id.0.0).await?;
        if body.is_shown() {
            viewed(&self.0, &mut conn, caller.principal().by(), id.0.0, None).await?;
            // Written down before it is shown.
            conn.commit().await?;
        }
        Ok(Json(body))
    }

    /// Read the prompt and answer of a tenant's call
    ///
    /// Only while the tenant gives leave. Each time stands in the tenant's audit and in the operators' record, and so
    /// does each refusal.
    #[oai(
        path = "/operator/tenants/:tenant_id/requests/:id/body",
        method = "get",
        operation_id = "get_operator_request_body",
        tag = "Tag::Operator"
    )]
    async fn get_as_operator(
        &self,
        caller: Caller,
        tenant_id: Path<Wire<TenantId>>,
        id: Path<Wire<RequestId>>,
    ) -> Result<Json<RequestBody>, ApiError> {
        let by = record::operator(&caller)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant_id.0.0).await?;
        // Held until the commit: leave that is taken back meanwhile waits for this to be written down.
        let Some(leave) = conn.holding_support_grant(now).await? else {
            drop(conn);
            self.note(by, "bodies.refused", None).await?;
            let detail = "the tenant gives no leave to read its prompts and answers at present";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        };
        let body = read(&self.0, &mut conn, id.0.0).await?;
        if body.is_shown() {
            // Whose they are is not said to the operators' record: an erasure would not find it there. The leave's id
            // leads to it for as long as there is an account.
            self.note(by, "bodies.viewed", Some(leave.id.to_string())).await?;
            viewed(&self.0, &mut conn, by, id.0.0, Some(leave.id.to_string())).await?;
            conn.commit().await?;
        }
        Ok(Json(body))
    }
}

impl BodiesApi {
    async fn note(&self, by: By, action: &'static str, target: Option<String>) -> Result<(), ApiError> {
        let event = by.event(&self.0, action, target, json!({}));
        Ok(self.0.store.system().await?.note_operator_event(&event).await?)
    }
}

/// Writes into the tenant's audit that somebody reads a call's prompt and answer.
async fn viewed(
    parts: &ApiParts,
    conn: &mut TenantConn,
    by: By,
    id: RequestId,
    leave: Option<String>,
) -> Result<(), ApiError> {
    let change = leave.map_or_else(|| json!({}), |leave| json!({ "support_grant": leave }));
    Ok(by.did(parts, conn, ("bodies.viewed", Some(id.to_string())), change).await?)
}

/// What is left of a call's prompt and answer. [`ApiError::not_found`] where the tenant has no such call.
async fn read(parts: &ApiParts, conn: &mut TenantConn, id: RequestId) -> Result<RequestBody, ApiError> {
    let fact = conn.request(id).await?;
    let gone = |presence| Ok(RequestBody::without(id, fact.body, presence));
    if !fact.body.is_kept() {
        return gone(BodyPresence::NeverKept);
    }
    let wanted = conn.privacy().await?.body_class;
    let cap = parts.forever_body_days;
    let stored = conn.request_body(id).await?;
    let stored = stored.filter(|body| !body.is_expired_at(parts.clock.now(), wanted, cap));
    let Some(StoredBody { sealed, started_at }) = stored else { return gone(BodyPresence::Expired) };
    let Some(keys) = subject_keys(parts, conn, sealed.subject, sealed.key_version).await? else {
        return gone(BodyPresence::Destroyed);
    };
    let tenant = conn.tenant_id();
    let open = |column, text: &[u8]| {
        let place = SealedFor { tenant, table: "request_body", column, row: id.uuid() };
        let opened = keys.open(&place, text).map_err(|error| unreadable(id, error))?;
        Ok::<_, ApiError>(String::from_utf8_lossy(&opened).into_owned())
    };
    let class = sealed.class.shorter(wanted);
    Ok(RequestBody {
        request: Some(open("sealed_request", &sealed.sealed_request)?),
        response: Some(open("sealed_response", &sealed.sealed_response)?),
        request_bytes: Some(sealed.request_bytes),
        response_bytes: Some(sealed.response_bytes),
        redacted: Some(sealed.redacted),
        body_retention: Some(class.into()),
        expires_at: class.expires_at(started_at, cap),
        ..RequestBody::without(id, fact.body, BodyPresence::Present)
    })
}

/// The key that a body was sealed under; `None` once it is destroyed.
async fn subject_keys(
    parts: &ApiParts,
    conn: &mut TenantConn,
    subject: ApiKeyId,
    version: u32,
) -> Result<Option<SubjectKeys>, ApiError> {
    let found = conn.subject_keys(subject).await?;
    let key = found.into_iter().find(|key| key.version == version).and_then(|key| key.wrapped);
    Ok(key.map(|wrapped| parts.keyring.subject(conn.tenant_id(), subject.uuid(), &[(version, wrapped)])))
}

fn unreadable(id: RequestId, error: SealError) -> ApiError {
    tracing::error!(
        request.id = %id, error = &error as &dyn std::error::Error,
        "a sealed prompt or answer does not open"
    );
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
