//! What the tasks of one worker share, and their beginning and end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::ack::{self, Acks};
use super::buffer::Buffer;
use super::claim;
use super::keeper::Lease;
use crate::lease::{Held, Registry};
use crate::outcome::Outcome;
use crate::{Queue, Settings};

/// What the tasks of a worker share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) worker: Arc<str>,
    /// The worker as Apalis sees it: it says whether it is to end.
    context: WorkerContext,
    /// The jobs that the worker holds.
    pub(crate) registry: Registry,
    /// The lease in force; `None` while there is none, and nothing is claimed.
    pub(super) session: watch::Sender<Option<Uuid>>,
    /// Claimed jobs that the worker has not taken up yet.
    pub(super) buffer: Buffer,
    /// A claim is on its way: what it takes is not in the registry yet.
    pub(super) claiming: AtomicBool,
    /// There may be something to claim.
    pub(super) wake: Notify,
    /// The worker has room for a job.
    pub(super) demand: Notify,
    /// The worker drains: claim nothing more.
    pub(super) draining: watch::Sender<bool>,
}

impl Shared {
    /// Until the worker was told to end. What it has begun may go on; what need not begin, or has no end of its own,
    /// need not hold it up.
    pub(super) async fn ending(&self) {
        while !self.context.is_shutting_down() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A worker's tasks.
pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) acks: Acks,
    tasks: Option<Tasks>,
}

struct Tasks {
    lease: Option<Lease>,
    claim: JoinHandle<()>,
    ack: JoinHandle<()>,
}

impl Driver {
    /// Starts the tasks. Needs a tokio runtime.
    pub(super) fn start(queue: Queue, name: String, settings: Settings, worker: &WorkerContext) -> Self {
        let shared = Arc::new(Shared {
            queue: queue.clone(),
            name,
            settings,
            worker: worker.name().into(),
            context: worker.clone(),
            registry: Registry::default(),
            session: watch::channel(None).0,
            buffer: Buffer::default(),
            claiming: AtomicBool::new(false),
            wake: Notify::new(),
            demand: Notify::new(),
            draining: watch::channel(false).0,
        });
        let (acks, settles) = Acks::new();
        let tasks = Tasks {
            lease: Some(Lease::begin(Arc::clone(&shared))),
            claim: tokio::spawn(claim::run(Arc::clone(&shared), acks.clone())),
            ack: tokio::spawn(ack::run(queue, settles)),
        };
        Self { shared, acks, tasks: Some(tasks) }
    }

    /// The next claimed job; asks for one if there is none.
    pub(super) fn poll_job(&self, cx: &std::task::Context<'_>) -> std::task::Poll<Arc<Held>> {
        let next = self.shared.buffer.poll_take(cx);
        if next.is_pending() {
            self.shared.demand.notify_one();
        }
        next
    }

    /// Gives back what was claimed and not begun, and ends the lease when all is written. Every handler has its
    /// answer by now. The lease is kept until then, so a drain may take as long as it needs.
    pub(super) async fn close(mut self) {
        let Some(mut tasks) = self.tasks.take() else { return };
        self.shared.draining.send_replace(true);
        let _ended = (&mut tasks.claim).await;
        let left = self.shared.buffer.empty().into_iter();
        let answers = left.map(|held| self.acks.post(held, Outcome::Release)).collect::<Vec<_>>();
        let _written = futures_util::future::join_all(answers).await;
        if let Some(lease) = tasks.lease.take() {
            lease.end().await;
        }
    }
}

impl Drop for Tasks {
    /// A worker that is dropped, not closed, has abandoned its handlers. It lets go of its lock, so that others take
    /// its jobs back after its grace.
    fn drop(&mut self) {
        drop(self.lease.take());
        self.claim.abort();
        self.ack.abort();
    }
}
