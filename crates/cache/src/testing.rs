//! A redis-server of a test's own, on a socket in a directory of its own. It ends with the test, also if that is killed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no Redis cannot go on; this module is for tests alone"
)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::RedisUrl;

/// Starts what its arguments say, tells its process id, and ends it when the test ends: then the pipe closes.
const SUPERVISOR: &str = r#"redis-server "$@" >/dev/null 2>&1 </dev/null 3<&- &
echo $!
cat >/dev/null
kill -9 $! 2>/dev/null
wait"#;

/// A running redis-server.
#[derive(Debug)]
pub struct PrivateRedis {
    supervisor: Child,
    pid: u32,
    dir: tempfile::TempDir,
    settings: Vec<String>,
}

impl PrivateRedis {
    /// One that keeps nothing.
    ///
    /// # Panics
    /// Where there is no redis-server, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// One with these settings, as its command line has them.
    ///
    /// # Panics
    /// Where there is no redis-server, or it does not come up.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        // In /tmp itself: a socket's path is short.
        let dir = tempfile::Builder::new().prefix("costlens-redis-").tempdir_in("/tmp");
        let dir = dir.expect("a directory");
        let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
        let (supervisor, pid) = spawn(dir.path(), &settings);
        let started = Self { supervisor, pid, dir, settings };
        started.wait();
        started
    }

    /// Where it is reached.
    ///
    /// # Panics
    /// Never: the address is a socket's.
    #[must_use]
    pub fn url(&self) -> RedisUrl {
        RedisUrl::parse(&self.url_text()).expect("a socket's address")
    }

    /// The same, as an operator writes it.
    #[must_use]
    pub fn url_text(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends it a signal, as `KILL`, `STOP` or `CONT`.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()).status();
        assert!(done.expect("kill").success(), "no signal for {}", self.pid);
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn kill(&mut self) {
        self.signal("KILL");
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().expect("the supervisor's end");
    }

    /// Starts it again, over what it left.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start_again(&mut self) {
        (self.supervisor, self.pid) = spawn(self.dir.path(), &self.settings);
        self.wait();
    }

    /// Says something to it by `redis-cli`, and gives back the answer.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> String {
        let said = Command::new("redis-cli").arg("-s").arg(self.socket()).args(words).output();
        let said = said.expect("redis-cli");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn wait(&self) {
        for _ in 0..6_000 {
            if UnixStream::connect(self.socket()).is_ok() && self.ask(&["PING"]) == "PONG" {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not come up");
    }
}

fn spawn(dir: &Path, settings: &[String]) -> (Child, u32) {
    let socket = dir.join("s");
    let _left_over = std::fs::remove_file(&socket);
    let mut command = Command::new("sh");
    command.args(["-c", SUPERVISOR, "redis", "--port", "0", "--unixsocket"]).arg(socket);
    command.arg("--dir").arg(dir).args(settings);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("the server's process id");
    let pid = line.trim().parse().expect("redis-server on this machine");
    (child, pid)
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ended = self.supervisor.wait();
    }
}
