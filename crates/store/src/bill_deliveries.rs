//! Months of a connected account and the deliveries that AWS made of them.
//!
//! A month's bill changes in one transaction: the report becomes a bill through the same code as an upload's, the
//! delivery before it is superseded and gives up its facts, and the month points to the new one. The same delivery, read
//! by the same rules, is stored once.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::{Change, Finality, Month, change, changes, finality};
use costlens_domain::bill::BillReport;
use costlens_domain::{AwsConnectionId, BillDeliveryId, BillId};
use diesel::prelude::*;
use diesel::sql_types::Uuid as SqlUuid;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::aws_connections::LONGEST_DETAIL;
use crate::bills::scope::{BillScope, usage_accounts};
use crate::db::{from_bigint, mend, mend_json, named, to_bigint};
use crate::schema::{bill, bill_delivery, bill_month};
use crate::{AwsProblem, Bill, NewBill, StoreError, TenantConn, UploadProgress};

/// How a month is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillMonthState {
    /// A delivery was seen and waits to be read.
    Waiting,
    /// It is being read.
    Reading,
    /// The newest delivery counts.
    Current,
    /// The newest delivery could not be read; the one before it counts, if there is one.
    Failed,
}

impl BillMonthState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Current => "current",
            Self::Failed => "failed",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Reading, Self::Current, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A month of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillMonth {
    /// Whose it is.
    pub connection: AwsConnectionId,
    /// Which it is.
    pub month: Month,
    /// How it is.
    pub state: BillMonthState,
    /// Where its manifest lies.
    pub manifest_key: String,
    /// The manifest that was read to an end, and by which version of the rules.
    pub seen: Option<SeenManifest>,
    /// The delivery that counts.
    pub delivery: Option<BillDeliveryId>,
    /// How far the reading is.
    pub progress: Option<UploadProgress>,
    /// Why the newest delivery does not count.
    pub problem: Option<AwsProblem>,
    /// The job that reads it.
    pub job_id: Option<Uuid>,
    /// How often one was asked for.
    pub asks: u32,
    /// When something last changed.
    pub updated_at: DateTime<Utc>,
}

/// A manifest as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenManifest {
    /// Its version in the bucket.
    pub etag: String,
    /// The version of the classification rules.
    pub rules_version: u32,
}

/// One version of a month's bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillDelivery {
    /// Its id.
    pub id: BillDeliveryId,
    /// The month.
    pub month: Month,
    /// What AWS calls it, or what its files are.
    pub delivery: String,
    /// The version of the classification rules.
    pub rules_version: u32,
    /// The bill that it became.
    pub bill_id: BillId,
    /// How final its figures are.
    pub finality: Finality,
    /// How many files it has.
    pub files: u32,
    /// And bytes.
    pub bytes: u64,
    /// The delivery before it.
    pub previous: Option<BillDeliveryId>,
    /// What changed against that.
    pub changes: Vec<Change>,
    /// The same in a sentence.
    pub change: Option<String>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

/// A delivery that was read.
#[derive(Clone, Debug)]
pub struct NewBillDelivery {
    /// Its id.
    pub id: BillDeliveryId,
    /// Whose it is.
    pub connection: AwsConnectionId,
    /// The month.
    pub month: Month,
    /// What AWS calls it, or what its files are.
    pub delivery: String,
    /// Where its manifest lies.
    pub manifest_key: String,
    /// The manifest's version in the bucket.
    pub manifest_etag: String,
    /// Its SHA-256.
    pub manifest_sha256: [u8; 32],
    /// SHA-256 of the columns that it names.
    pub columns_sha256: Option<[u8; 32]>,
    /// How many files it has.
    pub files: u32,
    /// And bytes.
    pub bytes: u64,
}

/// What storing a delivery did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryStored {
    /// It counts.
    Stored(Box<Bill>, Box<BillDelivery>),
    /// It was stored before; nothing changed but that the month was read.
    Duplicate,
    /// Its people want nothing read any more; nothing was kept.
    AtRest,
    /// The month waits for another job by now, or none; nothing was kept.
    Overtaken,
    /// Another account that is connected delivers the month of the same accounts; nothing was kept.
    Taken {
        /// That account.
        by: String,
    },
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bill_month)]
struct MonthRow {
    connection_id: Uuid,
    month: NaiveDate,
    state: String,
    manifest_key: String,
    manifest_etag: Option<String>,
    rules_version: i64,
    delivery_id: Option<Uuid>,
    progress: Option<serde_json::Value>,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    job_id: Option<Uuid>,
    asks: i32,
    updated_at: DateTime<Utc>,
}

impl TryFrom<MonthRow> for BillMonth {
    type Error = StoreError;

    fn try_from(row: MonthRow) -> Result<Self, StoreError> {
        let rules_version = u32::try_from(row.rules_version).map_err(StoreError::bug)?;
        let problem = row.problem_code.zip(row.problem_detail);
        Ok(Self {
            connection: row.connection_id.into(),
            month: Month::of(row.month),
            state: named("bill_month.state", &row.state, BillMonthState::parse)?,
            manifest_key: row.manifest_key,
            seen: row.manifest_etag.map(|etag| SeenManifest { etag, rules_version }),
            delivery: row.delivery_id.map(BillDeliveryId::from),
            progress: row.progress.map(serde_json::from_value).transpose().map_err(StoreError::bug)?,
            problem: problem.map(|(code, detail)| AwsProblem { code, detail }),
            job_id: row.job_id,
            asks: u32::try_from(row.asks).unwrap_or_default(),
            updated_at: row.updated_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bill_delivery)]
struct DeliveryRow {
    id: Uuid,
    month: NaiveDate,
    delivery: String,
    rules_version: i64,
    bill_id: Uuid,
    finality: String,
    files: i32,
    bytes: i64,
    previous_id: Option<Uuid>,
    changes: serde_json::Value,
    change: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<DeliveryRow> for BillDelivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            month: Month::of(row.month),
            delivery: row.delivery,
            rules_version: u32::try_from(row.rules_version).map_err(StoreError::bug)?,
            bill_id: row.bill_id.into(),
            finality: named("bill_delivery.finality", &row.finality, Finality::from_name)?,
            files: u32::try_from(row.files).unwrap_or_default(),
            bytes: from_bigint(row.bytes),
            previous: row.previous_id.map(BillDeliveryId::from),
            changes: serde_json::from_value(row.changes).map_err(StoreError::bug)?,
            change: row.change,
            created_at: row.created_at,
        })
    }
}

/// A month that waits for the job of this ask or is read by it.
macro_rules! open_month {
    ($tx:expr, $connection:expr, $month:expr, $asks:expr) => {
        bill_month::table
            .find(($tx.tenant_id().uuid(), $connection.uuid(), $month.first_day()))
            .filter(bill_month::asks.eq(i32::try_from($asks).unwrap_or(i32::MAX)))
            .filter(
                bill_month::state
                    .eq_any([BillMonthState::Waiting.as_str(), BillMonthState::Reading.as_str()]),
            )
    };
}

impl TenantConn {
    /// A connection's months, newest first.
    pub async fn bill_months(&mut self, connection: AwsConnectionId) -> Result<Vec<BillMonth>, StoreError> {
        let rows: Vec<MonthRow> = bill_month::table
            .filter(bill_month::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill_month::connection_id.eq(connection.uuid()))
            .order(bill_month::month.desc())
            .select(MonthRow::as_select())
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(BillMonth::try_from).collect()
    }

    /// One of them. [`StoreError::NotFound`] where no delivery of it was seen.
    pub async fn bill_month(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
    ) -> Result<BillMonth, StoreError> {
        let row = bill_month::table.find((self.tenant_id().uuid(), connection.uuid(), month.first_day()));
        row.select(MonthRow::as_select()).first(self.conn()?).await?.try_into()
    }

    /// Has a month wait to be read by this job, which was asked for as the `asks`-th.
    pub async fn await_bill_month(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
        manifest_key: &str,
        (job_id, asks): (Uuid, u32),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let asks = i32::try_from(asks).unwrap_or(i32::MAX);
        let awaits = (
            bill_month::state.eq(BillMonthState::Waiting.as_str()),
            bill_month::manifest_key.eq(manifest_key),
            bill_month::progress.eq(None::<serde_json::Value>),
            bill_month::job_id.eq(job_id),
            bill_month::asks.eq(asks),
            bill_month::updated_at.eq(at),
        );
        diesel::insert_into(bill_month::table)
            .values((
                bill_month::tenant_id.eq(self.tenant_id().uuid()),
                bill_month::connection_id.eq(connection.uuid()),
                bill_month::month.eq(month.first_day()),
                awaits.clone(),
            ))
            .on_conflict((bill_month::tenant_id, bill_month::connection_id, bill_month::month))
            .do_update()
            .set(awaits)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Marks a month as being read by the job of this ask. Whether that is the one that counts.
    pub async fn begin_bill_month(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
        asks: u32,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let begun = diesel::update(open_month!(self, connection, month, asks))
            .set((
                bill_month::state.eq(BillMonthState::Reading.as_str()),
                bill_month::progress.eq(None::<serde_json::Value>),
                bill_month::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(begun > 0)
    }

    /// Tells how far the reading is. Nothing happens to a month that is not being read.
    pub async fn note_month_progress(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
        progress: &UploadProgress,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut value = serde_json::to_value(progress).map_err(StoreError::bug)?;
        mend_json(&mut value);
        let row = bill_month::table
            .find((self.tenant_id().uuid(), connection.uuid(), month.first_day()))
            .filter(bill_month::state.eq(BillMonthState::Reading.as_str()));
        diesel::update(row)
            .set((bill_month::progress.eq(value), bill_month::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Ends the reading of a month without a bill. With the manifest it is not read again until that moves; without one it
    /// is, at the next look. Whether the job of this ask still counted.
    pub async fn fail_bill_month(
        &mut self,
        (connection, month, asks): (AwsConnectionId, Month, u32),
        problem: &AwsProblem,
        seen: Option<&SeenManifest>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = diesel::update(open_month!(self, connection, month, asks))
            .set((
                bill_month::state.eq(BillMonthState::Failed.as_str()),
                bill_month::problem_code.eq(&problem.code),
                bill_month::problem_detail.eq(mend(&problem.detail, LONGEST_DETAIL)),
                bill_month::manifest_etag.eq(seen.map(|seen| seen.etag.as_str())),
                bill_month::rules_version.eq(seen.map_or(0, |seen| i64::from(seen.rules_version))),
                bill_month::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(failed > 0)
    }

    /// Whether this very delivery was stored by these rules.
    pub async fn has_bill_delivery(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
        delivery: &str,
        rules_version: u32,
    ) -> Result<bool, StoreError> {
        let known = bill_delivery::table
            .filter(bill_delivery::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill_delivery::connection_id.eq(connection.uuid()))
            .filter(bill_delivery::month.eq(month.first_day()))
            .filter(bill_delivery::delivery.eq(delivery))
            .filter(bill_delivery::rules_version.eq(i64::from(rules_version)));
        Ok(diesel::select(diesel::dsl::exists(known)).get_result(self.conn()?).await?)
    }

    /// Ends the reading of a month whose delivery was stored before. Whether the job of this ask still counted.
    pub(crate) async fn settle_bill_month(
        &mut self,
        (connection, month, asks): (AwsConnectionId, Month, u32),
        seen: &SeenManifest,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let delivery = self.newest_delivery(connection, month).await?;
        let Some(delivery) = delivery else { return Err(StoreError::bug("a month without its delivery")) };
        self.end_month((connection, month, asks), delivery.id, seen, at).await
    }

    /// Stores a delivery: bill, facts, totals, what changed, and the month that points to it. The transaction's other
    /// rows are the caller's.
    pub async fn publish_bill_delivery(
        &mut self,
        new: &NewBillDelivery,
        asks: u32,
        bill: &NewBill,
        report: &BillReport,
    ) -> Result<DeliveryStored, StoreError> {
        self.lock_bills().await?;
        if self.lock_aws_connection(new.connection).await?.state.is_at_rest() {
            return Ok(DeliveryStored::AtRest);
        }
        // A reader that lost its job may come late, with a delivery that is older than the one that counts.
        let open: Option<String> = open_month!(self, new.connection, new.month, asks)
            .select(bill_month::state)
            .for_update()
            .first(self.conn()?)
            .await
            .optional()?;
        if open.is_none() {
            return Ok(DeliveryStored::Overtaken);
        }
        let seen = SeenManifest { etag: new.manifest_etag.clone(), rules_version: report.rules_version };
        let (at, key) = (bill.created_at, (new.connection, new.month, asks));
        if self.has_bill_delivery(new.connection, new.month, &new.delivery, report.rules_version).await? {
            self.settle_bill_month(key, &seen, at).await?;
            return Ok(DeliveryStored::Duplicate);
        }
        // A month without AI names no paying account: it is a version of this connection's own months alone.
        let scope = BillScope::of_delivery(report, new.month, &new.connection.to_string());
        if let Some(by) = self.taken_by(&scope.text(), &usage_accounts(report), new.connection).await? {
            return Ok(DeliveryStored::Taken { by });
        }
        let previous = self.newest_delivery(new.connection, new.month).await?;
        let mut differs = Vec::new();
        if let Some(previous) = &previous {
            differs = changes(&self.bill_totals(previous.bill_id).await?, &report.totals);
            self.supersede_bill(previous.bill_id, at).await?;
        }
        let stored = self.import_bill_of(bill, report, &scope).await?;
        self.take_month(bill, new.month, report).await?;
        if let Some(previous) = &previous {
            diesel::sql_query("SELECT forget_superseded_facts($1)")
                .bind::<SqlUuid, _>(previous.bill_id.uuid())
                .execute(self.conn()?)
                .await?;
        }
        let mut told = serde_json::to_value(&differs).map_err(StoreError::bug)?;
        mend_json(&mut told);
        let mut before = previous.as_ref().map(|before| before.finality);
        if before == Some(Finality::Restated) && !self.was_restated(new.connection, new.month).await? {
            before = Some(Finality::Invoiced);
        }
        let final_as = finality(new.month, at.date_naive(), before, !differs.is_empty(), report.has_invoices);
        diesel::insert_into(bill_delivery::table)
            .values((
                bill_delivery::tenant_id.eq(self.tenant_id().uuid()),
                bill_delivery::id.eq(new.id.uuid()),
                bill_delivery::connection_id.eq(new.connection.uuid()),
                bill_delivery::month.eq(new.month.first_day()),
                bill_delivery::delivery.eq(&new.delivery),
                bill_delivery::manifest_key.eq(&new.manifest_key),
                bill_delivery::manifest_etag.eq(&new.manifest_etag),
                bill_delivery::manifest_sha256.eq(new.manifest_sha256.as_slice()),
                bill_delivery::columns_sha256.eq(new.columns_sha256.as_ref().map(<[u8; 32]>::as_slice)),
                bill_delivery::rules_version.eq(i64::from(report.rules_version)),
                bill_delivery::bill_id.eq(bill.id.uuid()),
                bill_delivery::finality.eq(final_as.as_str()),
                bill_delivery::files.eq(i32::try_from(new.files).unwrap_or(i32::MAX)),
                bill_delivery::bytes.eq(to_bigint(new.bytes)),
                bill_delivery::previous_id.eq(previous.as_ref().map(|before| before.id.uuid())),
                bill_delivery::changes.eq(told),
                bill_delivery::change.eq(change(new.month, &differs)),
                bill_delivery::created_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        self.end_month(key, new.id, &seen, at).await?;
        self.note_aws_delivery(new.connection, at).await?;
        let delivery = self.bill_delivery(new.id).await?;
        Ok(DeliveryStored::Stored(Box::new(stored), Box::new(delivery)))
    }

    /// One delivery. [`StoreError::NotFound`] if the tenant has no such delivery.
    pub async fn bill_delivery(&mut self, id: BillDeliveryId) -> Result<BillDelivery, StoreError> {
        let row = bill_delivery::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(DeliveryRow::as_select()).first(self.conn()?).await?.try_into()
    }

    /// A month's deliveries, newest first; `after` is the last id of the page before.
    pub async fn list_bill_deliveries(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
        after: Option<BillDeliveryId>,
        limit: u32,
    ) -> Result<Vec<BillDelivery>, StoreError> {
        let mut query = bill_delivery::table
            .filter(bill_delivery::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill_delivery::connection_id.eq(connection.uuid()))
            .filter(bill_delivery::month.eq(month.first_day()))
            .order(bill_delivery::id.desc())
            .limit(i64::from(limit))
            .select(DeliveryRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(bill_delivery::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(BillDelivery::try_from).collect()
    }

    pub(crate) async fn newest_delivery(
        &mut self,
        connection: AwsConnectionId,
        month: Month,
    ) -> Result<Option<BillDelivery>, StoreError> {
        Ok(self.list_bill_deliveries(connection, month, None, 1).await?.pop())
    }

    /// Whether a delivery of the month that is called restated changed anything. Earlier releases called every one so that
    /// came after the invoice.
    async fn was_restated(&mut self, connection: AwsConnectionId, month: Month) -> Result<bool, StoreError> {
        let restated = bill_delivery::table
            .filter(bill_delivery::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill_delivery::connection_id.eq(connection.uuid()))
            .filter(bill_delivery::month.eq(month.first_day()))
            .filter(bill_delivery::finality.eq(Finality::Restated.as_str()))
            .filter(bill_delivery::change.is_not_null());
        Ok(diesel::select(diesel::dsl::exists(restated)).get_result(self.conn()?).await?)
    }

    async fn supersede_bill(&mut self, id: BillId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let counts =
            bill::table.find((self.tenant_id().uuid(), id.uuid())).filter(bill::superseded_at.is_null());
        diesel::update(counts).set(bill::superseded_at.eq(at)).execute(self.conn()?).await?;
        Ok(())
    }

    async fn end_month(
        &mut self,
        (connection, month, asks): (AwsConnectionId, Month, u32),
        delivery: BillDeliveryId,
        seen: &SeenManifest,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let ended = diesel::update(open_month!(self, connection, month, asks))
            .set((
                bill_month::state.eq(BillMonthState::Current.as_str()),
                bill_month::manifest_etag.eq(&seen.etag),
                bill_month::rules_version.eq(i64::from(seen.rules_version)),
                bill_month::delivery_id.eq(delivery.uuid()),
                bill_month::problem_code.eq(None::<String>),
                bill_month::problem_detail.eq(None::<String>),
                bill_month::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(ended > 0)
    }
}
