//! Is a bill line AI, and what exactly does it pay for?
//!
//! A pure function of what the line says. It promises three things. What is AI beyond doubt and what may be AI
//! (a GPU instance may render films) are told apart. A line that is AI but that no rule can take apart is kept
//! as AI with `understood = false`, never dropped. And tokens are counted only where the bill's own unit says
//! how many a unit stands for.
//!
//! Rules are tables beside their grammar: [`services`], [`bedrock`], [`sagemaker`], [`accelerators`],
//! [`models`]; those of other clouds are [`azure`] and [`google`].

pub mod accelerators;
mod azure;
mod bedrock;
mod class;
mod cloud;
#[cfg(test)]
mod cloud_tests;
mod counts;
mod google;
pub mod models;
mod sagemaker;
mod services;
#[cfg(test)]
mod tests;
mod units;
pub(crate) mod words;

pub use class::{Category, Classification, Meter, Routing, Tier, Verdict};
pub use cloud::Cloud;
pub use words::without_region;

/// Raised with every change of a rule and of what is read of a line's costs, and stored with the facts that it made:
/// whatever is delivered is read again by other rules.
pub const RULES_VERSION: u32 = 9;

/// The services whose lines may be AI and may be something else, by their stable names: what a tenant's people may say more
/// of than a rule knows.
pub const CANDIDATE_SERVICES: [&str; 7] = [
    "azure_ai_search",
    "azure_virtual_machines",
    "cloud_tpu",
    "compute_engine",
    "ec2",
    "fsx_lustre",
    "opensearch",
];

/// What a bill line says about itself. An empty text means that the bill left the cell empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LineKey<'a> {
    /// Whose rules hold.
    pub cloud: Cloud,
    /// The product code (CUR), service code (FOCUS), meter category (Azure) or service (Google); opaque for AWS Marketplace.
    pub product_code: &'a str,
    /// The product's or service's name.
    pub product_name: &'a str,
    /// The product family; `Amazon Bedrock` on every Bedrock line since July 2026, Marketplace ones included. Of Azure the
    /// meter's subcategory.
    pub product_family: &'a str,
    /// The usage type, the meter's name (Azure) or the SKU's description (Google; in FOCUS the charge's).
    pub usage_type: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// The line's description.
    pub description: &'a str,
    /// Who sells it: `AWS`, `AWS Marketplace` or another seller.
    pub billing_entity: &'a str,
    /// The line-item type or charge category.
    pub line_item_type: &'a str,
    /// `provider` of the product map.
    pub provider: &'a str,
    /// `model` of the product map.
    pub model: &'a str,
    /// `inference_type` of the product map.
    pub inference_type: &'a str,
    /// `feature` of the product map.
    pub feature: &'a str,
    /// The unit in which usage is counted.
    pub pricing_unit: &'a str,
    /// FOCUS' ServiceCategory.
    pub service_category: &'a str,
}

impl LineKey<'_> {
    fn by_marketplace(&self) -> bool {
        let entity = self.billing_entity;
        !entity.is_empty()
            && !entity.eq_ignore_ascii_case("AWS")
            && !entity.starts_with("Amazon Web Services")
    }
}

/// May a line with these first few properties be AI, once its name, model and description are known too?
///
/// Cheap columns decide for nearly every line of a bill; only where this says yes is the rest worth reading.
#[must_use]
pub fn screen(key: &LineKey<'_>) -> bool {
    let is_opaque = key.cloud == Cloud::Aws && key.by_marketplace() && key.product_name.is_empty();
    is_opaque || classify(key).verdict != Verdict::NotAi
}

/// What the line is.
#[must_use]
pub fn classify(key: &LineKey<'_>) -> Classification {
    let mut class = if key.cloud == Cloud::Azure {
        azure::classify(key)
    } else if key.cloud == Cloud::Google {
        google::classify(key)
    } else if services::is_bedrock(key) {
        bedrock::classify(key)
    } else if let Some(service) = services::core_service(key) {
        if service.slug == "sagemaker" { sagemaker::classify(key) } else { services::classify(service, key) }
    } else if let Some(candidate) = services::candidate(key) {
        candidate
    } else {
        return services::by_category(key).unwrap_or_else(Classification::not_ai);
    };
    if class.verdict == Verdict::NotAi {
        return services::by_category(key).unwrap_or(class);
    }
    if key.usage_type.is_empty() && !class.understood && !is_usage(key.line_item_type) {
        // A tax, credit or refund of the whole service: nothing is left to understand.
        class.category = Category::Adjustment;
        class.understood = true;
    }
    class
}

/// True for the services that people have seats of, by their names in reports.
#[must_use]
pub fn has_seats(service: &str) -> bool {
    services::has_seats(service)
}

/// True for the line types whose quantity is use: all others repeat, correct or tax it.
#[must_use]
pub fn is_usage(line_item_type: &str) -> bool {
    matches!(
        line_item_type,
        "Usage"
            | "DiscountedUsage"
            | "SavingsPlanCoveredUsage"
            | "FlatRateSubscription"
            | "regular"
            // As Google's own view in the columns of FOCUS spells it.
            | "usage"
            | ""
    )
}
