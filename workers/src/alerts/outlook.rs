//! When a budget will be crossed: what was spent so far, and day by day what the days so far let expect.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::Usd;
use costlens_domain::alerts::BudgetRule;
use costlens_insight::forecast::{Costs, forecast};
use costlens_notify::words::ExpectedCrossing;
use costlens_store::{SpendBucket, StoreError, TenantConn};

use crate::spend;

/// How far back days say something of the next.
const PAST: TimeDelta = TimeDelta::days(91);

/// The first day up to `last_day` on which what is expected crosses the budget; nothing where none does, or too few days
/// say anything. Of what is billed around the proxy nothing more is expected.
pub(super) async fn crossing(
    tx: &mut TenantConn,
    rule: &BudgetRule,
    (start, now): (DateTime<Utc>, DateTime<Utc>),
    last_day: NaiveDate,
) -> Result<Option<ExpectedCrossing>, StoreError> {
    // Today is not whole: it is forecast like the days ahead.
    let today = now.date_naive();
    let midnight = today.and_time(NaiveTime::MIN).and_utc();
    let history = spend::within(&rule.scope, midnight - PAST, midnight);
    let points = tx.spend_series(&history, SpendBucket::Day, None).await?;
    let days = points
        .iter()
        .map(|point| (point.at.date_naive(), point.totals.cost.map(Usd::decimal).unwrap_or_default()));
    let Some(forecast) = Costs::of_days(days, today).and_then(|costs| forecast(&costs)) else {
        return Ok(None);
    };
    let so_far = if midnight > start {
        let before = spend::within(&rule.scope, start, midnight);
        tx.budget_spend(&before, rule.scope.unproxied).await?.spent
    } else {
        None
    };
    let mut spent = so_far.unwrap_or(Usd::ZERO).decimal();
    for (day, estimate) in forecast.days.into_iter().filter(|(day, _)| *day <= last_day) {
        spent += estimate.middle.max(rust_decimal::Decimal::ZERO);
        if spent >= rule.amount.decimal() {
            return Ok(Some(ExpectedCrossing { on: day, spent: Usd::from(spent.round_dp(2)) }));
        }
    }
    Ok(None)
}
