//! People: who vouches for them, and how they prove who they are.
//!
//! Read and written through [`SystemConn`] alone, because a person belongs to no one tenant. A person is known by
//! (issuer, subject). An address names a person only together with a password, and is otherwise where mail goes.

use chrono::{DateTime, Utc};
use costlens_domain::{Role, TenantId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{self, Binary, Text};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::schema::{member, recovery_code, tenant, user_account, user_identity};
use crate::tenants::TenantRow;
use crate::{StoreError, SystemConn, Tenant};

/// A person.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// What it calls itself.
    pub name: String,
    /// Where mail goes.
    pub email: String,
    /// The password's bcrypt hash, if there is a password.
    pub password_hash: Option<String>,
    /// When the password was last set.
    pub password_changed_at: Option<DateTime<Utc>>,
    /// The data key of its second factor, wrapped.
    pub wrapped_key: Vec<u8>,
    /// The second factor, sealed under that key.
    pub totp_secret: Option<Vec<u8>>,
    /// From when on the second factor is asked for.
    pub totp_confirmed_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it cannot sign in.
    pub disabled_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for User {
    /// Leaves out everything that helps to sign in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a new person is made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "they mean what they mean for a user")]
pub struct NewUser {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub password_hash: Option<String>,
    pub wrapped_key: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Who vouches for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdentity {
    /// Who vouches: `https://accounts.google.com`, `https://github.com`, a Clerk instance, a tenant's own provider.
    pub issuer: String,
    /// The person's name there, which never changes hands.
    pub subject: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A tenant that a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The tenant.
    pub tenant: Tenant,
    /// As what.
    pub role: Role,
    /// Whether the tenant wants this person to come by its own identity provider.
    pub by_single_sign_on: bool,
    /// Whether everybody of the tenant signs in anew after an hour: because it wants that, or because it lets us into an
    /// AWS account.
    pub one_hour: bool,
}

impl SystemConn {
    /// Makes a person. A conflict on `user_account_login` means that the address signs somebody in by password.
    pub async fn create_user(&mut self, new: &NewUser) -> Result<(), StoreError> {
        diesel::insert_into(user_account::table)
            .values((
                user_account::id.eq(new.id.uuid()),
                user_account::name.eq(&new.name),
                user_account::email.eq(&new.email),
                user_account::password_hash.eq(new.password_hash.as_deref()),
                user_account::password_changed_at.eq(new.password_hash.as_ref().map(|_| new.created_at)),
                user_account::wrapped_key.eq(&new.wrapped_key),
                user_account::created_at.eq(new.created_at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// One person.
    pub async fn user(&mut self, id: UserId) -> Result<User, StoreError> {
        let row = user_account::table.find(id.uuid()).select(UserRow::as_select());
        let row: UserRow = row.first(&mut self.conn).await?;
        Ok(row.into())
    }

    /// One person, and nobody changes how it signs in until this transaction is over.
    pub async fn lock_user(&mut self, id: UserId) -> Result<User, StoreError> {
        let row = user_account::table.find(id.uuid()).select(UserRow::as_select()).for_update();
        let row: UserRow = row.first(&mut self.conn).await?;
        Ok(row.into())
    }

    /// One person, and how it signs in stays as it is until this transaction is over; others may hold it, too.
    pub async fn hold_user(&mut self, id: UserId) -> Result<User, StoreError> {
        let row = user_account::table.find(id.uuid()).select(UserRow::as_select()).for_share();
        let row: UserRow = row.first(&mut self.conn).await?;
        Ok(row.into())
    }

    /// Whether somebody signs in by itself with this address, in lower case: by a password, or by whom the operator lets
    /// vouch. Whom only a tenant's own provider lets in does not.
    pub async fn signs_in_by_itself(&mut self, email: &str) -> Result<bool, StoreError> {
        let lower = diesel::dsl::sql::<sql_types::Bool>("lower(email) = ").bind::<Text, _>(email);
        let by_itself = diesel::dsl::sql::<sql_types::Bool>(
            "(password_hash IS NOT NULL OR EXISTS (SELECT FROM user_identity AS i WHERE i.user_id = user_account.id))",
        );
        let found = user_account::table.filter(lower).filter(by_itself);
        Ok(diesel::select(diesel::dsl::exists(found)).get_result(&mut self.conn).await?)
    }

    /// Whom an address, in lower case, signs in by password.
    pub async fn user_by_login(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        let lower = diesel::dsl::sql::<sql_types::Bool>("lower(email) = ").bind::<Text, _>(email);
        let row: Option<UserRow> = user_account::table
            .filter(lower)
            .filter(user_account::password_hash.is_not_null())
            .select(UserRow::as_select())
            .first(&mut self.conn)
            .await
            .optional()?;
        Ok(row.map(User::from))
    }

    /// Whether anybody at all has this address, however they sign in.
    pub async fn is_email_known(&mut self, email: &str) -> Result<bool, StoreError> {
        let lower = diesel::dsl::sql::<sql_types::Bool>("lower(email) = ").bind::<Text, _>(email);
        let found = diesel::select(diesel::dsl::exists(user_account::table.filter(lower)));
        Ok(found.get_result(&mut self.conn).await?)
    }

    /// Whom somebody vouches for under this name.
    pub async fn user_by_identity(
        &mut self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<UserId>, StoreError> {
        let found = user_identity::table.find((issuer, subject)).select(user_identity::user_id);
        let id: Option<Uuid> = found.first(&mut self.conn).await.optional()?;
        Ok(id.map(UserId::from))
    }

    /// From now on, who is called this there is this person. A conflict on `user_identity_pkey` means that it is
    /// somebody already.
    pub async fn link_identity(
        &mut self,
        user: UserId,
        issuer: &str,
        subject: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(user_identity::table)
            .values((
                user_identity::issuer.eq(issuer),
                user_identity::subject.eq(subject),
                user_identity::user_id.eq(user.uuid()),
                user_identity::created_at.eq(at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Who vouches for a person, oldest first.
    pub async fn user_identities(&mut self, user: UserId) -> Result<Vec<UserIdentity>, StoreError> {
        let rows: Vec<(String, String, DateTime<Utc>)> = user_identity::table
            .filter(user_identity::user_id.eq(user.uuid()))
            .order(user_identity::created_at)
            .select((user_identity::issuer, user_identity::subject, user_identity::created_at))
            .load(&mut self.conn)
            .await?;
        let identity = |(issuer, subject, created_at)| UserIdentity { issuer, subject, created_at };
        Ok(rows.into_iter().map(identity).collect())
    }

    /// They vouch for this person no longer. Says whether they did.
    pub async fn unlink_identity(&mut self, user: UserId, issuer: &str) -> Result<bool, StoreError> {
        let of = user_identity::table
            .filter(user_identity::user_id.eq(user.uuid()))
            .filter(user_identity::issuer.eq(issuer));
        Ok(diesel::delete(of).execute(&mut self.conn).await? > 0)
    }

    /// Changes a person's name.
    pub async fn rename_user(&mut self, user: UserId, name: &str) -> Result<(), StoreError> {
        let row = diesel::update(user_account::table.find(user.uuid()));
        row.set(user_account::name.eq(name)).execute(&mut self.conn).await?;
        Ok(())
    }

    /// Gives a person a password, or another.
    pub async fn set_password(
        &mut self,
        user: UserId,
        hash: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::update(user_account::table.find(user.uuid()))
            .set((user_account::password_hash.eq(hash), user_account::password_changed_at.eq(at)))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// The same password under a newer hash, if it is still the one whose hash this was.
    pub async fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &str,
        new: &str,
    ) -> Result<(), StoreError> {
        let row = user_account::table.find(user.uuid()).filter(user_account::password_hash.eq(old));
        diesel::update(row).set(user_account::password_hash.eq(new)).execute(&mut self.conn).await?;
        Ok(())
    }

    /// Keeps a second factor that is not yet asked for. It takes the place of one that was not confirmed either;
    /// says whether it did.
    pub async fn offer_totp(&mut self, user: UserId, sealed: &[u8]) -> Result<bool, StoreError> {
        let row = user_account::table.find(user.uuid()).filter(user_account::totp_confirmed_at.is_null());
        let set = (user_account::totp_secret.eq(sealed), user_account::totp_last_step.eq(None::<i64>));
        Ok(diesel::update(row).set(set).execute(&mut self.conn).await? > 0)
    }

    /// From now on the second factor is asked for, and these codes stand in for it once each.
    pub async fn confirm_totp(
        &mut self,
        user: UserId,
        recovery: &[[u8; 32]],
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = diesel::update(user_account::table.find(user.uuid()));
        row.set(user_account::totp_confirmed_at.eq(at)).execute(&mut self.conn).await?;
        self.replace_recovery_codes(user, recovery).await
    }

    /// The second factor is asked for no longer.
    pub async fn remove_totp(&mut self, user: UserId) -> Result<(), StoreError> {
        diesel::update(user_account::table.find(user.uuid()))
            .set((
                user_account::totp_secret.eq(None::<Vec<u8>>),
                user_account::totp_confirmed_at.eq(None::<DateTime<Utc>>),
                user_account::totp_last_step.eq(None::<i64>),
            ))
            .execute(&mut self.conn)
            .await?;
        self.replace_recovery_codes(user, &[]).await
    }

    /// Only these codes stand in for the second factor from now on.
    pub async fn replace_recovery_codes(
        &mut self,
        user: UserId,
        hashes: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        let old = recovery_code::table.filter(recovery_code::user_id.eq(user.uuid()));
        diesel::delete(old).execute(&mut self.conn).await?;
        let rows: Vec<_> = hashes
            .iter()
            .map(|hash| (recovery_code::user_id.eq(user.uuid()), recovery_code::hash.eq(hash.as_slice())))
            .collect();
        diesel::insert_into(recovery_code::table).values(rows).execute(&mut self.conn).await?;
        Ok(())
    }

    /// How many codes are left that stand in for the second factor.
    pub async fn recovery_codes_left(&mut self, user: UserId) -> Result<i64, StoreError> {
        let left = recovery_code::table
            .filter(recovery_code::user_id.eq(user.uuid()))
            .filter(recovery_code::used_at.is_null());
        Ok(left.count().get_result(&mut self.conn).await?)
    }

    /// Uses a code's step of time up: of any number of tries with the same code one gets `true`, and an earlier step's
    /// code works no more.
    pub async fn use_totp_step(&mut self, user: UserId, step: i64) -> Result<bool, StoreError> {
        let fresh = user_account::totp_last_step.is_null().or(user_account::totp_last_step.lt(step));
        let row = user_account::table.find(user.uuid()).filter(fresh);
        let used = diesel::update(row).set(user_account::totp_last_step.eq(step));
        Ok(used.execute(&mut self.conn).await? > 0)
    }

    /// Uses a recovery code up: of any number of tries one gets `true`.
    pub async fn use_recovery_code(
        &mut self,
        user: UserId,
        hash: &[u8; 32],
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = recovery_code::table
            .find((user.uuid(), hash.as_slice()))
            .filter(recovery_code::used_at.is_null());
        let used = diesel::update(row).set(recovery_code::used_at.eq(at));
        Ok(used.execute(&mut self.conn).await? > 0)
    }

    /// The tenants a person belongs to, oldest first.
    pub async fn memberships(&mut self, user: UserId) -> Result<Vec<Membership>, StoreError> {
        let rows: Vec<(TenantRow, String)> = member::table
            .inner_join(tenant::table)
            .filter(member::user_id.eq(user.uuid()))
            .order(tenant::id)
            .select((tenant::all_columns, member::role))
            .load(&mut self.conn)
            .await?;
        let demanding = self.demanding_single_sign_on(user).await?;
        let connected = self.connected_to_aws(user).await?;
        rows.into_iter()
            .map(|(tenant, role)| {
                let tenant = Tenant::from(tenant);
                let role = named("member.role", &role, |name| name.parse().ok())?;
                // Whoever may close the account gets in though its provider is away or set up wrongly.
                let by_single_sign_on = role != Role::Owner && demanding.contains(&tenant.id);
                let one_hour = tenant.one_hour_sign_in || connected.contains(&tenant.id);
                Ok(Membership { tenant, role, by_single_sign_on, one_hour })
            })
            .collect()
    }

    /// Makes a person a member, for those flows that know no tenant before. A conflict on `member_pkey` means that it
    /// is one.
    pub async fn join(
        &mut self,
        tenant: TenantId,
        user: UserId,
        role: Role,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(member::table)
            .values((
                member::tenant_id.eq(tenant.uuid()),
                member::user_id.eq(user.uuid()),
                member::role.eq(role.as_str()),
                member::created_at.eq(at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Some people whose data key another master key wrapped than the one whose header this is.
    pub async fn users_wrapped_otherwise(
        &mut self,
        header: &[u8; 5],
        most: i64,
    ) -> Result<Vec<(UserId, Vec<u8>)>, StoreError> {
        let rows: Vec<WrappedRow> = diesel::sql_query(
            "SELECT id, wrapped_key FROM user_account WHERE substring(wrapped_key FROM 1 FOR 5) <> $1 LIMIT $2",
        )
        .bind::<Binary, _>(header.as_slice())
        .bind::<sql_types::BigInt, _>(most)
        .load(&mut self.conn)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id.into(), row.wrapped_key)).collect())
    }

    /// The same key wrapped anew, if it is still the one that this was.
    pub async fn rewrap_user(&mut self, user: UserId, old: &[u8], new: &[u8]) -> Result<(), StoreError> {
        let row = user_account::table.find(user.uuid()).filter(user_account::wrapped_key.eq(old));
        diesel::update(row).set(user_account::wrapped_key.eq(new)).execute(&mut self.conn).await?;
        Ok(())
    }
}

#[derive(QueryableByName)]
struct WrappedRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Binary)]
    wrapped_key: Vec<u8>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = user_account)]
struct UserRow {
    id: Uuid,
    name: String,
    email: String,
    password_hash: Option<String>,
    password_changed_at: Option<DateTime<Utc>>,
    wrapped_key: Vec<u8>,
    totp_secret: Option<Vec<u8>>,
    totp_confirmed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            email: row.email,
            password_hash: row.password_hash,
            password_changed_at: row.password_changed_at,
            wrapped_key: row.wrapped_key,
            totp_secret: row.totp_secret,
            totp_confirmed_at: row.totp_confirmed_at,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
        }
    }
}
