//! A child process that cannot outlive its test: a shell holds the reading end of a pipe whose writing end dies
//! with the test process, however that ends, and then stops the child and removes what it left.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// `$1` is a directory to remove at the end, or empty; the rest is the command line.
const SCRIPT: &str = r#"
trap '' INT
remove=$1
shift
"$@" </dev/null &
child=$!
echo "pid $child"
cat >/dev/null
kill -TERM "$child" 2>/dev/null
( sleep 30; kill -KILL "$child" ) >/dev/null 2>&1 &
killer=$!
wait "$child"
kill "$killer" 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
"#;

/// How long a child may take to say its first word: a cold debug build under load is slow.
const START: Duration = crate::PATIENCE;

/// A child process.
#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    pid: u32,
    lines: Mutex<Receiver<String>>,
    log: PathBuf,
}

impl Supervised {
    /// Starts a program whose standard error goes to `log`.
    pub(crate) fn start(
        command: &[&str],
        env: &[(String, String)],
        log: &Path,
        remove: Option<&Path>,
    ) -> Self {
        let errors = File::options().create(true).append(true).open(log).unwrap();
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "costlens-tests"])
            .arg(remove.unwrap_or(Path::new("")))
            .args(command)
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let output = BufReader::new(shell.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut child = Self { shell, pid: 0, lines: Mutex::new(lines), log: log.to_owned() };
        let first = child.line(|line| line.starts_with("pid ").then(|| line.to_owned()));
        child.pid = first[4..].parse().unwrap();
        child
    }

    /// The first line of output that `pick` takes; panics with the log when the child ends without one.
    pub(crate) fn line<T>(&self, mut pick: impl FnMut(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        let lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            match lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    if let Some(picked) = pick(&line) {
                        return picked;
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.is_alive() && begun.elapsed() < START => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the child did not come up; its log:\n{}", self.log_tail())
                }
            }
        }
    }

    /// Whether the child still runs.
    pub(crate) fn is_alive(&self) -> bool {
        if self.pid == 0 {
            return true;
        }
        // The name stands in brackets and may hold anything; the state follows the last bracket.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal to the child.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// The last of what the child wrote to standard error.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Closing the pipe asks the shell to stop the child.
        drop(self.shell.stdin.take());
        let _ended = self.shell.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the log of process {}:\n{}", self.pid, self.log_tail());
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let _gone =
        Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}
