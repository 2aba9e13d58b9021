//! How long rows are kept, and removing what is past that, some thousands at a time.
//!
//! The table `retention` says how long; this file says how. A table with an end and no way to purge it is named by
//! [`SystemConn::purge`], so that it cannot be forgotten in silence.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::{StoreError, SystemConn};

/// How long a table's rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The table.
    pub table: String,
    /// Days behind the moment from which a row is of no more use.
    pub keep_days: u32,
}

/// How long a table's rows are kept and why, those that stay as long as the account included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// The table.
    pub table: String,
    /// Days behind the moment from which a row is of no more use; `None` for as long as the account.
    pub keep_days: Option<u32>,
    /// Why.
    pub reason: String,
}

#[derive(QueryableByName)]
struct RuleRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Nullable<Integer>)]
    keep_days: Option<i32>,
    #[diesel(sql_type = Text)]
    reason: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Integer)]
    keep_days: i32,
}

#[derive(QueryableByName)]
struct Pruned {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Per table the rows past a moment ($1), at most so many ($2).
const PURGES: [(&str, &str); 9] = [
    (
        "bill_upload",
        "DELETE FROM bill_upload WHERE (tenant_id, id) IN \
         (SELECT tenant_id, id FROM bill_upload WHERE finished_at < $1 LIMIT $2)",
    ),
    (
        "export",
        // A file outlives no row: what is done has been expired before.
        "DELETE FROM export WHERE (tenant_id, id) IN \
         (SELECT tenant_id, id FROM export WHERE finished_at < $1 AND state <> 'done' LIMIT $2)",
    ),
    (
        "status_minute",
        "DELETE FROM status_minute WHERE (component, minute) IN \
         (SELECT component, minute FROM status_minute WHERE minute < $1 LIMIT $2)",
    ),
    (
        "sign_in_link",
        "DELETE FROM sign_in_link WHERE (tenant_id, hash) IN \
         (SELECT tenant_id, hash FROM sign_in_link WHERE expires_at < $1 LIMIT $2)",
    ),
    (
        "session",
        "DELETE FROM session WHERE (tenant_id, id) IN \
         (SELECT tenant_id, id FROM session WHERE expires_at < $1 LIMIT $2)",
    ),
    (
        "idempotency_key",
        "DELETE FROM idempotency_key WHERE (tenant_id, operation, key) IN \
         (SELECT tenant_id, operation, key FROM idempotency_key WHERE created_at < $1 LIMIT $2)",
    ),
    (
        "message",
        "DELETE FROM message WHERE (tenant_id, id) IN \
         (SELECT tenant_id, id FROM message WHERE created_at < $1 LIMIT $2)",
    ),
    (
        "invitation",
        "DELETE FROM invitation WHERE (tenant_id, id) IN \
         (SELECT tenant_id, id FROM invitation WHERE expires_at < $1 LIMIT $2)",
    ),
    (
        "event",
        "DELETE FROM event WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM event WHERE at < $1 LIMIT $2)",
    ),
];

impl SystemConn {
    /// The tables whose rows are not kept for ever, by name.
    pub async fn retention(&mut self) -> Result<Vec<Retention>, StoreError> {
        let sql =
            "SELECT table_name, keep_days FROM retention WHERE keep_days IS NOT NULL ORDER BY table_name";
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut self.conn).await?;
        let rule = |row: Row| Retention {
            table: row.table_name,
            keep_days: u32::try_from(row.keep_days).unwrap_or(u32::MAX),
        };
        Ok(rows.into_iter().map(rule).collect())
    }

    /// Every rule, by table.
    pub async fn retention_of_all(&mut self) -> Result<Vec<RetentionRule>, StoreError> {
        let sql = "SELECT table_name, keep_days, reason FROM retention ORDER BY table_name";
        let rows: Vec<RuleRow> = diesel::sql_query(sql).load(&mut self.conn).await?;
        let rule = |row: RuleRow| RetentionRule {
            table: row.table_name,
            keep_days: row.keep_days.map(|days| u32::try_from(days).unwrap_or(u32::MAX)),
            reason: row.reason,
        };
        Ok(rows.into_iter().map(rule).collect())
    }

    /// Removes rows that were past use before this moment, at most so many; says how many. `None` for a table that
    /// nobody has taught this to purge.
    pub async fn purge(
        &mut self,
        table: &str,
        before: DateTime<Utc>,
        most: u32,
    ) -> Result<Option<usize>, StoreError> {
        if table == "audit_event" {
            return Ok(Some(self.prune_audit(before, most).await?));
        }
        let Some((_, sql)) = PURGES.iter().find(|(name, _)| *name == table) else { return Ok(None) };
        let purge = diesel::sql_query(*sql).bind::<Timestamptz, _>(before).bind::<BigInt, _>(i64::from(most));
        Ok(Some(purge.execute(&mut self.conn).await?))
    }

    /// Chains lose their oldest events from the beginning on, and their heads say where that ended. The database
    /// refuses it for what is not 90 days old.
    async fn prune_audit(&mut self, before: DateTime<Utc>, most: u32) -> Result<usize, StoreError> {
        let pruned: Pruned = diesel::sql_query("SELECT prune_audit($1, $2) AS rows")
            .bind::<Timestamptz, _>(before)
            .bind::<BigInt, _>(i64::from(most))
            .get_result(&mut self.conn)
            .await?;
        Ok(usize::try_from(pruned.rows).unwrap_or_default())
    }
}
