//! Domain values as SQL values, so that `domain` stays free of diesel.
//!
//! Money crosses as NUMERIC through PostgreSQL's own wire form (groups of four decimal digits): exact both ways,
//! and an amount that 28 digits cannot hold is an error, never a rounded one.

use std::error::Error;

use costlens_domain::{Tokens, Usd};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::data_types::PgNumeric;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Numeric;
use rust_decimal::Decimal;

use crate::StoreError;

/// A domain value on its way to or from SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Numeric)]
pub(crate) struct Db<T>(pub(crate) T);

impl ToSql<Numeric, Pg> for Db<Decimal> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Numeric, Pg>::to_sql(&to_numeric(self.0), &mut out.reborrow())
    }
}

impl FromSql<Numeric, Pg> for Db<Decimal> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        from_numeric(&PgNumeric::from_sql(value)?)
            .map(Self)
            .ok_or_else(|| Box::new(NotExact) as Box<dyn Error + Send + Sync>)
    }
}

impl ToSql<Numeric, Pg> for Db<Usd> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Numeric, Pg>::to_sql(&to_numeric(self.0.decimal()), &mut out.reborrow())
    }
}

impl FromSql<Numeric, Pg> for Db<Usd> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Usd::from(Db::<Decimal>::from_sql(value)?.0)))
    }
}

/// The amount has more digits than an exact decimal holds, or is NaN.
#[derive(Debug, thiserror::Error)]
#[error("the numeric does not fit into 28 exact digits")]
struct NotExact;

const GROUP: u128 = 10_000;

fn to_numeric(amount: Decimal) -> PgNumeric {
    let scale = amount.scale();
    // Shift so that the decimal point falls between two groups of four digits; 2^96 times 1000 fits easily.
    let missing = (4 - scale % 4) % 4;
    let mut rest = amount.mantissa().unsigned_abs() * 10_u128.pow(missing);
    let mut digits = Vec::with_capacity(9);
    while rest > 0 {
        digits.push(i16::try_from(rest % GROUP).unwrap_or_default());
        rest /= GROUP;
    }
    let groups_after_point = i16::try_from((scale + missing) / 4).unwrap_or_default();
    let weight = i16::try_from(digits.len()).unwrap_or_default() - 1 - groups_after_point;
    digits.reverse();
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let weight = if digits.is_empty() { 0 } else { weight };
    let scale = u16::try_from(scale).unwrap_or_default();
    if amount.is_sign_negative() && !digits.is_empty() {
        PgNumeric::Negative { weight, scale, digits }
    } else {
        PgNumeric::Positive { weight, scale, digits }
    }
}

fn from_numeric(numeric: &PgNumeric) -> Option<Decimal> {
    let (negative, weight, scale, digits) = match numeric {
        PgNumeric::Positive { weight, scale, digits } => (false, *weight, *scale, digits),
        PgNumeric::Negative { weight, scale, digits } => (true, *weight, *scale, digits),
        PgNumeric::NaN => return None,
    };
    let mut mantissa: i128 = 0;
    for digit in digits {
        mantissa = mantissa.checked_mul(10_000)?.checked_add(i128::from(*digit))?;
    }
    // The power of ten of the last group.
    let last = i32::try_from(digits.len()).ok()? - 1;
    let exponent = (i32::from(weight) - last) * 4;
    let mut places = if exponent >= 0 {
        mantissa = mantissa.checked_mul(10_i128.checked_pow(u32::try_from(exponent).ok()?)?)?;
        0
    } else {
        u32::try_from(-exponent).ok()?
    };
    // The last group may carry zeros that stand behind the amount's own last place.
    while places > 0 && (places > u32::from(scale) || places > Decimal::MAX_SCALE) && mantissa % 10 == 0 {
        mantissa /= 10;
        places -= 1;
    }
    let amount = Decimal::try_from_i128_with_scale(mantissa, places).ok()?;
    Some(if negative { -amount } else { amount })
}

/// A count as SQL's bigint; the last count that fits where it does not, which no call reaches.
pub(crate) fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that SQL never makes negative.
pub(crate) fn from_bigint(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// A count of tokens.
pub(crate) fn tokens(count: i64) -> Tokens {
    Tokens(from_bigint(count))
}

/// The value of a column that holds stable names.
pub(crate) fn named<T>(
    column: &'static str,
    name: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(name).ok_or_else(|| StoreError::bug(UnknownName { column, name: name.to_owned() }))
}

/// A newer version wrote it, or somebody by hand.
#[derive(Debug, thiserror::Error)]
#[error("the column {column} holds the unknown name {name:?}")]
struct UnknownName {
    column: &'static str,
    name: String,
}

/// A text as PostgreSQL takes it: without the zero character, and cut at a character's edge.
pub(crate) fn mend(text: &str, longest: usize) -> String {
    let end = text.floor_char_boundary(longest.min(text.len()));
    text.get(..end).unwrap_or_default().replace('\0', "\u{fffd}")
}

/// The same for every text of a JSON value: jsonb refuses the zero character too.
pub(crate) fn mend_json(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        serde_json::Value::Array(items) => items.iter_mut().for_each(mend_json),
        serde_json::Value::Object(members) => members.values_mut().for_each(mend_json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals() -> impl Strategy<Value = Decimal> {
        let limit = 1_i128 << 96;
        (-(limit - 1)..limit, 0..=28_u32)
            .prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa, scale))
    }

    proptest! {
        #[test]
        fn an_amount_comes_back_from_the_wire_form_as_it_went(amount in decimals()) {
            prop_assert_eq!(from_numeric(&to_numeric(amount)), Some(amount));
        }
    }

    #[test]
    fn zeros_behind_the_last_place_are_kept_as_places() {
        for text in
            ["0", "0.00", "1", "10000", "100000000", "0.0001", "0.00001", "1.10", "-12345.678900", "1E-8"]
        {
            let amount = costlens_domain::money::parse_decimal(text).unwrap();
            let back = from_numeric(&to_numeric(amount)).unwrap();
            assert_eq!(back, amount, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_no_amount() {
        let huge = PgNumeric::Positive { weight: 20, scale: 0, digits: vec![1] };
        assert_eq!(from_numeric(&huge), None);
        let fine = PgNumeric::Positive { weight: -9, scale: 36, digits: vec![1] };
        assert_eq!(from_numeric(&fine), None);
        assert_eq!(from_numeric(&PgNumeric::NaN), None);
    }
}
