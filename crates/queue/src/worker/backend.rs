//! The queue as Apalis sees it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::finalize::Durable;
use apalis_core::backend::{self, BackendConfig, WireFormatBackend};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::driver::Driver;
use super::layer::RunJobLayer;
use super::sink;
use crate::lease::{Claimed, Held, Stop};
use crate::outcome::{Outcome, Said};
use crate::{ErrorClass, Job, NewJob, Queue, QueueError, Settings};

/// Payloads as JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    type Error = serde_json::Error;
    type Compact = Value;

    fn encode(&self, value: &T) -> Result<Value, serde_json::Error> {
        serde_json::to_value(value)
    }

    fn decode(&self, value: &Value) -> Result<T, serde_json::Error> {
        T::deserialize(value)
    }
}

type Sending = Mutex<Option<BoxFuture<'static, Result<(), QueueError>>>>;

/// One queue, for one worker: `WorkerBuilder::new("name").backend(queue.backend::<MyJob>(settings))`. The worker's
/// name is for people; two workers may bear the same.
///
/// A clone pushes to the same queue, and may be given to a worker of its own. What a handler pushes through it is kept
/// for the job's outcome; a task that the handler spawns is outside of that, and uses [`crate::JobContext::enqueue`].
pub struct Backend<J> {
    pub(super) queue: Queue,
    pub(super) name: String,
    pub(super) max_attempts: u32,
    settings: Settings,
    check: fn(&Value) -> Result<(), serde_json::Error>,
    driver: Option<Driver>,
    closing: Mutex<Option<BoxFuture<'static, ()>>>,
    pub(super) unsent: Vec<NewJob>,
    pub(super) sending: Sending,
    job: PhantomData<fn() -> J>,
}

impl<J> Clone for Backend<J> {
    fn clone(&self) -> Self {
        Self::new(self.queue.clone(), self.name.clone(), self.settings.clone(), self.max_attempts, self.check)
    }
}

impl<J> fmt::Debug for Backend<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("queue", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<J> Backend<J> {
    fn new(
        queue: Queue,
        name: String,
        settings: Settings,
        max_attempts: u32,
        check: fn(&Value) -> Result<(), serde_json::Error>,
    ) -> Self {
        Self {
            queue,
            name,
            max_attempts,
            settings,
            check,
            driver: None,
            closing: Mutex::new(None),
            unsent: Vec::new(),
            sending: Mutex::new(None),
            job: PhantomData,
        }
    }

    pub(crate) fn checked(queue: Queue, name: String, settings: Settings) -> Self
    where
        J: Job,
    {
        // Read twice, here and by Apalis: an unreadable row that reached Apalis would end the worker.
        Self::new(queue, name, settings, J::MAX_ATTEMPTS, |args| J::deserialize(args).map(drop))
    }

    pub(crate) fn unchecked(queue: Queue, name: String, settings: Settings) -> Self {
        Self::new(queue, name, settings, 20, |_| Ok(()))
    }

    /// The tasks behind the backend, started by whatever the worker asks first.
    fn driver(&mut self, worker: &WorkerContext) -> &mut Driver {
        self.driver.get_or_insert_with(|| {
            Driver::start(self.queue.clone(), self.name.clone(), self.settings.clone(), worker)
        })
    }
}

impl<J> backend::Backend for Backend<J> {
    type Task = Task<Value>;
    type Error = QueueError;

    fn poll_ready(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), QueueError>> {
        self.driver(worker);
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Value>, QueueError>>> {
        let check = self.check;
        let driver = self.driver(worker);
        loop {
            let held = ready!(driver.poll_job(cx));
            if held.told() == Stop::Lost {
                // Another worker's by now: nothing that is begun here would count.
                driver.shared.registry.remove(&held);
                continue;
            }
            match readable(&held.row, check) {
                Ok((args, metadata)) => return Poll::Ready(Some(Ok(task_of(held, args, &metadata)))),
                Err(error) => bury(driver, held, &error),
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), QueueError>> {
        let closing = self.closing.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if closing.is_none() {
            let Some(driver) = self.driver.take() else { return Poll::Ready(Ok(())) };
            *closing = Some(driver.close().boxed());
        }
        if let Some(future) = closing.as_mut() {
            ready!(future.poll_unpin(cx));
            *closing = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// A job's payload and metadata, or why it cannot be run.
fn readable(
    row: &Claimed,
    check: fn(&Value) -> Result<(), serde_json::Error>,
) -> Result<(Value, Value), String> {
    let unreadable = |what, error: &dyn fmt::Display| format!("the {what} cannot be read: {error}");
    let args = row.args.0.as_ref().map_err(|error| unreadable("payload", error))?;
    check(args).map_err(|error| unreadable("payload", &error))?;
    let metadata = row.metadata.0.as_ref().map_err(|error| unreadable("metadata", error))?;
    Ok((args.clone(), metadata.clone()))
}

/// Sends a job that nobody can read to the dead letters.
fn bury(driver: &Driver, held: Arc<Held>, error: &str) {
    let said = Said::new(ErrorClass::Bug, "payload", error);
    // Nobody waits for the answer: the row is written all the same.
    drop(driver.acks.post(held, Outcome::Dead(said)));
}

fn task_of(held: Arc<Held>, args: Value, metadata: &Value) -> Task<Value> {
    let row = &held.row;
    // Apalis counts the attempt when it begins.
    let before = usize::try_from(row.attempts.saturating_sub(1)).unwrap_or_default();
    TaskBuilder::new(args)
        .task_id(TaskId::from_uuid(row.id))
        .attempt(before)
        .status(Status::Queued)
        .max_attempts(usize::try_from(row.max_attempts).unwrap_or_default())
        .priority(usize::try_from(row.priority).unwrap_or_default())
        .queue(row.queue.as_str().into())
        .with_metadata(sink::metadata(metadata))
        .data(held)
        .build()
}

impl<J> BackendConfig for Backend<J> {
    type Args = J;
    type Id = Uuid;
    type Kind = Durable;
    type Config = Settings;
    type Layer = RunJobLayer;

    fn config(&self) -> &Settings {
        &self.settings
    }

    fn middleware(&mut self, worker: &mut WorkerContext) -> RunJobLayer {
        let driver = self.driver(worker);
        RunJobLayer { shared: Arc::clone(&driver.shared), acks: driver.acks.clone() }
    }
}

impl<J> WireFormatBackend for Backend<J> {
    type Codec = Json;
    type Compact = Value;

    fn codec(&self) -> &Json {
        &Json
    }
}
