//! Exact money. No binary float ever touches it, and two currencies are never added.
//!
//! `Usd` carries 28 significant digits: a single token of the cheapest model (1e-8 dollars) and a year of the
//! dearest bill fit together. Multiply first and round once, at the edge that names its rounding.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An exact amount of United States dollars. JSON carries it as a string, SQL as NUMERIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(Decimal);

/// Why a text is no exact amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number (plain or in E-notation).
    #[error("not a decimal amount")]
    Syntax,
    /// More digits or a larger exponent than an exact decimal of 28 digits holds.
    #[error("the amount does not fit into 28 exact digits")]
    Range,
}

impl Usd {
    /// No dollars: an amount that is known to be nothing, never one that is unknown.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The amount as an exact decimal.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// The sum, or `None` where it would not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it would not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The exact product with a count or a ratio, or `None` where it would not fit.
    #[must_use]
    pub fn checked_mul(self, factor: Decimal) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }
}

impl From<Decimal> for Usd {
    fn from(amount: Decimal) -> Self {
        Self(amount)
    }
}

impl fmt::Display for Usd {
    /// Plain digits without an exponent and without trailing zeros: `0.0018`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text).map(Self)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact decimal from text, plain or in E-notation (`1.81E-8` occurs in real bills).
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let text = text.trim();
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).map_err(|error| classify_error(&error));
    }
    Decimal::from_str_exact(text).map_err(|error| classify_error(&error))
}

fn classify_error(error: &rust_decimal::Error) -> MoneyError {
    match error {
        rust_decimal::Error::ErrorString(_) | rust_decimal::Error::ConversionTo(_) => MoneyError::Syntax,
        _ => MoneyError::Range,
    }
}

/// An ISO 4217 code, as a bill writes it: three upper-case letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// United States dollars.
    pub const USD: Self = Self(*b"USD");

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.trim().as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_alphabetic) => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase(), c.to_ascii_uppercase()]))
            }
            _ => Err(MoneyError::Syntax),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact amount of one currency, for bills that are not in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Money {
    /// The exact amount, a string in JSON.
    #[serde(serialize_with = "as_plain_text")]
    pub amount: Decimal,
    /// What the amount counts.
    pub currency: Currency,
}

impl Money {
    /// The sum, or `None` where the currencies differ or the sum would not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let amount = self.amount.checked_add(other.amount)?;
        Some(Self { amount, currency: self.currency })
    }
}

fn as_plain_text<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&amount.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_notation_is_read_exactly() {
        assert_eq!("1.81E-8".parse::<Usd>().map(|usd| usd.to_string()), Ok("0.0000000181".to_owned()));
        assert_eq!("0.10".parse::<Usd>().map(|usd| usd.to_string()), Ok("0.1".to_owned()));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", "abc", "1,5", "NaN", "inf", "0x1", "1 2", "--1"] {
            assert!(text.parse::<Usd>().is_err(), "{text:?} was read as money");
        }
        assert!("1".repeat(40).parse::<Usd>().is_err());
    }

    #[test]
    fn json_numbers_are_no_money() {
        assert!(serde_json::from_str::<Usd>("0.1").is_err());
        assert_eq!(serde_json::from_str::<Usd>("\"0.1\"").ok(), "0.1".parse().ok());
    }

    #[test]
    fn two_currencies_do_not_add_up() {
        let one = |currency| Money { amount: Decimal::ONE, currency };
        let euro = "eur".parse().unwrap_or(Currency::USD);
        assert_eq!(one(Currency::USD).checked_add(one(euro)), None);
        assert_eq!(one(euro).checked_add(one(euro)).map(|sum| sum.amount), Some(Decimal::TWO));
    }
}
