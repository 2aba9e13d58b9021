//! Pass one: the control totals, and which products and usage types may be AI.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::bill::{ControlTotal, Text};
use costlens_domain::classify::{LineKey, screen};
use costlens_domain::money::Currency;
use rust_decimal::Decimal;

use super::row::{self, Row};
use crate::{BillError, sql};

/// What pass one found.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) totals: BTreeMap<(Text, Currency), ControlTotal>,
    pub(super) first_day: Option<NaiveDate>,
    pub(super) last_day: Option<NaiveDate>,
    /// For each product, the usage types that may be AI and those that are not.
    products: BTreeMap<Text, (BTreeSet<Text>, BTreeSet<Text>)>,
}

impl Keys {
    pub(super) fn add(&mut self, row: &mut Row<'_>) -> Result<(), BillError> {
        let [line_type, currency, entity, code, name, family, category, usage_type] = row.texts::<8>()?;
        let is_split = row.flag()?;
        let lines = row.count()?;
        let priced = row.count()?;
        let cost = row.amount()?.unwrap_or_default();
        let (first, last) = (row.day()?, row.day()?);

        let currency = row::currency(&currency);
        let total = self.totals.entry((line_type.clone(), currency)).or_insert_with(|| ControlTotal {
            line_item_type: line_type.clone(),
            currency,
            lines: 0,
            lines_without_cost: 0,
            unblended: Decimal::ZERO,
            split_cost: Decimal::ZERO,
            ai: Decimal::ZERO,
            candidate: Decimal::ZERO,
        });
        total.lines += lines;
        total.lines_without_cost += lines.saturating_sub(priced);
        total.unblended += cost;
        if is_split {
            total.split_cost += cost;
        }
        self.first_day = [self.first_day, first].into_iter().flatten().min();
        self.last_day = [self.last_day, last].into_iter().flatten().max();

        let may_be_ai = screen(&LineKey {
            product_code: &code,
            product_name: &name,
            product_family: &family,
            usage_type: &usage_type,
            billing_entity: &entity,
            line_item_type: &line_type,
            service_category: &category,
            ..LineKey::default()
        });
        let (ai, not_ai) = self.products.entry(code).or_default();
        if may_be_ai {
            ai.insert(usage_type);
        } else {
            not_ai.insert(usage_type);
        }
        Ok(())
    }

    /// The condition for pass two; `None` where nothing in the bill may be AI.
    pub(super) fn filter(&self) -> Option<String> {
        let mut products: Vec<&str> = Vec::new();
        let mut usage_types: BTreeSet<&str> = BTreeSet::new();
        for (code, (ai, not_ai)) in &self.products {
            if ai.is_empty() {
                continue;
            }
            // A product is named as a whole where all of it may be AI, or where a line without a usage type is.
            let whole = not_ai.is_empty() || ai.iter().any(|usage_type| usage_type.is_empty());
            if whole && !code.is_empty() {
                products.push(code);
            } else {
                usage_types.extend(ai.iter().map(AsRef::as_ref));
            }
        }
        let usage_types: Vec<&str> = usage_types.into_iter().collect();
        sql::filter(&products, &usage_types)
    }
}
