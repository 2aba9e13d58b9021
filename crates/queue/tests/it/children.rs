//! Workers that are processes of their own, so that they can be killed, frozen and asked to end.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt, WorkerError};
use apalis_core::worker::event::Event;
use apalis_core::worker::ext::event_listener::EventListenerExt;
use costlens_queue::{JobContext, QueueError, Settings};
use rustix::process::{Pid, Signal, kill_process};

use crate::postgres::{Db, PATIENCE};
use crate::workers::{Probe, effect_with_outcome, millis, note, probe, quick, secs};
use crate::{poison, replicas, runs, sweep};

const VARIABLE: &str = "QUEUE_TEST_CHILD";

/// A worker in a process of its own.
pub(crate) struct ChildWorker(Child);

impl ChildWorker {
    /// Starts one that behaves as `behaviour` says, see [`child`].
    pub(crate) fn start(db: &Db, behaviour: &str, name: &str) -> Self {
        let command = Command::new(std::env::current_exe().unwrap());
        Self::run(command, behaviour, name, &db.url)
    }

    /// The same with this many KiB of memory, and without a dump of it when it dies.
    pub(crate) fn start_limited(db: &Db, behaviour: &str, name: &str, kib: u32) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("ulimit -c 0; ulimit -v {kib}; exec \"$0\" \"$@\""));
        command.arg(std::env::current_exe().unwrap());
        Self::run(command, behaviour, name, &db.url)
    }

    fn run(mut command: Command, behaviour: &str, name: &str, url: &str) -> Self {
        command.args(["--exact", "children::child", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, format!("{behaviour} {name} {url}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Whether it has not ended.
    pub(crate) fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(mut self) {
        self.send(Signal::KILL);
        self.0.wait().unwrap();
    }

    /// Its exit code, when it has ended by itself.
    pub(crate) async fn code(mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the child does not end");
            tokio::time::sleep(millis(20)).await;
        }
    }
}

impl Drop for ChildWorker {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Whether somebody has the time for more rounds than every test run should take: `QUEUE_TEST_LARGER=1`.
#[expect(clippy::disallowed_methods, reason = "the test run says so")]
pub(crate) fn larger() -> bool {
    std::env::var("QUEUE_TEST_LARGER").is_ok_and(|larger| !larger.is_empty())
}

/// What a test's dice begin with: `QUEUE_TEST_SEED`, or else another number each time.
#[expect(clippy::disallowed_methods, reason = "the test run says so")]
pub(crate) fn seed() -> u64 {
    let said = std::env::var("QUEUE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    said.unwrap_or_else(|| u64::from(std::process::id()))
}

/// What an exit means: an outcome was refused because the lease was lost.
pub(crate) const LOST: i32 = 3;

#[expect(clippy::disallowed_methods, reason = "how a test tells its child process what to do")]
fn told() -> Option<(String, String, String)> {
    let told = std::env::var(VARIABLE).ok()?;
    let mut words = told.split(' ').map(ToOwned::to_owned);
    Some((words.next()?, words.next()?, words.next()?))
}

/// Not a test: the main function of [`ChildWorker`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests run it as a process of its own"]
async fn child() {
    let Some((behaviour, name, url)) = told() else { return };
    let db = Db { url };
    if behaviour == "replica" {
        return replicas::child(&db, &name).await;
    }
    if behaviour == "walk" {
        return sweep::child(&db, &name).await;
    }
    if behaviour == "run" {
        return runs::child(&db, &name).await;
    }
    let settings = match behaviour.as_str() {
        "freezes" => Settings { silence: millis(1_500), ..quick() },
        "drains" => Settings { silence: secs(4), ..quick() },
        _ => quick(),
    };
    let lost = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lost);
    let worker = WorkerBuilder::new(name.as_str())
        .backend(db.queue().backend::<Probe>(settings))
        .concurrency(4)
        .on_event(move |_, event| {
            if let Event::Error(error) = event
                && matches!(error.downcast_ref::<QueueError>(), Some(QueueError::LeaseLost))
            {
                seen.store(true, Ordering::SeqCst);
            }
        })
        .build(move |job: Probe, ctx: JobContext| {
            let (behaviour, name) = (behaviour.clone(), name.clone());
            async move { behave(&behaviour, &name, &job, &ctx).await }
        });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let signal = async move {
        terminate.recv().await;
        Ok::<(), WorkerError>(())
    };
    worker.run_until(signal).await.unwrap();
    std::process::exit(if lost.load(Ordering::SeqCst) { LOST } else { 0 });
}

async fn behave(
    behaviour: &str,
    name: &str,
    job: &Probe,
    ctx: &JobContext,
) -> Result<(), costlens_queue::JobError> {
    if behaviour == "poisoned" {
        return poison::behave(job, ctx).await;
    }
    if behaviour == "works" {
        tokio::time::sleep(millis(40)).await;
        return effect_with_outcome(job, ctx).await;
    }
    note(ctx.queue(), job.n, "begin", name).await?;
    match behaviour {
        "hangs" => tokio::time::sleep(secs(600)).await,
        // The effect is there and the follow-up is pushed; then the process dies before the outcome is written.
        "dies" => {
            ctx.enqueue(probe(job.n + 1_000));
            rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
            tokio::time::sleep(secs(600)).await;
        }
        "freezes" => tokio::time::sleep(millis(500)).await,
        // Longer than its lease would stand without a heartbeat.
        "drains" => tokio::time::sleep(secs(6)).await,
        other => panic!("a child does not know how to {other}"),
    }
    note(ctx.queue(), job.n, "end", name).await
}
