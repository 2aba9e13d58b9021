//! Signing in, staying signed in, and out again.
//!
//! Three ways lead in: a single-use link from the operator's command line, an e-mail address with its password (and a
//! second factor, where one is set up), and a code that a browser got after somebody else vouched for its person.
//! A session lives for an hour. Where that is allowed, a refresh token continues it up to a week, one token after the
//! other; one that is used twice ends the sign-in, because two have it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::members::normal_email;
use costlens_domain::{ProblemCode, Role, SessionId, TenantId, UserId};
use costlens_identity::PasswordHash;
use costlens_store::{Continued, NewSession, Session, SystemTx, User};
use costlens_vault::secret_token::SESSION_PREFIX;
use costlens_vault::{SecretToken, TokenHash};
use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::cookies::{self, Binding, Outgoing, REFRESH_COOKIE};
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::{self, Continues, Proof, SESSION_LIFE};
use crate::principal::{FRESH, SessionAuth, Who};
use crate::wire::Wire;
use crate::{ApiParts, Tag, known_browser, second_factor};

/// A sign-in link's token.
#[derive(Object)]
pub struct CreateSession {
    /// What stands behind `#t=` in the link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
}

/// An e-mail address and its password.
#[derive(Object)]
pub struct CreatePasswordSession {
    /// The address.
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
    /// The password.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub password: String,
    /// The authenticator's code, or a recovery code; asked for by `second_factor_required`.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub code: Option<String>,
    /// Which organisation to see; by default the first.
    #[oai(default, skip_serializing_if_is_none)]
    pub tenant_id: Option<Wire<TenantId>>,
}

/// A fresh proof of who is signed in.
#[derive(Object)]
pub struct ProveSession {
    /// The password, for those who have one.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 1000))]
    pub password: Option<String>,
    /// The authenticator's code, or a recovery code, for those who set a second factor up.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub code: Option<String>,
}

/// Another organisation of the person's.
#[derive(Object)]
pub struct SwitchTenant {
    /// The organisation to see.
    pub tenant_id: Wire<TenantId>,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "Role", rename_all = "snake_case")]
pub enum RoleView {
    /// Looks at spend, bills and budgets.
    Viewer,
    /// Uses the proxy: has keys, sees calls.
    Member,
    /// Works with the figures: uploads bills, sets budgets.
    Analyst,
    /// Runs the account day by day, but for its owners and its end.
    Admin,
    /// May do everything, and closes the account.
    Owner,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Member => Self::Member,
            Role::Analyst => Self::Analyst,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}

impl From<RoleView> for Role {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Viewer => Self::Viewer,
            RoleView::Member => Self::Member,
            RoleView::Analyst => Self::Analyst,
            RoleView::Admin => Self::Admin,
            RoleView::Owner => Self::Owner,
        }
    }
}

/// A person, as it sees itself.
#[derive(Object)]
#[oai(rename = "SessionUser")]
pub struct SessionUser {
    /// The person.
    pub id: Wire<UserId>,
    /// What it calls itself.
    pub name: String,
    /// Where mail goes.
    pub email: String,
}

/// Who is signed in.
#[derive(Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// The session.
    pub id: Wire<SessionId>,
    /// Whose console it sees.
    pub tenant_id: Wire<TenantId>,
    /// What the tenant's people call it.
    pub tenant_name: String,
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
    /// Until when the sign-in can be continued; null where it ends with the session.
    #[oai(nullable)]
    pub continues_until: Option<DateTime<Utc>>,
    /// Until when dangerous changes ask for no new proof.
    pub proven_until: DateTime<Utc>,
    /// Who is signed in; null for who came by a link from the operator's command line.
    #[oai(nullable)]
    pub user: Option<SessionUser>,
    /// As what.
    pub role: RoleView,
    /// How: `link`, `password`, `google`, `github`, `clerk`, `oidc`, `registration` or `invitation`.
    pub method: String,
    /// Whether by two factors.
    pub two_factors: bool,
    /// Whether it may only look, because somebody acts in the person's name.
    pub read_only: bool,
    /// Whether who is signed in runs the service.
    pub operator: bool,
    /// Since when the account is being closed; null while it is open.
    #[oai(nullable)]
    pub closing_at: Option<DateTime<Utc>>,
}

/// A session was opened.
#[derive(ApiResponse)]
pub enum SignedIn {
    /// The session; its token is in the cookie alone (HTTP-only, SameSite=Strict).
    #[oai(status = 201)]
    Created(Json<SessionView>),
}

/// A session was ended.
#[derive(ApiResponse)]
pub enum SignedOut {
    /// It lets nobody in any more, and its cookies are taken away.
    #[oai(status = 204)]
    Ended,
}

pub(crate) struct SessionsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl SessionsApi {
    /// Sign in with a single-use link
    ///
    /// Uses the link up. Of any number of tries at once, one gets a session.
    #[oai(path = "/sessions", method = "post", operation_id = "create_session")]
    async fn create(&self, request: &Request, body: Json<CreateSession>) -> Result<SignedIn, ApiError> {
        limits::take(&self.0, request, Try::SignInLink).await?;
        let now = self.0.clock.now();
        let token = SecretToken::generate(SESSION_PREFIX, &*self.0.entropy);
        let new = NewSession {
            id: SessionId::new(now, self.0.entropy.for_id()),
            hash: token.hash().0,
            expires_at: now + SESSION_LIFE,
        };
        let mut tx = self.0.store.system().await?.begin().await?;
        let link = TokenHash::of(&body.0.token).0;
        let Some(session) = tx.system()?.redeem_sign_in_link(&link, &new, now).await? else {
            let of = tx.system()?.refused_link(&link, now).await?;
            let (tenant, why) = of.map_or((None, "unknown"), |(tenant, why)| (Some(tenant), why));
            note_refusal(&self.0, tx, request, tenant, ("link", why)).await?;
            let detail = "the link is unknown, used or expired; `costlens sign-in` prints a new one";
            return Err(ApiError::new(ProblemCode::SignInLinkInvalid, detail));
        };
        // The session and the record of it are there together, or neither.
        if session.operator {
            let by = By::of(request, Actor::Operator(session.id));
            let event = by.event(&self.0, Action::SessionOpened, None, json!({}));
            tx.system()?.note_operator_event(&event).await?;
        }
        let by = By::of(request, Actor::Session(session.id));
        let change = json!({ "method": "link", "operator": session.operator });
        let event = by.event(&self.0, Action::SessionOpened, Some(session.id.to_string()), change);
        tx.system()?.audit_of(session.tenant_id, &event).await?;
        tx.commit().await?;
        let out = Outgoing::of(request);
        Binding { https: self.0.https }.session(&out, token.reveal(), SESSION_LIFE.num_seconds());
        self.view(session.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// Sign in with an e-mail address and a password
    ///
    /// A wrong password and an unknown address get the same answer in the same time. Where a second factor is set up,
    /// the right password alone is answered with `second_factor_required`; the same call with `code` signs in.
    #[oai(path = "/sessions/password", method = "post", operation_id = "create_password_session")]
    async fn create_with_password(
        &self,
        request: &Request,
        body: Json<CreatePasswordSession>,
    ) -> Result<SignedIn, ApiError> {
        self.0.local_people()?;
        let body = body.0;
        let (password, code) = (&body.password, body.code.as_deref());
        let proven = by_password(&self.0, request, &body.email, (password, code)).await?;
        let PasswordProof { user, two_factors, known } = proven;
        let memberships = self.0.store.system().await?.memberships(user.id).await?;
        let membership = opening::membership(memberships, body.tenant_id.map(|id| id.0))?;
        if membership.by_single_sign_on {
            note_refused_user(&self.0, request, Some(user.id), "single_sign_on");
        }
        let mut tx = self.0.store.system().await?.begin().await?;
        let proof = Proof::by("password", two_factors);
        let opened = opening::open(&self.0, &mut tx, request, (&user, &membership), &proof, None).await?;
        tx.commit().await?;
        limits::forgive(&self.0, &user.email, known.as_deref()).await;
        opened.give(&self.0, request);
        self.view(opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// Continue a sign-in
    ///
    /// Takes the refresh cookie, which this uses up, and sets new cookies. A refresh that is used twice ends the
    /// sign-in for everybody who has it.
    #[oai(path = "/session/refresh", method = "post", operation_id = "refresh_session")]
    async fn refresh(&self, request: &Request) -> Result<SignedIn, ApiError> {
        limits::take(&self.0, request, Try::Refresh).await?;
        self.0.local_people()?;
        crate::principal::refuse_other_origins(request)?;
        let invalid = || ApiError::new(ProblemCode::SessionInvalid, "sign in again");
        let token = cookies::incoming(request, REFRESH_COOKIE).ok_or_else(invalid)?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.system().await?.begin().await?;
        let before = match tx.system()?.continue_sign_in(&TokenHash::of(token).0, now).await? {
            Continued::From(before) => before,
            Continued::Refused => return Err(invalid()),
            Continued::Stolen(tenant, user) => {
                let actor = user.map_or(Actor::Link, Actor::User);
                let by = By::of(request, actor);
                let event = by.event(&self.0, Action::SessionRefreshReused, None, json!({}));
                tx.system()?.audit_of(tenant, &event).await?;
                tx.commit().await?;
                return Err(invalid());
            }
        };
        let user = before.user_id.ok_or_else(invalid)?;
        let user = tx.system()?.user(user).await?;
        let memberships = tx.system()?.memberships(user.id).await?;
        let membership = opening::membership(memberships, Some(before.tenant_id)).map_err(|_| invalid())?;
        // What the person has become since may end with the hour.
        let another_way = membership.by_single_sign_on;
        if membership.role.administers() || membership.one_hour || another_way {
            return Err(invalid());
        }
        let (proof, continues) = going_on(&before);
        let opened =
            opening::open(&self.0, &mut tx, request, (&user, &membership), &proof, Some(continues)).await?;
        tx.commit().await?;
        opened.give(&self.0, request);
        self.view(opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// Who is signed in
    #[oai(path = "/session", method = "get", operation_id = "get_session")]
    async fn get(&self, auth: SessionAuth) -> Result<Json<SessionView>, ApiError> {
        let Who::Session(id) = auth.0.who else { return Err(ApiError::not_found()) };
        self.view(id).await.map(Json)
    }

    /// Prove anew who is signed in
    ///
    /// Dangerous changes want a proof of the last quarter of an hour, and answer `step_up_required` without one.
    #[oai(path = "/session/proof", method = "post", operation_id = "prove_session")]
    async fn prove(
        &self,
        request: &Request,
        auth: SessionAuth,
        body: Json<ProveSession>,
    ) -> Result<Json<SessionView>, ApiError> {
        let (user, session) = auth.0.own_credentials()?;
        limits::take(&self.0, request, Try::Proof { user: &user.to_string() }).await?;
        let user = self.0.store.system().await?.user(user).await?;
        let refused = || {
            note_refused_user(&self.0, request, Some(user.id), "proof");
            ApiError::new(ProblemCode::SignInRefused, "this is not right")
        };
        if user.password_hash.is_none() && user.totp_confirmed_at.is_none() {
            let detail =
                "you have neither a password nor a second factor here; sign out and in again instead";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        if let Some(hash) = user.password_hash.clone().map(PasswordHash) {
            let password = body.0.password.as_deref().ok_or_else(refused)?;
            if !self.0.passwords.verify(password, Some(&hash)).await? {
                return Err(refused());
            }
        }
        let two_factors = user.totp_confirmed_at.is_some();
        if two_factors {
            let code = body.0.code.as_deref().ok_or_else(|| {
                ApiError::new(ProblemCode::SecondFactorRequired, "send the authenticator's code as well")
            })?;
            if !second_factor::accept(&self.0, &user, code).await? {
                return Err(refused());
            }
        }
        let now = self.0.clock.now();
        self.0.store.system().await?.prove_session(session, two_factors, now).await?;
        self.view(session).await.map(Json)
    }

    /// See another of one's organisations
    ///
    /// The session ends, and one of the other organisation takes its place. Where sign-ins end after an hour, that one ends
    /// an hour after the last proof of who asks, and an older proof is to be made anew before.
    #[oai(path = "/session/tenant", method = "post", operation_id = "switch_tenant")]
    async fn switch(
        &self,
        request: &Request,
        auth: SessionAuth,
        body: Json<SwitchTenant>,
    ) -> Result<SignedIn, ApiError> {
        self.0.local_people()?;
        let (user, session) = auth.0.own_user()?;
        if auth.0.by_provider {
            let detail = "your organisation's identity provider vouches for you there alone; sign in anew";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        let mut tx = self.0.store.system().await?.begin().await?;
        // Held before the session is looked at: whatever ends all of the person's sign-ins waits, and finds the new one.
        let user = tx.system()?.hold_user(user).await?;
        let memberships = tx.system()?.memberships(user.id).await?;
        let wanted = memberships.into_iter().find(|of| of.tenant.id == body.0.tenant_id.0);
        let wanted = wanted.ok_or_else(ApiError::not_found)?;
        let before = tx.system()?.session(session).await?;
        if !tx.system()?.end_session(session, self.0.clock.now()).await? {
            return Err(ApiError::new(ProblemCode::SessionInvalid, "sign in again"));
        }
        let (proof, continues) = going_on(&before);
        let opened =
            opening::open(&self.0, &mut tx, request, (&user, &wanted), &proof, Some(continues)).await?;
        let by = By::of(request, Actor::User(user.id));
        let event = by.event(&self.0, Action::SessionSwitched, Some(opened.id.to_string()), json!({}));
        tx.system()?.audit_of(wanted.tenant.id, &event).await?;
        tx.commit().await?;
        opened.give(&self.0, request);
        self.view(opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// Sign out
    #[oai(path = "/session", method = "delete", operation_id = "delete_session")]
    async fn delete(&self, request: &Request, auth: SessionAuth) -> Result<SignedOut, ApiError> {
        if let Who::Session(id) = auth.0.who {
            let mut tx = self.0.store.system().await?.begin().await?;
            tx.system()?.end_session(id, self.0.clock.now()).await?;
            let event = auth.0.by().event(&self.0, Action::SessionEnded, Some(id.to_string()), json!({}));
            tx.system()?.audit_of(auth.0.tenant_id, &event).await?;
            tx.commit().await?;
        }
        Binding { https: self.0.https }.sign_out(&Outgoing::of(request));
        Ok(SignedOut::Ended)
    }
}

impl SessionsApi {
    async fn view(&self, id: SessionId) -> Result<SessionView, ApiError> {
        view(&self.0, id).await
    }
}

/// Somebody who proved by its password who it is.
pub(crate) struct PasswordProof {
    pub(crate) user: User,
    pub(crate) two_factors: bool,
    /// What names the browser, where its person came in there before.
    known: Option<String>,
}

/// Proves by address, password and second factor who somebody is. A wrong password and an unknown address get the same
/// answer in the same time.
pub(crate) async fn by_password(
    parts: &Arc<ApiParts>,
    request: &Request,
    email: &str,
    (password, code): (&str, Option<&str>),
) -> Result<PasswordProof, ApiError> {
    let refused = || {
        let detail = "the e-mail address or the password is not right";
        ApiError::new(ProblemCode::SignInRefused, detail)
    };
    let email = normal_email(email).ok_or_else(refused)?;
    let user = parts.store.system().await?.user_by_login(&email).await?;
    let known = user.as_ref().and_then(|user| known_browser::name(parts, request, user.id));
    limits::take(parts, request, Try::SignIn { email: &email, known: known.as_deref() }).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone()).map(PasswordHash);
    let right = parts.passwords.verify(password, hash.as_ref()).await?;
    let why = match &user {
        Some(user) if right && user.disabled_at.is_some() => "disabled",
        Some(_) if !right => "password",
        _ => "unknown",
    };
    let known_user = user.as_ref().map(|user| user.id);
    let Some(user) = user.filter(|user| right && user.disabled_at.is_none()) else {
        note_refused_user(parts, request, known_user, why);
        return Err(refused());
    };
    let two_factors = second_factor::required(parts, request, &user, code).await?;
    if let Some(old) = hash.filter(PasswordHash::is_outdated) {
        let new = parts.passwords.hash(password).await?;
        parts.store.system().await?.upgrade_password_hash(user.id, &old.0, &new.0).await?;
    }
    Ok(PasswordProof { user, two_factors, known })
}

/// Writes down that somebody was not let in, in every organisation that the person belongs to. Behind the answer:
/// an address that somebody has takes no longer to refuse than one that nobody has.
pub(crate) fn note_refused_user(
    parts: &Arc<ApiParts>,
    request: &Request,
    user: Option<UserId>,
    why: &'static str,
) {
    let by = By::of(request, Actor::Nobody);
    let parts = Arc::clone(parts);
    tokio::spawn(async move {
        let noted = async {
            let mut tx = parts.store.system().await?.begin().await?;
            let memberships = match user {
                Some(user) => tx.system()?.memberships(user).await?,
                None => Vec::new(),
            };
            let tenants: Vec<_> = memberships.iter().map(|of| Some(of.tenant.id)).collect();
            for tenant in if tenants.is_empty() { vec![None] } else { tenants } {
                let change = json!({ "method": "password", "reason": why });
                let target = user.map(|user| user.to_string());
                let event = by.event(&parts, Action::SessionRefused, target, change);
                tx.system()?.note_refusal(tenant, &event).await?;
            }
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a refused sign-in is not written down");
        }
    });
}

/// Writes down that somebody was not let in, and why: in the account whose link it was, if it was one's.
pub(crate) async fn note_refusal(
    parts: &ApiParts,
    mut tx: SystemTx,
    request: &Request,
    tenant: Option<TenantId>,
    (method, why): (&str, &str),
) -> Result<(), ApiError> {
    let change = json!({ "method": method, "reason": why });
    let event = By::of(request, Actor::Nobody).event(parts, Action::SessionRefused, None, change);
    tx.system()?.note_refusal(tenant, &event).await?;
    tx.commit().await?;
    tracing::info!(reason = why, "somebody was not let in");
    Ok(())
}

/// A session as its browser sees it.
pub(crate) async fn view(parts: &ApiParts, id: SessionId) -> Result<SessionView, ApiError> {
    let mut system = parts.store.system().await?;
    let session = system.session(id).await?;
    let user = match session.user_id {
        Some(user) => Some(system.user(user).await?),
        None => None,
    };
    drop(system);
    let tenant = parts.store.tenant(session.tenant_id).await?.tenant().await?;
    Ok(SessionView {
        id: Wire(session.id),
        tenant_id: Wire(tenant.id),
        tenant_name: tenant.name,
        expires_at: session.expires_at,
        continues_until: session.refresh_expires_at,
        proven_until: session.proven_at + FRESH,
        user: user.map(|user| SessionUser { id: Wire(user.id), name: user.name, email: user.email }),
        role: session.role.into(),
        method: session.method,
        two_factors: session.two_factors,
        read_only: session.read_only,
        operator: session.operator,
        closing_at: tenant.closing_at,
    })
}

/// The proof and the sign-in of a session that goes on in another.
fn going_on(before: &Session) -> (Proof, Continues) {
    let outer = before.outer_session.clone().map(|outer| (outer, before.expires_at));
    let proof = Proof {
        method: before.method.clone(),
        two_factors: before.two_factors,
        outer,
        // Who it is was written down when the session opened.
        impersonator: before.read_only.then(String::new),
        proven_at: None,
    };
    let continues = Continues {
        sign_in_id: before.sign_in_id,
        proven_at: before.proven_at,
        refresh_expires_at: before.refresh_expires_at,
    };
    (proof, continues)
}
