//! People who belong to no tenant any more: since when, and their end.
//!
//! A tenant's end takes its people along in the database itself, see `erase_tenant_rows`; this is for those whose tenant
//! goes on without them.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::db::from_bigint;
use crate::{StoreError, SystemConn};

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

impl SystemConn {
    /// Notes of some people who belong to no tenant that it is so since now, if it was not noted before; says of how many.
    pub async fn note_memberless(&mut self, at: DateTime<Utc>, most: u32) -> Result<u64, StoreError> {
        // Of somebody who joins while it is noted, the note may be wrong: it goes before the next night's.
        let belong = "UPDATE user_account u SET memberless_since = NULL WHERE u.memberless_since IS NOT NULL \
                      AND EXISTS (SELECT FROM member m WHERE m.user_id = u.id)";
        diesel::sql_query(belong).execute(&mut self.conn).await?;
        let noted = diesel::sql_query(
            "UPDATE user_account SET memberless_since = $1 WHERE id IN (SELECT u.id FROM user_account u \
             WHERE u.memberless_since IS NULL AND NOT EXISTS (SELECT FROM member m WHERE m.user_id = u.id) LIMIT $2)",
        )
        .bind::<Timestamptz, _>(at)
        .bind::<BigInt, _>(i64::from(most))
        .execute(&mut self.conn)
        .await?;
        Ok(u64::try_from(noted).unwrap_or(u64::MAX))
    }

    /// Erases some people who have belonged to no tenant since this moment, and what hangs on them; says how many. Those
    /// for whom `kept_by` vouches are that one's to keep. Whoever joins at that moment stays.
    pub async fn forget_memberless(
        &mut self,
        before: DateTime<Utc>,
        kept_by: Option<&str>,
        most: u32,
    ) -> Result<u64, StoreError> {
        let forgotten: Counted = diesel::sql_query("SELECT forget_memberless($1, $2, $3) AS rows")
            .bind::<Timestamptz, _>(before)
            .bind::<Nullable<Text>, _>(kept_by)
            .bind::<Integer, _>(i32::try_from(most).unwrap_or(i32::MAX))
            .get_result(&mut self.conn)
            .await?;
        Ok(from_bigint(forgotten.rows))
    }
}
