//! An application's clock, held against the database's: the one that all replicas share.
//!
//! What a business rule means by "now" is the application's, so one machine whose clock is days ahead would tick every
//! schedule into the future, after which no other replica ticks at all.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::Timestamptz;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::QueueError;

#[derive(diesel::QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// Fails with [`QueueError::Clock`] where `now` is further than this from the database's clock.
pub async fn check_clock(
    conn: &mut AsyncPgConnection,
    now: DateTime<Utc>,
    most_apart: TimeDelta,
) -> Result<(), QueueError> {
    let there: Now = diesel::sql_query("SELECT clock_timestamp() AS now").get_result(conn).await?;
    let ahead = now - there.now;
    if ahead.abs() <= most_apart { Ok(()) } else { Err(QueueError::Clock { ahead }) }
}
