//! Questions about spend that more than one workflow asks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use costlens_domain::alerts::BudgetScope;
use costlens_store::{SpendFilter, StoreError, TenantConn, whole_hour_from};

/// Everything of a span.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> SpendFilter {
    within(&BudgetScope::default(), from, to)
}

/// What a budget counts, of a span, which begins with a whole hour as [`TenantConn::budget_spend`] has it.
pub(crate) fn within(scope: &BudgetScope, from: DateTime<Utc>, to: DateTime<Utc>) -> SpendFilter {
    SpendFilter {
        from: whole_hour_from(from),
        to,
        api_key_id: scope.api_key_id,
        provider: scope.provider.clone(),
        model: scope.model.clone(),
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
