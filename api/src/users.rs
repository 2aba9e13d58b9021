//! One's own user: name, password, sign-ins, organisations.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, SessionId, TenantId, UserId, UserLinkId};
use costlens_identity::{BadPassword, PasswordError, PasswordHash, Passwords};
use costlens_jobs::people::send_user_link;
use costlens_store::{SystemTx, User, UserLink, UserLinkPurpose, UserMail, UserMailState};
use poem::Request;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::principal::{Permission, Principal, SessionAuth};
use crate::sessions::RoleView;
use crate::wire::Wire;
use crate::{ApiParts, Tag, named};

/// An organisation that somebody belongs to.
#[derive(Object)]
#[oai(rename = "Membership")]
pub struct MembershipView {
    /// The organisation.
    pub tenant_id: Wire<TenantId>,
    /// What its people call it.
    pub tenant_name: String,
    /// As what.
    pub role: RoleView,
}

/// Who else vouches for somebody.
#[derive(Object)]
#[oai(rename = "Identity")]
pub struct IdentityView {
    /// Who vouches, by its address.
    pub issuer: String,
    /// Since when.
    pub linked_at: DateTime<Utc>,
}

/// One's own user.
#[derive(Object)]
#[oai(rename = "User")]
pub struct UserView {
    /// The person.
    pub id: Wire<UserId>,
    /// What it calls itself.
    pub name: String,
    /// Where mail goes, and what signs in with the password.
    pub email: String,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether a second factor is asked for.
    pub second_factor: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: u32,
    /// Who else vouches for the person.
    pub identities: Vec<IdentityView>,
    /// The organisations it belongs to.
    pub memberships: Vec<MembershipView>,
}

/// What is to change of one's own user. What is absent stays.
#[derive(Object)]
pub struct UpdateUser {
    /// What to be called.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
}

/// A new password.
#[derive(Object)]
pub struct ChangePassword {
    /// The password so far, for those who have one.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 1000))]
    pub current: Option<String>,
    /// The password from now on: at least 10 characters, at most 71 bytes.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub new: String,
}

/// The password is another.
#[derive(ApiResponse)]
pub enum PasswordChanged {
    /// Every other sign-in has ended.
    #[oai(status = 204)]
    Changed,
}

/// One of somebody's sign-ins.
#[derive(Object)]
#[oai(rename = "SignIn")]
pub struct SignInView {
    /// The sign-in.
    pub id: Wire<SessionId>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// The organisation it sees.
    pub tenant_name: String,
    /// How it came about.
    pub method: String,
    /// Whether by two factors.
    pub two_factors: bool,
    /// The browser, in its own words.
    #[oai(nullable)]
    pub browser: Option<String>,
    /// When it was last continued, or began.
    pub since: DateTime<Utc>,
    /// From when it is over, if it is not continued.
    pub expires_at: DateTime<Utc>,
    /// Until when it can be continued.
    #[oai(nullable)]
    pub continues_until: Option<DateTime<Utc>>,
}

/// One's own sign-ins.
#[derive(Object)]
pub struct SignIns {
    /// The sign-ins, newest first.
    pub items: Vec<SignInView>,
}

/// A sign-in is over.
#[derive(ApiResponse)]
pub enum SignInEnded {
    /// It lets nobody in any more.
    #[oai(status = 204)]
    Ended,
}

pub(crate) struct UsersApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Users")]
impl UsersApi {
    /// Look at one's own user
    #[oai(path = "/user", method = "get", operation_id = "get_user")]
    async fn get(&self, auth: SessionAuth) -> Result<Json<UserView>, ApiError> {
        auth.0.require(Permission::OwnUser)?;
        let (user, _) = auth.0.own_user()?;
        self.view(user, &auth.0).await.map(Json)
    }

    /// Change one's own user
    #[oai(path = "/user", method = "patch", operation_id = "update_user")]
    async fn update(&self, auth: SessionAuth, body: Json<UpdateUser>) -> Result<Json<UserView>, ApiError> {
        auth.0.require(Permission::OwnUser)?;
        auth.0.may_change()?;
        self.0.local_people()?;
        let (user, _) = auth.0.own_user()?;
        if let Some(name) = &body.0.name {
            let name = named(name)?;
            let mut tx = self.0.store.system().await?.begin().await?;
            tx.system()?.rename_user(user, name).await?;
            told_of_user(&self.0, &mut tx, &auth.0, user, (Action::UserRenamed, json!({}))).await?;
            tx.commit().await?;
        }
        self.view(user, &auth.0).await.map(Json)
    }

    /// Change one's password
    ///
    /// Ends every other sign-in, and tells the person by mail.
    #[oai(path = "/user/password", method = "put", operation_id = "change_password")]
    async fn change_password(
        &self,
        request: &Request,
        auth: SessionAuth,
        body: Json<ChangePassword>,
    ) -> Result<PasswordChanged, ApiError> {
        self.0.local_people()?;
        let (user, session) = auth.0.own_credentials_anew()?;
        limits::take(&self.0, request, Try::Proof { user: &user.to_string() }).await?;
        let user = self.0.store.system().await?.user(user).await?;
        if let Some(hash) = user.password_hash.clone().map(PasswordHash) {
            let current = body.0.current.as_deref().unwrap_or_default();
            if !self.0.passwords.verify(current, Some(&hash)).await? {
                return Err(ApiError::new(ProblemCode::SignInRefused, "the password so far is not right"));
            }
        }
        let hash = new_password(&self.0, "new", &body.0.new).await?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.system().await?.begin().await?;
        let locked = tx.system()?.lock_user(user.id).await?;
        if locked.password_hash != user.password_hash {
            return Err(ApiError::new(ProblemCode::Conflict, "the password was changed meanwhile"));
        }
        tx.system()?.set_password(user.id, &hash.0, now).await?;
        let kept = tx.system()?.session(session).await?.sign_in_id;
        tx.system()?.end_sign_ins(user.id, Some(kept), now).await?;
        // Whoever read the person's mail until now may hold one.
        tx.system()?.void_user_links(&user.email, UserLinkPurpose::PasswordReset, now).await?;
        mail(&self.0, &mut tx, UserLinkPurpose::PasswordChanged, (&user.email, Some(user.id))).await?;
        told_of_user(&self.0, &mut tx, &auth.0, user.id, (Action::PasswordChanged, json!({}))).await?;
        tx.commit().await?;
        Ok(PasswordChanged::Changed)
    }

    /// List one's own sign-ins
    #[oai(path = "/user/sign-ins", method = "get", operation_id = "list_sign_ins")]
    async fn list(&self, auth: SessionAuth) -> Result<Json<SignIns>, ApiError> {
        auth.0.require(Permission::OwnUser)?;
        let (user, session) = auth.0.own_user()?;
        let mut system = self.0.store.system().await?;
        let own = system.session(session).await?.sign_in_id;
        let items = system.sign_ins(user, self.0.clock.now()).await?;
        let visible = items.into_iter().filter(|(session, _)| shows(&auth.0, session.tenant_id));
        let items = visible.map(|(session, tenant_name)| SignInView {
            id: Wire(session.sign_in_id),
            current: session.sign_in_id == own,
            tenant_name,
            method: session.method,
            two_factors: session.two_factors,
            browser: session.browser,
            since: session.created_at,
            expires_at: session.expires_at,
            continues_until: session.refresh_expires_at,
        });
        Ok(Json(SignIns { items: items.collect() }))
    }

    /// End one of one's own sign-ins
    #[oai(path = "/user/sign-ins/:id", method = "delete", operation_id = "end_sign_in")]
    async fn end(
        &self,
        auth: SessionAuth,
        /// The sign-in.
        id: Path<Wire<SessionId>>,
    ) -> Result<SignInEnded, ApiError> {
        auth.0.require(Permission::OwnUser)?;
        auth.0.may_change()?;
        let (user, _) = auth.0.own_user()?;
        let mut tx = self.0.store.system().await?.begin().await?;
        // One that is just going on in another organisation would be missed.
        tx.system()?.lock_user(user).await?;
        let open = tx.system()?.sign_ins(user, self.0.clock.now()).await?;
        let another = open.iter().any(|(of, _)| of.sign_in_id == id.0.0 && !shows(&auth.0, of.tenant_id));
        if another || !tx.system()?.end_sign_in(user, id.0.0, self.0.clock.now()).await? {
            return Err(ApiError::not_found());
        }
        let change = json!({ "sign_in": id.0.0.to_string() });
        told_of_user(&self.0, &mut tx, &auth.0, user, (Action::SessionRevoked, change)).await?;
        tx.commit().await?;
        Ok(SignInEnded::Ended)
    }
}

impl UsersApi {
    async fn view(&self, user: UserId, principal: &Principal) -> Result<UserView, ApiError> {
        let mut system = self.0.store.system().await?;
        let user = system.user(user).await?;
        let left = system.recovery_codes_left(user.id).await?;
        let identities = system.user_identities(user.id).await?.into_iter();
        let memberships = system.memberships(user.id).await?.into_iter();
        let memberships = memberships.filter(|of| shows(principal, of.tenant.id));
        Ok(UserView {
            id: Wire(user.id),
            name: user.name,
            email: user.email,
            has_password: user.password_hash.is_some(),
            second_factor: user.totp_confirmed_at.is_some(),
            recovery_codes_left: u32::try_from(left).unwrap_or_default(),
            identities: identities
                .map(|identity| IdentityView { issuer: identity.issuer, linked_at: identity.created_at })
                .collect(),
            memberships: memberships
                .map(|of| MembershipView {
                    tenant_id: Wire(of.tenant.id),
                    tenant_name: of.tenant.name,
                    role: of.role.into(),
                })
                .collect(),
        })
    }
}

/// Whether somebody sees what it has in an organisation: all of it, or, where an organisation's own provider let it in,
/// what it has there. Whoever runs that provider could be the one who looks.
fn shows(principal: &Principal, tenant: TenantId) -> bool {
    !principal.by_provider || principal.tenant_id == tenant
}

/// Hashes a password that is to become somebody's, or says why it may not.
pub(crate) async fn new_password(
    parts: &ApiParts,
    field: &str,
    password: &str,
) -> Result<PasswordHash, ApiError> {
    Passwords::check(password).map_err(|bad: BadPassword| ApiError::field(field, &bad.to_string()))?;
    Ok(parts.passwords.hash(password).await?)
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::new(
                ProblemCode::Unavailable,
                "too many sign in at this moment; try again in a few seconds",
            ),
            PasswordError::Broken(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a password cannot be looked at");
                Self::new(ProblemCode::Internal, "the cause has been logged under this request's id")
            }
        }
    }
}

/// How long a link in a mail to a person works.
pub(crate) const LINK_LIFE: TimeDelta = TimeDelta::hours(2);

/// Writes a mail to a person, and the job that sends it, in this transaction.
pub(crate) async fn mail(
    parts: &ApiParts,
    tx: &mut SystemTx,
    purpose: UserLinkPurpose,
    (email, user_id): (&str, Option<UserId>),
) -> Result<(), ApiError> {
    let now = parts.clock.now();
    let link = UserLink {
        id: UserLinkId::new(now, parts.entropy.for_id()),
        purpose,
        email: email.to_owned(),
        user_id,
        created_at: now,
        expires_at: now + LINK_LIFE,
        mail: UserMail { state: UserMailState::Queued, doubts: 0 },
    };
    tx.system()?.create_user_link(&link).await?;
    send_user_link(tx, link.id).await?;
    Ok(())
}

/// Tells a person that it signs in otherwise than before, in this transaction.
pub(crate) async fn tell_of_sign_in(
    parts: &ApiParts,
    tx: &mut SystemTx,
    user: &User,
) -> Result<(), ApiError> {
    mail(parts, tx, UserLinkPurpose::SignInChanged, (&user.email, Some(user.id))).await
}

/// What a person does to itself stands in the audit of every organisation it belongs to: each of them lets it in.
pub(crate) async fn told_of_user(
    parts: &ApiParts,
    tx: &mut SystemTx,
    principal: &Principal,
    user: UserId,
    (action, change): (Action, Value),
) -> Result<(), ApiError> {
    for membership in tx.system()?.memberships(user).await? {
        let event = principal.by().event(parts, action, Some(user.to_string()), change.clone());
        tx.system()?.audit_of(membership.tenant.id, &event).await?;
    }
    Ok(())
}
