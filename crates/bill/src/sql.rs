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

/// What a line says about its product, in few columns.
pub(crate) const KEY_TEXTS: [&str; 6] =
    ["product_code", "usage_type", "operation", "line_type", "pricing_unit", "billing_entity"];

/// What else it says about its product: maps and descriptions, dear to read and dearer to group by.
pub(crate) const CLASS_TEXTS: [&str; 8] = [
    "product_name",
    "product_family",
    "description",
    "provider",
    "model",
    "inference_type",
    "feature",
    "service_category",
];

/// Who used it and where.
pub(crate) const USER_TEXTS: [&str; 5] =
    ["billing_account", "usage_account", "region", "principal", "currency"];

/// Pass two: what the lines that may be AI say about their products, each way of saying it once.
pub(crate) fn classes(filter: &str) -> String {
    let texts = [KEY_TEXTS.as_slice(), CLASS_TEXTS.as_slice()].concat().join(", ");
    format!(
        "SELECT {texts}, COUNT(*) AS line_count FROM lines \
         WHERE ({filter}) AND (operation IS NULL OR NOT {SPLIT}) GROUP BY {texts}"
    )
}

/// Pass three: the facts; `in_full` groups by the dear columns too, for products whose few columns say too little.
pub(crate) fn facts(filter: &str, in_full: bool) -> String {
    let dear = if in_full { CLASS_TEXTS.as_slice() } else { &[] };
    let texts = [KEY_TEXTS.as_slice(), USER_TEXTS.as_slice(), dear].concat().join(", ");
    format!(
        "SELECT {texts}, day, COUNT(*) AS line_count, \
         SUM(CASE WHEN {USAGE} THEN usage_quantity END) AS usage_sum, \
         SUM(cost) AS cost_sum, SUM(net) AS net_sum, SUM(amortised) AS amortised_sum \
         FROM lines WHERE ({filter}) AND (operation IS NULL OR NOT {SPLIT}) \
         GROUP BY {texts}, day"
    )
}

/// Pass four: the dearest resources among the lines that may be AI.
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
