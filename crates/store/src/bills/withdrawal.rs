//! Bills that somebody takes back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use costlens_domain::BillId;
use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Bill;
use crate::schema::{bill, settlement_day};
use crate::{StoreError, TenantConn};

/// What came of taking a bill back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It counts no longer. Its months are to be settled anew.
    Done(Box<Bill>),
    /// It counted no longer before: it was withdrawn, or another counts in its place.
    Past,
    /// A connection at work delivers it, or a vendor reports it, and would bring it again.
    Brought,
}

#[derive(QueryableByName)]
struct BroughtRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl TenantConn {
    /// Has a bill count no longer, for good: neither in sums nor in the history of settlements. [`StoreError::NotFound`] if
    /// the tenant has no such bill.
    pub async fn withdraw_bill(&mut self, id: BillId, at: DateTime<Utc>) -> Result<Withdrawal, StoreError> {
        self.lock_bills().await?;
        let found = self.bill(id).await?;
        if found.superseded_at.is_some() {
            return Ok(Withdrawal::Past);
        }
        if self.withdrawable_bills(&[found]).await?.is_empty() {
            return Ok(Withdrawal::Brought);
        }
        let tenant_id = self.tenant_id().uuid();
        diesel::update(bill::table.find((tenant_id, id.uuid())))
            .set((bill::superseded_at.eq(at), bill::withdrawn_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        // What it said was never the issuer's word, so that what comes next restates nothing.
        diesel::delete(settlement_day::table)
            .filter(settlement_day::tenant_id.eq(tenant_id))
            .filter(settlement_day::version.eq(id.uuid()))
            .execute(self.conn()?)
            .await?;
        Ok(Withdrawal::Done(Box::new(self.bill(id).await?)))
    }

    /// Those of these bills that can be withdrawn: they count, and nothing would bring them again.
    pub async fn withdrawable_bills(&mut self, bills: &[Bill]) -> Result<BTreeSet<BillId>, StoreError> {
        let counts = bills.iter().filter(|bill| bill.superseded_at.is_none());
        let mut withdrawable: BTreeSet<BillId> = counts.map(|bill| bill.id).collect();
        let ids: Vec<Uuid> = withdrawable.iter().map(|id| id.uuid()).collect();
        let brought: Vec<BroughtRow> = diesel::sql_query(include_str!("../sql/brought_bills.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Array<SqlUuid>, _>(ids)
            .load(self.conn()?)
            .await?;
        for row in brought {
            withdrawable.remove(&BillId::from(row.id));
        }
        Ok(withdrawable)
    }
}
