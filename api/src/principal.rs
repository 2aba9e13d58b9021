//! Who calls the management API, and what they may do.
//!
//! A signed-in browser may do everything of its tenant; an API key may read what it produces. The scheme is the
//! parameter that yields the principal, so an operation cannot forget it; a permission is asked for by type.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use costlens_domain::audit::Actor;
use costlens_domain::ports::Clock;
use costlens_domain::{ApiKeyId, Problem, ProblemCode, RequestId, SessionId, TenantId};
use costlens_edge::Arrival;
use costlens_store::{Store, StoreError};
use costlens_vault::TokenHash;
use poem::http::{Method, StatusCode, header};
use poem::{Request, Response};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::{ApiKey, Bearer};

use crate::audit::By;
use crate::error::{ApiError, problem_response};

/// The cookie that carries a session. Strict, HTTP-only, and of no use to a program: it has API keys.
pub const SESSION_COOKIE: &str = "costlens_session";

/// What can be done with the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Permission {
    KeysRead,
    KeysWrite,
    ConnectionsRead,
    ConnectionsWrite,
    RequestsRead,
    SpendRead,
    BillsRead,
    BillsWrite,
    SettingsRead,
    SettingsWrite,
    NotificationsRead,
    NotificationsWrite,
    BudgetsRead,
    BudgetsWrite,
    WorkflowsRead,
    AuditRead,
    /// Reading prompts and answers, which no key may.
    BodiesRead,
    /// Making what is kept of a key's prompts and answers unreadable.
    BodiesDestroy,
    /// Letting whoever runs the service read prompts and answers.
    SupportAccess,
    /// Asking for the account's end, seeing how far it is, and keeping the account after all.
    AccountClose,
    /// Running the service: every tenant's workflows.
    Operate,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A signed-in browser, until then.
    Session(SessionId, DateTime<Utc>),
    /// A program with an API key.
    Key(ApiKeyId),
}

/// A caller that was let in.
#[derive(Clone, Copy, Debug)]
pub struct Principal {
    /// Whose data it sees.
    pub tenant_id: TenantId,
    /// Who it is.
    pub who: Who,
    /// Whether it runs the service.
    pub operator: bool,
    /// Whether the account is being closed: then it is frozen, and can only be kept or let go.
    pub closing: bool,
    /// The request that it calls by.
    pub request_id: Option<RequestId>,
}

impl Principal {
    /// The tenant, if the caller may do this there.
    pub fn require(&self, permission: Permission) -> Result<TenantId, ApiError> {
        use Permission::{AccountClose, BillsRead, Operate, RequestsRead, SpendRead};
        if permission == Operate && !self.operator {
            // Whoever does not run the service need not know that there is anything here.
            return Err(ApiError::not_found());
        }
        if self.closing && !matches!(permission, AccountClose | Operate) {
            return Err(ApiError::new(
                ProblemCode::AccountClosing,
                "this account is being closed and is frozen; it can be kept until the days of grace are over",
            ));
        }
        match self.who {
            Who::Session(..) => Ok(self.tenant_id),
            Who::Key(_) if matches!(permission, RequestsRead | SpendRead | BillsRead) => Ok(self.tenant_id),
            Who::Key(_) => Err(ApiError::new(
                ProblemCode::Forbidden,
                "API keys read requests, spend and bills; this needs a signed-in session",
            )),
        }
    }

    /// As whom it stands in the audit.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        match self.who {
            Who::Session(id, _) => Actor::Session(id),
            Who::Key(id) => Actor::Key(id),
        }
    }

    /// As whom it stands in the audit, with its request.
    pub(crate) const fn by(&self) -> By {
        By { actor: self.actor(), request_id: self.request_id }
    }
}

/// A session's cookie.
#[derive(SecurityScheme)]
#[oai(ty = "api_key", key_name = "costlens_session", key_in = "cookie", checker = "check_session")]
pub struct SessionAuth(pub Principal);

/// An API key, `acl_…`.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "acl_…", checker = "check_key")]
pub struct KeyAuth(pub Principal);

/// Either of the two.
#[derive(SecurityScheme)]
pub enum Caller {
    /// A signed-in browser.
    Session(SessionAuth),
    /// A program.
    Key(KeyAuth),
}

impl Caller {
    /// Who it is.
    pub const fn principal(&self) -> &Principal {
        match self {
            Self::Session(SessionAuth(principal)) | Self::Key(KeyAuth(principal)) => principal,
        }
    }

    /// The tenant, if the caller may do this there.
    pub fn require(&self, permission: Permission) -> Result<TenantId, ApiError> {
        self.principal().require(permission)
    }
}

/// What the checkers need; put into every request by the router.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why the credential that came with a request was refused. The framework tries one scheme after the other and
/// tells of the last alone; the caller should hear of the one it used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<OnceLock<Problem>>);

impl Refused {
    /// The refusal, in the place of an answer that says no credential was sent.
    pub(crate) fn instead_of(&self, response: Response) -> Response {
        match self.0.get() {
            Some(problem) if response.status() == StatusCode::UNAUTHORIZED => problem_response(problem),
            _ => response,
        }
    }
}

fn refuse(request: &Request, problem: Problem) -> poem::Error {
    let error = poem::Error::from_response(problem_response(&problem));
    if let Some(refused) = request.data::<Refused>() {
        // Of two bad credentials, the first is told.
        let _told_already = refused.0.set(problem);
    }
    error
}

fn unavailable(request: &Request, error: &StoreError) -> poem::Error {
    tracing::warn!(error = error as &dyn std::error::Error, "a credential cannot be checked");
    let detail = "the credential cannot be checked now; try again";
    refuse(request, Problem::new(ProblemCode::DatabaseUnavailable, detail))
}

fn gate(request: &Request) -> poem::Result<&Gate> {
    let problem = || Problem::new(ProblemCode::Internal, "the gate is missing");
    request.data::<Gate>().ok_or_else(|| refuse(request, problem()))
}

fn request_id(request: &Request) -> Option<RequestId> {
    request.data::<Arrival>().map(|arrival| arrival.request_id)
}

/// A page of another origin may not act with this cookie, even where a browser would send it along.
fn is_of_another_origin(request: &Request) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return false;
    }
    let Some(origin) = request.header(header::ORIGIN) else { return false };
    let host = request.header(header::HOST).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, authority)| authority != host)
}

async fn check_session(request: &Request, cookie: ApiKey) -> poem::Result<Principal> {
    let gate = gate(request)?;
    let invalid = || refuse(request, Problem::new(ProblemCode::SessionInvalid, "sign in again"));
    if is_of_another_origin(request) {
        return Err(refuse(
            request,
            Problem::new(ProblemCode::Forbidden, "the call comes from another origin"),
        ));
    }
    let mut conn = gate.store.system().await.map_err(|error| unavailable(request, &error))?;
    let session = conn
        .session_by_hash(&TokenHash::of(&cookie.key).0)
        .await
        .map_err(|error| unavailable(request, &error))?;
    let (session, closing) =
        session.filter(|(session, _)| session.is_valid_at(gate.clock.now())).ok_or_else(invalid)?;
    let who = Who::Session(session.id, session.expires_at);
    let (tenant_id, operator, request_id) = (session.tenant_id, session.operator, request_id(request));
    Ok(Principal { tenant_id, who, operator, closing, request_id })
}

async fn check_key(request: &Request, bearer: Bearer) -> poem::Result<Principal> {
    let gate = gate(request)?;
    let mut conn = gate.store.system().await.map_err(|error| unavailable(request, &error))?;
    let key = conn
        .key_by_hash(&TokenHash::of(&bearer.token).0)
        .await
        .map_err(|error| unavailable(request, &error))?;
    match key {
        None => Err(refuse(request, Problem::new(ProblemCode::KeyUnknown, "no API key has this secret"))),
        Some((key, _)) if key.revoked_at.is_some() => {
            Err(refuse(request, Problem::new(ProblemCode::KeyRevoked, "this API key has been revoked")))
        }
        Some((key, closing)) => {
            let (tenant_id, who, request_id) = (key.tenant_id, Who::Key(key.id), request_id(request));
            Ok(Principal { tenant_id, who, operator: false, closing, request_id })
        }
    }
}
