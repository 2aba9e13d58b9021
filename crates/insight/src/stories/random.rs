//! Chance that comes out the same every time: SplitMix64, in whole numbers.

use rust_decimal::Decimal;

pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this, evenly.
    pub(super) const fn below(&mut self, most: u64) -> u64 {
        if most == 0 { 0 } else { self.next() % most }
    }

    /// A factor around one, bell-shaped, with a deviation of so many thousandths: the mean of twelve even numbers.
    pub(super) fn around(&mut self, thousandths: u64) -> Decimal {
        let sum: u64 = (0..12).map(|_| self.below(1_001)).sum();
        // Twelve even numbers deviate by their range.
        let apart = (Decimal::from(sum) - Decimal::from(6_000)) / Decimal::from(1_000);
        let factor = Decimal::ONE + apart * Decimal::from(thousandths) / Decimal::from(1_000);
        factor.max(Decimal::new(2, 1))
    }
}
