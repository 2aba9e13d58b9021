//! Dead letters as whoever runs the service is told of them: by day, queue and class.

use std::time::Duration;

use chrono::NaiveDate;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::enqueue::millis;
use crate::{ErrorClass, QueueError};

/// The dead letters of a queue and class that died on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadOfDay {
    /// The day, by UTC and the database's clock.
    pub day: NaiveDate,
    /// Their queue.
    pub queue: String,
    /// Whose fault it was.
    pub class: Option<ErrorClass>,
    /// The codes that they died with, each once.
    pub codes: Vec<String>,
    /// How many they are.
    pub jobs: i64,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = Nullable<Text>)]
    error_class: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    codes: Vec<String>,
    #[diesel(sql_type = BigInt)]
    jobs: i64,
}

/// What has been dead for longer than `longer_than` and not for longer than `at_most`, the oldest day first. What was
/// redriven or discarded meanwhile is none any more.
pub async fn dead_by_day(
    conn: &mut AsyncPgConnection,
    longer_than: Duration,
    at_most: Duration,
) -> Result<Vec<DeadOfDay>, QueueError> {
    let sql = "SELECT (done_at AT TIME ZONE 'UTC')::date AS day, queue, error_class, \
        coalesce(array_agg(DISTINCT error_code) FILTER (WHERE error_code IS NOT NULL), '{}') AS codes, \
        count(*) AS jobs FROM queue.job WHERE status = 'dead' \
          AND done_at < clock_timestamp() - $1 * interval '1 millisecond' \
          AND done_at >= clock_timestamp() - $2 * interval '1 millisecond' \
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let rows: Vec<Row> = diesel::sql_query(sql)
        .bind::<BigInt, _>(millis(longer_than))
        .bind::<BigInt, _>(millis(at_most))
        .load(conn)
        .await?;
    let told = |row: Row| {
        let class = row.error_class.as_deref().and_then(ErrorClass::parse);
        DeadOfDay { day: row.day, queue: row.queue, class, codes: row.codes, jobs: row.jobs }
    };
    Ok(rows.into_iter().map(told).collect())
}
