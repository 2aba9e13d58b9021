//! SageMaker's usage types: `<region>-<component>:[<app>-]ml.<family>.<size>[-<suffix>]`.
//!
//! Components follow the groups of AWS's public cost dashboards. Volumes and bytes are looked for first, since
//! they name the component that they belong to (`Host:VolumeUsage.gp2`), and warm pools before training.

use super::words::without_region;
use super::{Category, Classification, LineKey, Meter, Verdict, is_usage};

/// What stands in a usage type, the category it means, and what it counts.
const COMPONENTS: &[(&str, Category, Meter)] = &[
    ("volumeusage", Category::Storage, Meter::Storage),
    ("storageio", Category::Storage, Meter::Bytes),
    ("data-bytes", Category::DataTransfer, Meter::Bytes),
    ("requestunits", Category::Storage, Meter::Requests),
    ("timedstorage", Category::Storage, Meter::Storage),
    ("timedandpitrstorage", Category::Storage, Meter::Storage),
    ("featurestore", Category::Storage, Meter::Units),
    ("a2i", Category::Labelling, Meter::Objects),
    ("labeled", Category::Labelling, Meter::Objects),
    ("txtspan", Category::Labelling, Meter::Objects),
    ("txtclass", Category::Labelling, Meter::Objects),
    ("trainwarmpool", Category::Training, Meter::Hours),
    ("trspt", Category::Training, Meter::Hours),
    ("train", Category::Training, Meter::Hours),
    ("cluster", Category::Training, Meter::Hours),
    ("autopilot", Category::Training, Meter::Units),
    ("asyncinf", Category::Inference, Meter::Hours),
    ("serverlessinf", Category::Inference, Meter::Units),
    ("host", Category::Inference, Meter::Hours),
    ("tsform", Category::Inference, Meter::Hours),
    ("notebk", Category::Development, Meter::Hours),
    ("rstudio", Category::Development, Meter::Hours),
    ("studio", Category::Development, Meter::Hours),
    ("canvas:session", Category::Development, Meter::Hours),
    ("canvas", Category::Development, Meter::Units),
    ("mlflow", Category::Development, Meter::Hours),
    ("partnerapp", Category::Development, Meter::Hours),
    ("processing", Category::DataPreparation, Meter::Hours),
    ("datawrangler", Category::DataPreparation, Meter::Hours),
    ("geospatial", Category::DataPreparation, Meter::Units),
    ("monitor", Category::Evaluation, Meter::Hours),
];

/// A line of SageMaker.
pub(super) fn classify(key: &LineKey<'_>) -> Classification {
    let usage_type = without_region(key.usage_type);
    let lower = usage_type.to_ascii_lowercase();
    let Some((_, category, meter)) = COMPONENTS.iter().find(|(component, ..)| lower.contains(component))
    else {
        return of_plan(key).unwrap_or_else(|| Classification::not_understood("sagemaker"));
    };
    let class = Classification::of(Verdict::Ai, "sagemaker", *category, *meter);
    match instance_type(usage_type) {
        Some(instance_type) => class.on_instance(instance_type),
        None => class,
    }
}

/// A line of a Savings Plan that names no component: the plan's fee, or what takes back or corrects.
fn of_plan(key: &LineKey<'_>) -> Option<Classification> {
    const NAMES: [&str; 2] = ["MachineLearningSavingsPlans", "Machine Learning Savings Plans"];
    let name = if key.product_code.is_empty() { key.product_name } else { key.product_code };
    if !NAMES.iter().any(|known| known.eq_ignore_ascii_case(name.trim())) {
        return None;
    }
    let is_fee = matches!(
        key.line_item_type,
        "SavingsPlanRecurringFee" | "SavingsPlanUpfrontFee" | "Fee" | "Purchase"
    );
    let category =
        if is_fee || is_usage(key.line_item_type) { Category::Other } else { Category::Adjustment };
    Some(Classification::of(Verdict::Ai, "sagemaker", category, Meter::Units))
}

/// `p4d.24xlarge` of `Train:ml.p4d.24xlarge` and of `Studio:JupyterLab-ml.p4d.24xlarge-suffix`.
fn instance_type(usage_type: &str) -> Option<&str> {
    let (_, rest) = usage_type.split_once("ml.")?;
    let (family, size) = rest.split_once('.')?;
    let size_end = size.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(size.len());
    rest.get(..family.len() + 1 + size_end)
}
