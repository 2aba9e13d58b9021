//! Money, handed out along the matched tokens.
//!
//! Every step adds what it moves to a code and to what it moved it from, as whole units, so that both identities hold by
//! construction and not by luck. From a call's estimate to its settled cost the steps are: the catalogue's price of what
//! was metered; the cache's lifetime, tier, route and context that were billed, at the catalogue's prices; the bill's
//! unit price beside the catalogue's; private discounts.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hashbrown::HashMap;

use super::Terms;
use super::atto::{Atto, Splitter};
use super::balance::{Balance, Flow, Source};
use super::billed::{Billed, BilledRow};
use super::code::{ByCode, Code};
use super::meter::{Bundle, BundleId, Meter, Place};
use super::names::Name;
use super::outcome::{
    Coverage, DayTotals, MatchConfidence, Residual, SettledBundle, Settlement, Side, State,
};
use super::presence::Presence;
use super::prices::{self, Findings, Prices, RowPrice};
use super::searches;
use super::sku::{Kind, PerKind, Sku};

/// Settles the calls of a meter against a bill.
#[must_use]
pub fn settle(meter: &Meter, billed: &Billed, prices: &impl Prices, terms: &Terms) -> Settlement {
    let prices = Remembered { prices, known: std::cell::RefCell::default() };
    let presence = Presence::of(meter, billed, terms.complete_through);
    let billed = searches::by_model(billed, meter, &presence, &prices, terms.rounding_per_line);
    let mut rows = billed.rows.clone();
    let mut metered: HashMap<(Name, Kind), u64> = HashMap::new();
    for (_, bundle) in meter.bundles() {
        for (kind, quantity) in bundle.usage.iter() {
            let sum = metered.entry((bundle.key.model, kind)).or_default();
            *sum = sum.saturating_add(quantity);
        }
    }
    prices::mend_units(&mut rows, &prices, |model, kind| {
        metered.get(&(model, kind)).copied().unwrap_or_default()
    });
    let findings = prices::find(&rows, &prices, terms.rounding_per_line);
    let takes_part = |id| meter.bundle(id).is_some_and(|bundle| !presence.is_absent(bundle));
    let balance = Balance::of(meter, &rows, takes_part, terms.complete_through);
    let mut ledger = Ledger {
        rows: &rows,
        prices: &prices,
        findings: &findings,
        settlement: Settlement::default(),
        residuals: HashMap::new(),
        coverage: HashMap::new(),
        covered_by_day: BTreeMap::new(),
    };
    ledger.open(meter, &presence);
    ledger.settle_rows(&balance);
    ledger.settle_what_is_left(meter, &balance);
    ledger.stand_apart(&billed);
    ledger.close(meter, findings.implied.clone())
}

/// What a price is asked by.
type Asked = (Name, Sku, Name, NaiveDate);

/// A catalogue that is asked once for each price.
struct Remembered<'a, P> {
    prices: &'a P,
    known: std::cell::RefCell<HashMap<Asked, Option<Atto>>>,
}

impl<P: Prices> Prices for Remembered<'_, P> {
    fn per_unit(&self, model: Name, sku: Sku, region: Name, day: NaiveDate) -> Option<Atto> {
        let ask = || self.prices.per_unit(model, sku, region, day);
        *self.known.borrow_mut().entry((model, sku, region, day)).or_insert_with(ask)
    }
}

type ResidualKey = (NaiveDate, Place, Name, Code, Side);

struct Ledger<'a, P> {
    rows: &'a [BilledRow],
    prices: &'a P,
    findings: &'a Findings,
    settlement: Settlement,
    residuals: HashMap<ResidualKey, (Atto, u64)>,
    coverage: HashMap<(Place, Name), Coverage>,
    covered_by_day: BTreeMap<NaiveDate, DayTotals>,
}

impl<P: Prices> Ledger<'_, P> {
    /// Estimates, and the catalogue's price of what was metered.
    fn open(&mut self, meter: &Meter, presence: &Presence) {
        for (_, bundle) in meter.bundles() {
            let mut settled = SettledBundle {
                state: State::Settled,
                confidence: MatchConfidence::Certain,
                estimate: bundle.estimate,
                settled: Atto::ZERO,
                parts: PerKind::default(),
                even: Atto::ZERO,
                applied: ByCode::default(),
                usage: bundle.usage,
                calls: bundle.calls,
            };
            if presence.is_absent(bundle) {
                settled.state = State::Absent;
                self.settlement.totals.absent += bundle.estimate;
                self.settlement.totals.absent_calls += bundle.calls;
                self.settlement.bundles.push(settled);
                continue;
            }
            let listed: Atto =
                bundle.usage.iter().map(|(kind, quantity)| self.listed(bundle, kind).times(quantity)).sum();
            let repriced = listed - bundle.estimate;
            settled.applied.add(Code::Price, repriced);
            self.settlement.bundles.push(settled);
            let tokens = bundle.usage.iter().map(|(_, quantity)| quantity).sum();
            self.note(
                bundle.key.day,
                bundle.key.place,
                bundle.key.model,
                Code::Price,
                Side::Calls,
                repriced,
                tokens,
            );
        }
    }

    fn listed(&self, bundle: &Bundle, kind: Kind) -> Atto {
        let sku = Sku { kind, variant: bundle.key.variant };
        self.price_of(bundle, sku).unwrap_or_default()
    }

    fn price_of(&self, bundle: &Bundle, sku: Sku) -> Option<Atto> {
        self.prices.per_unit(bundle.key.model, sku, bundle.key.place.region, bundle.key.day)
    }

    /// What of a bundle's estimate so many of its tokens had that nothing is listed for.
    fn unlisted_part(&self, bundle: &Bundle, quantity: u64) -> Atto {
        let (mut listed, mut unlisted_tokens) = (Atto::ZERO, 0_u64);
        for (kind, quantity) in bundle.usage.iter().filter(|(_, quantity)| *quantity > 0) {
            match self.price_of(bundle, Sku { kind, variant: bundle.key.variant }) {
                Some(price) => listed += price.times(quantity),
                None => unlisted_tokens = unlisted_tokens.saturating_add(quantity),
            }
        }
        let estimate = Atto((bundle.estimate - listed).0.max(0));
        estimate.share(quantity, unlisted_tokens)
    }

    #[expect(clippy::too_many_arguments, reason = "it is the key of a residual and what is added to it")]
    fn note(
        &mut self,
        day: NaiveDate,
        place: Place,
        model: Name,
        code: Code,
        side: Side,
        amount: Atto,
        tokens: u64,
    ) {
        if amount.is_zero() {
            return;
        }
        let sum = self.residuals.entry((day, place, model, code, side)).or_default();
        sum.0 += amount;
        sum.1 = sum.1.saturating_add(tokens);
    }

    /// Adds to what a bundle's tokens of a kind cost.
    fn charge(&mut self, bundle: BundleId, kind: Kind, amount: Atto) {
        if let Some(settled) = self.settlement.bundles.get_mut(bundle.at()) {
            settled.settled += amount;
            if settled.usage.of(kind) > 0 {
                settled.parts.update(kind, |part| *part += amount);
            } else {
                settled.even += amount;
            }
        }
    }

    fn apply(&mut self, row: &BilledRow, bundle: BundleId, code: Code, amount: Atto, tokens: u64) {
        if let Some(settled) = self.settlement.bundles.get_mut(bundle.at()) {
            settled.applied.add(code, amount);
        }
        self.note(row.day, row.place, row.model, code, Side::Calls, amount, tokens);
    }

    fn outside(&mut self, row: &BilledRow, code: Code, amount: Atto, tokens: u64) {
        self.settlement.totals.outside.add(code, amount);
        self.note(row.day, row.place, row.model, code, Side::Outside, amount, tokens);
    }

    fn settle_rows(&mut self, balance: &Balance) {
        let mut flows: Vec<Flow> = balance.flows.clone();
        flows.sort_by_key(|flow| (flow.row, flow.source));
        let mut flows = flows.as_slice();
        let rows = self.rows;
        for (at, row) in rows.iter().enumerate() {
            let count = flows.iter().take_while(|flow| flow.row == at).count();
            let (of_row, rest) = flows.split_at(count);
            flows = rest;
            self.settle_row(at, row, of_row, balance);
        }
    }

    fn settle_row(&mut self, at: usize, row: &BilledRow, flows: &[Flow], balance: &Balance) {
        let rows = &self.findings.rows;
        let Some(price) = rows.get(at).copied() else { return };
        let quantity = row.quantity.unwrap_or_default();
        let tokens = if row.sku.kind.is_tokens() { quantity } else { 0 };
        let matched: u64 = flows.iter().map(|flow| flow.quantity).sum();
        let left = quantity.saturating_sub(matched);
        let covered_from = self.covered();
        if quantity == 0 {
            // A charge without a count that can be read is nobody's and explains nothing.
            let code = if row.quantity.is_none() { Code::Unknown } else { Code::Rounding };
            self.outside(row, code, row.amount, 0);
        } else if matched == 0 {
            self.outside(row, Code::Unproxied, row.amount, tokens);
        } else {
            let is_whole = left <= row.lines.max(quantity / 1_000_000);
            self.share_row(row, &price, flows, if is_whole { matched } else { quantity }, balance);
            if !is_whole {
                let covered = self.covered() - covered_from;
                self.outside(row, Code::Unproxied, row.amount - covered, left);
            }
        }
        let covered = self.covered() - covered_from;
        let coverage = self.coverage.entry((row.place, row.model)).or_insert(Coverage {
            place: row.place,
            model: row.model,
            billed_tokens: 0,
            covered_tokens: 0,
            billed: Atto::ZERO,
            covered: Atto::ZERO,
        });
        coverage.billed_tokens += tokens;
        coverage.covered_tokens += if tokens > 0 { matched.min(tokens) } else { 0 };
        coverage.billed += row.amount;
        coverage.covered += covered;
        self.covered_by_day.entry(row.day).or_default().billed += row.amount;
    }

    fn covered(&self) -> Atto {
        self.settlement.totals.covered
    }

    /// Splits a row among the sources that are in it; `whole` is what all of the row is shared by.
    fn share_row(
        &mut self,
        row: &BilledRow,
        price: &RowPrice,
        flows: &[Flow],
        whole: u64,
        balance: &Balance,
    ) {
        let list = price.list.unwrap_or_default();
        // What a count's own rounding makes of the list price belongs to the row's rounding.
        let adrift = list.times(row.quantity.unwrap_or_default()) - list.times(whole);
        let mut reasons = price.reasons;
        reasons.add(Code::Rounding, adrift);
        let mut splitters: Vec<(Code, Splitter)> = reasons
            .iter()
            .filter(|(_, amount)| !amount.is_zero())
            .map(|(code, amount)| (code, Splitter::new(amount, whole)))
            .collect();
        for flow in flows {
            let Some(source) = balance.sources.get(flow.source).copied() else { continue };
            let (bundle, quantity) = (source.bundle, flow.quantity);
            let mut cost = self.restructure(row, &source, quantity);
            for (code, splitter) in &mut splitters {
                let piece = splitter.next(quantity);
                cost += piece;
                let code = match (*code, price.list) {
                    // What has no list price is dearer or cheaper for what it was billed as, not for its price.
                    (Code::Price, None) => first_change(&source, row).unwrap_or(Code::Price),
                    (code, _) => code,
                };
                self.apply(row, bundle, code, piece, quantity);
            }
            self.charge(bundle, source.metered.kind, cost);
            self.settlement.totals.covered += cost;
        }
    }

    /// Leads from the list price of what was metered to that of what was billed, respect by respect. Returns the latter.
    fn restructure(&mut self, row: &BilledRow, source: &Source, quantity: u64) -> Atto {
        let at = |sku: Sku| self.prices.per_unit(row.model, sku, row.place.region, row.day);
        let mut steps = Vec::new();
        let mut sku = source.metered;
        let mut last = at(sku);
        // The call was listed where it went, which may be dearer than where the bill has it.
        let opened = self.prices.per_unit(row.model, sku, source.listed_in, row.day);
        if last != opened {
            let moved = last.unwrap_or_default() - opened.unwrap_or_default();
            steps.push((Code::Price, moved.times(quantity)));
        }
        let mut step = |code: Code, next: Sku| {
            if next != sku {
                sku = next;
                if let Some(price) = at(next) {
                    let before = last.unwrap_or_default().times(quantity);
                    // From no price to some is news of the price.
                    let code = if last.is_some() { code } else { Code::Price };
                    steps.push((code, price.times(quantity) - before));
                    last = Some(price);
                }
            }
        };
        let mut next = source.metered;
        next.kind = row.sku.kind;
        step(Code::CacheTtl, next);
        next.variant.tier = row.sku.variant.tier;
        step(Code::Tier, next);
        next.variant.routing = row.sku.variant.routing;
        step(Code::Routing, next);
        next.variant.long_context = row.sku.variant.long_context;
        step(Code::LongContext, next);
        let mut last = last.unwrap_or_default();
        if at(row.sku).is_none() && !last.is_zero() {
            // The bill's own price comes in place of a list price, so what led here is taken back.
            let code = first_change(source, row).unwrap_or(Code::Price);
            steps.push((code, -last.times(quantity)));
            last = Atto::ZERO;
        }
        for (code, amount) in steps {
            self.apply(row, source.bundle, code, amount, quantity);
        }
        last.times(quantity)
    }

    /// Tokens that are on no bill, and estimates that were off.
    fn settle_what_is_left(&mut self, meter: &Meter, balance: &Balance) {
        let mut matched = vec![0_u64; balance.sources.len()];
        for flow in &balance.flows {
            if let Some(sum) = matched.get_mut(flow.source) {
                *sum += flow.quantity;
            }
        }
        for (source, matched) in balance.sources.iter().zip(matched) {
            let Some(bundle) = meter.bundle(source.bundle) else { continue };
            let stand_in = stand_in(bundle, source);
            let list = self.price_of(bundle, source.metered);
            let short = source.quantity.saturating_sub(matched);
            let tokens = source.quantity.abs_diff(matched);
            if let Some(settled) = self.settlement.bundles.get_mut(source.bundle.at()) {
                settled.confidence = settled.confidence.max(source.confidence);
            }
            if source.late && short > 0 {
                match list {
                    Some(list) => self.predict(&stand_in, source, list, short),
                    None => self.keep_estimate(&stand_in, source, self.unlisted_part(bundle, short)),
                }
            } else {
                let off = if let Some(list) = list {
                    list.times(matched) - list.times(source.quantity)
                } else {
                    // The estimate went as one without a price; that the bill has no such tokens is another thing.
                    let estimate = self.unlisted_part(bundle, short);
                    self.apply(&stand_in, source.bundle, Code::Price, estimate, short);
                    -estimate
                };
                let small = source.quantity / 1_000_000 + 24;
                let code = match source.exact {
                    false => Code::AbortedStreams,
                    true if short <= small => Code::Rounding,
                    true => Code::Unknown,
                };
                self.apply(&stand_in, source.bundle, code, off, tokens);
            }
        }
    }

    /// What is not on the bill yet is settled by what it is expected to be there, and stands outside with that much.
    fn predict(&mut self, stand_in: &BilledRow, source: &Source, list: Atto, quantity: u64) {
        let listed = list.times(quantity);
        let as_expected = BilledRow { sku: source.expected, ..*stand_in };
        let restructured = self.restructure(&as_expected, source, quantity);
        let (mut charged, reasons) = self.findings.predict(stand_in.model, source.expected, restructured);
        if restructured.is_zero() && !listed.is_zero() {
            // Nothing is listed for what is expected: the estimate stays.
            let code = first_change(source, &as_expected).unwrap_or(Code::Price);
            self.apply(stand_in, source.bundle, code, listed, quantity);
            charged = listed;
        } else {
            for (code, amount) in reasons.iter() {
                self.apply(stand_in, source.bundle, code, amount, quantity);
            }
        }
        self.charge(source.bundle, source.metered.kind, charged);
        self.outside(stand_in, Code::Lag, -charged, quantity);
        if let Some(settled) = self.settlement.bundles.get_mut(source.bundle.at()) {
            settled.state = State::Provisional;
        }
    }

    /// The same where nothing is listed: the estimate is the best that is known.
    fn keep_estimate(&mut self, stand_in: &BilledRow, source: &Source, estimate: Atto) {
        self.apply(stand_in, source.bundle, Code::Price, estimate, source.quantity);
        self.charge(source.bundle, source.metered.kind, estimate);
        self.outside(stand_in, Code::Lag, -estimate, source.quantity);
        if let Some(settled) = self.settlement.bundles.get_mut(source.bundle.at()) {
            settled.state = State::Provisional;
        }
    }

    fn stand_apart(&mut self, billed: &Billed) {
        for apart in &billed.apart {
            self.settlement.totals.outside.add(apart.code, apart.amount);
            self.note(apart.day, apart.place, apart.model, apart.code, Side::Outside, apart.amount, 0);
            self.covered_by_day.entry(apart.day).or_default().billed += apart.amount;
        }
        self.settlement.totals.billed = billed.total();
    }

    fn close(mut self, meter: &Meter, implied: Vec<super::prices::ImpliedPrice>) -> Settlement {
        let totals = &mut self.settlement.totals;
        for ((_, bundle), settled) in meter.bundles().zip(&self.settlement.bundles) {
            if settled.state == State::Absent {
                continue;
            }
            totals.estimated += settled.estimate;
            totals.settled += settled.settled;
            totals.applied.add_all(&settled.applied);
            totals.calls += settled.calls;
            if settled.state == State::Settled {
                let day = self.covered_by_day.entry(bundle.key.day).or_default();
                day.calls += settled.calls;
                day.estimated += settled.estimate;
                day.settled += settled.settled;
                day.missed += (settled.settled - settled.estimate).abs();
            }
        }
        let residual = |((day, place, model, code, side), (amount, tokens))| Residual {
            day,
            place,
            model,
            code,
            side,
            amount,
            tokens,
        };
        let mut residuals: Vec<Residual> = self.residuals.into_iter().map(residual).collect();
        residuals.retain(|residual| !residual.amount.is_zero());
        residuals.sort_by_key(|residual| {
            (residual.day, residual.code, residual.side, residual.place, residual.model)
        });
        for residual in residuals.iter().filter(|residual| residual.code == Code::Unknown) {
            totals.unknown += residual.amount.abs();
            self.covered_by_day.entry(residual.day).or_default().unknown += residual.amount.abs();
        }
        let mut coverage: Vec<Coverage> = self.coverage.into_values().collect();
        coverage.sort_by_key(|one| (std::cmp::Reverse(one.billed - one.covered), one.place, one.model));
        for one in &coverage {
            totals.billed_tokens = totals.billed_tokens.saturating_add(one.billed_tokens);
            totals.covered_tokens = totals.covered_tokens.saturating_add(one.covered_tokens);
            totals.billed_for_tokens += one.billed;
        }
        self.settlement.residuals = residuals;
        self.settlement.coverage = coverage;
        self.settlement.days = self.covered_by_day.into_iter().collect();
        self.settlement.prices = implied;
        self.settlement
    }
}

/// The respect in which the bill differs from the meter, the first in the order of attribution.
fn first_change(source: &Source, row: &BilledRow) -> Option<Code> {
    let (metered, billed) = (source.metered, row.sku);
    [
        (metered.kind != billed.kind, Code::CacheTtl),
        (metered.variant.tier != billed.variant.tier, Code::Tier),
        (metered.variant.routing != billed.variant.routing, Code::Routing),
        (metered.variant.long_context != billed.variant.long_context, Code::LongContext),
    ]
    .into_iter()
    .find_map(|(changed, code)| changed.then_some(code))
}

/// A row for what has none, by what the proxy knows.
fn stand_in(bundle: &Bundle, source: &Source) -> BilledRow {
    BilledRow {
        day: bundle.key.day,
        place: bundle.key.place,
        model: bundle.key.model,
        sku: source.metered,
        quantity: Some(source.quantity),
        units: rust_decimal::Decimal::ZERO,
        listed: Atto::ZERO,
        amount: Atto::ZERO,
        lines: 1,
    }
}
