//! The process between us and the server. A shell script is enough, needs no unsafe code, and is there wherever
//! PostgreSQL is: it waits for the server, and stops it as soon as the pipe from us closes.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PrivatePgError;
use super::cluster::Cluster;

/// `$1` is the directory to remove at the end, or empty; the rest is the server's command line.
///
/// Two signals, because a process that the shell has only just forked ignores SIGINT and dies of SIGTERM, while
/// a server takes SIGTERM for a request to wait for its clients, and SIGINT after it for a fast stop.
const SCRIPT: &str = r#"
remove=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(
    while read -r _; do :; done <&3
    kill -TERM "$server"
    kill -INT "$server"
) 2>/dev/null &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
exit "$status"
"#;

/// How long a fast stop may take before we no longer wait for it (the supervisor does).
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A server under its supervisor.
#[derive(Debug)]
pub(super) struct Supervised {
    child: Child,
}

impl Supervised {
    /// Starts the cluster's server.
    pub(super) fn spawn(cluster: &Cluster) -> Result<Self, PrivatePgError> {
        let log = cluster.log_path();
        let err = |source| PrivatePgError::Io { doing: "write", path: log.clone(), source };
        let output = OpenOptions::new().create(true).append(true).mode(0o600).open(&log).map_err(err)?;
        let errors = output.try_clone().map_err(err)?;
        let remove = cluster.throw_away().map(Path::as_os_str).unwrap_or_default();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "costlens-postgres"])
            .arg(remove)
            .args(cluster.server_command())
            .current_dir(&cluster.dir)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // A group of its own: Ctrl-C at the terminal reaches us, and we stop the server when we are done.
            .process_group(0);
        if let Some(account) = &cluster.account {
            command.uid(account.uid).gid(account.gid);
        }
        let child = command.spawn().map_err(|source| PrivatePgError::Io {
            doing: "run",
            path: PathBuf::from("/bin/sh"),
            source,
        })?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn stop(&mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the private PostgreSQL is still stopping");
        }
    }
}
