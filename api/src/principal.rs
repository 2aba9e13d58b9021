//! Who calls the management API, and what they may do.
//!
//! A signed-in person may do what its role allows; an API key may read what it produces. The scheme is the parameter
//! that yields the principal, so an operation cannot forget it; a permission is asked for by type.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Actor;
use costlens_domain::keys::KeyScopes;
use costlens_domain::ports::Clock;
use costlens_domain::{ApiKeyId, Problem, ProblemCode, RequestId, Role, SessionId, TenantId, UserId};
use costlens_edge::Arrival;
use costlens_store::{FoundKey, Session, Store, StoreError};
use costlens_vault::TokenHash;
use poem::http::{Method, StatusCode, header};
use poem::{Request, Response};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::{ApiKey, Bearer};

use crate::audit::By;
use crate::error::{ApiError, problem_response};
use crate::opening::BY_PROVIDER;
pub use crate::permissions::Permission;

/// How long after a person proved who it is dangerous changes ask for no new proof.
pub(crate) const FRESH: TimeDelta = TimeDelta::minutes(15);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A signed-in browser.
    Session(SessionId),
    /// A program with an API key.
    Key(ApiKeyId),
}

/// What a person is told whose proof is too old.
pub(crate) const PROVE_ANEW: &str =
    "enter your password or a code once more (POST /api/v1/session/proof), then try again";

/// A caller that was let in.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Principal {
    /// Whose data it sees.
    pub tenant_id: TenantId,
    /// Who it is.
    pub who: Who,
    /// The person, where one is signed in.
    pub user: Option<UserId>,
    /// As what it belongs to the tenant.
    pub role: Role,
    /// What the key may be used for, where a program calls.
    pub scopes: KeyScopes,
    /// Whether it proved who it is a short while ago.
    pub fresh: bool,
    /// Whether its last proof was by two factors.
    pub two_factors: bool,
    /// Whether it may only look.
    pub read_only: bool,
    /// Whether its organisation's own identity provider vouched for it, which vouches in that organisation alone.
    pub by_provider: bool,
    /// Whether it runs the service.
    pub operator: bool,
    /// Whether the account is being closed: then it is frozen, and can only be kept or let go.
    pub closing: bool,
    /// The request that it calls by.
    pub request_id: Option<RequestId>,
    /// The network address that it calls from.
    pub address: Option<IpAddr>,
}

impl Principal {
    /// Whoever calls by a session that is valid at this moment.
    pub(crate) fn of_session(
        session: &Session,
        closing: bool,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            tenant_id: session.tenant_id,
            who: Who::Session(session.id),
            user: session.user_id,
            role: session.role,
            scopes: KeyScopes::ALL,
            fresh: now - session.proven_at < FRESH,
            two_factors: session.two_factors,
            read_only: session.read_only,
            by_provider: session.method == BY_PROVIDER,
            operator: session.operator,
            closing,
            request_id: request_id(request),
            address: address(request),
        }
    }

    /// The tenant, if the caller may do this there.
    pub fn require(&self, permission: Permission) -> Result<TenantId, ApiError> {
        use Permission::{AccountClose, Operate};
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
        if let Who::Key(_) = self.who {
            let Some(scope) = permission.key_scope() else {
                let detail = "API keys read requests, spend and bills, and hand in calls; this needs a signed-in session";
                return Err(ApiError::new(ProblemCode::Forbidden, detail));
            };
            if !self.scopes.has(scope) {
                let detail = format!("this API key lacks the scope `{}`", scope.as_str());
                return Err(ApiError::new(ProblemCode::Forbidden, detail));
            }
            return Ok(self.tenant_id);
        }
        if !permission.only_reads() {
            self.may_change()?;
        }
        if permission != Operate && !permission.is_of(self.role) {
            let detail = format!("this needs the role {}; yours is {}", permission.least_role(), self.role);
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        Ok(self.tenant_id)
    }

    /// The same for a dangerous change: it also wants a fresh proof of who asks.
    pub fn require_fresh(&self, permission: Permission) -> Result<TenantId, ApiError> {
        let tenant = self.require(permission)?;
        if self.fresh {
            return Ok(tenant);
        }
        let detail = if self.by_provider {
            "let your organisation's identity provider ask you once more (POST /api/v1/single-sign-on/trips with `anew`), \
             then try again"
        } else if self.user.is_some() {
            PROVE_ANEW
        } else {
            "your sign-in is too old for this; use a new link of `costlens sign-in`"
        };
        Err(ApiError::new(ProblemCode::StepUpRequired, detail))
    }

    /// That it may do itself whatever a key with these scopes may: who makes a key, or learns its secret, has what the key
    /// has.
    pub fn require_scopes(&self, scopes: KeyScopes) -> Result<(), ApiError> {
        for permission in Permission::ALL {
            if permission.key_scope().is_some_and(|scope| scopes.has(scope)) {
                self.require(*permission)?;
            }
        }
        Ok(())
    }

    /// That it may change what is its own: not where somebody acts in the person's name.
    pub fn may_change(&self) -> Result<(), ApiError> {
        if self.read_only {
            let detail = "who acts in another's name may look, and change nothing";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        Ok(())
    }

    /// The person and its session, for what is the person's own.
    pub fn own_user(&self) -> Result<(UserId, SessionId), ApiError> {
        match (self.who, self.user) {
            (Who::Session(session), Some(user)) => Ok((user, session)),
            _ => Err(ApiError::new(ProblemCode::Forbidden, "this is for people who signed in as themselves")),
        }
    }

    /// The person and its session, for what the person signs in with. Its organisation's own provider vouches in one
    /// organisation, and a password or the like opens all of the person's.
    pub fn own_credentials(&self) -> Result<(UserId, SessionId), ApiError> {
        if self.by_provider {
            let detail =
                "your organisation's identity provider let you in, and cannot change how you sign in here";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        self.own_user()
    }

    /// The same for a change of it, which wants a fresh proof of who asks. Whoever may not at all hears that first.
    pub fn own_credentials_anew(&self) -> Result<(UserId, SessionId), ApiError> {
        let own = self.own_credentials()?;
        self.require_fresh(Permission::OwnUser)?;
        self.may_change()?;
        Ok(own)
    }

    /// As whom it stands in the audit.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        match (self.who, self.user) {
            (_, Some(user)) => Actor::User(user),
            (Who::Session(id), None) => Actor::Session(id),
            (Who::Key(id), None) => Actor::Key(id),
        }
    }

    /// As whom it stands in the audit, with its request.
    pub(crate) const fn by(&self) -> By {
        By { actor: self.actor(), request_id: self.request_id, address: self.address }
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

/// Refuses a call that a page of another origin makes by a cookie of this one.
pub(crate) fn refuse_other_origins(request: &Request) -> Result<(), ApiError> {
    if is_of_another_origin(request) {
        return Err(ApiError::new(ProblemCode::Forbidden, "the call comes from another origin"));
    }
    Ok(())
}

fn address(request: &Request) -> Option<IpAddr> {
    request.data::<Arrival>().map(|arrival| arrival.client_addr)
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

/// Who calls, where that was found out before the framework looks for a credential.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted(pub(crate) Principal);

async fn check_session(request: &Request, cookie: ApiKey) -> poem::Result<Principal> {
    if let Some(Admitted(principal)) = request.data::<Admitted>() {
        return Ok(*principal);
    }
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
    let now = gate.clock.now();
    let (session, closing) = session.filter(|(session, _)| session.is_valid_at(now)).ok_or_else(invalid)?;
    Ok(Principal::of_session(&session, closing, request, now))
}

/// Who is signed in, for operations that browsers come to by a link and that are for others, too.
pub(crate) async fn optional_session(request: &Request) -> Option<Principal> {
    let key = crate::cookies::incoming(request, crate::cookies::SESSION_COOKIE)?.to_owned();
    check_session(request, ApiKey { key }).await.ok()
}

/// Whoever presents an API key where the framework looks for no credential.
pub(crate) async fn by_key(gate: Gate, request: &mut Request, token: String) -> Result<Principal, ApiError> {
    let refused = Refused::default();
    request.extensions_mut().insert(gate);
    request.extensions_mut().insert(refused.clone());
    check_key(request, Bearer { token }).await.map_err(|_| {
        let internal = || Problem::new(ProblemCode::Internal, "a key was refused without a reason");
        refused.0.get().cloned().unwrap_or_else(internal).into()
    })
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
        Some(FoundKey { key, .. }) if key.revoked_at.is_some() => {
            Err(refuse(request, Problem::new(ProblemCode::KeyRevoked, "this API key has been revoked")))
        }
        Some(found) if found.has_expired(gate.clock.now()) => {
            let detail = "this API key is past its end, or was rolled and this is its earlier secret";
            Err(refuse(request, Problem::new(ProblemCode::KeyExpired, detail)))
        }
        Some(FoundKey { key, closing, .. }) => Ok(Principal {
            tenant_id: key.tenant_id,
            who: Who::Key(key.id),
            user: None,
            // What a key may do is said by its scopes, whatever the role.
            role: Role::Viewer,
            scopes: key.scopes,
            fresh: false,
            two_factors: false,
            read_only: false,
            by_provider: false,
            operator: false,
            closing,
            request_id: request_id(request),
            address: address(request),
        }),
    }
}
