//! Values in few bytes and few steps, where their public form is text. Both forms are read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};

/// Reads a value from its text or from its compact form.
struct Either<T>(PhantomData<T>);

/// What has both forms.
trait Compact: Sized {
    const NAME: &'static str;
    fn of_text(text: &str) -> Option<Self>;
    fn of_bytes(_bytes: [u8; 16]) -> Option<Self> {
        None
    }
    fn of_number(_number: i64) -> Option<Self> {
        None
    }
}

impl<T: Compact> Visitor<'_> for Either<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::of_text(text).map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &T::NAME))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let value = bytes.try_into().ok().and_then(T::of_bytes);
        value.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Bytes(bytes), &T::NAME))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        T::of_number(number)
            .map(Some)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &T::NAME))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let value = i64::try_from(number).ok().and_then(T::of_number);
        value.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &T::NAME))
    }
}

/// An amount as the sixteen bytes of its decimal.
pub(super) mod cost {
    use std::marker::PhantomData;

    use costlens_domain::Usd;
    use rust_decimal::Decimal;
    use serde::{Deserializer, Serializer};

    impl super::Compact for Usd {
        const NAME: &'static str = "an amount";

        fn of_text(text: &str) -> Option<Self> {
            text.parse().ok()
        }

        fn of_bytes(bytes: [u8; 16]) -> Option<Self> {
            Some(Decimal::deserialize(bytes).into())
        }
    }

    #[expect(clippy::ref_option, reason = "serde hands the field over so")]
    pub(in super::super) fn serialize<S: Serializer>(cost: &Option<Usd>, to: S) -> Result<S::Ok, S::Error> {
        match cost {
            Some(cost) => to.serialize_bytes(&cost.decimal().serialize()),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Usd>, D::Error> {
        from.deserialize_any(super::Either(PhantomData))
    }
}

/// A date as the number of days since 1970.
pub(super) mod date {
    use std::marker::PhantomData;

    use chrono::{Duration, NaiveDate};
    use serde::{Deserializer, Serializer};

    impl super::Compact for NaiveDate {
        const NAME: &'static str = "a date";

        fn of_text(text: &str) -> Option<Self> {
            text.parse().ok()
        }

        fn of_number(days: i64) -> Option<Self> {
            Self::default().checked_add_signed(Duration::try_days(days)?)
        }
    }

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands the field over so"
    )]
    pub(in super::super) fn serialize<S: Serializer>(
        date: &Option<NaiveDate>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => to.serialize_i64(date.signed_duration_since(NaiveDate::default()).num_days()),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<NaiveDate>, D::Error> {
        from.deserialize_any(super::Either(PhantomData))
    }
}
