//! The tenant's bills: what of its calls went to Bedrock, by the proxy's principals, and what else it uses on AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike as _, Days, NaiveDate};
use costlens_domain::bill::{DailyFact, Text};
use costlens_domain::classify::{LineKey, classify};
use costlens_domain::export::HourlySpend;
use costlens_domain::{Currency, Usage};
use rust_decimal::Decimal;

use super::calls::{ENRICH, NOVA_CALLED, SEARCH, SONNET_CALLED, price};
use super::random::Random;
use super::{DAYS, Delivery, ENDPOINT, Key, SHADOW as SHADOW_DAY};

const SHOP: &str = "111122223333";
pub(super) const LABORATORY: &str = "444455556666";
pub(super) const IDLE: &str = "g5.xlarge";
pub(super) const SHADOW: &str = "arn:aws:sts::444455556666:assumed-role/DataScience/jane";
const EDITION: &str = "Claude Sonnet 4.6 (Amazon Bedrock Edition)";

/// A line of the bill as its columns say it.
#[derive(Clone, Copy, Default)]
struct Line<'a> {
    account: &'a str,
    principal: &'a str,
    kind: &'a str,
    key: LineKey<'a>,
}

/// Makes lines into facts.
struct Writer<'a> {
    day: NaiveDate,
    facts: &'a mut Vec<DailyFact>,
}

impl Writer<'_> {
    fn add(&mut self, line: &Line<'_>, quantity: Decimal, cost: Decimal) {
        let kind = if line.kind.is_empty() { "Usage" } else { line.kind };
        let entity = if line.key.billing_entity.is_empty() { "AWS" } else { line.key.billing_entity };
        let class = classify(&LineKey { line_item_type: kind, billing_entity: entity, ..line.key });
        let tokens = class.tokens_per_unit.map(|each| quantity * Decimal::from(each));
        self.facts.push(DailyFact {
            day: self.day,
            billing_account: Text::from("999988887777"),
            usage_account: Text::from(line.account),
            region: Text::from("us-east-1"),
            billing_entity: Text::from(entity),
            product_code: Text::from(line.key.product_code),
            product_name: Text::from(line.key.product_name),
            usage_type: Text::from(line.key.usage_type),
            operation: Text::from(line.key.operation),
            principal: Text::from(line.principal),
            line_item_type: Text::from(kind),
            currency: Currency::USD,
            class: Arc::new(class),
            pricing_unit: Text::from(line.key.pricing_unit),
            usage_quantity: quantity,
            tokens,
            unblended: cost,
            net_unblended: cost,
            amortised: Some(cost),
            net_amortised: Some(cost),
            list: Some(cost),
            lines: 24,
        });
    }

    /// Tokens of Claude Sonnet, in millions, as AWS Marketplace bills them.
    fn sonnet(&mut self, account: &str, principal: &str, usage: &Usage, day: u64) {
        let [input, _, _, output] = price(SONNET_CALLED, day);
        for (usage_type, words, tokens, rate) in [
            (
                "USE1-MP:USE1_InputTokenCount_Global-Units",
                "Million Input Tokens Global",
                usage.fresh_input,
                input,
            ),
            (
                "USE1-MP:USE1_OutputTokenCount_Global-Units",
                "Million Output Tokens Global",
                usage.output,
                output,
            ),
        ] {
            let description = format!("AWS Marketplace software usage|us-east-1|{words}");
            let key = LineKey {
                product_code: "7zgyu5r4stories0000000000",
                product_name: EDITION,
                usage_type,
                description: &description,
                billing_entity: "AWS Marketplace",
                pricing_unit: "Units",
                ..LineKey::default()
            };
            let quantity = Decimal::from(tokens.0) / Decimal::from(1_000_000);
            self.add(&Line { account, principal, key, ..Line::default() }, quantity, quantity * rate);
        }
    }

    /// Tokens of Nova Pro, in thousands.
    fn nova(&mut self, account: &str, principal: &str, usage: &Usage, day: u64) {
        let [input, _, _, output] = price(NOVA_CALLED, day);
        for (usage_type, tokens, rate) in [
            ("USE1-NovaPro-input-tokens", usage.fresh_input, input),
            ("USE1-NovaPro-output-tokens", usage.output, output),
        ] {
            let key = LineKey {
                product_code: "AmazonBedrock",
                product_name: "Amazon Bedrock",
                usage_type,
                operation: "InvokeModelInference",
                pricing_unit: "1K tokens",
                ..LineKey::default()
            };
            let quantity = Decimal::from(tokens.0) / Decimal::from(1_000);
            let cost = quantity * rate / Decimal::from(1_000);
            self.add(&Line { account, principal, key, ..Line::default() }, quantity, cost);
        }
    }

    fn sagemaker(&mut self, account: &str, usage_type: &str, hours: Decimal, rate: Decimal) {
        let key = LineKey {
            product_code: "AmazonSageMaker",
            product_name: "Amazon SageMaker",
            usage_type,
            pricing_unit: "Hrs",
            ..LineKey::default()
        };
        self.add(&Line { account, key, ..Line::default() }, hours, hours * rate);
    }
}

pub(super) fn make(
    random: &mut Random,
    calls: &[HourlySpend],
    keys: &[Key],
    start: NaiveDate,
    (restated, by): (NaiveDate, Decimal),
) -> Vec<Delivery> {
    let carried = carried(calls);
    let mut months: BTreeMap<NaiveDate, Vec<DailyFact>> = BTreeMap::new();
    for day in 0..DAYS {
        let date = start + Days::new(day);
        let facts = months.entry(date.with_day(1).unwrap_or(date)).or_default();
        let mut writer = Writer { day: date, facts };
        for key in keys {
            let principal = format!("arn:aws:sts::{SHOP}:assumed-role/costlens-gateway/{}", key.name);
            let usage = carried.get(&(date, key.id)).copied().unwrap_or_default();
            match key.name {
                SEARCH => writer.sonnet(SHOP, &principal, &usage, day),
                ENRICH => writer.nova(SHOP, &principal, &usage, day),
                _ => {}
            }
        }
        if day >= SHADOW_DAY {
            let tokens = |random: &mut Random, tokens: u64| {
                let tokens = Decimal::from(tokens) * random.around(100);
                costlens_domain::Tokens(
                    rust_decimal::prelude::ToPrimitive::to_u64(&tokens.round()).unwrap_or(0),
                )
            };
            let usage = Usage {
                fresh_input: tokens(random, 2_200_000),
                output: tokens(random, 300_000),
                ..Usage::default()
            };
            writer.sonnet(LABORATORY, SHADOW, &usage, day);
        }
        machines(random, &mut writer, day, date);
    }
    let mut deliveries = Vec::new();
    for (month, facts) in months {
        if month == restated {
            deliveries.push(Delivery { month, facts: facts.clone() });
            deliveries.push(Delivery { month, facts: with_credit(facts, month, by) });
        } else {
            deliveries.push(Delivery { month, facts });
        }
    }
    deliveries
}

/// What else the accounts use.
fn machines(random: &mut Random, writer: &mut Writer<'_>, day: u64, date: NaiveDate) {
    let weekday = date.weekday().num_days_from_monday();
    // An endpoint that is called, and what goes in and out of it.
    writer.sagemaker(SHOP, "USE1-Host:ml.m5.xlarge", Decimal::from(24), Decimal::new(23, 2));
    let bytes = LineKey {
        product_code: "AmazonSageMaker",
        product_name: "Amazon SageMaker",
        usage_type: "USE1-Host:Data-Bytes-Out",
        pricing_unit: "GB",
        ..LineKey::default()
    };
    let moved = Decimal::from(8) * random.around(150);
    writer.add(&Line { account: SHOP, key: bytes, ..Line::default() }, moved, moved * Decimal::new(16, 3));
    // Trainings, now and then.
    if weekday < 5 && random.below(100) < 45 {
        let hours = Decimal::from(30) * random.around(180);
        writer.sagemaker(LABORATORY, "USE1-Train:ml.g5.2xlarge", hours.round_dp(2), Decimal::new(1_515, 3));
    }
    if day >= ENDPOINT {
        writer.sagemaker(LABORATORY, "USE1-Host:ml.g5.xlarge", Decimal::from(24), Decimal::new(1_408, 3));
    }
    let pages = LineKey {
        product_code: "AmazonTextract",
        product_name: "Amazon Textract",
        usage_type: "USE1-SyncPagesProcessed",
        pricing_unit: "Pages",
        ..LineKey::default()
    };
    let by_day = if weekday < 5 { 20_000 } else { 4_000 };
    let read = (Decimal::from(by_day) * random.around(120)).round();
    writer.add(&Line { account: SHOP, key: pages, ..Line::default() }, read, read * Decimal::new(15, 4));
    if date.day() == 1 {
        // Seats are billed on the first for the whole month, and so is tax.
        let seats = LineKey {
            product_code: "AmazonQ",
            product_name: "Amazon Q",
            usage_type: "USE1-Q-Business-Pro-Subscription",
            pricing_unit: "User-Month",
            ..LineKey::default()
        };
        writer.add(
            &Line { account: SHOP, key: seats, ..Line::default() },
            Decimal::from(25),
            Decimal::from(500),
        );
        let tax =
            LineKey { product_code: "AmazonBedrock", product_name: "Amazon Bedrock", ..LineKey::default() };
        let line = Line { account: SHOP, kind: "Tax", key: tax, ..Line::default() };
        writer.add(&line, Decimal::ZERO, Decimal::from(190));
    }
}

/// The tokens of each key by day.
fn carried(calls: &[HourlySpend]) -> BTreeMap<(NaiveDate, costlens_domain::ApiKeyId), Usage> {
    let mut sums: BTreeMap<(NaiveDate, costlens_domain::ApiKeyId), Usage> = BTreeMap::new();
    for row in calls {
        let sum = sums.entry((row.hour.date_naive(), row.api_key_id)).or_default();
        sum.fresh_input = sum.fresh_input.plus(row.usage.fresh_input);
        sum.output = sum.output.plus(row.usage.output);
    }
    sums
}

fn with_credit(mut facts: Vec<DailyFact>, month: NaiveDate, by: Decimal) -> Vec<DailyFact> {
    let mut writer = Writer { day: month, facts: &mut facts };
    let key = LineKey { product_code: "AmazonBedrock", product_name: "Amazon Bedrock", ..LineKey::default() };
    writer.add(&Line { account: SHOP, kind: "Credit", key, ..Line::default() }, Decimal::ZERO, by);
    facts
}
