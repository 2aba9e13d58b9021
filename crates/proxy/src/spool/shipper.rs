//! The shipper: carries ended calls from the spool to the ledger, in order, in batches, for ever.
//!
//! Shipping is at least once: a batch whose commit was not seen is shipped again, and the ledger knows each call
//! by its id. Together that is exactly once. A ledger that is away is asked again, at most every two seconds; a
//! row that it refuses for good is found by halving the batch and set aside, so that it holds up nobody.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use costlens_domain::request::RequestFact;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::backlog::{self, Orphan, Recovered};
use super::segment::Position;
use super::tail::{Batch, Tail, Unreadable};
use super::ticket::NotSettled;
use super::writer::{Handle, Shared, Spool};
use super::{checkpoint, file_work, payload, reclaim, rejected};

/// How often what was set aside is looked through for what is past its time: more than once in
/// [`rejected::BETWEEN_LOOKS`], though the shipper wakes late or the disk fails once.
const LOOK_EVERY: Duration = Duration::from_hours(8);

/// Where rows go: the ledger's database.
#[async_trait]
pub trait FactSink: Send + Sync + 'static {
    /// Commits all of the facts or none. A fact whose id is known already counts as committed and changes
    /// nothing; so does one of an account that is erased, which is dropped. The future may be dropped when it takes too
    /// long; the same facts then come again.
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError>;
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The ledger is away or busy: the same batch may succeed later.
    #[error("the ledger cannot be reached")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ledger will never take this batch as it is: at least one row is at fault.
    #[error("the ledger refuses a row")]
    Poison(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How the shipper batches and waits.
#[derive(Clone, Debug)]
pub struct ShipperConfig {
    /// The most rows in one insert.
    pub batch_rows: usize,
    /// How long a first row waits for others.
    pub linger: Duration,
    /// The first pause after a failure; it doubles up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// After so long without an answer an insert counts as failed.
    pub insert_timeout: Duration,
}

impl Default for ShipperConfig {
    fn default() -> Self {
        Self {
            batch_rows: 500,
            linger: Duration::from_millis(100),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            insert_timeout: Duration::from_secs(10),
        }
    }
}

/// The running shipper. Dropping it stops it where it is; nothing is lost, the next start carries on.
#[derive(Debug)]
pub struct Shipper {
    handle: Arc<Handle>,
    closing: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

/// How a [`Shipper::close`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Ended calls that stay in the spool for the next start; 0 when all are in the ledger.
    pub left: u64,
}

impl Spool {
    /// Starts shipping: first the calls that an earlier process left without an end, as interrupted, then all
    /// else in the order in which it ended. Must be called within a Tokio runtime.
    pub fn start_shipper(
        &self,
        recovered: Recovered,
        sink: Arc<dyn FactSink>,
        config: ShipperConfig,
    ) -> Shipper {
        let handle = Arc::clone(&self.handle);
        let closing = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            shared: Arc::clone(&handle.shared),
            sink,
            config,
            closing: Arc::clone(&closing),
            last_checkpoint: None,
            last_look: None,
        };
        Shipper { handle, closing, task: tokio::spawn(worker.run(recovered)) }
    }
}

impl Shipper {
    /// Ships what is there without lingering, then stops; gives up after `within`.
    pub async fn close(mut self, within: Duration) -> Drained {
        self.closing.store(true, Ordering::Release);
        self.handle.shared.rows.notify_one();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
            // Its hold on the directory ends with it.
            let _ = (&mut self.task).await;
            file_work::ended(&self.handle.shared).await;
        }
        Drained { left: self.handle.shared.lock().unshipped }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task's own side.
struct Worker {
    shared: Arc<Shared>,
    sink: Arc<dyn FactSink>,
    config: ShipperConfig,
    closing: Arc<AtomicBool>,
    last_checkpoint: Option<Instant>,
    last_look: Option<Instant>,
}

impl Worker {
    async fn run(mut self, recovered: Recovered) {
        let recovered = Arc::new(recovered);
        let orphans = file_work::persist(&self.shared, {
            let recovered = Arc::clone(&recovered);
            move |shared| backlog::search(shared, &recovered)
        });
        self.ship_orphans(orphans.await).await;
        let first = recovered.numbers.first().copied().unwrap_or_default();
        let mut tail =
            Tail { position: recovered.checkpoint.unwrap_or_default().max(Position::start_of(first)) };
        let mut closing = false;
        loop {
            let rows = self.config.batch_rows;
            self.shared.lock().ship_now = false;
            let batch = match tail.take(&self.shared, rows) {
                Some(batch) => batch,
                None => file_work::persist(&self.shared, move |shared| tail.read(shared, rows)).await,
            };
            self.wait_no_longer_for_those_behind(batch.end);
            let (empty, caught_up) = (batch.rows() == 0, batch.caught_up);
            tail.position = batch.end;
            self.ship(batch).await;
            self.settle_count(tail.position, caught_up);
            self.checkpoint(tail.position, closing).await;
            self.shared.lock().seal_if_old(self.shared.config.kept_at_most);
            reclaim::reclaim(&self.shared, tail.position).await;
            self.forget_rejected().await;
            if closing && empty && caught_up {
                return;
            }
            closing = self.wait_for_rows().await;
        }
    }

    /// Who waits for a record that was not written to its end when the batch was made waits for the next one.
    fn wait_no_longer_for_those_behind(&self, end: Position) {
        let mut state = self.shared.lock();
        state.ship_now |= state.waiters.keys().any(|at| *at >= end);
    }

    async fn pause(&self, pause: &mut Duration) {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(self.config.longest_pause);
    }

    /// Returns when there is a batch worth shipping; true when the spool is closing.
    async fn wait_for_rows(&self) -> bool {
        let look = || {
            let state = self.shared.lock();
            let enough = state.unshipped >= self.config.batch_rows as u64;
            (state.unshipped > 0, enough || state.ship_now)
        };
        // Now and then without rows, too: a segment grows old while nobody calls.
        let age = self.shared.config.kept_at_most;
        while !self.closing.load(Ordering::Acquire) && !look().0 {
            if tokio::time::timeout(age, self.shared.rows.notified()).await.is_err() {
                return self.closing.load(Ordering::Acquire);
            }
        }
        let deadline = Instant::now() + self.config.linger;
        while !self.closing.load(Ordering::Acquire) && !look().1 {
            if tokio::time::timeout_at(deadline, self.shared.rows.notified()).await.is_err() {
                break;
            }
        }
        self.closing.load(Ordering::Acquire)
    }

    async fn ship_orphans(&self, orphans: Vec<Orphan>) {
        if orphans.is_empty() {
            return;
        }
        tracing::warn!(
            calls = orphans.len(),
            "calls of an earlier process had no end; they are recorded as interrupted"
        );
        for some in orphans.chunks(self.config.batch_rows.max(1)) {
            let mut batch = Batch::default();
            for orphan in some {
                match payload::decode(orphan.id, &orphan.payload) {
                    Ok(fact) => batch.facts.push(fact),
                    Err(error) => batch.unreadable.push(Unreadable {
                        id: orphan.id,
                        place: Position::default(),
                        payload: orphan.payload.clone(),
                        reason: error.to_string(),
                    }),
                }
            }
            self.ship(batch).await;
            let mut state = self.shared.lock();
            for orphan in some {
                state.release(orphan.id);
            }
        }
    }

    /// Returns when every row of the batch is in the ledger or set aside.
    async fn ship(&self, batch: Batch) {
        for row in &batch.unreadable {
            self.set_aside(&row.id.to_string(), &row.reason, row.payload.clone()).await;
            self.answer(&[row.place], Err(NotSettled::Rejected));
        }
        let mut parts: Vec<_> = std::iter::once(0..batch.facts.len()).collect();
        let mut pause = self.config.first_pause;
        let mut away = false;
        while let Some(part) = parts.pop() {
            let facts = batch.facts.get(part.clone()).unwrap_or_default();
            let places = batch.places.get(part.clone()).unwrap_or_default();
            if facts.is_empty() {
                continue;
            }
            match self.insert(facts).await {
                Ok(()) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("the ledger takes rows again");
                    }
                    pause = self.config.first_pause;
                    self.shared.totals.shipped.fetch_add(facts.len() as u64, Ordering::Relaxed);
                    self.shipped(facts.len(), facts.last());
                    self.answer(places, Ok(()));
                }
                Err(SinkError::Retry(cause)) => {
                    self.shared.totals.sink_failures.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut away, true) {
                        tracing::error!(error = %cause, "the ledger cannot be reached; rows wait in the spool");
                    }
                    parts.push(part);
                    self.pause(&mut pause).await;
                }
                Err(SinkError::Poison(cause)) => {
                    if let [fact] = facts {
                        let row = serde_json::to_vec(fact).unwrap_or_default();
                        self.set_aside(&fact.id.to_string(), &cause.to_string(), row).await;
                        self.answer(places, Err(NotSettled::Rejected));
                    } else {
                        let middle = part.start + part.len() / 2;
                        parts.push(middle..part.end);
                        parts.push(part.start..middle);
                    }
                }
            }
        }
    }

    /// One attempt. A sink that hangs or panics has committed or has not; asking again is right for both.
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        let insert = AssertUnwindSafe(self.sink.insert(facts)).catch_unwind();
        match tokio::time::timeout(self.config.insert_timeout, insert).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_panic)) => Err(SinkError::Retry("the insert panicked".into())),
            Err(elapsed) => Err(SinkError::Retry(elapsed.into())),
        }
    }

    /// Keeps the figures of what waits. The age is that of the last shipped row: what waits is younger.
    fn shipped(&self, rows: usize, last: Option<&RequestFact>) {
        let mut state = self.shared.lock();
        state.unshipped = state.unshipped.saturating_sub(rows as u64);
        let ended = last.map(|fact| fact.started_at + Duration::from_millis(fact.duration_ms.into()));
        if state.unshipped == 0 {
            state.unshipped_since = None;
        } else if ended.is_some() {
            state.unshipped_since = ended;
        }
    }

    fn answer(&self, places: &[Position], answer: Result<(), NotSettled>) {
        let mut state = self.shared.lock();
        if state.waiters.is_empty() {
            return;
        }
        for waiter in places.iter().filter_map(|place| state.waiters.remove(place)).collect::<Vec<_>>() {
            // Whoever waited may have given up.
            let _ = waiter.send(answer);
        }
    }

    async fn set_aside(&self, id: &str, reason: &str, row: Vec<u8>) {
        tracing::error!(
            request.id = id,
            reason,
            file = rejected::NAME,
            "the ledger refuses a row; it was set aside"
        );
        let (id, reason) = (id.to_owned(), reason.to_owned());
        file_work::persist(&self.shared, move |shared| {
            rejected::set_aside(shared.dir(), shared.clock.now(), &id, &reason, &row)
        })
        .await;
        self.shared.totals.rejected.fetch_add(1, Ordering::Relaxed);
        self.shipped(1, None);
    }

    /// What was set aside is kept for so long and no longer. A disk that fails is asked again at the next look.
    async fn forget_rejected(&mut self) {
        if self.last_look.is_some_and(|last| last.elapsed() < LOOK_EVERY) {
            return;
        }
        self.last_look = Some(Instant::now());
        let purged =
            file_work::attempt(&self.shared, |shared| rejected::purge(shared.dir(), shared.clock.now()));
        match purged.await {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(file = rejected::NAME, "rows that were set aside long ago were removed");
            }
            Err(error) => {
                tracing::warn!(error = %error, "rows that were set aside long ago cannot be removed");
            }
        }
    }

    /// With damage the count of waiting rows may be too high; where nothing is left to read, it is known.
    fn settle_count(&self, position: Position, caught_up: bool) {
        let mut state = self.shared.lock();
        if caught_up && state.end <= position {
            state.unshipped = 0;
            state.unshipped_since = None;
        }
    }

    async fn checkpoint(&mut self, at: Position, now: bool) {
        if !now && self.last_checkpoint.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            return;
        }
        self.last_checkpoint = Some(Instant::now());
        let written = file_work::attempt(&self.shared, move |shared| checkpoint::write(shared.dir(), at));
        if let Err(error) = written.await {
            tracing::warn!(error = %error, "the spool's checkpoint cannot be written; a restart will ship more again");
        }
    }
}
