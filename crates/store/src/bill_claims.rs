//! By whom a month counts: of two connections that deliver it, of a connection and an upload, and of an upload of several
//! months. A dollar counts once, whoever brings it.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::AwsConnectionId;
use costlens_domain::aws::Month;
use costlens_domain::bill::{BillReport, ReportFormat};
use costlens_domain::settlement::Issuer;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use crate::schema::bill;
use crate::{NewBill, SeenManifest, StoreError, TenantConn};

/// A month that a look should not pass over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedMonth {
    /// The month.
    pub month: Month,
    /// Whether it was read to its end, and counts no longer.
    pub is_displaced: bool,
}

#[derive(QueryableByName)]
struct UnfinishedRow {
    #[diesel(sql_type = Date)]
    month: NaiveDate,
    #[diesel(sql_type = Bool)]
    is_displaced: bool,
    #[diesel(sql_type = Bool)]
    is_unread: bool,
}

#[derive(QueryableByName)]
struct TakenRow {
    #[diesel(sql_type = Text)]
    account: String,
}

impl TenantConn {
    /// The account whose connection delivers what counts in a scope, if it is another one.
    pub(crate) async fn taken_by(
        &mut self,
        scope: &str,
        connection: AwsConnectionId,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<TakenRow> = diesel::sql_query(include_str!("sql/taken_by.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Text, _>(scope)
            .bind::<SqlUuid, _>(connection.uuid())
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
        };
        Ok(unfinished.map(month).collect())
    }

    /// Ends the reading of a month whose newest delivery was stored before, and has that count again where a file was
    /// uploaded in its place while the connection was at rest. Whether it counts again: then the month is to be settled
    /// anew.
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
        let (scope, superseded): (String, Option<DateTime<Utc>>) =
            row.select((bill::scope, bill::superseded_at)).first(self.conn()?).await?;
        if superseded.is_none() || self.taken_by(&scope, connection).await?.is_some() {
            return Ok(false);
        }
        let others = bill::table
            .filter(bill::tenant_id.eq(tenant_id))
            .filter(bill::scope.eq(&scope))
            .filter(bill::superseded_at.is_null());
        diesel::update(others).set(bill::superseded_at.eq(at)).execute(self.conn()?).await?;
        diesel::update(row).set(bill::superseded_at.eq(None::<DateTime<Utc>>)).execute(self.conn()?).await?;
        Ok(true)
    }

    /// Takes the delivered month out of uploaded bills of several months, or of several paying accounts.
    pub(crate) async fn take_month(
        &mut self,
        bill: &NewBill,
        month: Month,
        report: &BillReport,
    ) -> Result<(), StoreError> {
        let issuer = Issuer::of(report.format);
        let formats = ReportFormat::ALL.into_iter().filter(|format| Issuer::of(*format) == issuer);
        let accounts: BTreeSet<&str> = report.facts.iter().map(|fact| &*fact.billing_account).collect();
        diesel::sql_query("SELECT give_up_month($1, $2, $3, $4, $5)")
            .bind::<SqlUuid, _>(bill.id.uuid())
            .bind::<Date, _>(month.first_day())
            .bind::<Array<Text>, _>(formats.map(ReportFormat::as_str).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(accounts.into_iter().collect::<Vec<_>>())
            .bind::<Timestamptz, _>(bill.created_at)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }
}
