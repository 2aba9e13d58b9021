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
    /// The bill whose arrival asks for it, or an id of its own where calls do that were imported or got another price, a bill
    /// that was withdrawn, or a rule that came or went. Whichever bills count when it runs are settled by.
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

/// A bill has its month, and AWS adds days of neighbours to it. Of one of many years the latest are looked at even where it
/// has nothing of AI by now: the bill before it may have had.
const MOST_MONTHS: usize = 24;
/// How many months with AI lines are settled by one asking: ten years.
const MOST_MONTHS_OF_AI: u32 = 120;

/// How many months before the running one are settled again every night. A spool that waited longer is settled by the next
/// bill.
pub const NIGHTS_REACH: Months = Months::new(2);

/// Asks for the months of a bill to be settled, in the transaction that stores the bill.
pub async fn ask_to_settle(tx: &mut TenantConn, bill: &Bill) -> Result<(), StoreError> {
    settle_months_of(tx, bill, bill.id).await
}

/// Asks for the months of a bill to be settled without it, in the transaction that withdraws it. `made` is the moment and the
/// randomness of the asking's id.
pub async fn ask_to_settle_without(
    tx: &mut TenantConn,
    bill: &Bill,
    made: (DateTime<Utc>, [u8; 10]),
) -> Result<(), StoreError> {
    settle_months_of(tx, bill, BillId::new(made.0, made.1)).await
}

async fn settle_months_of(tx: &mut TenantConn, bill: &Bill, asked: BillId) -> Result<(), StoreError> {
    let mut months = tx.months_of_bill(bill.id, MOST_MONTHS_OF_AI).await?;
    if let (Some(first), Some(last)) = (bill.first_day, bill.last_day) {
        months.extend(latest_months(first, last));
    }
    for month in months {
        ask(tx, &SettleMonth { month, bill: asked, night: None }).await?;
    }
    Ok(())
}

/// The months from the one day to the other by their first days, the latest first; of very many the latest.
fn latest_months(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let [first, last] = [first, last].map(|day| day.with_day(1).unwrap_or(day));
    let months = std::iter::successors(Some(last), |month| month.checked_sub_months(Months::new(1)));
    months.take_while(move |month| *month >= first).take(MOST_MONTHS)
}

/// The months of calls that no night settles again: those before its reach. Each is closed, and a call of it that comes only
/// now is settled only if somebody asks.
#[must_use]
pub fn before_the_nights(months: BTreeSet<NaiveDate>, now: DateTime<Utc>) -> BTreeSet<NaiveDate> {
    let today = now.date_naive();
    let since = today.with_day(1).and_then(|first| first.checked_sub_months(NIGHTS_REACH)).unwrap_or(today);
    months.into_iter().filter(|month| *month < since).collect()
}

/// Asks for months to be settled anew because calls of theirs came late or got another price, or lines of their bills count as
/// something else by now, after those are stored; of very many the latest. `made` is the moment and the randomness of the asking's id: each asking is one of its own.
pub async fn ask_to_settle_again(
    tx: &mut TenantConn,
    months: &BTreeSet<NaiveDate>,
    made: (DateTime<Utc>, [u8; 10]),
) -> Result<(), StoreError> {
    let asked = BillId::new(made.0, made.1);
    for month in months.iter().rev().take(usize::try_from(MOST_MONTHS_OF_AI).unwrap_or(usize::MAX)) {
        ask(tx, &SettleMonth { month: *month, bill: asked, night: None }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap_or_default()
    }

    #[test]
    fn the_newest_months_of_a_long_bill_are_settled() {
        let months: Vec<NaiveDate> = latest_months(day("2023-11-05"), day("2026-10-31")).collect();
        assert_eq!((months.len(), months.first().copied()), (MOST_MONTHS, Some(day("2026-10-01"))));
        // A refund of long ago does not hide the running month.
        assert_eq!(latest_months(day("1999-01-01"), day("2026-11-20")).next(), Some(day("2026-11-01")));
        let short: Vec<NaiveDate> = latest_months(day("2026-09-30"), day("2026-10-02")).collect();
        assert_eq!(short, [day("2026-10-01"), day("2026-09-01")]);
    }

    #[test]
    fn closed_months_are_those_that_no_night_reaches() {
        let now = "2026-11-20T09:00:00Z".parse().unwrap_or_default();
        let months = ["2026-07-01", "2026-08-01", "2026-09-01", "2026-11-01"].map(day);
        let closed = before_the_nights(months.into_iter().collect(), now);
        assert_eq!(closed.into_iter().collect::<Vec<_>>(), ["2026-07-01", "2026-08-01"].map(day));
    }
}
