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
use crate::rollup::{self, NO_CURRENCY};
use crate::source::Sources;
use crate::sql::{OfKind, Scope};
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
    let (scope, held) = (rollup.scope(), rollup.take_dearest(options.top_resources)?);
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

    let (currencies, are_all) = currencies_of(&facts);
    let mut resources = held.unwrap_or_default();
    resources.retain(|resource| currencies.contains(&resource.currency));
    if given_up && !facts.is_empty() {
        let engine = DataFusionEngine::open(sources, options, lines)?;
        let step = Step { progress, name: "finding the dearest resources", from: SCANNED, to: 1000 };
        let in_currencies = (&currencies, are_all);
        let found = query_resources(&engine, &scope, &facts, in_currencies, options.top_resources, step);
        resources = found.await?;
    } else {
        Step { to: 1000, ..step }.tell(1, 1);
    }
    // The order of those that cost the same is the same, whatever found them.
    resources.sort_by_cached_key(order);
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

/// In how many currencies resources are named: those of most lines. A bill has one or two, and a made-up one may have thousands.
const MOST_CURRENCIES: usize = 16;
/// By how many names of products and usage types resources are asked for, where memory does not hold them. A month has some
/// hundreds that may be AI; of one with more, which is made up, none are named.
const MOST_NAMES: usize = 10_000;

/// The currencies in which resources are named, and whether these are all that the facts have. What has none is told where they are.
fn currencies_of(facts: &[DailyFact]) -> (BTreeSet<Currency>, bool) {
    let mut lines: BTreeMap<Currency, u64> = BTreeMap::new();
    for fact in facts {
        *lines.entry(fact.currency).or_default() += fact.lines;
    }
    let are_all = lines.len() <= MOST_CURRENCIES;
    let is_told = |currency: &Currency| are_all || currency.as_str() != NO_CURRENCY;
    let mut most: Vec<(Reverse<u64>, Currency)> =
        lines.into_iter().filter(|(of, _)| is_told(of)).map(|(of, lines)| (Reverse(lines), of)).collect();
    most.sort_unstable();
    (most.into_iter().take(MOST_CURRENCIES).map(|(_, currency)| currency).collect(), are_all)
}

/// The dearest resources of each of these currencies, by SQL: for bills with more of them than memory holds.
async fn query_resources(
    engine: &dyn RollupEngine,
    scope: &Scope,
    facts: &[DailyFact],
    (currencies, are_all): (&BTreeSet<Currency>, bool),
    top: usize,
    step: Step<'_>,
) -> Result<Vec<ResourceCost>, BillError> {
    let (kinds, of_kinds) = kinds(facts, scope);
    if scope.names() + of_kinds.iter().map(OfKind::names).sum::<usize>() > MOST_NAMES {
        step.tell(1, 1);
        return Ok(Vec::new());
    }
    let named: Vec<&str> =
        currencies.iter().map(Currency::as_str).filter(|code| *code != NO_CURRENCY).collect();
    let other = if are_all && named.len() < currencies.len() { NO_CURRENCY } else { "" };
    let mut dearest = Dearest { top, by_currency: BTreeMap::new() };
    let on_row = &mut |cells: &[_]| {
        if let Some(resource) = resource(&mut Row::new(cells), &kinds)? {
            dearest.push(resource);
        }
        Ok(())
    };
    engine.query(&sql::resources(scope, &of_kinds, &named, other), step, on_row).await?;
    Ok(dearest.into_all())
}

/// The dearest of each currency, of however many.
struct Dearest {
    top: usize,
    by_currency: BTreeMap<Currency, Vec<ResourceCost>>,
}

impl Dearest {
    fn push(&mut self, resource: ResourceCost) {
        let found = self.by_currency.entry(resource.currency).or_default();
        found.push(resource);
        if found.len() >= self.top.saturating_mul(2).saturating_add(1024) {
            keep_dearest(found, self.top);
        }
    }

    fn into_all(self) -> Vec<ResourceCost> {
        let of_each = self.by_currency.into_values().map(|mut found| {
            keep_dearest(&mut found, self.top);
            found
        });
        of_each.flatten().collect()
    }
}

fn keep_dearest(found: &mut Vec<ResourceCost>, top: usize) {
    found.sort_by_cached_key(order);
    found.truncate(top);
}

/// The services with their verdicts, and which lines are of which, as the facts say. Where lines of one product and usage type are
/// of several, what is AI goes before what may be.
fn kinds<'a>(facts: &'a [DailyFact], scope: &Scope) -> (Vec<(Text, Verdict)>, Vec<OfKind<'a>>) {
    let mut products: BTreeMap<&str, BTreeMap<(Verdict, &str), BTreeSet<&str>>> = BTreeMap::new();
    for fact in facts {
        let kind = (fact.class.verdict, fact.class.service.as_ref());
        products.entry(&fact.product_code).or_default().entry(kind).or_default().insert(&fact.usage_type);
    }
    let mut kinds: Vec<(Text, Verdict)> = Vec::new();
    let mut numbers: BTreeMap<(Verdict, &str), usize> = BTreeMap::new();
    let mut of_kinds = Vec::new();
    for (product_code, of_product) in products {
        let is_one = of_product.len() == 1 && scope.products.contains(product_code);
        for ((verdict, service), usage_types) in of_product {
            let kind = *numbers.entry((verdict, service)).or_insert_with(|| {
                kinds.push((Text::from(service), verdict));
                kinds.len() - 1
            });
            let usage_types = (!is_one).then(|| usage_types.into_iter().collect());
            of_kinds.push(OfKind { product_code, usage_types, kind });
        }
    }
    (kinds, of_kinds)
}

/// A row of [`sql::resources`].
fn resource(row: &mut Row<'_>, kinds: &[(Text, Verdict)]) -> Result<Option<ResourceCost>, BillError> {
    let [resource_id, usage_account, code, kind] = row.texts::<4>()?;
    let (unblended, lines) = (row.amount()?.unwrap_or_default(), row.count()?);
    let currency = rollup::currency(&code);
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
fn order(resource: &ResourceCost) -> impl Ord + use<> {
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
        .filter(|kind| !kind.is_empty() && !KNOWN_LINE_TYPES.contains(&kind.as_ref()))
        .collect();
    unknown.dedup();
    unknown
}
