//! The workers of a process, for applications that need not know Apalis: handlers in, a drain at the end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt, WorkerError};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::run::{Flow, Run, RunJob};
use crate::{Job, JobContext, JobError, Queue, QueueError, Settings, check_clock, schedule};

type Stopped = watch::Receiver<bool>;
type Ended = Box<dyn std::error::Error + Send + Sync>;
type Start = Box<dyn FnOnce(Stopped) -> BoxFuture<'static, Result<(), Ended>> + Send>;

/// What is started.
#[derive(Clone)]
enum What {
    Worker(String),
    Schedules,
}

impl What {
    const fn queue(&self) -> Option<&String> {
        match self {
            Self::Worker(queue) => Some(queue),
            Self::Schedules => None,
        }
    }
}

/// Why [`Workers::run_until`] ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("the worker of {queue:?} ended by itself")]
pub struct WorkerEnded {
    /// Its queue; `None` where it was the schedules, or is not known.
    pub queue: Option<String>,
    /// What it ended with.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Workers that start and end together, one for each kind of job.
#[must_use = "workers do nothing until they run"]
pub struct Workers {
    queue: Queue,
    name: String,
    starts: Vec<(What, Start)>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers")
            .field("name", &self.name)
            .field("queues", &self.queues())
            .finish_non_exhaustive()
    }
}

impl Workers {
    /// None yet. The name, such as the host's, is for people: it stands in the story of what fails here.
    pub fn new(queue: Queue, name: impl Into<String>) -> Self {
        Self { queue, name: name.into(), starts: Vec::new() }
    }

    /// A worker for a kind of job that runs `concurrency` of them at once.
    pub fn job<J, H, Fut>(mut self, settings: Settings, concurrency: usize, handler: H) -> Self
    where
        J: Job,
        H: Fn(J, JobContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let worker = WorkerBuilder::new(self.name.as_str())
            .backend(self.queue.backend::<J>(settings))
            .concurrency(concurrency.max(1))
            .build(move |job: J, ctx: JobContext| handler(job, ctx));
        let start = |stopped| worker.run_until(until(stopped)).err_into().boxed();
        self.starts.push((What::Worker(J::QUEUE.to_owned()), Box::new(start)));
        self
    }

    /// A worker for a flow's current version that runs `concurrency` of its runs at once.
    pub fn flow<F, H, Fut>(mut self, settings: Settings, concurrency: usize, handler: H) -> Self
    where
        F: Flow,
        H: Fn(Run<F>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let worker = WorkerBuilder::new(self.name.as_str())
            .backend(self.queue.run_backend::<F>(settings))
            .concurrency(concurrency.max(1))
            .build(move |job: RunJob, ctx: JobContext| {
                let handler = handler.clone();
                async move { handler(Run::open(&job, ctx).await?).await }
            });
        let start = |stopped| worker.run_until(until(stopped)).err_into().boxed();
        self.starts.push((What::Worker(F::queue()), Box::new(start)));
        self
    }

    /// Ticks the schedules every so often, by a clock of the application's. Where that is further than `most_apart` from
    /// the database's, nothing is ticked and all workers end ([`QueueError::Clock`]): whatever they do by such a clock is
    /// wrong. `None` for a clock that is not meant to show the time, as a test's.
    pub fn schedules<C>(mut self, every: Duration, most_apart: Option<TimeDelta>, clock: C) -> Self
    where
        C: Fn() -> DateTime<Utc> + Send + Sync + 'static,
    {
        let (queue, clock) = (self.queue.clone(), Arc::new(clock));
        let start = move |mut stopped: Stopped| {
            async move {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(every) => {}
                        _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
                    }
                    match tick(&queue, most_apart, &*clock).await {
                        Err(wrong @ QueueError::Clock { .. }) => return Err(wrong.into()),
                        Err(error) => tracing::warn!(%error, "the schedules did not tick"),
                        Ok(()) => {}
                    }
                }
            }
            .boxed()
        };
        self.starts.push((What::Schedules, Box::new(start)));
        self
    }

    /// The queues that have a worker, for [`crate::unknown_work`].
    #[must_use]
    pub fn queues(&self) -> Vec<&str> {
        self.starts.iter().filter_map(|(what, _)| what.queue().map(String::as_str)).collect()
    }

    /// Runs all until `stop`, then lets every job that has begun end and gives back the others. Fails where a worker
    /// ends before that, after it has drained the rest: a process that lacks one should be started anew.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send) -> Result<(), WorkerEnded> {
        let (send, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for (what, start) in self.starts {
            let work = start(stopped.clone());
            running.spawn(async move { (what.queue().cloned(), work.await) });
        }
        let mut stop = std::pin::pin!(stop.fuse());
        let mut failed = None;
        loop {
            tokio::select! {
                () = &mut stop => { send.send_replace(true); }
                ended = running.join_next() => {
                    let Some(ended) = ended else { break };
                    let early = !*send.borrow();
                    let ended = match ended {
                        Ok((queue, Ok(()))) if early => Some(WorkerEnded { queue, source: None }),
                        Ok((_, Ok(()))) => None,
                        Ok((queue, Err(error))) => Some(WorkerEnded { queue, source: Some(error) }),
                        Err(join) => Some(WorkerEnded { queue: None, source: Some(join.into()) }),
                    };
                    if let Some(ended) = ended {
                        tracing::error!(queue = ?ended.queue, source = ?ended.source, "a worker ended by itself");
                        failed.get_or_insert(ended);
                        send.send_replace(true);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

async fn until(mut stopped: Stopped) -> Result<(), WorkerError> {
    // A sender that is gone means the same.
    let _told = stopped.wait_for(|stopped| *stopped).await;
    Ok(())
}

async fn tick(
    queue: &Queue,
    most_apart: Option<TimeDelta>,
    clock: &(impl Fn() -> DateTime<Utc> + Sync),
) -> Result<(), QueueError> {
    let mut conn = queue.conn().await?;
    let now = clock();
    if let Some(most_apart) = most_apart {
        check_clock(&mut conn, now, most_apart).await?;
        for schedule in schedule::heal(&mut conn, most_apart).await? {
            tracing::error!(schedule, "a schedule had ticked in the future, by a clock that was wrong");
        }
    }
    for ticked in schedule::tick(&mut conn, now).await? {
        tracing::info!(
            schedule = %ticked.name, jobs = ticked.enqueued.len(), skipped = ticked.skipped,
            "a schedule ticked"
        );
    }
    Ok(())
}
