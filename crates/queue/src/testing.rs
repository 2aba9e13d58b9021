//! A tap on the wire between a worker and PostgreSQL, for tests that kill a process at every step of its way.
//!
//! The tap is a server that speaks nothing of its own: it relays the frontend/backend protocol (version 3, without TLS)
//! and counts the requests that may have changed something. At the n-th of them it runs a closure, which kills the
//! worker's process, either before the server has seen the request (the effect is not there) or after the server has
//! answered and before the answer goes on (the effect is there, and nobody knows). Then every connection that passes
//! through the tap is closed. So any worker can be killed at any of its writes, and none of its code knows.
//!
//! ```text
//! let tap = WireTap::start(&url).await?;             // the real database, on a socket's directory or host:port
//! let child = spawn_the_worker(tap.url(&url));       // any URL of that server: only the host is another
//! let pid = child.id();
//! tap.kill_at(7, Side::After, move || kill(pid));    // counts from here on
//! wait_until_the_child_is_gone();
//! tap.hit()                                          // the SQL where that was; None: there were not so many
//! ```
//! `kill_at(n)` for n = 1, 2, … until [`WireTap::hit`] stays `None` is a sweep over all of a worker's writes. What is
//! counted is [`may_change`] unless [`WireTap::start_counting`] is told otherwise; [`WireTap::seen`] lists it. Start one
//! tap for each worker that is to be killed alone.

mod relay;

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

static TAPS: AtomicU32 = AtomicU32::new(0);

/// Where in a request's life the worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server has not seen the request: its effect is not there.
    Before,
    /// The server has answered and the worker has not heard it: the effect is there.
    After,
}

/// Whether a statement may have changed something that lasts, so that it makes a difference to be killed before or after
/// it. Reads do not, nor does the lease's upkeep, which comes by the clock.
#[must_use]
pub fn may_change(sql: &str) -> bool {
    let sql = sql.trim_start();
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match first.to_ascii_uppercase().as_str() {
        "" | "BEGIN" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "SET" | "SHOW" | "LISTEN" | "UNLISTEN"
        | "START" => false,
        // A function may do anything; this crate's do.
        "SELECT" => sql.contains("queue.claim(") || sql.contains("queue.send_signal("),
        _ => true,
    }
}

type OnHit = Box<dyn FnOnce() + Send>;

struct Armed {
    at: u64,
    side: Side,
    on_hit: OnHit,
}

struct Plan {
    counts: fn(&str) -> bool,
    armed: Option<Armed>,
    seen: Vec<String>,
    hit: Option<String>,
}

/// What all connections through a tap share.
struct Tapped {
    plan: Mutex<Plan>,
    /// How long each request is held up.
    delay: watch::Sender<Duration>,
    /// Counts the times that all connections were closed.
    cuts: watch::Sender<u64>,
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tapped {
    /// Counts a request. What is to be done about it, if it is the one.
    fn count(&self, sql: &str) -> Option<(Side, OnHit)> {
        let mut plan = lock(&self.plan);
        if !(plan.counts)(sql) {
            return None;
        }
        plan.seen.push(sql.to_owned());
        let count = u64::try_from(plan.seen.len()).unwrap_or(u64::MAX);
        let armed = plan.armed.take_if(|armed| armed.at == count)?;
        Some((armed.side, armed.on_hit))
    }

    /// The moment has come.
    fn strike(&self, sql: String, on_hit: OnHit) {
        // Said first: whoever sees the worker gone may ask at once.
        lock(&self.plan).hit = Some(sql);
        on_hit();
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// The server behind a tap.
#[derive(Clone)]
enum Upstream {
    Socket(PathBuf),
    Host(String),
}

/// A relay to a PostgreSQL server that can strike at the n-th write. It stops with the value.
pub struct WireTap {
    tapped: Arc<Tapped>,
    dir: PathBuf,
    port: String,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for WireTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireTap").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl WireTap {
    /// A tap on the server of this URL, which listens on a socket in a directory of its own under `/tmp`. It counts, and
    /// strikes at nothing yet. Needs a tokio runtime for as long as it lives.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let place = Place::of(upstream)?;
        let port = place.port.unwrap_or("5432").to_owned();
        let host = decoded(place.host)?;
        let upstream = if host.starts_with('/') {
            Upstream::Socket(Path::new(&host).join(format!(".s.PGSQL.{port}")))
        } else {
            Upstream::Host(format!("{host}:{port}"))
        };
        let count = TAPS.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/wiretap-{}-{count}", std::process::id()));
        tokio::fs::create_dir(&dir).await?;
        tokio::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).await?;
        let listener = UnixListener::bind(dir.join(format!(".s.PGSQL.{port}")))?;
        let plan = Plan { counts: may_change, armed: None, seen: Vec::new(), hit: None };
        let tapped = Arc::new(Tapped {
            plan: Mutex::new(plan),
            delay: watch::channel(Duration::ZERO).0,
            cuts: watch::channel(0).0,
        });
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&tapped)));
        Ok(Self { tapped, dir, port, accepting })
    }

    /// The same URL by way of the tap: user, password, database and parameters stay.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let Ok(place) = Place::of(url) else { return url.to_owned() };
        let mut host = String::new();
        for byte in self.dir.as_os_str().as_encoded_bytes() {
            let _infallible = match byte {
                b'/' => write!(host, "%2F"),
                other => write!(host, "{}", char::from(*other)),
            };
        }
        format!("{}{host}:{}{}", place.before, self.port, place.after)
    }

    /// The socket that it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Forgets what was counted and strikes at the n-th request from now on (the first is 1): runs `on_hit`, and closes
    /// every connection through the tap.
    pub fn kill_at(&self, n: u64, side: Side, on_hit: impl FnOnce() + Send + 'static) {
        let mut plan = lock(&self.tapped.plan);
        plan.armed = Some(Armed { at: n, side, on_hit: Box::new(on_hit) });
        plan.seen.clear();
        plan.hit = None;
    }

    /// Forgets what was counted, strikes at nothing, and counts the statements that `counts` picks from now on.
    pub fn start_counting(&self, counts: fn(&str) -> bool) {
        let mut plan = lock(&self.tapped.plan);
        *plan = Plan { counts, armed: None, seen: Vec::new(), hit: None };
    }

    /// The requests since the last [`WireTap::kill_at`] or [`WireTap::start_counting`].
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(lock(&self.tapped.plan).seen.len()).unwrap_or(u64::MAX)
    }

    /// Their SQL, in the order in which they came.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        lock(&self.tapped.plan).seen.clone()
    }

    /// The SQL of the request that was struck; `None` while none was.
    #[must_use]
    pub fn hit(&self) -> Option<String> {
        lock(&self.tapped.plan).hit.clone()
    }

    /// Holds every request up for a while from now on, as a long way to the server does.
    pub fn delay(&self, delay: Duration) {
        self.tapped.delay.send_replace(delay);
    }

    /// Closes every connection, as a network does that breaks.
    pub fn cut(&self) {
        self.tapped.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for WireTap {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
        // Whoever removes it first is right.
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

async fn accept(listener: UnixListener, upstream: Upstream, tapped: Arc<Tapped>) {
    while let Ok((client, _)) = listener.accept().await {
        let (upstream, tapped) = (upstream.clone(), Arc::clone(&tapped));
        let mut cuts = tapped.cuts.subscribe();
        tokio::spawn(async move {
            let relaying = async {
                match upstream {
                    Upstream::Socket(path) => {
                        let (from, to) = UnixStream::connect(path).await?.into_split();
                        relay::relay(client, from, to, &tapped).await
                    }
                    Upstream::Host(host) => {
                        let (from, to) = TcpStream::connect(host).await?.into_split();
                        relay::relay(client, from, to, &tapped).await
                    }
                }
            };
            tokio::select! {
                // A connection that ends is what these tests are about.
                _ended = relaying => {}
                _cut = cuts.changed() => {}
            }
        });
    }
}

/// A URL, cut at its host.
struct Place<'a> {
    before: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    after: &'a str,
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> io::Result<Self> {
        let refuse = || io::Error::new(io::ErrorKind::InvalidInput, "the URL of a database is expected");
        let begin = url.find("://").ok_or_else(refuse)? + 3;
        let (_, rest) = url.split_at(begin);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        let user = authority.rfind('@').map_or(0, |at| at + 1);
        let (_, place) = authority.split_at(user);
        let (before, _) = url.split_at(begin + user);
        let (host, port) = place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
        Ok(Self { before, host, port, after })
    }
}

/// Undoes a URL's `%2F`.
fn decoded(host: &str) -> io::Result<String> {
    let refuse = || io::Error::new(io::ErrorKind::InvalidInput, "the host of the URL cannot be read");
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().ok_or_else(refuse)?, rest.next().ok_or_else(refuse)?];
            let digits = std::str::from_utf8(&digits).map_err(|_| refuse())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| refuse())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_at_its_host_whatever_stands_around_it() {
        for (url, before, host, port, after) in [
            ("postgres://owner@%2Ftmp%2Fa/x", "postgres://owner@", "%2Ftmp%2Fa", None, "/x"),
            ("postgres://o:p%40w@%2Fa:5432/x?a=b", "postgres://o:p%40w@", "%2Fa", Some("5432"), "/x?a=b"),
            ("postgresql://localhost:5433/x", "postgresql://", "localhost", Some("5433"), "/x"),
        ] {
            let place = Place::of(url).unwrap();
            assert_eq!((place.before, place.host, place.port, place.after), (before, host, port, after));
        }
        assert_eq!(decoded("%2Ftmp%2Fa.b").unwrap(), "/tmp/a.b");
        assert!(decoded("%2").is_err());
    }

    #[test]
    fn reads_and_the_leases_upkeep_change_nothing() {
        for sql in
            ["SELECT * FROM queue.claim($1, $2, $3, $4)", "COMMIT", " INSERT INTO a", "WITH x AS (", "DELETE"]
        {
            assert!(may_change(sql), "{sql}");
        }
        for sql in [
            "BEGIN",
            "SELECT 1",
            "SELECT id FROM queue.beat($1)",
            "",
            "SET x = 1",
            "LISTEN queue_wake; LISTEN y",
        ] {
            assert!(!may_change(sql), "{sql}");
        }
    }
}
