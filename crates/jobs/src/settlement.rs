//! Settling the months of a bill.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use costlens_domain::BillId;
use costlens_queue::Job;
use costlens_store::{Bill, StoreError, TenantConn};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, ask};

/// Settles a month's calls against the bills of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleMonth {
    /// Its first day.
    pub month: NaiveDate,
    /// The bill whose arrival asks for it, or an id of its own where calls do that were imported or got another price.
    /// Whichever bills count when it runs are settled by.
    pub bill: BillId,
    /// The night that asks for it again, for calls that reached the ledger after the bill did.
    #[serde(default)]
    pub night: Option<NaiveDate>,
}

impl Job for SettleMonth {
    const QUEUE: &'static str = "settle_month.v1";
}

impl TenantJob for SettleMonth {
    fn key(&self) -> Option<String> {
        Some(match self.night {
            None => format!("{}:{}", self.month, self.bill),
            Some(night) => format!("{}:{}:{night}", self.month, self.bill),
        })
    }
}

/// A bill has its month, and AWS adds days of neighbours to it; no bill has years.
const MOST_MONTHS: usize = 24;

/// Asks for the months of a bill to be settled, in the transaction that stores the bill.
pub async fn ask_to_settle(tx: &mut TenantConn, bill: &Bill) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (bill.first_day, bill.last_day) else { return Ok(()) };
    let first = first.with_day(1).unwrap_or(first);
    let months = std::iter::successors(Some(first), |month| month.checked_add_months(Months::new(1)));
    for month in months.take_while(|month| *month <= last).take(MOST_MONTHS) {
        ask(tx, &SettleMonth { month, bill: bill.id, night: None }).await?;
    }
    Ok(())
}

/// Asks for months to be settled anew because calls of theirs came late or got another price, after those are stored; of
/// very many the latest. `made` is the moment and the randomness of the asking's id: each asking is one of its own.
pub async fn ask_to_settle_again(
    tx: &mut TenantConn,
    months: &BTreeSet<NaiveDate>,
    made: (DateTime<Utc>, [u8; 10]),
) -> Result<(), StoreError> {
    let asked = BillId::new(made.0, made.1);
    for month in months.iter().rev().take(MOST_MONTHS) {
        ask(tx, &SettleMonth { month: *month, bill: asked, night: None }).await?;
    }
    Ok(())
}
