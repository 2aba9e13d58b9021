//! Exports: files of calls or hours that somebody asked for, one row for each, from the asking to the file's end.
//!
//! An export ends once: every change of its state is a compare-and-set on the state before, so that two that work on it
//! at once have one effect, and a cancellation that comes in between wins. The row names the file's key from the moment
//! that the file is there, whole; whatever else is kept under the export's id is nobody's.

use chrono::{DateTime, Utc};
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::{ExportId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{from_bigint, mend, mend_json, named, to_bigint};
use crate::schema::export;
use crate::{RequestFilter, StoreError, SystemConn, TenantConn};

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportState {
    /// It waits for a worker.
    Queued,
    /// It is being written.
    Running,
    /// Its file can be downloaded.
    Done,
    /// It has no file, and why is told.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It had a file.
    Expired,
}

impl ExportState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether a worker has still to do with it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A new export.
#[derive(Clone, Debug)]
pub struct NewExport {
    /// Its id.
    pub id: ExportId,
    /// What is exported.
    pub what: ExportWhat,
    /// How rows are written.
    pub format: ExportFormat,
    /// Which rows; `to` is always said.
    pub filter: RequestFilter,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// What is exported.
    pub what: ExportWhat,
    /// How rows are written.
    pub format: ExportFormat,
    /// Which rows.
    pub filter: RequestFilter,
    /// How far it is.
    pub state: ExportState,
    /// How many rows were written.
    pub rows: u64,
    /// The share of the period that was written, in thousandths.
    pub permille: u16,
    /// Where its file is, while it has one.
    pub object_key: Option<String>,
    /// How many bytes its file has, or had.
    pub bytes: Option<u64>,
    /// Their SHA-256.
    pub sha256: Option<Vec<u8>>,
    /// Why it has no file.
    pub problem: Option<ExportProblem>,
    /// The job that writes it.
    pub job_id: Option<Uuid>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when its file is kept.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why an export has no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportProblem {
    /// A stable name.
    pub code: String,
    /// The words for its owner.
    pub detail: String,
}

/// The file that an export became.
#[derive(Clone, Debug)]
pub struct ExportFile {
    /// Where it is kept.
    pub object_key: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How many rows are in it.
    pub rows: u64,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
}

/// How many exports an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportCount {
    /// Queued or running.
    pub open: u64,
    /// Done, with a file.
    pub kept: u64,
}

/// An export as the sweeper sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweptExport {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Which it is.
    pub id: ExportId,
    /// Where its file is, if it has one.
    pub object_key: Option<String>,
    /// The job that was last asked for to write it.
    pub job_id: Option<Uuid>,
    /// How often one was asked for, but for the first.
    pub asks: u32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = export)]
struct Row {
    id: Uuid,
    what: String,
    format: String,
    filter: serde_json::Value,
    state: String,
    rows: i64,
    permille: i32,
    object_key: Option<String>,
    bytes: Option<i64>,
    sha256: Option<Vec<u8>>,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    job_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Export {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let problem = row.problem_code.zip(row.problem_detail);
        Ok(Self {
            id: row.id.into(),
            what: named("export.what", &row.what, ExportWhat::from_name)?,
            format: named("export.format", &row.format, ExportFormat::from_name)?,
            filter: serde_json::from_value(row.filter).map_err(StoreError::bug)?,
            state: named("export.state", &row.state, ExportState::parse)?,
            rows: from_bigint(row.rows),
            permille: u16::try_from(row.permille).unwrap_or_default(),
            object_key: row.object_key,
            bytes: row.bytes.map(from_bigint),
            sha256: row.sha256,
            problem: problem.map(|(code, detail)| ExportProblem { code, detail }),
            job_id: row.job_id,
            created_at: row.created_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
        })
    }
}

/// The longest words that are kept.
const LONGEST_DETAIL: usize = 1_024;

/// What has not ended.
const OPEN: [&str; 2] = [ExportState::Queued.as_str(), ExportState::Running.as_str()];

impl TenantConn {
    /// How many exports the account has. Whoever asks waits for the other transactions of the account that asked, so
    /// that two at once do not both find the last place.
    pub async fn count_exports_alone(&mut self) -> Result<ExportCount, StoreError> {
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('export/' || $1::text, 0))")
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .execute(self.conn()?)
            .await?;
        let of = export::table.filter(export::tenant_id.eq(self.tenant_id().uuid()));
        let open: i64 = of.filter(export::state.eq_any(OPEN)).count().get_result(self.conn()?).await?;
        let kept = of.filter(export::state.eq(ExportState::Done.as_str()));
        let kept: i64 = kept.count().get_result(self.conn()?).await?;
        Ok(ExportCount { open: from_bigint(open), kept: from_bigint(kept) })
    }

    /// Writes an export that was asked for.
    pub async fn create_export(&mut self, new: &NewExport) -> Result<Export, StoreError> {
        let mut filter = serde_json::to_value(&new.filter).map_err(StoreError::bug)?;
        mend_json(&mut filter);
        diesel::insert_into(export::table)
            .values((
                export::tenant_id.eq(self.tenant_id().uuid()),
                export::id.eq(new.id.uuid()),
                export::what.eq(new.what.as_str()),
                export::format.eq(new.format.as_str()),
                export::filter.eq(filter),
                export::state.eq(ExportState::Queued.as_str()),
                export::created_at.eq(new.created_at),
                export::updated_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        self.export(new.id).await
    }

    /// One export. [`StoreError::NotFound`] if the tenant has no such export.
    pub async fn export(&mut self, id: ExportId) -> Result<Export, StoreError> {
        let row = export::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).first(self.conn()?).await?.try_into()
    }

    /// The tenant's exports, newest first; `after` is the last id of the page before.
    pub async fn list_exports(
        &mut self,
        after: Option<ExportId>,
        limit: u32,
    ) -> Result<Vec<Export>, StoreError> {
        let mut query = export::table
            .filter(export::tenant_id.eq(self.tenant_id().uuid()))
            .order(export::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(export::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(Export::try_from).collect()
    }

    /// Remembers which job writes an export, the first or the `asks`-th after it. Whether the export still waits for
    /// that one: it has not ended, and nobody asked meanwhile.
    pub async fn note_export_job(
        &mut self,
        id: ExportId,
        asks: u32,
        job_id: Uuid,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let asks = i32::try_from(asks).unwrap_or(i32::MAX);
        let row = export::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(export::state.eq_any(OPEN))
            .filter(export::asks.le(asks));
        let noted = diesel::update(row)
            .set((export::asks.eq(asks), export::job_id.eq(job_id), export::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(noted > 0)
    }

    /// The export, marked as being written, from the beginning, unless it has ended.
    pub async fn begin_export(&mut self, id: ExportId, at: DateTime<Utc>) -> Result<Export, StoreError> {
        let row = export::table.find((self.tenant_id().uuid(), id.uuid())).filter(export::state.eq_any(OPEN));
        diesel::update(row)
            .set((
                export::state.eq(ExportState::Running.as_str()),
                export::rows.eq(0),
                export::permille.eq(0),
                export::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        self.export(id).await
    }

    /// Tells how far the writing is. Nothing happens to an export that is not being written.
    pub async fn note_export_progress(
        &mut self,
        id: ExportId,
        (rows, permille): (u64, u16),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = export::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(export::state.eq(ExportState::Running.as_str()));
        diesel::update(row)
            .set((
                export::rows.eq(to_bigint(rows)),
                export::permille.eq(i32::from(permille.min(1000))),
                export::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Gives an export its file, which is there. `false`, and nothing changed, if it has ended meanwhile.
    pub async fn finish_export(
        &mut self,
        id: ExportId,
        file: &ExportFile,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = export::table.find((self.tenant_id().uuid(), id.uuid())).filter(export::state.eq_any(OPEN));
        let finished = diesel::update(row)
            .set((
                export::state.eq(ExportState::Done.as_str()),
                export::rows.eq(to_bigint(file.rows)),
                export::permille.eq(1000),
                export::object_key.eq(&file.object_key),
                export::bytes.eq(to_bigint(file.bytes)),
                export::sha256.eq(file.sha256.as_slice()),
                export::updated_at.eq(at),
                export::finished_at.eq(at),
                export::expires_at.eq(file.expires_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(finished > 0)
    }

    /// Ends an export without a file: with a problem it failed, without one it was cancelled. Whether it had not ended
    /// before.
    pub async fn end_export(
        &mut self,
        id: ExportId,
        problem: Option<&ExportProblem>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let state = if problem.is_some() { ExportState::Failed } else { ExportState::Cancelled };
        let row = export::table.find((self.tenant_id().uuid(), id.uuid())).filter(export::state.eq_any(OPEN));
        let ended = diesel::update(row)
            .set((
                export::state.eq(state.as_str()),
                export::problem_code.eq(problem.map(|problem| problem.code.as_str())),
                export::problem_detail.eq(problem.map(|problem| mend(&problem.detail, LONGEST_DETAIL))),
                export::updated_at.eq(at),
                export::finished_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(ended > 0)
    }

    /// Lets go of an export's file, whose key it forgets: whoever commits this removes it. Whether there was one.
    pub async fn expire_export(&mut self, id: ExportId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let row = export::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(export::state.eq(ExportState::Done.as_str()));
        let expired = diesel::update(row)
            .set((
                export::state.eq(ExportState::Expired.as_str()),
                export::object_key.eq(None::<String>),
                export::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(expired > 0)
    }
}

#[derive(QueryableByName)]
struct SweptRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    object_key: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    job_id: Option<Uuid>,
    #[diesel(sql_type = Integer)]
    asks: i32,
}

impl From<SweptRow> for SweptExport {
    fn from(row: SweptRow) -> Self {
        Self {
            tenant_id: row.tenant_id.into(),
            id: row.id.into(),
            object_key: row.object_key,
            job_id: row.job_id,
            asks: u32::try_from(row.asks).unwrap_or_default(),
        }
    }
}

#[derive(QueryableByName)]
struct WantedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    object_key: Option<String>,
}

impl SystemConn {
    /// Exports of every tenant that have not ended and did not change since `before`, the oldest first; `after` is the
    /// last id of the page before.
    pub async fn unfinished_exports(
        &mut self,
        before: DateTime<Utc>,
        after: Option<ExportId>,
        most: u32,
    ) -> Result<Vec<SweptExport>, StoreError> {
        let sql = "SELECT tenant_id, id, object_key, job_id, asks FROM export \
            WHERE finished_at IS NULL AND updated_at < $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3";
        let rows: Vec<SweptRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(before)
            .bind::<Nullable<SqlUuid>, _>(after.map(ExportId::uuid))
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Exports of every tenant whose file's time is over at this moment, the longest first.
    pub async fn expired_exports(
        &mut self,
        now: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<SweptExport>, StoreError> {
        let sql = "SELECT tenant_id, id, object_key, job_id, asks FROM export \
            WHERE state = 'done' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";
        let rows: Vec<SweptRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(now)
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Which of these exports want files, each with the key of the one that it wants: `None` for an export that is
    /// still being written, whose files are all to stay.
    pub async fn wanted_exports(
        &mut self,
        of: &[ExportId],
    ) -> Result<Vec<(ExportId, Option<String>)>, StoreError> {
        let ids: Vec<Uuid> = of.iter().map(|id| id.uuid()).collect();
        let sql = "SELECT id, object_key FROM export \
            WHERE id = ANY ($1) AND (finished_at IS NULL OR state = 'done')";
        let rows: Vec<WantedRow> =
            diesel::sql_query(sql).bind::<Array<SqlUuid>, _>(ids).load(&mut self.conn).await?;
        Ok(rows.into_iter().map(|row| (row.id.into(), row.object_key)).collect())
    }
}
