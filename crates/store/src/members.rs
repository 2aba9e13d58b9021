//! A tenant's members and whom it asked to become one.

use chrono::{DateTime, Utc};
use costlens_domain::audit::Actor;
use costlens_domain::{InvitationId, Role, TenantId, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::schema::{invitation, member, session, user_account};
use crate::user_links::{UserMail, UserMailState};
use crate::{StoreError, SystemConn, TenantConn};

/// Somebody who belongs to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// What it calls itself.
    pub name: String,
    /// Where mail goes.
    pub email: String,
    /// As what it belongs.
    pub role: Role,
    /// Whether it signs in with two factors.
    pub second_factor: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// Somebody asked to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Where the mail goes.
    pub email: String,
    /// As what.
    pub role: Role,
    /// By whom, as the audit names it.
    pub invited_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// From when it can no longer be accepted.
    pub expires_at: DateTime<Utc>,
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// How far its mail is.
    pub mail: UserMail,
}

impl Invitation {
    /// Whether it can be accepted at this moment.
    #[must_use]
    pub fn is_open_at(&self, at: DateTime<Utc>) -> bool {
        self.accepted_at.is_none() && self.revoked_at.is_none() && at < self.expires_at
    }
}

impl TenantConn {
    /// Nobody else changes members or invitations until this transaction is over: how many owners there are, and how
    /// many invitations, is counted and changed as one.
    pub async fn lock_members(&mut self) -> Result<(), StoreError> {
        // The number is this lock's own: the first bytes of "members" in ASCII.
        diesel::sql_query(
            "SELECT pg_advisory_xact_lock(1835363682, hashtext(current_setting('costlens.tenant')))",
        )
        .execute(self.conn()?)
        .await?;
        Ok(())
    }

    /// The members, oldest first; a tenant has some hundreds at most.
    pub async fn list_members(&mut self) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> = member::table
            .inner_join(user_account::table)
            .filter(member::tenant_id.eq(self.tenant_id().uuid()))
            .order((member::created_at, member::user_id))
            .select(MEMBER)
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(Member::try_from).collect()
    }

    /// One member.
    pub async fn member(&mut self, user: UserId) -> Result<Member, StoreError> {
        let row: MemberRow = member::table
            .inner_join(user_account::table)
            .filter(member::tenant_id.eq(self.tenant_id().uuid()))
            .filter(member::user_id.eq(user.uuid()))
            .select(MEMBER)
            .first(self.conn()?)
            .await?;
        row.try_into()
    }

    /// Gives a member another role. [`StoreError::NotFound`] if it is none.
    pub async fn set_member_role(&mut self, user: UserId, role: Role) -> Result<(), StoreError> {
        let row = member::table.find((self.tenant_id().uuid(), user.uuid()));
        let changed = diesel::update(row).set(member::role.eq(role.as_str())).execute(self.conn()?).await?;
        if changed == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Takes back whatever a member asked others for: it may no longer. Says how many invitations that were.
    pub async fn revoke_invitations_of(
        &mut self,
        user: UserId,
        at: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let open = invitation::table
            .filter(invitation::tenant_id.eq(self.tenant_id().uuid()))
            .filter(invitation::invited_by.eq(Actor::User(user).to_string()))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null());
        Ok(diesel::update(open).set(invitation::revoked_at.eq(at)).execute(self.conn()?).await?)
    }

    /// Removes a member, ends its sessions here, and takes back its invitations. [`StoreError::NotFound`] if it is none.
    pub async fn remove_member(&mut self, user: UserId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let of = self.tenant_id().uuid();
        let removed = diesel::delete(member::table.find((of, user.uuid()))).execute(self.conn()?).await?;
        if removed == 0 {
            return Err(StoreError::NotFound);
        }
        let open = session::table
            .filter(session::tenant_id.eq(of))
            .filter(session::user_id.eq(user.uuid()))
            .filter(session::ended_at.is_null());
        diesel::update(open).set(session::ended_at.eq(at)).execute(self.conn()?).await?;
        self.revoke_invitations_of(user, at).await?;
        Ok(())
    }

    /// Asks somebody. A conflict on `invitation_open` means that it is asked already.
    pub async fn create_invitation(&mut self, new: &Invitation) -> Result<(), StoreError> {
        diesel::insert_into(invitation::table)
            .values((
                invitation::tenant_id.eq(self.tenant_id().uuid()),
                invitation::id.eq(new.id.uuid()),
                invitation::email.eq(&new.email),
                invitation::role.eq(new.role.as_str()),
                invitation::invited_by.eq(&new.invited_by),
                invitation::created_at.eq(new.created_at),
                invitation::expires_at.eq(new.expires_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Whom the tenant asked and has no answer from, the newest first; expired ones included.
    pub async fn list_invitations(&mut self) -> Result<Vec<Invitation>, StoreError> {
        let rows: Vec<InvitationRow> = invitation::table
            .filter(invitation::tenant_id.eq(self.tenant_id().uuid()))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null())
            .order(invitation::id.desc())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(Invitation::try_from).collect()
    }

    /// One invitation, ended ones included.
    pub async fn invitation(&mut self, id: InvitationId) -> Result<Invitation, StoreError> {
        let row = invitation::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: InvitationRow = row.first(self.conn()?).await?;
        row.try_into()
    }

    /// Takes an invitation back. Says whether it was open; [`StoreError::NotFound`] if there is none.
    pub async fn revoke_invitation(
        &mut self,
        id: InvitationId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.invitation(id).await?;
        let open = invitation::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null());
        Ok(diesel::update(open).set(invitation::revoked_at.eq(at)).execute(self.conn()?).await? > 0)
    }

    /// Takes back every invitation to this address that ran out, so that it can be asked anew.
    pub async fn clear_expired_invitations(
        &mut self,
        email: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let out = invitation::table
            .filter(invitation::tenant_id.eq(self.tenant_id().uuid()))
            .filter(invitation::email.eq(email))
            .filter(invitation::expires_at.le(at))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null());
        diesel::update(out).set(invitation::revoked_at.eq(at)).execute(self.conn()?).await?;
        Ok(())
    }

    /// Moves an invitation's mail on, if it is in the state that it is thought to be in; says whether it was.
    pub async fn move_invitation_mail(
        &mut self,
        id: InvitationId,
        from: UserMail,
        to: UserMail,
    ) -> Result<bool, StoreError> {
        let doubts = |mail: UserMail| i32::try_from(mail.doubts).unwrap_or(i32::MAX);
        let row = invitation::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(invitation::mail_state.eq(from.state.as_str()))
            .filter(invitation::mail_doubts.eq(doubts(from)));
        let moved = diesel::update(row)
            .set((invitation::mail_state.eq(to.state.as_str()), invitation::mail_doubts.eq(doubts(to))));
        Ok(moved.execute(self.conn()?).await? > 0)
    }
}

impl SystemConn {
    /// Accepts an invitation: of any number of tries at once one gets it. `None` if it is unknown or no longer open.
    pub async fn accept_invitation(
        &mut self,
        tenant: TenantId,
        id: InvitationId,
        at: DateTime<Utc>,
    ) -> Result<Option<Invitation>, StoreError> {
        let open = invitation::table
            .find((tenant.uuid(), id.uuid()))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null())
            .filter(invitation::expires_at.gt(at));
        let row: Option<InvitationRow> = diesel::update(open)
            .set(invitation::accepted_at.eq(at))
            .get_result(&mut self.conn)
            .await
            .optional()?;
        row.map(Invitation::try_from).transpose()
    }
}

type MemberRow = (Uuid, String, String, String, Option<DateTime<Utc>>, DateTime<Utc>);

impl SystemConn {
    /// Accepts the open invitation of one tenant to an address, whose reader the tenant's own provider vouched for.
    pub async fn accept_invitation_of(
        &mut self,
        tenant: TenantId,
        email: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<Invitation>, StoreError> {
        let open = invitation::table
            .filter(invitation::tenant_id.eq(tenant.uuid()))
            .filter(invitation::email.eq(email))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null())
            .filter(invitation::expires_at.gt(at));
        let row: Option<InvitationRow> = diesel::update(open)
            .set(invitation::accepted_at.eq(at))
            .get_result(&mut self.conn)
            .await
            .optional()?;
        row.map(Invitation::try_from).transpose()
    }

    /// Whether a tenant asked whoever reads this address, and waits for an answer.
    pub async fn is_invited(
        &mut self,
        tenant: TenantId,
        email: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let open = invitation::table
            .filter(invitation::tenant_id.eq(tenant.uuid()))
            .filter(invitation::email.eq(email))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null())
            .filter(invitation::expires_at.gt(at));
        Ok(diesel::select(diesel::dsl::exists(open)).get_result(&mut self.conn).await?)
    }

    /// Accepts every open invitation to an address, whose reader somebody vouched for.
    pub async fn accept_invitations_to(
        &mut self,
        email: &str,
        at: DateTime<Utc>,
    ) -> Result<Vec<(TenantId, Invitation)>, StoreError> {
        let open = invitation::table
            .filter(invitation::email.eq(email))
            .filter(invitation::accepted_at.is_null())
            .filter(invitation::revoked_at.is_null())
            .filter(invitation::expires_at.gt(at));
        let rows: Vec<InvitationRow> =
            diesel::update(open).set(invitation::accepted_at.eq(at)).get_results(&mut self.conn).await?;
        rows.into_iter().map(|row| Ok((row.tenant_id.into(), row.try_into()?))).collect()
    }
}

const MEMBER: (
    member::user_id,
    user_account::name,
    user_account::email,
    member::role,
    user_account::totp_confirmed_at,
    member::created_at,
) = (
    member::user_id,
    user_account::name,
    user_account::email,
    member::role,
    user_account::totp_confirmed_at,
    member::created_at,
);

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from((user, name, email, role, totp, created_at): MemberRow) -> Result<Self, StoreError> {
        let role = named("member.role", &role, |name| name.parse().ok())?;
        Ok(Self { user_id: user.into(), name, email, role, second_factor: totp.is_some(), created_at })
    }
}

#[derive(Queryable)]
struct InvitationRow {
    tenant_id: Uuid,
    id: Uuid,
    email: String,
    role: String,
    invited_by: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    accepted_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    mail_state: String,
    mail_doubts: i32,
}

impl TryFrom<InvitationRow> for Invitation {
    type Error = StoreError;

    fn try_from(row: InvitationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            email: row.email,
            role: named("invitation.role", &row.role, |name| name.parse().ok())?,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            accepted_at: row.accepted_at,
            revoked_at: row.revoked_at,
            mail: UserMail {
                state: named("invitation.mail_state", &row.mail_state, UserMailState::from_name)?,
                doubts: u32::try_from(row.mail_doubts).unwrap_or_default(),
            },
        })
    }
}
