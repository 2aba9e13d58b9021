//! What a week was: read from the rollups in the digest's own transaction, so that all figures are of one moment.

use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use costlens_domain::Usd;
use costlens_domain::bill::shares;
use costlens_domain::providers::provider;
use costlens_notify::words::{AnomalyLine, BillPart, BillTotal, BudgetLine, DaySpend, Ranked, WeeklyDigest};
use costlens_store::{
    Anomaly, Cadence, SpendBucket, SpendFilter, SpendGroup, SpendSlice, SpendTotals, StoreError, TenantConn,
    TenantSettings,
};

use crate::{WorkerParts, spend};

/// How many rows of a ranking are kept; the letter shows fewer.
const TOP: u32 = 10;
/// How many anomalies and budgets are kept.
const LINES: u32 = 20;

/// The digest of the week before this Monday.
pub(super) async fn of_week_before(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    settings: &TenantSettings,
    monday: NaiveDate,
) -> Result<WeeklyDigest, StoreError> {
    let zone = settings.zone;
    let from = back(monday, 7);
    let week = spend::between(zone.midnight(from), zone.midnight(monday));
    let week_before = spend::between(zone.midnight(back(from, 7)), zone.midnight(from));
    let totals = tx.spend_totals(&week).await?;
    let before = tx.spend_totals(&week_before).await?;
    let days = days(tx, settings, from, &week).await?;
    let keys = spend::key_names(tx).await?;
    let mut rankings = Vec::new();
    for group in [SpendGroup::Model, SpendGroup::Key, SpendGroup::Provider] {
        let now = tx.spend_breakdown(&week, group, TOP).await?;
        let then = tx.spend_breakdown(&week_before, group, 10_000).await?;
        let then: HashMap<String, Option<Usd>> =
            then.into_iter().map(|slice| (slice.group, slice.totals.cost)).collect();
        rankings.push(now.into_iter().map(|slice| ranked(&slice, &then, &keys)).collect());
    }
    let mut rankings = rankings.into_iter();
    let (budgets, all_budgets) = budgets(tx, settings, zone.midnight(monday)).await?;
    let (anomalies, all_anomalies) = anomalies(tx, &week, &keys).await?;
    let tenant = tx.tenant().await?;
    let link = |path: &str| parts.links.to(path).map_err(|bad| StoreError::Bug(Box::new(bad)));
    Ok(WeeklyDigest {
        tenant: tenant.name,
        from,
        zone,
        spend: known(&totals),
        before: if before.requests == 0 { None } else { known(&before) },
        requests: totals.requests,
        unpriced: totals.unpriced_requests,
        failed: totals.failed_requests,
        days,
        models: rankings.next().unwrap_or_default(),
        keys: rankings.next().unwrap_or_default(),
        providers: rankings.next().unwrap_or_default(),
        bill: latest_bill(tx).await?,
        budgets,
        all_budgets,
        anomalies,
        all_anomalies,
        console: link("/")?,
        preferences: link("/notifications")?,
    })
}

fn back(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

/// What was spent; nothing is known to be nothing where no call was made, and unknown where none had a price.
fn known(totals: &SpendTotals) -> Option<Usd> {
    if totals.requests == 0 { Some(Usd::ZERO) } else { totals.cost }
}

/// The seven days, by the tenant's midnights. Days without calls cost nothing.
async fn days(
    tx: &mut TenantConn,
    settings: &TenantSettings,
    from: NaiveDate,
    week: &SpendFilter,
) -> Result<Vec<DaySpend>, StoreError> {
    let hours = tx.spend_series(week, SpendBucket::Hour, None).await?;
    let mut days = Vec::with_capacity(7);
    for day in from.iter_days().take(7) {
        let of_day = hours.iter().filter(|hour| settings.zone.local(hour.at).date() == day);
        let mut spend = Some(Usd::ZERO);
        let mut priced = 0_u32;
        let mut calls = 0_u64;
        for hour in of_day {
            calls += hour.totals.requests;
            if let Some(cost) = hour.totals.cost {
                priced += 1;
                spend = spend.and_then(|sum| sum.checked_add(cost));
            }
        }
        days.push(DaySpend { day, spend: if calls > 0 && priced == 0 { None } else { spend } });
    }
    Ok(days)
}

fn ranked(slice: &SpendSlice, then: &HashMap<String, Option<Usd>>, keys: &HashMap<String, String>) -> Ranked {
    let before = then.get(&slice.group).copied().flatten();
    let name = keys.get(&slice.group).unwrap_or(&slice.group);
    // A vendor is called what people call it; a model never has a vendor's name.
    let name = provider(name).map_or(name.as_str(), |vendor| vendor.display_name).to_owned();
    Ranked { name, cost: slice.totals.cost, before }
}

async fn latest_bill(tx: &mut TenantConn) -> Result<Option<BillPart>, StoreError> {
    let bills = tx.list_bills(None, 50).await?;
    let counts = bills.into_iter().filter(|bill| bill.superseded_at.is_none());
    let Some(bill) = counts.max_by_key(|bill| (bill.last_day, bill.created_at)) else { return Ok(None) };
    let (Some(from), Some(to)) = (bill.first_day, bill.last_day) else { return Ok(None) };
    let controls = tx.bill_totals(bill.id).await?;
    let totals = shares(&controls)
        .into_iter()
        .map(|(currency, share)| BillTotal { currency, total: share.total, ai: share.ai })
        .collect();
    Ok(Some(BillPart { name: bill.name, from, to, totals }))
}

/// The fullest budgets as they stood when the week ended: in the period that its last moment lies in; and how many there are.
async fn budgets(
    tx: &mut TenantConn,
    settings: &TenantSettings,
    end: DateTime<Utc>,
) -> Result<(Vec<BudgetLine>, u64), StoreError> {
    let last = end - TimeDelta::seconds(1);
    let mut lines = Vec::new();
    for budget in tx.list_budgets().await?.into_iter().filter(|budget| budget.ended_at.is_none()) {
        let start = settings.zone.start_of(budget.rule.period, last);
        let scope = &budget.rule.scope;
        let spend = tx.budget_spend(&spend::within(scope, start, end), scope.unproxied).await?;
        lines.push(BudgetLine {
            name: budget.name,
            // Nothing is known to be nothing where no call was made, and unknown where none had a price.
            spent: spend.spent.or((spend.requests == 0).then_some(Usd::ZERO)),
            unpriced: spend.unpriced_requests,
            limit: budget.rule.amount,
        });
    }
    lines.sort_by_key(|line| {
        let share = line.spent.and_then(|spent| spent.decimal().checked_div(line.limit.decimal()));
        std::cmp::Reverse(share)
    });
    let all = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    lines.truncate(usize::try_from(LINES).unwrap_or(usize::MAX));
    Ok((lines, all))
}

/// The largest surprises of the week's calls, and how many there were.
async fn anomalies(
    tx: &mut TenantConn,
    week: &SpendFilter,
    keys: &HashMap<String, String>,
) -> Result<(Vec<AnomalyLine>, u64), StoreError> {
    // The digest's own sums are dollars of calls; what bills say stands in the console.
    let (found, all) = tx.largest_anomalies((week.from, week.to), Some(Cadence::Hour), LINES).await?;
    let line = |anomaly: &Anomaly| AnomalyLine {
        what: spend::series_name(&anomaly.series, keys),
        at: anomaly.hour,
        expected: anomaly.surprise.expected.into(),
        actual: anomaly.surprise.actual.into(),
    };
    Ok((found.iter().map(line).collect(), all))
}
