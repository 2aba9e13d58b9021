//! What opens a door to a person once: links in mails, which prove an address, and the codes that a browser brings back
//! from whoever vouched. Of any number of tries at once, one gets it.

use chrono::{DateTime, Utc};
use costlens_domain::{SsoProviderId, UserId, UserLinkId};
use diesel::prelude::*;
use diesel::sql_types::{self, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::schema::{exchange_code, user_link};
use crate::{StoreError, SystemConn};

/// What a link in a mail to a person is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserLinkPurpose {
    /// Whoever reads the address may become a user.
    Registration,
    /// A new password may be set.
    PasswordReset,
    /// Somebody wanted to register who is registered: tells so, and leads nowhere but to signing in.
    AccountExists,
    /// The password was changed: tells so.
    PasswordChanged,
    /// A way to sign in was added or taken away, or a second factor: tells so.
    SignInChanged,
}

impl UserLinkPurpose {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::PasswordReset => "password_reset",
            Self::AccountExists => "account_exists",
            Self::PasswordChanged => "password_changed",
            Self::SignInChanged => "sign_in_changed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Registration,
            Self::PasswordReset,
            Self::AccountExists,
            Self::PasswordChanged,
            Self::SignInChanged,
        ]
        .into_iter()
        .find(|purpose| purpose.as_str() == name)
    }
}

/// A link in a mail to a person, and the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLink {
    /// Its id.
    pub id: UserLinkId,
    /// What it is for.
    pub purpose: UserLinkPurpose,
    /// Where the mail goes.
    pub email: String,
    /// Whom it is about, if that is a user. A reset without one is mailed to nobody and opens nothing.
    pub user_id: Option<UserId>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
    /// How far the mail is.
    pub mail: UserMail,
}

/// How far a mail to a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserMail {
    /// Its state.
    pub state: UserMailState,
    /// How often it was sent although it may have arrived before.
    pub doubts: u32,
}

/// How far a mail to a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UserMailState {
    Queued,
    Sending,
    Sent,
    Unknown,
    Refused,
    Expired,
}

impl UserMailState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Queued, Self::Sending, Self::Sent, Self::Unknown, Self::Refused, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What a browser is to trade for a session.
#[derive(Clone, Copy, Debug)]
pub struct NewExchangeCode<'a> {
    /// Whom it signs in.
    pub user: UserId,
    /// By what method.
    pub method: &'a str,
    /// By which tenant's own provider, if by one.
    pub provider: Option<SsoProviderId>,
    /// When the person proved who it is, where that is known.
    pub proven_at: Option<DateTime<Utc>>,
}

/// What a browser traded for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Whom it signs in.
    pub user: UserId,
    /// By what method.
    pub method: String,
    /// By which tenant's own provider, if by one.
    pub provider: Option<SsoProviderId>,
    /// When the person proved who it is, where that is known.
    pub proven_at: Option<DateTime<Utc>>,
}

/// The person, the method, the provider, and when it was proven.
type UsedRow = (Uuid, String, Option<Uuid>, Option<DateTime<Utc>>);

impl SystemConn {
    /// Writes a link down, to be mailed.
    pub async fn create_user_link(&mut self, link: &UserLink) -> Result<(), StoreError> {
        diesel::insert_into(user_link::table)
            .values((
                user_link::id.eq(link.id.uuid()),
                user_link::purpose.eq(link.purpose.as_str()),
                user_link::email.eq(&link.email),
                user_link::user_id.eq(link.user_id.map(UserId::uuid)),
                user_link::created_at.eq(link.created_at),
                user_link::expires_at.eq(link.expires_at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// One link, used and expired ones included.
    pub async fn user_link(&mut self, id: UserLinkId) -> Result<UserLink, StoreError> {
        let row: LinkRow = user_link::table.find(id.uuid()).first(&mut self.conn).await?;
        row.try_into()
    }

    /// Uses a link up: of any number of tries at once one gets it. `None` if it is unknown, used, expired, or for
    /// something else.
    pub async fn use_user_link(
        &mut self,
        id: UserLinkId,
        purpose: UserLinkPurpose,
        at: DateTime<Utc>,
    ) -> Result<Option<UserLink>, StoreError> {
        let unused = user_link::table
            .find(id.uuid())
            .filter(user_link::purpose.eq(purpose.as_str()))
            .filter(user_link::used_at.is_null())
            .filter(user_link::expires_at.gt(at));
        let row: Option<LinkRow> = diesel::update(unused)
            .set(user_link::used_at.eq(at))
            .get_result(&mut self.conn)
            .await
            .optional()?;
        row.map(UserLink::try_from).transpose()
    }

    /// No link of this purpose that was mailed to this address before works any more.
    pub async fn void_user_links(
        &mut self,
        email: &str,
        purpose: UserLinkPurpose,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let open = user_link::table
            .filter(user_link::email.eq(email))
            .filter(user_link::purpose.eq(purpose.as_str()))
            .filter(user_link::used_at.is_null());
        diesel::update(open).set(user_link::used_at.eq(at)).execute(&mut self.conn).await?;
        Ok(())
    }

    /// Moves a mail on, if it is in the state that it is thought to be in; says whether it was.
    pub async fn move_user_mail(
        &mut self,
        id: UserLinkId,
        from: UserMail,
        to: UserMail,
    ) -> Result<bool, StoreError> {
        let doubts = |mail: UserMail| i32::try_from(mail.doubts).unwrap_or(i32::MAX);
        let row = user_link::table
            .find(id.uuid())
            .filter(user_link::mail_state.eq(from.state.as_str()))
            .filter(user_link::mail_doubts.eq(doubts(from)));
        let moved = diesel::update(row)
            .set((user_link::mail_state.eq(to.state.as_str()), user_link::mail_doubts.eq(doubts(to))));
        Ok(moved.execute(&mut self.conn).await? > 0)
    }

    /// Keeps what a browser trades for a session.
    pub async fn create_exchange_code(
        &mut self,
        (hash, browser): (&[u8; 32], &[u8; 32]),
        new: &NewExchangeCode<'_>,
        at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(exchange_code::table)
            .values((
                exchange_code::hash.eq(hash.as_slice()),
                exchange_code::browser_hash.eq(browser.as_slice()),
                exchange_code::user_id.eq(new.user.uuid()),
                exchange_code::method.eq(new.method),
                exchange_code::sso_provider_id.eq(new.provider.map(SsoProviderId::uuid)),
                exchange_code::proven_at.eq(new.proven_at),
                exchange_code::created_at.eq(at),
                exchange_code::expires_at.eq(expires_at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Uses an exchange code up: of any number of tries at once one hears whom it signs in, and how. `None` if it is
    /// unknown, used or expired, or if another browser began.
    pub async fn use_exchange_code(
        &mut self,
        (hash, browser): (&[u8; 32], &[u8; 32]),
        at: DateTime<Utc>,
    ) -> Result<Option<Exchanged>, StoreError> {
        let unused = exchange_code::table
            .find(hash.as_slice())
            .filter(exchange_code::browser_hash.eq(browser.as_slice()))
            .filter(exchange_code::used_at.is_null())
            .filter(exchange_code::expires_at.gt(at));
        let used: Option<UsedRow> = diesel::update(unused)
            .set(exchange_code::used_at.eq(at))
            .returning((
                exchange_code::user_id,
                exchange_code::method,
                exchange_code::sso_provider_id,
                exchange_code::proven_at,
            ))
            .get_result(&mut self.conn)
            .await
            .optional()?;
        Ok(used.map(|(user, method, provider, proven_at)| Exchanged {
            user: user.into(),
            method,
            provider: provider.map(SsoProviderId::from),
            proven_at,
        }))
    }

    /// Removes links and codes that no longer work since this moment, at most so many of each; says how many.
    pub async fn purge_user_links(&mut self, before: DateTime<Utc>, most: i64) -> Result<usize, StoreError> {
        let mut removed = 0;
        for sql in [
            "DELETE FROM user_link WHERE id IN (SELECT id FROM user_link WHERE expires_at < $1 LIMIT $2)",
            "DELETE FROM exchange_code WHERE hash IN \
             (SELECT hash FROM exchange_code WHERE expires_at < $1 LIMIT $2)",
        ] {
            removed += diesel::sql_query(sql)
                .bind::<Timestamptz, _>(before)
                .bind::<sql_types::BigInt, _>(most)
                .execute(&mut self.conn)
                .await?;
        }
        Ok(removed)
    }
}

#[derive(Queryable)]
struct LinkRow {
    id: Uuid,
    purpose: String,
    email: String,
    user_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    _used_at: Option<DateTime<Utc>>,
    mail_state: String,
    mail_doubts: i32,
}

impl TryFrom<LinkRow> for UserLink {
    type Error = StoreError;

    fn try_from(row: LinkRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            purpose: named("user_link.purpose", &row.purpose, UserLinkPurpose::from_name)?,
            email: row.email,
            user_id: row.user_id.map(UserId::from),
            created_at: row.created_at,
            expires_at: row.expires_at,
            mail: UserMail {
                state: named("user_link.mail_state", &row.mail_state, UserMailState::from_name)?,
                doubts: u32::try_from(row.mail_doubts).unwrap_or_default(),
            },
        })
    }
}
