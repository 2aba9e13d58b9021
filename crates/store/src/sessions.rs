//! Sessions, and how they come about: by a link from the command line, or by a person's sign-in, which one refresh
//! token after the other continues. Only SHA-256 hashes of tokens are stored.

use chrono::{DateTime, Utc};
use costlens_domain::{Role, SessionId, TenantId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{self, Binary, Bool, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::named;
use crate::schema::{session, sign_in_link};
use crate::{StoreError, SystemConn};

/// A single-use link that signs a person in.
#[derive(Clone, Debug)]
pub struct NewSignInLink {
    /// Whose console it opens.
    pub tenant_id: TenantId,
    /// SHA-256 of the token in the link.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
    /// Whether who signs in by it runs the service.
    pub operator: bool,
}

/// What a new session is made of; its tenant is the link's.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of the session's token.
    pub hash: [u8; 32],
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
}

/// What continues a sign-in when its session is over.
#[derive(Clone, Debug)]
pub struct NewRefresh {
    /// SHA-256 of its token.
    pub hash: [u8; 32],
    /// From when the sign-in cannot be continued any more.
    pub expires_at: DateTime<Utc>,
}

/// A session of a person.
#[derive(Clone, Debug)]
pub struct NewUserSession {
    /// Its id, the token's hash and its end.
    pub session: NewSession,
    /// Whose rows it sees.
    pub tenant_id: TenantId,
    /// The person.
    pub user_id: UserId,
    /// How the person signed in: `password`, `google`, `clerk` …
    pub method: String,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// When the person proved who it is.
    pub proven_at: DateTime<Utc>,
    /// Whether by two factors.
    pub two_factors: bool,
    /// The sign-in that it continues; the session's own id for a new one.
    pub sign_in_id: SessionId,
    /// What continues it.
    pub refresh: Option<NewRefresh>,
    /// The session at whoever vouches for the person.
    pub outer_session: Option<String>,
    /// Whether it may only look.
    pub read_only: bool,
    /// The browser, in its own words.
    pub browser: Option<String>,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose console it sees.
    pub tenant_id: TenantId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
    /// When it was ended before that.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether who is signed in runs the service.
    pub operator: bool,
    /// Who is signed in; `None` for who came by a link from the operator's command line.
    pub user_id: Option<UserId>,
    /// As what, at this moment.
    pub role: Role,
    /// How: `link`, `password`, `google`, `clerk` …
    pub method: String,
    /// When whoever is signed in last proved who it is.
    pub proven_at: DateTime<Utc>,
    /// Whether by two factors.
    pub two_factors: bool,
    /// The sign-in that it continues: its first session's id.
    pub sign_in_id: SessionId,
    /// Until when the sign-in can be continued.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// The session at whoever vouched for the person.
    pub outer_session: Option<String>,
    /// Whether it may only look.
    pub read_only: bool,
    /// The browser, in its own words.
    pub browser: Option<String>,
}

impl Session {
    /// Whether the session lets anybody in at this moment.
    #[must_use]
    pub fn is_valid_at(&self, at: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && at < self.expires_at
    }
}

/// What became of a try to continue a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Continued {
    /// It goes on: the session that is over now.
    From(Box<Session>),
    /// The token is unknown, or its sign-in is over.
    Refused,
    /// The token was used before, so somebody has a copy: the sign-in is over for everybody.
    Stolen(TenantId, Option<UserId>),
}

impl SystemConn {
    /// Makes a sign-in link.
    pub async fn create_sign_in_link(&mut self, link: &NewSignInLink) -> Result<(), StoreError> {
        diesel::insert_into(sign_in_link::table)
            .values((
                sign_in_link::tenant_id.eq(link.tenant_id.uuid()),
                sign_in_link::hash.eq(link.hash.as_slice()),
                sign_in_link::created_at.eq(link.created_at),
                sign_in_link::expires_at.eq(link.expires_at),
                sign_in_link::operator.eq(link.operator),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Uses a link up and opens a session, both or neither: of any number of tries at once exactly one gets
    /// a session. `None` if the link is unknown, used or expired at `at`.
    pub async fn redeem_sign_in_link(
        &mut self,
        link_hash: &[u8; 32],
        session: &NewSession,
        at: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        let redeemed = diesel::sql_query(include_str!("sql/redeem_sign_in_link.sql"))
            .bind::<Binary, _>(link_hash.as_slice())
            .bind::<Timestamptz, _>(at)
            .bind::<sql_types::Uuid, _>(session.id.uuid())
            .bind::<Binary, _>(session.hash.as_slice())
            .bind::<Timestamptz, _>(session.expires_at)
            .execute(&mut self.conn)
            .await?;
        if redeemed == 0 {
            return Ok(None);
        }
        Ok(self.session_by_hash(&session.hash).await?.map(|(session, _)| session))
    }

    /// Opens a person's session. Whether the person may see the tenant is for the caller to know; a session of somebody
    /// who is no member lets nobody in.
    pub async fn open_session(&mut self, new: &NewUserSession) -> Result<(), StoreError> {
        diesel::insert_into(session::table)
            .values((
                session::tenant_id.eq(new.tenant_id.uuid()),
                session::id.eq(new.session.id.uuid()),
                session::hash.eq(new.session.hash.as_slice()),
                session::created_at.eq(new.created_at),
                session::expires_at.eq(new.session.expires_at),
                session::user_id.eq(new.user_id.uuid()),
                session::method.eq(&new.method),
                session::proven_at.eq(new.proven_at),
                session::two_factors.eq(new.two_factors),
                session::sign_in_id.eq(new.sign_in_id.uuid()),
                session::refresh_hash.eq(new.refresh.as_ref().map(|refresh| refresh.hash.as_slice())),
                session::refresh_expires_at.eq(new.refresh.as_ref().map(|refresh| refresh.expires_at)),
                session::outer_session.eq(new.outer_session.as_deref()),
                session::read_only.eq(new.read_only),
                session::browser.eq(new.browser.as_deref()),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// The session whose token has this SHA-256, ended or expired ones included, and whether its account is closing;
    /// `None` if there is none, or if its person is a member no longer or may not sign in.
    pub async fn session_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<(Session, bool)>, StoreError> {
        let sql = format!("SELECT {COLUMNS} {FROM} WHERE s.hash = $1 AND {ADMITTED}");
        let row: Option<SessionRow> = diesel::sql_query(sql)
            .bind::<Binary, _>(hash.as_slice())
            .get_result(&mut self.conn)
            .await
            .optional()?;
        row.map(|row| Ok((row.closing, Session::try_from(row)?))).transpose().map(flip)
    }

    /// A session that lets in at this moment and stands on one at whoever vouched, in the tenant of an organisation there
    /// (who vouches, the organisation), and whether its account is closing.
    pub async fn session_by_outer(
        &mut self,
        (issuer, organization): (&str, &str),
        outer: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<(Session, bool)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} {FROM} JOIN outer_organization o ON o.tenant_id = s.tenant_id \
             WHERE s.outer_session = $1 AND o.issuer = $2 AND o.organization = $3 AND s.ended_at IS NULL \
             AND s.expires_at > $4 AND {ADMITTED} ORDER BY s.expires_at DESC LIMIT 1"
        );
        let row: Option<SessionRow> = diesel::sql_query(sql)
            .bind::<Text, _>(outer)
            .bind::<Text, _>(issuer)
            .bind::<Text, _>(organization)
            .bind::<Timestamptz, _>(at)
            .get_result(&mut self.conn)
            .await
            .optional()?;
        row.map(|row| Ok((row.closing, Session::try_from(row)?))).transpose().map(flip)
    }

    /// One session, ended ones included. [`StoreError::NotFound`] where [`Self::session_by_hash`] says `None`.
    pub async fn session(&mut self, id: SessionId) -> Result<Session, StoreError> {
        let sql = format!("SELECT {COLUMNS} {FROM} WHERE s.id = $1 AND {ADMITTED}");
        let row: SessionRow =
            diesel::sql_query(sql).bind::<sql_types::Uuid, _>(id.uuid()).get_result(&mut self.conn).await?;
        row.try_into()
    }

    /// Ends a session, and with it its sign-in. Ending it again, or one that does not exist, changes nothing. Says whether
    /// it was open.
    pub async fn end_session(&mut self, id: SessionId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let open = session::table.filter(session::id.eq(id.uuid())).filter(session::ended_at.is_null());
        Ok(diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await? > 0)
    }

    /// Continues a sign-in: its session is over, and the caller opens the next one in the same transaction. A token
    /// that was used before ends the sign-in for everybody, because two have it.
    pub async fn continue_sign_in(
        &mut self,
        refresh_hash: &[u8; 32],
        at: DateTime<Utc>,
    ) -> Result<Continued, StoreError> {
        let held: Option<RefreshRow> = session::table
            .filter(session::refresh_hash.eq(refresh_hash.as_slice()))
            .select(RefreshRow::as_select())
            .for_update()
            .first(&mut self.conn)
            .await
            .optional()?;
        let Some(held) = held else { return Ok(Continued::Refused) };
        if held.refresh_used_at.is_some() {
            let open = session::table
                .filter(session::sign_in_id.eq(held.sign_in_id))
                .filter(session::ended_at.is_null());
            diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await?;
            return Ok(Continued::Stolen(held.tenant_id.into(), held.user_id.map(UserId::from)));
        }
        let late = held.refresh_expires_at.is_none_or(|end| at >= end);
        if late || held.ended_at.is_some() {
            return Ok(Continued::Refused);
        }
        let sql = format!("SELECT {COLUMNS} {FROM} WHERE s.tenant_id = $1 AND s.id = $2 AND {ADMITTED}");
        let row: Option<SessionRow> = diesel::sql_query(sql)
            .bind::<sql_types::Uuid, _>(held.tenant_id)
            .bind::<sql_types::Uuid, _>(held.id)
            .get_result(&mut self.conn)
            .await
            .optional()?;
        let Some(row) = row else { return Ok(Continued::Refused) };
        diesel::update(session::table.find((held.tenant_id, held.id)))
            .set((session::refresh_used_at.eq(at), session::ended_at.eq(at)))
            .execute(&mut self.conn)
            .await?;
        Ok(Continued::From(Box::new(row.try_into()?)))
    }

    /// A person's sign-ins that are not over, the latest session of each, newest first; with the tenants' names.
    pub async fn sign_ins(
        &mut self,
        user: UserId,
        at: DateTime<Utc>,
    ) -> Result<Vec<(Session, String)>, StoreError> {
        let sql = format!(
            "SELECT * FROM (SELECT DISTINCT ON (s.sign_in_id) {COLUMNS}, t.name AS tenant_name {FROM} \
             WHERE s.user_id = $1 AND s.ended_at IS NULL AND greatest(s.expires_at, s.refresh_expires_at) > $2 \
             AND {ADMITTED} ORDER BY s.sign_in_id, s.id DESC) latest ORDER BY id DESC LIMIT 200"
        );
        let rows: Vec<NamedSessionRow> = diesel::sql_query(sql)
            .bind::<sql_types::Uuid, _>(user.uuid())
            .bind::<Timestamptz, _>(at)
            .load(&mut self.conn)
            .await?;
        rows.into_iter().map(|row| Ok((row.session.try_into()?, row.tenant_name))).collect()
    }

    /// Ends one of a person's sign-ins everywhere. Says whether it was open.
    pub async fn end_sign_in(
        &mut self,
        user: UserId,
        sign_in: SessionId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let open = session::table
            .filter(session::user_id.eq(user.uuid()))
            .filter(session::sign_in_id.eq(sign_in.uuid()))
            .filter(session::ended_at.is_null());
        Ok(diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await? > 0)
    }

    /// Ends all of a person's sign-ins, but for one that it may keep. Says how many sessions that ended.
    pub async fn end_sign_ins(
        &mut self,
        user: UserId,
        but: Option<SessionId>,
        at: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let kept = but.map_or_else(Uuid::nil, SessionId::uuid);
        let open = session::table
            .filter(session::user_id.eq(user.uuid()))
            .filter(session::sign_in_id.is_null().or(session::sign_in_id.ne(kept)))
            .filter(session::ended_at.is_null());
        Ok(diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await?)
    }

    /// Ends what stands on a session at whoever vouched for its person. Says how many sessions that ended.
    pub async fn end_outer_session(&mut self, outer: &str, at: DateTime<Utc>) -> Result<usize, StoreError> {
        let open =
            session::table.filter(session::outer_session.eq(outer)).filter(session::ended_at.is_null());
        Ok(diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await?)
    }

    /// Whoever is signed in has proved anew who it is.
    pub async fn prove_session(
        &mut self,
        id: SessionId,
        two_factors: bool,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::update(session::table.filter(session::id.eq(id.uuid())))
            .set((session::proven_at.eq(at), session::two_factors.eq(two_factors)))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }
}

fn flip(found: Option<(bool, Session)>) -> Option<(Session, bool)> {
    found.map(|(closing, session)| (session, closing))
}

const COLUMNS: &str = "s.id, s.tenant_id, s.created_at, s.expires_at, s.ended_at, s.operator, s.user_id, m.role, \
     s.method, s.proven_at, s.two_factors, s.sign_in_id, s.refresh_expires_at, s.outer_session, s.read_only, s.browser, \
     t.closing_at IS NOT NULL AS closing";

const FROM: &str = "FROM session s JOIN tenant t ON t.id = s.tenant_id \
     LEFT JOIN member m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id \
     LEFT JOIN user_account u ON u.id = s.user_id";

/// Who came by the operator's link has no user; everybody else is a member who may sign in.
const ADMITTED: &str = "(s.user_id IS NULL OR (m.role IS NOT NULL AND u.disabled_at IS NULL))";

#[derive(Queryable, Selectable)]
#[diesel(table_name = session)]
struct RefreshRow {
    tenant_id: Uuid,
    id: Uuid,
    user_id: Option<Uuid>,
    sign_in_id: Option<Uuid>,
    ended_at: Option<DateTime<Utc>>,
    refresh_used_at: Option<DateTime<Utc>>,
    refresh_expires_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct NamedSessionRow {
    #[diesel(embed)]
    session: SessionRow,
    #[diesel(sql_type = Text)]
    tenant_name: String,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "the row's columns")]
struct SessionRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    operator: bool,
    #[diesel(sql_type = Nullable<sql_types::Uuid>)]
    user_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    proven_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    two_factors: bool,
    #[diesel(sql_type = Nullable<sql_types::Uuid>)]
    sign_in_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    refresh_expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    outer_session: Option<String>,
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Nullable<Text>)]
    browser: Option<String>,
    #[diesel(sql_type = Bool)]
    closing: bool,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let role = match &row.role {
            Some(role) => named("member.role", role, |name| name.parse().ok())?,
            // A link from the command line: whoever has the machine has everything.
            None => Role::Owner,
        };
        Ok(Self {
            id: row.id.into(),
            tenant_id: row.tenant_id.into(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            operator: row.operator,
            user_id: row.user_id.map(UserId::from),
            role,
            method: row.method,
            proven_at: row.proven_at.unwrap_or(row.created_at),
            two_factors: row.two_factors,
            sign_in_id: row.sign_in_id.unwrap_or(row.id).into(),
            refresh_expires_at: row.refresh_expires_at,
            outer_session: row.outer_session,
            read_only: row.read_only,
            browser: row.browser,
        })
    }
}
