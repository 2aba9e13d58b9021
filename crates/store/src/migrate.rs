//! Migrations, embedded, run with the owner's URL: roles first (they belong to the whole cluster), then each
//! pending migration in a transaction of its own, under a lock, so that several starts at once do no harm.

use std::time::Duration;

use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::StoreError;
use crate::roles::{self, RUNTIME_ROLE};

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// How the runtime role gets its password.
#[derive(Clone)]
pub enum RuntimeLogin {
    /// Set it to this one.
    Password(String),
    /// Leave it as it is: the operator sets it, or another method of authentication is in use.
    Unchanged,
}

/// What a run of the migrations did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The versions that were applied now, oldest first.
    pub applied: Vec<String>,
    /// How many there are in all.
    pub total: usize,
}

/// A schema of another crate's that lives in the same database, made after the store's own.
pub struct Neighbour {
    /// Its migrations; their versions differ from everybody else's.
    pub migrations: EmbeddedMigrations,
    /// SQL that lets the store's roles use it, run after every migration.
    pub grants: String,
}

impl std::fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Neighbour").field("grants", &self.grants).finish_non_exhaustive()
    }
}

/// Makes the roles if they are missing, then applies what is pending. Needs the owner's URL.
pub async fn migrate(
    owner_url: &str,
    login: &RuntimeLogin,
    neighbours: Vec<Neighbour>,
) -> Result<Migrated, StoreError> {
    let mut conn = AsyncPgConnection::establish(owner_url).await?;
    ensure_roles(&mut conn, login).await?;
    run_pending(conn, neighbours).await
}

/// Roles belong to the cluster and migrations to a database, so two databases may be migrated at once: a
/// collision is tried again, since the other one has done the work.
async fn ensure_roles(conn: &mut AsyncPgConnection, login: &RuntimeLogin) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match try_ensure_roles(conn, login).await {
            Ok(()) => return Ok(()),
            Err(error) if tries < 20 && is_collision(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_collision(error: &diesel::result::Error) -> bool {
    use diesel::result::DatabaseErrorKind::{UniqueViolation, Unknown};
    match error {
        diesel::result::Error::DatabaseError(UniqueViolation, _) => true,
        diesel::result::Error::DatabaseError(Unknown, info) => {
            info.message().contains("tuple concurrently") || info.message().contains("already exists")
        }
        _ => false,
    }
}

async fn try_ensure_roles(conn: &mut AsyncPgConnection, login: &RuntimeLogin) -> diesel::QueryResult<()> {
    conn.batch_execute(include_str!("sql/ensure_roles.sql")).await?;
    if let RuntimeLogin::Password(password) = login {
        // ALTER ROLE takes no parameters, so PostgreSQL itself quotes the password.
        let statement: QuotedStatement =
            diesel::sql_query("SELECT format('ALTER ROLE %I PASSWORD %L', $1, $2) AS statement")
                .bind::<Text, _>(RUNTIME_ROLE)
                .bind::<Text, _>(password)
                .get_result(conn)
                .await?;
        conn.batch_execute(&statement.statement).await?;
    }
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct QuotedStatement {
    #[diesel(sql_type = Text)]
    statement: String,
}

async fn run_pending(
    mut conn: AsyncPgConnection,
    neighbours: Vec<Neighbour>,
) -> Result<Migrated, StoreError> {
    // Held by the session, so it ends with the connection whatever happens.
    diesel::sql_query("SELECT pg_advisory_lock($1)").bind::<BigInt, _>(LOCK).execute(&mut conn).await?;
    let (migrations, grants): (Vec<_>, Vec<_>) =
        neighbours.into_iter().map(|neighbour| (neighbour.migrations, neighbour.grants)).unzip();
    let run = tokio::task::spawn_blocking(move || {
        let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
        let mut migrated = Migrated { applied: Vec::new(), total: 0 };
        for source in std::iter::once(MIGRATIONS).chain(migrations) {
            migrated.total += MigrationSource::<Pg>::migrations(&source)?.len();
            let applied = conn.run_pending_migrations(source)?;
            migrated.applied.extend(applied.iter().map(ToString::to_string));
        }
        for sql in grants {
            diesel::connection::SimpleConnection::batch_execute(&mut conn, &sql)?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(migrated)
    });
    run.await.map_err(StoreError::bug)?.map_err(StoreError::Bug)
}

/// The advisory lock of a migration run; the number is arbitrary and must never change.
const LOCK: i64 = 0x0c05_7135_0001;

/// The runtime role's URL at the owner's database, for a runtime password that `migrate` has set.
pub fn runtime_url(owner_url: &str, password: &str) -> Result<String, StoreError> {
    roles::runtime_url(owner_url, password)
}
