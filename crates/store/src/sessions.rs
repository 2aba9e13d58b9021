//! Sign-in links and the sessions that they open. Only SHA-256 hashes of the tokens are stored.

use chrono::{DateTime, Utc};
use costlens_domain::{SessionId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{self, Binary, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::{session, sign_in_link, tenant};
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
}

impl Session {
    /// Whether the session lets anybody in at this moment.
    #[must_use]
    pub fn is_valid_at(&self, at: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && at < self.expires_at
    }
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
        let redeemed: Option<SessionRow> = diesel::sql_query(include_str!("sql/redeem_sign_in_link.sql"))
            .bind::<Binary, _>(link_hash.as_slice())
            .bind::<Timestamptz, _>(at)
            .bind::<sql_types::Uuid, _>(session.id.uuid())
            .bind::<Binary, _>(session.hash.as_slice())
            .bind::<Timestamptz, _>(session.expires_at)
            .get_result(&mut self.conn)
            .await
            .optional()?;
        Ok(redeemed.map(Session::from))
    }

    /// The session whose token has this SHA-256, ended or expired ones included, and whether its account is closing;
    /// `None` if there is none.
    pub async fn session_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<(Session, bool)>, StoreError> {
        let found = session::table.inner_join(tenant::table).filter(session::hash.eq(hash.as_slice()));
        let row: Option<(SessionRow, Option<DateTime<Utc>>)> = found
            .select((SessionRow::as_select(), tenant::closing_at))
            .first(&mut self.conn)
            .await
            .optional()?;
        Ok(row.map(|(row, closing)| (row.into(), closing.is_some())))
    }

    /// Ends a session. Ending it again, or one that does not exist, changes nothing.
    pub async fn end_session(&mut self, id: SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let open = session::table.filter(session::id.eq(id.uuid())).filter(session::ended_at.is_null());
        diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await?;
        Ok(())
    }
}

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = session)]
struct SessionRow {
    id: Uuid,
    tenant_id: Uuid,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    operator: bool,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id.into(),
            tenant_id: row.tenant_id.into(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            operator: row.operator,
        }
    }
}
