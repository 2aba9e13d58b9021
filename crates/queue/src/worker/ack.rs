//! The task that writes outcomes. It takes whatever has gathered while it wrote the batch before, and tries until the
//! database answers: an outcome is never forgotten because the database was away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::lease::Held;
use crate::outcome::{self, Outcome, Settled};
use crate::{Queue, QueueError};

/// The most outcomes in one transaction.
const MOST: usize = 256;

/// How long a transaction of outcomes may take until its connection counts as closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the database must refuse an outcome until it is believed.
const REFUSALS: u32 = 3;

/// An outcome on its way.
pub(super) struct Settle {
    held: Arc<Held>,
    outcome: Outcome,
    reply: oneshot::Sender<Settled>,
}

/// Hands outcomes to the task.
#[derive(Clone)]
pub(crate) struct Acks(mpsc::UnboundedSender<Settle>);

impl Acks {
    /// The sender, and the task's end of it.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Settle>) {
        let (send, receive) = mpsc::unbounded_channel();
        (Self(send), receive)
    }

    /// Hands an outcome over; the answer comes when it is written, or known not to count.
    pub(super) fn post(&self, held: Arc<Held>, outcome: Outcome) -> oneshot::Receiver<Settled> {
        let (reply, answer) = oneshot::channel();
        // Where the task is gone the reply goes with it, and the answer says so.
        let _gone = self.0.send(Settle { held, outcome, reply });
        answer
    }

    /// Hands an outcome over and waits for the answer.
    pub(super) async fn settle(&self, held: Arc<Held>, outcome: Outcome) -> Result<Settled, QueueError> {
        self.post(held, outcome).await.map_err(|_| QueueError::Stopped)
    }
}

/// Runs until it is aborted. Everything that was posted before an answered outcome is written by then.
pub(super) async fn run(queue: Queue, mut receive: mpsc::UnboundedReceiver<Settle>) {
    let mut gathered = Vec::with_capacity(MOST);
    while receive.recv_many(&mut gathered, MOST).await > 0 {
        let mut replies = Vec::with_capacity(gathered.len());
        let mut batch = Vec::with_capacity(gathered.len());
        for settle in gathered.drain(..) {
            batch.push((settle.held, settle.outcome));
            replies.push(settle.reply);
        }
        let settled = write_at_last(&queue, &batch).await;
        for (reply, settled) in replies.into_iter().zip(settled) {
            // Whoever asked may be gone; the row is written all the same.
            let _gone = reply.send(settled);
        }
    }
}

async fn write_at_last(queue: &Queue, batch: &[(Arc<Held>, Outcome)]) -> Vec<Settled> {
    let mut wait = Duration::from_millis(50);
    let mut refusals = 0;
    loop {
        match try_write(queue, batch).await {
            Ok(settled) => return settled,
            Err(QueueError::Database(error)) if QueueError::is_refusal(&error) => {
                if batch.len() > 1 {
                    // One of them is at fault: the others must not wait for it.
                    let mut settled = Vec::with_capacity(batch.len());
                    for one in batch {
                        settled.extend(Box::pin(write_at_last(queue, std::slice::from_ref(one))).await);
                    }
                    return settled;
                }
                refusals += 1;
                if refusals >= REFUSALS {
                    tracing::error!(%error, "the database refuses a job's outcome");
                    return vec![Settled::Refused];
                }
                tokio::time::sleep(wait).await;
            }
            Err(error) => {
                tracing::warn!(%error, jobs = batch.len(), "outcomes wait for the database");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(2));
            }
        }
    }
}

async fn try_write(queue: &Queue, batch: &[(Arc<Held>, Outcome)]) -> Result<Vec<Settled>, QueueError> {
    let conn = queue.work().await?;
    conn.within(PATIENCE, async |conn| outcome::write(conn, batch).await).await
}
