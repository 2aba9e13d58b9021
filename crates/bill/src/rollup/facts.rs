//! Pass three: the daily facts.

use std::cmp::Ordering;
use std::sync::Arc;

use chrono::NaiveDate;
use costlens_domain::bill::{DailyFact, Text};
use costlens_domain::classify::{Verdict, is_usage};
use rust_decimal::Decimal;

use super::classes::{Classes, Key};
use super::row::{self, Row};
use crate::BillError;

/// Facts as they come in.
pub(super) struct Facts {
    first_day: Option<NaiveDate>,
    all: Vec<DailyFact>,
}

impl Facts {
    /// `first_day` stands in for lines without a day.
    pub(super) const fn new(first_day: Option<NaiveDate>) -> Self {
        Self { first_day, all: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        row: &mut Row<'_>,
        classes: &mut Classes,
        in_full: bool,
    ) -> Result<(), BillError> {
        let key: Key = row.texts()?;
        let [billing_account, usage_account, region, principal, currency] = row.texts()?;
        let product = if in_full { classes.in_full(key.clone(), row.texts()?) } else { classes.of_key(&key) };
        let Some(product) = product.filter(|product| product.class.verdict != Verdict::NotAi) else {
            return Ok(());
        };
        let [product_code, usage_type, operation, line_item_type, pricing_unit, billing_entity] = key;
        let Some(day) = row.day()?.or(self.first_day) else {
            return Err(BillError::Engine { message: "no line of the bill has a day".to_owned() });
        };
        let lines = row.count()?;
        let usage_quantity = row.amount()?.unwrap_or_default();
        let unblended = row.amount()?.unwrap_or_default();
        let net_unblended = row.amount()?.unwrap_or_default();
        let amortised = row.amount()?.unwrap_or_default();
        let tokens = product
            .class
            .tokens_per_unit
            .filter(|_| is_usage(&line_item_type))
            .and_then(|per_unit| usage_quantity.checked_mul(Decimal::from(per_unit)));
        self.all.push(DailyFact {
            day,
            billing_account,
            usage_account,
            region,
            billing_entity,
            product_code,
            product_name: product.name,
            usage_type,
            operation,
            principal,
            line_item_type,
            currency: row::currency(&currency),
            class: product.class,
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

    /// The facts, in an order that does not depend on threads. Groups that differed only in what a fact does not
    /// keep, such as the description, become one.
    pub(super) fn into_facts(mut self) -> Vec<DailyFact> {
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
