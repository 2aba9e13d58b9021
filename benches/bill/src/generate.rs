//! One file of a generated month.
//!
//! Shaped after real exports where size and grouping are concerned: a line id of 52 random letters (the bulk of
//! a real file), a few hundred usage types, some dozens of accounts, tags in maps, and about an eighth of the
//! lines AI. No figure means anything.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Builder, MapBuilder, RecordBatch, StringBuilder, TimestampMillisecondArray,
    new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;

use crate::columns::{COLUMNS, Typed};
use crate::random::Random;

type Failed = Box<dyn std::error::Error>;

/// Lines per batch.
const BATCH: usize = 16_384;
/// Lines per row group.
const ROW_GROUP: usize = 250_000;
/// 2026-10-01T00:00:00Z in milliseconds.
const OCTOBER: i64 = 1_790_812_800_000;
const HOUR: i64 = 3_600_000;

/// What a line is about.
struct Line {
    product: &'static str,
    name: &'static str,
    family: &'static str,
    usage_type: String,
    operation: &'static str,
    unit: &'static str,
    kind: &'static str,
    entity: &'static str,
    model: &'static str,
    region: &'static str,
    account: u64,
    resource: u64,
    hour: i64,
    team: u64,
    cents: u64,
    usage: u64,
    id: [u64; 4],
}

const REGIONS: [(&str, &str); 5] = [
    ("USE1", "us-east-1"),
    ("USW2", "us-west-2"),
    ("EUC1", "eu-central-1"),
    ("EUW1", "eu-west-1"),
    ("APN1", "ap-northeast-1"),
];
const MODELS: [&str; 12] = [
    "NovaLite",
    "NovaPro",
    "NovaMicro",
    "Nova2.0Lite",
    "Llama3-3-70B",
    "Llama4-Maverick-17B",
    "gpt-oss-120b",
    "Qwen3-32B",
    "MistralSmall",
    "Gemma-3-4B-IT",
    "TitanEmbeddingV2-Text",
    "DeepSeek-R1",
];
const CLASSES: [&str; 5] = [
    "input-tokens",
    "output-tokens",
    "cache-read-input-token-count",
    "input-tokens-batch",
    "output-tokens-flex",
];
const EDITIONS: [(&str, &str); 4] = [
    ("5prodffvjxvh4ltq64aaaaaaa", "Claude Opus 5 (Amazon Bedrock Edition)"),
    ("7zgyu5r4aaaaaaaaaaaaaaaaa", "Claude Sonnet 4.6 (Amazon Bedrock Edition)"),
    ("2o8hxkdflymybwmviaaaaaaaa", "Claude Haiku 4.5 (Amazon Bedrock Edition)"),
    ("9cohereembedv4aaaaaaaaaaa", "Cohere Embed v4 (Amazon Bedrock Edition)"),
];
const COUNTS: [&str; 6] = [
    "InputTokenCount",
    "OutputTokenCount",
    "CacheReadInputTokenCount",
    "CacheWrite1hInputTokenCount",
    "InputTokenCount_Global",
    "OutputTokenCount_Global",
];
const FAMILIES: [&str; 12] =
    ["m5", "m6i", "m7g", "c5", "c6i", "c7g", "r5", "r6g", "t3", "t4g", "i4i", "x2gd"];
const SIZES: [&str; 7] = ["medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge"];
const GPUS: [&str; 6] =
    ["p5.48xlarge", "p4d.24xlarge", "g5.xlarge", "g6.12xlarge", "trn1.32xlarge", "inf2.xlarge"];
const OTHERS: [(&str, &str, &str); 10] = [
    ("AmazonS3", "TimedStorage-ByteHrs", "GB-Mo"),
    ("AmazonS3", "Requests-Tier1", "Requests"),
    ("AmazonDynamoDB", "PayPerRequestThroughput", "ReadRequestUnits"),
    ("AmazonCloudWatch", "CW:MetricMonitorUsage", "Metrics"),
    ("AmazonRDS", "InstanceUsage:db.r6g.large", "Hrs"),
    ("AmazonVPC", "VpcEndpoint-Hours", "Hrs"),
    ("AWSLambda", "Lambda-GB-Second", "Second"),
    ("AWSELB", "LoadBalancerUsage", "Hrs"),
    ("AmazonECR", "TimedStorage-ByteHrs", "GB-Mo"),
    ("AWSQueueService", "Requests-Tier1", "Requests"),
];

fn pick<'a, T>(random: &mut Random, all: &'a [T]) -> Option<&'a T> {
    let at = random.below(all.len() as u64);
    all.get(usize::try_from(at).unwrap_or(0))
}

/// One of the few that an account keeps to.
fn of_account<'a, T>(random: &mut Random, account: u64, all: &'a [T], few: u64) -> Option<&'a T> {
    let at = (account.wrapping_mul(7) + random.below(few)) % (all.len() as u64);
    all.get(usize::try_from(at).unwrap_or(0))
}

fn line(random: &mut Random) -> Option<Line> {
    // An account lives in two regions, has two teams, and keeps to a few kinds of instances and models.
    let account = random.skewed(60);
    let (prefix, region) = *of_account(random, account, &REGIONS, 2)?;
    let mut line = Line {
        product: "AmazonEC2",
        name: "",
        family: "Compute Instance",
        usage_type: String::new(),
        operation: "RunInstances",
        unit: "Hrs",
        kind: "Usage",
        entity: "AWS",
        model: "",
        region,
        account,
        resource: account * 1000 + random.skewed(1000),
        hour: i64::try_from(random.below(31 * 24)).unwrap_or(0),
        team: account % 24 + random.below(2),
        cents: random.below(1_000_000),
        usage: random.below(10_000_000),
        id: [random.next(), random.next(), random.next(), random.next()],
    };
    match random.below(1000) {
        0..=69 => {
            line.product = "AmazonBedrock";
            line.name = "Amazon Bedrock";
            line.family = "Amazon Bedrock";
            line.operation = "InvokeModelInference";
            line.unit = "1K tokens";
            line.model = of_account(random, account, &MODELS, 3)?;
            line.usage_type = format!("{prefix}-{}-{}", line.model, pick(random, &CLASSES)?);
        }
        70..=109 => {
            let (code, name) = *of_account(random, account, &EDITIONS, 2)?;
            line.product = code;
            line.name = name;
            line.family = "Amazon Bedrock";
            line.operation = "Usage";
            line.unit = "Units";
            line.entity = "AWS Marketplace";
            line.usage_type = format!("{prefix}-MP:{prefix}_{}-Units", pick(random, &COUNTS)?);
        }
        110..=124 => {
            line.product = "AmazonSageMaker";
            line.family = "ML Instance";
            let component = *pick(random, &["Host", "Train", "Notebk", "Processing"])?;
            line.usage_type = format!(
                "{prefix}-{component}:ml.{}.{}",
                of_account(random, account, &FAMILIES, 4)?,
                pick(random, &SIZES)?
            );
        }
        125..=134 => line.usage_type = format!("{prefix}-BoxUsage:{}", pick(random, &GPUS)?),
        135..=499 => {
            line.usage_type = format!(
                "{prefix}-BoxUsage:{}.{}",
                of_account(random, account, &FAMILIES, 4)?,
                pick(random, &SIZES)?
            );
            line.kind = match random.below(10) {
                0 | 1 => "SavingsPlanCoveredUsage",
                2 => "DiscountedUsage",
                _ => "Usage",
            };
        }
        500..=504 => {
            line.kind = "Tax";
            line.family = "";
        }
        _ => {
            let (product, usage_type, unit) = *pick(random, &OTHERS)?;
            line.product = product;
            line.family = "Other";
            line.operation = "Operation";
            line.unit = unit;
            line.usage_type = format!("{prefix}-{usage_type}");
        }
    }
    Some(line)
}

/// Writes one file.
pub(crate) fn file(path: &Path, lines: usize, seed: u64) -> Result<(), Failed> {
    let mut random = Random::new(seed);
    let fields: Vec<Field> =
        COLUMNS.iter().map(|(name, typed)| Field::new(*name, data_type(*typed), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, Arc::clone(&schema), Some(properties))?;
    let mut left = lines;
    while left > 0 {
        let count = left.min(BATCH);
        let batch: Vec<Line> = (0..count).filter_map(|_| line(&mut random)).collect();
        let columns = COLUMNS.iter().map(|(name, typed)| column(name, *typed, &batch)).collect();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        left -= count;
    }
    writer.close()?;
    Ok(())
}

fn data_type(typed: Typed) -> DataType {
    let map = |value| {
        let entries = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", value, true)];
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
    };
    match typed {
        Typed::Text => DataType::Utf8,
        Typed::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        Typed::Number => DataType::Float64,
        Typed::Map => map(DataType::Utf8),
        Typed::NumberMap => map(DataType::Float64),
    }
}

fn column(name: &str, typed: Typed, lines: &[Line]) -> ArrayRef {
    match typed {
        Typed::Text => texts(name, lines),
        Typed::Time => {
            Arc::new(lines.iter().map(|line| Some(time(name, line))).collect::<TimestampMillisecondArray>())
        }
        Typed::Number => numbers(name, lines),
        Typed::Map => maps(name, lines),
        Typed::NumberMap => {
            let mut out = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
            // Both builders are as long as each other: nothing was appended to either.
            for _ in lines {
                drop(out.append(true));
            }
            Arc::new(out.finish())
        }
    }
}

fn time(name: &str, line: &Line) -> i64 {
    match name {
        "bill_billing_period_start_date" => OCTOBER,
        "bill_billing_period_end_date" => OCTOBER + 31 * 24 * HOUR,
        "line_item_usage_end_date" => OCTOBER + (line.hour + 1) * HOUR,
        _ => OCTOBER + line.hour * HOUR,
    }
}

fn texts(name: &str, lines: &[Line]) -> ArrayRef {
    let mut out = StringBuilder::new();
    for line in lines {
        match name {
            "identity_line_item_id" => {
                let [a, b, c, d] = line.id;
                out.append_value(format!("{a:016x}{b:016x}{c:016x}{:04x}", d & 0xffff));
            }
            "identity_time_interval" => {
                out.append_value(format!("2026-10-{:02}T{:02}:00:00Z", line.hour / 24 + 1, line.hour % 24));
            }
            "bill_bill_type" => out.append_value("Anniversary"),
            "bill_billing_entity" => out.append_value(line.entity),
            "bill_invoicing_entity" | "line_item_legal_entity" => {
                out.append_value("Amazon Web Services, Inc.");
            }
            "bill_payer_account_id" => out.append_value("100000000000"),
            "bill_payer_account_name" => out.append_value("payer"),
            "line_item_usage_account_id" => {
                out.append_value(format!("{}", 100_000_000_000 + line.account * 7919));
            }
            "line_item_usage_account_name" => out.append_value(format!("acct-{:02}", line.account)),
            "line_item_line_item_type" => out.append_value(line.kind),
            "line_item_product_code" | "product_servicecode" => out.append_value(line.product),
            "line_item_usage_type" | "product_usagetype" => out.append_value(&line.usage_type),
            "line_item_operation" | "product_operation" => out.append_value(line.operation),
            "line_item_availability_zone" | "product_region_code" | "product_location" => {
                out.append_value(line.region);
            }
            "line_item_resource_id" => out.append_value(format!(
                "arn:aws:service:{}:{}:resource/r-{:017x}",
                line.region,
                100_000_000_000 + line.account * 7919,
                line.resource
            )),
            "line_item_currency_code" | "pricing_currency" => out.append_value("USD"),
            "line_item_line_item_description" => match line.unit {
                "1K tokens" => out.append_value("$0.000060 per 1K tokens"),
                "Units" => out.append_value(format!(
                    "AWS Marketplace software usage|{}|Million Tokens Regional",
                    line.region
                )),
                _ => out.append_value(format!("per {} of {}", line.unit, line.usage_type)),
            },
            "line_item_unblended_rate" | "line_item_blended_rate" | "pricing_public_on_demand_rate" => {
                out.append_value(format!("0.{:010}", line.cents % 997));
            }
            "pricing_rate_code" => {
                out.append_value(format!("SKU{:011}.JRTCKXETXF.6YS6EN2CT7", line.cents % 4999));
            }
            "product_sku" => out.append_value(format!("SKU{:011}", line.cents % 4999)),
            "pricing_term" => out.append_value("OnDemand"),
            "pricing_unit" => out.append_value(line.unit),
            "product_product_family" if !line.family.is_empty() => out.append_value(line.family),
            "line_item_iam_principal" if line.unit == "1K tokens" || line.unit == "Units" => {
                out.append_value(format!(
                    "arn:aws:sts::100000000000:assumed-role/App/session-{}",
                    line.account * 2 + line.team % 2
                ));
            }
            _ => out.append_null(),
        }
    }
    Arc::new(out.finish())
}

#[expect(
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "exports carry amounts as binary numbers"
)]
fn numbers(name: &str, lines: &[Line]) -> ArrayRef {
    let cost = |line: &Line| line.cents as f64 / 1e6;
    let value = |line: &Line| -> Option<f64> {
        match name {
            "line_item_unblended_cost" | "line_item_blended_cost" | "pricing_public_on_demand_cost" => {
                Some(cost(line))
            }
            "line_item_net_unblended_cost" => Some(line.cents as f64 * 93.0 / 1e8),
            "line_item_usage_amount" => Some(line.usage as f64 / 1e4),
            "savings_plan_savings_plan_effective_cost" if line.kind == "SavingsPlanCoveredUsage" => {
                Some(cost(line) * 0.7)
            }
            "reservation_effective_cost" if line.kind == "DiscountedUsage" => Some(cost(line) * 0.6),
            _ => None,
        }
    };
    if lines.iter().all(|line| value(line).is_none()) {
        return new_null_array(&DataType::Float64, lines.len());
    }
    let mut out = Float64Builder::with_capacity(lines.len());
    for line in lines {
        out.append_option(value(line));
    }
    Arc::new(out.finish())
}

fn maps(name: &str, lines: &[Line]) -> ArrayRef {
    let mut out = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for line in lines {
        let mut add = |key: &str, value: &str| {
            out.keys().append_value(key);
            out.values().append_value(value);
        };
        match name {
            "product" => {
                add("region", line.region);
                if !line.name.is_empty() {
                    add("product_name", line.name);
                }
                if !line.model.is_empty() {
                    add("model", line.model);
                }
                add("servicename", line.product);
            }
            "resource_tags" => {
                add("user_team", &format!("team-{:02}", line.team));
                add("user_env", if line.team % 3 == 0 { "stage" } else { "prod" });
                add("user_app", &format!("app-{:03}", line.resource % 120));
            }
            "cost_category" => add("BusinessUnit", &format!("bu-{}", line.team % 4)),
            _ => {}
        }
        // Keys and values were appended in pairs, which is all that could fail.
        drop(out.append(true));
    }
    Arc::new(out.finish())
}
