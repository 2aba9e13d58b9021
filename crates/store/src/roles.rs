//! The database roles: one without login per door, and one that logs in and may become any of them.

use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use url::Url;

use crate::StoreError;

/// The role that logs in. It inherits nothing: without a door's role it may do nothing.
pub(crate) const RUNTIME_ROLE: &str = "costlens_runtime";

/// The role of those who do durable work: it reaches the queue's tables and none of the product's, which handlers
/// reach through the doors.
pub const WORKER_ROLE: &str = "costlens_worker";

/// The roles that may leave durable work behind in their own transactions.
pub const ENQUEUER_ROLES: [&str; 2] = [Door::Tenant.role(), Door::System.role()];

/// The runtime role's URL as [`WORKER_ROLE`].
pub fn worker_url(url: &str) -> Result<String, StoreError> {
    role_url(url, WORKER_ROLE)
}

/// Which of the three doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Tenant,
    Writer,
    System,
}

impl Door {
    /// The role that its connections carry.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Tenant => "costlens_app",
            Self::Writer => "costlens_writer",
            Self::System => "costlens_system",
        }
    }
}

/// Why the runtime role is not safe to serve with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleFault {
    /// The role, or one that it may become, is a superuser.
    #[error("the role {0} is a superuser")]
    Superuser(String),
    /// The role, or one that it may become, bypasses row-level security.
    #[error("the role {0} bypasses row-level security")]
    BypassesRowSecurity(String),
    /// The role, or one that it may become, owns tables and could lift their policies.
    #[error("the role {0} owns tables")]
    OwnsTables(String),
    /// A connection does not carry its door's role.
    #[error("the connection carries the role {0}, not its door's")]
    NotTheDoor(String),
}

/// The URL with a door's role in its startup options.
pub(crate) fn door_url(url: &str, door: Door) -> Result<String, StoreError> {
    role_url(url, door.role())
}

fn role_url(url: &str, role: &str) -> Result<String, StoreError> {
    let mut url = parse_url(url)?;
    let options = format!("-c role={role}");
    url.query_pairs_mut().append_pair("options", &options).append_pair("application_name", role);
    // A form-encoded space is a plus sign, which libpq's and tokio-postgres' URLs do not read as a space.
    let query = url.query().unwrap_or_default().replace('+', "%20");
    url.set_query(Some(&query));
    Ok(url.into())
}

/// The owner's URL with the runtime role's name and password in place of the owner's.
pub(crate) fn runtime_url(owner_url: &str, password: &str) -> Result<String, StoreError> {
    let mut url = parse_url(owner_url)?;
    let named = url.set_username(RUNTIME_ROLE).and_then(|()| url.set_password(Some(password)));
    named.map_err(|()| StoreError::bug("the database URL takes no user"))?;
    Ok(url.into())
}

/// The same server and user, another database.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn database_url(url: &str, database: &str) -> Result<String, StoreError> {
    let mut url = parse_url(url)?;
    url.set_path(database);
    Ok(url.into())
}

fn parse_url(url: &str) -> Result<Url, StoreError> {
    let parsed = Url::parse(url).map_err(|_| NotADatabaseUrl)?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(NotADatabaseUrl.into());
    }
    Ok(parsed)
}

/// The URL itself is left out: it holds a password.
struct NotADatabaseUrl;

impl From<NotADatabaseUrl> for StoreError {
    fn from(_: NotADatabaseUrl) -> Self {
        Self::bug("the database URL is not of the form postgres://user:password@host/database")
    }
}

#[derive(diesel::QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the catalogue, one question per column")]
struct RoleRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
    #[diesel(sql_type = Bool)]
    bypasses: bool,
    #[diesel(sql_type = Bool)]
    owns: bool,
    #[diesel(sql_type = Bool)]
    current: bool,
}

/// Looks at the login role and at every role that it may become.
pub(crate) async fn check(conn: &mut AsyncPgConnection) -> Result<(), StoreError> {
    let rows: Vec<RoleRow> = diesel::sql_query(include_str!("sql/check_roles.sql")).load(conn).await?;
    for row in &rows {
        if row.superuser {
            return Err(RoleFault::Superuser(row.name.clone()).into());
        }
        if row.bypasses {
            return Err(RoleFault::BypassesRowSecurity(row.name.clone()).into());
        }
        if row.owns {
            return Err(RoleFault::OwnsTables(row.name.clone()).into());
        }
    }
    let current = rows.iter().find(|row| row.current).map(|row| row.name.as_str()).unwrap_or_default();
    if current == Door::System.role() {
        Ok(())
    } else {
        Err(RoleFault::NotTheDoor(current.to_owned()).into())
    }
}
