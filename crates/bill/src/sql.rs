//! The queries: portable SQL over the view `lines`.

/// Container split-cost rows: they repeat, per pod or task, what the instance's own line already says.
const SPLIT: &str = "operation IN ('EKSPod-EC2', 'ECSTask-EC2')";

/// Line types whose quantity is use (see `costlens_domain::classify::is_usage`).
const USAGE: &str =
    "line_type IN ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage', 'FlatRateSubscription')";

/// Pass one: every line, by the cheap columns that a first look at a product needs.
pub(crate) fn totals() -> String {
    format!(
        "SELECT line_type, currency, billing_entity, product_code, cheap_name, product_family, \
         service_category, usage_type, {SPLIT} AS is_split, \
         COUNT(*) AS line_count, COUNT(cost) AS priced_count, SUM(cost) AS cost_sum, \
         MIN(day) AS first_day, MAX(day) AS last_day \
         FROM lines GROUP BY line_type, currency, billing_entity, product_code, cheap_name, \
         product_family, service_category, usage_type, {SPLIT}"
    )
}

/// The text columns of pass two, in the order of its result.
pub(crate) const FACT_TEXTS: [&str; 19] = [
    "billing_account",
    "usage_account",
    "region",
    "billing_entity",
    "product_code",
    "product_name",
    "product_family",
    "usage_type",
    "operation",
    "description",
    "line_type",
    "currency",
    "principal",
    "provider",
    "model",
    "inference_type",
    "feature",
    "pricing_unit",
    "service_category",
];

/// Pass two: the lines that may be AI, in full.
pub(crate) fn facts(filter: &str) -> String {
    let texts = FACT_TEXTS.join(", ");
    format!(
        "SELECT {texts}, day, COUNT(*) AS line_count, \
         SUM(CASE WHEN {USAGE} THEN usage_quantity END) AS usage_sum, \
         SUM(cost) AS cost_sum, SUM(net) AS net_sum, SUM(amortised) AS amortised_sum \
         FROM lines WHERE ({filter}) AND (operation IS NULL OR NOT {SPLIT}) \
         GROUP BY {texts}, day"
    )
}

/// Pass three: the dearest resources among the lines that may be AI.
pub(crate) fn resources(filter: &str, limit: usize) -> String {
    format!(
        "SELECT resource_id, usage_account, currency, product_code, SUM(cost) AS cost_sum, COUNT(*) AS line_count \
         FROM lines WHERE ({filter}) AND resource_id <> '' AND (operation IS NULL OR NOT {SPLIT}) \
         GROUP BY resource_id, usage_account, currency, product_code \
         ORDER BY cost_sum DESC LIMIT {limit}"
    )
}

/// The condition that holds for these products as a whole and for these usage types of any product. It may let
/// through too much: what comes through is classified again, in full.
pub(crate) fn filter(products: &[&str], usage_types: &[&str]) -> Option<String> {
    let mut parts = Vec::new();
    if !products.is_empty() {
        parts.push(format!("product_code IN ({})", literals(products)));
    }
    if !usage_types.is_empty() {
        parts.push(format!("usage_type IN ({})", literals(usage_types)));
    }
    (!parts.is_empty()).then(|| parts.join(" OR "))
}

fn literals(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    quoted.join(", ")
}
