//! Adding up lines: control totals of all, daily facts of those that are AI or may be.
//!
//! Texts are numbers here ([`Texts`]), so a line costs a few look-ups in tables of integers. The classifier is
//! asked once for each way in which a line names its product. Several of these, filled by several threads or
//! from several files, become one by [`Rollup::absorb`], in any order with the same result.

mod chunks;
mod facts;
mod measures;
mod products;
mod reader;
mod resources;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate};
use costlens_domain::bill::{ControlTotal, DailyFact, OtherCosts, ReportFormat, ResourceCost, Text};
use costlens_domain::classify::{Cloud, LineKey, screen};
use costlens_domain::money::Currency;
use datafusion::arrow::array::ArrayRef;
use hashbrown::HashMap;
use rust_decimal::Decimal;

use crate::BillError;
use crate::lines::amounts::{self, Amount, Day, date, decimal, out_of_range};
use crate::lines::texts::{Code, Codes, Texts};
use crate::lines::{
    DIRECTORY_USER, FIRST_TEXTS, ISSUER_TEXT, LIST_COST, PRINCIPAL_TEXT, PRODUCT_TEXTS, SCALE, USAGE_TEXT,
    USER_TEXTS,
};
use crate::sql::{SPLIT_OPERATIONS, Scope};
use facts::{FactKey, Facts};
use measures::{Measures, Rule};
use products::{Kept, Products};
use reader::REST_AMOUNTS;
pub(crate) use reader::{ALL, BatchReader, FIRST, Failed, PLAIN_FIRST, PLAIN_REST, REST};
use resources::{NameColumns, Resources, Use};

/// The values of one row of columns that are as long as each other.
fn row<T: Copy + Default, const N: usize>(columns: &[Vec<T>; N], at: usize) -> [T; N] {
    std::array::from_fn(|column| {
        columns.get(column).and_then(|values| values.get(at)).copied().unwrap_or_default()
    })
}

/// What a first look says about a line: the codes of [`FIRST_TEXTS`].
type FirstKey = [Code; FIRST_TEXTS.len()];

/// All lines of which a first look says the same.
#[derive(Debug)]
struct First {
    key: FirstKey,
    /// The place of its control total.
    total: usize,
    /// A container's share of its instance's line.
    is_split: bool,
    may_be_ai: bool,
    /// Its lines have more to say of a commitment.
    is_of_commitment: bool,
    azures: Azures,
}

/// What tells the kind of an Azure file: whether its costs are amortised or actual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Azures {
    /// Use of what a commitment covers: only a file of amortised costs has a cost of it.
    Covered,
    /// A charge for what is bought ahead: only a file of actual costs has it.
    Commitment,
    /// A line that either has, and every line of anybody else's.
    Either,
}

/// A line that may be AI.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pick {
    /// Its row.
    pub(crate) row: usize,
    first: u32,
    cost: Amount,
    day: Day,
}

impl Pick {
    /// The same line in a batch that begins so many rows earlier.
    pub(crate) const fn moved_by(self, rows: usize) -> Self {
        Self { row: self.row + rows, ..self }
    }
}

/// One control total as it grows.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    lines: u64,
    lines_without_cost: u64,
    cost: i128,
    split_cost: i128,
}

/// Azure's pricing models of what was bought ahead.
const COVERED: [&str; 2] = ["Reservation", "SavingsPlan"];

/// A month with fewer than one in so many of a bill's lines is not what the bill is of: a few lines stray into each from its
/// neighbours. A bill of a month and of the one in which its account began has both.
const STRAY_PART: u64 = 36;
/// Of a longer bill each month has fewer of all lines: it is fair with one in so many of those that it would have, were all
/// months alike.
const FAIR_PART: u64 = 3;

/// Days of a batch that are within so many of each other are counted in a row, as those of any real bill are.
const DENSE_DAYS: usize = 4096;

/// The most that sums of lines may take of memory, in bytes. Sums of real bills take some tens of millions; only who makes
/// up another text for each line comes here.
const MOST_HELD: usize = 256 * 1024 * 1024;

/// How many bytes something may take.
#[derive(Clone, Copy, Debug)]
struct Bound(usize);

impl Default for Bound {
    fn default() -> Self {
        Self(MOST_HELD)
    }
}

/// Which lines name the invoice that they are on.
#[derive(Clone, Copy, Debug, Default)]
struct Invoiced {
    any: bool,
    any_not: bool,
}

impl Invoiced {
    const fn add(&mut self, is_on_one: bool) {
        self.any |= is_on_one;
        self.any_not |= !is_on_one;
    }

    const fn absorb(&mut self, other: Self) {
        self.any |= other.any;
        self.any_not |= other.any_not;
    }
}

/// Sums of lines.
#[derive(Debug, Default)]
pub(crate) struct Rollup {
    texts: Texts,
    first_by_key: HashMap<Codes<{ FIRST_TEXTS.len() }>, u32>,
    firsts: Vec<First>,
    /// By line-item type and currency.
    total_by_key: HashMap<[Code; 2], usize>,
    totals: Vec<Total>,
    /// How many lines each day has.
    lines_by_day: BTreeMap<i32, u64>,
    products: Products,
    facts: Facts,
    /// What each resource cost; `None` where nobody asked, or where they are too many.
    resources: Option<Resources>,
    /// How many bytes the resources may take.
    resources_bound: Bound,
    invoiced: Invoiced,
    /// Whether anything that a commitment of Azure's covers had a cost.
    has_covered_cost: bool,
    bound: Bound,
}

impl Rollup {
    /// Sums that also say what each resource cost, while that takes at most so many bytes.
    pub(crate) fn with_resources(most_bytes: usize) -> Self {
        Self { resources: Some(Resources::default()), resources_bound: Bound(most_bytes), ..Self::default() }
    }

    /// Gives the resources up where they are too many to be held: the bill itself can still be read.
    fn let_go_of_too_many_resources(&mut self) {
        if self.resources.as_ref().is_some_and(|held| held.held_bytes() > self.resources_bound.0) {
            self.resources = None;
        }
    }

    /// Refuses what takes more memory than a bill may.
    fn must_fit(&self) -> Result<(), BillError> {
        let firsts = self.firsts.len().saturating_mul(size_of::<(FirstKey, u32, First)>());
        let held = [
            firsts,
            self.texts.held_bytes(),
            self.products.held_bytes(),
            self.facts.held_bytes(),
            self.total_by_key.len().saturating_mul(size_of::<([Code; 2], usize, Total)>()),
            self.lines_by_day.len().saturating_mul(size_of::<(i32, u64)>()),
        ];
        if held.into_iter().fold(0, usize::saturating_add) > self.bound.0 {
            return Err(BillError::Memory { memory_bytes: self.bound.0 });
        }
        Ok(())
    }

    /// Whether it still matters which lines name their invoice: the first one that names none says it all.
    pub(crate) const fn wants_invoices(&self) -> bool {
        !self.invoiced.any_not
    }

    /// Adds every line to its control total; answers those that may be AI, by [`screen`], in their order.
    pub(crate) fn look(
        &mut self,
        reader: &mut BatchReader,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<Pick>, Failed> {
        let mut texts = reader.codes::<{ FIRST_TEXTS.len() }>(columns, rows, 0, &mut self.texts)?;
        if let Some((codes, issuer)) = texts.get_mut(ISSUER_TEXT).zip(reader.layout().issuer) {
            codes.fill(self.texts.code(issuer));
        }
        let skus = reader.skus(columns, rows, &mut self.texts)?;
        self.call_by_sku(&mut texts, &skus);
        let [costs] = reader.amounts::<1>(columns, rows)?;
        let days = amounts::days(columns, rows, &reader.layout().day).map_err(Failed::Cell)?;
        self.count_days(&days);
        let invoiced = if self.wants_invoices() { reader.flag(columns, rows)? } else { Vec::new() };
        let mut picks = Vec::new();
        for (at, (cost, day)) in costs.into_iter().zip(days).enumerate() {
            let key = row(&texts, at);
            let first = self.first(key);
            let Some(known) = usize::try_from(first).ok().and_then(|at| self.firsts.get(at)) else {
                continue;
            };
            let Some(total) = self.totals.get_mut(known.total) else { continue };
            total.lines += 1;
            match cost {
                None => total.lines_without_cost += 1,
                Some(cost) => {
                    total.cost = total.cost.checked_add(cost).ok_or_else(out_of_range)?;
                    self.has_covered_cost |= known.azures == Azures::Covered && cost != 0;
                    if cost != 0 {
                        self.invoiced.add(invoiced.get(at).copied().unwrap_or(false));
                    }
                    if known.is_split {
                        total.split_cost = total.split_cost.checked_add(cost).ok_or_else(out_of_range)?;
                    }
                }
            }
            if known.may_be_ai && !known.is_split {
                picks.push(Pick { row: at, first, cost, day });
            }
        }
        self.must_fit()?;
        Ok(picks)
    }

    /// Lets Google's lines have their SKU for a usage type. The descriptions of others' charges are no names.
    fn call_by_sku(&self, texts: &mut [Vec<Code>; FIRST_TEXTS.len()], skus: &[Code]) {
        let Ok([usage_types, issuers]) = texts.get_disjoint_mut([USAGE_TEXT, ISSUER_TEXT]) else { return };
        let mut googles: HashMap<Code, bool> = HashMap::new();
        for ((usage_type, issuer), sku) in usage_types.iter_mut().zip(issuers.iter()).zip(skus) {
            let is_google = *googles
                .entry(*issuer)
                .or_insert_with(|| Cloud::named(&self.texts.text(*issuer)) == Cloud::Google);
            if is_google {
                *usage_type = *sku;
            }
        }
    }

    fn count_days(&mut self, days: &[Day]) {
        let said = || days.iter().filter_map(|day| *day);
        let (Some(first), Some(last)) = (said().min(), said().max()) else { return };
        match usize::try_from(i64::from(last) - i64::from(first)) {
            Ok(span) if span < DENSE_DAYS => {
                let mut lines = vec![0_u64; span + 1];
                for day in said() {
                    if let Some(lines) = usize::try_from(day - first).ok().and_then(|at| lines.get_mut(at)) {
                        *lines += 1;
                    }
                }
                for (day, lines) in (first..).zip(lines).filter(|(_, lines)| *lines > 0) {
                    *self.lines_by_day.entry(day).or_default() += lines;
                }
            }
            _ => said().for_each(|day| *self.lines_by_day.entry(day).or_default() += 1),
        }
    }

    /// Whether any of these lines has more to say of a commitment than [`PLAIN_REST`] reads.
    pub(crate) fn any_of_commitment(&self, picks: &[Pick]) -> bool {
        let first = |pick: &Pick| usize::try_from(pick.first).ok().and_then(|at| self.firsts.get(at));
        picks.iter().any(|pick| first(pick).is_some_and(|first| first.is_of_commitment))
    }

    /// Adds the picked lines, of which the batch holds the rest, to the facts.
    pub(crate) fn add(
        &mut self,
        reader: &mut BatchReader,
        columns: &[ArrayRef],
        picks: &[Pick],
    ) -> Result<(), Failed> {
        let rows = picks.len();
        let product = reader.codes::<{ PRODUCT_TEXTS.len() }>(columns, rows, 0, &mut self.texts)?;
        let user =
            reader.codes::<{ USER_TEXTS.len() }>(columns, rows, PRODUCT_TEXTS.len(), &mut self.texts)?;
        let amounts = reader.amounts::<{ REST_AMOUNTS.len() }>(columns, rows)?;
        let says_list = reader.layout().amounts.get(LIST_COST).is_some_and(|sources| !sources.is_empty());
        let reserved = reader.flag(columns, rows)?;
        let names = NameColumns::of(columns, &reader.layout().resource).map_err(Failed::Cell)?;
        let mut kept = Vec::with_capacity(rows);
        for (at, pick) in picks.iter().enumerate() {
            let Some(first) = usize::try_from(pick.first).ok().and_then(|at| self.firsts.get(at)) else {
                continue;
            };
            let look = self.products.look(pick.first, first.key, row(&product, at), &mut self.texts);
            let Some(product) = look.product else { continue };
            let mut user = row(&user, at);
            if let Some(principal) =
                user.get_mut(PRINCIPAL_TEXT).filter(|code| product.is_of_people && **code == 0)
            {
                let holder = names.get(at).filter(|name| name.starts_with(DIRECTORY_USER));
                *principal = holder.map_or(0, |holder| self.texts.code(holder));
            }
            let key = FactKey { product: product.number, user: Codes(user), day: pick.day };
            kept.push((at, key, look, product, pick.cost));
        }
        // In loops of their own, so that the processor looks for several facts at once.
        let places: Vec<u32> = kept.iter().map(|(_, key, ..)| self.facts.place(*key)).collect();
        for ((at, _, look, _, cost), place) in kept.iter().zip(places) {
            let measures = Measures {
                cost: *cost,
                rest: row(&amounts, *at),
                is_reserved: reserved.get(*at).copied().unwrap_or(false),
                says_list,
            };
            self.facts.add(place, measures.sums(look.rule, look.counts_usage)?)?;
        }
        if let Some(held) = &mut self.resources {
            let uses =
                kept.iter().map(|(at, FactKey { user: Codes([_, account, ..]), .. }, _, product, cost)| {
                    let Kept { currency, service, verdict, .. } = *product;
                    (*at, Use { account: *account, currency, service, verdict }, *cost)
                });
            held.add(&names, uses)?;
        }
        self.let_go_of_too_many_resources();
        self.must_fit()?;
        Ok(())
    }

    /// The number of what a first look says.
    fn first(&mut self, key: FirstKey) -> u32 {
        if let Some(known) = self.first_by_key.get(&Codes(key)) {
            return *known;
        }
        let number = u32::try_from(self.firsts.len()).unwrap_or(u32::MAX);
        let [line_type, currency, ..] = key;
        let [kind, _, entity, code, name, family, category, usage_type, operation, issuer] =
            self.texts.texts(key);
        let cloud = Cloud::named(&issuer);
        let may_be_ai = screen(&LineKey {
            cloud,
            product_code: &code,
            product_name: &name,
            product_family: &family,
            usage_type: &usage_type,
            billing_entity: &entity,
            line_item_type: &kind,
            service_category: &category,
            ..LineKey::default()
        });
        let is_split = SPLIT_OPERATIONS.contains(&operation.as_ref());
        let total = self.total([line_type, currency]);
        let is_of_commitment = Rule::is_of_commitment(&kind);
        let is_bought_ahead = COVERED.contains(&operation.as_ref());
        let azures = match &*kind {
            _ if cloud != Cloud::Azure => Azures::Either,
            "Usage" if is_bought_ahead => Azures::Covered,
            "Purchase" if is_bought_ahead => Azures::Commitment,
            unused if unused.starts_with("Unused") => Azures::Covered,
            _ => Azures::Either,
        };
        self.firsts.push(First { key, total, is_split, may_be_ai, is_of_commitment, azures });
        self.first_by_key.insert(Codes(key), number);
        number
    }

    /// The place of a control total.
    fn total(&mut self, key: [Code; 2]) -> usize {
        *self.total_by_key.entry(key).or_insert_with(|| {
            self.totals.push(Total::default());
            self.totals.len() - 1
        })
    }

    /// Adds all that another one holds.
    pub(crate) fn absorb(&mut self, other: &Self) -> Result<(), BillError> {
        let codes: Vec<Code> = other.texts.all().iter().map(|text| self.texts.code_of_shared(text)).collect();
        let own = |code: Code| usize::try_from(code).ok().and_then(|at| codes.get(at)).copied().unwrap_or(0);
        for first in &other.firsts {
            self.first(first.key.map(own));
        }
        for (key, at) in &other.total_by_key {
            let Some(theirs) = other.totals.get(*at) else { continue };
            let place = self.total(key.map(own));
            let Some(total) = self.totals.get_mut(place) else { continue };
            total.lines += theirs.lines;
            total.lines_without_cost += theirs.lines_without_cost;
            total.cost = total.cost.checked_add(theirs.cost).ok_or_else(out_of_range)?;
            total.split_cost = total.split_cost.checked_add(theirs.split_cost).ok_or_else(out_of_range)?;
        }
        for (day, lines) in &other.lines_by_day {
            *self.lines_by_day.entry(*day).or_default() += lines;
        }
        self.has_covered_cost |= other.has_covered_cost;
        self.invoiced.absorb(other.invoiced);
        let products = self.products.absorb(&other.products, own);
        self.facts.absorb(&other.facts, |key| FactKey {
            product: usize::try_from(key.product).ok().and_then(|at| products.get(at)).copied().unwrap_or(0),
            user: Codes(key.user.0.map(own)),
            day: key.day,
        })?;
        match (&mut self.resources, &other.resources) {
            (Some(held), Some(more)) => held.absorb(more, own)?,
            (held, _) => *held = None,
        }
        self.resources_bound.0 = self.resources_bound.0.saturating_add(other.resources_bound.0);
        self.let_go_of_too_many_resources();
        self.must_fit()
    }

    /// The format, once the lines have said whose they are and what their costs mean. FOCUS of several clouds is nobody's own.
    pub(crate) fn format(&self, of_columns: ReportFormat) -> ReportFormat {
        let mut clouds = BTreeSet::new();
        for first in &self.firsts {
            let [.., issuer] = self.texts.texts(first.key);
            if !issuer.is_empty() {
                clouds.insert(Cloud::named(&issuer));
            }
        }
        let cloud = clouds.pop_first().filter(|_| clouds.is_empty()).unwrap_or_default();
        match (of_columns, cloud) {
            (ReportFormat::Focus, Cloud::Azure) => ReportFormat::AzureFocus,
            (ReportFormat::Focus, Cloud::Google) => ReportFormat::GoogleFocus,
            (ReportFormat::AzureCosts, _) if self.has_covered_cost => ReportFormat::AzureAmortised,
            (format, _) => format,
        }
    }

    /// Whether Azure's actual and amortised costs were both read, which are the same money twice.
    pub(crate) fn is_twice(&self) -> bool {
        self.has_covered_cost && self.firsts.iter().any(|first| first.azures == Azures::Commitment)
    }

    /// How many lines were added.
    pub(crate) fn lines(&self) -> u64 {
        self.totals.iter().map(|total| total.lines).sum()
    }

    /// Whether every line that costs something names the invoice that it is on.
    pub(crate) const fn has_invoices(&self) -> bool {
        self.invoiced.any && !self.invoiced.any_not
    }

    /// The first and the last day of any line.
    pub(crate) fn days(&self) -> Result<Option<(NaiveDate, NaiveDate)>, BillError> {
        let (Some((first, _)), Some((last, _))) =
            (self.lines_by_day.first_key_value(), self.lines_by_day.last_key_value())
        else {
            return Ok(None);
        };
        Ok(Some((date(*first)?, date(*last)?)))
    }

    /// The first and the last of the months with a fair part of the lines (see [`STRAY_PART`]), by their first days.
    pub(crate) fn months(&self) -> Result<Option<(NaiveDate, NaiveDate)>, BillError> {
        let mut lines_by_month: BTreeMap<NaiveDate, u64> = BTreeMap::new();
        for (day, lines) in &self.lines_by_day {
            let day = date(*day)?;
            *lines_by_month.entry(day.with_day(1).unwrap_or(day)).or_default() += lines;
        }
        let (all, months) = (lines_by_month.values().sum::<u64>(), lines_by_month.len() as u64);
        // To leave a month out counts it twice once it is delivered; to have one too many refuses a file, and says so.
        let is_fair = |lines: u64| {
            lines > 1 && lines.saturating_mul(STRAY_PART) >= all
                || lines.saturating_mul(FAIR_PART).saturating_mul(months) >= all
        };
        let mut fair = lines_by_month.iter().filter(|(_, lines)| is_fair(**lines));
        let Some((first, _)) = fair.next() else { return Ok(None) };
        let last = fair.next_back().map_or(first, |(last, _)| last);
        Ok(Some((*first, *last)))
    }

    /// The control totals; their AI and candidate parts are still to be added.
    pub(crate) fn totals(&self) -> Result<BTreeMap<(Text, Currency), ControlTotal>, BillError> {
        let mut totals = BTreeMap::new();
        for (key, at) in &self.total_by_key {
            let [line_item_type, code] = self.texts.texts(*key);
            let Some(total) = self.totals.get(*at) else { continue };
            let currency = currency(&code);
            let entry = totals.entry((line_item_type.clone(), currency)).or_insert_with(|| ControlTotal {
                line_item_type,
                currency,
                lines: 0,
                lines_without_cost: 0,
                unblended: Decimal::ZERO,
                split_cost: Decimal::ZERO,
                ai: Decimal::ZERO,
                candidate: Decimal::ZERO,
                ai_costs: OtherCosts::default(),
                candidate_costs: OtherCosts::default(),
            });
            entry.lines += total.lines;
            entry.lines_without_cost += total.lines_without_cost;
            entry.unblended += decimal(total.cost, SCALE)?;
            entry.split_cost += decimal(total.split_cost, SCALE)?;
        }
        Ok(totals)
    }

    /// The dearest resources of lines that are AI or may be in each currency, in no order; all are let go then. `None` where they
    /// were too many.
    pub(crate) fn take_dearest(&mut self, top: usize) -> Result<Option<Vec<ResourceCost>>, BillError> {
        let held = self.resources.take();
        held.map(|held| held.dearest(top, &self.texts)).transpose()
    }

    /// The lines that are AI or may be, for SQL.
    pub(crate) fn scope(&self) -> Scope {
        let kept: BTreeSet<(Code, Code)> =
            self.products.all().map(|(product, _)| (product.code, product.usage_type)).collect();
        // For each product, the usage types that may be AI and those that are not.
        let mut products: BTreeMap<Text, (BTreeSet<Text>, BTreeSet<Text>)> = BTreeMap::new();
        for first in &self.firsts {
            let [_, _, _, code, _, _, _, usage_type, ..] = first.key;
            let is_kept = kept.contains(&(code, usage_type));
            let [code, usage_type] = self.texts.texts([code, usage_type]);
            let (ai, not_ai) = products.entry(code).or_default();
            if is_kept {
                ai.insert(usage_type)
            } else {
                not_ai.insert(usage_type)
            };
        }
        let mut scope = Scope::default();
        for (code, (ai, not_ai)) in products {
            if ai.is_empty() {
                continue;
            }
            // A product is named as a whole where all of it may be AI, or where a line without a usage type is.
            let all = not_ai.is_empty() || ai.iter().any(|usage_type| usage_type.is_empty());
            if all && !code.is_empty() {
                scope.products.insert(code);
            } else {
                scope.usage_types.extend(ai);
            }
        }
        scope
    }

    /// The facts, in an order that does not depend on threads. `format` is what [`Self::format`] says.
    pub(crate) fn into_facts(self, format: ReportFormat) -> Result<Vec<DailyFact>, BillError> {
        let first_day = self.lines_by_day.first_key_value().map(|(first, _)| *first);
        let mut facts = self.facts.into_daily(&self.products, &self.texts, first_day)?;
        if format == ReportFormat::AzureCosts {
            // They charge a commitment on the day it is bought, and what it covers at nothing: how the one is spread over
            // the other is in no line.
            for fact in facts.iter_mut().filter(|fact| COVERED.contains(&&*fact.operation)) {
                (fact.amortised, fact.net_amortised) = (None, None);
            }
        }
        Ok(facts)
    }
}

/// ISO 4217's "no currency".
pub(crate) const NO_CURRENCY: &str = "XXX";

/// The code of a cell; that of no currency where the cell is empty or unreadable.
pub(crate) fn currency(text: &str) -> Currency {
    text.parse().or_else(|_| NO_CURRENCY.parse()).unwrap_or(Currency::USD)
}

#[cfg(test)]
mod tests;
