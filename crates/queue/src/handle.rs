//! The queue's own way to PostgreSQL: pools for handlers and for claims and outcomes, and one connection for leases.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::worker::{Keeper, Quarantine};
use crate::{Backend, Job, QueueError, Settings};

/// How a connection is made, where the URL alone does not say it (TLS, tokens that expire).
pub type Connect =
    Arc<dyn Fn(String) -> BoxFuture<'static, ConnectionResult<AsyncPgConnection>> + Send + Sync>;

/// How the queue reaches PostgreSQL. Leases and LISTEN belong to a session, so a pooler in between must pool
/// sessions, not transactions.
#[derive(Clone)]
pub struct QueueConfig {
    /// The URL of a role that may work, see [`crate::grants`].
    pub url: String,
    /// The most connections for [`Queue::conn`], which handlers and operations use.
    pub connections: usize,
    /// The most connections for claims and outcomes, which no handler can hold up. One more keeps the leases of all
    /// workers.
    pub work_connections: usize,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How a connection is made; `None` is by the URL alone. The server closes each of them when it idles inside a
    /// transaction for five minutes.
    pub connect: Option<Connect>,
}

impl QueueConfig {
    /// Four connections for handlers, three for the queue's own work, five seconds' wait.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 4,
            work_connections: 3,
            acquire_timeout: Duration::from_secs(5),
            connect: None,
        }
    }
}

impl fmt::Debug for QueueConfig {
    /// Leaves the URL out: it holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The queue's tables in one database. Cheap to clone; clones share their pool, their quarantine for jobs that may have
/// killed a worker, and the connection that keeps their workers' leases: make one for a process, and run its workers in
/// one tokio runtime.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool<AsyncPgConnection>,
    work: Pool<AsyncPgConnection>,
    url: String,
    connect: Connect,
    acquire_timeout: Duration,
    quarantine: Quarantine,
    keeper: Keeper,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// A pooled connection.
///
/// One that is let go in the middle of a transaction, such as by a handler that took too long, is closed: its locks must
/// not lie in the pool.
// `None` only once it is let go.
pub struct Conn(Option<Object<AsyncPgConnection>>);

impl Drop for Conn {
    fn drop(&mut self) {
        if let Some(mut conn) = self.0.take()
            && conn.is_broken()
        {
            drop(Object::take(conn));
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").finish_non_exhaustive()
    }
}

impl Conn {
    /// Waits for some work on the connection, but not for ever: one that does not answer is closed, so that nobody
    /// gets it again. What the work did is not known then.
    pub(crate) async fn within<T>(
        mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> diesel::QueryResult<T>,
    ) -> Result<T, QueueError> {
        match tokio::time::timeout(limit, work(&mut self)).await {
            Ok(done) => Ok(done?),
            Err(late) => {
                drop(self.0.take().map(Object::take));
                Err(QueueError::Unreachable(Box::new(late)))
            }
        }
    }
}

impl Deref for Conn {
    type Target = AsyncPgConnection;
    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Some(conn) => conn,
            None => unreachable!("only its drop takes the connection away"),
        }
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.0 {
            Some(conn) => conn,
            None => unreachable!("only its drop takes the connection away"),
        }
    }
}

impl Queue {
    /// The queue behind a URL. Connections are made when first wanted, so this succeeds while PostgreSQL is down.
    pub fn new(config: &QueueConfig) -> Result<Self, QueueError> {
        let connect: Connect = config.connect.clone().unwrap_or_else(|| {
            Arc::new(|url| async move { AsyncPgConnection::establish(&url).await }.boxed())
        });
        let connect = bounded(connect);
        let pool = |size| pool(&config.url, &connect, size);
        let (pool, work) = (pool(config.connections)?, pool(config.work_connections)?);
        let (url, acquire_timeout) = (config.url.clone(), config.acquire_timeout);
        let (quarantine, keeper) = (Quarantine::default(), Keeper::default());
        Ok(Self { inner: Arc::new(Inner { pool, work, url, connect, acquire_timeout, quarantine, keeper }) })
    }

    /// A connection of the queue's role, for the operations in [`crate::ops`], [`crate::schedule`] and
    /// [`crate::run`], or to enqueue where there is no transaction of the caller's own.
    pub async fn conn(&self) -> Result<Conn, QueueError> {
        self.acquire(&self.inner.pool).await
    }

    /// A connection for claims and outcomes.
    pub(crate) async fn work(&self) -> Result<Conn, QueueError> {
        self.acquire(&self.inner.work).await
    }

    /// Who may run beside whom.
    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.inner.quarantine
    }

    /// Who keeps the leases of this process's workers.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.inner.keeper
    }

    async fn acquire(&self, pool: &Pool<AsyncPgConnection>) -> Result<Conn, QueueError> {
        match tokio::time::timeout(self.inner.acquire_timeout, pool.get()).await {
            Ok(Ok(conn)) => Ok(Conn(Some(conn))),
            Ok(Err(error)) => Err(QueueError::Unreachable(Box::new(error))),
            Err(late) => Err(QueueError::Unreachable(Box::new(late))),
        }
    }

    /// A connection outside the pool.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, QueueError> {
        let making = (self.inner.connect)(self.inner.url.clone());
        match tokio::time::timeout(self.inner.acquire_timeout, making).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(QueueError::Unreachable(Box::new(error))),
            Err(late) => Err(QueueError::Unreachable(Box::new(late))),
        }
    }

    /// The backend of a kind of job, for `WorkerBuilder::new(name).backend(…)`. A row whose payload is not a `J`
    /// goes to the dead letters and does not disturb the worker.
    pub fn backend<J: Job>(&self, settings: Settings) -> Backend<J> {
        Backend::checked(self.clone(), J::QUEUE.to_owned(), settings)
    }

    /// The backend of a queue whose rows carry different payloads in turn, as the steps of an `apalis-workflow` do.
    /// `Input` is the first step's. Name the queue with a version: `"invoice.v1"`.
    pub fn flow_backend<Input>(&self, queue: &str, settings: Settings) -> Backend<Input>
    where
        Input: Serialize + DeserializeOwned + Send + 'static,
    {
        Backend::unchecked(self.clone(), queue.to_owned(), settings)
    }
}

/// A process that is frozen inside a transaction holds its locks; the server ends them after this time.
const LIMITS: &str = "SET idle_in_transaction_session_timeout = '5min'";

/// Connections that the server closes when they idle inside a transaction.
fn bounded(connect: Connect) -> Connect {
    Arc::new(move |url| {
        let connecting = connect(url);
        async move {
            let mut conn = connecting.await?;
            conn.batch_execute(LIMITS).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(conn)
        }
        .boxed()
    })
}

fn pool(url: &str, connect: &Connect, size: usize) -> Result<Pool<AsyncPgConnection>, QueueError> {
    let mut manager = ManagerConfig::default();
    // A connection known to be closed is replaced. One that dies at its next use is reported, and whatever matters
    // here is tried again.
    manager.recycling_method = RecyclingMethod::Fast;
    let connect = Arc::clone(connect);
    manager.custom_setup = Box::new(move |url| connect(url.to_owned()));
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url, manager))
        .max_size(size.max(1))
        .build()
        .map_err(|error| QueueError::Unreachable(Box::new(error)))
}
