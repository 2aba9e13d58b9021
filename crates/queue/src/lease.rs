//! A claimed job as its worker holds it: the row, the fence, what the handler has pushed, and how it is told to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{NewJob, Queue};

tokio::task_local! {
    /// The job whose handler runs in this task. Whatever it pushes is collected here.
    pub(crate) static CURRENT: Arc<Held>;
    /// What the step of a run that runs in this task has pushed.
    static STEP: Arc<Mutex<Vec<NewJob>>>;
}

/// JSON as it was claimed. One that cannot be read must not take those beside it with it.
#[derive(Clone, Debug, FromSqlRow)]
pub(crate) struct Payload(pub(crate) Result<Value, String>);

impl FromSql<Jsonb, Pg> for Payload {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(<Value as FromSql<Jsonb, Pg>>::from_sql(bytes).map_err(|error| error.to_string())))
    }
}

/// The columns of a claimed row that its worker needs.
#[derive(Clone, Debug, diesel::QueryableByName)]
pub(crate) struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
    #[diesel(sql_type = Text)]
    pub(crate) queue: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub(crate) tenant: Option<Uuid>,
    #[diesel(sql_type = Jsonb)]
    pub(crate) args: Payload,
    #[diesel(sql_type = Jsonb)]
    pub(crate) metadata: Payload,
    #[diesel(sql_type = Integer)]
    pub(crate) attempts: i32,
    #[diesel(sql_type = Integer)]
    pub(crate) crashes: i32,
    #[diesel(sql_type = Integer)]
    pub(crate) max_attempts: i32,
    #[diesel(sql_type = Integer)]
    pub(crate) priority: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) key: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) started_at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    pub(crate) session: Uuid,
    #[diesel(sql_type = BigInt)]
    pub(crate) epoch: i64,
    #[diesel(sql_type = Integer)]
    pub(crate) signals: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) trace: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub(crate) parent: Option<Uuid>,
}

/// Why a handler should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Not,
    /// Somebody asked for it.
    Cancelled,
    /// The job is another worker's by now.
    Lost,
}

#[derive(Default)]
struct Progress {
    latest: Option<Value>,
    written_at: Option<Instant>,
}

/// A claimed job and what belongs to this one claim of it.
pub(crate) struct Held {
    pub(crate) row: Claimed,
    pub(crate) queue: Queue,
    pub(crate) worker: Arc<str>,
    pushes: Mutex<Vec<NewJob>>,
    progress: Mutex<Progress>,
    stop: watch::Sender<Stop>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    pub(crate) fn new(row: Claimed, queue: Queue, worker: Arc<str>) -> Self {
        let (stop, _) = watch::channel(Stop::Not);
        Self { row, queue, worker, pushes: Mutex::default(), progress: Mutex::default(), stop }
    }

    /// Keeps a push until the job's outcome is written, or the step of a run that it is pushed in. It inherits whom and
    /// what the job is for.
    pub(crate) fn collect(&self, mut job: NewJob) {
        job.tenant = job.tenant.or(self.row.tenant);
        job.trace = job.trace.or_else(|| self.row.trace.clone());
        job.parent = Some(self.row.id);
        let step = STEP.try_with(Arc::clone).ok();
        lock(step.as_deref().unwrap_or(&self.pushes)).push(job);
    }

    /// Does a step's work, and says what it pushed.
    pub(crate) async fn in_step<T>(work: impl Future<Output = T>) -> (T, Vec<NewJob>) {
        let pushes = Arc::<Mutex<Vec<NewJob>>>::default();
        let done = STEP.scope(Arc::clone(&pushes), work).await;
        let pushed = std::mem::take(&mut *lock(&pushes));
        (done, pushed)
    }

    /// What was pushed so far. It stays here: whether an outcome was committed is known for sure only later, and an
    /// outcome that finds itself written already does not write its pushes again.
    pub(crate) fn pushes(&self) -> Vec<NewJob> {
        lock(&self.pushes).clone()
    }

    /// Remembers progress, and says whether enough time has passed to write it now.
    pub(crate) fn note_progress(&self, value: Value, every: std::time::Duration) -> bool {
        let mut progress = lock(&self.progress);
        progress.latest = Some(value);
        let due = progress.written_at.is_none_or(|at| at.elapsed() >= every);
        if due {
            progress.written_at = Some(Instant::now());
        }
        due
    }

    pub(crate) fn progress(&self) -> Option<Value> {
        lock(&self.progress).latest.clone()
    }

    pub(crate) fn tell(&self, stop: Stop) {
        self.stop.send_if_modified(|now| {
            // Lost is final: nothing that follows makes the job ours again.
            let changed = *now != stop && *now != Stop::Lost;
            if changed {
                *now = stop;
            }
            changed
        });
    }

    pub(crate) fn told(&self) -> Stop {
        *self.stop.borrow()
    }

    pub(crate) fn listen(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }
}

/// The jobs that a worker holds, so that it can be told about them by id.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<Uuid, Weak<Held>>>);

impl Registry {
    pub(crate) fn add(&self, held: &Arc<Held>) {
        let mut all = lock(&self.0);
        if all.len() >= 512 && all.len().is_power_of_two() {
            all.retain(|_, held| held.strong_count() > 0);
        }
        all.insert(held.row.id, Arc::downgrade(held));
    }

    pub(crate) fn remove(&self, held: &Held) {
        let mut all = lock(&self.0);
        // The same job may have been lost and claimed again meanwhile.
        let this = |other: &Weak<Held>| std::ptr::eq(other.as_ptr(), held);
        if all.get(&held.row.id).is_some_and(this) {
            all.remove(&held.row.id);
        }
    }

    /// Whether this very claim is in somebody's hands here.
    pub(crate) fn has(&self, job: Uuid, epoch: i64) -> bool {
        let held = lock(&self.0).get(&job).and_then(Weak::upgrade);
        held.is_some_and(|held| held.row.epoch == epoch)
    }

    pub(crate) fn tell(&self, job: Uuid, stop: Stop) {
        let held = lock(&self.0).get(&job).and_then(Weak::upgrade);
        if let Some(held) = held {
            held.tell(stop);
        }
    }

    /// Tells every job of a session that it is lost.
    pub(crate) fn lose(&self, session: Uuid) {
        for held in lock(&self.0).values().filter_map(Weak::upgrade) {
            if held.row.session == session {
                held.tell(Stop::Lost);
            }
        }
    }
}
