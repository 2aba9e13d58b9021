//! By whom a month counts: of two connections that deliver it, of a connection and an upload, and of an upload of several
//! months. A dollar counts once, whoever brings it.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::Month;
use costlens_domain::bill::{BillReport, ReportFormat};
use costlens_domain::settlement::Issuer;
use costlens_domain::{AwsConnectionId, BillId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use crate::db::named;
use crate::schema::{bill, bill_daily_fact};
use crate::{NewBill, SeenManifest, StoreError, TenantConn};

/// A month that a look should not pass over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedMonth {
    /// The month.
    pub month: Month,
    /// Whether it was read to its end, and counts no longer.
    pub is_displaced: bool,
    /// Whether it could not be read.
    pub is_failed: bool,
}

#[derive(QueryableByName)]
struct UnfinishedRow {
    #[diesel(sql_type = Date)]
    month: NaiveDate,
    #[diesel(sql_type = Bool)]
    is_displaced: bool,
    #[diesel(sql_type = Bool)]
    is_unread: bool,
    #[diesel(sql_type = Bool)]
    is_failed: bool,
}

#[derive(QueryableByName)]
struct TakenRow {
    #[diesel(sql_type = Text)]
    account: String,
}

impl TenantConn {
    /// The account whose connection delivers what counts of a scope and has lines of these accounts, if it is another one.
    pub(crate) async fn taken_by(
        &mut self,
        scope: &str,
        usage_accounts: &[&str],
        connection: AwsConnectionId,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<TakenRow> = diesel::sql_query(include_str!("sql/taken_by.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Text, _>(scope)
            .bind::<SqlUuid, _>(connection.uuid())
            .bind::<Array<Text>, _>(usage_accounts)
            .get_result(self.conn()?)
            .await
            .optional()?;
        Ok(row.map(|row| row.account))
    }

    /// A connection's months that are not read to their end, or not by these rules, or count no longer though they were;
    /// newest first.
    pub async fn unfinished_months(
        &mut self,
        connection: AwsConnectionId,
        rules_version: u32,
    ) -> Result<Vec<UnfinishedMonth>, StoreError> {
        let rows: Vec<UnfinishedRow> = diesel::sql_query(include_str!("sql/unfinished_months.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<SqlUuid, _>(connection.uuid())
            .bind::<BigInt, _>(i64::from(rules_version))
            .load(self.conn()?)
            .await?;
        let unfinished = rows.into_iter().filter(|row| row.is_unread || row.is_displaced);
        let month = |row: UnfinishedRow| UnfinishedMonth {
            month: Month::of(row.month),
            is_displaced: row.is_displaced,
            is_failed: row.is_failed,
        };
        Ok(unfinished.map(month).collect())
    }

    /// Ends the reading of a month whose newest delivery was stored before, and has that count again where a file was
    /// uploaded in its place, or it was withdrawn, while the connection was at rest. Whether it counts again: then the month
    /// is to be settled anew.
    pub async fn settle_known_month(
        &mut self,
        (connection, month, asks): (AwsConnectionId, Month, u32),
        seen: &SeenManifest,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.lock_bills().await?;
        if self.lock_aws_connection(connection).await?.state.is_at_rest()
            || !self.settle_bill_month((connection, month, asks), seen, at).await?
        {
            return Ok(false);
        }
        let Some(delivery) = self.newest_delivery(connection, month).await? else { return Ok(false) };
        let tenant_id = self.tenant_id().uuid();
        let row = bill::table.find((tenant_id, delivery.bill_id.uuid()));
        let (scope, format, superseded): (String, String, Option<DateTime<Utc>>) =
            row.select((bill::scope, bill::format, bill::superseded_at)).first(self.conn()?).await?;
        if superseded.is_none() {
            return Ok(false);
        }
        let format = named("bill.format", &format, |name| {
            ReportFormat::ALL.into_iter().find(|format| format.as_str() == name)
        })?;
        let facts = bill_daily_fact::table
            .filter(bill_daily_fact::tenant_id.eq(tenant_id))
            .filter(bill_daily_fact::bill_id.eq(delivery.bill_id.uuid()));
        let used: Vec<String> =
            facts.select(bill_daily_fact::usage_account).distinct().load(self.conn()?).await?;
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        if self.taken_by(&scope, &used, connection).await?.is_some() {
            return Ok(false);
        }
        let payers: Vec<String> =
            facts.select(bill_daily_fact::billing_account).distinct().load(self.conn()?).await?;
        self.supersede_versions(&scope, &used, true, at).await?;
        let counts =
            (bill::superseded_at.eq(None::<DateTime<Utc>>), bill::withdrawn_at.eq(None::<DateTime<Utc>>));
        diesel::update(row).set(counts).execute(self.conn()?).await?;
        // The file may have been of other accounts, too: it goes on counting for those.
        let payers: Vec<&str> = payers.iter().map(String::as_str).collect();
        self.give_up_month(delivery.bill_id, month, format, &payers, at).await?;
        // Rules may have come and gone while it did not count.
        self.decide_candidates_of(Some(delivery.bill_id)).await?;
        Ok(true)
    }

    /// Takes the delivered month out of uploaded bills of several months, or of several accounts.
    pub(crate) async fn take_month(
        &mut self,
        bill: &NewBill,
        month: Month,
        report: &BillReport,
    ) -> Result<(), StoreError> {
        let accounts: BTreeSet<&str> = report.facts.iter().map(|fact| &*fact.billing_account).collect();
        let accounts: Vec<&str> = accounts.into_iter().collect();
        self.give_up_month(bill.id, month, report.format, &accounts, bill.created_at).await
    }

    /// Takes a month's lines of these payers and of the accounts that this bill delivers out of uploads.
    async fn give_up_month(
        &mut self,
        delivered: BillId,
        month: Month,
        format: ReportFormat,
        accounts: &[&str],
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let issuer = Issuer::of(format);
        let formats = ReportFormat::ALL.into_iter().filter(|format| Issuer::of(*format) == issuer);
        diesel::sql_query("SELECT give_up_month($1, $2, $3, $4, $5)")
            .bind::<SqlUuid, _>(delivered.uuid())
            .bind::<Date, _>(month.first_day())
            .bind::<Array<Text>, _>(formats.map(ReportFormat::as_str).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(accounts)
            .bind::<Timestamptz, _>(at)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }
}
