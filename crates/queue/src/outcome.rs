//! Writing outcomes: fenced by session and claim epoch, many at a time, each in one transaction with what its handler
//! pushed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::enqueue::{self, IdRow, millis};
use crate::fault::{Park, Verdict, causes, clean, describe};
use crate::job::readable;
use crate::lease::Held;
use crate::{Backoff, ErrorClass, JobError};

/// What is to be written about a claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Done,
    Retry {
        wait: Wait,
        said: Said,
    },
    Dead(Said),
    Cancelled,
    Park(Park),
    /// Never started: the attempt does not count.
    Release,
    /// The same, but not at once.
    Later(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wait {
    For(Duration),
    Until(DateTime<Utc>),
}

/// A failure as the row tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) error: String,
    pub(crate) class: ErrorClass,
    pub(crate) code: Option<String>,
}

impl Said {
    pub(crate) fn new(class: ErrorClass, code: &str, error: &str) -> Self {
        Self { error: clean(error), class, code: Some(code.to_owned()) }
    }
}

/// Whether an outcome counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Written,
    /// The claim was no longer ours; nothing was written.
    Lost,
    /// The database refuses what is to be written with it, such as a push that no JSON column takes.
    Refused,
}

impl Outcome {
    /// What a handler's failure means for the row.
    pub(crate) fn of_failure(
        held: &Held,
        backoff: &Backoff,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let text = describe(error);
        for cause in causes(error) {
            if let Some(fault) = cause.downcast_ref::<JobError>() {
                return Self::of_fault(held, backoff, fault, text);
            }
            if let Some(apalis) = cause.downcast_ref::<apalis_core::error::RetryAfterError>() {
                let said = Said { error: text, class: ErrorClass::Throttled, code: None };
                return Self::again(held, Wait::For(apalis.get_duration()), said);
            }
            if cause.is::<apalis_core::error::AbortError>() {
                return Self::Dead(Said {
                    error: text,
                    class: ErrorClass::Bug,
                    code: Some("abort".to_owned()),
                });
            }
        }
        Self::failed(held, backoff, Said { error: text, class: ErrorClass::Transient, code: None })
    }

    fn of_fault(held: &Held, backoff: &Backoff, fault: &JobError, error: String) -> Self {
        let said = Said { error, class: fault.class, code: fault.code.clone() };
        match &fault.verdict {
            Verdict::Retry => Self::failed(held, backoff, said),
            Verdict::RetryAfter(wait) => Self::again(held, Wait::For(*wait), said),
            Verdict::RetryAt(at) => Self::again(held, Wait::Until(*at), said),
            Verdict::GiveUp => Self::Dead(said),
            Verdict::Cancel => Self::Cancelled,
            Verdict::Park(park) => Self::Park(park.clone()),
        }
    }

    /// A failed attempt under the queue's backoff, or the last one.
    pub(crate) fn failed(held: &Held, backoff: &Backoff, said: Said) -> Self {
        let attempt = u32::try_from(held.row.attempts).unwrap_or_default();
        Self::again(held, Wait::For(backoff.wait(held.row.id, attempt)), said)
    }

    fn again(held: &Held, wait: Wait, said: Said) -> Self {
        if held.row.attempts >= held.row.max_attempts { Self::Dead(said) } else { Self::Retry { wait, said } }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Dead(_) => "dead",
            Self::Cancelled => "cancelled",
            Self::Park(Park::Until(_)) => "sleep",
            Self::Park(Park::Signal { .. }) => "wait",
            Self::Release => "release",
            Self::Later(_) => "later",
        }
    }

    const fn said(&self) -> Option<&Said> {
        match self {
            Self::Retry { said, .. } | Self::Dead(said) => Some(said),
            _ => None,
        }
    }

    /// Whether what the handler pushed belongs to it. A run that parks is called again from the top and pushes again, so
    /// what it pushed outside of its steps is kept once, when it ends.
    const fn keeps_pushes(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether the row will be claimed again without anybody's doing.
    pub(crate) const fn comes_back(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Park(_) | Self::Release | Self::Later(_))
    }
}

#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    sessions: Vec<Uuid>,
    epochs: Vec<i64>,
    kinds: Vec<&'static str>,
    run_ats: Vec<Option<DateTime<Utc>>>,
    delays: Vec<i64>,
    errors: Vec<Option<&'a str>>,
    classes: Vec<Option<&'static str>>,
    codes: Vec<Option<&'a str>>,
    entries: Vec<Option<Value>>,
    progress: Vec<Option<Value>>,
    waits_for: Vec<Option<&'a str>>,
    signals: Vec<i32>,
}

/// How long a run waits for a signal that sets no limit: a hundred years.
const VERY_LONG: Duration = Duration::from_hours(100 * 365 * 24);

impl<'a> Columns<'a> {
    fn of(batch: &'a [(Arc<Held>, Outcome)]) -> Self {
        let mut columns = Self::default();
        for (held, outcome) in batch {
            let row = &held.row;
            columns.ids.push(row.id);
            columns.sessions.push(row.session);
            columns.epochs.push(row.epoch);
            columns.kinds.push(outcome.kind());
            let (run_at, delay, waits_for) = match outcome {
                Outcome::Retry { wait: Wait::For(wait), .. } | Outcome::Later(wait) => (None, *wait, None),
                Outcome::Retry { wait: Wait::Until(at), .. } | Outcome::Park(Park::Until(at)) => {
                    (Some(*at), Duration::ZERO, None)
                }
                Outcome::Park(Park::Signal { name, until: Some(at) }) => {
                    (Some(*at), Duration::ZERO, Some(name.as_str()))
                }
                Outcome::Park(Park::Signal { name, until: None }) => (None, VERY_LONG, Some(name.as_str())),
                _ => (None, Duration::ZERO, None),
            };
            columns.run_ats.push(run_at);
            columns.delays.push(millis(delay));
            columns.waits_for.push(waits_for);
            let said = outcome.said();
            columns.errors.push(said.map(|said| said.error.as_str()));
            columns.classes.push(said.map(|said| said.class.as_str()));
            columns.codes.push(said.and_then(|said| said.code.as_deref()));
            columns.entries.push(said.map(|said| {
                json!({ "worker": &*held.worker, "class": said.class, "code": said.code, "error": said.error })
            }));
            columns.progress.push(held.progress());
            columns.signals.push(row.signals);
        }
        columns
    }
}

/// Writes a batch in one transaction and says of each whether it counts. An error means that nothing is known.
pub(crate) async fn write(
    conn: &mut AsyncPgConnection,
    batch: &[(Arc<Held>, Outcome)],
) -> QueryResult<Vec<Settled>> {
    conn.transaction(async |tx| write_in(tx, batch).await).await
}

/// The same inside a transaction of the caller's.
pub(crate) async fn write_in(
    tx: &mut AsyncPgConnection,
    batch: &[(Arc<Held>, Outcome)],
) -> QueryResult<Vec<Settled>> {
    let columns = Columns::of(batch);
    let written: Vec<IdRow> = diesel::sql_query(include_str!("sql/settle.sql"))
        .bind::<Array<SqlUuid>, _>(&columns.ids)
        .bind::<Array<SqlUuid>, _>(columns.sessions)
        .bind::<Array<BigInt>, _>(columns.epochs)
        .bind::<Array<Text>, _>(columns.kinds)
        .bind::<Array<Nullable<Timestamptz>>, _>(columns.run_ats)
        .bind::<Array<BigInt>, _>(columns.delays)
        .bind::<Array<Nullable<Text>>, _>(columns.errors)
        .bind::<Array<Nullable<Text>>, _>(columns.classes)
        .bind::<Array<Nullable<Text>>, _>(columns.codes)
        .bind::<Array<Nullable<Jsonb>>, _>(columns.entries)
        .bind::<Array<Nullable<Jsonb>>, _>(columns.progress)
        .bind::<Array<Nullable<Text>>, _>(columns.waits_for)
        .bind::<Array<Integer>, _>(columns.signals)
        .load(tx)
        .await?;
    let written: HashSet<Uuid> = written.into_iter().map(|row| row.id).collect();
    let mine = |held: &Held| written.contains(&held.row.id);
    let mut pushes = Vec::new();
    for (held, outcome) in batch {
        if outcome.keeps_pushes() && mine(held) {
            pushes.extend(held.pushes());
        }
    }
    for job in &pushes {
        readable(&job.args).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    }
    enqueue::insert(tx, &pushes).await?;
    let queues: HashSet<&str> = batch
        .iter()
        .filter(|(held, outcome)| outcome.comes_back() && mine(held))
        .map(|(held, _)| held.row.queue.as_str())
        .collect();
    for queue in queues {
        diesel::sql_query("SELECT pg_notify('queue_wake', $1)").bind::<Text, _>(queue).execute(tx).await?;
    }
    let missing: Vec<&Held> = batch.iter().map(|(held, _)| &**held).filter(|held| !mine(held)).collect();
    let settled_before = if missing.is_empty() { HashSet::new() } else { settled(tx, &missing).await? };
    let judge = |(held, _): &(Arc<Held>, Outcome)| {
        let counts = mine(held) || settled_before.contains(&held.row.id);
        if counts { Settled::Written } else { Settled::Lost }
    };
    Ok(batch.iter().map(judge).collect())
}

#[derive(diesel::QueryableByName)]
struct EpochRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    running: bool,
}

/// Claims of ours that have an outcome already: the handler wrote it itself, or an earlier try did whose answer was
/// lost. Taking a job back counts its epoch up, so a row of our epoch that no longer runs was settled by us.
async fn settled(tx: &mut AsyncPgConnection, missing: &[&Held]) -> QueryResult<HashSet<Uuid>> {
    let ids: Vec<Uuid> = missing.iter().map(|held| held.row.id).collect();
    let rows: Vec<EpochRow> = diesel::sql_query(
        "SELECT id, epoch, status = 'running' AS running FROM queue.job WHERE id = ANY ($1)",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .load(tx)
    .await?;
    let epochs: HashMap<Uuid, i64> =
        rows.into_iter().filter(|row| !row.running).map(|row| (row.id, row.epoch)).collect();
    let ours = |held: &&&Held| epochs.get(&held.row.id) == Some(&held.row.epoch);
    Ok(missing.iter().filter(ours).map(|held| held.row.id).collect())
}
