//! What the columns of a bill mean: one table a format, and the columns of a batch found by it.
//!
//! Of several sources of one meaning the first that says something counts. Amounts are whole numbers of
//! 10⁻¹⁸ units ([`SCALE`]), whatever the file has them in.

pub(crate) mod amounts;
pub(crate) mod texts;

use costlens_domain::bill::ReportFormat;

use crate::columns::{Columns, Found, Kind};

/// Digits after the point of an amount.
pub(crate) const SCALE: u8 = 18;
/// Digits after the point that are kept of an amount that came as a binary number: more would be noise.
pub(crate) const FLOAT_SCALE: u8 = 12;

/// What a raw column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// Text.
    Text,
    /// One key of a map, as text.
    Entry(&'static str),
    /// Money or a quantity.
    Amount,
    /// Money as a JSON list of amounts (Google's credits) or as their sum, added to the column of this name.
    AddedTo(&'static str),
    /// A day.
    Day,
}

/// A column that is needed of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The column of the file.
    pub(crate) found: Found,
    /// What to read it as.
    pub(crate) what: What,
}

/// A meaning and where it comes from, best source first.
type Mapping = (&'static str, &'static [(&'static str, What)]);

const fn text(name: &'static str) -> (&'static str, What) {
    (name, What::Text)
}

const fn entry(key: &'static str) -> (&'static str, What) {
    ("product", What::Entry(key))
}

const fn amount(name: &'static str) -> (&'static str, What) {
    (name, What::Amount)
}

const CUR: &[Mapping] = &[
    ("day", &[("line_item_usage_start_date", What::Day), ("bill_billing_period_start_date", What::Day)]),
    ("billing_account", &[text("bill_payer_account_id")]),
    ("invoice_id", &[text("bill_invoice_id")]),
    ("usage_account", &[text("line_item_usage_account_id")]),
    ("region", &[text("product_region_code"), text("product_region"), entry("region")]),
    ("billing_entity", &[text("bill_billing_entity")]),
    ("product_code", &[text("line_item_product_code")]),
    ("product_name", &[text("product_product_name"), entry("product_name")]),
    ("cheap_name", &[text("product_product_name")]),
    ("product_family", &[text("product_product_family")]),
    ("usage_type", &[text("line_item_usage_type")]),
    ("operation", &[text("line_item_operation")]),
    ("description", &[text("line_item_line_item_description")]),
    ("line_type", &[text("line_item_line_item_type")]),
    ("currency", &[text("line_item_currency_code")]),
    ("resource_id", &[text("line_item_resource_id")]),
    // IAM's principals are of Bedrock alone. Of seats it is the user of the organisation's directory, whom their resource may name,
    // too (see [`DIRECTORY_USER`]).
    ("principal", &[text("line_item_iam_principal"), text("line_item_user_identifier")]),
    ("provider", &[text("product_provider"), entry("provider")]),
    ("model", &[text("product_model"), entry("model")]),
    ("inference_type", &[text("product_inference_type"), entry("inference_type")]),
    ("feature", &[text("product_feature"), entry("feature")]),
    ("pricing_unit", &[text("pricing_unit"), text("product_pricing_unit")]),
    ("reservation_arn", &[text("reservation_reservation_a_r_n")]),
    ("usage_quantity", &[amount("line_item_usage_amount")]),
    ("cost", &[amount("line_item_unblended_cost")]),
    ("net_cost", &[amount("line_item_net_unblended_cost")]),
    ("plan_cost", &[amount("savings_plan_savings_plan_effective_cost")]),
    ("plan_total", &[amount("savings_plan_total_commitment_to_date")]),
    ("plan_used", &[amount("savings_plan_used_commitment")]),
    ("reserved_cost", &[amount("reservation_effective_cost")]),
    ("unused_upfront", &[amount("reservation_unused_amortized_upfront_fee_for_billing_period")]),
    ("unused_recurring", &[amount("reservation_unused_recurring_fee")]),
    ("list_cost", &[amount("pricing_public_on_demand_cost")]),
    ("net_plan_cost", &[amount("savings_plan_net_savings_plan_effective_cost")]),
    ("net_reserved_cost", &[amount("reservation_net_effective_cost")]),
    ("net_unused_upfront", &[amount("reservation_net_unused_amortized_upfront_fee_for_billing_period")]),
    ("net_unused_recurring", &[amount("reservation_net_unused_recurring_fee")]),
];

/// Azure Cost Management, of whichever agreement and version (Microsoft, "Cost and usage details file schema", 2026-11).
const AZURE: &[Mapping] = &[
    ("day", &[("Date", What::Day), ("UsageDate", What::Day), ("UsageDateTime", What::Day)]),
    // A file of one subscription may not say to which account it belongs.
    (
        "billing_account",
        &[
            text("BillingAccountId"),
            text("BillingAccountName"),
            text("SubscriptionId"),
            text("SubscriptionGuid"),
            text("SubscriptionName"),
        ],
    ),
    ("usage_account", &[text("SubscriptionId"), text("SubscriptionGuid"), text("SubscriptionName")]),
    ("region", &[text("ResourceLocation"), text("ResourceLocationNormalized"), text("MeterRegion")]),
    ("billing_entity", &[text("PublisherName"), text("PublisherType")]),
    ("product_code", &[text("MeterCategory")]),
    ("product_name", &[text("ProductName"), text("Product")]),
    ("cheap_name", &[text("MeterCategory")]),
    ("product_family", &[text("MeterSubCategory")]),
    ("usage_type", &[text("MeterName"), text("Meter")]),
    // What a commitment covers is known by how it was priced.
    ("operation", &[text("PricingModel")]),
    ("description", &[text("ProductName"), text("Product")]),
    ("line_type", &[text("ChargeType")]),
    ("currency", &[text("BillingCurrency"), text("BillingCurrencyCode"), text("Currency")]),
    ("resource_id", &[text("ResourceId"), text("InstanceId"), text("InstanceName")]),
    ("pricing_unit", &[text("UnitOfMeasure")]),
    ("usage_quantity", &[amount("Quantity"), amount("UsageQuantity")]),
    ("cost", &[amount("CostInBillingCurrency"), amount("Cost"), amount("PreTaxCost")]),
];

/// Rows of Google Cloud's export to BigQuery (Google, "Structure of the standard data export", 2026-11). BigQuery writes a
/// field in a field as `service.description` in JSON; whoever makes CSV of it names it so, or `service_description`.
const GOOGLE: &[Mapping] = &[
    ("day", &[("usage_start_time", What::Day), ("usage_end_time", What::Day)]),
    ("billing_account", &[text("billing_account_id")]),
    ("usage_account", &[text("project.id"), text("project.number")]),
    ("region", &[text("location.region"), text("location.location")]),
    ("billing_entity", &[text("seller_name")]),
    ("product_code", &[text("service.description"), text("service.id")]),
    ("product_name", &[text("service.description")]),
    ("cheap_name", &[text("service.description")]),
    ("usage_type", &[text("sku.description"), text("sku.id")]),
    ("description", &[text("sku.description")]),
    ("line_type", &[text("cost_type")]),
    ("currency", &[text("currency")]),
    ("resource_id", &[text("resource.global_name"), text("resource.name")]),
    ("pricing_unit", &[text("usage.pricing_unit"), text("usage.unit")]),
    ("usage_quantity", &[amount("usage.amount_in_pricing_units"), amount("usage.amount")]),
    ("cost", &[amount("cost")]),
    (
        "net_cost",
        &[
            ("credits", What::AddedTo("cost")),
            ("credits_amount", What::AddedTo("cost")),
            ("total_credits", What::AddedTo("cost")),
        ],
    ),
];

/// Every field of Google's rows that is read; a row in JSON leaves out those that say nothing.
pub(crate) fn google_fields() -> impl Iterator<Item = &'static str> {
    let fields = GOOGLE.iter().flat_map(|(_, sources)| sources.iter().map(|(name, _)| *name));
    fields.collect::<std::collections::BTreeSet<_>>().into_iter()
}

const FOCUS: &[Mapping] = &[
    // Whose bill it is.
    ("issuer", &[text("ProviderName"), text("ServiceProviderName"), text("InvoiceIssuerName")]),
    ("day", &[("ChargePeriodStart", What::Day), ("BillingPeriodStart", What::Day)]),
    ("billing_account", &[text("BillingAccountId")]),
    ("invoice_id", &[text("InvoiceId")]),
    ("usage_account", &[text("SubAccountId"), text("BillingAccountId")]),
    ("region", &[text("RegionId"), text("Region")]),
    ("billing_entity", &[text("PublisherName"), text("ProviderName")]),
    // Columns with `x_` are the providers' own: AWS' first, then Azure's.
    ("product_code", &[text("x_ServiceCode"), text("x_SkuMeterCategory"), text("ServiceName")]),
    ("product_name", &[text("ServiceName")]),
    ("cheap_name", &[text("ServiceName")]),
    ("product_family", &[text("x_SkuMeterSubcategory")]),
    ("usage_type", &[text("x_UsageType"), text("x_SkuMeterName"), text("SkuMeter")]),
    // What Google calls a SKU has no column of its own in FOCUS: its description is the charge's.
    ("sku", &[text("ChargeDescription"), text("SkuMeter"), text("SkuId")]),
    ("operation", &[text("x_Operation")]),
    ("description", &[text("ChargeDescription")]),
    ("line_type", &[text("ChargeCategory")]),
    ("currency", &[text("BillingCurrency")]),
    ("resource_id", &[text("ResourceId")]),
    // Azure's own column says of how many the price is.
    ("pricing_unit", &[text("x_PricingUnitDescription"), text("PricingUnit"), text("ConsumedUnit")]),
    ("service_category", &[text("ServiceCategory")]),
    ("usage_quantity", &[amount("PricingQuantity"), amount("ConsumedQuantity")]),
    ("cost", &[amount("BilledCost")]),
    ("effective_cost", &[amount("EffectiveCost")]),
    ("list_cost", &[amount("ListCost")]),
];

/// The column that says what a line cost. Files are never of vendors' own reports, which have no columns.
pub(crate) const fn cost_column(format: ReportFormat) -> &'static str {
    match format {
        ReportFormat::Focus | ReportFormat::AzureFocus | ReportFormat::GoogleFocus => "BilledCost",
        ReportFormat::AzureCosts | ReportFormat::AzureAmortised => "CostInBillingCurrency",
        ReportFormat::GoogleCosts => "cost",
        ReportFormat::LegacyCur
        | ReportFormat::Cur2
        | ReportFormat::AnthropicCosts
        | ReportFormat::OpenAiCosts => "line_item_unblended_cost",
    }
}

/// Does the file say what anything cost?
pub(crate) fn has_cost(format: ReportFormat, columns: &Columns) -> bool {
    !sources(format, columns, "cost").is_empty()
}

/// What a file of this format must say beside its costs, and which of it no column of the file says. Without a meter's name
/// nothing would be AI, and without a currency no sum would be money.
pub(crate) fn missing(format: ReportFormat, columns: &Columns) -> Vec<&'static str> {
    let needed: &[&'static str] = match format {
        ReportFormat::AzureCosts | ReportFormat::AzureAmortised => {
            &["day", "currency", "product_code", "usage_type"]
        }
        ReportFormat::GoogleCosts => &["day", "currency", "product_code", "usage_type", "billing_account"],
        _ => &[],
    };
    let unsaid = needed.iter().filter(|meaning| sources(format, columns, meaning).is_empty());
    let first = |meaning: &&'static str| {
        let (_, sources) = mapping(format).iter().find(|(name, _)| name == meaning)?;
        sources.first().map(|(name, _)| *name)
    };
    unsaid.filter_map(first).collect()
}

/// Whose lines a file of this format has, where the format alone says it.
const fn issuer(format: ReportFormat) -> Option<&'static str> {
    match format {
        ReportFormat::AzureCosts | ReportFormat::AzureAmortised => Some("Microsoft"),
        ReportFormat::GoogleCosts => Some("Google"),
        _ => None,
    }
}

const fn mapping(format: ReportFormat) -> &'static [Mapping] {
    match format {
        ReportFormat::Focus | ReportFormat::AzureFocus | ReportFormat::GoogleFocus => FOCUS,
        ReportFormat::AzureCosts | ReportFormat::AzureAmortised => AZURE,
        ReportFormat::GoogleCosts => GOOGLE,
        ReportFormat::LegacyCur
        | ReportFormat::Cur2
        | ReportFormat::AnthropicCosts
        | ReportFormat::OpenAiCosts => CUR,
    }
}

/// The columns that say `meaning`, best first; none where the file does not say it.
pub(crate) fn sources(format: ReportFormat, columns: &Columns, meaning: &str) -> Vec<Wanted> {
    let Some((_, sources)) = mapping(format).iter().find(|(name, _)| *name == meaning) else {
        return Vec::new();
    };
    // A file of AWS' or Azure's own, which say it in a column that is read anyway.
    if meaning == SKU && (columns.has("x_UsageType") || columns.has("x_SkuMeterName")) {
        return Vec::new();
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for (name, what) in *sources {
        let Some(found) = columns.find(name) else { continue };
        // Maps are dear: where a column of its own says it, they are left alone.
        let is_entry = matches!(what, What::Entry(_));
        if is_entry && (!wanted.is_empty() || !matches!(found.kind, Kind::Map | Kind::Text)) {
            continue;
        }
        if found.kind == Kind::Other || (*what == What::Text && found.kind == Kind::Map) {
            continue;
        }
        if matches!(what, What::AddedTo(_)) && found.kind != Kind::Text {
            continue;
        }
        // Azure prices by blocks and says how large they are; what was consumed is counted in single ones.
        if *name == "ConsumedQuantity" && columns.find("x_PricingUnitDescription").is_some() {
            continue;
        }
        wanted.push(Wanted { found: found.clone(), what: *what });
    }
    wanted
}

/// What names a SKU of Google's where no column has its usage type.
const SKU: &str = "sku";
/// What was used, by its name or ARN.
const RESOURCE: &str = "resource_id";
/// How the resource of a seat begins that names its holder: a user of IAM Identity Center, whose ARN has no region and account.
pub(crate) const DIRECTORY_USER: &str = "arn:aws:identitystore:";

/// The texts that a first look at a line needs, in the order of [`Layout::texts`].
pub(crate) const FIRST_TEXTS: [&str; 10] = [
    "line_type",
    "currency",
    "billing_entity",
    "product_code",
    "cheap_name",
    "product_family",
    "service_category",
    "usage_type",
    "operation",
    "issuer",
];
/// The place of the usage type in [`FIRST_TEXTS`].
pub(crate) const USAGE_TEXT: usize = 7;
/// The place of the issuer.
pub(crate) const ISSUER_TEXT: usize = FIRST_TEXTS.len() - 1;
/// Of the invoice it only counts whether a line names one.
pub(crate) const FIRST_FLAGS: [&str; 1] = ["invoice_id"];
/// The amounts that a first look needs.
pub(crate) const FIRST_AMOUNTS: [&str; 1] = ["cost"];

/// What else a line says about its product.
pub(crate) const PRODUCT_TEXTS: [&str; 7] =
    ["product_name", "description", "provider", "model", "inference_type", "feature", "pricing_unit"];
/// Who used it and where.
pub(crate) const USER_TEXTS: [&str; 4] = ["billing_account", "usage_account", "region", "principal"];
/// The place of the principal in [`USER_TEXTS`].
pub(crate) const PRINCIPAL_TEXT: usize = USER_TEXTS.len() - 1;
/// Of the reservation it only counts whether there is one.
pub(crate) const REST_FLAGS: [&str; 1] = ["reservation_arn"];
/// The other amounts of any line.
pub(crate) const PLAIN_AMOUNTS: [&str; 4] = ["usage_quantity", "net_cost", "list_cost", "effective_cost"];
/// Where the list price stands among them.
pub(crate) const LIST_COST: usize = 2;
/// The amounts that only say something of commitments: what they cover, and what nothing used.
pub(crate) const COMMITMENT_AMOUNTS: [&str; 10] = [
    "plan_cost",
    "net_plan_cost",
    "plan_total",
    "plan_used",
    "reserved_cost",
    "net_reserved_cost",
    "unused_upfront",
    "net_unused_upfront",
    "unused_recurring",
    "net_unused_recurring",
];

/// Which columns of a batch have which meanings: places in the batch, best source first.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The columns to read. Those of CSV stand in the batch in this order, those of Parquet in the file's.
    pub(crate) wanted: Vec<Wanted>,
    /// One list of sources a text.
    pub(crate) texts: Vec<Vec<Source>>,
    /// One list of sources a text that only has to be there.
    pub(crate) flags: Vec<Vec<Source>>,
    /// One list of sources an amount.
    pub(crate) amounts: Vec<Vec<Source>>,
    /// The sources of the day.
    pub(crate) day: Vec<Source>,
    /// The sources of what stands in for the usage type of Google's lines; none where the file has usage types.
    pub(crate) sku: Vec<Source>,
    /// The sources of the resource; none where it is not asked for.
    pub(crate) resource: Vec<Source>,
    /// Whose lines they are, where the format says it and no column.
    pub(crate) issuer: Option<&'static str>,
}

/// One source of one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The place of the column in the batch.
    pub(crate) place: usize,
    /// The key, where the column is a map that is still whole.
    pub(crate) key: Option<&'static str>,
}

/// What a layout is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meanings<'a> {
    pub(crate) texts: &'a [&'static str],
    pub(crate) flags: &'a [&'static str],
    pub(crate) amounts: &'a [&'static str],
    pub(crate) day: bool,
    pub(crate) sku: bool,
    pub(crate) resource: bool,
}

/// How a file's columns arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// One array for each of [`Layout::wanted`], maps taken apart (our CSV reader).
    Wanted,
    /// One array for each column of the file that is wanted, in the file's order, maps whole (Parquet).
    Whole,
}

impl Layout {
    pub(crate) fn new(format: ReportFormat, columns: &Columns, arrival: Arrival, of: Meanings<'_>) -> Self {
        let find = |meaning: &&'static str| sources(format, columns, meaning);
        let texts: Vec<Vec<Wanted>> = of.texts.iter().map(find).collect();
        let flags: Vec<Vec<Wanted>> = of.flags.iter().map(find).collect();
        let amounts: Vec<Vec<Wanted>> = of.amounts.iter().map(find).collect();
        let day = if of.day { find(&"day") } else { Vec::new() };
        let sku = if of.sku { find(&SKU) } else { Vec::new() };
        let resource = if of.resource { find(&RESOURCE) } else { Vec::new() };
        let mut wanted: Vec<Wanted> = Vec::new();
        for column in
            texts.iter().chain(&flags).chain(&amounts).flatten().chain(&day).chain(&sku).chain(&resource)
        {
            if !wanted.contains(column) {
                wanted.push(column.clone());
            }
        }
        let roots = roots(&wanted);
        let source = |column: &Wanted| match (arrival, column.what) {
            (Arrival::Wanted, _) => {
                wanted.iter().position(|known| known == column).map(|place| Source { place, key: None })
            }
            (Arrival::Whole, what) => {
                let key = if let What::Entry(key) = what { Some(key) } else { None };
                roots.iter().position(|root| *root == column.found.index).map(|place| Source { place, key })
            }
        };
        let all = |lists: &[Vec<Wanted>]| -> Vec<Vec<Source>> {
            lists.iter().map(|list| list.iter().filter_map(source).collect()).collect()
        };
        let (texts, flags, amounts) = (all(&texts), all(&flags), all(&amounts));
        let day = day.iter().filter_map(source).collect();
        let sku = sku.iter().filter_map(source).collect();
        let resource = resource.iter().filter_map(source).collect();
        Self { wanted, texts, flags, amounts, day, sku, resource, issuer: issuer(format) }
    }

    /// The columns of the file that say what was used.
    pub(crate) fn resource_columns(&self) -> Vec<usize> {
        let roots = self.roots();
        self.resource.iter().filter_map(|source| roots.get(source.place).copied()).collect()
    }

    /// The columns of the file to read, in its order.
    pub(crate) fn roots(&self) -> Vec<usize> {
        roots(&self.wanted)
    }
}

fn roots(wanted: &[Wanted]) -> Vec<usize> {
    let mut roots: Vec<usize> = wanted.iter().map(|column| column.found.index).collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}
