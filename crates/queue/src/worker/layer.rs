//! What stands between the worker and a handler: a task of its own for each attempt, a time limit, panics turned into
//! failures, and the outcome.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument as _;

use super::ack::Acks;
use super::driver::Shared;
use super::quarantine::{Alone, Pass};
use crate::lease::{CURRENT, Held, Stop};
use crate::outcome::{Outcome, Said, Settled};
use crate::{ErrorClass, QueueError};

/// Wraps a worker's handlers. The backend brings it; nobody else needs to name it.
#[derive(Clone)]
pub struct RunJobLayer {
    pub(super) shared: Arc<Shared>,
    pub(super) acks: Acks,
}

impl std::fmt::Debug for RunJobLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunJobLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RunJobLayer {
    type Service = RunJob<S>;

    fn layer(&self, inner: S) -> RunJob<S> {
        RunJob { inner, shared: Arc::clone(&self.shared), acks: self.acks.clone() }
    }
}

/// Runs handlers and writes what became of them.
#[derive(Clone)]
pub struct RunJob<S> {
    inner: S,
    shared: Arc<Shared>,
    acks: Acks,
}

impl<S: std::fmt::Debug> std::fmt::Debug for RunJob<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunJob").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, Args> Service<Task<Args>> for RunJob<S>
where
    S: Service<Task<Args>>,
    S::Future: Future<Output = Result<S::Response, S::Error>> + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxDynError> + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<S::Response, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Args>) -> Self::Future {
        let Some(held) = task.data().get::<Arc<Held>>().cloned() else {
            return std::future::ready(Err(QueueError::NoContext.into())).boxed();
        };
        let (shared, acks) = (Arc::clone(&self.shared), self.acks.clone());
        if let Some(deadline) = held.row.expires_at
            && deadline <= held.row.started_at
        {
            return refuse(shared, acks, held).boxed();
        }
        // Some services panic before there is a future, as a workflow does that lacks a step.
        let called = std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.call(task)));
        async move {
            let (ended, turn) = match called {
                Ok(work) => {
                    let pass = admit(&shared, &acks, &held).await?;
                    pass.hold(attempt(&shared, &held, work.map(|result| result.map_err(Into::into)))).await
                }
                Err(panic) => (Err(Failure::Panicked(panic_text(&*panic))), None),
            };
            Alone::until(turn, settle(&shared, &acks, held, ended)).await
        }
        .boxed()
    }
}

/// How an attempt failed.
enum Failure {
    Error(BoxDynError),
    Panicked(String),
    TookTooLong,
}

/// Aborts the task that nobody waits for any more.
struct Spawned<T>(JoinHandle<T>);

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until the job may run beside what else does, see [`super::quarantine`].
async fn admit(shared: &Shared, acks: &Acks, held: &Arc<Held>) -> Result<Pass, BoxDynError> {
    let quarantine = shared.queue.quarantine();
    let pass = if held.row.crashes == 0 {
        quarantine.beside().await
    } else {
        let turn = tokio::select! {
            turn = quarantine.alone(shared.settings.quarantine) => turn,
            () = shared.ending() => None,
        };
        match turn {
            Some(pass) if begin(shared, held).await? => pass,
            Some(_) => {
                held.tell(Stop::Lost);
                shared.registry.remove(held);
                return Err(QueueError::LeaseLost.into());
            }
            None => {
                let ending = shared.ending().now_or_never().is_some();
                let outcome =
                    if ending { Outcome::Release } else { Outcome::Later(shared.settings.quarantine * 6) };
                insist(shared, acks, held, outcome).await?;
                shared.registry.remove(held);
                return Err("a suspect had no turn to run alone, and comes back later".into());
            }
        }
    };
    if held.told() == Stop::Lost {
        // Another worker's by now: nothing that is begun here would count.
        shared.registry.remove(held);
        return Err(QueueError::LeaseLost.into());
    }
    Ok(pass)
}

/// Writes down that a suspect begins, so that a crash from now on is its own. `false` where it is another worker's.
async fn begin(shared: &Shared, held: &Held) -> Result<bool, QueueError> {
    let row = &held.row;
    let mut pause = Duration::from_millis(50);
    loop {
        let begun = async {
            let conn = shared.queue.work().await?;
            conn.within(shared.settings.patience(), async |conn| {
                diesel::sql_query(
                    "UPDATE queue.job SET begun = true, started_at = clock_timestamp() \
                      WHERE id = $1 AND session = $2 AND epoch = $3 AND status = 'running'",
                )
                .bind::<SqlUuid, _>(row.id)
                .bind::<SqlUuid, _>(row.session)
                .bind::<BigInt, _>(row.epoch)
                .execute(conn)
                .await
            })
            .await
        };
        match begun.await {
            Ok(begun) => return Ok(begun > 0),
            Err(_) if held.told() == Stop::Lost => return Ok(false),
            Err(error) => tracing::warn!(job.id = %row.id, %error, "a suspect waits for the database"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

async fn attempt<T: Send + 'static>(
    shared: &Shared,
    held: &Arc<Held>,
    work: impl Future<Output = Result<T, BoxDynError>> + Send + 'static,
) -> Result<T, Failure> {
    let limit = shared.settings.timeout;
    let limited = async move {
        match limit {
            None => Some(work.await),
            Some(limit) => tokio::time::timeout(limit, work).await.ok(),
        }
    };
    let row = &held.row;
    let span = tracing::info_span!(
        "job", job.id = %row.id, job.queue = %row.queue, job.attempt = row.attempts,
        request.id = row.trace.as_deref(),
    );
    let mut spawned = Spawned(tokio::spawn(CURRENT.scope(Arc::clone(held), limited).instrument(span)));
    match (&mut spawned.0).await {
        Ok(Some(Ok(value))) => Ok(value),
        Ok(Some(Err(error))) => Err(Failure::Error(error)),
        Ok(None) => Err(Failure::TookTooLong),
        Err(join) => match join.try_into_panic() {
            Ok(panic) => Err(Failure::Panicked(panic_text(&*panic))),
            Err(join) => Err(Failure::Error(join.into())),
        },
    }
}

/// Writes the outcome, and reports success only if it counts.
async fn settle<T>(
    shared: &Shared,
    acks: &Acks,
    held: Arc<Held>,
    ended: Result<T, Failure>,
) -> Result<T, BoxDynError> {
    let backoff = &shared.settings.backoff;
    let (outcome, result) = match ended {
        Ok(value) => (Outcome::Done, Ok(value)),
        Err(Failure::Error(error)) => (Outcome::of_failure(&held, backoff, &*error), Err(error)),
        Err(Failure::Panicked(text)) => {
            let said = Said::new(ErrorClass::Bug, "panic", &format!("the handler panicked: {text}"));
            let error = said.error.clone();
            (Outcome::failed(&held, backoff, said), Err(error.into()))
        }
        Err(Failure::TookTooLong) => {
            let text =
                format!("the attempt took longer than {:?}", shared.settings.timeout.unwrap_or_default());
            let said = Said::new(ErrorClass::Transient, "timeout", &text);
            (Outcome::failed(&held, backoff, said), Err(text.into()))
        }
    };
    let parked = matches!(outcome, Outcome::Park(_));
    let mut settled = acks.settle(Arc::clone(&held), outcome).await?;
    let mut result = result;
    if settled == Settled::Refused {
        let text = "the database refuses what the job pushed or reported";
        let said = Said::new(ErrorClass::Bug, "refused", text);
        let bare = Arc::new(Held::new(held.row.clone(), held.queue.clone(), Arc::clone(&held.worker)));
        settled = insist(shared, acks, &bare, Outcome::failed(&held, backoff, said)).await?;
        result = Err(text.into());
    }
    shared.registry.remove(&held);
    if settled == Settled::Lost {
        held.tell(Stop::Lost);
        tracing::warn!(job.id = %held.row.id, queue = %held.row.queue, "an outcome came after the lease was lost");
        return Err(QueueError::LeaseLost.into());
    }
    match &result {
        Err(error) if !parked => {
            tracing::info!(
                job.id = %held.row.id, queue = %held.row.queue, attempt = held.row.attempts, %error,
                "a job did not succeed"
            );
        }
        _ => {}
    }
    result
}

/// Writes an outcome in which nothing is the handler's own. If that is refused, it is the database that is not right:
/// the claim is kept, and tried again until somebody has mended it, or the worker is to end. Then the claim is left
/// under its session for others to take back.
async fn insist(
    shared: &Shared,
    acks: &Acks,
    held: &Arc<Held>,
    outcome: Outcome,
) -> Result<Settled, QueueError> {
    let mut pause = Duration::from_millis(500);
    loop {
        let settled = acks.settle(Arc::clone(held), outcome.clone()).await?;
        if settled != Settled::Refused {
            return Ok(settled);
        }
        tracing::error!(job.id = %held.row.id, queue = %held.row.queue, "an outcome waits for the database to take it");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.ending() => return Err(QueueError::Stopped),
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

async fn refuse<T>(shared: Arc<Shared>, acks: Acks, held: Arc<Held>) -> Result<T, BoxDynError> {
    let text = "the job expired before it was run";
    let said = Said::new(ErrorClass::Expired, "expired", text);
    insist(&shared, &acks, &held, Outcome::Dead(said)).await?;
    shared.registry.remove(&held);
    Err(text.into())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
