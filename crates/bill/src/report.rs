//! From sums to a report: totals that prove the facts, the facts, and the dearest resources.

mod row;

use std::collections::{BTreeMap, HashMap};

use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, KNOWN_LINE_TYPES, ReportFormat, ResourceCost, Text,
};
use costlens_domain::classify::{RULES_VERSION, Verdict};
use costlens_domain::money::Currency;

use crate::datafusion_engine::DataFusionEngine;
use crate::engine::{RollupEngine, Step};
use crate::lines::cost_column;
use crate::progress::Progress;
use crate::source::Sources;
use crate::{BillError, ReadOptions, rollup, scan, sql};
use row::Row;

/// Reads the whole bill.
pub(crate) async fn read(
    sources: &Sources,
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<BillReport, BillError> {
    let scanned = if options.top_resources > 0 { 600 } else { 1000 };
    let step = Step { progress, name: "adding up every line", from: 0, to: scanned };
    let rollup = scan::scan(sources, options, step).await?;
    let (lines, days, months) = (rollup.lines(), rollup.days()?, rollup.months()?);
    let filter = rollup.filter();
    let format = rollup.format(sources.format);
    if let [first, .., last] = sources.files.as_slice()
        && rollup.is_twice()
    {
        return Err(BillError::MixedFormats {
            first: first.name.clone(),
            first_format: ReportFormat::AzureCosts,
            second: last.name.clone(),
            second_format: ReportFormat::AzureAmortised,
        });
    }
    let mut totals = rollup.totals()?;
    must_carry_cost(sources, &totals)?;
    let facts = rollup.into_facts(format)?;
    add_ai(&mut totals, &facts);

    let mut resources = Vec::new();
    if let Some(filter) = filter.filter(|_| options.top_resources > 0 && !facts.is_empty()) {
        // Products that turn out to be no AI after all must not crowd out those that are.
        let limit = options.top_resources.saturating_mul(8).max(200);
        let services = services(&facts);
        let engine = DataFusionEngine::open(sources, options, lines)?;
        let step = Step { progress, name: "finding the dearest resources", from: scanned, to: 1000 };
        let on_row = &mut |cells: &[_]| add_resource(&mut Row::new(cells), &services, &mut resources);
        engine.query(&sql::resources(&filter, limit), step, on_row).await?;
        resources = dearest(resources, options.top_resources);
    }
    let totals: Vec<ControlTotal> = totals.into_values().collect();
    Ok(BillReport {
        format,
        files: sources.report_files(),
        lines,
        first_day: days.map(|(first, _)| first),
        last_day: days.map(|(_, last)| last),
        months,
        rules_version: RULES_VERSION,
        unknown_line_types: unknown_line_types(&totals),
        totals,
        facts,
        resources,
        skipped: sources.skipped.clone(),
    })
}

/// Cost columns whose every cell is empty say as little as no column.
fn must_carry_cost(
    sources: &Sources,
    totals: &BTreeMap<(Text, Currency), ControlTotal>,
) -> Result<(), BillError> {
    let lines: u64 = totals.values().map(|total| total.lines).sum();
    let unpriced: u64 = totals.values().map(|total| total.lines_without_cost).sum();
    match sources.files.first() {
        Some(first) if lines > 0 && unpriced == lines => {
            let column = cost_column(sources.format);
            let reason = format!("all {lines} cells of {column} are empty");
            Err(BillError::NoCost { file: first.name.clone(), reason })
        }
        _ => Ok(()),
    }
}

/// The service and verdict of each product, as its facts say; a product that is AI in part counts as AI.
fn services(facts: &[DailyFact]) -> HashMap<Text, (Text, Verdict)> {
    let mut services: HashMap<Text, (Text, Verdict)> = HashMap::new();
    for fact in facts {
        let known = services.get(&fact.product_code);
        if known.is_none_or(|(_, verdict)| fact.class.verdict < *verdict) {
            let service = Text::from(fact.class.service.as_ref());
            services.insert(fact.product_code.clone(), (service, fact.class.verdict));
        }
    }
    services
}

fn add_resource(
    row: &mut Row<'_>,
    services: &HashMap<Text, (Text, Verdict)>,
    resources: &mut Vec<ResourceCost>,
) -> Result<(), BillError> {
    let [resource_id, usage_account, currency, code] = row.texts::<4>()?;
    let unblended = row.amount()?.unwrap_or_default();
    let lines = row.count()?;
    if let Some((service, verdict)) = services.get(&code) {
        resources.push(ResourceCost {
            resource_id,
            usage_account,
            service: service.clone(),
            verdict: *verdict,
            currency: rollup::currency(&currency),
            unblended,
            lines,
        });
    }
    Ok(())
}

/// The dearest of each currency, dearest first.
fn dearest(mut resources: Vec<ResourceCost>, top: usize) -> Vec<ResourceCost> {
    resources.sort_by(|a, b| {
        a.currency
            .cmp(&b.currency)
            .then(b.unblended.cmp(&a.unblended))
            .then(a.resource_id.cmp(&b.resource_id))
    });
    let mut taken: BTreeMap<Currency, usize> = BTreeMap::new();
    resources.retain(|resource| {
        let count = taken.entry(resource.currency).or_default();
        *count += 1;
        *count <= top
    });
    resources
}

/// The AI and candidate parts of the control totals.
fn add_ai(totals: &mut BTreeMap<(Text, Currency), ControlTotal>, facts: &[DailyFact]) {
    for fact in facts {
        if let Some(total) = totals.get_mut(&(fact.line_item_type.clone(), fact.currency)) {
            match fact.class.verdict {
                Verdict::Ai => {
                    total.ai += fact.unblended;
                    total.ai_costs.add_fact(fact);
                }
                Verdict::Candidate => {
                    total.candidate += fact.unblended;
                    total.candidate_costs.add_fact(fact);
                }
                Verdict::NotAi => {}
            }
        }
    }
}

fn unknown_line_types(totals: &[ControlTotal]) -> Vec<Text> {
    let mut unknown: Vec<Text> = totals
        .iter()
        .map(|total| total.line_item_type.clone())
        .filter(|kind| !KNOWN_LINE_TYPES.contains(&kind.as_ref()))
        .collect();
    unknown.dedup();
    unknown
}
