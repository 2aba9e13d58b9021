//! The queries: portable SQL over the view `lines`.

/// Container split-cost rows: they repeat, per pod or task, what the instance's own line already says.
pub(crate) const SPLIT_OPERATIONS: [&str; 2] = ["EKSPod-EC2", "ECSTask-EC2"];

/// The dearest resources among the lines that may be AI.
pub(crate) fn resources(filter: &str, limit: usize) -> String {
    let split = literals(&SPLIT_OPERATIONS);
    format!(
        "SELECT resource_id, usage_account, currency, product_code, SUM(cost) AS cost_sum, COUNT(*) AS line_count \
         FROM lines WHERE ({filter}) AND resource_id <> '' AND (operation IS NULL OR operation NOT IN ({split})) \
         GROUP BY resource_id, usage_account, currency, product_code \
         ORDER BY cost_sum DESC LIMIT {limit}"
    )
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
