//! The task that claims: only when the worker has room, woken by a notification, by the next due time, or by the poll.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tokio::time::Instant;
use uuid::Uuid;

use super::ack::Acks;
use super::driver::Shared;
use crate::lease::{Claimed, Held};
use crate::outcome::Outcome;
use crate::{Conn, QueueError};

/// A batch that is taken up within this time was not too large.
const SOON: Duration = Duration::from_millis(50);

/// What is not taken up within this time goes back: the worker is busy with longer jobs.
const STALE: Duration = Duration::from_secs(1);

/// How long to wait where jobs are due but a cap, or another claimer, keeps them.
const HELD_BACK: Duration = Duration::from_millis(200);

/// How many jobs to ask for: one at first, twice as many each time the whole batch was taken up at once.
struct Appetite {
    most: u32,
    eager: bool,
    now: u32,
    delivered: Option<(Instant, usize)>,
}

impl Appetite {
    fn ask(&mut self) -> u32 {
        let quick = self.delivered.is_some_and(|(at, jobs)| {
            at.elapsed() < SOON && jobs >= usize::try_from(self.now).unwrap_or(usize::MAX)
        });
        self.now = if self.eager {
            self.most
        } else if quick {
            self.now.saturating_mul(2).min(self.most)
        } else {
            1
        };
        self.now.max(1)
    }
}

pub(super) async fn run(shared: Arc<Shared>, acks: Acks) {
    let mut draining = shared.draining.subscribe();
    let mut appetite = Appetite {
        most: shared.settings.batch.max(1),
        eager: shared.settings.eager,
        now: 1,
        delivered: None,
    };
    loop {
        let stale = async {
            match appetite.delivered {
                Some((at, _)) if !appetite.eager && !shared.buffer.is_empty() => {
                    tokio::time::sleep_until(at + STALE).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.demand.notified() => {}
            () = stale => {
                for held in shared.buffer.empty() {
                    // Nobody waits for the answer: the row is written all the same.
                    drop(acks.post(held, Outcome::Release));
                }
                continue;
            }
            _ = draining.wait_for(|draining| *draining) => return,
        }
        // The worker asks more often than it means it: each time that anything wakes it.
        if !shared.buffer.is_wanting() {
            continue;
        }
        let asked = appetite.ask();
        // Never dropped while it runs: what a claim has taken is handed on.
        let Some(jobs) = claim_at_last(&shared, asked).await else { return };
        appetite.delivered = Some((Instant::now(), jobs.len()));
        shared.buffer.put(jobs);
    }
}

/// At least one job, or `None` when the worker drains.
async fn claim_at_last(shared: &Shared, asked: u32) -> Option<Vec<Arc<Held>>> {
    let mut draining = shared.draining.subscribe();
    let mut session = shared.session.subscribe();
    let mut trouble = Duration::from_millis(50);
    loop {
        let held = tokio::select! {
            held = session.wait_for(Option::is_some) => *held.ok()?,
            _ = draining.wait_for(|draining| *draining) => return None,
        };
        let Some(id) = held else { continue };
        // Nothing is claimed while a suspect is to be alone: others may have a worker for it.
        let pass = tokio::select! {
            pass = shared.queue.quarantine().beside() => pass,
            _ = draining.wait_for(|draining| *draining) => return None,
        };
        let conn = connection(shared).await?;
        let claimed = match conn {
            Ok(conn) => claim(shared, conn, id, asked).await,
            Err(error) => Err(error),
        };
        drop(pass);
        let pause = match claimed {
            Ok(jobs) if !jobs.is_empty() => return Some(jobs),
            Ok(_) => {
                let conn = connection(shared).await?;
                let due = match conn {
                    Ok(conn) => next_due(shared, conn).await,
                    Err(error) => Err(error),
                };
                due.map_or(trouble, |due| due.unwrap_or(shared.settings.poll).min(shared.settings.poll))
            }
            Err(error) => {
                tracing::warn!(queue = %shared.name, %error, "could not claim jobs");
                trouble = (trouble * 2).min(Duration::from_secs(1));
                trouble
            }
        };
        tokio::select! {
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
            _ = draining.wait_for(|draining| *draining) => return None,
        }
    }
}

/// A connection to claim on. `None` when the worker drains first: nothing is taken yet.
async fn connection(shared: &Shared) -> Option<Result<Conn, QueueError>> {
    let mut draining = shared.draining.subscribe();
    tokio::select! {
        conn = shared.queue.work() => Some(conn),
        _ = draining.wait_for(|draining| *draining) => None,
    }
}

/// Claims, and puts what it got into the registry. If the answer is lost, the keeper of the leases finds the jobs.
async fn claim(shared: &Shared, conn: Conn, session: Uuid, asked: u32) -> Result<Vec<Arc<Held>>, QueueError> {
    let cap = shared.settings.per_tenant.map_or(i32::MAX, |cap| i32::try_from(cap).unwrap_or(i32::MAX));
    shared.claiming.store(true, Ordering::SeqCst);
    let rows = conn.within(shared.settings.patience(), async |conn| {
        diesel::sql_query("SELECT * FROM queue.claim($1, $2, $3, $4)")
            .bind::<Text, _>(&shared.name)
            .bind::<SqlUuid, _>(session)
            .bind::<Integer, _>(i32::try_from(asked).unwrap_or(i32::MAX))
            .bind::<Integer, _>(cap)
            .load(conn)
            .await
    });
    let held = |row: Claimed| {
        let held = Arc::new(Held::new(row, shared.queue.clone(), Arc::clone(&shared.worker)));
        shared.registry.add(&held);
        held
    };
    let jobs = rows.await.map(|rows| rows.into_iter().map(held).collect());
    shared.claiming.store(false, Ordering::SeqCst);
    jobs
}

#[derive(diesel::QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    in_ms: Option<i64>,
}

/// How long until something is due; `None` where nothing waits.
async fn next_due(shared: &Shared, conn: Conn) -> Result<Option<Duration>, QueueError> {
    let row: Option<DueRow> = conn
        .within(shared.settings.patience(), async |conn| {
            let sql = "SELECT ceil(extract(epoch FROM min(run_at) - clock_timestamp()) * 1000)::bigint AS in_ms \
                FROM queue.job WHERE queue = $1 AND status = 'pending'";
            diesel::sql_query(sql).bind::<Text, _>(&shared.name).get_result(conn).await.optional()
        })
        .await?;
    Ok(row.and_then(|row| row.in_ms).map(|ms| match u64::try_from(ms) {
        Ok(ms) if ms > 0 => Duration::from_millis(ms + 2),
        // Due already, and yet not to be had.
        _ => HELD_BACK,
    }))
}
