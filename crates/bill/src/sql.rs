//! The queries: portable SQL over the view `lines`.

/// Container split-cost rows: they repeat, per pod or task, what the instance's own line already says.
pub(crate) const SPLIT_OPERATIONS: [&str; 2] = ["EKSPod-EC2", "ECSTask-EC2"];

/// The dearest resources among the lines that are AI or may be. Each of the products has the number of the kind that it
/// counts as.
pub(crate) fn resources(filter: &str, products: &[(&str, usize)], limit: usize) -> String {
    let split = literals(&SPLIT_OPERATIONS);
    let codes: Vec<&str> = products.iter().map(|(code, _)| *code).collect();
    let codes = literals(&codes);
    let kinds: Vec<String> =
        products.iter().map(|(code, kind)| format!("WHEN {} THEN '{kind}'", literals(&[code]))).collect();
    let kinds = kinds.join(" ");
    format!(
        "SELECT resource_id, usage_account, kind, COALESCE(SUM(cost), 0) AS cost_sum, COUNT(*) AS line_count \
         FROM (SELECT resource_id, usage_account, cost, CASE product_code {kinds} ELSE '' END AS kind FROM lines \
         WHERE ({filter}) AND product_code IN ({codes}) AND resource_id <> '' \
         AND (operation IS NULL OR operation NOT IN ({split}))) AS kept \
         GROUP BY resource_id, usage_account, kind \
         ORDER BY cost_sum DESC, resource_id, usage_account LIMIT {limit}"
    )
}

/// The condition for lines in this currency; as it is read, `usd` and `USD` are one.
pub(crate) fn of_currency(code: &str) -> String {
    format!("UPPER(currency) = {}", literals(&[code]))
}

/// The condition for lines in none of these currencies.
pub(crate) fn of_no_currency(known: &[&str]) -> String {
    match known {
        [] => "1 = 1".to_owned(),
        known => format!("currency IS NULL OR UPPER(currency) NOT IN ({})", literals(known)),
    }
}

/// The condition that holds for these products as a whole and for these usage types of any product. It may let
/// through too much: what comes through is judged again by its product.
pub(crate) fn filter(products: &[&str], usage_types: &[&str]) -> Option<String> {
    let mut parts = Vec::new();
    if !products.is_empty() {
        parts.push(format!("product_code IN ({})", literals(products)));
    }
    if !usage_types.is_empty() {
        let named = literals(usage_types);
        parts.push(format!("usage_type IN ({named}) OR sku IN ({named})"));
    }
    (!parts.is_empty()).then(|| parts.join(" OR "))
}

fn literals(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    quoted.join(", ")
}
