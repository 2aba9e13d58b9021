//! The queries: portable SQL over the view `lines`.

use std::collections::BTreeSet;

use costlens_domain::bill::Text;

/// Container split-cost rows: they repeat, per pod or task, what the instance's own line already says.
pub(crate) const SPLIT_OPERATIONS: [&str; 2] = ["EKSPod-EC2", "ECSTask-EC2"];

/// Lines to be asked for: those of these products as a whole, and those of these usage types. Of the latter some may be of another
/// product; the kinds tell them apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) products: BTreeSet<Text>,
    pub(crate) usage_types: BTreeSet<Text>,
}

impl Scope {
    /// How many names it has.
    pub(crate) fn names(&self) -> usize {
        self.products.len() + self.usage_types.len()
    }

    fn condition(&self) -> String {
        let mut parts = Vec::new();
        if !self.products.is_empty() {
            parts.push(format!("product_code IN ({})", literals(&self.products)));
        }
        if !self.usage_types.is_empty() {
            let named = literals(&self.usage_types);
            // What names no usage type has the empty one, and `IN` is never true of nothing.
            parts.push(format!("COALESCE(usage_type, '') IN ({named}) OR sku IN ({named})"));
        }
        if parts.is_empty() { "1 = 0".to_owned() } else { parts.join(" OR ") }
    }
}

/// Lines that count as one kind, by its number: those of a product, or of some of its usage types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfKind<'a> {
    pub(crate) product_code: &'a str,
    /// `None` where the whole product is of the kind.
    pub(crate) usage_types: Option<Vec<&'a str>>,
    pub(crate) kind: usize,
}

impl OfKind<'_> {
    /// How many names it has.
    pub(crate) fn names(&self) -> usize {
        1 + self.usage_types.as_ref().map_or(0, Vec::len)
    }

    fn case(&self) -> String {
        // What names no product code has the empty one, and `IN` is never true of nothing.
        let product = format!("COALESCE(product_code, '') = {}", literals([self.product_code]));
        let usage_type = self.usage_types.as_ref().map(|usage_types| {
            let named = literals(usage_types);
            format!(" AND (COALESCE(usage_type, '') IN ({named}) OR sku IN ({named}))")
        });
        format!("WHEN {product}{} THEN '{}'", usage_type.unwrap_or_default(), self.kind)
    }
}

/// What each resource of the lines that are AI or may be cost. The first of the kinds that fits a line counts. `currencies` are
/// told by their codes, all others by `other`, or not at all where that is empty.
pub(crate) fn resources(scope: &Scope, kinds: &[OfKind<'_>], currencies: &[&str], other: &str) -> String {
    let filter = scope.condition();
    let split = literals(SPLIT_OPERATIONS);
    let kinds: Vec<String> = kinds.iter().map(OfKind::case).collect();
    let kinds = kinds.join(" ");
    // As it is read, `usd` and `USD ` are one with `USD`.
    let currency = match currencies {
        [] => literals([other]),
        codes => format!(
            "CASE WHEN UPPER(TRIM(currency)) IN ({}) THEN UPPER(TRIM(currency)) ELSE {} END",
            literals(codes),
            literals([other])
        ),
    };
    format!(
        "SELECT resource_id, account, code, kind, COALESCE(SUM(cost), 0) AS cost_sum, COUNT(*) AS line_count \
         FROM (SELECT resource_id, COALESCE(usage_account, '') AS account, {currency} AS code, cost, \
         CASE {kinds} ELSE '' END AS kind FROM lines WHERE ({filter}) AND resource_id <> '' \
         AND (operation IS NULL OR operation NOT IN ({split}))) AS kept \
         WHERE kind <> '' AND code <> '' GROUP BY resource_id, account, code, kind"
    )
}

fn literals(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<String> =
        texts.into_iter().map(|text| format!("'{}'", text.as_ref().replace('\'', "''"))).collect();
    quoted.join(", ")
}
