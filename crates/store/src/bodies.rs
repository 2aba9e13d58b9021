//! Prompts and answers as they are kept: sealed before they come here, in partitions by how long and of which day.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::privacy::BodyClass;
use costlens_domain::request::RequestFact;
use costlens_domain::{ApiKeyId, AuditEventId, RequestId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::db::{from_bigint, named, to_bigint};
use crate::schema::request_body;
use crate::{StoreError, SystemConn, TenantConn, WriterConn};

/// A call's prompt and answer, sealed for their row of `request_body`.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBody {
    /// How long they are kept.
    pub class: BodyClass,
    /// Whose key sealed them.
    pub subject: ApiKeyId,
    /// Which version of it.
    pub key_version: u32,
    /// Whether personal data was taken out before.
    pub redacted: bool,
    /// How many bytes of the request passed.
    pub request_bytes: u64,
    /// How many bytes of the answer passed.
    pub response_bytes: u64,
    /// The request.
    pub sealed_request: Vec<u8>,
    /// The answer.
    pub sealed_response: Vec<u8>,
}

impl fmt::Debug for SealedBody {
    /// Leaves the bytes out, sealed as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedBody")
            .field("class", &self.class)
            .field("request_bytes", &self.request_bytes)
            .field("response_bytes", &self.response_bytes)
            .finish_non_exhaustive()
    }
}

/// What is kept of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// The sealed texts, and whose key opens them.
    pub sealed: SealedBody,
    /// When the call began; its time is counted from here.
    pub started_at: DateTime<Utc>,
}

/// A day of bodies of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDay {
    /// Which class.
    pub class: BodyClass,
    /// Which day.
    pub day: NaiveDate,
}

/// How many bodies, and of which days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyCount {
    /// How many.
    pub bodies: u64,
    /// The first day that has one.
    pub oldest: Option<NaiveDate>,
    /// The last day that has one.
    pub newest: Option<NaiveDate>,
}

impl WriterConn {
    /// Makes a class and day's partition if there is none.
    pub(crate) async fn ensure_body_partition(
        &mut self,
        class: BodyClass,
        day: NaiveDate,
    ) -> Result<(), StoreError> {
        if self.has_seen_bodies(class, day) {
            return Ok(());
        }
        diesel::sql_query("SELECT ensure_body_partition($1, $2)")
            .bind::<Text, _>(class.as_str())
            .bind::<Date, _>(day)
            .execute(&mut self.conn)
            .await?;
        self.saw_bodies(class, day);
        Ok(())
    }
}

/// Stores the bodies of calls. One that is there already stays as it is.
pub(crate) async fn insert_bodies(
    conn: &mut AsyncPgConnection,
    bodies: impl Iterator<Item = (&RequestFact, &SealedBody)>,
) -> Result<(), StoreError> {
    let mut columns = Columns::default();
    for (fact, body) in bodies {
        let Some(day) = fact.id.day() else { continue };
        columns.tenant.push(fact.tenant_id.uuid());
        columns.class.push(body.class.as_str());
        columns.day.push(day);
        columns.id.push(fact.id.uuid());
        columns.subject.push(body.subject.uuid());
        columns.version.push(i32::try_from(body.key_version).map_err(StoreError::bug)?);
        columns.started_at.push(fact.started_at);
        columns.redacted.push(body.redacted);
        columns.request_bytes.push(to_bigint(body.request_bytes));
        columns.response_bytes.push(to_bigint(body.response_bytes));
        columns.request.push(&body.sealed_request);
        columns.response.push(&body.sealed_response);
    }
    if columns.id.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO request_body (tenant_id, class, day, id, subject_id, key_version, started_at, redacted, \
             request_bytes, response_bytes, sealed_request, sealed_response) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::date[], $4::uuid[], $5::uuid[], $6::integer[], \
             $7::timestamptz[], $8::boolean[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[]) \
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(columns.tenant)
    .bind::<Array<Text>, _>(columns.class)
    .bind::<Array<Date>, _>(columns.day)
    .bind::<Array<SqlUuid>, _>(columns.id)
    .bind::<Array<SqlUuid>, _>(columns.subject)
    .bind::<Array<Integer>, _>(columns.version)
    .bind::<Array<Timestamptz>, _>(columns.started_at)
    .bind::<Array<Bool>, _>(columns.redacted)
    .bind::<Array<BigInt>, _>(columns.request_bytes)
    .bind::<Array<BigInt>, _>(columns.response_bytes)
    .bind::<Array<Binary>, _>(columns.request)
    .bind::<Array<Binary>, _>(columns.response)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Columns<'a> {
    tenant: Vec<Uuid>,
    class: Vec<&'static str>,
    day: Vec<NaiveDate>,
    id: Vec<Uuid>,
    subject: Vec<Uuid>,
    version: Vec<i32>,
    started_at: Vec<DateTime<Utc>>,
    redacted: Vec<bool>,
    request_bytes: Vec<i64>,
    response_bytes: Vec<i64>,
    request: Vec<&'a [u8]>,
    response: Vec<&'a [u8]>,
}

impl TenantConn {
    /// What is kept of a call; `None` where nothing is (any more).
    pub async fn request_body(&mut self, id: RequestId) -> Result<Option<StoredBody>, StoreError> {
        let Some(day) = id.day() else { return Ok(None) };
        let row: Option<Row> = request_body::table
            .filter(request_body::tenant_id.eq(self.tenant_id().uuid()))
            .filter(request_body::day.eq(day))
            .filter(request_body::id.eq(id.uuid()))
            .select(Row::as_select())
            .first(self.conn()?)
            .await
            .optional()?;
        row.map(StoredBody::try_from).transpose()
    }

    /// How many bodies of these classes are of a day before this one.
    pub async fn count_bodies_before(
        &mut self,
        classes: &[BodyClass],
        before: NaiveDate,
    ) -> Result<BodyCount, StoreError> {
        let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
        let row: CountRow = diesel::sql_query(
            "SELECT count(*) AS bodies, min(day) AS oldest, max(day) AS newest FROM request_body \
             WHERE tenant_id = $1 AND class = ANY ($2) AND day < $3",
        )
        .bind::<SqlUuid, _>(self.tenant_id().uuid())
        .bind::<Array<Text>, _>(names)
        .bind::<Date, _>(before)
        .get_result(self.conn()?)
        .await?;
        Ok(BodyCount { bodies: from_bigint(row.bodies), oldest: row.oldest, newest: row.newest })
    }

    /// Removes some bodies of these classes of a day before this one; says how many.
    pub async fn delete_bodies_before(
        &mut self,
        classes: &[BodyClass],
        before: NaiveDate,
        most: u32,
    ) -> Result<u64, StoreError> {
        let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
        // The condition on the key again, so that no partition is looked at for nothing.
        let deleted = diesel::sql_query(
            "DELETE FROM request_body WHERE tenant_id = $1 AND class = ANY ($2) AND day < $3 \
             AND (class, day, id) IN (SELECT class, day, id FROM request_body \
                 WHERE tenant_id = $1 AND class = ANY ($2) AND day < $3 ORDER BY class, day, id LIMIT $4)",
        )
        .bind::<SqlUuid, _>(self.tenant_id().uuid())
        .bind::<Array<Text>, _>(names)
        .bind::<Date, _>(before)
        .bind::<BigInt, _>(i64::from(most))
        .execute(self.conn()?)
        .await?;
        Ok(u64::try_from(deleted).unwrap_or_default())
    }
}

impl SystemConn {
    /// The days of bodies that are past their time, oldest first. What is kept for ever has an end only with a cap.
    pub async fn expired_body_days(
        &mut self,
        as_of: DateTime<Utc>,
        forever_cap: Option<u32>,
    ) -> Result<Vec<BodyDay>, StoreError> {
        let rows: Vec<DayRow> = diesel::sql_query("SELECT class, day FROM expired_body_days($1, $2)")
            .bind::<Timestamptz, _>(as_of)
            .bind::<Nullable<Integer>, _>(cap(forever_cap))
            .load(&mut self.conn)
            .await?;
        let day = |row: DayRow| {
            Ok(BodyDay { class: named("partition", &row.class, BodyClass::from_name)?, day: row.day })
        };
        rows.into_iter().map(day).collect()
    }

    /// Whose bodies a day of a class holds.
    pub async fn tenants_of_body_day(&mut self, of: BodyDay) -> Result<Vec<TenantId>, StoreError> {
        let rows: Vec<TenantRow> = diesel::sql_query("SELECT tenant_id FROM body_day_tenants($1, $2)")
            .bind::<Text, _>(of.class.as_str())
            .bind::<Date, _>(of.day)
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.tenant_id.into()).collect())
    }

    /// Drops a day of a class whole, and writes into each tenant's audit how many of its bodies went: one transaction.
    /// Each of the tenants whose bodies were seen comes with the id of its event. A conflict on `body_day_seen` where
    /// another's came meanwhile, on `body_day_expired` where the day is not past its time. Says how many bodies went.
    pub async fn drop_body_day(
        &mut self,
        of: BodyDay,
        as_of: DateTime<Utc>,
        forever_cap: Option<u32>,
        seen: &[(TenantId, AuditEventId)],
    ) -> Result<u64, StoreError> {
        let tenants: Vec<Uuid> = seen.iter().map(|(tenant, _)| tenant.uuid()).collect();
        let events: Vec<Uuid> = seen.iter().map(|(_, event)| event.uuid()).collect();
        let row: GoneRow = diesel::sql_query("SELECT drop_body_day($1, $2, $3, $4, $5, $6) AS gone")
            .bind::<Text, _>(of.class.as_str())
            .bind::<Date, _>(of.day)
            .bind::<Timestamptz, _>(as_of)
            .bind::<Nullable<Integer>, _>(cap(forever_cap))
            .bind::<Array<SqlUuid>, _>(tenants)
            .bind::<Array<SqlUuid>, _>(events)
            .get_result(&mut self.conn)
            .await?;
        Ok(from_bigint(row.gone))
    }

    /// The tenants that keep bodies of longer classes than they now want, with the class they want, by id; `after` is
    /// the last one of the page before. Whether any of them is past its time is to be asked of each.
    pub async fn tenants_with_longer_bodies(
        &mut self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<(TenantId, BodyClass)>, StoreError> {
        let rows: Vec<ShortRow> = diesel::sql_query(
            "SELECT p.tenant_id, p.body_class FROM tenant_privacy p \
             WHERE ($1 IS NULL OR p.tenant_id > $1) \
               AND EXISTS (SELECT FROM request_body b WHERE b.tenant_id = p.tenant_id \
                   AND array_position($3, b.class) > array_position($3, p.body_class)) \
             ORDER BY p.tenant_id LIMIT $2",
        )
        .bind::<Nullable<SqlUuid>, _>(after.map(TenantId::uuid))
        .bind::<BigInt, _>(i64::from(limit))
        .bind::<Array<Text>, _>(BodyClass::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>())
        .load(&mut self.conn)
        .await?;
        let one = |row: ShortRow| {
            let class = named("tenant_privacy.body_class", &row.body_class, BodyClass::from_name)?;
            Ok((row.tenant_id.into(), class))
        };
        rows.into_iter().map(one).collect()
    }
}

/// The operator's cap as the functions take it: below the floor it is the floor.
fn cap(forever_cap: Option<u32>) -> Option<i32> {
    BodyClass::Forever.days(forever_cap).map(|days| i32::try_from(days).unwrap_or(i32::MAX))
}

impl StoredBody {
    /// Whether the body is past its time, as it was stored and as the tenant now wants it.
    #[must_use]
    pub fn is_expired_at(&self, now: DateTime<Utc>, wanted: BodyClass, forever_cap: Option<u32>) -> bool {
        let class = self.sealed.class.shorter(wanted);
        class.expires_at(self.started_at, forever_cap).is_some_and(|end| end <= now)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = request_body)]
struct Row {
    class: String,
    subject_id: Uuid,
    key_version: i32,
    started_at: DateTime<Utc>,
    redacted: bool,
    request_bytes: i64,
    response_bytes: i64,
    sealed_request: Vec<u8>,
    sealed_response: Vec<u8>,
}

impl TryFrom<Row> for StoredBody {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            sealed: SealedBody {
                class: named("request_body.class", &row.class, BodyClass::from_name)?,
                subject: row.subject_id.into(),
                key_version: row.key_version.unsigned_abs(),
                redacted: row.redacted,
                request_bytes: from_bigint(row.request_bytes),
                response_bytes: from_bigint(row.response_bytes),
                sealed_request: row.sealed_request,
                sealed_response: row.sealed_response,
            },
            started_at: row.started_at,
        })
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    bodies: i64,
    #[diesel(sql_type = Nullable<Date>)]
    oldest: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    newest: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Text)]
    class: String,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
}

#[derive(QueryableByName)]
struct TenantRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
}

#[derive(QueryableByName)]
struct GoneRow {
    #[diesel(sql_type = BigInt)]
    gone: i64,
}

#[derive(QueryableByName)]
struct ShortRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = Text)]
    body_class: String,
}
