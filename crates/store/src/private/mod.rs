//! A PostgreSQL of our own, for a local run and for tests: made by `initdb` from the system's server binaries,
//! reached only through a Unix socket in a directory of ours, with a random password.
//!
//! It stops with its owner, even when the owner is killed: a small shell process holds the reading end of a
//! pipe whose writing end dies with us, and then stops the server. One owner at a time holds a file lock.

mod account;
mod binaries;
mod cluster;
mod supervisor;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use crate::StoreError;
use crate::migrate::runtime_url;
use cluster::Cluster;
use supervisor::Supervised;

/// Where the cluster of a process that runs as root lives: PostgreSQL refuses root, and an unprivileged user
/// cannot reach a home that is closed to it.
pub const ROOT_DIR: &str = "/var/lib/costlens/pg";

/// The oldest major version that the migrations and policies are tried with.
pub const OLDEST_MAJOR: u32 = 15;

/// The owner's role and the name of the product's database.
const OWNER: &str = "costlens";

/// How long a start may take, crash recovery included.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// What a private PostgreSQL is made from.
#[derive(Clone, Debug)]
pub struct PrivatePgConfig {
    /// Everything lives below this directory, which is made with mode 0700.
    pub dir: PathBuf,
    /// Where the server binaries are; otherwise they are looked for.
    pub binaries: Option<PathBuf>,
    /// False gives durability up for speed: tests only.
    pub durable: bool,
    /// Removes the directory when the server has stopped, however that came about: tests only.
    pub throw_away: bool,
}

impl PrivatePgConfig {
    /// A durable cluster below this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), binaries: None, durable: true, throw_away: false }
    }
}

/// Why there is no private PostgreSQL. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePgError {
    /// No server binaries, or none new enough.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer was found (on PATH, by pg_config, under /usr/lib/postgresql, in \
         Homebrew's prefixes{}): install one, e.g. `apt-get install postgresql`, or set DATABASE_URL",
        old_ones(found)
    )]
    NoBinaries {
        /// The major versions that were found and are too old.
        found: Vec<u32>,
    },
    /// The cluster was made by a major version whose binaries are not here.
    #[error(
        "the cluster at {} was made by PostgreSQL {cluster}, but the server binaries here are of {}: install \
         PostgreSQL {cluster}, or move the data over with pg_upgrade or pg_dump", dir.display(), list(found)
    )]
    OtherMajor {
        /// The cluster's directory.
        dir: PathBuf,
        /// The cluster's major version.
        cluster: String,
        /// The major versions of the binaries.
        found: Vec<u32>,
    },
    /// Another process owns the cluster now.
    #[error("another process already runs the private PostgreSQL at {}", dir.display())]
    Owned {
        /// The directory.
        dir: PathBuf,
    },
    /// A server without an owner did not stop.
    #[error("a PostgreSQL without an owner (process {pid}) still runs on {} and does not stop", dir.display())]
    StillRunning {
        /// Its process id.
        pid: i32,
        /// Its data directory.
        dir: PathBuf,
    },
    /// Running as root, and the unprivileged user cannot get to the directory.
    #[error(
        "PostgreSQL does not run as root, and the user {user} cannot pass {} to reach {}: choose a directory \
         such as {ROOT_DIR}", parent.display(), dir.display()
    )]
    OutOfReach {
        /// The unprivileged user.
        user: String,
        /// The wanted directory.
        dir: PathBuf,
        /// The parent that is closed.
        parent: PathBuf,
    },
    /// Running as root, and there is no user to drop to.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody: set DATABASE_URL"
    )]
    NoUser,
    /// The socket's directory in the temporary directory belongs to somebody else.
    #[error("the socket directory {} is not ours alone: remove it, or choose a shorter data directory", dir.display())]
    SocketDir {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or process could not be handled.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {said}")]
    Init {
        /// Its last words.
        said: String,
    },
    /// The server ended before it could be reached.
    #[error("PostgreSQL did not start: {said}")]
    Start {
        /// The end of its log.
        said: String,
    },
    /// The server runs but does not let us in.
    #[error("PostgreSQL started but cannot be used")]
    Connect(#[source] StoreError),
}

fn list(found: &[u32]) -> String {
    found.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn old_ones(found: &[u32]) -> String {
    if found.is_empty() { String::new() } else { format!("; too old: {}", list(found)) }
}

/// A running private PostgreSQL. Dropping it stops the server.
#[derive(Debug)]
pub struct PrivatePg {
    server: Supervised,
    cluster: Cluster,
}

impl PrivatePg {
    /// Starts the cluster below the directory, making it first if there is none, with a database `costlens`.
    pub async fn start(config: PrivatePgConfig) -> Result<Self, PrivatePgError> {
        let prepared = tokio::task::spawn_blocking(move || {
            let cluster = Cluster::prepare(&config)?;
            let server = Supervised::spawn(&cluster)?;
            Ok::<_, PrivatePgError>((cluster, server))
        });
        let (cluster, server) =
            prepared.await.map_err(|died| PrivatePgError::Start { said: died.to_string() })??;
        let mut pg = Self { server, cluster };
        let mut conn = pg.wait_until_ready().await?;
        make_database(&mut conn).await.map_err(PrivatePgError::Connect)?;
        Ok(pg)
    }

    /// Where a private cluster belongs: below `preferred`, or at [`ROOT_DIR`] where this process is root and the
    /// unprivileged user cannot reach `preferred`.
    #[must_use]
    pub fn dir_for(preferred: &Path) -> PathBuf {
        match account::unprivileged() {
            Ok(Some(account)) if account.closed_parent(preferred).is_some() => ROOT_DIR.into(),
            _ => preferred.to_owned(),
        }
    }

    /// The runtime role's URL at a cluster that another process owns and runs: for a command beside a server.
    pub fn running_url(dir: &Path) -> Result<String, PrivatePgError> {
        cluster::running_url(dir)
    }

    /// The owner's URL: for migrations, never for serving.
    pub fn url(&self) -> String {
        self.cluster.url(OWNER)
    }

    /// The owner's URL at another database of the cluster.
    pub fn url_of(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// The password that `migrate` shall give to the runtime role.
    pub fn runtime_password(&self) -> &str {
        &self.cluster.runtime_password
    }

    /// The runtime role's URL, once `migrate` has made the role.
    pub fn runtime_url(&self) -> Result<String, StoreError> {
        runtime_url(&self.url(), self.runtime_password())
    }

    /// The server's major version.
    pub const fn major(&self) -> u32 {
        self.cluster.binaries.major
    }

    /// The supervising process; for tests and `doctor`.
    pub fn supervisor_pid(&self) -> u32 {
        self.server.pid()
    }

    /// False once the server has ended on its own.
    pub fn is_running(&mut self) -> bool {
        self.server.is_running()
    }

    /// Ends every session, writes a checkpoint and stops.
    pub async fn stop(self) {
        // Dropping waits for the server.
        let _ended = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    async fn wait_until_ready(&mut self) -> Result<AsyncPgConnection, PrivatePgError> {
        let url = self.cluster.url("postgres");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let error = match AsyncPgConnection::establish(&url).await {
                Ok(conn) => return Ok(conn),
                Err(error) => error,
            };
            let said = error.to_string();
            if said.contains("password authentication failed") || Instant::now() > deadline {
                return Err(PrivatePgError::Connect(error.into()));
            }
            if !self.server.is_running() {
                return Err(PrivatePgError::Start { said: self.cluster.end_of_log() });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn make_database(conn: &mut AsyncPgConnection) -> Result<(), StoreError> {
    let exists =
        diesel::sql_query("SELECT FROM pg_database WHERE datname = 'costlens'").execute(conn).await?;
    if exists == 0 {
        diesel::sql_query("CREATE DATABASE costlens").execute(conn).await?;
    }
    Ok(())
}
