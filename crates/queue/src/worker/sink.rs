//! Pushing through Apalis' sink. Inside a handler a push is kept for the job's outcome; outside it is written when
//! the sink is flushed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::task::Task;
use apalis_core::task::metadata::MetadataStore;
use chrono::DateTime;
use futures_util::{FutureExt, Sink};
use serde_json::Value;

use super::Backend;
use crate::lease::CURRENT;
use crate::{NewJob, QueueError, enqueue};

impl<J> Sink<Task<Value>> for Backend<J> {
    type Error = QueueError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), QueueError>> {
        if self.unsent.len() < 500 { Poll::Ready(Ok(())) } else { Sink::poll_flush(self, cx) }
    }

    fn start_send(self: Pin<&mut Self>, task: Task<Value>) -> Result<(), QueueError> {
        let this = self.get_mut();
        let job = new_job(&this.name, this.max_attempts, task)?;
        this.unsent.extend(collect(job));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), QueueError>> {
        let this = self.get_mut();
        let sending = this.sending.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            if let Some(future) = sending.as_mut() {
                let sent = ready!(future.poll_unpin(cx));
                *sending = None;
                sent?;
            }
            if this.unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (queue, jobs) = (this.queue.clone(), std::mem::take(&mut this.unsent));
            *sending = Some(
                async move {
                    let mut conn = queue.conn().await?;
                    enqueue(&mut conn, &jobs).await?;
                    Ok(())
                }
                .boxed(),
            );
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), QueueError>> {
        Sink::poll_flush(self, cx)
    }
}

/// Gives the job to the handler that runs in this task, or back where there is none.
fn collect(mut job: NewJob) -> Option<NewJob> {
    let Ok(held) = CURRENT.try_with(Arc::clone) else { return Some(job) };
    if job.priority == 0 {
        job.priority = held.row.priority;
    }
    held.collect(job);
    None
}

fn new_job(queue: &str, max_attempts: u32, task: Task<Value>) -> Result<NewJob, QueueError> {
    let (args, ctx) = task.take();
    let queue = ctx.queue().map_or(queue, AsRef::as_ref);
    let mut job = NewJob::raw(queue, args);
    if let Some(id) = ctx.task_id() {
        job.id = id.to_uuid();
    }
    job.metadata = serde_json::to_value(ctx.metadata().as_map())?;
    job.key = ctx.idempotency_key().map(ToOwned::to_owned);
    job.priority = ctx.priority().map_or(0, |priority| i32::try_from(priority).unwrap_or(i32::MAX));
    job.max_attempts = ctx
        .max_attempts()
        .map_or(max_attempts, |attempts| u32::try_from(attempts).unwrap_or(u32::MAX))
        .max(1);
    job.run_at = ctx.run_at().and_then(|at| DateTime::from_timestamp(i64::try_from(at).ok()?, 0));
    Ok(job)
}

/// A row's metadata as Apalis keeps it.
pub(super) fn metadata(value: &Value) -> MetadataStore {
    let entries = value.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    entries.map(|(key, value)| (key.clone(), text(value))).collect()
}
