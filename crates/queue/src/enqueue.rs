//! Enqueueing, inside whatever transaction the caller is in.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::job::readable;
use crate::{Enqueued, NewJob, QueueError};

#[derive(diesel::QueryableByName)]
pub(crate) struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
}

/// Writes the jobs on the caller's connection, in the caller's transaction if there is one: they exist when it
/// commits, and never if it does not. A key that is taken is no error and aborts nothing. Answers in the jobs' order.
/// A payload that could not be read back is refused, and nothing is written.
pub async fn enqueue(conn: &mut AsyncPgConnection, jobs: &[NewJob]) -> Result<Vec<Enqueued>, QueueError> {
    for job in jobs {
        readable(&job.args)?;
    }
    Ok(insert(conn, jobs).await?)
}

pub(crate) async fn insert(
    conn: &mut AsyncPgConnection,
    jobs: &[NewJob],
) -> diesel::QueryResult<Vec<Enqueued>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let columns = Columns::of(jobs);
    let written: Vec<IdRow> = diesel::sql_query(include_str!("sql/enqueue.sql"))
        .bind::<Array<SqlUuid>, _>(columns.ids)
        .bind::<Array<Text>, _>(columns.queues)
        .bind::<Array<Nullable<SqlUuid>>, _>(columns.tenants)
        .bind::<Array<Jsonb>, _>(columns.args)
        .bind::<Array<Jsonb>, _>(columns.metadata)
        .bind::<Array<Integer>, _>(columns.max_attempts)
        .bind::<Array<Nullable<Timestamptz>>, _>(columns.run_ats)
        .bind::<Array<BigInt>, _>(columns.delays)
        .bind::<Array<Integer>, _>(columns.priorities)
        .bind::<Array<Nullable<Text>>, _>(columns.keys)
        .bind::<Array<Nullable<Timestamptz>>, _>(columns.expiries)
        .bind::<Array<Nullable<Text>>, _>(columns.traces)
        .bind::<Array<Nullable<SqlUuid>>, _>(columns.parents)
        .bind::<Array<Nullable<SqlUuid>>, _>(columns.runs)
        .load(conn)
        .await?;
    let written: HashSet<Uuid> = written.into_iter().map(|row| row.id).collect();
    let answer = |job: &NewJob| {
        if written.contains(&job.id) { Enqueued::New(job.id) } else { Enqueued::AlreadyThere }
    };
    Ok(jobs.iter().map(answer).collect())
}

#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    queues: Vec<&'a str>,
    tenants: Vec<Option<Uuid>>,
    args: Vec<&'a Value>,
    metadata: Vec<&'a Value>,
    max_attempts: Vec<i32>,
    run_ats: Vec<Option<DateTime<Utc>>>,
    delays: Vec<i64>,
    priorities: Vec<i32>,
    keys: Vec<Option<&'a str>>,
    expiries: Vec<Option<DateTime<Utc>>>,
    traces: Vec<Option<&'a str>>,
    parents: Vec<Option<Uuid>>,
    runs: Vec<Option<Uuid>>,
}

impl<'a> Columns<'a> {
    fn of(jobs: &'a [NewJob]) -> Self {
        let mut columns = Self::default();
        for job in jobs {
            columns.ids.push(job.id);
            columns.queues.push(&job.queue);
            columns.tenants.push(job.tenant);
            columns.args.push(&job.args);
            columns.metadata.push(&job.metadata);
            columns.max_attempts.push(i32::try_from(job.max_attempts).unwrap_or(i32::MAX));
            columns.run_ats.push(job.run_at);
            columns.delays.push(millis(job.delay));
            columns.priorities.push(job.priority);
            columns.keys.push(job.key.as_deref());
            columns.expiries.push(job.expires_at);
            columns.traces.push(job.trace.as_deref());
            columns.parents.push(job.parent);
            columns.runs.push(job.run);
        }
        columns
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
