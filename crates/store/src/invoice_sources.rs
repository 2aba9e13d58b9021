//! Vendors' own cost reports: with which key they are read, how that goes, and which bill counts for a month.
//!
//! A source that was paused or revoked is changed by its people alone, and what a job found out with a key that was
//! replaced meanwhile is let go. A month's bill changes in one transaction, and only if what the vendor says of the month
//! is another thing than before.

mod months;

use chrono::{DateTime, Utc};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::{InvoiceSourceId, TenantId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::aws_connections::LONGEST_DETAIL;
use crate::db::{mend, named};
use crate::schema::invoice_source;
use crate::{StoreError, SystemConn, TenantConn};

pub use months::{InvoiceMonth, InvoiceStored, NewInvoiceMonth};

/// How a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceSourceState {
    /// The vendor was not asked yet.
    Pending,
    /// The reports are read.
    Active,
    /// Its people want nothing read for now.
    Paused,
    /// They cannot be read, and why is told.
    Failing,
    /// Its people ended it, and its key is gone. What was read stays.
    Revoked,
}

/// Those in which the vendor is asked.
const AT_WORK: [&str; 3] = ["pending", "active", "failing"];

impl InvoiceSourceState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Failing => "failing",
            Self::Revoked => "revoked",
        }
    }

    /// Whether nothing may be read.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Paused | Self::Revoked)
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Paused, Self::Failing, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceProblem {
    /// Its stable name, see `costlens_domain::invoices::Refusal`.
    pub code: String,
    /// What happened, in words for its people.
    pub detail: String,
}

/// A tenant's way to a vendor's cost reports.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceSource {
    /// Its id.
    pub id: InvoiceSourceId,
    /// Who bills.
    pub vendor: InvoiceVendor,
    /// What its people call it.
    pub name: String,
    /// The admin key, sealed; none once revoked.
    pub sealed_key: Option<Vec<u8>>,
    /// The key's last characters.
    pub key_hint: String,
    /// The how many-th key it is.
    pub key_number: i32,
    /// Whose reports these are, where the vendor tells.
    pub organisation: Option<String>,
    /// How it is.
    pub state: InvoiceSourceState,
    /// What is wrong, or was wrong last.
    pub problem: Option<InvoiceProblem>,
    /// How often in a row it was asked in vain.
    pub failures: u32,
    /// When it is asked next; never while at rest.
    pub next_fetch_at: Option<DateTime<Utc>>,
    /// When all of it was read last.
    pub fetched_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When something last changed.
    pub updated_at: DateTime<Utc>,
    /// When its people ended it.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for InvoiceSource {
    /// Leaves the key out, sealed as it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, vendor, state, key_number, .. } = self;
        f.debug_struct("InvoiceSource")
            .field("id", id)
            .field("vendor", vendor)
            .field("state", state)
            .field("key_number", key_number)
            .finish_non_exhaustive()
    }
}

/// What a new source is made of.
#[derive(Clone, Debug)]
pub struct NewInvoiceSource {
    /// Its id.
    pub id: InvoiceSourceId,
    /// Who bills.
    pub vendor: InvoiceVendor,
    /// What its people call it.
    pub name: String,
    /// The admin key, sealed.
    pub sealed_key: Vec<u8>,
    /// Its last characters.
    pub key_hint: String,
    /// When it is made, and asked first.
    pub created_at: DateTime<Utc>,
}

/// What asking a vendor came to.
#[derive(Clone, Debug)]
pub struct InvoicesFetched {
    /// The key with which it was asked.
    pub key_number: i32,
    /// How the source is now.
    pub state: InvoiceSourceState,
    /// What is wrong.
    pub problem: Option<InvoiceProblem>,
    /// How often in a row it was asked in vain.
    pub failures: u32,
    /// When it is asked next.
    pub next_fetch_at: DateTime<Utc>,
    /// Whether all of it was read.
    pub complete: bool,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = invoice_source)]
struct Row {
    id: Uuid,
    vendor: String,
    name: String,
    sealed_key: Option<Vec<u8>>,
    key_hint: String,
    key_number: i32,
    organisation: Option<String>,
    state: String,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    failures: i32,
    next_fetch_at: Option<DateTime<Utc>>,
    fetched_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

fn problem(code: Option<String>, detail: Option<String>) -> Option<InvoiceProblem> {
    code.zip(detail).map(|(code, detail)| InvoiceProblem { code, detail })
}

impl TryFrom<Row> for InvoiceSource {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            vendor: named("invoice_source.vendor", &row.vendor, InvoiceVendor::from_name)?,
            name: row.name,
            sealed_key: row.sealed_key,
            key_hint: row.key_hint,
            key_number: row.key_number,
            organisation: row.organisation,
            state: named("invoice_source.state", &row.state, InvoiceSourceState::parse)?,
            problem: problem(row.problem_code, row.problem_detail),
            failures: u32::try_from(row.failures).unwrap_or_default(),
            next_fetch_at: row.next_fetch_at,
            fetched_at: row.fetched_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revoked_at: row.revoked_at,
        })
    }
}

impl TenantConn {
    /// Makes a source. [`StoreError::Conflict`] on `invoice_source_name` means that the vendor has one of this name.
    pub async fn create_invoice_source(
        &mut self,
        new: &NewInvoiceSource,
    ) -> Result<InvoiceSource, StoreError> {
        diesel::insert_into(invoice_source::table)
            .values((
                invoice_source::tenant_id.eq(self.tenant_id().uuid()),
                invoice_source::id.eq(new.id.uuid()),
                invoice_source::vendor.eq(new.vendor.as_str()),
                invoice_source::name.eq(&new.name),
                invoice_source::sealed_key.eq(&new.sealed_key),
                invoice_source::key_hint.eq(&new.key_hint),
                invoice_source::state.eq(InvoiceSourceState::Pending.as_str()),
                invoice_source::next_fetch_at.eq(new.created_at),
                invoice_source::created_at.eq(new.created_at),
                invoice_source::updated_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        self.invoice_source(new.id).await
    }

    /// The tenant's sources, newest first, revoked ones included; `after` is the last id of the page before.
    pub async fn list_invoice_sources(
        &mut self,
        after: Option<InvoiceSourceId>,
        limit: u32,
    ) -> Result<Vec<InvoiceSource>, StoreError> {
        let mut query = invoice_source::table
            .filter(invoice_source::tenant_id.eq(self.tenant_id().uuid()))
            .order(invoice_source::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(invoice_source::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(InvoiceSource::try_from).collect()
    }

    /// One source. [`StoreError::NotFound`] if the tenant has no such source.
    pub async fn invoice_source(&mut self, id: InvoiceSourceId) -> Result<InvoiceSource, StoreError> {
        let row = invoice_source::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).first(self.conn()?).await?.try_into()
    }

    /// The source, locked until the transaction ends.
    pub async fn lock_invoice_source(&mut self, id: InvoiceSourceId) -> Result<InvoiceSource, StoreError> {
        let row = invoice_source::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).for_no_key_update().first(self.conn()?).await?.try_into()
    }

    /// Remembers whose reports a source reads, before any of them is stored. Whether no other source of the tenant that is
    /// not revoked reads them, too.
    pub async fn claim_organisation(
        &mut self,
        source: &InvoiceSource,
        organisation: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        // Of two sources at once, the second must see the first one's word.
        self.lock_bills().await?;
        let others = invoice_source::table
            .filter(invoice_source::tenant_id.eq(self.tenant_id().uuid()))
            .filter(invoice_source::vendor.eq(source.vendor.as_str()))
            .filter(invoice_source::id.ne(source.id.uuid()))
            .filter(invoice_source::organisation.eq(organisation))
            .filter(invoice_source::state.ne(InvoiceSourceState::Revoked.as_str()));
        if diesel::select(diesel::dsl::exists(others)).get_result(self.conn()?).await? {
            return Ok(false);
        }
        let row = invoice_source::table
            .find((self.tenant_id().uuid(), source.id.uuid()))
            .filter(invoice_source::key_number.eq(source.key_number))
            .filter(invoice_source::state.eq_any(AT_WORK));
        diesel::update(row)
            .set((invoice_source::organisation.eq(organisation), invoice_source::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(true)
    }

    /// Has a source asked at this moment; nothing happens to one at rest.
    pub async fn hasten_invoice_fetch(
        &mut self,
        id: InvoiceSourceId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = invoice_source::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(invoice_source::state.eq_any(AT_WORK));
        let hastened = diesel::update(row)
            .set((invoice_source::next_fetch_at.eq(at), invoice_source::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(hastened > 0)
    }

    /// Gives a source another state, as its people want it: paused, pending and asked at once, or revoked, with which its
    /// key goes.
    pub async fn set_invoice_source(
        &mut self,
        id: InvoiceSourceId,
        state: InvoiceSourceState,
        at: DateTime<Utc>,
    ) -> Result<InvoiceSource, StoreError> {
        let row = invoice_source::table.find((self.tenant_id().uuid(), id.uuid()));
        let revoked = state == InvoiceSourceState::Revoked;
        diesel::update(row)
            .set((
                invoice_source::state.eq(state.as_str()),
                invoice_source::problem_code.eq(None::<String>),
                invoice_source::problem_detail.eq(None::<String>),
                invoice_source::failures.eq(0),
                invoice_source::next_fetch_at.eq((!state.is_at_rest()).then_some(at)),
                invoice_source::revoked_at.eq(revoked.then_some(at)),
                revoked.then(|| invoice_source::sealed_key.eq(None::<Vec<u8>>)),
                invoice_source::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        self.invoice_source(id).await
    }

    /// Puts another key in the place of a source's; unless it is paused, it is asked with it at once.
    pub async fn replace_invoice_key(
        &mut self,
        source: &InvoiceSource,
        (sealed_key, key_hint): (&[u8], &str),
        at: DateTime<Utc>,
    ) -> Result<InvoiceSource, StoreError> {
        let row = invoice_source::table.find((self.tenant_id().uuid(), source.id.uuid()));
        let at_work = !source.state.is_at_rest();
        let state = if at_work { InvoiceSourceState::Pending } else { source.state };
        diesel::update(row)
            .set((
                invoice_source::sealed_key.eq(sealed_key),
                invoice_source::key_hint.eq(key_hint),
                invoice_source::key_number.eq(source.key_number.saturating_add(1)),
                invoice_source::state.eq(state.as_str()),
                invoice_source::problem_code.eq(None::<String>),
                invoice_source::problem_detail.eq(None::<String>),
                invoice_source::failures.eq(0),
                invoice_source::next_fetch_at.eq(at_work.then_some(at)),
                invoice_source::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        self.invoice_source(source.id).await
    }

    /// Writes down what asking a vendor came to. Whether it counts: the source is not at rest, and its key is the one that
    /// was used.
    pub async fn settle_invoice_fetch(
        &mut self,
        id: InvoiceSourceId,
        fetched: &InvoicesFetched,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = invoice_source::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(invoice_source::state.eq_any(AT_WORK))
            .filter(invoice_source::key_number.eq(fetched.key_number));
        let problem = fetched.problem.as_ref();
        let settled = diesel::update(row)
            .set((
                invoice_source::state.eq(fetched.state.as_str()),
                invoice_source::problem_code.eq(problem.map(|problem| problem.code.as_str())),
                invoice_source::problem_detail
                    .eq(problem.map(|problem| mend(&problem.detail, LONGEST_DETAIL))),
                invoice_source::failures.eq(i32::try_from(fetched.failures).unwrap_or(i32::MAX)),
                invoice_source::next_fetch_at.eq(fetched.next_fetch_at),
                fetched.complete.then(|| invoice_source::fetched_at.eq(at)),
                invoice_source::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(settled > 0)
    }
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl SystemConn {
    /// Sources of every tenant that are to be asked by now, in the order of their ids; `after` is the last id of the page
    /// before.
    pub async fn due_invoice_sources(
        &mut self,
        now: DateTime<Utc>,
        after: Option<InvoiceSourceId>,
        most: u32,
    ) -> Result<Vec<(TenantId, InvoiceSourceId)>, StoreError> {
        let sql = "SELECT tenant_id, id FROM invoice_source \
            WHERE next_fetch_at <= $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3";
        let rows: Vec<DueRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(now)
            .bind::<Nullable<SqlUuid>, _>(after.map(InvoiceSourceId::uuid))
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.tenant_id.into(), row.id.into())).collect())
    }
}
