//! Connections: a tenant's links to providers, with the secret sealed before it gets here.

use std::fmt;

use chrono::{DateTime, Utc};
use costlens_domain::{ConnectionId, TenantId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::keys::notify;
use crate::schema::connection;
use crate::{KeyChange, StoreError, SystemConn, TenantConn};

/// A tenant's link to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The provider's stable name, e.g. `openai`.
    pub provider: String,
    /// What its owner calls it; unique among the tenant's enabled connections.
    pub name: String,
    /// Where it goes, when not to the provider's own address.
    pub base_url: Option<String>,
    /// The sealed secret; `None` for an endpoint without one, and for a connection that is disabled.
    pub sealed_secret: Option<Vec<u8>>,
    /// The models that a custom endpoint serves; empty for a known provider.
    pub models: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when no call goes through it.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// What a new connection is made of. The fields mean what [`Connection`]'s mean.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is documented once, on Connection")]
pub struct NewConnection {
    pub id: ConnectionId,
    pub provider: String,
    pub name: String,
    pub base_url: Option<String>,
    pub sealed_secret: Option<Vec<u8>>,
    pub models: Vec<String>,
    pub created_at: DateTime<Utc>,
}

impl TenantConn {
    /// Makes a connection. A conflict on `connection_name` means that an enabled one has the name.
    pub async fn create_connection(&mut self, new: &NewConnection) -> Result<Connection, StoreError> {
        let row = NewConnectionRow {
            tenant_id: self.tenant_id().uuid(),
            id: new.id.uuid(),
            provider: &new.provider,
            name: &new.name,
            base_url: new.base_url.as_deref(),
            sealed_secret: new.sealed_secret.as_deref(),
            models: &new.models,
            created_at: new.created_at,
        };
        let insert =
            diesel::insert_into(connection::table).values(&row).returning(ConnectionRow::as_returning());
        let made = insert.get_result(self.conn()?).await?;
        self.tell_connections_changed().await?;
        Ok(made.into())
    }

    /// The tenant's connections, newest first, disabled ones included; `after` is the last id of the page before.
    pub async fn list_connections(
        &mut self,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let mut query = connection::table
            .filter(connection::tenant_id.eq(self.tenant_id().uuid()))
            .order(connection::id.desc())
            .limit(i64::from(limit))
            .select(ConnectionRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(connection::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        Ok(rows.into_iter().map(Connection::from).collect())
    }

    /// One connection. [`StoreError::NotFound`] if the tenant has no such connection.
    pub async fn connection(&mut self, id: ConnectionId) -> Result<Connection, StoreError> {
        let row = connection::table.find((self.tenant_id().uuid(), id.uuid()));
        Ok(row.select(ConnectionRow::as_select()).first(self.conn()?).await?.into())
    }

    /// Puts another sealed secret in the old one's place, and tells every listening proxy on commit.
    /// [`StoreError::NotFound`] for a connection that is disabled, too: it has none any more.
    pub async fn replace_connection_secret(
        &mut self,
        id: ConnectionId,
        sealed_secret: &[u8],
    ) -> Result<Connection, StoreError> {
        let row = connection::table.find((self.tenant_id().uuid(), id.uuid()));
        let changed = diesel::update(row.filter(connection::disabled_at.is_null()))
            .set(connection::sealed_secret.eq(sealed_secret))
            .returning(ConnectionRow::as_returning())
            .get_result(self.conn()?)
            .await?;
        self.tell_connections_changed().await?;
        Ok(changed.into())
    }

    /// Disables a connection, with which its secret goes, and tells every listening proxy on commit. Doing it again
    /// changes nothing.
    pub async fn disable_connection(
        &mut self,
        id: ConnectionId,
        at: DateTime<Utc>,
    ) -> Result<Connection, StoreError> {
        let row = connection::table.find((self.tenant_id().uuid(), id.uuid()));
        let newly = diesel::update(row.filter(connection::disabled_at.is_null()))
            .set((connection::disabled_at.eq(at), connection::sealed_secret.eq(None::<Vec<u8>>)))
            .execute(self.conn()?)
            .await?;
        if newly > 0 {
            self.tell_connections_changed().await?;
        }
        self.connection(id).await
    }
}

impl TenantConn {
    /// Tells every listening proxy, on commit, to forget what it knows of the tenant.
    pub(crate) async fn tell_connections_changed(&mut self) -> Result<(), StoreError> {
        let tenant_id = self.tenant_id();
        notify(self.conn()?, KeyChange { tenant_id, api_key_id: None }).await
    }
}

impl SystemConn {
    /// A tenant's enabled connections, oldest first: what the proxy routes by.
    pub async fn connections_of(&mut self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        let rows = connection::table
            .filter(connection::tenant_id.eq(tenant.uuid()))
            .filter(connection::disabled_at.is_null())
            .order(connection::id)
            .select(ConnectionRow::as_select())
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(Connection::from).collect())
    }
}

impl fmt::Debug for Connection {
    /// Leaves the secret out, sealed as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("tenant_id", &self.tenant_id)
            .field("provider", &self.provider)
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .field("models", &self.models)
            .field("disabled_at", &self.disabled_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewConnection {
    /// Leaves the secret out, sealed as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConnection")
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = connection)]
struct ConnectionRow {
    tenant_id: Uuid,
    id: Uuid,
    provider: String,
    name: String,
    base_url: Option<String>,
    sealed_secret: Option<Vec<u8>>,
    models: Vec<String>,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
}

#[derive(Insertable)]
#[diesel(table_name = connection)]
struct NewConnectionRow<'a> {
    tenant_id: Uuid,
    id: Uuid,
    provider: &'a str,
    name: &'a str,
    base_url: Option<&'a str>,
    sealed_secret: Option<&'a [u8]>,
    models: &'a [String],
    created_at: DateTime<Utc>,
}

impl From<ConnectionRow> for Connection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            id: row.id.into(),
            tenant_id: row.tenant_id.into(),
            provider: row.provider,
            name: row.name,
            base_url: row.base_url,
            sealed_secret: row.sealed_secret,
            models: row.models,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
        }
    }
}
