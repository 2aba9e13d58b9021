//! The real binary as a child process, with its private PostgreSQL in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::actors::Owner;
use crate::fake_llm::FakeLlm;
use crate::supervised::{Supervised, signal};
use crate::{http, place};

/// A server, and the fake vendor that it takes for OpenAI and Anthropic.
#[derive(Debug)]
pub struct TestApp {
    dir: PathBuf,
    env: Vec<(String, String)>,
    child: Option<Supervised>,
    welcome: Value,
    /// The vendor behind every connection without an address of its own.
    pub llm: FakeLlm,
    /// An address where nothing listens, though connections may name it.
    pub nothing_there: String,
    owns_dir: bool,
}

/// The largest request that the shared server takes.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// How long the shared server waits for a vendor's first word: longer than any vendor here is held up by other tests.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a server says whose predecessor's PostgreSQL is not down yet.
const STILL_STOPPING: [&str; 2] = ["another process already runs", "and does not stop"];

static SHARED: LazyLock<TestApp> = LazyLock::new(|| {
    TestApp::shared_with(&[
        ("COSTLENS_MAX_REQUEST_BYTES", &MAX_REQUEST_BYTES.to_string()),
        ("COSTLENS_FIRST_BYTE_TIMEOUT_MS", &FIRST_BYTE_TIMEOUT.as_millis().to_string()),
    ])
});

/// The server that all tests share which need no more than a tenant of their own.
#[must_use]
pub fn shared() -> &'static TestApp {
    &SHARED
}

impl TestApp {
    /// A server that several tests share and none owns: kept in a static, which is never dropped.
    #[must_use]
    pub fn shared_with(settings: &[(&str, &str)]) -> Self {
        let mut app = Self::prepared(settings);
        // The supervising shell removes the directory.
        app.owns_dir = false;
        app.start();
        app
    }

    /// A server of one's own, to be broken.
    #[must_use]
    pub fn own(settings: &[(&str, &str)]) -> Self {
        Self::own_after(settings, |_| ())
    }

    /// The same, after its data directory was prepared.
    #[must_use]
    pub fn own_after(settings: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        let mut app = Self::prepared(settings);
        prepare(&app.data_dir());
        app.start();
        app
    }

    /// Another process on this server's PostgreSQL, with the same key and the same kept files, and a spool of its own.
    #[must_use]
    pub fn replica(&self, settings: &[(&str, &str)]) -> Self {
        let mut settings = settings.to_vec();
        let url = self.runtime_url();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (key, objects) = (text(self.dir.join("keys/master.key")), text(self.data_dir().join("objects")));
        settings.extend([
            ("DATABASE_URL", url.as_str()),
            ("COSTLENS_KEY_FILE", key.as_str()),
            ("COSTLENS_OBJECT_DIR", objects.as_str()),
        ]);
        Self::own(&settings)
    }

    /// The private PostgreSQL as another process reaches it.
    fn runtime_url(&self) -> String {
        let (Some(password), Some(socket)) =
            (find(&self.data_dir(), "runtime.password"), find(&self.data_dir(), ".s.PGSQL.5432"))
        else {
            panic!("no private PostgreSQL in {}", self.data_dir().display())
        };
        let password = std::fs::read_to_string(password).unwrap();
        let dir = socket.parent().unwrap().to_str().unwrap();
        let host: String = url::form_urlencoded::byte_serialize(dir.as_bytes()).collect();
        format!("postgres://costlens_runtime:{}@{host}:5432/costlens", password.trim())
    }

    fn prepared(settings: &[(&str, &str)]) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::Builder::new().prefix("costlens-test-").tempdir().unwrap().keep();
        // PostgreSQL refuses root: an unprivileged user must get through to its own directory below.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let llm = FakeLlm::start();
        let nothing_there = nobody_listens();
        let allowed = [llm.host_port(), nothing_there.clone(), crate::aimock::host_port()].join(",");
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let own = |name: &str, value: String| (name.to_owned(), value);
        let mut env = vec![
            own("COSTLENS_LISTEN", "127.0.0.1:0".to_owned()),
            own("COSTLENS_DATA_DIR", text(dir.join("data"))),
            own("COSTLENS_KEY_FILE", text(dir.join("keys/master.key"))),
            own("COSTLENS_ALLOW_PRIVATE_HOSTS", allowed),
            own("COSTLENS_PROVIDER_URLS", format!("openai={0},anthropic={0}", llm.base_url())),
            own("COSTLENS_PRINT_JSON", "true".to_owned()),
            own("COSTLENS_LOG", "info".to_owned()),
            // A machine that builds and tests at once may take its time to open a connection.
            own("COSTLENS_DATABASE_WAIT_MS", "60000".to_owned()),
            // The platform's role, and an AWS where nothing listens; tests that want one bring their own.
            own("COSTLENS_AWS_ASSUMER_ROLE", "arn:aws:iam::999988887777:role/costlens-assumer".to_owned()),
            own("COSTLENS_AWS_STS_URL", format!("http://{nothing_there}")),
            own("COSTLENS_AWS_S3_URL", format!("http://{nothing_there}")),
            own(
                "COSTLENS_INVOICE_URLS",
                format!("openai=http://{nothing_there},anthropic=http://{nothing_there}"),
            ),
            own("AWS_ACCESS_KEY_ID", "ASIDASSUMEREXAMPLE".to_owned()),
            own("AWS_SECRET_ACCESS_KEY", "not-a-secret".to_owned()),
            own("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        for (name, value) in settings {
            match env.iter_mut().find(|(known, _)| known == name) {
                // Fakes of one's own are allowed beside those that are always there.
                Some((_, hosts)) if *name == "COSTLENS_ALLOW_PRIVATE_HOSTS" => hosts.extend([",", *value]),
                Some((_, known)) => (*value).clone_into(known),
                None => env.push(own(name, (*value).to_owned())),
            }
        }
        Self { dir, env, child: None, welcome: Value::Null, llm, nothing_there, owns_dir: true }
    }

    /// Starts the server (again), over whatever the last one left.
    pub fn start(&mut self) {
        let binary = place::binary();
        let command = [binary.to_str().unwrap(), "run"];
        let log = self.dir.join("server.log");
        let begun = Instant::now();
        loop {
            let remove = (!self.owns_dir).then_some(self.dir.as_path());
            let child = Supervised::start(&command, &self.env, &log, remove);
            let json = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
            let came_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child.line(json)));
            match came_up {
                Ok(welcome) => {
                    self.welcome = welcome;
                    self.child = Some(child);
                    return;
                }
                // The PostgreSQL of one that was just killed may still be stopping.
                Err(_)
                    if STILL_STOPPING.iter().any(|said| child.log_tail().contains(said))
                        && begun.elapsed() < crate::PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(child) = &self.child {
            child.signal("KILL");
            while child.is_alive() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.child = None;
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(&mut self) {
        self.child = None;
    }

    /// Where the server listens.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.welcome["listening"].as_str().unwrap())
    }

    /// What the server printed when it came up.
    #[must_use]
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// The directory with the server's data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Runs one of the binary's commands against this server's ledger; gives what it printed.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> String {
        let output = self.run_command(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "costlens {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs one of the binary's commands, which must fail; gives what it said about that.
    #[must_use]
    pub fn failing_command(&self, args: &[&str]) -> String {
        let output = self.run_command(args);
        assert!(!output.status.success(), "costlens {args:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    fn run_command(&self, args: &[&str]) -> std::process::Output {
        Command::new(place::binary())
            .args(args)
            .env_remove("DATABASE_URL")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// A new tenant's owner, signed in by a link from the command line.
    pub async fn owner(&self, name: &str) -> Owner {
        let tenant = self.command(&["tenants", "create", name]);
        let link = self.sign_in_link(&tenant);
        Owner::sign_in(&self.base_url(), &link).await
    }

    /// A fresh sign-in link.
    #[must_use]
    pub fn sign_in_link(&self, tenant: &str) -> String {
        self.command(&["sign-in", "--tenant", tenant, "--public-url", &self.base_url()])
    }

    /// A plain GET without any credential.
    pub async fn get(&self, path: &str) -> http::Answer {
        http::send("GET", &format!("{}{path}", self.base_url()), &[], "").await
    }

    /// The directory of the server's spool.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir().join("spool")
    }

    /// The process ids of the private PostgreSQL, its main process first.
    #[must_use]
    pub fn postgres(&self) -> Vec<u32> {
        let Some(main) = find(&self.data_dir(), "postmaster.pid") else { panic!("no postmaster.pid") };
        let text = std::fs::read_to_string(main).unwrap();
        let main: u32 = text.lines().next().unwrap().trim().parse().unwrap();
        let children = Command::new("pgrep").args(["-P", &main.to_string()]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        std::iter::once(main).chain(children.lines().filter_map(|line| line.parse().ok())).collect()
    }

    /// Runs a statement in the private PostgreSQL as its owner, for states that no clock of ours can bring about.
    pub fn sql(&self, statement: &str) {
        drop(self.query(statement));
    }

    /// The same; gives the rows, one a line, their columns parted by `|`.
    pub fn query(&self, statement: &str) -> String {
        let output = self.as_owner("psql", &["-v", "ON_ERROR_STOP=1", "-qAt", "-c", statement]);
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything that a backup of the private PostgreSQL holds, as text.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let output = self.as_owner("pg_dump", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn as_owner(&self, program: &str, args: &[&str]) -> std::process::Output {
        let (Some(password), Some(socket)) =
            (find(&self.data_dir(), "owner.password"), find(&self.data_dir(), ".s.PGSQL.5432"))
        else {
            panic!("no private PostgreSQL in {}", self.data_dir().display())
        };
        Command::new(program)
            .args(args)
            .args(["-U", "costlens", "-d", "costlens", "-h"])
            .arg(socket.parent().unwrap())
            .env("PGPASSWORD", std::fs::read_to_string(password).unwrap().trim())
            .output()
            .unwrap()
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.dir.join("server.log")).unwrap()
    }

    /// Stops or continues every process of PostgreSQL, as a machine that hangs would.
    pub fn signal_postgres(&self, name: &str) {
        for pid in self.postgres() {
            signal(pid, name);
        }
    }

    /// The server's own process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().pid()
    }

    /// The last lines of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.child.as_ref().map(Supervised::log_tail).unwrap_or_default()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.child = None;
        if self.owns_dir {
            let _gone = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A file below a directory, by name.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|file| file == name) {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(found) = find(&path, name)
        {
            return Some(found);
        }
    }
    None
}

/// An address where nobody listens. It is kept to the end of the tests: whoever asks for any free port does not get
/// this one, and whoever is told to listen exactly here still may.
pub fn nobody_listens() -> String {
    static KEPT: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    KEPT.lock().unwrap().push(socket);
    address
}
