//! A source's months: what the vendor says of each, and which bill counts for it.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::Month;
use costlens_domain::bill::BillReport;
use costlens_domain::{BillId, InvoiceSourceId};
use diesel::prelude::*;
use diesel::sql_types::Uuid as SqlUuid;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{InvoiceProblem, problem};
use crate::aws_connections::LONGEST_DETAIL;
use crate::bills::scope::BillScope;
use crate::db::mend;
use crate::schema::{bill, invoice_month};
use crate::{Bill, NewBill, StoreError, TenantConn};

/// A month of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceMonth {
    /// Which it is.
    pub month: Month,
    /// The bill that counts; none where the vendor billed nothing so far.
    pub bill_id: Option<BillId>,
    /// Why the last answers became no bill.
    pub problem: Option<InvoiceProblem>,
    /// When it was last read to an end.
    pub read_at: Option<DateTime<Utc>>,
    /// When that changed what counts.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What a vendor says of a month.
#[derive(Clone, Copy, Debug)]
pub struct NewInvoiceMonth {
    /// Whose it is.
    pub source: InvoiceSourceId,
    /// The key with which it was read.
    pub key_number: i32,
    /// The month.
    pub month: Month,
    /// SHA-256 of what counts of it.
    pub content_sha256: [u8; 32],
}

/// What storing a month did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvoiceStored {
    /// It counts, in the place of the bill before it, if there was one.
    Stored(Box<Bill>, Option<BillId>),
    /// The vendor says what it said before, or nothing yet: nothing changed but that the month was read.
    Unchanged,
    /// Its people want nothing read any more, or with another key; nothing was kept.
    AtRest,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = invoice_month)]
struct MonthRow {
    month: NaiveDate,
    bill_id: Option<Uuid>,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    read_at: Option<DateTime<Utc>>,
    changed_at: Option<DateTime<Utc>>,
}

impl From<MonthRow> for InvoiceMonth {
    fn from(row: MonthRow) -> Self {
        Self {
            month: Month::of(row.month),
            bill_id: row.bill_id.map(BillId::from),
            problem: problem(row.problem_code, row.problem_detail),
            read_at: row.read_at,
            changed_at: row.changed_at,
        }
    }
}

impl TenantConn {
    /// A source's months, newest first.
    pub async fn invoice_months(
        &mut self,
        source: InvoiceSourceId,
        limit: u32,
    ) -> Result<Vec<InvoiceMonth>, StoreError> {
        let rows: Vec<MonthRow> = invoice_month::table
            .filter(invoice_month::tenant_id.eq(self.tenant_id().uuid()))
            .filter(invoice_month::source_id.eq(source.uuid()))
            .order(invoice_month::month.desc())
            .limit(i64::from(limit))
            .select(MonthRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(InvoiceMonth::from).collect())
    }

    /// Stores what a vendor says of a month: bill, facts, totals, and the month that points to them. The transaction's
    /// other rows are the caller's.
    pub async fn publish_invoice_month(
        &mut self,
        new: &NewInvoiceMonth,
        bill: &NewBill,
        report: &BillReport,
    ) -> Result<InvoiceStored, StoreError> {
        self.lock_bills().await?;
        let source = self.lock_invoice_source(new.source).await?;
        if source.state.is_at_rest() || source.key_number != new.key_number {
            return Ok(InvoiceStored::AtRest);
        }
        let at = bill.created_at;
        let known: Option<(Option<Vec<u8>>, Option<Uuid>)> = invoice_month::table
            .find((self.tenant_id().uuid(), new.source.uuid(), new.month.first_day()))
            .select((invoice_month::content_sha256, invoice_month::bill_id))
            .first(self.conn()?)
            .await
            .optional()?;
        let (content, previous) = known.unwrap_or_default();
        let is_new = content.as_deref() != Some(new.content_sha256.as_slice());
        let previous = previous.map(BillId::from);
        if !is_new || (previous.is_none() && report.lines == 0) {
            self.end_invoice_month(new, None, at).await?;
            return Ok(InvoiceStored::Unchanged);
        }
        if let Some(previous) = previous {
            let counts = bill::table
                .find((self.tenant_id().uuid(), previous.uuid()))
                .filter(bill::superseded_at.is_null());
            diesel::update(counts).set(bill::superseded_at.eq(at)).execute(self.conn()?).await?;
        }
        // No upload or delivery is a version of a vendor's month. One that a revoked source read of the same organisation
        // is.
        let whose = source.organisation.unwrap_or_else(|| new.source.to_string());
        let scope = BillScope::of_invoice(report, new.month, whose);
        let stored = self.import_bill_of(bill, report, &scope).await?;
        if let Some(previous) = previous {
            diesel::sql_query("SELECT forget_superseded_facts($1)")
                .bind::<SqlUuid, _>(previous.uuid())
                .execute(self.conn()?)
                .await?;
        }
        self.end_invoice_month(new, Some(bill.id), at).await?;
        Ok(InvoiceStored::Stored(Box::new(stored), previous))
    }

    async fn end_invoice_month(
        &mut self,
        new: &NewInvoiceMonth,
        bill: Option<BillId>,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let ended = (
            invoice_month::problem_code.eq(None::<String>),
            invoice_month::problem_detail.eq(None::<String>),
            invoice_month::read_at.eq(at),
            invoice_month::updated_at.eq(at),
            bill.map(|bill| {
                (
                    invoice_month::bill_id.eq(bill.uuid()),
                    invoice_month::content_sha256.eq(new.content_sha256.to_vec()),
                    invoice_month::changed_at.eq(at),
                )
            }),
        );
        self.put_invoice_month((new.source, new.month), at).await?;
        let row =
            invoice_month::table.find((self.tenant_id().uuid(), new.source.uuid(), new.month.first_day()));
        diesel::update(row).set(ended).execute(self.conn()?).await?;
        Ok(())
    }

    /// Writes down why a vendor's answers about a month became no bill. The bill before them counts on.
    pub async fn fail_invoice_month(
        &mut self,
        source: InvoiceSourceId,
        month: Month,
        problem: &InvoiceProblem,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.put_invoice_month((source, month), at).await?;
        let row = invoice_month::table.find((self.tenant_id().uuid(), source.uuid(), month.first_day()));
        diesel::update(row)
            .set((
                invoice_month::problem_code.eq(&problem.code),
                invoice_month::problem_detail.eq(mend(&problem.detail, LONGEST_DETAIL)),
                invoice_month::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    async fn put_invoice_month(
        &mut self,
        (source, month): (InvoiceSourceId, Month),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(invoice_month::table)
            .values((
                invoice_month::tenant_id.eq(self.tenant_id().uuid()),
                invoice_month::source_id.eq(source.uuid()),
                invoice_month::month.eq(month.first_day()),
                invoice_month::updated_at.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(())
    }
}
