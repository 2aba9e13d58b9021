//! The report for programs: one JSON object, amounts as strings.

use std::io::Write;

use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, Dimension, Measure, OtherCosts, ReportFile, ResourceCost, Slice,
    Text, breakdown,
};
use costlens_domain::classify::Verdict;
use costlens_domain::money::Currency;
use rust_decimal::Decimal;
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    files: &'a [ReportFile],
    lines: u64,
    first_day: Option<chrono::NaiveDate>,
    last_day: Option<chrono::NaiveDate>,
    rules_version: u32,
    cost: Measure,
    currencies: Vec<Whole>,
    totals: &'a [ControlTotal],
    by_service: Vec<Row>,
    by_category: Vec<Row>,
    by_model: Vec<Row>,
    by_meter: Vec<Row>,
    by_tier: Vec<Row>,
    by_routing: Vec<Row>,
    by_account: Vec<Row>,
    by_region: Vec<Row>,
    by_principal: Vec<Row>,
    by_day: Vec<Row>,
    resources: &'a [ResourceCost],
    candidates: Vec<Row>,
    could_not_be_classified: Vec<NotUnderstood>,
    unknown_line_types: &'a [Text],
    skipped: &'a [String],
}

#[derive(Serialize)]
struct Whole {
    currency: Currency,
    total: Decimal,
    ai: Decimal,
    ai_percent: Option<Decimal>,
    candidate: Decimal,
    ai_costs: OtherCosts,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    slice: Slice,
    per_million_tokens: Option<Decimal>,
}

#[derive(Serialize)]
struct NotUnderstood {
    product_code: Text,
    product_name: Text,
    usage_type: Text,
    currency: Currency,
    cost: Option<Decimal>,
    lines: u64,
}

/// Writes the whole report.
pub(super) fn write(report: &BillReport, measure: Measure, out: &mut dyn Write) -> std::io::Result<()> {
    let rows = |verdict: Verdict, dimension: Dimension| -> Vec<Row> {
        let facts = report.facts.iter().filter(|fact| fact.class.verdict == verdict);
        breakdown(facts, dimension, measure)
            .into_iter()
            .map(|slice| Row { per_million_tokens: slice.rate_per_million(), slice })
            .collect()
    };
    let ai = |dimension| rows(Verdict::Ai, dimension);
    let currencies = report
        .by_currency()
        .into_iter()
        .map(|(currency, share)| Whole {
            currency,
            total: share.total,
            ai: share.ai,
            ai_percent: share.ai_percent(),
            candidate: share.candidate,
            ai_costs: share.ai_costs,
        })
        .collect();
    let document = Document {
        format: report.format.as_str(),
        files: &report.files,
        lines: report.lines,
        first_day: report.first_day,
        last_day: report.last_day,
        rules_version: report.rules_version,
        cost: measure,
        currencies,
        totals: &report.totals,
        by_service: ai(Dimension::Service),
        by_category: ai(Dimension::Category),
        by_model: ai(Dimension::Model),
        by_meter: ai(Dimension::Meter),
        by_tier: ai(Dimension::Tier),
        by_routing: ai(Dimension::Routing),
        by_account: ai(Dimension::Account),
        by_region: ai(Dimension::Region),
        by_principal: ai(Dimension::Principal),
        by_day: ai(Dimension::Day),
        resources: &report.resources,
        candidates: rows(Verdict::Candidate, Dimension::Service),
        could_not_be_classified: not_understood(report.unclassified(), measure),
        unknown_line_types: &report.unknown_line_types,
        skipped: &report.skipped,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn not_understood<'a>(facts: impl Iterator<Item = &'a DailyFact>, measure: Measure) -> Vec<NotUnderstood> {
    let mut found: Vec<NotUnderstood> = Vec::new();
    for fact in facts {
        let same = |known: &&mut NotUnderstood| {
            known.product_code == fact.product_code
                && known.product_name == fact.product_name
                && known.usage_type == fact.usage_type
                && known.currency == fact.currency
        };
        match found.iter_mut().find(same) {
            Some(known) => {
                known.cost = known.cost.zip(fact.cost(measure)).map(|(sum, cost)| sum + cost);
                known.lines += fact.lines;
            }
            None => found.push(NotUnderstood {
                product_code: fact.product_code.clone(),
                product_name: fact.product_name.clone(),
                usage_type: fact.usage_type.clone(),
                currency: fact.currency,
                cost: fact.cost(measure),
                lines: fact.lines,
            }),
        }
    }
    found
}
