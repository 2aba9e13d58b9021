//! From queries to a report: first what may be AI, then the facts about it, then the totals that prove them.

mod keys;
mod row;

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
    if let Some(filter) = keys.filter() {
        let step = Step { progress, name: "reading the AI lines", from: one, to: two };
        let first_day = keys.first_day;
        let on_row = &mut |cells: &[_]| facts.add(&mut Row::new(cells), first_day);
        engine.query(&sql::facts(&filter), step, on_row).await?;
        if resources_wanted {
            // Products that turn out to be no AI after all must not crowd out those that are.
            let limit = options.top_resources.saturating_mul(8).max(200);
            let step = Step { progress, name: "finding the dearest resources", from: two, to: 1000 };
            let on_row = &mut |cells: &[_]| add_resource(&mut Row::new(cells), &mut resources);
            engine.query(&sql::resources(&filter, limit), step, on_row).await?;
            resources = dearest(resources, options.top_resources);
        }
    }
    let facts = facts.into_facts();
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
    by_key: HashMap<FactKey, DailyFact>,
}

/// What two lines must share to be one fact.
#[derive(PartialEq, Eq, Hash)]
struct FactKey {
    day: NaiveDate,
    texts: [Text; 11],
    class: Arc<Classification>,
    currency: Currency,
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
        let key = FactKey {
            day,
            texts: [
                billing_account.clone(),
                usage_account.clone(),
                region.clone(),
                billing_entity.clone(),
                product_code.clone(),
                product_name.clone(),
                usage_type.clone(),
                operation.clone(),
                principal.clone(),
                line_type.clone(),
                pricing_unit.clone(),
            ],
            class: Arc::clone(&class),
            currency,
        };
        let fact = self.by_key.entry(key).or_insert_with(|| DailyFact {
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
            usage_quantity: Decimal::ZERO,
            tokens: None,
            unblended: Decimal::ZERO,
            net_unblended: Decimal::ZERO,
            amortised: Decimal::ZERO,
            lines: 0,
        });
        fact.usage_quantity += usage_quantity;
        fact.tokens = match (fact.tokens, tokens) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        fact.unblended += unblended;
        fact.net_unblended += net_unblended;
        fact.amortised += amortised;
        fact.lines += lines;
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

    /// The facts, in an order that does not depend on threads.
    fn into_facts(self) -> Vec<DailyFact> {
        let mut facts: Vec<DailyFact> = self.by_key.into_values().collect();
        facts.sort_by(|a, b| {
            let key = |fact: &DailyFact| {
                (
                    fact.day,
                    fact.product_code.clone(),
                    fact.usage_type.clone(),
                    fact.usage_account.clone(),
                    fact.line_item_type.clone(),
                    fact.region.clone(),
                    fact.principal.clone(),
                    fact.operation.clone(),
                    fact.currency,
                    fact.product_name.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        facts
    }
}

fn add_resource(row: &mut Row<'_>, resources: &mut Vec<ResourceCost>) -> Result<(), BillError> {
    let [resource_id, usage_account, currency, code, usage_type, entity, name, category] =
        row.texts::<8>()?;
    let unblended = row.amount()?.unwrap_or_default();
    let lines = row.count()?;
    let class = classify(&LineKey {
        product_code: &code,
        product_name: &name,
        usage_type: &usage_type,
        billing_entity: &entity,
        service_category: &category,
        ..LineKey::default()
    });
    if class.verdict != Verdict::NotAi {
        resources.push(ResourceCost {
            resource_id,
            usage_account,
            service: Text::from(class.service.as_ref()),
            verdict: class.verdict,
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
