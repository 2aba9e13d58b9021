//! A throw-away PostgreSQL for the test process, and a migrated database per test. It runs as a user without
//! privileges where the tests run as root, listens on a socket only, and goes away with the process even if that is
//! killed: a shell waits for the end of a pipe.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use costlens_queue::{MIGRATIONS, Queue, QueueConfig};
use diesel::sql_types::BigInt;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::MigrationHarness;
use tokio::sync::OnceCell;

static COUNT: AtomicU32 = AtomicU32::new(0);
static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// A queue at this URL that waits as long for a connection as a busy machine may take to open one.
pub(crate) fn patient(url: &str) -> QueueConfig {
    QueueConfig { acquire_timeout: Duration::from_mins(1), ..QueueConfig::new(url) }
}

/// What the tests' handlers write: who ran what, and when.
const TABLES: &str = "CREATE TABLE ran (n int NOT NULL, phase text NOT NULL, worker text NOT NULL, \
    at timestamptz NOT NULL DEFAULT clock_timestamp()); CREATE TABLE effect (n int NOT NULL);";

/// A server of its own. It stops when the value, or the process, is gone.
pub(crate) struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    _supervisor: std::process::ChildStdin,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let bin = binaries();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/queue-test-{}-{count}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        // Stops the server and removes its files when the pipe ends.
        let script = "cat >/dev/null; \"$0\" -D \"$1/data\" -m immediate stop >/dev/null 2>&1; rm -rf \"$1\"";
        let mut supervisor = Command::new("/bin/sh");
        supervisor.args(["-c", script]).arg(bin.join("pg_ctl")).arg(&dir).stdin(Stdio::piped());
        supervisor.stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
        if let Some((uid, gid)) = user {
            supervisor.uid(uid).gid(gid);
        }
        let pipe = supervisor.spawn().unwrap().stdin.take().unwrap();
        let cluster = Self { dir, bin, user, _supervisor: pipe };
        let data = cluster.dir.join("data");
        cluster.run(
            "initdb",
            &["-D", text(&data), "-U", "owner", "--auth=trust", "--no-sync", "--locale=C.UTF-8"],
        );
        let mut conf = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        // No fsync: what a crash of the server loses without it is what a crash of the machine would.
        writeln!(
            conf,
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 300\nfsync = off\n\
             full_page_writes = off\nshared_buffers = 64MB\njit = off\nlc_messages = 'C'",
            cluster.dir.display()
        )
        .unwrap();
        drop(conf);
        cluster.run(
            "pg_ctl",
            &["-D", text(&data), "-l", text(&cluster.dir.join("log")), "-w", "-t", "300", "start"],
        );
        let mut conn = AsyncPgConnection::establish(&cluster.url("postgres")).await.unwrap();
        conn.batch_execute("CREATE DATABASE template").await.unwrap();
        let mut template = AsyncPgConnection::establish(&cluster.url("template")).await.unwrap();
        template.batch_execute(TABLES).await.unwrap();
        tokio::task::spawn_blocking(move || {
            let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(template);
            conn.run_pending_migrations(MIGRATIONS).map(|_| ()).unwrap();
        })
        .await
        .unwrap();
        cluster
    }

    /// What a crash of the server is to its clients: every connection breaks, and recovery follows.
    pub(crate) fn crash_and_restart(&self) {
        let (data, log) = (self.dir.join("data"), self.dir.join("log"));
        self.run(
            "pg_ctl",
            &["-D", text(&data), "-m", "immediate", "-l", text(&log), "-w", "-t", "300", "restart"],
        );
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(&self.dir);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        assert!(command.status().unwrap().success(), "{program} failed");
    }

    fn url(&self, database: &str) -> String {
        let host = self.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgres://owner@{host}/{database}")
    }

    /// A migrated database.
    pub(crate) async fn database(&self) -> Db {
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut conn = AsyncPgConnection::establish(&self.url("postgres")).await.unwrap();
        conn.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template")).await.unwrap();
        Db { url: self.url(&name) }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn binaries() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output();
    let named = output.ok().filter(|output| output.status.success());
    let named = named.map(|output| PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let candidates = named.into_iter().chain(debian.map(|entry| entry.path().join("bin")));
    candidates.into_iter().find(|dir| dir.join("initdb").is_file()).expect("PostgreSQL's server binaries")
}

/// PostgreSQL refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|field| field.parse().unwrap());
        Some((numbers.next()?, numbers.next()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("a user without privileges"))
}

/// A test's database.
#[derive(Clone)]
pub(crate) struct Db {
    pub(crate) url: String,
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// What `SELECT <expression>` gives, on a connection that is there already.
pub(crate) async fn number(conn: &mut AsyncPgConnection, expression: &str) -> i64 {
    let sql = format!("SELECT ({expression})::bigint AS n");
    let row: Number = diesel::sql_query(sql).get_result(conn).await.unwrap();
    row.n
}

impl Db {
    pub(crate) async fn new() -> Self {
        SHARED.get_or_init(Cluster::start).await.database().await
    }

    pub(crate) fn queue(&self) -> Queue {
        Queue::new(&QueueConfig { connections: 6, ..patient(&self.url) }).unwrap()
    }

    pub(crate) async fn conn(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(&self.url).await.unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.conn().await.batch_execute(sql).await.unwrap();
    }

    /// What `SELECT <expression>` gives.
    pub(crate) async fn number(&self, expression: &str) -> i64 {
        number(&mut self.conn().await, expression).await
    }

    /// Waits until an expression holds, and says how long that took.
    ///
    /// # Panics
    /// When it takes longer than a busy machine needs.
    pub(crate) async fn wait_for(&self, condition: &str) -> Duration {
        let begin = Instant::now();
        let mut conn = self.conn().await;
        let sql = format!("SELECT (({condition})::boolean)::int::bigint AS n");
        loop {
            let row: Number = diesel::sql_query(&sql).get_result(&mut conn).await.unwrap();
            if row.n == 1 {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {condition}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
