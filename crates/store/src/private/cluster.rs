//! The directory of a private cluster: its lock, its passwords, its data and its socket.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal};

use super::account::{self, Account};
use super::binaries::{self, Binaries};
use super::{OWNER, PrivatePgConfig, PrivatePgError};
use crate::roles::RUNTIME_ROLE;

/// `sun_path` holds 108 bytes on Linux and 104 on macOS, with a zero at the end.
const LONGEST_SOCKET_PATH: usize = 103;

/// What PostgreSQL calls its socket at the port we name it by.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// A cluster that is ready to be started, and ours alone.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) dir: PathBuf,
    pub(super) account: Option<Account>,
    pub(super) binaries: Binaries,
    pub(super) runtime_password: String,
    owner_password: String,
    socket_dir: PathBuf,
    durable: bool,
    throw_away: bool,
    /// Held for as long as the cluster is owned; the system lets go of it when the process dies.
    _lock: File,
}

impl Cluster {
    /// Finds binaries, takes the lock, and makes whatever is missing.
    pub(super) fn prepare(config: &PrivatePgConfig) -> Result<Self, PrivatePgError> {
        let account = account::unprivileged()?;
        let found = binaries::find(config.binaries.as_deref())?;
        let dir = std::path::absolute(&config.dir).map_err(io_error("find", &config.dir))?;
        if let Some(account) = &account
            && let Some(parent) = account.closed_parent(&dir)
        {
            return Err(PrivatePgError::OutOfReach { user: account.name.clone(), dir, parent });
        }
        make_private_dir(&dir, account.as_ref())?;
        let lock = take_lock(&dir)?;
        let data = dir.join("data");
        let binaries = choose(found, &data)?;
        let owner_password = password(&dir.join("owner.password"), account.as_ref())?;
        let runtime_password = password(&dir.join("runtime.password"), account.as_ref())?;
        let socket_dir = make_socket_dir(&dir, account.as_ref())?;
        let cluster = Self {
            dir,
            account,
            binaries,
            runtime_password,
            owner_password,
            socket_dir,
            durable: config.durable,
            throw_away: config.throw_away,
            _lock: lock,
        };
        if data.join("PG_VERSION").is_file() {
            wait_for_predecessor(&data)?;
        } else {
            cluster.init(&data)?;
        }
        Ok(cluster)
    }

    /// The owner's URL at a database.
    pub(super) fn url(&self, database: &str) -> String {
        url(OWNER, &self.owner_password, &self.socket_dir, database)
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The directory of the socket; for tests.
    #[cfg(test)]
    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The directory to remove once the server has stopped.
    pub(super) fn throw_away(&self) -> Option<&Path> {
        self.throw_away.then_some(self.dir.as_path())
    }

    /// The last lines of the server's log, for an error message.
    pub(super) fn end_of_log(&self) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(self.log_path())?;
            let start = log.metadata()?.len().saturating_sub(2_000);
            log.seek(SeekFrom::Start(start))?;
            let mut end = Vec::new();
            log.read_to_end(&mut end)?;
            Ok(String::from_utf8_lossy(&end).into_owned())
        };
        read().map(|end| last_lines(&end, 5)).unwrap_or_default()
    }

    /// `postgres` and its options.
    pub(super) fn server_command(&self) -> Vec<OsString> {
        let mut command: Vec<OsString> = vec![self.binaries.dir.join("postgres").into(), "-D".into()];
        command.push(self.dir.join("data").into());
        // A list of quoted names, so that a path with a comma or a space stays one name.
        let socket = self.socket_dir.to_string_lossy().replace('"', "\"\"");
        let mut set = |option: String| command.extend(["-c".into(), option.into()]);
        set("listen_addresses=".to_owned());
        set(format!("unix_socket_directories=\"{socket}\""));
        set("unix_socket_permissions=0700".to_owned());
        set("port=5432".to_owned());
        set("shared_buffers=64MB".to_owned());
        // One that is not durable serves many tests' processes at once.
        set(format!("max_connections={}", if self.durable { 200 } else { 600 }));
        set("lc_messages=C".to_owned());
        set("jit=off".to_owned());
        if !self.durable {
            for option in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"] {
                set(option.to_owned());
            }
        }
        command
    }

    /// Makes the data directory beside its place and moves it there when it is whole, so that an interrupted
    /// start leaves nothing that looks like a cluster.
    fn init(&self, data: &Path) -> Result<(), PrivatePgError> {
        let unfinished = self.dir.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(io_error("remove", &unfinished))?;
        }
        let initdb = self.binaries.dir.join("initdb");
        let mut command = Command::new(&initdb);
        command.arg("-D").arg(&unfinished).arg("--pwfile").arg(self.dir.join("owner.password"));
        command.args(["-U", OWNER, "--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"]);
        command.arg(if cfg!(target_os = "linux") { "--locale=C.UTF-8" } else { "--locale=C" });
        if !self.durable {
            command.arg("--no-sync");
        }
        command.current_dir(&self.dir).stdin(Stdio::null());
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        let output = command.output().map_err(io_error("run", &initdb))?;
        if !output.status.success() {
            let said = last_lines(&String::from_utf8_lossy(&output.stderr), 5);
            return Err(PrivatePgError::Init { said });
        }
        fs::rename(&unfinished, data).map_err(io_error("make", data))
    }
}

/// A URL whose host is a socket's directory, written with percent signs (libpq's and tokio-postgres' form).
fn url(user: &str, password: &str, socket_dir: &Path, database: &str) -> String {
    let host: String = url::form_urlencoded::byte_serialize(socket_dir.as_os_str().as_encoded_bytes())
        .map(|part| part.replace('+', "%20"))
        .collect();
    format!("postgres://{user}:{password}@{host}:5432/{database}")
}

/// The runtime role's URL at a cluster that somebody else runs.
pub(super) fn running_url(dir: &Path) -> Result<String, PrivatePgError> {
    let dir = std::path::absolute(dir).map_err(io_error("find", dir))?;
    let path = dir.join("runtime.password");
    let password = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    Ok(url(RUNTIME_ROLE, password.trim(), &socket_place(&dir), OWNER))
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> PrivatePgError + 'a {
    move |source| PrivatePgError::Io { doing, path: path.to_owned(), source }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("; ")
}

/// Makes the directory with mode 0700 for the account, and its missing parents so that it can be reached.
fn make_private_dir(dir: &Path, account: Option<&Account>) -> Result<(), PrivatePgError> {
    if let Some(parent) = dir.parent() {
        make_parents(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io_error("make", dir)(error)),
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io_error("close", dir))?;
    give(dir, account)
}

fn make_parents(dir: &Path) -> Result<(), PrivatePgError> {
    if dir.exists() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_parents(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(io_error("open", dir)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error("make", dir)(error)),
    }
}

fn give(path: &Path, account: Option<&Account>) -> Result<(), PrivatePgError> {
    match account {
        Some(account) => {
            chown(path, Some(account.uid), Some(account.gid)).map_err(io_error("give away", path))
        }
        None => Ok(()),
    }
}

fn take_lock(dir: &Path) -> Result<File, PrivatePgError> {
    let path = dir.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(io_error("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PrivatePgError::Owned { dir: dir.to_owned() }),
        Err(error) => Err(io_error("lock", &path)(error.into())),
    }
}

/// The binaries of the cluster's own major version, or the first where there is no cluster yet.
fn choose(found: Vec<Binaries>, data: &Path) -> Result<Binaries, PrivatePgError> {
    let majors: Vec<u32> = found.iter().map(|binaries| binaries.major).collect();
    let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().map(|version| version.trim().to_owned());
    let chosen = match &made_by {
        None => found.into_iter().next(),
        Some(cluster) => found.into_iter().find(|binaries| binaries.major.to_string() == *cluster),
    };
    match (chosen, made_by) {
        (Some(binaries), _) => Ok(binaries),
        (None, Some(cluster)) => {
            Err(PrivatePgError::OtherMajor { dir: data.to_owned(), cluster, found: majors })
        }
        (None, None) => Err(PrivatePgError::NoBinaries { found: majors }),
    }
}

/// The password in a file, made at random if there is no file. Only hexadecimal digits: it stands in URLs.
fn password(path: &Path, account: Option<&Account>) -> Result<String, PrivatePgError> {
    if let Ok(text) = fs::read_to_string(path) {
        let text = text.trim();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(text.to_owned());
        }
    }
    let mut bytes = [0_u8; 32];
    let random = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if random.map_err(|error| io_error("draw a password for", path)(error.into()))? != bytes.len() {
        return Err(io_error("draw a password for", path)(io::ErrorKind::UnexpectedEof.into()));
    }
    let password = hex::encode(bytes);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(password.as_bytes())?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))?;
    give(path, account)?;
    Ok(password)
}

/// Where the socket is: beside the data, or else, where the path would be too long for a socket, in the temporary
/// directory under a name that follows from the cluster's path.
fn socket_place(dir: &Path) -> PathBuf {
    let beside = dir.join("socket");
    if beside.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET_PATH {
        return beside;
    }
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    PathBuf::from(format!("/tmp/costlens-{:016x}", hasher.finish()))
}

/// The socket's directory, made with mode 0700.
fn make_socket_dir(dir: &Path, account: Option<&Account>) -> Result<PathBuf, PrivatePgError> {
    let place = socket_place(dir);
    if place.starts_with(dir) {
        make_private_dir(&place, account)?;
        return Ok(place);
    }
    let short = place;
    match DirBuilder::new().mode(0o700).create(&short) {
        Ok(()) => give(&short, account)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io_error("make", &short)(error)),
    }
    // Anybody may make names in the temporary directory, so what is there must be a directory of ours.
    let meta = fs::symlink_metadata(&short).map_err(io_error("read", &short))?;
    let ours = account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
    if meta.is_dir() && meta.uid() == ours && meta.mode() & 0o777 == 0o700 {
        Ok(short)
    } else {
        Err(PrivatePgError::SocketDir { dir: short })
    }
}

/// A server whose owner was killed may still be stopping; one whose supervisor was killed too is stopped here.
/// We hold the lock, so whatever runs on this directory has no owner.
fn wait_for_predecessor(data: &Path) -> Result<(), PrivatePgError> {
    let begun = Instant::now();
    let mut asked = false;
    while let Some(pid) = predecessor(data) {
        if begun.elapsed() > Duration::from_secs(1) && !asked {
            asked = true;
            if let Err(error) = rustix::process::kill_process(pid, Signal::INT) {
                tracing::debug!(%error, "the server without an owner cannot be signalled");
            }
        }
        if begun.elapsed() > Duration::from_secs(15) {
            return Err(PrivatePgError::StillRunning {
                pid: pid.as_raw_nonzero().get(),
                dir: data.to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The process that runs on this data directory, if there is one: named in `postmaster.pid` and, so that a
/// reused process id harms nobody, working in the directory. Where the system cannot tell, PostgreSQL judges.
fn predecessor(data: &Path) -> Option<Pid> {
    let file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(file.lines().next()?.trim().parse().ok()?)?;
    let working_in = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()?;
    (working_in == data.canonicalize().ok()?).then_some(pid)
}
