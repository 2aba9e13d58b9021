//! What a host application does once: migrations, grants, and the check at its start that nothing in the tables is
//! unknown to it.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::QueueError;

/// The schema `queue`. Run them with the owner's role, beside the application's own: diesel keeps all versions in
/// one table, and these begin with `2026-11-25-09`.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// SQL that lets `workers` claim, settle and operate, and `enqueuers` do no more than write new jobs, start runs and
/// send signals. Run it after each migration; it may be run again.
#[must_use]
pub fn grants(workers: &[&str], enqueuers: &[&str]) -> String {
    let quoted = |role: &str| format!("\"{}\"", role.replace('"', "\"\""));
    let mut sql = String::new();
    for role in workers {
        let role = quoted(role);
        let _infallible = write!(
            sql,
            "GRANT USAGE ON SCHEMA queue TO {role};\n\
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO {role};\n\
             GRANT EXECUTE ON FUNCTION queue.send_signal TO {role};\n"
        );
    }
    for role in enqueuers {
        let role = quoted(role);
        // An insert with ON CONFLICT and RETURNING reads the columns that it names, and no others.
        let _infallible = write!(
            sql,
            "GRANT USAGE ON SCHEMA queue TO {role};\n\
             GRANT INSERT (id, queue, tenant, args, metadata, max_attempts, run_at, priority, key, expires_at, \
             trace, parent, run) ON queue.job TO {role};\n\
             GRANT INSERT (id, flow, version, tenant, key, input, deadline_at) ON queue.run TO {role};\n\
             GRANT SELECT (id, queue, key) ON queue.job TO {role};\n\
             GRANT SELECT (id, flow, key) ON queue.run TO {role};\n\
             GRANT EXECUTE ON FUNCTION queue.send_signal TO {role};\n"
        );
    }
    sql
}

/// Work in the tables that this build has no worker for.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct UnknownWork {
    /// The queue, which for a run is `<flow>.v<version>`.
    #[diesel(sql_type = Text)]
    pub queue: String,
    /// How many unfinished rows it has.
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
    /// When the oldest of them was enqueued.
    #[diesel(sql_type = Timestamptz)]
    pub oldest: DateTime<Utc>,
}

/// The queues with unfinished jobs (a run is one) that are not among `registered`. An application that starts with any
/// is about to leave work lying: it should say so, and [bury](crate::ops::bury_unknown) it in time. Schedules are not
/// work yet: an application takes those that it does not know away with [`crate::schedule::keep_only`].
pub async fn unknown_work(
    conn: &mut AsyncPgConnection,
    registered: &[&str],
) -> Result<Vec<UnknownWork>, QueueError> {
    let sql = "SELECT queue, count(*) AS rows, min(created_at) AS oldest FROM queue.job \
               WHERE status IN ('pending', 'running') AND queue <> ALL ($1) GROUP BY queue ORDER BY queue";
    Ok(diesel::sql_query(sql).bind::<Array<Text>, _>(registered).load(conn).await?)
}
