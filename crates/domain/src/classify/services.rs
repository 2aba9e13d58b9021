//! Which products are AI: codes and names, the managed services' own usage types, and candidates.
//!
//! Codes follow the services that AWS counts as AI and machine learning. Products that merely contain AI
//! (Connect, QuickSight and Quick, Wisdom, Entity Resolution) are left out: their bill is not an AI bill.

use std::borrow::Cow;

use super::accelerators::compute_instance;
use super::words::{contains, without_region, words};
use super::{Category, Classification, LineKey, Meter, Verdict};

/// A service that is AI as a whole.
#[derive(Debug)]
pub(super) struct Service {
    /// The name in reports.
    pub(super) slug: &'static str,
    codes: &'static [&'static str],
    names: &'static [&'static str],
    category: Category,
}

/// Product codes of Bedrock itself.
const BEDROCK_CODES: [&str; 4] =
    ["AmazonBedrock", "AmazonBedrockService", "AmazonBedrockFoundationModels", "AmazonBedrockAgentCore"];

const BEDROCK_NAMES: [&str; 4] = [
    "Amazon Bedrock",
    "Amazon Bedrock Service",
    "Amazon Bedrock Foundation Models",
    "Amazon Bedrock AgentCore",
];

const EDITION: &str = "(Amazon Bedrock Edition)";

macro_rules! service {
    ($slug:literal, $category:ident, [$($code:literal),*], [$($name:literal),*]) => {
        Service { slug: $slug, codes: &[$($code),*], names: &[$($name),*], category: Category::$category }
    };
}

const SERVICES: &[Service] = &[
    service!(
        "sagemaker",
        Other,
        // Savings Plans of SageMaker are a product of their own; those of EC2, `ComputeSavingsPlans`, are no AI.
        ["AmazonSageMaker", "MachineLearningSavingsPlans"],
        ["Amazon SageMaker", "Amazon SageMaker AI", "Machine Learning Savings Plans"]
    ),
    service!("textract", ManagedApi, ["AmazonTextract"], ["Amazon Textract"]),
    service!("rekognition", ManagedApi, ["AmazonRekognition"], ["Amazon Rekognition"]),
    service!("comprehend", ManagedApi, ["comprehend", "AmazonComprehend"], ["Amazon Comprehend"]),
    service!("comprehend_medical", ManagedApi, ["comprehendmedical"], ["Amazon Comprehend Medical"]),
    service!("transcribe", ManagedApi, ["transcribe"], ["Amazon Transcribe"]),
    service!("polly", ManagedApi, ["AmazonPolly"], ["Amazon Polly"]),
    service!("translate", ManagedApi, ["translate"], ["Amazon Translate"]),
    service!("lex", ManagedApi, ["AmazonLex"], ["Amazon Lex"]),
    service!("personalize", ManagedApi, ["AmazonPersonalize"], ["Amazon Personalize"]),
    service!("kendra", Retrieval, ["AmazonKendra"], ["Amazon Kendra"]),
    service!("forecast", ManagedApi, ["AmazonForecast"], ["Amazon Forecast"]),
    service!("fraud_detector", ManagedApi, ["AmazonFraudDetector"], ["Amazon Fraud Detector"]),
    service!("augmented_ai", Labelling, ["AmazonA2I"], ["Amazon Augmented AI"]),
    service!("health_lake", ManagedApi, ["AmazonHealthLake"], ["AWS HealthLake", "Amazon HealthLake"]),
    service!("health_omics", ManagedApi, ["AmazonOmics"], ["AWS HealthOmics", "Amazon Omics"]),
    service!(
        "lookout",
        ManagedApi,
        [
            "AmazonLookoutEquipment",
            "AmazonLookoutMetrics",
            "AmazonLookoutVision",
            "LookoutEquipment",
            "LookoutMetrics",
            "LookoutVision"
        ],
        ["Amazon Lookout for Equipment", "Amazon Lookout for Metrics", "Amazon Lookout for Vision"]
    ),
    service!("panorama", ManagedApi, ["AWSPanorama"], ["AWS Panorama"]),
    service!("deepracer", Training, ["AWSDeepRacer"], ["AWS DeepRacer"]),
    service!("machine_learning", ManagedApi, ["AmazonML"], ["Amazon Machine Learning"]),
    service!("elastic_inference", Inference, ["AmazonEI"], ["Amazon Elastic Inference"]),
    service!("amazon_q", Seats, ["AmazonQ"], ["Amazon Q", "Amazon Q Developer", "Amazon Q Business"]),
    service!("kiro", Seats, ["Kiro"], ["Kiro"]),
    service!("nova_act", Agents, ["NovaAct"], ["Amazon Nova Act"]),
];

/// What the managed services count, by words of their usage types; the first that fits wins.
const METERS: &[(&[&str], Meter, Option<Category>)] = &[
    // Credits of Kiro are what its users did, also where their seats include it (`USE1-KiroEnterprise-Credits`).
    (&["credits"], Meter::Units, Some(Category::ManagedApi)),
    (&["kiro"], Meter::Seats, Some(Category::Seats)),
    (&["developer"], Meter::Seats, Some(Category::Seats)),
    (&["subscription"], Meter::Seats, Some(Category::Seats)),
    (&["index"], Meter::Hours, Some(Category::Retrieval)),
    (&["base", "capacity"], Meter::Hours, Some(Category::Retrieval)),
    (&["code", "transformation"], Meter::Units, Some(Category::ManagedApi)),
    (&["generate", "image"], Meter::Images, Some(Category::ManagedApi)),
    (&["generate", "audio"], Meter::MediaTime, Some(Category::ManagedApi)),
    (&["pages"], Meter::Pages, None),
    (&["pagesfor"], Meter::Pages, None),
    (&["idpages"], Meter::Pages, None),
    (&["images"], Meter::Images, None),
    (&["image"], Meter::Images, None),
    (&["video"], Meter::MediaTime, None),
    (&["audio"], Meter::MediaTime, None),
    (&["minutes"], Meter::MediaTime, None),
    (&["mins"], Meter::MediaTime, None),
    (&["minutestrained"], Meter::Hours, Some(Category::Training)),
    (&["training"], Meter::Hours, Some(Category::Training)),
    (&["chars"], Meter::Characters, None),
    (&["characters"], Meter::Characters, None),
    (&["speech"], Meter::Characters, None),
    (&["translate", "text"], Meter::Characters, None),
    (&["translation"], Meter::Characters, None),
    (&["stored"], Meter::Storage, Some(Category::Storage)),
    (&["storage"], Meter::Storage, Some(Category::Storage)),
    (&["requests"], Meter::Requests, None),
    (&["hours"], Meter::Hours, None),
    (&["hour"], Meter::Hours, None),
    (&["objects"], Meter::Objects, None),
    // What is counted in units of its own: of a hundred characters, of predictions, of gigabytes taken in.
    (&["comprehend"], Meter::Units, None),
    (&["detect"], Meter::Units, None),
    (&["detection"], Meter::Units, None),
    (&["contains"], Meter::Units, None),
    (&["classification"], Meter::Units, None),
    (&["infer"], Meter::Units, None),
    (&["inference"], Meter::Units, None),
    (&["prediction"], Meter::Units, None),
    (&["recommendation"], Meter::Units, None),
    (&["injection"], Meter::Units, None),
    (&["ingestion"], Meter::Units, None),
    (&["botdesign"], Meter::Units, None),
];

/// Is it Bedrock, also where a Marketplace seller's product code hides it?
pub(super) fn is_bedrock(key: &LineKey<'_>) -> bool {
    key.product_family == "Amazon Bedrock"
        || BEDROCK_CODES.contains(&key.product_code)
        || named(key, &BEDROCK_NAMES)
        || key.product_name.trim_end().ends_with(EDITION)
}

/// True for AgentCore, whose usage types follow a grammar of their own.
pub(super) fn is_agent_core(key: &LineKey<'_>) -> bool {
    key.product_code == "AmazonBedrockAgentCore"
        || key.product_name.eq_ignore_ascii_case("Amazon Bedrock AgentCore")
}

/// The service that the line belongs to, where that service is AI as a whole.
pub(super) fn core_service(key: &LineKey<'_>) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.codes.contains(&key.product_code) || named(key, service.names))
}

/// Is it a service that people have seats of?
pub(super) fn has_seats(slug: &str) -> bool {
    SERVICES.iter().any(|service| service.slug == slug && service.category == Category::Seats)
}

/// A name counts where there is no code (FOCUS), or where code and name are the same cell. Where AWS gives a
/// code of its own, the code alone decides: anybody may name a product.
fn named(key: &LineKey<'_>, names: &[&str]) -> bool {
    let name = if key.product_code.is_empty() { key.product_name } else { key.product_code };
    names.iter().any(|known| known.eq_ignore_ascii_case(name.trim()))
}

/// A line of a managed service.
pub(super) fn classify(service: &'static Service, key: &LineKey<'_>) -> Classification {
    let words = words(without_region(key.usage_type));
    if words.is_empty() && super::is_usage(key.line_item_type) {
        // FOCUS may name no usage type: then nothing is left to understand.
        return Classification::of(Verdict::Ai, service.slug, service.category, Meter::Units);
    }
    let found = METERS.iter().find(|(phrase, ..)| contains(&words, phrase));
    let Some((_, meter, category)) = found else {
        // AI all the same, and seen: what a service counts anew has no rule yet.
        return Classification { category: service.category, ..Classification::not_understood(service.slug) };
    };
    Classification::of(Verdict::Ai, service.slug, category.unwrap_or(service.category), *meter)
}

/// Lines that are AI by what they count, or may be AI.
pub(super) fn candidate(key: &LineKey<'_>) -> Option<Classification> {
    let usage_type = key.usage_type;
    match key.product_code {
        "AmazonS3" if without_region(usage_type).starts_with("Vectors-") => Some(Classification::of(
            Verdict::Ai,
            "s3_vectors",
            Category::Retrieval,
            vectors_meter(usage_type),
        )),
        "AmazonEC2" | "Amazon Elastic Compute Cloud" => {
            let instance_type = compute_instance(usage_type)?;
            let class = Classification::of(Verdict::Candidate, "ec2", Category::GpuCompute, Meter::Hours);
            Some(class.on_instance(instance_type))
        }
        "AmazonES" | "AmazonOpenSearchService" => {
            // Capacity of collections, and the instances of domains: whether they hold vectors no line says.
            let instance_type = without_region(usage_type).strip_prefix("ESInstance:");
            let is_capacity = words(usage_type).iter().any(|word| word.ends_with("ocu"));
            (is_capacity || instance_type.is_some()).then(|| {
                let class =
                    Classification::of(Verdict::Candidate, "opensearch", Category::Retrieval, Meter::Hours);
                Classification { instance_type: instance_type.map(str::to_owned), ..class }
            })
        }
        // What training reads from, and other work with many cores.
        "AmazonFSx" if usage_type.to_ascii_lowercase().contains("lustre") => {
            let meter = if usage_type.contains("Storage") { Meter::Storage } else { Meter::Units };
            Some(Classification::of(Verdict::Candidate, "fsx_lustre", Category::Storage, meter))
        }
        _ => None,
    }
}

fn vectors_meter(usage_type: &str) -> Meter {
    let words = words(usage_type);
    let says = |wanted: &str| words.iter().any(|word| word.starts_with(wanted));
    if says("storage") || says("timed") {
        Meter::Storage
    } else if says("request") || says("query") || says("queries") {
        Meter::Requests
    } else {
        Meter::Units
    }
}

/// FOCUS lets every provider say what kind of service it sells. Beyond AWS that is all there is to go by.
pub(super) fn by_category(key: &LineKey<'_>) -> Option<Classification> {
    if key.service_category != "AI and Machine Learning" {
        return None;
    }
    let slug = words(key.product_name).join("_");
    let mut class = Classification::not_understood("");
    class.service = Cow::Owned(if slug.is_empty() { "unnamed".to_owned() } else { slug });
    Some(class)
}
