//! One rate as an exact integer, so that a price is a sum of integer products.
//!
//! A rate of `$2.5/M` is 2.5e12 attodollars (1e-18 dollars) a token. Everything vendors publish fits: up to
//! twelve decimals in a rate per million, up to eighteen million dollars in its whole part. A rate that does not
//! fit is refused when the catalogue is read, so pricing itself can neither round nor lose a digit.

use std::fmt;

use rust_decimal::Decimal;

use crate::money::{Usd, parse_decimal};

/// Decimals of the integer that amounts are counted in.
const SCALE: u32 = 18;
/// Attodollars per picodollar: rates of at most six decimals give amounts in whole picodollars.
const ATTO_PER_PICO: u128 = 1_000_000;

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not a plain decimal number.
    #[error("{0:?} is not a decimal number")]
    Syntax(String),
    /// Below zero.
    #[error("{0:?} is below zero")]
    Negative(String),
    /// More decimals or a larger whole part than an exact rate holds.
    #[error("{0:?} has more digits than an exact rate holds")]
    Digits(String),
}

/// An exact price of one unit (a token, a search) and its text as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    atto: u64,
    text: Box<str>,
}

impl Rate {
    /// A rate per million units, as token prices are quoted.
    pub fn per_million(text: &str) -> Result<Self, RateError> {
        Self::parse(text, 12)
    }

    /// A rate per thousand units, as searches are quoted.
    pub fn per_thousand(text: &str) -> Result<Self, RateError> {
        Self::parse(text, 15)
    }

    /// `shift` is how many decimals of the quoted figure become whole attodollars of one unit.
    fn parse(text: &str, shift: u32) -> Result<Self, RateError> {
        let figure = parse_decimal(text).map_err(|_| RateError::Syntax(text.to_owned()))?.normalize();
        if figure.is_sign_negative() && !figure.is_zero() {
            return Err(RateError::Negative(text.to_owned()));
        }
        let digits = || RateError::Digits(text.to_owned());
        let power = shift.checked_sub(figure.scale()).ok_or_else(digits)?;
        let factor = 10_i128.checked_pow(power).ok_or_else(digits)?;
        let atto = figure.mantissa().checked_mul(factor).ok_or_else(digits)?;
        Ok(Self { atto: u64::try_from(atto).map_err(|_| digits())?, text: figure.to_string().into() })
    }

    /// The exact cost of so many units in attodollars, or `None` where it would not fit.
    pub(crate) fn cost(&self, units: u64) -> Option<u128> {
        u128::from(self.atto).checked_mul(u128::from(units))
    }

    /// The quoted figure as text, without trailing zeros.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The exact price of one unit.
    #[must_use]
    pub fn per_unit(&self) -> Usd {
        attodollars(u128::from(self.atto)).unwrap_or(Usd::ZERO)
    }

    /// Whether one is this many times the other or more, or one alone is free.
    pub(super) fn differs_by(&self, other: &Self, factor: u64) -> bool {
        let (low, high) = (u128::from(self.atto.min(other.atto)), u128::from(self.atto.max(other.atto)));
        high > 0 && low * u128::from(factor) <= high
    }

    pub(super) const fn is_below(&self, other: &Self) -> bool {
        self.atto < other.atto
    }

    /// True for a price that is explicitly nothing.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.atto == 0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.text)
    }
}

/// So many attodollars as money; `None` above 79 billion dollars, where an exact decimal ends.
pub(crate) fn attodollars(atto: u128) -> Option<Usd> {
    let (mantissa, scale) = match atto % ATTO_PER_PICO {
        0 => (atto / ATTO_PER_PICO, SCALE - 6),
        _ => (atto, SCALE),
    };
    Decimal::try_from_i128_with_scale(i128::try_from(mantissa).ok()?, scale).ok().map(Usd::from)
}
