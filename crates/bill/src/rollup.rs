//! From queries to a report: first what may be AI, then the facts about it, then the totals that prove them.

mod keys;
mod row;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use costlens_domain::bill::{BillReport, ControlTotal, DailyFact, KNOWN_LINE_TYPES, ResourceCost, Text};
use costlens_domain::classify::{Classification, LineKey, RULES_VERSION, Verdict, classify};
use costlens_domain::money::Currency;
use rust_decimal::Decimal;

use crate::engine::{RollupEngine, Step};
use crate::progress::Progress;
use crate::source::Sources;
use crate::{BillError, ReadOptions, sql};
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

    let mut facts = Facts::default();
    let mut resources = Vec::new();
    let filter = keys.filter();
    if let Some(filter) = &filter {
        let step = Step { progress, name: "reading the AI lines", from: one, to: two };
        let first_day = keys.first_day;
        let on_row = &mut |cells: &[_]| facts.add(&mut Row::new(cells), first_day);
        engine.query(&sql::facts(filter), step, on_row).await?;
    }
    let facts = facts.into_facts();
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

/// Facts by what they say, whatever their descriptions.
#[derive(Default)]
struct Facts {
    /// Classes that were already found, by what they were found from.
    classes: HashMap<[Text; 14], Arc<Classification>>,
    /// Each class once.
    shared: HashMap<Arc<Classification>, Arc<Classification>>,
    all: Vec<DailyFact>,
}

impl Facts {
    fn add(&mut self, row: &mut Row<'_>, first_day: Option<NaiveDate>) -> Result<(), BillError> {
        let [
            billing_account,
            usage_account,
            region,
            billing_entity,
            product_code,
            product_name,
            product_family,
            usage_type,
            operation,
            description,
            line_type,
            currency,
            principal,
            provider,
            model,
            inference_type,
            feature,
            pricing_unit,
            service_category,
        ] = row.texts::<{ sql::FACT_TEXTS.len() }>()?;
        let class = self.class_of(&[
            product_code.clone(),
            product_name.clone(),
            product_family,
            usage_type.clone(),
            operation.clone(),
            description,
            billing_entity.clone(),
            line_type.clone(),
            provider,
            model,
            inference_type,
            feature,
            pricing_unit.clone(),
            service_category,
        ]);
        if class.verdict == Verdict::NotAi {
            return Ok(());
        }
        let currency = row::currency(&currency);
        let Some(day) = row.day()?.or(first_day) else {
            return Err(BillError::Engine { message: "no line of the bill has a day".to_owned() });
        };
        let lines = row.count()?;
        let usage_quantity = row.amount()?.unwrap_or_default();
        let unblended = row.amount()?.unwrap_or_default();
        let net_unblended = row.amount()?.unwrap_or_default();
        let amortised = row.amount()?.unwrap_or_default();
        let tokens = class
            .tokens_per_unit
            .filter(|_| costlens_domain::classify::is_usage(&line_type))
            .and_then(|per_unit| usage_quantity.checked_mul(Decimal::from(per_unit)));
        self.all.push(DailyFact {
            day,
            billing_account,
            usage_account,
            region,
            billing_entity,
            product_code,
            product_name,
            usage_type,
            operation,
            principal,
            line_item_type: line_type,
            currency,
            class,
            pricing_unit,
            usage_quantity,
            tokens,
            unblended,
            net_unblended,
            amortised,
            lines,
        });
        Ok(())
    }

    fn class_of(&mut self, texts: &[Text; 14]) -> Arc<Classification> {
        if let Some(known) = self.classes.get(texts) {
            return Arc::clone(known);
        }
        let [
            code,
            name,
            family,
            usage_type,
            operation,
            description,
            entity,
            line_type,
            provider,
            model,
            inference,
            feature,
            unit,
            category,
        ] = texts;
        let found = Arc::new(classify(&LineKey {
            product_code: code,
            product_name: name,
            product_family: family,
            usage_type,
            operation,
            description,
            billing_entity: entity,
            line_item_type: line_type,
            provider,
            model,
            inference_type: inference,
            feature,
            pricing_unit: unit,
            service_category: category,
        }));
        let shared = Arc::clone(self.shared.entry(Arc::clone(&found)).or_insert(found));
        self.classes.insert(texts.clone(), Arc::clone(&shared));
        shared
    }

    /// The facts, in an order that does not depend on threads. Groups that differed only in what a fact does not
    /// keep, such as the description, become one.
    fn into_facts(mut self) -> Vec<DailyFact> {
        self.all.sort_unstable_by(order);
        self.all.dedup_by(|next, fact| {
            let same = order(next, fact).is_eq();
            if same {
                fact.usage_quantity += next.usage_quantity;
                fact.tokens = match (fact.tokens, next.tokens) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
                fact.unblended += next.unblended;
                fact.net_unblended += next.net_unblended;
                fact.amortised += next.amortised;
                fact.lines += next.lines;
            }
            same
        });
        self.all
    }
}

/// The order of facts; equal where two of them say the same but for their figures.
fn order(a: &DailyFact, b: &DailyFact) -> Ordering {
    a.day
        .cmp(&b.day)
        .then_with(|| text_order(&a.product_code, &b.product_code))
        .then_with(|| text_order(&a.usage_type, &b.usage_type))
        .then_with(|| text_order(&a.usage_account, &b.usage_account))
        .then_with(|| text_order(&a.line_item_type, &b.line_item_type))
        .then_with(|| text_order(&a.region, &b.region))
        .then_with(|| text_order(&a.principal, &b.principal))
        .then_with(|| text_order(&a.operation, &b.operation))
        .then_with(|| text_order(&a.product_name, &b.product_name))
        .then_with(|| text_order(&a.pricing_unit, &b.pricing_unit))
        .then_with(|| text_order(&a.billing_account, &b.billing_account))
        .then_with(|| text_order(&a.billing_entity, &b.billing_entity))
        .then_with(|| a.currency.cmp(&b.currency))
        .then_with(|| if Arc::ptr_eq(&a.class, &b.class) { Ordering::Equal } else { a.class.cmp(&b.class) })
}

/// Shared texts are mostly the very same one.
fn text_order(a: &Text, b: &Text) -> Ordering {
    if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
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
