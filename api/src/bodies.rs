//! The prompt and answer of a call, for people alone, and each time written down.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::privacy::BodyState;
use costlens_domain::{ProblemCode, RequestId, TenantId};
use costlens_store::{SealedBody, StoredBody, SupportGrant, TenantConn};
use costlens_vault::{SealError, SealedFor};
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
    /// For administrators and owners who are signed in as themselves, and never for programs. Each time they are shown stands in the account's audit.
    #[oai(
        path = "/requests/:id/body",
        method = "get",
        operation_id = "get_request_body",
        tag = "Tag::Requests"
    )]
    async fn get(&self, caller: Caller, id: Path<Wire<RequestId>>) -> Result<Json<RequestBody>, ApiError> {
        let tenant = caller.require(Permission::BodiesRead)?;
        ready(&self.0, tenant, id.0.0).await?;
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
        if self.0.keyring.asks_a_service() {
            // Nobody's key is asked for without leave either.
            drop(self.with_leave(tenant_id.0.0, by).await?);
            ready(&self.0, tenant_id.0.0, id.0.0).await?;
        }
        let (mut conn, leave) = self.with_leave(tenant_id.0.0, by).await?;
        let body = read(&self.0, &mut conn, id.0.0).await?;
        if body.is_shown() {
            // Whose they are is not said to the operators' record: an erasure would not find it there. The leave's id
            // leads to it for as long as there is an account.
            self.note(by, Action::BodiesViewed, Some(leave.id.to_string())).await?;
            viewed(&self.0, &mut conn, by, id.0.0, Some(leave.id.to_string())).await?;
            conn.commit().await?;
        }
        Ok(Json(body))
    }
}

impl BodiesApi {
    /// The tenant's door with its leave, which stays until the transaction ends: one that is taken back meanwhile waits
    /// for what is done by it to be written down.
    async fn with_leave(&self, tenant: TenantId, by: By) -> Result<(TenantConn, SupportGrant), ApiError> {
        let mut conn = self.0.store.tenant(tenant).await?;
        if let Some(leave) = conn.holding_support_grant(self.0.clock.now()).await? {
            return Ok((conn, leave));
        }
        drop(conn);
        self.note(by, Action::BodiesRefused, None).await?;
        let detail = "the tenant gives no leave to read its prompts and answers at present";
        Err(ApiError::new(ProblemCode::Forbidden, detail))
    }

    async fn note(&self, by: By, action: Action, target: Option<String>) -> Result<(), ApiError> {
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
    Ok(by.did(parts, conn, (Action::BodiesViewed, Some(id.to_string())), change).await?)
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
    let Some(key) = wrapped_key(conn, &sealed).await? else { return gone(BodyPresence::Destroyed) };
    let tenant = conn.tenant_id();
    let keys = parts.keyring.subject(tenant, sealed.subject.uuid(), &[key]);
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

/// Brings the key that a body was sealed under into memory, where a key service has to be asked for it. To be called
/// before the transaction begins that opens, which is not held while the service thinks.
async fn ready(parts: &ApiParts, tenant: TenantId, id: RequestId) -> Result<(), ApiError> {
    if !parts.keyring.asks_a_service() {
        return Ok(());
    }
    let mut conn = parts.store.tenant(tenant).await?;
    let Some(StoredBody { sealed, .. }) = conn.request_body(id).await? else { return Ok(()) };
    let key = wrapped_key(&mut conn, &sealed).await?;
    drop(conn);
    if let Some(key) = key {
        let whose = (tenant, sealed.subject.uuid());
        let _said_by_whoever_opens = parts.keyring.ready_subject(whose, &[key]).await;
    }
    Ok(())
}

/// The key that a body was sealed under, wrapped, with its version; `None` once it is destroyed.
async fn wrapped_key(conn: &mut TenantConn, sealed: &SealedBody) -> Result<Option<(u32, Vec<u8>)>, ApiError> {
    let found = conn.subject_keys(sealed.subject).await?;
    let key = found.into_iter().find(|key| key.version == sealed.key_version);
    Ok(key.and_then(|key| Some((key.version, key.wrapped?))))
}

fn unreadable(id: RequestId, error: SealError) -> ApiError {
    if error.is_passing() {
        return ApiError::new(ProblemCode::KeysUnavailable, format!("{error}, so nothing can be read now"));
    }
    tracing::error!(
        request.id = %id, error = &error as &dyn std::error::Error,
        "a sealed prompt or answer does not open"
    );
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
