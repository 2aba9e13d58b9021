//! The test harness: one PostgreSQL per test process (or per run), and a migrated database per test.
//!
//! The first test starts a throw-away private PostgreSQL and migrates a template; each further database is a
//! copy of it, made in some tens of milliseconds. The server and its files go away with the process, even if
//! it is killed. Where `COSTLENS_TEST_POSTGRES` holds an owner's URL, that server is shared instead.
#![expect(
    clippy::expect_used,
    reason = "a test that has no database cannot go on; this module is for tests alone"
)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use costlens_domain::keys::KeyScopes;
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, TenantId};
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::OnceCell;

use crate::migrate::MIGRATIONS;
use crate::private::{PrivatePg, PrivatePgConfig};
use crate::roles::database_url;
use crate::{ApiKey, NewApiKey, RuntimeLogin, Store, StoreConfig, StoreError, Tenant, migrate, runtime_url};

/// The runtime role's password in every test: all databases of a server share the role.
const RUNTIME_PASSWORD: &str = "runtime-of-the-tests";

static SERVER: OnceCell<Server> = OnceCell::const_new();
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The server that the process's tests share.
#[derive(Debug)]
struct Server {
    /// The owner's URL at the database `postgres`.
    url: String,
    template: String,
    /// Kept for its life; a shared one stops when the process ends.
    private: Option<PrivatePg>,
}

impl Server {
    async fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let (url, private) = if let Some(url) = shared_url() {
            (database_url(&url, "postgres")?, None)
        } else {
            let pg = throw_away().await?;
            (pg.url_of("postgres"), Some(pg))
        };
        let template = make_template(&url).await?;
        Ok(Self { url, template, private })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test run, not a binary, says which server its processes share"
)]
fn shared_url() -> Option<String> {
    std::env::var("COSTLENS_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// A private PostgreSQL for one test that wants to stop it: in a new directory that goes away with it.
pub async fn throw_away() -> Result<PrivatePg, Box<dyn std::error::Error>> {
    PrivatePg::start(throw_away_config()?).await.map_err(Into::into)
}

/// What [`throw_away`] starts. The directory stands in /tmp itself: a user without privileges can reach and
/// remove it there, and the socket's path stays short.
pub fn throw_away_config() -> std::io::Result<PrivatePgConfig> {
    let dir = tempfile::Builder::new().prefix("costlens-test-").tempdir_in("/tmp")?.keep();
    Ok(PrivatePgConfig { durable: false, throw_away: true, ..PrivatePgConfig::new(dir) })
}

/// How long tests wait for a connection: a machine that builds and tests at once may take its time to open one.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_mins(1);

/// A store at this URL that waits so long.
pub fn patient(url: &str) -> StoreConfig {
    StoreConfig { acquire_timeout: ACQUIRE_TIMEOUT, ..StoreConfig::new(url) }
}

/// A server of a test's own that can crash: it ends at once, without a word to its clients, and what it had answered is
/// there when it is back, as on a machine that lives on. It goes away with the value.
#[derive(Debug)]
pub struct CrashingServer {
    server: Server,
    config: PrivatePgConfig,
}

impl CrashingServer {
    /// A new server.
    ///
    /// # Panics
    /// Where there is no PostgreSQL.
    pub async fn start() -> Self {
        let made = async {
            // Its directory must outlive the crash.
            let config = PrivatePgConfig { throw_away: false, ..throw_away_config()? };
            let pg = PrivatePg::start(config.clone()).await?;
            let url = pg.url_of("postgres");
            let template = make_template(&url).await?;
            Ok::<_, Box<dyn std::error::Error>>(Self {
                server: Server { url, template, private: Some(pg) },
                config,
            })
        };
        made.await.expect("a PostgreSQL that may crash")
    }

    /// A new database, migrated and empty. Commits wait for the log: one that was answered outlives the server. (That
    /// nothing is forced onto the disk costs only what the machine itself would lose.)
    ///
    /// # Panics
    /// Where it cannot be made.
    pub async fn database(&self) -> TestDb {
        let db = TestDb::clone_of(&self.server).await.expect("a copy of the template database");
        let mut conn = AsyncPgConnection::establish(&self.server.url).await.expect("the server");
        let waits = format!("ALTER DATABASE {} SET synchronous_commit = on", db.name);
        conn.batch_execute(&waits).await.expect("commits that wait");
        db
    }

    /// What crashes the server as it runs now: an immediate shutdown.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn crasher(&self) -> impl Fn() + Clone + Send + 'static {
        let file =
            std::fs::read_to_string(self.config.dir.join("data/postmaster.pid")).expect("a running server");
        let pid = file.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
        let pid = pid.expect("the server's process");
        move || {
            let _gone = kill_process(pid, Signal::QUIT);
        }
    }

    /// Waits for the end of a server that was crashed, and starts it again, on the same data and at the same URLs.
    ///
    /// # Panics
    /// Where it does not end, or does not recover.
    pub async fn revive(&mut self) {
        let mut old = self.server.private.take().expect("a server");
        for _ in 0..12_000 {
            if !old.is_running() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!old.is_running(), "the server does not end");
        old.stop().await;
        self.server.private =
            Some(PrivatePg::start(self.config.clone()).await.expect("a server that recovers"));
    }
}

impl Drop for CrashingServer {
    fn drop(&mut self) {
        drop(self.server.private.take());
        let _left = std::fs::remove_dir_all(&self.config.dir);
    }
}

/// The migrated template; made once per server and set of migrations, by whoever comes first.
async fn make_template(url: &str) -> Result<String, StoreError> {
    let mut hasher = DefaultHasher::new();
    for migration in MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(StoreError::Bug)? {
        migration.name().to_string().hash(&mut hasher);
    }
    let template = format!("costlens_template_{:016x}", hasher.finish());
    let mut conn = AsyncPgConnection::establish(url).await?;
    conn.batch_execute("SELECT pg_advisory_lock(7351)").await?;
    let exists = diesel::sql_query("SELECT FROM pg_database WHERE datname = $1")
        .bind::<diesel::sql_types::Text, _>(&template)
        .execute(&mut conn)
        .await?;
    if exists == 0 {
        let unfinished = format!("{template}_new");
        conn.batch_execute(&format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await?;
        conn.batch_execute(&format!("CREATE DATABASE {unfinished}")).await?;
        let login = RuntimeLogin::Password(RUNTIME_PASSWORD.to_owned());
        migrate(&database_url(url, &unfinished)?, &login, Vec::new()).await?;
        conn.batch_execute(&format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await?;
    }
    Ok(template)
}

/// A migrated database of a test's own. It is dropped with the value.
#[derive(Debug)]
pub struct TestDb {
    store: Store,
    name: String,
    server_url: String,
    owner_url: String,
    runtime_url: String,
}

impl TestDb {
    /// A new database, migrated and empty.
    ///
    /// # Panics
    /// Where there is no PostgreSQL to make it in.
    pub async fn new() -> Self {
        let start = || async { Server::start().await.expect("a PostgreSQL for the tests") };
        let server = SERVER.get_or_init(start).await;
        Self::clone_of(server).await.expect("a copy of the template database")
    }

    async fn clone_of(server: &Server) -> Result<Self, StoreError> {
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut conn = AsyncPgConnection::establish(&server.url).await?;
        conn.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {}", server.template)).await?;
        let owner_url = database_url(&server.url, &name)?;
        let runtime_url = runtime_url(&owner_url, RUNTIME_PASSWORD)?;
        let store = Store::connect(&patient(&runtime_url))?;
        Ok(Self { store, name, server_url: server.url.clone(), owner_url, runtime_url })
    }

    /// The store at this database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The owner's URL at this database.
    pub fn owner_url(&self) -> &str {
        &self.owner_url
    }

    /// The runtime role's URL at this database.
    pub fn runtime_url(&self) -> &str {
        &self.runtime_url
    }

    /// Makes the schemas of other crates, too.
    ///
    /// # Panics
    /// Where one of them cannot be made.
    pub async fn add(&self, neighbours: Vec<crate::Neighbour>) {
        migrate(&self.owner_url, &RuntimeLogin::Unchanged, neighbours)
            .await
            .expect("the neighbours' schemas");
    }

    /// A tenant with this name.
    ///
    /// # Panics
    /// Where the database refuses it.
    pub async fn create_tenant(&self, name: &str) -> TenantId {
        let id = TenantId::new(test_time(), unlike_bytes());
        let tenant = Tenant::new(id, name, test_time());
        let mut system = self.store.system().await.expect("the system door");
        system.create_tenant(&tenant).await.expect("a tenant");
        id
    }

    /// A key of a tenant, whose secret has the SHA-256 `hash`.
    ///
    /// # Panics
    /// Where the database refuses it.
    pub async fn create_key(&self, tenant: TenantId, hash: [u8; 32]) -> ApiKey {
        let key = NewApiKey {
            id: ApiKeyId::new(test_time(), unlike_bytes()),
            hash,
            name: "test".to_owned(),
            hint: "test".to_owned(),
            hangup: HangupPolicy::Drain,
            stream_usage: StreamUsagePolicy::Inject,
            durability: Durability::Spool,
            created_at: test_time(),
            zero_retention: false,
            scopes: KeyScopes::ALL,
            expires_at: None,
            shown_to: None,
        };
        let mut conn = self.store.tenant(tenant).await.expect("the tenant's door");
        let made = conn.create_key(&key).await.expect("a key");
        conn.commit().await.expect("a commit");
        made
    }
}

impl Drop for TestDb {
    /// Drops the database in the background; what is left at the end goes away with the server.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = self.server_url.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                if let Ok(mut conn) = AsyncPgConnection::establish(&url).await {
                    let _dropped = conn.batch_execute(&statement).await;
                }
            });
        });
    }
}

/// The moment at which tests begin, unless they say otherwise.
fn test_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_800_000, 0).unwrap_or_default()
}

/// Ten bytes that no other call of this process got.
pub fn unlike_bytes() -> [u8; 10] {
    let mut bytes = [0; 10];
    let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    for (to, from) in bytes.iter_mut().skip(2).zip(count) {
        *to = from;
    }
    bytes
}
