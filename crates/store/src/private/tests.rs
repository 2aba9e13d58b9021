//! The private PostgreSQL, started for real: what it is made of, who may own it, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::{PrivatePg, PrivatePgConfig, PrivatePgError};

/// A directory that an unprivileged user can pass through.
fn top() -> TempDir {
    let top = tempfile::Builder::new().prefix("costlens-test-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o711)).unwrap();
    top
}

fn config(top: &TempDir) -> PrivatePgConfig {
    PrivatePgConfig { durable: false, ..PrivatePgConfig::new(top.path().join("pg")) }
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

fn postmaster(top: &TempDir) -> Option<Pid> {
    let file = fs::read_to_string(top.path().join("pg/data/postmaster.pid")).ok()?;
    Some(pid(file.lines().next()?))
}

/// Waits for a process to end; a dead one that nobody has collected counts.
fn ends_within(pid: Pid, time: Duration) -> bool {
    let begun = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if test_kill_process(pid).is_err() || status.contains(") Z ") {
            return true;
        }
        if begun.elapsed() >= time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_cluster_is_closed_to_others_and_keeps_its_data() {
    let top = top();
    let pg = PrivatePg::start(config(&top)).await.unwrap();
    let mode =
        |name: &str| fs::metadata(top.path().join("pg").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("data"), mode("socket")), (0o700, 0o700, 0o700));
    assert_eq!((mode("owner.password"), mode("runtime.password")), (0o600, 0o600));
    let options = fs::read_to_string(top.path().join("pg/data/postmaster.opts")).unwrap();
    assert!(options.contains("\"listen_addresses=\""), "{options}");
    let password = fs::read_to_string(top.path().join("pg/owner.password")).unwrap();
    let wrong = pg.url().replace(&password, "wrong");
    assert_ne!(wrong, pg.url());
    let refused = AsyncPgConnection::establish(&wrong).await.err().unwrap().to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
    let first = pg.url();
    let server = postmaster(&top).unwrap();
    pg.stop().await;
    assert!(
        ends_within(server, Duration::ZERO + Duration::from_millis(50)),
        "stop() came back before the end"
    );

    let begun = Instant::now();
    let mut pg = PrivatePg::start(config(&top)).await.unwrap();
    let taken = begun.elapsed();
    assert!(taken < Duration::from_mins(1), "a start without initdb took {taken:?}");
    assert_eq!(pg.url(), first);
    assert!(pg.is_running());
}

#[tokio::test]
async fn a_second_owner_is_refused() {
    let top = top();
    let _pg = PrivatePg::start(config(&top)).await.unwrap();
    let second = PrivatePg::start(config(&top)).await.unwrap_err();
    assert!(matches!(&second, PrivatePgError::Owned { dir } if *dir == top.path().join("pg")), "{second:?}");
}

#[tokio::test]
async fn a_cluster_of_another_major_version_gets_a_clear_message() {
    let top = top();
    fs::create_dir_all(top.path().join("pg/data")).unwrap();
    fs::write(top.path().join("pg/data/PG_VERSION"), "12\n").unwrap();
    let error = PrivatePg::start(config(&top)).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PrivatePgError::OtherMajor { .. }), "{error:?}");
    assert!(message.contains("made by PostgreSQL 12") && message.contains("pg_upgrade"), "{message}");
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let top = top();
    let config = PrivatePgConfig { dir: top.path().join("long".repeat(30)).join("pg"), ..config(&top) };
    let pg = PrivatePg::start(config).await.unwrap();
    AsyncPgConnection::establish(&pg.url()).await.unwrap();
    let socket_dir = pg.cluster.socket_dir().to_owned();
    assert!(
        socket_dir.starts_with("/tmp") && !socket_dir.starts_with(top.path()),
        "{}",
        socket_dir.display()
    );
    pg.stop().await;
    fs::remove_dir_all(socket_dir).unwrap();
}

#[tokio::test]
async fn a_throw_away_cluster_leaves_nothing() {
    let config = crate::testing::throw_away_config().unwrap();
    let dir = config.dir.clone();
    let pg = PrivatePg::start(config).await.unwrap();
    assert!(dir.join("data").is_dir());
    pg.stop().await;
    assert!(!dir.exists());
}

/// Another process that owns the cluster: this test binary, running the helper below.
fn spawn_owner(top: &TempDir) -> (Child, Pid) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "private::tests::helper_owns_a_cluster"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", top.path().join("pg").display()).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let supervisor = lines.map_while(Result::ok).find_map(|line| line.split("supervisor=").nth(1).map(pid));
    child.stdin = Some(stdin);
    (child, supervisor.expect("the helper has started its cluster"))
}

#[test]
#[ignore = "a helper: it is run, and killed, by the tests below"]
fn helper_owns_a_cluster() {
    let mut dir = String::new();
    std::io::stdin().read_line(&mut dir).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = PrivatePgConfig { durable: false, ..PrivatePgConfig::new(dir.trim()) };
    let pg = runtime.block_on(PrivatePg::start(config)).unwrap();
    println!("supervisor={}", pg.supervisor_pid());
    std::thread::sleep(Duration::from_mins(1));
}

#[tokio::test]
async fn the_server_stops_when_its_owner_is_killed() {
    let top = top();
    let (mut owner, supervisor) = spawn_owner(&top);
    let server = postmaster(&top).unwrap();
    assert!(test_kill_process(server).is_ok());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(ends_within(server, Duration::from_mins(2)), "the server outlived its owner");
    assert!(ends_within(supervisor, Duration::from_mins(2)), "the supervisor outlived the server");
    // And its cluster is whole.
    PrivatePg::start(config(&top)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_lost_owner_and_supervisor_is_stopped_by_the_next_owner() {
    let top = top();
    let (mut owner, supervisor) = spawn_owner(&top);
    let server = postmaster(&top).unwrap();
    // Both halves of the supervisor, and then the owner: nobody is left to stop the server.
    let children =
        fs::read_to_string(format!("/proc/{0}/task/{0}/children", supervisor.as_raw_nonzero())).unwrap();
    for child in children.split_whitespace().map(pid).filter(|child| *child != server) {
        kill_process(child, Signal::KILL).unwrap();
    }
    kill_process(supervisor, Signal::KILL).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(!ends_within(server, Duration::from_millis(300)));
    let mut pg = PrivatePg::start(config(&top)).await.unwrap();
    assert!(pg.is_running());
    assert!(ends_within(server, Duration::ZERO + Duration::from_millis(50)));
}
