//! Who belongs to the organisation, as what, and who is asked to.
//!
//! An owner is never left out: the last one can neither step down nor be removed. Only owners make owners. Dangerous
//! changes want a fresh proof of who asks.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{InvitationId, ProblemCode, Role, TenantId, UserId};
use costlens_jobs::people::SendInvitation;
use costlens_store::{Invitation, Member, SystemTx, TenantConn, User, UserMail, UserMailState};
use costlens_vault::{LinkPurpose, link_token, read_link_token};
use poem::Request;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::limits::{self, Try};
use crate::opening::{self, Proof};
use crate::principal::{Caller, Permission, Principal, optional_session};
use crate::registrations::{address, create_user, used_up};
use crate::sessions::{RoleView, SessionView, view};
use crate::users::new_password;
use crate::wire::Wire;
use crate::{ApiParts, Tag, named};

/// How long an invitation can be accepted.
const INVITATION_LIFE: TimeDelta = TimeDelta::days(7);
/// The most open invitations of an organisation.
const MOST_INVITATIONS: usize = 100;

/// Somebody who belongs to the organisation.
#[derive(Object)]
#[oai(rename = "Member")]
pub struct MemberView {
    /// The person.
    pub user_id: Wire<UserId>,
    /// What it calls itself.
    pub name: String,
    /// Where mail goes.
    pub email: String,
    /// As what it belongs.
    pub role: RoleView,
    /// Whether it signs in with two factors.
    pub second_factor: bool,
    /// Since when it belongs.
    pub joined_at: DateTime<Utc>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            user_id: Wire(member.user_id),
            name: member.name,
            email: member.email,
            role: member.role.into(),
            second_factor: member.second_factor,
            joined_at: member.created_at,
        }
    }
}

/// Everybody who belongs to the organisation.
#[derive(Object)]
pub struct Members {
    /// The members, oldest first.
    pub items: Vec<MemberView>,
}

/// What is to change of a member.
#[derive(Object)]
pub struct UpdateMember {
    /// As what it belongs from now on.
    pub role: RoleView,
}

/// A member is none any more.
#[derive(ApiResponse)]
pub enum MemberRemoved {
    /// Its sessions here have ended.
    #[oai(status = 204)]
    Removed,
}

/// Somebody asked to become a member.
#[derive(Object)]
#[oai(rename = "Invitation")]
pub struct InvitationView {
    /// The invitation.
    pub id: Wire<InvitationId>,
    /// Where its mail goes.
    pub email: String,
    /// As what.
    pub role: RoleView,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// From when it can no longer be accepted.
    pub expires_at: DateTime<Utc>,
    /// How far its mail is: `queued`, `sending`, `sent`, `unknown`, `refused` or `expired`.
    pub mail: String,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: Wire(invitation.id),
            email: invitation.email,
            role: invitation.role.into(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            mail: invitation.mail.state.as_str().to_owned(),
        }
    }
}

/// Whom the organisation asked and has no answer from.
#[derive(Object)]
pub struct Invitations {
    /// The invitations, newest first.
    pub items: Vec<InvitationView>,
}

/// Somebody to be asked.
#[derive(Object)]
pub struct CreateInvitation {
    /// Where the mail is to go.
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
    /// As what.
    pub role: RoleView,
}

/// An invitation, and its link.
#[derive(Object)]
pub struct InvitationSent {
    /// The invitation.
    #[oai(flatten)]
    pub invitation: InvitationView,
    /// Where no mail is sent, the link that it would hold, to be handed on in another way. Whoever has it can accept.
    /// Shown once; absent from a repeated answer, and where mail is sent: who reads the mail proves that the address is
    /// its own, and nobody else may.
    #[oai(nullable)]
    pub link: Option<String>,
}

/// Somebody is asked.
#[derive(ApiResponse)]
pub enum InvitationCreated {
    /// The invitation; a mail is on its way.
    #[oai(status = 201)]
    Created(Json<InvitationSent>),
}

/// An invitation was taken back.
#[derive(ApiResponse)]
pub enum InvitationRevoked {
    /// It can no longer be accepted.
    #[oai(status = 204)]
    Revoked,
}

/// What makes a member of whoever read the mail.
#[derive(Object)]
pub struct AcceptInvitation {
    /// What stands behind `#t=` in the mail's link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
    /// What to be called; for those who are no user yet.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    /// The password; for those who are no user yet.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 1000))]
    pub password: Option<String>,
}

/// Somebody became a member.
#[derive(ApiResponse)]
pub enum InvitationAccepted {
    /// A new user, who is signed in.
    #[oai(status = 201)]
    SignedIn(Json<SessionView>),
    /// Somebody who is a user already, and signs in as ever.
    #[oai(status = 204)]
    Joined,
}

pub(crate) struct MembersApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Members")]
impl MembersApi {
    /// List who belongs to the organisation
    #[oai(path = "/members", method = "get", operation_id = "list_members")]
    async fn list(&self, caller: Caller) -> Result<Json<Members>, ApiError> {
        let tenant = caller.principal().require(Permission::MembersRead)?;
        let members = self.0.store.tenant(tenant).await?.list_members().await?;
        Ok(Json(Members { items: members.into_iter().map(Into::into).collect() }))
    }

    /// Give a member another role
    ///
    /// Only owners make owners and change them. The last owner stays one. What a member with less to say from now on asked
    /// others for is taken back.
    #[oai(path = "/members/:user_id", method = "patch", operation_id = "update_member")]
    async fn update(
        &self,
        caller: Caller,
        /// The person.
        user_id: Path<Wire<UserId>>,
        body: Json<UpdateMember>,
    ) -> Result<Json<MemberView>, ApiError> {
        self.0.local_people()?;
        let tenant = caller.principal().require_fresh(Permission::MembersWrite)?;
        let (user, role) = (user_id.0.0, Role::from(body.0.role));
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.lock_members().await?;
        let before = conn.member(user).await?;
        may_decide(caller.principal(), before.role.max(role))?;
        if before.role == Role::Owner && role != Role::Owner {
            another_owner(&mut conn, user).await?;
        }
        conn.set_member_role(user, role).await?;
        if role < before.role {
            conn.revoke_invitations_of(user, self.0.clock.now()).await?;
        }
        let change = json!({ "role": { "before": before.role.as_str(), "after": role.as_str() } });
        caller
            .principal()
            .by()
            .did(&self.0, &mut conn, (Action::RoleChanged, Some(user.to_string())), change)
            .await?;
        let view = MemberView::from(conn.member(user).await?);
        conn.commit().await?;
        Ok(Json(view))
    }

    /// Remove a member
    ///
    /// Its sessions here end at once, and its invitations are taken back; what else it made stays. So do keys whose secret
    /// it saw (`shown_to`), which programs use: roll them. The last owner stays. Everybody may remove itself.
    #[oai(path = "/members/:user_id", method = "delete", operation_id = "remove_member")]
    async fn remove(
        &self,
        caller: Caller,
        /// The person.
        user_id: Path<Wire<UserId>>,
    ) -> Result<MemberRemoved, ApiError> {
        self.0.local_people()?;
        let user = user_id.0.0;
        let itself = caller.principal().user == Some(user);
        let wanted = if itself { Permission::OwnUser } else { Permission::MembersWrite };
        let tenant = caller.principal().require_fresh(wanted)?;
        caller.principal().may_change()?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.lock_members().await?;
        let before = conn.member(user).await?;
        if !itself {
            may_decide(caller.principal(), before.role)?;
        }
        if before.role == Role::Owner {
            another_owner(&mut conn, user).await?;
        }
        conn.remove_member(user, self.0.clock.now()).await?;
        let change = json!({ "role": before.role.as_str(), "itself": itself });
        caller
            .principal()
            .by()
            .did(&self.0, &mut conn, (Action::MemberRemoved, Some(user.to_string())), change)
            .await?;
        conn.commit().await?;
        Ok(MemberRemoved::Removed)
    }

    /// List whom the organisation asked
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations")]
    async fn invitations(&self, caller: Caller) -> Result<Json<Invitations>, ApiError> {
        let tenant = caller.principal().require(Permission::InvitationsRead)?;
        let invitations = self.0.store.tenant(tenant).await?.list_invitations().await?;
        Ok(Json(Invitations { items: invitations.into_iter().map(Into::into).collect() }))
    }

    /// Ask somebody to become a member
    ///
    /// The address gets a mail with a link that works once, for seven days. Asking with the role of an owner or admin
    /// wants a fresh proof of who asks.
    #[oai(path = "/invitations", method = "post", operation_id = "create_invitation")]
    async fn invite(
        &self,
        request: &Request,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateInvitation>,
    ) -> Result<InvitationCreated, ApiError> {
        self.0.local_people()?;
        let tenant = caller.principal().require(Permission::MembersWrite)?;
        let role = Role::from(body.0.role);
        may_decide(caller.principal(), role)?;
        if role.administers() {
            caller.principal().require_fresh(Permission::MembersWrite)?;
        }
        let email = address(&body.0.email)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), "create_invitation", key, &body.0, now)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(json) => {
                    return Ok(InvitationCreated::Created(Json(idempotent::again(&json)?)));
                }
            };
        limits::take(&self.0, request, Try::Invitation { tenant: &tenant.to_string() }).await?;
        conn.lock_members().await?;
        if conn.list_members().await?.iter().any(|member| member.email.eq_ignore_ascii_case(&email)) {
            return Err(ApiError::new(
                ProblemCode::Conflict,
                "somebody with this address is a member already",
            ));
        }
        conn.clear_expired_invitations(&email, now).await?;
        let open = conn.list_invitations().await?;
        if open.iter().filter(|invitation| invitation.is_open_at(now)).count() >= MOST_INVITATIONS {
            let detail =
                format!("at most {MOST_INVITATIONS} invitations are open at once; take one back first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let invitation = Invitation {
            id: InvitationId::new(now, self.0.entropy.for_id()),
            email,
            role,
            invited_by: caller.principal().actor().to_string(),
            created_at: now,
            expires_at: now + INVITATION_LIFE,
            accepted_at: None,
            revoked_at: None,
            mail: UserMail { state: UserMailState::Queued, doubts: 0 },
        };
        conn.create_invitation(&invitation).await?;
        costlens_jobs::ask(&mut conn, &SendInvitation { tenant, invitation: invitation.id }).await?;
        let change = json!({ "role": role.as_str() });
        let target = (Action::InvitationCreated, Some(invitation.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        // What is kept for a repeated call holds no link: it is a credential.
        let kept = InvitationSent { invitation: invitation.clone().into(), link: None };
        claim.finish(&mut conn, &kept).await?;
        conn.commit().await?;
        let link = if self.0.mail_configured { None } else { Some(self.link(tenant, &invitation)?) };
        Ok(InvitationCreated::Created(Json(InvitationSent { link, ..kept })))
    }

    /// Take an invitation back
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke(
        &self,
        caller: Caller,
        /// The invitation.
        id: Path<Wire<InvitationId>>,
    ) -> Result<InvitationRevoked, ApiError> {
        let tenant = caller.principal().require(Permission::MembersWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        if conn.revoke_invitation(id.0.0, self.0.clock.now()).await? {
            let target = (Action::InvitationRevoked, Some(id.0.0.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
            conn.commit().await?;
        }
        Ok(InvitationRevoked::Revoked)
    }

    /// Become a member
    ///
    /// Who is no user yet gives a name and a password and is signed in. Who signs in with the invited address already
    /// becomes a member where it is signed in as that, and is asked to sign in first where it is not: nobody joins an
    /// organisation by somebody else's hand.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept(
        &self,
        request: &Request,
        body: Json<AcceptInvitation>,
    ) -> Result<InvitationAccepted, ApiError> {
        limits::take(&self.0, request, Try::Link).await?;
        self.0.local_people()?;
        let (tenant, row) =
            read_link_token(&self.0.keyring, LinkPurpose::Invitation, &body.0.token).ok_or_else(used_up)?;
        let now = self.0.clock.now();
        let hash = match &body.0.password {
            Some(password) => Some(new_password(&self.0, "password", password).await?),
            None => None,
        };
        let mut tx = self.0.store.system().await?.begin().await?;
        let accepted = tx.system()?.accept_invitation(tenant, InvitationId::from(row), now).await?;
        let invitation = accepted.ok_or_else(used_up)?;
        let account = tx.system()?.tenant_by_id(tenant).await?;
        if account.closing_at.is_some() {
            return Err(used_up());
        }
        let known = tx.system()?.signs_in_by_itself(&invitation.email).await?;
        let user = match hash {
            _ if known => invited(&mut tx, request, &invitation.email).await?,
            Some(hash) => {
                let name = named(body.0.name.as_deref().unwrap_or_default())?;
                create_user(&self.0, &mut tx, (name, &invitation.email, Some(hash.0)), now).await?
            }
            None => {
                return Err(ApiError::field("password", "is needed, with a name, by who is no user yet"));
            }
        };
        tx.system()?.join(tenant, user.id, invitation.role, now).await?;
        let by = By::of(request, Actor::User(user.id));
        let change = json!({ "role": invitation.role.as_str() });
        let event = by.event(&self.0, Action::InvitationAccepted, Some(invitation.id.to_string()), change);
        tx.system()?.audit_of(tenant, &event).await?;
        if known {
            tx.commit().await?;
            return Ok(InvitationAccepted::Joined);
        }
        let memberships = tx.system()?.memberships(user.id).await?;
        let membership = opening::membership(memberships, Some(tenant))?;
        let proof = Proof::by("invitation", false);
        let opened = opening::open(&self.0, &mut tx, request, (&user, &membership), &proof, None).await?;
        tx.commit().await?;
        opened.give(&self.0, request);
        view(&self.0, opened.id).await.map(|view| InvitationAccepted::SignedIn(Json(view)))
    }
}

impl MembersApi {
    fn link(&self, tenant: TenantId, invitation: &Invitation) -> Result<String, ApiError> {
        let token = link_token(&self.0.keyring, LinkPurpose::Invitation, tenant, invitation.id.uuid());
        Ok(self.0.link(&format!("/invitation#t={token}"))?.as_str().to_owned())
    }
}

/// Whoever is signed in under the invited address. The link is no proof of that: somebody may have handed it on.
async fn invited(tx: &mut SystemTx, request: &Request, email: &str) -> Result<User, ApiError> {
    let first =
        "somebody signs in with the invited address already: sign in with it, then open the link again";
    let refused = || ApiError::new(ProblemCode::Conflict, first);
    let principal = optional_session(request).await.ok_or_else(refused)?;
    principal.may_change()?;
    let (user, _) = principal.own_credentials()?;
    let user = tx.system()?.hold_user(user).await?;
    if user.email.eq_ignore_ascii_case(email) { Ok(user) } else { Err(refused()) }
}

/// Nobody decides about a role above its own.
fn may_decide(principal: &Principal, role: Role) -> Result<(), ApiError> {
    if role <= principal.role {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Forbidden, "only owners decide about owners"))
}

/// There is an owner besides this one.
async fn another_owner(conn: &mut TenantConn, but: UserId) -> Result<(), ApiError> {
    let members = conn.list_members().await?;
    if members.iter().any(|member| member.role == Role::Owner && member.user_id != but) {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Conflict, "an organisation keeps an owner; make somebody else one first"))
}
