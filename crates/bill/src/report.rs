//! From sums to a report: totals that prove the facts, the facts, and the dearest resources.

mod row;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use costlens_domain::bill::{
    BillReport, ControlTotal, DailyFact, KNOWN_LINE_TYPES, ReportFormat, ResourceCost, Text,
};
use costlens_domain::classify::{RULES_VERSION, Verdict};
use costlens_domain::money::Currency;

use crate::datafusion_engine::DataFusionEngine;
use crate::engine::{RollupEngine, Step};
use crate::lines::cost_column;
use crate::progress::Progress;
use crate::rollup::NO_CURRENCY;
use crate::source::Sources;
use crate::{BillError, ReadOptions, scan, sql};
use row::Row;

/// The thousandths of the work after which every line is added up. A query follows only where resources are too many.
const SCANNED: u16 = 900;

/// Reads the whole bill.
pub(crate) async fn read(
    sources: &Sources,
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<BillReport, BillError> {
    let step = Step { progress, name: "adding up every line", from: 0, to: SCANNED };
    let mut rollup = scan::scan(sources, options, step).await?;
    let (lines, days, months) = (rollup.lines(), rollup.days()?, rollup.months()?);
    let (filter, held) = (rollup.filter(), rollup.take_dearest(options.top_resources)?);
    let has_invoices = rollup.has_invoices();
    let given_up = held.is_none() && options.top_resources > 0;
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

    let mut resources = held.unwrap_or_default();
    if let Some(filter) = filter.filter(|_| given_up && !facts.is_empty()) {
        let engine = DataFusionEngine::open(sources, options, lines)?;
        let step = Step { progress, name: "finding the dearest resources", from: SCANNED, to: 1000 };
        resources = query_resources(&engine, &filter, &facts, options.top_resources, step).await?;
    }
    // The order of those that cost the same is the same, whatever found them.
    resources.sort_by(|a, b| order(a).cmp(&order(b)));
    let totals: Vec<ControlTotal> = totals.into_values().collect();
    Ok(BillReport {
        format,
        files: sources.report_files(),
        lines,
        first_day: days.map(|(first, _)| first),
        last_day: days.map(|(_, last)| last),
        months,
        has_invoices,
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

/// The dearest resources of each currency, by SQL: for bills with more of them than memory holds.
async fn query_resources(
    engine: &dyn RollupEngine,
    filter: &str,
    facts: &[DailyFact],
    top: usize,
    step: Step<'_>,
) -> Result<Vec<ResourceCost>, BillError> {
    let (kinds, products) = kinds(facts);
    let products: Vec<(&str, usize)> = products.iter().map(|(code, kind)| (code.as_ref(), *kind)).collect();
    let currencies: BTreeSet<Currency> = facts.iter().map(|fact| fact.currency).collect();
    let named: Vec<&str> =
        currencies.iter().map(Currency::as_str).filter(|code| *code != NO_CURRENCY).collect();
    let mut found = Vec::new();
    // One query a currency, so that the amounts of one do not crowd out those of another.
    for (done, currency) in (0..).zip(&currencies) {
        let of_currency = match currency.as_str() {
            NO_CURRENCY => sql::of_no_currency(&named),
            code => sql::of_currency(code),
        };
        let part = (1000 - step.from) / u16::try_from(currencies.len()).unwrap_or(u16::MAX).max(1);
        let from = step.from + part.saturating_mul(done);
        let step = Step { from, to: from + part, ..step };
        let on_row = &mut |cells: &[_]| {
            found.extend(resource(&mut Row::new(cells), *currency, &kinds)?);
            Ok(())
        };
        let query = sql::resources(&format!("({filter}) AND ({of_currency})"), &products, top);
        engine.query(&query, step, on_row).await?;
    }
    Ok(found)
}

/// The services with their verdicts, and which of them each product is of, as its facts say; a product that is AI in part
/// counts as AI.
fn kinds(facts: &[DailyFact]) -> (Vec<(Text, Verdict)>, BTreeMap<Text, usize>) {
    let mut of_products: BTreeMap<Text, (Verdict, Text)> = BTreeMap::new();
    for fact in facts {
        let known = of_products.get(&fact.product_code);
        if known.is_none_or(|(verdict, _)| fact.class.verdict < *verdict) {
            let service = Text::from(fact.class.service.as_ref());
            of_products.insert(fact.product_code.clone(), (fact.class.verdict, service));
        }
    }
    let mut kinds: Vec<(Text, Verdict)> = Vec::new();
    let mut number = |(verdict, service): (Verdict, Text)| {
        let kind = (service, verdict);
        kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        })
    };
    let products = of_products.into_iter().map(|(code, kind)| (code, number(kind))).collect();
    (kinds, products)
}

/// A row of [`sql::resources`].
fn resource(
    row: &mut Row<'_>,
    currency: Currency,
    kinds: &[(Text, Verdict)],
) -> Result<Option<ResourceCost>, BillError> {
    let [resource_id, usage_account, kind] = row.texts::<3>()?;
    let (unblended, lines) = (row.amount()?.unwrap_or_default(), row.count()?);
    let kind = kind.parse().ok().and_then(|kind: usize| kinds.get(kind)).cloned();
    Ok(kind.map(|(service, verdict)| ResourceCost {
        resource_id,
        usage_account,
        service,
        verdict,
        currency,
        unblended,
        lines,
    }))
}

/// Currency by currency, dearest first.
fn order(resource: &ResourceCost) -> impl Ord {
    (
        resource.currency,
        Reverse(resource.unblended),
        resource.resource_id.clone(),
        resource.usage_account.clone(),
        resource.service.clone(),
        resource.verdict,
    )
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
