//! Searches that a bill charges without a word of the model that asked for them, as rows of the models whose calls did.
//!
//! A search costs the same whatever model asked for it, so that counts alone say whose the charge is.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::atto::{Atto, Splitter};
use super::billed::{Apart, Billed, BilledRow};
use super::code::Code;
use super::meter::{Meter, Place};
use super::names::Name;
use super::presence::Presence;
use super::prices::Prices;
use super::sku::{Kind, Sku, Variant};

/// Who asked: searches of one model, of calls that a bill can tell apart no further.
type Asked = (Place, Name, Variant);

/// The bill, with searches under the models whose calls asked for them on the day. What is left over has no model;
/// where no call asked for any, or nobody tells how many were paid for, the charge stands apart. The total is the same.
///
/// Calls that are absent ask for nothing: a search is no proof that the bill has the rest of what they used.
pub(super) fn by_model(
    billed: &Billed,
    meter: &Meter,
    presence: &Presence,
    prices: &impl Prices,
    rounding_per_line: Atto,
) -> Billed {
    let (nameless, rows): (Vec<&BilledRow>, Vec<&BilledRow>) =
        billed.rows.iter().partition(|row| row.is_nameless_search());
    let mut named =
        Billed { rows: rows.into_iter().copied().collect(), apart: billed.apart.clone(), dust: billed.dust };
    if nameless.is_empty() {
        return named;
    }
    let mut asked: BTreeMap<chrono::NaiveDate, BTreeMap<Asked, u64>> = BTreeMap::new();
    for (_, bundle) in meter.bundles() {
        let searches = bundle.usage.of(Kind::WebSearch);
        if searches > 0 && bundle.key.model.is_known() && !presence.is_absent(bundle) {
            let who = (bundle.key.place, bundle.key.model, bundle.key.variant);
            let sum = asked.entry(bundle.key.day).or_default().entry(who).or_default();
            *sum = sum.saturating_add(searches);
        }
    }
    for row in nameless {
        let mut askers: Vec<(&Asked, &mut u64)> = asked
            .get_mut(&row.day)
            .into_iter()
            .flatten()
            // Whoever asked, even if others of the day's charges paid for all of it: what is left over then is nobody's,
            // on one line or on many.
            .filter(|((place, ..), _)| place.agrees_with(row.place))
            .collect();
        let quantity = row.quantity.or_else(|| counted(row, &askers, prices, rounding_per_line));
        match quantity.filter(|_| !askers.is_empty()) {
            Some(quantity) => split(row, quantity, &mut askers, &mut named.rows),
            None => named.apart.push(Apart {
                day: row.day,
                place: row.place,
                model: row.model,
                code: Code::Unmetered,
                amount: row.amount,
            }),
        }
    }
    named
}

/// How many were paid for, where the charge is a whole number of times the one price that they have.
fn counted(
    row: &BilledRow,
    askers: &[(&Asked, &mut u64)],
    prices: &impl Prices,
    rounding_per_line: Atto,
) -> Option<u64> {
    let price = |(_, model, variant): &Asked| {
        let sku = Sku { kind: Kind::WebSearch, variant: *variant };
        prices.per_unit(*model, sku, row.place.region, row.day)
    };
    let mut each = askers.iter().map(|(who, _)| price(who));
    let one = each.next().flatten().filter(|price| price.0 > 0)?;
    if row.listed.0 < 0 || each.any(|other| other != Some(one)) {
        return None;
    }
    // The nearest number: what a vendor tells as a float is off in its last digits.
    let count = u64::try_from((row.listed.0 + one.0 / 2) / one.0).ok()?;
    let off = (one.times(count) - row.listed).abs();
    (off <= rounding_per_line.times(row.lines.max(1))).then_some(count)
}

/// One row for each who asked, and one for what nobody did.
fn split(row: &BilledRow, quantity: u64, askers: &mut [(&Asked, &mut u64)], rows: &mut Vec<BilledRow>) {
    let asked = askers.iter().fold(0_u64, |sum, (_, left)| sum.saturating_add(**left));
    let granted = quantity.min(asked);
    let mut counts = Splitter::new(Atto(i128::from(granted)), asked);
    let mut amounts = Splitter::new(row.amount, quantity);
    let mut listed = Splitter::new(row.listed, quantity);
    let mut part = |model: Name, variant: Variant, count: u64| BilledRow {
        model,
        sku: Sku { variant, ..row.sku },
        quantity: Some(count),
        units: Decimal::from(count),
        amount: amounts.next(count),
        listed: listed.next(count),
        ..*row
    };
    for ((_, model, variant), left) in askers {
        let count = u64::try_from(counts.next(**left).0).unwrap_or_default().min(**left);
        if count > 0 {
            **left -= count;
            rows.push(part(*model, *variant, count));
        }
    }
    if granted < quantity {
        rows.push(part(row.model, row.sku.variant, quantity - granted));
    } else if quantity == 0 {
        rows.push(BilledRow { quantity: Some(0), ..*row });
    }
}
