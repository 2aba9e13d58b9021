//! The task that keeps the leases of a process: an advisory lock for each on one connection, a heartbeat that does not
//! depend on how busy the workers are, and the ear for notifications. It also looks after the leases of others.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::driver::Shared;
use super::lease::{self, Known};
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
    /// Only the keeper begins a session. Locked while it does.
    known: AsyncMutex<Known>,
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
        let known = AsyncMutex::new(Known::default());
        let member = Arc::new(Member { shared, known, gone: AtomicBool::new(false) });
        let keeper = queue.keeper();
        let mut kept = keeper.kept();
        kept.members.push(Arc::clone(&member));
        if kept.task.as_ref().is_none_or(JoinHandle::is_finished) {
            kept.task = Some(tokio::spawn(watched(queue.clone())));
        }
        drop(kept);
        keeper.changed.notify_one();
        Self { queue, member }
    }

    /// Ends the lease: what is still claimed under it goes back at once.
    pub(super) async fn end(self) {
        self.leave();
        let known = std::mem::take(&mut *self.member.known.lock().await);
        self.member.shared.session.send_replace(None);
        lease::end(&self.member.shared, known).await;
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

    /// Tells the workers that they have no lease now: nothing is claimed until they have one again.
    fn withdraw(&self) {
        for member in self.members() {
            member.shared.session.send_replace(None);
        }
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

/// What goes wrong here goes wrong for every worker of the process: no fault of ours ends it for good.
async fn watched(queue: Queue) {
    while AssertUnwindSafe(run(&queue)).catch_unwind().await.is_err() {
        queue.keeper().withdraw();
        tracing::error!("the task that keeps the leases panicked, and is started again");
        tokio::time::sleep(TROUBLE.1).await;
    }
}

async fn run(queue: &Queue) {
    let mut trouble = TROUBLE.0;
    while !queue.keeper().is_deserted() {
        let Err(error) = keep(queue, &mut trouble).await else { return };
        queue.keeper().withdraw();
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
    let keeper = queue.keeper();
    let mut conn = in_time(Instant::now() + keeper.patience(), queue.connect()).await?;
    let since = Instant::now();
    let mut kept = Connection { keeper, conn: &mut conn, open: Vec::new(), since, renewed_at: since };
    // Waits for no disk with each heartbeat. What a server that crashes loses of this, it loses together with all that was
    // committed later: a claim under a lease, or of a job that was taken back, makes both last.
    let hello = "LISTEN queue_wake; LISTEN queue_cancel; SET synchronous_commit = off";
    in_time(kept.deadline(), kept.conn.batch_execute(hello)).await?;
    kept.resume().await?;
    let mut beat_at = kept.since;
    loop {
        if kept.turn_over().await? {
            beat_at = Instant::now();
        }
        if keeper.is_deserted() {
            return Ok(());
        }
        match next(kept.conn, &keeper.changed, beat_at).await? {
            Heard::Added(name) => kept.of(&name).for_each(|open| open.member.shared.wake.notify_one()),
            Heard::Cancelled(name) => {
                kept.look_after(|shared| shared.name == name).await?;
            }
            Heard::Changed => {}
            Heard::Beat => {
                kept.beat().await?;
                *trouble = TROUBLE.0;
                beat_at = Instant::now() + kept.interval();
            }
        }
    }
}

/// A connection that does not answer is as good as closed.
async fn in_time<T, E: Into<QueueError>>(
    deadline: Instant,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, QueueError> {
    match tokio::time::timeout_at(deadline, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(late) => Err(QueueError::Unreachable(Box::new(late))),
    }
}

struct Connection<'a> {
    keeper: &'a Keeper,
    conn: &'a mut AsyncPgConnection,
    open: Vec<Open>,
    /// Since when it stands.
    since: Instant,
    /// When the leases were last renewed, all of them.
    renewed_at: Instant,
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

    /// Until when an answer is waited for: not for so long that the leases grow old over one slow answer after another.
    fn deadline(&self) -> Instant {
        let patience = self.keeper.patience();
        (Instant::now() + patience).min(self.renewed_at + patience * 3 / 2)
    }

    /// Which of these sessions stand, all of them that there are.
    async fn renewed(&mut self, sessions: &[Uuid]) -> Result<HashSet<Uuid>, QueueError> {
        let begun = Instant::now();
        let standing = in_time(self.deadline(), lease::beat(self.conn, sessions)).await?;
        self.renewed_at = begun;
        Ok(standing.into_iter().collect())
    }

    async fn locked(&mut self, sessions: &[Uuid]) -> Result<HashSet<Uuid>, QueueError> {
        let locked = in_time(self.deadline(), lease::lock(self.conn, sessions)).await?;
        Ok(locked.into_iter().collect())
    }

    /// Takes up at once what still stands of the leases of an earlier connection: one by one may take longer than their
    /// grace.
    async fn resume(&mut self) -> Result<(), QueueError> {
        let mut earlier = Vec::new();
        for member in self.keeper.members() {
            let session = member.known.lock().await.session;
            earlier.extend(session.map(|session| (member, session)));
        }
        let sessions: Vec<Uuid> = earlier.iter().map(|(_, session)| *session).collect();
        if sessions.is_empty() {
            return Ok(());
        }
        let standing = self.renewed(&sessions).await?;
        for (member, session) in earlier.extract_if(.., |(_, session)| !standing.contains(session)) {
            lease::lose(&member.shared, session);
        }
        let locked = self.locked(&standing.into_iter().collect::<Vec<_>>()).await?;
        for (member, session) in earlier {
            self.open_up(member, session, locked.contains(&session));
        }
        Ok(())
    }

    /// A worker has its lease. Not for one that has just ended it, see [`Lease::end`].
    fn open_up(&mut self, member: Arc<Member>, session: Uuid, locked: bool) {
        member.shared.session.send_replace(Some(session));
        member.shared.wake.notify_one();
        self.open.push(Open { member, session, locked });
    }

    /// Lets go of the locks of those who went, and begins the leases of those who came or lost theirs, until it is time to
    /// renew those that stand. Whether there was any.
    async fn turn_over(&mut self) -> Result<bool, QueueError> {
        let left = self.open.extract_if(.., |open| open.member.is_gone()).collect();
        self.unlock(left).await?;
        let mut came = false;
        for member in self.keeper.members() {
            if self.open.iter().any(|open| Arc::ptr_eq(&open.member, &member)) {
                continue;
            }
            // Who ends its lease waits for this, and finds the session that it has to end.
            let mut known = member.known.lock().await;
            if member.is_gone() {
                continue;
            }
            let deadline = self.deadline();
            let session = in_time(deadline, lease::open(self.conn, &member.shared, &mut known)).await?;
            let locked = self.locked(&[session]).await?.contains(&session);
            self.open_up(Arc::clone(&member), session, locked);
            drop(known);
            came = true;
            if self.renewed_at.elapsed() >= self.interval() {
                break;
            }
        }
        Ok(came)
    }

    async fn unlock(&mut self, left: Vec<Open>) -> Result<(), QueueError> {
        for open in left.into_iter().filter(|open| open.locked) {
            in_time(self.deadline(), lease::unlock(self.conn, open.session)).await?;
        }
        Ok(())
    }

    /// A heartbeat with all that belongs to it.
    async fn beat(&mut self) -> Result<(), QueueError> {
        let sessions: Vec<Uuid> = self.open.iter().map(|open| open.session).collect();
        let standing = self.renewed(&sessions).await?;
        // The next turn begins another, unless the worker has just ended it.
        let lost: Vec<Open> = self.open.extract_if(.., |open| !standing.contains(&open.session)).collect();
        for open in &lost {
            lease::lose(&open.member.shared, open.session);
        }
        self.unlock(lost).await?;
        let unlocked = self.open.iter().filter(|open| !open.locked);
        let unlocked: Vec<Uuid> = unlocked.map(|open| open.session).collect();
        if !unlocked.is_empty() {
            // After a broken network the server may hold the old connection's lock for a while.
            let locked = self.locked(&unlocked).await?;
            self.open.iter_mut().for_each(|open| open.locked |= locked.contains(&open.session));
        }
        self.pardon().await?;
        self.look_after(|_| true).await?;
        // After an outage everybody's lock is free for a moment, and everybody was silent.
        let graces = self.open.iter().map(|open| open.member.shared.settings.grace);
        let take = graces.max().is_some_and(|grace| self.since.elapsed() >= grace);
        in_time(self.deadline(), lease::take_back(self.conn, take)).await
    }

    /// The jobs of sessions that were lost while their workers lived have not killed them.
    async fn pardon(&mut self) -> Result<(), QueueError> {
        for open in &self.open {
            let mut known = open.member.known.lock().await;
            match in_time(self.deadline(), lease::pardon(self.conn, &mut known.lost)).await {
                // That must not cost the leases that stand.
                Err(QueueError::Database(error)) if QueueError::is_refusal(&error) => {
                    tracing::warn!(%error, "the jobs of a lost lease stay suspects for now");
                }
                pardoned => pardoned?,
            }
        }
        Ok(())
    }

    async fn look_after(&mut self, which: impl Fn(&Shared) -> bool) -> Result<(), QueueError> {
        let here = self.open.iter().filter(|open| !open.member.is_gone() && which(&open.member.shared));
        let here: Vec<(Uuid, &Shared)> = here.map(|open| (open.session, &*open.member.shared)).collect();
        if here.is_empty() {
            return Ok(());
        }
        in_time(self.deadline(), lease::look_after(self.conn, &here)).await
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
