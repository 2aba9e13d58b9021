//! One view `lines` over every format: which columns of which format mean what.
//!
//! The view keeps a missing text as NULL and a missing cost as NULL: "no net cost column" falls back to the cost,
//! "no cost" stays unknown. Amortised cost follows the rules that AWS's own public dashboards apply per line-item
//! type; where a commitment's column is missing the cost as billed stands in.

use std::fmt::Write as _;

use costlens_domain::bill::ReportFormat;

use crate::columns::{Columns, Found, Kind};

/// What a raw column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// Text.
    Text,
    /// One key of a map, as text.
    Entry(&'static str),
    /// Money.
    Amount,
    /// A quantity.
    Quantity,
    /// A day.
    Day,
}

/// A column that the view needs from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The name in the table below the view.
    pub(crate) name: String,
    /// The column of the file.
    pub(crate) found: Found,
    /// What to read it as.
    pub(crate) what: What,
}

/// How a table below the view types its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// Already as the view wants them (our CSV reader).
    Exact,
    /// As the Parquet file has them.
    AsFound,
}

/// Digits after the point of an exact amount.
pub(crate) const AMOUNT_SCALE: i8 = 18;
/// Digits after the point of an amount that came as a binary number: more would be noise.
pub(crate) const FLOAT_SCALE: i8 = 12;

/// One column of the view: its name and where it comes from, best source first.
type Mapping = (&'static str, &'static [(&'static str, What)]);

const fn text(name: &'static str) -> (&'static str, What) {
    (name, What::Text)
}

const CUR: &[Mapping] = &[
    ("day", &[("line_item_usage_start_date", What::Day), ("bill_billing_period_start_date", What::Day)]),
    ("billing_account", &[text("bill_payer_account_id")]),
    ("usage_account", &[text("line_item_usage_account_id")]),
    ("region", &[text("product_region_code"), text("product_region"), ("product", What::Entry("region"))]),
    ("billing_entity", &[text("bill_billing_entity")]),
    ("product_code", &[text("line_item_product_code")]),
    ("product_name", &[text("product_product_name"), ("product", What::Entry("product_name"))]),
    ("cheap_name", &[text("product_product_name")]),
    ("product_family", &[text("product_product_family")]),
    ("usage_type", &[text("line_item_usage_type")]),
    ("operation", &[text("line_item_operation")]),
    ("description", &[text("line_item_line_item_description")]),
    ("line_type", &[text("line_item_line_item_type")]),
    ("currency", &[text("line_item_currency_code")]),
    ("resource_id", &[text("line_item_resource_id")]),
    ("principal", &[text("line_item_iam_principal")]),
    ("provider", &[text("product_provider"), ("product", What::Entry("provider"))]),
    ("model", &[text("product_model"), ("product", What::Entry("model"))]),
    ("inference_type", &[text("product_inference_type"), ("product", What::Entry("inference_type"))]),
    ("feature", &[text("product_feature"), ("product", What::Entry("feature"))]),
    ("pricing_unit", &[text("pricing_unit"), text("product_pricing_unit")]),
    ("service_category", &[]),
    ("reservation_arn", &[text("reservation_reservation_a_r_n")]),
    ("usage_quantity", &[("line_item_usage_amount", What::Quantity)]),
    ("cost", &[("line_item_unblended_cost", What::Amount)]),
    ("net_cost", &[("line_item_net_unblended_cost", What::Amount)]),
    ("plan_cost", &[("savings_plan_savings_plan_effective_cost", What::Amount)]),
    ("plan_total", &[("savings_plan_total_commitment_to_date", What::Amount)]),
    ("plan_used", &[("savings_plan_used_commitment", What::Amount)]),
    ("reserved_cost", &[("reservation_effective_cost", What::Amount)]),
    ("unused_upfront", &[("reservation_unused_amortized_upfront_fee_for_billing_period", What::Amount)]),
    ("unused_recurring", &[("reservation_unused_recurring_fee", What::Amount)]),
];

const FOCUS: &[Mapping] = &[
    ("day", &[("ChargePeriodStart", What::Day), ("BillingPeriodStart", What::Day)]),
    ("billing_account", &[text("BillingAccountId")]),
    ("usage_account", &[text("SubAccountId"), text("BillingAccountId")]),
    ("region", &[text("RegionId"), text("Region")]),
    ("billing_entity", &[text("PublisherName"), text("ProviderName")]),
    ("product_code", &[text("x_ServiceCode"), text("ServiceName")]),
    ("product_name", &[text("ServiceName")]),
    ("cheap_name", &[text("ServiceName")]),
    ("product_family", &[]),
    ("usage_type", &[text("x_UsageType"), text("SkuMeter")]),
    ("operation", &[text("x_Operation")]),
    ("description", &[text("ChargeDescription")]),
    ("line_type", &[text("ChargeCategory")]),
    ("currency", &[text("BillingCurrency")]),
    ("resource_id", &[text("ResourceId")]),
    ("principal", &[]),
    ("provider", &[]),
    ("model", &[]),
    ("inference_type", &[]),
    ("feature", &[]),
    ("pricing_unit", &[text("PricingUnit"), text("ConsumedUnit")]),
    ("service_category", &[text("ServiceCategory")]),
    ("usage_quantity", &[("PricingQuantity", What::Quantity), ("ConsumedQuantity", What::Quantity)]),
    ("cost", &[("BilledCost", What::Amount)]),
    ("effective_cost", &[("EffectiveCost", What::Amount)]),
];

/// The column that says what a line cost.
pub(crate) const fn cost_column(format: ReportFormat) -> &'static str {
    match format {
        ReportFormat::Focus => "BilledCost",
        ReportFormat::LegacyCur | ReportFormat::Cur2 => "line_item_unblended_cost",
    }
}

/// Does the file say what anything cost?
pub(crate) fn has_cost(format: ReportFormat, columns: &Columns) -> bool {
    columns.has(cost_column(format))
}

/// The SELECT that makes `lines` of one table, and the columns that it needs of that table.
pub(crate) fn select(
    format: ReportFormat,
    columns: &Columns,
    typing: Typing,
    table: &str,
) -> (String, Vec<Wanted>) {
    let mapping = if format == ReportFormat::Focus { FOCUS } else { CUR };
    let amount = amount_type(format, columns, typing);
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut inner = Vec::new();
    for (out, sources) in mapping {
        let expression =
            column(sources, columns, typing, &amount, &mut wanted).unwrap_or_else(|| missing(out, &amount));
        inner.push(format!("{expression} AS {out}"));
    }
    let mut sql = String::from("SELECT *, ");
    let _ = match format {
        ReportFormat::Focus => write!(
            sql,
            "cost AS net, COALESCE(effective_cost, cost) AS amortised FROM (SELECT {} FROM {table}) AS raw",
            inner.join(", ")
        ),
        ReportFormat::LegacyCur | ReportFormat::Cur2 => write!(
            sql,
            "COALESCE(net_cost, cost) AS net, {} AS amortised FROM (SELECT {} FROM {table}) AS raw",
            amortised(&amount),
            inner.join(", ")
        ),
    };
    (sql, wanted)
}

/// All amounts of one table have one type: exact where the file is exact.
fn amount_type(format: ReportFormat, columns: &Columns, typing: Typing) -> String {
    let binary =
        columns.find(cost_column(format)).is_some_and(|found| matches!(found.kind, Kind::Float | Kind::Text));
    let scale = if typing == Typing::AsFound && binary { FLOAT_SCALE } else { AMOUNT_SCALE };
    format!("DECIMAL(38, {scale})")
}

fn column(
    sources: &[(&'static str, What)],
    columns: &Columns,
    typing: Typing,
    amount: &str,
    wanted: &mut Vec<Wanted>,
) -> Option<String> {
    let mut found = Vec::new();
    for (name, what) in sources {
        let Some(column) = columns.find(name) else { continue };
        // Maps are dear: where a column of its own says it, they are left alone.
        let is_entry = matches!(what, What::Entry(_));
        if is_entry && (!found.is_empty() || !matches!(column.kind, Kind::Map | Kind::Text)) {
            continue;
        }
        if column.kind == Kind::Other || (*what == What::Text && column.kind == Kind::Map) {
            continue;
        }
        let name = match (typing, what) {
            (Typing::Exact, What::Entry(key)) => format!("{}[{key}]", column.name),
            _ => column.name.clone(),
        };
        found.push(expression(&name, column.kind, *what, typing, amount));
        if !wanted.iter().any(|known| known.name == name) {
            wanted.push(Wanted { name, found: column.clone(), what: *what });
        }
    }
    match found.len() {
        0 => None,
        1 => found.pop(),
        _ => Some(format!("COALESCE({})", found.join(", "))),
    }
}

/// The SQL that reads one column.
fn expression(name: &str, kind: Kind, what: What, typing: Typing, amount: &str) -> String {
    let name = quoted(name);
    if typing == Typing::Exact {
        return name;
    }
    match (what, kind) {
        (What::Text, Kind::Text) => name,
        (What::Text, _) => format!("CAST({name} AS VARCHAR)"),
        (What::Entry(key), _) => format!("get_field({name}, '{key}')"),
        (What::Amount, Kind::Text) => format!("CAST(CAST(NULLIF({name}, '') AS DOUBLE) AS {amount})"),
        (What::Amount, _) => format!("CAST({name} AS {amount})"),
        (What::Quantity, Kind::Text) => {
            format!("CAST(CAST(NULLIF({name}, '') AS DOUBLE) AS DECIMAL(38, {FLOAT_SCALE}))")
        }
        (What::Quantity, _) => format!("CAST({name} AS DECIMAL(38, {FLOAT_SCALE}))"),
        (What::Day, Kind::Text) => format!("CAST(SUBSTR(NULLIF({name}, ''), 1, 10) AS DATE)"),
        (What::Day, _) => format!("CAST({name} AS DATE)"),
    }
}

/// What stands for a column that the file does not have.
fn missing(out: &str, amount: &str) -> String {
    match out {
        "day" => "CAST(NULL AS DATE)".to_owned(),
        "usage_quantity" => format!("CAST(NULL AS DECIMAL(38, {FLOAT_SCALE}))"),
        "cost" | "net_cost" | "plan_cost" | "plan_total" | "plan_used" | "reserved_cost"
        | "unused_upfront" | "unused_recurring" | "effective_cost" => format!("CAST(NULL AS {amount})"),
        _ => "CAST(NULL AS VARCHAR)".to_owned(),
    }
}

fn amortised(amount: &str) -> String {
    let zero = format!("CAST(0 AS {amount})");
    format!(
        "CASE \
         WHEN line_type = 'SavingsPlanCoveredUsage' THEN COALESCE(plan_cost, cost) \
         WHEN line_type = 'SavingsPlanRecurringFee' THEN COALESCE(plan_total - plan_used, cost) \
         WHEN line_type IN ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') THEN {zero} \
         WHEN line_type = 'DiscountedUsage' THEN COALESCE(reserved_cost, cost) \
         WHEN line_type = 'RIFee' THEN COALESCE(unused_upfront + unused_recurring, unused_upfront, unused_recurring, cost) \
         WHEN line_type = 'Fee' AND reservation_arn <> '' THEN {zero} \
         WHEN line_type = 'Refund' AND product_code = 'ComputeSavingsPlans' \
              AND description LIKE 'Refund for one-time fee for Savings Plan ID%' THEN {zero} \
         ELSE cost END"
    )
}

/// A name as SQL writes one that may hold anything.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
