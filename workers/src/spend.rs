//! Questions about spend that more than one workflow asks.

use std::collections::HashMap;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use costlens_domain::alerts::BudgetScope;
use costlens_store::{SpendFilter, StoreError, TenantConn};

/// Everything of a span.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> SpendFilter {
    within(&BudgetScope::default(), from, to)
}

/// What a budget counts, of a span. The ledger knows whole UTC hours: where a zone's midnight lies within one, the hour
/// belongs to the span that it begins in, so that no hour is counted in two neighbouring spans.
pub(crate) fn within(scope: &BudgetScope, from: DateTime<Utc>, to: DateTime<Utc>) -> SpendFilter {
    SpendFilter {
        from: whole_hour_from(from),
        to,
        api_key_id: scope.api_key_id,
        provider: scope.provider.clone(),
        model: scope.model.clone(),
    }
}

/// The first whole hour at or after this moment.
fn whole_hour_from(at: DateTime<Utc>) -> DateTime<Utc> {
    let hour = TimeDelta::hours(1);
    match at.duration_trunc(hour) {
        Ok(whole) if whole < at => whole + hour,
        _ => at,
    }
}

/// What people call each key, by the key's shown id.
pub(crate) async fn key_names(tx: &mut TenantConn) -> Result<HashMap<String, String>, StoreError> {
    let mut names = HashMap::new();
    let mut after = None;
    loop {
        let page = tx.list_keys(after, 500).await?;
        let Some(last) = page.last() else { return Ok(names) };
        after = Some(last.id);
        names.extend(page.into_iter().map(|key| (key.id.to_string(), key.name)));
    }
}

/// A watched series, as its people know it.
pub(crate) fn series_name(series: &str, keys: &HashMap<String, String>) -> String {
    if let Some(of_bills) = series.strip_prefix("bill:") {
        return format!("{} on the bill", of_bills.replacen(':', " ", 1));
    }
    match series.split_once(':') {
        Some(("key", id)) => format!("key {}", keys.get(id).map_or(id, String::as_str)),
        Some((by, name)) => format!("{by} {name}"),
        None => "all calls".to_owned(),
    }
}
