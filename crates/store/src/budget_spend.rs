//! What a budget counts: calls at what they cost by their bills where they are settled, at their estimates elsewhere; and
//! where the budget says so what is billed and no call used.
//!
//! Estimates are known by the hour, settled costs by the UTC day: a day that the span cuts stays estimated. Of the bills'
//! costs the one counts that is paid, private discounts taken off.

use chrono::{DateTime, Days, DurationRound as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::{ApiKeyId, Usd};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use crate::db::{Db, from_bigint};
use crate::{SpendFilter, StoreError, TenantConn};

/// What a budget counts of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetSpend {
    /// All calls.
    pub requests: u64,
    /// Calls without a price that no bill has settled; `spent` leaves them out.
    pub unpriced_requests: u64,
    /// What they were estimated to cost; `None` where no call has a price.
    pub estimated: Option<Usd>,
    /// What counts; `None` where nothing has a price.
    pub spent: Option<Usd>,
}

impl TenantConn {
    /// What a budget counts of a span, from its first whole hour on; `unproxied` where it counts what is billed and no call
    /// used, too.
    ///
    /// The ledger knows whole UTC hours: where a zone's midnight lies within one, the hour belongs to the span that it
    /// begins in, so that no hour is counted in two neighbouring spans.
    pub async fn budget_spend(
        &mut self,
        filter: &SpendFilter,
        unproxied: bool,
    ) -> Result<BudgetSpend, StoreError> {
        let filter = &SpendFilter { from: whole_hour_from(filter.from), ..filter.clone() };
        let totals = self.spend_totals(filter).await?;
        let (first, end) = whole_days(filter.from, filter.to);
        let row: Row = diesel::sql_query(include_str!("sql/budget_spend.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(first)
            .bind::<Date, _>(end)
            .bind::<Nullable<SqlUuid>, _>(filter.api_key_id.map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(filter.provider.as_deref())
            .bind::<Nullable<Text>, _>(filter.model.as_deref())
            .get_result(self.conn()?)
            .await?;
        let beside = if unproxied { row.unproxied.0 } else { Decimal::ZERO };
        let more = row.difference.0 + beside;
        let spent = match totals.cost {
            Some(cost) => Some(Usd::from(cost.decimal() + more)),
            None => (!more.is_zero()).then_some(Usd::from(more)),
        };
        Ok(BudgetSpend {
            requests: totals.requests,
            unpriced_requests: totals.unpriced_requests.saturating_sub(from_bigint(row.priced_calls)),
            estimated: totals.cost,
            spent,
        })
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Numeric)]
    difference: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    priced_calls: i64,
    #[diesel(sql_type = Numeric)]
    unproxied: Db<Decimal>,
}

/// The first whole hour at or after this moment.
#[must_use]
pub fn whole_hour_from(at: DateTime<Utc>) -> DateTime<Utc> {
    let hour = TimeDelta::hours(1);
    match at.duration_trunc(hour) {
        Ok(whole) if whole < at => whole + hour,
        _ => at,
    }
}

/// The UTC days that lie within a span as a whole: the first, and the one after the last.
fn whole_days(from: DateTime<Utc>, to: DateTime<Utc>) -> (NaiveDate, NaiveDate) {
    let day = from.date_naive();
    let first = if from.time() == NaiveTime::MIN { day } else { day + Days::new(1) };
    (first, to.date_naive().max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_a_span_cuts_is_no_whole_one() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (from, to, first, end) in [
            ("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-01", "2026-11-03"),
            ("2026-11-01T05:00:00Z", "2026-11-03T17:30:00Z", "2026-11-02", "2026-11-03"),
            ("2026-11-01T05:00:00Z", "2026-11-01T17:30:00Z", "2026-11-02", "2026-11-02"),
        ] {
            assert_eq!(whole_days(at(from), at(to)), (day(first), day(end)), "{from} {to}");
        }
    }
}
