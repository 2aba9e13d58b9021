//! JSON of strangers that takes little more room than its bytes: a list of nothings is thirty times as large once every
//! one of them is a value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The largest cell that is taken apart, in bytes.
pub(crate) const LARGEST_CELL: usize = 256 << 10;

const TOO_LONG: &str = "a list has more";

/// Whether what was wrong is the length of a [`Few`].
pub(crate) fn is_too_long(error: &serde_json::Error) -> bool {
    error.is_data() && error.to_string().starts_with(TOO_LONG)
}

/// A list of at most so many values, none of which is read yet.
#[derive(Debug)]
pub(crate) struct Few<'a, const MOST: usize>(pub(crate) Vec<&'a RawValue>);

impl<const MOST: usize> Default for Few<'_, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct FewVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for FewVisitor<MOST> {
    type Value = Few<'de, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while let Some(value) = list.next_element()? {
            if few.len() == MOST {
                return Err(A::Error::custom(format_args!("{TOO_LONG} than {MOST} values")));
            }
            few.push(value);
        }
        Ok(Few(few))
    }
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Few<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(FewVisitor::<MOST>)
    }
}

/// A value of any type; null where it is larger than [`LARGEST_CELL`].
#[derive(Debug, Default)]
pub(crate) struct Cell(pub(crate) Value);

impl std::ops::Deref for Cell {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?;
        Ok(Self(opened(raw.get())))
    }
}

/// What a text of JSON says; null where it is none, or too large.
pub(crate) fn opened(text: &str) -> Value {
    if text.len() > LARGEST_CELL {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_to_its_bound_and_refused_beyond() {
        let read = |text: &'static str| serde_json::from_str::<Few<'_, 3>>(text).map(|few| few.0.len());
        assert_eq!(read("[0,[1,2],{}]").ok(), Some(3));
        assert!(read("[0,0,0,0]").unwrap_err().to_string().contains("more than 3 values"));
        assert!(read("{}").is_err());
    }

    #[test]
    fn a_cell_is_taken_apart_to_its_bound_and_nothing_beyond() {
        let read = |text: &str| serde_json::from_str::<Cell>(text).unwrap().0;
        assert_eq!(read(r#"{"a":[1]}"#), serde_json::json!({"a": [1]}));
        let large = format!("[{}0]", "0,".repeat(LARGEST_CELL / 2));
        assert_eq!(read(&large), Value::Null);
    }
}
