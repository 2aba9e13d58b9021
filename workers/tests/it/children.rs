//! Workers as processes of their own, which can be killed and frozen: this test program, run again with one test that
//! is none. What it works with is told in a variable.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ports::Clock;
use costlens_objects::Objects;
use costlens_store::Store;
use costlens_store::testing::patient;
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use costlens_workers::{Links, StatusTargets, WorkerParts};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::outside::Outside;
use super::{MASTER_KEY, Office, bills, egress, mailer, queue};

const VARIABLE: &str = "COSTLENS_TEST_WORKER";

/// A process's clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum ToldClock {
    /// It stands.
    Stands(DateTime<Utc>),
    /// It shows `from` at the moment `since` of the machine's clock, is quicker than that, is wrong by `off`, and stops
    /// at `until`.
    Runs { from: DateTime<Utc>, since: DateTime<Utc>, times: i32, off_seconds: i64, until: DateTime<Utc> },
}

/// The moment by the machine's clock, which all its processes share.
#[expect(clippy::disallowed_methods, reason = "what the quick clocks of a test's processes are made from")]
pub(crate) fn machine_time() -> DateTime<Utc> {
    SystemTime::now().into()
}

impl Clock for ToldClock {
    fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Stands(at) => *at,
            Self::Runs { from, since, times, off_seconds, until } => {
                let gone = (machine_time() - *since) * *times;
                (*from + gone + TimeDelta::seconds(*off_seconds)).min(*until)
            }
        }
    }
}

/// What a worker process is told.
#[derive(Serialize, Deserialize)]
struct Told {
    url: String,
    clock: ToldClock,
    smtp: String,
    http_port: u16,
    svix: bool,
    files: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "how a test tells its child process what to do")]
fn told() -> Option<Told> {
    std::env::var(VARIABLE).ok().and_then(|told| serde_json::from_str(&told).ok())
}

/// Not a test: the main function of a worker process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests run it as a process of its own"]
async fn worker() {
    let Some(told) = told() else { return };
    let parts = WorkerParts {
        store: Store::connect(&patient(&told.url)).unwrap(),
        clock: Arc::new(told.clock),
        clocks_apart: None,
        keyring: Arc::new(Keyring::new(MasterKey::parse(MASTER_KEY).unwrap())),
        entropy: Arc::new(OsEntropy),
        objects: Objects::local(&told.files).unwrap(),
        max_export_bytes: 1 << 20,
        aws: None,
        scratch: costlens_workers::aws_accounts::ScratchDir::below(&told.files.join("scratch")),
        max_bill_bytes: 1 << 20,
        invoices: costlens_workers::InvoiceHosts::new(&[], &costlens_egress::Policy::default()).unwrap(),
        bills: Arc::<bills::TinyReader>::default(),
        parquet: Arc::new(super::exports::Lines),
        egress: egress(&[format!("127.0.0.1:{}", told.http_port)]),
        mailer: Some(mailer(&told.smtp)),
        svix: told.svix.then(|| super::outside::svix(told.http_port)),
        links: Links::below("https://costlens.example"),
        clerk: None,
        status: StatusTargets::default(),
        prices_url: None,
        forever_body_days: None,
    };
    let queue = queue(&told.url);
    while costlens_workers::prepare(&queue, &parts).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        let mut workers = costlens_workers::workers(queue.clone(), "child", &parts);
        if matches!(told.clock, ToldClock::Runs { .. }) {
            // The product looks at its schedules every few seconds, in which a quick clock goes far.
            workers = workers.schedules(Duration::from_millis(50), None, move || told.clock.now());
        }
        drop(workers.run_until(std::future::pending()).await);
    }
}

/// A worker process. It ends with the value.
pub(crate) struct Worker(Child);

impl Worker {
    /// One for this office, by way of this URL.
    pub(crate) fn start(office: &Office, outside: &Outside, url: &str, clock: ToldClock) -> Self {
        let program = Command::new(std::env::current_exe().unwrap());
        Self::spawn(program, office, outside, url, clock)
    }

    /// One that lets everybody else on this machine go first: by a quick clock there is always something to do, and the
    /// tests that run beside would hardly get on.
    pub(crate) fn start_nice(office: &Office, outside: &Outside, url: &str, clock: ToldClock) -> Self {
        let mut program = Command::new("nice");
        program.args(["-n", "19"]).arg(std::env::current_exe().unwrap());
        Self::spawn(program, office, outside, url, clock)
    }

    fn spawn(mut command: Command, office: &Office, outside: &Outside, url: &str, clock: ToldClock) -> Self {
        let told = Told {
            url: url.to_owned(),
            clock,
            smtp: outside.smtp_url(),
            http_port: outside.http_port,
            svix: office.parts.svix.is_some(),
            files: office.files.path().to_owned(),
        };
        command.args(["--exact", "children::worker", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, serde_json::to_string(&told).unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
