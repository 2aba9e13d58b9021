//! The task that keeps the leases of a process: an advisory lock for each on one connection, a heartbeat that does not
//! depend on how busy the workers are, and the ear for notifications. It also looks after the leases of others.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::driver::Shared;
use super::lease;
use crate::{Queue, QueueError};

/// How long to wait after the first trouble with the connection, and at most after any.
const TROUBLE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The leases of a process's workers.
#[derive(Default)]
pub(crate) struct Keeper {
    kept: Mutex<Kept>,
    /// Somebody has come or gone.
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    members: Vec<Arc<Member>>,
    task: Option<JoinHandle<()>>,
}

/// A worker and its lease.
struct Member {
    shared: Arc<Shared>,
    /// Only the keeper begins one. Locked while it does.
    session: AsyncMutex<Option<Uuid>>,
    gone: AtomicBool,
}

impl Member {
    fn is_gone(&self) -> bool {
        AtomicBool::load(&self.gone, Ordering::SeqCst)
    }
}

/// A worker's claim to a lease. One that is dropped and not ended lets go of its lock, so that others take the worker's
/// jobs back after its grace.
pub(super) struct Lease {
    queue: Queue,
    member: Arc<Member>,
}

impl Lease {
    /// Has a lease kept for this worker from now on; its session is told in [`Shared::session`]. Needs a tokio runtime.
    pub(super) fn begin(shared: Arc<Shared>) -> Self {
        let queue = shared.queue.clone();
        let session = AsyncMutex::new(None);
        let member = Arc::new(Member { shared, session, gone: AtomicBool::new(false) });
        let keeper = queue.keeper();
        let mut kept = keeper.kept();
        kept.members.push(Arc::clone(&member));
        if kept.task.as_ref().is_none_or(JoinHandle::is_finished) {
            kept.task = Some(tokio::spawn(run(queue.clone())));
        }
        drop(kept);
        keeper.changed.notify_one();
        Self { queue, member }
    }

    /// Ends the lease: what is still claimed under it goes back at once.
    pub(super) async fn end(self) {
        self.leave();
        let session = self.member.session.lock().await.take();
        self.member.shared.session.send_replace(None);
        if let Some(session) = session {
            lease::end(&self.member.shared, session).await;
        }
    }

    fn leave(&self) {
        self.member.gone.store(true, Ordering::SeqCst);
        let keeper = self.queue.keeper();
        keeper.kept().members.retain(|member| !Arc::ptr_eq(member, &self.member));
        keeper.changed.notify_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Keeper {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> Vec<Arc<Member>> {
        self.kept().members.clone()
    }

    /// How long the most impatient worker waits for an answer.
    fn patience(&self) -> Duration {
        let all = self.kept();
        all.members.iter().map(|member| member.shared.settings.patience()).min().unwrap_or(TROUBLE.1)
    }

    /// Whether there is nobody to keep a lease for. Who comes after that finds no task, and starts one.
    fn is_deserted(&self) -> bool {
        let mut kept = self.kept();
        let deserted = kept.members.is_empty();
        if deserted {
            kept.task = None;
        }
        deserted
    }
}

async fn run(queue: Queue) {
    let mut trouble = TROUBLE.0;
    while !queue.keeper().is_deserted() {
        let Err(error) = keep(&queue, &mut trouble).await else { return };
        for member in queue.keeper().members() {
            member.shared.session.send_replace(None);
        }
        tracing::warn!(%error, "the connection of the leases failed");
        tokio::time::sleep(trouble).await;
        trouble = (trouble * 2).min(TROUBLE.1);
    }
}

/// A lease on this connection.
struct Open {
    member: Arc<Member>,
    session: Uuid,
    locked: bool,
}

/// One connection's life: fails with it, and ends when nobody is left.
async fn keep(queue: &Queue, trouble: &mut Duration) -> Result<(), QueueError> {
    let mut conn = queue.connect().await?;
    let mut kept = Connection { conn: &mut conn, open: Vec::new(), since: Instant::now() };
    // Waits for no disk with each heartbeat. What a server that crashes loses of this, it loses together with all that was
    // committed later: a claim under a lease, or of a job that was taken back, makes both last.
    let hello = "LISTEN queue_wake; LISTEN queue_cancel; SET synchronous_commit = off";
    in_time(queue.keeper().patience(), async { Ok(kept.conn.batch_execute(hello).await?) }).await?;
    in_time(queue.keeper().patience(), kept.renew(queue)).await?;
    let mut beat_at = kept.since;
    loop {
        let patience = queue.keeper().patience();
        if in_time(patience, kept.turn_over(queue)).await? {
            beat_at = Instant::now();
        }
        *trouble = TROUBLE.0;
        if queue.keeper().is_deserted() {
            return Ok(());
        }
        match next(kept.conn, &queue.keeper().changed, beat_at).await? {
            Heard::Added(name) => kept.of(&name).for_each(|open| open.member.shared.wake.notify_one()),
            Heard::Cancelled(name) if kept.of(&name).next().is_some() => {
                in_time(patience, kept.look_after()).await?;
            }
            Heard::Cancelled(_) | Heard::Changed => {}
            Heard::Beat => {
                in_time(patience, kept.beat()).await?;
                beat_at = Instant::now() + kept.interval();
            }
        }
    }
}

/// A connection that does not answer is as good as closed.
async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done,
        Err(late) => Err(QueueError::Unreachable(Box::new(late))),
    }
}

struct Connection<'a> {
    conn: &'a mut AsyncPgConnection,
    open: Vec<Open>,
    /// Since when it stands.
    since: Instant,
}

impl Connection<'_> {
    /// The workers of a queue.
    fn of(&self, name: &str) -> impl Iterator<Item = &Open> {
        self.open.iter().filter(move |open| open.member.shared.name == name)
    }

    /// How long until the next heartbeat: without its lock a worker must be quick to take it, once the connection that
    /// holds it is gone.
    fn interval(&self) -> Duration {
        let wait = |open: &Open| {
            let settings = &open.member.shared.settings;
            if open.locked { settings.heartbeat } else { settings.heartbeat.min(settings.grace / 3) }
        };
        self.open.iter().map(wait).min().unwrap_or(TROUBLE.1)
    }

    /// Renews at once what may still stand of the leases of an earlier connection: to find them one by one may take longer
    /// than their grace.
    async fn renew(&mut self, queue: &Queue) -> Result<(), QueueError> {
        let mut sessions = Vec::new();
        for member in queue.keeper().members() {
            sessions.extend(*member.session.lock().await);
        }
        if !sessions.is_empty() {
            lease::beat(self.conn, &sessions).await?;
        }
        Ok(())
    }

    /// Lets go of the locks of those who went, and finds the leases of those who came standing or begins others.
    /// Whether somebody came.
    async fn turn_over(&mut self, queue: &Queue) -> Result<bool, QueueError> {
        for open in self.open.extract_if(.., |open| open.member.is_gone()) {
            if open.locked {
                lease::unlock(self.conn, open.session).await?;
            }
        }
        let mut came = false;
        for member in queue.keeper().members() {
            if self.open.iter().any(|open| Arc::ptr_eq(&open.member, &member)) {
                continue;
            }
            // Who ends its lease waits for this, and finds the session that it has to end.
            let mut session = member.session.lock().await;
            if member.is_gone() {
                continue;
            }
            let id = lease::open(self.conn, &member.shared, *session).await?;
            *session = Some(id);
            let locked = lease::lock(self.conn, id).await?;
            member.shared.session.send_replace(Some(id));
            member.shared.wake.notify_one();
            drop(session);
            self.open.push(Open { member, session: id, locked });
            came = true;
        }
        Ok(came)
    }

    /// A heartbeat with all that belongs to it.
    async fn beat(&mut self) -> Result<(), QueueError> {
        let sessions: Vec<Uuid> = self.open.iter().map(|open| open.session).collect();
        let standing: HashSet<Uuid> = lease::beat(self.conn, &sessions).await?.into_iter().collect();
        for open in self.open.extract_if(.., |open| !standing.contains(&open.session)) {
            // The next turn begins another, unless the worker has just ended it.
            if open.locked {
                lease::unlock(self.conn, open.session).await?;
            }
        }
        for open in &mut self.open {
            if !open.locked {
                // After a broken network the server may hold the old connection's lock for a while.
                open.locked = lease::lock(self.conn, open.session).await?;
            }
        }
        self.look_after().await?;
        // After an outage everybody's lock is free for a moment, and everybody was silent.
        let graces = self.open.iter().map(|open| open.member.shared.settings.grace);
        let take = graces.max().is_some_and(|grace| self.since.elapsed() >= grace);
        lease::take_back(self.conn, take).await
    }

    async fn look_after(&mut self) -> Result<(), QueueError> {
        let here = self.open.iter().filter(|open| !open.member.is_gone());
        let here: Vec<(Uuid, &Shared)> = here.map(|open| (open.session, &*open.member.shared)).collect();
        lease::look_after(self.conn, &here).await
    }
}

enum Heard {
    Added(String),
    Cancelled(String),
    Changed,
    Beat,
}

async fn next(conn: &mut AsyncPgConnection, changed: &Notify, beat_at: Instant) -> Result<Heard, QueueError> {
    let mut notifications = std::pin::pin!(conn.notifications_stream());
    tokio::select! {
        () = tokio::time::sleep_until(beat_at) => Ok(Heard::Beat),
        () = changed.notified() => Ok(Heard::Changed),
        heard = notifications.next() => match heard {
            Some(Ok(heard)) if heard.channel == "queue_cancel" => Ok(Heard::Cancelled(heard.payload)),
            Some(Ok(heard)) => Ok(Heard::Added(heard.payload)),
            Some(Err(error)) => Err(error.into()),
            None => Err(QueueError::Unreachable("the connection was closed".into())),
        },
    }
}
