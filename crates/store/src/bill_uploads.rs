//! Uploads of bills: a file's way from its arrival to its bill, one row for each.
//!
//! An upload ends once: every change of its state is a compare-and-set on the state before, so that two that work on
//! it at once have one effect. The bill is kept in the transaction that ends its upload. Content that made a bill
//! which still counts makes no second one: the upload ends as its duplicate. Other rules since then make it news.

use chrono::{DateTime, Utc};
use costlens_domain::bill::BillReport;
use costlens_domain::classify::RULES_VERSION;
use costlens_domain::{BillId, BillUploadId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::{from_bigint, mend, mend_json, named, to_bigint};
use crate::schema::{bill, bill_upload};
use crate::{Bill, BillInTheWay, NewBill, StoreError, SystemConn, TenantConn};

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// The file is kept and waits to be read.
    Received,
    /// It is being read.
    Reading,
    /// It became a bill.
    Published,
    /// It became none, and why is told.
    Failed,
    /// Its content made a bill before, which counts.
    Duplicate,
}

impl UploadState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Reading => "reading",
            Self::Published => "published",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Published | Self::Failed | Self::Duplicate)
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Received, Self::Reading, Self::Published, Self::Failed, Self::Duplicate]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What names a new upload, and the file that was kept for it.
#[derive(Clone, Debug)]
pub struct NewBillUpload {
    /// Its id.
    pub id: BillUploadId,
    /// What its owner calls the file.
    pub name: String,
    /// Where the file is kept.
    pub object_key: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// When it arrived.
    pub created_at: DateTime<Utc>,
}

/// How far the reading is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadProgress {
    /// What is being done now.
    pub step: String,
    /// The share of the whole that is done, in thousandths.
    pub permille: u16,
}

/// Why an upload became no bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadProblem {
    /// A stable name, of the problems' where there is one.
    pub code: String,
    /// The words for its owner.
    pub detail: String,
}

/// A bill's file on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillUpload {
    /// Its id.
    pub id: BillUploadId,
    /// What its owner calls the file.
    pub name: String,
    /// Where the file is kept until the upload ends.
    pub object_key: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// How far it is.
    pub state: UploadState,
    /// How far the reading is; of the last try, once it ended.
    pub progress: Option<UploadProgress>,
    /// Why it became no bill.
    pub problem: Option<UploadProblem>,
    /// The bill that it became, or that it repeats.
    pub bill_id: Option<BillId>,
    /// How often a job was asked for to read it, but for the first.
    pub asks: u32,
    /// When it arrived.
    pub created_at: DateTime<Utc>,
    /// When something last changed.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What publishing a report did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The report is a bill now.
    Bill(Box<Bill>),
    /// Its content made this bill before.
    Duplicate(BillId),
    /// This bill keeps a month that the report is of; nothing was kept.
    InTheWay(BillInTheWay),
    /// The upload had ended already; nothing was kept.
    Ended,
}

/// A tenant's uploads that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedUploads {
    /// How many.
    pub uploads: u64,
    /// The bytes of their files.
    pub bytes: u64,
}

/// An upload that has not ended, as the sweeper sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Which it is.
    pub id: BillUploadId,
    /// The job that was last asked for to read it.
    pub job_id: Option<Uuid>,
    /// How often one was asked for, but for the first.
    pub asks: u32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bill_upload)]
struct Row {
    id: Uuid,
    name: String,
    object_key: String,
    bytes: i64,
    state: String,
    progress: Option<serde_json::Value>,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    bill_id: Option<Uuid>,
    asks: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for BillUpload {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let problem = row.problem_code.zip(row.problem_detail);
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            object_key: row.object_key,
            bytes: from_bigint(row.bytes),
            state: named("bill_upload.state", &row.state, UploadState::parse)?,
            progress: row.progress.map(serde_json::from_value).transpose().map_err(StoreError::bug)?,
            problem: problem.map(|(code, detail)| UploadProblem { code, detail }),
            bill_id: row.bill_id.map(BillId::from),
            asks: u32::try_from(row.asks).unwrap_or_default(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        })
    }
}

/// The longest name and the longest words that are kept.
const LONGEST_NAME: usize = 512;
const LONGEST_DETAIL: usize = 4_096;

/// What has not ended.
const OPEN: [&str; 2] = [UploadState::Received.as_str(), UploadState::Reading.as_str()];

impl TenantConn {
    /// Keeps an upload whose file is kept. Content that made a bill which counts, by today's rules, ends it at once, as a
    /// duplicate.
    pub async fn create_bill_upload(&mut self, new: &NewBillUpload) -> Result<BillUpload, StoreError> {
        diesel::insert_into(bill_upload::table)
            .values((
                bill_upload::tenant_id.eq(self.tenant_id().uuid()),
                bill_upload::id.eq(new.id.uuid()),
                bill_upload::name.eq(mend(&new.name, LONGEST_NAME)),
                bill_upload::object_key.eq(&new.object_key),
                bill_upload::bytes.eq(to_bigint(new.bytes)),
                bill_upload::sha256.eq(new.sha256.as_slice()),
                bill_upload::state.eq(UploadState::Received.as_str()),
                bill_upload::created_at.eq(new.created_at),
                bill_upload::updated_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        self.end_if_repeated(new.id, new.created_at).await?;
        self.bill_upload(new.id).await
    }

    /// One upload. [`StoreError::NotFound`] if the tenant has no such upload.
    pub async fn bill_upload(&mut self, id: BillUploadId) -> Result<BillUpload, StoreError> {
        let row = bill_upload::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).first(self.conn()?).await?.try_into()
    }

    /// The tenant's uploads, newest first; `after` is the last id of the page before.
    pub async fn list_bill_uploads(
        &mut self,
        after: Option<BillUploadId>,
        limit: u32,
    ) -> Result<Vec<BillUpload>, StoreError> {
        let mut query = bill_upload::table
            .filter(bill_upload::tenant_id.eq(self.tenant_id().uuid()))
            .order(bill_upload::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(bill_upload::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(BillUpload::try_from).collect()
    }

    /// How many uploads wait to be read, and what they have together.
    pub async fn unfinished_bill_uploads(&mut self) -> Result<UnfinishedUploads, StoreError> {
        let sql = "SELECT count(*) AS uploads, coalesce(sum(bytes), 0)::bigint AS bytes FROM bill_upload \
            WHERE tenant_id = $1 AND finished_at IS NULL";
        let row: UnfinishedCount = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .get_result(self.conn()?)
            .await?;
        Ok(UnfinishedUploads { uploads: from_bigint(row.uploads), bytes: from_bigint(row.bytes) })
    }

    /// The same, once the account's other transactions that asked it are over, so that of two at once the second sees
    /// the first one's upload.
    pub async fn unfinished_bill_uploads_alone(&mut self) -> Result<UnfinishedUploads, StoreError> {
        diesel::sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended('bill_upload_room/' || $1::text, 0))",
        )
        .bind::<SqlUuid, _>(self.tenant_id().uuid())
        .execute(self.conn()?)
        .await?;
        self.unfinished_bill_uploads().await
    }

    /// Remembers which job reads an upload, the first or the `asks`-th after it. Whether the upload still waits for
    /// that one: it has not ended, and nobody asked meanwhile.
    pub async fn note_bill_upload_job(
        &mut self,
        id: BillUploadId,
        asks: u32,
        job_id: Uuid,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let asks = i32::try_from(asks).unwrap_or(i32::MAX);
        let row = bill_upload::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(bill_upload::state.eq_any(OPEN))
            .filter(bill_upload::asks.le(asks));
        let noted = diesel::update(row)
            .set((bill_upload::asks.eq(asks), bill_upload::job_id.eq(job_id), bill_upload::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(noted > 0)
    }

    /// The upload, marked as being read unless it has ended or ends here, as a duplicate.
    pub async fn begin_reading_bill(
        &mut self,
        id: BillUploadId,
        at: DateTime<Utc>,
    ) -> Result<BillUpload, StoreError> {
        let row = bill_upload::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(bill_upload::state.eq_any(OPEN));
        diesel::update(row)
            .set((
                bill_upload::state.eq(UploadState::Reading.as_str()),
                bill_upload::progress.eq(None::<serde_json::Value>),
                bill_upload::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        self.end_if_repeated(id, at).await?;
        self.bill_upload(id).await
    }

    /// Tells how far the reading is. Nothing happens to an upload that is not being read.
    pub async fn note_bill_progress(
        &mut self,
        id: BillUploadId,
        progress: &UploadProgress,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut value = serde_json::to_value(progress).map_err(StoreError::bug)?;
        mend_json(&mut value);
        let row = bill_upload::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(bill_upload::state.eq(UploadState::Reading.as_str()));
        diesel::update(row)
            .set((bill_upload::progress.eq(value), bill_upload::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Keeps the report as the upload's bill, in one transaction with the upload's end.
    pub async fn publish_bill_upload(
        &mut self,
        id: BillUploadId,
        new: &NewBill,
        report: &BillReport,
    ) -> Result<Published, StoreError> {
        self.lock_bills().await?;
        let row = bill_upload::table.find((self.tenant_id().uuid(), id.uuid()));
        let state: String = row.select(bill_upload::state).for_no_key_update().first(self.conn()?).await?;
        if named("bill_upload.state", &state, UploadState::parse)?.is_ended() {
            return Ok(Published::Ended);
        }
        if let Some(bill) = self.end_if_repeated(id, new.created_at).await? {
            return Ok(Published::Duplicate(bill));
        }
        // Content that is read again takes its own earlier bill's place, whatever today's rules make of whose it is.
        let earlier = self.bills_of_same_content(id).await?;
        if let Some(other) = self.bill_in_the_way_but(&new.name, report, &earlier).await? {
            return Ok(Published::InTheWay(other));
        }
        let counts = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill::id.eq_any(earlier))
            .filter(bill::superseded_at.is_null());
        diesel::update(counts).set(bill::superseded_at.eq(new.created_at)).execute(self.conn()?).await?;
        let bill = self.import_bill(new, report).await?;
        if !self.end(id, UploadState::Published, Some(new.id), None, new.created_at).await? {
            return Err(StoreError::bug("an upload ended under the lock of who ends it"));
        }
        Ok(Published::Bill(Box::new(bill)))
    }

    /// The bills that this upload's content made before.
    async fn bills_of_same_content(&mut self, id: BillUploadId) -> Result<Vec<Uuid>, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let this = bill_upload::table.find((tenant_id, id.uuid()));
        let sha256: Vec<u8> = this.select(bill_upload::sha256).first(self.conn()?).await?;
        let earlier: Vec<Option<Uuid>> = bill_upload::table
            .filter(bill_upload::tenant_id.eq(tenant_id))
            .filter(bill_upload::sha256.eq(sha256))
            .filter(bill_upload::state.eq(UploadState::Published.as_str()))
            .select(bill_upload::bill_id)
            .load(self.conn()?)
            .await?;
        Ok(earlier.into_iter().flatten().collect())
    }

    /// Ends an upload without a bill. Whether it had not ended before.
    pub async fn fail_bill_upload(
        &mut self,
        id: BillUploadId,
        problem: &UploadProblem,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.end(id, UploadState::Failed, None, Some(problem), at).await
    }

    /// The bill of an earlier upload with the same content that counts and was read by today's rules, as which this upload
    /// then ends.
    async fn end_if_repeated(
        &mut self,
        id: BillUploadId,
        at: DateTime<Utc>,
    ) -> Result<Option<BillId>, StoreError> {
        let tenant_id = self.tenant_id().uuid();
        let this = bill_upload::table.find((tenant_id, id.uuid()));
        let sha256: Vec<u8> = this.select(bill_upload::sha256).first(self.conn()?).await?;
        let counts = bill_upload::table
            .inner_join(bill::table.on(
                bill::tenant_id.eq(bill_upload::tenant_id).and(bill_upload::bill_id.eq(bill::id.nullable())),
            ))
            .filter(bill_upload::tenant_id.eq(tenant_id))
            .filter(bill_upload::sha256.eq(sha256))
            .filter(bill_upload::state.eq(UploadState::Published.as_str()))
            .filter(bill::superseded_at.is_null())
            .filter(bill::rules_version.eq(i64::from(RULES_VERSION)))
            .select(bill::id);
        let earlier: Option<Uuid> = counts.first(self.conn()?).await.optional()?;
        let Some(earlier) = earlier.map(BillId::from) else { return Ok(None) };
        let ended = self.end(id, UploadState::Duplicate, Some(earlier), None, at).await?;
        Ok(ended.then_some(earlier))
    }

    async fn end(
        &mut self,
        id: BillUploadId,
        state: UploadState,
        bill: Option<BillId>,
        problem: Option<&UploadProblem>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = bill_upload::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(bill_upload::state.eq_any(OPEN));
        let ended = diesel::update(row)
            .set((
                bill_upload::state.eq(state.as_str()),
                bill_upload::bill_id.eq(bill.map(BillId::uuid)),
                bill_upload::problem_code.eq(problem.map(|problem| problem.code.as_str())),
                bill_upload::problem_detail.eq(problem.map(|problem| mend(&problem.detail, LONGEST_DETAIL))),
                bill_upload::updated_at.eq(at),
                bill_upload::finished_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(ended > 0)
    }
}

#[derive(QueryableByName)]
struct UnfinishedCount {
    #[diesel(sql_type = BigInt)]
    uploads: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

#[derive(QueryableByName)]
struct UnfinishedRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    job_id: Option<Uuid>,
    #[diesel(sql_type = Integer)]
    asks: i32,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl SystemConn {
    /// Uploads of every tenant that have not ended and did not change since `before`, the oldest first; `after` is the
    /// last id of the page before.
    pub async fn unfinished_bill_uploads(
        &mut self,
        before: DateTime<Utc>,
        after: Option<BillUploadId>,
        most: u32,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        let sql = "SELECT tenant_id, id, job_id, asks FROM bill_upload \
            WHERE finished_at IS NULL AND updated_at < $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3";
        let rows: Vec<UnfinishedRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(before)
            .bind::<Nullable<SqlUuid>, _>(after.map(BillUploadId::uuid))
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        let upload = |row: UnfinishedRow| UnfinishedUpload {
            tenant_id: row.tenant_id.into(),
            id: row.id.into(),
            job_id: row.job_id,
            asks: u32::try_from(row.asks).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(upload).collect())
    }

    /// Which of these uploads have not ended: their files are still wanted.
    pub async fn wanted_bill_uploads(
        &mut self,
        of: &[BillUploadId],
    ) -> Result<Vec<BillUploadId>, StoreError> {
        let ids: Vec<Uuid> = of.iter().map(|id| id.uuid()).collect();
        let sql = "SELECT id FROM bill_upload WHERE finished_at IS NULL AND id = ANY ($1)";
        let rows: Vec<IdRow> = diesel::sql_query(sql)
            .bind::<diesel::sql_types::Array<SqlUuid>, _>(ids)
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.id.into()).collect())
    }
}
