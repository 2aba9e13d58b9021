//! What is said to the database of a worker's lease: a session, its lock, and the jobs that are claimed under it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Interval, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::driver::Shared;
use crate::QueueError;
use crate::job::new_id;
use crate::lease::Stop;

/// What a worker knows of its sessions.
#[derive(Default)]
pub(super) struct Known {
    /// The one that it has; or may have, where an answer was lost.
    pub(super) session: Option<Uuid>,
    /// That session was there once.
    begun: bool,
    /// Those that it lost while it lived, and whose jobs others may yet take for the end of it.
    pub(super) lost: Vec<Uuid>,
}

/// The session that stands, or another.
pub(super) async fn open(
    conn: &mut AsyncPgConnection,
    shared: &Shared,
    known: &mut Known,
) -> Result<Uuid, QueueError> {
    if let Some(id) = known.session {
        if beat(conn, &[id]).await?.contains(&id) {
            known.begun = true;
            return Ok(id);
        }
        if std::mem::take(&mut known.begun) {
            tracing::warn!(queue = %shared.name, worker = %shared.worker, "the lease was lost");
        }
        lose(shared, id);
        known.lost.extend(known.session.take());
        pardon(conn, &mut known.lost).await?;
    }
    // Remembered before it is asked for: where the answer is lost, it may stand all the same.
    let id = *known.session.insert(new_id());
    begin(conn, shared, id).await?;
    known.begun = true;
    Ok(id)
}

/// The session does not stand any more: nothing is claimed under it, and who holds a job of it hears so.
pub(super) fn lose(shared: &Shared, session: Uuid) {
    shared.session.send_replace(None);
    shared.registry.lose(session);
}

/// Says of lost sessions that their worker lives: their jobs have not killed it. Forgets those of which nothing is left.
pub(super) async fn pardon(conn: &mut AsyncPgConnection, lost: &mut Vec<Uuid>) -> QueryResult<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let sql = "SELECT o.id FROM unnest($1) AS o (id) WHERE queue.lives(o.id) > 0";
    let left: Vec<Id> = diesel::sql_query(sql).bind::<Array<SqlUuid>, _>(&*lost).load(conn).await?;
    *lost = left.into_iter().map(|left| left.id).collect();
    Ok(())
}

async fn begin(conn: &mut AsyncPgConnection, shared: &Shared, id: Uuid) -> Result<(), QueueError> {
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
    Ok(())
}

/// The random half of the id.
const fn lock_key(id: Uuid) -> i64 {
    id.as_u64_pair().1.cast_signed()
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Takes the locks of sessions where they are free, and says which are ours now.
pub(super) async fn lock(conn: &mut AsyncPgConnection, sessions: &[Uuid]) -> Result<Vec<Uuid>, QueueError> {
    let keys: Vec<i64> = sessions.iter().copied().map(lock_key).collect();
    let sql = "SELECT o.id FROM unnest($1, $2) AS o (id, lock_key) WHERE pg_try_advisory_lock(o.lock_key)";
    let locked: Vec<Id> = diesel::sql_query(sql)
        .bind::<Array<SqlUuid>, _>(sessions)
        .bind::<Array<BigInt>, _>(keys)
        .load(conn)
        .await?;
    Ok(locked.into_iter().map(|locked| locked.id).collect())
}

/// Lets go of a session's lock.
pub(super) async fn unlock(conn: &mut AsyncPgConnection, id: Uuid) -> Result<(), QueueError> {
    let sql = "SELECT pg_advisory_unlock($1)";
    diesel::sql_query(sql).bind::<BigInt, _>(lock_key(id)).execute(conn).await?;
    Ok(())
}

/// Renews sessions, and says which of them stand.
pub(super) async fn beat(conn: &mut AsyncPgConnection, sessions: &[Uuid]) -> Result<Vec<Uuid>, QueueError> {
    let sql = "SELECT id FROM queue.beat($1)";
    let standing: Vec<Id> = diesel::sql_query(sql).bind::<Array<SqlUuid>, _>(sessions).load(conn).await?;
    Ok(standing.into_iter().map(|standing| standing.id).collect())
}

#[derive(diesel::QueryableByName)]
struct Ours {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    session: Uuid,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    cancel_requested: bool,
}

/// Tells cancelled jobs of these sessions so, and gives back what is claimed under one and in nobody's hands: the answer
/// to its claim was lost with a connection.
pub(super) async fn look_after(
    conn: &mut AsyncPgConnection,
    sessions: &[(Uuid, &Shared)],
) -> Result<(), QueueError> {
    let sql = "SELECT id, session, epoch, cancel_requested FROM queue.job \
        WHERE session = ANY ($1) AND status = 'running'";
    let ids: Vec<Uuid> = sessions.iter().map(|(id, _)| *id).collect();
    let ours: Vec<Ours> = diesel::sql_query(sql).bind::<Array<SqlUuid>, _>(ids).load(conn).await?;
    // Asked after the rows were read: a claim that is not on its way now had all its jobs registered before.
    let claiming = |shared: &Shared| AtomicBool::load(&shared.claiming, Ordering::SeqCst);
    let sessions: Vec<_> = sessions.iter().map(|&(id, shared)| (id, shared, claiming(shared))).collect();
    for job in ours {
        let Some(&(id, shared, claiming)) = sessions.iter().find(|(id, ..)| *id == job.session) else {
            continue;
        };
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
        attempts = greatest(attempts - 1, 0) WHERE id = (SELECT o.id FROM queue.job AS o \
        WHERE o.id = $1 AND o.session = $2 AND o.epoch = $3 AND o.status = 'running' \
        AND o.started_at < clock_timestamp() - interval '1 second' FOR NO KEY UPDATE SKIP LOCKED)";
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

/// Looks after the leases of all, and takes back the jobs of the dead where `take` says so.
pub(super) async fn take_back(conn: &mut AsyncPgConnection, take: bool) -> Result<(), QueueError> {
    let taken: Vec<Taken> =
        diesel::sql_query("SELECT * FROM queue.take_back($1)").bind::<Bool, _>(take).load(conn).await?;
    for taken in taken {
        tracing::warn!(worker = %taken.worker, jobs = taken.jobs, "took a dead worker's jobs back");
    }
    Ok(())
}

/// Ends the lease. Nothing is held under it any more; what a lost acknowledgement left goes back at once.
pub(super) async fn end(shared: &Shared, known: Known) {
    let Known { session, mut lost, .. } = known;
    if session.is_none() && lost.is_empty() {
        return;
    }
    let ending = async {
        let conn = shared.queue.work().await?;
        conn.within(shared.settings.patience(), async |conn| {
            let sql = "SELECT queue.end_session($1)";
            diesel::sql_query(sql).bind::<Nullable<SqlUuid>, _>(session).execute(conn).await?;
            // It may have been taken back already, unnoticed.
            lost.extend(session);
            pardon(conn, &mut lost).await
        })
        .await
    };
    if let Err(error) = ending.await {
        tracing::info!(queue = %shared.name, %error, "the lease was left for others to clear");
    }
}
