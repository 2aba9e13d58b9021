//! The task that keeps a worker's lease: an advisory lock on a connection of its own, a heartbeat that does not depend
//! on how busy the worker is, and the ear for notifications. It also looks after the leases of others.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Integer, Interval, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::time::Instant;
use uuid::Uuid;

use super::driver::Shared;
use crate::QueueError;
use crate::job::new_id;
use crate::lease::Stop;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let mut session = None;
    let mut trouble = Duration::from_millis(50);
    loop {
        let kept = tokio::select! {
            kept = keep(&shared, &mut session, &mut trouble) => kept,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        shared.session.send_replace(None);
        if let Err(error) = kept {
            tracing::warn!(queue = %shared.name, worker = %shared.worker, %error, "the lease's connection failed");
        }
        tokio::select! {
            () = tokio::time::sleep(trouble) => {}
            _ = closing.wait_for(|closing| *closing) => break,
        }
        trouble = (trouble * 2).min(Duration::from_secs(1));
    }
    shared.session.send_replace(None);
    if let Some(session) = session {
        end(&shared, session).await;
    }
}

/// One connection's life: returns when it fails, or when the lease is gone.
async fn keep(shared: &Shared, session: &mut Option<Uuid>, trouble: &mut Duration) -> Result<(), QueueError> {
    let patience = shared.settings.patience();
    let mut conn = shared.queue.connect().await?;
    let id = in_time(patience, open(&mut conn, shared, session)).await?;
    let mut locked = in_time(patience, lock(&mut conn, id)).await?;
    *trouble = Duration::from_millis(50);
    shared.session.send_replace(Some(id));
    shared.wake.notify_one();
    let since = Instant::now();
    let mut beat_at = since;
    loop {
        match next(&mut conn, beat_at).await? {
            Heard::Added(queue) if queue == shared.name => shared.wake.notify_one(),
            Heard::Cancelled(queue) if queue == shared.name => {
                in_time(patience, look_after(&mut conn, shared, id)).await?;
            }
            Heard::Added(_) | Heard::Cancelled(_) => {}
            Heard::Beat => {
                // Without its lock the worker must be quick to take it, once the connection that holds it is gone.
                let (usual, quick) = (shared.settings.heartbeat, shared.settings.grace / 3);
                beat_at = Instant::now() + if locked { usual } else { usual.min(quick) };
                let take = since.elapsed() >= shared.settings.grace;
                if !in_time(patience, renew(&mut conn, shared, id, &mut locked, take)).await? {
                    return Ok(());
                }
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

/// Listens, and finds the lease standing or begins another.
async fn open(
    conn: &mut AsyncPgConnection,
    shared: &Shared,
    session: &mut Option<Uuid>,
) -> Result<Uuid, QueueError> {
    // Waits for no disk with each heartbeat. What a server that crashes loses of this, it loses together with all that was
    // committed later: a claim under a lease, or of a job that was taken back, makes both last.
    conn.batch_execute("LISTEN queue_wake; LISTEN queue_cancel; SET synchronous_commit = off").await?;
    if let Some(id) = *session {
        if beat(conn, id).await? {
            return Ok(id);
        }
        tracing::warn!(queue = %shared.name, worker = %shared.worker, "the lease was lost");
        shared.registry.lose(id);
        // Its jobs have not killed it.
        let sql = "SELECT queue.lives($1)";
        diesel::sql_query(sql).bind::<SqlUuid, _>(id).execute(conn).await?;
    }
    let id = begin(conn, shared).await?;
    *session = Some(id);
    Ok(id)
}

enum Heard {
    Added(String),
    Cancelled(String),
    Beat,
}

async fn next(conn: &mut AsyncPgConnection, beat_at: Instant) -> Result<Heard, QueueError> {
    let mut notifications = std::pin::pin!(conn.notifications_stream());
    tokio::select! {
        () = tokio::time::sleep_until(beat_at) => Ok(Heard::Beat),
        heard = notifications.next() => match heard {
            Some(Ok(heard)) if heard.channel == "queue_cancel" => Ok(Heard::Cancelled(heard.payload)),
            Some(Ok(heard)) => Ok(Heard::Added(heard.payload)),
            Some(Err(error)) => Err(error.into()),
            None => Err(QueueError::Unreachable("the connection was closed".into())),
        },
    }
}

/// A heartbeat with all that belongs to it. Whether the lease still stands.
async fn renew(
    conn: &mut AsyncPgConnection,
    shared: &Shared,
    id: Uuid,
    locked: &mut bool,
    take: bool,
) -> Result<bool, QueueError> {
    if !beat(conn, id).await? {
        return Ok(false);
    }
    if !*locked {
        // After a broken network the server may hold the old connection's lock for a while.
        *locked = lock(conn, id).await?;
    }
    look_after(conn, shared, id).await?;
    take_back(conn, take).await?;
    Ok(true)
}

async fn begin(conn: &mut AsyncPgConnection, shared: &Shared) -> Result<Uuid, QueueError> {
    let id = new_id();
    let interval = |duration: Duration| {
        diesel::data_types::PgInterval::from_microseconds(
            i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
        )
    };
    diesel::sql_query(
        "INSERT INTO queue.session (id, queue, worker, lock_key, grace, silence, max_crashes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(&shared.name)
    .bind::<Text, _>(&*shared.worker)
    .bind::<BigInt, _>(lock_key(id))
    .bind::<Interval, _>(interval(shared.settings.grace))
    .bind::<Interval, _>(interval(shared.settings.silence))
    .bind::<Integer, _>(i32::try_from(shared.settings.max_crashes.max(1)).unwrap_or(i32::MAX))
    .execute(conn)
    .await?;
    Ok(id)
}

/// The random half of the id.
const fn lock_key(id: Uuid) -> i64 {
    id.as_u64_pair().1.cast_signed()
}

#[derive(diesel::QueryableByName)]
struct Locked {
    #[diesel(sql_type = Bool)]
    locked: bool,
}

async fn lock(conn: &mut AsyncPgConnection, id: Uuid) -> Result<bool, QueueError> {
    let row: Locked = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS locked")
        .bind::<BigInt, _>(lock_key(id))
        .get_result(conn)
        .await?;
    Ok(row.locked)
}

async fn beat(conn: &mut AsyncPgConnection, id: Uuid) -> Result<bool, QueueError> {
    let sql = "UPDATE queue.session SET last_seen = clock_timestamp(), suspect_since = NULL \
        WHERE id = $1 AND NOT given_up";
    Ok(diesel::sql_query(sql).bind::<SqlUuid, _>(id).execute(conn).await? > 0)
}

#[derive(diesel::QueryableByName)]
struct Ours {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    cancel_requested: bool,
}

/// Tells cancelled jobs so, and gives back what is claimed under this lease and in nobody's hands: the answer to its
/// claim was lost with a connection.
async fn look_after(conn: &mut AsyncPgConnection, shared: &Shared, id: Uuid) -> Result<(), QueueError> {
    let sql = "SELECT id, epoch, cancel_requested FROM queue.job WHERE session = $1 AND status = 'running'";
    let ours: Vec<Ours> = diesel::sql_query(sql).bind::<SqlUuid, _>(id).load(conn).await?;
    // Asked after the rows were read: a claim that is not on its way now had all its jobs registered before.
    let claiming = AtomicBool::load(&shared.claiming, Ordering::SeqCst);
    for job in ours {
        if shared.registry.has(job.id, job.epoch) {
            if job.cancel_requested {
                shared.registry.tell(job.id, Stop::Cancelled);
            }
        } else if !claiming {
            give_back_stray(conn, shared, id, &job).await?;
        }
    }
    Ok(())
}

async fn give_back_stray(
    conn: &mut AsyncPgConnection,
    shared: &Shared,
    session: Uuid,
    job: &Ours,
) -> Result<(), QueueError> {
    // Younger ones may be on their way from the claim to the registry, or settled a moment ago.
    let sql = "UPDATE queue.job SET status = 'pending', session = NULL, epoch = epoch + 1, \
        attempts = greatest(attempts - 1, 0) WHERE id = $1 AND session = $2 AND epoch = $3 \
        AND status = 'running' AND started_at < clock_timestamp() - interval '1 second'";
    let given = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(job.id)
        .bind::<SqlUuid, _>(session)
        .bind::<BigInt, _>(job.epoch)
        .execute(conn)
        .await?;
    if given > 0 {
        tracing::warn!(job.id = %job.id, queue = %shared.name, "gave back a job whose claim was never answered");
        shared.wake.notify_one();
    }
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = Text)]
    worker: String,
    #[diesel(sql_type = BigInt)]
    jobs: i64,
}

/// Looks after the leases of all. Takes nothing back (`take`) before this connection has stood for a grace: after an
/// outage everybody's lock is free for a moment, and everybody was silent.
async fn take_back(conn: &mut AsyncPgConnection, take: bool) -> Result<(), QueueError> {
    let taken: Vec<Taken> =
        diesel::sql_query("SELECT * FROM queue.take_back($1)").bind::<Bool, _>(take).load(conn).await?;
    for taken in taken {
        tracing::warn!(worker = %taken.worker, jobs = taken.jobs, "took a dead worker's jobs back");
    }
    Ok(())
}

/// Ends the lease. Nothing is held under it any more; what a lost acknowledgement left goes back at once.
async fn end(shared: &Shared, session: Uuid) {
    let ending = async {
        let conn = shared.queue.work().await?;
        conn.within(shared.settings.patience(), async |conn| {
            let sql = "SELECT queue.end_session($1)";
            diesel::sql_query(sql).bind::<SqlUuid, _>(session).execute(conn).await
        })
        .await
    };
    if let Err(error) = ending.await {
        tracing::info!(queue = %shared.name, %error, "the lease was left for others to clear");
    }
}
