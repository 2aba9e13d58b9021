//! From queries to a report: first what may be AI, then the facts about it, then the totals that prove them.

mod classes;
mod facts;
mod keys;
mod row;

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use costlens_domain::bill::{BillReport, ControlTotal, DailyFact, KNOWN_LINE_TYPES, ResourceCost, Text};
use costlens_domain::classify::{RULES_VERSION, Verdict};
use costlens_domain::money::Currency;

use crate::engine::{RollupEngine, Step};
use crate::progress::Progress;
use crate::source::Sources;
use crate::{BillError, ReadOptions, sql};
use classes::Classes;
use facts::Facts;
use keys::Keys;
use row::Row;

/// Reads the whole bill through the engine.
pub(crate) async fn read(
    engine: &dyn RollupEngine,
    sources: &Sources,
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<BillReport, BillError> {
    let resources_wanted = options.top_resources > 0;
    let (one, two) = if resources_wanted { (500, 800) } else { (600, 1000) };
    let mut keys = Keys::default();
    let step = Step { progress, name: "adding up every line", from: 0, to: one };
    engine.query(&sql::totals(), step, &mut |cells| keys.add(&mut Row::new(cells))).await?;
    must_carry_cost(sources, &keys)?;

    let mut resources = Vec::new();
    let filter = keys.filter();
    let facts = match &filter {
        Some(filter) => {
            let mut classes = Classes::default();
            let middle = one + (two - one) / 3;
            let step = Step { progress, name: "looking at AI products", from: one, to: middle };
            engine.query(&sql::classes(filter), step, &mut |cells| classes.add(&mut Row::new(cells))).await?;
            facts(engine, filter, classes, keys.first_day, Step { from: middle, to: two, ..step }).await?
        }
        None => Vec::new(),
    };
    if let Some(filter) = filter.filter(|_| resources_wanted && !facts.is_empty()) {
        // Products that turn out to be no AI after all must not crowd out those that are.
        let limit = options.top_resources.saturating_mul(8).max(200);
        let services = services(&facts);
        let step = Step { progress, name: "finding the dearest resources", from: two, to: 1000 };
        let on_row = &mut |cells: &[_]| add_resource(&mut Row::new(cells), &services, &mut resources);
        engine.query(&sql::resources(&filter, limit), step, on_row).await?;
        resources = dearest(resources, options.top_resources);
    }
    let totals = with_ai(keys.totals, &facts);
    Ok(BillReport {
        format: sources.format,
        files: sources.report_files(),
        lines: totals.iter().map(|total| total.lines).sum(),
        first_day: keys.first_day,
        last_day: keys.last_day,
        rules_version: RULES_VERSION,
        unknown_line_types: unknown_line_types(&totals),
        totals,
        facts,
        resources,
        skipped: sources.skipped.clone(),
    })
}

/// The facts: most by the few cheap columns, the rest of them in full.
async fn facts(
    engine: &dyn RollupEngine,
    filter: &str,
    mut classes: Classes,
    first_day: Option<NaiveDate>,
    step: Step<'_>,
) -> Result<Vec<DailyFact>, BillError> {
    let step = Step { name: "reading the AI lines", ..step };
    let mut facts = Facts::new(first_day);
    let on_row = &mut |cells: &[_]| facts.add(&mut Row::new(cells), &mut classes, false);
    engine.query(&sql::facts(filter, false), step, on_row).await?;
    if let Some(filter) = classes.unclear_filter() {
        let step = Step { from: step.to, ..step };
        let on_row = &mut |cells: &[_]| facts.add(&mut Row::new(cells), &mut classes, true);
        engine.query(&sql::facts(&filter, true), step, on_row).await?;
    }
    Ok(facts.into_facts())
}

/// Cost columns whose every cell is empty say as little as no column.
fn must_carry_cost(sources: &Sources, keys: &Keys) -> Result<(), BillError> {
    let lines: u64 = keys.totals.values().map(|total| total.lines).sum();
    let unpriced: u64 = keys.totals.values().map(|total| total.lines_without_cost).sum();
    match sources.files.first() {
        Some(first) if lines > 0 && unpriced == lines => {
            let column = crate::views::cost_column(sources.format);
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
            currency: row::currency(&currency),
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

/// The control totals with their AI and candidate parts.
fn with_ai(totals: BTreeMap<(Text, Currency), ControlTotal>, facts: &[DailyFact]) -> Vec<ControlTotal> {
    let mut totals = totals;
    for fact in facts {
        if let Some(total) = totals.get_mut(&(fact.line_item_type.clone(), fact.currency)) {
            match fact.class.verdict {
                Verdict::Ai => total.ai += fact.unblended,
                Verdict::Candidate => total.candidate += fact.unblended,
                Verdict::NotAi => {}
            }
        }
    }
    totals.into_values().collect()
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
