//! The three doors. Each is a pool of its own whose connections carry a database role of their own, set at
//! connect (`-c role=…`), so that `RESET ROLE` leads back to the door and never past it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use costlens_domain::privacy::BodyClass;
use costlens_domain::{ApiKeyId, TenantId};
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, RunQueryDsl, TransactionManager,
};

use futures_util::StreamExt;

use crate::roles::{self, Door};
use crate::{NewAuditEvent, StoreError, audit};

/// How the store reaches PostgreSQL.
#[derive(Clone)]
pub struct StoreConfig {
    /// The runtime role's URL (never the owner's): `postgres://costlens_runtime:…@host/database`.
    pub url: String,
    /// The most connections of each of the three pools.
    pub connections_per_door: usize,
    /// How long a caller waits for a connection before it hears that the database cannot be reached.
    pub acquire_timeout: Duration,
}

impl StoreConfig {
    /// The usual sizes: eight connections per door, two seconds' wait.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connections_per_door: 8, acquire_timeout: Duration::from_secs(2) }
    }
}

impl fmt::Debug for StoreConfig {
    /// Leaves the URL out: it holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("connections_per_door", &self.connections_per_door)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish_non_exhaustive()
    }
}

type PgPool = Pool<AsyncPgConnection>;
type Pooled = Object<AsyncPgConnection>;

/// The database behind its three doors. Cheap to clone; clones share their pools.
#[derive(Clone)]
pub struct Store {
    tenant: PgPool,
    writer: PgPool,
    system: PgPool,
    url: Arc<str>,
    acquire_timeout: Duration,
    /// Days whose partition this process has seen.
    pub(crate) known_days: Arc<Mutex<BTreeSet<NaiveDate>>>,
    /// The same of bodies, for each class.
    known_bodies: Arc<Mutex<BTreeSet<(BodyClass, NaiveDate)>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// The store at a database. Connections are made when first wanted and made anew after an outage, so this
    /// succeeds while PostgreSQL is down; it fails only on a URL that cannot be read.
    pub fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        let pool = |door| pool(config, door);
        Ok(Self {
            tenant: pool(Door::Tenant)?,
            writer: pool(Door::Writer)?,
            system: pool(Door::System)?,
            url: config.url.as_str().into(),
            acquire_timeout: config.acquire_timeout,
            known_days: Arc::default(),
            known_bodies: Arc::default(),
        })
    }

    /// A transaction that sees one tenant's rows. Nothing is kept without [`TenantConn::commit`].
    pub async fn tenant(&self, tenant: TenantId) -> Result<TenantConn, StoreError> {
        let mut conn = self.acquire(&self.tenant).await?;
        // One round trip; the id is hexadecimal by its type, so it needs no quoting.
        let begin =
            format!("BEGIN; SELECT set_config('costlens.tenant', '{}', true)", tenant.uuid().hyphenated());
        if let Err(error) = AnsiTransactionManager::begin_transaction_sql(&mut *conn, &begin).await {
            discard(conn);
            return Err(error.into());
        }
        Ok(TenantConn { conn: Some(conn), tenant, audited: Vec::new() })
    }

    /// The spool's door.
    pub async fn writer(&self) -> Result<WriterConn, StoreError> {
        Ok(WriterConn {
            conn: self.acquire(&self.writer).await?,
            known_days: Arc::clone(&self.known_days),
            known_bodies: Arc::clone(&self.known_bodies),
        })
    }

    /// The door for the few queries that cross tenants.
    pub async fn system(&self) -> Result<SystemConn, StoreError> {
        Ok(SystemConn { conn: self.acquire(&self.system).await? })
    }

    /// A transaction of the door that crosses tenants. Nothing is kept without [`SystemTx::commit`].
    pub async fn system_tx(&self) -> Result<SystemTx, StoreError> {
        self.system().await?.begin().await
    }

    /// Refuses a runtime role that owns tables, is a superuser, or bypasses row-level security, and a database
    /// whose doors are missing. `serve` calls it before it listens.
    pub async fn check_runtime_role(&self) -> Result<(), StoreError> {
        let mut conn = self.acquire(&self.system).await?;
        roles::check(&mut conn).await
    }

    /// Asks PostgreSQL for nothing, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.acquire(&self.system).await?;
        diesel::select(diesel::dsl::sql::<BigInt>("1::bigint")).get_result::<i64>(&mut conn).await?;
        Ok(())
    }

    /// Listens for changed keys and connections on a connection of its own. After an error, or when it ends,
    /// forget every cached key and call this again.
    pub async fn key_changes(&self) -> Result<KeyChanges, StoreError> {
        let url = roles::door_url(&self.url, Door::System)?;
        let connecting = AsyncPgConnection::establish(&url);
        let mut conn = tokio::time::timeout(self.acquire_timeout, connecting)
            .await
            .map_err(|late| StoreError::Unavailable(Box::new(late)))??;
        diesel::sql_query("LISTEN costlens_keys").execute(&mut conn).await?;
        Ok(KeyChanges { conn })
    }

    /// Listens for new versions of the price catalogue on a connection of its own. After an error, or when it ends,
    /// look for the newest version and call this again.
    pub async fn price_changes(&self) -> Result<PriceNews, StoreError> {
        let url = roles::door_url(&self.url, Door::System)?;
        let connecting = AsyncPgConnection::establish(&url);
        let mut conn = tokio::time::timeout(self.acquire_timeout, connecting)
            .await
            .map_err(|late| StoreError::Unavailable(Box::new(late)))??;
        diesel::sql_query("LISTEN costlens_prices").execute(&mut conn).await?;
        Ok(PriceNews { conn })
    }

    async fn acquire(&self, pool: &PgPool) -> Result<Pooled, StoreError> {
        match tokio::time::timeout(self.acquire_timeout, pool.get()).await {
            Ok(conn) => Ok(conn?),
            Err(late) => Err(StoreError::Unavailable(Box::new(late))),
        }
    }
}

fn pool(config: &StoreConfig, door: Door) -> Result<PgPool, StoreError> {
    let url = roles::door_url(&config.url, door)?;
    let mut manager = ManagerConfig::default();
    // `Verified` asks before each use: a connection that died with its server is replaced, not handed out.
    manager.recycling_method = RecyclingMethod::Verified;
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url, manager))
        .max_size(config.connections_per_door)
        .build()
        .map_err(StoreError::bug)
}

/// Takes a connection in an unknown state out of its pool.
fn discard(conn: Pooled) {
    drop(Object::take(conn));
}

/// A transaction of one tenant. Dropped without [`Self::commit`], it is rolled back.
pub struct TenantConn {
    conn: Option<Pooled>,
    tenant: TenantId,
    /// What the transaction does, to be written down last.
    audited: Vec<NewAuditEvent>,
}

impl TenantConn {
    /// Whose rows are seen.
    #[must_use]
    pub const fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    /// Keeps what was done. Readers need not call it. After a failed operation nothing is kept, whatever this
    /// says, because PostgreSQL has given the transaction up: hand the error on instead.
    ///
    /// What was done is written down here, after everything else: each tenant's audit is a chain, and nobody waits
    /// for its end longer than one insert and the disk take.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let audited = std::mem::take(&mut self.audited);
        if !audited.is_empty() {
            let tenant = self.tenant;
            audit::write(self.conn()?, tenant, &audited).await?;
        }
        let Some(mut conn) = self.conn.take() else { return Ok(()) };
        let done = AnsiTransactionManager::commit_transaction(&mut *conn).await;
        if done.is_err() {
            discard(conn);
        }
        Ok(done?)
    }

    /// The transaction's connection, for a neighbour's rows that belong into the same transaction: the queue's jobs.
    /// Product tables are read and written through this crate's own methods.
    pub fn transaction(&mut self) -> Result<&mut AsyncPgConnection, StoreError> {
        self.conn()
    }

    pub(crate) const fn audited(&mut self) -> &mut Vec<NewAuditEvent> {
        &mut self.audited
    }

    pub(crate) fn conn(&mut self) -> Result<&mut AsyncPgConnection, StoreError> {
        match self.conn.as_mut() {
            Some(conn) => Ok(conn),
            None => Err(StoreError::bug("the transaction is over")),
        }
    }
}

impl fmt::Debug for TenantConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantConn").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Drop for TenantConn {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        roll_back(conn);
    }
}

/// The spool's door: select keys, insert facts, update rollups.
pub struct WriterConn {
    pub(crate) conn: Pooled,
    pub(crate) known_days: Arc<Mutex<BTreeSet<NaiveDate>>>,
    known_bodies: Arc<Mutex<BTreeSet<(BodyClass, NaiveDate)>>>,
}

impl WriterConn {
    /// Whether this process has seen the partition of a class and day of bodies.
    pub(crate) fn has_seen_bodies(&self, class: BodyClass, day: NaiveDate) -> bool {
        self.known_bodies.lock().unwrap_or_else(PoisonError::into_inner).contains(&(class, day))
    }

    /// Remembers that a class and day of bodies has its partition.
    pub(crate) fn saw_bodies(&self, class: BodyClass, day: NaiveDate) {
        self.known_bodies.lock().unwrap_or_else(PoisonError::into_inner).insert((class, day));
    }

    /// Forgets them, because one that was there may be gone: the purge drops them.
    pub(crate) fn forget_body_days(&self) {
        self.known_bodies.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The days of `wanted` whose partition this process has not seen yet.
    pub(crate) fn unseen_days(&self, wanted: &BTreeSet<NaiveDate>) -> Vec<NaiveDate> {
        let known = self.known_days.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.difference(&known).copied().collect()
    }

    /// Forgets every day, because a partition that was there is gone.
    pub(crate) fn forget_days(&self) {
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Remembers that a day has its partition.
    pub(crate) fn saw_day(&self, day: NaiveDate) {
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
    }
}

impl fmt::Debug for WriterConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterConn").finish_non_exhaustive()
    }
}

/// The door for the few queries that cross tenants: key lookup by hash, sign-in, sweepers.
pub struct SystemConn {
    pub(crate) conn: Pooled,
}

impl fmt::Debug for SystemConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemConn").finish_non_exhaustive()
    }
}

impl SystemConn {
    /// Begins a transaction: what is done in it is kept as one with [`SystemTx::commit`], or not at all.
    pub async fn begin(mut self) -> Result<SystemTx, StoreError> {
        if let Err(error) = AnsiTransactionManager::begin_transaction(&mut *self.conn).await {
            discard(self.conn);
            return Err(error.into());
        }
        Ok(SystemTx { system: Some(self) })
    }
}

/// A transaction of the door that crosses tenants. Dropped without [`Self::commit`], it is rolled back.
pub struct SystemTx {
    system: Option<SystemConn>,
}

impl SystemTx {
    /// The door's operations, in this transaction.
    pub fn system(&mut self) -> Result<&mut SystemConn, StoreError> {
        self.system.as_mut().ok_or_else(|| StoreError::bug("the transaction is over"))
    }

    /// The transaction's connection, for a neighbour's rows that belong into the same transaction: the queue's jobs.
    pub fn transaction(&mut self) -> Result<&mut AsyncPgConnection, StoreError> {
        Ok(&mut *self.system()?.conn)
    }

    /// Keeps what was done. After a failed operation nothing is kept, whatever this says.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let Some(mut system) = self.system.take() else { return Ok(()) };
        let done = AnsiTransactionManager::commit_transaction(&mut *system.conn).await;
        if done.is_err() {
            discard(system.conn);
        }
        Ok(done?)
    }
}

impl fmt::Debug for SystemTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTx").finish_non_exhaustive()
    }
}

impl Drop for SystemTx {
    fn drop(&mut self) {
        let Some(system) = self.system.take() else { return };
        roll_back(system.conn);
    }
}

/// Rolls back in the background, so that an abandoned request costs no connection.
fn roll_back(mut conn: Pooled) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return discard(conn);
    };
    runtime.spawn(async move {
        if AnsiTransactionManager::rollback_transaction(&mut *conn).await.is_err() {
            discard(conn);
        }
    });
}

/// What changed, as far as a proxy that caches keys must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// Whose keys or connections.
    pub tenant_id: TenantId,
    /// The key; `None` where the tenant's connections changed.
    pub api_key_id: Option<ApiKeyId>,
}

impl KeyChange {
    /// The notification's payload: `<tenant>:<key or nothing>`.
    pub(crate) fn payload(self) -> String {
        let key = self.api_key_id.map(|key| key.to_string()).unwrap_or_default();
        format!("{}:{key}", self.tenant_id)
    }

    fn parse(payload: &str) -> Option<Self> {
        let (tenant, key) = payload.split_once(':')?;
        let api_key_id = if key.is_empty() { None } else { Some(key.parse().ok()?) };
        Some(Self { tenant_id: tenant.parse().ok()?, api_key_id })
    }
}

/// A listener for changed keys and connections.
pub struct KeyChanges {
    conn: AsyncPgConnection,
}

impl KeyChanges {
    /// Asks the database for a sign of life on the listening connection: one that a network dropped in silence brings
    /// no change and no error either.
    pub async fn ask_for_life(&mut self) -> Result<(), StoreError> {
        diesel::sql_query("SELECT 1").execute(&mut self.conn).await?;
        Ok(())
    }

    /// Waits for the next change. Any error ends the listener: forget what is cached and listen anew.
    pub async fn next(&mut self) -> Result<KeyChange, StoreError> {
        let mut notifications = std::pin::pin!(self.conn.notifications_stream());
        while let Some(notification) = notifications.next().await {
            let notification = notification?;
            match KeyChange::parse(&notification.payload) {
                Some(change) => return Ok(change),
                None => {
                    tracing::warn!(channel = %notification.channel, "ignored a notification of unknown shape");
                }
            }
        }
        Err(StoreError::Unavailable("the listening connection was closed".into()))
    }
}

impl fmt::Debug for KeyChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyChanges").finish_non_exhaustive()
    }
}

/// A listener for new versions of the price catalogue.
pub struct PriceNews {
    conn: AsyncPgConnection,
}

impl PriceNews {
    /// Waits until some version was published. Any error ends the listener.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        let mut notifications = std::pin::pin!(self.conn.notifications_stream());
        match notifications.next().await {
            Some(notification) => Ok(notification.map(drop)?),
            None => Err(StoreError::Unavailable("the listening connection was closed".into())),
        }
    }
}

impl fmt::Debug for PriceNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceNews").finish_non_exhaustive()
    }
}
