//! Money as whole attodollars (1e-18 of the bill's currency), in which every published rate times every count of
//! tokens is exact, and its division among shares without losing a unit.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use rust_decimal::Decimal;

/// An exact amount in units of 1e-18. It holds 1.7e20 of any currency, so that sums of real bills cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atto(pub i128);

/// Decimals of [`Atto`].
const SCALE: u32 = 18;
/// Decimals that amounts are stored with where 18 do not fit into an exact decimal.
const COARSE_SCALE: u32 = 9;

impl Atto {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount, and what of it is finer than a unit.
    #[must_use]
    pub fn of(amount: Decimal) -> (Self, Decimal) {
        let whole = amount.trunc_with_scale(SCALE);
        let power = SCALE.saturating_sub(whole.scale());
        // 29 digits times 10^18 may not fit: such an amount is no sum of money.
        let units = 10_i128.checked_pow(power).and_then(|factor| whole.mantissa().checked_mul(factor));
        match units {
            Some(units) => (Self(units), amount - whole),
            None => (Self::ZERO, amount),
        }
    }

    /// The amount as an exact decimal; above 79 billion, where a decimal of 18 places ends, to 9 places.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::try_from_i128_with_scale(self.0, SCALE).unwrap_or_else(|_| {
            let coarse = self.0 / 10_i128.pow(SCALE - COARSE_SCALE);
            Decimal::try_from_i128_with_scale(coarse, COARSE_SCALE).unwrap_or(Decimal::MAX)
        })
    }

    /// A price per unit times a count.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }

    /// `self * part / whole`, rounded towards zero; nothing where `whole` is zero.
    #[must_use]
    pub fn share(self, part: u64, whole: u64) -> Self {
        let size = mul_div(self.0.unsigned_abs(), part, whole);
        let size = i128::try_from(size).unwrap_or(i128::MAX);
        Self(if self.0 < 0 { -size } else { size })
    }

    /// The size without the sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// `a * b / d` without overflow in between, rounded down. Counts stay below 2^63.
fn mul_div(a: u128, b: u64, d: u64) -> u128 {
    if d == 0 {
        return 0;
    }
    if let Some(product) = a.checked_mul(u128::from(b)) {
        return product / u128::from(d);
    }
    let (high, low) = (a >> 64, a & u128::from(u64::MAX));
    let (b, d) = (u128::from(b), u128::from(d));
    let high = high * b;
    let rest = ((high % d) << 64).saturating_add(low * b);
    ((high / d) << 64).saturating_add(rest / d)
}

/// Hands out an amount piece by piece, by counts, so that the pieces of all counts are the whole to the last unit.
///
/// Each piece is what the running sum of the counts is entitled to, less what was handed out before: never more than
/// a unit away from its exact share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Splitter {
    amount: Atto,
    whole: u64,
    counted: u64,
    given: Atto,
}

impl Splitter {
    /// Splits `amount` among counts that add up to `whole`.
    #[must_use]
    pub(super) const fn new(amount: Atto, whole: u64) -> Self {
        Self { amount, whole, counted: 0, given: Atto::ZERO }
    }

    /// The next count's piece.
    pub(super) fn next(&mut self, count: u64) -> Atto {
        self.counted = self.counted.saturating_add(count);
        let due = self.amount.share(self.counted.min(self.whole), self.whole);
        let piece = due - self.given;
        self.given = due;
        piece
    }
}

/// Splits a count in the proportion of others, whole units and none lost: the largest remainders take what is left.
#[must_use]
pub(super) fn split_count(count: u64, by: &[u64]) -> Vec<u64> {
    let whole: u128 = by.iter().map(|part| u128::from(*part)).sum();
    if whole == 0 {
        return vec![0; by.len()];
    }
    let product = |part: u64| u128::from(part) * u128::from(count);
    let mut parts: Vec<u64> =
        by.iter().map(|part| u64::try_from(product(*part) / whole).unwrap_or(u64::MAX)).collect();
    let left = count.saturating_sub(parts.iter().sum());
    let mut order: Vec<usize> = (0..by.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(by.get(*at).map_or(0, |part| product(*part) % whole)));
    for at in order.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts
}

impl Add for Atto {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Atto {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Atto {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Atto {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Atto {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Atto {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_whole_and_none_is_off_by_a_unit() {
        let amount = Atto(-1_000_000_000_000_000_000_000_007);
        let counts = [3, 0, 5, 1_000_003, 7, 11];
        let whole = counts.iter().sum();
        let mut splitter = Splitter::new(amount, whole);
        let mut sum = Atto::ZERO;
        for count in counts {
            let piece = splitter.next(count);
            assert!((piece - amount.share(count, whole)).0.abs() <= 1);
            sum += piece;
        }
        assert_eq!(sum, amount);
    }

    #[test]
    fn a_product_wider_than_128_bits_is_divided_exactly() {
        let a = 170_000_000_000_000_000_000_000_000_000_000_000_u128;
        assert_eq!(mul_div(a, 3_000_000_007, 3_000_000_007), a);
        assert_eq!(mul_div(a, 1_000_000_000_000, 2_000_000_000_000), a / 2);
        assert_eq!(mul_div(a, 1 << 62, (1 << 62) - 1), a + a / ((1 << 62) - 1));
    }

    #[test]
    fn counts_are_split_whole() {
        assert_eq!(split_count(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(split_count(7, &[0, 0]), [0, 0]);
        assert_eq!(
            split_count(u64::MAX / 4, &[u64::MAX / 4, u64::MAX / 4]).iter().sum::<u64>(),
            u64::MAX / 4
        );
    }

    #[test]
    fn what_is_finer_than_a_unit_is_not_lost() {
        let amount: Decimal = "0.1234567890123456789012".parse().unwrap();
        let (units, rest) = Atto::of(amount);
        assert_eq!(units.decimal() + rest, amount);
        assert_eq!(rest.to_string(), "0.0000000000000000009012");
    }
}
