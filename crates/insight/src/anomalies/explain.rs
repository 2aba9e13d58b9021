//! Why an amount is not what was expected: parts that add up to the difference, and who made it.
//!
//! What was used before is taken from days or hours that show what was expected, and scaled so that it costs exactly
//! that. Then the cost of each kind of unit is a product: *calls* times *tokens per call* times *price per token*, where
//! the price is an average over cells (a model's token class in a tier, say). What each factor contributed is its Shapley
//! value, which depends on no order of changing them; the average price's part is taken apart into the cells' own prices
//! and the mix of cells by Bennet's formula, in which each is weighted by the mean of the other before and after.
//!
//! All of it is decimal. Quotients are rounded at the twelfth place, and what all rounding together leaves is counted to
//! the largest part, so that the parts add up to the difference to the last digit.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What was used, as the explanation needs it: rows of calls and rows of bills alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Who used it: a key, a principal, an account.
    pub who: String,
    /// The model; empty where none is known.
    pub model: String,
    /// What the quantity counts: `tokens`, `hours`, …; quantities of one unit are added.
    pub unit: String,
    /// Within what the price is one price: model, token class, tier, …
    pub cell: String,
    /// How many calls; `None` where nobody counted them.
    pub requests: Option<Decimal>,
    /// How much was used, in its unit.
    pub quantity: Decimal,
    /// What it cost.
    pub cost: Decimal,
}

/// Why an amount changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// More calls, or more use where calls are not counted.
    Volume,
    /// More tokens in each call.
    TokensPerRequest,
    /// Other prices for the same cells.
    Price,
    /// Dearer cells in place of cheaper ones: models, token classes, tiers.
    Mix,
    /// Costs without a quantity.
    Fees,
}

impl Cause {
    /// The stable name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::TokensPerRequest => "tokens_per_request",
            Self::Price => "price",
            Self::Mix => "mix",
            Self::Fees => "fees",
        }
    }
}

/// One part of the difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Why.
    pub cause: Cause,
    /// How much of the difference; negative where it made things cheaper.
    pub amount: Decimal,
}

/// By what contributors are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Keys of the proxy, or principals of the bill.
    Who,
    /// Models.
    Model,
}

/// Who or what made the difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributor {
    /// By what it is told apart.
    pub by: By,
    /// Its name; `None` for all others together.
    pub name: Option<String>,
    /// What was expected of it.
    pub expected: Decimal,
    /// What it cost.
    pub actual: Decimal,
}

impl Contributor {
    /// Its part of the difference.
    #[must_use]
    pub fn difference(&self) -> Decimal {
        self.actual - self.expected
    }
}

/// What made a difference. Its parts add up to it, and so do the contributors of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Why, the largest part first.
    pub parts: Vec<Part>,
    /// Who, the largest difference first, what is left of each kind last.
    pub contributors: Vec<Contributor>,
}

/// Contributors that are named.
const NAMED: usize = 5;
/// Places at which quotients are rounded.
const PLACES: u32 = 12;

/// Takes the difference between `expected` and the cost of `after` apart. `before` is what was used in days or hours
/// that show what was expected.
#[must_use]
pub fn explain(before: &[Use], after: &[Use], expected: Decimal) -> Explanation {
    let actual: Decimal = after.iter().map(|row| row.cost).sum();
    let spent: Decimal = before.iter().map(|row| row.cost).sum();
    // So much of all that was used before costs what was expected.
    let scale = expected.checked_div(spent).unwrap_or_default();
    let scale = if spent.is_zero() { Decimal::ZERO } else { scale };
    let mut parts: BTreeMap<Cause, Decimal> = BTreeMap::new();
    let mut add = |cause, amount: Decimal| *parts.entry(cause).or_default() += amount.round_dp(PLACES);
    let units: BTreeSet<&str> = before.iter().chain(after).map(|row| row.unit.as_str()).collect();
    for unit in units {
        let of_unit = |rows: &[Use], scale| Sums::of(rows.iter().filter(|row| row.unit == unit), scale);
        of_unit(before, scale).compare(&of_unit(after, Decimal::ONE), &mut add);
    }
    settle(&mut parts, actual - expected);
    let mut parts: Vec<Part> = parts
        .into_iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(cause, amount)| Part { cause, amount })
        .collect();
    parts.sort_by(|a, b| b.amount.abs().cmp(&a.amount.abs()).then(a.cause.cmp(&b.cause)));
    let mut contributors = contributors(By::Who, before, scale, after, expected);
    contributors.extend(self::contributors(By::Model, before, scale, after, expected));
    Explanation { parts, contributors }
}

/// Counts what rounding left to the largest part.
fn settle(parts: &mut BTreeMap<Cause, Decimal>, difference: Decimal) {
    let left = difference - parts.values().copied().sum::<Decimal>();
    let largest = parts.iter_mut().max_by_key(|(_, amount)| amount.abs());
    match largest {
        Some((_, amount)) => *amount += left,
        None if left.is_zero() => {}
        None => {
            parts.insert(Cause::Volume, left);
        }
    }
}

/// What was used of one unit.
#[derive(Default)]
struct Sums {
    requests: Decimal,
    counted: bool,
    quantity: Decimal,
    cost: Decimal,
    fees: Decimal,
    cells: BTreeMap<String, (Decimal, Decimal)>,
}

impl Sums {
    fn of<'a>(rows: impl Iterator<Item = &'a Use>, scale: Decimal) -> Self {
        let mut sums = Self { counted: true, ..Self::default() };
        for row in rows {
            let (quantity, cost) = (row.quantity * scale, row.cost * scale);
            match row.requests {
                Some(requests) => sums.requests += requests * scale,
                None => sums.counted = false,
            }
            if quantity.is_zero() {
                sums.fees += cost;
                continue;
            }
            sums.quantity += quantity;
            sums.cost += cost;
            let cell = sums.cells.entry(row.cell.clone()).or_default();
            cell.0 += quantity;
            cell.1 += cost;
        }
        sums.counted &= !sums.requests.is_zero();
        sums
    }

    fn compare(&self, after: &Self, add: &mut impl FnMut(Cause, Decimal)) {
        add(Cause::Fees, after.fees - self.fees);
        if self.quantity.is_zero() || after.quantity.is_zero() {
            // A unit that was not used before, or is not any more: there is no price to compare.
            add(Cause::Volume, after.cost - self.cost);
            return;
        }
        let counted = self.counted && after.counted;
        let factors = |sums: &Self| {
            let calls = if counted { sums.requests } else { sums.quantity };
            [calls, over(sums.quantity, calls), over(sums.cost, sums.quantity)]
        };
        let [volume, per_call, price] = shapley(factors(self), factors(after));
        add(Cause::Volume, volume);
        add(Cause::TokensPerRequest, per_call);
        // Of the average price's part, as much is the cells' own prices' as of the average's change.
        let (own, mix) = self.bennet(after);
        let change = own + mix;
        let own = if change.is_zero() { Decimal::ZERO } else { over(price * own, change) };
        if change.is_zero() || own.abs() > price.abs() * Decimal::from(1_000_000) {
            add(Cause::Mix, price);
        } else {
            add(Cause::Price, own);
            add(Cause::Mix, price - own);
        }
    }

    /// How much the average price moved by the cells' prices, and by their shares.
    fn bennet(&self, after: &Self) -> (Decimal, Decimal) {
        let names: BTreeSet<&String> = self.cells.keys().chain(after.cells.keys()).collect();
        let (mut own, mut mix) = (Decimal::ZERO, Decimal::ZERO);
        for name in names {
            let of = |sums: &Self| {
                let (quantity, cost) = sums.cells.get(name).copied().unwrap_or_default();
                let price = (!quantity.is_zero()).then(|| over(cost, quantity));
                (over(quantity, sums.quantity), price)
            };
            let ((share, price), (share_after, price_after)) = (of(self), of(after));
            // A cell that is new or gone has one price: that it came or went is mix.
            let price = price.or(price_after).unwrap_or_default();
            let price_after = price_after.unwrap_or(price);
            own += (share + share_after) * (price_after - price) / Decimal::TWO;
            mix += (share_after - share) * (price + price_after) / Decimal::TWO;
        }
        (own, mix)
    }
}

fn over(amount: Decimal, by: Decimal) -> Decimal {
    amount.checked_div(by).unwrap_or_default()
}

/// What each of three factors contributed to the difference of their products: the mean over all orders of changing
/// them.
fn shapley(before: [Decimal; 3], after: [Decimal; 3]) -> [Decimal; 3] {
    let part = |of: usize, one: usize, other: usize| {
        let at = |factors: &[Decimal; 3], n: usize| factors.get(n).copied().unwrap_or_default();
        let (b, c) = (at(&before, one), at(&before, other));
        let (b1, c1) = (at(&after, one), at(&after, other));
        let weight = (b * c + b1 * c1) * Decimal::TWO + b * c1 + b1 * c;
        (at(&after, of) - at(&before, of)) * weight / Decimal::from(6)
    };
    [part(0, 1, 2), part(1, 0, 2), part(2, 0, 1)]
}

fn contributors(
    by: By,
    before: &[Use],
    scale: Decimal,
    after: &[Use],
    expected: Decimal,
) -> Vec<Contributor> {
    let name = |row: &Use| match by {
        By::Who => row.who.clone(),
        By::Model => row.model.clone(),
    };
    let mut sums: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
    for row in before {
        sums.entry(name(row)).or_default().0 += row.cost * scale;
    }
    for row in after {
        sums.entry(name(row)).or_default().1 += row.cost;
    }
    let mut all: Vec<Contributor> = sums
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, (expected, actual))| {
            let expected = expected.round_dp(PLACES);
            Contributor { by, name: Some(name), expected, actual }
        })
        .collect();
    if all.is_empty() {
        return all;
    }
    all.sort_by(|a, b| b.difference().abs().cmp(&a.difference().abs()).then(a.name.cmp(&b.name)));
    all.truncate(NAMED);
    let total: Decimal = after.iter().map(|row| row.cost).sum();
    let rest = Contributor {
        by,
        name: None,
        expected: expected - all.iter().map(|one| one.expected).sum::<Decimal>(),
        actual: total - all.iter().map(|one| one.actual).sum::<Decimal>(),
    };
    if !rest.expected.is_zero() || !rest.actual.is_zero() {
        all.push(rest);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn row(model: &str, requests: i64, tokens: i64, cost: &str) -> Use {
        Use {
            who: format!("key of {model}"),
            model: model.to_owned(),
            unit: "tokens".to_owned(),
            cell: model.to_owned(),
            requests: Some(requests.into()),
            quantity: tokens.into(),
            cost: usd(cost),
        }
    }

    fn parts(before: &[Use], after: &[Use], expected: &str) -> Vec<(Cause, Decimal)> {
        let explained = explain(before, after, usd(expected));
        let actual: Decimal = after.iter().map(|row| row.cost).sum();
        let difference = actual - usd(expected);
        assert_eq!(explained.parts.iter().map(|part| part.amount).sum::<Decimal>(), difference);
        for by in [By::Who, By::Model] {
            let of = explained.contributors.iter().filter(|one| one.by == by);
            assert_eq!(of.map(Contributor::difference).sum::<Decimal>(), difference);
        }
        explained.parts.into_iter().map(|part| (part.cause, part.amount.round_dp(6).normalize())).collect()
    }

    #[test]
    fn twice_the_calls_are_volume_alone() {
        let found = parts(&[row("a", 10, 1_000, "5")], &[row("a", 20, 2_000, "10")], "5");
        assert_eq!(found, [(Cause::Volume, usd("5"))]);
    }

    #[test]
    fn longer_prompts_are_tokens_per_request_and_a_price_is_a_price() {
        let found = parts(&[row("a", 10, 1_000, "5")], &[row("a", 10, 3_000, "15")], "5");
        assert_eq!(found, [(Cause::TokensPerRequest, usd("10"))]);
        let found = parts(&[row("a", 10, 1_000, "5")], &[row("a", 10, 1_000, "4")], "5");
        assert_eq!(found, [(Cause::Price, usd("-1"))]);
    }

    #[test]
    fn a_dearer_model_in_place_of_a_cheaper_one_is_mix() {
        let before = [row("cheap", 10, 1_000, "1"), row("dear", 10, 1_000, "10")];
        let after = [row("cheap", 5, 500, "0.5"), row("dear", 15, 1_500, "15")];
        assert_eq!(parts(&before, &after, "11"), [(Cause::Mix, usd("4.5"))]);
    }

    #[test]
    fn everything_at_once_still_adds_up_to_the_last_digit() {
        let before = [row("a", 7, 1_003, "1.37"), row("b", 3, 977, "0.0071"), row("", 1, 0, "0.5")];
        let after = [row("a", 11, 2_111, "3.01"), row("c", 13, 1_777, "7.77777777777")];
        let found = parts(&before, &after, "2.9999");
        assert!(found.len() >= 4, "{found:?}");
        // Nothing to compare with: all of it is volume.
        assert_eq!(parts(&[], &after, "0"), [(Cause::Volume, usd("10.787778"))]);
    }
}
